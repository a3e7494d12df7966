"""Balanced softmax: the softmax of a training set in which every class is as frequent as the others."""

from typing import Any

from torch import Tensor

from .logit_adjusted import LogitAdjustedLoss


def balanced_softmax_loss(
    logits: Tensor,
    labels: Tensor,
    support: Any,
    reduction: str = "mean",
    num_items_in_batch: Tensor | int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Cross-entropy of a softmax in which each class counts by its rows, in training only.

    .. math:: -\log \frac{n_y e^{z_y}}{\sum_c n_c e^{z_c}}

    It is `logit_adjusted` with tau 1, come to by another way; see there.

    Args:
        logits, labels, reduction, num_items_in_batch, label_smoothing: as in `weighted_focal_loss`, single-label.
        support: (classes,), rows of each class in training.

    Returns:
        A scalar, or for "none" a tensor of the labels' shape.

    Raises:
        UsageError: shapes or arguments that do not fit.

    Source: Ren et al., 2020, "Balanced Meta-Softmax for Long-Tailed Visual Recognition".

    >>> import torch
    >>> balanced_softmax_loss(torch.zeros(1, 2), torch.tensor([1]), [9, 1])  # -log(1 / 10)
    tensor(2.3026)
    """
    return BalancedSoftmaxLoss(support, reduction, label_smoothing)(logits, labels, num_items_in_batch)


class BalancedSoftmaxLoss(LogitAdjustedLoss):
    """`balanced_softmax_loss` as a module."""

    def __init__(self, support: Any, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(support, 1.0, reduction, label_smoothing)
