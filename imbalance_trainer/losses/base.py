"""The base classes of losses."""

import inspect
import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..utils.constants import IGNORE_INDEX, MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import UsageError
from .reduction import (
    as_tensor,
    as_weights,
    at_least_fp32,
    check_shapes,
    checked_smoothing,
    is_one_block,
    reduce_loss,
    smoothed,
    sum_by_rows,
)

_OF_THE_TRAINER = ("class_weights", "support", "n_rows", "reduction", "label_smoothing")


class Loss(nn.Module):
    """A sum over entries, divided by the count of known ones.

    A subclass defines `each`. `make_loss`, the contract tests and the docs read its class attributes. `loss_args` may
    set the arguments of its `__init__` other than class_weights, support, n_rows, reduction and label_smoothing.

    Args:
        class_weights: (labels,), multiplies the loss of a label's positives (single-label: of the class's rows); None
            for 1.
        reduction: "mean" over the known entries (single-label: rows), "sum", or "none" (unknown entries are 0). A mean
            is never divided by a sum of weights, so that an update does not depend on how its batch is cut up.
        label_smoothing: in [0, 1): how far targets are moved toward 1/2 (single-label: toward 1/classes, as in torch's
            CrossEntropyLoss).
    """

    problem_types: ClassVar[tuple[str, ...]] = (MULTI_LABEL,)
    """The kinds of problem that the loss is for."""
    takes_class_weights: ClassVar[bool] = True
    """False where the loss has weights of its own, or where single entries have no loss to be weighted."""
    needs_counts: ClassVar[bool] = False
    """Whether the loss needs the labels' supports in the training data."""
    batch_independent: bool = True
    """Whether the loss of a row is the same in every batch. If not, an update depends on the micro-batch size."""
    elementwise: bool = True
    """Whether the loss of an entry is the same whatever the row's other labels are."""
    row_separable: bool = True
    """Whether a large batch may be computed in blocks of rows. False for a user's function, which is called once."""
    takes_soft_labels: ClassVar[bool] = True
    """Whether labels between 0 and 1, and so label smoothing, are defined."""

    class_weights: Tensor | None

    def __init__(self, class_weights: Any = None, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__()
        weights = None if class_weights is None else as_tensor(class_weights, torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)
        self._n_counted: int | None = None
        self.reduction = reduction
        self.label_smoothing = checked_smoothing(label_smoothing)
        if label_smoothing and not self.takes_soft_labels:
            raise UsageError(f"{type(self).__name__} compares positives with negatives; it takes no label smoothing.")

    def keep_by_label(self, name: str, values: Tensor) -> None:
        """Register a buffer (labels,) computed from the labels' supports, which no state dict contains."""
        self.register_buffer(name, values, persistent=False)
        self._n_counted = len(values)

    @classmethod
    def own_arguments(cls) -> dict[str, Any]:
        """The arguments that `loss_args` may set, with their defaults."""
        parameters = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in _OF_THE_TRAINER}

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        num_items_in_batch: Tensor | int | None = None,
        reduction: str | None = None,
    ) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (rows, labels), or in a single-label problem any shape (..., classes); any floating type.
            labels: multi-label: the logits' shape, values in [0, 1], or -100 for an unknown entry. Single-label: class
                indices of the logits' shape without its last dimension, -100 for an unknown row.
            num_items_in_batch: with "mean", the count to divide by instead: that of the whole update.
            reduction: overrides the module's.

        Returns:
            A scalar, or for "none" a tensor of the labels' shape. fp32 (fp64 for fp64 logits).

        Raises:
            UsageError: shapes that do not fit, labels of the other kind of problem, an unknown reduction.
        """
        kind = SINGLE_LABEL if check_shapes(logits, labels) else MULTI_LABEL
        if kind not in self.problem_types:
            wanted = "class indices, (rows,)" if kind == MULTI_LABEL else "labels of the logits' shape, (rows, labels)"
            raise UsageError(f"{type(self).__name__} takes {wanted}; got labels of shape {tuple(labels.shape)}.")
        if self._n_counted not in (None, logits.shape[-1]):
            raise UsageError(
                f"Got the support of {self._n_counted} labels for {logits.shape[-1]} logits; give one each."
            )
        reduction = self.reduction if reduction is None else reduction
        loss = self.each(at_least_fp32(logits), labels) if reduction == "none" else self.sum(logits, labels)
        return reduce_loss(loss, labels, reduction, num_items_in_batch)

    def sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum over all entries, of a large batch in blocks of rows where the loss allows it."""
        if labels.ndim == 2 and self.batch_independent and self.row_separable and not is_one_block(logits):
            return sum_by_rows(logits, labels, self.each)
        return self.each(at_least_fp32(logits), labels).sum()

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each entry (single-label: row), of the labels' shape, 0 where it is unknown."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """The settings that print(loss) shows."""
        weights = None if self.class_weights is None else [round(w, 4) for w in self.class_weights.tolist()]
        own = [f"{name}={getattr(self, name)}" for name in self.own_arguments()]
        return ", ".join([*own, f"reduction={self.reduction!r}", f"class_weights={weights}"])


class MultiLabelLoss(Loss):
    """A loss of multi-hot labels; a subclass defines `entries`."""

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Prepare the targets, and set unknown entries to 0."""
        known = labels != IGNORE_INDEX
        targets = torch.where(known, labels, 0).to(logits.dtype)
        y = smoothed(targets, self.label_smoothing) if self.label_smoothing else targets
        return torch.where(known, self.entries(logits, y, targets, known), 0)

    def entries(self, z: Tensor, y: Tensor, targets: Tensor, known: Tensor) -> Tensor:
        """The loss of each entry, (rows, labels); where unknown it may be any finite number.

        Args:
            z: logits, fp32 or fp64.
            y: targets after smoothing, in [0, 1].
            targets: targets before smoothing.
            known: whether an entry is known.
        """
        raise NotImplementedError


class EntryLoss(MultiLabelLoss):
    """A loss y w positive(z) + (1 - y) negative(z), times a factor where there is one; linear in y."""

    def entries(self, z: Tensor, y: Tensor, targets: Tensor, known: Tensor) -> Tensor:
        """Combine positives and negatives; a class weight multiplies the loss of positives."""
        weights = as_weights(self.class_weights, z)
        positive = y if weights is None else y * weights
        each = positive * self.positive(z) + (1 - y) * self.negative(z)
        factor = self.factor(targets)
        return each if factor is None else each * factor

    def positive(self, z: Tensor) -> Tensor:
        """The loss of a positive entry with logits z."""
        raise NotImplementedError

    def negative(self, z: Tensor) -> Tensor:
        """The loss of a negative entry with logits z."""
        raise NotImplementedError

    def factor(self, targets: Tensor) -> Tensor | None:
        """A factor of positives and negatives, (labels,) or (rows, labels), in the targets' type; None for 1."""
        return None


class SoftmaxLoss(Loss):
    """The cross-entropy of logits adjusted by the class counts; a subclass defines `adjusted`."""

    problem_types = (SINGLE_LABEL,)

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


def number(name: str, value: Any, low: float, high: float = math.inf, above: bool = False) -> float:
    """Return an argument of a loss as a float.

    Args:
        name: of the argument, for the message.
        value: of the argument.
        low, high: the value must lie in [low, high).
        above: whether low itself is excluded.

    Raises:
        UsageError: not a number, or out of this range.

    >>> number("shift", 0.05, 0, 1)
    0.05
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and (low < value if above else low <= value) and value < high:
        return float(value)
    span = f"{'above' if above else 'from'} {low:g}" + ("" if high == math.inf else f" and below {high:g}")
    raise UsageError(f"{name} must be a finite number {span}; got {value!r}.")


def log_sum_exp(x: Tensor, shares: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """log of the sum of shares * e^x along a dimension; -inf where all shares are 0.

    >>> log_sum_exp(torch.zeros(3), torch.tensor([1.0, 0.5, 0.0]), 0).exp()
    tensor(1.5000)
    """
    counted = shares > 0
    logs = torch.where(counted, shares, 1).log()
    return torch.where(counted, x + logs, -torch.inf).logsumexp(dim, keepdim)
