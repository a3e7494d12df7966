"""The two-way loss: positives above negatives, within each row and, for each label, within the batch."""

import torch
from torch import Tensor

from ..utils.errors import UsageError
from .base import MultiLabelLoss, log_sum_exp, number
from .multi_label_focal import softplus


class TwoWayLoss(MultiLabelLoss):
    r"""Softplus of two soft maxima, over the labels of a row and over the rows of a label.

    For a row, and in the same way for a column (a label's entries in the batch), with P its positives and N its
    negatives:

    .. math:: \mathrm{softplus}\Big(T_n \log\sum_{j \in N} e^{z_j/T_n} + T_p \log\sum_{j \in P} e^{-z_j/T_p}\Big)

    Over a label's rows the positives of a rare label compete with all its negatives in the batch, whose logits are
    thereby comparable across rows. **Not batch-independent**: the loss of a column depends on which rows are in the
    micro-batch, so an update changes with the micro-batch size, and `eval_loss` with the batch size; large
    micro-batches suit it. It fixes the order of scores more than their height: tune thresholds after it. `zlpr` has a
    fixed threshold and only rows.

    A row's loss and a column's count for each of their known entries, so that the mean over entries is the mean over
    rows plus that over labels. Rows and columns without a positive, or without a negative, count 0 (the paper leaves
    them out of the mean, which would make the rows' part depend on the batch too). Labels are 0, 1 or unknown: soft
    ones and smoothing are refused. It takes no class weights, as no entry has a loss of its own.

    Args:
        reduction: see `Loss`.
        temperature_positive, temperature_negative: > 0; the larger, the less the worst entry stands out.

    Raises:
        UsageError: shapes, labels or arguments that do not fit.

    Source: Kobayashi, 2023, "Two-way Multi-Label Loss".

    >>> TwoWayLoss()(torch.zeros(1, 3), torch.tensor([[1, 0, 0]]))  # log(1 + 2); no column has both
    tensor(1.0986)
    """

    takes_class_weights = False
    elementwise = False
    takes_soft_labels = False
    batch_independent = False

    def __init__(
        self,
        temperature_positive: float = 4.0,
        temperature_negative: float = 1.0,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(None, reduction, label_smoothing)
        self.temperature_positive = number("temperature_positive", temperature_positive, 0, above=True)
        self.temperature_negative = number("temperature_negative", temperature_negative, 0, above=True)

    def entries(self, z: Tensor, y: Tensor, targets: Tensor, known: Tensor) -> Tensor:
        """The loss of the entry's row plus that of its column."""
        positives, negatives = known & (y == 1), known & (y == 0)
        if not torch.equal(positives | negatives, known):
            raise UsageError("two_way compares positives with negatives: labels must be 0, 1 or -100 (unknown).")
        return self._along(1, z, positives, negatives) + self._along(0, z, positives, negatives)

    def _along(self, dim: int, z: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        both = positives.any(dim, keepdim=True) & negatives.any(dim, keepdim=True)
        t_p, t_n = self.temperature_positive, self.temperature_negative
        # where one kind is missing every entry takes its place: finite, and left out
        low = t_p * log_sum_exp(-z / t_p, (positives | ~both).to(z.dtype), dim, keepdim=True)
        high = t_n * log_sum_exp(z / t_n, (negatives | ~both).to(z.dtype), dim, keepdim=True)
        return torch.where(both, softplus(low + high), 0).expand_as(z)
