"""Which column is the text, which hold labels, in which form; where it cannot be told, it is asked."""

import json

import pytest

from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.data.made import ROWS, csv_text, jsonl, written


def test_columns_that_are_no_labels_are_ignored_and_named(tmp_path):
    rows = [(i, "2024", f"t{i}", i % 2, "") for i in range(10)]
    content = csv_text(["id", "year", "comment_text", "toxic", "empty"], rows)
    data = load_labelled_dataset(written(tmp_path, {f"{split}.csv": content for split in ROWS}))
    assert data.schema.names == ("toxic",)
    assert data.problem_type == MULTI_LABEL
    assert "'id', 'year', 'empty'" in data.notes[0]
    assert "'comment_text'" in data.notes[0]


def test_label_columns_and_text_column_override(tmp_path):
    content = csv_text(["text", "title", "a", "b", "c"], [("x", "T", 0, 1, 1), ("y", "U", 1, 0, 1)])
    folder = written(tmp_path, {f"{split}.csv": content for split in ROWS})
    data = load_labelled_dataset(folder, text_column="title", label_columns=["c", "a"])
    assert data.schema.names == ("c", "a")
    assert data.splits["train"]["text"][:] == ["T", "U"]
    assert data.splits["train"]["labels"][:] == [[1, 0], [1, 1]]
    assert "'text', 'b'" in data.notes[0]


def test_the_labels_and_where_their_names_are_from_are_said():
    def note(*labels, **options):
        rows = [{"text": f"t{i}", "labels": label} for i, label in enumerate(labels)]
        return load_labelled_dataset(dict.fromkeys(ROWS, rows), **options).notes[1]

    assert note("Wut", "Agnst", "Wut", "Angst") == (
        "Labels: 3 ('Agnst', 'Angst', 'Wut'), single-label, one class a row in 'labels'."
    )
    assert "'n09' and 2 more), multi-label, lists of names" in note(*([f"n{i:02}"] for i in range(12)))
    made = (
        "Labels: 4 ('label_0', 'label_1', 'label_2', 'label_3'), which a label_info.json can name, multi-label, lists"
    )
    assert note([3], [0, 1], [2]).startswith(f"{made} of class indices in 'labels';")
    assert "class indices separated by '|' in 'labels'" in note("3|1", "0", "2")
    assert note([1], [0], [1]).endswith(
        "; none is named primary (groups in label_info.json), so all count as secondary."
    )
    assert note("3", "1", "3", label_format="names").startswith("Labels: 2 ('1', '3'), multi-label")
    assert note(0, 1, 0, label_info=["a", "b"]) == (
        "Labels: 2 ('a', 'b'), single-label, one class a row in 'labels', names of label_info.json."
    )


def test_a_column_of_numbers_is_no_text_but_where_it_is_called_so(tmp_path):
    rows = [("1", "some text", 0, "1e-3"), ("22", "3", 1, ""), ("333", "and more", 1, "2,5")]
    (tmp_path / "train.csv").write_text(csv_text(["Nr", "Kommentar", "a", "size"], rows))
    with pytest.raises(UsageError, match="'size' holds 1 values of 0 to 1 and 1 others"):
        load_labelled_dataset(tmp_path)
    assert "text in 'Kommentar'" in load_labelled_dataset(tmp_path, label_columns="a").notes[0]
    (tmp_path / "train.csv").write_text(csv_text(["text", "a"], [(nr, a) for nr, _, a, _ in rows]))
    assert "text in 'text'" in load_labelled_dataset(tmp_path).notes[0]


def test_a_column_of_few_words_is_no_label_where_blank_is_negative(tmp_path):
    rows = [(f"some text {i}", "see below" if i == 3 else "", i % 2) for i in range(30)]
    written(tmp_path, {"train.csv": csv_text(["text", "note", "joy"], rows)})
    assert load_labelled_dataset(tmp_path, blank_labels="negative").schema.names == ("joy",)


def test_indices_or_multi_hot(tmp_path):
    ambiguous = jsonl({"text": str(i), "labels": [i % 2, 1 - i % 2]} for i in range(4))
    folder = written(tmp_path, {f"{split}.jsonl": ambiguous for split in ROWS})
    data = load_labelled_dataset(folder)
    assert data.splits["train"]["labels"][:] == [[0, 1], [1, 0], [0, 1], [1, 0]]
    assert "could be class indices" in data.notes[1]
    written(folder, {"label_info.json": json.dumps({"names": ["a", "b", "c"]})})
    data = load_labelled_dataset(folder)
    assert data.splits["train"]["labels"][:] == [[1, 1, 0]] * 4
    assert "lists of class indices" in data.notes[1]


def test_a_separator_that_is_given_or_found_by_the_known_names(tmp_path):
    """Names with separators in them are no lists."""
    content = csv_text(["text", "labels"], [("x", "a;b|c"), ("y", "c")])
    folder = written(tmp_path, {f"{split}.csv": content for split in ROWS})
    data = load_labelled_dataset(folder, separator=";")
    assert data.schema.names == ("a", "b|c", "c")
    written(folder, {"label_info.json": json.dumps({"names": ["a;b", "c"]})})
    assert load_labelled_dataset(folder).splits["train"]["labels"][:] == [[1, 1], [0, 1]]
    written(folder, {"label_info.json": json.dumps({"names": ["c", "a;b|c"]})})
    assert load_labelled_dataset(folder).splits["train"]["labels"][:] == [1, 0]


def test_another_label_info_than_the_folders(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_text("text,b,a\n" + "".join(f"t{i},{i % 2},{i % 3 // 2}\n" for i in range(30)))
    info = tmp_path / "info.json"
    info.write_text(json.dumps({"names": ["a", "b"], "implications": [["a", "b"]]}))
    assert load_labelled_dataset(folder, label_info=info).schema.implications == (("a", "b"),)
    schema = LabelSchema(["a", "b"], {"primary": ["b"]})
    assert load_labelled_dataset(folder, label_info=schema).schema is schema
    with pytest.raises(DataError, match=r"nofile.json: cannot be read"):
        load_labelled_dataset(folder, label_info=tmp_path / "nofile.json")


FORMATS = {
    "columns": ({"text": "x", "label": 1}, {"text": "y", "label": 0}, {"text": "z", "label": 1}),
    "multi_hot": ({"text": "x", "labels": [1, 0]}, {"text": "y", "labels": [0, 1]}, {"text": "z", "labels": [1, 1]}),
    "indices": ({"text": "x", "labels": [1, 0]}, {"text": "y", "labels": [0, 1]}, {"text": "z", "labels": [1]}),
    "names": ({"text": "x", "labels": "1"}, {"text": "y", "labels": "2"}, {"text": "z", "labels": "1"}),
    "classes": ({"text": "x", "labels": "a|b"}, {"text": "y", "labels": "c"}, {"text": "z", "labels": "a|b"}),
}
WANTED = {
    "columns": (("label",), [[1], [0], [1]]),
    "multi_hot": (("label_0", "label_1"), [[1, 0], [0, 1], [1, 1]]),
    "indices": (("label_0", "label_1"), [[1, 1], [1, 1], [0, 1]]),
    "names": (("1", "2"), [[1, 0], [0, 1], [1, 0]]),
    "classes": (("a|b", "c"), [0, 1, 0]),
}


@pytest.mark.parametrize("label_format", FORMATS)
def test_the_format_of_labels_may_be_said(label_format):
    rows = FORMATS[label_format]
    data = load_labelled_dataset(dict.fromkeys(ROWS, rows), label_format=label_format)
    assert (data.schema.names, data.splits["train"]["labels"][:]) == WANTED[label_format]


def test_one_name_in_each_fasttext_line_is_a_class_unless_it_is_said_otherwise(tmp_path):
    (tmp_path / "train.txt").write_text("".join(f"__label__{'ab'[i % 2]} text {i}\n" for i in range(20)))
    data = load_labelled_dataset(tmp_path)
    assert (data.problem_type, data.schema.names) == (SINGLE_LABEL, ("a", "b"))
    data = load_labelled_dataset(tmp_path, label_format="names")
    assert (data.problem_type, data.schema.names) == (MULTI_LABEL, ("a", "b"))


def test_a_delimiter_may_be_said(tmp_path):
    (tmp_path / "train.csv").write_text("text;a,b\n" + "".join(f"t{i};{i % 2},{i % 3 // 2}\n" for i in range(9)))
    data = load_labelled_dataset(tmp_path, delimiter=",", text_column="text;a", label_columns="b")
    assert data.splits["train"]["text"][0].startswith("t")
    (tmp_path / "train.csv").write_text("text\ta\n" + "".join(f"t{i}\t{i % 2}\n" for i in range(9)))
    assert "'\\t' between columns" in load_labelled_dataset(tmp_path, delimiter="tab").notes[0]
