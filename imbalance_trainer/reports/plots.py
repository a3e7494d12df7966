"""A picture of a training set: counts, imbalance ratios and class weights by label, and what the focal term does."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.label_table import (
    RankedLabels,
    check_same_labels,
    compact_number,
    distinct_names,
    percent,
    short_count,
)
from ..labels.class_weights import TIERS, ClassWeights
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.errors import UsageError
from .page import GRID, INK, MUTED, WIDTH, Page, draw, printable

MAX_BARS = 60
"""Up to so many labels each gets a bar with its name; beyond, curves over all labels and lists of the ends."""

RAREST_LISTED, COMMONEST_LISTED = 10, 5

# Inches. Positions are given from the top left corner, so that a picture may grow with its labels.
_BARS_TOP, _CURVES_TOP, _ROW = 1.58, 1.2, 0.27
_CURVE_HEIGHT, _FOCAL_HEIGHT, _FOCAL_BELOW = 1.75, 1.9, 0.6

# Tiers differ in grey and in hatching, and their names stand beside them: nothing is said by colour alone.
_LARGER = "dashed: from here on a larger weight"
_TIERS = {"tail": ("#9a3324", ""), "medium": ("#e8a33d", "////"), "head": ("#c3d9ea", "")}
_SHADES = {"tail": "#e3d3cf", "medium": "#f6ebd9", "head": "#eff5f9"}
_LINE = "#0b3c5d"


def plot_distribution(
    distribution: LabelDistribution,
    weights: ClassWeights,
    gamma: float,
    path: str | Path,
    max_weight: float | None = None,
    split: str = "training",
) -> Path:
    """Draw counts, imbalance ratio and class weight of each label, rarest first, and the effect of the focal term.

    Up to 60 labels are bars with their names; more are curves, with the rarest and the commonest listed by name.
    The file appears whole or not at all: it is written beside `path` and then moved there.

    Args:
        distribution: counts, of the **training** data if they are to explain the weights.
        weights: class weights of the training.
        gamma: exponent of the focal term, 0 for none.
        path: file to write; its suffix says the format (png, pdf, svg, ...), png where it has none.
        max_weight: cap of the weights, drawn as a line. None: the cap is drawn where a weight was cut at it.
        split: what was counted, for the heading.

    Returns:
        The path.

    Raises:
        UsageError: matplotlib is missing, weights of other labels than those counted, a gamma below 0, a format that
            matplotlib does not write, or a file that cannot be written.
    """
    check_same_labels(distribution, weights)
    if not (math.isfinite(gamma) and gamma >= 0):
        raise UsageError(f"gamma must be 0 or more; got {gamma!r}.")
    return draw(lambda: _figure(distribution, weights, float(gamma), max_weight, split), path)


def _figure(
    counts: LabelDistribution, weights: ClassWeights, gamma: float, max_weight: float | None, split: str
) -> Any:
    labels = RankedLabels(counts, weights, max_weight)
    n = len(labels.order)
    height = _BARS_TOP + n * _ROW if n <= MAX_BARS else _CURVES_TOP + 3 * _CURVE_HEIGHT + 1.2
    height += 0.95
    page = Page(height + _FOCAL_HEIGHT + _FOCAL_BELOW)
    page.text(0.25, 0.36, "Label distribution and class weights", size=14, weight="bold")
    page.text(0.25, 0.64, labels.summary, size=10)
    (_draw_bars if n <= MAX_BARS else _draw_curves)(page, labels, split)
    _draw_focal(page, gamma, height)
    return page.figure


# ---- bars: one for each label ----


def _draw_bars(page: Page, labels: RankedLabels, split: str) -> None:
    n = len(labels.order)
    names = _names(page, labels, range(n), 3.0)
    left = 0.25 + max(max(page.width_of(name) for name in names), 1.0) + 0.1
    room = WIDTH - left - 0.95 - 2 * 0.3
    counts, ratio, weight = _bar_axes(page, left, [room * share for share in (0.36, 0.3, 0.34)], n)
    counts.set_yticks(range(n), names, parse_math=False)

    texts = [
        f"{short_count(s)} ({percent(p)}%)" if s > 0 else "0: no positives"
        for s, p in zip(labels.support, labels.share, strict=True)
    ]
    _bars(page, counts, labels, labels.support, texts, log=True)
    texts = [compact_number(r) if np.isfinite(r) else "no positives" for r in labels.ratio]
    _bars(page, ratio, labels, np.where(np.isfinite(labels.ratio), labels.ratio, 0), texts, log=True)
    _bars(page, weight, labels, labels.weight, [labels.weight_text(i) for i in range(n)], log=False)

    if labels.is_tiered:
        _lines(ratio, "x", [at for at, _ in TIERS])
    if labels.cap:
        _lines(weight, "x", [labels.cap])
    _bar_heads(page, labels, (counts, ratio, weight), split)
    _name_tiers(weight, labels, (counts, ratio, weight))


def _bar_axes(page: Page, left: float, widths: Sequence[float], n: int) -> list[Any]:
    panels: list[Any] = []
    for width in widths:
        panel = page.axes(left, _BARS_TOP, width, n * _ROW, sharey=panels[0] if panels else None)
        panel.tick_params(axis="y", length=0, labelleft=not panels)
        panel.grid(axis="x", color=GRID, linewidth=0.6)
        panels.append(panel)
        left += width + 0.3
    panels[0].set_ylim(n - 0.5, -0.5)
    return panels


def _bars(page: Page, axes: Any, labels: RankedLabels, values: np.ndarray, texts: Sequence[str], log: bool) -> None:
    """Bars coloured by tier, each with its text; a value of 0 is a text without a bar."""
    low, high = _bounds(values) if log else (0.0, max(values.max(), labels.cap or 0))
    at = np.log10 if log else np.float64
    start, ends = at(low), at(np.maximum(values, low))
    room = axes.get_position().width * WIDTH
    widths = np.array([page.width_of(text, 8) for text in texts]) + 0.1
    # the axis must be so long that the text behind each bar still fits
    end = max(at(high), float((start + (ends - start) * room / np.maximum(room - widths, 0.2)).max()))
    end += 0.02 * (end - start)
    if log:
        axes.set_xscale("log")
    _ticks(axes.xaxis, low, high, log)
    axes.set_xlim(low, 10**end if log else end)
    first = 0
    for tier, size in labels.tiers.items():
        colour, hatch = _TIERS[tier]
        rows = np.arange(first, first + size)
        rows = rows[values[rows] > 0]
        kind = {"color": colour, "hatch": hatch, "edgecolor": INK, "linewidth": 0.5}
        axes.barh(rows, values[rows] - low, left=low, height=0.68, **kind)
        first += size
    for i, text in enumerate(texts):
        place = {"xytext": (3, 0), "textcoords": "offset points", "va": "center_baseline"}
        note = axes.annotate(text, (max(values[i], low), i), size=8, color=INK, **place)
        note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8})


def _bar_heads(page: Page, labels: RankedLabels, panels: Sequence[Any], split: str) -> None:
    lines = [
        (f"Positives in {split}", "log scale; in brackets: prevalence"),
        ("Imbalance ratio", "log scale; commonest secondary : this"),
        ("Class weight", "of a positive entry"),
    ]
    below = ["", _LARGER if labels.is_tiered else "", f"dashed: cap {labels.cap:g}" if labels.cap else ""]
    for panel, words, more in zip(panels, lines, below, strict=True):
        page.head(panel.get_position().x0 * WIDTH, _BARS_TOP, *words, *([more] if any(below) else []))


def _name_tiers(last: Any, labels: RankedLabels, panels: Iterable[Any]) -> None:
    """Names of the tiers at the right of the bars, and lines between them."""
    panels, first = list(panels), 0
    for tier, size in labels.tiers.items():
        if size:
            place = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "annotation_clip": False}
            at = (1, first + (size - 1) / 2)
            last.annotate(tier, at, xycoords=last.get_yaxis_transform(), color=MUTED, weight="bold", **place)
            for panel in panels if first else ():
                panel.axhline(first - 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        first += size


# ---- curves: more labels than bars can show ----


def _draw_curves(page: Page, labels: RankedLabels, split: str) -> None:
    left, width, n = 0.85, 6.3, len(labels.order)
    panels: list[Any] = []
    for i in range(3):
        top = _CURVES_TOP + i * (_CURVE_HEIGHT + 0.5)
        panels.append(page.axes(left, top, width, _CURVE_HEIGHT, sharex=panels[0] if panels else None))
    counts, ratio, weight = panels
    ratios = np.where(np.isfinite(labels.ratio), labels.ratio, 0)
    for panel, values, log in ((counts, labels.support, True), (ratio, ratios, True), (weight, labels.weight, False)):
        _curve(panel, labels, values, log)
    if labels.is_tiered:
        _lines(ratio, "y", [at for at, _ in TIERS])
    if labels.cap:
        _lines(weight, "y", [labels.cap])
    if not labels.is_custom.all():
        places = np.flatnonzero(labels.is_custom)
        marks = {"color": INK, "markersize": 4, "markerfacecolor": "white", "clip_on": False, "zorder": 4}
        weight.plot(places + 1, labels.weight[places], "D", **marks)
    weight.set_xlabel("labels, from the rarest (1) to the commonest")
    weight.set_xlim(0.5, n + 0.5)
    _curve_heads(page, labels, panels, split)
    _draw_lists(page, labels, left + width + 0.45)


def _curve(axes: Any, labels: RankedLabels, values: np.ndarray, log: bool) -> None:
    """One value of all labels over their rank, with the tiers shaded; a value of 0 is left out."""
    n, first = len(values), 0
    low, high = _bounds(values) if log else (0.0, max(values.max(), labels.cap or 0))
    if log:
        axes.set_yscale("log")
    _ticks(axes.yaxis, low, high, log)
    axes.set_ylim(low, high * (high / low) ** 0.22 if log else high * 1.25)  # room for the tiers' names
    axes.grid(axis="y", color="white", linewidth=0.8)
    for tier, size in labels.tiers.items():
        if size:
            axes.axvspan(first + 0.5, first + size + 0.5, color=_SHADES[tier], linewidth=0, zorder=0)
            middle = (first + size / 2) / n
            name = axes.text(middle, 0.95, tier, transform=axes.transAxes, ha="center", va="top", weight="bold")
            name.set(color=MUTED, bbox={"facecolor": _SHADES[tier], "edgecolor": "none", "pad": 1})
            if first:
                axes.axvline(first + 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        first += size
    if log and labels.absent:
        axes.axvspan(0.5, labels.absent + 0.5, facecolor="white", edgecolor="#bbbbbb", hatch="xx", linewidth=0)
    shown = np.where(values > 0, values, np.nan)
    axes.plot(np.arange(1, n + 1), shown, color=_LINE, linewidth=2, drawstyle="steps-mid", solid_joinstyle="miter")


def _curve_heads(page: Page, labels: RankedLabels, panels: Sequence[Any], split: str) -> None:
    absent = f"; crossed: {labels.absent:,} without positives" if labels.absent else ""
    tiers = f"; {_LARGER}" if labels.is_tiered else ""
    n_custom, n_capped = int(labels.is_custom.sum()), int(labels.is_capped.sum())
    marks = f"; dashed: cap {labels.cap:g} ({n_capped or 'none'} cut)" if labels.cap else ""
    if n_custom == len(labels.order):
        marks = f", all custom{marks}"
    elif n_custom:
        marks = f"; diamonds: {n_custom:,} custom{marks}"
    words = [
        (f"Positives in {split}", f"log scale{absent}"),
        ("Imbalance ratio", f"log scale; commonest secondary : this{tiers}"),
        ("Class weight", f"of a positive entry{marks}"),
    ]
    for panel, (title, below) in zip(panels, words, strict=True):
        top = page.height * (1 - panel.get_position().y1)
        page.text(0.85, top - 0.1, title, size=10, weight="bold")
        page.text(0.85 + page.width_of(title, 10) * 1.2 + 0.1, top - 0.1, below, size=8, color=MUTED)


def _draw_lists(page: Page, labels: RankedLabels, left: float) -> None:
    """The rarest and the commonest labels by name, with what the curves say of them, and the rest in words."""
    n, right = len(labels.order), WIDTH - 0.3
    columns = (right - 1.85, right - 1.2, right)
    rarest, commonest = range(RAREST_LISTED), range(n - 1, n - 1 - COMMONEST_LISTED, -1)
    y = _CURVES_TOP - 0.1
    for title, places in ((f"The {RAREST_LISTED} rarest", rarest), (f"The {COMMONEST_LISTED} commonest", commonest)):
        page.text(left, y, title, size=10, weight="bold")
        for x, text in zip(columns, ("positives", "ratio", "weight"), strict=True):
            page.text(x, y, text, size=8, color=MUTED, ha="right")
        names = _names(page, labels, places, columns[0] - left - 0.6)
        for name, i in zip(names, places, strict=True):
            y += 0.235
            page.text(left, y, name)
            cells = (short_count(labels.support[i]), compact_number(labels.ratio[i]), labels.short_weight(i))
            for x, text in zip(columns, cells, strict=True):
                page.text(x, y, text, ha="right")
        y += 0.48
    for line in labels.rest_in_words:
        page.text(left, y, line, size=9, weight="bold" if not line.startswith(" ") else "normal")
        y += 0.22


# ---- the focal term ----


def _draw_focal(page: Page, gamma: float, top: float) -> None:
    left, width = 0.85, (WIDTH - 0.85 - 0.5 - 0.85) / 2
    loss = page.axes(left, top, width, _FOCAL_HEIGHT - 0.3)
    share = page.axes(left + width + 0.85, top, width, _FOCAL_HEIGHT - 0.3)
    p = np.linspace(0.005, 1, 400)
    cross_entropy, factor = -np.log(p), (1 - p) ** gamma
    loss.plot(p, cross_entropy, color="#777777", linewidth=1.6, linestyle="--", label="γ = 0: cross-entropy")
    if gamma > 0:
        loss.plot(p, factor * cross_entropy, color=_LINE, linewidth=2.2, label=f"γ = {gamma:g}: focal")
    loss.set_ylim(0, 4)
    loss.legend(loc="upper right", frameon=False, fontsize=9)
    share.plot(p, factor, color=_LINE, linewidth=2.2)
    lines = []
    for at, kind in ((0.1, "hard"), (0.5, "even"), (0.9, "easy")):
        rest = (1 - at) ** gamma
        share.plot([at, at], [0, rest], color=MUTED, linewidth=0.8, linestyle=":")
        share.plot([at], [rest], "o", color=INK, markersize=5)
        lines.append(f"p = {at:g}, {kind}: {compact_number(100 * rest)}% of the loss stays")
    corner = {"x": 0.98, "y": 0.96, "ha": "right", "va": "top"}
    if gamma < 1:  # the curve bends the other way
        corner = {"x": 0.03, "y": 0.08, "va": "bottom"}
    white = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    share.text(s="\n".join(lines), transform=share.transAxes, linespacing=1.4, color=INK, bbox=white, **corner)
    share.set_ylim(-0.03, 1.05)
    for axes in (loss, share):
        axes.set_xlim(0, 1)
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_xlabel("p, the probability that the model gives to this label", color=MUTED, size=8.5)
    page.head(left, top, "Loss of a positive entry, before its weight", "-(1 - p)^γ log p")
    what = f"(1 - p)^γ for γ = {gamma:g}" if gamma > 0 else "γ = 0: no focal term, all of it"
    page.head(left + width + 0.85, top, "What the focal term leaves of the loss", what)


# ---- numbers, ticks, letters ----


def _bounds(values: np.ndarray) -> tuple[float, float]:
    """Ends of a log axis for values of which some may be 0: the least one still gets a bar that can be seen."""
    positive = values[values > 0]
    if not len(positive):
        return 0.1, 1.0
    low = 10 ** math.floor(math.log10(positive.min()))
    return (low if positive.min() >= 2 * low else low / 2), float(max(positive.max(), 2 * low))


def _ticks(axis: Any, low: float, high: float, log: bool) -> None:
    """Ticks where there are values, none in the room that is left for texts."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    if log:
        powers = np.arange(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
        factors = (1.0, 3.0) if high / low < 50 else (1.0,)
        ticks = [factor * 10.0**power for power in powers[:: 1 + len(powers) // 6] for factor in factors]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: compact_number(value)))


def _lines(axes: Any, along: str, values: Iterable[float]) -> None:
    for value in values:
        draw = axes.axvline if along == "x" else axes.axhline
        draw(value, color=INK, linewidth=1, linestyle="--", zorder=1.5)


def _names(page: Page, labels: RankedLabels, places: Sequence[int], width: float) -> list[str]:
    """Names of the labels at some places of the order that fit into `width` inches."""
    indices = labels.order[list(places)]
    return names_that_fit(labels.counts.schema, indices, lambda name: page.width_of(name) <= width)


def names_that_fit(
    schema: LabelSchema, indices: Sequence[int] | np.ndarray, fits: Callable[[str], bool], longest: int = 44
) -> list[str]:
    """Names of labels that fit, distinct, in letters that the font has.

    Args:
        schema: the labels.
        indices: which of them.
        fits: whether a name is narrow enough.
        longest: columns that a name may have at most.
    """
    shown = [printable(schema.names[i], lambda i=i: schema.slugs[i]) for i in indices]
    for columns in range(longest, 7, -2):
        names = distinct_names(shown, columns)
        names = [f"{name} (primary)" if i in schema.primary else name for name, i in zip(names, indices, strict=True)]
        if all(map(fits, names)):
            break
    return names
