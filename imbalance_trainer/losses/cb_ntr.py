"""CB-NTR: the negative-tolerant focal loss with class-balanced weights."""

from typing import Any

from torch import Tensor

from .base import number
from .counts import checked_support, effective_number_weights
from .negative_tolerant import NegativeTolerantLoss


def cb_ntr_loss(
    logits: Tensor,
    labels: Tensor,
    support: Any,
    n_rows: Any,
    beta: float = 0.9999,
    gamma: float = 2.0,
    negative_scale: float = 2.0,
    kappa: float = 0.05,
    reduction: str = "mean",
    num_items_in_batch: Tensor | int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Negative-tolerant focal loss times the weight of the label, for positives and negatives alike.

    .. math:: \frac{1-\beta}{1-\beta^{n_c}} \mathrm{NTR}, \text{ the weights divided by their mean}

    `negative_tolerant` has the margins and the scale, `class_balanced` the weights; beta 0 gives `negative_tolerant`.

    Args:
        logits, labels, reduction, num_items_in_batch, label_smoothing: as in `weighted_focal_loss`, multi-label.
            Linear in y, so soft labels are defined.
        support, n_rows, gamma, negative_scale, kappa: see `negative_tolerant_loss`.
        beta: in [0, 1).

    Returns:
        A scalar, or for "none" a tensor of the labels' shape.

    Raises:
        UsageError: shapes or arguments that do not fit.

    Source: Huang et al., 2021, "Balancing Methods for Multi-label Text Classification with Long-Tailed Class
    Distribution".

    >>> import torch
    >>> cb_ntr_loss(torch.zeros(1, 2), torch.tensor([[1, 0]]), [1, 3], 4, beta=0.5, kappa=0.0, reduction="none")
    tensor([[0.2205, 0.0630]])
    """
    loss = CBNTRLoss(support, n_rows, beta, gamma, negative_scale, kappa, reduction, label_smoothing)
    return loss(logits, labels, num_items_in_batch)


class CBNTRLoss(NegativeTolerantLoss):
    """`cb_ntr_loss` as a module."""

    takes_class_weights = False
    weights: Tensor

    def __init__(
        self,
        support: Any,
        n_rows: Any,
        beta: float = 0.9999,
        gamma: float = 2.0,
        negative_scale: float = 2.0,
        kappa: float = 0.05,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(support, n_rows, None, gamma, negative_scale, kappa, reduction, label_smoothing)
        self.beta = number("beta", beta, 0, 1)
        self.keep_by_label("weights", effective_number_weights(checked_support(support), self.beta))

    def factor(self, targets: Tensor) -> Tensor:
        """The label's weight."""
        return self.weights
