"""Broken files: each with the sentence that is said of it."""

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
