import ast
import csv
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer.data import MULTI_LABEL, SINGLE_LABEL, load_labelled_dataset
from imbalance_trainer.errors import DataError, UsageError

NAMES = ("anger", "fear", "joy")
INFO = {
    "names": list(NAMES), "groups": {"primary": ["anger"]}, "implications": [["fear", "anger"]], "exclusive": {},
}  # fmt: skip
ROWS = {
    "train": [
        ("None", [1, 1, 0]),
        ('she said "hi", twice', [0, 0, 1]),
        ("two\nlines", [0, 0, 0]),
        ("NA", [1, 0, 1]),
        ("ünï|cø;de,\t✓", [0, 0, 1]),
        ("1", [1, 0, 0]),
    ],
    "validation": [("null", [0, 0, 1]), ("nan", [1, 1, 1])],
    "test": [("", [1, 1, 0]), ("  spaced  ", [0, 0, 1])],
}


def _written(folder, files):
    folder = Path(folder)
    for name, content in files.items():
        if isinstance(content, pa.Table):
            pq.write_table(content, folder / name)
        elif isinstance(content, datasets.Dataset):
            content.to_parquet(folder / name)
        else:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def _csv(header, rows, separator=",", start="", quoting=csv.QUOTE_MINIMAL):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="\n", quoting=quoting).writerows([header, *rows])
    return start + out.getvalue()


def _jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def _names(hot):
    return [name for name, value in zip(NAMES, hot, strict=True) if value]


def _hot_indices(hot):
    return [i for i, value in enumerate(hot) if value]


def _csv_cell(spell, **style):
    return lambda rows: _csv(["text", "labels"], [(text, spell(hot)) for text, hot in rows], **style)


def _jsonl_labels(spell, name="labels"):
    return lambda rows: _jsonl({"text": text, name: spell(hot)} for text, hot in rows)


def _parquet(kind, spell=list):
    return lambda rows: pa.table(
        {"text": [text for text, _ in rows], "labels": pa.array([spell(hot) for _, hot in rows], kind)}
    )


def _class_label_lists(rows):
    names = ["joy", "anger", "fear"]  # another order than label_info.json's
    indices = [[names.index(name) for name in _names(hot)] for _, hot in rows]
    features = {"text": datasets.Value("string"), "labels": datasets.List(datasets.ClassLabel(names=names))}
    return datasets.Dataset.from_dict(
        {"text": [text for text, _ in rows], "labels": indices}, features=datasets.Features(features)
    )


def _columns_table(rows):
    large = pa.array([text for text, _ in rows], pa.large_string())
    return pa.table({"text": large, **{n: pa.array([hot[i] for _, hot in rows]) for i, n in enumerate(NAMES)}})


_WORDS = (["0", "False", "no"], ["1", "TRUE", "Yes"])
MULTI_FORMATS = {
    "columns.csv": lambda rows: _csv(["text", *NAMES], [(text, *hot) for text, hot in rows]),
    "columns of words.csv": lambda rows: _csv(
        ["text", *NAMES], [(text, *(_WORDS[v][i] for i, v in enumerate(hot))) for text, hot in rows]
    ),
    "columns, floats.csv": lambda rows: _csv(["text", *NAMES], [(text, *map(float, hot)) for text, hot in rows]),
    "columns.tsv": lambda rows: _csv(["text", *NAMES], [(text, *hot) for text, hot in rows], "\t"),
    "columns, semicolons and BOM.csv": lambda rows: _csv(
        ["text", *NAMES], [(text, *hot) for text, hot in rows], ";", "\ufeff"
    ),
    "columns, bars.csv": lambda rows: _csv(["text", *NAMES], [(text, *hot) for text, hot in rows], "|"),
    "json lists.csv": _csv_cell(json.dumps),
    "numpy lists.csv": _csv_cell(lambda hot: str(np.array(hot))),
    "python lists of names.csv": _csv_cell(lambda hot: repr(_names(hot))),
    "names with bars.csv": _csv_cell(lambda hot: "|".join(_names(hot))),
    "names with semicolons.csv": _csv_cell(lambda hot: " ; ".join(_names(hot))),
    "names in capitals with commas.csv": _csv_cell(lambda hot: ",".join(_names(hot)).upper()),
    "multi-hot.jsonl": _jsonl_labels(list),
    "booleans.jsonl": _jsonl_labels(lambda hot: [bool(value) for value in hot]),
    "mixed kinds.jsonl": _jsonl_labels(lambda hot: [bool(hot[0]), *hot[1:]]),
    "names.jsonl": _jsonl_labels(_names),
    "indices.json": _jsonl_labels(_hot_indices),
    "dict.jsonl": _jsonl_labels(lambda hot: dict(zip(NAMES, hot, strict=True))),
    "columns.jsonl": lambda rows: _jsonl({"text": t, **dict(zip(NAMES, hot, strict=True))} for t, hot in rows),
    "BOM.jsonl": lambda rows: "\ufeff" + _jsonl_labels(list)(rows),
    "multi-hot.parquet": _parquet(pa.list_(pa.int8())),
    "floats.parquet": _parquet(pa.list_(pa.float64())),
    "booleans.parquet": _parquet(pa.list_(pa.bool_()), lambda hot: list(map(bool, hot))),
    "fixed size.parquet": _parquet(pa.list_(pa.int64(), 3)),
    "large lists.parquet": _parquet(pa.large_list(pa.int64())),
    "names.parquet": _parquet(pa.list_(pa.string()), _names),
    "indices.parquet": _parquet(pa.list_(pa.int64()), _hot_indices),
    "struct.parquet": lambda rows: pa.Table.from_pylist(
        [{"text": text, "labels": dict(zip(NAMES, hot, strict=True))} for text, hot in rows]
    ),
    "columns.parquet": _columns_table,
    "ClassLabel.parquet": _class_label_lists,
}
HAVE_NO_NAMES = {"json lists.csv", "numpy lists.csv", "multi-hot.jsonl", "booleans.jsonl", "mixed kinds.jsonl"} | {
    *("indices.json", "BOM.jsonl", "multi-hot.parquet", "floats.parquet", "booleans.parquet", "fixed size.parquet"),
    *("large lists.parquet", "indices.parquet"),
}


def _assert_rows(data, expected=ROWS, order=(0, 1, 2)):
    assert list(data.splits) == ["train", "validation", "test"]
    for split, rows in expected.items():
        assert data.splits[split].column_names == ["text", "labels"]
        assert data.splits[split]["text"][:] == [text for text, _ in rows]
        assert data.splits[split]["labels"][:] == [[hot[i] for i in order] for _, hot in rows]


@pytest.mark.parametrize("kind", MULTI_FORMATS)
def test_every_format_gives_the_same_splits_and_schema(tmp_path, kind):
    ending = Path(kind).suffix
    files = {f"{split}{ending}": MULTI_FORMATS[kind](rows) for split, rows in ROWS.items()}
    data = load_labelled_dataset(_written(tmp_path, {**files, "label_info.json": json.dumps(INFO)}))
    _assert_rows(data)
    assert data.schema.to_dict() == INFO
    assert data.problem_type == MULTI_LABEL
    assert data.splits["train"].features == datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.List(datasets.Value("int8"))}
    )
    assert len(data.notes) <= 4
    assert f"train{ending}" in data.notes[0]
    assert "label_info.json" in data.notes[1]


@pytest.mark.parametrize("kind", MULTI_FORMATS)
def test_names_without_label_info(tmp_path, kind):
    ending = Path(kind).suffix
    files = {f"{split}{ending}": MULTI_FORMATS[kind](rows) for split, rows in ROWS.items()}
    data = load_labelled_dataset(_written(tmp_path, files))
    names = ("label_0", "label_1", "label_2") if kind in HAVE_NO_NAMES else NAMES
    order = (0, 1, 2)
    if kind == "ClassLabel.parquet":
        names, order = ("joy", "anger", "fear"), (2, 0, 1)
    if "capitals" in kind:
        names = tuple(name.upper() for name in NAMES)
    assert data.schema.names == names
    _assert_rows(data, order=order)


@pytest.mark.parametrize("stem", ["validation", "dev", "val", "valid", "VALIDATION"])
def test_formats_may_differ_between_splits(tmp_path, stem):
    files = {
        "train.csv": MULTI_FORMATS["names with bars.csv"](ROWS["train"]),
        f"{stem}.jsonl": MULTI_FORMATS["names.jsonl"](ROWS["validation"]),
        "test.PARQUET": MULTI_FORMATS["names.parquet"](ROWS["test"]),
        "README.md": "not read",
    }
    _assert_rows(load_labelled_dataset(_written(tmp_path, files)))


# ---- single-label ----

CLASSES = ("ham", "news", "spam")
SINGLE_ROWS = {"train": [("a", 2), ("b", 0), ("c", 1), ("d", 0)], "validation": [("e", 0)], "test": [("f", 1)]}


def _single_class_label(rows):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(CLASSES))})
    content = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    return datasets.Dataset.from_dict(content, features=features)


SINGLE_FORMATS = {
    "names.csv": lambda rows: _csv(["text", "label"], [(text, CLASSES[i]) for text, i in rows]),
    "indices.csv": lambda rows: _csv(["label", "text"], [(i, text) for text, i in rows]),
    "names.tsv": lambda rows: _csv(["text", "labels"], [(text, CLASSES[i]) for text, i in rows], "\t"),
    "names.jsonl": lambda rows: _jsonl({"text": text, "label": CLASSES[i]} for text, i in rows),
    "indices.jsonl": lambda rows: _jsonl({"text": text, "label": i} for text, i in rows),
    "floats.parquet": lambda rows: pa.table({"text": [t for t, _ in rows], "label": [float(i) for _, i in rows]}),
    "category.parquet": lambda rows: pa.table(
        {"text": [t for t, _ in rows], "label": pa.array([CLASSES[i] for _, i in rows]).dictionary_encode()}
    ),
    "ClassLabel.parquet": _single_class_label,
}


@pytest.mark.parametrize("with_info", [True, False])
@pytest.mark.parametrize("kind", SINGLE_FORMATS)
def test_single_label(tmp_path, kind, with_info):
    ending = Path(kind).suffix
    files = {f"{split}{ending}": SINGLE_FORMATS[kind](rows) for split, rows in SINGLE_ROWS.items()}
    if with_info:
        files["label_info.json"] = json.dumps({"names": CLASSES})
    data = load_labelled_dataset(_written(tmp_path, files))
    made = not with_info and kind in ("indices.csv", "indices.jsonl", "floats.parquet")
    assert data.schema.names == (("label_0", "label_1", "label_2") if made else CLASSES)
    assert data.problem_type == SINGLE_LABEL
    for split, rows in SINGLE_ROWS.items():
        assert data.splits[split]["labels"][:] == [label for _, label in rows]
    assert data.splits["train"].features["labels"] == datasets.ClassLabel(names=list(data.schema.names))


@pytest.mark.parametrize("label", [None, -1, -100])
def test_unknown_classes(tmp_path, label):
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": label}, {"text": "c", "label": 0}]
    files = {f"{split}.jsonl": _jsonl(rows) for split in ROWS}
    data = load_labelled_dataset(_written(tmp_path, files))
    assert data.splits["train"]["labels"][:] == [1, -100, 0]
    assert data.splits["train"].features["labels"] == datasets.Value("int64")
    assert "3 unknown label entries" in data.notes[-1]


def test_unknown_classes_of_csv_and_of_class_label(tmp_path):
    unknown = _single_class_label([("a", 2), ("b", -1), ("c", 0)])
    cells = _csv(["text", "label"], [("a", "ham"), ("b", ""), ("c", "-1")])
    data = load_labelled_dataset(
        _written(tmp_path, {"train.parquet": unknown, "validation.csv": cells, "test.csv": cells})
    )
    assert data.splits["train"]["labels"][:] == [2, -100, 0]
    assert data.splits["test"]["labels"][:] == [0, -100, -100]


def test_none_is_a_usual_name_for_a_class_and_not_unknown(tmp_path):
    cells = _csv(["text", "label"], [("a", "ham"), ("b", "none"), ("c", "NA")])
    data = load_labelled_dataset(_written(tmp_path, {f"{split}.csv": cells for split in ROWS}))
    assert data.schema.names == ("NA", "ham", "none")
    assert data.splits["train"]["labels"][:] == [1, 2, 0]


def test_numbers_that_are_names_are_names(tmp_path):
    cells = _csv(["text", "label"], [("a", "1"), ("b", "5"), ("c", "3")])
    info = json.dumps({"names": ["5", "3", "1"]})
    data = load_labelled_dataset(_written(tmp_path, {**{f"{s}.csv": cells for s in ROWS}, "label_info.json": info}))
    assert data.splits["train"]["labels"][:] == [2, 0, 1]


# ---- unknown and soft labels ----


@pytest.mark.parametrize("word", ["", "nan", "NaN", "None", "null", "-1", "-100", "-1.0"])
def test_unknown_entries_of_csv(tmp_path, word):
    content = _csv(["text", "a", "b"], [("x", 1, word), ("y", word, 0), ("z", 0, 1)])
    data = load_labelled_dataset(_written(tmp_path, {f"{split}.csv": content for split in ROWS}))
    assert data.splits["train"]["labels"][:] == [[1, -100], [-100, 0], [0, 1]]
    assert data.splits["train"].features["labels"].feature.dtype == "int8"
    assert "6 unknown label entries (-100)" in data.notes[-1]


@pytest.mark.parametrize(
    "lists",
    [
        [[1, None], [None, 0], None],
        [[1, -1], [-100, 0], [None, -1]],
        [[True, None], [None, False], None],
        [[1.0, float("nan")], [-1.0, 0.0], [None, float("nan")]],
    ],
)
@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".csv"])
def test_unknown_entries_of_lists(tmp_path, lists, ending):
    rows = [{"text": str(i), "labels": labels} for i, labels in enumerate(lists)]
    if ending == ".parquet":
        content = pa.Table.from_pylist(rows)
    elif ending == ".jsonl":
        content = _jsonl(rows)
    else:
        content = _csv(
            ["text", "labels"], [(r["text"], "" if r["labels"] is None else str(r["labels"])) for r in rows]
        )
    data = load_labelled_dataset(_written(tmp_path, {f"{split}{ending}": content for split in ROWS}))
    assert data.splits["test"]["labels"][:] == [[1, -100], [-100, 0], [-100, -100]]


def test_rows_without_lists_of_names_are_unknown_and_empty_ones_have_no_label(tmp_path):
    rows = [{"text": "a", "labels": ["x", "y"]}, {"text": "b", "labels": None}, {"text": "c", "labels": []}]
    data = load_labelled_dataset(_written(tmp_path, {f"{split}.jsonl": _jsonl(rows) for split in ROWS}))
    assert data.splits["train"]["labels"][:] == [[1, 1], [-100, -100], [0, 0]]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "dict"])
def test_soft_labels_in_one_split_make_all_of_them_float(tmp_path, kind):
    def content(value):
        rows = [("x", 1, value), ("y", 0, None), ("z", 1, 0)]
        if kind == "csv":
            return _csv(["text", "a", "b"], rows)
        if kind == "dict":
            return _jsonl({"text": t, "labels": {"a": a, "b": b}} for t, a, b in rows)
        return _jsonl({"text": t, "labels": [a, b]} for t, a, b in rows)

    ending = "csv" if kind == "csv" else "jsonl"
    files = {f"train.{ending}": content(1), f"val.{ending}": content(0.25), f"test.{ending}": content(0)}
    data = load_labelled_dataset(_written(tmp_path, files))
    assert data.splits["validation"]["labels"][:] == [[1.0, 0.25], [0.0, -100.0], [1.0, 0.0]]
    assert {d.features["labels"].feature.dtype for d in data.splits.values()} == {"float32"}


# ---- which column is what ----


def test_columns_that_are_no_labels_are_ignored_and_named(tmp_path):
    rows = [(i, "2024", f"t{i}", i % 2, "") for i in range(10)]
    content = _csv(["id", "year", "comment_text", "toxic", "empty"], rows)
    data = load_labelled_dataset(_written(tmp_path, {f"{split}.csv": content for split in ROWS}))
    assert data.schema.names == ("toxic",)
    assert data.problem_type == MULTI_LABEL
    assert "'id', 'year', 'empty'" in data.notes[0]
    assert "'comment_text'" in data.notes[0]


def test_label_columns_and_text_column_override(tmp_path):
    content = _csv(["text", "title", "a", "b", "c"], [("x", "T", 0, 1, 1), ("y", "U", 1, 0, 1)])
    folder = _written(tmp_path, {f"{split}.csv": content for split in ROWS})
    data = load_labelled_dataset(folder, text_column="title", label_columns=["c", "a"])
    assert data.schema.names == ("c", "a")
    assert data.splits["train"]["text"][:] == ["T", "U"]
    assert data.splits["train"]["labels"][:] == [[1, 0], [1, 1]]
    assert "'text', 'b'" in data.notes[0]


def test_a_single_label_column_with_names_in_it(tmp_path):
    content = _csv(["text", "topic", "flag"], [("x", "b", 0), ("y", "a", 1)])
    folder = _written(tmp_path, {f"{split}.csv": content for split in ROWS})
    data = load_labelled_dataset(folder, label_columns="topic")
    assert data.schema.names == ("a", "b")
    assert data.problem_type == SINGLE_LABEL
    assert load_labelled_dataset(folder, label_columns="flag").schema.names == ("flag",)


@pytest.mark.parametrize("name", ["sentence", "tweet", "question", "phrase"])
def test_the_text_column_is_found(tmp_path, name):
    content = _csv(["toxic", name, "id"], [(0, "some text", 8), (1, "more of it", 9)])
    if name != "phrase":
        content = _csv(["toxic", "other", name], [(0, "zzz", "some text"), (1, "yyy", "more of it")])
    rows = [dict(zip(["toxic", name], row[:2], strict=True)) for row in [(0, "some text"), (1, "more of it")]]
    kind = "csv" if name != "phrase" else "jsonl"
    data = load_labelled_dataset(
        _written(tmp_path, {f"{split}.{kind}": content if kind == "csv" else _jsonl(rows) for split in ROWS})
    )
    assert data.splits["test"]["text"][:] == ["some text", "more of it"]


def test_the_only_text_among_cells_that_are_all_strings_is_found(tmp_path):
    content = _csv(["phrase", "a", "labels"], [("some text", "0.5", "x|y"), ("more of it", "1", "x")])
    data = load_labelled_dataset(_written(tmp_path, {f"{split}.csv": content for split in ROWS}))
    assert "text in 'phrase'" in data.notes[0]


def test_indices_or_multi_hot(tmp_path):
    ambiguous = _jsonl({"text": str(i), "labels": [i % 2, 1 - i % 2]} for i in range(4))
    folder = _written(tmp_path, {f"{split}.jsonl": ambiguous for split in ROWS})
    data = load_labelled_dataset(folder)
    assert data.splits["train"]["labels"][:] == [[0, 1], [1, 0], [0, 1], [1, 0]]
    assert "could be class indices" in data.notes[1]
    _written(folder, {"label_info.json": json.dumps({"names": ["a", "b", "c"]})})
    data = load_labelled_dataset(folder)
    assert data.splits["train"]["labels"][:] == [[1, 1, 0]] * 4
    assert "lists of class indices" in data.notes[1]


def test_a_separator_that_is_given_or_found_by_the_known_names(tmp_path):
    content = _csv(["text", "labels"], [("x", "a;b|c"), ("y", "c")])
    folder = _written(tmp_path, {f"{split}.csv": content for split in ROWS})
    data = load_labelled_dataset(folder, separator=";")
    assert data.schema.names == ("a", "b|c", "c")
    _written(folder, {"label_info.json": json.dumps({"names": ["a;b", "c"]})})
    assert load_labelled_dataset(folder).splits["train"]["labels"][:] == [[1, 1], [0, 1]]


def test_known_names_that_contain_separators_are_no_lists(tmp_path):
    content = _csv(["text", "label"], [("x", "R&D; sales"), ("y", "a|b")])
    info = json.dumps({"names": ["a|b", "R&D; sales"]})
    files = {**{f"{split}.csv": content for split in ROWS}, "label_info.json": info}
    data = load_labelled_dataset(_written(tmp_path, files))
    assert data.problem_type == SINGLE_LABEL
    assert data.splits["train"]["labels"][:] == [1, 0]


def test_blank_texts_are_counted(tmp_path):
    content = _csv(["text", "a"], [("", 1), (" ", 0), ("x", 1)])
    data = load_labelled_dataset(_written(tmp_path, {f"{split}.csv": content for split in ROWS}))
    assert "6 blank texts" in data.notes[-1]


# ---- texts come through ----

TEXTS = st.one_of(
    st.sampled_from(["None", "NA", "null", "nan", "", '"', "a\r\nb", "\ufeff", "1", "[0, 1]", "x,y;z|w\tv", "\u2028"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
@settings(max_examples=25, deadline=None)
@given(texts=st.lists(TEXTS, min_size=2, max_size=6))
def test_texts_round_trip(ending, texts):
    labels = [[i % 2, 1 - i % 2] for i in range(len(texts))]
    if ending == "parquet":
        content = pa.table({"text": texts, "labels": labels})
    elif ending == "jsonl":
        content = _jsonl({"text": text, "labels": hot} for text, hot in zip(texts, labels, strict=True))
    else:
        rows = [(text, *hot) for text, hot in zip(texts, labels, strict=True)]
        separator = "," if ending == "csv" else "\t"
        content = _csv(["text", "a", "b"], rows, separator, quoting=csv.QUOTE_ALL)
    with tempfile.TemporaryDirectory() as folder:
        data = load_labelled_dataset(_written(folder, {f"{split}.{ending}": content for split in ROWS}))
    for split in ROWS:
        assert data.splits[split]["text"][:] == texts
        assert data.splits[split]["labels"][:] == labels


# ---- splits that are made ----


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
        data = load_labelled_dataset(_written(folder, {"train.jsonl": _jsonl(rows)}), seed=seed)
    distinct = np.unique(texts, return_index=True)[1]
    wanted = hot[distinct].sum(0) >= 3
    for split in data.splits.values():
        assert (np.array(split["labels"][:])[:, wanted] == 1).any(0).all()
    _assert_a_partition(data, texts, hot.astype(int).tolist())


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
    return _jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate(hot))


def test_made_splits_are_a_tenth_each_stratified_and_seeded(tmp_path):
    folder = _written(tmp_path, {"train.jsonl": _rare_label_file()})
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
    given_rows = _jsonl({"text": f"g{i}", "labels": [1, 0, 0]} for i in range(5))
    data = load_labelled_dataset(_written(tmp_path, {"train.jsonl": _rare_label_file(), f"{there}.jsonl": given_rows}))
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
        data = load_labelled_dataset(_written(folder, {"train.jsonl": _jsonl(rows)}), seed=seed)
    for split in data.splits.values():
        assert set(split["labels"][:]) == set(range(n_classes))
    _assert_a_partition(data, texts, labels)


def test_single_label_splits_keep_the_shares(tmp_path):
    rows = [{"text": f"t{i}", "label": "b" if i % 10 == 0 else "a"} for i in range(500)] + [
        {"text": "x", "label": "c"}
    ]
    data = load_labelled_dataset(_written(tmp_path, {"train.jsonl": _jsonl(rows)}))
    for split in ("validation", "test"):
        assert len(data.splits[split]) == 50
        assert data.splits[split]["labels"][:].count(1) == 5
    assert data.splits["train"]["labels"][:].count(2) == 1
    assert "classes with a single text" in data.notes[-1]
    assert "'c'" in data.notes[-1]


def test_labels_that_cannot_be_spread_are_named(tmp_path):
    rows = [{"text": "same", "labels": ["a"]}] * 3 + [{"text": f"t{i}", "labels": ["b"]} for i in range(12)]
    data = load_labelled_dataset(_written(tmp_path, {"train.jsonl": _jsonl(rows)}))
    assert "could not be spread over all splits: 'a'" in data.notes[-1]


@pytest.mark.parametrize("labels", [[[1]] * 5, [[0], [1], [0], [1], [1]], [[1, 0], [0, 1], [1, 1], [0, 0], [0, 0]]])
def test_tiny_files_are_split_too(tmp_path, labels):
    rows = [{"text": f"t{i}", "labels": label} for i, label in enumerate(labels)]
    data = load_labelled_dataset(_written(tmp_path, {"train.jsonl": _jsonl(rows)}))
    assert all(len(split) for split in data.splits.values())


# ---- errors ----

_OK = "text,a,b\nx,1,0\ny,0,1\nz,1,1\n"
_LISTS = _jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate([[1, 0, 0], [0, 1, 1], [1, 1, 0]]))
_SETS = _jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate([["joy"], ["fear", "joy"], []]))
_ABC = json.dumps({"names": ["a", "b", "c"]})
_BAD = "text,id,toxic\n" + "".join(f"t{i},{i},{2 if 10 <= i < 17 else i % 2}\n" for i in range(80))


def _with_features(content, feature):
    features = datasets.Features(dict(zip(content, [datasets.Value("string"), feature], strict=True)))
    return pa.table(content).cast(features.arrow_schema)


def _mixed(train, test):
    return {"train.jsonl": _jsonl(train), "test.jsonl": _jsonl(test)}


ERRORS = {
    "no training file": (
        {"test.csv": _OK, "notes.txt": ""},
        {},
        DataError,
        ["no training file", "notes.txt, test.csv"],
    ),
    "an ending that is not read": ({"train.xlsx": ""}, {}, DataError, [".parquet, .csv", "train.xlsx"]),
    "two files": ({"train.csv": _OK, "train.jsonl": ""}, {}, DataError, ["train.csv and train.jsonl", "keep one"]),
    "two names": ({"train.csv": _OK, "dev.csv": _OK, "val.csv": _OK}, {}, DataError, ["dev.csv and val.csv"]),
    "empty folder": ({}, {}, DataError, ["is empty", "train.csv"]),
    "empty file": ({"train.csv": ""}, {}, DataError, ["train.csv: is empty"]),
    "no rows": ({"train.csv": "text,a\n"}, {}, DataError, ["train.csv: has no rows"]),
    "no rows, jsonl": ({"train.jsonl": "\n"}, {}, DataError, ["train.jsonl: has no rows"]),
    "no rows, parquet": ({"train.parquet": pa.table({"text": pa.array([], pa.string())})}, {}, DataError, ["no rows"]),
    "no parquet": ({"train.parquet": b"PAR1 and then nothing"}, {}, DataError, ["train.parquet: cannot be read"]),
    "no JSON": ({"train.jsonl": '{"text": "a"}\n\n{"text": \n'}, {}, DataError, ["line 3 is no valid JSON"]),
    "no object": ({"train.jsonl": '{"text": "a"}\n[1]\n'}, {}, DataError, ["line 2 is a list", "JSON object"]),
    "deep JSON": ({"train.jsonl": "[" * 100_000 + "\n"}, {}, DataError, ["line 1"]),
    "half a character": ({"train.jsonl": '{"text": "\\ud800", "a": 1}\n'}, {}, DataError, ["cannot be read"]),
    "not UTF-8": (
        {"train.csv": "text,a\nok,1\ncafé,0\n".encode("latin-1")},
        {},
        DataError,
        ["line 3", "0xe9", "UTF-8"],
    ),
    "not UTF-8, jsonl": ({"train.jsonl": b'{"text": "\xff"}\n'}, {}, DataError, ["line 1", "0xff"]),
    "too many cells": ({"train.csv": _OK + "p,1,0,1\n"}, {}, DataError, ["row 4", "Expected 3 columns, got 4"]),
    "too few cells": ({"train.csv": _OK + "p,1\n"}, {}, DataError, ["row 4", "Expected 3 columns, got 2"]),
    "open quotation mark": ({"train.csv": 'a,text\n1,"x\n0,y\n1,z\n'}, {}, DataError, ["never closed", "row 1"]),
    "column twice": ({"train.csv": "text,a,a\nx,1,0\n"}, {}, DataError, ["more than one column 'a'"]),
    "label_info": ({"train.csv": _OK, "label_info.json": "{"}, {}, DataError, ["label_info.json", "no valid JSON"]),
    "text column": ({"train.csv": _OK}, {"text_column": "txt"}, UsageError, ["'txt'", "did you mean 'text'?"]),
    "which text": ({"train.csv": "p,q,a\nx,y,1\n"}, {}, UsageError, ["'p', 'q'", "--text_column"]),
    "no text": ({"train.parquet": pa.table({"p": [1], "a": [1]})}, {}, UsageError, ["'p', 'a'", "--text_column"]),
    "null text": (
        {"train.jsonl": _jsonl({"text": None if i > 1 else "x", "a": 1} for i in range(9))},
        *({}, DataError, ["row 3; row 4; row 5; row 6; row 7 (and 2 more)", "'text'"]),
    ),
    "text of numbers": (
        {"train.parquet": pa.table({"text": [7], "a": [1]})},
        *({"text_column": "text"}, DataError, ["'text' holds int64", "expected strings"]),
    ),
    "text column of another file": (
        {"train.csv": _OK, "test.csv": _OK.replace("text", "txt")},
        *({}, DataError, ["test.csv", "no column 'text'", "did you mean 'txt'?"]),
    ),
    "no labels": (
        {"train.csv": "text,id\nx,7\ny,8\n"},
        {},
        UsageError,
        ["found no labels in 'id'", "--label_columns"],
    ),
    "label column": ({"train.csv": _OK}, {"label_columns": ["bb"]}, UsageError, ["'bb'", "did you mean 'b'?"]),
    "text as label": (
        {"train.csv": _OK},
        {"label_columns": "text", "text_column": "text"},
        UsageError,
        ["'text' cannot be the text and a label"],
    ),
    "label column of another file": (
        {"train.csv": _OK, "test.csv": _OK.replace(",b", ",B")},
        *({}, DataError, ["test.csv", "no column 'b'", "did you mean 'B'?"]),
    ),
    "label_info without a column": (
        {"train.csv": _OK, "label_info.json": _ABC.replace('"c"', '"bb"')},
        *({}, DataError, ["train.csv", "no column for the label 'bb'", "did you mean 'b'?"]),
    ),
    "a column that label_info has not": (
        {"train.csv": _OK, "label_info.json": '{"names": ["a"]}'},
        *({"label_columns": ["a", "b"]}, DataError, ["column 'b' is no label"]),
    ),
    "a dict that label_info has not": (
        {"train.jsonl": _jsonl([{"text": "x", "labels": {"a": 1, "b": 0}}]), "label_info.json": _ABC},
        *({}, DataError, ["no column for the label 'c'"]),
    ),
    "dicts that differ": (
        {"train.jsonl": _jsonl([{"text": "x", "labels": {"a": 1, "b": 0}}, {"text": "y", "labels": {"a": 1}}])},
        *({}, DataError, ["train.jsonl", "rows 1 and 2", "'b'", "null"]),
    ),
    "bad entries": (
        {"train.csv": _BAD},
        {},
        DataError,
        ["train.csv", "row 11, column 'toxic': '2'; row 12, ", "row 15", "(and 2 more)", "0, 1, true"],
    ),
    "bad entries of another file": (
        {"train.csv": _OK, "test.csv": _OK + "p,1,maybe\n"},
        *({}, DataError, ["test.csv", "row 4, column 'b': 'maybe'"]),
    ),
    "bad multi-hot value": (
        {"train.jsonl": _LISTS + '{"text": "w", "labels": [0, 0, 2]}\n', "label_info.json": _ABC},
        *({}, DataError, ["train.jsonl", "row 4, column 'labels', label 'c': 2"]),
    ),
    "bad value below a row of nothing": (
        {"train.jsonl": _LISTS, "test.jsonl": '{"text": "v", "labels": null}\n{"text": "w", "labels": [0, 7, 0]}\n'},
        *({}, DataError, ["test.jsonl", "row 2, column 'labels', label 'label_1': 7"]),
    ),
    "multi-hot of another width": (
        {"train.jsonl": _LISTS, "label_info.json": json.dumps({"names": ["a", "b", "c", "d"]})},
        *({}, DataError, ["row 1 has 3 values; expected 4"]),
    ),
    "uneven multi-hot": (
        {"train.jsonl": _LISTS + '{"text": "w", "labels": [0, 0, 0, 1]}\n'},
        *({}, DataError, ["row 4 has 4 values; expected 3"]),
    ),
    "uneven soft lists": (
        {"train.jsonl": _jsonl([{"text": "x", "labels": [0.5, 1]}, {"text": "y", "labels": [0.5]}])},
        *({}, DataError, ["train.jsonl", "row 2 has 1 values; expected 2"]),
    ),
    "width of another file": (
        {"train.jsonl": _LISTS, "test.jsonl": '{"text": "w", "labels": [0, 1]}\n'},
        *({}, DataError, ["test.jsonl", "row 1 has 2 values; expected 3"]),
    ),
    "unknown name": (
        {"train.jsonl": _SETS, "validation.jsonl": '{"text": "w", "labels": ["joy", "joi"]}\n'},
        *({}, DataError, ["validation.jsonl", "row 1", "'joi'", "did you mean 'joy'?"]),
    ),
    "unknown name in a later row": (
        {"train.jsonl": _SETS, "test.jsonl": '{"text": "v", "labels": []}\n{"text": "w", "labels": ["ang", "x"]}\n'},
        *({}, DataError, ["test.jsonl", "row 2", "'ang'", "known are 'fear', 'joy'"]),
    ),
    "unknown class": (
        {"train.csv": "text,label\nx,ham\ny,spam\n", "test.csv": "text,label\nx,ham\ny,Spom\n"},
        *({}, DataError, ["test.csv", "row 2", "'Spom'", "did you mean 'spam'?"]),
    ),
    "a number among names": (
        {"train.csv": "text,label\nx,ham\ny,spam\n", "test.csv": "text,label\nx,ham\ny,1\n"},
        *({}, DataError, ["test.csv", "row 2", "unknown label '1'"]),
    ),
    "unknown index": (
        _mixed([{"text": "x", "labels": [0, 2]}, {"text": "y", "labels": [1]}], [{"text": "z", "labels": [3]}]),
        *({}, DataError, ["test.jsonl", "row 1", "unknown label 3", "0 to 2"]),
    ),
    "unknown class index": (
        {"train.csv": "text,label\nx,0\ny,1\n", "test.csv": "text,label\nx,1\ny,2\n"},
        *({}, DataError, ["test.csv", "row 2", "unknown label '2'"]),
    ),
    "a class that is none": (
        {"train.jsonl": _jsonl([{"text": "x", "label": 0.5}, {"text": "y", "label": 1}])},
        *({}, DataError, ["row 1", "0.5", "0 to 1"]),
    ),
    "bit strings": (
        {"train.csv": "text,label\nx,001\n", "label_info.json": _ABC},
        *({}, DataError, ["row 1", "unknown label '001'"]),
    ),
    "identifiers as classes": (
        {"train.csv": "text,label\nx,123456789\ny,5\n"},
        *({}, DataError, ["'label'", "123456789", "indices from 0"]),
    ),
    "no label at all": ({"train.csv": "text,label\nx,\ny,\n"}, {}, DataError, ["'label'", "no label at all"]),
    "only empty lists": (
        {"train.jsonl": _jsonl([{"text": "x", "labels": []}])},
        *({}, DataError, ["'labels'", "no label at all"]),
    ),
    "dates as labels": (
        {"train.parquet": pa.table({"text": ["x"], "label": pa.array([0], pa.date32())})},
        *({}, DataError, ["'label'", "no label at all"]),
    ),
    "lists of dates": (
        {"train.parquet": pa.table({"text": ["x"], "labels": pa.array([[0]], pa.list_(pa.date32()))})},
        *({}, DataError, ["'labels'"]),
    ),
    "separator": (
        {"train.csv": "text,labels\nx,a|b\ny,a;c\n"},
        *({}, UsageError, ["'|' or ';'", "give it: --separator"]),
    ),
    "a separator without use": ({"train.csv": _OK}, {"separator": "|"}, UsageError, ["separator='|' has no use"]),
    "a list that is none": (
        {"train.csv": 'text,labels\nx,"[1, 0]"\ny,__import__("os")\n'},
        *({}, DataError, ["row 2", "is no list"]),
    ),
    "a call in a list": (
        {"train.csv": "text,labels\nx,[print(1)]\n"},
        *({}, DataError, ["row 1", "'[print(1)]' is no list"]),
    ),
    "a mixed list": (
        {"train.csv": "text,labels\nx,[]\ny,\"[1, 'a']\"\n"},
        *({}, DataError, ["'labels', row 2", "mixes names, numbers or lists"]),
    ),
    "classes, then lists": (
        _mixed([{"text": "x", "label": 0}, {"text": "y", "label": 1}], [{"text": "x", "label": [1]}]),
        *({}, DataError, ["test.jsonl", "expected one class in each row"]),
    ),
    "lists, then classes": (
        _mixed([{"text": "x", "labels": [0, 2]}, {"text": "y", "labels": [1]}], [{"text": "x", "labels": 1}]),
        *({}, DataError, ["test.jsonl", "expected a list of labels"]),
    ),
    "too few rows": ({"train.csv": "text,a\nx,1\ny,0\n"}, {}, DataError, ["2 different texts", "at least 3"]),
    "ClassLabel out of range": (
        {"train.parquet": _with_features({"text": ["x", "y"], "label": [0, 5]}, datasets.ClassLabel(names=["a"]))},
        *({}, DataError, ["'label', row 2", "class 5", "1 names"]),
    ),
    "ClassLabel out of range in a list": (
        {
            "train.parquet": _with_features(
                {"text": ["x", "y", "z"], "labels": [[0], [], [1, 5]]},
                datasets.List(datasets.ClassLabel(names=["a", "b"])),
            )
        },
        *({}, DataError, ["'labels', row 3", "class 5", "2 names"]),
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_sentence_that_says_where(tmp_path, case):
    files, kwargs, kind, said = ERRORS[case]
    with pytest.raises((DataError, UsageError)) as caught:
        load_labelled_dataset(_written(tmp_path, files), **kwargs)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in message
    assert message.startswith(str(tmp_path))
    assert [part for part in said if part not in message] == [], message


@pytest.mark.parametrize("name", ["absent", "train.csv"])
def test_no_folder(tmp_path, name):
    _written(tmp_path, {"train.csv": _OK})
    with pytest.raises(UsageError, match=r"absent: there is no such folder|train.csv: is a file; give the folder"):
        load_labelled_dataset(tmp_path / name)


def test_a_column_with_too_few_label_values_is_ignored_rather_than_wrong(tmp_path):
    content = "text,toxic,stars\n" + "".join(f"t{i},{i % 2},{i % 5}\n" for i in range(40))
    data = load_labelled_dataset(_written(tmp_path, {"train.csv": content}))
    assert data.schema.names == ("toxic",)
    assert "'stars'" in data.notes[0]


def test_needs_no_torch_and_evaluates_nothing():
    code = "import imbalance_trainer.data, sys; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
    files = sorted(Path(sys.modules["imbalance_trainer.data"].__file__).parent.glob("*.py"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    calls = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    called = {call.func.id for call in calls}
    assert "read_file" in called
    assert not called & {"eval", "exec"}


def _with_cells(tmp_path, cells, **options):
    (tmp_path / "train.csv").write_text("text,labels\n" + "".join(f't{i},"{c}"\n' for i, c in enumerate(cells)))
    return load_labelled_dataset(tmp_path, **options)


def test_a_comma_separates_names_that_occur_in_other_cells_too(tmp_path):
    cells = ["joy", "joy,fear", "fear", "anger, joy", ""] * 6
    data = _with_cells(tmp_path, cells)
    assert (data.problem_type, data.schema.names) == (MULTI_LABEL, ("anger", "fear", "joy"))
    assert _with_cells(tmp_path, cells, separator="none").problem_type == SINGLE_LABEL


def test_a_comma_inside_class_names_separates_nothing(tmp_path):
    data = _with_cells(tmp_path, ["threats, plans to harm", "none of it", "slurs, insults"] * 8)
    assert data.problem_type == SINGLE_LABEL
    assert "slurs, insults" in data.schema.names


def test_where_it_may_be_either_it_is_asked(tmp_path):
    with pytest.raises(UsageError, match=r"',' may separate names or be part of them.*--separator none"):
        _with_cells(tmp_path, ["joy, fear", "fear", "threats, plans to harm"] * 8)


def test_a_column_that_is_nearly_one_of_labels_is_remarked(tmp_path):
    rows = "".join(f"t{i},{i % 2},{2 * (i % 2)},{i / 100}\n" for i in range(40))
    (tmp_path / "train.csv").write_text("text,fear,joy,score\n" + rows)
    data = load_labelled_dataset(tmp_path)
    assert data.schema.names == ("fear", "score")
    notes = "\n".join(data.notes)
    assert "column 'joy' is not taken as a label: 50% of its values are neither 0 nor 1 ('2' in row 2)" in notes
    assert "column 'score' has values between 0 and 1: they are taken as soft labels" in notes
    with pytest.raises(DataError, match="row 2, column 'joy': '2'"):
        load_labelled_dataset(tmp_path, label_columns=["fear", "joy"])


def test_headers_in_other_case_and_with_blanks(tmp_path):
    (tmp_path / "train.csv").write_text("Text, Labels \n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(30)))
    assert load_labelled_dataset(tmp_path).schema.names == ("a", "b")


def test_another_label_info_than_the_folders(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_text("text,b,a\n" + "".join(f"t{i},{i % 2},{i % 3 // 2}\n" for i in range(30)))
    info = tmp_path / "info.json"
    info.write_text(json.dumps({"names": ["a", "b"], "implications": [["a", "b"]]}))
    assert load_labelled_dataset(folder, label_info=info).schema.implications == (("a", "b"),)
    with pytest.raises(DataError, match=r"nofile.json: cannot be read"):
        load_labelled_dataset(folder, label_info=tmp_path / "nofile.json")
