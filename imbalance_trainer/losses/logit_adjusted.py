"""Logit adjustment: a single-label loss of logits to which the log of the class counts is added."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.constants import IGNORE_INDEX, SINGLE_LABEL
from ..utils.errors import UsageError
from ..utils.numeric import checked_number
from .base import Loss, checked_support


class LogitAdjustedLoss(Loss):
    r"""Cross-entropy of logits to which tau times the log of the class's share is added, in training only.

    .. math:: -\log \frac{e^{z_y + \tau \log \pi_y}}{\sum_c e^{z_c + \tau \log \pi_c}}, \quad \pi_c = n_c / N

    The plain logits then decide as for classes that are equally frequent, which is the best decision for the mean of
    the classes' recalls; the share of common classes among the decisions falls. With tau 0 it is the cross-entropy,
    with tau 1 balanced softmax (Ren et al., 2020). It takes no class weights. A class without rows counts as one row.

    Args:
        support, reduction, label_smoothing: see `Loss`.
        tau: >= 0.

    Source: Menon et al., 2021, "Long-tail learning via logit adjustment".

    >>> import torch
    >>> LogitAdjustedLoss([9, 1])(torch.zeros(1, 2), torch.tensor([1]))  # -log 0.1
    tensor(2.3026)
    """

    problem_types = (SINGLE_LABEL,)
    needs_counts = True
    takes_class_weights = False
    adjustment: Tensor

    def __init__(self, support: Any, tau: float = 1.0, **general: Any) -> None:
        super().__init__(None, **general)
        self.tau = checked_number("tau", tau, 0)
        counts = np.maximum(checked_support(support), 1)
        adjustment = torch.tensor(self.tau * np.log(counts / counts.sum()), dtype=torch.float32)
        self.register_buffer("adjustment", adjustment, persistent=False)

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy of each row."""
        if (n := len(self.adjustment)) != logits.shape[-1]:
            raise UsageError(f"Got the support of {n} labels for {logits.shape[-1]} logits; give one each.")
        flat, classes = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1).long()
        rest: Any = {"ignore_index": IGNORE_INDEX, "label_smoothing": self.label_smoothing}
        loss = F.cross_entropy(flat + self.adjustment, classes, reduction="none", **rest)
        return loss.reshape(labels.shape)
