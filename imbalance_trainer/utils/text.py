"""Plain text for a terminal of 80 columns: one place that knows widths."""

import unicodedata
from collections.abc import Sequence

WIDTH = 80


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Lines of a table at most WIDTH wide: the first column takes what the others leave, shortened in the middle.

    Args:
        header: column titles.
        rows: cells, as text.
        left: columns that are aligned to the left; the others are to the right.
    """
    others = [max(display_width(row[i]) for row in [header, *rows]) for i in range(1, len(header))]
    room = WIDTH - sum(others) - 2 * len(others)
    widths = [min(max(display_width(row[0]) for row in [header, *rows]), room), *others]
    lines = []
    for row in [header, *rows]:
        cells = [shorten(row[0], widths[0]), *row[1:]]
        padded = (_pad(cell, widths[i], i in left) for i, cell in enumerate(cells))
        lines.append("  ".join(padded).rstrip())
    return lines


def shorten(text: str, width: int) -> str:
    """Text of at most `width` columns, cut in the middle, where names that begin alike still differ at their ends.

    >>> shorten("ideologically motivated threats", 20)
    'ideologica...threats'
    """
    text = " ".join(text.split())
    if display_width(text) <= width:
        return text
    head, tail = list(text[: len(text) * 4 // 7]), list(text[len(text) * 4 // 7 :])
    while head and display_width("".join(head)) > (width - 3) * 3 // 5:
        head.pop()
    while tail and display_width("".join(head) + "..." + "".join(tail)) > width:
        tail.pop(0)
    return "".join(head) + "..." + "".join(tail)


def pluralize(n: int, word: str) -> str:
    """A number with its noun.

    >>> pluralize(1, "label"), pluralize(2, "label")
    ('1 label', '2 labels')
    """
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def display_width(text: str) -> int:
    """Columns that a terminal gives to a text: two for wide characters, none for combining ones."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(cell: str, width: int, left: bool) -> str:
    fill = " " * max(0, width - display_width(cell))
    return cell + fill if left else fill + cell
