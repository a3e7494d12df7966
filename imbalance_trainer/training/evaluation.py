"""What is counted while an evaluation runs, and the evaluations that are kept."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..losses.objective import Objective
from ..metrics.imbalance_metrics import ImbalanceMetrics, first
from ..monitor.run_files import TIMES, Results

logger = logging.getLogger(__name__)

NOTHING_TO_COUNT = (
    "%s.prediction_step takes the place of ours and left no logits and labels to count: there are no metrics of the "
    "labels. Give compute_metrics, for which Trainer keeps both, and no preprocess_logits_for_metrics."
)


class RunningEvaluation:
    """Counts batches that are gathered from all ranks; without an objective the loss is not ours."""

    def __init__(self, metrics: ImbalanceMetrics, objective: Objective | None, keep_scores: bool = False) -> None:
        self.metrics, self.objective, self.keeps_scores = metrics, objective, keep_scores
        self.metrics.reset()
        self.at_half: ImbalanceMetrics | None = None
        if metrics.rule.is_tuned:
            self.at_half = metrics.fresh()
            self.at_half.rule = metrics.rule.untuned()
        self.has_labels = False
        self.logits: Any = None  # of the batch at hand, from compute_loss to prediction_step
        self.sums: tuple[Tensor, Tensor] | None = None  # of its loss: sums and counts of the objective
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._sums = torch.zeros(2, 2, dtype=torch.float64)  # sums and counts, each of loss and penalty

    def see(self, logits: Tensor, sums: tuple[Tensor, Tensor]) -> None:
        """Take what `compute_loss` has of a batch of this rank."""
        self.logits, self.sums = logits.detach(), sums

    def add(self, logits: Tensor, labels: Tensor, sums: tuple[Tensor, Tensor] | None = None) -> None:
        """Count a batch of all ranks; `sums` and counts of the objective where they are known of just these rows."""
        self.has_labels = True
        self.metrics.update(logits, labels)
        if self.at_half is not None:
            self.at_half.update(logits, labels)
        if self.keeps_scores:
            self._kept.append((logits.float().cpu(), labels.cpu()))
        if self.objective is not None:
            if sums is None:
                sums = self.objective.sums(logits, labels), self.objective.counts(labels)
            self._sums += torch.stack([part.double().cpu() for part in sums])

    def add_kept(self, kept: tuple[Any, Any] | None, logits_in: Callable[[Any], Tensor], name: str) -> None:
        """Count what Trainer kept, (predictions, labels), where the prediction_step of the subclass `name` is its own,
        and so is the loss."""
        self.objective = None
        if kept is None or any(part is None for part in kept):
            logger.warning(NOTHING_TO_COUNT, name)
            return
        logits, labels = (torch.as_tensor(first(part)) for part in kept)
        self.add(logits_in(logits), labels)

    @property
    def loss(self) -> float | None:
        """The exact loss over everything; None where it is not ours, or nothing is known."""
        if self.objective is None or not self._sums[1, 0] > 0:
            return None
        return self.objective.value(*self._sums).item()

    @property
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits and labels of everything, (rows, labels) each."""
        logits, labels = (torch.cat(parts) for parts in zip(*self._kept, strict=True))
        return logits.numpy(), labels.numpy()


class KeptResults:
    """Evaluations of a run: of each split the last one and that of the best step stay."""

    def __init__(self) -> None:
        self._all: list[Results] = []

    def clear(self) -> None:
        """Forget all of them, as another training begins."""
        self._all = []

    def keep(self, results: Results, best_step: int | None) -> None:
        """Keep an evaluation in place of an earlier one of its split, but for that of the best model so far."""
        kept = [r for r in self._all if r.split != results.split or r.step == best_step]
        self._all = [r for r in kept if (r.split, r.step) != (results.split, results.step)] + [results]

    def of(
        self, split: str, step: int | None, history: Iterable[Mapping[str, Any]], names: Iterable[str] | None
    ) -> Results | None:
        """The last evaluation of a split with the model of a step, else its last one; None where there was none.

        Args:
            split: the prefix of its metrics.
            step: updates that the model in use had.
            history: entries of the monitor, which also has evaluations from before this process took the run up.
            names: labels that are decided at 0.5 in such entries; None where the largest score decides.
        """
        known = [results for results in self._all if results.split == split]
        if fitting := [results for results in known if results.step == step]:
            return fitting[-1]
        entries = [e for e in history if (e["split"], e["step"]) == (split, step) and not e.get("cross_fitted")]
        if not entries:
            return known[-1] if known else None
        metrics = {name: value for name, value in entries[-1]["metrics"].items() if name not in TIMES}
        half = None if names is None else dict.fromkeys(names, 0.5)
        return Results(split, step, metrics, entries[-1]["labels"], thresholds=half)

    def splits(self, history: Iterable[Mapping[str, Any]]) -> list[str]:
        """The names of all splits that were evaluated, in order."""
        return list(dict.fromkeys([*(entry["split"] for entry in history), *(r.split for r in self._all)]))
