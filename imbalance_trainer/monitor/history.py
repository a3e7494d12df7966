"""label_history.jsonl: one JSON line for each evaluation, with all labels."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import LABEL_METRICS, LabelTable
from ..utils.errors import DataError
from ..utils.files import atomic_write, finite

FILE_NAME = "label_history.jsonl"
VERSION = 2
"""Version of the lines' content. It rises when keys change."""

MARKER = "secondary_f1_macro"
"""A metric in every evaluation by ImbalanceMetrics. Its key shows the prefix of the evaluation."""


_COUNTS = ("support", "known", "predicted", "true_positives", "found_before_closing")
_SHARES = (
    *("recall", "precision", "f1", "average_precision", "prevalence"),
    *("threshold", "highest_score", "best_threshold", "best_recall", "best_precision"),
)


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
) -> dict[str, Any]:
    """One evaluation as a JSON-able dict. Its labels come from `table`, else from the metrics with label names.

    Args:
        metrics: the evaluation's metrics, with their prefix.
        prefix: that prefix.
        step: updates so far.
        epoch: epochs so far.
        schema: the labels, for the names behind the metrics.
        table: all labels, if available.
        weights: class weights by label.
        train_support: positives in training by label.
        train_losses: (step, loss) logged since the evaluation before.
        focal_gamma: in use.
    """
    own = {key[len(prefix) + 1 :]: value for key, value in metrics.items() if key.startswith(f"{prefix}_")}
    rows = _rows_of_table(table) if table is not None else _rows_of_metrics(own, schema)
    for row in rows:
        row["weight"] = None if weights is None else weights.get(row["label"])
        row["train_support"] = None if train_support is None else train_support.get(row["label"])
    labelled = tuple(f"{metric}_{slug}" for metric in LABEL_METRICS for slug in _slugs(own))
    overall = {key: value for key, value in own.items() if key not in labelled and isinstance(value, (int, float))}
    entry = {
        "version": VERSION,
        "split": prefix,
        "step": step,
        "epoch": epoch,
        "metrics": overall,
        "train_losses": [list(pair) for pair in train_losses],
        "focal_gamma": focal_gamma,
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
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start}).") from None
    entries: list[dict[str, Any]] = []
    lines = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    for i, line in lines:
        try:
            entries.append(_checked(json.loads(line), f"{path}, line {i}"))
        except json.JSONDecodeError as error:
            if i == lines[-1][0] and not text.endswith("\n"):
                return entries, True
            raise DataError(f"{path}, line {i}: is no valid JSON ({error.msg}); mend or delete it.") from None
    return entries, False


def read_history(path: str | Path) -> list[dict[str, Any]]:
    """The evaluations of a file; none where it is missing or broken, as a training goes on without them."""
    try:
        return read_entries(path)[0]
    except (FileNotFoundError, DataError):
        return []


def write_history(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Replace the file atomically: after a kill it has the old entries or the new ones."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished:
        unfinished.write_text("".join(map(_line, entries)), encoding="utf-8")


def append_history(path: str | Path, entry: Mapping[str, Any]) -> None:
    """Append one entry. `read_history` leaves out a line that a kill cut off."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(entry))


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, allow_nan=False) + "\n"


def _rows_of_table(table: LabelTable) -> list[dict[str, Any]]:
    columns = {
        "label": table.schema.names,
        **{name: getattr(table, name).tolist() for name in (*_COUNTS, *_SHARES)},
    }
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
    kinds = {"split": (str,), "step": (int, float), "metrics": (dict,), "labels": (list,)}
    found = type(entry).__name__ if not isinstance(entry, dict) else None
    wrong = next((k for k, kind in kinds.items() if found is None and not isinstance(entry.get(k), kind)), None)
    if found is not None or wrong is not None:
        what = f"found a {found}" if found is not None else f"its {wrong!r} is missing or of another kind"
        raise DataError(f"{where}: is no evaluation as this package writes them ({what}).")
    if not all(isinstance(row, dict) and isinstance(row.get("label"), str) for row in entry["labels"]):
        raise DataError(f"{where}: an item of 'labels' has no 'label'.")
    return entry
