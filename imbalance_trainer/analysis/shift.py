"""Test whether labels are rarer or commoner in one split than in another."""

from dataclasses import dataclass

import numpy as np

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

    By Fisher's exact test, which holds for rare labels too. It rounds soft labels to whole positives.

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
    counts = zip(first.support, first.known, other.support, other.known, strict=True)
    cells = [np.rint([[x, n - x], [y, m - y]]).astype(np.int64) for x, n, y, m in counts]
    p = np.array([stats.fisher_exact(table)[1] if table.sum(1).all() else 1.0 for table in cells])
    return Shift(first.schema.names, first.prevalence, other.prevalence, p, stats.false_discovery_control(p))
