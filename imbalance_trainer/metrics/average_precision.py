"""Average precision per label, and its threshold with the best F1, from streamed scores in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .curves import Curve, known, label_curve, midpoints, positive, sorted_scores

MAX_SCORES = 1 << 24
"""Scores that are kept; up to here average precision is exact. 64 MiB of scores and 16 MiB of labels."""

_MAX_BINS = 1 << 12
_BINNED_AT_A_TIME = 1 << 20  # scores
_CURVE = 63  # candidates of a curve that is shown


@dataclass(frozen=True)
class BestF1:
    """The threshold with the best F1 of each label, on the scores that it is found on. Arrays (labels,), float64.

    Args:
        logit: the threshold's logit, halfway down to the next lower score; NaN without positives.
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
        best: the threshold with the best F1 of each label.
        curves: by label index recall and precision, (points,) each, at up to 64 thresholds, highest first, the first
            point at recall 0; empty without positives.
    """

    average_precision: np.ndarray
    best: BestF1
    curves: Mapping[int, tuple[np.ndarray, np.ndarray]]


class StreamingAveragePrecision:
    """Average precision of each label over everything that was added.

    Equal to scikit-learn's average_precision_score, ties included, as long as no more than `max_scores` scores were
    added. Past that memory stays as it is: sigmoid(score) is counted in equal bins of [0, 1], 4,096 a label where that
    fits in as much memory again, and `exact` turns False. Scores are logits rather than probabilities, as sigmoid
    makes ties of large logits.

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

    def update(self, scores: np.ndarray, labels: np.ndarray) -> None:
        """Add scores (logits), (rows, labels), fp32, with labels of the same shape: > 0.5 is positive, -100 unknown.
        NaN scores rank first."""
        gold = positive(labels).view(np.int8)
        gold[~known(labels)] = -100
        self._kept.append((np.where(np.isnan(scores), np.float32(np.inf), scores), gold))
        self._n_kept += scores.size
        if self._n_kept > (self.max_scores if self.exact else self.max_scores // 4):
            self._to_bins()

    def compute(self) -> np.ndarray:
        """Average precision per label, (labels,), float64; 0 for a label without positives."""
        return self.compute_ranking().average_precision

    def compute_ranking(self, curves_of: Sequence[int] = ()) -> Ranking:
        """Average precision and best threshold of each label, and the curves of some labels."""
        average, best = np.zeros(self.n_labels), np.empty((4, self.n_labels))
        curves, wanted = {}, set(curves_of)
        for label, curve in enumerate(self._label_curves()):
            average[label] = _average_precision(curve)
            best[:, label] = *_best(curve), curve.highest
            if label in wanted:
                curves[label] = _recall_and_precision(curve)
        return Ranking(average, BestF1(*best), curves)

    def _label_curves(self) -> Iterator[Curve]:
        if self._bins is not None:
            self._to_bins()
            yield from (_curve_of_bins(*bins) for bins in self._bins)
            return
        none = np.empty((0, self.n_labels), np.float32)
        parts = zip(*(self._kept or [(none, none)]), strict=True)
        yield from (label_curve(*pair) for pair in sorted_scores(*map(np.concatenate, parts)))

    def _to_bins(self) -> None:
        if self._bins is None:
            self._bins = np.zeros((self.n_labels, 2, self.n_bins), dtype=np.int64)
        for scores, gold in self._kept:
            parts = scores.size // _BINNED_AT_A_TIME + 1
            for some in zip(np.array_split(scores, parts), np.array_split(gold, parts), strict=True):
                self._bins += _binned(*some, self.n_bins)
        self._kept, self._n_kept = [], 0


def _average_precision(curve: Curve) -> float:
    """The mean over positives of precision at their own score, ties taken together."""
    if not curve.support:
        return 0.0
    more = np.diff(curve.true_positives, prepend=0)
    return float((more * (curve.true_positives / curve.predicted)).sum() / curve.support)


def _best(curve: Curve) -> tuple[float, float, float]:
    """The threshold's logit, true positives and predicted of the candidate with the best F1, the lowest of equals."""
    if not curve.support:
        return np.nan, 0, 0
    f1 = curve.true_positives / (curve.support + curve.predicted)
    best = len(f1) - 1 - f1[::-1].argmax()
    logit = midpoints(curve.candidates[best].astype(float), curve.below[best].astype(float))
    return float(logit), curve.true_positives[best], curve.predicted[best]


def _recall_and_precision(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    if not curve.support:
        return np.empty(0), np.empty(0)
    some = curve.thinned(_CURVE)
    recall, precision = some.true_positives / some.support, some.true_positives / some.predicted
    return np.append(0.0, recall), np.append(precision[:1], precision)


def _curve_of_bins(negatives: np.ndarray, positives: np.ndarray) -> Curve:
    """The lower edges of bins with positives as candidates: scores of one bin are tied."""
    edges = np.clip(np.arange(len(positives)) / len(positives), 1e-6, None)
    edges = np.log(edges) - np.log1p(-edges)
    predicted, true_positives = ((x[::-1].cumsum()[::-1]) for x in (negatives + positives, positives))
    at, filled = np.flatnonzero(positives)[::-1], np.flatnonzero(negatives + positives)
    highest = float(edges[filled[-1]]) if len(filled) else np.nan
    return Curve(edges[at], edges[at], true_positives[at], predicted[at], int(positives.sum()), highest)


def _binned(scores: np.ndarray, gold: np.ndarray, n_bins: int) -> np.ndarray:
    """How many scores of negatives and of positives fall into each bin: (rows, labels) twice to (labels, 2, bins)."""
    n_labels = scores.shape[1]
    shares = torch.from_numpy(scores).sigmoid().mul_(n_bins).numpy()
    place = np.minimum(shares.astype(np.int64), n_bins - 1)
    place += n_bins * (2 * np.arange(n_labels) + gold)
    return np.bincount(place[gold >= 0], minlength=n_labels * 2 * n_bins).reshape(n_labels, 2, n_bins)
