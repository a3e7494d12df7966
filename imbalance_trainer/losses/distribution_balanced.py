"""The distribution-balanced loss: the negative-tolerant focal loss, weighted by the other labels of the row."""

from typing import Any

import torch
from torch import Tensor

from .base import number
from .counts import at_least_one, checked_support
from .negative_tolerant import NegativeTolerantLoss


class DistributionBalancedLoss(NegativeTolerantLoss):
    r"""DB-focal: negative-tolerant focal loss times a weight of each (row, label).

    A row with a common label beside a rare one is drawn for either. The ratio of how often it should be drawn for
    label c to how often it is, and the weight that is made of it:

    .. math:: r_{ic} = \frac{1/n_c}{\sum_{j: y_{ij} = 1} 1/n_j}, \qquad
        \hat r_{ic} = \alpha + \sigma(\beta(r_{ic}-\mu))

    In a row without positives the weight is its limit, alpha + 1. The sum is over the labels before smoothing; for
    soft labels it is of y_j / n_j, so that the loss is linear in y but for these weights. A label without positives
    counts as one with a single positive. `negative_tolerant` is this loss with all weights 1.

    Args:
        reduction, label_smoothing: see `Loss`.
        support, n_rows, gamma, negative_scale, kappa: see `NegativeTolerantLoss`.
        alpha: the least weight, >= 0.
        beta: how steeply it rises, > 0.
        mu: the ratio at which it has risen by a half. The authors tuned it to each data set.

    Raises:
        UsageError: shapes or arguments that do not fit.

    Source: Wu et al., 2020, "Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets"; with
    the focal term, Huang et al., 2021, "Balancing Methods for Multi-label Text Classification with Long-Tailed Class
    Distribution".

    >>> loss = DistributionBalancedLoss([1, 3], 4, kappa=0.0, mu=0.5, reduction="none")
    >>> loss(torch.zeros(1, 2), torch.tensor([[1, 1]]))
    tensor([[0.1775, 0.0305]])
    """

    takes_class_weights = False
    elementwise = False
    inverse_support: Tensor

    def __init__(
        self,
        support: Any,
        n_rows: Any,
        alpha: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.9,
        gamma: float = 2.0,
        negative_scale: float = 2.0,
        kappa: float = 0.05,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(support, n_rows, None, gamma, negative_scale, kappa, reduction, label_smoothing)
        self.alpha, self.beta = number("alpha", alpha, 0), number("beta", beta, 0, above=True)
        self.mu = number("mu", mu, 0)
        inverse = 1 / at_least_one(checked_support(support))
        self.keep_by_label("inverse_support", torch.tensor(inverse, dtype=torch.float32))

    def factor(self, targets: Tensor) -> Tensor:
        """r^ of each entry; where a row has no positive, r is infinite and its sigmoid 1."""
        inverse = self.inverse_support.to(targets.dtype)
        ratio = inverse / (targets @ inverse)[:, None]
        return self.alpha + torch.sigmoid(self.beta * (ratio - self.mu))
