"""Single-label losses of logits changed by the class counts: logit adjustment, balanced softmax, and LDAM."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.constants import IGNORE_INDEX, SINGLE_LABEL
from ..utils.numeric import checked_number
from .base import Loss, checked_support
from .reduction import as_weights


class SoftmaxLoss(Loss):
    """The cross-entropy of logits adjusted by the class counts; a subclass defines `adjusted`."""

    problem_types = (SINGLE_LABEL,)
    needs_counts = True

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy of each row times its class weight."""
        flat, classes = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1).long()
        loss = F.cross_entropy(
            self.adjusted(flat, classes.clamp(min=0)),
            classes,
            as_weights(self.class_weights, logits),
            ignore_index=IGNORE_INDEX,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return loss.reshape(labels.shape)

    def adjusted(self, z: Tensor, classes: Tensor) -> Tensor:
        """The logits (rows, classes) that enter the cross-entropy.

        Args:
            z: logits, fp32 or fp64.
            classes: the rows' classes, 0 where unknown.
        """
        raise NotImplementedError


class LogitAdjustedLoss(SoftmaxLoss):
    r"""Cross-entropy of logits to which tau times the log of the class's share is added, in training only.

    .. math:: -\log \frac{e^{z_y + \tau \log \pi_y}}{\sum_c e^{z_c + \tau \log \pi_c}}, \quad \pi_c = n_c / N

    The plain logits then decide as for classes that are equally frequent, which is the best decision for the mean of
    the classes' recalls; the share of common classes among the decisions falls. With tau 0 it is the cross-entropy,
    with tau 1 `balanced_softmax`. It takes no class weights: both would count the imbalance. A class without rows
    counts as one with a single row.

    Args:
        support, reduction, label_smoothing: see `Loss`.
        tau: >= 0.

    Source: Menon et al., 2021, "Long-tail learning via logit adjustment".

    >>> LogitAdjustedLoss([9, 1])(torch.zeros(1, 2), torch.tensor([1]))  # -log 0.1
    tensor(2.3026)
    """

    takes_class_weights = False
    adjustment: Tensor

    def __init__(self, support: Any, tau: float = 1.0, **general: Any) -> None:
        super().__init__(None, **general)
        self.tau = checked_number("tau", tau, 0)
        counts = np.maximum(checked_support(support), 1)
        self.keep_by_label("adjustment", self.tau * np.log(counts / counts.sum()))

    def adjusted(self, z: Tensor, classes: Tensor) -> Tensor:
        """z + tau log pi."""
        return z + self.adjustment


class BalancedSoftmaxLoss(LogitAdjustedLoss):
    """Logit adjustment with tau 1: each class counts by its rows in the softmax, in training only.

    Args:
        support, reduction, label_smoothing: see `Loss`.

    Source: Ren et al., 2020, "Balanced Meta-Softmax for Long-Tailed Visual Recognition".
    """

    def __init__(self, support: Any, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(support, 1.0, reduction=reduction, label_smoothing=label_smoothing)


class LDAMLoss(SoftmaxLoss):
    r"""Label-distribution-aware margin loss: cross-entropy with a margin taken from the logit of the row's class.

    .. math:: -w_y \log \frac{e^{s(z_y - \Delta_y)}}{e^{s(z_y - \Delta_y)} + \sum_{c \ne y} e^{s z_c}},
        \quad \Delta_c \propto n_c^{-1/4}, \text{ at most } \Delta_{\max}

    The paper's network has normalised features and weights, so that its logits are cosines in [-1, 1], for which the
    scale of 30 is meant; the logits of an ordinary head grow small under it, and scores are softmax(30 z) rather than
    softmax(z). A class without rows counts as one with the largest margin.

    Args:
        support, class_weights, reduction, label_smoothing: see `Loss`.
        max_margin: of the rarest class, >= 0.
        scale: s, > 0.

    Source: Cao et al., 2019, "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss".

    >>> LDAMLoss([16, 1], scale=1.0)(torch.zeros(1, 2), torch.tensor([1]))  # log(1 + e^0.5)
    tensor(0.9741)
    """

    margin: Tensor

    def __init__(
        self,
        support: Any,
        class_weights: Any = None,
        max_margin: float = 0.5,
        scale: float = 30.0,
        **general: Any,
    ) -> None:
        super().__init__(class_weights, **general)
        self.max_margin = checked_number("max_margin", max_margin, 0)
        self.scale = checked_number("scale", scale, 0, above=True)
        support = checked_support(support)
        relative = np.maximum(support, 1) ** -0.25
        rarest = relative[support > 0].max(initial=0.0) or 1.0
        self.keep_by_label("margin", self.max_margin * np.minimum(relative / rarest, 1))

    def adjusted(self, z: Tensor, classes: Tensor) -> Tensor:
        """s (z - margin of the row's class, at that class)."""
        margins = self.margin.to(z.dtype)[classes][:, None]
        return self.scale * (z - torch.zeros_like(z).scatter(1, classes[:, None], margins))
