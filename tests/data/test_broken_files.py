"""Broken files: each with the sentence that is said of it."""

import os

import pytest

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


def said_of(case):
    """The error that loading the case's files raises, in an empty folder that becomes the current one."""
    os.mkdir("data")
    written("data", case.files)
    with pytest.raises((DataError, UsageError)) as caught:
        load_labelled_dataset("data", **case.options)
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_errors_are_one_sentence_that_says_where(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    error = said_of(CASES[name])
    assert str(error) == CASES[name].said
    assert type(error) is (UsageError if name in ASKED else DataError)
    assert "\n" not in str(error)
