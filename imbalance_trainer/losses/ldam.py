"""LDAM: the rarer a class, the larger the margin by which it has to win."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .base import SoftmaxLoss, number
from .counts import at_least_one, checked_support


class LDAMLoss(SoftmaxLoss):
    r"""Label-distribution-aware margin loss: cross-entropy with a margin taken from the logit of the row's class.

    .. math:: -w_y \log \frac{e^{s(z_y - \Delta_y)}}{e^{s(z_y - \Delta_y)} + \sum_{c \ne y} e^{s z_c}},
        \quad \Delta_c \propto n_c^{-1/4}, \text{ at most } \Delta_{\max}

    The paper's network has normalised features and weights, so that its logits are cosines in [-1, 1], for which the
    scale of 30 is meant; the logits of an ordinary head grow small under it, and scores are softmax(30 z) rather than
    softmax(z). The paper sets class weights late in training, which `reweight_from` does. A class without rows counts
    as one with the largest margin.

    Args:
        class_weights, reduction, label_smoothing: see `Loss`.
        support: (classes,), rows of each class in training.
        max_margin: of the rarest class, >= 0.
        scale: s, > 0.

    Raises:
        UsageError: shapes or arguments that do not fit.

    Source: Cao et al., 2019, "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss".

    >>> LDAMLoss([16, 1], scale=1.0)(torch.zeros(1, 2), torch.tensor([1]))  # log(1 + e^0.5)
    tensor(0.9741)
    """

    needs_counts = True
    margin: Tensor

    def __init__(
        self,
        support: Any,
        class_weights: Any = None,
        max_margin: float = 0.5,
        scale: float = 30.0,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(class_weights, reduction, label_smoothing)
        self.max_margin = number("max_margin", max_margin, 0)
        self.scale = number("scale", scale, 0, above=True)
        support = checked_support(support)
        relative = at_least_one(support) ** -0.25
        rarest = relative[support > 0].max(initial=0.0) or 1.0
        margin = self.max_margin * np.minimum(relative / rarest, 1)
        self.keep_by_label("margin", torch.tensor(margin, dtype=torch.float32))

    def adjusted(self, z: Tensor, classes: Tensor) -> Tensor:
        """s (z - margin of the row's class, at that class)."""
        margins = self.margin.to(z.dtype)[classes][:, None]
        return self.scale * (z - torch.zeros_like(z).scatter(1, classes[:, None], margins))
