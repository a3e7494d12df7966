"""Drawing with matplotlib: one style, files that appear whole, pictures inside a page, and the charts of pages.

matplotlib is imported when a picture is drawn, and not before.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

from ..utils.errors import UsageError
from ..utils.files import written
from ..utils.text import compact_number, distinct_names

WIDTH = 12.0
"""Inches of a picture in a file of its own."""

INK, MUTED, GRID, WHITE = "#1a1a1a", "#555555", "#dddddd", "#ffffff"
"""Colours of text, of remarks, of lines behind the data, and of the paper."""

SERIES = (("#0b3c5d", "o", "-"), ("#9a3324", "s", "--"), ("#7a5200", "^", ":"), ("#4a4a4a", "D", "-."))
"""Colour, marker and dashes of each series: they differ in more than colour."""

_STYLE = Path(__file__).parent / "templates" / "pictures.mplstyle"

# DejaVu Sans, which matplotlib brings, has no Chinese, Japanese or Korean: these are asked where they are installed.
_MORE_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Yu Gothic", "Microsoft YaHei",
               "Arial Unicode MS")  # fmt: skip
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_REFERENCE = re.compile(r"^#(?![0-9a-f]{6}$)|(?<=url\()#")  # to an id; a colour is none
_NAME = 28  # columns of a label's name beside a row


Points = list[tuple[float, float | None]]
"""(x, y) of a line from left to right; y is None where it is not known."""


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Args:
        svg: an `<svg>` element with its title and description.
        caption: what is to be seen, in words.
    """

    svg: Markup
    caption: str


def save(figure: Callable[[], Any], path: str | Path) -> Path:
    """Draw in the package's style, whatever the user's is, and write the file atomically.

    Args:
        figure: makes the figure.
        path: its suffix says the format, png where it has none.

    Returns:
        The path.

    Raises:
        UsageError: a format that matplotlib does not write, or a file that cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    path = Path(path)
    format_, known = path.suffix[1:].lower() or "png", FigureCanvasAgg.get_supported_filetypes()
    if format_ not in known:
        raise UsageError(f"{path}: no picture format {format_!r}; expected one of {', '.join(sorted(known))}.")
    with _style(), written(path) as unfinished:
        figure().savefig(unfinished, format=format_)
    return path


def inline(name: str, title: str, caption: str, figure: Callable[[], Any]) -> Picture:
    """Draw a picture for a page: text stays text, and ids begin with `name`, unlike those of any other picture. Title
    and caption are also for readers who do not see it."""
    out = io.BytesIO()
    with _style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the browser has other fonts
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure().savefig(out, format="svg", transparent=True, metadata=nothing)
    root = ElementTree.fromstring(out.getvalue())
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag.endswith(("}style", "}metadata"))]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            key.rpartition("}")[2]: f"{name}-{value}" if key == "id" else _REFERENCE.sub(f"#{name}-", value)
            for key, value in element.attrib.items()
        }
    root.attrib = {"viewBox": root.get("viewBox", ""), "role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    for place, (tag, text) in enumerate((("title", title), ("desc", caption))):
        element = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(place, element)
    return Picture(Markup(ElementTree.tostring(root, encoding="unicode")), caption)


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib.style

    with matplotlib.style.context(["default", str(_STYLE), {"font.family": _fonts()}]):
        yield


def _fonts() -> list[str]:
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _MORE_FONTS if name in installed)]


def new_figure(width: float, height: float, title: str = "", *lines: str) -> Any:
    """A figure of so many inches, laid out by matplotlib, below a title (if there is one) and lines of text."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    head = 0.3 + 0.24 * (1 + len(lines)) if title else 0.0
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, height / (height + head)), w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height + head), layout=layout)
    if title:
        figure.text(0.15 / width, 1 - 0.33 / (height + head), title, size=14, weight="bold")
    for i, line in enumerate(lines):
        figure.text(0.15 / width, 1 - (0.61 + 0.23 * i) / (height + head), line)
    return figure


def head(axes: Any, title: str, *lines: str) -> None:
    """Write a panel's title in bold, and lines in small letters below it, above the panel."""
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    for i, line in enumerate((title, *lines)):
        look = {"weight": "bold", "size": 10} if i == 0 else {"color": MUTED, "size": 8}
        axes.annotate(line, (0, 1), xytext=(0, 6 + 11 * (len(lines) - i)), **place, **look)


def printable_names(names: Sequence[str], otherwise: Sequence[str], columns: int) -> list[str]:
    """Names of labels for a file: distinct, at most so many columns wide, and in letters that the fonts have;
    `otherwise` has what stands for a name of other letters."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = [get_font(findfont(FontProperties(family=family))) for family in _fonts()]
    shown = []
    for name, slug in zip(names, otherwise, strict=True):
        letters = set("".join(name.split()))
        is_drawn = all(any(font.get_char_index(ord(letter)) for font in fonts) for letter in letters)
        shown.append(name if is_drawn else slug)
    return distinct_names(shown, columns)


def label_chart(
    names: Sequence[str],
    series: Mapping[str, Sequence[float] | np.ndarray],
    axis: str,
    notes: Sequence[str] = (),
    intervals: Sequence[tuple[float, float] | None] = (),
    limits: tuple[float, float] | None = None,
) -> Any:
    """A figure with a row for each label, from top to bottom, see `draw_labels`; up to four series have a legend."""
    n = len(names)
    figure = new_figure(5, 0.22 * n + (1.0 if len(series) > 1 else 0.75))
    axes = figure.subplots()
    draw_labels(axes, series, notes, intervals, limits)
    shown = [_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", name) for name in names]
    axes.set_yticks(range(n), distinct_names(shown, _NAME))
    axes.set_xlabel(axis)
    if len(series) > 1:
        figure.legend(loc="outside upper left", ncols=len(series))
    return figure


def draw_labels(
    axes: Any,
    series: Mapping[str, Sequence[float] | np.ndarray],
    notes: Sequence[str] = (),
    intervals: Sequence[tuple[float, float] | None] = (),
    limits: tuple[float, float] | None = None,
    **look: Any,
) -> None:
    """Bars of a single series, or marks of several; a value of 0 is hollow or has no bar.

    Args:
        axes: to draw on.
        series: a value for each label, by name.
        notes: a few words behind each row.
        intervals: ends of a line through each row's mark; with them a single series is marks too.
        limits: of the axis; None for a log axis that fits the values.
        look: of bars, as for barh.
    """
    values = np.array(list(series.values()), dtype=float)
    n = values.shape[1]
    if limits is None:
        axes.set_xscale("log")
        limits = log_limits(values)
    axes.set(xlim=limits, ylim=(n - 0.4, -0.6))
    for row, interval in enumerate(intervals):
        if interval is not None:
            axes.plot(interval, [row, row], color=MUTED, linewidth=1)
    if len(series) == 1 and not intervals:
        wide = np.maximum(values[0] - limits[0], 0)
        axes.barh(range(n), wide, left=limits[0], height=0.62, **{"color": SERIES[0][0], **look})
    else:
        axes.hlines(range(n), np.maximum(values.min(0), limits[0]), np.maximum(values.max(0), limits[0]), color=GRID)
        for (name, _), of, (colour, marker, _) in zip(series.items(), values, SERIES, strict=False):
            for is_zero, face in ((True, WHITE), (False, colour)):
                at = np.flatnonzero((of <= 0) == is_zero)
                axes.plot(np.maximum(of[at], limits[0]), at, marker, color=colour, markerfacecolor=face, clip_on=False,
                          markersize=5, label=None if is_zero else name)  # fmt: skip
    for row, note in enumerate(notes):
        axes.annotate(note, (1, row), (6, 0), axes.get_yaxis_transform(), "offset points", va="center", size="small")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    number_axis(axes.xaxis)


def line_chart(series: Mapping[str, Points], name: str, ring: tuple[float, float, str] | None = None) -> Any:
    """Lines of (step, y) by name, up to four, each from left to right and broken where y is None; `name` is what y is,
    and `ring` has step, y and words of a point that stands out."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = new_figure(5, 3.2)
    axes = figure.subplots()
    drawn = {name: points for name, points in series.items() if any(y is not None for _, y in points)}
    for (name_, points), (colour, marker, dashes) in zip(drawn.items(), SERIES, strict=False):
        x, y = [p[0] for p in points], [np.nan if p[1] is None else p[1] for p in points]
        axes.plot(x, y, dashes, color=colour, marker=marker if len(x) <= 25 else "", markersize=5, label=name_)
    if ring is not None:
        axes.set_ylim(0)
        axes.plot(*[[at] for at in ring[:2]], "o", color=SERIES[1][0], markerfacecolor="none", markersize=13)
        side = 18 if ring[1] < 0.75 * axes.get_ylim()[1] else -22
        axes.annotate(ring[2], ring[:2], (0, side), textcoords="offset points", ha="center", va="center")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set(xlabel="step", ylabel=name)
    axes.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=2, handlelength=3)
    return figure


def dot_chart(x: Sequence[float], recalls: Sequence[float], name: str) -> Any:
    """A dot for each of many labels over a count on a log scale; a diamond at recall 0."""
    figure = new_figure(5, 3.2)
    axes = figure.subplots()
    xs, ys = np.asarray(x, dtype=float), np.asarray(recalls, dtype=float)
    for is_zero, (colour, _, _), marker in ((True, SERIES[1], "D"), (False, SERIES[0], "o")):
        at = (ys == 0) == is_zero
        axes.plot(xs[at], ys[at], marker, color=colour, markersize=3.5, alpha=0.5, markeredgewidth=0, clip_on=False)
    axes.set(xscale="log", xlim=log_limits(xs), ylim=(0, 1), xlabel=name, ylabel="recall")
    axes.grid()
    number_axis(axes.xaxis)
    return figure


def log_limits(values: np.ndarray) -> tuple[float, float]:
    """Ends of a log axis for values of which some may be 0: the least one still has a bar that can be seen."""
    positive = values[values > 0]
    if not len(positive):
        return 0.1, 1.0
    return float(positive.min()) / 1.6, max(float(positive.max()), 2 * float(positive.min())) * 1.1


def number_axis(axis: Any) -> None:
    """Write the numbers of an axis in few characters."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if axis.get_scale() == "log":
        low, high = axis.get_view_interval()
        steps = (1, 2, 5) if high / low < 30 else (1, 3) if high / low < 1000 else (1,)
        axis.set_major_locator(LogLocator(subs=steps, numticks=8))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: compact_number(value)))
