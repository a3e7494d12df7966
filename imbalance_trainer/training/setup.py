"""What WeightedFocalTrainer finds out about its model and data before training, and the objects that it works with."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import TrainingArguments

from ..decisions.rule import DecisionRule, forget_foreign_thresholds
from ..labels.class_weights import ClassWeights
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..losses.registry import takes_class_weights
from ..metrics.imbalance_metrics import ImbalanceMetrics
from ..utils.constants import MULTI_LABEL
from ..utils.errors import UsageError
from .arguments import ImbalanceOptions
from .decision_tuning import NO_THRESHOLDS, DecisionTuning
from .evaluation import KeptResults
from .head import HeadStart
from .nan_guard import NanGuard
from .objective import WeightedObjective
from .problem import Problem, count_labels, find_schema, needs_labels, stored_config

logger = logging.getLogger(__name__)

_COUNTED_ONE_BY_ONE = 20_000
"""Training rows that are counted where each has to be asked for (the table of weights says that it is a sample)."""

_CHECKED_ONE_BY_ONE = 256


@dataclass
class ImbalanceSetup:
    """What a trainer knows of its labels, and the objects that its hooks hand over to.

    Args:
        options: the options, each from keyword, arguments, the model or the default.
        problem: what the labels are for.
        schema: the labels.
        distribution: counts of the training data; None where its labels could not be counted.
        metrics: count every evaluation.
        objective: the class weights and what is minimised.
        head_start: where a fresh head starts, and its learning rate.
        decisions: the decision rule, and tuning it.
        guard: watches for a loss that is not finite.
        results: the evaluations so far.
        forward_needs_labels: whether the model cannot be called without labels.
    """

    options: ImbalanceOptions
    problem: Problem
    schema: LabelSchema
    distribution: LabelDistribution | None
    metrics: ImbalanceMetrics
    objective: WeightedObjective
    head_start: HeadStart
    decisions: DecisionTuning
    guard: NanGuard
    results: KeptResults
    forward_needs_labels: bool

    @classmethod
    def find(
        cls,
        options: ImbalanceOptions,
        problem: Problem,
        args: TrainingArguments,
        model: Any,
        train_dataset: Any,
        eval_datasets: Mapping[str, Any],
        data_collator: Any,
        label_name: str,
    ) -> "ImbalanceSetup":
        """Find the labels, count them, and make the objects.

        Raises:
            UsageError, DataError: settings or labels that do not fit.
        """
        example = next((d for d in (train_dataset, *eval_datasets.values()) if d is not None), None)
        schema = find_schema(model, example, options.label_schema, problem)
        how = (schema, problem, tuple(args.label_names or ()), data_collator)
        counts = count_labels(train_dataset, *how, limit=_COUNTED_ONE_BY_ONE, progress=not args.disable_tqdm)
        if args.world_size > 1:  # ranks may see different parts of a stream, and weights must not differ
            counts = broadcast_object_list([counts])[0]
        for dataset in eval_datasets.values():
            count_labels(dataset, *how, limit=_CHECKED_ONE_BY_ONE)  # a bad value is an error now, not after an epoch
        metrics = ImbalanceMetrics(schema, None if counts is None else counts.support)
        stored = None if train_dataset is not None else (stored_config(model).get("class_weights") or {})
        return cls(
            options=options,
            problem=problem,
            schema=schema,
            distribution=counts,
            metrics=metrics,
            objective=WeightedObjective(
                options, problem.type, schema, counts, args.label_smoothing_factor, stored, args.process_index == 0
            ),
            head_start=HeadStart(options, problem, args),
            decisions=DecisionTuning(problem, metrics, counts, args),
            guard=NanGuard(schema),
            results=KeptResults(),
            forward_needs_labels=needs_labels(model, label_name),
        )

    def with_options(self, options: ImbalanceOptions, args: TrainingArguments) -> "ImbalanceSetup":
        """The same labels and counts under other options, as hyper-parameter search tries them."""
        known = (self.problem.type, self.schema, self.distribution, args.label_smoothing_factor)
        return replace(
            self,
            options=options,
            objective=WeightedObjective(options, *known, is_main=args.process_index == 0),
            head_start=self.head_start.with_options(options),
            guard=NanGuard(self.schema),
        )

    @property
    def class_weights(self) -> ClassWeights:
        """The weight of each label, with its reason."""
        return self.objective.class_weights

    @property
    def is_multi_label(self) -> bool:
        """Whether a row may have any number of labels."""
        return self.problem.type == MULTI_LABEL

    def configure(self, config: Any, trains: bool) -> DecisionRule | None:
        """Write into a model's config what inference needs, so that plain transformers loads and uses it rightly.

        Returns:
            The decision rule of the model; None where the largest score decides.
        """
        options = self.options
        if config is not None:
            if not self.problem.tokens:
                config.problem_type = self.problem.type  # else pipeline() would take softmax for multi-label
            weights = self.class_weights.as_dict() if self.class_weights.asked_for else None
            more = {"constraint": options.constraint, "hierarchy_policy": options.hierarchy_policy}
            self.schema.to_config(config, class_weights=weights, **(more if self.is_multi_label else {}))
        if not self.problem.has_thresholds:
            if options.thresholds is not None:
                raise UsageError(NO_THRESHOLDS)
            return None
        if config is None:
            rule = DecisionRule(
                self.schema, hierarchy_policy=options.hierarchy_policy, two_classes=not self.is_multi_label
            )
        else:
            if trains and forget_foreign_thresholds(config, self.schema):
                logger.warning("The thresholds in the model's config are of other labels, and are dropped.")
            rule = DecisionRule.from_config(config)
        return self.by_hand(rule)

    def by_hand(self, rule: DecisionRule) -> DecisionRule:
        """The rule with the thresholds that are set by hand, if any are."""
        given = self.options.thresholds
        return rule if given is None else rule.with_thresholds(given)

    def plain_options(self) -> dict[str, Any]:
        """The options as run.json keeps them."""
        return {**self.options.plain(), "takes_class_weights": takes_class_weights(self.options.loss)}
