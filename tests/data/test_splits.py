"""Splits that are made: stratified, every label in each of them, no text in two."""

import re
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.data.splits import near_duplicates
from imbalance_trainer.utils.errors import DataError
from tests.data.made import jsonl, written


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n_rows=st.integers(30, 120), n_labels=st.integers(1, 12), equal=st.booleans())
def test_every_label_with_three_positives_is_in_every_made_split(seed, n_rows, n_labels, equal):
    rng = np.random.default_rng(seed)
    hot = rng.random((n_rows, n_labels)) < np.minimum(3.2 / n_rows * 2.0 ** np.arange(n_labels), 0.4)
    texts = [f"t{i}" for i in range(n_rows)]
    if equal:
        texts[10:14], hot[10:14] = ["same"] * 4, hot[10]
    rows = [{"text": text, "labels": labels} for text, labels in zip(texts, hot.astype(int).tolist(), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        data = load_labelled_dataset(written(folder, {"train.jsonl": jsonl(rows)}), seed=seed)
    distinct = np.unique(texts, return_index=True)[1]
    wanted = hot[distinct].sum(0) >= 3
    for split in data.splits.values():
        assert (np.array(split["labels"][:])[:, wanted] == 1).any(0).all()
    _assert_a_partition(data, texts, hot.astype(int).tolist())


def words_of(text):
    return set(re.findall(r"\w+", text.lower()))


def similarity(one, other):
    either = words_of(one) | words_of(other)
    return len(words_of(one) & words_of(other)) / len(either) if either else 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefghijkl"), max_size=9).map(" ".join), max_size=30))
def test_near_duplicates_are_those_of_a_loop(texts):
    expected = {(i, j) for j in range(len(texts)) for i in range(j) if similarity(texts[i], texts[j]) >= 0.8}
    assert {tuple(pair) for pair in near_duplicates(texts).tolist()} == expected


@pytest.mark.parametrize("seed", range(8))
def test_planted_groups_and_paraphrases_stay_in_one_split(tmp_path, seed):
    rng = np.random.default_rng(seed)
    rows = [
        {
            "text": " ".join(f"w{w}" for w in rng.integers(0, 900, 12)),
            "user": None,
            "labels": (rng.random(3) < 0.3) * 1,
        }
        for _ in range(150)
    ]
    rows = [
        {**row, "user": f"u{i // 4}" if i < 80 else None, "labels": row["labels"].tolist()}
        for i, row in enumerate(rows)
    ]
    rows += [{**row, "text": f"{row['text'].upper()}, word!", "user": None} for row in rows[70:100]]
    folder = written(tmp_path, {"train.jsonl": jsonl(rows)})
    data = load_labelled_dataset(folder, seed=seed, split_group_column="user", keep_near_duplicates=True)
    home = {text: split for split, part in data.splits.items() for text in part["text"][:]}
    assert len(home) == 180
    assert all(home[rows[i]["text"]] == home[rows[i - i % 4]["text"]] for i in range(80))
    assert all(home[rows[i + 80]["text"]] == home[rows[i]["text"]] for i in range(70, 100))
    assert "equal texts and rows of one 'user' kept together" in data.notes[2]
    assert not any("same words" in said for said in data.warnings)
    loose = load_labelled_dataset(folder, seed=seed, text_column="text", label_columns="labels")
    assert any("--keep_near_duplicates true keeps them together" in said for said in loose.warnings)


def test_groups_and_paraphrases_of_given_splits_are_warned_of(tmp_path):
    train = [{"text": f"a b c d e f{i}", "user": f"u{i}", "labels": [i % 2]} for i in range(6)]
    test = [
        {"text": "a b c d e f1!", "user": "u4", "labels": [1]},
        {"text": "A b, c d e f9", "user": "u5", "labels": [0]},
    ]
    folder = written(tmp_path, {"train.jsonl": jsonl(train), "test.jsonl": jsonl(test)})
    said = load_labelled_dataset(folder, split_group_column="user", make_missing=False).warnings
    assert "2 groups of rows that belong together: in several of the splits that are given." in said
    assert (
        "1 pair of texts in different splits have nearly the same words, such as 'a b c d e f1' and 'a b c d e f1!'."
        in said
    )
    with pytest.raises(DataError, match="has no column 'usr': did you mean 'user'"):
        load_labelled_dataset(folder, split_group_column="usr")


@pytest.mark.parametrize("seed", [1, 4, 9, 17, 37, 47, 49, 51, 52, 68, 74, 79, 82, 104, 121, 131, 141, 144])
def test_every_label_is_spread_where_few_rows_allow_it(seed):
    """Tight cases, of which one random order in several leaves a label out."""
    rng = np.random.default_rng(seed)
    n_rows, n_labels = int(rng.integers(10, 40)), int(rng.integers(2, 14))
    hot = np.zeros((n_rows, n_labels), int)
    for j in range(n_labels):
        hot[rng.choice(n_rows, int(rng.choice([3, 3, 4, 5, 8])), replace=False), j] = 1
    rows = [{"text": f"t{i}", "labels": labels.tolist()} for i, labels in enumerate(hot)]
    data = load_labelled_dataset(rows, label_format="multi_hot", seed=0)
    for split in data.splits.values():
        assert (np.array(split["labels"][:]) == 1).any(0).all()
    assert not any("could not be spread" in warning for warning in data.warnings)
    _assert_a_partition(data, [row["text"] for row in rows], hot.tolist())


def _assert_a_partition(data, texts, labels):
    """Every row is in one split, in the file's order, and no text is in two of them."""
    where = {(text, str(label)): i for i, (text, label) in enumerate(zip(texts, labels, strict=True))}
    assert sorted(text for split in data.splits.values() for text in split["text"][:]) == sorted(texts)
    in_splits = [set(split["text"][:]) for split in data.splits.values()]
    assert sum(map(len, in_splits)) == len(set(texts))
    for split in data.splits.values():
        rows = [where[text, str(label)] for text, label in zip(split["text"][:], split["labels"][:], strict=True)]
        assert rows == sorted(rows)


def _rare_label_file(n_rows=400):
    hot = [[int(i % 3 == 0), int(i % 7 == 0), int(i % 100 == 0)] for i in range(n_rows)]
    return jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate(hot))


def test_made_splits_are_a_tenth_each_stratified_and_seeded(tmp_path):
    folder = written(tmp_path, {"train.jsonl": _rare_label_file()})
    data = load_labelled_dataset(folder)
    sizes = [len(split) for split in data.splits.values()]
    assert sum(sizes) == 400
    assert abs(sizes[1] - 40) <= 3
    assert abs(sizes[2] - 40) <= 3
    for split in data.splits.values():
        assert np.mean(split["labels"][:], axis=0) == pytest.approx([0.335, 0.145, 0.01], abs=0.04)
    assert "made of 10% of train.jsonl each, stratified, seed 42" in data.notes[2]
    again, other = load_labelled_dataset(folder), load_labelled_dataset(folder, seed=7)
    assert again.splits["test"]["text"][:] == data.splits["test"]["text"][:]
    assert other.splits["test"]["text"][:] != data.splits["test"]["text"][:]


@pytest.mark.parametrize("missing", ["validation", "test"])
def test_only_the_missing_split_is_made(tmp_path, missing):
    there = "test" if missing == "validation" else "validation"
    given_rows = jsonl({"text": f"g{i}", "labels": [1, 0, 0]} for i in range(5))
    data = load_labelled_dataset(written(tmp_path, {"train.jsonl": _rare_label_file(), f"{there}.jsonl": given_rows}))
    assert data.splits[there]["text"][:] == [f"g{i}" for i in range(5)]
    assert abs(len(data.splits[missing]) - 40) <= 3
    assert len(data.splits["train"]) + len(data.splits[missing]) == 400
    assert f"{missing} made of 10%" in data.notes[2]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 20))
def test_made_splits_of_single_label_data(seed, n_classes):
    rng = np.random.default_rng(seed)
    labels = rng.permutation([c for c in range(n_classes) for _ in range(3 + 5 * int(c == 0))]).tolist()
    texts = [f"t{i}" for i in range(len(labels))]
    rows = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        data = load_labelled_dataset(written(folder, {"train.jsonl": jsonl(rows)}), seed=seed)
    for split in data.splits.values():
        assert set(split["labels"][:]) == set(range(n_classes))
    _assert_a_partition(data, texts, labels)


def test_single_label_splits_keep_the_shares(tmp_path):
    rows = [{"text": f"t{i}", "label": "b" if i % 10 == 0 else "a"} for i in range(500)] + [
        {"text": "x", "label": "c"}
    ]
    data = load_labelled_dataset(written(tmp_path, {"train.jsonl": jsonl(rows)}))
    for split in ("validation", "test"):
        assert len(data.splits[split]) == 50
        assert data.splits[split]["labels"][:].count(1) == 5
    assert data.splits["train"]["labels"][:].count(2) == 1
    assert "Classes with a single text, which no split can share: 'c'." in data.warnings


def test_labels_that_cannot_be_spread_are_named(tmp_path):
    rows = [{"text": "same", "labels": ["a"]}] * 3 + [{"text": f"t{i}", "labels": ["b"]} for i in range(12)]
    data = load_labelled_dataset(written(tmp_path, {"train.jsonl": jsonl(rows)}))
    assert "Labels that could not be spread over all splits: 'a'." in data.warnings


@pytest.mark.parametrize("labels", [[[1]] * 5, [[0], [1], [0], [1], [1]], [[1, 0], [0, 1], [1, 1], [0, 0], [0, 0]]])
def test_tiny_files_are_split_too(tmp_path, labels):
    rows = [{"text": f"t{i}", "labels": label} for i, label in enumerate(labels)]
    data = load_labelled_dataset(written(tmp_path, {"train.jsonl": jsonl(rows)}))
    assert all(len(split) for split in data.splits.values())
