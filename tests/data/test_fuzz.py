"""Any data written in any format comes back as it went in, or the error is one of ours."""

import csv
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.data.made import csv_text, jsonl, plain, written

SPLITS = ("train", "validation", "test")
NASTY = ["None", "NA", "null", "nan", "", '"', "a\r\nb", "\ufeff", "1", "[0, 1]", "x,y;z|w\tv", "\u2028", "0",
         "'", "\\"]  # fmt: skip
TEXTS = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.lists(  # without NUL, which Arrow drops from the end of a name
    st.sampled_from(["text", "label", "joy", "Joy", "a b", "a|b", "1", "0", "no", "None", "x;y", "[a]", "\u00fc"])
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6),
    min_size=2, max_size=4, unique=True,
).filter(lambda names: all(name.strip() == name and name.casefold() not in ("", "nan") for name in names))  # fmt: skip


@dataclass(frozen=True)
class Made:
    """Rows of each split: a text, and per label 0, 1, in between or None; in single-label data a class or None."""

    names: list[str]
    form: str
    rows: dict[str, list[tuple[str, list[float | None]]]]

    def records(self, split):
        """The rows as dictionaries, labels in the form that they are to be written in."""
        return [{"text": text, **self._labels(entries)} for text, entries in self.rows[split]]

    def _labels(self, entries):
        if self.form == "columns":
            return dict(zip(self.names, entries, strict=True))
        if self.form == "multi-hot":
            return {"labels": entries}
        if self.form == "dict":
            return {"labels": dict(zip(self.names, entries, strict=True))}
        if self.form == "class":
            return {"label": next((name for name, e in zip(self.names, entries, strict=True) if e), None)}
        unknown = None in entries
        return {"labels": None if unknown else [n for n, e in zip(self.names, entries, strict=True) if e]}

    def seen(self, split):
        """The rows that come back: of training those with a text."""
        return [row for row in self.rows[split] if row[0].strip() or split != "train"]

    def expected(self, split):
        """The labels as they are to come back."""
        entries = [[-100.0 if e is None else e for e in row] for _, row in self.seen(split)]
        if self.form == "names":  # which has no way to say that some entries of a row are not known
            entries = [[-100.0] * len(row) if -100.0 in row else row for row in entries]
        if self.form == "class":
            return [row.index(1) if 1 in row else -100 for row in entries]
        return entries


@st.composite
def made(draw):
    """A format, and data for it."""
    kind = draw(st.sampled_from([*FILES, *OBJECTS, "saved"]))
    names = draw(NAMES if kind != "txt" else NAMES.map(lambda names: list(dict.fromkeys(map(_word, names)))))
    form = draw(st.sampled_from(["columns", "multi-hot", "dict", "class", "names"] if kind != "txt" else ["names"]))
    if form == "class":
        entry = st.integers(-1, len(names) - 1).map(lambda i: [float(i == j) for j in range(len(names))])
    else:
        has_unknown, is_soft = (kind != "txt" and draw(st.booleans()) for _ in range(2))
        values = [0.0, 1.0, *([None] if has_unknown else []), *([0.25, 0.5] if is_soft and form != "names" else [])]
        entry = st.lists(st.sampled_from(values), min_size=len(names), max_size=len(names))
    rows = st.lists(st.tuples(TEXTS, entry), min_size=1, max_size=5)
    return Made(names, form, {split: draw(rows) for split in SPLITS}), kind


def _word(name):
    """A name that fastText's format can hold."""
    return "".join(char if char.isprintable() and char != " " else "_" for char in name)


def _cell(value):
    if value is None:
        return ""
    return (
        json.dumps(value) if isinstance(value, (list, dict)) else f"{value:g}" if isinstance(value, float) else value
    )


def _delimited(records, delimiter, quoting=csv.QUOTE_ALL):
    rows = [[_cell(value) for value in record.values()] for record in records]
    return csv_text(list(records[0]), rows, delimiter, quoting=quoting)


def _fasttext(records):
    def spelled(name):
        return f"__label__{name}"

    return "".join(" ".join([*map(spelled, record["labels"]), plain(record["text"])]) + "\n" for record in records)


FILES = {
    "csv": lambda records: _delimited(records, ","),
    "minimal.csv": lambda records: _delimited(records, ",", csv.QUOTE_MINIMAL),
    "semicolons.csv": lambda records: _delimited(records, ";").encode("utf-16"),
    "tsv": lambda records: _delimited(records, "\t"),
    "jsonl": jsonl,
    "array.json": lambda records: json.dumps(records, ensure_ascii=False),
    "parquet": pa.Table.from_pylist,
    "arrow": pa.Table.from_pylist,
    "txt": _fasttext,
}
OBJECTS = {
    "DataFrame": pd.DataFrame,
    "Dataset": datasets.Dataset.from_list,
    "IterableDataset": lambda records: datasets.IterableDataset.from_generator(lambda: iter(records)),
    "records": list,
}


def _cannot_be_said(data, kind):
    """Whether the format has no way to hold the data, or Python's own writer of it no right one."""
    if not any(text.strip() for text, _ in data.rows["train"]) or np.all(np.array(data.expected("train")) == -100):
        return True  # nothing to train on
    if kind.endswith("csv") or kind == "tsv":
        words = [*data.names, *(text for rows in data.rows.values() for text, _ in rows)]
        return data.form == "dict" or (kind == "minimal.csv" and any("\r" in word for word in words))
    if kind == "txt":  # a blank line is no row, a mark of the byte order at a file's start no part of its text
        marked = any(plain(rows[0][0]).startswith("\ufeff") and not any(rows[0][1]) for rows in data.rows.values())
        blank = any(not plain(text) and not any(hot) for rows in data.rows.values() for text, hot in rows)
        return marked or blank or not all(any(any(hot) for _, hot in rows) for rows in data.rows.values())
    return data.form in ("dict", "columns") and "text" in data.names


def _load(data, kind, folder):
    options = {"label_info": data.names, "label_format": "names" if kind == "txt" else None}
    options |= {"blank_labels": "unknown"} if data.form in ("columns", "dict") else {}
    if kind in OBJECTS:
        return load_labelled_dataset({split: OBJECTS[kind](data.records(split)) for split in SPLITS}, **options)
    if kind == "saved":
        for split in SPLITS:
            datasets.Dataset.from_list(data.records(split)).save_to_disk(folder / split)
        return load_labelled_dataset({split: folder / split for split in SPLITS}, **options)
    ending = kind.rpartition(".")[2]
    written(folder, {f"{split}.{ending}": FILES[kind](data.records(split)) for split in SPLITS})
    return load_labelled_dataset(folder, **options)


def _check(data, kind):
    """Whether the data came back; False where it was refused in words of ours."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            loaded = _load(data, kind, Path(folder))
        except (DataError, UsageError) as error:
            said = str(error)
            return "\n" in said and pytest.fail(said)
    assert loaded.schema.names == tuple(data.names)
    for split in SPLITS:
        texts = [text for text, _ in data.seen(split)]
        texts = [plain(text) for text in texts] if kind == "txt" else texts
        assert loaded.splits[split]["text"][:] == texts
        assert np.array_equal(np.array(loaded.splits[split]["labels"][:]), np.array(data.expected(split)))
    return True


def assert_comes_back(max_examples, least_share):
    """Run the check on so many examples; a share of those that can be written has to come back."""
    came_back = {}

    @settings(max_examples=max_examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(made())
    def run(example):
        data, kind = example
        if not _cannot_be_said(data, kind):
            came_back.setdefault(kind, []).append(_check(data, kind))

    datasets.disable_progress_bars()
    try:
        run()
    finally:
        datasets.enable_progress_bars()
    shares = {kind: np.mean(came) for kind, came in came_back.items() if len(came) >= 20}
    assert np.mean([came for kind in came_back.values() for came in kind]) > least_share
    assert all(share > 0.5 for share in shares.values()), shares


def test_what_comes_back_is_what_went_in_or_the_error_is_ours():
    assert_comes_back(60, 0.4)


@pytest.mark.slow
def test_what_comes_back_is_what_went_in_or_the_error_is_ours_2000_times():
    assert_comes_back(2000, 0.7)
