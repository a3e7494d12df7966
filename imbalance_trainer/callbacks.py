"""What a person sees during training: the table after each evaluation, and warnings that say what to change."""

import sys
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from .analysis import analysis_table
from .diagnosis import Finding, diagnose
from .distribution import LabelDistribution
from .history import FILE_NAME, make_entry, metric_prefix, read_history, write_history
from .labels import LabelSchema
from .messages import Settings, evaluation_lines, warning_lines
from .metrics import MAX_LABELS_SHOWN, RAREST_SHOWN, ImbalanceMetrics
from .weights import MAX_WEIGHT, ClassWeights


class RareLabelCallback(TrainerCallback):
    """Logs, after each evaluation, secondary_f1_macro and each label's recall and precision, and warns.

    Rarest label first, with support, weight and the change since the last evaluation. It warns when a label's recall
    stays at zero and when a label's precision is under 0.5, each once until it changes, with what to change. Speaks on
    rank 0 only. The whole history goes to `label_history.jsonl` in the output directory.

    WeightedFocalTrainer brings one along. With the stock Trainer: `compute_metrics=ImbalanceMetrics(schema)` and
    `callbacks=[RareLabelCallback()]`; pass it the same `metrics` to have all of more than 50 labels in the history.

    Args:
        patience: evaluations in a row with recall 0 before the warning.
        min_precision: precision under which a label counts as predicted too often.
        metrics: the ImbalanceMetrics that evaluates, for the names and for labels that have no metric of their own.
        class_weights: the weights in use, to show them and to say what to change them to.
        distribution: the training counts, to show support and ratio beside the weights.
        focal_gamma: gamma in use, None where there is none.
        max_weight: the cap in use.
    """

    def __init__(
        self,
        patience: int = 2,
        min_precision: float = 0.5,
        metrics: ImbalanceMetrics | None = None,
        class_weights: ClassWeights | None = None,
        distribution: LabelDistribution | None = None,
        focal_gamma: float | None = None,
        max_weight: float = MAX_WEIGHT,
    ) -> None:
        self.patience, self.min_precision = patience, min_precision
        self.metrics, self.class_weights, self.distribution = metrics, class_weights, distribution
        self.focal_gamma, self.max_weight = focal_gamma, max_weight
        self.history: list[dict[str, Any]] = []
        self._said: set[tuple[str, str, str, int]] = set()  # split, kind, label, seen once or more often
        self._said_last: list[Finding] = []
        self._introduced = False

    # ---- events ----

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say the weights; take up the history where a resumed run left it. Called again by auto_find_batch_size."""
        if not state.is_world_process_zero:
            return
        if self.class_weights is not None and self.distribution is not None and not self._introduced:
            self._introduced = True
            _say("\n".join(self._weight_lines()))
        path = Path(args.output_dir) / FILE_NAME
        if state.global_step:
            self.history = [e for e in read_history(path) if e["step"] <= state.global_step]
            self.history = self.history or self._from_log(state, kwargs.get("model"))
        else:
            self.history = []
        write_history(path, self.history)
        self._said = set()
        for i in range(len(self.history)):  # what was said before the interruption is not said again
            self._new_findings(self.history[: i + 1])

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Print the table, warn, and write the history."""
        prefix = metric_prefix(metrics)
        if prefix is None or not state.is_world_process_zero:
            return
        entry = self._entry(metrics, prefix, state, kwargs.get("model"))
        before = [e for e in self.history if e["split"] == prefix]
        lines = self._evaluation_lines(entry, before[-1] if before else None)
        self.history.append(entry)
        self._said_last = self._new_findings(self.history)
        _say("\n".join([*lines, *self._warning_lines(self._said_last, args)]))
        write_history(Path(args.output_dir) / FILE_NAME, self.history)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say once more what still holds, as warnings of early epochs have scrolled away or passed."""
        if not state.is_world_process_zero:
            return
        for split in dict.fromkeys(entry["split"] for entry in self.history):
            still = self._findings(self.history, split)
            if not set(still) <= set(self._said_last):
                _say("\n".join(["", f"Still so at the last evaluation ({split}):", *self._warning_lines(still, args)]))

    def on_predict(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Print the table of a labelled test set."""
        prefix = metric_prefix(metrics)
        if prefix is not None and state.is_world_process_zero:
            entry = self._entry(metrics, prefix, state, kwargs.get("model"))
            _say("\n".join(self._evaluation_lines(entry)))

    # ---- history ----

    def _entry(self, metrics: dict[str, float], prefix: str, state: Any, model: Any) -> dict[str, Any]:
        weights = None if self.class_weights is None else self.class_weights.as_dict()
        table = None if self.metrics is None else self.metrics.table
        schema = _schema_of(model) if self.metrics is None else self.metrics.schema
        return make_entry(metrics, prefix, state.global_step, state.epoch, schema, table, weights)

    def _from_log(self, state: Any, model: Any) -> list[dict[str, Any]]:
        """The history as far as trainer_state.json has it, where our own file is gone."""
        weights = None if self.class_weights is None else self.class_weights.as_dict()
        schema = _schema_of(model) if self.metrics is None else self.metrics.schema
        logs = ((log, metric_prefix(log)) for log in state.log_history)
        return [
            make_entry(log, prefix, log["step"], log.get("epoch"), schema, None, weights)
            for log, prefix in logs
            if prefix is not None and log["step"] <= state.global_step
        ]

    def _new_findings(self, history: list[dict[str, Any]]) -> list[Finding]:
        """Findings of the last evaluation that were not said yet; what no longer holds may be said again later.

        What was seen once is said again when it is seen a second time in a row: only then is it worth a change.
        """
        split = history[-1]["split"]
        found = {(split, f.kind, f.label, min(f.evaluations, 2)): f for f in self._findings(history, split)}
        new = [finding for key, finding in found.items() if key not in self._said]
        self._said = {said for said in self._said if said[0] != split} | set(found)
        return new

    def _findings(self, history: list[dict[str, Any]], split: str) -> list[Finding]:
        """What holds at the last evaluation of a split; of several at the same step the last counts."""
        own = list({e["step"]: e for e in history if e["split"] == split}.values())
        return diagnose(own, self.patience, self.max_weight, self.min_precision)

    # ---- words ----

    def _weight_lines(self) -> list[str]:
        counts = self.distribution
        sample = f" (a sample of {counts.row_total:,})" if counts.row_total > counts.n_rows else ""
        shown = RAREST_SHOWN if len(counts.schema) > MAX_LABELS_SHOWN else None
        heading = f"Class weights from {counts.n_rows:,} training rows{sample}, rarest label first:"
        return ["", heading, *analysis_table(counts, self.class_weights, shown).splitlines()]

    def _evaluation_lines(self, entry: dict[str, Any], before: dict[str, Any] | None = None) -> list[str]:
        counts = self.distribution
        support = None if counts is None else dict(zip(counts.schema.names, counts.support, strict=True))
        return evaluation_lines(entry, before, support)

    def _warning_lines(self, findings: list[Finding], args: Any) -> list[str]:
        settings = Settings(
            self.class_weights,
            self.max_weight,
            self.focal_gamma,
            self.min_precision,
            args.learning_rate,
            None if args.max_steps > 0 else args.num_train_epochs,
        )
        return warning_lines(findings, settings)


class _TerseLogs:
    """Keeps the dozens of metrics that the table shows out of the line that the progress bar prints."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        prefix = metric_prefix(logs or {})
        if prefix is not None and self.label_callback_present():
            timing = {f"{prefix}_{k}" for k in ("runtime", "samples_per_second", "steps_per_second", "loss")}
            ours = {f"{prefix}_{key}" for key in self.metric_names} | timing
            logs = {key: value for key, value in logs.items() if key not in ours}
            if not set(logs) - {"epoch", f"{prefix}_model_preparation_time"}:
                return
        super().on_log(args, state, control, logs=logs, **kwargs)


class TerseProgressCallback(_TerseLogs, ProgressCallback):
    """The progress bar of transformers, without the metrics that RareLabelCallback's table shows."""


class TersePrinterCallback(_TerseLogs, PrinterCallback):
    """The same for runs without progress bars."""


TERSE = {ProgressCallback: TerseProgressCallback, PrinterCallback: TersePrinterCallback}


def _schema_of(model: Any) -> LabelSchema | None:
    config = getattr(model, "config", None)
    return LabelSchema.from_config(config) if getattr(config, "id2label", None) else None


def _say(text: str) -> None:
    """Print without tearing a progress bar."""
    tqdm.write(text, file=sys.stdout)
