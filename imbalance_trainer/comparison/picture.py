"""A comparison as a picture: macro F1 of each method at 0.5 and tuned, each seed a dot."""

from pathlib import Path
from typing import Any

import numpy as np

from ..reports.page import GRID, INK, MUTED, WIDTH, Page, draw, printable
from .summary import MethodResult, Summary

_ROW, _TOP = 0.42, 1.65


def plot_comparison(summary: Summary, path: str | Path) -> Path:
    """Write the picture, see `page.draw` for formats and errors."""
    return draw(lambda: _figure(summary), path)


def _figure(summary: Summary) -> Any:
    methods = summary.methods
    n = len(methods)
    page = Page(_TOP + n * _ROW + 0.9)
    page.text(0.25, 0.36, "Methods compared on test", size=14, weight="bold")
    lines = _wrapped(page, summary.verdict(), WIDTH - 0.5)
    for i, line in enumerate(lines[:2]):
        page.text(0.25, 0.64 + 0.2 * i, line, size=10)
    names = [printable(method.name, lambda: "?") for method in methods]
    left = 0.35 + max(page.width_of(name) for name in names)
    width = (WIDTH - left - 0.3 - 2 * 0.35) / 3
    panels = [page.axes(left + i * (width + 0.35), _TOP, width, n * _ROW) for i in range(3)]
    heads = (
        ("Macro F1", "filled: tuned thresholds; hollow: at 0.5; dots: seeds"),
        ("Against stock, tuned", "difference in macro F1 and its 95% interval"),
        ("Labels never found", "filled: tuned; hollow: at 0.5; mean over seeds"),
    )
    for panel, words in zip(panels, heads, strict=True):
        panel.set_ylim(n - 0.5, -0.5)
        panel.tick_params(axis="y", length=0)
        panel.set_yticks(range(n), names if panel is panels[0] else [""] * n, parse_math=False)
        panel.grid(axis="x", color=GRID, linewidth=0.6)
        page.head(panel.get_position().x0 * WIDTH, _TOP, *words)
    for row, method in enumerate(methods):
        _draw_f1(panels[0], row, method)
        _draw_difference(panels[1], row, method)
        _draw_never_found(panels[2], row, method)
    panels[0].set_xlim(0, None)
    panels[1].axvline(0, color=MUTED, linewidth=1)
    panels[2].set_xlim(-0.2, max(1.0, panels[2].get_xlim()[1]))
    return page.figure


def _draw_f1(panel: Any, row: int, method: MethodResult) -> None:
    for when, filled, shift in (("at_half", False, 0.14), ("tuned", True, -0.14)):
        values = method.values(when, "f1_macro")
        panel.plot(values, np.full(len(values), row + shift), ".", color=MUTED, markersize=4, zorder=2)
        _mark(panel, float(np.mean(values)), row + shift, filled)


def _draw_difference(panel: Any, row: int, method: MethodResult) -> None:
    gained = method.difference
    if gained is None:
        panel.annotate("stock", (0, row), xytext=(5, 0), textcoords="offset points", va="center", size=8, color=MUTED)
        return
    panel.plot([gained.low, gained.high], [row, row], color=INK, linewidth=1.6)
    _mark(panel, gained.mean, row, True)


def _draw_never_found(panel: Any, row: int, method: MethodResult) -> None:
    for when, filled, shift in (("at_half", False, 0.14), ("tuned", True, -0.14)):
        _mark(panel, method.mean(when, "zero_recall"), row + shift, filled)


def _mark(panel: Any, x: float, y: float, filled: bool) -> None:
    face = INK if filled else "white"
    panel.plot([x], [y], "o", color=INK, markerfacecolor=face, markersize=6, zorder=3, clip_on=False)


def _wrapped(page: Page, text: str, width: float) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and page.width_of(f"{line} {word}", 10) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]
