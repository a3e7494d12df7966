"""The result of `imbalance-trainer analyze`: all that is found before training, and the same as JSON.

`parts` puts it into words; docs/analysis.md has the keys of the JSON.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..labels.distribution import LabelDistribution
from ..losses.registry import check_kind, loss_class, takes_class_weights
from ..utils.constants import SINGLE_LABEL
from ..utils.errors import UsageError, did_you_mean
from .counts import partners, positives
from .recommend import Recommendation, recommend

VERSION = 1
"""Version of the JSON object. It rises when a key changes its meaning, not with new keys."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """The result of an analysis.

    Args:
        name: name of the data.
        splits: the counts by split.
        split: the split whose labels are listed and drawn.
        problem_type: "multi_label_classification" or "single_label_classification".
        recommendation: the recommended settings, with the class weights of the training.
        data_warnings: data-quality warnings, as about texts that are in two splits.
        notes: what was decided while reading the data.
    """

    name: str
    splits: Mapping[str, LabelDistribution]
    split: str
    problem_type: str
    recommendation: Recommendation
    data_warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> LabelDistribution:
        """Counts of the listed split."""
        return self.splits[self.split]

    @property
    def rarest_first(self) -> np.ndarray:
        """Label indices by rising support in the listed split."""
        return self.counts.rarest_first

    @property
    def is_single_label(self) -> bool:
        """Whether each row has one label, so that none co-occur."""
        return self.problem_type == SINGLE_LABEL

    @property
    def missing(self) -> dict[str, np.ndarray]:
        """For each split the labels without a positive there, where another split has some."""
        support = {name: split.support for name, split in self.splits.items()}
        anywhere = np.sum(list(support.values()), axis=0) > 0
        found = {name: np.flatnonzero(anywhere & (s <= 0)) for name, s in support.items()}
        return {name: labels for name, labels in found.items() if len(labels)}


def analyze(
    name: str,
    splits: Mapping[str, LabelDistribution],
    problem_type: str,
    asked_for: Mapping[str, Any] | None = None,
    split: str = "train",
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Analysis:
    """Recommend settings from the counts of training and validation, and put together all that is known.

    Args:
        name: name of the data.
        splits: its counts.
        problem_type: as for `Analysis`.
        asked_for: settings of the user, see `recommend`.
        split: the split to list.
        warnings, notes: what was found while reading the data.

    Raises:
        UsageError: no such split, or a loss that does not fit the data.
    """
    if split not in splits:
        raise UsageError(f"Unknown split {split!r}: {did_you_mean(split, splits)}")
    asked = dict(asked_for or {})
    if "loss" in asked:
        check_kind(asked["loss"], loss_class(asked["loss"]), problem_type)
        asked |= {} if takes_class_weights(asked["loss"]) else {"class_weights": "none"}
    validation = replace(splits["validation"], support=positives(splits["validation"]))
    found = recommend(splits["train"], validation, problem_type, asked)
    return Analysis(name, splits, split, problem_type, found, tuple(warnings), tuple(notes))


def analysis_json(analysis: Analysis) -> dict[str, Any]:
    """The whole analysis, labels in the schema's order; None for a number that is not defined."""
    found = analysis.recommendation
    return {
        "version": VERSION,
        "name": analysis.name,
        "problem_type": analysis.problem_type,
        "split": analysis.split,
        "splits": {name: _split(analysis, name) for name in analysis.splits},
        "labels": [_label(analysis, i) for i in range(len(analysis.counts.schema))],
        "recommendation": {
            "settings": [
                {"flag": c.flag, "value": c.value, "reason": c.reason, "source": c.source} for c in found.choices
            ],
            "warnings": list(found.warnings),
        },
        "warnings": list(analysis.data_warnings),
        "notes": list(analysis.notes),
    }


def plain(value: Any) -> Any:
    """A number as JSON has it: whole ones as integers; None for what is not finite.

    >>> plain(np.float64(3.0)), plain(float("inf")), plain(0.25)
    (3, None, 0.25)
    """
    value = float(value)
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _split(analysis: Analysis, name: str) -> dict[str, Any]:
    counts = analysis.splits[name]
    named = counts.violation_rows or [()] * len(counts.violations)
    rules = list(zip(counts.schema.rules, counts.violations, named, strict=False))  # none where nobody looked
    per_row = np.zeros(1, dtype=int) if counts.labels_per_row is None else counts.labels_per_row
    return {
        "rows": counts.row_total,
        "rows_counted": counts.n_rows,
        "labels_per_row": [int(rows) for rows in per_row],
        "mean_labels_per_row": plain(per_row @ np.arange(len(per_row)) / max(per_row.sum(), 1)),
        "rules": [
            {"rule": rule, "rows_broken": int(broken), "first_rows": [int(row) for row in rows]}
            for rule, broken, rows in rules
        ],
        "labels_without_positives": [counts.schema.names[i] for i in analysis.missing.get(name, ())],
    }


def _label(analysis: Analysis, i: int, most_partners: int = 5) -> dict[str, Any]:
    found, counts = analysis.recommendation, analysis.counts
    weights = found.weights
    name = counts.schema.names[i]
    return {
        "label": name,
        "is_primary": i in counts.schema.primary,
        "tier": next(tier for tier, members in counts.tiers().items() if i in members),
        "support": plain(counts.support[i]),
        "unknown": plain(counts.unknown[i]),
        "prevalence": plain(counts.prevalence[i]),
        "negative_positive": plain(counts.negative_positive[i]),
        "imbalance_ratio": plain(counts.imbalance_ratio[i]),
        "weight": plain(weights.values[i]),
        "weight_reason": weights.reasons[i],
        "weight_before_cap": plain((weights.clamped or {})[name]) if name in (weights.clamped or {}) else None,
        "support_by_split": {s: plain(c.support[i]) for s, c in analysis.splits.items()},
        "co_occurrence": [
            {"label": counts.schema.names[j], "rows": n, "implied": j in counts.schema.ancestors[i]}
            for j, n in partners(counts, i)[:most_partners]
        ],
        "recall_interval": [plain(found.recall_low[i]), plain(found.recall_high[i])],
        "validation_rows_needed": plain(found.validation_rows[i]),
    }
