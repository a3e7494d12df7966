"""What is counted while an evaluation of the trainer runs: metrics, the exact loss, and scores where they are kept."""

import numpy as np
import torch
from torch import Tensor

from ..losses.objective import Objective
from ..metrics.imbalance_metrics import ImbalanceMetrics


class RunningEvaluation:
    """Counts batches that are gathered from all ranks.

    Args:
        metrics: the metrics, which are reset.
        objective: what the loss is the value of; None where the loss is not ours.
        keep_scores: whether all logits and labels are kept.
    """

    def __init__(self, metrics: ImbalanceMetrics, objective: Objective | None, keep_scores: bool = False) -> None:
        self.metrics, self.objective = metrics, objective
        self.metrics.reset()
        self.at_half: ImbalanceMetrics | None = None
        if metrics.rule.is_tuned:
            self.at_half = metrics.fresh()
            self.at_half.rule = metrics.rule.untuned()
        self.has_labels = False
        self.logits: Tensor | None = None  # of the batch at hand, from compute_loss to prediction_step
        self.row_weights: Tensor | None = None
        self.sums: tuple[Tensor, Tensor] | None = None  # of its loss: sums and counts of the objective
        self._kept: list[tuple[Tensor, Tensor]] | None = [] if keep_scores else None
        self._sums = torch.zeros(2, 2, dtype=torch.float64)  # sums and counts, each of loss and penalty

    def add(
        self,
        logits: Tensor,
        labels: Tensor,
        row_weights: Tensor | None,
        sums: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """Count a batch; `sums` and counts of the objective where they are known of just these rows."""
        self.has_labels = True
        self.metrics.update(logits, labels)
        if self.at_half is not None:
            self.at_half.update(logits, labels)
        if self._kept is not None:
            self._kept.append((logits.float().cpu(), labels.cpu()))
        if self.objective is not None:
            if sums is None:
                sums = self.objective.sums(logits, labels, row_weights), self.objective.counts(labels)
            self._sums += torch.stack([part.double().cpu() for part in sums])

    @property
    def loss(self) -> float | None:
        """The exact loss over everything; None where it is not ours, or nothing is known."""
        known = self.objective is not None and self._sums[1, 0] > 0
        return self.objective.value(*self._sums).item() if known else None

    @property
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits and labels of everything, (rows, labels) each."""
        logits, labels = (torch.cat(parts) for parts in zip(*self._kept, strict=True))
        return logits.numpy(), labels.numpy()
