"""Trainings of a comparison by the real Trainer: one, and all that its record does not have yet."""

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from datasets import Dataset, List, Value, are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from torch import nn
from transformers import EarlyStoppingCallback, PreTrainedConfig, PreTrainedTokenizerBase, Trainer, set_seed
from transformers.loss.loss_utils import ForSequenceClassificationLoss
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

from ..decisions.rule import DecisionRule
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import ImbalanceMetrics
from ..training.arguments import ImbalanceTrainingArguments
from ..training.head import encode_texts
from ..training.trainer import WeightedFocalTrainer
from ..tuning.decisions import TuningOptions, tune_decisions
from ..tuning.linear_baseline import LinearBaseline
from ..utils.constants import IGNORE_INDEX, MULTI_LABEL
from ..utils.errors import NonFiniteLossError
from ..utils.numeric import multi_hot
from ..utils.text import duration
from .measures import Split, averaged_labels, judge
from .runs import LINEAR, Key, Method, Record, Run
from .summary import Summary, summarise

_PATIENCE = 5  # epochs

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
        texts: of each split, for the linear baseline; None for none.
        until_converged: whether a training stops once validation's average precision has not risen for 5 epochs, and
            its best epoch counts; `steps` are the most then.
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
    texts: Mapping[str, Sequence[str]] | None = None
    until_converged: bool = False

    @property
    def epochs(self) -> float:
        """Passes over the training rows."""
        return self.steps / math.ceil(len(self.splits["train"]) / self.batch_size)


def train(
    setting: Setting, method: Method, learning_rate: float, seed: int
) -> tuple[Split, Split, DecisionRule, bool]:
    """Train by a method. Nothing is printed and nothing is kept.

    Returns:
        Logits and labels of validation and of test, how decisions are closed, and whether validation was still rising.
    """
    set_seed(seed)
    with tempfile.TemporaryDirectory() as folder, silence():
        trainer = _trainer(setting, method, learning_rate, seed, folder)
        trainer.train()
        trainer.args.train_sampling_strategy = "random"  # group_by_length would have evaluation rows out of order too
        validation, test = (_scored(trainer, setting.splits[name]) for name in ("validation", "test"))
        best, end = trainer.state.best_global_step, trainer.state.max_steps
    epoch = math.ceil(setting.steps / setting.epochs)
    is_rising = setting.until_converged and best is not None and best > end - 2 * epoch
    if method.is_stock:  # it knows of no hierarchy
        return validation, test, DecisionRule(LabelSchema.from_names(setting.schema.names)), is_rising
    return validation, test, trainer.imbalance.metrics.rule, is_rising


def check_method(setting: Setting, method: Method) -> None:
    """Raise the UsageError of options that do not fit the data or the other arguments, without a training."""
    if not method.is_stock:
        with tempfile.TemporaryDirectory() as folder, silence():
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
    when = "epoch" if setting.until_converged else "no"
    how: dict[str, Any] = {"processing_class": setting.tokenizer}
    if setting.until_converged:
        arguments |= {"load_best_model_at_end": True, "metric_for_best_model": "mean_average_precision"}
        arguments |= {"save_total_limit": 1, "save_only_model": True, "greater_is_better": True}
        how["callbacks"] = [EarlyStoppingCallback(_PATIENCE)]
    args = ImbalanceTrainingArguments(
        output_dir=folder, max_steps=setting.steps, learning_rate=learning_rate, seed=seed,
        eval_strategy=when, save_strategy=when, report_to="none", **arguments,
    )  # fmt: skip
    split, validation, model = setting.splits["train"], setting.splits["validation"], setting.load_model()
    if method.options is not None:
        how |= {"label_schema": setting.schema, **method.options}
        return WeightedFocalTrainer(model, args, train_dataset=split, eval_dataset=validation, **how)
    if setting.problem_type == MULTI_LABEL:
        split, validation = _float_labels(split), _float_labels(validation)
    how["compute_metrics"] = ImbalanceMetrics(setting.schema) if setting.until_converged else None
    return Trainer(model, args, train_dataset=split, eval_dataset=validation, **how)


def _scored(trainer: Trainer, split: Dataset) -> Split:
    labels = np.array(split["labels"])
    predicted = trainer.predict(split.remove_columns(["labels"])).predictions
    return Split(np.asarray(predicted, dtype=np.float32), labels)


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
def silence() -> Iterator[None]:
    """No tables, bars and warnings of single runs, where each has a line of its own."""
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


def compare(
    setting: Setting,
    methods: Sequence[Method],
    learning_rates: Sequence[float] | Mapping[str, Sequence[float]],
    seeds: Sequence[int],
    record: Record,
    say: Callable[[str], None] = print,
) -> Summary:
    """Train what is not in the record yet, the linear baseline too where there are texts, and sum up.

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
    of_split = {name: multi_hot(rows["labels"], len(setting.schema)) > 0.5 for name, rows in setting.splits.items()}
    labels = averaged_labels(*(of_split[name].sum(0) for name in ("train", "validation", "test")))
    rates = {
        method.name: list(learning_rates[method.name] if isinstance(learning_rates, Mapping) else learning_rates)
        for method in methods
    }
    for method in methods:
        for rate, seed in product(rates[method.name], seeds):
            record.find((method.name, rate, seed), method.in_words)
        check_method(setting, method)

    total = sum(len(of_method) + len(seeds) - 1 for of_method in rates.values())
    seen: dict[Key, Run] = {}
    seconds: list[float] = []

    def run(method: Method, rate: float, seed: int) -> Run:
        key = (method.name, rate, seed)
        if key in seen:
            return seen[key]
        found = record.find(key, method.in_words)
        seen[key] = done = found or _trained(setting, method, key, labels, record)
        took, left = "done before", total - len(seen)
        if found is None:
            seconds.append(done.seconds)
            took = f"{done.seconds:.0f} s"
            took += f"; about {duration(left * np.mean(seconds))} left" if left else ""
        say(f"[{len(seen)}/{total}] {method.name}, learning rate {rate:g}, seed {seed}: {_result(done, took)}")
        return done

    tried = {method.name: [run(method, rate, seeds[0]) for rate in rates[method.name]] for method in methods}
    best = {name: max(runs, key=lambda r: r.values.get("validation_f1_macro", -1.0)) for name, runs in tried.items()}
    done: dict[str, list[Run]] = {method.name: [] for method in methods}
    for seed, method in product(seeds, methods):
        done[method.name].append(run(method, best[method.name].learning_rate, seed))
    if setting.texts is not None:
        linear = record.find((LINEAR, 0.0, 0), "") or _linear(setting, labels, record)
        say(f"{LINEAR}: {_result(linear, f'{linear.seconds:.0f} s, no encoder')}")
        done[LINEAR] = [linear] * len(seeds)  # nothing of it is drawn
    return summarise(done, of_split["test"], labels["macro"], setting.steps)


def _trained(setting: Setting, method: Method, key: Key, labels: Mapping[str, np.ndarray], record: Record) -> Run:
    start = time.perf_counter()
    try:
        validation, test, rule, is_rising = train(setting, method, *key[1:])
    except NonFiniteLossError as error:  # the others are worth having
        return record.add(Run(*key, {}, 0.0, method.in_words, " ".join(str(error).split())))
    seconds = time.perf_counter() - start
    tuned, values = judge(validation, test, rule, labels, setting.problem_type == MULTI_LABEL)
    values["still_rising"] = int(is_rising)
    return record.add(Run(*key, values, seconds, method.in_words, decided=tuned))


def _linear(setting: Setting, labels: Mapping[str, np.ndarray], record: Record) -> Run:
    """The linear baseline, saved beside the record, with its tuned thresholds, for `imbalance-trainer predict`."""
    start, texts, rule = time.perf_counter(), setting.texts or {}, DecisionRule(setting.schema)
    linear = LinearBaseline().fit(texts["train"], multi_hot(setting.splits["train"]["labels"], len(setting.schema)))
    validation, test = (
        Split(linear.logits(texts[name]), np.array(setting.splits[name]["labels"])) for name in ("validation", "test")
    )
    decided, values = judge(validation, test, rule, labels, setting.problem_type == MULTI_LABEL)
    if setting.problem_type == MULTI_LABEL:
        linear.save(record.folder / LINEAR, tune_decisions(*validation, rule, TuningOptions(), 0).rule)
    return record.add(Run(LINEAR, 0.0, 0, values, time.perf_counter() - start, decided=decided))


def _result(run: Run, took: str) -> str:
    if run.error is not None:
        return f"failed. {run.error}"
    f1 = [run.values[when]["f1_macro"] for when in ("at_half", "tuned")]
    return f"macro F1 {f1[0]:.3f} at 0.5, {f1[1]:.3f} tuned ({took})"


# ---- a cheap comparison: texts are encoded once by an encoder that stays as it is, and only heads are trained ----


class FeatureHead(nn.Module):
    """A head of two layers on features, (rows, width) in, logits (rows, labels) out, as models of transformers."""

    def __init__(self, width: int, n_labels: int, problem_type: str, hidden: int = 256) -> None:
        super().__init__()
        self.config = PreTrainedConfig.from_dict({"num_labels": n_labels, "problem_type": problem_type})
        self.hidden = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(0.2))
        self.classifier = nn.Linear(hidden, n_labels)
        nn.init.zeros_(self.classifier.bias)  # as transformers starts its heads

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> SequenceClassifierOutput:
        """Logits; with labels also the loss that a stock model of transformers has."""
        logits = self.classifier(self.hidden(features))
        loss = None if labels is None else ForSequenceClassificationLoss(labels, logits, self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def encoded(split: Dataset, encoder: Any, tokenizer: Any, max_length: int) -> Dataset:
    """A split of texts with its labels and a column `features`: the means of the encoder's first, middle and last
    layer over a text's first `max_length` tokens."""
    content = {
        "features": encode_texts(split["text"][:], encoder, tokenizer, max_length),
        "labels": split["labels"][:],
    }
    return Dataset.from_dict(content).cast_column("labels", split.features["labels"]).with_format("torch")
