"""What a person sees during training: the table after each evaluation, and warnings that say what to change."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, ProgressCallback, TrainerCallback
from transformers.utils import is_in_notebook

from ..analysis.label_table import analysis_table
from ..labels.class_weights import ClassWeights
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import MAX_LABELS_SHOWN, RAREST_SHOWN, ImbalanceMetrics
from ..monitor.console import NotebookTable, say, was_started_with_flags
from ..monitor.diagnose import Finding, Settings, diagnose
from ..monitor.findings import ERROR, WARNING, parents_of
from ..monitor.history import FILE_NAME, MARKER, append_history, make_entry, metric_prefix, read_history, write_history
from ..monitor.label_rules import is_silent
from ..monitor.messages import (
    evaluation_lines,
    flags_in_python,
    label_cells,
    overall,
    summary_lines,
    tuning_lines,
    warning_lines,
)
from ..monitor.run_info import CURVES_FILE, RUN_FILE, make_curves, make_run_info
from ..reports.report import write_report
from ..tuning.decisions import Tuning
from ..utils.constants import MAX_WEIGHT
from ..utils.errors import DataError, UsageError
from ..utils.files import write_json
from ..utils.text import WIDTH, pluralize
from .arguments import ImbalanceOptions

_Findings = dict[tuple[str, str, str, int], Finding]
"""By kind, label, severity and whether it was seen once or more often: what is said again if it changes."""


class RareLabelCallback(TrainerCallback):
    """Logs, after each evaluation, secondary_f1_macro and each label's recall and precision, and warns.

    Rarest label first, with support, weight and the change since the last evaluation. It warns when a label's recall
    stays at zero and when a label's precision is under 0.5, each once until it changes, with what to change. Speaks on
    rank 0 only. The whole history goes to `label_history.jsonl` in the output directory.

    WeightedFocalTrainer brings one along. With the stock Trainer: `compute_metrics=ImbalanceMetrics(schema)` and
    `callbacks=[RareLabelCallback()]`; pass it the same `metrics` to have all of more than 50 labels in the history.

    Args:
        patience: evaluations in a row with recall 0 before the warning; None for the trainer's, else 2.
        min_precision: precision under which a label counts as predicted too often.
        metrics: the ImbalanceMetrics that evaluates, for the names and for labels that have no metric of their own.
        class_weights: the weights in use, to show them and to say what to change them to.
        distribution: the training counts, to show support and ratio beside the weights.
        focal_gamma: gamma in use, None where there is none.
        max_weight: the cap in use.
        options: what else is in use, by name, for `run.json` and for advice.
        repeats: {label: how often a row of it is drawn in an epoch}; None without a sampler that repeats rows.
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
        repeats: Mapping[str, float] | None = None,
    ) -> None:
        self.patience, self.min_precision = patience, min_precision
        self.metrics, self.class_weights, self.distribution = metrics, class_weights, distribution
        self.focal_gamma, self.max_weight, self.options = focal_gamma, max_weight, dict(options or {})
        self.repeats, self.unit = repeats, "row"
        self.history: list[dict[str, Any]] = []
        self._said: dict[str, _Findings] = {}  # all that holds, by split
        self._said_last: dict[str, _Findings] = {}  # what of it was said at the last evaluation
        self._introduced = self._in_training = self._explained_flags = False
        self._tables: dict[str, NotebookTable] = {}  # in a notebook, by split
        self._model_step: int | None = None  # that of the model in use, where it is not the last step

    # ---- events ----

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say the weights; take up the history where a resumed run left it. Called again by auto_find_batch_size."""
        if not state.is_world_process_zero:
            return
        if self.class_weights is not None and self.distribution is not None and not self._introduced:
            self._introduced = True
            say("\n".join(self._weight_lines()))
        path = Path(args.output_dir) / FILE_NAME
        if state.global_step:
            checkpoint = path.parent / f"checkpoint-{state.global_step}" / FILE_NAME
            known = [*read_history(path), *read_history(checkpoint)]
            self.history = self._resumed(known, state, kwargs.get("model"))
        else:  # a new run; an evaluation before it in this process is its starting point
            self.history = [entry for entry in self.history if entry["step"] == 0]
            if any(entry["step"] > 0 for entry in read_history(path)):
                path.replace(path.with_suffix(".previous.jsonl"))  # to compare with, before and after a change
                words = f"{args.output_dir} holds an earlier run, whose model and report this one replaces, and whose"
                words += " checkpoints stay beside its own. Another --output_dir keeps both."
                say("\n".join(["", *textwrap.wrap(f"NOTE: {words}", WIDTH, subsequent_indent="  ")]))
        self._in_training, self._model_step, self._tables = True, None, {}
        write_history(path, self.history)
        self._write_run_info(args, kwargs.get("model"))
        self._said = {}
        for split, entries in _by_split(self.history).items():  # what was said before the stop is not said again
            self._said[split] = self._findings(entries, args)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Print the table, warn, and write the history."""
        prefix = metric_prefix(metrics)
        if prefix is None or not state.is_world_process_zero:
            return
        before = _by_split(self.history).get(prefix, [])
        entry = self._entry(metrics, prefix, state, kwargs.get("model"), before[-1]["step"] if before else 0)
        lines = self._shown(entry, before[-1] if before else None, prefix)
        self.history.append(entry)
        found = self._findings([*before, entry], args)
        new = {key: finding for key, finding in found.items() if key not in self._said.get(prefix, {})}
        self._said[prefix], self._said_last[prefix] = found, new
        lines += self._warning_lines(new.values(), args)
        if lines:
            say("\n".join(lines))
        path = Path(args.output_dir) / FILE_NAME
        if self._in_training or not path.exists():  # another process's history of a training run stays as it is
            self._in_training = True
            append_history(path, entry)
            table = None if self.metrics is None else self.metrics.table
            if table is not None:
                write_json(path.parent / CURVES_FILE, make_curves(table, prefix, entry["step"]))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the history into the checkpoint, so that it goes where the checkpoint goes."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            write_history(folder / FILE_NAME, self.history)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say once more what still holds, as warnings of early epochs have scrolled away or passed."""
        if not state.is_world_process_zero:
            return
        self._write_run_info(args, kwargs.get("model"))  # weights may have moved
        for split, found in self._said.items():
            still = [finding for key, finding in found.items() if key not in self._said_last.get(split, {})]
            still = [finding for finding in still if finding.severity in (ERROR, WARNING)]
            if still:
                say("\n".join(["", f"Still so at the last evaluation ({split}):", *self._warning_lines(still, args)]))
        if args.load_best_model_at_end and state.best_global_step is not None and state.best_metric is not None:
            self._model_step = state.best_global_step
            best = f"{args.metric_for_best_model} {state.best_metric:.4g}, of step {state.best_global_step:,}"
            say("\n".join([f"\nThe best model is loaded ({best}).", *self._silent_best(args)]))
        if self.history:
            try:
                say(f"\nReport: {write_report(args.output_dir)}")
            except (DataError, UsageError, OSError) as error:  # a report is not worth a trained model
                say(f"No report was written: {error}")

    def _silent_best(self, args: Any) -> list[str]:
        """A warning where more labels are silent in the model that was chosen than in the last one: its metric ranks,
        and does not look at decisions."""
        entries = next(iter(_by_split(self.history).values()), [])
        chosen = next((entry for entry in entries if entry["step"] == self._model_step), None)
        if chosen is None or not entries:
            return []
        at_best, at_last = (sum(map(is_silent, entry["labels"])) for entry in (chosen, entries[-1]))
        if at_best <= at_last:
            return []
        words = (
            f"WARNING: {at_best} of {len(chosen['labels'])} labels have recall 0 in it, and {at_last} at the last "
            f"evaluation: {args.metric_for_best_model} does not look at decisions at 0.5. What to change: "
            "thresholds tuned after it (--tune_thresholds true), else --metric_for_best_model secondary_f1_macro."
        )
        return textwrap.wrap(words, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)

    def on_predict(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Print the table of a labelled test set."""
        prefix = metric_prefix(metrics)
        if prefix is not None and state.is_world_process_zero:
            entry = self._entry(metrics, prefix, state, kwargs.get("model"))
            say("\n".join(self._evaluation_lines(entry)))
            if self._in_training:
                self.history.append(entry)
                append_history(Path(args.output_dir) / FILE_NAME, entry)

    def on_tuned(self, tuning: Tuning) -> None:
        """Print the thresholds, and what they are worth; called by WeightedFocalTrainer.tune_thresholds on rank 0."""
        say("\n".join(tuning_lines(tuning, self._train_support())))

    # ---- history ----

    def _entry(
        self, metrics: dict[str, float], prefix: str, state: Any, model: Any, since: int | None = None
    ) -> dict[str, Any]:
        """An evaluation as the history has it; `since` is the step of the one before it, None where it is a test."""
        table = None if self.metrics is None else self.metrics.table
        step, epoch = state.global_step, state.epoch
        if self._model_step is not None and self._model_step != step:
            epoch = next((e["epoch"] for e in self.history if e["step"] == self._model_step), None)
            step = self._model_step
        losses = [] if since is None else _train_losses(state, since, step)
        known = {**self._of_labels(model), "train_losses": losses, "focal_gamma": self.focal_gamma}
        return make_entry(metrics, prefix, step, epoch, table=table, **known)

    def _write_run_info(self, args: Any, model: Any) -> None:
        schema = self._schema(model)
        if schema is not None:
            limits = self._limits()
            known = {"focal_gamma": self.focal_gamma, "max_weight": self.max_weight, **self.options}
            known |= {"rare_label_patience": limits["patience"], "min_precision": limits["min_precision"]}
            info = make_run_info(schema, args, known, self.class_weights, self.distribution, self.repeats)
            write_json(Path(args.output_dir) / RUN_FILE, info)

    def _from_log(self, state: Any, model: Any) -> list[dict[str, Any]]:
        """The history as far as trainer_state.json has it, where our own file is gone."""
        logs = ((log, metric_prefix(log)) for log in state.log_history)
        entries: list[dict[str, Any]] = []
        last: dict[str, int] = {}
        for log, prefix in logs:
            if prefix is not None and log["step"] <= state.global_step:
                losses = _train_losses(state, last.get(prefix, 0), log["step"])
                known = {**self._of_labels(model), "train_losses": losses, "focal_gamma": self.focal_gamma}
                entries.append(make_entry(log, prefix, log["step"], log.get("epoch"), **known))
                last[prefix] = log["step"]
        return entries

    def _of_labels(self, model: Any) -> dict[str, Any]:
        """What is known of the labels besides an evaluation, as `make_entry` takes it."""
        return {
            "schema": self._schema(model),
            "weights": None if self.class_weights is None else self.class_weights.as_dict(),
            "train_support": self._train_support(),
        }

    def _schema(self, model: Any) -> LabelSchema | None:
        return _schema_of(model) if self.metrics is None else self.metrics.schema

    def _train_support(self) -> dict[str, float] | None:
        counts = self.distribution
        return None if counts is None else counts.support_by_label

    def _resumed(self, from_file: list[dict[str, Any]], state: Any, model: Any) -> list[dict[str, Any]]:
        """The history up to a checkpoint: from the file, and from the log what the file has not."""
        entries: dict[tuple[str, int], dict[str, Any]] = {}
        in_training = (entry for entry in from_file if entry["split"].startswith("eval"))  # a test is made again
        for entry in [*in_training, *self._from_log(state, model)]:
            if entry["step"] <= state.global_step:
                entries.setdefault((entry["split"], entry["step"]), entry)
        return sorted(entries.values(), key=lambda entry: entry["step"])

    def _findings(self, entries: list[dict[str, Any]], args: Any) -> _Findings:
        """What holds at the last evaluation of a split; of several at the same step the last counts.

        What was seen once is said again when it is seen a second time in a row: only then is it worth a change.
        """
        entries = list({entry["step"]: entry for entry in entries}.values())
        found = diagnose(entries, self.settings(args), **self._limits())
        return {(f.kind, f.label, f.severity, min(f.evaluations, 2)): f for f in found}

    def _limits(self) -> dict[str, Any]:
        """What `diagnose` goes by, and the report of the run after it."""
        patience = self.patience or ImbalanceOptions.rare_label_patience
        return {"patience": patience, "min_precision": self.min_precision}

    # ---- words ----

    def _weight_lines(self) -> list[str]:
        counts = self.distribution
        sample = f" (a sample of {counts.row_total:,})" if counts.row_total > counts.n_rows else ""
        sample = " (the first of a stream)" if counts.row_total < 0 else sample
        shown = RAREST_SHOWN if len(counts.schema) > MAX_LABELS_SHOWN else None
        rows = pluralize(counts.n_rows, f"training {self.unit}")
        heading = f"Class weights from {rows}{sample}, rarest label first:"
        lines = ["", heading, *analysis_table(counts, self.class_weights, shown).splitlines()]
        if self.repeats:
            most, rows = max(self.repeats, key=self.repeats.get), self.options["rows_per_epoch"]
            drawn = f"a row of {most!r} is drawn {self.repeats[most]:.3g} times"
            lines.append(f"Sampler {self.options['sampler']}: {rows:,} rows an epoch, {drawn}.")
        primary = [counts.schema.names[i] for i in counts.schema.primary]
        if primary:
            of = f"{primary[0]!r} is" if len(primary) == 1 else "a primary label is"
            lines.append(f"secondary_* metrics count only the rows in which {of} 1.")
        return lines

    def _evaluation_lines(self, entry: dict[str, Any], before: dict[str, Any] | None = None) -> list[str]:
        at_half = None if self.metrics is None else self.metrics.at_half
        return evaluation_lines(entry, before, self._train_support(), at_half)

    def _shown(self, entry: dict[str, Any], before: dict[str, Any] | None, prefix: str) -> list[str]:
        """An evaluation as lines; none in a notebook, where a table of the split takes their place."""
        if not is_in_notebook():
            return self._evaluation_lines(entry, before)
        at_half = None if self.metrics is None else self.metrics.at_half
        header, cells, note = label_cells(entry, before, self._train_support() or {})
        table = self._tables.setdefault(prefix, NotebookTable())
        table.show(overall(entry, before), header, cells, [note, *summary_lines(entry, at_half)])
        return []

    def _warning_lines(self, findings: Iterable[Finding], args: Any) -> list[str]:
        lines = warning_lines(list(findings), self.settings(args))
        if not (self._explained_flags or was_started_with_flags()) and any("--" in line for line in lines):
            self._explained_flags = True
            lines += flags_in_python()
        return lines

    def settings(self, args: Any) -> Settings:
        """What is in use, as advice needs it."""
        schema = None if self.metrics is None else self.metrics.schema
        return Settings(
            class_weights=self.class_weights,
            max_weight=self.max_weight,
            focal_gamma=self.focal_gamma,
            learning_rate=args.learning_rate,
            num_epochs=None if args.max_steps > 0 else args.num_train_epochs,
            sampler=self.options.get("sampler"),
            hierarchy_policy=self.options.get("hierarchy_policy", Settings.hierarchy_policy),
            parents=parents_of(() if schema is None else schema.implications),
            secondary=None if schema is None else tuple(schema.names[i] for i in schema.secondary),
            repeats=self.repeats,
            loss=self.options.get("loss"),
        )


class _TerseLogs:
    """Keeps the dozens of metrics that the table shows out of what a progress bar, or a notebook's, prints.

    Args:
        metric_names: names of the metrics that are left out.
        callbacks: the trainer's callbacks, as a list that it keeps up to date: without a table nothing is left out.
    """

    def __init__(self, metric_names: Sequence[str], callbacks: list[TrainerCallback]) -> None:
        super().__init__()
        self._metric_names, self._callbacks = frozenset(metric_names), callbacks

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        few, prefix = self._without_ours(logs)
        if prefix is not None:
            timing = {f"{prefix}_{k}" for k in ("runtime", "samples_per_second", "steps_per_second", "loss")}
            if not set(few) - timing - {"epoch", f"{prefix}_model_preparation_time"}:
                return
        super().on_log(args, state, control, logs=few, **kwargs)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        few, prefix = self._without_ours(metrics)
        if prefix is not None:
            few[f"{prefix}_{MARKER}"] = metrics[f"{prefix}_{MARKER}"]
        super().on_evaluate(args, state, control, metrics=few, **kwargs)

    def _without_ours(self, metrics: dict[str, Any] | None) -> tuple[dict[str, Any] | None, str | None]:
        """Metrics without those of the table, and their prefix; as they are, and None, where there is no table."""
        prefix = metric_prefix(metrics or {})
        if prefix is None or not any(isinstance(callback, RareLabelCallback) for callback in self._callbacks):
            return metrics, None
        ours = {f"{prefix}_{key}" for key in self._metric_names}
        return {key: value for key, value in metrics.items() if key not in ours}, prefix


class TerseProgressCallback(_TerseLogs, ProgressCallback):
    """The progress bar of transformers, without the metrics that RareLabelCallback's table shows."""


class TersePrinterCallback(_TerseLogs, PrinterCallback):
    """The same for runs without progress bars."""


def terse(callback: TrainerCallback) -> type | None:
    """The class of ours that takes the place of a progress callback of transformers; None for any other callback."""
    stock = {ProgressCallback: TerseProgressCallback, PrinterCallback: TersePrinterCallback}
    if type(callback).__name__ == "NotebookProgressCallback":  # importing it needs IPython
        return type("TerseNotebookProgressCallback", (_TerseLogs, type(callback)), {})
    return stock.get(type(callback))


def _by_split(history: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    splits: dict[str, list[dict[str, Any]]] = {}
    for entry in history:
        splits.setdefault(entry["split"], []).append(entry)
    return splits


def _schema_of(model: Any) -> LabelSchema | None:
    config = getattr(model, "config", None)
    return LabelSchema.from_config(config) if getattr(config, "id2label", None) else None


def _train_losses(state: Any, since: int, until: int) -> list[tuple[int, float]]:
    """Step and loss of what was logged of the training after a step, up to another."""
    return [(log["step"], log["loss"]) for log in state.log_history if "loss" in log and since < log["step"] <= until]
