"""Average precision per label, and its best cut, while scores stream by, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .curves import Curve, all_known, columns_of, curve_at, known, known_in_order, label_chunks, positive, sorted_where

MAX_SCORES = 1 << 24
"""Scores that are kept; up to here average precision is exact. 64 MiB of scores and 16 MiB of labels."""

_MAX_BINS = 1 << 12
_SORTED_AT_A_TIME = 1 << 20  # scores of labels that are looked at together
_BINS_AT_A_TIME = 1 << 20  # 8 MiB
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
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []  # (labels, rows)
        self._n_kept = 0
        self._bins: np.ndarray | None = None

    @property
    def exact(self) -> bool:
        """Whether every score is still there."""
        return self._bins is None

    def update(self, scores: np.ndarray, labels: np.ndarray) -> None:
        """Add scores (logits), (rows, labels), fp32, with labels of the same shape: > 0.5 is positive, -100 unknown.
        NaN scores rank first."""
        gold = positive(labels).view(np.int8)
        if not all_known(labels):
            gold[~known(labels)] = -1
        if scores.size and np.isnan(scores.max()):
            scores = np.where(np.isnan(scores), np.float32(np.inf), scores)
        self._kept.append((columns_of(scores), columns_of(gold)))
        self._n_kept += scores.size
        if self._n_kept > (self.max_scores if self.exact else self.max_scores // 4):
            self._to_bins()

    def compute(self) -> np.ndarray:
        """Average precision per label, (labels,), float64; 0 for a label without positives."""
        return self.compute_ranking().average_precision

    def compute_ranking(self, curves_of: Sequence[int] = ()) -> "Ranking":
        """Average precision of each label, where it would best be cut, and the curves of some labels."""
        average, best = np.zeros(self.n_labels), np.empty((4, self.n_labels))
        curves, wanted = {}, set(curves_of)
        for label, (curve, highest) in enumerate(self._label_curves()):
            average[label] = _average_precision(curve)
            best[:, label] = *_best(curve), highest
            if label in wanted:
                curves[label] = _thinned(curve)
        return Ranking(average, BestCuts(*best), curves)

    def _label_curves(self) -> Iterator[tuple[Curve, float]]:
        """Of each label its counts at each positive's score, or at bins' lower edges, and the highest score."""
        if not self.exact:
            if self._kept:
                self._to_bins()
            yield from (_curve_of_bins(*bins) for bins in self._bins)
            return
        if not self._kept:
            none = np.empty(0, np.float32)
            yield from [(curve_at(none, none, none), np.nan)] * self.n_labels
            return
        parts = label_chunks(self._n_kept // self.n_labels, self.n_labels, _SORTED_AT_A_TIME)
        for ordered, own in known_in_order(map(self._chunk, parts)):
            yield curve_at(ordered, own), float(ordered[-1]) if len(ordered) else np.nan

    def _chunk(self, labels: slice) -> tuple[np.ndarray, np.ndarray | None, list[np.ndarray]]:
        columns, gold = self._kept_of(labels)
        return columns, None if all_known(gold) else gold >= 0, sorted_where(columns, gold == 1)

    def _kept_of(self, labels: slice) -> Iterator[np.ndarray]:
        """A copy of the scores and of the gold labels that are kept, (labels, rows) each."""
        return (np.concatenate([part[labels] for part in parts], axis=1) for parts in zip(*self._kept, strict=True))

    def _to_bins(self) -> None:
        if self._bins is None:
            self._bins = np.zeros((self.n_labels, 2, self.n_bins), dtype=np.int64)
        width = max(1, min(_BINS_AT_A_TIME // (2 * self.n_bins), _SORTED_AT_A_TIME * self.n_labels // self._n_kept))
        for start in range(0, self.n_labels, width):
            labels = slice(start, start + width)
            scores, gold = self._kept_of(labels)
            self._bins[labels] += _binned(scores, gold, self.n_bins)
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


def _average_precision(curve: Curve) -> float:
    """The mean over positives of precision at their own score, ties taken together."""
    if not curve.support:
        return 0.0
    more = np.diff(curve.true_positives, prepend=0)
    return float((more * (curve.true_positives / curve.predicted)).sum() / curve.support)


def _best(curve: Curve) -> tuple[float, float, float]:
    """The threshold's logit, true positives and predicted of the cut with the best F1, the lowest of equals."""
    if not curve.support:
        return np.nan, 0, 0
    f1 = curve.true_positives / (curve.support + curve.predicted)
    best = len(f1) - 1 - f1[::-1].argmax()
    cut, below = float(curve.cut[best]), float(curve.below[best])
    return max((cut + below) / 2, cut - 1), curve.true_positives[best], curve.predicted[best]


def _thinned(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at a few of the cuts."""
    if not curve.support:
        return np.empty(0), np.empty(0)
    some = curve.thinned(_CURVE)
    recall, precision = some.true_positives / some.support, some.true_positives / some.predicted
    return np.append(0.0, recall), np.append(precision[:1], precision)


def _curve_of_bins(negatives: np.ndarray, positives: np.ndarray) -> tuple[Curve, float]:
    """Cuts at the lower edges of bins with positives: what falls into one bin is tied."""
    edges = np.clip(np.arange(len(positives)) / len(positives), 1e-6, None)
    edges = np.log(edges) - np.log1p(-edges)
    decided, true_positives = ((x[::-1].cumsum()[::-1]) for x in (negatives + positives, positives))
    at, filled = np.flatnonzero(positives)[::-1], np.flatnonzero(negatives + positives)
    highest = float(edges[filled[-1]]) if len(filled) else np.nan
    return Curve(edges[at], edges[at], true_positives[at], decided[at], int(positives.sum())), highest


def _binned(scores: np.ndarray, gold: np.ndarray, n_bins: int) -> np.ndarray:
    """How many scores of negatives and of positives fall into each bin: (labels, rows) twice to (labels, 2, bins)."""
    shares = torch.from_numpy(scores).sigmoid().mul_(n_bins).numpy()
    place = np.minimum(shares.astype(np.int32), n_bins - 1)
    place += gold * np.int32(n_bins)
    place += np.arange(len(scores), dtype=np.int32)[:, None] * (2 * n_bins)
    place = place.ravel() if all_known(gold) else place[gold >= 0]
    return np.bincount(place, minlength=len(scores) * 2 * n_bins).reshape(len(scores), 2, n_bins)
