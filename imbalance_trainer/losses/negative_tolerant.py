"""The negative-tolerant focal loss (NTR), and with a weight of each entry (DB)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import UsageError
from ..utils.numeric import checked_number
from .base import EntryLoss, checked_gamma, checked_support, focal_term


class NegativeTolerantLoss(EntryLoss):
    r"""NTR-focal: the focal loss of logits less a margin, with negatives on a steeper scale.

    With the margin :math:`v_c = \kappa \log(N / n_c - 1)`, :math:`q = \sigma(z - v_c)` for positives and
    :math:`q = \sigma(\lambda (z - v_c))` for negatives, entry by entry:

    .. math:: y\, w_c\, (1-q)^\gamma (-\log q) + (1-y)\, \frac{1}{\lambda}\, q^\gamma (-\log(1 - q))

    A rare label has a positive margin: its positives have to score higher, its negatives are left alone sooner. With
    kappa 0 and negative_scale 1 it is the focal loss. A label without positives, or without negatives, has the margin
    of one.

    Args:
        support, n_rows, class_weights, reduction, label_smoothing: see `Loss`.
        gamma: focusing parameter, >= 0.
        negative_scale: lambda, > 0.
        kappa: what the margin is multiplied by, >= 0.

    Source: Wu et al., 2020, "Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets", with
    the focal term of Huang et al., 2021, "Balancing Methods for Multi-label Text Classification with Long-Tailed Class
    Distribution".

    >>> NegativeTolerantLoss([5, 5], 10, reduction="none")(torch.zeros(1, 2), torch.tensor([[1, 0]]))
    tensor([[0.1733, 0.0866]])
    """

    needs_counts = True
    margin: Tensor

    def __init__(
        self,
        support: Any,
        n_rows: Any,
        class_weights: Any = None,
        gamma: float = 2.0,
        negative_scale: float = 2.0,
        kappa: float = 0.05,
        **general: Any,
    ) -> None:
        super().__init__(class_weights, **general)
        self.gamma = checked_gamma(gamma)
        self.negative_scale = checked_number("negative_scale", negative_scale, 0, above=True)
        self.kappa = checked_number("kappa", kappa, 0)
        support = checked_support(support)
        negatives = np.maximum(_checked_rows(n_rows, support) - support, 1)
        self.keep_by_label("margin", self.kappa * np.log(negatives / np.maximum(support, 1)))

    def positive(self, z: Tensor) -> Tensor:
        """(1 - q)^gamma (-log q), q = sigma(z - v)."""
        return focal_term(self.margin - z, self.gamma)

    def negative(self, z: Tensor) -> Tensor:
        """1 / lambda q^gamma (-log(1 - q)), q = sigma(lambda (z - v))."""
        return focal_term(self.negative_scale * (z - self.margin), self.gamma) / self.negative_scale


class DistributionBalancedLoss(NegativeTolerantLoss):
    r"""DB-focal: negative-tolerant focal loss times a weight of each (row, label).

    A row with a common label beside a rare one is drawn for either. The ratio of how often it should be drawn for
    label c to how often it is, and the weight that is made of it:

    .. math:: r_{ic} = \frac{1/n_c}{\sum_{j: y_{ij} = 1} 1/n_j}, \qquad
        \hat r_{ic} = \alpha + \sigma(\beta(r_{ic}-\mu))

    In a row without positives the weight is its limit, alpha + 1. The sum is over the labels before smoothing; for
    soft labels it is of y_j / n_j, so that the loss is linear in y but for these weights. A label without positives
    counts as one with a single positive.

    Args:
        support, n_rows, gamma, negative_scale, kappa, reduction, label_smoothing: see `NegativeTolerantLoss`.
        alpha: the least weight, >= 0.
        beta: how steeply it rises, > 0.
        mu: the ratio at which it has risen by a half. The authors tuned it to each data set.

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
        **of_ntr: Any,
    ) -> None:
        super().__init__(support, n_rows, None, **of_ntr)
        self.alpha, self.beta = checked_number("alpha", alpha, 0), checked_number("beta", beta, 0, above=True)
        self.mu = checked_number("mu", mu, 0)
        self.keep_by_label("inverse_support", 1 / np.maximum(checked_support(support), 1))

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each entry by its weight; where a row has no positive, r is infinite and its sigmoid 1."""
        inverse = self.inverse_support.to(logits.dtype)
        targets = torch.where(labels == IGNORE_INDEX, 0, labels).to(logits.dtype)
        ratio = inverse / (targets @ inverse)[:, None]
        return super().each(logits, labels) * (self.alpha + torch.sigmoid(self.beta * (ratio - self.mu)))


def _checked_rows(n_rows: Any, support: np.ndarray) -> np.ndarray:
    """The known entries of each label, (labels,), or the rows, ()."""
    rows = np.asarray(n_rows.cpu() if isinstance(n_rows, Tensor) else n_rows, dtype=np.float64)
    if rows.shape not in ((), support.shape) or not (np.isfinite(rows) & (rows >= support)).all():
        raise UsageError(
            f"n_rows is one number, or one for each label, and not less than its support; got {n_rows!r}."
        )
    return rows
