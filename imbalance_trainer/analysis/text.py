"""The analysis for a terminal: at most 80 columns, rarest label first, the recommendation last."""

import textwrap
from dataclasses import replace

from ..utils.text import WIDTH, display_width, shorten, text_table
from .analyze import Analysis
from .label_table import analysis_table, distinct_names
from .parts import Part, Table, parts_after_the_table, shown_labels


def analysis_text(analysis: Analysis, max_rows: int | None = None) -> str:
    """The whole analysis as plain text.

    Args:
        analysis: what was found out.
        max_rows: labels in each table, the rarest; None for all, or of more than 50 the 20 rarest.
    """
    labels = analysis.counts.labels
    from_1 = tuple(tuple(row + 1 for row in rows) for rows in labels.violation_rows)  # as warnings and files count
    labels = replace(labels, violation_rows=from_1)
    shown = len(shown_labels(analysis, max_rows))
    rows = f"{labels.n_rows:,} rows" + (f" of {labels.row_total:,}" if labels.row_total > labels.n_rows else "")
    what = f"Labels in {analysis.split}, {rows}, the rarest first, with the weight in training and why"
    table = analysis_table(labels, analysis.weights, shown).splitlines()
    lines = [*_wrapped(what, "", ""), "", *table]
    for part in parts_after_the_table(analysis, max_rows):
        lines += ["", *part_lines(part)]
    return "\n".join(lines)


def part_lines(part: Part) -> list[str]:
    """A part as lines."""
    lines = [part.title, "-" * len(part.title)]
    for sentence in part.sentences:
        lines += _wrapped(sentence, "", "  ")
    if part.table is not None:
        lines += text_table(part.table.header, _fitting(part.table), part.table.left)
    for head, text in part.items:
        lines += _wrapped(f"{shorten(head, 40)}: {text}" if part.key == "company" else head, "  ", "    ")
        lines += _wrapped(text, "    ", "    ") if part.key != "company" else []
    return lines


def _fitting(table: Table) -> list[list[str]]:
    """The rows, with names that still differ where they are shortened."""
    widths = [max(map(display_width, column)) for column in zip(table.header, *table.rows, strict=True)][1:]
    names = list(dict.fromkeys(row[0] for row in table.rows))
    short = dict(zip(names, distinct_names(names, WIDTH - sum(widths) - 2 * len(widths)), strict=True))
    return [[short[row[0]], *row[1:]] for row in table.rows]


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
