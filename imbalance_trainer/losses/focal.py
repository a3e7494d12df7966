"""The weighted focal loss, and with gamma 0 the plain losses: binary cross-entropy and cross-entropy."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.constants import IGNORE_INDEX, MULTI_LABEL, SINGLE_LABEL
from .base import Loss, checked_gamma, focus, smoothed, softplus
from .reduction import WithSlope, all_known, as_weights, at_least_fp32


def weighted_focal_loss(
    logits: Tensor,
    labels: Tensor,
    class_weights: Any = None,
    gamma: float = 2.0,
    reduction: str = "mean",
    num_items_in_batch: Tensor | int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`WeightedFocalLoss` as a function; see there for the formula, arguments, errors and the paper.

    >>> z, y = torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]])
    >>> weighted_focal_loss(z, y, gamma=0.0) == F.binary_cross_entropy_with_logits(z, y.float())
    tensor(True)
    """
    loss = WeightedFocalLoss(None, gamma, reduction, label_smoothing)
    loss.class_weights = as_weights(class_weights, logits)  # a module keeps them in fp32, which is too coarse for fp64
    return loss(logits, labels, num_items_in_batch)


class WeightedFocalLoss(Loss):
    r"""Focal loss with a weight for each label's positives.

    Multi-label, with :math:`p = \sigma(z)`, entry by entry:

    .. math:: y\, w_l\, (1-p)^\gamma\, (-\log p) + (1-y)\, p^\gamma\, (-\log(1-p))

    Single-label, with :math:`p = \mathrm{softmax}(z)`, row by row:

    .. math:: \sum_c y_c\, w_c\, (1-p_c)^\gamma (-\log p_c)

    The focal term is of the unweighted probability, and the weight multiplies last. Linear in y, so soft labels are
    defined. With gamma 0 and no weights the value is that of torch's BCEWithLogitsLoss and CrossEntropyLoss, bit for
    bit. Finite in value and gradient for every gamma >= 0.

    Args:
        class_weights: (labels,), for the positives (single-label: for rows of the class); None for 1.
        gamma: focusing parameter, >= 0. At 2 an entry with p_t = 0.9 counts for 1%.
        reduction, label_smoothing: see `Loss`.

    Source: Lin et al., 2017, "Focal Loss for Dense Object Detection".

    >>> WeightedFocalLoss(class_weights=[1.0, 10.0])(torch.zeros(1, 2), torch.tensor([[0, 1]]))
    tensor(0.9531)
    """

    problem_types: ClassVar[tuple[str, ...]] = (MULTI_LABEL, SINGLE_LABEL)

    def __init__(
        self, class_weights: Any = None, gamma: float = 2.0, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(class_weights, reduction, label_smoothing)
        self.gamma = checked_gamma(gamma)

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each entry (single-label: row)."""
        return self.weighted(logits, labels, as_weights(self.class_weights, logits))

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum; multi-label without a tensor of all entries, and with gamma 0 torch's own, to the last bit."""
        return self.weighted(logits, labels, as_weights(self.class_weights, logits), is_sum=True)

    def weighted(self, logits: Tensor, labels: Tensor, weights: Tensor | None, is_sum: bool = False) -> Tensor:
        """The loss of each entry, or the sum, under these weights of positives, (labels,)."""
        how = "sum" if is_sum else "none"
        if labels.ndim < logits.ndim:
            loss = self._of_classes(at_least_fp32(logits).flatten(0, -2), labels.flatten().long(), weights, how)
            return loss.sum() if is_sum else loss.reshape(labels.shape)
        if self.label_smoothing:
            of_known = smoothed(labels, self.label_smoothing)
            labels = torch.where(labels == IGNORE_INDEX, float(IGNORE_INDEX), of_known)
        if self.gamma:
            return WithSlope.apply(self._value_and_slope, logits, labels, weights, is_sum)
        logits, known = at_least_fp32(logits), labels != IGNORE_INDEX
        targets, known = torch.where(known, labels, 0).to(logits.dtype), known.to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, targets, known, reduction=how, pos_weight=weights)

    def _value_and_slope(self, x: Tensor, labels: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Loss and derivative of each entry. Steps are few and in place: for small batches each costs the same, and
        for large ones fresh memory costs more than the arithmetic."""
        y, not_x, gamma = labels.to(x.dtype), -x, self.gamma
        negative, positive = 1 - y, y * (1 if weights is None else weights)
        p, not_p = torch.sigmoid(x), torch.sigmoid(not_x)  # 1 - p would cancel
        negative.mul_(p * p if gamma == 2 else p.pow(gamma))
        positive.mul_(not_p * not_p if gamma == 2 else not_p.pow(gamma))
        value, of_positive = softplus(x).mul_(negative), softplus(not_x).mul_(positive)
        slope = negative.mul_(p).addcmul_(not_p, value, value=gamma)
        slope.addcmul_(not_p, positive, value=-1).addcmul_(p, of_positive, value=-gamma)
        value.add_(of_positive)
        if not all_known(labels):
            known = labels != IGNORE_INDEX
            return value.mul_(known), slope.mul_(known)
        return value, slope

    def _of_classes(self, logits: Tensor, classes: Tensor, weights: Tensor | None, how: str) -> Tensor:
        smoothing = self.label_smoothing
        if not self.gamma:
            return F.cross_entropy(
                logits, classes, weights, ignore_index=IGNORE_INDEX, reduction=how, label_smoothing=smoothing
            )
        each, at = -logits.log_softmax(-1), classes.clamp(min=0)
        weights = logits.new_ones(logits.shape[-1]) if weights is None else weights
        loss = focus(each.gather(1, at[:, None])[:, 0], self.gamma) * weights[at]
        if smoothing:
            loss = (1 - smoothing) * loss + smoothing * (focus(each, self.gamma) * weights).mean(-1)
        return torch.where(classes == IGNORE_INDEX, 0, loss)


class WeightedBCELoss(WeightedFocalLoss):
    """Binary cross-entropy for multi-label problems: the focal loss with gamma 0.

    Without class weights it is torch's BCEWithLogitsLoss, bit for bit. Shapes and errors: see `WeightedFocalLoss`.
    """

    problem_types = (MULTI_LABEL,)

    def __init__(self, class_weights: Any = None, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(class_weights, 0.0, reduction, label_smoothing)


class WeightedCELoss(WeightedFocalLoss):
    """Cross-entropy for single-label problems: the focal loss with gamma 0.

    Without class weights it is torch's CrossEntropyLoss, bit for bit. With weights the mean is over rows, not over the
    sum of their weights as in torch, so that an update does not depend on how its batch is cut up.
    """

    problem_types = (SINGLE_LABEL,)

    def __init__(self, class_weights: Any = None, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(class_weights, 0.0, reduction, label_smoothing)
