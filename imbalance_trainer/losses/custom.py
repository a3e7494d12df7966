"""A user's own loss function, with the reduction of `Loss`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX, MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import UsageError
from .base import Loss
from .reduction import check_shapes


class UserLoss(Loss):
    """Wrap a function (logits, labels) -> loss of each entry, so that it is summed and divided by counts.

    The function gets fp32 logits and labels: multi-label (rows, labels) and labels of that shape and type;
    single-label (rows, classes) and class indices (rows,), tokens flattened to rows. It returns a tensor of the
    labels' shape: the loss of each entry (single-label: row), as with reduction="none". A mean is refused: taken of
    each micro-batch it would make an update depend on how its batch is cut up. Unknown labels (-100) are passed as 0,
    and the loss returned for them is ignored.

    Args:
        function: a function, or a module without trainable parameters.
        reduction: see `Loss`.

    Raises:
        UsageError: not a function; when called, a result that is not a tensor of the labels' shape.

    >>> loss = UserLoss(torch.nn.BCEWithLogitsLoss(reduction="none"))
    >>> loss(torch.zeros(1, 2), torch.tensor([[1, -100]]))
    tensor(0.6931)
    """

    problem_types = (MULTI_LABEL, SINGLE_LABEL)
    takes_class_weights = False
    elementwise = False  # as far as is known

    def __init__(self, function: "Callable[[Tensor, Tensor], Tensor]", reduction: str = "sum") -> None:
        super().__init__(None, reduction)
        if isinstance(function, type) or not callable(function):
            hint = f"; give an instance of it: {function.__name__}(...)" if isinstance(function, type) else ""
            raise UsageError(
                f"loss is a name in LOSSES, a module or a function (logits, labels) -> loss of each entry; got "
                f"{function!r}{hint}."
            )
        self.function = function

    @classmethod
    def own_arguments(cls) -> dict[str, Any]:
        """Empty: they are set in the function."""
        return {}

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss that the function returns, 0 where unknown."""
        known = labels != IGNORE_INDEX
        labels = torch.where(known, labels, 0)
        if check_shapes(logits, labels):
            logits, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1).long()
        else:
            labels = labels.to(logits.dtype)
        each = self.function(logits, labels)
        shape = tuple(each.shape) if isinstance(each, Tensor) else type(each).__name__
        if shape != tuple(labels.shape):
            got = "a single number" if shape == () else f"{shape}"
            raise UsageError(
                f"The loss gave {got} for labels of shape {tuple(labels.shape)}; expected the loss of each entry (as "
                'with reduction="none"), as a mean would depend on how the batch is cut up.'
            )
        return torch.where(known, each.reshape(known.shape), 0)
