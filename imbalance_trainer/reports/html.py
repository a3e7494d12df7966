"""Pages from data: jinja2 templates that escape what they are given, tables as data, and files that appear whole."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ..utils.numeric import is_number
from ..utils.text import escaped as markdown_escaped
from ..utils.text import pluralize, shorten

MAX_ROWS = 60
"""Up to so many labels each have a row that is seen at once, and a bar; longer tables are folded."""

UNKNOWN = "-"
"""What stands for a value that is not known or not defined."""

# Letters that HTML forbids; a lone half of a surrogate pair cannot be written as UTF-8 at all.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_FLAG = re.compile(r"(--[a-z][a-z_0-9-]*)((?:[ =](?:'[^']*'|-?\d[\d.]*(?:e-?\d+)?(?!\w)|true\b|false\b))?)")


@dataclass(frozen=True)
class Cell:
    """A cell of a table that has a class in the style sheet."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page, whose header and rows are texts or Cells.

    Args:
        caption: what it shows, in words.
        kind: class of the table in the style sheet.
        left: columns of text, which is aligned to the left.
        heads: what the first column holds: "names" of labels, "code" or "text".
        room: letters that a name may have.
    """

    caption: str
    header: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    kind: str = ""
    left: Sequence[int] = ()
    heads: str = "names"
    room: int = 80


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


def with_flags(text: str) -> Markup:
    """Text as HTML whose flags look like what is typed.

    >>> str(with_flags("Try --focal_gamma 3.0 or <more> data."))
    'Try <code><span class="flag">--focal_gamma</span> 3.0</code> or &lt;more&gt; data.'
    """
    parts, end = [], 0
    for found in _FLAG.finditer(text):
        parts += [escape(text[end : found.start()]),
                  Markup('<code><span class="flag">{}</span>{}</code>').format(found[1], found[2])]  # fmt: skip
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def render(template: str, **content: Any) -> str:
    """Fill a template of this package.

    Args:
        template: its file in templates/. HTML is escaped by itself; in Markdown the filter `md` does it.
        content: what the template shows.
    """
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": number, "count": count, "flags": with_flags, "shorten": shorten}
    environment.filters |= {"md": markdown_escaped, "is_cell": lambda cell: isinstance(cell, Cell)}
    environment.globals |= {"pluralize": pluralize, "max_rows": MAX_ROWS}
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", environment.get_template(template).render(content))
