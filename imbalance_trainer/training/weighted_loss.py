"""What WeightedFocalTrainer minimises: the class weights, the objective, and the loss of a batch."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..labels.class_weights import ClassWeights, compute_class_weights, log_weights
from ..losses import make_loss
from ..losses.objective import Objective
from ..losses.registry import check_weights_fit, name_of, takes_class_weights
from ..monitor.console import say
from ..utils.constants import LABEL_COLUMNS, LABEL_MASK, SAMPLE_WEIGHT
from ..utils.errors import DataError, UsageError
from .batch import labels_of, logits_of, sample_weights_of, without_loss
from .evaluation import RunningEvaluation
from .nan_guard import NanGuard
from .outputs import WritesOutputs
from .problem import stored_weights

logger = logging.getLogger(__name__)


class ComputesWeightedLoss(WritesOutputs):
    """The part of WeightedFocalTrainer that is about the loss."""

    # of WeightedFocalTrainer
    _evaluation: RunningEvaluation | None
    _guard: NanGuard
    _forward_needs_labels: bool
    _equip_callbacks: Callable[[], None]

    # ---- weights and objective ----

    def _prepare_loss(self) -> None:
        """Weights and what is minimised, from the options."""
        self.class_weights = self.asked_weights = self._weigh()
        self.asked_gamma = self.options.focal_gamma
        self._said_reweighting_of: int | None = None
        self._prepare_objective()

    def _prepare_objective(self) -> None:
        weights = self.class_weights.values if self.class_weights.asked_for else None
        self.training_objective = self._objective(weights)
        self._unweighted_objective = self._objective(None) if self.options.reweight_from else None

    def _objective(self, weights: Any) -> Objective:
        options, kind = self.options, self.problem.type
        own: Any = options.loss_args  # a dict or None, as options are checked
        loss = make_loss(
            options.loss,
            kind,
            weights,
            self.label_distribution,
            own,
            options.gamma,
            self.args.label_smoothing_factor,
        )
        constraint = (options.constraint, options.constraint_weight, options.constraint_direction)
        return Objective.of(loss, self.label_schema, kind, *constraint)

    @property
    def _current_objective(self) -> Objective:
        """What is minimised at this step: without class weights before reweight_from. The same on every rank, and in a
        run that was resumed, as it follows from the step alone. Evaluations always take the weights."""
        if self._unweighted_objective is None or self._evaluation is not None or not self.is_in_train:
            return self.training_objective
        step, start = self.state.global_step, reweighting_step(self.options.reweight_from, self.state.max_steps)
        if start >= self.state.max_steps:
            raise UsageError(
                f"reweight_from is step {start}, but training has {self.state.max_steps} steps, so that no update "
                "would take the class weights; give a smaller step, or a share of training below 1."
            )
        if step < start:
            return self._unweighted_objective
        if step == start and self._said_reweighting_of != start and self.is_world_process_zero():
            self._said_reweighting_of = start
            say(f"Step {step:,}: class weights count from here on (reweight_from {self.options.reweight_from:g}).")
        return self.training_objective

    def weigh_by(self, weights: Mapping[str, float], gamma: float | None, step: int) -> None:
        """Go on with other class weights, and another gamma where there is one, which the model's config has too.

        Args:
            weights: {label: weight} of every label.
            gamma: focal_gamma; None to leave it.
            step: updates so far, for the reasons.
        """
        asked = self.asked_weights
        self.class_weights = asked.moved(weights, f"adapted by step {step:,}")
        self.options = dataclasses.replace(self.options, focal_gamma=self.asked_gamma if gamma is None else gamma)
        self._prepare_objective()
        if getattr(self.model, "config", None) is not None and self.class_weights.asked_for:
            self.label_schema.to_config(self.model.config, class_weights=self.class_weights.as_dict())
        self._equip_callbacks()

    def _weigh(self) -> ClassWeights:
        options, counts, asked = self.options, self.label_distribution, self.options.class_weights
        is_auto, trains = isinstance(asked, str), self.train_dataset is not None
        if not takes_class_weights(options.loss):
            if asked is not None and not is_auto:
                check_weights_fit(options.loss)
            if is_auto and self.is_world_process_zero():
                logger.info("loss=%r weighs by itself: class_weights='auto' means none.", name_of(options.loss))
            return compute_class_weights(self.label_schema if counts is None else counts, None)
        if counts is None and is_auto and not trains:  # evaluation alone: the loss that the model was trained with
            asked = stored_weights(self.model, self.label_schema) or asked
        known = self.label_schema if counts is None else counts
        strategy = (options.weight_strategy, options.max_weight, options.effective_number_beta)
        weights = compute_class_weights(known, asked, *strategy)
        if not self.is_world_process_zero():
            return weights
        if counts is None and is_auto and trains:
            logger.warning(
                "The columns of the training data hold no labels to count, so every class weight is 1. Give "
                "class_weights={label: weight}, or data with a column 'labels'."
            )
        if counts is not None:
            log_weights(logger, counts, weights)
        return weights

    # ---- a batch ----

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The weighted loss plus the constraint penalty, each divided by its count over the whole update.

        The counts come from `_get_num_items_in_batch`: over all micro-batches and all ranks, so that the update is the
        same however its batch is cut up. A `compute_loss_func` of the user's takes the place of all of it.

        Raises:
            DataError: a batch without labels, or outputs without logits.
        """
        if self.problem is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if self.compute_loss_func is not None:
            result = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            if return_outputs and self._evaluation is not None:
                self._evaluation.logits = self._logits(result[1])
            return result
        labels = self._labels(inputs)
        if labels is None:
            raise DataError(
                f"The batch has no labels: its keys are {sorted(inputs)}, expected {self.label_names[0]!r}; "
                "have the data collator give them, or name their key in label_names."
            )
        withheld = (SAMPLE_WEIGHT, LABEL_MASK)
        if not self._forward_needs_labels:
            withheld += (*self.label_names, *LABEL_COLUMNS)
        outputs = model(**{name: value for name, value in inputs.items() if name not in withheld})
        logits = self._logits(outputs)
        row_weights = sample_weights_of(inputs)
        if self._evaluation is not None:
            self._evaluation.logits, self._evaluation.row_weights = logits.detach(), row_weights
        else:
            self._guard.look_at(logits, labels)
        objective, scale = self._current_objective, 1
        counts: Any = num_items_in_batch  # what our `_get_num_items_in_batch` gave: counts of entries and of pairs
        if counts is None:
            counts = objective.counts(labels)
        elif self.args.average_tokens_across_devices and self.args.n_gpu <= 1:
            scale = self.accelerator.num_processes // self.get_tp_size()  # DDP averages gradients over the ranks
        sums = objective.sums(logits, labels, row_weights)
        if self._evaluation is not None:
            self._evaluation.sums = sums.detach(), counts
        loss = objective.value(sums, counts) * scale
        if not return_outputs:
            return loss
        return loss, outputs if isinstance(outputs, Mapping) else (loss, *without_loss(outputs))

    def _labels(self, inputs: Mapping[str, Any]) -> Tensor | None:
        return labels_of(inputs, self.label_names[0] if self.label_names else "labels")

    def _logits(self, outputs: Any) -> Tensor:
        return logits_of(outputs, self.problem.n_labels, type(self.model).__name__)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Any:
        if self.problem is None or self.compute_loss_func is not None:
            return super()._get_num_items_in_batch(batch_samples, device)
        if self._evaluation is not None:  # whose loss is that of the whole data, whatever its batches
            return None
        labels = [part for part in map(self._labels, batch_samples) if part is not None]
        if not labels:
            return None
        counts = sum(self.training_objective.counts(part).to(device) for part in labels)
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            counts = self.accelerator.gather(counts).reshape(-1, 2).sum(0) / self.get_tp_size()
        return counts


def reweighting_step(reweight_from: float, max_steps: int) -> int:
    """The step from which on class weights count: a share of all steps where it is below 1, else that step itself.

    >>> reweighting_step(0.8, 1000), reweighting_step(300, 1000)
    (800, 300)
    """
    return int(reweight_from * max_steps if reweight_from < 1 else reweight_from)
