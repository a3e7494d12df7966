"""The Hill loss: negatives with a high score are treated as labels that somebody forgot."""

from typing import Any

import torch
from torch import Tensor

from .base import EntryLoss, number
from .focal import checked_gamma, focal_term


class HillLoss(EntryLoss):
    r"""Squared error of negatives, weighted down where they score high; focal loss with a margin of positives.

    With :math:`p = \sigma(z)` and :math:`p_m = \sigma(z - m)`, entry by entry:

    .. math:: y\, w_l\, (1-p_m)^\gamma (-\log p_m) + (1-y)\, (\lambda - p)\, p^2

    For data in which a 0 often means that nobody looked: with lambda 1.5 the gradient of a negative,
    :math:`3 p^2 (1-p)^2`, falls again past p = 0.5, where the other losses push hardest. On data with all labels set
    it learns too little from its hardest negatives. With margin 0 positives have the focal loss. Linear in y, so soft
    labels are defined.

    Args:
        class_weights, reduction, label_smoothing: see `Loss`.
        gamma: focusing parameter of positives, >= 0.
        margin: m, >= 0.
        limit: lambda, >= 1, so that no loss is negative; below 1.5 negatives past p = 2/3 lambda are pushed up.

    Source: Zhang et al., 2021, "Simple and Robust Loss Design for Multi-Label Learning with Missing Labels".

    >>> HillLoss(reduction="none")(torch.tensor([[1.0, 0.0]]), torch.tensor([[1, 0]]))
    tensor([[0.1733, 0.2500]])
    """

    def __init__(
        self,
        class_weights: Any = None,
        gamma: float = 2.0,
        margin: float = 1.0,
        limit: float = 1.5,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(class_weights, reduction, label_smoothing)
        self.gamma = checked_gamma(gamma)
        self.margin, self.limit = number("margin", margin, 0), number("limit", limit, 1)

    def positive(self, z: Tensor) -> Tensor:
        """(1 - p_m)^gamma (-log p_m)."""
        return focal_term(self.margin - z, self.gamma)

    def negative(self, z: Tensor) -> Tensor:
        """(limit - p) p^2."""
        p = torch.sigmoid(z)
        return (self.limit - p) * p.square()
