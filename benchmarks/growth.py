"""How cost grows: time and memory against rows and labels, with fitted exponents; 1 is linear.

    python -m benchmarks growth

The picture goes to benchmarks/growth.png.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch

from imbalance_trainer import ImbalanceMetrics, LabelDistribution, LabelSchema, tune_thresholds
from imbalance_trainer.losses import WeightedFocalLoss

from .measuring import Ratio, exponent, made_up_labels, made_up_scores, ms, multi_hot_column, peak_memory

PICTURE = Path(__file__).parent / "growth.png"
LINEAR = 1.15
"""An exponent that still counts as linear: room for what leaves the processor's cache on the way."""

Point = tuple[int, float, float]


def loss(rows: int, n_labels: int) -> Callable[[], Any]:
    """Forward and backward."""
    logits = torch.randn(rows, n_labels).requires_grad_()
    labels, module = (torch.rand(rows, n_labels) < 0.01).float(), WeightedFocalLoss([2.0] * n_labels)

    def call() -> None:
        logits.grad = None
        module(logits, labels).backward()

    return call


def metrics(rows: int, n_labels: int) -> Callable[[], Any]:
    """An evaluation's metrics and table, in batches of 256."""
    scores, gold = map(torch.from_numpy, made_up_scores(rows, n_labels))
    schema = LabelSchema([f"label {i}" for i in range(n_labels)])

    def call() -> None:
        counted = ImbalanceMetrics(schema)
        for start in range(0, rows, 256):
            counted.update(scores[start : start + 256], gold[start : start + 256])
        counted.compute()

    return call


def thresholds(rows: int, n_labels: int) -> Callable[[], Any]:
    """Tuning a threshold per label."""
    scores, gold = made_up_scores(rows, n_labels)
    return lambda: tune_thresholds(scores, gold, from_logits=True)


def counting(rows: int, n_labels: int) -> Callable[[], Any]:
    """Counting multi-hot labels."""
    schema = LabelSchema([f"label {i}" for i in range(n_labels)])
    data = datasets.Dataset(pa.table({"labels": multi_hot_column(made_up_labels(rows, n_labels))}))
    return lambda: LabelDistribution.from_dataset(data, schema)


SERIES: dict[str, tuple[Callable[[int, int], Callable[[], Any]], int, int]] = {
    "loss": (loss, 256, 4_000),
    "metrics": (metrics, 20_000, 100),
    "thresholds": (thresholds, 20_000, 100),
    "counting": (counting, 1_000_000, 100),
}
"""What is measured, with the rows and labels that are multiplied by 1, 2, 4, 8 in turn. Metrics stay below the 16
million scores from which on they count in bins, which is another cost. Counting starts with 100 MB: half of that still
lies in the processor's cache, and is read in two thirds of the time."""


def measured(quick: bool) -> dict[str, dict[str, list[Point]]]:
    """{what: {"rows" or "labels": [(size, seconds, bytes)]}}."""
    found: dict[str, dict[str, list[Point]]] = {}
    for name, (make, rows, labels) in SERIES.items():
        found[name] = {"rows": [], "labels": []}
        rows = rows // 8 if quick else rows
        for times in (1, 2, 4) if quick else (1, 2, 4, 8):
            found[name]["rows"].append((rows * times, *_cost(make(rows * times, labels))))
            found[name]["labels"].append((labels * times, *_cost(make(rows, labels * times))))
    return found


def _cost(call: Callable[[], Any]) -> tuple[float, float]:
    """Median seconds of three calls after a first one, of short ones eleven, and the bytes by which the process grows
    at most in another."""
    call()
    seconds: list[float] = []
    while len(seconds) < 3 or (len(seconds) < 11 and sum(seconds) < 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    with peak_memory() as grown:
        call()
    return statistics.median(seconds), float(grown[0]) if grown else float("nan")


def draw(found: dict[str, dict[str, list[Point]]]) -> None:
    """Time over rows and over labels, on log scales, each beside a line of slope 1."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
    markers = dict(zip(SERIES, "osD^", strict=True))
    for panel, along in zip(panels, ("rows", "labels"), strict=True):
        for name, series in found.items():
            sizes, seconds, _ = map(np.array, zip(*series[along], strict=True))
            label = f"{name}, slope {exponent(sizes, seconds):.2f}"
            line = panel.loglog(sizes / sizes[0], seconds, marker=markers[name], label=label)[0]
            panel.loglog(sizes / sizes[0], seconds[0] * sizes / sizes[0], color=line.get_color(), linestyle=":")
        panel.set(xlabel=f"{along}, times the first size", xticks=[1, 2, 4, 8], xticklabels=["1", "2", "4", "8"])
        panel.minorticks_off()
        panel.grid(axis="y", color="#dddddd")
        panel.legend(frameon=False, fontsize=8, loc="upper left")
    panels[0].set(ylabel="seconds")
    figure.suptitle("How cost grows (dotted: linear)")
    figure.savefig(PICTURE, dpi=110)
    plt.close(figure)


def over_processes() -> list[Ratio]:
    """A training with the same batch for an update on 1 and on 2 processes of one thread each, by torchrun."""
    steps, seconds = 300, {}
    for n in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(n)]
            script = [
                "examples/train_model.py",
                "--output_dir",
                folder,
                "--max_steps",
                str(steps),
                "--use_cpu",
                "True",
            ]
            batch = ["--per_device_train_batch_size", str(32 // n), "--eval_strategy", "no", "--save_strategy", "no"]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            where = {"check": True, "capture_output": True, "cwd": PICTURE.parent.parent, "env": environment}
            subprocess.run([*launch, "--master_port", "29517", *script, *batch], **where)
            run = json.loads((Path(folder) / "all_results.json").read_text())
            seconds[n] = run["train_runtime"] / steps
    word, beside = "training: a step of 32 rows, 2 processes", "1 process"
    return [Ratio(word, beside, seconds[2] / seconds[1], ours=ms(seconds[2]))]


def ratios(quick: bool) -> list[Ratio]:
    """The exponents, and two processes beside one."""
    found, lines = measured(quick), []
    for name, series in found.items():
        for along, points in series.items():
            sizes, seconds, grown = map(np.array, zip(*points, strict=True))
            word = f"{name}: time over {along}, {sizes[0]:,} to {sizes[-1]:,}"
            last = f"{ms(seconds[-1])} at the end, {grown[-1] / 2**20:.0f} MiB"
            target = None if quick else LINEAR
            lines.append(Ratio(word, "exponent", exponent(sizes, seconds), target, ours=last))
    if quick:
        return lines
    draw(found)
    return [*lines, *over_processes()]
