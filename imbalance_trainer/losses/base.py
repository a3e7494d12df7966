"""What every loss is: a module that says what it is for and what it needs, and gives the loss of each entry."""

import inspect
import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..utils.constants import IGNORE_INDEX, MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import UsageError
from .blocks import is_one_block, sum_by_rows
from .reduction import as_tensor, as_weights, at_least_fp32, check_shapes, checked_smoothing, reduce_loss, smoothed

_OF_THE_TRAINER = ("class_weights", "support", "n_rows", "reduction", "label_smoothing")


class Loss(nn.Module):
    """A loss with our reduction convention: a sum over entries, divided by the count of known ones.

    A subclass gives `each`. Its class attributes are what `make_loss`, the contract tests and the docs read. The
    arguments of its `__init__` beside class_weights, support, n_rows, reduction and label_smoothing are its own: what
    `loss_args` may set.

    Args:
        class_weights: (labels,), what the loss of a label's positives (single-label: of the class's rows) is
            multiplied by, last; None for 1.
        reduction: "mean" over the known entries (single-label: rows), "sum", or "none" (unknown entries are 0).
        label_smoothing: in [0, 1): how far targets are moved toward 1/2 (single-label: toward 1/classes).
    """

    problem_types: ClassVar[tuple[str, ...]] = (MULTI_LABEL,)
    """The kinds of problem that it is for."""
    takes_class_weights: ClassVar[bool] = True
    """False where the loss weighs by itself, or has no entries of its own that could be weighted."""
    needs_counts: ClassVar[bool] = False
    """Whether it takes the labels' supports in the training data."""
    batch_independent: bool = True
    """False where the loss of an entry depends on other rows, so that it changes with the cut into micro-batches."""
    elementwise: bool = True
    """False where the loss of an entry depends on the row's other labels."""
    row_separable: bool = True
    """False where it is not known that the loss of a row can be taken without the other rows."""
    takes_soft_labels: ClassVar[bool] = True
    """False where labels between 0 and 1, and so label smoothing, have no meaning."""

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
        """Keep a tensor (labels,) that was made from the labels' supports, out of any state dict."""
        self.register_buffer(name, values, persistent=False)
        self._n_counted = len(values)

    @classmethod
    def own_arguments(cls) -> dict[str, Any]:
        """What `loss_args` may set, with the defaults."""
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
            num_items_in_batch: with "mean", what to divide by: the count of the whole update.
            reduction: in place of the module's own.

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
        in_parts = kind == MULTI_LABEL and self.batch_independent and self.row_separable and reduction != "none"
        if in_parts and not is_one_block(logits):
            loss = sum_by_rows(logits, labels, self.each)
        else:
            loss = self.each(at_least_fp32(logits), labels)
        return reduce_loss(loss, labels, reduction, num_items_in_batch)

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each entry (single-label: row), of the labels' shape, 0 where it is unknown."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """What print(loss) shows."""
        weights = None if self.class_weights is None else [round(w, 4) for w in self.class_weights.tolist()]
        own = [f"{name}={getattr(self, name)}" for name in self.own_arguments()]
        return ", ".join([*own, f"reduction={self.reduction!r}", f"class_weights={weights}"])


class MultiLabelLoss(Loss):
    """A loss of multi-hot labels; a subclass gives `entries`."""

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Prepare the targets, and leave out what is unknown."""
        known = labels != IGNORE_INDEX
        targets = torch.where(known, labels, 0).to(logits.dtype)
        y = smoothed(targets, self.label_smoothing) if self.label_smoothing else targets
        return torch.where(known, self.entries(logits, y, targets, known), 0)

    def entries(self, z: Tensor, y: Tensor, targets: Tensor, known: Tensor) -> Tensor:
        """The loss of each entry, (rows, labels); what it is where not known does not matter, but it is finite.

        Args:
            z: logits, fp32 or fp64.
            y: what is learned, in [0, 1].
            targets: y before smoothing.
            known: whether an entry is.
        """
        raise NotImplementedError


class EntryLoss(MultiLabelLoss):
    """A loss by entries, y w positive(z) + (1 - y) negative(z), times a factor where there is one; linear in y."""

    def entries(self, z: Tensor, y: Tensor, targets: Tensor, known: Tensor) -> Tensor:
        """Put positives and negatives together; a class weight multiplies the loss of positives."""
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
        """What both are multiplied by, (labels,) or (rows, labels), in the targets' type; None for 1."""
        return None


class SoftmaxLoss(Loss):
    """The cross-entropy of logits that were changed by what is known of the classes; a subclass gives `changed`."""

    problem_types = (SINGLE_LABEL,)

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy of each row by its class weight."""
        flat, classes = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1).long()
        changed = self.changed(flat, classes.clamp(min=0))
        loss = F.cross_entropy(
            changed,
            classes,
            as_weights(self.class_weights, logits),
            ignore_index=IGNORE_INDEX,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return loss.reshape(labels.shape)

    def changed(self, z: Tensor, classes: Tensor) -> Tensor:
        """The logits (rows, classes) that the cross-entropy is taken of.

        Args:
            z: logits, fp32 or fp64.
            classes: the rows' classes, 0 where unknown.
        """
        raise NotImplementedError


def number(name: str, value: Any, low: float, high: float = math.inf, above: bool = False) -> float:
    """An argument of a loss as a float.

    Args:
        name: of the argument, for the message.
        value: what was given.
        low, high: it has to lie in [low, high); `above` leaves out low itself.

    Raises:
        UsageError: no number, or one out of this range.

    >>> number("shift", 0.05, 0, 1)
    0.05
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and (low < value if above else low <= value) and value < high:
        return float(value)
    span = f"{'above' if above else 'from'} {low:g}" + ("" if high == math.inf else f" and below {high:g}")
    raise UsageError(f"{name} must be a finite number {span}; got {value!r}.")
