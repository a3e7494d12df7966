"""The multi-label focal loss as a kernel of torch.compile: value and derivative of an entry in one go.

torch.compile of the eager form keeps what autograd would need; of this form it keeps nothing. Both terms share their
one exp and log1p, so that soft labels cost what hard ones do, and a batch is read once.
"""

from typing import Any

import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from .blocks import scaled
from .reduction import at_least_fp32


class FusedFocal:
    """The loss of multi-hot labels, compiled when it is first called.

    Args:
        gamma: above 0.
    """

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma
        self._kernel = torch.compile(_value_and_slope, dynamic=True)

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None, sum_: bool) -> Tensor:
        """The sum, or each entry's loss (0 where unknown), fp32 (fp64 for fp64 logits); arguments as in
        `weighted_focal_loss`."""
        return _Fused.apply(logits, labels, weights, self.gamma, sum_, self._kernel)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, sum_: bool, kernel: Any
    ) -> Tensor:
        learns = ctx.needs_input_grad[0]
        value, slope = kernel(logits.detach(), labels, weights, gamma, sum_, learns)
        if learns:
            ctx.save_for_backward(slope)
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return scaled(gradient, grad_output), None, None, None, None, None


def _value_and_slope(
    logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, sum_: bool, learns: bool
) -> tuple[Tensor, Tensor | None]:
    """y w f(-x) + (1 - y) f(x) and its derivative, with f(z) = s^g u and f'(z) = s^g (s + g (1 - s) u), of
    s = sigmoid(z) and u = softplus(z); 1 - s is the other sigmoid, so that nothing cancels."""
    x = at_least_fp32(logits)
    known = labels != IGNORE_INDEX
    y = torch.where(known, labels, 0).to(x.dtype)
    negative = torch.where(known, 1 - y, 0)
    positive = y if weights is None else y * weights
    e = torch.exp(-x.abs())
    tail, large = _log1p(e), 1 / (1 + e)
    small, is_up = e * large, x > 0
    s, s_neg = torch.where(is_up, large, small), torch.where(is_up, small, large)
    u, u_neg = x.clamp(min=0) + tail, (-x).clamp(min=0) + tail
    by_s, by_s_neg = negative * _power(s, gamma), positive * _power(s_neg, gamma)
    value = by_s * u + by_s_neg * u_neg
    slope = None
    if learns:
        slope = by_s * (s + gamma * s_neg * u) - by_s_neg * (s_neg + gamma * s * u_neg)
        slope = slope.to(logits.dtype)
    return value.sum() if sum_ else value, slope


def _power(s: Tensor, gamma: float) -> Tensor:
    return s * s if gamma == 2 else s**gamma


def _log1p(e: Tensor) -> Tensor:
    """log(1 + e) of 0 <= e <= 1: 2 atanh(w) of w = e / (2 + e) <= 1/3, whose series needs 8 terms in fp32. It takes a
    third of the time of the function, with which the kernel would spend most of its own."""
    if e.dtype == torch.float64:
        return torch.log1p(e)
    w = e / (2 + e)
    square = w * w
    series = square / 15 + 1 / 13
    for odd in (11, 9, 7, 5, 3, 1):
        series = series * square + 1 / odd
    return 2 * w * series
