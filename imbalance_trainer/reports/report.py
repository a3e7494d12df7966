"""report.html: what a run did with its labels, in one file that needs nothing else.

Findings first, then recall by label and evaluation, the curves, recall by support, thresholds, weights and
configuration. What the page shows is put together here as data; templates/report.html says it. Everything is text or
a picture with its content in words: it can be read on a phone, on paper, offline and by a screen reader.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ..monitor.diagnose import Finding, Settings, diagnose
from ..monitor.run_record import Entry, RunRecord, place, read_run, recall_of, rows_by_label
from ..utils.numeric import is_number
from ..utils.text import pluralize
from .html import UNKNOWN, Cell, Table, count, number, render, write
from .report_pictures import (
    MAX_ROWS,
    curve_panels,
    loss_picture,
    score_in_words,
    score_picture,
    support_picture,
    train_losses,
)

FILE_NAME = "report.html"

SEVERITIES = {"error": "Error", "warning": "Warning", "note": "Note", "good": "Good"}
"""How severe a finding is, most severe first."""

MAX_COLUMNS = 12
"""Up to so many evaluations each have a column of the heat map."""

RAREST, CHANGED = 20, 10
"""Of more labels the rarest are shown, and those whose recall rose and fell most."""

_METRICS = ("secondary_f1_macro", "f1_macro", "f1_micro", "mean_average_precision", "loss")
_TEST_METRICS = (
    *("loss", "secondary_f1_macro", "secondary_f1_micro", "secondary_recall", "secondary_precision", "f1_macro"),
    *("f1_micro", "mean_average_precision", "primary_f1", "n_labels_without_recall"),
)
_COLUMNS = {
    "positives": ("support", count),
    "predicted": ("predicted", count),
    "found": ("true_positives", count),
    "recall": ("recall", number),
    "precision": ("precision", number),
    "F1": ("f1", number),
    "average precision": ("average_precision", number),
    "threshold": ("threshold", lambda value: number(value, 3)),
    "highest score": ("highest_score", lambda value: number(value, 3)),
    "found before closing": ("found_before_closing", count),
    "threshold of best F1": ("best_threshold", lambda value: number(value, 3)),
    "recall there": ("best_recall", number),
    "precision there": ("best_precision", number),
}


def write_report(
    run_dir: str | Path, output: str | Path | None = None, findings: Sequence[Finding] | None = None
) -> Path:
    """Write the report of a run; the file appears whole or not at all.

    Args:
        run_dir: output directory of a training, with label_history.jsonl and, where they are there, run.json,
            precision_recall.json and config.json.
        output: file to write; None for report.html in that directory.
        findings: what is wrong, most severe first, as `diagnose` gives it; None to diagnose the history.

    Returns:
        The file.

    Raises:
        UsageError: no such folder, no history in it, or a file that cannot be written.
        DataError: a history without an evaluation, or a file that is broken.
    """
    record = read_run(run_dir)
    page = build_report(record, diagnosed(record) if findings is None else findings)
    return write(page, Path(run_dir) / FILE_NAME if output is None else output)


def diagnosed(record: RunRecord) -> Sequence[Finding]:
    """Diagnose a run by the limits that it had, so that the page says what the screen said."""
    said = (record.run or {}).get("settings", {})
    limits = {"patience": said.get("rare_label_patience"), "min_precision": said.get("min_precision")}
    known = {name: value for name, value in limits.items() if value is not None}
    return diagnose(list(record.latest), Settings.from_run(record.run) if record.run else None, **known)


def build_report(record: RunRecord, findings: Sequence[Finding]) -> str:
    """Build the page.

    Args:
        record: the run.
        findings: what is wrong, most severe first.

    Returns:
        HTML.
    """
    return render(
        "report.html",
        record=record,
        place=place,
        score=score_in_words(record),
        counts={word: sum(f.severity == severity for f in findings) for severity, word in SEVERITIES.items()},
        severities=SEVERITIES,
        groups=_finding_groups(findings),
        recall=[_recall(record, split) for split in record.splits],
        curves=[picture for picture in (score_picture(record), loss_picture(record)) if picture],
        numbers=_numbers(record),
        support=support_picture(record),
        thresholds=curve_panels(record),
        labels=_label_table(record, record.current, _mapping(record.decisions.get("thresholds"))),
        test=record.test and {"metrics": _test_metrics(record.test), "labels": _label_table(record, record.test)},
        weights=_weights(record),
        settings=_settings(record.run),
        max_rows=MAX_ROWS,
    )


# ---- findings ----


def _finding_groups(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one kind together, most severe first."""
    order = list(SEVERITIES)
    first = {(f.severity, f.kind): -i for i, f in reversed(list(enumerate(findings)))}
    ranked = sorted(findings, key=lambda f: (order.index(f.severity), -first[f.severity, f.kind]))
    return [list(group) for _, group in groupby(ranked, key=lambda f: (f.severity, f.kind))]


# ---- recall by label and evaluation ----


def _recall(record: RunRecord, split: str) -> dict[str, Any]:
    """What the last evaluation of a split found, what changed since the first, and a heat map."""
    timeline = record.timeline(split)
    recall = {name: recall_of(row) for name, row in rows_by_label(timeline[-1]).items()}
    defined = {name: value for name, value in recall.items() if value is not None}
    changes = _changes(timeline)
    first = rows_by_label(timeline[0])
    moved = []
    if changes:
        ends = {"rose": max(changes, key=changes.__getitem__), "fell": min(changes, key=changes.__getitem__)}
        moved = [(verb, name, recall_of(first[name]), recall[name]) for verb, name in ends.items()
                 if changes[name] * (1 if verb == "rose" else -1) > 0]  # fmt: skip
    return {
        "split": split,
        "last": timeline[-1],
        "n_defined": len(defined),
        "zero_recall": [name for name in record.rarest_first if defined.get(name) == 0],
        "mean": fmean(defined.values()) if defined else None,
        "moved": moved,
        "table": _heat_map(record, timeline),
    }


def _changes(timeline: Sequence[Entry]) -> dict[str, float]:
    """By how much recall changed from the first evaluation to the last, where both define it."""
    if len(timeline) < 2:
        return {}
    before = {name: recall_of(row) for name, row in rows_by_label(timeline[0]).items()}
    after = {name: recall_of(row) for name, row in rows_by_label(timeline[-1]).items()}
    return {n: b - a for n, b in after.items() if b is not None and (a := before.get(n)) is not None}


def _shown_labels(record: RunRecord, timeline: Sequence[Entry]) -> list[str]:
    """The labels that have a row: all, or of more than MAX_ROWS the rarest and those whose recall changed most."""
    order = record.rarest_first
    if len(order) <= MAX_ROWS:
        return order
    rarest = set(order[:RAREST])
    changes = {name: change for name, change in _changes(timeline).items() if name not in rarest and change}
    ranked = sorted(changes, key=changes.__getitem__)
    shown = {*rarest, *ranked[:CHANGED], *ranked[-CHANGED:]}
    return [name for name in order if name in shown]


def _thinned(timeline: Sequence[Entry], best: Entry | None) -> list[Entry]:
    """At most MAX_COLUMNS evaluations, evenly from the first to the last, and the best."""
    steps = [entry["step"] for entry in timeline]
    kept = set(np.linspace(0, len(steps) - 1, min(len(steps), MAX_COLUMNS)).round().astype(int).tolist())
    kept |= {steps.index(best["step"])} if best is not None and best["step"] in steps else set()
    return [timeline[i] for i in sorted(kept)]


def _heat_map(record: RunRecord, timeline: Sequence[Entry]) -> Table:
    columns, names = _thinned(timeline, record.best), _shown_labels(record, timeline)
    recalls = [{name: recall_of(row) for name, row in rows_by_label(entry).items()} for entry in columns]
    support = rows_by_label(timeline[-1])
    rows: list[list[str | Cell]] = []
    for name in names:
        counts = (record.train_support.get(name), support.get(name, {}).get("support"))
        rows.append([name, *(Cell(count(n), "n") for n in counts), *(_heat_cell(of.get(name)) for of in recalls)])
    values = [[value for value in of.values() if value is not None] for of in recalls]
    blank = [Cell("", "n")] * 2
    means = [_heat_cell(fmean(v) if v else None, framed=False) for v in values]
    zeros = [Cell(f"{sum(value == 0 for value in v):,}", "z") for v in values]
    rows += [["mean of all labels with positives", *blank, *means], ["labels at recall 0, of all", *blank, *zeros]]
    heads = [Cell(_column_head(record, entry), "e") for entry in columns]
    header: list[Any] = ["label", Cell("positives in training", "n"), Cell("positives here", "n"), *heads]
    what = pluralize(len(record.rarest_first), "label")
    if len(names) < len(record.rarest_first):
        what = f"{len(names)} of {what}: the {RAREST} rarest and those whose recall changed most"
    when = f", {len(columns)} of {len(timeline)} evaluations" if len(columns) < len(timeline) else ""
    kind = "heat many" if len(columns) > 8 else "heat"
    return Table(f"Recall by evaluation ({what}{when})", header, rows, kind)


def _column_head(record: RunRecord, entry: Entry) -> str:
    is_best = record.best is not None and entry["step"] == record.best["step"] and entry["split"] == record.splits[0]
    lines = [f"epoch {entry['epoch']:.3g}"] if is_number(entry.get("epoch")) else []
    return "\n".join([*lines, f"step {entry['step']:,}", *["best"] * is_best])


def _heat_cell(recall: float | None, framed: bool = True) -> Cell:
    if recall is None:
        return Cell(UNKNOWN, "none")
    if recall == 0 and framed:
        return Cell("0.00", "zero")
    return Cell(number(recall), f"h{round(min(max(recall, 0.0), 1.0) * 10)}")


# ---- tables ----


def _numbers(record: RunRecord) -> Table:
    """What the curves show."""
    rows = []
    for entry in [entry for split in record.splits for entry in record.timeline(split)]:
        train = next((y for _, y in reversed(train_losses([entry]))), None)
        values = [number(entry["metrics"].get(m), 4 if m == "loss" else 3) for m in _METRICS]
        rows.append([place(entry) + f", {entry['split']}" * (len(record.splits) > 1), *values, number(train, 4)])
    header = ["evaluation", *_METRICS[:-1], "loss here", "last training loss"]
    return Table("Metrics and loss of each evaluation", header, rows, heads="text")


def _label_table(record: RunRecord, entry: Entry, stored: Mapping[str, Any] | None = None) -> Table:
    """An evaluation label by label; columns of which nothing is known are left out."""
    rows = rows_by_label(entry)
    columns: dict[str, Any] = {
        head: of for head, of in _COLUMNS.items() if any(is_number(row.get(of[0])) for row in rows.values())
    }
    if all(row.get("found_before_closing") == row.get("true_positives") for row in rows.values()):
        columns.pop("found before closing", None)  # closing took nothing away
    names = list(dict.fromkeys([*(name for name in record.rarest_first if name in rows), *rows]))
    cells = {head: [show(_defined(rows[name], key)) for name in names] for head, (key, show) in columns.items()}
    if record.train_support:
        cells = {"positives in training": [count(record.train_support.get(name)) for name in names], **cells}
    if stored:
        cells["in config.json"] = [number(stored.get(name), 3) for name in names]
    caption = f"All labels on {entry['split']}, {place(entry)}, rarest first"
    return Table(caption, ["label", *cells], list(zip(names, *cells.values(), strict=True)), "wide", room=1000)


def _defined(row: Mapping[str, Any], key: str) -> Any:
    """A label's value; None where it is 0 / 0."""
    of = "support" if key in ("recall", "average_precision") else "predicted" if key == "precision" else None
    return None if of is not None and row.get(of) == 0 else row.get(key)


def _test_metrics(entry: Entry) -> Table:
    rows = [
        [name, number(entry["metrics"][name], 3)] for name in _TEST_METRICS if is_number(entry["metrics"].get(name))
    ]
    return Table(f"Metrics on test, {place(entry)}", ["metric", "value"], rows, heads="code")


def _weights(record: RunRecord) -> dict[str, Any] | None:
    """The class weights and where they come from; None where none are known."""
    now = rows_by_label(record.current)
    known = {name: {k: v for k, v in row.items() if v is not None} for name, row in record.of_labels.items()}
    rows = {name: {**now.get(name, {}), **known.get(name, {})} for name in record.rarest_first}
    weights = {name: row["weight"] for name, row in rows.items() if is_number(row.get("weight"))}
    if not weights:
        return None
    cap = (record.run.get("settings") or {}).get("max_weight")
    body = [[name, count(row.get("train_support")), _ratio(row.get("ratio")), number(row.get("weight")),
             row.get("reason") or "not recorded"] for name, row in rows.items()]  # fmt: skip
    header = ["label", "positives in training", "ratio", "weight", "where it comes from"]
    caption = f"Class weights of {pluralize(len(body), 'label')}, rarest first"
    return {
        "of": weights,
        "low": min(weights, key=weights.__getitem__),
        "high": max(weights, key=weights.__getitem__),
        "cap": cap,
        "at_cap": [name for name in weights if is_number(cap) and weights[name] >= cap],
        "table": Table(caption, header, body, left=(4,)),
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _ratio(value: Any) -> str:
    return f"{value:,.3g}" if is_number(value) and value < 1000 else count(value)


def _settings(run: Mapping[str, Any]) -> list[Table]:
    """Settings and versions."""
    settings = run.get("settings") or {}
    if is_number(run.get("n_train_rows")):
        settings = {"n_train_rows": count(run["n_train_rows"]), **settings}
    about = (("Settings", "setting", "value", settings), ("Versions", "package", "version", run.get("versions") or {}))
    return [Table(title, heads, [[key, _setting(value)] for key, value in values.items()], left=(1,), heads="code")
            for title, *heads, values in about if values]  # fmt: skip


def _setting(value: Any) -> str:
    """A value as it would be typed."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
