"""The weighted focal loss in closed form, for multi-label and single-label problems."""

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.constants import IGNORE_INDEX, MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import UsageError
from .base import Loss
from .fused_focal import FusedFocal
from .multi_label_focal import multi_label_focal
from .reduction import as_weights, at_least_fp32, check_shapes, checked_smoothing, count_items, reduce_loss, smoothed


def weighted_focal_loss(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    gamma: float = 2.0,
    reduction: str = "mean",
    num_items_in_batch: Tensor | int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Focal loss with a weight for each label's positives.

    Multi-label, with :math:`p = \sigma(z)`, entry by entry:

    .. math:: y\, w_l\, (1-p)^\gamma\, (-\log p) + (1-y)\, p^\gamma\, (-\log(1-p))

    Single-label, with :math:`p = \mathrm{softmax}(z)`, row by row:

    .. math:: \sum_c y_c\, w_c\, (1-p_c)^\gamma (-\log p_c)

    p_t is unweighted and the weight multiplies last. Linear in y, so soft labels are defined. With gamma 0 and no
    weights it is torch's BCEWithLogitsLoss and CrossEntropyLoss, bit for bit. Computed in fp32 (fp64 for fp64 logits),
    finite in value and gradient for every gamma >= 0.

    Args:
        logits: (rows, labels), or any shape (..., classes) in a single-label problem; any floating type.
        labels: multi-label: the logits' shape, values in [0, 1] or -100 for an unknown entry. Single-label: class
            indices of the logits' shape without its last dimension, -100 for an unknown row.
        class_weights: (labels,), for the positives (single-label: for rows of the class); None for 1.
        gamma: focusing parameter, >= 0. At 2 an entry with p_t = 0.9 counts for 1%.
        reduction: "mean" over the known entries (single-label: rows), "sum", or "none" (unknown entries are 0).
        num_items_in_batch: with "mean", divide by this count instead: that of the whole update, so that the update is
            the same however its batch is cut up. Never divided by a sum of weights, for the same reason.
        label_smoothing: in [0, 1): how far targets are moved toward 1/2 (single-label: toward 1/classes, as torch's
            CrossEntropyLoss does).

    Returns:
        A scalar, or for "none" a tensor of the labels' shape. fp32 (fp64 for fp64 logits).

    Raises:
        UsageError: shapes that do not fit, gamma < 0 or not finite, smoothing outside [0, 1), an unknown reduction.

    Source: Lin et al., 2017, "Focal Loss for Dense Object Detection".

    >>> z, y = torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]])
    >>> weighted_focal_loss(z, y, gamma=0.0) == F.binary_cross_entropy_with_logits(z, y.float())
    tensor(True)
    """
    gamma = checked_gamma(gamma)
    checked_smoothing(label_smoothing)
    single_label = check_shapes(logits, labels)
    weights = as_weights(class_weights, logits)
    if single_label:
        loss = _single_label(logits, labels, weights, gamma, label_smoothing, reduction)
    else:
        targets = smoothed(labels, label_smoothing) if label_smoothing else labels
        if gamma == 0 and reduction == "mean" and num_items_in_batch is None and labels.numel():
            return _mean_bce(logits, targets, weights)
        if gamma == 0:
            loss = _bce(logits, targets, weights)
        else:
            loss = multi_label_focal(logits, targets, weights, gamma, reduction != "none")
    return reduce_loss(loss, labels, reduction, num_items_in_batch)


class WeightedFocalLoss(Loss):
    """`weighted_focal_loss` as a module, which keeps class weights and gamma.

    The weights are no buffer of a model and never part of a state dict. See `weighted_focal_loss` for the formula,
    shapes, errors and the paper.

    >>> WeightedFocalLoss(class_weights=[1.0, 10.0])(torch.zeros(1, 2), torch.tensor([[0, 1]]))
    tensor(0.9531)
    """

    problem_types: ClassVar[tuple[str, ...]] = (MULTI_LABEL, SINGLE_LABEL)

    def __init__(
        self,
        class_weights: Any = None,
        gamma: float = 2.0,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(class_weights, reduction, label_smoothing)
        self.gamma = checked_gamma(gamma)
        self._fused: FusedFocal | None = None

    def fuse(self) -> None:
        """Take multi-hot labels by a kernel of torch.compile from now on (`compile_loss`)."""
        self._fused = FusedFocal(self.gamma)

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        num_items_in_batch: Tensor | int | None = None,
        reduction: str | None = None,
    ) -> Tensor:
        """The loss; shapes as in `weighted_focal_loss`. A `reduction` takes the place of the module's own."""
        reduction = self.reduction if reduction is None else reduction
        if self._fused is None or check_shapes(logits, labels):
            return weighted_focal_loss(
                logits, labels, self.class_weights, self.gamma, reduction, num_items_in_batch, self.label_smoothing
            )
        targets = smoothed(labels, self.label_smoothing) if self.label_smoothing else labels
        loss = self._fused(logits, targets, as_weights(self.class_weights, logits), reduction != "none")
        return reduce_loss(loss, labels, reduction, num_items_in_batch)


def checked_gamma(gamma: float) -> float:
    """Gamma as a float; an error where it is negative, NaN or infinite."""
    try:
        value = float(gamma)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"focal_gamma must be a finite number >= 0; got {gamma!r}.")
    return value


def _bce(logits: Tensor, labels: Tensor, weights: Tensor | None, reduction: str = "none") -> Tensor:
    logits = at_least_fp32(logits)
    known = labels != IGNORE_INDEX
    targets = torch.where(known, labels, 0).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(
        logits, targets, known.to(logits.dtype), pos_weight=weights, reduction=reduction
    )


def _mean_bce(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """torch's own mean times entries / known entries. Where all are known that is 1, and the last bit is torch's."""
    loss = _bce(logits, labels, weights, "mean")
    return loss * (loss.new_tensor(labels.numel()) / count_items(labels).clamp(min=1))


def _single_label(
    logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, smoothing: float, reduction: str
) -> Tensor:
    flat, classes = at_least_fp32(logits).reshape(-1, logits.shape[-1]), labels.reshape(-1).long()
    known = classes != IGNORE_INDEX
    if gamma == 0 and weights is None and not smoothing and reduction != "none":  # torch's own sum, to the last bit
        return F.cross_entropy(flat, classes, reduction="sum", ignore_index=IGNORE_INDEX)
    if not smoothing:
        cross_entropy = F.cross_entropy(flat, classes, reduction="none", ignore_index=IGNORE_INDEX)
        loss = cross_entropy if gamma == 0 else _Focus.apply(cross_entropy, gamma)
        loss = loss if weights is None else loss * weights[classes.clamp(min=0)]
        return loss.reshape(labels.shape)
    cross_entropies = -flat.log_softmax(-1)
    losses = cross_entropies if gamma == 0 else _Focus.apply(cross_entropies, gamma)
    losses = losses if weights is None else losses * weights
    of_class = losses.gather(1, classes.clamp(min=0)[:, None])[:, 0]
    loss = (1 - smoothing) * of_class + smoothing * losses.mean(-1)
    return (loss * known).reshape(labels.shape)


class _Focus(torch.autograd.Function):
    """c -> (1 - e^-c)^g c for a cross-entropy c >= 0; its derivative has no power g - 1, so it is finite at c = 0."""

    @staticmethod
    def forward(ctx: Any, cross_entropy: Tensor, gamma: float) -> Tensor:
        c = cross_entropy
        q = -torch.expm1(-c)  # 1 - p
        modulator = q.pow(gamma)
        ratio = torch.where(q > 0, c / q, 1)  # c / (1 - e^-c) -> 1 as c -> 0
        ctx.save_for_backward(modulator * (1 + gamma * torch.exp(-c) * ratio))
        return modulator * c

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return ctx.saved_tensors[0] * grad_output, None
