"""The decision rule that every evaluation uses, and the tuning that it came from."""

import dataclasses
from typing import Any

import numpy as np
from accelerate.utils import broadcast_object_list
from transformers import TrainingArguments

from ..decisions.rule import TUNED, DecisionRule
from ..labels.distribution import LabelDistribution
from ..metrics.imbalance_metrics import ImbalanceMetrics
from ..tuning.decisions import Tuning, TuningOptions, tune_decisions
from ..utils.errors import DataError, UsageError
from .checkpoints import read_decision_rule
from .problem import Problem

NO_THRESHOLDS = "Thresholds are for multi-label problems and for two classes; in this one the largest score decides."


class DecisionTuning:
    """Holds the decision rule of a trainer, which its metrics decide by, and tunes its thresholds.

    Attributes:
        tuned: the tuning of the thresholds in use, where it was done here.
    """

    tuned: Tuning | None = None

    def __init__(
        self,
        problem: Problem,
        metrics: ImbalanceMetrics,
        distribution: LabelDistribution | None,
        args: TrainingArguments,
    ) -> None:
        self.has_thresholds, self.metrics, self.args = problem.has_thresholds, metrics, args
        self.support = None if distribution is None else distribution.support

    @property
    def rule(self) -> DecisionRule:
        """How logits become decisions.

        Raises:
            UsageError: a single-label problem of other than two classes.
        """
        if not self.has_thresholds:
            raise UsageError(NO_THRESHOLDS)
        return self.metrics.rule

    def use(self, rule: DecisionRule, config: Any, users_metrics: Any = None) -> None:
        """Decide by a rule in every evaluation, also in the user's own ImbalanceMetrics, and store it in a config."""
        self.metrics.rule, self.metrics.at_half = rule, None
        self.tuned = None
        if isinstance(users_metrics, ImbalanceMetrics):
            users_metrics.rule = rule
        if config is not None:
            rule.to_config(config)

    def tune(self, logits: np.ndarray, labels: np.ndarray, options: TuningOptions, n_bootstrap: int) -> Tuning:
        """Tune on scores, on the first process; every process gets the result, or the error.

        Raises:
            UsageError, DataError: as `tune_decisions`.
        """
        done: list[Any] = [None]
        if self.args.process_index == 0:
            try:
                done = [tune_decisions(logits, labels, self.rule, options, n_bootstrap, self.support)]
            except (UsageError, DataError) as error:  # every rank has to hear of it, as all wait
                done = [error]
        if self.args.world_size > 1:
            done = broadcast_object_list(done)
        if isinstance(done[0], Exception):
            raise done[0]
        return done[0]

    def of_checkpoint(self, checkpoint: str) -> DecisionRule | None:
        """The rule in use with the thresholds of a checkpoint, as they belong to its weights; None where it has none.

        Thresholds are gone with the weights that they were tuned for, and come back with them.
        """
        stored = read_decision_rule(checkpoint) if self.has_thresholds else None
        if stored is None:
            return None
        return dataclasses.replace(self.rule, **{k: getattr(stored, k) for k in TUNED})
