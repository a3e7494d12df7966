"""The one reduction of all losses: sums over entries, divided by counts of known entries."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import UsageError

_ENTRIES, _ENTRIES_ON_GPU = 1 << 16, 1 << 24

# PyTorch's compiler asks the same before it overwrites a saved buffer. Without it, assume that the graph is kept.
_is_graph_kept = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)


def check_shapes(logits: Tensor, labels: Tensor) -> bool:
    """Whether the shapes are those of a single-label problem (class indices) rather than of a multi-label one.

    Raises:
        UsageError: shapes of neither.
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
    """A tensor of numbers given as a tensor, a list, an array, or anything else that numpy reads (ClassWeights)."""
    return torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values), dtype=dtype)


def at_least_fp32(logits: Tensor) -> Tensor:
    """Logits in the type that losses compute in: fp32, or fp64 for fp64 logits."""
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def checked_smoothing(label_smoothing: float) -> float:
    """Return the smoothing, or raise a UsageError where it is outside [0, 1)."""
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
    """Reduce a loss per entry, or its sum, by "mean", "sum" or "none"; 0 where nothing is known."""
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
    if labels.device.type == "cpu" and labels.numel() and labels.min().item() >= 0:  # a tenth of the time of a mask
        return labels.numel()
    parts = labels.reshape(-1).split(_entries(labels))  # a mask of all labels would take a quarter of their memory
    first, *more = ((part != IGNORE_INDEX).sum() for part in parts)
    return sum(more, first)


# ---- large batches: the sum and its gradient block by block, in the memory of one gradient ----


def is_one_block(logits: Tensor) -> bool:
    """Whether a batch is small enough to be taken at once."""
    return logits.numel() <= _entries(logits)


def blocks(logits: Tensor) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the blocks of a large batch; a block's intermediate results fit into the cache."""
    rows, columns = logits.shape
    width = min(columns, _entries(logits))
    height = max(1, _entries(logits) // max(1, width))
    for top in range(0, rows, height):
        for left in range(0, columns, width):
            yield slice(top, top + height), slice(left, left + width)


def sum_by_rows(logits: Tensor, labels: Tensor, each: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Sum `each(logits, labels)` over blocks of whole rows.

    Args:
        logits: (rows, labels), any floating type.
        labels: of the same shape.
        each: gives the loss of each entry of some rows; it must not depend on other rows.

    Returns:
        A scalar, fp32 (fp64 for fp64 logits).
    """
    return _SumByRows.apply(logits, labels, each)


def scaled(gradient: Tensor, grad_output: Tensor) -> Tensor:
    """Multiply a saved gradient by the upstream gradient, in place unless the graph is kept for another backward.

    A saved gradient is not divided by the count in forward: in fp16 it would underflow before the loss scaler acts.
    """
    if _is_graph_kept():
        return (gradient * grad_output).to(gradient.dtype)
    return gradient.mul_(grad_output)


class _SumByRows(torch.autograd.Function):
    """Take the gradient of each block in forward, so that no buffer of autograd outlives its block."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, each: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        needs_gradient = ctx.needs_input_grad[0]
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format) if needs_gradient else None
        height = max(1, _entries(logits) // logits.shape[1])
        total = logits.new_zeros((), dtype=torch.float64 if logits.dtype == torch.float64 else torch.float32)
        for top in range(0, len(logits), height):
            rows = slice(top, top + height)
            part = at_least_fp32(logits[rows].detach()).requires_grad_(needs_gradient)
            with torch.set_grad_enabled(needs_gradient):
                loss = each(part, labels[rows]).sum()
            if gradient is not None:
                gradient[rows] = torch.autograd.grad(loss, part)[0]
            total += loss.detach()
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return scaled(gradient, grad_output), None, None


def _entries(logits: Tensor) -> int:
    return _ENTRIES if logits.device.type == "cpu" else _ENTRIES_ON_GPU
