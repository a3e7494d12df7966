"""Statistics of a data set that the recommendation follows from, and the problems in them no setting can fix."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..labels.class_weights import DEFAULT_STRATEGY, ClassWeights, compute_class_weights, merge_custom_weights
from ..labels.distribution import LabelDistribution
from ..tuning.thresholds import FEW as FEW
from ..utils.constants import MULTI_LABEL
from ..utils.numeric import wilson_interval
from ..utils.text import sentences_of

ENOUGH = 20
"""Positives to aim at for a label with fewer than FEW: a rule of thumb from the demo's rarest label."""

HALF_WIDTH = 0.15
"""Half the width that the 95% interval of a recall of 0.5 should have at most."""

_Z = 1.96
_WEIGHT_SETTINGS = ("weight_strategy", "max_weight")


def count_of_positives(n: float) -> str:
    """A number of positives in words, of soft labels in three digits."""
    return f"{n:,.3g} positive{'' if n == 1 else 's'}" if n < 1000 else f"{n:,.0f} positives"


WORDS = sentences_of(Path(__file__).parent / "templates" / "recommendation.yaml", positives=count_of_positives)
"""Reasons of settings, and problems."""


@dataclass(frozen=True, eq=False)
class DatasetStats:
    """Counts of the splits, and what follows from them.

    Args:
        train, validation: counts of the splits.
        problem_type: "multi_label_classification" or "single_label_classification".
        asked_for: settings of the user.
    """

    train: LabelDistribution
    validation: LabelDistribution
    problem_type: str
    asked_for: Mapping[str, Any] = field(default_factory=dict)

    def weights(self, class_weights: Any = "auto", weight_strategy: str = DEFAULT_STRATEGY) -> ClassWeights:
        """The class weights of training: those recommended here, with what was asked for."""
        asked = {"class_weights": class_weights, "weight_strategy": weight_strategy, **self.asked_for}
        given = None if asked["class_weights"] == "none" else asked["class_weights"]
        given = merge_custom_weights(given, asked.get("custom_weights"), self.train.schema)
        settings = {name: asked[name] for name in _WEIGHT_SETTINGS if name in asked}
        return compute_class_weights(self.train, given, **settings)

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
        """The largest number of negatives per positive of any label with positives. In single-label problems, rows of
        the commonest class per row of the rarest one."""
        return float(self._odds[self.present].max(initial=0.0))

    @property
    def _odds(self) -> np.ndarray:
        return self.train.negative_positive if self.is_multi_label else self.train.imbalance_ratio

    @property
    def hardest_in_words(self) -> str:
        """`hardest` as the beginning of a sentence."""
        odds = self._odds[self.present]
        if not self.is_multi_label:
            return f"A row of the rarest class stands against {_in_words(self.hardest)} of the commonest"
        is_rarest = not len(odds) or odds[0] == odds.max()
        name = "the rarest label" if is_rarest else repr(self.train.schema.names[self.present[np.argmax(odds)]])
        return f"A positive of {name} stands against {_in_words(self.hardest)} negatives"

    @property
    def is_multi_label(self) -> bool:
        """Whether a row may have several labels."""
        return self.problem_type == MULTI_LABEL


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


def limitations(stats: DatasetStats, share: float = 0.01) -> tuple[str, ...]:
    """Problems no setting can fix: sentences with the numbers and what to do, the worst problem first.

    They are labels without positives in training, with fewer than FEW, without positives in validation, and with too
    few there to measure recall to +-HALF_WIDTH (Wilson, 1927); and rules that more than `share` of the child's
    positives in training violate, as the constraint contradicts these rows.
    """
    support, here, present = stats.train.support, stats.validation.support, stats.present
    names, needed = stats.train.schema.names, positives_for(HALF_WIDTH)
    said: list[str] = []

    def say(kind: str, labels: np.ndarray, **numbers: Any) -> None:
        every = len(labels) == len(names) > 1
        named = f"all {len(names):,} labels" if every else some(names[i] for i in labels)
        said.append(WORDS[kind]["sentence"].render(stats=stats, named=named, **numbers))

    if len(absent := np.flatnonzero(support <= 0)):
        say("none", absent)
    if len(scarce := present[support[present] < FEW]):
        rows = rows_for(ENOUGH - support, stats.train)[scarce]
        say("few", scarce, few=FEW, enough=ENOUGH, rows=list(dict.fromkeys((about(rows.min()), about(rows.max())))))
    if len(unseen := present[here[present] <= 0]):
        say("unseen", unseen)
    if len(unsure := present[(here[present] < needed) & (here[present] > 0)]):
        worst = unsure[np.argmin(here[unsure])]
        low, high = wilson_interval(here[worst] / 2, here[worst])
        rows = about(rows_for(needed, stats.train)[worst])
        say("small_validation", unsure, needed=needed, half_width=HALF_WIDTH, worst=names[worst], low=low, high=high,
            rows=rows)  # fmt: skip
    if stats.asked_for.get("constraint") != "none" and (found := _broken_rules(stats.train, share)):
        say("violations", present, found=found)
    return tuple(said)


def _broken_rules(counts: LabelDistribution, share: float) -> list[str]:
    schema = counts.schema
    of = [counts.support[child] for child, _ in schema.implication_indices]
    return [
        f"{rule} in {broken:,.0f} of {n:,.0f} positives"
        for rule, broken, n in zip(schema.rules, counts.violations, of, strict=False)
        if n > 0 and broken > share * n
    ]


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
