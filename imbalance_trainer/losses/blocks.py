"""The sum of a loss with its gradient, part by part: memory for one gradient, and buffers that stay in the cache."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from .reduction import at_least_fp32

_ENTRIES, _ENTRIES_ON_GPU = 1 << 17, 1 << 24

# What torch's own compiler asks before it uses a kept buffer again; where a torch lacks it, as if the graph were kept.
_is_graph_kept = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)


def is_one_block(logits: Tensor) -> bool:
    """Whether there is nothing to cut up: a small batch, or a graph that a compiler fuses as a whole."""
    return torch.compiler.is_compiling() or logits.numel() <= _entries(logits)


def blocks(logits: Tensor) -> Iterator[tuple[slice, slice]]:
    """Parts of about as many entries as the buffers of a step should have."""
    rows, columns = logits.shape
    if is_one_block(logits):
        yield slice(0, rows), slice(0, columns)
        return
    width = min(columns, _entries(logits))
    height = max(1, _entries(logits) // width)
    for top in range(0, rows, height):
        for left in range(0, columns, width):
            yield slice(top, top + height), slice(left, left + width)


def sum_by_rows(logits: Tensor, labels: Tensor, each: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The sum of `each(logits, labels)`, some whole rows at a time; fp32, or fp64 for fp64 logits.

    Args:
        logits: (rows, labels), any floating type.
        labels: of the same shape.
        each: gives the loss of each entry of some rows, which must not depend on other rows.
    """
    return _SumByRows.apply(logits, labels, each)


def scaled(gradient: Tensor, grad_output: Tensor) -> Tensor:
    """A kept gradient times the gradient that comes from above, in its own type.

    In place, as the gradient is as large as the logits, unless the graph is kept for another backward.
    """
    if torch.compiler.is_compiling() or _is_graph_kept():
        return (gradient * grad_output).to(gradient.dtype)
    return gradient.mul_(grad_output)


class _SumByRows(torch.autograd.Function):
    """The gradient is taken of one part after the other and kept: no buffer of autograd outlives its part. It is not
    multiplied by 1/N here: in fp16 that would underflow before the loss scaler acts."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, each: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        is_learning = ctx.needs_input_grad[0]
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format) if is_learning else None
        height = max(1, _entries(logits) // logits.shape[1])
        total = logits.new_zeros((), dtype=torch.float64 if logits.dtype == torch.float64 else torch.float32)
        for top in range(0, len(logits), height):
            rows = slice(top, top + height)
            part = at_least_fp32(logits[rows].detach()).requires_grad_(is_learning)
            with torch.set_grad_enabled(is_learning):
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
