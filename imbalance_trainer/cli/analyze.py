"""`imbalance-trainer analyze`: before training, what each label will weigh and why, and what to set.

    imbalance-trainer analyze my_data
    imbalance-trainer analyze my_data --plot labels.png --html labels.html --config_out train.yaml
    imbalance-trainer analyze my_data --format json
    imbalance-trainer analyze                              # the demo's data

Weights and recommendation follow the training split, as in training; validation says what can be known.
"""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..analysis.analyze import Analysis, analysis_json, analyze, recommend_for
from ..analysis.counts import STREAMED_FROM, SplitCounts, count_splits, count_streams, is_large, open_streams
from ..analysis.parts import analysis_markdown, analysis_text
from ..analysis.recommend import Recommendation, config_text
from ..data.demo import demo_data
from ..data.options import DataOptions
from ..data.sources import SPLITS
from ..labels.class_weights import compute_class_weights, merge_custom_weights
from ..losses.registry import check_kind, loss_class, takes_class_weights
from ..reports.analysis_page import write_page
from ..reports.plots import plot_distribution
from ..training.arguments import ImbalanceOptions
from ..utils.errors import UsageError, did_you_mean
from ..utils.files import atomic_write
from .parser import FlagParser, print_notes, value_of, with_data

FORMATS = ("table", "json", "markdown")
"""What is printed."""

_PATHS = ("data_dir", "train_file", "validation_file", "test_file", "label_schema")


@dataclass
class AnalyzeArguments(DataOptions):
    """What to look at, and where pictures, pages and files go."""

    custom_weights: str | None = field(default=None, metadata={"help": "JSON (or a JSON file) of weights by label."})
    split: str = field(default="train", metadata={"help": "Whose labels are listed and drawn."})
    format: str = field(default="table", metadata={"help": f"What is printed: {', '.join(FORMATS)}."})
    plot: str | None = field(default=None, metadata={"help": "A picture to write, such as labels.png; none for none."})
    html: str | None = field(default=None, metadata={"help": "A page to write, one file that needs nothing else."})
    config_out: str | None = field(
        default=None, metadata={"help": "Write the recommendation as a file for `train --config`."}
    )
    model_name_or_path: str = field(
        default="roberta-base", metadata={"help": "Encoder that goes into --config_out: a hub name or a folder."}
    )
    limit: int | None = field(
        default=None,
        metadata={
            "help": "Count this many rows of each split, drawn at random (with --streaming the first ones), and "
            "estimate the rest."
        },
    )
    streaming: bool | None = field(
        default=None,
        metadata={
            "help": "Read only the labels of the files, in batches, so that memory does not grow with them; if not "
            f"given, where they have {STREAMED_FROM >> 30} GiB or more."
        },
    )
    max_rows: int | None = field(
        default=None, metadata={"help": "Labels in a table, the rarest; all, or of more than 50 the 20 rarest."}
    )
    config: str | None = field(default=None, metadata={"help": "YAML file with values for any of these flags."})


def make_parser(prog: str = "imbalance-trainer analyze") -> FlagParser:
    """The flags."""
    return with_data(FlagParser((AnalyzeArguments, ImbalanceOptions), prog=prog, doc=__doc__))


def main(flags: Sequence[str], plot: str | None = None, prog: str = "imbalance-trainer analyze") -> dict[str, Any]:
    """Run the command; what --format json prints.

    Args:
        flags: the command line.
        plot: the picture that is written where --plot is not given.
        prog: what the command is called.
    """
    args, options, others = make_parser(prog).parse(flags)
    options = options.checked()
    _check(args, others.data)
    is_table = args.format == "table"
    data, splits = _counted(args, options.label_schema, is_table)
    asked_for = _asked_for(options, flags)
    if "loss" in asked_for:
        check_kind(asked_for["loss"], loss_class(asked_for["loss"]), data.problem_type)
        if not takes_class_weights(asked_for["loss"]):
            asked_for.setdefault("class_weights", "none")
    own = asked_for if args.custom_weights is None else {**asked_for, "custom_weights": args.custom_weights}
    recommendation = recommend_for(data, splits, own)
    used = _options_in_use(options, recommendation, asked_for)
    weights = recommendation.weights
    if not takes_class_weights(used.loss):
        custom = merge_custom_weights(None, args.custom_weights, data.schema)
        weights = compute_class_weights(splits["train"].labels, custom, max_weight=used.max_weight)
    gamma = used.focal_gamma if used.loss == "focal" else 0.0
    analysis = analyze(data, args.name, splits, recommendation, weights, gamma, args.split)
    said = _write_files(analysis, args, own, flags, plot)  # first: whoever reads the output may stop early
    print(_formatted(analysis, args.format, args.max_rows), flush=True)
    if said:
        print("\n" * is_table + "\n".join(said), file=sys.stdout if is_table else sys.stderr)
    return analysis_json(analysis)


def _counted(args: AnalyzeArguments, label_info: Any, is_table: bool) -> tuple[Any, dict[str, SplitCounts]]:
    """The data and the counts of its splits: loaded, or read in batches where that is asked for or the files are
    large."""
    if args.is_given and (is_large(args) if args.streaming is None else args.streaming):
        streamed = open_streams(args, label_info)
        if is_table:
            print_notes(streamed.notes)
        splits, streamed = count_streams(streamed, args.limit)
        return streamed, splits
    data = args.load(label_info) if args.is_given else demo_data()
    if is_table:
        print_notes(data.notes)
    return data, count_splits(data, args.limit)


def _check(args: AnalyzeArguments, data: str | None) -> None:
    if args.format not in FORMATS:
        raise UsageError(f"Unknown --format {args.format!r}: {did_you_mean(args.format, FORMATS)}")
    if args.split not in SPLITS:
        raise UsageError(f"Unknown --split {args.split!r}: {did_you_mean(args.split, SPLITS)}")
    if args.limit is not None and args.limit < 1:
        raise UsageError(f"--limit must be at least 1 row; got {args.limit}.")
    if args.max_rows is not None and args.max_rows < 0:
        raise UsageError(f"--max_rows is a number of labels, 0 or more; got {args.max_rows}.")
    args.take(data)
    args.check()


def _asked_for(options: ImbalanceOptions, flags: Sequence[str]) -> dict[str, Any]:
    """The options that stand on the command line or in its --config file, but for that of the data."""
    names = (name for name in type(options).__dataclass_fields__ if value_of(name, flags) is not None)
    asked_for = {name: getattr(options, name) for name in names if name != "label_schema"}
    return {name: "none" if value is None else value for name, value in asked_for.items()}


def _options_in_use(
    options: ImbalanceOptions, recommendation: Recommendation, asked_for: dict[str, Any]
) -> ImbalanceOptions:
    """The recommended options, but for those that the user asked for."""
    values = {name: getattr(options, name) for name in type(options).__dataclass_fields__}
    chosen = {choice.flag: choice.value for choice in recommendation.choices if choice.flag in values}
    return ImbalanceOptions(**{**values, **chosen, **asked_for}).checked()


def _formatted(analysis: Analysis, format_: str, max_rows: int | None) -> str:
    if format_ == "json":
        return json.dumps(analysis_json(analysis), indent=1, ensure_ascii=False, allow_nan=False)
    return (analysis_markdown if format_ == "markdown" else analysis_text)(analysis, max_rows)


def _write_files(
    analysis: Analysis, args: AnalyzeArguments, asked_for: dict[str, Any], flags: Sequence[str], plot: str | None
) -> list[str]:
    """Write what was asked for, and say where."""
    said = []
    picture = args.plot or plot
    if picture is not None and picture.lower() != "none":
        counts = analysis.counts.labels
        where = "training" if analysis.split == "train" else analysis.split
        _make_folder(Path(picture))
        drawn = plot_distribution(counts, analysis.weights, analysis.gamma, picture, split=where)
        said.append(f"Picture: {drawn}")
    if args.html is not None:
        said.append(f"Page: {write_page(analysis, args.html)}")
    if args.config_out is not None:
        text = _config(analysis, args, asked_for, flags)
        _write(Path(args.config_out), text)
        said.append(f"Settings: {args.config_out}. Train with them:")
        said.append(f"  imbalance-trainer train --config {shlex.quote(args.config_out)}")
    return said


def _config(analysis: Analysis, args: AnalyzeArguments, asked_for: dict[str, Any], flags: Sequence[str]) -> str:
    given: dict[str, Any] = {flag.name: getattr(args, flag.name) for flag in fields(DataOptions)}
    given["label_schema"] = value_of("label_schema", flags)
    given |= {flag: os.path.abspath(given[flag]) for flag in _PATHS if given[flag]}  # to train from any folder
    given["model_name_or_path"] = _absolute(args.model_name_or_path) if args.is_given else None
    if "custom_weights" in asked_for:
        asked_for = {**asked_for, "custom_weights": _absolute(asked_for["custom_weights"])}
    command = f"imbalance-trainer analyze {shlex.join(flags)}"
    return config_text(analysis.recommendation, given, asked_for, command)


def _absolute(value: str) -> str:
    """The path of a file or folder that is there; any other word, such as a hub name or JSON, as it is."""
    with suppress(OSError, ValueError):  # JSON may be longer than a name
        return os.path.abspath(value) if Path(value).exists() else value
    return value


def _write(path: Path, text: str) -> None:
    _make_folder(path)
    try:
        with atomic_write(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error}).") from None


def _make_folder(path: Path) -> None:
    """Make the folder of a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error}).") from None
