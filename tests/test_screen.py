"""Where the monitor's words go: colour only on a terminal that wants it, and in a notebook a table that updates."""

import io
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

from imbalance_trainer.monitor import console as screen
from imbalance_trainer.monitor.console import NotebookTable, coloured, has_colour, say

from .test_callbacks import SILENT, counts, spoken  # noqa: F401

TEXT = "\nWARNING: 1 label never found.\n  - a: 0 of 9, --focal_gamma 3 <b> [red] 0.00 \nGood: all [/] well"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert has_colour(Terminal())
    assert not has_colour(io.StringIO())
    assert not has_colour(object())
    monkeypatch.setenv("TERM", "dumb")
    assert not has_colour(Terminal())
    monkeypatch.delenv("TERM")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colour(Terminal())


@pytest.mark.parametrize(
    ("words", "kernel", "has"),
    [
        (["train.py"], False, False),
        (["train.py", "data", "-f"], False, False),
        (["train.py", "--loss=bce"], False, True),
        (["train.py", "--local-rank=0"], False, False),
        (["train.py", "--local_rank=1", "--bf16"], False, True),
        (["ipykernel_launcher.py", "--f=/x/kernel-1.json"], True, False),
    ],
)
def test_flags_are_those_that_a_user_gave(monkeypatch, words, kernel, has):
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if kernel:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    assert screen.was_started_with_flags() is has


def test_colour_changes_no_letter():
    pytest.importorskip("rich")
    shown = coloured(TEXT)
    assert "\x1b[" in shown
    assert re.sub("\x1b\\[[0-9;]*m", "", shown) == TEXT
    long = "x" * 500
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured(long)) == long


def test_without_rich_it_is_plain(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert coloured(TEXT) == TEXT


def test_a_file_gets_plain_text(monkeypatch, capsys):
    say(TEXT)
    assert capsys.readouterr().out == TEXT + "\n"
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    pytest.importorskip("rich")
    say(TEXT)
    assert "\x1b[" in terminal.getvalue()


@pytest.fixture
def shown(monkeypatch):
    """What is displayed in a notebook: one list of pages for each display."""
    displays = []

    class Display:
        def __init__(self, page):
            self.pages = [page.data]
            displays.append(self.pages)

        def update(self, page):
            self.pages.append(page.data)

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    module.HTML = lambda html: SimpleNamespace(data=str(html))
    module.display = lambda page, display_id: Display(page)
    ipython.display = module
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return displays


def test_a_notebook_s_table_is_replaced_by_the_next(shown):
    table = NotebookTable()
    for epoch in (1, 2):
        table.show([f"epoch {epoch}", "f1 0.5"], ["label", "recall"], [["<b>", "0.50"]], ["a note", ""])
    assert [len(pages) for pages in shown] == [2]
    assert "epoch 2, f1 0.5" in shown[0][1]
    assert "&lt;b&gt;" in shown[0][1]
    assert shown[0][1].count("<p>") == 2


def test_in_a_notebook_the_callback_shows_a_table_and_prints_the_warnings(shown, spoken, monkeypatch):  # noqa: F811
    monkeypatch.setattr("imbalance_trainer.training.callbacks.is_in_notebook", lambda: True)
    spoken.begin()
    assert spoken.evaluate(SILENT, 10) == ""
    out = spoken.evaluate(SILENT, 20)
    assert out.startswith("\nWARNING: 1 label never found")
    assert "label (rarest first)" not in out
    assert [len(pages) for pages in shown] == [2]
    assert "praising extremist acts" in shown[0][1]
    assert "1 of 3 labels have recall 0" in shown[0][1]
    spoken.begin()
    spoken.evaluate(SILENT, 10)
    assert len(shown) == 2  # another run, another table


def test_a_notebook_s_own_progress_shows_few_of_our_metrics():
    from imbalance_trainer import RareLabelCallback
    from imbalance_trainer.training.callbacks import terse

    class NotebookProgressCallback:
        seen = None

        def on_evaluate(self, args, state, control, metrics=None, **kwargs):
            type(self).seen = metrics

    replacement = terse(NotebookProgressCallback())
    ours = ["f1_a", "recall_a", "secondary_f1_macro", "n_labels_without_recall"]
    metrics = {"eval_loss": 1.0, "eval_mine": 2.0, **{f"eval_{name}": 0.5 for name in ours}}
    replacement(ours, [RareLabelCallback()]).on_evaluate(None, None, None, metrics=metrics)
    assert replacement.seen == {"eval_loss": 1.0, "eval_mine": 2.0, "eval_secondary_f1_macro": 0.5}
    replacement(ours, []).on_evaluate(None, None, None, metrics=metrics)
    assert replacement.seen == metrics
    assert terse(RareLabelCallback()) is None
