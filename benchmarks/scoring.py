"""Metrics and average precision of an evaluation, against scikit-learn (and torchmetrics, where it is installed).

    python -m benchmarks scoring

Precision, recall and F1 of each label, counted batch by batch; average precision of each label from scores with ties.
The values are compared too: they are equal.
"""

import importlib.util
import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from imbalance_trainer import ImbalanceMetrics
from imbalance_trainer.average_precision import StreamingAveragePrecision

from .measuring import Ratio, by_turns, made_up_scores, ms, peak_memory

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
        target = 100 if n_labels >= 1_000 else 10
        for b in (64, 1_024):
            who = f"batches of {b:,}"
            for beside in list(calls)[2:]:
                ratio = times[beside] / times[who]
                wanted = target if b == 1_024 and beside.startswith("precision") else None
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
        times = by_turns({"ours": ours, "theirs": theirs}, 3)
        word = f"average precision, {rows:,} x {n_labels:,}"
        ratio = times["theirs"] / times["ours"]
        target = 20 if rows >= 100_000 else None
        found.append(Ratio(word, "time of average_precision_score / ours", ratio, target, False, ms(times["ours"])))
    return found


def memory_ratios(quick: bool) -> list[Ratio]:
    """Memory of counting does not grow with rows: ten times the rows, fed from one batch."""
    metrics = ImbalanceMetrics([f"label {i}" for i in range(1_000)])
    scores, gold = made_up_scores(1_024, 1_000)
    batch = torch.from_numpy(scores), torch.from_numpy(gold)
    grown = []
    for n_batches in (20, 20, 200):  # the first until what is kept of scores is full
        with peak_memory() as bytes_:
            for _ in range(n_batches):
                metrics.update(*batch)
        grown += bytes_
    if len(grown) < 3:
        return []
    words = f"{grown[2] / 2**20:.0f} MiB"
    target = 10.0
    return [Ratio("growth of memory, 204,800 more rows x 1,000", "MiB", grown[2] / 2**20, target, ours=words)]


def ratios(quick: bool) -> list[Ratio]:
    """All of this part."""
    warnings.filterwarnings("ignore")
    return [*metric_ratios(quick), *ranking_ratios(quick), *memory_ratios(quick)]
