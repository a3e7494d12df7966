"""Metric history -> findings: what is wrong with which label, on what evidence, and what to change.

A history is a list of evaluations of one split, oldest first, each a dict as `label_history.jsonl` has them (see
`history`). Rules are pure functions of it; advice follows the troubleshooting table of the note that this project
grew from, and the papers that each rule names.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .findings import SEVERITIES, TITLES, WARNING
from .findings import Finding as Finding
from .findings import Settings as Settings
from .label_rules import find_capped, find_over_predicted, find_silent, find_unsupported
from .run_rules import (
    find_improving,
    find_learning_rate_too_high,
    find_nan,
    find_oscillating_loss,
    find_overfitting,
    find_plateau,
    find_precision_under_target,
    find_stacked,
    find_undertrained,
    find_unranked,
)


def diagnose(
    history: Sequence[Mapping[str, Any]],
    settings: Settings | None = None,
    patience: int = 2,
    min_precision: float = 0.5,
    target_precision: float = 0.6,
) -> list[Finding]:
    """What is to be said of the last evaluation, most severe first.

    A loss that is not a number has no other finding beside it. A model that has hardly learned yet, or whose learning
    rate is too high, has no finding of its labels: neither silent nor imprecise ones say anything of the weights.

    Args:
        history: the evaluations of one split.
        settings: what is in use.
        patience: evaluations in a row with recall 0, or with too many predictions, before a label is told.
        min_precision: precision under which a label is predicted too often.
        target_precision: that secondary_precision should have.
    """
    settings = settings or Settings()
    findings = find_nan(history, settings)
    if findings:
        return findings
    silent = find_silent(history, settings, patience)
    improving = find_improving(history, settings)
    over = find_over_predicted(history, settings, min_precision, patience, is_improving=bool(improving))
    of_labels = [
        *silent,
        *over,
        *find_capped(history, settings),
        *find_stacked(history, settings, len(over)),
        *([] if over else find_precision_under_target(history, settings, target_precision)),
    ]
    overfitting = find_overfitting(history, settings)
    not_learned = [f.label for f in silent if f.kind in ("not_learned", "at_the_cap") and f.severity == WARNING]
    findings = (
        find_learning_rate_too_high(history, settings)
        or ([] if overfitting else find_undertrained(history, settings, patience))
        or ([] if overfitting else find_unranked(history, settings, not_learned))
        or of_labels
    )
    findings += [
        *find_oscillating_loss(history, settings),
        *overfitting,
        *find_plateau(history, settings),
        *find_unsupported(history, settings),
        *improving,
    ]
    order = list(TITLES)
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), order.index(f.kind)))
