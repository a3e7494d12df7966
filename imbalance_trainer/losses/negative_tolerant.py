"""The negative-tolerant focal loss (NTR), and with class-balanced weights CB-NTR."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .base import EntryLoss, number
from .counts import at_least_one, checked_rows, checked_support, effective_number_weights
from .focal import checked_gamma
from .multi_label_focal import focal_term


class NegativeTolerantLoss(EntryLoss):
    r"""NTR-focal: the focal loss of logits less a margin, with negatives on a steeper scale.

    With the margin :math:`v_c = \kappa \log(N / n_c - 1)`, :math:`q = \sigma(z - v_c)` for positives and
    :math:`q = \sigma(\lambda (z - v_c))` for negatives, entry by entry:

    .. math:: y\, w_c\, (1-q)^\gamma (-\log q) + (1-y)\, \frac{1}{\lambda}\, q^\gamma (-\log(1 - q))

    A rare label has a positive margin: its positives have to score higher, its negatives are left alone sooner. With
    kappa 0 and negative_scale 1 it is the focal loss. `distribution_balanced` and `cb_ntr` are this one with weights
    of the entries. A label without positives, or without negatives, has the margin of one.

    Args:
        class_weights, reduction, label_smoothing: see `Loss`.
        support: (labels,), positives of each label in training.
        n_rows: rows in training, or known entries of each label, (labels,).
        gamma: focusing parameter, >= 0.
        negative_scale: lambda, > 0.
        kappa: what the margin is multiplied by, >= 0.

    Raises:
        UsageError: shapes or arguments that do not fit.

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


class CBNTRLoss(NegativeTolerantLoss):
    r"""CB-NTR: negative-tolerant focal loss times a weight of the label, for positives and negatives alike.

    .. math:: \frac{1-\beta}{1-\beta^{n_c}} \mathrm{NTR}, \text{ the weights divided by their mean}

    `negative_tolerant` has the margins and the scale, `class_balanced` the weights; beta 0 gives `negative_tolerant`.

    Args:
        support, n_rows, gamma, negative_scale, kappa: see `NegativeTolerantLoss`.
        beta: in [0, 1).
        reduction, label_smoothing: see `Loss`.

    Raises:
        UsageError: shapes or arguments that do not fit.

    Source: Huang et al., 2021, "Balancing Methods for Multi-label Text Classification with Long-Tailed Class
    Distribution".
    """

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
