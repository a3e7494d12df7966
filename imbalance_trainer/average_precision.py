"""Average precision per label while scores stream by, in bounded memory."""

import numpy as np
import torch
from torch import Tensor

from .distribution import UNKNOWN

MAX_SCORES = 1 << 24
"""Scores that are kept; up to here average precision is exact. 64 MiB of scores and 16 MiB of labels."""

_MAX_BINS = 1 << 12


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
        if not self.exact:
            self._to_bins()
            return np.array([_from_counts(*counts[:, ::-1]) for counts in self._bins])
        if not self._kept:
            return np.zeros(self.n_labels)
        scores, gold = (np.concatenate(parts) for parts in zip(*self._kept, strict=True))
        return np.array([_exact(scores[:, i], gold[:, i]) for i in range(self.n_labels)])

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


def _exact(scores: np.ndarray, gold: np.ndarray) -> float:
    """The mean over positives of precision at their own score, ties taken together."""
    known = np.sort(scores[gold >= 0])
    positives = np.sort(scores[gold == 1])
    if not len(positives):
        return 0.0
    at_least = len(known) - np.searchsorted(known, positives, side="left")
    true_positives = len(positives) - np.searchsorted(positives, positives, side="left")
    return float(np.mean(true_positives / at_least))


def _from_counts(negatives: np.ndarray, positives: np.ndarray) -> float:
    """The same from counts per bin, highest scores first: what falls into one bin is tied."""
    if not positives.sum():
        return 0.0
    true_positives = np.cumsum(positives)
    decided = np.maximum(np.cumsum(positives + negatives), 1)
    return float((positives * true_positives / decided).sum() / positives.sum())
