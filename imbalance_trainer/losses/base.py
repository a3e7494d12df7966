"""The base classes of losses."""

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..utils.constants import MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import UsageError
from ..utils.numeric import checked_number
from .reduction import as_tensor, at_least_fp32, check_shapes, count_items

_OF_THE_TRAINER = ("self", "class_weights", "support", "reduction", "label_smoothing")


class Loss(nn.Module, ABC):
    """A sum over entries, divided by the count of known ones.

    A subclass defines `each`. `make_loss`, the contract tests and the docs read its class attributes. `loss_args` may
    set the arguments of its `__init__` other than class_weights, support, reduction and label_smoothing.

    Args:
        class_weights: (labels,), multiplies the loss of a label's positives (single-label: of the class's rows); None
            for 1.
        reduction: "mean" over the known entries (single-label: rows), "sum", or "none" (unknown entries are 0). A mean
            is never divided by a sum of weights, so that an update does not depend on how its batch is cut up.
        label_smoothing: in [0, 1): how far targets are moved toward 1/2 (single-label: toward 1/classes, as in torch's
            CrossEntropyLoss).

    Losses that need counts also take:
        support: (labels,), positives of each label in training (single-label: rows of each class).

    Raises:
        UsageError: arguments that do not fit.
    """

    problem_types: ClassVar[tuple[str, ...]] = (MULTI_LABEL,)
    """The kinds of problem that the loss is for."""
    takes_class_weights: ClassVar[bool] = True
    """False where the loss has weights of its own, or where single entries have no loss to be weighted."""
    needs_counts: ClassVar[bool] = False
    """Whether the loss needs the labels' supports in the training data."""
    elementwise: bool = True
    """Whether the loss of an entry is the same whatever the row's other labels are."""

    class_weights: Tensor | None

    def __init__(self, class_weights: Any = None, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__()
        weights = None if class_weights is None else as_tensor(class_weights, torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)
        self.reduction = reduction
        self.label_smoothing = checked_number("label_smoothing", label_smoothing, 0, 1)

    @classmethod
    def own_arguments(cls) -> dict[str, Any]:
        """The arguments that `loss_args` may set, with their defaults; also those that go through to a base class."""
        found: dict[str, Any] = {}
        for base in cls.__mro__:
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            found |= {p.name: p.default for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD}
            if all(p.kind != p.VAR_KEYWORD for p in parameters):
                break
        return {name: default for name, default in found.items() if name not in _OF_THE_TRAINER}

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
        reduction = self.reduction if reduction is None else reduction
        if reduction not in ("mean", "sum", "none"):
            raise UsageError(f"reduction is 'mean', 'sum' or 'none'; got {reduction!r}.")
        if reduction == "none":
            return self.each(at_least_fp32(logits), labels)
        total = self.total(logits, labels)
        if reduction == "sum":
            return total
        count = count_items(labels) if num_items_in_batch is None else num_items_in_batch
        return total / (count.to(total.device).clamp(min=1) if isinstance(count, Tensor) else max(count, 1))

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum over all entries."""
        return self.each(at_least_fp32(logits), labels).sum()

    @abstractmethod
    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each entry (single-label: row), of the labels' shape, 0 where it is unknown."""


def smoothed(targets: Tensor, smoothing: float) -> Tensor:
    """Multi-label targets moved toward 1/2."""
    return targets * (1 - smoothing) + smoothing / 2 if smoothing else targets


def focal_term(x: Tensor, gamma: float) -> Tensor:
    """sigmoid(x)^gamma softplus(x): the focal loss of a negative with logit x, and of a positive with logit -x.

    >>> focal_term(torch.zeros(1), 2.0)
    tensor([0.1733])
    """
    return focus(softplus(x), gamma)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x). Torch takes it for x from 20 on, which is too early in fp64."""
    return F.softplus(x, threshold=80)


def focus(cross_entropy: Tensor, gamma: float) -> Tensor:
    """(1 - e^-c)^gamma c for a cross-entropy c = -log p >= 0: the focal loss (1 - p)^gamma (-log p)."""
    if not gamma:
        return cross_entropy
    not_p = -torch.expm1(-cross_entropy)
    not_p = not_p.clamp(min=torch.finfo(not_p.dtype).tiny)  # at 0 the slope of a power below 1 would be infinite
    return not_p.pow(gamma) * cross_entropy


def checked_gamma(gamma: float) -> float:
    """Return gamma as a float, or raise a UsageError where it is not a finite number >= 0."""
    return checked_number("focal_gamma", gamma, 0)


def checked_support(support: Any) -> np.ndarray:
    """Return the positives of each label (single-label: rows of each class), (labels,), float64.

    Raises:
        UsageError: not a list of finite numbers >= 0.
    """
    values = np.asarray(support.cpu() if isinstance(support, Tensor) else support, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        raise UsageError(f"support is the number of positives of each label, finite and >= 0; got {support!r}.")
    return values
