"""Findings about a run as a whole: from the losses and from the metrics over all labels.

Each rule is a pure function of the evaluations (see `history`), oldest first. Its limits are its arguments.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any

import numpy as np

from ..utils.numeric import is_number
from .findings import (
    ERROR,
    GOOD,
    LARGER_GAMMA,
    NOTE,
    WARNING,
    Finding,
    Rows,
    Settings,
    evaluations_in_a_row,
    has_zero_recall,
    is_near_chance,
    last_rows,
    metric_series,
)

_F1, _AVERAGE_PRECISION = "secondary_f1_macro", "mean_average_precision"


def find_nan(history: Rows, settings: Settings) -> list[Finding]:
    """A loss in training or evaluation that is NaN or infinite. The model is lost from there on."""
    if not history:
        return []
    last = history[-1]
    where = []
    if "loss" in last.get("metrics", {}) and not is_number(last["metrics"]["loss"]):
        where.append(f"the evaluation loss at step {last['step']:,}")
    broken = [step for step, loss in last.get("train_losses", ()) if not is_number(loss)]
    if broken:
        where.append(f"the training loss at step {broken[0]:,}")
    if not where:
        return []
    ways = f"--max_grad_norm 1, --bf16 in place of --fp16, or {_slower(settings)}"
    advice = f"stop, and restart from an earlier checkpoint with {ways}."
    return [Finding("nan", "", ERROR, " and ".join(where), advice)]


def find_learning_rate_too_high(
    history: Rows, settings: Settings, patience: int = 2, near: float = 1.1
) -> list[Finding]:
    """Scores that rank no label better than chance, as after steps that were too large (Mosbach et al., 2021, "On the
    Stability of Fine-tuning BERT").

    Where every row has the same score, average precision is the label's share of the rows. The median label has less
    than `near` times that at `patience` evaluations, and the learning rate is above what encoders are fine-tuned with
    (1e-4).
    """
    if len(history) < patience or settings.learning_rate is None or settings.learning_rate <= 1e-4:
        return []
    times_chance = [_times_chance(entry) for entry in history]
    at_chance = list(takewhile(lambda times: times is not None and times < near, reversed(times_chance)))
    if len(at_chance) < patience:
        return []
    average = history[-1]["metrics"].get(_AVERAGE_PRECISION)
    evidence = f"average precision is {times_chance[-1]:.2f} times chance in the median label"
    evidence += f" (mean {average:.3f})" if is_number(average) else ""
    losses = _train_losses(history)
    if len(losses) > 1:
        evidence += f"; training loss {losses[0]:.3g} -> {losses[-1]:.3g}"
    advice = f"--warmup_steps 0.1 and {_slower(settings)}."
    return [Finding("learning_rate_too_high", "", WARNING, evidence, advice, evaluations=len(at_chance))]


def find_undertrained(history: Rows, settings: Settings, patience: int = 2) -> list[Finding]:
    """One finding where most labels, and half of the commoner half, have zero recall in `patience` evaluations.

    Rarity is not the reason then: early in training a model predicts a few labels everywhere. Labels that are dropped
    for their parent do not count.
    """
    rows = sorted((row for row in last_rows(history) if row["support"]), key=lambda row: -row["support"])
    since = evaluations_in_a_row(history, has_zero_recall)
    is_zero = [since[row["label"]] >= patience and not row.get("found_before_closing") for row in rows]
    half = (len(rows) + 1) // 2
    if 2 * sum(is_zero) <= len(rows) or 2 * sum(is_zero[:half]) < half:
        return []
    zero = [row for row, is_one in zip(rows, is_zero, strict=True) if is_one]
    evidence = f"{len(zero)} of {len(rows)} labels have recall 0, even {zero[0]['label']!r} with its "
    evidence += f"{zero[0]['support']:,} positives here"
    average = metric_series(history[-2:], _AVERAGE_PRECISION)
    if len(average) == 2 and None not in average:
        evidence += f"; mean average precision {average[0]:.3f} -> {average[1]:.3f}"
    return [_undertrained(history, settings, evidence, max(since[row["label"]] for row in zero))]


def find_unranked(history: Rows, settings: Settings, not_learned: Sequence[str]) -> list[Finding]:
    """One finding where half of the labels in `not_learned` rank no better than chance, and the model still learns.

    A weight shifts scores and does not rank rows. The model still learns where half of the labels have zero recall, or
    where mean average precision rose by a twentieth since the evaluation before.

    Args:
        history: the evaluations.
        settings: for the advice.
        not_learned: labels whose recall stays at zero.
    """
    rows = last_rows(history)
    ranked = [r for r in rows if r["label"] in not_learned and r.get("average_precision") is not None]
    by_chance = [row for row in ranked if is_near_chance(row)]
    average = [value or 0.0 for value in metric_series(history[-2:], _AVERAGE_PRECISION)]
    is_rising = len(average) == 2 and average[1] > 1.05 * average[0]
    with_support = sum(bool(row["support"]) for row in rows)
    if not by_chance or 2 * len(by_chance) < len(ranked) or not (is_rising or 2 * len(not_learned) >= with_support):
        return []
    rarest = min(by_chance, key=lambda row: row["support"])
    evidence = (
        f"{sum(map(has_zero_recall, rows))} of {with_support} labels have recall 0, and {len(by_chance)} of them rank "
        f"no better than chance ({rarest['label']}: average precision {rarest['average_precision']:.2g} at a share of "
        f"{rarest['prevalence']:.2g} of the rows); mean average precision {average[0]:.3f} -> {average[-1]:.3f}"
    )
    return [_undertrained(history, settings, evidence, 1)]


def _undertrained(history: Rows, settings: Settings, evidence: str, count: int) -> Finding:
    """A note in the first half of the epochs, where it is normal."""
    epoch, epochs = history[-1].get("epoch"), settings.num_epochs
    early = epoch is not None and epochs is not None and epoch < epochs / 2
    if early:
        evidence += f"; epoch {epoch:.2g} of {epochs:g}"
    first = "nothing yet; if it stays so, " if early else ""
    advice = f"{first}train longer or faster: {_longer_or_faster(settings)}."
    return Finding("undertrained", "", NOTE if early else WARNING, evidence, advice, evaluations=count)


def find_oscillating_loss(
    history: Rows, settings: Settings, min_values: int = 6, size: float = 0.3, reversals: float = 0.5
) -> list[Finding]:
    """A training loss that goes up and down. The note: "reduce learning rate (2e-5 -> 1e-5)".

    In the last half of the logged values (`min_values` at least) the median step is `size` of the median loss or more,
    `reversals` of the steps or more change direction, and the loss does not fall. One bump changes none of these.
    """
    logged = [loss for loss in _train_losses(history) if is_number(loss)]
    losses = np.array(logged[len(logged) // 2 :] if len(logged) >= 2 * min_values else logged)
    if len(losses) < min_values:
        return []
    steps, level = np.diff(losses), np.median(losses)
    typical = np.median(np.abs(steps))
    turns = np.mean(steps[1:] * steps[:-1] < 0)
    middle = len(losses) // 2
    fell = np.median(losses[middle:]) < 0.9 * np.median(losses[:middle])
    if level <= 0 or typical < size * level or turns < reversals or fell:
        return []
    evidence = (
        f"from one logged value to the next it moves by {typical / level:.0%} of its size (median of {len(steps)} "
        f"steps), turning at {turns:.0%} of them, between {losses.min():.3g} and {losses.max():.3g}"
    )
    advice = f"{_rate(settings, 0.5)}, or a larger --per_device_train_batch_size."
    return [Finding("oscillating_loss", "", WARNING, evidence, advice)]


def find_overfitting(history: Rows, settings: Settings, patience: int = 2, rise: float = 0.05) -> list[Finding]:
    """An evaluation loss that rises at `patience` evaluations in a row, to `rise` over its lowest value, while the
    training loss falls (Prechelt, 1998, "Early Stopping - But When?"). A note where secondary_f1_macro still rises."""
    losses = metric_series(history, "loss")
    if len(losses) <= patience or not all(map(is_number, losses)) or not _is_one_loss(history):
        return []
    rising = all(b > a for a, b in pairwise(losses[-patience - 1 :]))
    lowest = int(np.argmin(losses))
    train = [[loss for _, loss in entry.get("train_losses", ())] for entry in (history[lowest], history[-1])]
    if not rising or losses[-1] < (1 + rise) * losses[lowest] or not all(train):
        return []
    before, now = (float(np.mean(part)) for part in train)
    if not now < before:
        return []
    f1 = [value or 0.0 for value in metric_series(history, _F1)]
    gains = int(np.argmax(f1)) == len(f1) - 1
    evidence = (
        f"evaluation loss {losses[lowest]:.4g} (step {history[lowest]['step']:,}) -> {losses[-1]:.4g}, training loss "
        f"{before:.4g} -> {now:.4g}, {_F1} {f1[lowest]:.3f} -> {f1[-1]:.3f}"
    )
    if gains:
        advice = "nothing yet, as the rare labels still gain; keep --load_best_model_at_end."
        return [Finding("overfitting", "", NOTE, evidence, advice)]
    best = history[int(np.argmax(f1))]
    epochs = (
        f"--num_train_epochs {math.ceil(best['epoch'])}"
        if best.get("epoch")
        else f"the model of step {best['step']:,}"
    )
    advice = f"--load_best_model_at_end with --metric_for_best_model {_F1}, {epochs}, or --weight_decay 0.1."
    return [Finding("overfitting", "", WARNING, evidence, advice)]


def find_improving(history: Rows, settings: Settings, min_evaluations: int = 3, gain: float = 0.01) -> list[Finding]:
    """The note's "good training": secondary_f1_macro rises at each of `min_evaluations` or more, by `gain` in all, and
    no label has zero recall."""
    f1 = metric_series(history, _F1)
    if len(f1) < min_evaluations or not all(map(is_number, f1)) or any(map(has_zero_recall, last_rows(history))):
        return []
    if any(b <= a for a, b in pairwise(f1)) or f1[-1] - f1[0] < gain:
        return []
    evidence = f"{_F1} " + " -> ".join(f"{value:.3f}" for value in [f1[0], *f1[-2:]])
    return [Finding("improving", "", GOOD, f"{evidence}, up at all {len(f1)} evaluations")]


def find_plateau(history: Rows, settings: Settings, patience: int = 3, gain: float = 0.005) -> list[Finding]:
    """No gain over the best value by `gain` in `patience` evaluations, in secondary_f1_macro and in mean average
    precision. An F1 that is still 0 is no plateau."""
    f1, average = (metric_series(history, name) for name in (_F1, _AVERAGE_PRECISION))
    if len(history) <= patience or not all(map(is_number, f1)) or max(f1) <= 0:
        return []
    known = [f1, average] if all(map(is_number, average)) else [f1]
    if any(max(series[-patience:]) > max(series[:-patience]) + gain for series in known):
        return []
    best = int(np.argmax(f1))
    evidence = f"{_F1} is {f1[-1]:.3f}, its best was {f1[best]:.3f} at step {history[best]['step']:,}"
    advice = "stop here, or change what the other findings name. Longer training is not likely to help."
    since = len(history) - 1 - max(int(np.argmax(series)) for series in known)
    return [Finding("plateau", "", NOTE, evidence, advice, evaluations=max(since, patience))]


def find_compounded_reweighting(
    history: Rows, settings: Settings, over_predicted: int, strong_weight: float = 10.0, strong_repeats: float = 2.0
) -> list[Finding]:
    """Two or more strong remedies at once, each of which is meant to do it alone (Gupta et al., 2019).

    They are class weights of `strong_weight` or more (with a sampler times its repeats), a gamma of 3 or more, and a
    sampler that draws a label's rows `strong_repeats` times or more. A warning where labels are predicted too often.
    """
    weights, gamma, sampler = settings.class_weights, settings.focal_gamma, settings.sampler
    largest = 1.0 if weights is None else max(weights.values.tolist(), default=1.0)
    most_drawn = max((settings.repeats or {}).values(), default=strong_repeats) if sampler else 1.0
    strong, ways = [], []
    if largest > 1 and largest * most_drawn >= strong_weight:
        strong.append(f"class weights up to {largest:.3g}")
    if gamma is not None and gamma >= LARGER_GAMMA:
        strong.append(f"focal_gamma {gamma:g}")
        ways.append(f"--focal_gamma 2 (now {gamma:g})")
    if sampler and most_drawn >= strong_repeats:
        strong.append(f"sampler {sampler}")
    if len(strong) < 2 or not history:
        return []
    evidence = ", ".join(strong) + _multiplied(settings)
    evidence += f"; {over_predicted} labels are predicted too often" if over_predicted else ""
    ways = [*(["with a sampler --class_weights none"] if sampler else []), *ways]
    advice = f"keep one of them: {', or '.join(ways)}."
    return [Finding("compounded_reweighting", "", WARNING if over_predicted else NOTE, evidence, advice)]


def find_precision_under_target(
    history: Rows, settings: Settings, target: float = 0.6, patience: int = 2, min_predicted: int = 30
) -> list[Finding]:
    """secondary_precision under `target` at `patience` evaluations, from `min_predicted` decisions or more. The note:
    "should stay > 0.6"."""
    series = metric_series(history, "secondary_precision")
    under = list(takewhile(lambda value: is_number(value) and value < target, reversed(series)))
    if len(under) < patience:
        return []
    rows = [r for r in last_rows(history) if settings.secondary is None or r["label"] in settings.secondary]
    predicted = sum(row["predicted"] for row in rows)
    if predicted < min_predicted:
        return []
    metrics = history[-1]["metrics"]
    evidence = f"secondary_precision {series[-1]:.2f}, target {target:g}, at secondary_recall "
    evidence += f"{metrics.get('secondary_recall', 0):.2f} ({predicted:,} decisions)"
    advice = (
        "where false alarms cost more than misses: --threshold_objective recall_at_precision --threshold_floor "
        f"{target:g}."
    )
    return [Finding("precision_under_target", "", NOTE, evidence, advice, evaluations=len(under))]


# ---- small parts ----


def _multiplied(settings: Settings) -> str:
    """The label whose rows count most by weight and sampler together; "" where one of them is not in use."""
    weights = settings.class_weights.as_dict() if settings.class_weights is not None else {}
    repeats = settings.repeats or {}
    if not settings.sampler or not repeats or max(weights.values(), default=1.0) <= 1:
        return ""
    label = max(repeats, key=lambda name: weights.get(name, 1.0) * repeats[name])
    weight, times = weights.get(label, 1.0), repeats[label]
    return f": an epoch counts {label!r} {weight * times:.3g} times, weight {weight:.3g} x drawn {times:.3g} times"


def _train_losses(history: Rows) -> list[float]:
    return [loss for entry in history for _, loss in entry.get("train_losses", ()) if is_number(loss)]


def _is_one_loss(history: Rows) -> bool:
    """Whether weights and gamma are the same at each evaluation, so that losses can be compared."""
    used = [(entry.get("focal_gamma"), [row.get("weight") for row in entry["labels"]]) for entry in history]
    return all(one == used[0] for one in used)


def _times_chance(entry: Mapping[str, Any], min_support: int = 5) -> float | None:
    """The median over labels of average precision / the label's share of the rows; None where too little is known."""
    rows = [r for r in entry["labels"] if r["support"] >= min_support and r.get("average_precision") is not None]
    rows = [row for row in rows if row.get("prevalence") and row["prevalence"] < 0.5]
    return float(np.median([row["average_precision"] / row["prevalence"] for row in rows])) if rows else None


def _slower(settings: Settings, times: float = 10, most: float = 1e-3) -> str:
    """A learning rate `times` smaller, and at most `most`, above which hardly any encoder learns."""
    rate = settings.learning_rate or 0.0
    return _rate(settings, min(1 / times, most / rate) if rate else 1 / times)


def _rate(settings: Settings, times: float) -> str:
    if not settings.learning_rate:
        return "a smaller --learning_rate" if times < 1 else "a larger --learning_rate"
    return f"--learning_rate {settings.learning_rate * times:.0e} (now {settings.learning_rate:.0e})"


def _longer_or_faster(settings: Settings, longer: int = 3, faster: int = 5) -> str:
    epochs = f"{longer} times the steps"
    if settings.num_epochs:
        epochs = f"--num_train_epochs {settings.num_epochs * longer:g} (now {settings.num_epochs:g})"
    return f"{epochs} or {_rate(settings, faster)}" if settings.learning_rate else epochs
