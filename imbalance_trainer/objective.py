"""What is minimised: the loss plus the constraint penalty, each as a sum and a count, so that parts add up."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .constraints import Penalty, count_pairs, penalty_by_name
from .labels import MULTI_LABEL, LabelSchema
from .losses.reduction import count_items


@dataclass(frozen=True)
class Objective:
    """Loss and penalty of a problem.

    Args:
        loss: a module that sums over known entries (`make_loss`).
        penalty: the constraint penalty, None for none.
        pairs: (implications, 2), indices child and parent.
        penalty_weight: what the mean penalty is multiplied by.
    """

    loss: nn.Module
    penalty: Penalty | None
    pairs: Tensor
    penalty_weight: float

    @classmethod
    def of(
        cls, loss: nn.Module, schema: LabelSchema, problem_type: str, constraint: str, constraint_weight: float
    ) -> "Objective":
        """The objective of a schema; without implications, or in a single-label problem, there is no penalty."""
        constrained = problem_type == MULTI_LABEL and schema.implications and constraint_weight > 0
        pairs = torch.tensor(schema.implication_indices, dtype=torch.long).reshape(-1, 2)
        return cls(loss, penalty_by_name(constraint) if constrained else None, pairs, constraint_weight)

    def sums(self, logits: Tensor, labels: Tensor, row_weights: Tensor | None = None) -> Tensor:
        """Summed loss and summed penalty, shape (2,); a row counts by its weight, (rows,), if there are any."""
        loss_function = self.loss.to(logits.device)
        if row_weights is None:
            loss = loss_function(logits, labels)
        else:
            each = loss_function(logits, labels, reduction="none").reshape(len(row_weights), -1).sum(1)
            loss = (each * row_weights).sum()
        penalty = loss.new_zeros(())
        if self.penalty is not None:
            penalty = self.penalty(logits, labels, self.pairs.to(logits.device), row_weights)
        return torch.stack([loss, penalty])

    def counts(self, labels: Tensor) -> Tensor:
        """Known entries (single-label: rows) and known (row, implication) pairs, the denominators of `sums`. (2,)"""
        pairs = labels.new_zeros((), dtype=torch.long)
        if self.penalty is not None:
            pairs = count_pairs(labels, self.pairs.to(labels.device))
        return torch.stack([count_items(labels), pairs])

    def value(self, sums: Tensor, counts: Tensor) -> Tensor:
        """The mean loss plus the weighted mean penalty; 0 where nothing is known."""
        means = sums / counts.to(sums.device).clamp(min=1)
        return means[0] + self.penalty_weight * means[1]
