"""Printing: colour only in a terminal that wants it, plain text of 80 columns elsewhere, and text taken literally."""

import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from imbalance_trainer.utils.console import as_text, bullets, console_print, text_table, verbatim
from imbalance_trainer.utils.text import shorten

PARTS = (
    "",
    "WARNING: 1 label [red]never[/] found :smile:",
    bullets(["a: 0 of 9, --focal_gamma 3 <b>", "word " * 30]),
    text_table(["label", "n"], [["[bold]x", "1"], ["a long name " * 12, "100"]]),
    verbatim(f"    --custom_weights '{'x' * 200}'"),
)
PLAIN = as_text(*PARTS)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def printed_in_terminal(monkeypatch):
    def printed(**environment):
        for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", "COLUMNS": "80", **environment}.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        console_print(*PARTS)
        return terminal.getvalue()

    return printed


def test_text_is_literal_and_lines_to_copy_stay_whole():
    assert "WARNING: 1 label [red]never[/] found :smile:" in PLAIN
    assert re.search(r"^\[bold\]x +1$", PLAIN, re.MULTILINE)
    lines = PLAIN.splitlines()
    assert lines[-1] == f"    --custom_weights '{'x' * 200}'"
    assert max(map(cell_len, lines[:-1])) <= 80
    assert all(line == line.rstrip() for line in lines)


def test_a_pipe_gets_plain_text_of_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    console_print(*PARTS)
    assert capsys.readouterr().out == PLAIN + "\n"


def test_colour_changes_no_letter(printed_in_terminal):
    shown = printed_in_terminal()
    assert "\x1b[1;33mWARNING" in shown
    plain = re.sub("\x1b\\[[0-9;]*m", "", shown)
    assert [line.rstrip() for line in plain.splitlines()] == PLAIN.splitlines()


def test_colour_is_for_terminals_that_want_it(printed_in_terminal):
    assert "\x1b[" not in printed_in_terminal(TERM="dumb")
    assert not re.search("\x1b\\[[0-9;]*3[0-7]", printed_in_terminal(NO_COLOR="1"))


def test_a_wide_terminal_is_used_up_to_120_columns(printed_in_terminal):
    plain = re.sub("\x1b\\[[0-9;]*m", "", printed_in_terminal(COLUMNS="300"))
    assert 100 < max(cell_len(line) for line in plain.splitlines() if "custom" not in line) <= 120


@given(st.lists(st.tuples(st.text(max_size=120), st.integers(0, 10**6)), max_size=5))
def test_no_line_of_a_table_is_too_wide(rows):
    lines = as_text(text_table(["label", "support"], [[name, str(n)] for name, n in rows])).split("\n")
    assert all(cell_len(line) <= 80 for line in lines)
    assert len(lines) >= len(rows) + 1


@given(st.text(), st.integers(8, 60))
def test_shortened_text_fits_and_short_text_stays(text, width):
    assert cell_len(shorten(text, width)) <= width
    if cell_len(" ".join(text.split())) <= width:
        assert shorten(text, width) == " ".join(text.split())


def test_shortened_names_still_differ_at_their_ends():
    names = [f"the same long beginning of a label name, {end}" for end in ("first", "second")]
    assert shorten(names[0], 30) != shorten(names[1], 30)
