"""How sure a difference in macro F1 between two methods is: over test rows by a paired bootstrap, and over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from ..utils.numeric import ratio

_AT_A_TIME = 64


@dataclass(frozen=True)
class Difference:
    """A difference of macro F1, the mean over seeds, and its 95% interval.

    Args:
        mean: ours less theirs.
        low, high: the interval, over test rows and seeds; with one seed over test rows alone.
        knows_seeds: whether there was more than one seed.
    """

    mean: float
    low: float
    high: float
    knows_seeds: bool = True

    @property
    def is_more_than_chance(self) -> bool:
        """Whether the interval lies above 0, and more than one seed says so."""
        return self.knows_seeds and self.low > 0


def paired_difference(
    ours: Sequence[np.ndarray],
    theirs: Sequence[np.ndarray],
    gold: np.ndarray,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """Macro F1 of ours less that of theirs, each the mean over its seeds, with an interval.

    Two things move a difference: which rows the test set happens to have, and the seed. The variance over rows is that
    of a paired bootstrap: rows are drawn with replacement, the same ones for every run, so that what is hard for both
    cancels (Efron & Tibshirani, 1993, "An Introduction to the Bootstrap"). The variance over seeds is that of the
    runs. The interval is mean +- t x the root of both, with Welch's degrees of freedom (Welch, 1947), so that it is as
    wide as few seeds deserve.

    Args:
        ours, theirs: decisions of each seed, (rows, labels), boolean.
        gold: (rows, labels), boolean. A label that a resample leaves without a positive is left out of that mean.
        n_resamples: resamples.
        seed: of the resamples.

    >>> gold = np.array([[True], [False]] * 50)
    >>> paired_difference([gold, gold], [gold, gold], gold)
    Difference(mean=0.0, low=0.0, high=0.0, knows_seeds=True)
    """
    rng = np.random.default_rng(seed)
    n_rows = len(gold)
    drawn = []
    for start in range(0, n_resamples, _AT_A_TIME):
        n = min(_AT_A_TIME, n_resamples - start)
        counts = rng.multinomial(n_rows, np.full(n_rows, 1 / n_rows), size=n).astype(np.float32)
        drawn.append(_macro_f1(ours, gold, counts).mean(0) - _macro_f1(theirs, gold, counts).mean(0))
    once = np.ones((1, n_rows), dtype=np.float32)
    each = [_macro_f1(runs, gold, once)[:, 0] for runs in (ours, theirs)]
    mean = float(each[0].mean() - each[1].mean())
    of_rows = float(np.concatenate(drawn).var(ddof=1))
    of_seeds = [float(f1.var(ddof=1)) / len(f1) if len(f1) > 1 else 0.0 for f1 in each]
    spread = of_rows + sum(of_seeds)
    freedom = sum(v * v / (len(f1) - 1) for v, f1 in zip(of_seeds, each, strict=True) if v > 0)
    quantile = t.ppf(0.975, spread * spread / freedom) if freedom > 0 else norm.ppf(0.975)
    half = float(quantile * np.sqrt(spread))
    return Difference(mean, mean - half, mean + half, min(map(len, each)) > 1)


def _macro_f1(decisions: Sequence[np.ndarray], gold: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over labels with a positive, (seeds, resamples), where each row counts as often as it was drawn."""
    support = counts @ gold.astype(np.float32)
    has_positive = support > 0
    of_seeds = []
    for decided in decisions:
        true_positives = counts @ (decided & gold).astype(np.float32)
        f1 = ratio(2 * true_positives, counts @ decided.astype(np.float32) + support)
        of_seeds.append(ratio((f1 * has_positive).sum(1), has_positive.sum(1)))
    return np.array(of_seeds)
