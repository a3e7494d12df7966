"""report.html: what a run did with its labels, in one file that needs nothing else.

Findings first, then recall by label and evaluation, the curves, recall by support, thresholds, weights and
configuration. What the page shows is put together here as data; templates/report.html puts it into words. Everything
is text or a picture with its content in words: it can be read on a phone, on paper, offline and by a screen reader.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ..monitor.diagnose import Finding, Settings, diagnose
from ..monitor.run_files import headline
from ..monitor.run_record import Entry, RunRecord, place, read_run, recall_of, rows_by_label
from ..utils.files import written
from ..utils.numeric import is_number, wilson_interval
from ..utils.text import pluralize
from .html import MAX_ROWS, UNKNOWN, Cell, Table, count, number, render
from .pictures import (
    INK,
    MUTED,
    SERIES,
    WHITE,
    Picture,
    Points,
    dot_chart,
    inline,
    label_chart,
    line_chart,
    new_figure,
)

FILE_NAME = "report.html"

MAX_COLUMNS = 12
"""Up to so many evaluations each have a column of the heat map."""

RAREST, CHANGED = 20, 10
"""Of more labels the rarest are shown, and those whose recall rose and fell most."""

_METRICS = ("f1_macro", "f1_micro", "mean_average_precision", "loss")
_TEST_METRICS = (
    *("loss", "secondary_f1_macro", "secondary_f1_micro", "secondary_recall", "secondary_precision", "f1_macro"),
    *("f1_micro", "mean_average_precision", "primary_f1", "n_labels_without_recall"),
)
_COLUMNS = {
    "positives": "support",
    "predicted": "predicted",
    "found": "true_positives",
    "recall": "recall",
    "precision": "precision",
    "F1": "f1",
    "average precision": "average_precision",
    "threshold": "threshold",
    "highest score": "highest_score",
    "found before closing": "found_before_closing",
    "threshold of best F1": "best_threshold",
    "recall there": "best_recall",
    "precision there": "best_precision",
}
_COUNTED = ("support", "predicted", "true_positives", "found_before_closing")
_THREE_DIGITS = ("threshold", "highest_score", "best_threshold")


def write_report(
    run_dir: str | Path, output: str | Path | None = None, findings: Sequence[Finding] | None = None
) -> Path:
    """Write the report of a run, atomically, and return its path.

    Args:
        run_dir: output directory of a training, with label_history.jsonl and, where they are there, run.json,
            precision_recall.json and config.json.
        output: file to write; None for report.html in that directory.
        findings: what is wrong, most severe first, as `diagnose` gives it; None to diagnose the history.

    Raises:
        UsageError: no such folder, no history in it, or a file that cannot be written.
        DataError: a history without an evaluation, or a file that is broken.
    """
    record = read_run(run_dir)
    page = build_report(record, diagnosed(record) if findings is None else findings)
    path = Path(run_dir) / FILE_NAME if output is None else Path(output)
    with written(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return path


def diagnosed(record: RunRecord) -> Sequence[Finding]:
    """Diagnose a run by the limits that it had, so that the page says what the screen said."""
    said = record.run.get("settings") or {}
    limits = {"patience": said.get("rare_label_patience"), "min_precision": said.get("min_precision")}
    known = {name: value for name, value in limits.items() if value is not None}
    return diagnose(list(record.latest), Settings.from_run(record.run) if record.run else None, **known)


def build_report(record: RunRecord, findings: Sequence[Finding]) -> str:
    """Build the page, as HTML."""
    return render(
        "report.html",
        record=record,
        place=place,
        scored=[e for e in record.timeline(record.splits[0]) if is_number(e["metrics"].get(record.metric))],
        groups=[list(group) for _, group in groupby(findings, key=lambda f: (f.severity, f.kind))],
        recall={split: _heat_map(record, record.timeline(split)) for split in record.splits},
        curves=[picture for picture in (_score_picture(record), _loss_picture(record)) if picture],
        numbers=_numbers(record),
        support=_support_picture(record),
        thresholds=_curve_panels(record),
        labels=_label_table(record, record.current, record.decisions.get("thresholds")),
        test=record.test and {"metrics": _test_metrics(record.test), "labels": _label_table(record, record.test)},
        weights=_weights(record),
        settings=_settings(record.run),
    )


# ---- tables ----


def _heat_map(record: RunRecord, timeline: Sequence[Entry]) -> Table:
    """Recall by label and evaluation."""
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
    zeros = [Cell(f"{v.count(0):,}", "z") for v in values]
    rows += [["mean of all labels with positives", *blank, *means], ["labels at recall 0, of all", *blank, *zeros]]
    heads = [Cell(_column_head(record, entry), "e") for entry in columns]
    header: list[Any] = ["label", Cell("positives in training", "n"), Cell("positives here", "n"), *heads]
    what = pluralize(len(record.rarest_first), "label")
    if len(names) < len(record.rarest_first):
        what = f"{len(names)} of {what}: the {RAREST} rarest and those whose recall changed most"
    when = f", {len(columns)} of {len(timeline)} evaluations" if len(columns) < len(timeline) else ""
    kind = "heat many" if len(columns) > 8 else "heat"
    return Table(f"Recall by evaluation ({what}{when})", header, rows, kind)


def _shown_labels(record: RunRecord, timeline: Sequence[Entry]) -> list[str]:
    """The labels that have a row: all, or of more than MAX_ROWS the rarest and those whose recall changed most."""
    order = record.rarest_first
    if len(order) <= MAX_ROWS:
        return order
    before, after = (rows_by_label(timeline[i]) for i in (0, -1))
    recalls = {name: (recall_of(before.get(name)), recall_of(after.get(name))) for name in order[RAREST:]}
    changes = {name: b - a for name, (a, b) in recalls.items() if a is not None and b is not None and a != b}
    ranked = sorted(changes, key=changes.__getitem__)
    shown = {*order[:RAREST], *ranked[:CHANGED], *ranked[-CHANGED:]}
    return [name for name in order if name in shown]


def _thinned(timeline: Sequence[Entry], best: Entry | None) -> list[Entry]:
    """At most MAX_COLUMNS evaluations, evenly from the first to the last, and the best."""
    steps = [entry["step"] for entry in timeline]
    kept = set(np.linspace(0, len(steps) - 1, min(len(steps), MAX_COLUMNS)).round().astype(int).tolist())
    kept |= {steps.index(best["step"])} if best is not None and best["step"] in steps else set()
    return [timeline[i] for i in sorted(kept)]


def _column_head(record: RunRecord, entry: Entry) -> str:
    is_best = record.best is not None and entry["step"] == record.best["step"] and entry["split"] == record.splits[0]
    lines = [f"epoch {entry['epoch']:.3g}"] if is_number(entry.get("epoch")) else []
    return "\n".join([*lines, f"step {entry['step']:,}", *["best"] * is_best])


def _heat_cell(recall: float | None, framed: bool = True) -> Cell:
    if recall is None:
        return Cell(UNKNOWN, "none")
    is_zero = recall == 0 and framed
    return Cell(number(recall), "zero" if is_zero else f"h{round(min(max(recall, 0.0), 1.0) * 10)}")


def _numbers(record: RunRecord) -> Table:
    """What the curves show."""
    rows = []
    metrics = list(dict.fromkeys((headline(record.current["metrics"]), *_METRICS)))
    for entry in [entry for split in record.splits for entry in record.timeline(split)]:
        train = next((y for _, y in reversed(_train_losses([entry]))), None)
        values = [number(entry["metrics"].get(m), 4 if m == "loss" else 3) for m in metrics]
        rows.append([place(entry) + f", {entry['split']}" * (len(record.splits) > 1), *values, number(train, 4)])
    header = ["evaluation", *metrics[:-1], "loss here", "last training loss"]
    return Table("Metrics and loss of each evaluation", header, rows, heads="text")


def _label_table(record: RunRecord, entry: Entry, stored: Mapping[str, Any] | None = None) -> Table:
    """An evaluation label by label; columns of which nothing is known are left out."""
    rows = rows_by_label(entry)
    columns = {head: key for head, key in _COLUMNS.items() if any(is_number(row.get(key)) for row in rows.values())}
    if all(row.get("found_before_closing") == row.get("true_positives") for row in rows.values()):
        columns.pop("found before closing", None)  # the rules took nothing away
    names = list(dict.fromkeys([*(name for name in record.rarest_first if name in rows), *rows]))
    cells = {head: [_label_cell(rows[name], key) for name in names] for head, key in columns.items()}
    if record.train_support:
        cells = {"positives in training": [count(record.train_support.get(name)) for name in names], **cells}
    if stored:
        cells["in config.json"] = [number(stored.get(name), 3) for name in names]
    caption = f"All labels on {entry['split']}, {place(entry)}, rarest first"
    return Table(caption, ["label", *cells], list(zip(names, *cells.values(), strict=True)), "wide", room=1000)


def _label_cell(row: Mapping[str, Any], key: str) -> str:
    """A label's value; a hyphen where it is 0 / 0."""
    of = "support" if key in ("recall", "average_precision") else "predicted" if key == "precision" else None
    if of is not None and row.get(of) == 0:
        return UNKNOWN
    return count(row.get(key)) if key in _COUNTED else number(row.get(key), 3 if key in _THREE_DIGITS else 2)


def _test_metrics(entry: Entry) -> Table:
    known = {name: entry["metrics"][name] for name in _TEST_METRICS if is_number(entry["metrics"].get(name))}
    rows = [[name, number(value, 3)] for name, value in known.items()]
    return Table(f"Metrics on test, {place(entry)}", ["metric", "value"], rows, heads="code")


def _weights(record: RunRecord) -> Table | None:
    """The class weights and where they come from; None where none are known."""
    now = rows_by_label(record.current)
    known = {name: {k: v for k, v in row.items() if v is not None} for name, row in record.of_labels.items()}
    rows = {name: {**now.get(name, {}), **known.get(name, {})} for name in record.rarest_first}
    if not any(is_number(row.get("weight")) for row in rows.values()):
        return None
    body = [[name, count(row.get("train_support")), number(row.get("ratio"), 1), number(row.get("weight")),
             row.get("reason") or "not recorded"] for name, row in rows.items()]  # fmt: skip
    header = ["label", "positives in training", "ratio", "weight", "where it comes from"]
    return Table(f"Class weights of {pluralize(len(body), 'label')}, rarest first", header, body, left=(4,))


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


# ---- pictures ----


def _score_picture(record: RunRecord) -> Picture | None:
    """The score that matters, and two others, over the steps; None where there is none."""
    metric, best = record.metric, record.best
    if metric is None or best is None:
        return None
    if len(record.splits) > 1:
        lines = {f"{metric}, {split}": _points(record.timeline(split), metric) for split in record.splits}
    else:
        names = dict.fromkeys((metric, "f1_macro", "mean_average_precision"))
        lines = {name: _points(record.timeline(record.splits[0]), name) for name in names}
    value = best["metrics"][metric]
    ring = (best["step"], value, f"best {number(value)}")
    caption = f"Scores over the training steps. The ring marks the best {metric}."
    return inline("score", f"{metric} over the training steps", caption, lambda: line_chart(lines, "score", ring))


def _loss_picture(record: RunRecord) -> Picture | None:
    """The losses of training and of each evaluated split over the steps; None where there is none."""
    train = _train_losses(record.timeline(record.splits[0]))
    lines = {"training loss": train}
    lines |= {f"loss on {split}": _points(record.timeline(split), "loss") for split in record.splits}
    if not any(y is not None for points in lines.values() for _, y in points):
        return None
    lost = [step for step, y in train if y is None]
    caption = "Training loss as logged, and the loss of each evaluation."
    if lost:
        caption += f" It was NaN or infinite at {pluralize(len(lost), 'logged step')}, first at step {lost[0]:,}."
    return inline("loss", "Loss over the training steps", caption, lambda: line_chart(lines, "loss"))


def _train_losses(timeline: Sequence[Entry]) -> Points:
    """(step, loss) as logged, by step; None where the loss was NaN or infinite."""
    logged = [p for e in timeline for p in e.get("train_losses") or () if isinstance(p, list) and len(p) == 2]
    return sorted(((s, y if is_number(y) else None) for s, y in logged if is_number(s)), key=lambda pair: pair[0])


def _points(timeline: Sequence[Entry], metric: str) -> Points:
    return [(e["step"], v if is_number(v := e["metrics"].get(metric)) else None) for e in timeline]


def _support_picture(record: RunRecord) -> Picture | None:
    """Whether the rare labels are found as well as the common ones; None where no label has positives."""
    rows = rows_by_label(record.current)
    known = record.train_support if all(name in record.train_support for name in rows) else {}
    where = "training" if known else record.current["split"]
    support: dict[str, Any] = {name: known.get(name, row.get("support")) for name, row in rows.items()}
    names = [n for n in record.rarest_first if recall_of(rows[n]) is not None and is_number(support[n])]
    if not names:
        return None
    recalls = [rows[name]["recall"] for name in names]
    half = max(len(names) // 2, 1)
    means = f"Mean recall of the rarer half {fmean(recalls[:half]):.2f}, of the commoner {fmean(recalls[-half:]):.2f}."
    title = f"Recall of each label, by positives in {where}"
    if len(names) > MAX_ROWS:
        counts = [max(support[name], 1.0) for name in names]
        return inline("support-recall", title, f"{means} Each dot is a label; a diamond is one at recall 0.",
                      lambda: dot_chart(counts, recalls, f"positives in {where}, log scale"))  # fmt: skip
    intervals = [wilson_interval(rows[n]["true_positives"], rows[n]["support"])
                 if is_number(rows[n].get("true_positives")) else None for n in names]  # fmt: skip
    legend = f"At the right the positives in {where}. The lines are 95% intervals of recall. Hollow: recall 0."
    notes = [count(support[name]) for name in names]
    return inline("support-recall", title, f"{means} {legend}",
                  lambda: label_chart(names, {"recall": recalls}, "recall", notes, intervals, (0, 1)))  # fmt: skip


def _curve_panels(record: RunRecord) -> dict[str, Any]:
    """Precision-recall curves with the thresholds in use and those of the best F1."""
    curves = record.curves.get("curves") or ()
    split, step = record.curves.get("split"), record.curves.get("step")
    entry = next((e for e in reversed(record.entries) if e["split"] == split and e["step"] == step), None)
    rows = {} if entry is None else rows_by_label(entry)
    empty = [c["label"] for c in curves if rows.get(c["label"], {}).get("support") == 0 or len(c["recall"]) < 2]
    drawn = [curve for curve in curves if curve["label"] not in empty]
    panels = [{"label": curve["label"], "row": rows.get(curve["label"], {}), "picture": _curve(i, curve, rows)}
              for i, curve in enumerate(drawn)]  # fmt: skip
    return {"entry": entry, "panels": panels, "empty": empty}


def _curve(i: int, curve: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> Picture:
    row = rows.get(curve["label"], {})
    points = [(row.get(f"{of}recall"), row.get(f"{of}precision"), not of) for of in ("", "best_")]
    known = [(r, p, use) for r, p, use in points
             if is_number(r) and is_number(p) and (row.get("predicted") or not use)]  # fmt: skip

    def figure() -> Any:
        picture = new_figure(2.6, 2.2)
        axes = picture.subplots()
        ends: dict[str, Any] = {"xlim": (0, 1), "ylim": (0, 1), "xticks": (0, 0.5, 1), "yticks": (0, 0.5, 1)}
        axes.set(xlabel="recall", ylabel="precision", **ends)
        axes.grid()
        if (chance := row.get("prevalence")) is not None:
            axes.axhline(chance, color=MUTED, linewidth=1, linestyle="--", zorder=1.5)
        x, y = [0, *curve["recall"]], [curve["precision"][0], *curve["precision"]]
        axes.plot(x, y, color=SERIES[0][0], linewidth=1.5, drawstyle="steps-pre", clip_on=False)
        for at, value, is_in_use in reversed(known):  # both are seen where they meet
            face, size = (INK, 4.5) if is_in_use else (WHITE, 8.5)
            axes.plot([at], [value], "o", color=INK, markerfacecolor=face, markersize=size, clip_on=False, zorder=4)
        return picture

    title = f"Precision over recall of {curve['label']}"
    return inline(f"curve-{i}", title, "The dots are described in the text below.", figure)
