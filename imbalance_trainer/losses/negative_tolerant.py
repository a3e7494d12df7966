"""The negative-tolerant focal loss: a margin by the label's prevalence, and less push on negatives already low."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .base import EntryLoss, number
from .counts import at_least_one, checked_rows, checked_support
from .focal import checked_gamma
from .terms import focal_term


def negative_tolerant_loss(
    logits: Tensor,
    labels: Tensor,
    support: Any,
    n_rows: Any,
    class_weights: Any = None,
    gamma: float = 2.0,
    negative_scale: float = 2.0,
    kappa: float = 0.05,
    reduction: str = "mean",
    num_items_in_batch: Tensor | int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""NTR-focal: the focal loss of logits less a margin, with negatives on a steeper scale.

    With the margin :math:`v_c = \kappa \log(N / n_c - 1)`, :math:`q = \sigma(z - v_c)` for positives and
    :math:`q = \sigma(\lambda (z - v_c))` for negatives, entry by entry:

    .. math:: y\, w_c\, (1-q)^\gamma (-\log q) + (1-y)\, \frac{1}{\lambda}\, q^\gamma (-\log(1 - q))

    A rare label has a positive margin: its positives have to score higher, its negatives are left alone sooner. With
    kappa 0 and negative_scale 1 it is the focal loss. `distribution_balanced` and `cb_ntr` are this one with weights
    of the entries. A label without positives, or without negatives, has the margin of one.

    Args:
        logits, labels, class_weights, reduction, num_items_in_batch, label_smoothing: as in `weighted_focal_loss`,
            multi-label. Linear in y, so soft labels are defined.
        support: (labels,), positives of each label in training.
        n_rows: rows in training, or known entries of each label, (labels,).
        gamma: focusing parameter, >= 0.
        negative_scale: lambda, > 0.
        kappa: what the margin is multiplied by, >= 0.

    Returns:
        A scalar, or for "none" a tensor of the labels' shape.

    Raises:
        UsageError: shapes or arguments that do not fit.

    Source: Wu et al., 2020, "Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets", with
    the focal term of Huang et al., 2021, "Balancing Methods for Multi-label Text Classification with Long-Tailed Class
    Distribution".

    >>> negative_tolerant_loss(torch.zeros(1, 2), torch.tensor([[1, 0]]), [5, 5], 10, reduction="none")
    tensor([[0.1733, 0.0866]])
    """
    loss = NegativeTolerantLoss(
        support, n_rows, class_weights, gamma, negative_scale, kappa, reduction, label_smoothing
    )
    return loss(logits, labels, num_items_in_batch)


class NegativeTolerantLoss(EntryLoss):
    """`negative_tolerant_loss` as a module."""

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
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(class_weights, reduction, label_smoothing)
        self.gamma = checked_gamma(gamma)
        self.negative_scale = number("negative_scale", negative_scale, 0, above=True)
        self.kappa = number("kappa", kappa, 0)
        support = checked_support(support)
        negatives = at_least_one(checked_rows(n_rows, support) - support)
        margin = self.kappa * np.log(negatives / at_least_one(support))
        self.keep_by_label("margin", torch.tensor(margin, dtype=torch.float32))

    def positive(self, z: Tensor) -> Tensor:
        """(1 - q)^gamma (-log q), q = sigma(z - v)."""
        return focal_term(self.margin - z, self.gamma)

    def negative(self, z: Tensor) -> Tensor:
        """1 / lambda q^gamma (-log(1 - q)), q = sigma(lambda (z - v))."""
        return focal_term(self.negative_scale * (z - self.margin), self.gamma) / self.negative_scale
