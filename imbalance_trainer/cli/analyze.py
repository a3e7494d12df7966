"""`imbalance-trainer analyze`: before training, what each label will weigh and why, and what to set.

    imbalance-trainer analyze my_data
    imbalance-trainer analyze my_data --plot labels.png --html labels.html --config_out train.yaml
    imbalance-trainer analyze my_data --json
    imbalance-trainer analyze                              # the demo's data

Weights and recommendation follow the training split, as in training; validation says what can be known.
"""

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..analysis.analyze import Analysis, analysis_json, analyze
from ..analysis.baseline import baseline_message, estimate_baseline
from ..analysis.counts import STREAMED_FROM, count_splits, count_streams, is_large, open_streams
from ..analysis.parts import analysis_text
from ..analysis.recommend import config_text
from ..data.demo import demo_data
from ..data.options import DataOptions
from ..data.sources import SPLITS
from ..labels.distribution import LabelDistribution
from ..reports.analysis_page import write_page
from ..reports.plots import plot_distribution
from ..training.arguments import ImbalanceOptions
from ..utils.console import as_text
from ..utils.errors import UsageError, check_known
from ..utils.files import written
from ..utils.flags import option
from .parser import FlagParser, check_at_least, print_notes

_PATHS = ("data_dir", "train_file", "validation_file", "test_file", "label_schema")


@dataclass
class AnalyzeArguments(DataOptions):
    """What to look at, and where pictures, pages and files go."""

    custom_weights: str | None = option(None, help="JSON (or a JSON file) of weights by label.")
    split: str = option("train", help="Whose labels are listed and drawn.")
    plot: str | None = option(None, help="A picture to write, such as labels.png; none for none.")
    html: str | None = option(None, help="A page to write, one file that needs nothing else.")
    config_out: str | None = option(None, help="Write the recommendation as a file for `train --config`.")
    model_name_or_path: str = option(
        "roberta-base", help="Encoder that goes into --config_out: a hub name or a folder."
    )
    baseline: bool = option(
        False, help="Also cross-validate a linear model on the texts: what a fine-tuned encoder has to beat."
    )
    streaming: bool | None = option(
        None,
        help="Read only the labels of the files, in batches, so that memory does not grow with them; if not "
        f"given, where they have {STREAMED_FROM >> 30} GiB or more.",
    )
    max_rows: int | None = option(None, help="Labels in a table, the rarest; all, or of more than 50 the 20 rarest.")


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser((AnalyzeArguments, ImbalanceOptions), __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; what --json prints."""
    parser = make_parser()
    given = parser.given(flags)
    args, options = parser.build(given)
    options = options.checked()
    check_known("--split", args.split, SPLITS)
    check_at_least(args, max_rows=0)
    splits, about, baseline = _counted(args, options.label_schema)
    names = {flag.name for flag in fields(options)} - {"label_schema"}
    values = {name: getattr(options, name) for name in given if name in names}
    asked_for = {name: "none" if value is None else value for name, value in values.items()}
    own = asked_for if args.custom_weights is None else {**asked_for, "custom_weights": args.custom_weights}
    analysis = analyze(args.name, splits, asked_for=own, split=args.split, **about)
    said = _write_files(analysis, args)  # first: whoever reads the output may stop early
    if args.config_out is not None:
        text = _config(analysis, args, own, given.get("label_schema"), f"analyze {shlex.join(flags)}")
        with written(args.config_out) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
        said += [f"Settings: {args.config_out}. Train with them:"]
        said += [f"  imbalance-trainer train --config {shlex.quote(args.config_out)}"]
    print(analysis_text(analysis, args.max_rows), flush=True)
    if baseline is not None:
        print(as_text(*baseline_message(baseline)))
    if said:
        print("\n".join(["", *said]))
    return analysis_json(analysis) | ({} if baseline is None else {"baseline": baseline})


def _counted(
    args: AnalyzeArguments, label_info: Any
) -> tuple[dict[str, LabelDistribution], dict[str, Any], dict[str, Any] | None]:
    """The counts of the splits, what is known of the data beside, and the linear baseline where it is asked for: of
    data that is loaded, or read in batches where that is asked for or the files are large."""
    if args.is_given and (is_large(args) if args.streaming is None else args.streaming):
        if args.baseline:
            raise UsageError("--baseline reads all texts, and this data is read in batches; say --streaming false.")
        streams = open_streams(args, label_info)
        train = streams["train"]
        print_notes(train.notes)
        splits, warnings = count_streams(streams)
        about = {"problem_type": train.plan.problem_type, "warnings": warnings, "notes": train.notes}
        return splits, about, None
    data = args.load(label_info) if args.is_given else demo_data()
    print_notes(data.notes)
    baseline = estimate_baseline(data) if args.baseline else None
    warnings = list(data.warnings)
    if baseline is not None:
        wrong, missing = (f"{baseline[which]:,}" for which in ("probably_wrong", "probably_missing"))
        warnings.append(
            f"train has {wrong} label entries that are probably wrong, {missing} missing: see audit --help."
        )
    about = {"problem_type": data.problem_type, "warnings": warnings, "notes": data.notes}
    return count_splits(data), about, baseline


def _write_files(analysis: Analysis, args: AnalyzeArguments) -> list[str]:
    """Write the picture and the page that were asked for, and say where."""
    said = []
    if args.plot is not None and args.plot.lower() != "none":
        where = "training" if analysis.split == "train" else analysis.split
        weights = analysis.recommendation.weights
        said.append(f"Picture: {plot_distribution(analysis.counts, weights, args.plot, where)}")
    if args.html is not None:
        said.append(f"Page: {write_page(analysis, args.html)}")
    return said


def _config(
    analysis: Analysis, args: AnalyzeArguments, asked_for: dict[str, Any], schema_file: str | None, command: str
) -> str:
    """The settings as a file for training, by paths that hold in any folder."""
    values: dict[str, Any] = {flag.name: getattr(args, flag.name) for flag in fields(DataOptions)}
    values["label_schema"] = schema_file
    values |= {flag: os.path.abspath(values[flag]) for flag in _PATHS if values[flag]}
    values["model_name_or_path"] = _absolute(args.model_name_or_path) if args.is_given else None
    if "custom_weights" in asked_for:
        asked_for = {**asked_for, "custom_weights": _absolute(asked_for["custom_weights"])}
    return config_text(analysis.recommendation, values, asked_for, f"imbalance-trainer {command}")


def _absolute(value: str) -> str:
    """The path of a file or folder that is there; any other word, such as a hub name or JSON, as it is."""
    with suppress(OSError, ValueError):  # JSON may be longer than a name
        return os.path.abspath(value) if Path(value).exists() else value
    return value
