"""The weighted focal loss in closed form, for multi-label and single-label problems."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..labels import MULTI_LABEL, SINGLE_LABEL
from .base import Loss
from .blocks import blocks, is_one_block, scaled
from .fused_focal import FusedFocal
from .reduction import (
    UNKNOWN,
    as_weights,
    at_least_fp32,
    check_shapes,
    checked_smoothing,
    count_items,
    reduce_loss,
    smoothed,
)

_NO_OVERFLOW = 80.0  # exp of it is finite in fp32, and its log1p the logit itself
_N_BUFFERS = 6
_LARGE, _SPARSE = 1 << 15, 32  # from so many entries on it pays to look for the 1 in so many that are not 0


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
            loss = _MultiLabelFocal.apply(logits, targets, weights, gamma, reduction != "none")
    return reduce_loss(loss, labels, reduction, num_items_in_batch)


class WeightedFocalLoss(Loss):
    """`weighted_focal_loss` as a module, which keeps class weights and gamma.

    The weights are no buffer of a model and never part of a state dict. See `weighted_focal_loss` for the formula,
    shapes, errors and the paper.

    >>> WeightedFocalLoss(class_weights=[1.0, 10.0])(torch.zeros(1, 2), torch.tensor([[0, 1]]))
    tensor(0.9531)
    """

    problem_types = (MULTI_LABEL, SINGLE_LABEL)

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
    known = labels != UNKNOWN
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
    known = classes != UNKNOWN
    if gamma == 0 and weights is None and not smoothing and reduction != "none":  # torch's own sum, to the last bit
        return F.cross_entropy(flat, classes, reduction="sum", ignore_index=UNKNOWN)
    if not smoothing:
        cross_entropy = F.cross_entropy(flat, classes, reduction="none", ignore_index=UNKNOWN)
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


class _MultiLabelFocal(torch.autograd.Function):
    """Value and gradient in one pass over blocks.

    With u = softplus, s = sigmoid: f(z) = s(z)^g u(z) and f'(z) = s(z)^g (s(z) + g s(-z) u(z)); the loss of an entry
    is w y f(-x) + (1 - y) f(x). No power g - 1 and no log of a rounded probability, so everything is finite. Only the
    gradient is kept. It is not multiplied by 1/N here: in fp16 that would underflow before the loss scaler acts.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, sum_: bool) -> Tensor:
        learns = ctx.needs_input_grad[0]
        if is_one_block(logits):
            value, slope = _focal_block(at_least_fp32(logits), labels, weights, gamma, _Buffers(learns))
            if learns:
                ctx.save_for_backward(slope.to(logits.dtype))
            return value.sum() if sum_ else value
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format) if learns else None
        values = None if sum_ else torch.empty(logits.shape, dtype=dtype, device=logits.device)
        total, buffers = torch.zeros((), dtype=dtype, device=logits.device), None
        for block in blocks(logits):
            x, of_columns = at_least_fp32(logits[block]), None if weights is None else weights[block[1]]
            buffers = buffers or _Buffers(learns, x.numel(), x)
            into = gradient[block] if learns and gradient.dtype == dtype else None
            value, slope = _focal_block(x, labels[block], of_columns, gamma, buffers.shaped(x, into))
            if learns and into is None:
                gradient[block] = slope
            if sum_:
                total += value.sum()
            else:
                values[block] = value
        if learns:
            ctx.save_for_backward(gradient)
        return total if sum_ else values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return scaled(gradient, grad_output), None, None, None, None


class _Buffers:
    """Where the steps of a block go. Of a large batch they are the same for all blocks, as memory that is fresh each
    time costs more than what is written to it; of a small one each is fresh.

    Args:
        learns: whether the derivative is wanted at all.
        n, like: entries of the largest block and what tensors are like; none for fresh ones.
    """

    def __init__(self, learns: bool, n: int = 0, like: Tensor | None = None) -> None:
        self.learns, self.slope = learns, None
        self._all = None if like is None else torch.empty(_N_BUFFERS, n, dtype=like.dtype, device=like.device)
        self._views: list[Tensor] | None = None

    def shaped(self, x: Tensor, slope: Tensor | None) -> "_Buffers":
        """For a block of x's shape, whose derivative goes into `slope` if that is given."""
        self.slope = slope
        if self._views is None or self._views[0].shape != x.shape:
            self._views = [buffer[: x.numel()].view(x.shape) for buffer in self._all]
        return self

    def __getitem__(self, i: int) -> Tensor | None:
        return None if self._views is None else self._views[i]


def _focal_block(
    x: Tensor, labels: Tensor, weights: Tensor | None, gamma: float, buffers: _Buffers
) -> tuple[Tensor, Tensor | None]:
    """Loss and derivative of each entry. The loss of a positive is w f(-x), of a negative f(x), so that hard labels
    need f once; mostly negative, they need a look at the others alone."""
    others = _few_others(labels)
    if others is not None:
        return _mostly_negative(x, others, weights, gamma, buffers)
    y = labels.to(x.dtype)
    if not _is_0_or_1(y):
        return _any_labels(x, y, weights, gamma, buffers)
    value, slope = _f(torch.addcmul(x, x, y, value=-2, out=buffers[2]), gamma, buffers)
    if weights is None:
        return value, None if slope is None else slope.mul_(1 - 2 * y)
    signed = torch.lerp(torch.ones_like(weights), -weights, y)  # at 0 and 1 exact, and much faster than where
    value.mul_(signed.abs())
    return value, None if slope is None else slope.mul_(signed)


def _any_labels(
    x: Tensor, y: Tensor, weights: Tensor | None, gamma: float, buffers: _Buffers
) -> tuple[Tensor, Tensor | None]:
    """The same of soft and unknown labels: f(x) and f(-x), which share exp and log1p. What chooses is 0 or 1 as a
    number, as masks take ten times as long."""
    e = torch.abs(x, out=buffers[0]).neg_().exp_()
    large = torch.add(e, 1, out=buffers[1]).reciprocal_()
    small, is_up = torch.mul(e, large, out=buffers[2]), x.clone().gt_(0)
    s, s_neg = torch.lerp(small, large, is_up, out=buffers[3]), torch.lerp(large, small, is_up, out=buffers[4])
    tail = e.log1p_()
    u = torch.clamp(x, min=0, out=buffers[1]).add_(tail)
    u_neg = tail.add_(torch.neg(x, out=buffers[2]).clamp_(min=0))
    slope = slope_neg = None
    if buffers.learns:
        slope = torch.mul(s_neg, u, out=buffers.slope).mul_(gamma).add_(s)
        slope_neg = torch.mul(s, u_neg, out=buffers[2]).mul_(gamma).add_(s_neg)
    by_s = s.square_() if gamma == 2 else s.pow_(gamma)
    by_s_neg = s_neg.square_() if gamma == 2 else s_neg.pow_(gamma)
    positive = torch.clamp(y, min=0, out=buffers[5])  # 0 where unknown
    by_s.mul_(y.clone().ne_(UNKNOWN).sub_(positive))
    by_s_neg.mul_(positive if weights is None else positive.mul_(weights))
    if slope is not None:
        slope.mul_(by_s).addcmul_(slope_neg, by_s_neg, value=-1)
    return u.mul_(by_s).addcmul_(u_neg, by_s_neg), slope


def _mostly_negative(
    x: Tensor, others: "_Others", weights: Tensor | None, gamma: float, buffers: _Buffers
) -> tuple[Tensor, Tensor | None]:
    """The same where all but a few entries are negative. In numpy, which looks a thousand entries up at less cost."""
    factor = others.is_positive.astype(np.float64 if x.dtype == torch.float64 else np.float32)  # 0 for the unknown
    if weights is not None:
        factor *= weights.numpy()[others.place % x.shape[1]]
    z = torch.empty_like(x, memory_format=torch.contiguous_format) if buffers[2] is None else buffers[2]
    flat = z.copy_(x).view(-1).numpy()
    flat[others.place] = -flat[others.place]
    value, slope = _f(z, gamma, buffers)
    value.view(-1).numpy()[others.place] *= factor
    if slope is not None:
        slope.view(-1).numpy()[others.place] *= -factor
    return value, slope


class _Others(NamedTuple):
    """Positives and unknown entries of a block: their flat places, and which are positives."""

    place: np.ndarray
    is_positive: np.ndarray


def _few_others(labels: Tensor) -> _Others | None:
    """What is not 0 in a large block that is mostly 0; None for other blocks, and where labels are soft."""
    if labels.numel() < _LARGE or not _may_look(labels) or labels.dtype == torch.bfloat16:
        return None
    flat = labels.reshape(-1).numpy()
    place = np.flatnonzero(flat != 0)
    if len(place) * _SPARSE > len(flat):
        return None
    values = flat[place]
    is_positive = values == 1
    return _Others(place, is_positive) if (is_positive | (values == UNKNOWN)).all() else None


def _is_0_or_1(y: Tensor) -> bool:
    """Whether every label is 0 or 1, none unknown; False where one may not look."""
    if not _may_look(y):
        return False
    left = torch.addcmul(y, y, y, value=-1).reshape(-1)  # y - y^2
    return not torch.dot(left, left)  # a fifth of the time of comparing; NaN is not 0


def _may_look(labels: Tensor) -> bool:
    """False where a look at values would make an accelerator wait, or break the graph of a compiler."""
    return labels.device.type == "cpu" and not torch.compiler.is_compiling()


def _f(z: Tensor, gamma: float, buffers: _Buffers) -> tuple[Tensor, Tensor | None]:
    """f = s^g u and f' = s^g (s + g (1 - s) u), from u = softplus(z) and s = sigmoid(z).

    exp does not overflow, and where 1 - s would cancel, the s beside it is 1.
    """
    e = torch.clamp(z, max=_NO_OVERFLOW, out=buffers[0]).exp_()
    s = torch.add(e, 1, out=buffers[1])
    torch.div(e, s, out=s)
    u = e.log1p_()
    torch.maximum(u, z, out=u)  # what exp was kept from
    if not buffers.learns:
        return u.mul_(s.square_() if gamma == 2 else s.pow_(gamma)), None
    slope = torch.addcmul(u, u, s, value=-1, out=buffers.slope)
    torch.add(s, slope, alpha=gamma, out=slope)
    s_g = s.square_() if gamma == 2 else s.pow_(gamma)
    return u.mul_(s_g), slope.mul_(s_g)
