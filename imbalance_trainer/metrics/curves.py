"""The precision-recall curve of a label as counts: rows and positives at or over each threshold candidate.

Average precision, the threshold with the best F1, threshold tuning and the plots of precision and recall read it.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..utils.constants import IGNORE_INDEX
from ..utils.numeric import column_sums

_LABELS = 16  # copied at a time: memory hands over about so many neighbouring scores
_ENTRIES = 1 << 19  # compared with thresholds at a time


@dataclass(frozen=True, eq=False)
class Curve:
    """Counts of a label at threshold candidates, highest first. Only a positive's score can have the best F1.

    Args:
        candidates: (candidates,), distinct scores.
        below: (candidates,), the next lower score of any row; -inf where there is none.
        true_positives, predicted: (candidates,), positives and rows whose score is at least the candidate.
        support: positives.
        highest: the highest score of any row; NaN without rows.
    """

    candidates: np.ndarray
    below: np.ndarray
    true_positives: np.ndarray
    predicted: np.ndarray
    support: int
    highest: float = np.nan

    def thinned(self, n: int, keep: Sequence[int] = ()) -> "Curve":
        """About n of the candidates, the lowest among them, and those at the indices `keep`."""
        some = np.linspace(0, len(self.candidates) - 1, min(n, len(self.candidates))).astype(int)
        some = np.union1d(some, np.asarray(keep, dtype=int))
        counts = self.true_positives[some], self.predicted[some]
        return Curve(self.candidates[some], self.below[some], *counts, self.support, self.highest)


def label_curve(ordered: np.ndarray, positives: np.ndarray, candidates: np.ndarray | None = None) -> Curve:
    """Count at each candidate.

    Args:
        ordered: (rows,), the scores of a label in rising order.
        positives: the scores of its positives, in rising order.
        candidates: in rising order; None for each distinct score of a positive.
    """
    candidates = distinct(positives) if candidates is None else candidates
    lower = np.searchsorted(ordered, candidates)
    below = np.where(lower > 0, ordered[lower - 1], -np.inf) if len(ordered) else np.full(len(lower), -np.inf)
    true_positives = len(positives) - np.searchsorted(positives, candidates)
    predicted = len(ordered) - lower
    highest = float(ordered[-1]) if len(ordered) else np.nan
    return Curve(candidates[::-1], below[::-1], true_positives[::-1], predicted[::-1], len(positives), highest)


def sorted_scores(scores: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each label, in order, its known scores and those of its positives, each in rising order.

    Args:
        scores, labels: (rows, labels); over 0.5 is positive, -100 or NaN unknown.
    """
    with ThreadPoolExecutor(2) as pool:  # numpy sorts without the interpreter's lock
        for start in range(0, scores.shape[1], _LABELS):
            parts = (np.ascontiguousarray(x[:, start : start + _LABELS].T) for x in (scores, labels))
            yield from pool.map(lambda x, y: (np.sort(x[known(y)]), np.sort(x[positive(y)])), *parts)


def counts_over(scores: np.ndarray, labels: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True positives and predicted entries of each label at a score over its threshold, (labels,) each.

    Args:
        scores, labels: (rows, labels).
        thresholds: (labels,), of the scores' type.
    """
    true_positives, predicted = np.zeros((2, scores.shape[1]), dtype=np.int64)
    height = max(1, _ENTRIES // max(1, scores.shape[1]))
    for start in range(0, len(scores), height):
        rows = slice(start, start + height)
        decided = (scores[rows] > thresholds) & known(labels[rows])
        predicted += column_sums(decided)
        true_positives += column_sums(decided & positive(labels[rows]))
    return true_positives, predicted


def midpoints(candidates: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Thresholds halfway between candidates and the next lower scores, in logits; one logit under the lowest score."""
    has_lower = np.isfinite(below)
    return np.where(has_lower, (candidates + np.where(has_lower, below, 0)) / 2, candidates - 1)


def distinct(ordered: np.ndarray) -> np.ndarray:
    """Numbers in rising order, each once."""
    is_first = np.ones(len(ordered), dtype=bool)
    np.greater(ordered[1:], ordered[:-1], out=is_first[1:])
    return ordered[is_first]


def known(labels: np.ndarray) -> np.ndarray:
    """Where a label is known: neither -100 nor NaN."""
    is_known = labels != IGNORE_INDEX
    return is_known & ~np.isnan(labels) if labels.dtype.kind == "f" else is_known


def positive(labels: np.ndarray) -> np.ndarray:
    """Where a label is over 0.5; of whole numbers, without a copy of them as floats."""
    return labels > (0.5 if labels.dtype.kind == "f" else 0)
