"""The asymmetric loss: easy negatives count less than easy positives, and the easiest not at all."""

from typing import Any

import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from ..utils.numeric import checked_number
from .base import Loss, focal_term, focus, smoothed
from .reduction import as_weights


class AsymmetricLoss(Loss):
    r"""Focal loss with one gamma for positives and another for negatives, whose probability is shifted down first.

    With :math:`p = \sigma(z)` and :math:`p_m = \max(p - m, 0)`, entry by entry:

    .. math:: y\, w_l\, (1-p)^{\gamma_+} (-\log p) + (1-y)\, p_m^{\gamma_-} (-\log(1 - p_m))

    A negative with p <= m has loss and gradient 0. With shift 0 and equal gammas it is the focal loss, and with both
    gammas 0 the binary cross-entropy. The authors' own code sums where we divide by counts. Linear in y, so soft
    labels are defined.

    Args:
        class_weights, reduction, label_smoothing: see `Loss`.
        gamma_negative: focusing parameter of negatives, >= 0.
        gamma_positive: of positives, >= 0.
        shift: m, in [0, 1).

    Source: Ridnik et al., 2021, "Asymmetric Loss For Multi-Label Classification".

    >>> z, y = torch.tensor([[0.0, 0.0, -3.0]]), torch.tensor([[1, 0, 0]])
    >>> AsymmetricLoss(reduction="none")(z, y)
    tensor([[0.3466, 0.0245, 0.0000]])
    """

    def __init__(
        self,
        class_weights: Any = None,
        gamma_negative: float = 4.0,
        gamma_positive: float = 1.0,
        shift: float = 0.05,
        **general: Any,
    ) -> None:
        super().__init__(class_weights, **general)
        self.gamma_negative = checked_number("gamma_negative", gamma_negative, 0)
        self.gamma_positive = checked_number("gamma_positive", gamma_positive, 0)
        self.shift = checked_number("shift", shift, 0, 1)

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each entry."""
        y, weights = smoothed(labels.to(logits.dtype), self.label_smoothing), as_weights(self.class_weights, logits)
        positive = (y if weights is None else y * weights) * focal_term(-logits, self.gamma_positive)
        return torch.where(labels != IGNORE_INDEX, positive + (1 - y) * self._of_negatives(logits), 0)

    def _of_negatives(self, z: Tensor) -> Tensor:
        if self.shift == 0:
            return focal_term(z, self.gamma_negative)
        p, not_p = torch.sigmoid(z), torch.sigmoid(-z)
        low, high = (p - self.shift).clamp(min=0), (not_p + self.shift).clamp(max=1)  # p_m and 1 - p_m
        return focus(torch.where(p < 0.5, -torch.log1p(-low), -high.log()), self.gamma_negative)  # neither cancels
