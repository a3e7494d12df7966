"""The loss, the start of the head and its learning rate for any Trainer, as functions."""

from typing import Any

import torch
from torch import Tensor, nn

from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..losses.objective import best_constant_logits
from ..utils.constants import IGNORE_INDEX, MULTI_LABEL
from ..utils.errors import DataError, UsageError
from .arguments import ImbalanceOptions
from .batch import logits_of
from .head import fresh_head_rate, is_fresh, split_off, start_bias, trained_head
from .objective import WeightedObjective

_OPTIONS = ("class_weights", "weight_strategy", "max_weight", "loss_args", "focal_gamma", "constraint",
            "constraint_weight")  # fmt: skip

_PENALTY_NEEDS = (
    "A label is unknown (-100), and Trainer counts known labels, not what the penalty of the implications is divided "
    "by: set constraint='none', or train with WeightedFocalTrainer."
)


class ImbalanceLoss:
    """The loss of WeightedFocalTrainer for any Trainer: `Trainer(..., compute_loss_func=imbalance_loss(...))`.

    It is divided by the count that Trainer makes of the whole update, so that gradient accumulation and several
    processes change nothing.

    Args:
        loss: a name in LOSSES, or a module or function of yours (see `UserLoss`).
        schema: the labels.
        counts: of the training data, as `LabelDistribution.from_labels` counts them.
        problem_type: that of the model's config.
        label_smoothing: see `Loss`.
        model: is checked, if given: its config must have the problem_type.
        options: class_weights, weight_strategy, max_weight, loss_args, focal_gamma, constraint and
            constraint_weight, as WeightedFocalTrainer takes them.

    Attributes:
        class_weights: the weight of each label, with its reason.
        loss: the `Loss`.

    Raises:
        UsageError: arguments that do not fit.
        DataError: there is a penalty, and labels are unknown.
    """

    def __init__(
        self,
        loss: Any,
        schema: LabelSchema,
        counts: LabelDistribution,
        *,
        problem_type: str = MULTI_LABEL,
        label_smoothing: float = 0.0,
        model: Any = None,
        **options: Any,
    ) -> None:
        for name in options:
            if name not in _OPTIONS:
                raise UsageError(f"imbalance_loss has no argument {name!r}; it has {', '.join(_OPTIONS)}.")
        settings = ImbalanceOptions.resolve(None, {"loss": loss, **options})
        made = WeightedObjective(settings, problem_type, schema, counts, label_smoothing)
        self.class_weights, self.loss, self._objective = made.class_weights, made.weighted.loss, made.weighted
        self.counts, self.problem_type = counts, problem_type
        if self._objective.penalty is not None and (counts.known < counts.n_rows).any():
            raise DataError(_PENALTY_NEEDS)
        if model is not None:
            self.check(model)

    def check(self, model: Any) -> None:
        """Raise a UsageError where the model's config has another problem_type, or none."""
        declared = getattr(model.config, "problem_type", None)
        if declared != self.problem_type:
            raise UsageError(
                f"The model's config has problem_type={declared!r}; create the model with problem_type="
                f"{self.problem_type!r}. With a compute_loss_func labels do not reach the model, which would set it, "
                "and pipeline() would take softmax."
            )

    def __call__(self, outputs: Any, labels: Tensor | None, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            outputs: of the model.
            labels: (rows, labels), -100 for unknown; single-label: class indices.
            num_items_in_batch: known labels of the whole update; None, of this batch, in an evaluation.

        Raises:
            DataError: no labels; in training no count; a penalty, and labels that are unknown.
        """
        if labels is None or (num_items_in_batch is None and torch.is_grad_enabled()):
            raise DataError(
                "The batch has nothing under 'labels', so that Trainer neither gives labels nor counts them; have the "
                "data collator call them 'labels'."
            )
        objective, logits = self._objective, logits_of(outputs, len(self.counts.schema), "The model")
        sums, counts = objective.sums(logits, labels), objective.counts(labels).to(logits)
        if objective.penalty is not None and bool((labels == IGNORE_INDEX).any()):
            raise DataError(_PENALTY_NEEDS)
        if num_items_in_batch is not None:  # with DataParallel once for each device
            update = torch.as_tensor(num_items_in_batch).to(counts).flatten()[0]
            counts = counts * update / counts[0].clamp(min=1)
        return objective.value(sums, counts)


imbalance_loss = ImbalanceLoss


def start_head(model: nn.Module, loss: ImbalanceLoss) -> bool:
    """Set the bias of a fresh head to where the loss is least without a look at the input (`best_constant_logits`).

    Call it before training, and not on a checkpoint: a head whose bias is not 0 stays as it is.

    Returns:
        Whether the head was fresh.

    Raises:
        UsageError: the model's head does not end in a trained linear layer, or its config has another problem_type.
    """
    loss.check(model)
    head = _head_of(model, len(loss.counts.schema))
    if not is_fresh(head):
        return False
    start_bias(head, best_constant_logits(loss.loss, loss.counts.support, loss.counts.known))
    return True


def set_head_rate(
    model: Any, optimizer: torch.optim.Optimizer, learning_rate: float | None = None
) -> torch.optim.Optimizer:
    """Give the head's last layer a learning rate of its own: `Trainer(..., optimizers=(set_head_rate(...), None))`.

    Args:
        model: whose head it is.
        optimizer: of the model's parameters, before its first step; changed in place.
        learning_rate: the head's; None for `fresh_head_rate` of each group's.

    Returns:
        The optimizer.

    Raises:
        UsageError: the model's head does not end in a trained linear layer, or the optimizer does not have it.
    """
    head = _head_of(model, model.config.num_labels)
    if not split_off(optimizer, head, fresh_head_rate if learning_rate is None else lambda _: learning_rate):
        raise UsageError("The optimizer has no parameters of the model's head; give it those of the model.")
    return optimizer


def _head_of(model: nn.Module, n_labels: int) -> nn.Linear:
    head = trained_head(model, n_labels)
    if head is None:
        raise UsageError(
            f"{type(model).__name__} has no head that ends in a trained linear layer with one output for each of the "
            f"{n_labels} labels; leave its start and its learning rate as they are."
        )
    return head
