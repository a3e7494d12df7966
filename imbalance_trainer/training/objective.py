"""Class weights, and what is minimised under them."""

import logging
from typing import Any

from transformers import TrainingArguments

from ..labels.class_weights import ClassWeights, compute_class_weights, log_weights
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..losses.objective import Objective
from ..losses.registry import check_weights_fit, make_loss, name_of, takes_class_weights
from ..monitor.console import say
from ..utils.errors import UsageError
from .arguments import ImbalanceOptions
from .problem import Problem, stored_weights

logger = logging.getLogger(__name__)


class WeightedObjective:
    """The class weights in use and the objective that they give.

    Args:
        options: the trainer's options.
        problem: what the labels are for.
        schema: the labels.
        distribution: counts of the training data; None where its labels could not be counted.
        args: the training arguments.
        trains: whether there is training data.
        model: whose stored class weights are used where there is nothing to count and nothing to train on.

    Attributes:
        class_weights: the weight of each label, with its reason.
        weighted: the objective with class weights. Evaluations always use it.
        unweighted: the objective before `reweight_from`; None where weights apply from the start.
    """

    def __init__(
        self,
        options: ImbalanceOptions,
        problem: Problem,
        schema: LabelSchema,
        distribution: LabelDistribution | None,
        args: TrainingArguments,
        trains: bool,
        model: Any,
    ) -> None:
        self.options, self.problem, self.schema, self.distribution = options, problem, schema, distribution
        self.args = args
        self.class_weights = self._weigh(trains, model)
        self.weighted = self._make(self.class_weights.values if self.class_weights.asked_for else None)
        self.unweighted = self._make(None) if options.reweight_from else None
        self._announced = False

    @property
    def at_start(self) -> Objective:
        """The objective of the first update."""
        return self.unweighted or self.weighted

    def at(self, step: int, max_steps: int) -> Objective:
        """The objective of an update. It depends on the step alone, so that every rank and a resumed run agree.

        Args:
            step: updates so far.
            max_steps: updates of the whole training.

        Raises:
            UsageError: `reweight_from` lies behind the last step.
        """
        if self.unweighted is None:
            return self.weighted
        start = reweighting_step(self.options.reweight_from, max_steps)
        if start >= max_steps:
            raise UsageError(
                f"reweight_from is step {start}, but training has {max_steps} steps, so that no update "
                "would take the class weights; give a smaller step, or a share of training below 1."
            )
        if step < start:
            return self.unweighted
        if step == start and not self._announced and self.args.process_index == 0:
            self._announced = True
            say(f"Step {step:,}: class weights apply from here on (reweight_from {self.options.reweight_from:g}).")
        return self.weighted

    def _make(self, weights: Any) -> Objective:
        options, kind = self.options, self.problem.type
        own: Any = options.loss_args  # a dict or None, as options are checked
        smoothing = self.args.label_smoothing_factor
        loss = make_loss(options.loss, kind, weights, self.distribution, own, options.gamma, smoothing)
        constraint = (options.constraint, options.constraint_weight, options.constraint_direction)
        return Objective.of(loss, self.schema, kind, *constraint)

    def _weigh(self, trains: bool, model: Any) -> ClassWeights:
        options, counts = self.options, self.distribution
        known: Any = self.schema if counts is None else counts
        asked = options.class_weights
        is_auto, is_main = isinstance(asked, str), self.args.process_index == 0
        if not takes_class_weights(options.loss):
            if asked is not None and not is_auto:
                check_weights_fit(options.loss)
            if is_auto and is_main:
                logger.info("loss=%r weighs by itself: class_weights='auto' means none.", name_of(options.loss))
            return compute_class_weights(known, None)
        if counts is None and is_auto and not trains:  # evaluation alone: the loss that the model was trained with
            asked = stored_weights(model, self.schema) or asked
        strategy = (options.weight_strategy, options.max_weight, options.effective_number_beta)
        weights = compute_class_weights(known, asked, *strategy)
        if is_main and counts is None and is_auto and trains:
            logger.warning(
                "The columns of the training data hold no labels to count, so every class weight is 1. Give "
                "class_weights={label: weight}, or data with a column 'labels'."
            )
        if is_main and counts is not None:
            log_weights(logger, counts, weights)
        return weights


def reweighting_step(reweight_from: float, max_steps: int) -> int:
    """The step after which class weights apply: a share of all steps where it is below 1, else that step itself.

    >>> reweighting_step(0.8, 1000), reweighting_step(300, 1000)
    (800, 300)
    """
    return int(reweight_from * max_steps if reweight_from < 1 else reweight_from)
