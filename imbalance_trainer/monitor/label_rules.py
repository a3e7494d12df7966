"""Findings about single labels: zero recall and its cause, over-prediction, no positives.

Each rule is a pure function of the evaluations (see `run_files`), oldest first. Its limits are its arguments.
"""

from collections.abc import Mapping
from typing import Any

from ..utils.numeric import wilson_interval
from .findings import (
    NOTE,
    WARNING,
    Finding,
    Rows,
    Settings,
    evaluations_in_a_row,
    has_zero_recall,
    is_near_chance,
    last_rows,
    make_finding,
)

_ONE_SIDED = 1.645  # z of a one-sided interval of 95%


def find_zero_recall(
    history: Rows,
    settings: Settings,
    patience: int = 2,
    min_support: int = 5,
    min_average_precision: float = 0.2,
    on_its_way: float = 1.25,
    raise_by: float = 1.5,
    larger_gamma: float = 3.0,
) -> list[Finding]:
    """Labels with zero recall in the last `patience` evaluations, rarest first, each with its cause.

    Rule of thumb: "rare labels stuck at 0 recall -> increase weights", from 10 to 15. Other causes are ruled out
    first, in this order: no positives in training; a parent that is not predicted; fewer than `min_support` positives,
    which say little (Wilson, 1927); an average precision of `min_average_precision` or more, so that only the
    threshold is wrong (Lipton et al., 2014); and a weight at its cap. While average precision is `on_its_way` times
    that of the evaluation before, the finding is a note.
    """
    since = evaluations_in_a_row(history, has_zero_recall)
    before = {row["label"]: row.get("average_precision") or 0.0 for row in last_rows(history[:-1])}
    found = []
    for row in sorted(last_rows(history), key=lambda row: row["support"]):
        label, count, weight = row["label"], since[row["label"]], row.get("weight")
        if count < patience:
            continue
        last = before.get(label, 0.0)
        rising_from = last if 0 < on_its_way * last < (row.get("average_precision") or 0.0) else None
        kind = _cause_of_zero_recall(row, settings, min_support, min_average_precision, rising_from is not None)
        is_weighed = settings.class_weights is not None and settings.class_weights.asked_for and weight is not None
        is_weight = kind in ("not_learned", "at_the_cap") and is_weighed and rising_from is None
        is_note = kind == "too_few_to_tell" or (kind == "not_learned" and rising_from is not None)
        found.append(
            make_finding(
                kind,
                settings,
                label,
                NOTE if is_note else WARNING,
                weight,
                min((weight or 0) * raise_by, settings.max_weight) if is_weight and kind == "not_learned" else None,
                larger_gamma if is_weight and (settings.focal_gamma or larger_gamma) < larger_gamma else None,
                count,
                row=row,
                zero_found=_zero_found(row, count),
                rising_from=rising_from,
                parents=" or ".join(map(repr, settings.parents.get(label, ())[:3])),
                best_threshold=_best_threshold(row),
                enough=_enough(),
            )
        )
    return found


def _cause_of_zero_recall(
    row: Mapping[str, Any], settings: Settings, min_support: int, min_average_precision: float, is_rising: bool
) -> str:
    if row.get("train_support") == 0:
        return "no_positives_in_training"
    if row.get("found_before_closing"):
        return "held_down_by_parent"
    if row["support"] < min_support:
        return "too_few_to_tell"
    is_ranked = (row.get("average_precision") or 0.0) >= min_average_precision and not is_near_chance(row)
    if is_ranked and _would_find(row) > 1:
        return "threshold_too_high"
    weights, weight = settings.class_weights, row.get("weight")
    is_weighed = weights is not None and weights.asked_for and weight is not None
    return "at_the_cap" if is_weighed and not is_rising and (weight or 0) >= settings.max_weight else "not_learned"


def _zero_found(row: Mapping[str, Any], count: int) -> str:
    _, upper = wilson_interval(0, row["support"])
    average = row.get("average_precision")
    words = f"0 of {row['support']:,} found in the last {count} evaluations (95% interval of recall: 0 to {upper:.2f})"
    words += f", {row['predicted']:,} predicted" if row["predicted"] else ""
    return words + (f", average precision {average:.2g}" if average else "")


def find_over_predicted(
    history: Rows,
    settings: Settings,
    floor: float = 0.5,
    patience: int = 2,
    rising: float = 0.05,
    is_improving: bool = False,
    times: float = 1.5,
    min_predicted: int = 5,
    lower_by: float = 0.7,
    smaller_gamma: float = 1.5,
) -> list[Finding]:
    """Labels with too many predictions of which fewer than `floor` are right, lowest precision first.

    Rule of thumb: "overpredicts rare labels -> decrease weights (10 -> 7)", gamma to 1.5. Too many is `times` the
    positives or more: a label that is predicted less often is confused with others, and a lower weight would only cost
    recall. The one-sided 95% interval of precision (Wilson, 1927) must be under the floor at `patience` evaluations in
    a row. Left out are labels whose precision rose by `rising` since the last evaluation, and labels with zero recall.
    The findings are notes where the run improves at every evaluation.
    """
    before = {row["label"]: _precision(row) for row in last_rows(history[:-1])}

    def is_low(row: Mapping[str, Any]) -> bool:
        predicted, right = row["predicted"], row["true_positives"]
        is_often = predicted >= max(min_predicted, times * row["support"]) and not has_zero_recall(row)
        return is_often and bool(wilson_interval(right, predicted, _ONE_SIDED)[1] < floor)

    since = evaluations_in_a_row(history, is_low)
    found = []
    for row in sorted(last_rows(history), key=_precision):
        precision, weight = _precision(row), row.get("weight")
        if since[row["label"]] < patience or precision >= before.get(row["label"], 1) + rising:
            continue
        lowered = max(weight * lower_by, 1.0) if weight and weight > 1 and settings.class_weights is not None else None
        is_focal = settings.focal_gamma is not None and settings.focal_gamma > smaller_gamma
        helps = _would_find(row) and row["best_threshold"] > row["threshold"] and row["best_precision"] > precision
        found.append(
            make_finding(
                "over_predicted",
                settings,
                row["label"],
                NOTE if is_improving else WARNING,
                weight,
                lowered,
                smaller_gamma if is_focal else None,
                since[row["label"]],
                row=row,
                precision=precision,
                best_threshold=_best_threshold(row) if helps else "",
            )
        )
    return found


def find_unsupported(history: Rows, settings: Settings) -> list[Finding]:
    """Labels without a positive, or without a known row, in the evaluation data. Their recall is 0/0, which every
    macro value counts as 0."""
    kinds = ("no_positives_here", "unknown_here")
    return [
        make_finding(kinds[row.get("known") == 0], settings, row["label"], NOTE, row.get("weight"), row=row,
                     enough=_enough())
        for row in last_rows(history)
        if not row["support"]
    ]  # fmt: skip


def _best_threshold(row: Mapping[str, Any]) -> str:
    """Recall and precision at the best threshold on this evaluation; "" where it is not known."""
    if row.get("best_threshold") is None or row.get("best_recall") is None:
        return ""
    return (
        f"threshold {row['best_threshold']:.2g} would give recall {row['best_recall']:.2f} at precision "
        f"{row['best_precision']:.2f} on this evaluation"
    )


def _precision(row: Mapping[str, Any]) -> float:
    return row["true_positives"] / row["predicted"] if row["predicted"] else 0.0


def _would_find(row: Mapping[str, Any]) -> int:
    """Positives over the best threshold on this evaluation; 0 where that is not known."""
    known = all(row.get(key) is not None for key in ("best_recall", "best_threshold", "threshold"))
    return round(row["best_recall"] * row["support"]) if known else 0


def _enough(upper: float = 0.3) -> int:
    """Positives of which 0 found puts the upper end of recall's interval at `upper` or less."""
    return next(n for n in range(1, 1000) if wilson_interval(0, n)[1] <= upper)
