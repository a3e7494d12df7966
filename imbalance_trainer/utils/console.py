"""Printing for people by rich: paragraphs, bullets and tables in a terminal, a notebook, a pipe or a file."""

import io
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from tqdm.auto import tqdm

from .constants import WIDTH
from .text import distinct_names

_WIDEST = 120
"""Columns of a wider terminal are left free: longer lines are hard to read."""

_NARROWEST = 16
"""Columns that the names of a table have at least."""

_STYLES = {
    r"(?m)^ERROR:.*": "bold red",
    r"(?m)^WARNING:.*": "bold yellow",
    r"(?m)^NOTE:.*": "bold cyan",
    r"(?m)^Good:": "bold green",
    r"--[a-z_]+ (?:'[^']*'|\S+)": "bold",
}
"""What colour sets off. The words say the same without it."""


_is_quiet = False


def be_quiet(is_quiet: bool) -> None:
    """Have `console_print` print nothing from now on, for a program whose output is parsed; or print again."""
    global _is_quiet
    _is_quiet = is_quiet


def console_print(*parts: RenderableType) -> None:
    """Print paragraphs and tables to standard output without tearing a progress bar.

    A terminal gets its own width, and colour unless NO_COLOR or TERM=dumb is set. A pipe or a file gets plain text of
    80 columns, a notebook HTML. Strings have no markup.
    """
    if _is_quiet:
        return
    console = Console(file=sys.stdout)
    console.width = min(console.width, _WIDEST) if console.is_terminal else WIDTH
    if console.is_jupyter:
        _print(console, parts)
        return
    with console.capture() as captured:
        _print(console, parts)
    tqdm.write(_stripped(captured.get()), file=sys.stdout, end="")


def as_text(*parts: RenderableType) -> str:
    """What `console_print` writes to a file, without the last line break."""
    out = io.StringIO()
    _print(Console(file=out, width=WIDTH, color_system=None, force_jupyter=False), parts)
    return _stripped(out.getvalue()).removesuffix("\n")


def paragraph(text: str) -> Text:
    """A paragraph that is wrapped between words."""
    words = Text(text)
    for pattern, style in _STYLES.items():
        words.highlight_regex(pattern, style)
    return words


def verbatim(text: str) -> Text:
    """A line that is not wrapped, as a command or a path that is to be copied."""
    line = paragraph(text)
    line.no_wrap, line.overflow = True, "ignore"
    return line


def bullets(items: Iterable[str], mark: str = "  - ") -> Table:
    """A list; `mark` stands before each item, and its further lines are indented as far."""
    grid = Table.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for item in items:
        grid.add_row(mark, paragraph(item))
    return grid


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> Table:
    """A table of which each row is one line: names in the first column are cut in the middle where they are too long.

    Args:
        header: column titles.
        rows: cells, as text.
        left: columns of text, which are aligned to the left and, but for the first, wrapped; the others are numbers.
    """
    names, *columns = zip(header, *rows, strict=True)
    taken = sum(max(map(cell_len, column)) for column in columns)
    gap = 2 if taken + 2 * len(columns) + max(map(cell_len, names)) <= WIDTH else 1
    names = (names[0], *distinct_names(names[1:], max(WIDTH - taken - gap * len(columns), _NARROWEST)))
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for i, title in enumerate(header):
        justify: Literal["left", "right"] = "left" if i in left else "right"
        table.add_column(Text(title), justify=justify, overflow="fold", no_wrap=i == 0 or i not in left)
    for row in zip(names[1:], *(column[1:] for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _print(console: Console, parts: Iterable[RenderableType]) -> None:
    for part in parts:
        part = paragraph(part) if isinstance(part, str) else part
        own = (part.overflow, part.no_wrap) if isinstance(part, Text) else (None, None)  # print() keeps neither
        console.print(part, overflow=own[0], no_wrap=own[1], crop=False)


def _stripped(text: str) -> str:
    """Lines without the spaces that fill up columns."""
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
