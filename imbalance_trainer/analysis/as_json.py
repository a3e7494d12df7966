"""The analysis as a JSON object for scripts (docs/analysis.md has the keys)."""

import math
from typing import Any

import numpy as np

from .analyze import Analysis
from .counts import partners

VERSION = 1
"""Version of the object. It rises when a key changes its meaning, not with new keys."""


def analysis_json(analysis: Analysis) -> dict[str, Any]:
    """The whole analysis, labels in the schema's order; None for a number that is not defined."""
    found = analysis.recommendation
    labels = analysis.counts.labels
    return {
        "version": VERSION,
        "name": analysis.name,
        "problem_type": analysis.problem_type,
        "split": analysis.split,
        "splits": {name: _split(analysis, name) for name in analysis.splits},
        "mean_ir": plain(analysis.counts.labels.mean_ir),
        "labels": [_label(analysis, i) for i in range(len(labels.schema))],
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
    split = analysis.splits[name]
    counts, names = split.labels, split.labels.schema.names
    named = counts.violation_rows or [()] * len(counts.violations)
    rules = list(zip(counts.schema.rules, counts.violations, named, strict=False))  # none where nobody looked
    missing = analysis.missing.get(name, ())
    return {
        "rows": counts.row_total,
        "rows_counted": counts.n_rows,
        "labels_per_row": [int(rows) for rows in split.labels_per_row],
        "mean_labels_per_row": plain(split.mean_labels),
        "rules": [
            {"rule": rule, "rows_broken": int(broken), "first_rows": [int(row) for row in rows]}
            for rule, broken, rows in rules
        ],
        "labels_without_positives": [names[i] for i in missing],
    }


def _label(analysis: Analysis, i: int, most_partners: int = 5) -> dict[str, Any]:
    found, weights, split = analysis.recommendation, analysis.weights, analysis.counts
    counts = split.labels
    name = counts.schema.names[i]
    low, high = (bound[i] for bound in split.interval()) if split.is_sample else (counts.support[i],) * 2
    return {
        "label": name,
        "is_primary": i in counts.schema.primary,
        "tier": next(tier for tier, members in counts.tiers().items() if i in members),
        "support": plain(counts.support[i]),
        "support_interval": [plain(np.floor(low)), plain(np.ceil(high))] if split.is_sample else None,
        "unknown": plain(split.labels.unknown[i]),
        "prevalence": plain(counts.prevalence[i]),
        "negative_positive": plain(counts.negative_positive[i]),
        "imbalance_ratio": plain(counts.imbalance_ratio[i]),
        "irlbl": plain(split.labels.irlbl[i]),
        "weight": plain(weights.values[i]),
        "weight_reason": weights.reasons[i],
        "weight_before_cap": plain((weights.clamped or {})[name]) if name in (weights.clamped or {}) else None,
        "support_by_split": {s: plain(c.labels.support[i]) for s, c in analysis.splits.items()},
        "shifts": {s: _shift(shift, i) for s, shift in analysis.shifts.items()},
        "meets": [
            {"label": counts.schema.names[j], "rows": n, "implied": j in counts.schema.ancestors[i]}
            for j, n in partners(split, i)[:most_partners]
        ],
        "recall_interval": [plain(found.recall_low[i]), plain(found.recall_high[i])],
        "validation_rows_needed": plain(found.validation_rows[i]),
        "rows_to_label": plain(found.rows_to_label[i]),
        "threshold": found.threshold[i],
    }


def _shift(shift: Any, i: int) -> dict[str, Any]:
    return {
        "prevalence": plain(shift.after[i]),
        "ratio": plain(shift.ratio[i]),
        "p": plain(shift.p[i]),
        "q": plain(shift.q[i]),
        "differs": bool(shift.q[i] < shift.alpha),
    }
