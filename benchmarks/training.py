"""What our trainer costs beside the stock one: a training step, an evaluation, and memory as the rows grow.

    python -m benchmarks training

A small encoder (the demo's), and a model that gives its input back, so that what is not the model's shows. Pairs of
runs by turns. The monitor's own share of a run is in benchmarks/monitor_cost.py.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import datasets
import numpy as np
import torch
from datasets import Dataset, List, Value
from torch import nn
from transformers import Trainer, TrainingArguments, set_seed
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

from imbalance_trainer import RareLabelCallback, WeightedFocalTrainer
from imbalance_trainer.demo import DEMO_TRAINING, demo_data, demo_model

from .measuring import Ratio, ms

N_LABELS = 28


class Echo(nn.Module):
    """Logits are the input: an evaluation costs what is around the model."""

    def __init__(self, n_labels: int = N_LABELS) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_labels))

    def forward(self, scores: torch.Tensor, labels: torch.Tensor | None = None) -> SequenceClassifierOutput:
        """Scores in, logits out; with the loss that transformers' own models give."""
        logits = scores * self.scale
        loss = None if labels is None else nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
        return SequenceClassifierOutput(loss=loss, logits=logits)


def rows(n: int, n_labels: int = N_LABELS) -> Dataset:
    """Scores and labels."""
    rng = np.random.default_rng(0)
    labels = (rng.random((n, n_labels)) < 0.1).astype(np.float32)
    scores = rng.standard_normal((n, n_labels), np.float32) + 2 * labels - 2
    made = Dataset.from_dict({"scores": scores, "labels": labels})
    return made.with_format("torch")


@contextlib.contextmanager
def silence() -> Any:
    """Nothing is printed."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def trained(cls: type, steps: int, splits: Any, data: Any) -> float:
    """Seconds of a training of so many steps."""
    set_seed(0)
    model, tokenizer = demo_model(data.schema)
    model.config.problem_type = "multi_label_classification"
    with tempfile.TemporaryDirectory() as folder, silence():
        training = {**DEMO_TRAINING, "num_train_epochs": 100, "max_steps": steps, "logging_steps": 100}
        args = TrainingArguments(folder, disable_tqdm=True, report_to=[], save_strategy="no", **training)
        more = {"label_schema": data.schema} if cls is WeightedFocalTrainer else {}
        trainer = cls(model, args, train_dataset=splits["train"], processing_class=tokenizer, **more)
        start = time.perf_counter()
        trainer.train()
        return time.perf_counter() - start


def step_ratios(quick: bool) -> list[Ratio]:
    """A training run against stock's."""
    steps, pairs = (60, 3) if quick else (500, 5)
    data = demo_data()
    _, tokenizer = demo_model(data.schema)
    splits = data.splits.map(
        lambda part: tokenizer(part["text"], truncation=True), batched=True, remove_columns=["text"]
    ).cast_column("labels", List(Value("float32")))  # the stock Trainer takes no integers
    trained(WeightedFocalTrainer, 20, splits, data)
    ratios, seconds = [], []
    for pair in range(pairs):
        both = (WeightedFocalTrainer, Trainer) if pair % 2 else (Trainer, WeightedFocalTrainer)
        took = {cls: trained(cls, steps, splits, data) for cls in both}
        ratios.append(took[WeightedFocalTrainer] / took[Trainer])
        seconds.append(took[WeightedFocalTrainer])
    word = f"training, {steps} steps of the demo's encoder, {pairs} pairs ({min(ratios):.3f} to {max(ratios):.3f})"
    median = statistics.median(ratios)
    each = ms(statistics.median(seconds) / steps) + " a step"
    return [Ratio(word, "the stock Trainer", median, 1.01, ours=each)]


def evaluation_ratios(quick: bool) -> list[Ratio]:
    """An evaluation against one without metrics, on a model that costs nothing."""
    n, repeats = (10_000, 3) if quick else (50_000, 7)
    data = rows(n)
    with tempfile.TemporaryDirectory() as folder, silence():
        args = TrainingArguments(
            folder, disable_tqdm=True, report_to=[], per_device_eval_batch_size=64, prediction_loss_only=False
        )
        ours = WeightedFocalTrainer(Echo(), args, eval_dataset=data)
        ours.remove_callback(RareLabelCallback)
        plain_args = TrainingArguments(
            folder, disable_tqdm=True, report_to=[], per_device_eval_batch_size=64, prediction_loss_only=True
        )
        plain = Trainer(Echo(), plain_args, eval_dataset=data)
        kept = Trainer(Echo(), args, eval_dataset=data, compute_metrics=lambda _: {})
        times: dict[str, list[float]] = {"ours": [], "none": [], "kept": []}
        for turn in range(repeats + 1):
            for name, trainer in (("ours", ours), ("none", plain), ("kept", kept)):
                start = time.perf_counter()
                trainer.evaluate()
                if turn:
                    times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    word, said = f"evaluation, {n:,} x {N_LABELS}, batches of 64", ms(medians["ours"])
    return [
        Ratio(word, "loss alone, no metrics", medians["ours"] / medians["none"], 1.35, ours=said),
        Ratio(word, "all logits kept, no metrics", medians["ours"] / medians["kept"], ours=said),
    ]


PEAK = """
import sys
import torch
from transformers import TrainingArguments
from imbalance_trainer import WeightedFocalTrainer
from benchmarks.measuring import peak_memory
from benchmarks.training import Echo, rows, silence
import tempfile
class Endless(torch.utils.data.IterableDataset):
    def __init__(self, n): self.part, self.n = rows(1_000)[:], n
    def __iter__(self):
        for i in range(self.n):
            yield {"scores": self.part["scores"][i % 1_000], "labels": self.part["labels"][i % 1_000]}
with tempfile.TemporaryDirectory() as folder, silence():
    args = TrainingArguments(folder, disable_tqdm=True, report_to=[], per_device_eval_batch_size=256)
    trainer = WeightedFocalTrainer(Echo(), args, eval_dataset=rows(1_000))
    trainer.evaluate(Endless(int(sys.argv[2])))
    with peak_memory() as grown:
        trainer.evaluate(Endless(int(sys.argv[1])))
print(grown[0] if grown else -1)
"""


def memory_ratios(quick: bool) -> list[Ratio]:
    """Memory of an evaluation of ten times the rows, streamed; scores are kept up to 64 MiB, then counted in bins."""
    sizes = (50_000, 200_000) if quick else (50_000, 500_000, 700_000, 1_400_000)
    grown = {}
    for n in sizes:
        arguments = [sys.executable, "-c", PEAK, str(n), "1000"]
        kept_back = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # an allocator that keeps nothing hides nothing
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=kept_back)
        grown[n] = int(done.stdout) / 2**20
    if min(grown.values()) < 0:
        return []
    found = []
    for few, many, target in ((*sizes[:2], None), (*sizes[2:], 10)):
        word = f"evaluation's memory at {many:,} x {N_LABELS} less that at {few:,}"
        beside = "MiB; of up to 599,186 rows scores are kept" if target is None else "MiB"
        found.append(Ratio(word, beside, grown[many] - grown[few], target, ours=f"{grown[many]:.0f} MiB"))
        if quick:
            break
    return found


def ratios(quick: bool) -> list[Ratio]:
    """All of this part."""
    transformers_logging.set_verbosity_error()
    datasets.disable_progress_bars()
    return [*step_ratios(quick), *evaluation_ratios(quick), *memory_ratios(quick)]
