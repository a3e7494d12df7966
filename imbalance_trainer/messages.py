"""The words of the monitor: an evaluation as a table, findings as warnings with what to change. Text of 80 columns.

An evaluation is a dict as `label_history.jsonl` has them (see `history`).
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from .diagnosis import LOUDER_GAMMA, SOFTER_GAMMA, Finding
from .history import FILE_NAME
from .metrics import MAX_LABELS_SHOWN, RAREST_SHOWN
from .tables import WIDTH, text_table
from .weights import MAX_WEIGHT, ClassWeights

_SHOWN_FINDINGS = 8

_OVERALL = ("loss", "secondary_f1_macro", "f1_macro", "f1_micro", "mean_average_precision", "primary_f1")

_TITLES = {
    "zero_recall": "{labels} never found: recall stays at 0.",
    "low_precision": "{labels} predicted too often: precision is under {floor:g}.",
}


def evaluation_lines(
    entry: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    train_support: Mapping[str, float] | None = None,
) -> list[str]:
    """An evaluation for a person: overall metrics, a table with the rarest label first, and what stands out.

    Args:
        entry: the evaluation.
        before: the one before it, for the changes.
        train_support: positives in training by label, which say what is rare; else those of the evaluation do.
    """
    metrics, last = entry["metrics"], (before or {}).get("metrics", {})
    parts = [_place(entry)]
    for name in _OVERALL:
        if name in metrics:
            change = f" ({metrics[name] - last[name]:+.3f})" if name == "secondary_f1_macro" and name in last else ""
            parts.append(f"{name} {metrics[name]:.4f}" if name == "loss" else f"{name} {metrics[name]:.3f}{change}")
    lines = ["", *_wrapped(parts), *_label_lines(entry, before, train_support or {})]
    silent, unsupported = (int(metrics.get(k, 0)) for k in ("n_labels_without_recall", "n_labels_without_support"))
    notes = [f"{silent} of {len(entry['labels'])} labels have recall 0" if silent else "every label is found"]
    if unsupported:
        notes.append(f"{unsupported} without positives here, of which nothing is known")
    if metrics.get("violation_rate"):
        notes.append(f"implications broken in {metrics['violation_rate']:.1%} of rows before closing")
    return [*lines, *_wrapped(notes)]


def warning_lines(
    findings: Sequence[Finding],
    class_weights: ClassWeights | None = None,
    max_weight: float = MAX_WEIGHT,
    focal_gamma: float | None = None,
    min_precision: float = 0.5,
) -> list[str]:
    """Findings with their evidence, and below them, once for all of them, what to change. No lines without findings.

    Args:
        findings: what is to be said now.
        class_weights: the weights in use; None with the stock Trainer.
        max_weight: their cap.
        focal_gamma: gamma in use, None where there is none.
        min_precision: the floor that precision fell under.
    """
    lines, shown = [], []
    for kind, title in _TITLES.items():
        mine = [f for f in findings if f.kind == kind]
        if not mine:
            continue
        labels = "1 label" if len(mine) == 1 else f"{len(mine)} labels"
        lines += ["", f"WARNING: {title.format(labels=labels, floor=min_precision)}"]
        for finding in mine[:_SHOWN_FINDINGS]:
            weight = "" if finding.weight is None else f"; weight {finding.weight:.3g}"
            lines += _wrapped([f"{finding.label}: {finding.evidence}{weight}"], "  - ")
        if len(mine) > _SHOWN_FINDINGS:
            lines.append(f"  - ... and {len(mine) - _SHOWN_FINDINGS} more")
        shown += mine[:_SHOWN_FINDINGS]
    return lines + _advice_lines(shown, class_weights, max_weight, focal_gamma) if shown else []


def _advice_lines(
    findings: Sequence[Finding], class_weights: ClassWeights | None, max_weight: float, gamma: float | None
) -> list[str]:
    if class_weights is None:
        return ["  What to change: use WeightedFocalTrainer in place of Trainer; it weighs rare labels."]
    if all(f.evaluations == 1 for f in findings):
        start = "  This often passes in the next epochs. What to change if it does not:"
    else:
        start = f"  What to change (a weight never goes past {max_weight:g}):"
    lines = []
    new = {f.label: round(f.new_weight, 2) for f in findings if f.new_weight is not None}
    if new:  # with the custom weights in force, so that the line can be pasted as it is
        kept = class_weights.custom if len(class_weights.custom) < len(class_weights) else ()
        weights = {**{name: round(class_weights.as_dict()[name], 4) for name in kept}, **new}
        lines += [
            f"    --custom_weights '{json.dumps(weights, ensure_ascii=False)}'",
            "    (in Python: class_weights= with the same dict)",
        ]
    at_the_cap = [f.label for f in findings if f.kind == "zero_recall" and f.new_weight is None]
    if at_the_cap:
        lines += _wrapped(at_the_cap, f"    at the cap of {max_weight:g} already, where more is unstable: ")
    kinds = {f.kind for f in findings}
    target = {("zero_recall",): LOUDER_GAMMA, ("low_precision",): SOFTER_GAMMA}.get(tuple(kinds))
    if gamma is not None and target is not None and (gamma < target) == ("zero_recall" in kinds) and gamma != target:
        also = "if that is not enough: " if new else ""
        lines.append(f"    {also}--focal_gamma {target:g} (now {gamma:g})")
    return [start, *lines] if lines else []


def _label_lines(
    entry: Mapping[str, Any], before: Mapping[str, Any] | None, train_support: Mapping[str, float]
) -> list[str]:
    old = {row["label"]: row for row in (before or {}).get("labels", ())}
    rows = sorted(entry["labels"], key=lambda row: train_support.get(row["label"], row["support"]))
    shown = rows[: RAREST_SHOWN if len(rows) > MAX_LABELS_SHOWN else None]
    changed = bool(old)
    cells = []
    for row in shown:
        weight = "-" if row["weight"] is None else f"{row['weight']:.3g}"
        measured = [_with_change(row, old.get(row["label"]), metric, changed) for metric in ("recall", "precision")]
        cells.append([row["label"], f"{row['support']:,}", weight, *measured])
    blank = " " * 6 if changed else ""
    header = ["label (rarest first)", "support", "weight", f"recall{blank}", f"precision{blank}"]
    more = [f"... and {len(rows) - len(shown)} more labels, in {FILE_NAME}"] if len(shown) < len(rows) else []
    return text_table(header, cells) + more


def _with_change(row: Mapping[str, Any], last: Mapping[str, Any] | None, metric: str, room: bool) -> str:
    """A value and its change since the last evaluation, if `room` for that is kept in the column."""
    if not row["support" if metric == "recall" else "predicted"]:
        return f"-{' ' * 6 if room else ''}"
    change = "" if last is None else f"{row[metric] - last[metric]:+.2f}"
    change = "" if change in ("+0.00", "-0.00") else change
    return f"{row[metric]:.2f} {change:>5}" if room else f"{row[metric]:.2f}"


def _place(entry: Mapping[str, Any]) -> str:
    epoch = "" if entry["epoch"] is None else f"epoch {entry['epoch']:.3g}, "
    return f"{entry['split']}: {epoch}step {entry['step']:,}"


def _wrapped(parts: Sequence[str], indent: str = "") -> list[str]:
    below = " " * (len(indent) - len(indent.lstrip()) + 2)
    return textwrap.wrap(", ".join(parts), width=WIDTH, initial_indent=indent, subsequent_indent=below)
