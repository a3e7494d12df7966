"""One training of a comparison, by the real Trainer: what it gives for validation and test."""

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from datasets import Dataset, List, Value, are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from transformers import PreTrainedTokenizerBase, Trainer, set_seed
from transformers.utils import logging as transformers_logging

from ..decisions.rule import DecisionRule
from ..labels.schema import LabelSchema
from ..training.arguments import ImbalanceTrainingArguments
from ..training.trainer import WeightedFocalTrainer
from ..utils.constants import IGNORE_INDEX, MULTI_LABEL
from .measures import Split
from .methods import Method

WARMUP = 0.1
"""Share of the updates in which the learning rate rises."""


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

    @property
    def epochs(self) -> float:
        """Passes over the training rows."""
        return self.steps / math.ceil(len(self.splits["train"]) / self.batch_size)


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
        trainer = _trainer(setting, method, learning_rate, seed, folder)
        trainer.train()
        trainer.args.train_sampling_strategy = "random"  # group_by_length would have evaluation rows out of order too
        scored = {name: _scored(trainer, setting.splits[name]) for name in ("validation", "test")}
    if method.is_stock:
        rule = DecisionRule(LabelSchema.from_names(setting.schema.names))  # it knows of no hierarchy
    else:
        rule = trainer.imbalance.metrics.rule
    return Trained(scored["validation"], scored["test"], rule, time.perf_counter() - start)


def check_method(setting: Setting, method: Method) -> None:
    """Raise the UsageError of options that do not fit the data or the other arguments, without a training."""
    if not method.is_stock:
        with tempfile.TemporaryDirectory() as folder, _silence():
            _trainer(setting, method, 1e-5, 0, folder)


def _trainer(setting: Setting, method: Method, learning_rate: float, seed: int, folder: str) -> Any:
    arguments = {
        "per_device_train_batch_size": setting.batch_size,
        "per_device_eval_batch_size": setting.eval_batch_size,
        "warmup_steps": WARMUP,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "use_cpu": not torch.accelerator.is_available(),  # else bf16 is refused
        **setting.arguments,
    }
    args = ImbalanceTrainingArguments(
        output_dir=folder, max_steps=setting.steps, learning_rate=learning_rate, seed=seed,
        eval_strategy="no", save_strategy="no", report_to="none", **arguments,
    )  # fmt: skip
    split = setting.splits["train"]
    common = {"model": setting.load_model(), "args": args, "processing_class": setting.tokenizer}
    if not method.is_stock:
        return WeightedFocalTrainer(train_dataset=split, label_schema=setting.schema, **common, **method.options)
    split = _float_labels(split) if setting.problem_type == MULTI_LABEL else split
    return (method.trainer or Trainer)(train_dataset=split, **common)


def _scored(trainer: Trainer, split: Dataset) -> Split:
    labels = np.array(split["labels"])
    inputs = split.remove_columns(["labels"])
    return Split(np.asarray(trainer.predict(inputs).predictions, dtype=np.float32), labels)


def _float_labels(split: Dataset) -> Dataset:
    """What people give the stock loss: floats, and a 0 where a label is not known, as it has no mask."""
    labels = np.array(split["labels"], dtype=np.float32)
    labels[labels == IGNORE_INDEX] = 0
    return (
        split.remove_columns("labels")
        .add_column("labels", labels.tolist())
        .cast_column("labels", List(Value("float32")))
    )


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
