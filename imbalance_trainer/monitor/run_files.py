"""The files of a run, written and read: label_history.jsonl, run.json, precision_recall.json, metrics.json.

label_history.jsonl has a JSON line for each evaluation, with all labels; run.json the labels, weights and settings;
precision_recall.json the curves of the last evaluation; metrics.json one evaluation for scripts. docs/outputs.md has
the keys.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..labels.class_weights import ClassWeights
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import LABEL_METRICS, LabelTable
from ..utils.errors import DataError, first_line
from ..utils.files import finite, write_text

HISTORY_FILE, RUN_FILE = "label_history.jsonl", "run.json"
CURVES_FILE, RESULTS_FILE = "precision_recall.json", "metrics.json"

VERSION, HISTORY_VERSION = 1, 2
"""Versions of the files' content and of the history's lines. They rise when a key changes its meaning."""

TIMES = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")
"""Metrics that Trainer adds once an evaluation is over."""

MARKER = "secondary_f1_macro"
"""A metric in every evaluation by ImbalanceMetrics. Its key shows the prefix of the evaluation."""

_COUNTS = ("support", "known", "predicted", "true_positives", "found_before_closing")
_SHARES = (
    *("recall", "precision", "f1", "average_precision", "prevalence"),
    *("threshold", "highest_score", "best_threshold", "best_recall", "best_precision"),
)
_KINDS: dict[str, Any] = {"split": str, "step": (int, float), "metrics": dict, "labels": list}
"""The keys of an evaluation that are read everywhere, and their types."""
_ARGUMENTS = (
    *("learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "max_steps"),
    *("weight_decay", "warmup_steps", "lr_scheduler_type", "max_grad_norm", "label_smoothing_factor", "seed"),
    *("bf16", "fp16", "world_size", "load_best_model_at_end"),
)
_PACKAGES = ("imbalance-trainer", "transformers", "torch", "accelerate", "datasets")


def headline(metrics: Mapping[str, Any]) -> str:
    """The metric to follow: secondary_f1_macro where there is a primary label, else f1_macro."""
    return "f1_macro" if "f1_macro" in metrics and "primary_f1" not in metrics else MARKER


def metric_prefix(metrics: Mapping[str, Any]) -> str | None:
    """The prefix ("eval", "eval_<dataset>", "test") of metrics; None where they are not of ImbalanceMetrics."""
    prefixes = [key[: -len(MARKER) - 1] for key in metrics if key.endswith(f"_{MARKER}")]
    return next((p for p in prefixes if f"{p}_n_labels_without_recall" in metrics), None)  # not a user's ema_...


def make_entry(
    metrics: Mapping[str, float],
    prefix: str,
    step: int,
    epoch: float | None,
    schema: LabelSchema | None = None,
    table: LabelTable | None = None,
    weights: Mapping[str, float] | None = None,
    train_support: Mapping[str, float] | None = None,
    train_losses: Sequence[Sequence[float]] = (),
    focal_gamma: float | None = None,
    cross_fitted: str | None = None,
) -> dict[str, Any]:
    """One evaluation as a JSON-able dict. Its labels come from `table`, else from the metrics with label names;
    `train_losses` are those that were logged since the evaluation before, (step, loss) each. `cross_fitted` says
    that thresholds were tuned on these rows, and what is cross-fitted therefore: "all", or "metrics" but not labels.
    """
    own = {key[len(prefix) + 1 :]: value for key, value in metrics.items() if key.startswith(f"{prefix}_")}
    rows = _rows_of_table(table) if table is not None else _rows_of_metrics(own, schema)
    for row in rows:
        row["weight"] = None if weights is None else weights.get(row["label"])
        row["train_support"] = None if train_support is None else train_support.get(row["label"])
    labelled = tuple(f"{metric}_{slug}" for metric in LABEL_METRICS for slug in _slugs(own))
    overall = {key: value for key, value in own.items() if key not in labelled and isinstance(value, (int, float))}
    entry = {
        "version": HISTORY_VERSION,
        "split": prefix,
        "step": step,
        "epoch": epoch,
        "metrics": overall,
        "train_losses": [list(pair) for pair in train_losses],
        "focal_gamma": focal_gamma,
        "cross_fitted": cross_fitted,
        "labels": rows,
    }
    return finite(entry)  # what is in memory is what a file would give back


def read_entries(path: str | Path) -> tuple[list[dict[str, Any]], bool]:
    """Read a history file.

    Returns:
        Its evaluations, and whether the last line was cut off by a kill and left out.

    Raises:
        FileNotFoundError: no such file.
        DataError: a file that cannot be read, or is not a history. The sentence names the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}).") from None
    entries: list[dict[str, Any]] = []
    lines = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    for i, line in lines:
        try:
            entries.append(_checked(json.loads(line), f"{path}, line {i}"))
        except json.JSONDecodeError as error:
            if i == lines[-1][0] and not text.endswith("\n"):
                return entries, True
            raise DataError(f"{path}, line {i}: is no valid JSON ({error.msg}); correct or delete the line.") from None
    return entries, False


def read_history(path: str | Path) -> list[dict[str, Any]]:
    """The evaluations of a file; none where it is missing or broken, as a training goes on without them."""
    try:
        return read_entries(path)[0]
    except (FileNotFoundError, DataError):
        return []


def write_history(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Replace the file atomically: after a kill it has the old entries or the new ones."""
    write_text(path, "".join(map(_line, entries)))


def append_history(path: str | Path, entry: Mapping[str, Any]) -> None:
    """Append one entry. `read_history` leaves out a line that a kill cut off."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(entry))


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, allow_nan=False) + "\n"


def _rows_of_table(table: LabelTable) -> list[dict[str, Any]]:
    columns = {"label": table.schema.names, **{name: getattr(table, name).tolist() for name in (*_COUNTS, *_SHARES)}}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows_of_metrics(own: Mapping[str, float], schema: LabelSchema | None) -> list[dict[str, Any]]:
    names = {} if schema is None else dict(zip(schema.slugs, schema.names, strict=True))
    rows = []
    for slug in _slugs(own):
        recall, precision, f1, support = (own[f"{m}_{slug}"] for m in LABEL_METRICS)
        right = round(recall * support)
        predicted = round(right / precision) if precision else 0
        known: dict[str, float] = {"support": int(support), "predicted": predicted, "true_positives": right}
        known |= {"recall": recall, "precision": precision, "f1": f1}
        rows.append({"label": names.get(slug, slug), **dict.fromkeys((*_COUNTS, *_SHARES)), **known})
    return rows


def _slugs(own: Mapping[str, float]) -> list[str]:
    """The labels with metrics of their own."""
    slugs = [key[len("support_") :] for key in own if key.startswith("support_")]
    return [slug for slug in slugs if all(f"{metric}_{slug}" in own for metric in LABEL_METRICS)]


def _checked(entry: Any, where: str) -> dict[str, Any]:
    """The entry, if it has the keys that are read everywhere."""
    found = entry if isinstance(entry, dict) else {}
    wrong = [key for key, kind in _KINDS.items() if not isinstance(found.get(key), kind)]
    if wrong:
        what = f"{wrong[0]!r} is missing or of another kind" if found else f"it is a {type(entry).__name__}"
        raise DataError(f"{where}: is no evaluation as this package writes them ({what}).")
    if not all(isinstance(row, dict) and isinstance(row.get("label"), str) for row in found["labels"]):
        raise DataError(f"{where}: an item of 'labels' has no 'label'.")
    return found


def make_run_info(
    schema: LabelSchema,
    args: Any,
    options: Mapping[str, Any],
    weights: ClassWeights | None = None,
    counts: LabelDistribution | None = None,
) -> dict[str, Any]:
    """Describe a run: its labels, weights, settings and package versions, as a JSON-able dict."""
    labels: list[dict[str, Any]] = [{"label": name} for name in schema.names]
    for i, row in enumerate(labels):
        row["weight"] = None if weights is None else float(weights.values[i])
        row["reason"] = "" if weights is None else weights.reasons[i]
        row["custom"] = weights is not None and row["label"] in weights.custom
        row["clamped_from"] = None if weights is None else (weights.clamped or {}).get(row["label"])
        row["train_support"] = None if counts is None else int(counts.support[i])
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
        cross_fitted: the metrics to show then: each part of the rows by thresholds that were tuned on the others.
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
    cross_fitted: Mapping[str, float] | None = None

    @property
    def shown(self) -> Mapping[str, float]:
        """The metrics that do not flatter."""
        return {**self.metrics, **(self.cross_fitted or {})}

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
            "metrics_cross_fitted": self.cross_fitted,
            "data": {**(data or {}), "rows": self.n_rows},
        }
