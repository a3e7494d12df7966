"""Calibration per label: scores that can be read as probabilities, and how far they were from that."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from ..labels.schema import LabelSchema
from ..metrics.curves import known
from ..utils.errors import DataError

CALIBRATIONS = ("none", "platt")
"""How a label's logit z is mapped: not at all, or to a z + b (Platt, 1999)."""

N_BINS = 15
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Calibration:
    """A scale and an offset for each label's logit. Arrays have shape (labels,).

    Args:
        schema: the labels.
        scale, offset: the calibrated logit is scale * logit + offset; 1 and 0 where nothing could be fitted.
        error_before, error_after: expected calibration error; after by cross-fitting, where each row is calibrated by
            the other rows.
        fitted: whether there were two positives and two negatives, ranked better than at random.
    """

    schema: LabelSchema
    scale: np.ndarray
    offset: np.ndarray
    error_before: np.ndarray
    error_after: np.ndarray
    fitted: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """Scale and offset, (2, labels), as a DecisionRule takes them."""
        return np.stack([self.scale, self.offset])


def calibrate(logits: Any, labels: Any, schema: LabelSchema) -> Calibration:
    """Fit scale and offset of each label on data that the model was **not** trained on, by logistic regression.

    The targets are Platt's, (P + 1) / (P + 2) and 1 / (N + 2) for P positives and N negatives, so that few positives
    that are ranked perfectly do not give an infinite scale.

    Args:
        logits: (rows, labels).
        labels: (rows, labels): over 0.5 is positive, -100 or NaN unknown.
        schema: the labels.

    Raises:
        DataError: no rows, or a logit that is not finite.
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if not len(logits):
        raise DataError("There are no rows to calibrate on.")
    if not np.isfinite(logits).all():
        row, label = np.argwhere(~np.isfinite(logits))[0]
        raise DataError(
            f"The logit in row {row} of {schema.names[label]!r} is {logits[row, label]}; expected a number."
        )
    columns = [_calibrated_label(logits[:, i], labels[:, i]) for i in range(len(schema))]
    scale, offset, before, after, fitted = (np.array(part) for part in zip(*columns, strict=True))
    return Calibration(schema, scale, offset, before, after, fitted)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, n_bins: int = N_BINS) -> float:
    """The mean distance of probability and share of positives in equal bins of [0, 1], each by its rows (Naeini et
    al., 2015).

    Args:
        probabilities: (rows,).
        labels: (rows,), 0 and 1.
        n_bins: bins.

    Returns:
        In [0, 1]; 0 without rows.

    >>> expected_calibration_error(np.array([0.2, 0.2, 0.8, 0.8]), np.array([0, 1, 1, 1]))
    0.25
    """
    if not len(probabilities):
        return 0.0
    place = np.minimum((np.asarray(probabilities) * n_bins).astype(int), n_bins - 1)
    gap = np.bincount(place, np.asarray(probabilities, dtype=float) - np.asarray(labels), n_bins)
    return float(np.abs(gap).sum() / len(probabilities))


def _calibrated_label(logits: np.ndarray, labels: np.ndarray) -> tuple:
    from sklearn.model_selection import StratifiedKFold  # takes half a second, and few calibrate

    in_use = known(labels)
    z, y = logits[in_use], labels[in_use] > 0.5
    before = expected_calibration_error(expit(z), y)
    rarer = min(y.sum(), (~y).sum())
    fit = _fit(z, y) if rarer >= 2 and np.ptp(z) > 0 else None
    if fit is None:
        return 1.0, 0.0, before, before, False
    held_out = np.empty(len(z))
    for rest, fold in StratifiedKFold(min(_FOLDS, rarer), shuffle=True, random_state=0).split(z, y):
        a, b = _fit(z[rest], y[rest]) or (1.0, 0.0)
        held_out[fold] = expit(a * z[fold] + b)
    return *fit, before, expected_calibration_error(held_out, y), True


def _fit(z: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Scale and offset; None where a larger logit would mean a smaller probability."""
    from sklearn.linear_model import LogisticRegression

    target = np.where(y, (y.sum() + 1) / (y.sum() + 2), 1 / ((~y).sum() + 2))
    twice = np.concatenate([z, z])[:, None]  # once as a positive, once as a negative, by the target's share
    model = LogisticRegression(C=np.inf, tol=1e-6, max_iter=500)
    model.fit(twice, np.repeat([1, 0], len(z)), sample_weight=np.concatenate([target, 1 - target]))
    scale = float(model.coef_[0, 0])
    return (scale, float(model.intercept_[0])) if scale > 0 else None
