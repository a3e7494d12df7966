"""ZLPR: every positive of a row above zero, every negative below, in one loss of the row."""

import torch
from torch import Tensor

from .base import MultiLabelLoss, log_sum_exp


class ZLPRLoss(MultiLabelLoss):
    r"""Zero-bounded log-sum-exp and pairwise rank-based loss of a row.

    .. math:: \log\Big(1 + \sum_j y_j e^{-z_j}\Big) + \log\Big(1 + \sum_j (1 - y_j) e^{z_j}\Big)

    The worst positive and the worst negative of a row carry most of the gradient, so that the number of negatives does
    not matter much; the threshold is z = 0, which is p = 0.5. A soft label counts as a positive by its share, as in
    the paper; this is not linear in y. It takes no class weights, as a row's loss is not a sum over its labels.
    `two_way` compares positives with negatives directly, and over the batch too.

    A row's loss counts for each of its known entries, so that the mean over entries is the mean over rows, weighted by
    how much is known of them: sums of a batch's parts add up.

    Args:
        reduction, label_smoothing: see `Loss`.

    Raises:
        UsageError: shapes or arguments that do not fit.

    Source: Su et al., 2022, "ZLPR: A Novel Loss for Multi-label Classification".

    >>> ZLPRLoss()(torch.zeros(1, 3), torch.tensor([[1, 0, 0]]))  # log 2 + log 3
    tensor(1.7918)
    """

    takes_class_weights = False
    elementwise = False

    def __init__(self, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(None, reduction, label_smoothing)

    def entries(self, z: Tensor, y: Tensor, targets: Tensor, known: Tensor) -> Tensor:
        """The row's loss at each of its entries. The zero beside the logits is the 1 in the logarithms."""
        zero = z.new_zeros(len(z), 1)
        positives = log_sum_exp(torch.cat([zero, -z], 1), torch.cat([zero + 1, y * known], 1), 1)
        negatives = log_sum_exp(torch.cat([zero, z], 1), torch.cat([zero + 1, (1 - y) * known], 1), 1)
        return (positives + negatives)[:, None].expand_as(z)
