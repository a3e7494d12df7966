"""What every loss shares: its checks, and the one reduction convention (sums divided by counts of known entries)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import UsageError

__all__ = [
    "as_tensor",
    "as_weights",
    "at_least_fp32",
    "check_shapes",
    "checked_smoothing",
    "count_items",
    "reduce_loss",
    "smoothed",
]

_PART = 1 << 18  # labels that are looked at at a time


def check_shapes(logits: Tensor, labels: Tensor) -> bool:
    """True for a single-label problem (class indices), False for a multi-label one (labels of the logits' shape).

    Raises:
        UsageError: shapes that are neither.
    """
    if not logits.is_floating_point():
        raise UsageError(f"Expected logits of a floating type; got {logits.dtype}.")
    if labels.shape == logits.shape and logits.ndim == 2:
        return False
    if labels.shape == logits.shape[:-1]:
        return True
    raise UsageError(
        f"Labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(logits.shape)}; expected the same "
        f"shape (multi-label) or {tuple(logits.shape[:-1])} (single-label, class indices)."
    )


def as_weights(class_weights: Any, logits: Tensor) -> Tensor | None:
    """Class weights on the logits' device, in the type that losses compute in."""
    if class_weights is None:
        return None
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    weights = as_tensor(class_weights, dtype).to(logits.device)
    if weights.shape != logits.shape[-1:]:
        raise UsageError(
            f"Got class weights of shape {tuple(weights.shape)} for {logits.shape[-1]} labels; give one each."
        )
    return weights


def as_tensor(values: Any, dtype: torch.dtype) -> Tensor:
    """A tensor of numbers that come as a tensor, a list, an array, or anything that numpy reads (ClassWeights)."""
    return torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values), dtype=dtype)


def at_least_fp32(logits: Tensor) -> Tensor:
    """Logits in the type that losses compute in: fp32, or fp64 where they are that."""
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def checked_smoothing(label_smoothing: float) -> float:
    """The smoothing; an error where it is outside [0, 1)."""
    if not 0 <= label_smoothing < 1:
        raise UsageError(f"label_smoothing must lie in [0, 1); got {label_smoothing!r}.")
    return label_smoothing


def smoothed(labels: Tensor, smoothing: float) -> Tensor:
    """Multi-label targets moved toward 1/2; unknown entries stay."""
    return torch.where(labels == IGNORE_INDEX, float(IGNORE_INDEX), labels * (1 - smoothing) + smoothing / 2)


def count_items(labels: Tensor) -> Tensor:
    """Known entries (multi-label) or known rows (single-label): the denominator of a mean."""
    return torch.as_tensor(_count(labels))


def reduce_loss(
    loss: Tensor, labels: Tensor, reduction: str, num_items_in_batch: Tensor | int | None = None
) -> Tensor:
    """Reduce a loss per entry (or one that is summed already) by the convention; 0 where nothing is known."""
    if reduction == "none":
        return loss
    if reduction not in ("mean", "sum"):
        raise UsageError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}.")
    total = loss.sum() if loss.ndim else loss
    if reduction == "sum":
        return total
    count = _count(labels) if num_items_in_batch is None else num_items_in_batch
    return total / (count.to(loss.device).clamp(min=1) if isinstance(count, Tensor) else max(count, 1))


def _count(labels: Tensor) -> int | Tensor:
    """Known entries: by numpy, at a thirtieth of torch's time, where the values are at hand."""
    if labels.device.type != "cpu" or torch.compiler.is_compiling() or labels.dtype == torch.bfloat16:
        return (labels != IGNORE_INDEX).sum()
    flat = labels.detach().reshape(-1).numpy()
    parts = (flat[start : start + _PART] for start in range(0, len(flat), _PART))
    return len(flat) - sum(int(np.count_nonzero(part == IGNORE_INDEX)) for part in parts)
