"""Thresholds in the trainer: tuned on evaluation data, kept in the model's config, gone with the weights they fit."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import Trainer

from .callbacks import RareLabelCallback
from .checkpoints import read_decision_rule, write_decision_rule
from .decisions import DecisionRule
from .errors import DataError, UsageError, quoted
from .labels import MULTI_LABEL
from .tuning import N_BOOTSTRAP, Tuning, TuningOptions, tune_decisions


class TunesThresholds(Trainer):
    """The part of WeightedFocalTrainer that is about thresholds."""

    @property
    def decision_rule(self) -> DecisionRule:
        """How logits become decisions in every evaluation: `trainer.decision_rule.decide(output.predictions)`."""
        return self.label_metrics.rule

    @property
    def metrics_at_half(self) -> dict[str, float] | None:
        """The metrics of the last evaluation at 0.5; None as long as no thresholds are tuned."""
        return self.label_metrics.at_half

    def tune_thresholds(
        self,
        eval_dataset: Any = None,
        options: TuningOptions | None = None,
        groups: Sequence[str] | None = None,
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
            groups: which groups share a threshold, with `thresholds_per="group"`; None for all.
            n_bootstrap: resamples for the intervals; 0 for none.

        Raises:
            UsageError: a problem that is not multi-label, no evaluation data or several sets of it, or options that
                do not fit.
            DataError: no label has a positive in it.
        """
        if self.problem is None or self.problem.type != MULTI_LABEL:
            raise UsageError("Thresholds are for multi-label problems; in this one the largest score decides.")
        options = (options or TuningOptions()).checked()
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if dataset is None or (isinstance(dataset, Mapping) and not hasattr(dataset, "column_names")):
            which = "there is none" if dataset is None else f"there are {quoted(list(dataset))}"
            raise UsageError(f"Thresholds are tuned on one set of evaluation data, but {which}; give eval_dataset=.")
        logits, labels = self._scores_of(dataset)
        tuning = [None]
        if self.is_world_process_zero():
            support = None if self.label_distribution is None else self.label_distribution.support
            tuning = [tune_decisions(logits, labels, self.decision_rule, options, groups, n_bootstrap, support)]
        if self.args.world_size > 1:
            tuning = broadcast_object_list(tuning)
        self._decide_by(tuning[0].rule)
        if self._best_checkpoint is not None and self.is_world_process_zero():
            write_decision_rule(self._best_checkpoint, tuning[0].rule)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, RareLabelCallback) and self.is_world_process_zero():
                callback.on_tuned(tuning[0])
        return tuning[0]

    def _scores_of(self, dataset: Any) -> tuple[Any, Any]:
        """Logits and labels of a dataset, on every rank those of all."""
        self._keeps_scores, self._kept_scores = True, None
        try:
            self.evaluation_loop(self.get_eval_dataloader(dataset), "Thresholds", True, metric_key_prefix="tune")
        finally:
            self._keeps_scores = False
        if self._kept_scores is None:
            raise DataError("The data to tune thresholds on has no labels.")
        scores, self._kept_scores = self._kept_scores, None
        return scores

    def _decide_by(self, rule: DecisionRule) -> None:
        self.label_metrics.rule = rule
        if getattr(self.model, "config", None) is not None:
            rule.to_config(self.model.config)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        self._best_checkpoint = self.state.best_model_checkpoint
        self._take_rule_of(self._best_checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._take_rule_of(resume_from_checkpoint)

    def _take_rule_of(self, checkpoint: str | None) -> None:
        """Thresholds belong to the weights that they were tuned for: those of a checkpoint come with it."""
        if self.problem is not None and self.problem.type == MULTI_LABEL and checkpoint is not None:
            stored = read_decision_rule(checkpoint)
            if stored is not None:
                both = {"thresholds": stored.thresholds, "calibration": stored.calibration}
                self._decide_by(dataclasses.replace(self.decision_rule, **both))
