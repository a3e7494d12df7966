"""The one reduction of all losses: sums over entries, divided by counts of known entries."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import UsageError

_BYTES, _BYTES_ON_GPU = 1 << 18, 1 << 26  # of logits, at a time

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
    weights = class_weights if isinstance(class_weights, Tensor) else as_tensor(class_weights, dtype)
    weights = weights.to(logits.device, dtype)
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


def count_items(labels: Tensor) -> Tensor | int:
    """Known entries (multi-label) or known rows (single-label): the denominator of a mean."""
    return labels.numel() if all_known(labels) else (labels != IGNORE_INDEX).sum()


def all_known(labels: Tensor) -> bool:
    """Whether no label is unknown, in a tenth of the time of a mask; False where an accelerator would have to wait."""
    return labels.is_cpu and labels.numel() > 0 and labels.min().item() >= 0


class WithSlope(torch.autograd.Function):
    """The loss of each entry, or its sum, with a gradient that is computed in forward; no other buffer is kept.

    Args:
        value_and_slope: from logits (fp32 or fp64), labels and class weights to the loss of each entry and its
            derivative.
        logits: (rows, labels), any floating type.
        labels: (rows, labels).
        weights: (labels,), or None.
        is_sum: whether the sum is wanted, a large batch being taken in blocks.

    Returns:
        (rows, labels), or a scalar; fp32, or fp64 for fp64 logits.
    """

    @staticmethod
    def forward(
        ctx: Any,
        value_and_slope: Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]],
        logits: Tensor,
        labels: Tensor,
        weights: Tensor | None,
        is_sum: bool,
    ) -> Tensor:
        """See the class."""
        if not is_sum or logits.numel() <= _entries(logits):
            value, slope = value_and_slope(at_least_fp32(logits), labels, weights)
            ctx.save_for_backward(slope.to(logits.dtype))
            return value.sum() if is_sum else value
        total = torch.zeros((), dtype=torch.promote_types(logits.dtype, torch.float32), device=logits.device)
        gradient: Tensor | None = None
        if ctx.needs_input_grad[1]:
            gradient = torch.empty_like(logits, memory_format=torch.contiguous_format)
        for part in _blocks(logits):
            of_columns = None if weights is None else weights[part[1]]
            value, slope = value_and_slope(at_least_fp32(logits[part]), labels[part], of_columns)
            total += value.sum()
            if gradient is not None:
                gradient[part] = slope
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        """Scale the gradient, in place unless the graph is kept for another backward."""
        (gradient,) = ctx.saved_tensors
        scaled = (gradient * grad_output).to(gradient.dtype) if _is_graph_kept() else gradient.mul_(grad_output)
        return None, scaled, None, None, None


def _blocks(logits: Tensor) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of blocks whose intermediate results fit into the cache."""
    rows, columns = logits.shape
    width = min(columns, _entries(logits))
    height = max(1, _entries(logits) // width)
    for top in range(0, rows, height):
        for left in range(0, columns, width):
            yield slice(top, top + height), slice(left, left + width)


def _entries(logits: Tensor) -> int:
    return (_BYTES if logits.is_cpu else _BYTES_ON_GPU) // logits.element_size()
