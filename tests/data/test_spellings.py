"""One thing in the many ways that people write it: each is read as what it means, or a question is asked."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.utils.errors import DataError
from tests.data.made import jsonl


def rows(values, key="labels"):
    return [{"text": f"t{i}", key: value} for i, value in enumerate(values)]


def csv_of(values, key="labels"):
    return f"text\t{key}\n" + "".join(f"t{i}\t{value}\n" for i, value in enumerate(values))


def read(data, **options):
    """The names, and the labels of each text whatever split it came to lie in."""
    loaded = load_labelled_dataset(data, **options)
    pairs = [pair for split in loaded.splits.values() for pair in zip(split["text"], split["labels"], strict=True)]
    by_text = dict(pairs)
    return loaded.schema.names, [by_text[text] for text in sorted(by_text)], loaded


def in_file(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# ---- dicts ----


@pytest.mark.parametrize("yes", [True, "yes", "1"])
def test_a_dict_of_labels_may_mix_numbers_booleans_and_words(tmp_path, yes):
    dicts = [{"joy": 1, "fear": 0}, {"joy": yes, "fear": 0}, None, {"joy": 1, "fear": yes}, {"joy": 0, "fear": 1}]
    expected = [[1, 0], [1, 0], [-100, -100], [1, 1], [0, 1]]
    frame = pd.DataFrame({"text": [f"t{i}" for i in range(5)], "labels": dicts})
    for data in (rows(dicts), in_file(tmp_path, "a.jsonl", jsonl(rows(dicts))), frame):
        assert read(data)[:2] == (("joy", "fear"), expected)


def test_a_dict_of_labels_may_have_blanks_in_its_keys_or_stand_under_another_case_or_be_named_by_a_flag(tmp_path):
    dicts = [{" joy": 1, "fear": 0}, {" joy": 0, "fear": 1}, {" joy": 1, "fear": 1}]
    expected = (("joy", "fear"), [[1, 0], [0, 1], [1, 1]])
    assert read(rows(dicts))[:2] == expected
    assert read(rows(dicts, "Labels"))[:2] == expected
    assert read(rows(dicts), label_columns="labels")[:2] == expected
    columns = [pa.array(["1", "0", "1"], pa.large_string()), pa.array(["0", "1", "1"], pa.large_string())]
    struct = pa.StructArray.from_arrays(columns, ["joy", "fear"])
    pq.write_table(pa.table({"text": ["t0", "t1", "t2"], "labels": struct}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[:2] == expected


# ---- lists ----


@pytest.mark.parametrize("separator", [",", ";", "|", ", "])
def test_multi_hot_labels_in_strings_are_multi_hot_as_those_in_numbers_are(tmp_path, separator):
    lists = [["0", "1", "0"], ["1", "0", "0"], ["0", "1", "1"]]
    names, expected = ("label_0", "label_1", "label_2"), [[0, 1, 0], [1, 0, 0], [0, 1, 1]]
    delimited = in_file(tmp_path, "a.tsv", csv_of(map(separator.join, lists)))
    spelled = in_file(tmp_path, "b.tsv", csv_of(map(str, lists)))
    for data in (rows(lists), delimited, spelled):
        for given in ({}, {"label_format": "multi_hot"}):
            assert read(data, **given)[:2] == (names, expected)
        assert read(data, label_info={"names": ["x", "y", "z"]})[:2] == (("x", "y", "z"), expected)
        assert read(data, label_format="indices")[:2] == (names[:2], [[1, 1], [1, 1], [1, 1]])
    assert read(rows([["0.2", "1"], ["0", "0.5"], ["1", "1"]]))[1][0] == pytest.approx([0.2, 1])


def test_lists_of_indices_in_strings_stay_indices():
    assert read(rows([["0", "2"], ["1"], []]))[1] == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert read(rows([["0", "2"], ["1", "3"], ["0", "1"]]))[1] == [[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]]


@pytest.mark.parametrize("quote", ["'", '"'])
def test_lists_as_numpy_prints_them_may_have_commas_and_quotation_marks_in_names(tmp_path, quote):
    other = "'" if quote == '"' else '"'
    kinds = ["[{0}Shoes, Bags{0} {0}Books{0}\n {0}it{1} {1}s{0}]", "[{0}Books{0}]"]
    kinds += ["[{0}Shoes, Bags{0}, {0}it{1} {1}s{0}]"]
    cells = [kind.format(quote, other) for kind in kinds]
    frame = pd.DataFrame({"text": ["t0", "t1", "t2"], "labels": cells})
    names, labels, _ = read(frame)
    assert names == ("Books", "Shoes, Bags", f"it{other} {other}s")
    assert labels == [[1, 1, 1], [1, 0, 0], [0, 1, 1]]


def test_names_in_brackets_are_names_where_the_user_says_so(tmp_path):
    path = in_file(tmp_path, "a.csv", "text,label\nt0,[PER]\nt1,[ORG]\nt2,Joy\nt3,[ORG]\n")
    for given in ({"separator": "none"}, {"label_format": "classes"}):
        assert read(path, **given)[:2] == (("Joy", "[ORG]", "[PER]"), [2, 1, 0, 1])
    with pytest.raises(DataError, match=r"row 1: '\[PER\]' is no list.*--separator none"):
        read(path)


# ---- classes ----


def test_class_indices_with_a_point_as_pandas_writes_them_beside_a_blank_are_indices(tmp_path):
    path = in_file(tmp_path, "a.csv", "text,label\nt0,1.0\nt1,0.0\nt2,\nt3,1.0\n")
    test = in_file(tmp_path, "test.csv", "text,label\nt4,1\nt5,0\n")
    assert read(path, label_info={"names": ["ham", "spam"]})[:2] == (("ham", "spam"), [1, 0, -100, 1])
    assert read({"train": path, "test": test})[:2] == (("label_0", "label_1"), [1, 0, -100, 1, 1, 0])
    assert read({"train": test, "test": path})[:2] == (("label_0", "label_1"), [1, 0, -100, 1, 1, 0])


def test_numbers_that_are_the_names_of_classes_mean_the_same_in_each_format(tmp_path):
    values, names = [1, 2, 3, 1, 4], {"names": ["1", "2", "3", "4"]}
    files = [
        in_file(tmp_path, "a.jsonl", jsonl(rows(values, "label"))),
        in_file(tmp_path, "a.tsv", csv_of(values, "label")),
    ]
    for data in (*files, rows(values, "label"), rows(map(float, values), "label")):
        assert read(data, label_info=names)[:2] == (("1", "2", "3", "4"), [0, 1, 2, 0, 3])
    years = rows([2019, 2020, 2019, None, 2020], "label")
    assert read(years, label_info={"names": ["2019", "2020"]})[1] == [0, 1, 0, -100, 1]
    test = {"train": years, "test": [{"text": "t9", "label": 2021}]}
    with pytest.raises(DataError, match="unknown label 2021: did you mean"):
        read(test, label_info={"names": ["2019", "2020"]})


def test_numbers_are_indices_where_one_of_them_is_no_name():
    """What the training data says holds in all splits: without a 0 the test data would look like names."""
    data = {"train": rows([0, 1, 2, 3], "label"), "test": [{"text": "t9", "label": 1}, {"text": "u9", "label": 2}]}
    assert read(data, label_info={"names": ["1", "2", "3", "4"]})[1] == [0, 1, 2, 3, 1, 2]


def test_few_classes_with_high_numbers_are_asked_about_and_many_are_not():
    assert len(read(rows([[i] for i in range(0, 300, 3)]))[0]) == 298
    with pytest.raises(DataError, match=r"holds the class index 2021; .*label_info\.json"):
        read(rows([2019 + i % 3 for i in range(3000)], "label"))


# ---- splits of which nothing is known ----


@pytest.mark.parametrize(
    ("train", "nothing"),
    [
        (["ham", "spam", "ham"], None),
        (["ham", "spam", "ham"], -1),
        (["ham", "spam", "ham"], float("nan")),
        ([["ham"], ["spam"], []], None),
        ([["ham"], ["spam"], []], [-1]),
        ([{"joy": 1}, {"joy": 0}, {"joy": 1}], None),
        ([0, 1, 0], None),
    ],
)
def test_a_split_without_a_known_label_is_unknown_all_over(tmp_path, train, nothing):
    test = [{"text": f"u{i}", "labels": nothing} for i in range(2)]
    for data in (
        {"train": rows(train), "test": test},
        {"train": pd.DataFrame(rows(train)), "test": pd.DataFrame(test)},
        {"train": in_file(tmp_path, "a.jsonl", jsonl(rows(train))), "test": in_file(tmp_path, "b.jsonl", jsonl(test))},
    ):
        loaded = load_labelled_dataset(data)
        labels = loaded.splits["test"]["labels"][:]
        assert all(value == -100 for row in labels for value in (row if isinstance(row, list) else [row]))
        assert loaded.schema.names == load_labelled_dataset({"train": data["train"]}).schema.names


# ---- values of several kinds ----


def test_a_single_value_in_a_column_of_lists_is_a_list_of_one(tmp_path):
    mixed = [{"text": f"t{i}" if i % 3 else ["t", str(i)], "labels": "a" if i % 2 else ["a", "b"]} for i in range(4)]
    for data in (mixed, in_file(tmp_path, "a.jsonl", jsonl(mixed))):
        names, labels, loaded = read(data)
        assert (names, labels) == (("a", "b"), [[1, 1], [1, 0], [1, 0], [1, 1]])
        assert {text for split in loaded.splits.values() for text in split["text"]} == {"t 0", "t1", "t2", "t 3"}
    mixed = [{"text": f"t{i}", "label": i % 2, "meta": [1] if i else "x"} for i in range(4)]  # which nobody uses
    assert read(mixed)[1] == [0, 1, 0, 1]
    with pytest.raises(DataError, match=r"column 'age' cannot be read .*Path"):
        read(pd.DataFrame({"text": ["t0", "t1"], "label": [0, 1], "age": [tmp_path] * 2}))


# ---- quotation marks ----


def test_a_quotation_mark_within_a_cell_is_text_beside_cells_of_several_lines(tmp_path):
    path = in_file(tmp_path, "a.csv", 'label,text\nad,27" screen\nok,fine\nok,"two\nlines"\nad,"so ""called"",\n"\n')
    loaded = load_labelled_dataset(path)
    assert {t for split in loaded.splits.values() for t in split["text"]} == {
        *('27" screen', "fine", "two\nlines", 'so "called",\n'),
    }


def test_one_row_in_a_json_file_is_a_row(tmp_path):
    row = {"text": "u", "labels": ["joy"], "span": {"from": 1, "to": 3}}
    one = in_file(tmp_path, "one.json", json.dumps(row))
    train = rows([["joy"], ["fear"], ["joy"]])
    assert read({"train": train, "test": one})[1] == [[0, 1], [1, 0], [0, 1], [0, 1]]
