"""Whether a label is rarer or commoner in one split than in another, by more than chance explains."""

from dataclasses import dataclass

import numpy as np

from ..labels.distribution import LabelDistribution
from ..utils.errors import UsageError
from ..utils.numeric import ratio

ALPHA = 0.05
"""Of the labels that are said to differ so many are expected to do so by chance alone (false discovery rate)."""

LEAST_EXPECTED = 5.0
"""A two-proportion z test needs this many expected rows in each of its four cells (Cochran, 1954)."""


@dataclass(frozen=True, eq=False)
class Shift:
    """Prevalence of each label in one split against another. Arrays have shape (labels,).

    Args:
        names: labels, in the schema's order.
        before, after: prevalence in the first split and in the other.
        p: two-sided p-value that both are draws with one prevalence; 1 where a split knows nothing of the label.
        q: the p-values adjusted for the number of labels (Benjamini & Hochberg, 1995).
        alpha: a label differs where q is under this.
    """

    names: tuple[str, ...]
    before: np.ndarray
    after: np.ndarray
    p: np.ndarray
    q: np.ndarray
    alpha: float

    @property
    def ratio(self) -> np.ndarray:
        """after / before; inf where only `before` is 0, 1 where both are."""
        never = np.where(self.after > 0, np.inf, 1.0)
        return np.where(self.before > 0, ratio(self.after, self.before), never)

    @property
    def differs(self) -> np.ndarray:
        """Indices of the labels that differ by more than chance, the surest first."""
        order = np.lexsort((self.p, self.q))
        return order[self.q[order] < self.alpha]


def prevalence_shift(first: LabelDistribution, other: LabelDistribution, alpha: float = ALPHA) -> Shift:
    """Test each label's prevalence in one split against another's.

    A two-proportion z test with the pooled prevalence; Fisher's exact test where fewer than `LEAST_EXPECTED` rows are
    expected in a cell, as for rare labels. Soft labels are rounded for it to whole positives.

    Args:
        first, other: counts of two splits with the same labels.
        alpha: false discovery rate.

    Raises:
        UsageError: other labels, or an alpha that is not in (0, 1).

    >>> from imbalance_trainer import LabelSchema
    >>> schema = LabelSchema(["a", "b"])
    >>> train = LabelDistribution.from_counts([500, 30], 1000, schema)
    >>> shift = prevalence_shift(train, LabelDistribution.from_counts([100, 6], 300, schema))
    >>> shift.differs.tolist(), shift.ratio.round(2).tolist()
    ([0], [0.67, 0.67])
    """
    if first.schema.names != other.schema.names:
        raise UsageError("The two splits were counted with different labels; count both with one schema.")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha must lie in (0, 1); got {alpha!r}.")
    p = _p_values(first.support, first.known, other.support, other.known)
    return Shift(first.schema.names, first.prevalence, other.prevalence, p, adjusted(p), alpha)


def adjusted(p: np.ndarray) -> np.ndarray:
    """P-values adjusted for their number so that those under a limit have that false discovery rate at most
    (Benjamini & Hochberg, 1995): of the i-th smallest of m the least of p_j m / j over all j >= i.

    >>> adjusted(np.array([0.01, 0.04, 0.03, 0.5])).round(3).tolist()
    [0.04, 0.053, 0.053, 0.5]
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    out = np.empty_like(scaled)
    out[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return out


def _p_values(x: np.ndarray, n: np.ndarray, y: np.ndarray, m: np.ndarray) -> np.ndarray:
    from scipy.stats import fisher_exact, norm

    pooled = ratio(x + y, n + m)
    spread = np.sqrt(pooled * (1 - pooled) * (ratio(1.0, n) + ratio(1.0, m)))
    z = ratio(np.abs(ratio(x, n) - ratio(y, m)), spread)
    p = 2 * norm.sf(z)
    fewer = np.minimum(n, m)
    rare = np.minimum(pooled, 1 - pooled) * fewer < LEAST_EXPECTED
    for i in np.flatnonzero(rare & (fewer > 0)):
        cells = np.rint([[x[i], n[i] - x[i]], [y[i], m[i] - y[i]]]).astype(np.int64)
        p[i] = fisher_exact(cells)[1]
    p[fewer <= 0] = 1.0
    return p
