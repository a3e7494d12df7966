"""Statistics of a data set that the recommendation follows from, and the problems in them no setting can fix."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..labels.class_weights import DEFAULT_STRATEGY, ClassWeights, compute_class_weights, merge_custom_weights
from ..labels.distribution import LabelDistribution
from ..tuning.thresholds import FEW as FEW
from ..utils.constants import MULTI_LABEL
from ..utils.numeric import wilson_interval

ENOUGH = 20
"""Positives to aim at for a label with fewer than FEW: a rule of thumb from the demo's rarest label."""

HALF_WIDTH = 0.15
"""Half the width that the 95% interval of a recall of 0.5 should have at most."""

_Z = 1.96
_WEIGHT_SETTINGS = ("weight_strategy", "max_weight", "effective_number_beta")


@dataclass(frozen=True, eq=False)
class DatasetStats:
    """Counts of the splits, and what follows from them.

    Args:
        train, validation: counts of all rows of the splits, estimated where a sample was counted.
        problem_type: "multi_label_classification" or "single_label_classification".
        is_sample: whether they are estimated.
        asked_for: settings of the user.
        counted: rows of training that were counted.
    """

    train: LabelDistribution
    validation: LabelDistribution
    problem_type: str
    is_sample: bool = False
    asked_for: Mapping[str, Any] = field(default_factory=dict)
    counted: int = 0

    def weights(self, class_weights: Any = "auto", weight_strategy: str = DEFAULT_STRATEGY) -> ClassWeights:
        """The class weights of training: those recommended here, with what was asked for."""
        asked = {"class_weights": class_weights, "weight_strategy": weight_strategy, **self.asked_for}
        given = None if asked["class_weights"] == "none" else asked["class_weights"]
        given = merge_custom_weights(given, asked.get("custom_weights"), self.train.schema)
        settings = {name: asked[name] for name in _WEIGHT_SETTINGS if name in asked}
        return compute_class_weights(self.train, given, **settings)

    def rows_of(self, split: str) -> str:
        """The name of a split, or of its counted rows: a label that is not in a sample may be in the split."""
        return f"the rows of {split} that were counted" if self.is_sample else split

    @property
    def present(self) -> np.ndarray:
        """Indices of the labels with positives in training, rarest first."""
        order = self.train.rarest_first
        return order[self.train.support[order] > 0]

    @property
    def rarest(self) -> int:
        """The rarest secondary label with positives; of all labels where no secondary one has any."""
        secondary = set(self.train.schema.secondary)
        return int(next((i for i in self.present if i in secondary), self.present[0]))

    @property
    def hardest(self) -> float:
        """The largest number of negatives per positive of any label with positives, or `unseen` if larger. In
        single-label problems, rows of the commonest class per row of the rarest one."""
        return max(float(self._odds[self.present].max(initial=0.0)), self.unseen)

    @property
    def _odds(self) -> np.ndarray:
        return self.train.negative_positive if self.is_multi_label else self.train.imbalance_ratio

    @property
    def unseen(self) -> float:
        """Negatives per positive, at least, of a label that is not in the sample; 0 where each label is. With 95%
        confidence it has at most 3 positives in as many rows as were counted (Hanley & Lippman-Hand, 1983)."""
        is_unseen = self.is_sample and 0 < len(self.present) < len(self.train.schema)
        return self.counted / 3 if is_unseen else 0.0

    @property
    def hardest_in_words(self) -> str:
        """`hardest` as the beginning of a sentence."""
        odds = self._odds[self.present]
        if self.unseen > odds.max(initial=0.0):
            what = f"is not among the {self.counted:,} rows counted stands against {_in_words(self.hardest)} negatives"
            return f"A positive of a label that {what} or more"
        if not self.is_multi_label:
            return f"A row of the rarest class stands against {_in_words(self.hardest)} of the commonest"
        is_rarest = not len(odds) or odds[0] == odds.max()
        name = "the rarest label" if is_rarest else repr(self.train.schema.names[self.present[np.argmax(odds)]])
        return f"A positive of {name} stands against {_in_words(self.hardest)} negatives"

    @property
    def is_multi_label(self) -> bool:
        """Whether a row may have several labels."""
        return self.problem_type == MULTI_LABEL


def whole(counts: LabelDistribution) -> LabelDistribution:
    """Counts of all rows, estimated where only a sample was counted and the number of rows is known."""
    if counts.row_total <= counts.n_rows or counts.n_rows == 0:
        return counts
    times = counts.row_total / counts.n_rows
    violations = np.rint(counts.violations * times).astype(np.int64)
    return replace(
        counts,
        support=counts.support * times,
        known=counts.known * times,
        n_rows=counts.row_total,
        row_total=counts.row_total,
        violations=violations,
    )


def positives_for(half_width: float, z: float = _Z) -> int:
    """Positives needed for a Wilson interval of a recall of 0.5 of +-half_width: z^2 / (4 h^2) - z^2.

    >>> [positives_for(h) for h in (0.1, 0.15, 0.3)]
    [93, 39, 7]
    """
    return max(math.ceil((z / (2 * half_width)) ** 2 - z**2), 1)


def rows_for(positives: Any, counts: LabelDistribution) -> np.ndarray:
    """Rows in which each label is expected to have `positives`, at its share of all rows; inf for a label without
    positives."""
    share = counts.support / max(counts.n_rows, 1)
    rows = np.divide(positives, share, out=np.full(len(counts.schema), np.inf), where=share > 0)
    return np.ceil(np.round(rows, 6))


def _in_words(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


# ---- problems no setting can fix: a sentence with the numbers and what to do, "" where there is no problem ----


def warn_of_none(stats: DatasetStats) -> str:
    """Labels without positives in training."""
    absent = np.flatnonzero(stats.train.support <= 0)
    if not len(absent):
        return ""
    found = f"No positive in {stats.rows_of('training')}: {_named(stats, absent)}."
    if stats.is_sample:
        return f"{found} How rare such a label is cannot be told from these rows; count more rows, or all."
    return f"{found} No weight, loss or threshold can teach such a label. Search for rows that have it, or drop it."


def warn_of_few(stats: DatasetStats, few: int = FEW, enough: int = ENOUGH) -> str:
    """Labels with fewer than `few` positives in training, and the rows needed for `enough`."""
    support = stats.train.support
    scarce = stats.present[support[stats.present] < few]
    if not len(scarce):
        return ""
    rows = rows_for(enough - support, stats.train)[scarce]
    span = dict.fromkeys((about(rows.min()), about(rows.max())))
    return (
        f"Fewer than {few} positives in training: {_named(stats, scarce)}. No setting will make the model learn such "
        f"a label reliably; more data will. For {enough} positives it takes about {' to '.join(span)} more rows drawn "
        "as these were; far fewer if you search for likely ones."
    )


def warn_of_unseen(stats: DatasetStats) -> str:
    """Labels with positives in training but not in validation."""
    unseen = stats.present[stats.validation.support[stats.present] <= 0]
    if not len(unseen):
        return ""
    return (
        f"No positive in {stats.rows_of('validation')}: {_named(stats, unseen)}. Whether such a label is learned "
        "cannot be seen there, and its F1 counts as 0 in every macro value."
    )


def warn_of_small_validation(stats: DatasetStats, half_width: float = HALF_WIDTH) -> str:
    """Labels whose recall validation measures less precisely than +-half_width (Wilson, 1927)."""
    needed, here = positives_for(half_width), stats.validation.support
    unsure = stats.present[(here[stats.present] < needed) & (here[stats.present] > 0)]
    if not len(unsure):
        return ""
    worst = unsure[np.argmin(here[unsure])]
    low, high = wilson_interval(here[worst] / 2, here[worst])
    return (
        f"Fewer than {needed} positives in validation: {_named(stats, unsure)}. The recall of such a label cannot be "
        f"measured to +-{half_width:g}: one of 0.5 of {stats.train.schema.names[worst]!r} would mean {low:.2f} to "
        f"{high:.2f} (95% interval). That label needs about {about(rows_for(needed, stats.train)[worst])} validation "
        f"rows at its rate in training; the split has {stats.validation.n_rows:,}."
    )


def warn_of_violations(stats: DatasetStats, share: float = 0.01) -> str:
    """Implications that more than `share` of the child's positives in training violate, and exclusive groups that more
    than `share` of the rows do: the constraint contradicts these rows."""
    counts = stats.train
    if stats.asked_for.get("constraint") == "none" or not len(counts.violations):
        return ""
    positives = [counts.support[child] for child, _ in counts.schema.implication_indices]
    of = [*((n, "positives") for n in positives), *[(counts.n_rows, "rows")] * len(counts.schema.exclusive)]
    found = [f"{rule} in {broken:,.0f} of {n:,.0f} {what}"
             for rule, broken, (n, what) in zip(counts.schema.rules, counts.violations, of, strict=True)
             if n > 0 and broken > share * n]  # fmt: skip
    if not found:
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (
        f"The training rows violate rules of the schema ({'; '.join(found[:3])}{more}): the constraint teaches the "
        "opposite there. Correct the rows, or remove the rule from label_info.json."
    )


LIMITATIONS: tuple[Callable[[DatasetStats], str], ...] = (
    warn_of_none,
    warn_of_few,
    warn_of_unseen,
    warn_of_small_validation,
    warn_of_violations,
)
"""The checks, the worst problem first."""


def about(rows: float) -> str:
    """A number of rows in two digits, rounded up, as few positives allow no more precision.

    >>> about(15_123), about(7), about(float("inf"))
    ('16,000', '7', '-')
    """
    if not math.isfinite(rows):
        return "-"
    size = 10 ** max(int(math.log10(max(rows, 1))) - 1, 0)
    return f"{math.ceil(rows / size) * size:,.0f}"


def some(names: Iterable[str], shown: int = 3) -> str:
    """The first names in quotation marks, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(map(repr, names[:shown])) + more


def _named(stats: DatasetStats, labels: np.ndarray) -> str:
    if len(labels) == len(stats.train.schema) > 1:
        return f"all {len(labels):,} labels"
    return some(stats.train.schema.names[i] for i in labels)
