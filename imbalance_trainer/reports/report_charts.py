"""The parts of the report that are charts, each with a sentence of what is to be seen, and the numbers beside it."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from ..monitor.run_record import Entry, RunRecord, place, recall_of, rows_by_label
from ..utils.numeric import is_number, wilson_interval
from ..utils.text import pluralize
from .markup import Html, figure, folded, join, named, number, section, table, tag
from .report_tables import MAX_ROWS, some
from .svg import Dot, Series, line_chart, precision_recall_panel, scatter

MAX_PANELS = 12
"""Up to so many precision-recall curves are seen at once."""

_MAX_POINTS = 200  # of a line; of more losses the least and the greatest of each piece are drawn

# ---- curves ----


def curves_section(record: RunRecord) -> Html:
    """secondary_f1_macro and loss over the steps, and a table of both."""
    pictures = [_score_figure(record), _loss_figure(record)]
    pair = tag("div", *(p for p in pictures if p), class_="pair")
    return section("curves", "Scores and loss over training", pair, _numbers(record))


def _score_figure(record: RunRecord) -> Html:
    metric, best = record.metric, record.best
    if metric is None or best is None:
        return Html("")
    only = len(record.splits) == 1
    lines = [
        Series(metric if only else f"{metric}, {split}", _points(record.timeline(split), metric))
        for split in record.splits
    ]
    if only:
        others = (m for m in ("f1_macro", "mean_average_precision") if m != metric)
        lines += [Series(m, _points(record.timeline(record.splits[0]), m)) for m in others]
    lines = [line for line in lines if any(y is not None for _, y in line.points)]
    words = score_in_words(record)
    value = best["metrics"][metric]
    ring = (best["step"], value, f"best {number(value)}")
    title = f"{metric} over the training steps"
    chart = line_chart("score", title, words, lines, ("step", "score"), (0.0, _ceiling(lines)), ring)
    return figure(chart, words)


def score_in_words(record: RunRecord) -> str:
    """How the score that matters went, and whether the best model is the last one."""
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


def _loss_figure(record: RunRecord) -> Html:
    timeline = record.timeline(record.splits[0])
    train = train_losses(timeline)
    lines = [Series("training loss", _envelope(train), marked=False)] if any(y is not None for _, y in train) else []
    for split in record.splits:
        points = _points(record.timeline(split), "loss")
        lines += [Series(f"loss on {split}", points)] if any(y is not None for _, y in points) else []
    if not lines:
        return tag("p", "No loss is in the history.")
    words = _loss_in_words(record, train)
    chart = line_chart("loss", "Loss over the training steps", words, lines, ("step", "loss"))
    return figure(chart, words)


def train_losses(timeline: Sequence[Entry]) -> list[tuple[float, float | None]]:
    """(step, loss) as logged; None where the loss was NaN or infinite."""
    logged = [
        pair for e in timeline for pair in e.get("train_losses") or () if isinstance(pair, list) and len(pair) == 2
    ]
    return sorted(((s, y if is_number(y) else None) for s, y in logged if is_number(s)), key=lambda pair: pair[0])


def _loss_in_words(record: RunRecord, train: Sequence[tuple[float, float | None]]) -> str:
    parts = []
    known = [(s, y) for s, y in train if y is not None]
    if known:
        went = f"Training loss went from {known[0][1]:.3g} (step {known[0][0]:,}) to {known[-1][1]:.3g}"
        parts.append(f"{went} (step {known[-1][0]:,}).")
    else:
        parts.append("No training loss is in the history.")
    lost = [s for s, y in train if y is None]
    if lost:
        parts.append(f"It was NaN or infinite at {pluralize(len(lost), 'logged step')}, first at step {lost[0]:,}.")
    split = record.splits[0]
    points = [(e, e["metrics"]["loss"]) for e in record.timeline(split) if is_number(e["metrics"].get("loss"))]
    if points:
        (lowest, least), (last, now) = min(points, key=lambda pair: pair[1]), points[-1]
        if len(points) == 1:
            parts.append(f"Loss on {split} is {now:.3g}.")
        elif lowest is last:
            parts.append(f"Loss on {split} went from {points[0][1]:.3g} to {now:.3g}, its lowest.")
        else:
            parts.append(
                f"Loss on {split} was lowest at {place(lowest)}, {least:.3g}; it has risen to {now:.3g} since."
            )
    return " ".join(parts)


def _numbers(record: RunRecord) -> Html:
    """What the curves show, as a table."""
    rows, metrics = [], ("secondary_f1_macro", "f1_macro", "f1_micro", "mean_average_precision", "loss")
    for split in record.splits:
        for entry in record.timeline(split):
            own = train_losses([entry])
            train = f"{own[-1][1]:.4g}" if own and own[-1][1] is not None else number(None)
            values = [number(entry["metrics"].get(m), 4 if m == "loss" else 3) for m in metrics]
            rows.append([join([place(entry), f", {split}" if len(record.splits) > 1 else ""]), *values, train])
    header = ["evaluation", *metrics[:-1], "loss here", "last training loss"]
    return folded("The curves in numbers", table("Metrics and loss of each evaluation", header, rows))


def _points(timeline: Sequence[Entry], metric: str) -> list[tuple[float, float | None]]:
    return [(e["step"], v if is_number(v := e["metrics"].get(metric)) else None) for e in timeline]


def _ceiling(lines: Sequence[Series]) -> float:
    """The top of an axis of scores: 1, or less where all of them are far lower."""
    top = max((y for line in lines for _, y in line.points if y is not None), default=1.0)
    return next(limit for limit in (0.1, 0.2, 0.5, 1.0, float("inf")) if top <= 0.85 * limit or limit >= 1.0)


def _envelope(points: Sequence[tuple[float, float | None]]) -> list[tuple[float, float | None]]:
    """At most _MAX_POINTS points: of each piece of the line the least and the greatest, so that no peak is lost."""
    if len(points) <= _MAX_POINTS:
        return list(points)
    n_pieces = _MAX_POINTS // 2
    pieces = [points[i * len(points) // n_pieces : (i + 1) * len(points) // n_pieces] for i in range(n_pieces)]
    kept = []
    for piece in pieces:
        known = [point for point in piece if point[1] is not None]
        ends = {min(known, key=lambda p: p[1]), max(known, key=lambda p: p[1])} if known else {piece[0]}
        kept += sorted(ends, key=lambda point: point[0])
    return kept


# ---- support against recall ----


def support_section(record: RunRecord) -> Html:
    """Support against recall: whether the rare labels are found as well as the common ones."""
    rows = rows_by_label(record.current)
    known = record.train_support if all(name in record.train_support for name in rows) else {}
    where = "training" if known else record.current["split"]
    support = {name: known.get(name, row.get("support")) for name, row in rows.items()}
    recalls = {name: recall for name in record.rarest_first if (recall := recall_of(rows[name])) is not None}
    recalls = {name: recall for name, recall in recalls.items() if is_number(support[name])}
    if not recalls:
        return section("support", "Support against recall", tag("p", "No label has positives in this data."))
    few = len(recalls) <= MAX_ROWS
    dots = [
        Dot(max(support[name], 1.0), recall, name, recall == 0, _interval(rows[name]) if few else None)
        for name, recall in recalls.items()
    ]
    words = support_in_words(support, recalls, where)
    legend = " Each dot is a label; a diamond is one at recall 0."
    legend += " The thin lines are 95% intervals: what recall may be, seen so few positives." if few else ""
    axes = (f"positives in {where} (log scale)", "recall")
    title = f"Recall over positives in {where}"
    chart = scatter("support-recall", title, words, sorted(dots, key=lambda dot: not dot.hollow), axes)
    return section("support", "Support against recall", figure(chart, words + legend, "lone"))


def support_in_words(support: Mapping[str, float], recalls: Mapping[str, float], where: str) -> str:
    """How the rarer half of the labels fares against the commoner half."""
    names = sorted(recalls, key=lambda name: support[name])
    if len(names) < 4:
        return (
            f"{pluralize(len(names), 'label')} with positives: recall {', '.join(number(recalls[n]) for n in names)}."
        )
    half = len(names) // 2
    sides = []
    for which, side in (("rarer", names[:half]), ("commoner", names[half:])):
        low, high = support[side[0]], support[side[-1]]
        zeros = sum(recalls[name] == 0 for name in side)
        spread = f"{low:,.0f} to {high:,.0f} positives in {where}"
        middle = number(fmean(recalls[name] for name in side))
        sides.append(
            f"The {which} {len(side):,} labels ({spread}) have a mean recall of {middle}, {zeros:,} of them 0."
        )
    return " ".join(sides)


def _interval(row: Mapping[str, Any]) -> tuple[float, float] | None:
    if not is_number(row.get("true_positives")):
        return None
    low, high = wilson_interval(row["true_positives"], row["support"])
    return float(low), float(high)


# ---- precision over recall ----


def thresholds_section(record: RunRecord) -> Html:
    """Precision-recall curves with the thresholds in use and those of the best F1."""
    curves = [curve for curve in record.curves.get("curves") or () if _is_curve(curve)]
    title = "Precision over recall, with thresholds"
    if not curves:
        text = "There are no curves in this folder (precision_recall.json)."
        return section("thresholds", title, tag("p", text))
    split, step = record.curves.get("split"), record.curves.get("step")
    entry = next((e for e in reversed(record.entries) if e["split"] == split and e["step"] == step), None)
    rows = {} if entry is None else rows_by_label(entry)
    empty = [c["label"] for c in curves if rows.get(c["label"], {}).get("support") == 0 or len(c["recall"]) < 2]
    drawn = [curve for curve in curves if curve["label"] not in empty]
    panels = [_panel(i, curve, rows.get(curve["label"], {})) for i, curve in enumerate(drawn)]
    where = "" if entry is None else f" on {split}, {place(entry)}"
    legend = (
        f"{pluralize(len(panels), 'label')}{where}, rarest first. Filled dot: what the threshold in use decides, "
        "after decisions were closed under the rules of the labels, so that it may lie off its curve. Hollow square: "
        "the threshold of the best F1 on these very rows. Dotted line: precision of chance."
    )
    parts = [tag("p", legend, class_="muted"), tag("div", *panels[:MAX_PANELS], class_="panels")] if panels else []
    if len(panels) > MAX_PANELS:
        others = tag("div", *panels[MAX_PANELS:], class_="panels")
        parts.append(folded(f"{pluralize(len(panels) - MAX_PANELS, 'more curve')}", others))
    if empty:
        parts.append(tag("p", f"{pluralize(len(empty), 'label')} without positives here, and so without a curve",
                         some(empty), "."))  # fmt: skip
    return section("thresholds", title, *parts)


def _panel(i: int, curve: Mapping[str, Any], row: Mapping[str, Any]) -> Html:
    dots, words = [], []
    support = row.get("support")
    average = row.get("average_precision")
    if is_number(average) and support:
        words.append(f"Average precision {number(average)}, {pluralize(round(support), 'positive')}.")
    if is_number(row.get("recall")) and is_number(row.get("precision")) and support:
        dots += [Dot(row["recall"], row["precision"])] if row.get("predicted") != 0 else []
        at = f"at threshold {row['threshold']:.2g}" if is_number(row.get("threshold")) else "as decided"
        precision = number(row["precision"]) if row.get("predicted") != 0 else "not defined (nothing predicted)"
        words.append(f"● {at}: recall {number(row['recall'])}, precision {precision}.")
    best = [row.get(key) for key in ("best_threshold", "best_recall", "best_precision")]
    if all(map(is_number, best)) and support:
        dots.append(Dot(best[1], best[2], hollow=True))
        words.append(f"□ best F1 at {best[0]:.2g}: recall {number(best[1])}, precision {number(best[2])}.")
    text = " ".join(words) or "The history has no evaluation of that step."
    chance = row.get("prevalence") if is_number(row.get("prevalence")) else None
    title = f"Precision over recall of {curve['label']}"
    chart = precision_recall_panel(f"curve-{i}", title, text, curve["recall"], curve["precision"], dots, chance)
    lines = join((tag("span", word) for word in words or [text]), Html("<br>"))
    return tag("figure", tag("h3", named(curve["label"], 60)), chart, tag("figcaption", lines))


def _is_curve(curve: Any) -> bool:
    if not isinstance(curve, Mapping) or "label" not in curve:
        return False
    sides = [curve.get("recall"), curve.get("precision")]
    lists = all(isinstance(side, list) and side and all(map(is_number, side)) for side in sides)
    return lists and len(sides[0]) == len(sides[1])
