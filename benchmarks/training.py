"""What our trainer costs beside the stock one: a training step, an evaluation, and memory as the rows grow.

    python -m benchmarks training

A small encoder, and a model that gives its input back, so that what is not the model's shows. Pairs of
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
from datasets import Dataset
from torch import nn
from transformers import (
    RobertaConfig,
    RobertaForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

from imbalance_trainer import RareLabelCallback, WeightedFocalTrainer

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


def encoder() -> RobertaForSequenceClassification:
    """A small RoBERTa, from nothing: 30 to 40 ms a step on two cores."""
    shape = {"hidden_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 768}
    config = RobertaConfig(vocab_size=5_000, max_position_embeddings=66, num_labels=N_LABELS, **shape)
    config.problem_type = "multi_label_classification"
    return RobertaForSequenceClassification(config)


def tokens(n: int, length: int = 32) -> Dataset:
    """Rows of token ids with labels."""
    rng = np.random.default_rng(0)
    labels = (rng.random((n, N_LABELS)) < 0.05).astype(np.float32)
    made = {"input_ids": rng.integers(4, 5_000, (n, length)), "attention_mask": np.ones((n, length), np.int64)}
    return Dataset.from_dict({**made, "labels": labels}).with_format("torch")


class Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Look at the clock."""
        self.ends.append(time.perf_counter())


def trained(cls: type, steps: int, data: Dataset) -> tuple[float, np.ndarray]:
    """Seconds of a training of so many steps, and of each step."""
    set_seed(0)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, silence():
        plain = {"disable_tqdm": True, "report_to": [], "save_strategy": "no", "logging_steps": 100}
        args = TrainingArguments(folder, max_steps=steps, per_device_train_batch_size=16, **plain)
        trainer = cls(encoder(), args, train_dataset=data, callbacks=[clock])
        start = time.perf_counter()
        trainer.train()
        return time.perf_counter() - start, np.diff(clock.ends)


def step_ratios(quick: bool) -> list[Ratio]:
    """A training run against stock's."""
    steps, pairs = (20, 2) if quick else (500, 3)
    data = tokens(3_200)
    trained(WeightedFocalTrainer, 20, data)
    whole, each = [], {WeightedFocalTrainer: [], Trainer: []}
    for pair in range(pairs):
        took = {}
        for cls in (WeightedFocalTrainer, Trainer) if pair % 2 else (Trainer, WeightedFocalTrainer):
            took[cls], of_steps = trained(cls, steps, data)
            each[cls].append(of_steps)
        whole.append(took[WeightedFocalTrainer] / took[Trainer])
    ours, theirs = (  # what others do on the machine meanwhile makes single steps longer, never shorter
        float(np.quantile(np.concatenate(each[cls]), 0.25)) for cls in (WeightedFocalTrainer, Trainer)
    )
    word = f"a step of a small RoBERTa, {pairs} pairs of {steps} steps"
    runs = f"the stock Trainer, whole runs ({min(whole):.3f} to {max(whole):.3f})"
    return [
        Ratio(word, "the stock Trainer, lower quartiles", ours / theirs, 1.01, ours=ms(ours)),
        Ratio(word, runs, statistics.median(whole)),
    ]


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


def memory_ratios() -> list[Ratio]:
    """Memory of an evaluation of ten times the rows, streamed; scores are kept up to 64 MiB, then counted in bins."""
    sizes = (50_000, 500_000, 700_000, 1_400_000)
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
    return found


def ratios(quick: bool) -> list[Ratio]:
    """All of this part."""
    transformers_logging.set_verbosity_error()
    datasets.disable_progress_bars()
    return [*step_ratios(quick), *evaluation_ratios(quick), *([] if quick else memory_ratios())]
