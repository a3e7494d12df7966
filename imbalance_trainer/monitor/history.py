"""label_history.jsonl: every evaluation, label by label, one JSON line each."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import LABEL_METRICS, LabelTable
from ..utils.files import atomic_write, finite

FILE_NAME = "label_history.jsonl"
VERSION = 2
"""Version of the lines' content; it rises when keys change. 2 has thresholds, what would be best, and train_losses."""

MARKER = "secondary_f1_macro"
"""A metric that every evaluation of ours has: by its key the prefix of an evaluation is found."""


_COUNTS = ("support", "known", "predicted", "true_positives", "found_before_closing")
_SHARES = (
    *("recall", "precision", "f1", "average_precision", "prevalence"),
    *("threshold", "highest_score", "best_threshold", "best_recall", "best_precision"),
)


def metric_prefix(metrics: Mapping[str, Any]) -> str | None:
    """The prefix ("eval", "eval_<dataset>", "test") of an evaluation's metrics; None where they are not ours."""
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
    """One evaluation as a JSON-able dict; its labels come from `table`, else from the metrics that name labels.

    Args:
        metrics: the evaluation's metrics, with their prefix.
        prefix: that prefix.
        step: updates so far.
        epoch: epochs so far.
        schema: the labels, for the names behind the metrics.
        table: all labels, where they are known.
        weights: class weights by label.
        train_support: positives in training by label.
        train_losses: (step, loss) of what was logged since the evaluation before.
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


def read_history(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a file; a missing file has none, and a last line that was cut off by a kill is left out."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries


def write_history(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Replace the file as a whole: after a kill it holds the old entries or the new ones, nothing between."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished:
        unfinished.write_text("".join(map(_line, entries)), encoding="utf-8")


def append_history(path: str | Path, entry: Mapping[str, Any]) -> None:
    """Add one entry; if a kill cuts its line off, `read_history` leaves that line out."""
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
    """The labels that have metrics of their own."""
    slugs = [key[len("support_") :] for key in own if key.startswith("support_")]
    return [slug for slug in slugs if all(f"{metric}_{slug}" in own for metric in LABEL_METRICS)]
