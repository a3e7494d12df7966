"""Class weights, and what is minimised under them."""

import logging
from typing import Any

import numpy as np

from ..labels.class_weights import ClassWeights, compute_class_weights
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..losses.objective import Objective
from ..losses.registry import check_weights_fit, make_loss, name_of, takes_class_weights
from ..utils.errors import quoted
from .arguments import ImbalanceOptions

logger = logging.getLogger(__name__)


class WeightedObjective:
    """The class weights in use and the objective that they give.

    Args:
        options: loss, class weights and constraint.
        problem_type: MULTI_LABEL or SINGLE_LABEL.
        schema: the labels.
        counts: of the training data; None where its labels could not be counted.
        label_smoothing: see `Loss`.
        stored: where nothing is trained, the class weights that the model was trained with, which "auto" means then.
        is_main: whether this process says what is odd.

    Attributes:
        class_weights: the weight of each label, with its reason.
        weighted: the objective that they give.
    """

    def __init__(
        self,
        options: ImbalanceOptions,
        problem_type: str,
        schema: LabelSchema,
        counts: LabelDistribution | None,
        label_smoothing: float = 0.0,
        stored: dict[str, float] | None = None,
        is_main: bool = True,
    ) -> None:
        self._is_main = is_main
        self.class_weights = self._weigh(options, schema, counts, stored)
        own: Any = options.loss_args  # a dict or None, as options are checked
        weights = self.class_weights.values if self.class_weights.asked_for else None
        loss = make_loss(options.loss, problem_type, weights, counts, own, options.gamma, label_smoothing)
        self.weighted = Objective.of(loss, schema, problem_type, options.constraint, options.constraint_weight)

    def _weigh(
        self,
        options: ImbalanceOptions,
        schema: LabelSchema,
        counts: LabelDistribution | None,
        stored: dict[str, float] | None,
    ) -> ClassWeights:
        known: Any = schema if counts is None else counts
        asked, is_auto = options.class_weights, isinstance(options.class_weights, str)
        if not takes_class_weights(options.loss):
            if asked is not None and not is_auto:
                check_weights_fit(options.loss)
            if is_auto and self._is_main:
                logger.info("loss=%r weighs by itself: class_weights='auto' means none.", name_of(options.loss))
            return compute_class_weights(known, None)
        if counts is None and is_auto and set(stored or ()) == set(schema.names):
            asked = stored
        strategy = (options.weight_strategy, options.max_weight)
        weights = compute_class_weights(known, asked, *strategy)
        if self._is_main and counts is not None and not counts.support.all():
            absent = quoted([schema.names[i] for i in np.flatnonzero(counts.support <= 0)])
            logger.warning("No positives in the training data for %s: no weight makes the model learn them.", absent)
        elif self._is_main and counts is None and is_auto and stored is None:
            logger.warning(
                "The columns of the training data hold no labels to count, so every class weight is 1. Give "
                "class_weights={label: weight}, or data with a column 'labels'."
            )
        return weights
