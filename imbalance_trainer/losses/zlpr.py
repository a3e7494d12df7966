"""ZLPR: every positive of a row above zero, every negative below, in one loss of the row."""

import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX
from .base import Loss, smoothed


class ZLPRLoss(Loss):
    r"""Zero-bounded log-sum-exp and pairwise rank-based loss of a row.

    .. math:: \log\Big(1 + \sum_j y_j e^{-z_j}\Big) + \log\Big(1 + \sum_j (1 - y_j) e^{z_j}\Big)

    The worst positive and the worst negative of a row carry most of the gradient, so that the number of negatives does
    not matter much; the threshold is z = 0, which is p = 0.5. A soft label counts as a positive by its share, as in
    the paper; this is not linear in y. It takes no class weights, as a row's loss is not a sum over its labels.

    A row's loss counts for each of its known entries, so that the mean over entries is the mean over rows, weighted by
    how much is known of them: sums of a batch's parts add up.

    Args:
        reduction, label_smoothing: see `Loss`.

    Source: Su et al., 2022, "ZLPR: A Novel Loss for Multi-label Classification".

    >>> ZLPRLoss()(torch.zeros(1, 3), torch.tensor([[1, 0, 0]]))  # log 2 + log 3
    tensor(1.7918)
    """

    takes_class_weights = False
    elementwise = False

    def __init__(self, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(None, reduction, label_smoothing)

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The row's loss at each of its known entries."""
        known = labels != IGNORE_INDEX
        y = smoothed(labels.to(logits.dtype), self.label_smoothing)
        positives, negatives = torch.where(known, y, 0), torch.where(known, 1 - y, 0)
        of_row = _log_1_plus_sum(-logits, positives) + _log_1_plus_sum(logits, negatives)
        return torch.where(known, of_row, 0)


def _log_1_plus_sum(x: Tensor, shares: Tensor) -> Tensor:
    """log(1 + sum of shares * e^x) of each row, (rows, 1), without overflow."""
    counted = shares > 0
    terms = torch.where(counted, x + torch.where(counted, shares, 1).log(), -torch.inf)
    return torch.nn.functional.pad(terms, (1, 0)).logsumexp(1, keepdim=True)
