"""WeightedFocalTrainer: transformers.Trainer with a loss, metrics and a monitor for rare labels."""

import logging
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer
from transformers.trainer_utils import EvalLoopOutput, default_compute_objective

from ..decisions.rule import DecisionRule, is_baked
from ..labels.columns import has_transform, kept_first_row
from ..metrics.imbalance_metrics import ImbalanceMetrics, first
from ..monitor.run_files import Results, make_entry
from ..tuning.decisions import N_BOOTSTRAP, Tuning, TuningOptions
from ..utils.console import be_quiet
from ..utils.constants import IGNORE_INDEX, LABEL_COLUMNS
from ..utils.errors import DataError, RaggedLabelsError, UsageError, quoted
from .arguments import OPTION_NAMES, ImbalanceOptions, check_best_metric, check_keywords, with_options
from .batch import MultiHotCollator, labels_of, logits_of, without_loss
from .callbacks import RareLabelCallback
from .card import write_card
from .checkpoints import last_complete_checkpoint, write_decision_rule
from .evaluation import RunningEvaluation
from .head import frozen_head
from .problem import find_problem, has_own_loss, is_of_transformers, stored_config, without_labels
from .setup import ImbalanceSetup

logger = logging.getLogger(__name__)

OWN_LOSS = (
    "%s has a compute_loss of its own, whose value is the loss, also of evaluations; class weights, gamma and penalty "
    "count only where it calls super().compute_loss(). With gradient accumulation a mean over a batch has to be "
    "divided by the number of batches: set loss_is_scaled_for_ga = False in the class."
)
OWN_LOSS_FUNC = "compute_loss_func takes the place of our loss: class weights, gamma and penalty are not used."


class WeightedFocalTrainer(Trainer):
    """A drop-in replacement for transformers.Trainer that makes rare labels learn.

    Takes Trainer's arguments, unchanged, and the options below, each of which is also a field of
    ImbalanceTrainingArguments (the keyword wins). The defaults are what is recommended: class weights from the
    training data, milder than its imbalance, the focal loss with gamma 2, and a fresh head that starts where its loss
    is least and learns faster than the encoder. Each evaluation adds the metrics of ImbalanceMetrics to the user's own
    and prints what happens to each label (RareLabelCallback).

    Multi-label, single-label and token classification are covered. Any other problem keeps Trainer's own behaviour,
    and a warning says why.

    Args:
        class_weights: "auto", None, {label: weight} or one weight per label. See `compute_class_weights`.
        weight_strategy, max_weight: see `compute_class_weights`.
        loss, loss_args: a name in LOSSES and arguments of its own; or a module or function of yours (see `UserLoss`).
        focal_gamma: gamma of a loss that has one.
        label_schema: a LabelSchema, a list of names, a label_info mapping or the path of a label_info.json. Without
            it the schema in the model's config is used, or the names in the training data's features, or id2label.
        constraint, constraint_weight: what teaches the schema's implications (`ConstraintPenalty`), and its weight.
        hierarchy_policy: see `enforce_hierarchy`.
        thresholds: set by hand, a number or {label: number} (see `DecisionRule.with_thresholds`); None for those that
            the model has, or 0.5.
        head_start: where a fresh head starts when training begins: "probe" (a linear probe on the encoder as it is),
            "bias" (see `best_constant_logits`), "none", or "auto" (see `HeadStart.probe`).
        head_learning_rate: learning rate of the head's last layer; None for 3 times the encoder's after a probe, and
            for `fresh_head_rate` where a multi-label head is new otherwise.
        rare_label_patience: evaluations in a row with recall 0 before the warning.

    Attributes:
        imbalance: labels, counts, class weights and options as they were found (`ImbalanceSetup`); None where the
            problem is not a classification, so that everything is Trainer's.

    Raises:
        UsageError, DataError: settings or labels that do not fit; one sentence that says what to change.
    """

    imbalance: ImbalanceSetup | None = None  # Trainer.__init__ calls methods that ask for it
    _evaluation: RunningEvaluation | None = None
    _best_checkpoint: str | None = None  # checkpoint that the weights in use came from, if any
    _made_optimizer = False
    _resumes = False
    _keeps_scores = False  # while tune_thresholds evaluates
    _scored: RunningEvaluation | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._keywords = {name: kwargs.pop(name) for name in OPTION_NAMES if name in kwargs}
        check_keywords(kwargs, super().__init__)
        with warnings.catch_warnings():  # ours smooths multi-label targets too
            warnings.filterwarnings("ignore", message=r"(?s).*Disabling label smoothing")
            super().__init__(*args, **kwargs)
        be_quiet(bool(self.args.disable_tqdm) and self.args.log_level in ("error", "critical"))
        model: Any = self.model
        options = ImbalanceOptions.resolve(self.args, self._keywords, stored_config(model))
        train, sets = kept_first_row(self.train_dataset), self._eval_datasets()
        sets = {name: kept_first_row(dataset) for name, dataset in sets.items()}
        example = next((dataset for dataset in (train, *sets.values()) if dataset is not None), None)
        problem, why_not = find_problem(model, example, tuple(self.args.label_names or ()))
        trains = train is not None
        if problem is None:
            if self._keywords and trains:
                raise UsageError(f"{why_not}, so that {', '.join(self._keywords)} would have no effect.")
            self._stay_stock(why_not)
            return
        columns = getattr(train, "column_names", None)
        if columns and problem.column is None and is_of_transformers(self.data_collator) and not has_transform(train):
            raise UsageError(f"{without_labels(train)}.")
        if trains and is_baked(getattr(model, "config", None)):
            raise UsageError(
                "The model has its thresholds baked into its head, so that its scores are no probabilities; train "
                "the model that it was exported from."
            )
        if not self.args.label_names:  # a forward need not know labels: we take them out
            in_forward = self.label_names
            self.label_names = in_forward[:1] if in_forward and "labels" not in in_forward else ["labels"]
        if problem.lists_classes and is_of_transformers(self.data_collator):  # one of the user's makes its labels
            self.data_collator = MultiHotCollator(problem.n_labels, self.data_collator, self.label_names)
        data = (train, sets, self.data_collator, self.label_names[0])
        try:
            self.imbalance = ImbalanceSetup.find(options, problem, self.args, model, *data)
        except RaggedLabelsError as error:
            if problem.head != "custom" or self._keywords:
                raise
            self._stay_stock(str(error).rstrip("."))
            return
        if self._has_own_loss:
            logger.warning(OWN_LOSS, type(self).__name__)
        elif self.compute_loss_func is not None:
            logger.warning(OWN_LOSS_FUNC)
        elif trains and has_own_loss(model, self.label_names[0]):
            logger.warning("Our loss takes the place of any that %s.forward computes.", type(model).__name__)
        if self.loss_is_scaled_for_ga is None and self.compute_loss_func is None and not self._has_own_loss:
            self.loss_is_scaled_for_ga = True  # divided by the counts of the whole update, see compute_loss
        self._prepare_model(model)
        if trains and (head := frozen_head(model)):
            logger.warning(
                "The classification head (%s) is frozen, so that it stays as it is. With LoRA, put "
                "task_type='SEQ_CLS' or modules_to_save=[%r] into the LoraConfig.", head, head,
            )  # fmt: skip
        self._prepare_callbacks()

    __init__.__signature__ = with_options(Trainer.__init__)  # type: ignore[attr-defined]

    # ---- set-up ----

    def _stay_stock(self, why: str) -> None:
        logger.warning("%s: the stock Trainer's loss and metrics stay.", why)
        if self.args.label_smoothing_factor and self.label_smoother is None:
            warnings.warn("Label smoothing is for one class a row in the stock Trainer; it is off.", stacklevel=3)

    @property
    def _has_own_loss(self) -> bool:
        """Whether a subclass has a compute_loss of its own, which may or may not call ours."""
        return type(self).compute_loss is not WeightedFocalTrainer.compute_loss

    @property
    def _starts_head(self) -> bool:
        """Whether a head starts for our loss: where no other takes its place, or the start was asked for by name."""
        asked = self._ours.options.head_start in ("probe", "bias")
        return self.compute_loss_func is None and (asked or not self._has_own_loss)

    def _prepare_model(self, model: Any) -> None:
        """Write the config that inference needs, and start a fresh head."""
        ours = self._ours
        rule = ours.configure(getattr(model, "config", None), trains=self.train_dataset is not None)
        if rule is not None:
            self._decide_by(rule, model)
        starts = self.train_dataset is not None and self._starts_head
        ours.head_start.prepare(model, ours.objective.weighted.loss if starts else None, ours.distribution)

    def _prepare_callbacks(self) -> None:
        callback = next(iter(self._rare_label_callbacks()), RareLabelCallback())
        callback.metrics = self._ours.metrics
        callback.attach(self)
        self._equip_callbacks()

    def _equip_callbacks(self) -> None:
        """Tell RareLabelCallbacks labels, weights and counts."""
        ours = self._ours
        for callback in self._rare_label_callbacks():
            callback.metrics, callback.distribution = ours.metrics, ours.distribution
            if self.compute_loss_func is None:  # else none of it is used
                callback.class_weights, callback.max_weight = ours.class_weights, ours.options.max_weight
                callback.focal_gamma, callback.options = ours.options.gamma, ours.plain_options()
            callback.unit = ours.problem.unit
            if callback.patience is None:
                callback.patience = ours.options.rare_label_patience

    def _rare_label_callbacks(self) -> list[RareLabelCallback]:
        return [c for c in self.callback_handler.callbacks if isinstance(c, RareLabelCallback)]

    def add_callback(self, callback: Any) -> None:
        """Trainer's; a RareLabelCallback is told labels, weights and counts."""
        super().add_callback(callback)
        if self.imbalance is not None:
            self._equip_callbacks()

    def call_model_init(self, trial: Any = None) -> Any:
        """A fresh model, configured like the first one."""
        model = super().call_model_init(trial)
        if self.imbalance is not None:
            self._prepare_model(model)
            self._decide_by(self.imbalance.by_hand(self.imbalance.metrics.rule.untuned()), model)
        return model

    @property
    def _ours(self) -> ImbalanceSetup:
        if self.imbalance is None:
            raise UsageError(
                "The model is no classifier whose labels were found, so that there are only Trainer's parts."
            )
        return self.imbalance

    # ---- hyper-parameter search ----

    def hyperparameter_search(
        self, hp_space: Any = None, compute_objective: Callable | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Trainer's. Its default objective is what it would be without our metrics: eval_loss, or the user's own."""
        if compute_objective is None and self.imbalance is not None:
            ours = tuple(map("_{}".format, self.imbalance.metrics.keys()))

            def compute_objective(metrics: dict[str, float]) -> float:
                return default_compute_objective({k: v for k, v in metrics.items() if not k.endswith(ours)})

        return super().hyperparameter_search(hp_space, compute_objective, *args, **kwargs)

    def _hp_search_setup(self, trial: Any) -> None:
        super()._hp_search_setup(trial)
        tried = set(OPTION_NAMES) & set(getattr(trial, "params", trial) or ())
        if self.imbalance is not None and tried:
            keywords = {name: value for name, value in self._keywords.items() if name not in tried}
            options = ImbalanceOptions.resolve(self.args, keywords)
            self.imbalance = self.imbalance.with_options(options, self.args)
            self._prepare_model(self.model)  # it was made with the options of the trial before
            self._equip_callbacks()

    # ---- optimizer and columns ----

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Trainer's, with the head's last layer in groups of its own, which have its learning rate.

        Raises:
            UsageError: head_learning_rate is set, and would have no effect.
        """
        is_made = self.optimizer is not None
        is_first = self.imbalance is not None and not (is_made and self._made_optimizer)  # by an earlier train()
        if is_first and self.is_in_train and not self._resumes:
            self._probe_head()
        optimizer = super().create_optimizer(model)
        if self.imbalance is not None and is_first:
            self._made_optimizer = not is_made
            self.imbalance.head_start.split(optimizer, model or self.model, not is_made, self._resumes)
        return optimizer

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Trainer's, with the head's learning rate beside the encoder's."""
        if "learning_rate" in logs and self._made_optimizer and self.optimizer is not None:
            first, last = (self.optimizer.param_groups[i].get("initial_lr") for i in (0, -1))
            if first and last and last != first:
                logs["head_learning_rate"] = logs["learning_rate"] * last / first
        super().log(logs, *args, **kwargs)

    def _probe_head(self) -> None:
        ours, model = self._ours, self.model
        rows = ours.head_start.probe_rows(self.train_dataset)
        if model is None or rows is None or not self._starts_head:
            return
        model.eval()
        reading = (self.get_test_dataloader(rows), self.accelerator, ours.objective.weighted.loss)
        predict = partial(self.prediction_step, model, prediction_loss_only=True)
        ours.head_start.probe(model, *reading, predict, self._labels_in)

    def _eval_datasets(self) -> dict[str, Any]:
        """The evaluation sets by name; a single one has the name ""."""
        if self.eval_dataset is None:
            return {}
        return dict(self.eval_dataset) if isinstance(self.eval_dataset, dict) else {"": self.eval_dataset}

    # ---- training ----

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Trainer's; with True it resumes from the last checkpoint that is complete, and says which were not."""
        if resume_from_checkpoint is True:
            checkpoint, skipped = last_complete_checkpoint(str(self.args.output_dir))
            for reason in skipped:
                logger.warning("Passed over %s.", reason)
            if checkpoint is None:  # as Trainer says it
                raise UsageError(f"No valid checkpoint found in output directory ({self.args.output_dir})")
            resume_from_checkpoint = str(checkpoint)
        self._best_checkpoint, self._resumes = None, bool(resume_from_checkpoint)
        if self.imbalance is not None:
            if self.compute_metrics is None and type(self).evaluate is Trainer.evaluate:  # else others may be added
                names = [name for name in self._eval_datasets() if name]
                check_best_metric(self.args, self.imbalance.metrics.keys(), names)
            self.imbalance.results.clear()
            if (rule := self.imbalance.metrics.rule).is_tuned:
                if self.imbalance.options.thresholds is None:
                    logger.warning("Training changes scores: its config's thresholds are dropped; tune them again.")
                self._decide_by(self.imbalance.by_hand(rule.untuned()))
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def _run_epoch(self, **kwargs: Any) -> None:  # type: ignore[override]
        """Trainer's, but where a resumed run had all its steps already: Trainer would train one more each time."""
        checkpoint = kwargs.get("resume_from_checkpoint")
        if self.imbalance is not None and checkpoint and self.state.global_step >= self.args.max_steps > 0:
            logger.warning("All of the %d steps are done: nothing is left to train.", self.args.max_steps)
            self._take_rule_of(checkpoint)
            self.control.should_training_stop = True
            return
        super()._run_epoch(**kwargs)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        try:
            super()._load_optimizer_and_scheduler(checkpoint)
        except ValueError as error:
            if "parameter group" not in str(error):
                raise
            raise UsageError(
                f"{checkpoint}: its optimizer has other parameter groups than this one, as that of the stock Trainer; "
                "load its model with from_pretrained, and train without resume_from_checkpoint."
            ) from None

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """Trainer's; a loss that is not finite stops the training (`NanGuard`)."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self.imbalance is not None:
            at_update = self.accelerator.sync_gradients
            self.imbalance.guard.check(loss, self.model, self.args, self.state.global_step, at_update)
        return loss

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Any:
        """Trainer's count of known entries over the whole update, where the labels lie under any of the usual names.

        The count of the penalty's (row, rule) pairs travels with it as an attribute, as an evaluation may run between.
        """
        if self.imbalance is None or self.compute_loss_func is not None:
            return super()._get_num_items_in_batch(batch_samples, device)
        if self._has_own_loss and super()._get_num_items_in_batch(batch_samples, device) is None:
            return None  # as Trainer, which then divides by the number of micro-batches
        labels = [part for part in map(self._labels_in, batch_samples) if part is not None]
        if self._evaluation is not None or not labels:  # the loss of an evaluation is of the whole data
            return None
        counts = torch.stack([self.imbalance.objective.weighted.counts(part).to(device) for part in labels]).sum(0)
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            counts = self.accelerator.gather(counts).reshape(-1, 2).sum(0) / self.get_tp_size()
        n_entries: Any = counts[0]
        n_entries.pairs = counts[1]
        return n_entries

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
        ours, running = self.imbalance, self._evaluation
        if ours is None or self.compute_loss_func is not None:
            result = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            if ours is not None and running is not None and return_outputs:
                running.logits = self._logits_in(result[1])
            return result
        labels = self._labels_in(inputs)
        if labels is None:
            raise DataError(
                f"The batch has no labels: its keys are {sorted(inputs)}, expected {self.label_names[0]!r}; "
                "have the data collator give them, or name their key in label_names."
            )
        withheld = () if ours.forward_needs_labels else (*self.label_names, *LABEL_COLUMNS)
        outputs = model(**{name: value for name, value in inputs.items() if name not in withheld})
        logits, objective, scale = self._logits_in(outputs), ours.objective.weighted, 1
        sums = objective.sums(logits, labels)
        if num_items_in_batch is None:
            counts = objective.counts(labels)
        else:
            pairs = getattr(num_items_in_batch, "pairs", None)
            pairs = objective.counts(labels)[1] if pairs is None else pairs
            counts = torch.stack([torch.as_tensor(n).to(sums) for n in (num_items_in_batch, pairs)])
            if self.args.average_tokens_across_devices and self.args.n_gpu <= 1:
                scale = self.accelerator.num_processes // self.get_tp_size()  # DDP averages gradients over the ranks
        if running is None:
            ours.guard.look_at(logits, labels)
        else:
            running.see(logits, (sums.detach(), counts))
        loss = objective.value(sums, counts) * scale
        if not return_outputs:
            return loss
        return loss, outputs if isinstance(outputs, Mapping) else (loss, *without_loss(outputs))

    def _labels_in(self, inputs: Mapping[str, Any]) -> Tensor | None:
        return labels_of(inputs, self.label_names[0] if self.label_names else "labels")

    def _logits_in(self, outputs: Any) -> Tensor:
        return logits_of(outputs, self._ours.problem.n_labels, type(self.model).__name__)

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
        if self.imbalance is None:
            return super().evaluation_loop(*arguments)
        ours, keeps_scores = self.imbalance, self._keeps_scores
        outer = self._evaluation  # a user's compute_metrics may predict while an evaluation runs
        metrics = ours.metrics if outer is None and not keeps_scores else ours.metrics.fresh()
        metrics.at_half = None
        objective = None if self._has_own_loss or self.compute_loss_func else ours.objective.weighted
        self._evaluation = running = RunningEvaluation(metrics, objective, keeps_scores)
        try:
            output = super().evaluation_loop(*arguments)
        finally:
            self._evaluation = outer
        if not running.has_labels and type(self).prediction_step is not WeightedFocalTrainer.prediction_step:
            kept = None if self.preprocess_logits_for_metrics else (output.predictions, output.label_ids)
            running.add_kept(kept, self._logits_in, type(self).__name__)
        if keeps_scores:  # for tune_thresholds, whose scores are no result
            self._scored = running
            return output
        if not running.has_labels or output.metrics is None:
            return output
        if running.loss is not None:
            output.metrics[f"{metric_key_prefix}_loss"] = running.loss
        metrics.at_half = None if running.at_half is None else running.at_half.compute()
        for name, value in running.metrics.compute().items():
            output.metrics.setdefault(f"{metric_key_prefix}_{name}", value)  # the user's own metric wins
        if metrics.cross_fitted is not None and ours.decisions.tuned is not None:
            metrics.table = ours.decisions.tuned.held_out_table
        if outer is None:
            self._keep_results(metric_key_prefix, output, metrics)
        return output

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Any, Any]:
        """Trainer's step; logits and labels of all ranks, without the rows that only fill a batch, are counted."""
        running = self._evaluation
        labels = None if running is None else self._labels_in(inputs)
        if running is None or labels is None:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        others = {key: value for key, value in inputs.items() if key not in LABEL_COLUMNS}
        inputs = {**others, self.label_names[0]: labels}
        running.logits = running.sums = None
        loss, logits, labels = super().prediction_step(model, inputs, False, ignore_keys)
        if running.logits is None and logits is not None:  # a subclass has its own compute_loss
            running.logits = self._logits_in(logits)
        if labels is not None:
            self._accumulate(running, first(labels))
        return (loss, None, None) if prediction_loss_only else (loss, logits, labels)

    def _accumulate(self, running: RunningEvaluation, labels: Tensor) -> None:
        logits = running.logits
        if self.accelerator.num_processes == 1:
            running.add(logits, labels, running.sums)
            return
        if self._ours.problem.tokens:
            logits, labels = (
                self.accelerator.pad_across_processes(part, dim=1, pad_index=IGNORE_INDEX) for part in (logits, labels)
            )
        running.add(*self.accelerator.gather_for_metrics((logits, labels)))

    # ---- decisions ----

    @property
    def decision_rule(self) -> DecisionRule:
        """How logits become decisions in every evaluation: `trainer.decision_rule.decide(output.predictions)`.

        Raises:
            UsageError: a single-label problem of other than two classes.
        """
        return self._ours.decisions.rule

    @property
    def metrics_at_half(self) -> dict[str, float] | None:
        """The metrics of the last evaluation at 0.5; None as long as no thresholds are tuned."""
        return None if self.imbalance is None else self.imbalance.metrics.at_half

    def tune_thresholds(
        self, eval_dataset: Any = None, options: TuningOptions | None = None, n_bootstrap: int = N_BOOTSTRAP
    ) -> Tuning:
        """Tune a threshold for each label on evaluation data, and decide by them from now on.

        They are stored in the model's config as {label: threshold}, where every later evaluation and `predict`,
        ImbalanceTextClassificationPipeline, and a trainer of the saved model find them. From then on
        `metrics_at_half` has the metrics of the last evaluation at 0.5.

        Args:
            eval_dataset: what to tune on, with labels; None for the trainer's evaluation data. Never the test data,
                whose results would flatter.
            options: what is aimed at; None for F1 of each label.
            n_bootstrap: resamples for the intervals; 0 for none.

        Raises:
            UsageError: a single-label problem of other than two classes, no evaluation data or several sets of it, or
                options that do not fit.
            DataError: no label has a positive in it.
        """
        ours, _ = self._ours, self.decision_rule  # which not every problem has
        options = (options or TuningOptions()).checked()
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if dataset is None or isinstance(dataset, dict):
            which = "there is none" if dataset is None else f"there are {quoted(list(dataset))}"
            raise UsageError(f"Thresholds are tuned on one set of evaluation data, but {which}; give eval_dataset=.")
        dataloader = self.get_eval_dataloader(dataset)
        self._keeps_scores = True
        try:
            self.evaluation_loop(dataloader, "Thresholds", True, metric_key_prefix="tune")
        finally:
            self._keeps_scores = False
        running, self._scored = self._scored, None
        if running is None or not running.has_labels:
            raise DataError("The data to tune thresholds on has no labels.")
        tuning = ours.decisions.tune(*running.scores, options, n_bootstrap)
        self._decide_by(tuning.rule)
        ours.decisions.tuned = tuning
        if self.is_world_process_zero():
            if self._best_checkpoint is not None:
                write_decision_rule(self._best_checkpoint, tuning.rule)
            for callback in self._rare_label_callbacks():
                callback.on_tuned(self.args, self.state, tuning, "eval" if eval_dataset is None else None)
        return tuning

    def _decide_by(self, rule: DecisionRule, model: Any = None) -> None:
        config = getattr(self.model if model is None else model, "config", None)
        self._ours.decisions.use(rule, config, self.compute_metrics)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        self._best_checkpoint = self.state.best_model_checkpoint
        self._take_rule_of(self._best_checkpoint)

    def _take_rule_of(self, checkpoint: str | None) -> None:
        if self.imbalance is not None and checkpoint is not None:
            rule = self.imbalance.decisions.of_checkpoint(checkpoint)
            if rule is not None:
                self._decide_by(rule)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Trainer's; an adapter's folder gets the model's config too, which has label names and thresholds."""
        super()._save(output_dir, state_dict)
        model: Any = self.model
        if self.imbalance is not None and self.args.should_save and hasattr(model, "peft_config"):
            model.config.save_pretrained(output_dir or self.args.output_dir)

    # ---- results and card ----

    def results_of(self, split: str = "test") -> Results | None:
        """The last evaluation of a split with the weights in use, else the last one; None where there was none.

        Args:
            split: the prefix of its metrics: "eval", "eval_<dataset>", or "test" for `predict`.
        """
        ours = self._ours
        names = ours.schema.names if ours.problem.has_thresholds else None
        return ours.results.of(split, self._model_step, self._history(), names)

    def _history(self) -> list[dict[str, Any]]:
        """Evaluations as the monitor has them, also from before this process took the run up."""
        return [entry for callback in self._rare_label_callbacks() for entry in callback.history]

    def create_model_card(
        self,
        language: str | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | list[str] | None = None,
        dataset_tags: str | list[str] | None = None,
        dataset: str | list[str] | None = None,
        dataset_args: str | list[str] | None = None,
    ) -> None:
        """Write README.md: metrics of each split (`model-index`), labels, thresholds, weights, and how to load.

        Args: as Trainer's. `dataset` is the name of the data; `dataset_tags` are ids of data sets on the Hub.
        """
        given = {
            "language": language, "license": license, "tags": tags, "model_name": model_name, "tasks": tasks,
            "finetuned_from": finetuned_from, "dataset_tags": dataset_tags, "dataset": dataset,
            "dataset_args": dataset_args,
        }  # fmt: skip
        if self.imbalance is None:
            super().create_model_card(**given)  # type: ignore[arg-type]
        elif self.is_world_process_zero():
            results = [self.results_of(split) for split in self.imbalance.results.splits(self._history())]
            best = self.args.metric_for_best_model if self._best_checkpoint is not None else None
            chosen_by = None if best is None else f"eval_{best.removeprefix('eval_')}"
            write_card(self, self.imbalance, given, [r for r in results if r], self._model_step, chosen_by)

    @property
    def _model_step(self) -> int | None:
        """Updates that the weights in use had; None where they were not trained here."""
        if self._best_checkpoint is not None and self.state.best_global_step is not None:
            return self.state.best_global_step
        return self.state.global_step if self.train_dataset is not None or self.state.global_step else None

    def _keep_results(self, split: str, output: Any, metrics: ImbalanceMetrics) -> None:
        ours, step = self._ours, self._model_step
        support = None if ours.distribution is None else ours.distribution.support_by_label
        known = (ours.schema, metrics.table, ours.class_weights.as_dict(), support)
        entry = make_entry(output.metrics, split, step or 0, self.state.epoch, *known)
        at_half, rule = metrics.at_half, metrics.rule if ours.problem.has_thresholds else None
        results = Results(
            split=split,
            step=step,
            metrics=entry["metrics"],
            labels=entry["labels"],
            n_rows=output.num_samples,
            at_half=at_half and {name: at_half[name] for name in entry["metrics"] if name in at_half},
            thresholds=None if rule is None else rule.by_label(),
            is_tuned=rule is not None and rule.is_tuned,
            tuned_on_this_data=None if rule is None or rule.tuned_on is None else metrics.cross_fitted is not None,
            cross_fitted=metrics.cross_fitted,
        )
        ours.results.keep(results, self.state.best_global_step)
