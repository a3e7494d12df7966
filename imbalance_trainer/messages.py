"""The words of the monitor: an evaluation as a table, findings as warnings with what to change. Text of 80 columns.

An evaluation is a dict as `label_history.jsonl` has them (see `history`).
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .diagnosis import FASTER, LONGER, LOUDER_GAMMA, SOFTER_GAMMA, Finding
from .history import FILE_NAME
from .metrics import rarest_shown
from .tables import WIDTH, text_table
from .tuning import Tuning
from .weights import MAX_WEIGHT, ClassWeights

_SHOWN_FINDINGS, _CUSTOM_SHOWN = 8, 30

_OVERALL = ("loss", "secondary_f1_macro", "f1_macro", "f1_micro", "mean_average_precision", "primary_f1")

_TITLES = {
    "undertrained": "the model has not learned enough yet for weights to matter.",
    "zero_recall": "{labels} not found: recall stays at 0.",
    "low_precision": "{labels} predicted too often: precision is under {floor:g}.",
}


def evaluation_lines(
    entry: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    train_support: Mapping[str, float] | None = None,
    at_half: Mapping[str, float] | None = None,
) -> list[str]:
    """An evaluation for a person: overall metrics, a table with the rarest label first, and what stands out.

    Args:
        entry: the evaluation.
        before: the one before it, for the changes.
        train_support: positives in training by label, which say what is rare; else those of the evaluation do.
        at_half: the metrics at 0.5, where thresholds are tuned.
    """
    metrics, last = entry["metrics"], (before or {}).get("metrics", {})
    parts = [_place(entry)]
    for name in _OVERALL:
        if name in metrics:
            change = f" ({metrics[name] - last[name]:+.3f})" if name == "secondary_f1_macro" and name in last else ""
            parts.append(f"{name} {metrics[name]:.4f}" if name == "loss" else f"{name} {metrics[name]:.3f}{change}")
    lines = ["", *_wrapped(parts), *_label_lines(entry, before, train_support or {})]
    silent, unsupported = (int(metrics.get(k, 0)) for k in ("n_labels_without_recall", "n_labels_without_support"))
    notes = [f"{silent} of {len(entry['labels'])} labels have recall 0"] if silent else []
    if not silent and unsupported < len(entry["labels"]):
        notes = ["every label is found" if not unsupported else "every label that has positives here is found"]
    if unsupported:
        notes.append(f"{unsupported} without a positive in this data (0 in every macro value)")
    if metrics.get("violation_rate"):
        notes.append(f"implications broken in {metrics['violation_rate']:.1%} of rows before closing")
    lines += _wrapped(notes)
    if at_half is not None:
        silent = int(at_half["n_labels_without_recall"])
        values = [f"{name} {at_half[name]:.3f}" for name in ("secondary_f1_macro", "f1_macro", "f1_micro")]
        lines += _wrapped([f"decided by tuned thresholds; at 0.5: {values[0]}", *values[1:], f"{silent} at recall 0"])
    return lines


def tuning_lines(tuning: Tuning, train_support: Mapping[str, float] | None = None) -> list[str]:
    """Thresholds with their intervals, and F1 at 0.5 and tuned, rarest label first; then what that does to the whole.

    Args:
        tuning: what was tuned.
        train_support: positives in training by label, which say what is rare; else those of the data at hand do.
    """
    thresholds, names = tuning.thresholds, tuning.rule.schema.names
    rarity = [thresholds.support[i] if train_support is None else train_support[name] for i, name in enumerate(names)]
    order = np.argsort(rarity, kind="stable")
    shown = rarest_shown(order)
    cells = []
    for i in shown:
        low, high = thresholds.low[i], thresholds.high[i]
        interval = "-" if np.isnan(low) else f"{low:.2f}-{high:.2f}"
        floor = "" if thresholds.reached[i] else "!"
        f1 = [f"{table.f1[i]:.2f}" for table in (tuning.at_half_table, tuning.held_out_table)]
        cells.append([names[i], f"{thresholds.support[i]:,}", f"{thresholds.thresholds[i]:.3f}{floor}", interval, *f1])
    header = ["label (rarest first)", "support", "threshold", "95% range", "F1 at 0.5", "tuned"]
    lines = ["", f"Thresholds tuned on {tuning.n_rows:,} rows; one for all labels would be {thresholds.shared:.3f}:"]
    lines += text_table(header, cells)
    if len(shown) < len(order):
        lines.append(f"... and {len(order) - len(shown)} more labels, in the model's config")
    if not thresholds.reached.all():
        lines += _wrapped([f"! the floor is not reached ({int((~thresholds.reached).sum())} labels)"])
    before, after = tuning.at_half, tuning.held_out
    overall = ("secondary_f1_macro", "f1_macro", "f1_micro")
    values = [f"{name} {before[name]:.3f} -> {after[name]:.3f}" for name in overall]
    silent = [int(metrics["n_labels_without_recall"]) for metrics in (before, after)]
    lines += _wrapped([f"0.5 -> tuned: {values[0]}", *values[1:], f"labels at recall 0 {silent[0]} -> {silent[1]}"])
    what = "Tuned: each fifth of the rows is decided by thresholds of the other four"
    lines += _wrapped([f"{what}. Range: of the threshold, when rows are drawn anew."])
    if tuning.calibration is not None:
        errors = [getattr(tuning.calibration, f"error_{when}").mean() for when in ("before", "after")]
        lines += _wrapped([f"Calibration: mean expected calibration error {errors[0]:.3f} -> {errors[1]:.3f}"])
    return lines


@dataclass(frozen=True)
class Settings:
    """What is in use, so that advice can say from what to what.

    Args:
        class_weights: the weights; None with the stock Trainer.
        max_weight: their cap.
        focal_gamma: gamma, None where there is none.
        min_precision: the floor under which precision is warned of.
        learning_rate: the largest one.
        num_epochs: passes over the training data; None where the number of steps is set.
    """

    class_weights: ClassWeights | None = None
    max_weight: float = MAX_WEIGHT
    focal_gamma: float | None = None
    min_precision: float = 0.5
    learning_rate: float | None = None
    num_epochs: float | None = None


def warning_lines(findings: Sequence[Finding], settings: Settings) -> list[str]:
    """Findings with their evidence, and below them, once for all, what to change. No lines without findings."""
    lines, shown = [], []
    for kind, title in _TITLES.items():
        mine = [f for f in findings if f.kind == kind]
        if not mine:
            continue
        labels = "1 label" if len(mine) == 1 else f"{len(mine)} labels"
        lines += ["", f"WARNING: {title.format(labels=labels, floor=settings.min_precision)}"]
        for finding in mine[:_SHOWN_FINDINGS]:
            label = f"{finding.label}: " if finding.label else ""
            weight = "" if finding.weight is None else f"; weight {finding.weight:.3g}"
            lines += _wrapped([f"{label}{finding.evidence}{weight}"], "  - ")
        if len(mine) > _SHOWN_FINDINGS:
            lines.append(f"  - ... and {len(mine) - _SHOWN_FINDINGS} more")
        shown += mine[:_SHOWN_FINDINGS]
    return lines + _advice_lines(shown, settings) if shown else []


def _advice_lines(findings: Sequence[Finding], settings: Settings) -> list[str]:
    weights, kinds = settings.class_weights, {f.kind for f in findings}
    if weights is None:
        return ["  What to change: use WeightedFocalTrainer in place of Trainer; it weighs rare labels."]
    if "undertrained" in kinds:
        return _wrapped([_longer_or_faster(settings)], "  What to change, before any weight: ")
    if not weights.asked_for and "zero_recall" in kinds:
        return ["  What to change: --class_weights auto (now none), which weighs rare labels."]
    if all(f.evaluations == 1 for f in findings):
        start = "  This often passes in the next epochs. What to change if it does not:"
    else:
        start = f"  What to change (a weight never goes past {settings.max_weight:g}):"
    lines = []
    new = {f.label: round(f.new_weight, 2) for f in findings if f.new_weight is not None}
    if new:  # with the custom weights in force, so that the line can be pasted as it is
        kept = weights.custom if len(weights.custom) <= _CUSTOM_SHOWN else ()
        in_force = weights.as_dict()
        pasted = {**{name: round(in_force[name], 4) for name in kept}, **new}
        where = "class_weights= this dict" if kept == weights.custom else "change these in your class_weights"
        quoted = json.dumps(pasted, ensure_ascii=False).replace("'", "'\"'\"'")  # as a shell takes it
        lines += [f"    --custom_weights '{quoted}'", f"    (in Python: {where})"]
    at_the_cap = [f.label for f in findings if f.kind == "zero_recall" and (f.weight or 0) >= settings.max_weight]
    if at_the_cap:
        start_cap = f"    at the cap of {settings.max_weight:g} already, where more is unstable: "
        lines += _wrapped(at_the_cap, start_cap)
    gamma, target = settings.focal_gamma, {"zero_recall": LOUDER_GAMMA, "low_precision": SOFTER_GAMMA}
    wanted = target[next(iter(kinds))] if len(kinds) == 1 else None  # one kind wants it larger, the other smaller
    if None not in (gamma, wanted) and (gamma < wanted if "zero_recall" in kinds else gamma > wanted):
        also = "if that is not enough: " if new else ""
        lines.append(f"    {also}--focal_gamma {wanted:g} (now {gamma:g}; in Python focal_gamma=)")
    return [start, *lines] if lines else []


def _longer_or_faster(settings: Settings) -> str:
    ways = []
    if settings.num_epochs:
        ways.append(f"--num_epochs {settings.num_epochs * LONGER:g} (now {settings.num_epochs:g})")
    else:
        ways.append(f"{LONGER} times the steps")
    if settings.learning_rate:
        ways.append(f"--learning_rate {settings.learning_rate * FASTER:.0e} (now {settings.learning_rate:.0e})")
    return " or ".join(ways)


def _label_lines(
    entry: Mapping[str, Any], before: Mapping[str, Any] | None, train_support: Mapping[str, float]
) -> list[str]:
    old = {row["label"]: row for row in (before or {}).get("labels", ())}
    rows = sorted(entry["labels"], key=lambda row: train_support.get(row["label"], row["support"]))
    shown = rarest_shown(rows)
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
