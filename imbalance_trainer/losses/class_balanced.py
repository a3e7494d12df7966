"""The class-balanced loss: the focal loss, each label weighted by its effective number of samples."""

from typing import Any

import numpy as np
from torch import Tensor

from ..utils.constants import MAX_WEIGHT
from ..utils.numeric import checked_number
from .base import Loss, checked_support
from .focal import WeightedFocalLoss


class ClassBalancedLoss(WeightedFocalLoss):
    r"""Focal loss times a weight of the label, for its positives and its negatives alike.

    .. math:: \frac{1-\beta}{1-\beta^{n_c}} \mathrm{focal}, \text{ the weights divided by their mean}

    In single-label problems the weight is that of the row's class. With beta 0 all weigh 1 (the focal loss), with beta
    near 1 a label weighs in proportion to 1 / n_c. A label without positives weighs 1, and none more than 20.

    Args:
        support, reduction, label_smoothing: see `Loss`.
        beta: in [0, 1).
        gamma: focusing parameter, >= 0.

    Source: Cui et al., 2019, "Class-Balanced Loss Based on Effective Number of Samples"; for multi-label text, Huang
    et al., 2021, "Balancing Methods for Multi-label Text Classification with Long-Tailed Class Distribution".

    >>> import torch
    >>> loss = ClassBalancedLoss([1, 3], beta=0.5, gamma=0.0, reduction="none")
    >>> loss(torch.zeros(1, 2), torch.tensor([[1, 0]]))
    tensor([[0.8822, 0.5041]])
    """

    takes_class_weights = False
    needs_counts = True
    weights: Tensor

    def __init__(
        self,
        support: Any,
        beta: float = 0.9999,
        gamma: float = 2.0,
        **general: Any,
    ) -> None:
        super().__init__(None, gamma, **general)
        self.beta = checked_number("beta", beta, 0, 1)
        weights = effective_number_weights(checked_support(support), self.beta)
        self.keep_by_label("weights", weights.clip(max=MAX_WEIGHT))

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Multi-label: the focal loss of each entry by its label's weight; single-label: the weight is the class's."""
        weights = self.weights.to(logits.dtype)
        if labels.ndim < logits.ndim:
            return self.weighted(logits, labels, weights)
        return self.weighted(logits, labels, None) * weights

    total = Loss.total  # of `each`


def effective_number_weights(support: np.ndarray, beta: float) -> np.ndarray:
    """(1 - beta) / (1 - beta^n), divided by its mean over the labels with positives; the others weigh 1. (labels,)

    >>> effective_number_weights(np.array([1.0, 3.0, 0.0]), 0.5)
    array([1.27272727, 0.72727273, 1.        ])
    """
    weights, present = np.ones(len(support)), support > 0
    if beta > 0 and present.any():
        inverse = -1 / np.expm1(support[present] * np.log(beta))
        weights[present] = inverse / inverse.mean()
    return weights
