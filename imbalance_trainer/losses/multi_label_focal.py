"""The multi-label focal loss in closed form, eagerly: value and gradient in one pass, block by block.

Two ways to the same numbers: labels that are 0 and 1, and anything in [0, 1] or unknown. `fused_focal` is the same as
a kernel of torch.compile.
"""

from typing import Any

import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from .blocks import blocks, is_one_block, scaled
from .reduction import at_least_fp32

_NO_OVERFLOW = 80.0  # exp of it is finite in fp32, and its log1p the logit itself
_N_BUFFERS = 6


def multi_label_focal(logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, sum_: bool) -> Tensor:
    """The sum, or each entry's loss (0 where unknown), fp32 (fp64 for fp64 logits).

    Args:
        logits, labels, weights: as in `weighted_focal_loss`, of which this is the core.
        gamma: above 0.
        sum_: whether the sum is wanted.
    """
    if logits.requires_grad and torch.is_grad_enabled():
        return _MultiLabelFocal.apply(logits, labels, weights, gamma, sum_)
    return _loss_and_gradient(logits, labels, weights, gamma, sum_, False)[0]


class _MultiLabelFocal(torch.autograd.Function):
    """Value and gradient in one pass over blocks.

    With u = softplus, s = sigmoid: f(z) = s(z)^g u(z) and f'(z) = s(z)^g (s(z) + g s(-z) u(z)); the loss of an entry
    is w y f(-x) + (1 - y) f(x). No power g - 1 and no log of a rounded probability, so everything is finite. Only the
    gradient is kept. It is not multiplied by 1/N here: in fp16 that would underflow before the loss scaler acts.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, sum_: bool) -> Tensor:
        loss, gradient = _loss_and_gradient(logits, labels, weights, gamma, sum_, True)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return scaled(gradient, grad_output), None, None, None, None


def _loss_and_gradient(
    logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, sum_: bool, learns: bool
) -> tuple[Tensor, Tensor | None]:
    """The sum (or each entry's loss), and where something learns the gradient of the sum in the logits' type."""
    if is_one_block(logits):
        value, slope = _focal_block(at_least_fp32(logits), labels, weights, gamma, _Buffers(learns))
        return value.sum() if sum_ else value, None if slope is None else slope.to(logits.dtype)
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    gradient = torch.empty_like(logits, memory_format=torch.contiguous_format) if learns else None
    values = None if sum_ else torch.empty(logits.shape, dtype=dtype, device=logits.device)
    total, buffers = torch.zeros((), dtype=dtype, device=logits.device), None
    for block in blocks(logits):
        x, of_columns = at_least_fp32(logits[block]), None if weights is None else weights[block[1]]
        buffers = buffers or _Buffers(learns, x.numel(), x)
        into = gradient[block] if learns and gradient.dtype == dtype else None
        value, slope = _focal_block(x, labels[block], of_columns, gamma, buffers.shaped(x, into))
        if learns and into is None:
            gradient[block] = slope
        if sum_:
            total += value.sum()
        else:
            values[block] = value
    return total if sum_ else values, gradient


class _Buffers:
    """Where the steps of a block go. Of a large batch they are the same for all blocks, as memory that is fresh each
    time costs more than what is written to it; of a small one each is fresh.

    Args:
        learns: whether the derivative is wanted at all.
        n, like: entries of the largest block and what tensors are like; none for fresh ones.
    """

    def __init__(self, learns: bool, n: int = 0, like: Tensor | None = None) -> None:
        self.learns, self.slope = learns, None
        self._all = None if like is None else torch.empty(_N_BUFFERS, n, dtype=like.dtype, device=like.device)
        self._views: list[Tensor] | None = None

    def shaped(self, x: Tensor, slope: Tensor | None) -> "_Buffers":
        """For a block of x's shape, whose derivative goes into `slope` if that is given."""
        self.slope = slope
        if self._views is None or self._views[0].shape != x.shape:
            self._views = [buffer[: x.numel()].view(x.shape) for buffer in self._all]
        return self

    def __getitem__(self, i: int) -> Tensor | None:
        return None if self._views is None else self._views[i]


def _focal_block(
    x: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, buffers: _Buffers
) -> tuple[Tensor, Tensor | None]:
    """Loss and derivative of each entry. The loss of a positive is w f(-x), of a negative f(x), so that hard labels
    need f once."""
    y = labels.to(x.dtype)
    if not _is_0_or_1(y):
        return _any_labels(x, y, weights, gamma, buffers)
    sign = torch.mul(y, -2, out=buffers[2]).add_(1)
    value, slope = _f(torch.mul(x, sign, out=buffers[3]), gamma, buffers)
    if weights is not None:  # at 0 and 1 exact, and much faster than where
        factor = torch.lerp(torch.ones_like(weights), weights, y, out=buffers[3])
        value.mul_(factor)
        sign.mul_(factor)
    return value, None if slope is None else slope.mul_(sign)


def _any_labels(
    x: Tensor, y: Tensor, weights: Tensor | None, gamma: float, buffers: _Buffers
) -> tuple[Tensor, Tensor | None]:
    """The same of soft and unknown labels: f(x) and f(-x), which share exp and log1p. What chooses is 0 or 1 as a
    number, as masks take ten times as long."""
    e = torch.abs(x, out=buffers[0]).neg_().exp_()
    large = torch.add(e, 1, out=buffers[1]).reciprocal_()
    small, is_up = torch.mul(e, large, out=buffers[2]), x.clone().gt_(0)
    s, s_neg = torch.lerp(small, large, is_up, out=buffers[3]), torch.lerp(large, small, is_up, out=buffers[4])
    tail = e.log1p_()
    u = torch.clamp(x, min=0, out=buffers[1]).add_(tail)
    u_neg = tail.add_(torch.neg(x, out=buffers[2]).clamp_(min=0))
    slope = slope_neg = None
    if buffers.learns:
        slope = torch.mul(s_neg, u, out=buffers.slope).mul_(gamma).add_(s)
        slope_neg = torch.mul(s, u_neg, out=buffers[2]).mul_(gamma).add_(s_neg)
    by_s = s.square_() if gamma == 2 else s.pow_(gamma)
    by_s_neg = s_neg.square_() if gamma == 2 else s_neg.pow_(gamma)
    positive = torch.clamp(y, min=0, out=buffers[5])  # 0 where unknown
    by_s.mul_(y.clone().ne_(IGNORE_INDEX).sub_(positive))
    by_s_neg.mul_(positive if weights is None else positive.mul_(weights))
    if slope is not None:
        slope.mul_(by_s).addcmul_(slope_neg, by_s_neg, value=-1)
    return u.mul_(by_s).addcmul_(u_neg, by_s_neg), slope


def _is_0_or_1(y: Tensor) -> bool:
    """Whether every label is 0 or 1, none unknown. False where a look at the values would make an accelerator wait, or
    break the graph of a compiler."""
    if torch.compiler.is_compiling() or y.device.type != "cpu":
        return False
    left = torch.addcmul(y, y, y, value=-1).reshape(-1)  # y - y^2
    return not torch.dot(left, left)  # a fifth of the time of comparing; NaN is not 0


def _f(z: Tensor, gamma: float, buffers: _Buffers) -> tuple[Tensor, Tensor | None]:
    """f = s^g u and f' = s^g (s + g (1 - s) u), from u = softplus(z) and s = sigmoid(z).

    exp does not overflow, and where 1 - s would cancel, the s beside it is 1.
    """
    e = torch.clamp(z, max=_NO_OVERFLOW, out=buffers[0]).exp_()
    s = torch.add(e, 1, out=buffers[1])
    torch.div(e, s, out=s)
    u = e.log1p_()
    torch.maximum(u, z, out=u)  # what exp was kept from
    slope = None
    if buffers.learns:
        slope = torch.addcmul(u, u, s, value=-1, out=buffers.slope)
        torch.add(s, slope, alpha=gamma, out=slope)
    s_g = s.square_() if gamma == 2 else s.pow_(gamma)
    return u.mul_(s_g), None if slope is None else slope.mul_(s_g)
