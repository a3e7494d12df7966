"""Markdown that says what it is given to say: text escaped, tables, how many rows a table leaves out."""

import re
from collections.abc import Iterable, Sequence
from typing import Any


def escaped(text: Any) -> str:
    """Text that stands for itself in Markdown, on one line; also in a cell of a table.

    >>> print(escaped("a|b\\n<c>"))
    a\\|b \\<c\\>
    """
    line = " ".join(str(text).split()).replace("&", "&amp;")
    return re.sub(r"([\\`*_{}\[\]<>|~#$])", r"\\\1", line)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Lines of a table; cells are Markdown already. Columns other than those in `left` are aligned to the right."""
    rule = [":---" if i in left else "---:" for i in range(len(header))]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def how_many_more(n: int, where: str) -> list[str]:
    """What follows a table that shows not all labels."""
    return ["", f"{n:,} more {'label is' if n == 1 else 'labels are'} in {where}."] if n else []
