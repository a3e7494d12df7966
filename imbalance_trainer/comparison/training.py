"""Trainings of a comparison by the real Trainer: one, and all that its record does not have yet."""

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
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
from ..utils.errors import NonFiniteLossError
from .measures import Labels, Split, judge, one_hot
from .runs import Method, Record, Run
from .summary import Summary, summarise

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
    if method.options is not None:
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


_Key = tuple[str, float, int]


def compare(
    setting: Setting,
    methods: Sequence[Method],
    learning_rates: Sequence[float] | Mapping[str, Sequence[float]],
    seeds: Sequence[int],
    record: Record,
    say: Callable[[str], None] = print,
) -> Summary:
    """Train what is not in the record yet, and sum up.

    Args:
        setting: data, model and steps, the same for all.
        methods: stock first.
        learning_rates: with several, each method is trained with the first seed at each of them, and goes on at the
            one with the best macro F1 on validation (tuned, by cross-fitting). Or {method: its learning rates}.
        seeds: trainings of each method.
        record: where runs are kept, and found again after a kill.
        say: told of each run.

    Raises:
        UsageError: options of a method that do not fit the data, before anything is trained.
        DataError: nothing to compare on, or nothing left.
    """
    labels = _labels_of(setting)
    rates = {
        method.name: list(learning_rates[method.name] if isinstance(learning_rates, Mapping) else learning_rates)
        for method in methods
    }
    total = sum(len(of_method) + len(seeds) - 1 for of_method in rates.values())
    runner = _Runner(setting, methods, labels, record, say, total)
    for method in methods:
        for rate in rates[method.name]:
            for seed in seeds:
                record.find((method.name, rate, seed), method.in_words)
        check_method(setting, method)

    def on_validation(name: str, rate: float) -> float:
        return runner.run((name, rate, seeds[0])).values.get("validation_f1_macro", -1.0)

    for method in methods:
        for rate in rates[method.name]:
            runner.run((method.name, rate, seeds[0]))
    chosen = {name: max(rates[name], key=partial(on_validation, name)) for name in rates}
    for seed in seeds:
        for method in methods:
            runner.run((method.name, chosen[method.name], seed))
    gold = one_hot(setting.splits["test"]["labels"], len(setting.schema))
    return summarise(record, [method.name for method in methods], chosen, seeds, gold, labels.counted, setting.steps)


class _Runner:
    """Trains what is missing, once, and says a line for each run."""

    def __init__(
        self,
        setting: Setting,
        methods: Sequence[Method],
        labels: Labels,
        record: Record,
        say: Callable[[str], None],
        total: int,
    ) -> None:
        self.setting, self.labels, self.record, self.say, self.total = setting, labels, record, say, total
        self.methods = {method.name: method for method in methods}
        self.seen: dict[_Key, Run] = {}
        self.seconds: list[float] = []

    def run(self, key: _Key) -> Run:
        """The run of a method, a learning rate and a seed: of the record, or trained now."""
        if key in self.seen:
            return self.seen[key]
        method = self.methods[key[0]]
        found = self.record.find(key, method.in_words)
        self.seen[key] = found or self._trained(key, method)
        if found is None:
            self.seconds.append(self.seen[key].seconds)
        self.say(self._line(self.seen[key], found is None))
        return self.seen[key]

    def _trained(self, key: _Key, method: Method) -> Run:
        try:
            trained = train(self.setting, method, key[1], key[2])
        except NonFiniteLossError as error:  # the others are worth having
            return self.record.add(Run(*key, {}, 0.0, method.in_words, " ".join(str(error).split())))
        is_multi_label = self.setting.problem_type == MULTI_LABEL
        judged = judge(trained.validation, trained.test, trained.rule, self.labels, is_multi_label)
        return self.record.add(Run(*key, judged.values, trained.seconds, method.in_words), judged.tuned)

    def _line(self, run: Run, is_new: bool) -> str:
        start = f"[{len(self.seen)}/{self.total}] {run.method}, learning rate {run.learning_rate:g}, seed {run.seed}: "
        if run.error is not None:
            return f"{start}failed. {run.error}"
        f1 = [run.values[when]["f1_macro"] for when in ("at_half", "tuned")]
        took, rest = (f"{run.seconds:.0f} s" if is_new else "done before"), ""
        if is_new and len(self.seen) < self.total:
            rest = f"; about {_duration((self.total - len(self.seen)) * np.mean(self.seconds))} left"
        return f"{start}macro F1 {f1[0]:.3f} at 0.5, {f1[1]:.3f} tuned ({took}{rest})"


def _labels_of(setting: Setting) -> Labels:
    supports = [
        one_hot(setting.splits[name]["labels"], len(setting.schema)).sum(0) for name in ("train", "validation", "test")
    ]
    return Labels.of(*supports)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
