"""One training of a comparison, by the real Trainer: what it gives for validation and test."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset, List, Value, are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from transformers import PreTrainedTokenizerBase, Trainer, set_seed
from transformers.utils import logging as transformers_logging

from ..decisions import DecisionRule
from ..labels import MULTI_LABEL, LabelSchema
from ..trainer import WeightedFocalTrainer
from ..training_args import ImbalanceTrainingArguments
from .measures import Split
from .methods import Method


@dataclass(frozen=True)
class Setting:
    """What all trainings share.

    Args:
        splits: "train", "validation" and "test", ready for the model, with a column `labels`.
        schema, problem_type: of the data.
        load_model: gives a fresh model; called after the seed is set, so that its head follows from the seed.
        steps: updates.
        batch_size, eval_batch_size: rows per device.
        tokenizer: pads batches; None where the columns are numbers of one shape.
        arguments: more arguments of TrainingArguments.
    """

    splits: Mapping[str, Dataset]
    schema: LabelSchema
    problem_type: str
    load_model: Callable[[], Any]
    steps: int
    batch_size: int = 32
    eval_batch_size: int = 128
    tokenizer: PreTrainedTokenizerBase | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """Logits and labels of validation and test, how decisions are closed, and seconds."""

    validation: Split
    test: Split
    rule: DecisionRule
    seconds: float


def train(setting: Setting, method: Method, learning_rate: float, seed: int) -> Trained:
    """Train by a method, and score validation and test. Nothing is printed and nothing is kept."""
    start = time.perf_counter()
    set_seed(seed)
    with tempfile.TemporaryDirectory() as folder, _silence():
        arguments = {
            "per_device_train_batch_size": setting.batch_size,
            "per_device_eval_batch_size": setting.eval_batch_size,
            "warmup_steps": 0.1,
            "disable_tqdm": True,
            "dataloader_pin_memory": False,
            "use_cpu": not torch.accelerator.is_available(),  # else bf16 is refused
            **setting.arguments,
        }
        args = ImbalanceTrainingArguments(
            output_dir=folder, max_steps=setting.steps, learning_rate=learning_rate, seed=seed,
            eval_strategy="no", save_strategy="no", report_to="none", **arguments,
        )  # fmt: skip
        model, train_split = setting.load_model(), setting.splits["train"]
        common = {"model": model, "args": args, "processing_class": setting.tokenizer}
        if method.is_stock:
            is_multi_label = setting.problem_type == MULTI_LABEL
            trainer_class = method.trainer or Trainer
            trainer = trainer_class(
                train_dataset=_float_labels(train_split) if is_multi_label else train_split, **common
            )
            rule = DecisionRule(LabelSchema.from_names(setting.schema.names))  # it knows of no hierarchy
        else:
            trainer = WeightedFocalTrainer(
                train_dataset=train_split, label_schema=setting.schema, **common, **method.options
            )
            rule = trainer.label_metrics.rule
        trainer.train()
        args.train_sampling_strategy = "random"  # group_by_length would have evaluation rows out of order too
        scored = {name: _scored(trainer, setting.splits[name]) for name in ("validation", "test")}
    return Trained(scored["validation"], scored["test"], rule, time.perf_counter() - start)


def time_of_steps(setting: Setting, learning_rate: float) -> tuple[float, float]:
    """Seconds that an update takes, and seconds that a training takes beside its updates, for loading and scoring."""
    few, more = 3, 13
    stock = Method("stock", None)
    short, longer = (train(replace(setting, steps=n), stock, learning_rate, 0).seconds for n in (few, more))
    of_step = max(longer - short, 1e-4) / (more - few)
    return of_step, max(short - few * of_step, 0.0)


def _scored(trainer: Trainer, split: Dataset) -> Split:
    labels = np.array(split["labels"])
    inputs = split.remove_columns(["labels"])
    return Split(np.asarray(trainer.predict(inputs).predictions, dtype=np.float32), labels)


def _float_labels(split: Dataset) -> Dataset:
    """The stock loss wants floats; transformers' own error for integers is a riddle."""
    return split.cast_column("labels", List(Value("float32")))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No tables, bars and warnings of single runs: the comparison has a line for each."""
    before, bars = transformers_logging.get_verbosity(), are_progress_bars_disabled()
    transformers_logging.set_verbosity_error()
    disable_progress_bars()
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        transformers_logging.set_verbosity(before)
        if not bars:
            enable_progress_bars()
