"""run.json and precision_recall.json: what a run was made with, and the curves of its last evaluation.

With `label_history.jsonl` they are all that a report needs (docs/outputs.md has the keys).
"""

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..labels.class_weights import ClassWeights
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import LabelTable
from ..utils.files import finite

RUN_FILE, CURVES_FILE = "run.json", "precision_recall.json"
RUN_VERSION = CURVES_VERSION = 1
"""Versions of the files' content; they rise when a key changes its meaning."""

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
    """What a run is made with, as a JSON-able dict.

    Args:
        schema: the labels.
        args: TrainingArguments.
        options: our own options by name, and whatever else is to be kept.
        weights: the class weights; None with the stock Trainer.
        counts: of the training data.
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
            "version": RUN_VERSION,
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
    """Precision over recall of the rarest labels that have positives, rarest first, as a JSON-able dict."""
    curves = [
        {"label": table.schema.names[i], "recall": recall.tolist(), "precision": precision.tolist()}
        for i, (recall, precision) in table.curves.items()
    ]
    support = dict(zip(table.schema.names, table.support.tolist(), strict=True))
    curves.sort(key=lambda curve: support[curve["label"]])
    return finite({"version": CURVES_VERSION, "split": split, "step": step, "curves": curves})


def _flat(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float, bool)):
        return getattr(value, "value", value)  # an enum of strings is what it stands for
    return str(value)


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """The installed version of each of the packages that are installed."""
    versions = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions
