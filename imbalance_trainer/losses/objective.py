"""What is minimised: the loss plus the constraint penalty, each as a sum and a count, so that parts add up."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..labels.schema import LabelSchema
from ..utils.constants import MULTI_LABEL
from .constraints import ConstraintPenalty, check_constraint, max_over_descendants
from .reduction import count_items


@dataclass(frozen=True)
class Objective:
    """Loss and penalty of a problem.

    Args:
        loss: a `Loss`, see `make_loss`.
        penalty: the constraint penalty, None for none.
        penalty_weight: what the mean penalty is multiplied by.
        max_constraint: the schema under whose max constraint the loss is taken ("max_constraint"), None for none.
    """

    loss: nn.Module
    penalty: ConstraintPenalty | None = None
    penalty_weight: float = 0.0
    max_constraint: LabelSchema | None = None

    @classmethod
    def of(
        cls,
        loss: nn.Module,
        schema: LabelSchema,
        problem_type: str,
        constraint: str,
        constraint_weight: float,
        direction: str = "both",
    ) -> "Objective":
        """The objective of a schema; without rules, or in a single-label problem, there is no constraint."""
        check_constraint(constraint, direction)
        if problem_type != MULTI_LABEL or not schema.rules or constraint == "none":
            return cls(loss)
        if constraint == "max_constraint":
            return cls(loss, max_constraint=schema)
        penalty = ConstraintPenalty(constraint, schema, direction) if constraint_weight else None
        return cls(loss, penalty, constraint_weight)

    def sums(self, logits: Tensor, labels: Tensor, row_weights: Tensor | None = None) -> Tensor:
        """Summed loss and summed penalty, shape (2,); a row counts by its weight, (rows,), if there are any."""
        loss_function = self.loss.to(logits.device)
        if self.max_constraint is not None:
            logits = max_over_descendants(logits, self.max_constraint, labels)
        if row_weights is None:
            loss = loss_function(logits, labels, reduction="sum")
        else:
            each = loss_function(logits, labels, reduction="none").reshape(len(row_weights), -1).sum(1)
            loss = (each * row_weights).sum()
        penalty = loss.new_zeros(())
        if self.penalty is not None:
            penalty = self.penalty.sum(logits, labels, row_weights)
        return torch.stack([loss, penalty])

    def counts(self, labels: Tensor) -> Tensor:
        """Known entries (single-label: rows) and known (row, rule) pairs, the denominators of `sums`. (2,)"""
        rules = labels.new_zeros((), dtype=torch.long) if self.penalty is None else self.penalty.count(labels)
        return torch.stack([torch.as_tensor(count_items(labels)), rules])

    def value(self, sums: Tensor, counts: Tensor) -> Tensor:
        """The mean loss plus the weighted mean penalty; 0 where nothing is known."""
        means = sums / counts.to(sums.device).clamp(min=1)
        return means[0] + self.penalty_weight * means[1]
