"""Charts as SVG inside a page: lines, dots and precision-recall panels, each with its content in words.

Colours are classes of the page's style sheet; lines and dots differ in dashes and shape as well.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len as display_width

from ..utils.numeric import is_number
from ..utils.text import shorten
from .markup import Html, tag

_WIDTH, _HEIGHT, _LETTER = 440.0, 270.0, 7.0  # of a chart, and of a letter of 13 px
_PANEL = 230.0
_ROW, _MAX_NAME = 20.0, 22  # of a chart by label: height of a row, letters of a name
_MAX_MARKS = 25  # of a line; more cover it
_CROWD = 100  # so many dots cover each other, and are small and let each other shine through
_MARKS = ("circle", "square", "triangle", "diamond")


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Args:
        name: what it is, for the legend.
        points: (x, y) from left to right; the line breaks where y is None.
        marked: whether each point has a mark of its own.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    marked: bool = True


@dataclass(frozen=True)
class Dot:
    """A dot of a chart, with its name and, where known, the interval that it lies in."""

    x: float
    y: float
    name: str = ""
    hollow: bool = False
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class LabelRow:
    """A row of a chart by label: its name, a value for each series, and a few words behind them."""

    name: str
    values: Sequence[float]
    note: str = ""


@dataclass(frozen=True)
class _Frame:
    """Where values lie on the picture."""

    left: float
    top: float
    right: float
    bottom: float
    low: tuple[float, float]
    high: tuple[float, float]
    log_x: bool = False

    def x(self, value: float) -> float:
        at: Callable[[float], float] = math.log10 if self.log_x else float
        low, high = at(self.low[0]), at(self.high[0])
        return self.left + (at(value) - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.low[1]) / (self.high[1] - self.low[1]) * (self.bottom - self.top)


def line_chart(
    name: str,
    title: str,
    words: str,
    series: Sequence[Series],
    axes: tuple[str, str],
    y_range: tuple[float, float] | None = None,
    ring: tuple[float, float, str] | None = None,
) -> Html:
    """Lines over a number, up to four that differ in colour, dashes and marks.

    Args:
        name: start of the ids in it, unlike any other in the page.
        title: its title, for those who do not see it.
        words: what is to be seen, for the same.
        series: the lines.
        axes: what x and y are.
        y_range: least and largest y; None: what fits the values.
        ring: x, y and words of a point that stands out.
    """
    series = [Series(s.name, [(x, y if is_number(y) else None) for x, y in s.points], s.marked) for s in series]
    xs = [x for s in series for x, _ in s.points] or [0.0, 1.0]
    ys = [y for s in series for _, y in s.points if y is not None] or [0.0, 1.0]
    low, high = y_range or _widened(min(ys), max(ys))
    x_low, x_high = (min(xs), max(xs)) if max(xs) > min(xs) else (min(xs) - 1, max(xs) + 1)
    legend, top = _legend([s.name for s in series[:4]])
    frame = _Frame(52, top + 8, _WIDTH - 14, _HEIGHT - 42, (x_low, low), (x_high, high))
    parts = [*legend, *_grid(frame, axes, ticks(x_low, x_high, 5, whole=True), ticks(low, high, 5))]
    for i, line in enumerate(series[:4]):
        parts += _line(frame, line, i)
    if ring is not None:
        parts += _ring(frame, *ring)
    return _picture(name, title, words, parts, (_WIDTH, _HEIGHT))


def scatter(name: str, title: str, words: str, dots: Sequence[Dot], axes: tuple[str, str], n_named: int = 12) -> Html:
    """Dots over a count (on a log scale) and a share; the first of them have their names beside them where they fit.

    Args:
        name: start of the ids in it, unlike any other in the page.
        title: its title, for those who do not see it.
        words: what is to be seen, for the same.
        dots: the dots, the most important first; x is at least 1.
        axes: what x and y are.
        n_named: how many names are tried.
    """
    xs = [dot.x for dot in dots] or [1.0, 10.0]
    low, high = max(min(xs), 1.0) / 1.25, max(xs) * 1.25
    frame = _Frame(52, 14, _WIDTH - 16, _HEIGHT - 42, (low, 0.0), (high, 1.0), log_x=True)
    parts = _grid(frame, axes, _log_ticks(low, high), [0, 0.25, 0.5, 0.75, 1])
    for dot in dots:
        if dot.interval is not None:
            x, y1, y2 = frame.x(dot.x), frame.y(dot.interval[0]), frame.y(dot.interval[1])
            parts.append(_segment(x, y1, x, y2, "thin s3"))
    crowded = len(dots) > _CROWD
    marks = []
    for dot in reversed(dots):
        shape, size = "diamond" if dot.hollow else "circle", 3 if crowded else 4
        marks.append(_mark(shape, frame.x(dot.x), frame.y(dot.y), int(dot.hollow), size=size))
    parts.append(tag("g", *marks, class_="faint" if crowded else None))
    return _picture(name, title, words, [*parts, *_names(frame, dots, n_named)], (_WIDTH, _HEIGHT))


def label_rows(
    name: str,
    title: str,
    words: str,
    rows: Sequence[LabelRow],
    axis: str,
    series: Sequence[str] = (),
    log: bool = True,
) -> Html:
    """A row for each label: a bar, or a mark for each series, over an axis that stands above and below.

    A value of 0 on a log axis is a hollow mark at its left end, or no bar.

    Args:
        name: start of the ids in it, unlike any other in the page.
        title: its title, for those who do not see it.
        words: what is to be seen, for the same.
        rows: from top to bottom.
        axis: what x is.
        series: what the values of a row are, up to four, as marks; empty for bars of a single value.
        log: whether x is logarithmic.
    """
    positive = [v for row in rows for v in row.values if v > 0] or [1.0]
    low, high = (min(positive) / 1.5, max(positive) * 1.25) if log else (0.0, max(positive) * 1.02)
    note = max((display_width(row.note) for row in rows), default=0) * _LETTER
    left = 16 + min(max((display_width(row.name) for row in rows), default=0), _MAX_NAME) * _LETTER
    legend, top = _legend(series) if series else ([], 0.0)
    bottom = top + 40 + _ROW * len(rows)
    frame = _Frame(left, top + 40, _WIDTH - 14 - note, bottom, (low, 0.0), (high, 1.0), log_x=log)
    parts = [*legend, *_axis_of_rows(frame, axis, _log_ticks(low, high) if log else ticks(low, high, 4))]
    for i, row in enumerate(rows):
        parts += _label_row(frame, row, frame.top + _ROW * (i + 0.5), bars=not series)
    return _picture(name, title, words, parts, (_WIDTH, bottom + 26))


def _axis_of_rows(frame: _Frame, axis: str, values: Sequence[float]) -> list[Html]:
    parts, end = [_text((frame.left + frame.right) / 2, frame.top - 24, axis, "middle", "soft")], -math.inf
    for value in values:
        x, words = frame.x(value), f"{value:,.0f}" if value >= 1000 else f"{value:g}"
        half = _LETTER * len(words) / 2
        parts.append(_segment(x, frame.top, x, frame.bottom, "thin grid"))
        if x - half > end + 10:  # else it would touch the one before
            parts += [_text(x, y, words, "middle", "soft") for y in (frame.top - 6, frame.bottom + 17)]
            end = x + half
    return parts


def _label_row(frame: _Frame, row: LabelRow, y: float, bars: bool) -> list[Html]:
    parts = [_text(frame.left - 8, y + 4.5, shorten(row.name, _MAX_NAME), "end")]
    places = [frame.x(v) if v > 0 or not frame.log_x else frame.left for v in row.values]
    if bars:
        width, height = places[0] - frame.left, _ROW * 0.62
        size = {"width": f"{width:.1f}", "height": f"{height:.1f}"}
        parts.append(tag("rect", x=f"{frame.left:.1f}", y=f"{y - height / 2:.1f}", class_="f0", **size))
        return [*parts, _text(places[0] + 6, y + 4.5, row.note)]
    parts.append(_segment(min(places), y, max(places), y, "thin axis"))
    for i, (value, x) in reversed(list(enumerate(zip(row.values, places, strict=True)))):
        parts.append(_mark(_MARKS[i], x, y, i, hollow=value <= 0))
    return [*parts, _text(_WIDTH - 4, y + 4.5, row.note, "end")] if row.note else parts


def precision_recall_panel(
    name: str,
    title: str,
    words: str,
    recall: Sequence[float],
    precision: Sequence[float],
    dots: Sequence[Dot],
    prevalence: float | None = None,
) -> Html:
    """A small square: precision over recall as a staircase, with dots at thresholds and a line at chance.

    Args:
        name: start of the ids in it, unlike any other in the page.
        title: its title, for those who do not see it.
        words: what is to be seen, for the same.
        recall: of each point, rising.
        precision: of each point.
        dots: x is recall, y precision; a hollow one is a square.
        prevalence: precision of chance.
    """
    frame = _Frame(48, 8, _PANEL - 10, _PANEL - 40, (0.0, 0.0), (1.0, 1.0))
    parts = _grid(frame, ("recall", "precision"), [0, 0.5, 1], [0, 0.5, 1])
    if prevalence is not None:
        y = frame.y(prevalence)
        parts.append(_segment(frame.left, y, frame.right, y, "thin s3 l2"))
    steps, before = [], None
    for r, p in zip(recall, precision, strict=True):
        x, y = frame.x(r), frame.y(p)
        steps.append(f"M{x:.1f} {y:.1f}" if before is None else f"V{y:.1f}H{x:.1f}")
        before = p
    parts.append(tag("path", d="".join(steps), class_="line s0"))
    for dot in sorted(dots, key=lambda dot: not dot.hollow):
        parts.append(_mark("square" if dot.hollow else "circle", frame.x(dot.x), frame.y(dot.y), 1, dot.hollow, 5))
    return _picture(name, title, words, parts, (_PANEL, _PANEL))


def ticks(low: float, high: float, n: int, whole: bool = False) -> list[float]:
    """About `n` round numbers from low to high.

    >>> ticks(0, 1, 5), ticks(120, 600, 5, whole=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [200.0, 300.0, 400.0, 500.0, 600.0])
    """
    rough = (high - low) / n
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * f for f in (1, 2, 2.5, 5, 10) if size * f >= rough * 0.999)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    steps = (1,) if high / low > 3000 else (1, 3) if high / low > 300 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [s * 10.0**e for e in powers for s in steps]
    return [v for v in values if low <= v <= high] or [low]


def _widened(low: float, high: float) -> tuple[float, float]:
    """A range that starts at 0 where that is near, with some air above."""
    low = 0.0 if 0 <= low < 0.6 * high else low
    room = (high - low) or abs(high) or 1.0
    return (low if low == 0 else low - 0.08 * room), high + 0.08 * room


def _picture(name: str, title: str, words: str, parts: Sequence[Html], size: tuple[float, float]) -> Html:
    heads = (tag("title", title, id=f"{name}-title"), tag("desc", words, id=f"{name}-desc"))
    box = f"0 0 {size[0]:g} {size[1]:g}"
    labelled = {"aria_labelledby": f"{name}-title", "aria_describedby": f"{name}-desc"}
    return tag("svg", *heads, *parts, viewBox=box, role="img", **labelled)


def _text(x: float, y: float, words: str, anchor: str = "start", kind: str | None = None, **more: str) -> Html:
    anchor_ = None if anchor == "start" else anchor
    return tag("text", words, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor_, class_=kind, **more)


def _segment(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    return tag("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", class_=kind)


def _grid(frame: _Frame, axes: tuple[str, str], xs: Sequence[float], ys: Sequence[float]) -> list[Html]:
    parts = []
    for value in ys:
        y = frame.y(value)
        parts.append(_segment(frame.left, y, frame.right, y, "thin grid"))
        parts.append(_text(frame.left - 6, y + 4.5, f"{value:.4g}", "end", "soft"))
    for value in xs:
        words = f"{value:,.0f}" if value >= 1000 else f"{value:g}"
        parts.append(_segment(frame.x(value), frame.bottom, frame.x(value), frame.bottom + 4, "thin axis"))
        middle = min(frame.x(value), frame.right + 12 - _LETTER * len(words) / 2)
        parts.append(_text(middle, frame.bottom + 18, words, "middle", "soft"))
    parts.append(_segment(frame.left, frame.bottom, frame.right, frame.bottom, "thin axis"))
    parts.append(_text((frame.left + frame.right) / 2, frame.bottom + 35, axes[0], "middle", "soft"))
    x, y = 12.0, (frame.top + frame.bottom) / 2
    parts.append(_text(x, y, axes[1], "middle", "soft", transform=f"rotate(-90 {x:.1f} {y:.1f})"))
    return parts


def _legend(names: Sequence[str]) -> tuple[list[Html], float]:
    """The lines' names beside a piece of them, and where the plot can begin."""
    parts, x, y = [], 52.0, 15.0
    for i, name in enumerate(names):
        name = shorten(name, 40)
        width = 44 + _LETTER * display_width(name)
        if x > 52 and x + width > _WIDTH:
            x, y = 52.0, y + 19
        parts.append(_segment(x, y - 4, x + 26, y - 4, f"line s{i} l{i}"))
        parts.append(_mark(_MARKS[i], x + 13, y - 4, i))
        parts.append(_text(x + 32, y, name))
        x += width + 8
    return parts, y + 6


def _line(frame: _Frame, line: Series, i: int) -> list[Html]:
    pieces, pen_down = [], False
    for x, y in line.points:
        if y is not None:
            pieces.append(f"{'L' if pen_down else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}")
        pen_down = y is not None
    parts = [tag("path", d="".join(pieces), class_=f"line s{i} l{i}")] if pieces else []
    if line.marked and len(line.points) <= _MAX_MARKS:
        parts += [_mark(_MARKS[i], frame.x(x), frame.y(y), i) for x, y in line.points if y is not None]
    return parts


def _mark(shape: str, x: float, y: float, i: int, hollow: bool = False, size: float = 4) -> Html:
    kind = f"hollow s{i}" if hollow else f"f{i}"
    if shape == "circle":
        return tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{size:g}", class_=kind)
    corners = {
        "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "triangle": ((0, -1.3), (1.2, 1), (-1.2, 1)),
        "diamond": ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
    }[shape]
    path = "L".join(f"{x + dx * size:.1f} {y + dy * size:.1f}" for dx, dy in corners)
    return tag("path", d=f"M{path}Z", class_=kind)


def _ring(frame: _Frame, x: float, y: float, words: str) -> list[Html]:
    at, height = frame.x(x), frame.y(y)
    half = _LETTER * display_width(words) / 2
    middle = min(max(at, frame.left + half), frame.right - half)
    beside = height + 24 if height + 30 < frame.bottom else height - 13  # below: other scores are mostly higher
    ring = tag("circle", cx=f"{at:.1f}", cy=f"{height:.1f}", r="8", class_="line s1")
    return [ring, _text(middle, beside, words, "middle")]


def _names(frame: _Frame, dots: Sequence[Dot], n: int) -> list[Html]:
    """Names beside dots, each at the first place where it covers no other name and no other dot."""
    points = [(frame.x(dot.x), frame.y(dot.y)) for dot in dots]
    taken: list[tuple[float, float, float, float]] = []
    parts = []
    for dot, (x, y) in list(zip(dots, points, strict=True))[:n]:
        name = shorten(dot.name, 24)
        width = _LETTER * display_width(name)
        beside = [(x + 8, y), (x - 8 - width, y), (x - width / 2, y - 13), (x - width / 2, y + 14)]
        higher = [(x + 5, y - rise) for rise in (14, 29, 44)]  # along the interval of its own dot
        for left, middle in beside + higher * (dot.interval is not None):
            box = (left, middle - 7, left + width, middle + 7)
            inside = box[0] >= frame.left and box[2] <= _WIDTH and box[1] >= 0 and box[3] <= frame.bottom - 1
            free = not any(_overlap(box, other) for other in taken)
            free = free and not any(_overlap(box, (px - 4, py - 4, px + 4, py + 4)) for px, py in points)
            if inside and free:
                taken.append(box)
                parts.append(_text(left, middle + 4.5, name))
                break
    return parts


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
