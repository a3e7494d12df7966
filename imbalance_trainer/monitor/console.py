"""Where the monitor's words go: a terminal, with colour where it has any, a file, or a notebook's table."""

import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from jinja2 import Template
from tqdm.auto import tqdm

_STYLES = {
    r"^ERROR:.*": "bold red",
    r"^WARNING:.*": "bold yellow",
    r"^NOTE:.*": "bold cyan",
    r"^Good:": "bold green",
    r"^Adapted:": "bold magenta",
    r"--[a-z_]+ (?:'[^']*'|\S+)": "bold",
    r"(?<=\s)0\.00(?=\s)": "red",
}
"""What is set off by colour; the words say the same without it."""

_TABLE = Template(
    "<div><p>{{ words }}</p><table>"
    "<thead><tr>{% for cell in header %}<th scope='col'>{{ cell.strip() }}</th>{% endfor %}</tr></thead>"
    "<tbody>{% for row in rows %}<tr><th scope='row'>{{ row[0] }}</th>"
    "{% for cell in row[1:] %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody>"
    "</table>{% for note in notes if note %}<p>{{ note }}</p>{% endfor %}</div>",
    autoescape=True,
)


def say(text: str) -> None:
    """Print without tearing a progress bar, in colour where standard output is a terminal and rich is installed."""
    tqdm.write(coloured(text) if has_colour(sys.stdout) else text, file=sys.stdout)


def has_colour(stream: Any) -> bool:
    """Whether a stream is a terminal that wants colour (NO_COLOR, no-color.org, and TERM=dumb do not)."""
    wants = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wants and bool(getattr(stream, "isatty", lambda: False)())


def was_started_with_flags() -> bool:
    """Whether this program's command line has flags, so that advice in flags can be followed as it stands; those of a
    notebook's kernel and of launchers are not the user's."""
    words = [word for word in sys.argv[1:] if not re.match("--local[-_]rank", word)]
    return "ipykernel" not in sys.modules and any(word.startswith("--") for word in words)


def coloured(text: str) -> str:
    """The text with terminal codes; as it is without rich."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return text
    rich = Text(text)
    for pattern, style in _STYLES.items():
        for match in re.finditer(pattern, text, re.MULTILINE):
            rich.stylize(style, *match.span())
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=10_000, legacy_windows=False)
    console.print(rich, soft_wrap=True, end="")
    return out.getvalue()


class NotebookTable:
    """A table in a notebook's output that the next evaluation replaces."""

    def __init__(self) -> None:
        self._display: Any = None

    def show(
        self, lines: Sequence[str], header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
    ) -> None:
        """Show an evaluation.

        Args:
            lines: above the table.
            header, rows: of the table.
            notes: below it.
        """
        from IPython.display import HTML, display

        page = HTML(_TABLE.render(words=", ".join(lines), header=header, rows=rows, notes=notes))
        if self._display is None:
            self._display = display(page, display_id=True)
        else:
            self._display.update(page)
