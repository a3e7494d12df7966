"""What is wrong, or right, with a run as a whole: from the losses and the metrics over all labels.

Each rule is a pure function of the evaluations (see `history`), oldest first. Its thresholds are its arguments.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any

import numpy as np

from ..utils.numeric import is_number
from .findings import ERROR, GOOD, LOUDER_GAMMA, NOTE, WARNING, Finding, Settings
from .label_rules import CHANCE, Rows, evaluations_in_a_row, is_silent

LONGER, FASTER, SLOWER = 3, 5, 10
"""Where hardly anything is learned: so many times the epochs, or so many times the learning rate; where that is what
stands in the way, a learning rate so many times smaller."""

_F1 = "secondary_f1_macro"


def find_nan(history: Rows, settings: Settings) -> list[Finding]:
    """A loss that is not a number, in training or evaluation: the weights are lost from there on."""
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
    rate = _slower(settings)
    advice = (
        f"stop, go back to an earlier checkpoint, and take {rate}, --max_grad_norm 1, or --bf16 in place of --fp16."
    )
    return [Finding("nan", "", ERROR, " and ".join(where), advice)]


def find_learning_rate_too_high(
    history: Rows, settings: Settings, patience: int = 2, near: float = 1.1
) -> list[Finding]:
    """Scores that rank no label better than chance, and do not get better: what is left of an encoder after steps that
    were too large (Mosbach et al., 2021, "On the Stability of Fine-tuning BERT").

    Where every row has the same score, average precision is the label's share of the rows; so it is taken where the
    median label's is less than `near` times that, at `patience` evaluations, and the learning rate is past what
    encoders are fine-tuned with (1e-4).
    """
    if len(history) < patience or settings.learning_rate is None or settings.learning_rate <= 1e-4:
        return []
    times_chance = [_times_chance(entry) for entry in history]
    at_chance = list(takewhile(lambda times: times is not None and times < near, reversed(times_chance)))
    if len(at_chance) < patience:
        return []
    average = history[-1]["metrics"].get("mean_average_precision")
    evidence = f"average precision is {times_chance[-1]:.2f} times chance in the median label"
    evidence += f" (mean {average:.3f})" if is_number(average) else ""
    losses = _train_losses(history)
    if len(losses) > 1:
        evidence += f"; training loss {losses[0]:.3g} -> {losses[-1]:.3g}"
    advice = f"{_slower(settings)}, with --warmup_steps 0.1."
    return [Finding("learning_rate_too_high", "", WARNING, evidence, advice, evaluations=len(at_chance))]


def find_undertrained(history: Rows, settings: Settings, patience: int = 2) -> list[Finding]:
    """One finding where most labels, and half of the commoner half of them, had recall 0 in `patience` evaluations.

    Rarity is no reason then: the model predicts a few labels everywhere, as it does early in training. Labels that
    only closing drops are not among them.
    """
    rows = sorted(history[-1]["labels"] if history else (), key=lambda row: -row["support"])
    rows = [row for row in rows if row["support"]]
    held = {row["label"] for row in rows if row.get("found_before_closing")}
    since = evaluations_in_a_row(history, is_silent)
    silent = {label: count for label, count in since.items() if count >= patience and label not in held}
    commoner = rows[: (len(rows) + 1) // 2]
    if not silent or 2 * len(silent) <= len(rows) or 2 * sum(r["label"] in silent for r in commoner) < len(commoner):
        return []
    commonest = next(row for row in rows if row["label"] in silent)
    evidence = f"{len(silent)} of {len(rows)} labels have recall 0, even {commonest['label']!r} with its "
    evidence += f"{commonest['support']:,} positives here"
    average = [e.get("metrics", {}).get("mean_average_precision") for e in history[-2:]]
    if len(average) == 2 and None not in average:
        evidence += f"; mean average precision {average[0]:.3f} -> {average[1]:.3f}"
    return [_undertrained(history, settings, evidence, max(silent.values()))]


def find_unranked(history: Rows, settings: Settings, silent: Sequence[str]) -> list[Finding]:
    """One finding where half of the silent labels rank no better than chance, and the model is still on its way.

    Average precision is about the label's share of the rows where scores say nothing of it; a weight shifts scores
    and puts nothing in order. On its way is a model of which half of the labels are silent, or whose mean average
    precision rose by a twentieth since the last evaluation.

    Args:
        history: the evaluations.
        settings: for the advice.
        silent: labels whose recall stays at zero.
    """
    rows = [row for row in (history[-1]["labels"] if silent else ()) if row["label"] in silent]
    rows = [row for row in rows if row.get("average_precision") is not None]
    chance = [row for row in rows if row["average_precision"] < CHANCE * row["prevalence"]]
    average = [e.get("metrics", {}).get("mean_average_precision") or 0.0 for e in history[-2:]]
    rising = len(average) == 2 and average[1] > 1.05 * average[0]
    with_support = sum(bool(row["support"]) for row in history[-1]["labels"]) if history else 0
    if not chance or 2 * len(chance) < len(rows) or not (rising or 2 * len(silent) >= with_support):
        return []
    rarest = min(chance, key=lambda row: row["support"])
    n_silent = sum(map(is_silent, history[-1]["labels"]))
    evidence = (
        f"{n_silent} of {with_support} labels have recall 0, and {len(chance)} of them rank no better than chance "
        f"({rarest['label']}: average precision {rarest['average_precision']:.2g} at a share of "
        f"{rarest['prevalence']:.2g} of the rows); mean average precision {average[0]:.3f} -> {average[-1]:.3f}"
    )
    return [_undertrained(history, settings, evidence, 1)]


def _undertrained(history: Rows, settings: Settings, evidence: str, count: int) -> Finding:
    """A note in the first half of the epochs, where it is as it should be."""
    epoch, epochs = history[-1].get("epoch"), settings.num_epochs
    early = epoch is not None and epochs is not None and epoch < epochs / 2
    if early:
        evidence += f"; epoch {epoch:.2g} of {epochs:g}"
    advice = f"{'nothing yet; if it stays so, ' if early else ''}{_longer_or_faster(settings)}."
    return Finding("undertrained", "", NOTE if early else WARNING, evidence, advice, evaluations=count)


def find_oscillating_loss(
    history: Rows, settings: Settings, min_values: int = 6, size: float = 0.3, reversals: float = 0.5
) -> list[Finding]:
    """A training loss that goes up and down instead of down. The note: "reduce learning rate (2e-5 -> 1e-5)".

    Robust against one bump: of the last half of what was logged (`min_values` at least), the median step is `size` of
    the median loss or more, steps change their direction in `reversals` of all places or more, and the loss did not
    fall meanwhile.
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
    """The evaluation loss rose at `patience` evaluations in a row, by `rise` of its lowest in all, while the training
    loss fell (Prechelt, 1998, "Early Stopping - But When?"). A note where the rare labels still gain by it."""
    losses = [entry.get("metrics", {}).get("loss") for entry in history]
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
    f1 = [entry["metrics"].get(_F1) or 0.0 for entry in history]
    gains = int(np.argmax(f1)) == len(f1) - 1
    evidence = (
        f"evaluation loss {losses[lowest]:.4g} (step {history[lowest]['step']:,}) -> {losses[-1]:.4g}, training loss "
        f"{before:.4g} -> {now:.4g}, {_F1} {f1[lowest]:.3f} -> {f1[-1]:.3f}"
    )
    best = history[int(np.argmax(f1))]
    epochs = (
        f"--num_train_epochs {math.ceil(best['epoch'])}"
        if best.get("epoch")
        else f"the model of step {best['step']:,}"
    )
    advice = (
        "none yet: the rare labels still gain; keep --load_best_model_at_end."
        if gains
        else f"--load_best_model_at_end with --metric_for_best_model {_F1}, {epochs}, or --weight_decay 0.1."
    )
    return [Finding("overfitting", "", NOTE if gains else WARNING, evidence, advice)]


def find_improving(history: Rows, settings: Settings, min_evaluations: int = 3, gain: float = 0.01) -> list[Finding]:
    """secondary_f1_macro rose at every evaluation, `min_evaluations` at least, by `gain` in all, and no label is left
    behind at recall 0: the note's "good training"."""
    f1 = _f1(history)
    if history and any(is_silent(row) for row in history[-1]["labels"]):
        return []
    if len(f1) < min_evaluations or any(b <= a for a, b in pairwise(f1)) or f1[-1] - f1[0] < gain:
        return []
    evidence = f"{_F1} " + " -> ".join(f"{value:.3f}" for value in [f1[0], *f1[-2:]])
    return [Finding("improving", "", GOOD, f"{evidence}, up at all {len(f1)} evaluations")]


def find_plateau(history: Rows, settings: Settings, patience: int = 3, gain: float = 0.005) -> list[Finding]:
    """Neither secondary_f1_macro nor mean average precision gained `gain` over its best in `patience` evaluations. An
    F1 that is 0 still has not begun, and is no plateau."""
    values = {name: [e.get("metrics", {}).get(name) for e in history] for name in (_F1, "mean_average_precision")}
    values = {name: series for name, series in values.items() if all(map(is_number, series))}
    if len(history) <= patience or _F1 not in values:
        return []
    for series in values.values():
        if max(series[-patience:]) > max(series[:-patience]) + gain:
            return []
    f1 = values[_F1]
    if max(f1) <= 0:
        return []
    best = int(np.argmax(f1))
    evidence = f"{_F1} is {f1[-1]:.3f}, its best was {f1[best]:.3f} at step {history[best]['step']:,}"
    advice = "longer training is not likely to help; stop here, or change what the other findings name."
    since = len(history) - 1 - max(int(np.argmax(series)) for series in values.values())
    return [Finding("plateau", "", NOTE, evidence, advice, evaluations=max(since, patience))]


def find_stacked(
    history: Rows, settings: Settings, over_predicted: int, strong_weight: float = 10.0, strong_repeats: float = 2.0
) -> list[Finding]:
    """Two or more of these at once: weights of `strong_weight` or more (with a sampler: times its draws), gamma of 3
    or more, a sampler that draws the rows of a label `strong_repeats` times or more (Gupta et al., 2019). Each is made
    to do it alone; weights and repeats multiply. A warning where labels are predicted too often."""
    weights, strong = settings.class_weights, []
    largest = 1.0 if weights is None else max(weights.values.tolist(), default=1.0)
    most_drawn = max((settings.repeats or {}).values(), default=strong_repeats) if settings.sampler else 1.0
    if largest > 1 and largest * most_drawn >= strong_weight:
        strong.append(f"class weights up to {largest:.3g}")
    if settings.focal_gamma is not None and settings.focal_gamma >= LOUDER_GAMMA:
        strong.append(f"focal_gamma {settings.focal_gamma:g}")
    if settings.sampler and most_drawn >= strong_repeats:
        strong.append(f"sampler {settings.sampler}")
    if len(strong) < 2 or not history:
        return []
    evidence = ", ".join(strong) + _counts_twice(settings)
    evidence += f"; {over_predicted} labels are predicted too often" if over_predicted else ""
    ways = ["with a sampler --class_weights none"] if settings.sampler else []
    if settings.focal_gamma is not None and settings.focal_gamma >= LOUDER_GAMMA:
        ways.append(f"--focal_gamma 2 (now {settings.focal_gamma:g})")
    advice = f"keep one of them: {', or '.join(ways)}."
    return [Finding("stacked", "", WARNING if over_predicted else NOTE, evidence, advice)]


def find_precision_under_target(
    history: Rows, settings: Settings, target: float = 0.6, patience: int = 2, min_predicted: int = 30
) -> list[Finding]:
    """secondary_precision under `target` at `patience` evaluations: the note's "should stay > 0.6". Only where at
    least `min_predicted` decisions stand behind it."""
    series = [entry.get("metrics", {}).get("secondary_precision") for entry in history]
    under = list(takewhile(lambda value: is_number(value) and value < target, reversed(series)))
    if len(under) < patience:
        return []
    rows = [r for r in history[-1]["labels"] if settings.secondary is None or r["label"] in settings.secondary]
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


def _counts_twice(settings: Settings) -> str:
    """The label whose rows count most by weight and sampler together; nothing where one of them is not in use."""
    weights = settings.class_weights.as_dict() if settings.class_weights is not None else {}
    repeats = settings.repeats or {}
    both = {label: weights.get(label, 1.0) * times for label, times in repeats.items()}
    if not settings.sampler or not both or max(weights.values(), default=1.0) <= 1:
        return ""
    label = max(both, key=lambda name: both[name])
    weight, times = weights.get(label, 1.0), repeats[label]
    return f": an epoch counts {label!r} {both[label]:.3g} times, weight {weight:.3g} x drawn {times:.3g} times"


def _train_losses(history: Rows) -> list[float]:
    return [loss for entry in history for _, loss in entry.get("train_losses", ()) if is_number(loss)]


def _is_one_loss(history: Rows) -> bool:
    """Whether no weight and no gamma has moved, so that losses can be compared."""
    return all(
        entry.get("focal_gamma") == history[0].get("focal_gamma")
        and all(
            a.get("weight") == b.get("weight") for a, b in zip(entry["labels"], history[0]["labels"], strict=False)
        )
        for entry in history[1:]
    )


def _f1(history: Rows) -> list[float]:
    series = [entry.get("metrics", {}).get(_F1) for entry in history]
    return series if all(map(is_number, series)) else []


def _times_chance(entry: Mapping[str, Any], min_support: int = 5) -> float | None:
    """The median over labels of average precision over that of chance; None where too little is known."""
    rows = [r for r in entry["labels"] if r["support"] >= min_support and r.get("average_precision") is not None]
    rows = [row for row in rows if row.get("prevalence") and row["prevalence"] < 0.5]
    return float(np.median([row["average_precision"] / row["prevalence"] for row in rows])) if rows else None


def _slower(settings: Settings) -> str:
    """A tenth of the learning rate, and at most 1e-3, past which hardly an encoder learns."""
    rate = settings.learning_rate or 0.0
    return _rate(settings, min(1 / SLOWER, 1e-3 / rate) if rate else 1 / SLOWER)


def _rate(settings: Settings, times: float) -> str:
    if not settings.learning_rate:
        return "a smaller --learning_rate" if times < 1 else "a larger --learning_rate"
    return f"--learning_rate {settings.learning_rate * times:.0e} (now {settings.learning_rate:.0e})"


def _longer_or_faster(settings: Settings) -> str:
    if settings.num_epochs:
        longer = f"--num_train_epochs {settings.num_epochs * LONGER:g} (now {settings.num_epochs:g})"
    else:
        longer = f"{LONGER} times the steps"
    return f"{longer} or {_rate(settings, FASTER)}" if settings.learning_rate else longer
