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
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..comparison.runs import DEFAULT, LINEAR, Record, read_methods
from ..comparison.training import WARMUP, FeatureHead, Setting, compare, encoded
from ..data.dataset import LabelledData
from ..data.demo import DEMO_TRAINING, demo_data
from ..labels.class_weights import DEFAULT_STRATEGY
from ..labels.schema import LabelSchema
from ..monitor.run_files import package_versions
from ..utils.console import console_print
from ..utils.constants import MULTI_LABEL
from ..utils.errors import UsageError, check_known
from ..utils.files import write_json
from ..utils.flags import option
from ..utils.text import pluralize
from .models import EncoderOptions, load_encoder, tokenized
from .parser import FlagParser, as_flag, check_at_least, check_epochs, make_output_dir, print_notes

GOES_ON = "The same command goes on after the last training that ended."
"""What is said after Ctrl-C."""

_FROZEN_RATE, _RATE = 1e-3, 2e-5
_EPOCHS = {"fixed": 3.0, "converged": 16.0}


@dataclass
class CompareArguments(EncoderOptions):
    """What is compared, and for how long."""

    methods: list[str] = option(
        help="What is compared to the stock Trainer: default (WeightedFocalTrainer with nothing set), losses "
        "by name, names of --own_methods.",
        default_factory=lambda: [DEFAULT],
    )
    own_methods: str | None = option(
        None, help='JSON, or a file of it: {"gamma 3": {"focal_gamma": 3}}, options by a name of yours.'
    )
    seeds: list[int] = option(
        help="How many trainings of each method, with the seeds 1, 2, ...; or several seeds by number.",
        default_factory=lambda: [3],
    )
    budget: str = option(
        "fixed",
        help="fixed: as many updates for each; converged: each until validation has not risen for 5 epochs, and its "
        "best epoch counts.",
    )
    num_train_epochs: float | None = option(
        None,
        help="Epochs of each training (3 if not given); with --budget converged at most so many (16).",
        aliases=["--num_epochs"],
    )
    max_steps: int = option(-1, help="Updates of each training, in place of epochs.")
    frozen: bool = option(False, help="Encode the texts once and train only heads: an answer in minutes.")
    learning_rates: list[float] | None = option(
        None,
        help=f"The largest learning rate ({_RATE:g} if not given; {_FROZEN_RATE:g} with --frozen); of several "
        "each method takes the one that is best for it on validation.",
    )
    batch_size: int = option(32, help="Rows of an update.")
    max_eval_samples: int | None = option(None, help="Tune and test on this many rows of validation and of test.")
    bf16: bool = option(False, help="Mixed precision.")
    label_schema: str | None = option(None, help="Path of a label_info.json.")
    output_dir: str | None = option(
        None,
        help="Folder of the runs (runs/compare-DATA, with --frozen runs/compare-DATA-frozen); one that was "
        "killed goes on there.",
    )


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser(CompareArguments, __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; what comparison.json holds."""
    (args,) = make_parser().parse(flags)
    _check(args)
    args.seeds = _seeds(args.seeds)
    data = args.load(args.label_schema) if args.is_given else demo_data()
    methods = read_methods(args.methods, args.own_methods, data.problem_type)
    folder = Path(args.output_dir or Path("runs") / f"compare-{args.name}{'-frozen' * args.frozen}")
    make_output_dir(folder)
    print_notes(data.remarks)
    rate = _FROZEN_RATE if args.frozen else _RATE if args.is_given else DEMO_TRAINING["learning_rate"]
    limits = {"train": args.max_train_samples}
    splits = {name: _some(rows, limits.get(name, args.max_eval_samples)) for name, rows in data.splits.items()}
    setting = _setting(args, data, splits)
    record = Record(folder, _shared(args, setting, _digest(splits, data.schema)))
    seeds = pluralize(len(args.seeds), "seed")
    print(f"{len(methods)} methods, {seeds}, {setting.steps:,} steps of {args.batch_size} rows each.\n")
    summary = compare(
        setting, methods, args.learning_rates or [rate], args.seeds, record, lambda words: print(words, flush=True)
    )
    console_print("", *summary.message(), "", summary.verdict())
    best = next((method for method in methods if method.name == summary.best), None)
    if best is not None and best.options is not None:
        print(_how_to_train(best.options, summary.runs[best.name][0].learning_rate, args, setting.epochs))
    if summary.best == LINEAR and data.problem_type == MULTI_LABEL:
        print(f"Use it with: imbalance-trainer predict --model_dir {folder / LINEAR} --text 'a text'")
    content = summary.as_dict()
    write_json(folder / "comparison.json", content)
    print(f"\nKept in {folder}: comparison.json.")
    return content


def _how_to_train(method: Mapping[str, Any], learning_rate: float, args: CompareArguments, epochs: float) -> str:
    """What to type to train by a method (its options) as it was trained here, on all rows."""
    shared = {flag.name for flag in fields(EncoderOptions)} - {"max_train_samples"} | {"label_schema"}
    words = {name: value for name, value in asdict(args).items() if name in shared}
    if not args.frozen:  # of a head rate, rows and epochs say nothing
        words |= {} if args.is_given else {"weight_strategy": DEFAULT_STRATEGY}  # train has another there
        words |= {"learning_rate": learning_rate, "warmup_steps": WARMUP, "num_train_epochs": round(epochs, 3)}
        words |= {"per_device_train_batch_size": args.batch_size, "bf16": args.bf16 or None}
    words = {name: value for name, value in words.items() if value is not None}
    words |= {name: "none" if value is None else value for name, value in method.items()}
    flags = [word for name, value in words.items() for word in as_flag(name, value, name == "label_columns")]
    return f"Train with it: {shlex.join(['imbalance-trainer', 'train', *flags])}"


def _check(args: CompareArguments) -> None:
    """What cannot go well is said before anything is loaded."""
    if (args.is_given or args.frozen) and not args.model_name_or_path:
        raise UsageError("--model_name_or_path is missing: an encoder that was trained before, such as roberta-base.")
    check_at_least(args, batch_size=1, max_eval_samples=1)
    check_known("--budget", args.budget, _EPOCHS)
    if args.num_train_epochs is not None:
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


def _setting(args: CompareArguments, data: LabelledData, splits: Mapping[str, Any]) -> Setting:
    name, how, kind = str(args.model_name_or_path), args.config_overrides, data.problem_type
    arguments: dict[str, Any] = {"bf16": args.bf16}
    texts = {split: rows["text"][:] for split, rows in splits.items()}
    if args.frozen:
        encoder, tokenizer = load_encoder(name, how)
        length = min(args.max_length, tokenizer.model_max_length)
        splits = {split: encoded(rows, encoder, tokenizer, length) for split, rows in splits.items()}
        width, tokenizer = len(splits["train"][0]["features"]), None
    else:
        arguments["train_sampling_strategy"] = "group_by_length"
        _, tokenizer = args.load_model(data, 0)
        splits = tokenized(splits, tokenizer, args.max_length)

    def load() -> Any:
        if args.frozen:
            return FeatureHead(width, len(data.schema), kind)
        return args.load_model(data, torch.initial_seed() % 2**31)[0]

    epoch = math.ceil(len(splits["train"]) / args.batch_size)
    epochs = _EPOCHS[args.budget] if args.num_train_epochs is None else args.num_train_epochs
    steps = args.max_steps if args.max_steps > 0 else max(1, math.ceil(epochs * epoch))
    at_once, is_open = (1024 if args.frozen else 128), args.budget == "converged"
    return Setting(
        splits, data.schema, kind, load, steps, args.batch_size, at_once, tokenizer, arguments, texts, is_open
    )


def _some(split: Any, limit: int | None) -> Any:
    rows = len(split) if limit is None else min(limit, len(split))
    return split if rows == len(split) else split.shuffle(seed=0).select(range(rows)).flatten_indices()


def _shared(args: CompareArguments, setting: Setting, digest: str) -> dict[str, Any]:
    """What all runs of a folder have in common."""
    same = ("config_overrides", "head", "frozen", "budget", "batch_size", "max_length", "bf16")
    flags = {name: getattr(args, name) for name in same}
    what = {"data": args.source or "demo", "data_digest": digest, "model": args.model_name_or_path or "demo"}
    return {**package_versions(["imbalance-trainer"]), **what, "steps": setting.steps, **flags}


def _digest(splits: Mapping[str, Any], schema: LabelSchema) -> str:
    """Of the texts and labels that are trained and tested on, and of what the labels are."""
    digest = hashlib.sha256(repr(schema.to_dict()).encode())
    for split in splits.values():
        for text in split["text"]:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(np.array(split["labels"]).tobytes())
    return digest.hexdigest()[:16]
