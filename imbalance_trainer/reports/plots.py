"""A picture of a training set: counts, imbalance ratios and class weights by label, and what the focal term does."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.label_table import RankedLabels, check_same_labels, compact_number, percent, short_count
from ..labels.class_weights import TIERS, ClassWeights
from ..labels.distribution import LabelDistribution
from ..utils.errors import UsageError
from .pictures import (
    GRID,
    INK,
    MUTED,
    SERIES,
    WHITE,
    WIDTH,
    head,
    log_limits,
    new_figure,
    number_axis,
    printable_names,
    save,
)

MAX_BARS = 60
"""Up to so many labels each gets a bar with its name; beyond, thin bars of all labels and lists of the ends."""

_RAREST, _COMMONEST = 10, 5  # listed beside thin bars
_LINE = SERIES[0][0]

# Tiers differ in grey and in hatching, and their names stand beside them: nothing is said by colour alone.
_TIERS = {"tail": ("#9a3324", ""), "medium": ("#e8a33d", "////"), "head": ("#c3d9ea", "")}


def plot_distribution(
    distribution: LabelDistribution,
    weights: ClassWeights,
    gamma: float,
    path: str | Path,
    max_weight: float | None = None,
    split: str = "training",
) -> Path:
    """Draw counts, imbalance ratio and class weight of each label, rarest first, and the effect of the focal term.

    Up to 60 labels are bars with their names; more are thin bars, with the rarest and the commonest listed by name.
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
        UsageError: weights of other labels than those counted, a gamma below 0, a format that matplotlib does not
            write, or a file that cannot be written.
    """
    check_same_labels(distribution, weights)
    if not (math.isfinite(gamma) and gamma >= 0):
        raise UsageError(f"gamma must be 0 or more; got {gamma!r}.")
    labels = RankedLabels(distribution, weights, max_weight)
    return save(lambda: _figure(labels, float(gamma), split), path)


def _figure(labels: RankedLabels, gamma: float, split: str) -> Any:
    n = len(labels.order)
    height, focal_height = 0.27 * n + 1.1 if n <= MAX_BARS else 7.2, 2.9
    figure = new_figure(WIDTH, height + focal_height, "Label distribution and class weights", labels.summary)
    counts, focal = figure.subfigures(2, 1, height_ratios=(height, focal_height))
    if n > MAX_BARS:
        counts, lists = counts.subfigures(1, 2, width_ratios=(7, 5))
        _draw_lists(lists.subplots(), labels)
    _draw_labels(counts.subplots(1, 3, sharey=True, width_ratios=(0.36, 0.28, 0.36)), labels, split)
    _draw_focal(focal, gamma)
    return figure


def _draw_labels(panels: Sequence[Any], labels: RankedLabels, split: str) -> None:
    """Counts, ratio and weight of each label as bars, the rarest on top; up to MAX_BARS have names."""
    n, named = len(labels.order), len(labels.order) <= MAX_BARS
    ratios = np.where(np.isfinite(labels.ratio), labels.ratio, 0)
    counted = zip(labels.support, labels.share, strict=True)
    texts = [
        [f"{short_count(s)} ({percent(p)}%)" if s > 0 else "0: no positives" for s, p in counted],
        [compact_number(ratio) if ratio else "no positives" for ratio in ratios],
        [labels.weight_text(i) for i in range(n)],
    ]
    for axes, values, words, log in zip(panels, (labels.support, ratios, labels.weight), texts, (True, True, False),
                                        strict=True):  # fmt: skip
        _bars(axes, labels, values, words if named else [], log)
    for at in [at for at, _ in TIERS] if labels.is_tiered else ():
        panels[1].axvline(at, color=INK, linewidth=1, linestyle="--", zorder=1.5 if n > MAX_BARS else 0.5)
    if labels.cap:
        panels[2].axvline(labels.cap, color=INK, linewidth=1, linestyle="--", zorder=0.5)
    bracket = "; in brackets: prevalence" if named else ""
    cut = f"dashed: cap {labels.cap:g} ({int(labels.is_capped.sum()) or 'none'} cut)" if labels.cap else ""
    custom = "" if named or not labels.is_custom.any() else f"; {int(labels.is_custom.sum()):,} custom"
    tiers = "dashed: from here on a larger weight" if labels.is_tiered else ""
    head(panels[0], f"Positives in {split}", f"log scale{bracket}", "")
    head(panels[1], "Imbalance ratio", "log scale; commonest secondary : this" if named else "log scale", tiers)
    head(panels[2], "Class weight", f"of a positive entry{custom}", cut)
    panels[0].set_ylim(n - 0.5, -0.5)
    if named:
        panels[0].set_yticks(range(n), _names(labels, range(n), 40))
    else:
        panels[0].set_ylabel("labels, from the rarest (1) to the commonest")
    _name_tiers(panels, labels.tiers)


def _bars(axes: Any, labels: RankedLabels, values: np.ndarray, texts: Sequence[str], log: bool) -> None:
    """Bars coloured by tier, each with its text, if any; a value of 0 is a text without a bar."""
    low, high = log_limits(values) if log else (0.0, max(float(values.max()), labels.cap or 0.0))
    taken = min(0.03 * max(map(len, texts), default=1), 0.7)  # of the width, by the longest text
    if log:
        axes.set_xscale("log")
    axes.set_xlim(low, low * (high / low) ** (1 / (1 - taken)) if log else high / (1 - taken))
    number_axis(axes.xaxis)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    first = 0
    for tier, size in labels.tiers.items():
        rows = np.arange(first, first + size)
        rows, first = rows[values[rows] > 0], first + size
        colour, hatch = _TIERS[tier]
        look = {"hatch": hatch, "edgecolor": INK, "linewidth": 0.5} if texts else {"height": 1}
        axes.barh(rows, values[rows] - low, left=low, **{"height": 0.68, "color": colour, **look})
    for row, text in enumerate(texts):
        axes.annotate(text, (max(values[row], low), row), (3, 0), textcoords="offset points", va="center_baseline",
                      size=8, bbox={"facecolor": WHITE, "edgecolor": "none", "pad": 0.8})  # fmt: skip


def _name_tiers(panels: Sequence[Any], tiers: Mapping[str, int]) -> None:
    """Names of the tiers at the right of the last panel, and lines between them."""
    first = 0
    for tier, size in tiers.items():
        if size:
            at = (1, first + (size - 1) / 2)
            panels[-1].annotate(tier, at, (8, 0), panels[-1].get_yaxis_transform(), "offset points", va="center",
                                color=MUTED, weight="bold", annotation_clip=False)  # fmt: skip
            for axes in panels if first else ():
                axes.axhline(first - 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        first += size


def _names(labels: RankedLabels, places: Sequence[int], columns: int) -> list[str]:
    schema, indices = labels.counts.schema, labels.order[list(places)]
    names = printable_names([schema.names[i] for i in indices], [schema.slugs[i] for i in indices], columns)
    return [f"{name} (primary)" if i in schema.primary else name for name, i in zip(names, indices, strict=True)]


def _draw_lists(axes: Any, labels: RankedLabels) -> None:
    """The rarest and the commonest labels by name, with their numbers, and the rest in words."""
    n, row = len(labels.order), 0.0
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(30, 0))
    for title, places in ((f"The {_RAREST} rarest", range(_RAREST)),
                          (f"The {_COMMONEST} commonest", range(n - 1, n - 1 - _COMMONEST, -1))):  # fmt: skip
        axes.text(0, row, title, size=10, weight="bold")
        for x, text in ((0.68, "positives"), (0.81, "ratio"), (1, "weight")):
            axes.text(x, row, text, ha="right", size=8, color=MUTED)
        for i, name in zip(places, _names(labels, places, 30), strict=True):
            row += 1
            axes.text(0, row, name, size=8.5)
            cells = (short_count(labels.support[i]), compact_number(labels.ratio[i]), labels.short_weight(i))
            for x, text in zip((0.68, 0.81, 1), cells, strict=True):
                axes.text(x, row, text, ha="right", size=8.5)
        row += 2
    for i, line in enumerate(labels.rest_in_words):
        axes.text(0, row + i, line, size=8.5, weight="bold" if line[:1] != " " else "normal")


def _draw_focal(figure: Any, gamma: float) -> None:
    """The loss of a positive entry over its probability, and what the focal term leaves of it."""
    loss, share = figure.subplots(1, 2)
    p = np.linspace(0.005, 1, 400)
    cross_entropy, factor = -np.log(p), (1 - p) ** gamma
    loss.plot(p, cross_entropy, color="#777777", linewidth=1.6, linestyle="--", label="γ = 0: cross-entropy")
    if gamma > 0:
        loss.plot(p, factor * cross_entropy, color=_LINE, linewidth=2.2, label=f"γ = {gamma:g}: focal")
    loss.set_ylim(0, 4)
    loss.legend(loc="upper right", fontsize=9)
    share.plot(p, factor, color=_LINE, linewidth=2.2)
    lines = []
    for at, kind in ((0.1, "hard"), (0.5, "even"), (0.9, "easy")):
        rest = (1 - at) ** gamma
        share.vlines(at, 0, rest, color=MUTED, linewidth=0.8, linestyle=":")
        share.plot([at], [rest], "o", color=INK, markersize=5)
        lines.append(f"p = {at:g}, {kind}: {compact_number(100 * rest)}% of the loss stays")
    corner: dict[str, Any] = {"x": 0.98, "y": 0.96, "ha": "right", "va": "top"}
    if gamma < 1:  # the curve bends the other way
        corner = {"x": 0.03, "y": 0.08, "va": "bottom"}
    share.text(s="\n".join(lines), transform=share.transAxes, linespacing=1.4,
               bbox={"facecolor": WHITE, "edgecolor": "none", "pad": 2}, **corner)  # fmt: skip
    share.set_ylim(-0.03, 1.05)
    what = f"(1 - p)^γ for γ = {gamma:g}" if gamma > 0 else "γ = 0: no focal term, all of it"
    head(loss, "Loss of a positive entry, before its weight", "-(1 - p)^γ log p")
    head(share, "What the focal term leaves of the loss", what)
    for axes in (loss, share):
        axes.set(xlim=(0, 1), xlabel="p, the probability that the model gives to this label")
        axes.grid(color=GRID)
