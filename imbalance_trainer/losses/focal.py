"""The weighted focal loss, and with gamma 0 the plain losses: binary cross-entropy and cross-entropy."""

import math
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.constants import IGNORE_INDEX, MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import UsageError
from .base import Loss, smoothed
from .reduction import as_weights, at_least_fp32, with_slope


def multi_label_focal(
    logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, count: Tensor | int | None = None
) -> Tensor:
    """The focal loss of each entry (0 where unknown), or its sum over `count`; fp32, or fp64 for fp64 logits.

    Args:
        logits: (rows, labels), any floating type.
        labels: (rows, labels), in [0, 1] or -100 for unknown.
        weights: (labels,), of positives, in the type that is computed in; None for 1.
        gamma: focusing parameter, above 0.
        count: what the sum is divided by; None for the loss of each entry.
    """
    return with_slope(partial(_value_and_slope, gamma), logits, labels, weights, count)


def _value_and_slope(gamma: float, x: Tensor, labels: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Loss and derivative of each entry. Most steps are in place, as fresh memory costs more than the arithmetic."""
    y = labels.to(x.dtype)
    positive = y.clamp(min=0)
    negative = y.clone().ne_(IGNORE_INDEX).sub_(positive)  # 0 where unknown; a mask would take ten times as long
    if weights is not None:
        positive.mul_(weights)
    not_x = -x
    s, s_not = torch.sigmoid(x), torch.sigmoid(not_x)  # 1 - s would cancel
    log_s, log_s_not = F.logsigmoid(x), F.logsigmoid(not_x)  # -u(-x) and -u(x)
    negative.mul_(_power(s, gamma))
    positive.mul_(_power(s_not, gamma))
    slope = torch.addcmul(s, s_not, log_s_not, value=-gamma).mul_(negative)
    slope.sub_(s_not.addcmul_(s, log_s, value=-gamma).mul_(positive))
    return log_s_not.mul_(negative).addcmul_(log_s, positive).neg_(), slope


def _power(s: Tensor, gamma: float) -> Tensor:
    return s * s if gamma == 2 else s.pow(gamma)


# ---- terms of other losses ----


def focal_term(x: Tensor, gamma: float) -> Tensor:
    """sigmoid(x)^gamma softplus(x): the focal loss of a negative with logit x, and of a positive with logit -x.

    >>> focal_term(torch.zeros(1), 2.0)
    tensor([0.1733])
    """
    return focus(-F.logsigmoid(-x), gamma)  # torch's softplus is cut at 20, which is too early in fp64


def focus(cross_entropy: Tensor, gamma: float) -> Tensor:
    """(1 - e^-c)^gamma c for a cross-entropy c = -log p >= 0: the focal loss (1 - p)^gamma (-log p)."""
    return _Focus.apply(cross_entropy, gamma) if gamma else cross_entropy


class _Focus(torch.autograd.Function):
    """The derivative, q^g (1 + g e^-c c / q) with q = 1 - e^-c, has no power g - 1, so it is finite at c = 0."""

    @staticmethod
    def forward(ctx: Any, cross_entropy: Tensor, gamma: float) -> Tensor:
        c = cross_entropy
        q = -torch.expm1(-c)
        modulator = q.pow(gamma)
        ratio = torch.where(q > 0, c / q, 1)  # c / (1 - e^-c) -> 1 as c -> 0
        ctx.save_for_backward(modulator * (1 + gamma * torch.exp(-c) * ratio))
        return modulator * c

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return ctx.saved_tensors[0] * grad_output, None


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
        return self._loss(logits, labels, None)

    def mean(self, logits: Tensor, labels: Tensor, count: Tensor | int) -> Tensor:
        """The sum divided by `count`; multi-label without a tensor of all entries, and with gamma 0 torch's own."""
        return self._loss(logits, labels, count)

    def _loss(self, logits: Tensor, labels: Tensor, count: Tensor | int | None) -> Tensor:
        weights = as_weights(self.class_weights, logits)
        if labels.ndim < logits.ndim:
            return _single_label(at_least_fp32(logits), labels, weights, self.gamma, self.label_smoothing, count)
        if self.label_smoothing:
            of_known = smoothed(labels, self.label_smoothing)
            labels = torch.where(labels == IGNORE_INDEX, float(IGNORE_INDEX), of_known)
        if self.gamma:
            return multi_label_focal(logits, labels, weights, self.gamma, count)
        logits, known = at_least_fp32(logits), labels != IGNORE_INDEX
        targets = torch.where(known, labels, 0).to(logits.dtype)
        reduction = "none" if count is None else "sum"
        loss = F.binary_cross_entropy_with_logits(
            logits, targets, known.to(logits.dtype), pos_weight=weights, reduction=reduction
        )
        return loss if count is None else loss / count


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


def checked_gamma(gamma: float) -> float:
    """Return gamma as a float, or raise a UsageError where it is negative, NaN or infinite."""
    try:
        value = float(gamma)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"focal_gamma must be a finite number >= 0; got {gamma!r}.")
    return value


def _single_label(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    gamma: float,
    smoothing: float,
    count: Tensor | int | None,
) -> Tensor:
    flat, classes = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1).long()
    if count is not None and gamma == 0 and weights is None and not smoothing:  # torch's own sum, to the last bit
        return F.cross_entropy(flat, classes, reduction="sum", ignore_index=IGNORE_INDEX) / count
    if not smoothing:
        loss = focus(F.cross_entropy(flat, classes, reduction="none", ignore_index=IGNORE_INDEX), gamma)
        loss = loss if weights is None else loss * weights[classes.clamp(min=0)]
    else:
        losses = focus(-flat.log_softmax(-1), gamma)
        losses = losses if weights is None else losses * weights
        of_class = losses.gather(1, classes.clamp(min=0)[:, None])[:, 0]
        loss = ((1 - smoothing) * of_class + smoothing * losses.mean(-1)) * (classes != IGNORE_INDEX)
    return loss.reshape(labels.shape) if count is None else loss.sum() / count
