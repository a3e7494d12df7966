"""WeightedFocalTrainer: transformers.Trainer with a loss, metrics and a monitor for rare labels."""

import dataclasses
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from torch import Tensor
from transformers import TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import EvalLoopOutput, TrainOutput, default_compute_objective

from ..decisions.rule import DecisionRule, forget_foreign_thresholds, is_baked
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import ImbalanceMetrics, first
from ..monitor.console import say
from ..monitor.results import Results
from ..utils.constants import IGNORE_INDEX, LABEL_COLUMNS, LABEL_MASK, MULTI_LABEL, SAMPLE_WEIGHT
from ..utils.errors import UsageError
from ..utils.text import pluralize
from .arguments import UNSET, ImbalanceOptions, check_best_metric
from .callbacks import RareLabelCallback, terse
from .checkpoints import last_complete_checkpoint
from .collator import MultiHotCollator
from .evaluation import RunningEvaluation
from .head import frozen_head
from .head_training import TrainsHead
from .nan_guard import NanGuard
from .problem import Problem, count_labels, find_problem, find_schema, is_of_transformers, needs_labels, stored_options
from .row_sampling import SamplesRows
from .weighted_loss import ComputesWeightedLoss

logger = logging.getLogger(__name__)

_COUNTED_ONE_BY_ONE = 20_000
"""Training rows that are counted where each has to be asked for (the table of weights says that it is a sample)."""

_CHECKED_ONE_BY_ONE = 256


class WeightedFocalTrainer(SamplesRows, TrainsHead, ComputesWeightedLoss):
    """A drop-in replacement for transformers.Trainer that makes rare labels learn.

    Takes Trainer's arguments, unchanged, and the options below, each of which is also a field of
    ImbalanceTrainingArguments (the keyword wins). With none of them given it does what is recommended: class weights
    from the training data, milder than its imbalance, the focal loss with gamma 2, and a fresh head that starts where
    its loss is least and learns faster than the encoder. After each evaluation it adds the
    metrics of ImbalanceMetrics beside the user's own and prints what happens to each label (RareLabelCallback).

    Besides labels, a column `sample_weight` (a number that the row's loss is multiplied by) and a column `label_mask`
    (1 where a label is known) reach the loss.

    For multi-label, single-label and token classification; any other problem keeps Trainer's own behaviour, and a
    warning says why.

    Args:
        class_weights: "auto", None, {label: weight} or one weight per label. See `compute_class_weights`.
        weight_strategy, max_weight, effective_number_beta: see `compute_class_weights`.
        loss, loss_args: a name in LOSSES and arguments of its own; or a module or function of yours (see `UserLoss`).
        focal_gamma: gamma of a loss that has one.
        reweight_from: from where on class weights count, a share of training below 1 or a step; evaluations always
            take them (Cao et al., 2019).
        label_schema: a LabelSchema, a list of names, a label_info mapping or the path of a label_info.json. Without
            it the schema in the model's config holds, or the names in the training data's features, or id2label.
        constraint, constraint_weight, constraint_direction: what teaches the schema's implications and exclusive
            groups (a penalty in PENALTIES, or "max_constraint"), what a penalty is multiplied by, and which side
            of an implication it moves; without rules in the schema there is none.
        hierarchy_policy: see `enforce_hierarchy`.
        sampler, oversample_threshold, max_repeats: "repeat_factor" or "class_aware", which draw rows of rare labels
            more often (see `RepeatFactorSampler`, `ClassAwareSampler`); None draws each row once.
        init_head_bias: whether the bias of a fresh head starts where the loss is least without a look at the input
            (see `best_constant_logits`).
        head_learning_rate: that of the head's last layer; None for `fresh_head_rate` where a multi-label head is new.
        on_nan: what to do when the loss is NaN or infinite: "raise", "warn" or "skip" (see `NanGuard`).
        rare_label_patience: evaluations in a row with recall 0 before the warning.

    Raises:
        UsageError, DataError: settings or labels that do not fit; one sentence that says what to change.
    """

    def __init__(
        self,
        *trainer_args: Any,
        class_weights: "str | Mapping[str, float] | Sequence[float] | None" = UNSET,
        weight_strategy: str = UNSET,
        max_weight: float = UNSET,
        effective_number_beta: float = UNSET,
        loss: "str | Callable[[Tensor, Tensor], Tensor]" = UNSET,
        loss_args: "Mapping[str, Any] | str | None" = UNSET,
        reweight_from: float = UNSET,
        focal_gamma: float = UNSET,
        label_schema: "LabelSchema | Mapping[str, Any] | Sequence[str] | str | None" = UNSET,
        constraint: str = UNSET,
        constraint_weight: float = UNSET,
        constraint_direction: str = UNSET,
        hierarchy_policy: str = UNSET,
        sampler: str | None = UNSET,
        oversample_threshold: float | None = UNSET,
        max_repeats: float = UNSET,
        init_head_bias: bool = UNSET,
        head_learning_rate: float | None = UNSET,
        on_nan: str = UNSET,
        rare_label_patience: int = UNSET,
        **trainer_kwargs: Any,
    ) -> None:
        given = locals()
        ours = {option.name: given[option.name] for option in dataclasses.fields(ImbalanceOptions)}
        self.problem: Problem | None = None  # Trainer.__init__ calls methods that ask for it
        self._evaluation: RunningEvaluation | None = None
        self._keeps_scores = False
        self._all_results: list[Results] = []
        self._best_checkpoint: str | None = None  # that which the weights are of, if they are of one
        with warnings.catch_warnings():  # ours smooths multi-label targets too
            warnings.filterwarnings("ignore", message=r"(?s).*Disabling label smoothing")
            super().__init__(*trainer_args, **trainer_kwargs)
        self._keywords = {name: value for name, value in ours.items() if value is not UNSET}
        self.options = ImbalanceOptions.resolve(self.args, **self._keywords)
        stored = stored_options(self.model)  # as the model was trained, where nothing else is said
        unsaid = {k: v for k, v in stored.items() if k not in self._keywords and self.options.is_default(k)}
        self.options = dataclasses.replace(self.options, **unsaid).checked()
        self.problem, why_not = find_problem(self.model, self._example_dataset(), tuple(self.args.label_names or ()))
        if self.problem is None:
            if self._keywords and self.train_dataset is not None:
                raise UsageError(f"{why_not}, so that {', '.join(self._keywords)} would have no effect; drop it.")
            logger.warning("%s: the stock Trainer's loss and metrics stay.", why_not)
            return
        if self.train_dataset is not None and is_baked(getattr(self.model, "config", None)):
            raise UsageError(
                "The model has its thresholds baked into its head, so that its scores are no probabilities; train "
                "the model that it was exported from."
            )
        self._prepare_problem()
        if self.compute_metrics is None:  # a user's own metrics have names that only they know
            sets = list(self._eval_datasets()) if isinstance(self.eval_dataset, Mapping) else []
            check_best_metric(self.args, self.label_metrics.keys(), sets)
        self._prepare_callbacks()

    # ---- set-up ----

    def _prepare_problem(self) -> None:
        self.label_schema = find_schema(self.model, self._example_dataset(), self.options.label_schema, self.problem)
        if not self.args.label_names:  # a forward need not know labels: we take them out
            in_forward = self.label_names
            self.label_names = in_forward[:1] if in_forward and "labels" not in in_forward else ["labels"]
        if self.problem.lists_classes and is_of_transformers(self.data_collator):  # one of the user's makes its labels
            self.data_collator = MultiHotCollator(self.problem.n_labels, self.data_collator, self.label_names)
        self._forward_needs_labels = needs_labels(self.model, self.label_names[0])
        how = (self.label_schema, self.problem, tuple(self.args.label_names or ()), self.data_collator)
        start, bar = time.perf_counter(), not self.args.disable_tqdm
        self.label_distribution = count_labels(self.train_dataset, *how, limit=_COUNTED_ONE_BY_ONE, progress=bar)
        if (counts := self.label_distribution) is not None and self.is_world_process_zero():
            seconds, counted = time.perf_counter() - start, pluralize(counts.n_rows, self.problem.unit)
            say(f"Counted {counted} x {len(counts.schema)} labels in {seconds:.2f} s.")
        if self.args.world_size > 1:  # ranks may see different parts of a stream, and weights must not differ
            self.label_distribution = broadcast_object_list([self.label_distribution])[0]
        for dataset in self._eval_datasets().values():
            count_labels(dataset, *how, limit=_CHECKED_ONE_BY_ONE)  # a bad value is an error now, not after an epoch
        self.label_metrics = ImbalanceMetrics(
            self.label_schema, None if self.label_distribution is None else self.label_distribution.support
        )
        self._guard = NanGuard(self.label_schema, self.options.on_nan)
        if self.compute_loss_func is None:
            self.loss_is_scaled_for_ga = True  # divided by the counts of the whole update, see compute_loss
        self._prepare_loss()
        self._configure(self.model)
        self._prepare_head(self.model)
        if self.train_dataset is not None and (head := frozen_head(self.model)):
            logger.warning(
                "The classification head (%s) is frozen, so that it stays as it is. With LoRA, put "
                "task_type='SEQ_CLS' or modules_to_save=[%r] into the LoraConfig.", head, head,
            )  # fmt: skip

    def _configure(self, model: Any) -> None:
        """Write into the model's config what inference needs, so that plain transformers loads and uses it rightly."""
        config = getattr(model, "config", None)
        is_multi_label = self.problem.type == MULTI_LABEL
        if config is None:
            if is_multi_label:
                takes_max = self.options.constraint == "max_constraint"
                rule = DecisionRule(
                    self.label_schema, hierarchy_policy=self.options.hierarchy_policy, max_constraint=takes_max
                )
                self._decide_by(rule, model)
            return
        if not self.problem.tokens:
            config.problem_type = self.problem.type  # else pipeline() would take softmax for multi-label
        weights = self.class_weights.as_dict() if self.class_weights.asked_for else None
        more = {"constraint": self.options.constraint, "hierarchy_policy": self.options.hierarchy_policy}
        self.label_schema.to_config(config, class_weights=weights, **(more if is_multi_label else {}))
        if is_multi_label:
            if self.train_dataset is not None and forget_foreign_thresholds(config, self.label_schema):
                logger.warning("The thresholds in the model's config are of other labels, and are dropped.")
            self._decide_by(DecisionRule.from_config(config), model)

    def _prepare_callbacks(self) -> None:
        callbacks = self.callback_handler.callbacks
        for callback in list(callbacks):
            if (replacement := terse(callback)) is not None:
                self.remove_callback(callback)
                self.callback_handler.add_callback(replacement(self.label_metrics.keys(), callbacks))
        if not any(isinstance(callback, RareLabelCallback) for callback in callbacks):
            self.callback_handler.add_callback(RareLabelCallback())
        self._equip_callbacks()

    def add_callback(self, callback: Any) -> None:
        """Trainer's; a RareLabelCallback is told labels, weights and counts."""
        super().add_callback(callback)
        if self.problem is not None:
            self._equip_callbacks()

    def _equip_callbacks(self) -> None:
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, RareLabelCallback):
                callback.metrics, callback.distribution = self.label_metrics, self.label_distribution
                callback.class_weights, callback.max_weight = self.class_weights, self.options.max_weight
                callback.focal_gamma, callback.options = self.options.gamma, self._plain_options()
                callback.unit = self.problem.unit
                callback.repeats = sampler.repeats_by_label if (sampler := self._row_sampler()) else None
                if callback.patience is None:
                    callback.patience = self.options.rare_label_patience

    def _plain_options(self) -> dict[str, Any]:
        """The options as run.json keeps them."""
        sampler = self._row_sampler()
        return {**self.options.plain(), **({} if sampler is None else {"rows_per_epoch": len(sampler)})}

    def call_model_init(self, trial: Any = None) -> Any:
        """A fresh model, configured like the first one."""
        model = super().call_model_init(trial)
        if self.problem is not None:
            self._configure(model)
            self._prepare_head(model)
            self._decide_by(self.label_metrics.rule.untuned(), model)
        return model

    # ---- hyper-parameter search ----

    def hyperparameter_search(
        self, hp_space: Any = None, compute_objective: Callable[[dict[str, float]], float] | None = None, **kwargs: Any
    ) -> Any:
        """Trainer's. Its default objective is what it would be without our metrics: eval_loss, or the user's own."""
        if compute_objective is None and self.problem is not None:
            names = self.label_metrics.keys()
            ours = tuple(f"_{name}" for name in names)

            def compute_objective(metrics: dict[str, float]) -> float:
                return default_compute_objective({k: v for k, v in metrics.items() if not k.endswith(ours)})

        return super().hyperparameter_search(hp_space, compute_objective, **kwargs)

    def _hp_search_setup(self, trial: Any) -> None:
        super()._hp_search_setup(trial)
        names = {option.name for option in dataclasses.fields(ImbalanceOptions)}
        tried = names & set(getattr(trial, "params", trial) or ())
        if self.problem is not None and tried:
            self._keywords = {name: value for name, value in self._keywords.items() if name not in tried}
            self.options = ImbalanceOptions.resolve(self.args, **self._keywords)
            self._prepare_loss()
            self._equip_callbacks()

    # ---- training ----

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Trainer's; with True it resumes from the last checkpoint that is complete, and says which were not."""
        if resume_from_checkpoint is True:
            checkpoint, skipped = last_complete_checkpoint(self.args.output_dir)
            for reason in skipped:
                logger.warning("Passed over %s.", reason)
            if checkpoint is None:
                raise UsageError(f"{self.args.output_dir}: has no complete checkpoint to resume from.")
            resume_from_checkpoint = str(checkpoint)
        self._best_checkpoint, self._all_results = None, []
        self.resumed_from = resume_from_checkpoint or None
        if self.problem is not None and self.label_metrics.rule.is_tuned:
            logger.warning("Training changes scores: its config's thresholds are dropped; tune them again.")
            self._decide_by(self.label_metrics.rule.untuned())
        if isinstance(resume_from_checkpoint, str) and self.args.max_steps > 0:
            state = TrainerState.load_from_json(str(Path(resume_from_checkpoint) / TRAINER_STATE_NAME))
            if state.global_step >= self.args.max_steps:
                return self._take_up_finished(resume_from_checkpoint, state)
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def _take_up_finished(self, checkpoint: str, state: TrainerState) -> TrainOutput:
        """The end of a run that had all its steps already: Trainer would train one more each time it is resumed."""
        logger.warning("%s is of the last of %d steps: nothing is left to train.", checkpoint, self.args.max_steps)
        state.is_local_process_zero = self.is_local_process_zero()
        state.is_world_process_zero = self.is_world_process_zero()
        self.state = state
        self._load_from_checkpoint(checkpoint)
        self._take_rule_of(checkpoint)
        self.control = self.callback_handler.on_train_begin(self.args, state, self.control)
        if self.args.load_best_model_at_end and state.best_model_checkpoint is not None:
            self._load_best_model()
        self.control = self.callback_handler.on_train_end(self.args, state, self.control)
        return TrainOutput(state.global_step, 0.0, {})

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """Trainer's; a loss that is not finite is seen here (`on_nan`)."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self.problem is not None:
            at_update = self.accelerator.sync_gradients
            leave_out = self._guard.check(loss, self.model, self.args, self.state.global_step, at_update)
            if leave_out and self.accelerator.scaler is None:  # a scaler of fp16 leaves it out by itself
                model.zero_grad(set_to_none=True)
        return loss

    # ---- evaluation ----

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Trainer's loop; our metrics and the exact loss are counted on the way and added to its own."""
        arguments = (dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix)
        if self.problem is None:
            return super().evaluation_loop(*arguments)
        outer = self._evaluation  # a user's compute_metrics may predict while an evaluation runs
        metrics = self.label_metrics if outer is None else self.label_metrics.fresh()
        ours = self.training_objective if self.compute_loss_func is None else None
        metrics.at_half = None
        running = self._evaluation = RunningEvaluation(metrics, ours, self._keeps_scores)
        try:
            output = super().evaluation_loop(*arguments)
        finally:
            self._evaluation = outer
        if not running.has_labels:
            return output
        if running.loss is not None:
            output.metrics[f"{metric_key_prefix}_loss"] = running.loss
        metrics.at_half = None if running.at_half is None else running.at_half.compute()
        self._kept_scores = running.scores if self._keeps_scores else None
        for name, value in running.metrics.compute().items():
            output.metrics.setdefault(f"{metric_key_prefix}_{name}", value)  # the user's own metric wins
        if outer is None and not self._keeps_scores:
            self._keep_results(dataloader, metric_key_prefix, output, metrics)
        return output

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Any, Any]:
        """Trainer's step; logits and labels of all ranks, without the rows that only fill a batch, are counted."""
        labels = None if self.problem is None or self._evaluation is None else self._labels(inputs)
        if labels is None:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        others = {key: value for key, value in inputs.items() if key not in (*LABEL_COLUMNS, LABEL_MASK)}
        inputs = {**others, self.label_names[0]: labels}
        self._evaluation.sums = None
        loss, logits, labels = super().prediction_step(model, inputs, False, ignore_keys)
        if labels is not None:
            self._accumulate(self._evaluation.logits, first(labels))
        return (loss, None, None) if prediction_loss_only else (loss, logits, labels)

    def _accumulate(self, logits: Tensor, labels: Tensor) -> None:
        running = self._evaluation
        if self.accelerator.num_processes == 1:
            running.add(logits, labels, running.row_weights, running.sums)
            return
        if self.problem.tokens:
            logits, labels = (
                self.accelerator.pad_across_processes(part, dim=1, pad_index=IGNORE_INDEX) for part in (logits, labels)
            )
        logits, labels = self.accelerator.gather_for_metrics((logits, labels))
        row_weights = running.row_weights
        if row_weights is not None:
            row_weights = self.accelerator.gather_for_metrics(row_weights)
        running.add(logits, labels, row_weights)

    # ---- data ----

    def _set_signature_columns_if_needed(self) -> None:
        """Trainer's, so that remove_unused_columns leaves the columns that our loss takes."""
        is_first = self._signature_columns is None
        super()._set_signature_columns_if_needed()
        if is_first and self.problem is not None:
            self._signature_columns += [SAMPLE_WEIGHT, LABEL_MASK]  # type: ignore[operator]  # to Trainer it is None

    def _example_dataset(self) -> Any:
        sets = [self.train_dataset, *self._eval_datasets().values()]
        return next((dataset for dataset in sets if dataset is not None), None)

    def _eval_datasets(self) -> dict[str, Any]:
        """The evaluation sets by name; a single one has the name ""."""
        if self.eval_dataset is None:
            return {}
        return dict(self.eval_dataset) if isinstance(self.eval_dataset, dict) else {"": self.eval_dataset}
