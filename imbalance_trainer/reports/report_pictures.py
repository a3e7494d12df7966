"""The pictures of a training report, each with a sentence of what it shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..monitor.run_record import Entry, RunRecord, place, recall_of, rows_by_label
from ..utils.numeric import is_number, wilson_interval
from ..utils.text import pluralize
from .evaluation_plots import Decided, draw_precision_recall, square
from .html import count, number
from .pictures import SERIES, Picture, inline, label_chart, log_limits, new_figure, number_axis

MAX_ROWS = 60
"""Up to so many labels each have a row that is seen at once."""

Points = list[tuple[float, float | None]]


def score_in_words(record: RunRecord) -> str:
    """Say how the score that matters went, and whether the best model is the last one."""
    metric, best = record.metric, record.best
    if metric is None or best is None:
        return "No evaluation has an F1 that says which model is the best."
    valued = [e for e in record.timeline(record.splits[0]) if is_number(e["metrics"].get(metric))]
    first, last = valued[0], valued[-1]
    a, b, c = (number(e["metrics"][metric], 3) for e in (first, last, best))
    if len(valued) == 1:
        return f"One evaluation so far: {metric} is {a} at {place(first)}."
    text = f"{metric} went from {a} at {place(first)} to {b} at {place(last)}"
    if best is last:
        return f"{text}; the last evaluation is the best."
    return f"{text}; the best was {c} at {place(best)}, not the last one."


def score_picture(record: RunRecord) -> Picture | None:
    """Draw the score that matters, and two others, over the steps; None where there is none."""
    metric, best = record.metric, record.best
    if metric is None or best is None:
        return None
    only = len(record.splits) == 1
    lines = {metric if only else f"{metric}, {split}": _points(record.timeline(split), metric)
             for split in record.splits}  # fmt: skip
    others = [m for m in ("f1_macro", "mean_average_precision") if only and m != metric]
    lines |= {m: _points(record.timeline(record.splits[0]), m) for m in others}
    lines = {name: points for name, points in lines.items() if any(y is not None for _, y in points)}
    top = max(y for points in lines.values() for _, y in points if y is not None)
    ceiling = next((limit for limit in (0.1, 0.2, 0.5) if top <= 0.85 * limit), 1.0)
    value = best["metrics"][metric]
    ring = (best["step"], value, f"best {number(value)}")
    return inline("score", f"{metric} over the training steps", score_in_words(record),
                  lambda: _line_chart(lines, ("step", "score"), (0.0, ceiling), ring))  # fmt: skip


def loss_picture(record: RunRecord) -> Picture | None:
    """Draw the losses of training and of each evaluated split over the steps; None where there is none."""
    train = train_losses(record.timeline(record.splits[0]))
    lines = {"training loss": train}
    lines |= {f"loss on {split}": _points(record.timeline(split), "loss") for split in record.splits}
    lines = {name: points for name, points in lines.items() if any(y is not None for _, y in points)}
    if not lines:
        return None
    return inline("loss", "Loss over the training steps", _loss_in_words(record, train),
                  lambda: _line_chart(lines, ("step", "loss"), unmarked=["training loss"]))  # fmt: skip


def _loss_in_words(record: RunRecord, train: Points) -> str:
    known, lost = [(s, y) for s, y in train if y is not None], [s for s, y in train if y is None]
    parts = ["No training loss is in the history."]
    if known:
        (first, before), (last, after) = known[0], known[-1]
        went = f"went from {before:.3g} (step {first:,}) to" if len(known) > 1 else "is"
        parts = [f"Training loss {went} {after:.3g} (step {last:,})."]
    if lost:
        parts.append(f"It was NaN or infinite at {pluralize(len(lost), 'logged step')}, first at step {lost[0]:,}.")
    split = record.splits[0]
    points = [(e["metrics"]["loss"], e) for e in record.timeline(split) if is_number(e["metrics"].get("loss"))]
    if points:
        least, lowest = min(points, key=lambda pair: pair[0])
        low = f"; its lowest was {least:.3g} at {place(lowest)}" if len(points) > 1 else ""
        parts.append(f"Loss on {split} is {points[-1][0]:.3g}{low}.")
    return " ".join(parts)


def train_losses(timeline: Sequence[Entry]) -> Points:
    """Read (step, loss) as logged, by step; None where the loss was NaN or infinite."""
    logged = [p for e in timeline for p in e.get("train_losses") or () if isinstance(p, list) and len(p) == 2]
    return sorted(((s, y if is_number(y) else None) for s, y in logged if is_number(s)), key=lambda pair: pair[0])


def _points(timeline: Sequence[Entry], metric: str) -> Points:
    return [(e["step"], v if is_number(v := e["metrics"].get(metric)) else None) for e in timeline]


# ---- recall by support ----


def support_picture(record: RunRecord) -> Picture | None:
    """Draw whether the rare labels are found as well as the common ones; None where no label has positives."""
    rows = rows_by_label(record.current)
    known = record.train_support if all(name in record.train_support for name in rows) else {}
    where = "training" if known else record.current["split"]
    support: dict[str, Any] = {name: known.get(name, row.get("support")) for name, row in rows.items()}
    names = [n for n in record.rarest_first if recall_of(rows[n]) is not None and is_number(support[n])]
    if not names:
        return None
    recalls = [rows[name]["recall"] for name in names]
    words = _support_in_words([support[name] for name in names], recalls, where)
    if len(names) > MAX_ROWS:
        counts = [max(support[name], 1.0) for name in names]
        return inline("support-recall", f"Recall over positives in {where}",
                      f"{words} Each dot is a label; a diamond is one at recall 0.",
                      lambda: _dot_chart(counts, recalls, (f"positives in {where}, log scale", "recall")))  # fmt: skip
    intervals = [wilson_interval(rows[n]["true_positives"], rows[n]["support"])
                 if is_number(rows[n].get("true_positives")) else None for n in names]  # fmt: skip
    legend = (
        f"Rarest label first; at the right the positives in {where}. The lines are 95% intervals: what recall may "
    )
    legend += "be, seen so few positives. A hollow dot is at recall 0."
    notes = [count(support[name]) for name in names]
    return inline("support-recall", f"Recall of each label, by positives in {where}", f"{words} {legend}",
                  lambda: label_chart(names, {"recall": recalls}, "recall", notes, intervals, (0, 1)))  # fmt: skip


def _support_in_words(support: Sequence[float], recalls: Sequence[float], where: str) -> str:
    """How the rarer half of the labels fares against the commoner half; of less than four labels each one."""
    if len(recalls) < 4:
        return f"{pluralize(len(recalls), 'label')} with positives: recall {', '.join(map(number, recalls))}."
    order, said = np.argsort(support, kind="stable"), []
    for which, side in (("rarer", order[: len(order) // 2]), ("commoner", order[len(order) // 2 :])):
        spread = f"{support[side[0]]:,.0f} to {support[side[-1]]:,.0f} positives in {where}"
        values = np.asarray(recalls)[side]
        said.append(f"The {which} {len(side):,} labels ({spread}) have a mean recall of {values.mean():.2f}, "
                    f"{(values == 0).sum():,} of them 0.")  # fmt: skip
    return " ".join(said)


# ---- precision over recall ----


def curve_panels(record: RunRecord) -> dict[str, Any]:
    """Draw precision-recall curves with the thresholds in use and those of the best F1."""
    curves = record.curves.get("curves") or ()
    split, step = record.curves.get("split"), record.curves.get("step")
    entry = next((e for e in reversed(record.entries) if e["split"] == split and e["step"] == step), None)
    rows = {} if entry is None else rows_by_label(entry)
    empty = [c["label"] for c in curves if rows.get(c["label"], {}).get("support") == 0 or len(c["recall"]) < 2]
    drawn = [curve for curve in curves if curve["label"] not in empty]
    panels = [_panel(i, curve, rows.get(curve["label"], {})) for i, curve in enumerate(drawn)]
    return {"entry": entry, "panels": panels, "empty": empty}


def _panel(i: int, curve: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """A label's curve, and what is said of it line by line."""
    points, lines = [], []
    support, average = row.get("support"), row.get("average_precision")
    if is_number(average) and support:
        lines.append(f"Average precision {number(average)}, {pluralize(round(support), 'positive')}.")
    if is_number(row.get("recall")) and is_number(row.get("precision")) and support:
        precision = row["precision"] if row.get("predicted") != 0 else None
        points.append(Decided(row.get("threshold"), row["recall"], precision, True))
        at = f"at threshold {row['threshold']:.2g}" if is_number(row.get("threshold")) else "as decided"
        said = "not defined (nothing predicted)" if precision is None else number(precision)
        lines.append(f"● {at}: recall {number(row['recall'])}, precision {said}.")
    best: list[Any] = [row.get(key) for key in ("best_threshold", "best_recall", "best_precision")]
    if all(map(is_number, best)) and support:
        points.append(Decided(best[0], best[1], best[2], is_in_use=False))
        lines.append(f"○ best F1 at {best[0]:.2g}: recall {number(best[1])}, precision {number(best[2])}.")
    lines = lines or ["The history has no evaluation of that step."]
    chance = row.get("prevalence") if is_number(row.get("prevalence")) else None

    def figure() -> Any:
        picture = new_figure(2.6, 2.2)
        axes = picture.subplots()
        square(axes)
        axes.set(xlabel="recall", ylabel="precision")
        draw_precision_recall(axes, curve["recall"], curve["precision"], points, chance)
        return picture

    title = f"Precision over recall of {curve['label']}"
    return {"label": curve["label"], "lines": lines, "picture": inline(f"curve-{i}", title, " ".join(lines), figure)}


# ---- charts ----


def _line_chart(
    series: Mapping[str, Sequence[tuple[float, float | None]]],
    axes_names: tuple[str, str],
    limits: tuple[float, float] | None = None,
    ring: tuple[float, float, str] | None = None,
    unmarked: Sequence[str] = (),
) -> Any:
    """Lines over a number, up to four; a line breaks where y is None.

    Args:
        series: (x, y) from left to right, by name.
        axes_names: what x and y are.
        limits: of the y axis; None for what fits the values.
        ring: x, y and words of a point that stands out.
        unmarked: series whose points have no marks.
    """
    figure = new_figure(5, 3.2)
    axes = figure.subplots()
    for (name, points), (colour, marker, dashes) in zip(series.items(), SERIES, strict=False):
        x, y = [p[0] for p in points], [np.nan if p[1] is None else p[1] for p in points]
        marker = "" if len(points) > (1 if name in unmarked else 25) else marker
        axes.plot(x, y, color=colour, marker=marker, linestyle=dashes, markersize=5, label=name)
    if ring is not None:
        axes.plot(*[[at] for at in ring[:2]], "o", color=SERIES[1][0], markerfacecolor="none", markersize=13)
        side = 18 if ring[1] < 0.75 * axes.get_ylim()[1] else -22
        axes.annotate(ring[2], ring[:2], (0, side), textcoords="offset points", ha="center", va="center")
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    if limits is not None:
        axes.set_ylim(*limits)
    axes.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=2, handlelength=3)
    return figure


def _dot_chart(x: Sequence[float], y: Sequence[float], axes_names: tuple[str, str]) -> Any:
    """A dot for each of many labels over a count on a log scale; a diamond where y is 0."""
    figure = new_figure(5, 3.2)
    axes = figure.subplots()
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    for is_zero, (colour, _, _), marker in ((True, SERIES[1], "D"), (False, SERIES[0], "o")):
        at = (ys == 0) == is_zero
        axes.plot(xs[at], ys[at], marker, color=colour, markersize=3.5, alpha=0.5, markeredgewidth=0, clip_on=False)
    axes.set_xscale("log")
    axes.set_xlim(*log_limits(xs))
    axes.set(ylim=(0, 1), xlabel=axes_names[0], ylabel=axes_names[1])
    axes.grid()
    number_axis(axes.xaxis)
    return figure
