"""Support of each label in the training data, checked, and weights computed from it."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.constants import MAX_WEIGHT
from ..utils.errors import UsageError


def checked_support(support: Any) -> np.ndarray:
    """Return the positives of each label (single-label: rows of each class), (labels,), float64.

    Raises:
        UsageError: not a list of finite numbers >= 0.
    """
    values = np.asarray(support.cpu() if isinstance(support, Tensor) else support, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        raise UsageError(f"support is the number of positives of each label, finite and >= 0; got {support!r}.")
    return values


def checked_rows(n_rows: Any, support: np.ndarray) -> np.ndarray:
    """Return the rows, or the known entries of each label, as (labels,), float64.

    Raises:
        UsageError: fewer rows than positives, or another number of values than labels.
    """
    rows = np.asarray(n_rows.cpu() if isinstance(n_rows, Tensor) else n_rows, dtype=np.float64)
    if rows.shape not in ((), support.shape) or not (np.isfinite(rows) & (rows >= support)).all():
        raise UsageError(
            f"n_rows is one number, or one for each label, and not less than its support; got {n_rows!r}."
        )
    return np.broadcast_to(rows, support.shape)


def at_least_one(support: np.ndarray) -> np.ndarray:
    """Supports with 0 replaced by 1, so that logarithms and ratios are defined."""
    return np.maximum(support, 1)


def effective_number_weights(support: np.ndarray, beta: float) -> Tensor:
    """(1 - beta) / (1 - beta^n), divided by the mean over the labels with positives; (labels,), fp32.

    A label without positives weighs 1, and none more than 20 (MAX_WEIGHT).

    Source: Cui et al., 2019, "Class-Balanced Loss Based on Effective Number of Samples".

    >>> effective_number_weights(np.array([1.0, 3.0, 0.0]), 0.5)
    tensor([1.2727, 0.7273, 1.0000])
    """
    present = support > 0
    if not present.any():
        return torch.ones(len(support))
    n = support[present]
    effective = -np.expm1(n * np.log(beta)) / (1 - beta) if beta > 0 else np.ones_like(n)
    weights = np.ones_like(support)
    weights[present] = (1 / effective) / (1 / effective).mean()
    return torch.tensor(weights.clip(max=MAX_WEIGHT), dtype=torch.float32)
