"""Average precision per label, and its best cut, while scores stream by, in bounded memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .distribution import UNKNOWN

MAX_SCORES = 1 << 24
"""Scores that are kept; up to here average precision is exact. 64 MiB of scores and 16 MiB of labels."""

_MAX_BINS = 1 << 12
_CURVE = 63  # cuts of a curve


class StreamingAveragePrecision:
    """Average precision of each label over everything that was added.

    Equal to scikit-learn's average_precision_score, ties included, as long as no more than `max_scores` scores were
    added. Past that memory stays as it is: sigmoid(score) is counted in equal bins of [0, 1], 4,096 a label where that
    fits in as much memory again, and `exact` turns False. Scores are logits rather than probabilities because sigmoid
    makes ties of large logits, and breaks ties by a last bit that depends on where in a batch an entry stands.

    Args:
        n_labels: labels.
        max_scores: how many scores (rows x labels) are kept.
    """

    def __init__(self, n_labels: int, max_scores: int = MAX_SCORES) -> None:
        self.n_labels, self.max_scores = n_labels, max_scores
        self.n_bins = int(np.clip(max_scores // (2 * n_labels), 2, _MAX_BINS))
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self._n_kept = 0
        self._bins: np.ndarray | None = None

    @property
    def exact(self) -> bool:
        """Whether every score is still there."""
        return self._bins is None

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Add scores (logits), (rows, labels), with labels of the same shape: > 0.5 is positive, -100 unknown."""
        gold = torch.where(labels == UNKNOWN, -1, (labels > 0.5).to(torch.int8)).to(torch.int8)
        self._kept.append((scores.float().cpu().numpy(), gold.cpu().numpy()))
        self._n_kept += scores.numel()
        if self._n_kept > (self.max_scores if self.exact else self.max_scores // 4):
            self._to_bins()

    def compute(self) -> np.ndarray:
        """Average precision per label, (labels,), float64; 0 for a label without positives."""
        return self.compute_ranking().average_precision

    def compute_ranking(self, curves_of: Sequence[int] = ()) -> "Ranking":
        """Average precision of each label, where it would best be cut, and the curves of some labels."""
        average, best, curves = [], [], {}
        for i in range(self.n_labels):
            points = self._points(i)
            average.append(points.average_precision())
            best.append(points.best())
            if i in curves_of:
                curves[i] = points.curve(_CURVE)
        return Ranking(np.array(average), BestCuts(*np.array(best, dtype=float).reshape(-1, 4).T), curves)

    def _points(self, label: int) -> "_Points":
        """Counts at each positive's score, lowest first; where they are in bins, at each bin's lower edge."""
        if not self.exact:
            if self._kept:
                self._to_bins()
            return _points_of_bins(*self._bins[label])
        if not self._kept:
            return _points_of_scores(np.empty(0, np.float32), np.empty(0, np.int8))
        if len(self._kept) > 1:
            self._kept = [tuple(np.concatenate(parts) for parts in zip(*self._kept, strict=True))]
        scores, gold = self._kept[0]
        return _points_of_scores(scores[:, label], gold[:, label])

    def _to_bins(self) -> None:
        if self._bins is None:
            self._bins = np.zeros((self.n_labels, 2, self.n_bins), dtype=np.int64)
        offset = np.arange(self.n_labels) * 2 * self.n_bins
        for scores, gold in self._kept:
            shares = torch.from_numpy(scores).sigmoid().nan_to_num(1.0).numpy()  # NaN ranks first, as where exact
            place = np.minimum((shares * self.n_bins).astype(np.int64), self.n_bins - 1)
            place = (place + gold.astype(np.int64) * self.n_bins + offset)[gold >= 0]
            self._bins += np.bincount(place, minlength=self._bins.size).reshape(self._bins.shape)
        self._kept, self._n_kept = [], 0


@dataclass(frozen=True)
class BestCuts:
    """The cut with the best F1 of each label, on the very scores that it is found on. Arrays (labels,), float64.

    Args:
        logit: the threshold's logit, halfway down to the next lower score and at most 1 below the cut; NaN without
            positives.
        true_positives, predicted: counts over it; 0 without positives.
        highest: the highest score of any row; NaN where nothing is known.
    """

    logit: np.ndarray
    true_positives: np.ndarray
    predicted: np.ndarray
    highest: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """How well labels are ranked.

    Args:
        average_precision: (labels,), float64; 0 for a label without positives.
        best: the cut with the best F1 of each label.
        curves: by label index recall and precision, (points,) each, at up to 64 cuts, the highest first, the first
            point at recall 0; empty without positives.
    """

    average_precision: np.ndarray
    best: BestCuts
    curves: Mapping[int, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class _Points:
    """Counts of one label at cuts in rising order.

    Args:
        cut: scores.
        below: the next lower score of any row, -inf where there is none.
        true_positives, predicted: rows at or over the cut.
        weight: positives that are at the cut itself.
        highest: the highest score.
    """

    cut: np.ndarray
    below: np.ndarray
    true_positives: np.ndarray
    predicted: np.ndarray
    weight: np.ndarray
    highest: float

    def average_precision(self) -> float:
        """The mean over positives of precision at their own score, ties taken together."""
        support = self.weight.sum()
        return float((self.weight * (self.true_positives / self.predicted)).sum() / support) if support else 0.0

    def best(self) -> tuple[float, float, float, float]:
        if not len(self.cut):
            return np.nan, 0, 0, self.highest
        best = (self.true_positives / (self.true_positives[0] + self.predicted)).argmax()
        cut, below = float(self.cut[best]), float(self.below[best])
        return max((cut + below) / 2, cut - 1), self.true_positives[best], self.predicted[best], self.highest

    def curve(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        if not len(self.cut):
            return np.empty(0), np.empty(0)
        some = np.unique(np.linspace(0, len(self.cut) - 1, min(n, len(self.cut))).round().astype(int))[::-1]
        recall, precision = self.true_positives / self.true_positives[0], self.true_positives / self.predicted
        return np.append(0.0, recall[some]), np.append(precision[some[:1]], precision[some])


def _points_of_scores(scores: np.ndarray, gold: np.ndarray) -> _Points:
    """Cuts at positives' scores, each positive by itself."""
    known = np.sort(scores[gold >= 0])
    positives = np.sort(scores[gold == 1])
    lower = np.searchsorted(known, positives)
    below = np.where(lower > 0, known[lower - 1], -np.inf) if len(known) else np.empty(0)
    true_positives = len(positives) - np.searchsorted(positives, positives)
    highest = float(known[-1]) if len(known) else np.nan
    return _Points(positives, below, true_positives, len(known) - lower, np.ones(len(positives)), highest)


def _points_of_bins(negatives: np.ndarray, positives: np.ndarray) -> _Points:
    """Cuts at the lower edges of bins with positives: what falls into one bin is tied."""
    edges = np.clip(np.arange(len(positives)) / len(positives), 1e-6, None)
    edges = np.log(edges) - np.log1p(-edges)
    decided, true_positives = ((x[::-1].cumsum()[::-1]) for x in (negatives + positives, positives))
    at, filled = np.flatnonzero(positives), np.flatnonzero(negatives + positives)
    highest = edges[filled[-1]] if len(filled) else np.nan
    return _Points(edges[at], edges[at], true_positives[at], decided[at], positives[at], float(highest))
