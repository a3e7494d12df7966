"""From the history of a run to findings: what is wrong with which label, the evidence, and what to change.

A history is a list of evaluations of one split, oldest first, each a dict as in `label_history.jsonl` (see
`run_files`). Rules are pure functions of it, and their limits are their arguments. Their advice follows the
troubleshooting table in docs/quick-reference.md, and the papers that each rule names. Here are the rules
about a run as a whole; `label_rules` has those about single labels.
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
    NOTE,
    SEVERITIES,
    TITLES,
    WARNING,
    Finding,
    Rows,
    Settings,
    evaluations_in_a_row,
    has_zero_recall,
    is_near_chance,
    last_rows,
    make_finding,
    metric_series,
)
from .label_rules import find_over_predicted, find_unsupported, find_zero_recall
from .run_files import headline

_AVERAGE_PRECISION = "mean_average_precision"


def diagnose(
    history: Sequence[Mapping[str, Any]],
    settings: Settings | None = None,
    patience: int = 2,
    min_precision: float = 0.5,
) -> list[Finding]:
    """Find what to say about the last evaluation, most severe first.

    A NaN loss is the only finding. Where the model has hardly learned yet, or its learning rate is too high, there are
    no findings about labels, as zero recall and low precision say nothing about the weights then.

    Args:
        history: the evaluations of one split.
        settings: the settings of the run.
        patience: evaluations in a row with zero recall, or with too many predictions, that make a finding.
        min_precision: precision under which a label is predicted too often.
    """
    settings = settings or Settings()
    findings = find_nan(history, settings)
    if findings:
        return findings
    zero_recall = find_zero_recall(history, settings, patience)
    improving = find_improving(history, settings)
    over = find_over_predicted(history, settings, min_precision, patience, is_improving=bool(improving))
    overfitting = find_overfitting(history, settings)
    not_learned = [f.label for f in zero_recall if f.kind in ("not_learned", "at_the_cap") and f.severity == WARNING]
    findings = (
        find_learning_rate_too_high(history, settings)
        or ([] if overfitting else find_undertrained(history, settings, patience))
        or ([] if overfitting else find_unranked(history, settings, not_learned))
        or [*zero_recall, *over]
    )
    findings += [
        *find_oscillating_loss(history, settings),
        *overfitting,
        *find_plateau(history, settings),
        *find_unsupported(history, settings),
        *improving,
    ]
    order = list(TITLES)
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), order.index(f.kind)))


def find_nan(history: Rows, settings: Settings) -> list[Finding]:
    """A loss in training or evaluation that is NaN or infinite. The model is lost from there on."""
    if not history:
        return []
    last = history[-1]
    lost = "loss" in last.get("metrics", {}) and not is_number(last["metrics"]["loss"])
    broken = [step for step, loss in last.get("train_losses", ()) if not is_number(loss)]
    where: dict[str, Any] = {
        "at_evaluation": last["step"] if lost else None,
        "in_training": broken[0] if broken else None,
    }
    return [make_finding("nan", settings, severity=ERROR, **where)] if lost or broken else []


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
    average = average if is_number(average) else None
    numbers: dict[str, Any] = {"times_chance": times_chance[-1], "average": average, "losses": _train_losses(history)}
    return [make_finding("learning_rate_too_high", settings, evaluations=len(at_chance), **numbers)]


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
    average = metric_series(history[-2:], _AVERAGE_PRECISION)
    known = average if len(average) == 2 and None not in average else []
    count = max(since[row["label"]] for row in zero)
    numbers = {"n_zero": len(zero), "n_labels": len(rows), "commonest": zero[0], "average": known}
    return [_undertrained(history, settings, count, **numbers)]


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
    numbers = {"n_zero": sum(map(has_zero_recall, rows)), "n_labels": with_support, "n_by_chance": len(by_chance)}
    return [_undertrained(history, settings, 1, **numbers, rarest=rarest, average=average)]


def _undertrained(history: Rows, settings: Settings, count: int, **numbers: Any) -> Finding:
    """A note in the first half of the epochs, where it is normal."""
    epoch, epochs = history[-1].get("epoch"), settings.num_epochs
    early = epoch is not None and epochs is not None and epoch < epochs / 2
    numbers = {"commonest": None, "rarest": None, "early": early, "epoch": epoch, **numbers}
    return make_finding("undertrained", settings, "", NOTE if early else WARNING, evaluations=count, **numbers)


def find_oscillating_loss(
    history: Rows, settings: Settings, min_values: int = 6, size: float = 0.3, reversals: float = 0.5
) -> list[Finding]:
    """A training loss that goes up and down. Rule of thumb: "reduce learning rate (2e-5 -> 1e-5)".

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
    numbers = {"share": typical / level, "n": len(steps), "turns": turns, "low": losses.min(), "high": losses.max()}
    return [make_finding("oscillating_loss", settings, **numbers)]


def _followed(history: Rows) -> tuple[str, list[Any]]:
    """The `headline` of the last evaluation, and its values."""
    metric = headline(history[-1]["metrics"] if history else {})
    return metric, metric_series(history, metric)


def find_overfitting(history: Rows, settings: Settings, patience: int = 2, rise: float = 0.05) -> list[Finding]:
    """An evaluation loss that rises at `patience` evaluations in a row, to `rise` over its lowest value, while the
    training loss falls (Prechelt, 1998, "Early Stopping - But When?"). A note where the `headline` still rises."""
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
    metric, f1 = _followed(history)
    f1 = [value or 0.0 for value in f1]
    best = int(np.argmax(f1))
    gains = best == len(f1) - 1
    epoch = history[best].get("epoch")
    numbers = {
        "losses": (losses[lowest], losses[-1]),
        "step": history[lowest]["step"],
        "train": (before, now),
        "metric": metric,
        "f1": (f1[lowest], f1[-1]),
        "gains": gains,
        "best_epoch": math.ceil(epoch) if epoch else None,
        "best_step": history[best]["step"],
    }
    return [make_finding("overfitting", settings, severity=NOTE if gains else WARNING, **numbers)]


def find_improving(history: Rows, settings: Settings, min_evaluations: int = 3, gain: float = 0.01) -> list[Finding]:
    """Good training: the `headline` rises at each of `min_evaluations` or more, by `gain` in all, and
    no label has zero recall. Other thresholds are no progress of the training."""
    metric, f1 = _followed(history)
    thresholds = [[row.get("threshold") for row in entry["labels"]] for entry in history]
    is_steady = all(one == thresholds[0] for one in thresholds) and all(map(is_number, f1))
    if len(f1) < min_evaluations or not is_steady or any(map(has_zero_recall, last_rows(history))):
        return []
    if any(b <= a for a, b in pairwise(f1)) or f1[-1] - f1[0] < gain:
        return []
    return [make_finding("improving", settings, severity=GOOD, metric=metric, f1=[f1[0], *f1[-2:]], n=len(f1))]


def find_plateau(history: Rows, settings: Settings, patience: int = 3, gain: float = 0.005) -> list[Finding]:
    """No gain over the best value by `gain` in `patience` evaluations, in the `headline` and in mean average
    precision. An F1 that is still 0 is no plateau."""
    (metric, f1), average = _followed(history), metric_series(history, _AVERAGE_PRECISION)
    if len(history) <= patience or not all(map(is_number, f1)) or max(f1) <= 0:
        return []
    known = [f1, average] if all(map(is_number, average)) else [f1]
    if any(max(series[-patience:]) > max(series[:-patience]) + gain for series in known):
        return []
    best = int(np.argmax(f1))
    since = len(history) - 1 - max(int(np.argmax(series)) for series in known)
    numbers = {"metric": metric, "f1": f1[-1], "best": f1[best], "step": history[best]["step"]}
    return [make_finding("plateau", settings, severity=NOTE, evaluations=max(since, patience), **numbers)]


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
