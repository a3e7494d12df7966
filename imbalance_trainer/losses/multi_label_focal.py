"""The focal loss in closed form, finite in value and gradient at any logit and for every gamma >= 0.

With s = sigmoid and u = softplus, f(z) = s(z)^g u(z) is the loss of a negative with logit z and of a positive with
logit -z. Its derivative, s(z)^g (s(z) + g s(-z) u(z)), has no power g - 1 and no log of a rounded probability.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from .reduction import with_slope


def multi_label_focal(
    logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, count: Tensor | int | None = None
) -> Tensor:
    """The focal loss of each entry (0 where unknown), or its sum over `count`; fp32, or fp64 for fp64 logits.

    Args:
        logits: (rows, labels), any floating type.
        labels: (rows, labels), in [0, 1] or -100 for unknown.
        weights: (labels,), of positives, in the type that is computed in; None for 1.
        gamma: focusing parameter, above 0.
        count: what the sum is divided by; None for the loss of each entry.
    """
    return with_slope(partial(_value_and_slope, gamma), logits, labels, weights, count)


def _value_and_slope(gamma: float, x: Tensor, labels: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
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


# ---- terms of other losses ----


def focal_term(x: Tensor, gamma: float) -> Tensor:
    """sigmoid(x)^gamma softplus(x): the focal loss of a negative with logit x, and of a positive with logit -x.

    >>> focal_term(torch.zeros(1), 2.0)
    tensor([0.1733])
    """
    return focus(-F.logsigmoid(-x), gamma)  # torch's softplus is cut at 20, which is too early in fp64


def focus(cross_entropy: Tensor, gamma: float) -> Tensor:
    """(1 - e^-c)^gamma c for a cross-entropy c = -log p >= 0: the focal loss (1 - p)^gamma (-log p)."""
    return _Focus.apply(cross_entropy, gamma) if gamma else cross_entropy


class _Focus(torch.autograd.Function):
    """The derivative, q^g (1 + g e^-c c / q) with q = 1 - e^-c, has no power g - 1, so it is finite at c = 0."""

    @staticmethod
    def forward(ctx: Any, cross_entropy: Tensor, gamma: float) -> Tensor:
        c = cross_entropy
        q = -torch.expm1(-c)
        modulator = q.pow(gamma)
        ratio = torch.where(q > 0, c / q, 1)  # c / (1 - e^-c) -> 1 as c -> 0
        ctx.save_for_backward(modulator * (1 + gamma * torch.exp(-c) * ratio))
        return modulator * c

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return ctx.saved_tensors[0] * grad_output, None
