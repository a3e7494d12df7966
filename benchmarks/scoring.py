"""Metrics and average precision of an evaluation, against scikit-learn (and torchmetrics, where it is installed).

    python -m benchmarks scoring

Precision, recall and F1 of each label, counted batch by batch; average precision of each label from scores with ties.
The values are compared too: they are equal.
"""

import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve, precision_recall_fscore_support

from imbalance_trainer import ImbalanceMetrics
from imbalance_trainer.metrics.average_precision import StreamingAveragePrecision

from .measuring import Ratio, by_turns, made_up_scores, ms

SHAPES = ((100_000, 28), (1_000_000, 11), (100_000, 1_000), (20_000, 4_000))


class CountsAlone(ImbalanceMetrics):
    """Without average precision, which is measured by itself: scikit-learn's function has none either."""

    def reset(self) -> None:
        """As ImbalanceMetrics, but scores are not kept."""
        super().reset()
        self._average_precision = _Nothing(len(self.schema))


class _Nothing(StreamingAveragePrecision):
    def update(self, *_: object) -> None:
        """Keep nothing."""


def counted(logits: torch.Tensor, labels: torch.Tensor, batch: int) -> np.ndarray:
    """F1 of each label, fed batch by batch."""
    metrics = CountsAlone([f"label {i}" for i in range(logits.shape[1])])
    for start in range(0, len(logits), batch):
        metrics.update(logits[start : start + batch], labels[start : start + batch])
    metrics.compute()
    return metrics.table.f1


def torchmetrics_f1(logits: torch.Tensor, labels: torch.Tensor, batch: int) -> Callable[[], object] | None:
    """A collection of precision, recall and F1 of each label; None where torchmetrics is not installed."""
    if importlib.util.find_spec("torchmetrics") is None:
        return None
    from torchmetrics import MetricCollection
    from torchmetrics.classification import MultilabelF1Score, MultilabelPrecision, MultilabelRecall

    def call() -> object:
        how = {"num_labels": logits.shape[1], "average": "none"}
        metrics = MetricCollection([MultilabelPrecision(**how), MultilabelRecall(**how), MultilabelF1Score(**how)])
        for start in range(0, len(logits), batch):
            metrics.update(logits[start : start + batch].sigmoid(), labels[start : start + batch])
        return metrics.compute()

    return call


def metric_ratios(quick: bool) -> list[Ratio]:
    """Precision, recall and F1."""
    found: list[Ratio] = []
    for rows, n_labels in SHAPES[:1] if quick else SHAPES:
        scores, gold = made_up_scores(rows, n_labels)
        logits, labels = torch.from_numpy(scores), torch.from_numpy(gold)
        theirs = lambda s=scores, y=gold: precision_recall_fscore_support(y, s > 0, zero_division=0)  # noqa: E731
        calls = {f"batches of {b:,}": lambda b=b, x=logits, y=labels: counted(x, y, b) for b in (64, 1_024)}
        calls["precision_recall_fscore_support"] = theirs
        if (other := torchmetrics_f1(logits, labels, 1_024)) is not None:
            calls["torchmetrics"] = other
        np.testing.assert_allclose(counted(logits, labels, 1_024), theirs()[2], atol=1e-12)
        times = by_turns(calls, 3 if quick or n_labels >= 1_000 else 5)
        for b in (64, 1_024):
            who = f"batches of {b:,}"
            for beside in list(calls)[2:]:
                ratio = times[beside] / times[who]
                wanted = 5 if b == 1_024 and beside.startswith("precision") else None
                word = f"precision, recall, F1, {rows:,} x {n_labels:,}, {who}"
                found.append(Ratio(word, f"time of {beside} / ours", ratio, wanted, False, ms(times[who])))
    return found


def ranking_ratios(quick: bool) -> list[Ratio]:
    """Average precision."""
    found: list[Ratio] = []
    for rows, n_labels in ((100_000, 28),) if quick else ((100_000, 28), (20_000, 4_000)):
        scores, gold = made_up_scores(rows, n_labels)

        def ours(x: np.ndarray = scores, y: np.ndarray = gold) -> np.ndarray:
            ranks = StreamingAveragePrecision(x.shape[1], max_scores=x.size)
            ranks.update(x, y)
            return ranks.compute()

        def theirs(s: np.ndarray = scores, y: np.ndarray = gold) -> np.ndarray:
            return np.array([average_precision_score(y[:, i], s[:, i]) for i in range(y.shape[1])])

        np.testing.assert_allclose(ours(), theirs(), atol=1e-9)

        def curves(s: np.ndarray = scores, y: np.ndarray = gold) -> None:
            for i in range(y.shape[1]):
                precision_recall_curve(y[:, i], s[:, i])

        times = by_turns({"ours": ours, "average_precision_score": theirs, "precision_recall_curve": curves}, 3)
        word = f"average precision, {rows:,} x {n_labels:,}"
        for beside in ("average_precision_score", "precision_recall_curve"):
            target = 4 if rows >= 100_000 and beside.endswith("curve") else None
            ratio = times[beside] / times["ours"]
            found.append(Ratio(word, f"time of {beside} / ours", ratio, target, False, ms(times["ours"])))
    return found


GROWN = """
import sys
import torch
from imbalance_trainer import ImbalanceMetrics
from benchmarks.measuring import made_up_scores, peak_memory
batch = tuple(map(torch.from_numpy, made_up_scores(1_024, 1_000)))
metrics = ImbalanceMetrics([f"label {i}" for i in range(1_000)])
metrics.update(*batch)
with peak_memory() as grown:
    for _ in range(int(sys.argv[1])):
        metrics.update(*batch)
    metrics.compute()
print(grown[0] if grown else -1)
"""


def memory_ratios() -> list[Ratio]:
    """Memory of metrics over ten times the rows, past the 16 million scores that are kept, in fresh processes."""
    grown = []
    for n_batches in (20, 200):
        command = [sys.executable, "-c", GROWN, str(n_batches)]
        kept_back = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # an allocator that keeps nothing hides nothing
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=kept_back)
        grown.append(int(done.stdout) / 2**20)
    if min(grown) < 0:
        return []
    words, less = f"{grown[1]:.0f} MiB", grown[1] - grown[0]
    return [Ratio("metrics' memory at 204,800 x 1,000 less that at 20,480", "MiB", less, 10.0, ours=words)]


def ratios(quick: bool) -> list[Ratio]:
    """All of this part."""
    warnings.filterwarnings("ignore")
    return [*metric_ratios(quick), *ranking_ratios(quick), *([] if quick else memory_ratios())]
