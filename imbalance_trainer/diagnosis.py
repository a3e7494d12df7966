"""Metric history -> findings: what is wrong with which label, on what evidence, and what to change.

A history is a list of evaluations, oldest first, each a dict as `label_history.jsonl` has them: `step`, `epoch`,
`metrics` and `labels`, a list with one dict per label (label, support, predicted, true_positives, weight). Rules are
pure functions of it. Advice follows the troubleshooting table of the note that this project grew from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .arrays import wilson_interval
from .weights import MAX_WEIGHT

RAISE_BY, LOWER_BY = 1.5, 0.7
"""The note's steps: a weight of 10 goes to 15 where recall is 0, and to 7 where a label is predicted too often."""

LOUDER_GAMMA, SOFTER_GAMMA = 3.0, 1.5
"""The note's other values of focal_gamma."""

_CHANCE = 3.0  # times the label's share: less average precision than that says little

LONGER, FASTER = 3, 5
"""Where hardly anything is learned: so many times the epochs, or so many times the learning rate."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a label, or with all of them.

    Args:
        kind: "undertrained", "zero_recall" or "low_precision".
        label: its name; "" where it is about the model as a whole.
        evidence: the numbers, in a few words.
        weight: the class weight now; None where it is not known (with the stock Trainer).
        new_weight: the weight to try, None where the weight is at its limit or not known.
        evaluations: how many evaluations in a row show it, up to the last.
    """

    kind: str
    label: str
    evidence: str
    weight: float | None = None
    new_weight: float | None = None
    evaluations: int = 1


def diagnose(
    history: Sequence[dict[str, Any]],
    patience: int = 2,
    max_weight: float = MAX_WEIGHT,
    min_precision: float = 0.5,
) -> list[Finding]:
    """What is wrong at the last evaluation. A model that has hardly learned yet has that one finding and no others:
    neither its silent labels nor its imprecise ones say anything of the weights."""
    silent = find_zero_recall(history, patience, max_weight)
    return (
        find_undertrained(history, patience)
        or find_unranked(history, [finding.label for finding in silent])
        or silent + find_low_precision(history, min_precision)
    )


def find_undertrained(history: Sequence[dict[str, Any]], patience: int = 2) -> list[Finding]:
    """One finding where most labels, and half of the commoner half of them, had recall 0 in `patience` evaluations.

    Rarity is no reason then: the model predicts a few labels everywhere, as it does early in training.
    """
    rows = sorted(history[-1]["labels"] if history else (), key=lambda row: -row["support"])
    rows = [row for row in rows if row["support"]]
    silent = {label: since for label, since in _evaluations_in_a_row(history, _is_silent).items() if since >= patience}
    commoner = rows[: (len(rows) + 1) // 2]
    if not silent or 2 * len(silent) <= len(rows) or 2 * sum(r["label"] in silent for r in commoner) < len(commoner):
        return []
    commonest = next(row for row in rows if row["label"] in silent)
    evidence = f"{len(silent)} of {len(rows)} labels have recall 0, even {commonest['label']!r} with its "
    evidence += f"{commonest['support']:,} positives here"
    average = [e["metrics"].get("mean_average_precision") for e in history[-2:] if e.get("metrics")]
    if len(average) == 2 and None not in average:
        evidence += f"; mean average precision {average[0]:.3f} -> {average[1]:.3f}"
    return [Finding("undertrained", "", evidence, evaluations=max(silent.values()))]


def find_unranked(history: Sequence[dict[str, Any]], silent: Sequence[str]) -> list[Finding]:
    """One finding where half of the silent labels rank no better than chance, and the model is still on its way.

    Average precision is about the label's share of the rows where scores say nothing of it; a weight shifts scores
    and puts nothing in order. On its way is a model of which half of the labels are silent, or whose mean average
    precision rose by a twentieth since the last evaluation.

    Args:
        history: the evaluations.
        silent: labels whose recall stays at zero.
    """
    if not silent:
        return []
    rows = [
        row for row in history[-1]["labels"] if row["label"] in silent and row.get("average_precision") is not None
    ]
    chance = [row for row in rows if row["average_precision"] < _CHANCE * row["prevalence"]]
    average = [e.get("metrics", {}).get("mean_average_precision") or 0.0 for e in history[-2:]]
    rising = len(average) == 2 and average[1] > 1.05 * average[0]
    with_support = sum(bool(row["support"]) for row in history[-1]["labels"])
    if not chance or 2 * len(chance) < len(rows) or not (rising or 2 * len(silent) >= with_support):
        return []
    rarest = min(chance, key=lambda row: row["support"])
    evidence = (
        f"{len(silent)} of {with_support} labels have recall 0, and {len(chance)} of them rank no better than chance "
        f"({rarest['label']}: average precision {rarest['average_precision']:.2g} at a share of "
        f"{rarest['prevalence']:.2g} of the rows); mean average precision {average[0]:.3f} -> {average[-1]:.3f}"
    )
    return [Finding("undertrained", "", evidence, evaluations=2)]


def find_zero_recall(
    history: Sequence[dict[str, Any]], patience: int = 2, max_weight: float = MAX_WEIGHT
) -> list[Finding]:
    """Labels with support of which nothing was found in the last `patience` evaluations, rarest first."""
    since = _evaluations_in_a_row(history, _is_silent)
    findings = []
    for now in sorted(history[-1]["labels"] if history else (), key=lambda row: row["support"]):
        count = since.get(now["label"], 0)
        if count < patience:
            continue
        _, upper = wilson_interval(0, now["support"])
        evidence = (
            f"0 of {now['support']} found in the last {count} evaluations (95% interval of recall: 0 to {upper:.2f})"
        )
        if now["predicted"]:
            evidence += f", {now['predicted']} predicted"
        if now.get("average_precision"):
            evidence += f", average precision {now['average_precision']:.2f}"
        weight = now.get("weight")
        raised = None if weight is None else min(weight * RAISE_BY, max_weight)
        raised = None if raised == weight else raised
        if now.get("train_support") == 0:
            evidence, raised = f"0 of {now['support']} found, and the training data has no positive of it", None
        findings.append(Finding("zero_recall", now["label"], evidence, weight, raised, count))
    return findings


def find_low_precision(history: Sequence[dict[str, Any]], floor: float = 0.5, min_predicted: int = 5) -> list[Finding]:
    """Labels that were predicted at least `min_predicted` times, fewer than `floor` of them rightly; worst first.

    A label of which nothing is found is left to `find_zero_recall`: to lower its weight would be the wrong advice.
    """

    def is_low(row: dict[str, Any]) -> bool:
        predicted, right = row["predicted"], row["true_positives"]
        return predicted >= min_predicted and right / predicted < floor and (right > 0 or not row["support"])

    since = _evaluations_in_a_row(history, is_low)
    findings = []
    for row in (row for row in (history[-1]["labels"] if history else ()) if row["label"] in since):
        predicted, right = row["predicted"], row["true_positives"]
        evidence = f"{right} of {predicted} predictions are right (precision {right / predicted:.2f})"
        weight = row.get("weight")
        lowered = None if weight is None else max(weight * LOWER_BY, min(1.0, weight))
        lowered = None if lowered == weight else lowered
        found = Finding("low_precision", row["label"], evidence, weight, lowered, since[row["label"]])
        findings.append((right / predicted, found))
    return [finding for _, finding in sorted(findings, key=lambda pair: pair[0])]


def _is_silent(row: dict[str, Any]) -> bool:
    """Whether nothing was found of a label that had positives."""
    return bool(row["support"]) and not row["true_positives"]


def _evaluations_in_a_row(
    history: Sequence[dict[str, Any]], holds: Callable[[dict[str, Any]], bool]
) -> dict[str, int]:
    """For each label of which something holds at the last evaluation, at how many in a row, counted back from it."""
    since: dict[str, int] = {}
    for back, evaluation in enumerate(reversed(history)):
        still = {row["label"] for row in evaluation["labels"] if holds(row)}
        still = still if back == 0 else {label for label in still if since.get(label) == back}
        if not still:
            break
        since.update(dict.fromkeys(still, back + 1))
    return since
