"""Test whether labels are rarer or commoner in one split than in another."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from ..labels.distribution import LabelDistribution
from ..utils.errors import UsageError
from ..utils.numeric import ratio

ALPHA = 0.05
"""The false discovery rate: the share of chance findings among the labels that differ."""


@dataclass(frozen=True, eq=False)
class Shift:
    """Prevalence of each label in one split against another. Arrays have shape (labels,).

    Args:
        names: labels, in the schema's order.
        before, after: prevalence in the first split and in the other one.
        p: two-sided p-value of equal prevalence; 1 where a label is unknown in one split.
        q: p-values adjusted for the number of labels (Benjamini & Hochberg, 1995). A label differs where it is under
            ALPHA.
    """

    names: tuple[str, ...]
    before: np.ndarray
    after: np.ndarray
    p: np.ndarray
    q: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """after / before; inf where only `before` is 0, 1 where both are."""
        never = np.where(self.after > 0, np.inf, 1.0)
        return np.where(self.before > 0, ratio(self.after, self.before), never)

    @property
    def differs(self) -> np.ndarray:
        """Indices of the labels that differ, lowest q first."""
        order = np.lexsort((self.p, self.q))
        return order[self.q[order] < ALPHA]


def prevalence_shift(first: LabelDistribution, other: LabelDistribution) -> Shift:
    """Test each label's prevalence in one split against another's.

    A two-proportion z test with the pooled prevalence; Fisher's exact test where fewer than 5 rows are expected in
    a cell, as for rare labels. It rounds soft labels to whole positives.

    Args:
        first, other: counts of two splits with the same labels.

    Raises:
        UsageError: splits with different labels.

    >>> from imbalance_trainer import LabelSchema
    >>> schema = LabelSchema(["a", "b"])
    >>> train = LabelDistribution.from_counts([500, 30], 1000, schema)
    >>> shift = prevalence_shift(train, LabelDistribution.from_counts([100, 6], 300, schema))
    >>> shift.differs.tolist(), shift.ratio.round(2).tolist()
    ([0], [0.67, 0.67])
    """
    from scipy import stats  # takes half a second, and only an analysis needs it

    if first.schema.names != other.schema.names:
        raise UsageError("The two splits were counted with different labels; count both with one schema.")
    p = _p_values(first.support, first.known, other.support, other.known)
    return Shift(first.schema.names, first.prevalence, other.prevalence, p, stats.false_discovery_control(p))


def _p_values(x: np.ndarray, n: np.ndarray, y: np.ndarray, m: np.ndarray, least_expected: float = 5.0) -> np.ndarray:
    """A z test needs `least_expected` rows in each of its four cells (Cochran, 1954)."""
    from scipy import stats

    pooled = ratio(x + y, n + m)
    spread = np.sqrt(pooled * (1 - pooled) * (ratio(1.0, n) + ratio(1.0, m)))
    z = ratio(np.abs(ratio(x, n) - ratio(y, m)), spread)
    p = np.minimum(2 * ndtr(-z), 1.0)
    fewer = np.minimum(n, m)
    rare = np.minimum(pooled, 1 - pooled) * fewer < least_expected
    for i in np.flatnonzero(rare & (fewer > 0)):
        cells = np.rint([[x[i], n[i] - x[i]], [y[i], m[i] - y[i]]]).astype(np.int64)
        p[i] = stats.fisher_exact(cells)[1]
    p[fewer <= 0] = 1.0
    return p
