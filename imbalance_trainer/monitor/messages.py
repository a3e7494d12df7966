"""The words of the monitor: an evaluation as a table, thresholds as a table, findings as warnings.

A message is a list of paragraphs and tables for `console_print`. An evaluation is a dict as in `label_history.jsonl`
(see `run_files`).
"""

import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from rich.console import RenderableType

from ..metrics.imbalance_metrics import rarest_shown
from ..tuning.decisions import Tuning
from ..tuning.thresholds import FEW, TunedThresholds
from ..utils.console import bullets, text_table, verbatim
from ..utils.text import grouped
from .findings import GOOD, Finding, Settings, custom_weights_flag, gamma_flag, has_zero_recall
from .run_files import HISTORY_FILE, headline

Message = list[RenderableType]

_SHOWN_FINDINGS, _NAMED, _CUSTOM_SHOWN = 8, 12, 30

_WEIGHED = ("not_learned", "over_predicted")
"""Kinds whose weights to try are printed in one line."""

_NAMES_SAY_ALL = ("no_positives_here", "unknown_here")

_OVERALL = ("f1_macro", "f1_micro", "mean_average_precision", "primary_f1")


def evaluation_message(
    entry: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    train_support: Mapping[str, float] | None = None,
    at_half: Mapping[str, float] | None = None,
) -> Message:
    """An evaluation: overall metrics, a table with the rarest label first, by `train_support` where it is known, and a
    summary; `before` is the evaluation before it, for the changes."""
    table = _label_table(entry, before, train_support or {})
    return ["", overall(entry, before), *table, *_summary(entry, at_half)]


def overall(entry: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> str:
    """Epoch and step of an evaluation, and its overall metrics."""
    metrics, last = entry["metrics"], (before or {}).get("metrics", {})
    parts = []
    if entry["step"]:  # else it is before training, or without any
        parts = [] if entry["epoch"] is None else [f"epoch {entry['epoch']:.3g}"]
        parts.append(f"step {entry['step']:,}")
    first = headline(metrics)
    for name in dict.fromkeys(name for name in ("loss", first, *_OVERALL) if name in metrics):
        is_headline = name == first and name in last
        change = f" ({_signed(metrics[name] - last[name])})" if is_headline else ""
        value = "is not a number" if metrics[name] is None else f"{metrics[name]:.{4 if name == 'loss' else 3}f}"
        parts.append(f"{name} {value}{change}")
    return f"{entry['split']}: {', '.join(parts)}" if parts else entry["split"]


def _summary(entry: Mapping[str, Any], at_half: Mapping[str, float] | None) -> list[str]:
    metrics, labels = entry["metrics"], entry["labels"]
    zero_recall = int(metrics.get("n_labels_without_recall", 0))
    unsupported = int(metrics.get("n_labels_without_support", 0))
    notes = [f"{zero_recall} of {len(labels)} labels have recall 0"] if zero_recall else []
    if not zero_recall and unsupported < len(labels):
        notes = ["no label has recall 0" if not unsupported else "no label that has positives here has recall 0"]
        if by_chance := sum(map(_is_found_by_chance, labels)):
            notes.append(f"{by_chance} are found no better than by drawing rows at random")
    if unsupported:
        notes.append(f"{unsupported} without a positive in this data (0 in every macro value)")
    if metrics.get("violation_rate"):
        notes.append(f"label hierarchy violated in {metrics['violation_rate']:.1%} of rows before correction")
    lines = [", ".join(notes)] if notes else []
    if at_half is not None:
        values = ", ".join(f"{name} {at_half[name]:.3f}" for name in _f1_names(metrics))
        zero_recall = int(at_half["n_labels_without_recall"])
        lines.append(f"decided by tuned thresholds; at 0.5: {values}, {zero_recall} at recall 0")
    if entry.get("cross_fitted"):
        flatter = "" if entry["cross_fitted"] == "all" else " (but each label's recall and precision flatter)"
        lines.append(f"The thresholds were tuned on these very rows: shown is what cross-fitting gives{flatter}.")
    return lines


def _label_table(
    entry: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    train_support: Mapping[str, float],
    most_changed: int = 10,
    least_change: float = 0.05,
) -> Message:
    """The table of labels, and a line on the labels that it leaves out.

    Of more than 50 labels it has the 20 rarest, and the `most_changed` of the others whose recall changed by
    `least_change` or more.
    """
    old = {row["label"]: row for row in (before or {}).get("labels", ())}
    rows = sorted(entry["labels"], key=lambda row: train_support.get(row["label"], row["support"]))
    shown = rarest_shown(rows)
    others = rows[len(shown) :]
    changed = sorted(others, key=lambda row: -abs(_change(row, old)))[:most_changed]
    changed = [row for row in others if row in changed and abs(_change(row, old)) >= least_change]
    header = ["rarest, then changed" if changed else "label (rarest first)", "support", "weight"]
    header += ["recall", "", "precision", ""] if old else ["recall", "precision"]
    cells = []
    for row in [*shown, *changed]:
        weight = "-" if row["weight"] is None else f"{row['weight']:.3g}"
        recall, precision = (_with_change(row, old.get(row["label"]), name) for name in ("recall", "precision"))
        measured = [*recall, *precision] if old else [recall[0], precision[0]]
        cells.append([row["label"], f"{row['support']:,}", weight, *measured])
    table = text_table(header, cells)
    rest = [row for row in others if row not in changed]
    if not rest:
        return [table]
    recalls = [row["recall"] for row in rest if row["support"]]
    mean = sum(recalls) / max(len(recalls), 1)
    zero_recall = sum(map(has_zero_recall, rest))
    note = f"... {len(rest):,} more labels: mean recall {mean:.2f}, {zero_recall:,} at recall 0; all in {HISTORY_FILE}"
    return [table, note]


def tuning_message(tuning: Tuning, train_support: Mapping[str, float] | None = None) -> Message:
    """Tuned thresholds with their intervals, and F1 at 0.5 and tuned, rarest label first; then the overall metrics."""
    thresholds, names = tuning.thresholds, tuning.rule.schema.names
    rarity = [thresholds.support[i] if train_support is None else train_support[name] for i, name in enumerate(names)]
    order = np.argsort(rarity, kind="stable")
    shown = rarest_shown(order)
    cells = []
    for i in shown:
        mark = "" if thresholds.reached[i] else "!"
        f1 = [f"{table.f1[i]:.2f}" for table in (tuning.at_half_table, tuning.held_out_table)]
        threshold = f"{thresholds.thresholds[i]:.3f}{mark}"
        cells.append([names[i], f"{thresholds.support[i]:,}", threshold, _range(thresholds, i), *f1])
    header = ["label (rarest first)", "support", "threshold", "range", "F1 at 0.5", "tuned"]
    aim = "" if tuning.objective == "f1" else f" for {tuning.objective}"
    one = f"One for all labels would be {thresholds.shared:.3f}."
    if tuning.positive:
        one = f"The positive class is {tuning.positive!r}; the other's threshold is 1 less its."
    message: Message = ["", f"Thresholds tuned on {tuning.n_rows:,} rows{aim}. {one}", text_table(header, cells)]
    if len(shown) < len(order):
        message.append(f"... and {len(order) - len(shown)} more labels, in the model's config")
    return message + _tuning_summary(tuning, shown)


_PER = {"half": "0.5", "all": "one threshold for all", "label": "one a label"}


def _tuning_summary(tuning: Tuning, shown: Sequence[int]) -> list[str]:
    thresholds, before, after = tuning.thresholds, tuning.at_half, tuning.held_out
    lines = []
    if not thresholds.reached.all():
        lines.append(f"! the floor is not reached ({int((~thresholds.reached).sum())} labels)")
    if len(tuning.tried) > 1:
        tried = ", ".join(f"{_PER[per]} {value:.3f}" for per, value in tuning.tried.items())
        measure = "f_beta" if tuning.objective == "f_beta" else "f1"
        lines.append(f"{measure}_macro, cross-fitted: {tried}. Taken: {_PER[tuning.per]}.")
    if tuning.per == "half":
        lines.append("No thresholds do better than 0.5 on rows that they were not tuned on, so 0.5 stays.")
        return lines
    values = ", ".join(f"{name} {before[name]:.3f} -> {after[name]:.3f}" for name in _f1_names(before))
    zero_recall = [int(metrics["n_labels_without_recall"]) for metrics in (before, after)]
    lines.append(f"0.5 -> tuned: {values}, labels at recall 0 {zero_recall[0]} -> {zero_recall[1]}")
    few = f" Too few: under {FEW} positives." if (thresholds.tuned_on[shown] < FEW).any() else ""
    folds = "Tuned: each fifth of the rows with thresholds of the other four."
    lines.append(f"{folds} Range: thresholds that are as good in over 5% of resamples of the rows.{few}")
    return lines


def _range(thresholds: TunedThresholds, i: int) -> str:
    low, high = thresholds.low[i], thresholds.high[i]
    if np.isnan(low):
        return "-"
    return f"{low:.3f}-{high:.3f}" if thresholds.has_range[i] else "too few"


def warning_message(findings: Sequence[Finding], settings: Settings) -> Message:
    """Findings with their evidence and what to change, most severe first. Empty without findings.

    Weights and gamma to try are printed once, behind the last finding about them, in a line that can be pasted.
    """
    message: Message = []
    good: Message = []
    kinds = grouped(findings, attrgetter("kind"))
    last_weighed = [kind for kind in kinds if kind in _WEIGHED][-1:]
    for kind, mine in kinds.items():
        first, advice = mine[0], {finding.advice for finding in mine}
        if first.severity == GOOD:
            good += ["", f"Good: {first.title} ({first.evidence})."]
            continue
        how_many = "" if not first.label else "1 label " if len(mine) == 1 else f"{len(mine):,} labels "
        message += ["", f"{first.severity.upper()}: {how_many}{first.title}."]
        if kind in _NAMES_SAY_ALL:
            more = [f"and {len(mine) - _NAMED:,} more"] if len(mine) > _NAMED else []
            items = [", ".join([*(finding.label for finding in mine[:_NAMED]), *more])]
        else:
            items = [_item(finding, with_advice=len(advice) > 1) for finding in mine[:_SHOWN_FINDINGS]]
            items += [f"... and {len(mine) - _SHOWN_FINDINGS:,} more"] if len(mine) > _SHOWN_FINDINGS else []
        message.append(bullets(items))
        if len(advice) == 1 and first.advice and not _is_in_the_line_to_paste(first):
            message.append(bullets([f"What to change: {first.advice}"], "    "))
        if kind in last_weighed:
            message += _line_to_paste(findings, settings)
    return message + good


def flags_in_python() -> Message:
    """How to give the flags that findings name in a Python script."""
    flags = "In Python a flag is the argument of its name: --focal_gamma 3 is focal_gamma=3."
    options = "imbalance_trainer.tuning.decisions.TuningOptions"
    return ["", f"({flags} --tune_thresholds is trainer.tune_thresholds(), --threshold_... its options={options}.)"]


def was_started_with_flags() -> bool:
    """Whether the user gave flags on the command line. Those of a notebook's kernel and of launchers do not count."""
    words = [word for word in sys.argv[1:] if not re.match("--local[-_]rank", word)]
    return "ipykernel" not in sys.modules and any(word.startswith("--") for word in words)


def _item(finding: Finding, with_advice: bool) -> str:
    label = f"{finding.label}: " if finding.label else ""
    weight = "" if finding.weight is None or finding.kind == "at_the_cap" else f"; weight {finding.weight:.3g}"
    own = with_advice and finding.advice and not _is_in_the_line_to_paste(finding)
    return f"{label}{finding.evidence}{weight}" + (f". What to change: {finding.advice}" if own else "")


def _is_in_the_line_to_paste(finding: Finding) -> bool:
    return finding.new_weight is not None or (finding.kind in _WEIGHED and finding.new_gamma is not None)


def _f1_names(metrics: Mapping[str, Any]) -> Iterable[str]:
    return dict.fromkeys((headline(metrics), "f1_macro", "f1_micro"))


def _line_to_paste(findings: Sequence[Finding], settings: Settings) -> Message:
    """The weights and the gamma to try for all labels that were named."""
    kinds = grouped((finding for finding in findings if finding.kind in _WEIGHED), attrgetter("kind"))
    named = [finding for mine in kinds.values() for finding in mine[:_SHOWN_FINDINGS]]
    new = {f.label: round(f.new_weight, 2) for f in named if f.new_weight is not None}
    gammas = [f.new_gamma for f in named if f.new_gamma is not None and settings.focal_gamma is not None]
    gamma = gammas[0] if gammas and len(kinds) == 1 else None  # one kind wants it larger, the other smaller
    if not new and gamma is None:
        return []
    message: Message = [f"    What to change (a weight never goes above {settings.max_weight:g}):"]
    if new and (weights := settings.class_weights) is not None:
        kept = weights.custom if len(weights.custom) <= _CUSTOM_SHOWN else ()  # custom weights in use stay as they are
        in_use = weights.as_dict()
        pasted = {**{name: round(in_use[name], 4) for name in kept}, **new}
        where = "class_weights= this dict" if kept == weights.custom else "change these in your class_weights"
        message += [verbatim(f"    {custom_weights_flag(pasted)}"), f"    (in Python: {where})"]
    if gamma is not None:
        also = "if that is not enough: " if new else ""
        message.append(f"    {also}{gamma_flag(settings, gamma)}")
    return message


def _change(row: Mapping[str, Any], old: Mapping[str, Any]) -> float:
    """The change of a label's recall since the evaluation before."""
    last = old.get(row["label"])
    return row["recall"] - last["recall"] if last is not None and row["support"] else 0.0


def _with_change(row: Mapping[str, Any], last: Mapping[str, Any] | None, metric: str) -> list[str]:
    """A value and its change since the evaluation before; "-" where the value is not defined."""
    if not row["support" if metric == "recall" else "predicted"]:
        return ["-", ""]
    change = "" if last is None else f"{row[metric] - last[metric]:+.2f}"
    return [f"{row[metric]:.2f}", "" if change in ("+0.00", "-0.00") else change]


def _is_found_by_chance(row: Mapping[str, Any]) -> bool:
    """Whether as many rows drawn at random would find as many positives, within two standard deviations."""
    if not (row.get("known") and row["predicted"] and row["support"]):
        return False
    expected = row["predicted"] * row["support"] / row["known"]
    return row["true_positives"] <= expected + 2 * math.sqrt(expected * (1 - row["predicted"] / row["known"]))


def _signed(change: float) -> str:
    """A change with its sign; "+0.000" where it rounds to 0."""
    return f"{round(change, 3) + 0.0:+.3f}"
