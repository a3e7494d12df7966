"""What is wrong with single labels: never found, and why; predicted too often; cut at the cap; not to be told.

Each rule is a pure function of the evaluations (see `history`), oldest first. Its thresholds are its arguments.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..utils.numeric import wilson_interval
from .findings import (
    LOUDER_GAMMA,
    LOWER_BY,
    NOTE,
    RAISE_BY,
    SOFTER_GAMMA,
    WARNING,
    Finding,
    Settings,
    custom_weights_flag,
)

CHANCE = 3.0
"""Times a label's share of the rows: less average precision than that says little."""

_ONE_SIDED = 1.645  # z of a one-sided interval of 95%

Rows = Sequence[Mapping[str, Any]]


def find_silent(
    history: Rows,
    settings: Settings,
    patience: int = 2,
    min_support: int = 5,
    min_average_precision: float = 0.2,
    on_its_way: float = 1.25,
) -> list[Finding]:
    """Labels with support of which nothing was found in the last `patience` evaluations, rarest first, each with why.

    The note: "rare labels stuck at 0 recall -> increase weights". Before that these are ruled out, in this order: no
    row of it in training; a parent that is not decided; fewer than `min_support` positives, which say little (Wilson,
    1927); an average precision of `min_average_precision` or more, so that only the threshold is wrong (Lipton et al.,
    2014); and a weight that is at its cap. A label that is not learned is left alone, which is a note, while its
    average precision is `on_its_way` times that of the last evaluation.
    """
    since = evaluations_in_a_row(history, is_silent)
    before = {row["label"]: row.get("average_precision") for row in (history[-2]["labels"] if history[1:] else ())}
    labels = sorted(history[-1]["labels"] if history else (), key=lambda row: row["support"])
    found = []
    for row in labels:
        if since.get(row["label"], 0) >= patience:
            last = before.get(row["label"])
            is_rising = (row.get("average_precision") or 0) > on_its_way * (last or 1)
            limits = (min_support, min_average_precision)
            found.append(_why_silent(row, settings, since[row["label"]], *limits, last if is_rising else None))
    return found


def _why_silent(
    row: dict[str, Any], settings: Settings, count: int, min_support: int, ranked: float, rising_from: float | None
) -> Finding:
    name, support, weight = row["label"], row["support"], row.get("weight")
    _, upper = wilson_interval(0, support)
    evidence = f"0 of {support:,} found in the last {count} evaluations (95% interval of recall: 0 to {upper:.2f})"
    if row["predicted"]:
        evidence += f", {row['predicted']:,} predicted"
    average = row.get("average_precision")
    if average:
        evidence += f", average precision {average:.2g}"
    if row.get("train_support") == 0:
        evidence = f"0 of {support:,} found, and the training data has no positive of it"
        advice = "put rows of it into the training data; no weight, gamma or threshold can help."
        return Finding("no_positives_in_training", name, WARNING, evidence, advice, weight, evaluations=count)
    if row.get("found_before_closing"):
        return _held_down(row, settings, count)
    if support < min_support:
        enough = f"{_enough()} or more positives of each"
        advice = f"give evaluation data with {enough}: a recall of 0 would then mean something."
        return Finding("too_few_to_tell", name, NOTE, evidence, advice, weight, evaluations=count)
    if average and average >= max(ranked, CHANCE * (row.get("prevalence") or 0)) and would_find(row) > 1:
        evidence += f", highest score {row['highest_score']:.2g} at a threshold of {row['threshold']:.2g}"
        sets_it = "--tune_thresholds true (in Python trainer.tune_thresholds()) sets it"
        if settings.class_weights is None:  # the stock Trainer has neither
            sets_it = "imbalance_trainer.tune_thresholds(scores, labels) finds one for each label"
        advice = f"{threshold_advice(row)}; {sets_it}."
        return Finding("threshold_too_high", name, WARNING, evidence, advice, weight, evaluations=count)
    if rising_from is not None:
        evidence += f", from {rising_from:.2g} at the evaluation before: it is on its way"
        advice = "nothing yet; if it stays at 0, longer training."
        return Finding("not_learned", name, NOTE, evidence, advice, weight, evaluations=count)
    return _not_learned(name, evidence, settings, weight, count)


def _held_down(row: dict[str, Any], settings: Settings, count: int) -> Finding:
    over, support = row["found_before_closing"], row["support"]
    parents = settings.parents.get(row["label"], ())
    named = " or ".join(repr(parent) for parent in parents[:3]) or "a parent"
    evidence = (
        f"{over:,} of {support:,} positives are over its threshold, but {named} is not decided there, "
        "so that closing drops them"
    )
    lower = f", or a lower threshold for {named}" if parents else ""
    advice = (
        f"--hierarchy_policy add_parent (now {settings.hierarchy_policy}), which decides the parent with it{lower}."
    )
    weight = row.get("weight")
    return Finding("held_down_by_parent", row["label"], WARNING, evidence, advice, weight, evaluations=count)


def _not_learned(name: str, evidence: str, settings: Settings, weight: float | None, count: int) -> Finding:
    weights, gamma = settings.class_weights, settings.focal_gamma
    louder = LOUDER_GAMMA if gamma is not None and gamma < LOUDER_GAMMA else None
    then = "" if louder is None else f"--focal_gamma {louder:g} (now {gamma:g})"
    if weights is None or weight is None:
        advice = "use WeightedFocalTrainer in place of Trainer; it weighs rare labels."
        return Finding("not_learned", name, WARNING, evidence, advice, None, evaluations=count)
    if not weights.asked_for and settings.loss_weighs_itself:
        advice = f"another --loss, such as focal, that takes a weight for it ({settings.loss!r} takes none)."
        return Finding("not_learned", name, WARNING, evidence, advice, weight, evaluations=count)
    if not weights.asked_for:
        advice = "--class_weights auto (now none), which weighs rare labels."
        return Finding("not_learned", name, WARNING, evidence, advice, weight, evaluations=count)
    if weight >= settings.max_weight:
        evidence += f"; weight {weight:.3g}, the cap, past which training is unstable"
        advice = f"{then}, or " if then else ""
        advice += "more rows of it in training (or a look at whether its rows are labelled alike)."
        found = (advice, weight, None, louder)
        return Finding("at_the_cap", name, WARNING, evidence, *found, evaluations=count)
    raised = min(weight * RAISE_BY, settings.max_weight)
    advice = f"{custom_weights_flag({name: raised})} (now {weight:.3g}, cap {settings.max_weight:g})"
    advice += f"; if that is not enough, {then}." if then else "."
    return Finding("not_learned", name, WARNING, evidence, advice, weight, raised, louder, count)


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
    """Labels of whose predictions fewer than `floor` are right, worst first. The note: "overpredicts rare labels ->
    decrease weights (10 -> 7)", gamma to 1.5.

    Too often is `times` as often as there are positives, or more: a label that is predicted less is confused with
    others, and a lower weight would only take recall from it. And the predictions must carry it: the one-sided 95%
    interval of precision (Wilson, 1927) lies under the floor at `patience` evaluations in a row. Left out are labels
    whose precision rose by `rising` since the last evaluation, as it does early in training, and those of which
    nothing is found, which are left to `find_silent`. A note where the run improves at every evaluation.
    """
    last = {row["label"]: row for row in (history[-2]["labels"] if len(history) > 1 else ())}

    def is_rising(row: dict[str, Any]) -> bool:
        before = last.get(row["label"])
        return before is not None and _precision(row) >= _precision(before) + rising

    def is_low(row: dict[str, Any]) -> bool:
        predicted, right = row["predicted"], row["true_positives"]
        if predicted < max(min_predicted, times * row["support"]) or not (right > 0 or not row["support"]):
            return False
        return bool(wilson_interval(right, predicted, _ONE_SIDED)[1] < floor)

    since = evaluations_in_a_row(history, is_low)
    rows = [row for row in (history[-1]["labels"] if history else ()) if since.get(row["label"], 0) >= patience]
    rows = sorted((row for row in rows if not is_rising(row)), key=_precision)
    severity = NOTE if is_improving else WARNING
    return [_over_predicted(row, settings, since[row["label"]], severity) for row in rows]


def _over_predicted(row: dict[str, Any], settings: Settings, count: int, severity: str) -> Finding:
    predicted, right, weight = row["predicted"], row["true_positives"], row.get("weight")
    evidence = f"{right:,} of {predicted:,} predictions are right (precision {_precision(row):.2f})"
    if row["support"]:
        evidence += f", recall {right / row['support']:.2f}"
    gamma = settings.focal_gamma
    softer = SOFTER_GAMMA if gamma is not None and gamma > SOFTER_GAMMA else None
    ways, lowered = [], None
    if would_find(row) and row["best_threshold"] > row["threshold"] and row["best_precision"] > _precision(row):
        evidence += f"; {threshold_advice(row)}"
    if weight is not None and weight > 1 and settings.class_weights is not None:
        lowered = max(weight * LOWER_BY, 1.0)
        ways.append(f"{custom_weights_flag({row['label']: lowered})} (now {weight:.3g})")
    if softer is not None:
        ways.append(f"--focal_gamma {softer:g} (now {gamma:g})")
    advice = "; or ".join(ways) + "." if ways else ""
    return Finding("over_predicted", row["label"], severity, evidence, advice, weight, lowered, softer, count)


def find_capped(history: Rows, settings: Settings, max_recall: float = 0.5) -> list[Finding]:
    """Labels whose weight was cut at the cap and of which less than `max_recall` is surely found: the note's "never
    exceed 20x (causes instability)", so that something else has to help. Silent labels are left to `find_silent`."""
    clamped = (settings.class_weights.clamped if settings.class_weights is not None else None) or {}
    findings = []
    for row in history[-1]["labels"] if history else ():
        found, support, cap = row["true_positives"], row["support"], row.get("weight")
        if row["label"] not in clamped or not found or wilson_interval(found, support)[1] >= max_recall:
            continue
        evidence = f"{clamped[row['label']]:.3g} was asked for, {cap:.3g} is in force; recall {found / support:.2f}"
        gamma = settings.focal_gamma
        louder = (
            f"--focal_gamma {LOUDER_GAMMA:g} (now {gamma:g}), " if gamma is not None and gamma < LOUDER_GAMMA else ""
        )
        advice = f"no larger weight; --tune_thresholds true, {louder}or more rows of it."
        findings.append(Finding("capped", row["label"], NOTE, evidence, advice, cap))
    return findings


def find_unsupported(history: Rows, settings: Settings) -> list[Finding]:
    """Labels that this evaluation says nothing of: no positive, or known in no row. Their recall is 0/0, and every
    macro value counts it as 0."""
    findings = []
    for row in history[-1]["labels"] if history else ():
        if row.get("known") == 0:
            advice = "every entry is masked (blank, -1, -100); give evaluation data in which it is known."
            findings.append(Finding("unknown_here", row["label"], NOTE, "known in no row", advice))
        elif not row["support"]:
            trained = row.get("train_support")
            evidence = "no positive here" + ("" if trained is None else f", {trained:,.0f} in training")
            advice = f"move rows of it to the evaluation data ({_enough()} or more say something)."
            findings.append(Finding("no_positives_here", row["label"], NOTE, evidence, advice, row.get("weight")))
    return findings


# ---- small parts ----


def threshold_advice(row: Mapping[str, Any]) -> str:
    """What the best threshold on this evaluation would give."""
    return (
        f"threshold {row['best_threshold']:.2g} would give recall {row['best_recall']:.2f} at precision "
        f"{row['best_precision']:.2f} on this evaluation"
    )


def _precision(row: Mapping[str, Any]) -> float:
    return row["true_positives"] / row["predicted"] if row["predicted"] else 0.0


def would_find(row: Mapping[str, Any]) -> int:
    """Positives over the threshold that would be best here."""
    recall = row.get("best_recall")
    known = recall is not None and row.get("best_threshold") is not None and row.get("threshold") is not None
    return round(recall * row["support"]) if known else 0


def is_silent(row: Mapping[str, Any]) -> bool:
    """Whether nothing was found of a label that had positives."""
    return bool(row["support"]) and not row["true_positives"]


def evaluations_in_a_row(history: Rows, holds: Callable[[dict[str, Any]], bool]) -> dict[str, int]:
    """For each label of which something holds at the last evaluation, at how many in a row, counted back from it."""
    since: dict[str, int] = {}
    for back, evaluation in enumerate(reversed(history)):
        still = {row["label"] for row in evaluation["labels"] if holds(row)}
        still = still if back == 0 else {label for label in still if since.get(label) == back}
        if not still:
            break
        since.update(dict.fromkeys(still, back + 1))
    return since


def _enough(upper: float = 0.3) -> int:
    """Positives of which 0 found puts the interval of recall under `upper`."""
    n = 1
    while wilson_interval(0, n)[1] > upper:
        n += 1
    return n
