"""The search for the best threshold of a label, or of all labels, and its spread over resampled rows."""

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


@dataclass(frozen=True, eq=False)
class Best:
    """The best threshold of a label, or of all labels, and behind it that of each resample: (1 + resamples,).

    Args:
        logits: of the thresholds; NaN where there is none of its own, so that the shared one stands in.
        support: positives.
    """

    logits: np.ndarray
    support: np.ndarray


@dataclass(frozen=True)
class Search:
    """How a search is done.

    Args:
        aim: what is aimed at.
        to_logits: from scores to logits.
        n: resamples for the intervals.
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

    def resampled(self, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
        """True positives and predicted over resampled rows, (resamples, candidates).

        Each row counts Poisson(1) times, so a stretch of n rows Poisson(n) times: only stretches between candidates
        are drawn.
        """
        positives = np.diff(curve.true_positives, prepend=0)
        negatives = np.diff(curve.predicted, prepend=0) - positives
        shape = (self.n, len(curve.candidates))
        true_positives = self.rng.poisson(positives, shape).cumsum(1)
        return true_positives, true_positives + self.rng.poisson(negatives, shape).cumsum(1)


def find_best(
    scores: np.ndarray, labels: np.ndarray, search: Search, is_shared: bool
) -> tuple[Best, list[Best], np.ndarray]:
    """The best threshold of all labels together, of each label unless it `is_shared`, and the support of each label.

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
    return everyone.best(), found, support


def _alone(curve: Curve, search: Search) -> Best:
    """The best threshold of a label by itself."""
    if not curve.support:
        return Best(np.full(1 + search.n, np.nan), np.zeros(1 + search.n))
    best = int(search.aim.value(curve.true_positives, curve.predicted, curve.support).argmax())
    logit = search.thresholds(curve.candidates[[best]], curve.below[[best]])
    fewer = curve.thinned(_DRAWN, [best])  # without its own best candidate an interval may leave the threshold out
    true_positives, predicted = search.resampled(fewer)
    support = true_positives[:, -1]
    at = search.aim.value(true_positives, predicted, support[:, None]).argmax(1)
    drawn = np.where(support > 0, search.thresholds(fewer.candidates, fewer.below)[at], np.nan)
    return Best(np.append(logit, drawn), np.append(curve.support, support))


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

    def best(self) -> Best:
        thresholds = self.search.thresholds(self.candidates, self.below)
        at, support = self._value(self.totals).argmax(), self.totals[2]
        drawn = thresholds[self._value(self.drawn).argmax(1)]
        return Best(np.append(thresholds[at], drawn), np.append(support, self.drawn[2]))


def shrunk_towards(found: list[Best], shared: float, shrinkage: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of the thresholds, (labels,), shrunk towards the shared one with the weight of `shrinkage` positives; and
    the bounds of 95% of the resamples' thresholds, NaN without resamples."""
    logits, support = (np.array(parts) for parts in zip(*((b.logits, b.support) for b in found), strict=True))
    own = np.isfinite(logits) & (support > 0)
    drawn = support * np.where(own, logits, 0) + shrinkage * shared
    logits = np.where(own, drawn / np.where(own, support + shrinkage, 1), shared)
    if logits.shape[1] == 1:
        return logits[:, 0], np.full(len(found), np.nan), np.full(len(found), np.nan)
    return logits[:, 0], *np.quantile(logits[:, 1:], (0.025, 0.975), axis=1)


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
