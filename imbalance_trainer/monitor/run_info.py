"""Content of the JSON files of a run: run.json, precision_recall.json and metrics.json (docs/outputs.md has the keys).

run.json holds the labels, weights and settings, precision_recall.json the curves of the last evaluation, metrics.json
one evaluation for scripts.
"""

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..labels.class_weights import ClassWeights
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import LabelTable
from ..utils.files import finite

RUN_FILE, CURVES_FILE, RESULTS_FILE = "run.json", "precision_recall.json", "metrics.json"
VERSION = 1
"""Version of the files' content. It rises when a key changes its meaning."""

_ARGUMENTS = (
    *("learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "max_steps"),
    *("weight_decay", "warmup_steps", "lr_scheduler_type", "max_grad_norm", "label_smoothing_factor", "seed"),
    *("bf16", "fp16", "world_size"),
)
_PACKAGES = ("imbalance-trainer", "transformers", "torch", "accelerate", "datasets")


def make_run_info(
    schema: LabelSchema,
    args: Any,
    options: Mapping[str, Any],
    weights: ClassWeights | None = None,
    counts: LabelDistribution | None = None,
    repeats: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Describe a run: its labels, weights, settings and package versions, as a JSON-able dict.

    Args:
        schema: the labels.
        args: TrainingArguments.
        options: the options of this package by name.
        weights: the class weights; None with the stock Trainer.
        counts: label counts of the training data.
        repeats: {label: how often a row of it is drawn in an epoch}; None without a sampler that repeats rows.
    """
    labels: list[dict[str, Any]] = [{"label": name} for name in schema.names]
    for i, row in enumerate(labels):
        row["weight"] = None if weights is None else float(weights.values[i])
        row["reason"] = "" if weights is None else weights.reasons[i]
        row["custom"] = weights is not None and row["label"] in weights.custom
        row["clamped_from"] = None if weights is None else (weights.clamped or {}).get(row["label"])
        row["train_support"] = None if counts is None else int(counts.support[i])
        row["repeats"] = None if repeats is None else repeats.get(row["label"])
        row["ratio"] = None if counts is None else float(counts.imbalance_ratio[i])
    named = {group: list(names) for group, names in schema.groups.items()}
    of_args = {name: getattr(args, name, None) for name in _ARGUMENTS}
    by_steps = (of_args["max_steps"] or 0) > 0
    settings = {**of_args, "num_epochs": None if by_steps else of_args["num_train_epochs"], **options}
    return finite(
        {
            "version": VERSION,
            "labels": labels,
            "groups": named,
            "secondary": [schema.names[i] for i in schema.secondary],
            "implications": [list(pair) for pair in schema.implications],
            "exclusive": dict(schema.exclusive),
            "n_train_rows": None if counts is None else int(counts.n_rows),
            "settings": {name: _flat(value) for name, value in settings.items()},
            "versions": {**package_versions(_PACKAGES), "python": platform.python_version()},
        }
    )


def make_curves(table: LabelTable, split: str, step: int) -> dict[str, Any]:
    """Precision-recall curves of the rarest labels with positives, rarest first, as a JSON-able dict."""
    curves = [
        {"label": table.schema.names[i], "recall": recall.tolist(), "precision": precision.tolist()}
        for i, (recall, precision) in table.curves.items()
    ]
    support = dict(zip(table.schema.names, table.support.tolist(), strict=True))
    curves.sort(key=lambda curve: support[curve["label"]])
    return finite({"version": VERSION, "split": split, "step": step, "curves": curves})


def _flat(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float, bool)):
        return getattr(value, "value", value)  # of an enum of strings
    return str(value)


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """The version of each package that is installed."""
    versions = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


@dataclass(frozen=True)
class Results:
    """One evaluation of a model.

    Args:
        split: the prefix of its metrics: "eval", "eval_<dataset>" or "test".
        step: updates of the evaluated model; None where it was not trained here.
        metrics: the overall metrics, without prefix.
        labels: one dict per label in the schema's order, as in label_history.jsonl.
        n_rows: number of rows; None where it is not known.
        at_half: the same metrics at 0.5, where thresholds are tuned.
        thresholds: the threshold of each label; None where the largest score decides.
        is_tuned: whether the thresholds are tuned, and not 0.5.
        tuned_on_this_data: whether they were tuned on these rows, so that the metrics are too good; None where that is
            not known, or nothing is tuned.
    """

    split: str
    step: int | None
    metrics: Mapping[str, float]
    labels: Sequence[Mapping[str, Any]]
    n_rows: int | None = None
    at_half: Mapping[str, float] | None = None
    thresholds: Mapping[str, float] | None = None
    is_tuned: bool = False
    tuned_on_this_data: bool | None = None

    def as_dict(self, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The content of metrics.json.

        Args:
            data: where the rows come from, such as {"name": "demo"}. The number of rows is added.
        """
        return {
            "version": VERSION,
            "split": self.split,
            "step": self.step,
            "metrics": dict(self.metrics),
            "metrics_at_0.5": None if self.at_half is None else dict(self.at_half),
            "labels": [dict(row) for row in self.labels],
            "thresholds": None if self.thresholds is None else dict(self.thresholds),
            "thresholds_are_tuned": self.is_tuned,
            "thresholds_tuned_on_this_data": self.tuned_on_this_data,
            "data": {**(data or {}), "rows": self.n_rows},
        }
