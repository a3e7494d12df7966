"""Text helpers: numbers with nouns, short names, Markdown."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len


def pluralize(n: int, word: str) -> str:
    """A number with its noun.

    >>> pluralize(1, "label"), pluralize(2, "label")
    ('1 label', '2 labels')
    """
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def shorten(text: str, width: int) -> str:
    """Text of at most `width` columns, cut in the middle, where names that begin alike still differ at their ends.

    >>> shorten("ideologically motivated threats", 20)
    'ideologica...threats'
    """
    text = " ".join(text.split())
    if cell_len(text) <= width:
        return text
    head, tail = list(text[: len(text) * 4 // 7]), list(text[len(text) * 4 // 7 :])
    while head and cell_len("".join(head)) > (width - 3) * 3 // 5:
        head.pop()
    while tail and cell_len("".join(head) + "..." + "".join(tail)) > width:
        tail.pop(0)
    return "".join(head) + "..." + "".join(tail)


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
    """The line below a table that leaves out `n` labels; none where it leaves out none."""
    return ["", f"{n:,} more {'label is' if n == 1 else 'labels are'} in {where}."] if n else []
