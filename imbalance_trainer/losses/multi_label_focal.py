"""The multi-label focal loss in closed form: value and gradient in one pass.

With s = sigmoid and u = softplus, f(z) = s(z)^g u(z) is the loss of a negative with logit z and of a positive with
logit -z. Its derivative, s(z)^g (s(z) + g s(-z) u(z)), has no power g - 1 and no log of a rounded probability, so
value and gradient are finite at any logit and for every g >= 0.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from .reduction import at_least_fp32, blocks, is_one_block, scaled


def multi_label_focal(logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, summed: bool) -> Tensor:
    """The focal loss of each entry (0 where unknown), or its sum; fp32, or fp64 for fp64 logits.

    Args:
        logits: (rows, labels), any floating type.
        labels: (rows, labels), in [0, 1] or -100 for unknown.
        weights: (labels,), of positives, in the type that is computed in; None for 1.
        gamma: focusing parameter, above 0.
        summed: whether the sum is wanted. A large batch is then taken in blocks.
    """
    return _MultiLabelFocal.apply(logits, labels, weights, gamma, summed)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x) without torch's cut at 20, so that it is right in fp64 too."""
    return -F.logsigmoid(-x)


def focal_term(x: Tensor, gamma: float) -> Tensor:
    """sigmoid(x)^gamma softplus(x): the focal loss of a negative with logit x, and of a positive with logit -x.

    >>> focal_term(torch.zeros(1), 2.0)
    tensor([0.1733])
    """
    return softplus(x) if gamma == 0 else _FocalTerm.apply(x, gamma)


class _FocalTerm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: float) -> Tensor:
        s, u = torch.sigmoid(x), softplus(x)
        modulator = _power(s, gamma)
        ctx.save_for_backward(modulator * (s + gamma * torch.sigmoid(-x) * u))
        return modulator * u

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return ctx.saved_tensors[0] * grad_output, None


class _MultiLabelFocal(torch.autograd.Function):
    """Saves nothing but the gradient."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, summed: bool
    ) -> Tensor:
        needs_gradient = ctx.needs_input_grad[0]
        gradient: Tensor | None
        if not summed or is_one_block(logits):
            loss, slope = _entries(at_least_fp32(logits), labels, weights, gamma)
            loss, gradient = loss.sum() if summed else loss, slope.to(logits.dtype)
        else:
            loss = torch.zeros((), dtype=torch.promote_types(logits.dtype, torch.float32), device=logits.device)
            gradient = torch.empty_like(logits, memory_format=torch.contiguous_format) if needs_gradient else None
            for rows, columns in blocks(logits):
                of_columns = None if weights is None else weights[columns]
                value, slope = _entries(at_least_fp32(logits[rows, columns]), labels[rows, columns], of_columns, gamma)
                loss += value.sum()
                if gradient is not None:
                    gradient[rows, columns] = slope
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return scaled(ctx.saved_tensors[0], grad_output), None, None, None, None


def _entries(x: Tensor, labels: Tensor, weights: Tensor | None, gamma: float) -> tuple[Tensor, Tensor]:
    """Loss and derivative of each entry. Most steps are in place, as fresh memory costs more than the arithmetic."""
    y = labels.to(x.dtype)
    positive = y.clamp(min=0)
    negative = y.clone().ne_(IGNORE_INDEX).sub_(positive)  # 0 where unknown; a mask would take ten times as long
    if weights is not None:
        positive.mul_(weights)
    not_x = -x
    s, s_not = torch.sigmoid(x), torch.sigmoid(not_x)  # 1 - s would cancel
    log_s, log_s_not = F.logsigmoid(x), F.logsigmoid(not_x)  # -u(-x) and -u(x)
    negative.mul_(_power(s, gamma))
    positive.mul_(_power(s_not, gamma))
    slope = torch.addcmul(s, s_not, log_s_not, value=-gamma).mul_(negative)
    slope.sub_(s_not.addcmul_(s, log_s, value=-gamma).mul_(positive))
    return log_s_not.mul_(negative).addcmul_(log_s, positive).neg_(), slope


def _power(s: Tensor, gamma: float) -> Tensor:
    return s * s if gamma == 2 else s.pow(gamma)
