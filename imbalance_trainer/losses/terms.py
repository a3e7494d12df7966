"""What several losses are built of: softplus and the focal term, finite in value and gradient at any logit."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x) without torch's cut at 20, so that it is right in fp64 too."""
    return -F.logsigmoid(-x)


def focal_term(x: Tensor, gamma: float) -> Tensor:
    """sigma(x)^gamma softplus(x): the focal loss of a negative with logit x, and of a positive with logit -x.

    Its derivative, sigma(x)^gamma (sigma(x) + gamma sigma(-x) softplus(x)), has no power gamma - 1 and so is finite
    for every gamma >= 0.

    >>> focal_term(torch.zeros(1), 2.0)
    tensor([0.1733])
    """
    return softplus(x) if gamma == 0 else _FocalTerm.apply(x, gamma)


def log_sum_exp(x: Tensor, shares: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """log of the sum of shares e^x along a dimension, for shares >= 0 of which one at least is not 0 (else -inf).

    >>> log_sum_exp(torch.zeros(3), torch.tensor([1.0, 0.5, 0.0]), 0).exp()
    tensor(1.5000)
    """
    counted = shares > 0
    logs = torch.where(counted, shares, 1).log()
    return torch.where(counted, x + logs, -torch.inf).logsumexp(dim, keepdim)


class _FocalTerm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: float) -> Tensor:
        s, u = torch.sigmoid(x), softplus(x)
        modulator = s.square() if gamma == 2 else s.pow(gamma)
        ctx.save_for_backward(modulator * (s + gamma * torch.sigmoid(-x) * u))
        return modulator * u

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return ctx.saved_tensors[0] * grad_output, None
