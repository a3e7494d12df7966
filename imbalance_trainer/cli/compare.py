"""`imbalance-trainer compare`: which loss and weights suit your data, and whether any beats stock.

    imbalance-trainer compare DATA --model roberta-base --methods default,asymmetric --seeds 3 --num_epochs 5
    imbalance-trainer compare DATA --model roberta-base --methods default,focal --frozen

Rows, steps and seeds are the same for all; thresholds are tuned on validation, and the results are of test.
"""

import hashlib
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..comparison.frozen import FeatureHead, encoded
from ..comparison.runs import DEFAULT, Method, Record, read_methods
from ..comparison.summary import MethodResult
from ..comparison.training import WARMUP, Setting, compare
from ..data.dataset import LabelledData
from ..data.demo import DEMO_TRAINING, demo_data, demo_model
from ..data.options import DataOptions
from ..labels.class_weights import DEFAULT_STRATEGY
from ..labels.schema import LabelSchema
from ..monitor.run_files import package_versions
from ..reports.plots import plot_comparison
from ..utils.console import console_print
from ..utils.errors import UsageError
from ..utils.files import write_json
from ..utils.text import pluralize
from .models import load_bare_encoder, load_encoder, tokenized
from .parser import FlagParser, as_flag, check_at_least, check_epochs, make_output_dir, print_notes

GOES_ON = "The same command goes on after the last training that ended."
"""What is said after Ctrl-C."""

_FROZEN_RATE, _RATE = 1e-3, 2e-5


@dataclass
class CompareArguments:
    """What is compared, and for how long."""

    model_name_or_path: str | None = field(
        default=None, metadata={"aliases": ["--model"], "help": "Encoder: a hub name or a folder."}
    )
    config_overrides: str | None = field(
        default=None, metadata={"help": "Changes to the model's config, such as num_hidden_layers=3."}
    )
    methods: list[str] = field(
        default_factory=lambda: [DEFAULT],
        metadata={
            "help": "What is compared to the stock Trainer: default (WeightedFocalTrainer with nothing set), losses "
            "by name, names of --own_methods."
        },
    )
    own_methods: str | None = field(
        default=None,
        metadata={"help": 'JSON, or a file of it: {"gamma 3": {"focal_gamma": 3}}, options by a name of yours.'},
    )
    seeds: list[int] = field(
        default_factory=lambda: [3],
        metadata={"help": "How many trainings of each method, with the seeds 1, 2, ...; or several seeds by number."},
    )
    num_train_epochs: float = field(
        default=3.0, metadata={"aliases": ["--num_epochs"], "help": "Epochs of each training."}
    )
    max_steps: int = field(default=-1, metadata={"help": "Updates of each training, in place of epochs."})
    frozen: bool = field(
        default=False, metadata={"help": "Encode the texts once and train only heads: an answer in minutes."}
    )
    learning_rates: list[float] | None = field(
        default=None,
        metadata={
            "help": f"The largest learning rate ({_RATE:g} if not given; {_FROZEN_RATE:g} with --frozen); of several "
            "each method takes the one that is best for it on validation."
        },
    )
    batch_size: int = field(default=32, metadata={"help": "Rows of an update."})
    max_length: int = field(default=128, metadata={"help": "Tokens of a text that are read."})
    max_train_samples: int | None = field(default=None, metadata={"help": "Train on this many rows."})
    max_eval_samples: int | None = field(
        default=None, metadata={"help": "Tune and test on this many rows of validation and of test."}
    )
    bf16: bool = field(default=False, metadata={"help": "Mixed precision."})
    label_schema: str | None = field(default=None, metadata={"help": "Path of a label_info.json."})
    output_dir: str | None = field(
        default=None,
        metadata={
            "help": "Folder of the runs (runs/compare-DATA, with --frozen runs/compare-DATA-frozen); one that was "
            "killed goes on there."
        },
    )


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser((CompareArguments, DataOptions), __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; what comparison.json holds."""
    args, options = make_parser().parse(flags)
    _check(args, options)
    args.seeds = _seeds(args.seeds)
    data = options.load(args.label_schema) if options.is_given else demo_data()
    methods = read_methods(args.methods, args.own_methods, data.problem_type)
    folder = Path(args.output_dir or Path("runs") / f"compare-{options.name}{'-frozen' * args.frozen}")
    make_output_dir(folder)
    print_notes(data.remarks)
    rate = _FROZEN_RATE if args.frozen else _RATE if options.is_given else DEMO_TRAINING["learning_rate"]
    splits = {name: _some(split, args, name) for name, split in data.splits.items()}
    setting = _setting(args, data, splits, folder)
    record = Record(folder, _shared(args, setting, options.source, _digest(splits, data.schema)))
    seeds = pluralize(len(args.seeds), "seed")
    print(f"{len(methods)} methods, {seeds}, {setting.steps:,} steps of {args.batch_size} rows each.\n")
    summary = compare(
        setting, methods, args.learning_rates or [rate], args.seeds, record, lambda words: print(words, flush=True)
    )
    console_print("", *summary.message(), "", summary.verdict())
    print(_how_to_train(summary.best, methods, args, options, setting.epochs))
    content = summary.as_dict()
    write_json(folder / "comparison.json", content)
    made = [folder / "comparison.json", plot_comparison(content, folder / "comparison.png")]
    print(f"\nKept in {folder}: {', '.join(path.name for path in made)}.")
    return content


def _how_to_train(
    best: MethodResult, methods: Sequence[Method], args: CompareArguments, data: DataOptions, epochs: float
) -> str:
    """What to type to train by the best method as it was trained here, on all rows.

    Args:
        best: the method's results.
        methods: all methods.
        args, data: the flags.
        epochs: passes over the rows that were compared on.
    """
    options = next(method.options for method in methods if method.name == best.name)
    if options is None:
        return ""
    shared = ("model_name_or_path", "config_overrides", "label_schema", "max_length")
    words = {**asdict(data), **{name: getattr(args, name) for name in shared}}
    if not args.frozen:  # of a head rate, rows and epochs say nothing
        words |= {} if data.is_given else {"weight_strategy": DEFAULT_STRATEGY}  # train has another there
        words |= {"learning_rate": best.learning_rate, "warmup_steps": WARMUP, "num_train_epochs": round(epochs, 3)}
        words |= {"per_device_train_batch_size": args.batch_size, "bf16": args.bf16 or None}
    words = {name: value for name, value in words.items() if value is not None}
    words |= {name: "none" if value is None else value for name, value in options.items()}
    flags = [word for name, value in words.items() for word in as_flag(name, value, name == "label_columns")]
    return f"Train with it: {shlex.join(['imbalance-trainer', 'train', *flags])}"


def _check(args: CompareArguments, options: DataOptions) -> None:
    """What cannot go well is said before anything is loaded."""
    if (options.is_given or args.frozen) and not args.model_name_or_path:
        raise UsageError("--model_name_or_path is missing: an encoder that was trained before, such as roberta-base.")
    check_at_least(args, batch_size=1, max_train_samples=1, max_eval_samples=1, max_length=3)
    check_epochs(args)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("compare trains in one process; start it without accelerate launch or torchrun.")
    for name in ("seeds", "learning_rates"):
        values = getattr(args, name) or []
        if len(set(values)) < len(values):
            raise UsageError(f"--{name} names a value twice; got {', '.join(f'{value:g}' for value in values)}.")
    for rate in args.learning_rates or ():
        if not 0 < rate < math.inf:
            raise UsageError(f"--learning_rates are finite numbers above 0; got {rate!r}.")


def _seeds(given: list[int]) -> list[int]:
    """The seeds by number; a single number is how many."""
    if given == [0] or not all(0 <= seed < 2**32 for seed in given):
        raise UsageError(
            "--seeds is how many, such as 3, or several seeds by number, each from 0 to 2^32 - 1; got "
            f"{' '.join(map(str, given))}."
        )
    return list(range(1, given[0] + 1)) if len(given) == 1 else given


def _setting(args: CompareArguments, data: LabelledData, splits: Mapping[str, Any], folder: Path) -> Setting:
    if args.frozen:
        load_model, tokenizer, made = _frozen(args, data, splits, folder)
    else:
        load_model, tokenizer, made = _fine_tuned(args, data, splits)
    epoch = math.ceil(len(made["train"]) / args.batch_size)
    steps = args.max_steps if args.max_steps > 0 else max(1, math.ceil(args.num_train_epochs * epoch))
    arguments: dict[str, Any] = {"bf16": args.bf16}
    if not args.frozen:
        arguments["train_sampling_strategy"] = "group_by_length"
    return Setting(
        made, data.schema, data.problem_type, load_model, steps, args.batch_size,
        1024 if args.frozen else 128, tokenizer, arguments,
    )  # fmt: skip


def _some(split: Any, args: CompareArguments, name: str) -> Any:
    limit = args.max_train_samples if name == "train" else args.max_eval_samples
    return (
        split if limit is None or limit >= len(split) else split.shuffle(seed=0).select(range(limit)).flatten_indices()
    )


def _fine_tuned(args: CompareArguments, data: LabelledData, splits: Mapping[str, Any]) -> tuple:
    def load() -> tuple[Any, Any]:
        if args.model_name_or_path is None:
            return demo_model(data.schema, torch.initial_seed() % 2**31)
        return load_encoder(args.model_name_or_path, data.schema, data.problem_type, args.config_overrides)

    _, tokenizer = load()
    made = tokenized(splits, tokenizer, args.max_length)
    return lambda: load()[0], tokenizer, made


def _frozen(args: CompareArguments, data: LabelledData, splits: Mapping[str, Any], folder: Path) -> tuple:
    encoder, tokenizer = load_bare_encoder(str(args.model_name_or_path), args.config_overrides)
    length = min(args.max_length, tokenizer.model_max_length)
    made = {
        name: encoded(split, encoder, tokenizer, length, folder, lambda words: print(f"{words} ...", flush=True))
        for name, split in splits.items()
    }
    width = encoder.config.hidden_size
    return lambda: FeatureHead(width, len(data.schema), data.problem_type), None, made


def _shared(args: CompareArguments, setting: Setting, source: str | None, digest: str) -> dict[str, Any]:
    """What all runs of a folder have in common."""
    return {
        **package_versions(["imbalance-trainer"]),
        "data": source or "demo",
        "data_digest": digest,
        "model": args.model_name_or_path or "demo",
        "config_overrides": args.config_overrides,
        "frozen": args.frozen,
        "steps": setting.steps,
        "batch_size": args.batch_size,
        "max_length": args.max_length,
        "bf16": args.bf16,
    }


def _digest(splits: Mapping[str, Any], schema: LabelSchema) -> str:
    """Of the texts and labels that are trained and tested on, and of what the labels are."""
    digest = hashlib.sha256(repr(schema.to_dict()).encode())
    for split in splits.values():
        for text in split["text"]:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(np.array(split["labels"]).tobytes())
    return digest.hexdigest()[:16]
