"""A paired bootstrap of the difference in macro F1 between two methods on the same test rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import ratio

_AT_A_TIME = 64


@dataclass(frozen=True)
class Difference:
    """A difference of macro F1 and the interval in which 95% of the resamples have it."""

    mean: float
    low: float
    high: float

    @property
    def is_more_than_chance(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low > 0


def paired_difference(
    ours: Sequence[np.ndarray],
    theirs: Sequence[np.ndarray],
    gold: np.ndarray,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """Macro F1 of ours less that of theirs, each the mean over its seeds, with an interval over test rows.

    Rows are drawn with replacement, the same ones for every run, so that what is hard for both cancels (Efron and
    Tibshirani, 1993, "An Introduction to the Bootstrap"; Berg-Kirkpatrick et al., 2012, for NLP). It says how far the
    difference depends on which rows the test set happens to have; how far it depends on the seed is the spread over
    seeds.

    Args:
        ours, theirs: decisions of each seed, (rows, labels), boolean.
        gold: (rows, labels), boolean.
        n_resamples: resamples.
        seed: of the resamples.

    >>> gold = np.array([[True], [False]] * 50)
    >>> paired_difference([gold], [gold], gold)
    Difference(mean=0.0, low=0.0, high=0.0)
    """
    rng = np.random.default_rng(seed)
    n_rows = len(gold)
    drawn = []
    for start in range(0, n_resamples, _AT_A_TIME):
        n = min(_AT_A_TIME, n_resamples - start)
        counts = rng.multinomial(n_rows, np.full(n_rows, 1 / n_rows), size=n).astype(np.float32)
        drawn.append(_macro_f1(ours, gold, counts) - _macro_f1(theirs, gold, counts))
    once = np.ones((1, n_rows), dtype=np.float32)
    mean = _macro_f1(ours, gold, once) - _macro_f1(theirs, gold, once)
    low, high = np.quantile(np.concatenate(drawn), (0.025, 0.975))
    return Difference(float(mean[0]), float(low), float(high))


def _macro_f1(decisions: Sequence[np.ndarray], gold: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over seeds and labels, (resamples,), where each row counts as often as it was drawn."""
    support = counts @ gold.astype(np.float32)
    of_seeds = []
    for decided in decisions:
        true_positives = counts @ (decided & gold).astype(np.float32)
        predicted = counts @ decided.astype(np.float32)
        of_seeds.append(ratio(2 * true_positives, predicted + support).mean(1))
    return np.mean(of_seeds, axis=0)
