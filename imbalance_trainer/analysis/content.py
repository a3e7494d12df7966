"""The content of an analysis as data, and how a terminal and Markdown show it."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import RenderableType

from ..utils.console import bullets, text_table
from ..utils.text import escaped, markdown_table


@dataclass(frozen=True)
class Table:
    """Cells as text. The first column has label names; columns in `left` are text, the others numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Part:
    """A part of the analysis.

    Args:
        key: name for links.
        title: heading.
        sentences: text before the table.
        table: numbers by label.
        notes: text after the table.
        items: (head, text) at the end: labels and what is said about each, or settings and their reasons.
    """

    key: str
    title: str
    sentences: tuple[str, ...] = ()
    table: Table | None = None
    notes: tuple[str, ...] = ()
    items: tuple[tuple[str, str], ...] = ()


def part_message(part: Part, with_title: bool = True) -> list[RenderableType]:
    """A part as paragraphs and tables for `console_print`."""
    message: list[RenderableType] = [part.title, "-" * len(part.title)] if with_title else []
    message += part.sentences
    if part.table is not None:
        message.append(text_table(part.table.header, part.table.rows, part.table.left))
    message += part.notes
    for head, text in part.items:
        is_setting = head.startswith("--")
        message += [bullets([head if is_setting else f"{head}: {text}"], "  ")]
        message += [bullets([text], "    ")] if is_setting else []
    return message


def markdown(title: str, parts: Iterable[Part]) -> str:
    """Parts as Markdown below a title."""
    lines = [f"## {escaped(title)}"]
    for part in parts:
        lines += ["", f"### {part.title}", "", *(f"- {escaped(sentence)}" for sentence in part.sentences)]
        if part.table is not None:
            rows = [[escaped(cell) for cell in row] for row in part.table.rows]
            lines += ["", *markdown_table(part.table.header, rows, part.table.left), ""]
        lines += [f"- {escaped(note)}" for note in part.notes]
        for head, text in part.items:
            shown = f"`{head}`" if head.startswith("--") else f"**{escaped(head)}**"
            lines.append(f"- {shown}: {escaped(text)}")
    return "\n".join(lines)
