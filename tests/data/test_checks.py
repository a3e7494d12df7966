"""What is odd in data is counted: against loops over rows, and through load_labelled_dataset."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.data.splits import absent_labels, broken_rules, conflicting_duplicates, leaked_texts
from imbalance_trainer.labels.schema import LabelSchema
from tests.data.made import csv_text, written

SCHEMA = LabelSchema(["a", "b"], implications=[("b", "a")])


def _parts(**rows):
    return {
        split: (pa.array([text for text, _ in part], pa.string()), np.array([hot for _, hot in part], np.float32))
        for split, part in rows.items()
    }


ENTRIES = st.lists(st.sampled_from([0.0, 1.0, -100.0, 0.5]), min_size=2, max_size=2)
ROWS = st.lists(st.tuples(st.sampled_from("xyzuvw"), ENTRIES), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(train=ROWS, test=ROWS)
def test_counts_are_those_of_a_loop(train, test):
    parts = _parts(train=train, test=test)
    leaked = [text for text, _ in test if text in {text for text, _ in train}]
    said = leaked_texts(parts)
    assert len(said) == bool(leaked)
    if leaked:
        assert said[0].startswith(f"{len(leaked)} of {len(test)} rows of test")

    conflicts, n_rows = 0, 0
    for text in {text for text, _ in train + test}:
        labels = [hot for other, hot in train + test if other == text]
        known = [{hot[i] for hot in labels} - {-100} for i in range(2)]
        conflicts += any(len(values) > 1 for values in known)
        n_rows += len(labels) * any(len(values) > 1 for values in known)
    said = conflicting_duplicates(parts)
    assert len(said) == bool(conflicts)
    if conflicts:
        assert said[0].startswith("1 text stands" if conflicts == 1 else f"{conflicts} texts stand")
        assert f"different labels, {n_rows} rows in all" in said[0]

    broken = [i + 1 for i, (_, (a, b)) in enumerate(train) if b > 0.5 and a == 0]
    said = [sentence for sentence in broken_rules(parts, SCHEMA) if sentence.startswith("train")]
    assert len(said) == bool(broken)
    if broken:
        assert f"'b' without 'a' in {len(broken)} row" in said[0]
        assert f": {', '.join(map(str, broken[:5]))}" in said[0]


def test_labels_without_positives_or_negatives():
    parts = _parts(train=[("x", [1, 0]), ("y", [1, -100])], test=[("z", [0, 1])])
    assert absent_labels(parts, SCHEMA) == [
        "1 label has no positive in train: 'b'.",
        "1 label has no positive in test: 'a'.",
        "1 label has no negative in train: 'a'.",
    ]
    classes = {"train": (pa.array(["x", "y"]), np.array([0, -100])), "test": (pa.array(["z"]), np.array([1]))}
    assert absent_labels(classes, SCHEMA) == [
        "1 label has no positive in train: 'b'.",
        "1 label has no positive in test: 'a'.",
    ]


def test_conflicts_of_classes_name_two_rows():
    parts = {"train": (pa.array(["x", "y"]), np.array([0, 1])), "test": (pa.array(["z", "y"]), np.array([1, 0]))}
    (said,) = conflicting_duplicates(parts)
    assert said.endswith("such as 'y' in train row 2 and test row 2.")


def test_all_of_it_is_said_when_data_is_loaded(tmp_path):
    train = [(f"t{i}", i % 2, i % 3 == 0, 0) for i in range(12)] + [("t0", 1, 1, 0)]
    files = {
        "train.csv": csv_text(["text", "a", "b", "c"], [(t, *map(int, hot)) for t, *hot in train]),
        "val.csv": csv_text(["text", "a", "b", "c", "d"], [("v", 1, 1, 1, 0), ("t1", 1, 0, 0, 1)]),
        "test.csv": csv_text(["text", "a", "b", "c"], [("t2", 0, 1, 1), ("v", 1, 1, 1)]),
        "label_info.json": json.dumps({"names": ["a", "b", "c"], "implications": [["b", "a"]]}),
    }
    data = load_labelled_dataset(written(tmp_path, files))
    assert data.remarks == (*data.notes, *(f"Warning: {said}" for said in data.warnings))
    said = [
        "2 texts stand there more than once with different labels, 4 rows in all, such as 't0' in train.csv row 1 "
        "and train.csv row 13.",
        "train.csv has 'b' without 'a' in 2 rows: 1, 7.",
        "test.csv has 'b' without 'a' in 1 row: 1.",
        "1 of 2 rows of validation (50.0%) have a text that stands in train too",
        "1 of 2 rows of test (50.0%) have a text that stands in train too",
        "1 of 2 rows of test (50.0%) have a text that stands in validation too",
        "1 label has no positive in train: 'c'.",
        "1 label has no negative in test: 'c'.",
    ]
    for sentence in said[:-1]:
        assert any(warning.startswith(sentence) for warning in data.warnings), (sentence, data.warnings)
    assert len(data.warnings) == len(said) - 1


@pytest.mark.parametrize("n_rows", [1, 5])
def test_data_that_is_well_gives_no_warning(n_rows):
    rows = [{"text": f"t{i}", "labels": [i % 2, 1 - i % 2]} for i in range(2 * n_rows)]
    splits = {
        split: [{**row, "text": split + row["text"]} for row in rows] for split in ("train", "validation", "test")
    }
    assert load_labelled_dataset(splits).warnings == ()


def test_rows_are_named_by_their_file_and_by_split_where_two_have_one_name(tmp_path):
    info = {"names": ["a", "b"], "implications": [["b", "a"]]}
    rows = [(f"t{i}", i % 2, int(i == 4)) for i in range(12)]
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder, {"rows.csv": csv_text(["text", "a", "b"], rows)})
    one = load_labelled_dataset(tmp_path / "x" / "rows.csv", label_info=info)
    assert "rows.csv has 'b' without 'a' in 1 row: 5." in one.warnings  # of the file, not of the split made of it
    paths = {"train": tmp_path / "x" / "rows.csv", "test": tmp_path / "y" / "rows.csv"}
    two = load_labelled_dataset({split: str(path) for split, path in paths.items()}, label_info=info)
    assert "train has 'b' without 'a' in 1 row: 5." in two.warnings
    assert "test has 'b' without 'a' in 1 row: 5." in two.warnings
