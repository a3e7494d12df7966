"""The search for the best cut of a label, or of labels that share a threshold, and how far it moves with the rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..metrics.curves import Curve, distinct, label_curves
from ..utils.errors import DataError, UsageError, did_you_mean
from ..utils.numeric import ratio
from .smoothing import smoothed_counts

OBJECTIVES = ("f1", "f_beta", "recall_at_precision", "precision_at_recall", "macro_micro")
"""What thresholds can be tuned for."""

_GRID = 1024  # cuts that are tried where labels share a threshold
_GAP = 1.0  # a threshold is at most this logit under the score that is still decided
_DRAWN = 384  # cuts of a label in the bootstrap
_SWEEPS = 20


# ---- what is aimed at ----


@dataclass(frozen=True)
class ThresholdObjective:
    """An objective: the value of counts, which may have any shape that broadcasts."""

    name: str
    beta: float = 1.0
    floor: float | None = None

    @classmethod
    def checked(cls, name: str, beta: float, floor: float | None) -> "ThresholdObjective":
        """The objective of that name, or a UsageError for what does not fit it."""
        if name not in OBJECTIVES:
            raise UsageError(f"Unknown objective {name!r}: {did_you_mean(name, OBJECTIVES)}")
        has_floor = name in ("recall_at_precision", "precision_at_recall")
        if has_floor and (floor is None or not 0 < floor <= 1):
            raise UsageError(
                f"objective {name!r} needs a floor in (0, 1]; got {floor!r}; --threshold_floor 0.8 sets one."
            )
        if not has_floor and floor is not None:
            raise UsageError(f"objective {name!r} has no floor; drop it, or take recall_at_precision.")
        if beta != 1 and name != "f_beta":
            raise UsageError(f"objective {name!r} has no beta; drop it, or take f_beta.")
        if not 0 < beta < float("inf"):
            raise UsageError(f"beta is a finite number above 0; got {beta!r}.")
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


# ---- what is found ----


@dataclass(frozen=True, eq=False)
class Best:
    """The best threshold of a unit, and that of each resample.

    Args:
        logit: the threshold's logit; NaN where there is none of its own, so that the shared one stands in.
        support: positives.
        drawn: (resamples,), as `logit`.
        drawn_support: (resamples,).
    """

    logit: float
    support: float
    drawn: np.ndarray
    drawn_support: np.ndarray


class Resample:
    """Draws counts of resampled rows: each row counts Poisson(1) times, so a stretch of n rows Poisson(n) times, and
    only stretches between cuts need to be drawn."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self.n, self.rng = n, rng

    def counts(self, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
        """True positives and predicted, (resamples, cuts)."""
        positives = np.diff(curve.true_positives, prepend=0)
        negatives = np.diff(curve.predicted, prepend=0) - positives
        shape = (self.n, len(curve.cut))
        true_positives = self.rng.poisson(positives, shape).cumsum(1)
        return true_positives, true_positives + self.rng.poisson(negatives, shape).cumsum(1)


@dataclass(frozen=True)
class Search:
    """How a search is done.

    Args:
        aim: what is aimed at.
        to_logits: from scores to logits.
        smoothing: positives that a label's model counts for, see `smoothing`; 0 for none.
        resample: for the intervals.
    """

    aim: ThresholdObjective
    to_logits: Callable
    smoothing: float
    resample: Resample


class _Shared:
    """Counts of labels that share a threshold, at the cuts of the grid, added up label by label."""

    def __init__(self, aim: ThresholdObjective, resample: Resample) -> None:
        self.aim, self.resample = aim, resample
        self.totals: list[Any] = [0, 0, 0, 0, 0]  # true positives, predicted, support, value, labels with support
        self.drawn: list[Any] = [0, 0, 0, 0, 0]
        self.cut: np.ndarray = np.empty(0)
        self.below: Any = -np.inf

    def add(self, curve: Curve) -> None:
        self.cut, self.below = curve.cut, np.maximum(self.below, curve.below)
        self._add(self.totals, curve.true_positives, curve.predicted, curve.support)
        if self.resample.n:
            drawn = self.resample.counts(curve)
            self._add(self.drawn, *drawn, drawn[0][:, -1:])

    def _add(self, totals: list[Any], true_positives: Any, predicted: Any, support: Any) -> None:
        value = self.aim.value(true_positives, predicted, support)
        for i, more in enumerate((true_positives, predicted, support, value, np.asarray(support) > 0)):
            totals[i] = totals[i] + more

    def _value(self, totals: list[Any]) -> np.ndarray:
        true_positives, predicted, support, value, n_labels = totals
        pooled = self.aim.value(true_positives, predicted, support)
        if self.aim.floor is not None:
            return pooled
        mean = ratio(value, n_labels)
        return mean + pooled if self.aim.name == "macro_micro" else mean

    def best(self, search: Search) -> Best:
        thresholds = _halfway(self.cut, self.below, search.to_logits)
        logit, support = thresholds[self._value(self.totals).argmax()], self.totals[2]
        if not self.resample.n:
            return Best(logit, support, np.empty(0), np.empty(0))
        return Best(logit, support, thresholds[self._value(self.drawn).argmax(1)], self.drawn[2][:, 0])


def find_best(
    scores: np.ndarray,
    labels: np.ndarray,
    positives: Sequence[np.ndarray],
    units: list[np.ndarray],
    search: Search,
) -> tuple[Best, list[Best], np.ndarray]:
    """The best threshold of all labels together, of each unit of labels that share one, and the support of each label.

    Raises:
        DataError: there is no positive at all.
    """
    grid = _shared_cuts(positives)
    if not len(grid):
        raise DataError("No label has a positive to tune thresholds on; give evaluation data that has some.")
    unit_of = np.empty(scores.shape[1], dtype=int)
    for i, unit in enumerate(units):
        unit_of[unit] = i
    everyone = _Shared(search.aim, Resample(0, search.resample.rng))
    shared = {i: _Shared(search.aim, search.resample) for i, unit in enumerate(units) if len(unit) > 1}
    found: dict[int, Any] = {}
    support = np.zeros(len(unit_of), dtype=np.int64)
    for label, (own, at_grid) in enumerate(label_curves(scores, labels, positives, grid, search.smoothing > 0)):
        support[label], unit = own.support, unit_of[label]
        everyone.add(at_grid)
        if unit in shared:
            shared[unit].add(at_grid)
        else:
            found[unit] = own if search.aim.name == "macro_micro" else _alone(own, search.aim.value, search)
    if search.aim.name == "macro_micro":
        found = _jointly(found, search)
    found |= {i: those.best(search) for i, those in shared.items()}
    return everyone.best(search), [found[i] for i in range(len(units))], support


def _alone(curve: Curve, value: Callable, search: Search) -> Best:
    """The best threshold of a label by itself."""
    none = np.full(search.resample.n, np.nan)
    if not curve.support:
        return Best(np.nan, 0, none, np.zeros(search.resample.n))
    counts, holds = _counts(curve, search, curve.true_positives[None], curve.predicted[None])
    best = value(*counts).argmax(1)
    logit = _halfway(curve.cut[best], curve.below[best], search.to_logits)[0] if holds[0] else np.nan
    if not search.resample.n:
        return Best(logit, curve.support, none, none)
    fewer = curve.thinned(_DRAWN, best)  # without its own best cut an interval may leave the threshold out
    drawn = search.resample.counts(fewer)
    counts, holds = _counts(fewer, search, *drawn)
    thresholds = _halfway(fewer.cut, fewer.below, search.to_logits)[value(*counts).argmax(1)]
    return Best(logit, curve.support, np.where(holds, thresholds, np.nan), drawn[0][:, -1])


def _counts(
    curve: Curve, search: Search, true_positives: np.ndarray, predicted: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """True positives, predicted and support, smoothed; and whether they say something, (resamples,)."""
    support = true_positives[:, -1:]
    if not search.smoothing:
        return (true_positives, predicted, support), support[:, 0] > 0
    top = np.append(curve.cut[:1], curve.below[:-1])  # the highest score between a cut and the one above it
    logits = (search.to_logits(curve.cut) + search.to_logits(top)) / 2
    smooth, smooth_support, holds = smoothed_counts(logits, true_positives, predicted, search.smoothing)
    return (smooth, predicted, smooth_support), holds


def _jointly(curves: dict[int, Curve], search: Search) -> dict[int, Best]:
    """Thresholds of labels by themselves that maximise macro F1 plus micro F1: one label after the other is moved to
    its best cut while the others stay, until none moves. (Labels that share a threshold are left out of it.)"""
    with_support = {i: curve for i, curve in curves.items() if curve.support}
    counts = {i: _counts(c, search, c.true_positives[None], c.predicted[None])[0] for i, c in with_support.items()}
    in_all = sum(support[0, 0] for _, _, support in counts.values())

    def value_beside(i: int, others: np.ndarray) -> Callable:
        def value(true_positives: Any, predicted: Any, support: Any) -> np.ndarray:
            micro = f_score(others[0] + true_positives, others[1] + predicted, in_all - counts[i][2] + support)
            return f_score(true_positives, predicted, support) / len(counts) + micro

        return value

    def here(i: int) -> np.ndarray:
        return np.array([counts[i][0][0, at[i]], counts[i][1][0, at[i]]])

    at = {i: f_score(*counts[i]).argmax() for i in counts}
    total = sum(map(here, counts))
    for _ in range(_SWEEPS):
        before = dict(at)
        for i in counts:
            total = total - here(i)
            at[i] = value_beside(i, total)(*counts[i]).argmax()
            total = total + here(i)
        if at == before:
            break
    return {
        i: _alone(curve, value_beside(i, total - here(i)) if i in counts else f_score, search)
        for i, curve in curves.items()
    }


# ---- small parts ----


def drawn_towards(found: list[Best], shared: float, shrinkage: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of the thresholds, (units,), drawn towards the shared one as if that were the word of `shrinkage`
    positives; and where 95% of the resamples have them, NaN without resamples."""
    logits = _drawn_towards(
        np.array([b.logit for b in found]), np.array([b.support for b in found]), shared, shrinkage
    )
    if not len(found[0].drawn):
        return logits, np.full(len(found), np.nan), np.full(len(found), np.nan)
    drawn = (_drawn_towards(b.drawn, b.drawn_support, shared, shrinkage) for b in found)
    low, high = np.transpose([np.quantile(of_unit, (0.025, 0.975)) for of_unit in drawn])
    return logits, low, high


def _drawn_towards(logit: np.ndarray, support: np.ndarray, shared: float, shrinkage: float) -> np.ndarray:
    own = np.isfinite(logit) & (support > 0)
    drawn = (support * np.where(own, logit, 0) + shrinkage * shared) / np.where(own, support + shrinkage, 1)
    return np.where(own, drawn, shared)


def _halfway(cut: np.ndarray, below: np.ndarray, to_logits: Callable) -> np.ndarray:
    """Thresholds between cuts and the next lower scores, as logits."""
    cut, below = to_logits(cut), to_logits(below)
    return np.maximum((cut + below) / 2, cut - _GAP)


def _shared_cuts(of_labels: Sequence[np.ndarray]) -> np.ndarray:
    """Distinct scores of positives, highest first; of more than _GRID, quantiles of all positives'."""
    positives = np.concatenate(of_labels)
    positives.sort()
    cuts = distinct(positives)
    if len(cuts) > _GRID:
        cuts = distinct(positives[np.linspace(0, len(positives) - 1, _GRID).astype(int)])
    return cuts[::-1]


def f_score(true_positives: Any, predicted: Any, support: Any, beta: float = 1.0) -> np.ndarray:
    """(1 + beta^2) true positives / (beta^2 support + predicted); 0/0 is 0."""
    square = beta * beta
    return ratio((1 + square) * np.asarray(true_positives), square * np.asarray(support) + np.asarray(predicted))
