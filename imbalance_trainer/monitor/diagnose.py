"""From the history of a run to findings: what is wrong with which label, the evidence, and what to change.

A history is a list of evaluations of one split, oldest first, each a dict as in `label_history.jsonl` (see `history`).
Rules are pure functions of it. Their advice follows the troubleshooting table of the note that this project grew from,
and the papers that each rule names.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .findings import SEVERITIES, TITLES, WARNING
from .findings import Finding as Finding
from .findings import Settings as Settings
from .label_rules import find_capped, find_over_predicted, find_unsupported, find_zero_recall
from .run_rules import (
    find_compounded_reweighting,
    find_improving,
    find_learning_rate_too_high,
    find_nan,
    find_oscillating_loss,
    find_overfitting,
    find_plateau,
    find_precision_under_target,
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
    """Find what to say about the last evaluation, most severe first.

    A NaN loss is the only finding. Where the model has hardly learned yet, or its learning rate is too high, there are
    no findings about labels, as zero recall and low precision say nothing about the weights then.

    Args:
        history: the evaluations of one split.
        settings: the settings of the run.
        patience: evaluations in a row with zero recall, or with too many predictions, that make a finding.
        min_precision: precision under which a label is predicted too often.
        target_precision: the secondary_precision to reach.
    """
    settings = settings or Settings()
    findings = find_nan(history, settings)
    if findings:
        return findings
    zero_recall = find_zero_recall(history, settings, patience)
    improving = find_improving(history, settings)
    over = find_over_predicted(history, settings, min_precision, patience, is_improving=bool(improving))
    of_labels = [
        *zero_recall,
        *over,
        *find_capped(history, settings),
        *find_compounded_reweighting(history, settings, len(over)),
        *([] if over else find_precision_under_target(history, settings, target_precision)),
    ]
    overfitting = find_overfitting(history, settings)
    not_learned = [f.label for f in zero_recall if f.kind in ("not_learned", "at_the_cap") and f.severity == WARNING]
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
