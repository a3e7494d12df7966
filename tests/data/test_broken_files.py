"""Broken files: each with the sentence that is said of it. docs/data-formats.md shows the tables.

`python -m tests.data.test_broken_files` writes what is said now into that page.
"""

import html
import io
import os
from pathlib import Path

import pytest

from imbalance_trainer.data import decoding
from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.data.broken_files import UNREADABLE
from tests.data.broken_values import ASKED, UNFIT
from tests.data.made import written

PAGE = Path(__file__).parents[2] / "docs" / "data-formats.md"

TABLES = {
    "Files that cannot be read": UNREADABLE,
    "Columns and values that do not fit": UNFIT,
    "What you are asked": ASKED,
}
CASES = {name: case for cases in TABLES.values() for name, case in cases.items()}


def said_of(case, patch):
    """The error that loading the case's files raises, in an empty folder that becomes the current one."""
    os.mkdir("data")
    written("data", case.files)
    case.before(patch)
    with pytest.raises((DataError, UsageError)) as caught:
        load_labelled_dataset("data", **case.options)
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_errors_are_one_sentence_that_says_where(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    error = said_of(CASES[name], monkeypatch)
    assert str(error) == CASES[name].said
    assert type(error) is (UsageError if name in ASKED else DataError)
    assert "\n" not in str(error)


def test_nothing_is_read_beyond_the_limit_of_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LINE_LIMIT", 1000)
    path = tmp_path / "train.csv"
    path.write_text("text,a\n" + "x" * 5000)
    read = []

    class Watched(io.FileIO):
        def read(self, size):
            read.append(size)
            return super().read(size)

    monkeypatch.setattr(Path, "open", lambda path, mode: Watched(path))
    with pytest.raises(DataError, match="line 2 is longer than 1000 bytes"):
        decoding.read_utf8(path)
    assert sum(read) <= 3000


def table():
    """The cases as the page shows them."""
    rows = []
    for title, cases in TABLES.items():
        rows += [f"### {title}", "", "| | what is said |", "|---|---|"]
        rows += [f"| {name} | {_code(case.said)} |" for name, case in cases.items()]
        rows.append("")
    return "\n".join(rows)


def _code(text):
    """A code span in a table's cell; with a pipe in it as HTML, as escapes of it are not shown alike everywhere."""
    if "|" in text:
        return f"<code>{html.escape(text, quote=False).replace('|', '&#124;')}</code>"
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}"


def _page_with(content):
    start, end = "<!-- broken files: begin -->\n", "<!-- broken files: end -->"
    before, rest = PAGE.read_text(encoding="utf-8").split(start)
    return before + start + "\n" + content + end + rest.split(end)[1]


def test_the_page_shows_what_is_said():
    assert len(CASES) == sum(map(len, TABLES.values())) > 100
    assert PAGE.read_text(encoding="utf-8") == _page_with(table())


if __name__ == "__main__":
    PAGE.write_text(_page_with(table()), encoding="utf-8")
