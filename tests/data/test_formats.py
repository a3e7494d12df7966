"""The same data in every format gives the same Dataset and the same counts; unknown and soft labels."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pytest

from imbalance_trainer import LabelDistribution
from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from tests.data.made import (
    EVERY_FORMAT,
    HAVE_NO_NAMES,
    INFO,
    MULTI_FORMATS,
    NAMES,
    ROWS,
    TEXT_FORMATS,
    assert_rows,
    csv_text,
    given_as,
    jsonl,
    plain,
    written,
)  # fmt: skip


@pytest.mark.parametrize("kind", EVERY_FORMAT)
def test_every_format_gives_the_same_dataset_and_the_same_counts(tmp_path, kind):
    # shards take every second row, so that order is to be put right by hand
    rows = {s: part[::2] + part[1::2] for s, part in ROWS.items()} if kind == "shards.parquet" else ROWS
    if kind in TEXT_FORMATS:
        rows = {split: [(plain(text), hot) for text, hot in part] for split, part in rows.items()}
    data = given_as(kind, tmp_path)
    (tmp_path / "label_info.json").write_text(json.dumps(INFO))
    data = load_labelled_dataset(data, label_info=tmp_path / "label_info.json")
    assert_rows(data, rows)
    assert data.schema.to_dict() == INFO
    assert data.problem_type == MULTI_LABEL
    assert data.splits["train"].features == datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.List(datasets.Value("int8"))}
    )
    counted = LabelDistribution.from_dataset(data.splits["train"], data.schema)
    by_hand = [sum(hot[i] for _, hot in ROWS["train"]) for i in range(3)]
    assert (counted.support.tolist(), counted.n_rows) == (by_hand, 6)
    assert counted.known.tolist() == [6, 6, 6]
    assert counted.violations.tolist() == [sum(hot[1] > hot[0] for _, hot in ROWS["train"])]
    assert len(data.notes) == 3
    assert all(word in data.notes[0] for word in ("train", "'text'"))
    assert "label_info.json" in data.notes[1]
    assert "train 6, validation 2, test 2" in data.notes[2]


@pytest.mark.parametrize("kind", MULTI_FORMATS)
def test_names_without_label_info(tmp_path, kind):
    ending = Path(kind).suffix
    files = {f"{split}{ending}": MULTI_FORMATS[kind](rows) for split, rows in ROWS.items()}
    data = load_labelled_dataset(written(tmp_path, files), separator="," if "commas" in kind else None)
    names = ("label_0", "label_1", "label_2") if kind in HAVE_NO_NAMES else NAMES
    order = (0, 1, 2)
    if kind == "ClassLabel.parquet":
        names, order = ("joy", "anger", "fear"), (2, 0, 1)
    if "capitals" in kind:
        names = tuple(name.upper() for name in NAMES)
    assert data.schema.names == names
    assert_rows(data, order=order)


@pytest.mark.parametrize("stem", ["validation", "dev", "val", "valid", "VALIDATION"])
def test_formats_may_differ_between_splits(tmp_path, stem):
    files = {
        "train.csv": MULTI_FORMATS["names with bars.csv"](ROWS["train"]),
        f"{stem}.jsonl": MULTI_FORMATS["names.jsonl"](ROWS["validation"]),
        "test.PARQUET": MULTI_FORMATS["names.parquet"](ROWS["test"]),
        "README.md": "not read",
    }
    assert_rows(load_labelled_dataset(written(tmp_path, files)))


# ---- single-label ----

CLASSES = ("ham", "news", "spam")
SINGLE_ROWS = {"train": [("a", 2), ("b", 0), ("c", 1), ("d", 0)], "validation": [("e", 0)], "test": [("f", 1)]}


def single_class_label(rows):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(CLASSES))})
    content = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    return datasets.Dataset.from_dict(content, features=features)


SINGLE_FORMATS = {
    "names.csv": lambda rows: csv_text(["text", "label"], [(text, CLASSES[i]) for text, i in rows]),
    "indices.csv": lambda rows: csv_text(["label", "text"], [(i, text) for text, i in rows]),
    "names.tsv": lambda rows: csv_text(["text", "labels"], [(text, CLASSES[i]) for text, i in rows], "\t"),
    "names.jsonl": lambda rows: jsonl({"text": text, "label": CLASSES[i]} for text, i in rows),
    "indices.jsonl": lambda rows: jsonl({"text": text, "label": i} for text, i in rows),
    "floats.parquet": lambda rows: pa.table({"text": [t for t, _ in rows], "label": [float(i) for _, i in rows]}),
    "category.parquet": lambda rows: pa.table(
        {"text": [t for t, _ in rows], "label": pa.array([CLASSES[i] for _, i in rows]).dictionary_encode()}
    ),
    "ClassLabel.parquet": single_class_label,
}


@pytest.mark.parametrize("with_info", [True, False])
@pytest.mark.parametrize("kind", SINGLE_FORMATS)
def test_single_label(tmp_path, kind, with_info):
    ending = Path(kind).suffix
    files = {f"{split}{ending}": SINGLE_FORMATS[kind](rows) for split, rows in SINGLE_ROWS.items()}
    if with_info:
        files["label_info.json"] = json.dumps({"names": CLASSES})
    data = load_labelled_dataset(written(tmp_path, files))
    made = not with_info and kind in ("indices.csv", "indices.jsonl", "floats.parquet")
    assert data.schema.names == (("label_0", "label_1", "label_2") if made else CLASSES)
    assert data.problem_type == SINGLE_LABEL
    for split, rows in SINGLE_ROWS.items():
        assert data.splits[split]["labels"][:] == [label for _, label in rows]
    assert data.splits["train"].features["labels"] == datasets.ClassLabel(names=list(data.schema.names))


@pytest.mark.parametrize("label", [None, -1, -100])
def test_unknown_classes(tmp_path, label):
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": label}, {"text": "c", "label": 0}]
    files = {f"{split}.jsonl": jsonl(rows) for split in ROWS}
    data = load_labelled_dataset(written(tmp_path, files))
    assert data.splits["train"]["labels"][:] == [1, -100, 0]
    assert data.splits["train"].features["labels"] == datasets.Value("int64")
    assert "3 unknown label entries" in data.notes[-1]


def test_unknown_classes_of_csv_and_of_class_label(tmp_path):
    unknown = single_class_label([("a", 2), ("b", -1), ("c", 0)])
    cells = csv_text(["text", "label"], [("a", "ham"), ("b", ""), ("c", "-1")])
    data = load_labelled_dataset(
        written(tmp_path, {"train.parquet": unknown, "validation.csv": cells, "test.csv": cells})
    )
    assert data.splits["train"]["labels"][:] == [2, -100, 0]
    assert data.splits["test"]["labels"][:] == [0, -100, -100]


def test_none_is_a_usual_name_for_a_class_and_not_unknown(tmp_path):
    cells = csv_text(["text", "label"], [("a", "ham"), ("b", "none"), ("c", "NA")])
    data = load_labelled_dataset(written(tmp_path, {f"{split}.csv": cells for split in ROWS}))
    assert data.schema.names == ("NA", "ham", "none")
    assert data.splits["train"]["labels"][:] == [1, 2, 0]


# ---- unknown and soft labels ----


@pytest.mark.parametrize("word", ["", "nan", "NaN", "None", "null", "-1", "-100", "-1.0"])
def test_unknown_entries_of_csv(tmp_path, word):
    content = csv_text(["text", "a", "b"], [("x", 1, word), ("y", word, 0), ("z", 0, 1)])
    data = load_labelled_dataset(written(tmp_path, {f"{split}.csv": content for split in ROWS}))
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
        content = jsonl(rows)
    else:
        content = csv_text(
            ["text", "labels"], [(r["text"], "" if r["labels"] is None else str(r["labels"])) for r in rows]
        )
    data = load_labelled_dataset(written(tmp_path, {f"{split}{ending}": content for split in ROWS}))
    assert data.splits["test"]["labels"][:] == [[1, -100], [-100, 0], [-100, -100]]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "dict"])
def test_soft_labels_in_one_split_make_all_of_them_float(tmp_path, kind):
    def content(value):
        rows = [("x", 1, value), ("y", 0, None), ("z", 1, 0)]
        if kind == "csv":
            return csv_text(["text", "a", "b"], rows)
        if kind == "dict":
            return jsonl({"text": t, "labels": {"a": a, "b": b}} for t, a, b in rows)
        return jsonl({"text": t, "labels": [a, b]} for t, a, b in rows)

    ending = "csv" if kind == "csv" else "jsonl"
    files = {f"train.{ending}": content(1), f"val.{ending}": content(0.25), f"test.{ending}": content(0)}
    data = load_labelled_dataset(written(tmp_path, files))
    assert data.splits["validation"]["labels"][:] == [[1.0, 0.25], [0.0, -100.0], [1.0, 0.0]]
    assert {d.features["labels"].feature.dtype for d in data.splits.values()} == {"float32"}


def test_needs_no_torch_and_evaluates_nothing():
    code = (
        "import imbalance_trainer.data.dataset, sys; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
    files = sorted(Path(sys.modules["imbalance_trainer.data.dataset"].__file__).parent.glob("*.py"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    calls = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    called = {call.func.id for call in calls}
    assert "read_files" in called
    assert not called & {"eval", "exec"}


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("options", [{"separator": "|"}, {}, {"label_format": "names", "separator": "none"}])
def test_in_cells_of_names_blank_is_no_label_and_minus_one_is_unknown(tmp_path, kind, options):
    joined = "joy" if options.get("separator") == "none" else "joy|fear"
    cells = ["joy", "fear", joined, "", "-1", " ", "-100", *([None] if kind in ("jsonl", "parquet") else [])]
    texts = [f"text {i}" for i in range(len(cells))]
    content = {
        "csv": lambda: csv_text(["text", "labels"], zip(texts, cells, strict=True)),
        "tsv": lambda: csv_text(["text", "labels"], zip(texts, cells, strict=True), separator="\t"),
        "jsonl": lambda: jsonl({"text": text, "labels": cell} for text, cell in zip(texts, cells, strict=True)),
        "parquet": lambda: pa.table({"text": texts, "labels": cells}),
    }[kind]()
    data = load_labelled_dataset(written(tmp_path, {f"{split}.{kind}": content for split in ROWS}), **options)
    unknown, both = [-100, -100], [0, 1] if joined == "joy" else [1, 1]
    wanted = [[0, 1], [1, 0], both, [0, 0], unknown, [0, 0], unknown, unknown]
    assert data.schema.names == ("fear", "joy")
    assert data.splits["train"]["labels"][:] == wanted[: len(cells)]
    assert (
        "6 rows have a blank cell in 'labels', which is taken as no label; write -1 there where the labels are not "
        "known." in data.warnings
    )


def test_blank_cells_that_are_unknown_give_no_warning(tmp_path):
    spelled = csv_text(["text", "labels"], [("x", "['a']"), ("y", "['b', 'a']"), ("z", "")])
    data = load_labelled_dataset(written(tmp_path, {f"{split}.csv": spelled for split in ROWS}))
    assert data.splits["test"]["labels"][:][2] == [-100, -100]
    assert not any("blank" in warning for warning in data.warnings)
