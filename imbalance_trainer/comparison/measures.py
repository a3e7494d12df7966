"""Metrics of a trained model on test, at 0.5 and at thresholds tuned on validation, and how sure a difference is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax
from scipy.stats import norm, t

from ..decisions.rule import DecisionRule
from ..labels.distribution import tiers_by_support
from ..metrics.average_precision import StreamingAveragePrecision
from ..tuning.decisions import TuningOptions, tune_decisions
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError
from ..utils.numeric import multi_hot, ratio


class Split(NamedTuple):
    """Logits and labels, both (rows, labels); in a single-label problem labels are classes, (rows,)."""

    logits: np.ndarray
    labels: np.ndarray


def averaged_labels(train_support: np.ndarray, *others: np.ndarray) -> dict[str, np.ndarray]:
    """Indices of the labels that means go over: "macro", those with positives in all splits, and of them by training
    support "head", "medium" and "tail".

    Args:
        train_support, others: the supports, (labels,), of training and the other splits.

    Raises:
        DataError: no label has positives everywhere.
    """
    counted = np.flatnonzero(np.all([np.asarray(s) > 0 for s in (train_support, *others)], axis=0))
    if not len(counted):
        raise DataError("No label has positives in training, validation and test, so there is nothing to compare.")
    tiers = tiers_by_support(np.asarray(train_support)[counted])
    return {"macro": counted, **{tier: counted[places] for tier, places in tiers.items()}}


def judge(
    validation: Split, test: Split, rule: DecisionRule, labels: Mapping[str, np.ndarray], is_multi_label: bool
) -> tuple[np.ndarray, dict[str, Any]]:
    """Tune on validation, decide on test.

    Args:
        validation, test: what the model gave, and what was right.
        rule: how decisions are closed; it has no thresholds yet.
        labels: which the means go over, see `averaged_labels`.
        is_multi_label: else nothing is tuned, and the most probable class is decided.

    Returns:
        The tuned decisions on test, (rows, labels) boolean; and numbers: `at_half` (decided at 0.5) and `tuned` (as
        `trainer.tune_thresholds()` does), each with f1_macro, f1_head, f1_medium, f1_tail and zero_recall (labels that
        are never found); mean_average_precision; and validation_f1_macro, tuned by cross-fitting, by which a method
        may be chosen.
    """
    n_labels = test.logits.shape[1]
    gold = multi_hot(test.labels, n_labels) > 0.5
    if is_multi_label:
        known = test.labels != IGNORE_INDEX
        plain = rule.untuned()
        tuning = tune_decisions(validation.logits, validation.labels, plain, TuningOptions(), n_bootstrap=0)
        at_half, tuned = (decides.decide(test.logits).numpy() & known for decides in (plain, tuning.rule))
        scores, f1_of_validation = plain.scores(test.logits).numpy(), np.asarray(tuning.held_out_table.f1)
    else:
        known = (test.labels >= 0)[:, None]
        at_half = tuned = (multi_hot(test.logits.argmax(1), n_labels) > 0.5) & known
        scores = log_softmax(test.logits, axis=1)  # logits of two rows cannot be compared
        decided = (multi_hot(validation.logits.argmax(1), n_labels) > 0.5) & (validation.labels >= 0)[:, None]
        f1_of_validation = _f1(decided, multi_hot(validation.labels, n_labels) > 0.5)
    precision = StreamingAveragePrecision(n_labels, max_scores=scores.size)
    precision.update(scores, np.where(known, gold, IGNORE_INDEX))
    return tuned, {
        "at_half": _values(at_half, gold, labels),
        "tuned": _values(tuned, gold, labels),
        "validation_f1_macro": float(f1_of_validation[labels["macro"]].mean()),
        "mean_average_precision": float(precision.compute()[labels["macro"]].mean()),
    }


def _f1(decided: np.ndarray, gold: np.ndarray) -> np.ndarray:
    return ratio(2 * (decided & gold).sum(0), decided.sum(0) + gold.sum(0))


def _values(decided: np.ndarray, gold: np.ndarray, labels: Mapping[str, np.ndarray]) -> dict[str, float]:
    f1 = _f1(decided, gold)
    means = {f"f1_{name}": float(f1[where].mean()) if len(where) else 0.0 for name, where in labels.items()}
    return {**means, "zero_recall": int((f1[labels["macro"]] == 0).sum())}


_AT_A_TIME = 64


@dataclass(frozen=True)
class Difference:
    """A difference of macro F1, the mean over seeds, and its 95% interval.

    Args:
        mean: ours less theirs.
        low, high: the interval, over test rows and seeds; with one seed over test rows alone.
        knows_seeds: whether there was more than one seed.
    """

    mean: float
    low: float
    high: float
    knows_seeds: bool = True

    @property
    def is_more_than_chance(self) -> bool:
        """Whether the interval lies above 0, and more than one seed says so."""
        return self.knows_seeds and self.low > 0


def paired_difference(
    ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], gold: np.ndarray, n_resamples: int = 1000, seed: int = 0
) -> Difference:
    """Macro F1 of ours less that of theirs, each the mean over its seeds, with an interval.

    Two things move a difference: which rows the test set happens to have, and the seed. The variance over rows is that
    of a paired bootstrap: rows are drawn with replacement, the same ones for every run, so that what is hard for both
    cancels (Efron & Tibshirani, 1993, "An Introduction to the Bootstrap"). The variance over seeds is that of the
    runs. The interval is mean +- t x the root of both, with Welch's degrees of freedom (Welch, 1947), so that it is as
    wide as few seeds deserve.

    Args:
        ours, theirs: decisions of each seed, (rows, labels), boolean.
        gold: (rows, labels), boolean. A label that a resample leaves without a positive is left out of that mean.
        n_resamples: resamples.
        seed: of the resamples.

    >>> gold = np.array([[True], [False]] * 50)
    >>> paired_difference([gold, gold], [gold, gold], gold)
    Difference(mean=0.0, low=0.0, high=0.0, knows_seeds=True)
    """
    rng, n_rows, drawn = np.random.default_rng(seed), len(gold), []
    for start in range(0, n_resamples, _AT_A_TIME):
        n = min(_AT_A_TIME, n_resamples - start)
        counts = rng.multinomial(n_rows, np.full(n_rows, 1 / n_rows), size=n).astype(np.float32)
        drawn.append(_macro_f1(ours, gold, counts).mean(0) - _macro_f1(theirs, gold, counts).mean(0))
    once = np.ones((1, n_rows), dtype=np.float32)
    each = [_macro_f1(runs, gold, once)[:, 0] for runs in (ours, theirs)]
    mean = float(each[0].mean() - each[1].mean())
    of_seeds = [float(f1.var(ddof=1)) / len(f1) if len(f1) > 1 else 0.0 for f1 in each]
    spread = float(np.concatenate(drawn).var(ddof=1)) + sum(of_seeds)
    freedom = sum(v * v / (len(f1) - 1) for v, f1 in zip(of_seeds, each, strict=True) if v > 0)
    quantile = t.ppf(0.975, spread * spread / freedom) if freedom > 0 else norm.ppf(0.975)
    half = float(quantile * np.sqrt(spread))
    return Difference(mean, mean - half, mean + half, min(map(len, each)) > 1)


def _macro_f1(decisions: Sequence[np.ndarray], gold: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over labels with a positive, (seeds, resamples), where each row counts as often as it was drawn."""
    support = counts @ gold.astype(np.float32)
    of_seeds = []
    for decided in decisions:
        true_positives = counts @ (decided & gold).astype(np.float32)
        f1 = ratio(2 * true_positives, counts @ decided.astype(np.float32) + support)
        of_seeds.append(ratio((f1 * (support > 0)).sum(1), (support > 0).sum(1)))
    return np.array(of_seeds)
