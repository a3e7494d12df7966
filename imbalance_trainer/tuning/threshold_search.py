"""The search for the best threshold of a label, or of all labels, and for those that may be as good."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..metrics.curves import Curve, distinct, label_curve, midpoints, positive, sorted_scores
from ..utils.errors import DataError, UsageError, check_known
from ..utils.numeric import checked_number, ratio

OBJECTIVES = ("f1", "f_beta", "recall_at_precision", "precision_at_recall")
"""What thresholds can be tuned for."""

_GRID = 1024  # candidates of the one threshold for all labels
_DRAWN = 384  # candidates of a label in the bootstrap
_LEVEL = 0.05  # of the test that a threshold in the range passes


@dataclass(frozen=True)
class ThresholdObjective:
    """An objective: the value of counts, which may have any shape that broadcasts."""

    name: str
    beta: float = 1.0
    floor: float | None = None

    @classmethod
    def checked(cls, name: str, beta: float, floor: float | None) -> "ThresholdObjective":
        """The objective of that name, or a UsageError for what does not fit it."""
        check_known("objective", name, OBJECTIVES)
        has_floor = name in ("recall_at_precision", "precision_at_recall")
        if has_floor and (floor is None or not 0 < floor <= 1):
            raise UsageError(
                f"objective {name!r} needs a floor in (0, 1]; got {floor!r}; --threshold_floor 0.8 sets one."
            )
        if not has_floor and floor is not None:
            raise UsageError(f"objective {name!r} has no floor; drop it, or take recall_at_precision.")
        if beta != 1 and name != "f_beta":
            raise UsageError(f"objective {name!r} has no beta; drop it, or take f_beta.")
        checked_number("beta", beta, 0, above=True)
        return cls(name, beta, floor)

    def value(self, true_positives: Any, predicted: Any, support: Any) -> np.ndarray:
        """Of one label's counts, or of pooled ones; larger is better, and below a floor smaller than above it."""
        if self.floor is None:
            return f_score(true_positives, predicted, support, self.beta)
        precision, recall = ratio(true_positives, predicted), ratio(true_positives, support)
        kept, sought = (precision, recall) if self.name == "recall_at_precision" else (recall, precision)
        return np.where(kept >= self.floor, 1 + sought, kept)

    def is_reached(self, true_positives: np.ndarray, predicted: np.ndarray, support: np.ndarray) -> np.ndarray:
        """Whether each label keeps the floor."""
        if self.floor is None:
            return np.ones(len(support), dtype=bool)
        over = predicted if self.name == "recall_at_precision" else support
        return ratio(true_positives, over) >= self.floor


@dataclass(frozen=True)
class Search:
    """How a search is done.

    Args:
        aim: what is aimed at.
        to_logits: from scores to logits.
        n: resamples for the range; 0 for none.
        rng: draws them.
    """

    aim: ThresholdObjective
    to_logits: Callable
    n: int
    rng: np.random.Generator

    def thresholds(self, candidates: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Logits halfway between candidates and the next lower scores."""
        lowest = np.isneginf(below)
        return midpoints(self.to_logits(candidates), np.where(lowest, below, self.to_logits(below)))

    def with_range(self, thresholds: np.ndarray, best: int, drawn: np.ndarray) -> np.ndarray:
        """A threshold and its range, which holds it: from the lowest to the highest that is at least as good in more
        than _LEVEL of the resamples. The percentiles of where resamples have their best may leave it out, as argmax is
        no smooth function of the rows (Abrevaya & Huang, 2005). `drawn` has the values, (resamples, candidates)."""
        if not self.n:
            return np.array([thresholds[best], np.nan, np.nan])
        kept = thresholds[np.mean(drawn >= drawn[:, [best]], axis=0) > _LEVEL]
        return np.array([thresholds[best], kept.min(), kept.max()])

    def resampled(self, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
        """True positives and predicted over resampled rows, (resamples, candidates).

        Each row counts Poisson(1) times, so a stretch of n rows Poisson(n) times: only stretches between candidates
        are drawn.
        """
        if not self.n:
            return np.empty((0, len(curve.candidates))), np.empty((0, len(curve.candidates)))
        positives = np.diff(curve.true_positives, prepend=0)
        negatives = np.diff(curve.predicted, prepend=0) - positives
        shape = (self.n, len(curve.candidates))
        true_positives = self.rng.poisson(positives, shape).cumsum(1)
        return true_positives, true_positives + self.rng.poisson(negatives, shape).cumsum(1)


def find_best(
    scores: np.ndarray, labels: np.ndarray, search: Search, is_shared: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best threshold of all labels together with its range (see `Search.with_range`), those of each label (of all
    labels, where it `is_shared`), (labels, 3), as logits, and the support of each label.

    Resamples are drawn of what is used: of all labels together where it `is_shared`, else of each label.

    Raises:
        DataError: there is no positive at all.
    """
    shared_candidates = _shared_candidates(scores, labels)
    if not len(shared_candidates):
        raise DataError("No label has a positive to tune thresholds on; give evaluation data that has some.")
    everyone = _Shared(search if is_shared else replace(search, n=0))
    support, found = np.zeros(scores.shape[1], dtype=np.int64), []
    for label, (ordered, positives) in enumerate(sorted_scores(scores, labels)):
        support[label] = len(positives)
        everyone.add(label_curve(ordered, positives, shared_candidates))
        if not is_shared:
            found.append(_alone(label_curve(ordered, positives), search))
    best = everyone.best()
    return best, np.stack(found or [best] * len(support)), support


def _alone(curve: Curve, search: Search) -> np.ndarray:
    """The best threshold of a label by itself."""
    if not curve.support:
        return np.array([0, 0, 0] if search.n else [0, np.nan, np.nan])  # beside the shared one
    best = int(search.aim.value(curve.true_positives, curve.predicted, curve.support).argmax())
    fewer = curve.thinned(_DRAWN, [best])
    true_positives, predicted = search.resampled(fewer)
    drawn = search.aim.value(true_positives, predicted, true_positives[:, -1:])
    at = int(np.flatnonzero(fewer.candidates == curve.candidates[best])[0])
    return search.with_range(search.thresholds(fewer.candidates, fewer.below), at, drawn)


class _Shared:
    """Counts of all labels at common candidates, added up label by label."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.totals: list[Any] = [0, 0, 0, 0, 0]  # true positives, predicted, support, value, labels with support
        self.drawn: list[Any] = [0, 0, 0, 0, 0]
        self.candidates: np.ndarray = np.empty(0)
        self.below: Any = -np.inf

    def add(self, curve: Curve) -> None:
        self.candidates, self.below = curve.candidates, np.maximum(self.below, curve.below)
        self._add(self.totals, curve.true_positives, curve.predicted, curve.support)
        drawn = self.search.resampled(curve)
        self._add(self.drawn, *drawn, drawn[0][:, -1:])

    def _add(self, totals: list[Any], true_positives: Any, predicted: Any, support: Any) -> None:
        value = self.search.aim.value(true_positives, predicted, support)
        for i, more in enumerate((true_positives, predicted, support, value, np.asarray(support) > 0)):
            totals[i] = totals[i] + more

    def _value(self, totals: list[Any]) -> np.ndarray:
        """The mean over labels; with a floor that of their pooled counts."""
        true_positives, predicted, support, value, n_labels = totals
        if self.search.aim.floor is not None:
            return self.search.aim.value(true_positives, predicted, support)
        return ratio(value, n_labels)

    def best(self) -> np.ndarray:
        thresholds = self.search.thresholds(self.candidates, self.below)
        best = int(self._value(self.totals).argmax())
        return self.search.with_range(thresholds, best, self._value(self.drawn))


def shrunk_towards(found: np.ndarray, support: np.ndarray, shared: float, shrinkage: float) -> np.ndarray:
    """Thresholds and ranges, (3, labels), shrunk towards the shared one with the weight of `shrinkage` positives. A
    label without positives has the shared one."""
    shrunk = (support * found.T + shrinkage * shared) / np.maximum(support + shrinkage, 1e-9)
    return np.where(support > 0, shrunk, found.T + shared)


def _shared_candidates(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Distinct scores of positives of any label, rising; of more than _GRID, quantiles of all positives' scores."""
    positives = np.sort(scores[positive(labels)])
    candidates = distinct(positives)
    if len(candidates) > _GRID:
        candidates = distinct(positives[np.linspace(0, len(positives) - 1, _GRID).astype(int)])
    return candidates


def f_score(true_positives: Any, predicted: Any, support: Any, beta: float = 1.0) -> np.ndarray:
    """(1 + beta^2) true positives / (beta^2 support + predicted); 0/0 is 0."""
    square = beta * beta
    return ratio((1 + square) * np.asarray(true_positives), square * np.asarray(support) + np.asarray(predicted))
