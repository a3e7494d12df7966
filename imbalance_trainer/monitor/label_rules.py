"""Findings about single labels: zero recall and its cause, over-prediction, capped weights, no positives.

Each rule is a pure function of the evaluations (see `history`), oldest first. Its limits are its arguments.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..utils.numeric import wilson_interval
from .findings import (
    NOTE,
    WARNING,
    Finding,
    Rows,
    Settings,
    custom_weights_flag,
    evaluations_in_a_row,
    gamma_flag,
    has_zero_recall,
    is_near_chance,
    larger_gamma,
    last_rows,
)

_ONE_SIDED = 1.645  # z of a one-sided interval of 95%


def find_zero_recall(
    history: Rows,
    settings: Settings,
    patience: int = 2,
    min_support: int = 5,
    min_average_precision: float = 0.2,
    on_its_way: float = 1.25,
) -> list[Finding]:
    """Labels with zero recall in the last `patience` evaluations, rarest first, each with its cause.

    The note: "rare labels stuck at 0 recall -> increase weights". Other causes are ruled out first, in this order: no
    positives in training; a parent that is not predicted; fewer than `min_support` positives, which say little
    (Wilson, 1927); an average precision of `min_average_precision` or more, so that only the threshold is wrong
    (Lipton et al., 2014); and a weight at its cap. While average precision is `on_its_way` times that of the
    evaluation before, the finding is a note.
    """
    since = evaluations_in_a_row(history, has_zero_recall)
    before = {row["label"]: row.get("average_precision") or 0.0 for row in last_rows(history[:-1])}
    rows = [row for row in last_rows(history) if since[row["label"]] >= patience]
    found = []
    for row in sorted(rows, key=lambda row: row["support"]):
        last = before.get(row["label"], 0.0)
        is_rising = 0 < on_its_way * last < (row.get("average_precision") or 0)
        limits = (min_support, min_average_precision, last if is_rising else None)
        found.append(_cause_of_zero_recall(row, settings, since[row["label"]], *limits))
    return found


def _cause_of_zero_recall(
    row: Mapping[str, Any],
    settings: Settings,
    count: int,
    min_support: int,
    min_average_precision: float,
    rising_from: float | None,
) -> Finding:
    support, average = row["support"], row.get("average_precision")
    _, upper = wilson_interval(0, support)
    evidence = f"0 of {support:,} found in the last {count} evaluations (95% interval of recall: 0 to {upper:.2f})"
    evidence += f", {row['predicted']:,} predicted" if row["predicted"] else ""
    evidence += f", average precision {average:.2g}" if average else ""
    found = Finding("not_learned", row["label"], WARNING, evidence, "", row.get("weight"), evaluations=count)
    if row.get("train_support") == 0:
        evidence = f"0 of {support:,} found, and the training data has no positive"
        advice = "add training rows with this label. No weight, gamma or threshold can help."
        return replace(found, kind="no_positives_in_training", evidence=evidence, advice=advice)
    if row.get("found_before_closing"):
        return _held_down(found, row, settings)
    if support < min_support:
        advice = f"use evaluation data with {_enough()} or more positives of each, so that recall 0 means something."
        return replace(found, kind="too_few_to_tell", severity=NOTE, advice=advice)
    if average and average >= min_average_precision and not is_near_chance(row) and _would_find(row) > 1:
        return _threshold_too_high(found, row, settings)
    if rising_from is not None:
        evidence += f", up from {rising_from:.2g} at the evaluation before"
        return replace(found, severity=NOTE, evidence=evidence, advice="nothing yet; if it stays at 0, train longer.")
    return _not_learned(found, settings)


def _held_down(found: Finding, row: Mapping[str, Any], settings: Settings) -> Finding:
    parents = settings.parents.get(row["label"], ())
    named = " or ".join(repr(parent) for parent in parents[:3]) or "a parent"
    evidence = (
        f"{row['found_before_closing']:,} of {row['support']:,} positives are over its threshold, but {named} is not "
        "predicted there, so they are dropped"
    )
    lower = f"a lower threshold for {named}, or " if parents else ""
    advice = f"{lower}predict the parent with it: --hierarchy_policy add_parent (now {settings.hierarchy_policy})."
    return replace(found, kind="held_down_by_parent", evidence=evidence, advice=advice)


def _threshold_too_high(found: Finding, row: Mapping[str, Any], settings: Settings) -> Finding:
    scores = f", highest score {row['highest_score']:.2g} at a threshold of {row['threshold']:.2g}"
    tune = "tune it: --tune_thresholds true (in Python trainer.tune_thresholds())"
    if settings.class_weights is None:  # the stock Trainer has neither
        tune = "tune it: imbalance_trainer.tune_thresholds(scores, labels)"
    advice = f"{_threshold_advice(row)}; {tune}."
    return replace(found, kind="threshold_too_high", evidence=found.evidence + scores, advice=advice)


def _not_learned(found: Finding, settings: Settings, raise_by: float = 1.5) -> Finding:
    """The note's step: a weight of 10 goes to 15."""
    weights, weight, gamma = settings.class_weights, found.weight, larger_gamma(settings)
    if weights is None or weight is None:
        return replace(found, advice="use WeightedFocalTrainer in place of Trainer; it weighs rare labels.")
    if not weights.asked_for and settings.takes_class_weights is False:
        return replace(found, advice=f"take a loss with class weights ({settings.loss!r} has none): --loss focal.")
    if not weights.asked_for:
        return replace(found, advice="weigh rare labels: --class_weights auto (now none).")
    if weight >= settings.max_weight:
        evidence = f"{found.evidence}; weight {weight:.3g} is the cap, above which training is unstable"
        flag = f", or {gamma_flag(settings, gamma)}" if gamma else ""
        advice = f"add training rows with this label, or check that its rows are labelled alike{flag}."
        return replace(found, kind="at_the_cap", evidence=evidence, advice=advice, new_gamma=gamma)
    new_weight = min(weight * raise_by, settings.max_weight)
    advice = f"{custom_weights_flag({found.label: new_weight})} (now {weight:.3g}, cap {settings.max_weight:g})"
    advice += f"; if that is not enough, {gamma_flag(settings, gamma)}." if gamma else "."
    return replace(found, advice=advice, new_weight=new_weight, new_gamma=gamma)


def find_over_predicted(
    history: Rows,
    settings: Settings,
    floor: float = 0.5,
    patience: int = 2,
    rising: float = 0.05,
    is_improving: bool = False,
    times: float = 1.5,
    min_predicted: int = 5,
) -> list[Finding]:
    """Labels with too many predictions of which fewer than `floor` are right, lowest precision first.

    The note: "overpredicts rare labels -> decrease weights (10 -> 7)", gamma to 1.5. Too many is `times` the positives
    or more: a label that is predicted less often is confused with others, and a lower weight would only cost recall.
    The one-sided 95% interval of precision (Wilson, 1927) must be under the floor at `patience` evaluations in a row.
    Left out are labels whose precision rose by `rising` since the last evaluation, and labels with zero recall. The
    findings are notes where the run improves at every evaluation.
    """
    before = {row["label"]: _precision(row) for row in last_rows(history[:-1])}

    def is_low(row: Mapping[str, Any]) -> bool:
        predicted, right = row["predicted"], row["true_positives"]
        is_often = predicted >= max(min_predicted, times * row["support"]) and not has_zero_recall(row)
        return is_often and bool(wilson_interval(right, predicted, _ONE_SIDED)[1] < floor)

    since = evaluations_in_a_row(history, is_low)
    rows = [row for row in last_rows(history) if since[row["label"]] >= patience]
    rows = [row for row in rows if _precision(row) < before.get(row["label"], 1) + rising]
    severity = NOTE if is_improving else WARNING
    return [_over_predicted(row, settings, since[row["label"]], severity) for row in sorted(rows, key=_precision)]


def _over_predicted(
    row: Mapping[str, Any], settings: Settings, count: int, severity: str, lower_by: float = 0.7, gamma: float = 1.5
) -> Finding:
    predicted, right, weight = row["predicted"], row["true_positives"], row.get("weight")
    evidence = f"{right:,} of {predicted:,} predictions are right (precision {_precision(row):.2f})"
    evidence += f", recall {right / row['support']:.2f}" if row["support"] else ""
    if _would_find(row) and row["best_threshold"] > row["threshold"] and row["best_precision"] > _precision(row):
        evidence += f"; {_threshold_advice(row)}"
    new_gamma = gamma if settings.focal_gamma is not None and settings.focal_gamma > gamma else None
    new_weight, ways = None, []
    if weight is not None and weight > 1 and settings.class_weights is not None:
        new_weight = max(weight * lower_by, 1.0)
        ways.append(f"{custom_weights_flag({row['label']: new_weight})} (now {weight:.3g})")
    ways += [gamma_flag(settings, new_gamma)] if new_gamma else []
    advice = "; or ".join(ways) + "." if ways else ""
    return Finding("over_predicted", row["label"], severity, evidence, advice, weight, new_weight, new_gamma, count)


def find_capped(history: Rows, settings: Settings, max_recall: float = 0.5) -> list[Finding]:
    """Labels with a weight cut at the cap and a recall surely under `max_recall`. The note: "never exceed 20x (causes
    instability)". Labels with zero recall are left to `find_zero_recall`."""
    clamped = (settings.class_weights.clamped if settings.class_weights is not None else None) or {}
    gamma = larger_gamma(settings)
    flag = f", or {gamma_flag(settings, gamma)}" if gamma else ""
    findings = []
    for row in last_rows(history):
        found, support, cap = row["true_positives"], row["support"], row.get("weight")
        if row["label"] in clamped and found and wilson_interval(found, support)[1] < max_recall:
            evidence = f"{clamped[row['label']]:.3g} was asked for, {cap:.3g} is in use; recall {found / support:.2f}"
            advice = f"no larger weight, but more training rows with this label, --tune_thresholds true{flag}."
            findings.append(Finding("capped", row["label"], NOTE, evidence, advice, cap))
    return findings


def find_unsupported(history: Rows, settings: Settings) -> list[Finding]:
    """Labels without a positive, or without a known row, in the evaluation data. Their recall is 0/0, which every
    macro value counts as 0."""
    findings = []
    for row in last_rows(history):
        if row.get("known") == 0:
            advice = "use evaluation data in which it is known; every entry is masked (blank, -1, -100)."
            findings.append(Finding("unknown_here", row["label"], NOTE, "known in no row", advice))
        elif not row["support"]:
            trained = row.get("train_support")
            evidence = "no positive here" + ("" if trained is None else f", {trained:,.0f} in training")
            advice = f"move rows with it to the evaluation data ({_enough()} or more say something)."
            findings.append(Finding("no_positives_here", row["label"], NOTE, evidence, advice, row.get("weight")))
    return findings


def _threshold_advice(row: Mapping[str, Any]) -> str:
    """Recall and precision at the best threshold on this evaluation."""
    return (
        f"threshold {row['best_threshold']:.2g} would give recall {row['best_recall']:.2f} at precision "
        f"{row['best_precision']:.2f} on this evaluation"
    )


def _precision(row: Mapping[str, Any]) -> float:
    return row["true_positives"] / row["predicted"] if row["predicted"] else 0.0


def _would_find(row: Mapping[str, Any]) -> int:
    """Positives over the best threshold on this evaluation; 0 where that is not known."""
    recall = row.get("best_recall")
    known = recall is not None and row.get("best_threshold") is not None and row.get("threshold") is not None
    return round(recall * row["support"]) if known else 0


def _enough(upper: float = 0.3) -> int:
    """Positives of which 0 found puts the upper end of recall's interval at `upper` or less."""
    n = 1
    while wilson_interval(0, n)[1] > upper:
        n += 1
    return n
