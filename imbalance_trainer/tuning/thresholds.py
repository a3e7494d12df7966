r"""Thresholds per label, tuned on held-out scores.

A label with few positives has a noisy best threshold (Lin & Lin, CIKM 2023; Lipton et al., 2014). With P positives the
logit of its threshold is shrunk towards that of t_all, the one threshold for all labels with the best mean over them:

    logit t = (P logit t_label + k logit t_all) / (P + k)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from ..labels.schema import LabelSchema
from ..metrics.curves import counts_over
from ..utils.errors import DataError, UsageError, check_known
from ..utils.numeric import checked_number
from .threshold_search import Search, ThresholdObjective, f_score, find_best, shrunk_towards

PER = ("label", "all")
"""What has a threshold of its own."""

SHRINKAGE = 1.0
"""Weight of the one threshold for all labels, in positives."""

FEW = 5
"""A label with fewer positives in training is not learned reliably, whatever is set; and of a threshold that is tuned
on fewer a range from resampled rows would look surer than it is."""

_FARTHEST = 36.0  # the sigmoid of which is still under 1 in float64


@dataclass(frozen=True, eq=False)
class TunedThresholds:
    """Thresholds, and how much to trust them. Arrays have shape (labels,).

    Args:
        schema: the labels.
        thresholds: in (0, 1).
        low, high: the range of thresholds that a one-sided bootstrap test at 5% does not find worse; NaN without a
            bootstrap.
        support: positives of the label; one without any has the threshold of all.
        tuned_on: positives that each threshold was tuned on: those of all labels where they share it.
        f1_at_half, f1: F1 at 0.5 and at the threshold **on the data that was tuned on**, where the latter flatters.
        reached: whether the floor was reached, boolean; where it was not, the threshold comes as near as it can.
        shared: the one threshold for all labels.
    """

    schema: LabelSchema
    thresholds: np.ndarray
    low: np.ndarray
    high: np.ndarray
    support: np.ndarray
    tuned_on: np.ndarray
    f1_at_half: np.ndarray
    f1: np.ndarray
    reached: np.ndarray
    shared: float

    @property
    def has_range(self) -> np.ndarray:
        """Whether the range says something, boolean: of few positives, drawn again and again, it would look surer
        than it is."""
        return ~np.isnan(self.low) & (self.tuned_on >= FEW)

    def at_half(self) -> "TunedThresholds":
        """The same, as 0.5 stays for every label."""
        half, none = np.full_like(self.thresholds, 0.5), np.full_like(self.low, np.nan)
        return replace(self, thresholds=half, low=none, high=none, f1=self.f1_at_half)

    def with_other_class(self, schema: LabelSchema, n_rows: int) -> "TunedThresholds":
        """Those of two classes, from that of one of them: the other's are 1 less, and its F1 is not known here."""
        own = schema.index(self.schema.names[0])

        def both(values: np.ndarray, other: Any) -> np.ndarray:
            return np.insert(values, 1 - own, other)

        return replace(
            self,
            schema=schema,
            thresholds=both(self.thresholds, 1 - self.thresholds),
            low=both(self.low, 1 - self.high),
            high=both(self.high, 1 - self.low),
            support=both(self.support, n_rows - self.support),
            tuned_on=both(self.tuned_on, self.tuned_on),
            reached=both(self.reached, self.reached),
            f1_at_half=both(self.f1_at_half, np.nan),
            f1=both(self.f1, np.nan),
        )

    def as_dict(self) -> dict[str, float]:
        """{label: threshold}, as a model's config keeps them."""
        return dict(zip(self.schema.names, self.thresholds.tolist(), strict=True))


def tune_thresholds(
    scores: Any,
    labels: Any,
    schema: "LabelSchema | Sequence[str] | None" = None,
    *,
    objective: str = "f1",
    beta: float = 1.0,
    floor: float | None = None,
    per: str = "label",
    shrinkage: float | None = None,
    from_logits: bool = False,
    n_bootstrap: int = 0,
    seed: int = 0,
) -> TunedThresholds:
    """Thresholds from scores of data that the model was **not** trained on.

    A threshold stands halfway, in logits, between the lowest score that it decides and the next lower one. Where no
    row scores lower it stands one logit under the former.

    Args:
        scores: (rows, labels), probabilities, or logits with `from_logits`.
        labels: (rows, labels): over 0.5 is positive, -100 or NaN unknown.
        schema: the labels, for their names; None for LABEL_0, LABEL_1 and so on.
        objective: "f1"; "f_beta"; "recall_at_precision" (the most recall at a precision of at least `floor`);
            "precision_at_recall" (the other way).
        beta: recall counts beta times as much as precision, for "f_beta".
        floor: in (0, 1], for the two objectives that have one.
        per: "label"; "all" (one for all labels, that with the best mean over them, for a floor over their pooled
            counts).
        shrinkage: weight, in positives, of the one threshold for all labels when a label's is shrunk towards it; 0 for
            none. None for SHRINKAGE, and for 0 where there is a floor, which shrinkage might break.
        from_logits: whether scores are logits. Better so: probabilities near 1 are ties in fp32.
        n_bootstrap: resamples of the rows (Poisson bootstrap: Chamandy et al., 2012) for the ranges; 0 for none.
        seed: of the bootstrap.

    Returns:
        TunedThresholds.

    Raises:
        UsageError: an unknown objective or `per`, a floor or beta that does not fit, shapes that do not match.
        DataError: scores that are not finite or no probabilities, or no positive at all.

    >>> tuned = tune_thresholds([[0.1], [0.2], [0.4]], [[0], [1], [1]], ["rare"], shrinkage=0)
    >>> round(float(tuned.thresholds[0]), 3)  # halfway between 0.1 and 0.2, in logits
    0.143
    """
    scores, labels, schema = _checked_data(scores, labels, schema, from_logits)
    aim = ThresholdObjective.checked(objective, beta, floor)
    check_known("per", per, PER)
    shrinkage = checked_shrinkage(shrinkage, 0.0 if aim.floor is not None else SHRINKAGE)
    if not 0 <= n_bootstrap < float("inf") or n_bootstrap != int(n_bootstrap):
        raise UsageError(f"n_bootstrap is a whole number >= 0; got {n_bootstrap!r}.")
    search = Search(aim, _clipped if from_logits else _logit, int(n_bootstrap), np.random.default_rng(seed))
    everyone, found, support = find_best(scores, labels, search, per == "all")
    shared, tuned_on = everyone[0], support
    if per == "all":
        tuned_on, shrinkage = np.full_like(support, support.sum()), 0.0
    logits, low, high = shrunk_towards(found, tuned_on, shared, shrinkage)
    over = _rounded_down(logits if from_logits else expit(logits), scores.dtype)
    at_half = counts_over(scores, labels, np.full_like(over, 0.0 if from_logits else 0.5))
    true_positives, predicted = counts_over(scores, labels, over)
    return TunedThresholds(
        schema,
        thresholds=expit(over.astype(np.float64)) if from_logits else over.astype(np.float64),
        low=expit(low),
        high=expit(high),
        support=support,
        tuned_on=tuned_on,
        f1_at_half=f_score(*at_half, support),
        f1=f_score(true_positives, predicted, support),
        reached=aim.is_reached(true_positives, predicted, support),
        shared=float(expit(shared)),
    )


def checked_shrinkage(value: float | None, default: float = SHRINKAGE) -> float:
    """Return a weight in positives, the default for None; a UsageError where it is negative or not finite."""
    return checked_number("threshold_shrinkage (in positives)", default if value is None else value, 0)


def _checked_data(
    scores: Any, labels: Any, schema: Any, from_logits: bool
) -> tuple[np.ndarray, np.ndarray, LabelSchema]:
    scores, labels = (
        x.detach().float().cpu().numpy() if hasattr(x, "detach") else np.asarray(x) for x in (scores, labels)
    )
    scores = scores if scores.dtype in (np.float32, np.float64) else scores.astype(np.float32)
    if scores.ndim != 2 or labels.shape != scores.shape:
        raise UsageError(
            f"Expected scores and labels of one shape (rows, labels); got {scores.shape} and {labels.shape}."
        )
    if not scores.size:
        raise DataError(f"There is nothing to tune thresholds on: the scores have the shape {scores.shape}.")
    schema = LabelSchema.of([f"LABEL_{i}" for i in range(scores.shape[1])] if schema is None else schema)
    if len(schema) != scores.shape[1]:
        raise UsageError(f"Got scores of {scores.shape[1]} labels; the schema has {len(schema)}.")
    low, high = float(scores.min()), float(scores.max())  # NaN if there is one
    if not np.isfinite(low) or not np.isfinite(high):
        row, label = np.argwhere(~np.isfinite(scores))[0]
        raise DataError(
            f"The score in row {row} of {schema.names[label]!r} is {scores[row, label]}; expected a number."
        )
    if not from_logits and not (low >= 0 and high <= 1):
        row, label = np.argwhere((scores < 0) | (scores > 1))[0]
        raise DataError(
            f"The score in row {row} of {schema.names[label]!r} is {scores[row, label]:g}, no probability; if these "
            "are logits, say from_logits=True."
        )
    return scores, labels, schema


def _rounded_down(thresholds: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """As numbers of the scores' type that decide the same: rounded to the nearest, one between two scores that are
    neighbours in fp32 could become the upper, which is then no longer decided."""
    near = thresholds.astype(dtype)
    return np.where(near > thresholds, np.nextafter(near, dtype.type(-np.inf)), near)


def _logit(probability: np.ndarray) -> np.ndarray:
    return _clipped(logit(np.maximum(np.asarray(probability, dtype=np.float64), 0)))  # "no lower score" is -inf


def _clipped(logit: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(logit, dtype=np.float64), -_FARTHEST, _FARTHEST)
