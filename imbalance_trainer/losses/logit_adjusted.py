"""Logit adjustment and balanced softmax: the class frequencies are added to the logits in training."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .base import SoftmaxLoss, number
from .counts import at_least_one, checked_support


class LogitAdjustedLoss(SoftmaxLoss):
    r"""Cross-entropy of logits to which tau times the log of the class's share is added, in training only.

    .. math:: -\log \frac{e^{z_y + \tau \log \pi_y}}{\sum_c e^{z_c + \tau \log \pi_c}}, \quad \pi_c = n_c / N

    The plain logits then decide as for classes that are equally frequent, which is the best decision for the mean of
    the classes' recalls; the share of common classes among the decisions falls. With tau 0 it is the cross-entropy,
    with tau 1 `balanced_softmax`. It takes no class weights: both would count the imbalance. A class without rows
    counts as one with a single row.

    Args:
        reduction, label_smoothing: see `Loss`.
        support: (classes,), rows of each class in training.
        tau: >= 0.

    Raises:
        UsageError: shapes or arguments that do not fit.

    Source: Menon et al., 2021, "Long-tail learning via logit adjustment".

    >>> LogitAdjustedLoss([9, 1])(torch.zeros(1, 2), torch.tensor([1]))  # -log 0.1
    tensor(2.3026)
    """

    takes_class_weights = False
    needs_counts = True
    adjustment: Tensor

    def __init__(self, support: Any, tau: float = 1.0, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(None, reduction, label_smoothing)
        self.tau = number("tau", tau, 0)
        counts = at_least_one(checked_support(support))
        adjustment = self.tau * np.log(counts / counts.sum())
        self.keep_by_label("adjustment", torch.tensor(adjustment, dtype=torch.float32))

    def adjusted(self, z: Tensor, classes: Tensor) -> Tensor:
        """z + tau log pi."""
        return z + self.adjustment


class BalancedSoftmaxLoss(LogitAdjustedLoss):
    """Logit adjustment with tau 1: each class counts by its rows in the softmax, in training only.

    Args:
        support: (classes,), rows of each class in training.
        reduction, label_smoothing: see `Loss`.

    Source: Ren et al., 2020, "Balanced Meta-Softmax for Long-Tailed Visual Recognition".
    """

    def __init__(self, support: Any, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(support, 1.0, reduction, label_smoothing)
