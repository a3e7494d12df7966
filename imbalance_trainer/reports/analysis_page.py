"""The page of `analyze`: for a wide screen, a phone, paper and a screen reader. It loads nothing.

The parts of the analysis are the same as in a terminal; here are the pictures and templates/analysis.html.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.analyze import Analysis
from ..analysis.parts import analysis_parts
from ..utils.files import written
from ..utils.text import percent, short_count
from .html import MAX_ROWS, Table, render
from .pictures import Picture, inline, label_chart

_BINS = (0, 1, 5, 10, 20, 50, 100, 500, 1000, 10_000, np.inf)


def write_page(analysis: Analysis, path: str | Path) -> Path:
    """Write the page; the file is written atomically.

    Raises:
        UsageError: it cannot be written.
    """
    with written(path) as unfinished:
        unfinished.write_text(build_page(analysis), encoding="utf-8")
    return Path(path)


def build_page(analysis: Analysis) -> str:
    """Build the page, as HTML."""
    parts = {part.key: part for part in analysis_parts(analysis, len(analysis.rarest_first), wide=True)}
    first = [key for key in ("recommendation", "limitations") if key in parts]
    return render(
        "analysis.html",
        analysis=analysis,
        parts=[parts[key] for key in dict.fromkeys([*first, *parts])],
        tables={key: _page_table(part) for key, part in parts.items() if part.table is not None},
        pictures={"weights": _support_picture(analysis), "splits": _prevalence_picture(analysis)},
    )


def _page_table(part: Any) -> Table:
    table = part.table
    return Table(part.title, table.header, table.rows, "wide" if part.key == "weights" else "", table.left, room=1000)


def _support_picture(analysis: Analysis) -> Picture:
    """Bars of the labels' positives; of many labels, how many have so many."""
    counts, order, where = analysis.counts, analysis.rarest_first, analysis.split
    support = counts.support[order]
    if len(order) > MAX_ROWS:
        inside, _ = np.histogram(support, _BINS)
        bins = [f"{low:,}" + (" and more" if high == np.inf else f" to {high - 1:,}" if high > low + 1 else "")
                for low, high in pairwise(_BINS) if low <= support[-1]]  # fmt: skip
        found = inside[: len(bins)]
        words = f"Labels by their positives in {where}."
        return inline("support", words, words, lambda: label_chart(
            bins, {"labels": found}, "labels with so many positives", [f"{n:,}" for n in found],
            limits=(0, inside.max() * 1.02)))  # fmt: skip
    notes = [f"{short_count(counts.support[i])} ({percent(counts.prevalence[i])}%)" for i in order]
    words = f"Positives of each label in {where}, rarest first; in brackets their share of the {counts.n_rows:,} rows."
    names = [counts.schema.names[i] for i in order]
    return inline("support", f"Positives of each label in {where}", words,
                  lambda: label_chart(names, {"positives": support}, "positives, log scale", notes))  # fmt: skip


def _prevalence_picture(analysis: Analysis) -> Picture:
    """A mark for each split and label; of many labels the rarest."""
    names, order = analysis.counts.schema.names, list(analysis.rarest_first)
    title = "Prevalence of each label, by split, rarest first"
    if len(order) > MAX_ROWS:
        title, order = f"{title}: the 20 rarest", order[:20]
    shares = {name: 100 * split.prevalence[order] for name, split in list(analysis.splits.items())[:4]}
    words = f"{title}. Hollow, at the left end: no positive there."
    shown = [names[i] for i in order]
    return inline("prevalence", title, words, lambda: label_chart(shown, shares, "% of the rows, log scale"))
