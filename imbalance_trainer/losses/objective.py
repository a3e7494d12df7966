"""What is minimised: the loss plus the constraint penalty, each as a sum and a count, so that parts add up; and where
it is least without a look at the input."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..labels.schema import LabelSchema
from ..utils.constants import MULTI_LABEL
from ..utils.errors import check_known
from .constraints import CONSTRAINTS, ConstraintPenalty
from .reduction import count_items

_FARTHEST, _STEPS, _ROUNDS = 16.0, 65, 4


@dataclass(frozen=True)
class Objective:
    """Loss and penalty of a problem.

    Args:
        loss: a `Loss`, see `make_loss`.
        penalty: the constraint penalty, None for none.
        penalty_weight: what the mean penalty is multiplied by.
    """

    loss: nn.Module
    penalty: ConstraintPenalty | None = None
    penalty_weight: float = 0.0

    @classmethod
    def of(
        cls, loss: nn.Module, schema: LabelSchema, problem_type: str, constraint: str, constraint_weight: float
    ) -> "Objective":
        """The objective of a schema; without rules, or in a single-label problem, there is no constraint."""
        check_known("constraint", constraint, CONSTRAINTS)
        if problem_type != MULTI_LABEL or not schema.rules or constraint == "none":
            return cls(loss)
        penalty = ConstraintPenalty(schema) if constraint_weight else None
        return cls(loss, penalty, constraint_weight)

    def sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Summed loss and summed penalty, shape (2,)."""
        loss = self.loss.to(logits.device)(logits, labels, reduction="sum")
        penalty = loss.new_zeros(()) if self.penalty is None else self.penalty.sum(logits, labels)
        return torch.stack([loss, penalty])

    def counts(self, labels: Tensor) -> Tensor:
        """Known entries (single-label: rows) and known (row, rule) pairs, the denominators of `sums`. (2,)"""
        rules = labels.new_zeros((), dtype=torch.long) if self.penalty is None else self.penalty.count(labels)
        return torch.stack([torch.as_tensor(count_items(labels)), rules])

    def value(self, sums: Tensor, counts: Tensor) -> Tensor:
        """The mean loss plus the weighted mean penalty; 0 where nothing is known."""
        means = sums / counts.to(sums.device).clamp(min=1)
        return means[0] + self.penalty_weight * means[1]


def best_constant_logits(loss: nn.Module, support: np.ndarray, known: np.ndarray) -> np.ndarray:
    r"""Find for each label the logit that minimises a loss over the training data if every row has the same logit.

    Label by label: :math:`\arg\min_z n_+ L(z, 1) + n_- L(z, 0)`. For binary cross-entropy that is the log-odds of the
    prevalence; class weights, a focal term and asymmetric losses each move it.

    Args:
        loss: gives the loss of each entry with reduction="none". For a loss that is not `elementwise`, binary
            cross-entropy is minimised instead.
        support, known: positives and known entries of each label in training, (labels,).

    Returns:
        (labels,), float64, within ±16. A label without positives, or without negatives, counts as having half of one.
    """
    known = np.maximum(np.asarray(known, dtype=np.float64), 1)
    positives = np.clip(np.asarray(support, dtype=np.float64), 0.5, np.maximum(known - 0.5, 0.5))
    if not getattr(loss, "elementwise", True):
        return np.clip(np.log(positives / (known - positives).clip(0.5)), -_FARTHEST, _FARTHEST)
    device = next((buffer.device for buffer in loss.buffers()), torch.device("cpu"))
    n_positive, n_negative = (torch.from_numpy(n).to(device) for n in (positives, known - positives))
    best, step = torch.zeros_like(n_positive), _FARTHEST
    for _ in range(_ROUNDS):  # on a grid, for all labels at once, then again between the neighbours of the best point
        z = best + step * torch.linspace(-1, 1, _STEPS).to(best)[:, None]
        with torch.no_grad():
            total = n_positive * loss(z, torch.ones_like(z), reduction="none")
            total += n_negative * loss(z, torch.zeros_like(z), reduction="none")
        best, step = z.gather(0, total.argmin(0, keepdim=True))[0], 2 * step / (_STEPS - 1)
    return np.clip(best.cpu().numpy(), -_FARTHEST, _FARTHEST)
