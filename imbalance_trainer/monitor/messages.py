"""The words of the monitor: an evaluation as a table, findings as warnings with what to change. Text of 80 columns.

An evaluation is a dict as `label_history.jsonl` has them (see `history`).
"""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..metrics.imbalance_metrics import rarest_shown
from ..tuning.decisions import Tuning
from ..tuning.thresholds import FEW, TunedThresholds
from ..utils.text import WIDTH, text_table
from .diagnose import Finding, Settings
from .findings import GOOD, custom_weights_flag
from .history import FILE_NAME

_SHOWN_FINDINGS, _NAMED, _CUSTOM_SHOWN = 8, 12, 30

_MOVED_SHOWN, _MOVED = 10, 0.05
"""Of many labels so many are shown beside the rarest: those whose recall changed most, by this at least."""

_WEIGHED = ("not_learned", "over_predicted")
"""Kinds of which the weights to try are told in one line."""

_NAMES_SAY_ALL = ("no_positives_here", "unknown_here")

_OVERALL = ("loss", "secondary_f1_macro", "f1_macro", "f1_micro", "mean_average_precision", "primary_f1")


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
    lines = ["", *_wrapped(overall(entry, before)), *_label_lines(entry, before, train_support or {})]
    return lines + summary_lines(entry, at_half)


def overall(entry: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> list[str]:
    """Where in the run an evaluation stands, and its overall metrics."""
    metrics, last = entry["metrics"], (before or {}).get("metrics", {})
    parts = []
    if entry["step"]:  # else it is before training, or without any
        parts = [] if entry["epoch"] is None else [f"epoch {entry['epoch']:.3g}"]
        parts.append(f"step {entry['step']:,}")
    for name in _OVERALL:
        if name in metrics:
            is_headline = name == "secondary_f1_macro" and name in last
            change = f" ({_signed(metrics[name] - last[name])})" if is_headline else ""
            value = "is not a number" if metrics[name] is None else f"{metrics[name]:.{4 if name == 'loss' else 3}f}"
            parts.append(f"{name} {value}{change}")
    return [f"{entry['split']}: {parts[0]}", *parts[1:]] if parts else [entry["split"]]


def summary_lines(entry: Mapping[str, Any], at_half: Mapping[str, float] | None = None) -> list[str]:
    """What stands out below the table."""
    metrics = entry["metrics"]
    silent, unsupported = (int(metrics.get(k, 0)) for k in ("n_labels_without_recall", "n_labels_without_support"))
    notes = [f"{silent} of {len(entry['labels'])} labels have recall 0"] if silent else []
    if not silent and unsupported < len(entry["labels"]):
        notes = ["every label is found" if not unsupported else "every label that has positives here is found"]
        by_chance = sum(map(_is_found_by_chance, entry["labels"]))
        if by_chance:
            notes.append(f"{by_chance} of them no better than by drawing rows at random")
    if unsupported:
        notes.append(f"{unsupported} without a positive in this data (0 in every macro value)")
    if metrics.get("violation_rate"):
        notes.append(f"rules of the labels broken in {metrics['violation_rate']:.1%} of rows before closing")
    lines = _wrapped(notes)
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
        floor = "" if thresholds.reached[i] else "!"
        f1 = [f"{table.f1[i]:.2f}" for table in (tuning.at_half_table, tuning.held_out_table)]
        cells.append(
            [
                names[i],
                f"{thresholds.support[i]:,}",
                f"{thresholds.thresholds[i]:.3f}{floor}",
                _range(thresholds, i),
                *f1,
            ]
        )
    header = ["label (rarest first)", "support", "threshold", "95% range", "F1 at 0.5", "tuned"]
    aim = "" if tuning.objective == "f1" else f" for {tuning.objective}"
    one = f"one for all labels would be {thresholds.shared:.3f}"
    lines = ["", *_wrapped([f"Thresholds tuned on {tuning.n_rows:,} rows{aim}; {one}:"])]
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
    few = f"; too few: under {FEW} positives" if (thresholds.tuned_on[shown] < FEW).any() else ""
    lines += _wrapped([f"{what}. Range: of the threshold, when rows are drawn anew{few}."])
    if tuning.is_worse_than_half:
        worse = "f1_macro is lower with them than at 0.5, so they are not worth it here. What to change: tune on more"
        lines += ["", *_wrapped([f"WARNING: {worse} positives, or stay at 0.5 (imbalance-trainer tune --at_half)."])]
    if tuning.calibration is not None:
        errors = [getattr(tuning.calibration, f"error_{when}").mean() for when in ("before", "after")]
        lines += _wrapped([f"Calibration: mean expected calibration error {errors[0]:.3f} -> {errors[1]:.3f}"])
    return lines


def _range(thresholds: TunedThresholds, i: int) -> str:
    low, high = thresholds.low[i], thresholds.high[i]
    if np.isnan(low):
        return "-"
    return f"{low:.2f}-{high:.2f}" if thresholds.has_range[i] else "too few"


def warning_lines(findings: Sequence[Finding], settings: Settings) -> list[str]:
    """Findings with their evidence and what to change, most severe first. No lines without findings.

    Weights and gamma are told once, below all of them, so that the line can be pasted as it is.
    """
    lines, good = [], []
    for kind, mine in _by_kind(findings).items():
        first, advice = mine[0], {finding.advice for finding in mine}
        if first.severity == GOOD:
            good += ["", *_wrapped([f"Good: {first.title} ({first.evidence})."])]
            continue
        how_many = "" if not first.label else "1 label " if len(mine) == 1 else f"{len(mine):,} labels "
        lines += ["", *_wrapped([f"{first.severity.upper()}: {how_many}{first.title}."])]
        if kind in _NAMES_SAY_ALL:
            names = [finding.label for finding in mine]
            more = [f"and {len(names) - _NAMED:,} more"] if len(names) > _NAMED else []
            lines += _wrapped([*names[:_NAMED], *more], "  - ")
        else:
            for finding in mine[:_SHOWN_FINDINGS]:
                own = _sentence(finding) if len(advice) > 1 and not _in_common(finding) else ""
                lines += _wrapped([_line(finding) + own], "  - ")
            if len(mine) > _SHOWN_FINDINGS:
                lines.append(f"  - ... and {len(mine) - _SHOWN_FINDINGS:,} more")
        if len(advice) == 1 and first.advice and not _in_common(first):
            lines += _wrapped([f"What to change: {first.advice}"], "    ")
    return lines + _weight_lines(findings, settings) + good


def flags_in_python() -> list[str]:
    """What the flags that findings name are in a script without any."""
    words = "In Python a flag is the argument of its name: --focal_gamma 3 is focal_gamma=3; --tune_thresholds is"
    return ["", *_wrapped([f"({words} trainer.tune_thresholds(), --threshold_... its TuningOptions.)"])]


def _by_kind(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    return kinds


def _line(finding: Finding) -> str:
    label = f"{finding.label}: " if finding.label else ""
    weight = "" if finding.weight is None or finding.kind == "at_the_cap" else f"; weight {finding.weight:.3g}"
    return f"{label}{finding.evidence}{weight}"


def _sentence(finding: Finding) -> str:
    return f". What to change: {finding.advice}" if finding.advice else ""


def _in_common(finding: Finding) -> bool:
    """Whether its advice is told for all labels of its kind together."""
    return finding.new_weight is not None or (finding.kind in _WEIGHED and finding.new_gamma is not None)


def _weight_lines(findings: Sequence[Finding], settings: Settings) -> list[str]:
    """The weights and the gamma to try, for all labels that were named, at once."""
    kinds = _by_kind(finding for finding in findings if finding.kind in _WEIGHED)
    findings = [finding for mine in kinds.values() for finding in mine[:_SHOWN_FINDINGS]]
    new = {f.label: round(f.new_weight, 2) for f in findings if f.new_weight is not None}
    gamma = next((f.new_gamma for f in findings if f.new_gamma is not None), None)
    gamma = (
        gamma if len(kinds) == 1 and settings.focal_gamma is not None else None
    )  # one kind wants it larger, the other smaller
    if not new and gamma is None:
        return []
    lines = [f"    What to change (a weight never goes past {settings.max_weight:g}):"]
    if new:  # with the custom weights in force, so that the line can be pasted as it is
        weights = settings.class_weights
        kept = weights.custom if len(weights.custom) <= _CUSTOM_SHOWN else ()
        in_force = weights.as_dict()
        pasted = {**{name: round(in_force[name], 4) for name in kept}, **new}
        where = "class_weights= this dict" if kept == weights.custom else "change these in your class_weights"
        lines += [f"    {custom_weights_flag(pasted)}", f"    (in Python: {where})"]
    if gamma is not None:
        also = "if that is not enough: " if new else ""
        lines.append(f"    {also}--focal_gamma {gamma:g} (now {settings.focal_gamma:g})")
    return lines


def label_cells(
    entry: Mapping[str, Any], before: Mapping[str, Any] | None, train_support: Mapping[str, float]
) -> tuple[list[str], list[list[str]], str]:
    """Header and cells of the table of labels, rarest first, and a line on the labels that it leaves out.

    Of more than 50 labels the 20 rarest are in it, and below them those whose recall changed most.
    """
    old = {row["label"]: row for row in (before or {}).get("labels", ())}
    rows = sorted(entry["labels"], key=lambda row: train_support.get(row["label"], row["support"]))
    shown, changed = rarest_shown(rows), bool(old)
    others = rows[len(shown) :]
    moved = sorted(others, key=lambda row: -abs(_change(row, old)))[:_MOVED_SHOWN]
    moved = [row for row in others if row in moved and abs(_change(row, old)) >= _MOVED]
    cells = []
    for row in [*shown, *moved]:
        weight = "-" if row["weight"] is None else f"{row['weight']:.3g}"
        measured = [_with_change(row, old.get(row["label"]), metric, changed) for metric in ("recall", "precision")]
        cells.append([row["label"], f"{row['support']:,}", weight, *measured])
    blank = " " * 6 if changed else ""
    header = [
        "rarest, then changed" if moved else "label (rarest first)",
        "support",
        "weight",
        f"recall{blank}",
        f"precision{blank}",
    ]
    rest = [row for row in others if row not in moved]
    if not rest:
        return header, cells, ""
    with_support = [row for row in rest if row["support"]]
    recall = sum(row["recall"] for row in with_support) / max(len(with_support), 1)
    silent = sum(not row["true_positives"] for row in with_support)
    note = f"... {len(rest):,} more labels: mean recall {recall:.2f}, {silent:,} at recall 0; all in {FILE_NAME}"
    return header, cells, note


def _label_lines(
    entry: Mapping[str, Any], before: Mapping[str, Any] | None, train_support: Mapping[str, float]
) -> list[str]:
    header, cells, note = label_cells(entry, before, train_support)
    return text_table(header, cells) + _wrapped([note])


def _change(row: Mapping[str, Any], old: Mapping[str, Any]) -> float:
    """How much a label's recall changed since the evaluation before."""
    last = old.get(row["label"])
    return row["recall"] - last["recall"] if last is not None and row["support"] else 0.0


def _with_change(row: Mapping[str, Any], last: Mapping[str, Any] | None, metric: str, room: bool) -> str:
    """A value and its change since the last evaluation, if `room` for that is kept in the column."""
    if not row["support" if metric == "recall" else "predicted"]:
        return f"-{' ' * 6 if room else ''}"
    change = "" if last is None else f"{row[metric] - last[metric]:+.2f}"
    change = "" if change in ("+0.00", "-0.00") else change
    return f"{row[metric]:.2f} {change:>5}" if room else f"{row[metric]:.2f}"


def _is_found_by_chance(row: Mapping[str, Any]) -> bool:
    """Whether rows drawn at random, as many as are predicted, would have as many of a label's positives, within two
    standard deviations."""
    if not (row.get("known") and row["predicted"] and row["support"]):
        return False
    expected = row["predicted"] * row["support"] / row["known"]
    return row["true_positives"] <= expected + 2 * math.sqrt(expected * (1 - row["predicted"] / row["known"]))


def _signed(change: float) -> str:
    """A change with its sign; one that rounds to nothing has gone up by nothing, not down."""
    return f"{round(change, 3) + 0.0:+.3f}"


def _wrapped(parts: Sequence[str], indent: str = "") -> list[str]:
    below = " " * (len(indent) - len(indent.lstrip()) + 2)
    return textwrap.wrap(", ".join(parts), width=WIDTH, initial_indent=indent, subsequent_indent=below)
