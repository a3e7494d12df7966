"""What the rules look at: counts, of all rows where only a sample was counted, and what follows from them alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..labels.class_weights import DEFAULT_STRATEGY, ClassWeights, compute_class_weights, merge_custom_weights
from ..labels.distribution import LabelDistribution
from ..tuning.thresholds import FEW as FEW
from ..utils.constants import MULTI_LABEL

ENOUGH = 20
"""Positives to aim at for such a label: a rule of thumb, what the demo's rarest label has, of which half is found."""

HALF_WIDTH = 0.15
"""The 95% interval of a recall of 0.5 should reach no further than this to either side."""

_Z = 1.96
_WEIGHT_SETTINGS = ("weight_strategy", "max_weight", "effective_number_beta")


@dataclass(frozen=True)
class Choice:
    """One setting.

    Args:
        flag: its flag of `imbalance-trainer train`, the field of the training arguments.
        value: what to set it to.
        reason: why, in a sentence with the numbers.
        source: where the rule comes from.
        in_short: why, in the few words that a table has room for; of weights that are none.
    """

    flag: str
    value: Any
    reason: str
    source: str
    in_short: str = ""


@dataclass(frozen=True, eq=False)
class DatasetStats:
    """What rules look at.

    Args:
        train, validation: counts of the splits, of all their rows, estimated where a sample was counted.
        problem_type: "multi_label_classification" or "single_label_classification".
        is_sample: whether they are estimated.
        asked_for: settings of the user's own, which the reasons have to be true beside.
        counted: rows of training that were counted.
    """

    train: LabelDistribution
    validation: LabelDistribution
    problem_type: str
    is_sample: bool = False
    asked_for: Mapping[str, Any] = field(default_factory=dict)
    counted: int = 0

    def weights(self, class_weights: Any = "auto", weight_strategy: str = DEFAULT_STRATEGY) -> ClassWeights:
        """The class weights of training: as recommended here, but for what was asked for."""
        asked = {"class_weights": class_weights, "weight_strategy": weight_strategy, **self.asked_for}
        given = None if asked["class_weights"] == "none" else asked["class_weights"]
        given = merge_custom_weights(given, asked.get("custom_weights"), self.train.schema)
        settings = {name: asked[name] for name in _WEIGHT_SETTINGS if name in asked}
        return compute_class_weights(self.train, given, **settings)

    @property
    def sampler(self) -> str | None:
        """The sampler that was asked for; None for none."""
        sampler = self.asked_for.get("sampler")
        return None if sampler == "none" else sampler

    def rows_of(self, split: str) -> str:
        """What to call the rows of a split: of a sample it must not be said that a label is nowhere in them."""
        return f"the rows of {split} that were counted" if self.is_sample else split

    @property
    def present(self) -> np.ndarray:
        """Indices of the labels with positives in training, rarest first."""
        order = self.train.rarest_first
        return order[self.train.support[order] > 0]

    @property
    def rarest(self) -> int:
        """The rarest secondary label that has positives; of all labels where no secondary one has."""
        secondary = set(self.train.schema.secondary)
        return int(next((i for i in self.present if i in secondary), self.present[0]))

    @property
    def hardest(self) -> float:
        """The most negatives for a positive of any label that has positives; in single-label problems, where each
        class is the others' negative, rows of the commonest class for one of the rarest. Of a sample also the
        `unseen`."""
        return max(float(self._odds[self.present].max(initial=0.0)), self.unseen)

    @property
    def _odds(self) -> np.ndarray:
        return self.train.negative_positive if self.is_multi_label else self.train.imbalance_ratio

    @property
    def unseen(self) -> float:
        """The least negatives for a positive of a label that a sample has not, 0 where it has all: with 95% confidence
        there are at most 3 in as many rows as were counted (Hanley & Lippman-Hand, 1983)."""
        is_unseen = self.is_sample and 0 < len(self.present) < len(self.train.schema)
        return self.counted / 3 if is_unseen else 0.0

    @property
    def hardest_in_words(self) -> str:
        """What a positive of the hardest label stands against."""
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
    """The counts of all rows, estimated where only a sample of a known number of rows was counted."""
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
    """Positives for which the Wilson interval of a recall of 0.5 is at most +-half_width: z^2 / (4 h^2) - z^2.

    >>> [positives_for(h) for h in (0.1, 0.15, 0.3)]
    [93, 39, 7]
    """
    return max(math.ceil((z / (2 * half_width)) ** 2 - z**2), 1)


def rows_for(positives: Any, counts: LabelDistribution) -> np.ndarray:
    """Rows in which so many positives are expected, known ones and others as they are; inf for a label that never
    occurs."""
    share = counts.support / max(counts.n_rows, 1)
    rows = np.divide(positives, share, out=np.full(len(counts.schema), np.inf), where=share > 0)
    return np.ceil(np.round(rows, 6))


def _in_words(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
