"""Thresholds in the trainer: tuned on evaluation data, kept in the model's config, gone with the weights they fit."""

import dataclasses
import logging
from typing import Any

import numpy as np
from accelerate.utils import broadcast_object_list
from transformers import Trainer

from ..decisions.rule import DecisionRule
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import ImbalanceMetrics
from ..tuning.decisions import N_BOOTSTRAP, Tuning, TuningOptions, tune_decisions
from ..utils.constants import MULTI_LABEL
from ..utils.errors import DataError, UsageError, quoted
from .callbacks import RareLabelCallback
from .checkpoints import read_decision_rule, write_decision_rule
from .problem import Problem

logger = logging.getLogger(__name__)


class TunesThresholds(Trainer):
    """The part of WeightedFocalTrainer that is about thresholds."""

    _tuned: Tuning | None = None  # what the thresholds in use were tuned with, where that was here
    _tuned_on: Any = None  # and the rows, as `rows_of` names them
    _kept_scores: tuple[np.ndarray, np.ndarray] | None = None

    # of WeightedFocalTrainer
    problem: Problem | None
    label_schema: LabelSchema
    label_metrics: ImbalanceMetrics
    label_distribution: LabelDistribution | None

    @property
    def decision_rule(self) -> DecisionRule:
        """How logits become decisions in every evaluation: `trainer.decision_rule.decide(output.predictions)`.

        Raises:
            UsageError: a problem that is not multi-label.
        """
        self._check_multi_label()
        return self.label_metrics.rule

    @property
    def metrics_at_half(self) -> dict[str, float] | None:
        """The metrics of the last evaluation at 0.5; None as long as no thresholds are tuned."""
        return None if self.problem is None else self.label_metrics.at_half

    def tune_thresholds(
        self,
        eval_dataset: Any = None,
        options: TuningOptions | None = None,
        n_bootstrap: int = N_BOOTSTRAP,
    ) -> Tuning:
        """Tune a threshold for each label on evaluation data, and decide by them from now on.

        They are stored in the model's config as {label: threshold}, where every later evaluation and `predict`,
        ImbalanceTextClassificationPipeline, and a trainer of the saved model find them. The metrics of the last
        evaluation at 0.5 stand in `metrics_at_half` from then on.

        Args:
            eval_dataset: what to tune on, with labels; None for the trainer's evaluation data. Never the test data,
                whose results would flatter.
            options: what is aimed at; None for F1 of each label.
            n_bootstrap: resamples for the intervals; 0 for none.

        Raises:
            UsageError: a problem that is not multi-label, no evaluation data or several sets of it, or options that
                do not fit.
            DataError: no label has a positive in it.
        """
        self._check_multi_label()
        options = (options or TuningOptions()).checked(self.label_schema)
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if dataset is None or isinstance(dataset, dict):
            which = "there is none" if dataset is None else f"there are {quoted(list(dataset))}"
            raise UsageError(f"Thresholds are tuned on one set of evaluation data, but {which}; give eval_dataset=.")
        logits, labels = self._scores_of(dataset)
        tuning: list[Any] = [None]
        if self.is_world_process_zero():
            support = None if self.label_distribution is None else self.label_distribution.support
            try:
                tuning = [tune_decisions(logits, labels, self.decision_rule, options, n_bootstrap, support)]
            except (UsageError, DataError) as error:  # every rank has to hear of it, as all wait
                tuning = [error]
        if self.args.world_size > 1:
            tuning = broadcast_object_list(tuning)
        if isinstance(tuning[0], Exception):
            raise tuning[0]
        if hasattr(self.model, "peft_config") and self.is_world_process_zero():
            logger.warning(
                "An adapter is saved without the model's config, and so without its thresholds: save what "
                "model.merge_and_unload() gives, which has them."
            )
        self._decide_by(tuning[0].rule)
        self._tuned, self._tuned_on = tuning[0], self._scored_data
        if self._best_checkpoint is not None and self.is_world_process_zero():
            write_decision_rule(self._best_checkpoint, tuning[0].rule)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, RareLabelCallback) and self.is_world_process_zero():
                callback.on_tuned(tuning[0])
        return tuning[0]

    def _check_multi_label(self) -> None:
        if self.problem is None or self.problem.type != MULTI_LABEL:
            raise UsageError("Thresholds are for multi-label problems; in this one the largest score decides.")

    def _scores_of(self, dataset: Any) -> tuple[Any, Any]:
        """Logits and labels of a dataset, on every rank those of all."""
        self._keeps_scores, self._kept_scores = True, None
        dataloader = self.get_eval_dataloader(dataset)
        self._scored_data = rows_of(dataloader)
        try:
            self.evaluation_loop(dataloader, "Thresholds", True, metric_key_prefix="tune")
        finally:
            self._keeps_scores = False
        if self._kept_scores is None:
            raise DataError("The data to tune thresholds on has no labels.")
        scores, self._kept_scores = self._kept_scores, None
        return scores

    def _decide_by(self, rule: DecisionRule, model: Any = None) -> None:
        """Make a rule that of every evaluation from here on, and of the model's config."""
        self.label_metrics.rule, self.label_metrics.at_half = rule, None
        self._tuned = self._tuned_on = None
        if isinstance(self.compute_metrics, ImbalanceMetrics):  # a user's own must not say otherwise
            self.compute_metrics.rule = rule
        config = getattr(self.model if model is None else model, "config", None)
        if config is not None:
            rule.to_config(config)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        self._best_checkpoint = self.state.best_model_checkpoint
        self._take_rule_of(self._best_checkpoint)

    def _take_rule_of(self, checkpoint: str | None) -> None:
        """Thresholds belong to the weights that they were tuned for: those of a checkpoint come with it."""
        if self.problem is not None and self.problem.type == MULTI_LABEL and checkpoint is not None:
            stored = read_decision_rule(checkpoint)
            if stored is not None:
                rule = dataclasses.replace(
                    self.decision_rule, thresholds=stored.thresholds, calibration=stored.calibration
                )
                self._decide_by(rule)


def rows_of(dataloader: Any) -> Any:
    """What tells the rows of a dataloader from others: the fingerprint of their dataset, else the dataset itself."""
    dataset = getattr(dataloader, "dataset", None)
    return getattr(dataset, "_fingerprint", dataset)
