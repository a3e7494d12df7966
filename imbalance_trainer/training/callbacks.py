"""RareLabelCallback: the table after each evaluation, warnings with what to change, and the history of the run."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback

from ..analysis.parts import label_table
from ..labels.class_weights import ClassWeights
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import MAX_LABELS_SHOWN, RAREST_SHOWN, ImbalanceMetrics
from ..monitor.diagnose import Finding, Settings, diagnose
from ..monitor.findings import ERROR, WARNING, has_zero_recall
from ..monitor.messages import (
    Message,
    evaluation_message,
    flags_in_python,
    tuning_message,
    warning_message,
    was_started_with_flags,
)
from ..monitor.run_files import (
    CURVES_FILE,
    HISTORY_FILE,
    MARKER,
    RUN_FILE,
    TIMES,
    append_history,
    headline,
    make_curves,
    make_entry,
    make_run_info,
    metric_prefix,
    read_history,
    write_history,
)
from ..reports.report import write_report
from ..tuning.decisions import Tuning
from ..utils.console import console_print, verbatim
from ..utils.constants import MAX_WEIGHT
from ..utils.errors import DataError, UsageError
from ..utils.files import write_json
from ..utils.text import grouped, pluralize
from .arguments import ImbalanceOptions

_SPLIT = itemgetter("split")

_Findings = dict[tuple[str, str, str, int], Finding]
"""By kind, label, severity, and whether it was found once or more often. A new key is printed again."""


class RareLabelCallback(TrainerCallback):
    """Prints F1 and each label's recall and precision after each evaluation, and warns.

    The table has the rarest label first, with support, weight and the change since the last evaluation. The callback
    warns when a label's recall stays at zero and when a label's precision is under 0.5, each once until it changes,
    with what to change. It prints on rank 0 only. The history goes to `label_history.jsonl` in the output directory.

    WeightedFocalTrainer brings one along. With the stock Trainer: `compute_metrics=metrics`, an ImbalanceMetrics, and
    `RareLabelCallback(metrics=metrics).attach(trainer)`.

    Args:
        patience: evaluations in a row with zero recall before the warning; None for the trainer's, else 2.
        min_precision: precision under which a label counts as predicted too often.
        metrics: the ImbalanceMetrics that evaluates. It has the names, and labels without a metric of their own.
        class_weights: the weights in use.
        distribution: the training counts, for support and ratio beside the weights.
        focal_gamma: gamma in use; None where there is none.
        max_weight: the cap of the weights.
        options: other settings in use by name, for `run.json` and for advice.
    """

    def __init__(
        self,
        patience: int | None = None,
        min_precision: float = 0.5,
        metrics: ImbalanceMetrics | None = None,
        class_weights: ClassWeights | None = None,
        distribution: LabelDistribution | None = None,
        focal_gamma: float | None = None,
        max_weight: float = MAX_WEIGHT,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.patience, self.min_precision = patience, min_precision
        self.metrics, self.class_weights, self.distribution = metrics, class_weights, distribution
        self.focal_gamma, self.max_weight, self.options = focal_gamma, max_weight, dict(options or {})
        self.unit = "row"
        self.history: list[dict[str, Any]] = []
        self._found: dict[str, _Findings] = {}  # at the last evaluation, by split
        self._new: dict[str, _Findings] = {}  # those of them that were not found at the evaluation before
        self._introduced = self._in_training = self._explained_flags = False
        self._model_step: int | None = None  # of the model in use, where that is not the one of the last step

    def attach(self, trainer: Trainer) -> None:
        """Add the callback to a trainer, whose own printed lines then leave out what the table has."""
        names = () if self.metrics is None else self.metrics.keys()
        callbacks = trainer.callback_handler.callbacks
        for callback in list(callbacks):
            kind = type(callback)  # by its name, as importing NotebookProgressCallback needs IPython
            if kind.__module__.startswith("transformers.") and kind.__name__ in _PROGRESS:
                trainer.remove_callback(callback)
                trainer.add_callback(type(f"Terse{kind.__name__}", (_TerseLogs, kind), {})(names, callbacks))
        if self not in callbacks:
            trainer.add_callback(self)

    # ---- events ----

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Print the weights; continue the history of a resumed run. Called again by auto_find_batch_size."""
        if not state.is_world_process_zero:
            return
        if self.class_weights is not None and self.distribution is not None and not self._introduced:
            self._introduced = True
            console_print(*self._weight_message(self.class_weights, self.distribution))
        path, model = Path(args.output_dir) / HISTORY_FILE, kwargs.get("model")
        if state.global_step:
            checkpoint = path.parent / f"checkpoint-{state.global_step}" / HISTORY_FILE
            self.history = _resumed([*read_history(path), *read_history(checkpoint)], state.global_step)
        else:  # a new run; an evaluation before it in this process is its starting point
            self.history = [entry for entry in self.history if entry["step"] == 0]
            if any(entry["step"] > 0 for entry in read_history(path)):
                path.replace(path.with_suffix(".previous.jsonl"))  # to compare with, before and after a change
                words = "whose model and report this one replaces; resume_from_checkpoint would have gone on with it"
                console_print("", f"NOTE: {args.output_dir} holds an earlier run, {words}.")
        self._in_training, self._model_step = True, None
        write_history(path, self.history)
        self._write_run_info(args, model)
        by_split = grouped(self.history, _SPLIT)  # warnings from before the stop are not repeated
        self._found = {split: self._findings(entries, args, model) for split, entries in by_split.items()}

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Print the table, warn, and write the history."""
        prefix = metric_prefix(metrics)
        if prefix is None or not state.is_world_process_zero:
            return
        before, model = grouped(self.history, _SPLIT).get(prefix, []), kwargs.get("model")
        entry = self._entry(metrics, prefix, state, model, before[-1]["step"] if before else 0)
        message = self._evaluation_message(entry, before[-1] if before else None)
        self.history.append(entry)
        found = self._findings([*before, entry], args, model)
        new = {key: finding for key, finding in found.items() if key not in self._found.get(prefix, {})}
        self._found[prefix], self._new[prefix] = found, new
        console_print(*message, *self._warning_message(new.values(), args, model))
        path = Path(args.output_dir) / HISTORY_FILE
        if self._in_training or not path.exists():  # another process's history of a training run stays as it is
            self._in_training = True
            append_history(path, entry)
            if self.metrics is not None and (table := self.metrics.table) is not None:
                write_json(path.parent / CURVES_FILE, make_curves(table, prefix, entry["step"]))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the history into the checkpoint, so that it goes where the checkpoint goes."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            write_history(folder / HISTORY_FILE, self.history)
            _copy_curves(folder.parent, folder)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Repeat the warnings that still hold, as those of early epochs have scrolled away; write the report."""
        if not state.is_world_process_zero:
            return
        model = kwargs.get("model")
        for split, found in self._found.items():
            still = [finding for key, finding in found.items() if key not in self._new.get(split, {})]
            still = [finding for finding in still if finding.severity in (ERROR, WARNING)]
            if still:
                heading = f"Still so at the last evaluation ({split}):"
                console_print("", heading, *self._warning_message(still, args, model))
        if args.load_best_model_at_end and state.best_global_step is not None and state.best_metric is not None:
            self._model_step = state.best_global_step
            best = f"{args.metric_for_best_model} {state.best_metric:.4g}, of step {state.best_global_step:,}"
            labels = next((entry["labels"] for entry in self.history if entry["step"] == self._model_step), None)
            best += "" if labels is None else f", labels at recall 0: {sum(map(has_zero_recall, labels))}"
            console_print("", f"The best model is loaded ({best}).")
            if state.best_model_checkpoint is not None:
                _copy_curves(Path(state.best_model_checkpoint), Path(args.output_dir))
        self._write_run_info(args, model)  # weights may have moved
        self._report(args)

    def _report(self, args: Any) -> None:
        if self.history:
            try:
                console_print("", verbatim(f"Report: {write_report(args.output_dir)}"))
            except (DataError, UsageError, OSError) as error:  # a report is not worth a trained model
                console_print("", f"No report was written: {error}")

    def on_predict(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Print the table of a labelled test set."""
        prefix = metric_prefix(metrics)
        if prefix is not None and state.is_world_process_zero:
            entry = self._entry(metrics, prefix, state, kwargs.get("model"))
            console_print(*self._evaluation_message(entry))
            if self._in_training:
                self.history.append(entry)
                append_history(Path(args.output_dir) / HISTORY_FILE, entry)

    def on_tuned(self, args: Any, state: Any, tuning: Tuning, split: str | None) -> None:
        """Print tuned thresholds with their metrics, called on rank 0. The model decides by them now: where `split`
        was evaluated before, its history and the report get what cross-fitting gives."""
        console_print(*tuning_message(tuning, self._train_support()))
        step = state.global_step if self._model_step is None else self._model_step
        before = [entry for entry in self.history if (entry["split"], entry["step"]) == (split, step)]
        if before and self._in_training and self.metrics is not None and tuning.rule.tuned_on is not None:
            self.metrics.cross_fitted, self.metrics.table = tuning.rule.tuned_on["cross_fitted"], tuning.held_out_table
            metrics = {f"{split}_{name}": value for name, value in before[-1]["metrics"].items()}
            self.history.append(self._entry(metrics, str(split), state, None))
            append_history(Path(args.output_dir) / HISTORY_FILE, self.history[-1])
            self._report(args)

    # ---- history ----

    def _entry(
        self, metrics: dict[str, float], prefix: str, state: Any, model: Any, since: int | None = None
    ) -> dict[str, Any]:
        """An evaluation for the history; `since` is the step of the one before it, None for a test."""
        step, epoch = state.global_step, state.epoch
        if self._model_step is not None and self._model_step != step:
            epoch = next((e["epoch"] for e in self.history if e["step"] == self._model_step), None)
            step = self._model_step
        table = None if self.metrics is None else self.metrics.table
        fitted = None if self.metrics is None else self.metrics.cross_fitted
        if fitted is not None:  # on the rows that thresholds were tuned on they flatter
            metrics = {**metrics, **{f"{prefix}_{name}": value for name, value in fitted.items()}}
            whole = "all" if table is not None and table.f1.mean() == fitted["f1_macro"] else "metrics"
        return make_entry(
            metrics,
            prefix,
            step,
            epoch,
            schema=self._schema(model),
            table=table,
            weights=None if self.class_weights is None else self.class_weights.as_dict(),
            train_support=self._train_support(),
            train_losses=[] if since is None else _train_losses(state, since, step),
            focal_gamma=self.focal_gamma,
            cross_fitted=None if fitted is None else whole,
        )

    def _run_info(self, args: Any, model: Any) -> dict[str, Any]:
        schema = self._schema(model)
        if schema is None:
            return {}
        known = {"focal_gamma": self.focal_gamma, "max_weight": self.max_weight, **self.options}
        known |= {"rare_label_patience": self._limits()["patience"], "min_precision": self.min_precision}
        known |= {} if self._model_step is None else {"best_step": self._model_step}
        return make_run_info(schema, args, known, self.class_weights, self.distribution)

    def _write_run_info(self, args: Any, model: Any) -> None:
        if info := self._run_info(args, model):
            write_json(Path(args.output_dir) / RUN_FILE, info)

    def _schema(self, model: Any) -> LabelSchema | None:
        if self.metrics is not None:
            return self.metrics.schema
        config = getattr(model, "config", None)
        return LabelSchema.from_config(config) if getattr(config, "id2label", None) else None

    def _train_support(self) -> dict[str, float] | None:
        return None if self.distribution is None else self.distribution.support_by_label

    def _findings(self, entries: list[dict[str, Any]], args: Any, model: Any) -> _Findings:
        """The findings of the last evaluation of a split; of several at one step the last counts.

        A finding is new again when it holds for a second evaluation in a row: only then it is worth a change.
        """
        entries = list({entry["step"]: entry for entry in entries}.values())
        found = diagnose(entries, Settings.from_run(self._run_info(args, model)), **self._limits())
        return {(f.kind, f.label, f.severity, min(f.evaluations, 2)): f for f in found}

    def _limits(self) -> dict[str, Any]:
        """The limits of `diagnose`, which the report of the run uses too."""
        patience = self.patience or ImbalanceOptions.rare_label_patience
        return {"patience": patience, "min_precision": self.min_precision}

    # ---- messages ----

    def _weight_message(self, weights: ClassWeights, counts: LabelDistribution) -> Message:
        sample = f" (a sample of {counts.row_total:,})" if counts.row_total > counts.n_rows else ""
        sample = " (the first of a stream)" if counts.row_total < 0 else sample
        shown = RAREST_SHOWN if len(counts.schema) > MAX_LABELS_SHOWN else None
        rows = pluralize(counts.n_rows, f"training {self.unit}")
        message: Message = ["", f"Class weights from {rows}{sample}, rarest label first:"]
        message += label_table(counts, weights, shown)
        primary = [counts.schema.names[i] for i in counts.schema.primary]
        if primary:
            of = f"{primary[0]!r} is" if len(primary) == 1 else "a primary label is"
            message.append(f"secondary_* metrics count only the rows in which {of} 1.")
        return message

    def _evaluation_message(self, entry: dict[str, Any], before: dict[str, Any] | None = None) -> Message:
        at_half = None if self.metrics is None else self.metrics.at_half
        return evaluation_message(entry, before, self._train_support(), at_half)

    def _warning_message(self, findings: Iterable[Finding], args: Any, model: Any) -> Message:
        findings = list(findings)
        message = warning_message(findings, Settings.from_run(self._run_info(args, model)))
        has_flags = any("--" in finding.advice for finding in findings)
        if has_flags and not (self._explained_flags or was_started_with_flags()):
            self._explained_flags = True
            message += flags_in_python()
        return message


def _resumed(entries: Iterable[dict[str, Any]], step: int) -> list[dict[str, Any]]:
    """The evaluations up to a step, each once. A test is left out, as it is made again."""
    kept: dict[tuple[str, int], dict[str, Any]] = {}
    for entry in entries:
        if entry["split"].startswith("eval") and entry["step"] <= step:
            kept.setdefault((entry["split"], entry["step"]), entry)
    return sorted(kept.values(), key=lambda entry: entry["step"])


def _copy_curves(source: Path, target: Path) -> None:
    """Curves go with the weights that they are of."""
    if (source / CURVES_FILE).is_file():
        shutil.copy(source / CURVES_FILE, target)


def _train_losses(state: Any, since: int, until: int) -> list[tuple[int, float]]:
    """Step and training loss that were logged after step `since`, up to step `until`."""
    return [(log["step"], log["loss"]) for log in state.log_history if "loss" in log and since < log["step"] <= until]


_HEADLINES = ("f1_macro", MARKER, "mean_average_precision", "accuracy")
_PROGRESS = ("ProgressCallback", "PrinterCallback", "NotebookProgressCallback")


class _TerseLogs:
    """Leaves the metrics of the table out of what a progress callback of transformers prints.

    Args:
        metric_names: names of the metrics that are left out.
        callbacks: the trainer's callbacks, a list that it keeps up to date. Without a table _HEADLINES stay.
    """

    def __init__(self, metric_names: Sequence[str], callbacks: list[TrainerCallback]) -> None:
        super().__init__()
        self._metric_names, self._callbacks = metric_names, callbacks

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        few, prefix = self._without_ours(logs)
        if prefix is None or set(few) - {"epoch", *(f"{prefix}_{name}" for name in ("loss", *TIMES))}:
            super().on_log(args, state, control, logs=few, **kwargs)  # type: ignore[misc]  # of the other base class

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        few, prefix = self._without_ours(metrics)
        if prefix is not None and metrics:  # a notebook's table has a column for it
            name = f"{prefix}_{headline({key.removeprefix(f'{prefix}_'): key for key in metrics})}"
            few[name] = metrics[name]
        super().on_evaluate(args, state, control, metrics=few, **kwargs)  # type: ignore[misc]

    def _without_ours(self, metrics: dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
        metrics = metrics or {}
        prefix = metric_prefix(metrics)
        if prefix is None:
            return metrics, None
        has_table = any(isinstance(callback, RareLabelCallback) for callback in self._callbacks)
        ours = {f"{prefix}_{name}" for name in self._metric_names if has_table or name not in _HEADLINES}
        return {key: value for key, value in metrics.items() if key not in ours}, prefix
