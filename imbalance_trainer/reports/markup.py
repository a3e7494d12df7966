"""HTML as text that is escaped unless it was made here, tables that scroll, and the look of a page."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..utils.numeric import is_number
from ..utils.text import shorten
from .page_style import STYLE

UNKNOWN = "-"
"""What stands for a value that is not known or not defined."""

# Letters that HTML forbids; a lone half of a surrogate pair cannot be written as UTF-8 at all.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Html(str):
    """Text that is HTML already; any other text is escaped where it is put in."""

    __slots__ = ()


@dataclass(frozen=True)
class Cell:
    """A cell of a table that has a class.

    Args:
        content: what stands in it.
        kind: its class in the style sheet.
    """

    content: Any
    kind: str = ""


def escaped(content: Any) -> Html:
    """Content as HTML: what is none yet is escaped, also for attributes.

    >>> escaped('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    if isinstance(content, Html):
        return content
    return Html(html.escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(content))))


def join(parts: Iterable[Any], between: str = "") -> Html:
    """The parts one after the other, each escaped where it is no HTML."""
    return Html(escaped(between).join(map(escaped, parts)))


def tag(name: str, *content: Any, **attributes: Any) -> Html:
    """An element. A trailing underscore of an attribute's name goes, others become hyphens; None leaves it out.

    >>> tag("p", "a < b", class_="note", aria_label=None)
    '<p class="note">a &lt; b</p>'
    """
    given = (f' {key.rstrip("_").replace("_", "-")}="{escaped(v)}"' for key, v in attributes.items() if v is not None)
    return Html(f"<{name}{''.join(given)}>{join(content)}</{name}>")


def named(label: Any, room: int = 80) -> Html:
    """A label's name, kept apart from the direction of the text around it, cut in the middle where it is very long."""
    return tag("bdi", shorten(str(label), room) or "(no name)")


def number(value: Any, digits: int = 2) -> str:
    """A value with a fixed number of digits; a hyphen where there is none.

    >>> number(0.456), number(None), number(float("nan"))
    ('0.46', '-', '-')
    """
    return f"{value:.{digits}f}" if is_number(value) else UNKNOWN


def count(value: Any) -> str:
    """A count in full, sums of soft labels with one digit; a hyphen where there is none.

    >>> count(12345), count(2.5), count(None)
    ('12,345', '2.5', '-')
    """
    if not is_number(value):
        return UNKNOWN
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def table(caption: Any, header: Sequence[Any], rows: Iterable[Sequence[Any]], kind: str = "") -> Html:
    """A table in a box of its own that scrolls sideways where the screen is narrow.

    Args:
        caption: what it shows, in words.
        header: heads of the columns.
        rows: cells, each as content or Cell; the first of a row is its head.
        kind: class of the table.
    """
    head = tag("thead", tag("tr", *(_cell("th", cell, scope="col") for cell in header)))
    body = join(
        join([tag("tr", _cell("th", first, scope="row"), *(_cell("td", cell) for cell in others)), "\n"])
        for first, *others in rows
    )
    whole = tag("table", tag("caption", caption), head, "\n", tag("tbody", "\n", body), class_=kind or None)
    words = Html(re.sub("<[^>]*>", "", escaped(caption)))  # an attribute holds no elements
    return tag("div", whole, class_="scroll", role="region", tabindex="0", aria_label=words)


def figure(content: Any, caption: Any, kind: str = "") -> Html:
    """A picture with a sentence that says what is to be seen."""
    return tag("figure", content, tag("figcaption", caption), class_=kind or None)


def section(name: str, title: str, *content: Any) -> Html:
    """A part of the page that a link can name."""
    return tag("section", tag("h2", title, id=name), "\n", *content, "\n", aria_labelledby=name)


def folded(summary: Any, *content: Any) -> Html:
    """What is there but does not stand in the way."""
    return tag("details", tag("summary", summary), *content)


def document(title: str, *body: Any) -> str:
    """A whole page that loads nothing and runs nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        Html('<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    page = tag("html", "\n", tag("head", "\n", *head), "\n", tag("body", "\n", *body), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _cell(name: str, cell: Any, **attributes: Any) -> Html:
    cell = cell if isinstance(cell, Cell) else Cell(cell)
    return tag(name, cell.content, class_=cell.kind or None, **attributes)
