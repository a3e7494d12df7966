"""`imbalance-trainer train`: fine-tune an encoder on texts with rare labels, and see what happens to each label.

    imbalance-trainer train                               # the demo: embedded data and model, no network
    imbalance-trainer train my_data --model_name_or_path roberta-base --bf16
    accelerate launch -m imbalance_trainer train my_data --model_name_or_path roberta-base

A data folder holds train, and if you have them validation and test, as CSV, JSON lines, parquet and others
(docs/data-formats.md), and optionally a label_info.json with names, groups and implications. Every field of
TrainingArguments is a flag too, and --config file.yaml sets defaults for any of them.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from ..data.demo import DEMO_OPTIONS, DEMO_TRAINING, demo_data
from ..data.options import SOURCE_FLAGS
from ..decisions.rule import DecisionRule
from ..labels.class_weights import merge_custom_weights
from ..metrics.imbalance_metrics import ImbalanceMetrics
from ..monitor.run_files import HISTORY_FILE, RESULTS_FILE, Results
from ..reports.report import write_report
from ..training.arguments import ImbalanceTrainingArguments, check_best_metric
from ..training.card import CARD_FILE
from ..training.checkpoints import find_fault, last_complete_checkpoint
from ..training.trainer import WeightedFocalTrainer
from ..tuning.decisions import TuningOptions
from ..utils.constants import CONFIG_KEY, SINGLE_LABEL
from ..utils.errors import DataError, UsageError
from ..utils.files import write_json
from ..utils.flags import option
from .folds import cross_validate
from .models import EncoderOptions, tokenized
from .parser import FlagParser, check_at_least, check_epochs, make_output_dir, print_notes

GOES_ON = "--resume_from_checkpoint true goes on from the last checkpoint."
"""What is said after Ctrl-C."""


@dataclass
class TrainDataArguments(EncoderOptions):
    """What to train on (without data, the demo runs), and what to start from."""

    custom_weights: str | None = option(
        None, help="JSON (or a JSON file) of weights by label name; the other labels follow --class_weights."
    )
    tune_thresholds: bool = option(True, help="Tune a threshold for each label on the validation data after training.")
    folds: int | None = option(
        None,
        help="First train, tune and test on so many folds of all labelled rows, and print mean and spread of each "
        "label: for labels of which a test split has too few.",
    )
    dry_run: bool = option(False, help="Load and check everything, train on one batch, stop.")


@dataclass
class TrainArguments(ImbalanceTrainingArguments):
    """Our and Trainer's arguments. Changed defaults of Trainer's are these, and no others."""

    num_train_epochs: float = option(3.0, help="Passes over the training data.", aliases=["--num_epochs"])
    per_device_train_batch_size: int = option(16, help="Rows per device and step.", aliases=["--batch_size"])
    per_device_eval_batch_size: int = option(64, help="Rows per device in evaluation.")
    learning_rate: float = option(2e-5, help="The largest learning rate.")
    eval_strategy: str = option("epoch", help="When to evaluate: epoch, steps or no.")
    save_strategy: str = option("epoch", help="When to save: epoch, steps, best or no.")
    save_total_limit: int | None = option(2, help="Checkpoints that are kept.")
    load_best_model_at_end: bool = option(True, help="End with the best model, not the last.")
    metric_for_best_model: str | None = option(
        "secondary_f1_macro", help="What best means; without a primary label f1_macro, which is the same then."
    )
    logging_strategy: str = option("epoch", help="When to log the training loss.")
    do_train: bool = option(True, help="False: only test the model in --model_name_or_path.")


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser((TrainDataArguments, TrainArguments, TuningOptions), __doc__)


def main(flags: Sequence[str]) -> dict[str, Any] | None:
    """Run the command; what metrics.json holds, None after a dry run."""
    parser = make_parser()
    given = parser.given(flags)
    on_cpu = {"use_cpu": not torch.accelerator.is_available()}  # else several processes would not see each other
    data_args, args, tuning = parser.build({**on_cpu, **defaults_for(given), **given})
    tuning.checked()
    _check(data_args, args, given)
    set_seed(args.seed)

    data = data_args.load(args.label_schema) if data_args.is_given else demo_data()
    if args.process_index == 0:
        print_notes(data.remarks)
    if not data.schema.primary and "metric_for_best_model" not in given:
        args.metric_for_best_model = "f1_macro"
    check_best_metric(args, ImbalanceMetrics(data.schema).keys(), ())  # before the model is loaded, as all of these
    class_weights = merge_custom_weights(args.class_weights, data_args.custom_weights, data.schema)
    if args.thresholds is not None:
        two_classes = data.problem_type == SINGLE_LABEL and len(data.schema) == 2
        DecisionRule(data.schema, two_classes=two_classes).with_thresholds(args.thresholds)
    model, tokenizer = data_args.load_model(data, args.seed)
    seen = {"texts": data.fingerprint(), "train_texts": data.fingerprint("train")}
    setattr(model.config, CONFIG_KEY, {**(getattr(model.config, CONFIG_KEY, None) or {}), **seen})
    if data_args.max_train_samples is not None:
        n_rows = min(data_args.max_train_samples, len(data.splits["train"]))
        data.splits["train"] = data.splits["train"].shuffle(seed=args.seed).select(range(n_rows))
    with args.main_process_first(desc="tokenizing"):
        splits = tokenized(data.splits, tokenizer, data_args.max_length)
    tunes = data_args.tune_thresholds and (args.do_train or "tune_thresholds" in given) and args.thresholds is None
    how = {"processing_class": tokenizer, "label_schema": data.schema, "class_weights": class_weights}

    def fit(train: Any, validation: Any, args: Any) -> WeightedFocalTrainer:
        set_seed(args.seed)
        fresh, _ = data_args.load_model(data, args.seed)
        trainer = WeightedFocalTrainer(fresh, args, train_dataset=train, eval_dataset=validation, **how)
        trainer.train()
        _tune(trainer, tuning, tunes)
        return trainer

    more = {}
    if data_args.folds is not None and not data_args.dry_run:
        more["folds"] = cross_validate(data, splits, args, data_args, given, fit)
        set_seed(args.seed)
    train = splits["train"] if args.do_train else None
    trainer = WeightedFocalTrainer(model, args, train_dataset=train, eval_dataset=splits["validation"], **how)
    if args.do_train:
        result = trainer.train(resume_from_checkpoint=_checkpoint_to_resume(args))
        if data_args.dry_run:
            shutil.rmtree(str(args.output_dir))
            if trainer.is_world_process_zero():
                print("Dry run: the data, the model and one update are fine. Nothing was saved.")
            return None
        trainer.save_metrics("train", result.metrics)
    _tune(trainer, tuning, tunes)
    results = _finish(trainer, splits["test"], data_args, args)
    return results.as_dict({"name": data_args.name, "folder": data_args.source}) | more


def defaults_for(given: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults that suit what is given by name: the demo where no data is, and saving when evaluating, which the best
    model asks for. Where the two part, no best model is loaded at the end."""
    defaults: dict[str, Any] = {}
    if not given.keys() & {"data", *SOURCE_FLAGS}:
        defaults |= DEMO_TRAINING
        if "model_name_or_path" not in given:
            defaults |= DEMO_OPTIONS
        if "learning_rate" in given:  # the head's rate follows from it
            defaults.pop("head_learning_rate", None)
    evaluate = given.get("eval_strategy")
    save = given.get("save_strategy", evaluate)
    if evaluate is not None:
        defaults["save_strategy"] = evaluate
    if "eval_steps" in given:
        defaults["save_steps"] = given["eval_steps"]
    parted = evaluate is None and save not in (None, "epoch", "best")
    defaults["load_best_model_at_end"] = not parted and "no" not in (evaluate, save)
    return defaults


def _check(data_args: TrainDataArguments, args: TrainArguments, given: Mapping[str, Any]) -> None:
    """What cannot go well is said before anything is loaded; and arguments that follow from others are set."""
    if data_args.is_given and not data_args.model_name_or_path:
        flag = next(flag for flag in SOURCE_FLAGS if getattr(data_args, flag) is not None)
        raise UsageError(f"--{flag} needs --model_name_or_path: the encoder to fine-tune, such as roberta-base.")
    sizes = ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps")
    others = ("learning_rate", "weight_decay", "warmup_steps", "seed")
    check_at_least(args, **dict.fromkeys(sizes, 1), **dict.fromkeys(others, 0))  # Trainer would fail only later
    check_epochs(args)
    if data_args.folds is not None:
        check_at_least(data_args, folds=3)  # test, validation and training
        if not args.do_train or data_args.max_train_samples is not None:
            raise UsageError("--folds trains on all rows; leave out --do_train false and --max_train_samples.")
    if "dataloader_pin_memory" not in given:
        args.dataloader_pin_memory = torch.accelerator.is_available()  # without one it only warns
    if args.thresholds is not None and given.get("tune_thresholds"):
        raise UsageError("--thresholds are set by hand and --tune_thresholds true finds others; give one of them.")
    if "output_dir" not in given:
        args.output_dir = str(Path("runs") / data_args.name)
    folder = Path(str(args.output_dir))
    if data_args.dry_run:
        make_output_dir(next(place for place in (folder, *folder.parents) if place.exists()))  # where it would lie
        folder = Path(tempfile.mkdtemp())
        args.output_dir = str(folder)
        args.max_steps, args.load_best_model_at_end = 1, False
        args.eval_strategy = args.save_strategy = "no"
    make_output_dir(folder)


def _checkpoint_to_resume(args: TrainArguments) -> str | None:
    """What `--resume_from_checkpoint` means: true is the last complete checkpoint in the output folder, or none yet;
    false is none; a path is that checkpoint, which has to be complete."""
    wanted = str(args.resume_from_checkpoint or "false")
    if wanted.lower() == "false":
        return None
    if wanted.lower() != "true":
        fault = find_fault(Path(wanted)) if Path(wanted).is_dir() else "there is no such folder"
        if fault is not None:
            raise UsageError(f"--resume_from_checkpoint {wanted}: {fault}; give a complete one, or true for the last.")
        return wanted
    checkpoint, skipped = last_complete_checkpoint(str(args.output_dir))
    if args.process_index == 0:
        for reason in skipped:
            print(f"Passed over {reason}.")
        none = f"No checkpoint in {args.output_dir} yet: from the start."
        print(f"Resuming from {checkpoint}." if checkpoint else none, flush=True)
    return None if checkpoint is None else str(checkpoint)


def _tune(trainer: WeightedFocalTrainer, options: TuningOptions, is_wanted: bool) -> None:
    if not is_wanted or trainer.imbalance is None or not trainer.imbalance.problem.has_thresholds:
        return
    trainer.save_model()  # should tuning fail, nothing is lost
    try:
        trainer.tune_thresholds(options=options)  # keeps 0.5 where that is better by cross-fitting
    except DataError as error:
        print(f"\nThe thresholds stay at 0.5: {error}", flush=True)


def _finish(trainer: WeightedFocalTrainer, test: Any, data_args: TrainDataArguments, args: TrainArguments) -> Results:
    """Test metrics, at 0.5 too where thresholds are tuned; then all that is kept: model, tokenizer, card, metrics."""
    metrics = trainer.predict(test).metrics or {}
    at_half = trainer.metrics_at_half or {}
    trainer.save_metrics("test", {**metrics, **{f"test_at_0.5_{name}": value for name, value in at_half.items()}})
    trainer.save_model()
    trainer.save_state()
    trainer.create_model_card(dataset=data_args.name)
    results = trainer.results_of("test")
    if results is None:
        raise DataError("The test data has no labels to measure the model by.")
    folder = Path(str(args.output_dir))
    if trainer.is_world_process_zero():
        write_json(folder / RESULTS_FILE, results.as_dict({"name": data_args.name, "folder": data_args.source}))
        if (folder / HISTORY_FILE).is_file():
            print(f"\nWhat happened to each label: {write_report(folder)}")
        print(f"Saved in {folder}: model, tokenizer, {CARD_FILE}, {RESULTS_FILE}, {HISTORY_FILE}.")
        print("Use it with")
        print(f"  imbalance-trainer predict --model_dir {folder} --text 'a text'")
    trainer.accelerator.wait_for_everyone()  # a process that ends before takes the one that writes along
    trainer.end()
    return results
