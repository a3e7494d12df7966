"""Where data may lie: files, saved datasets, the hub's real code path on a local folder, objects; and DataOptions."""

import dataclasses
import json

import datasets
import pandas as pd
import pytest

from imbalance_trainer.cli.parser import FlagParser
from imbalance_trainer.data import sources as sources_module
from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.data.options import DataOptions
from imbalance_trainer.data.sources import HubDataset, find_source
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.data.made import INFO, MULTI_FORMATS, OBJECTS, ROWS, assert_rows, given_as, written

CSV = MULTI_FORMATS["columns.csv"]


def test_files_and_objects_by_split(tmp_path):
    written(tmp_path, {"a.csv": CSV(ROWS["train"]), "b.jsonl": MULTI_FORMATS["dict.jsonl"](ROWS["validation"])})
    parts = {
        "train": str(tmp_path / "a.csv"),
        "dev": tmp_path / "b.jsonl",
        "test": OBJECTS["Arrow table"](ROWS["test"]),
    }
    assert_rows(load_labelled_dataset(parts))
    assert_rows(load_labelled_dataset({**parts, "unsupervised": None}))


def test_files_of_one_name_in_two_folders_are_told_apart(tmp_path):
    for folder, value in (("one", "0"), ("two", "7")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text(f"text,a,b\nx {folder},1,0\ny {folder},{value},1\n")
    with pytest.raises(DataError, match=r"found row 2 of \S*two/a\.csv, column 'a': '7'"):
        load_labelled_dataset(
            {"train": [tmp_path / "one" / "a.csv", tmp_path / "two" / "a.csv"]}, label_columns=["a", "b"]
        )


def test_a_saved_dataset_is_the_training_data(tmp_path):
    OBJECTS["Dataset with lists"](ROWS["train"]).save_to_disk(tmp_path / "saved")
    assert sum(map(len, load_labelled_dataset(str(tmp_path / "saved")).splits.values())) == 6


def test_a_file_of_a_folder_may_have_another_name(tmp_path):
    written(tmp_path, {"comments.csv": CSV(ROWS["train"]), "label_info.json": json.dumps(INFO)})
    data = load_labelled_dataset(tmp_path, split_names={"train": "comments.csv"})
    assert data.schema.to_dict() == INFO
    assert sum(map(len, data.splits.values())) == 6


def test_splits_of_a_dataset_that_have_names_of_their_own():
    made = {name: OBJECTS["Dataset with ClassLabel lists"](ROWS[split]) for name, split in
            (("full", "train"), ("val", "validation"), ("hard", "test"), ("rest", "test"))}  # fmt: skip
    dataset = datasets.DatasetDict(made)
    with pytest.raises(DataError, match=r"no split 'train'; found 'full', 'val', 'hard', 'rest'.*--train_split_name"):
        load_labelled_dataset(dataset)
    with pytest.raises(UsageError, match="no split 'ful': did you mean 'full'"):
        load_labelled_dataset(dataset, split_names={"train": "ful"})
    data = load_labelled_dataset(dataset, split_names={"train": "full", "test": "hard"}, label_info=INFO)
    assert_rows(data)
    assert "not used: 'rest'" in data.notes[0]
    with pytest.raises(DataError, match="'dev' and 'val' are both the validation split"):
        load_labelled_dataset({"train": dataset["full"], "dev": dataset["val"], "val": dataset["val"]})


def test_words_of_a_frame_stay_text_and_missing_values_are_unknown():
    frame = pd.DataFrame(
        {"text": ["None", "NA", "null", "nan"], "a": [1, None, 0, 1], "b": [True, False, None, pd.NA]}
    )
    data = load_labelled_dataset(dict.fromkeys(ROWS, frame))
    assert data.splits["train"]["text"][:] == ["None", "NA", "null", "nan"]
    assert data.splits["train"]["labels"][:] == [[1, 1], [-100, 0], [0, -100], [1, -100]]
    assert "9 unknown label entries" in data.notes[2]
    frame["text"] = ["x", None, "y", float("nan")]
    data = load_labelled_dataset(dict.fromkeys(ROWS, frame))
    assert (data.splits["train"]["text"][:], data.splits["test"]["text"][:]) == (["x", "y"], ["x", "", "y", ""])
    assert "6 blank texts, 2 of them left out of the training rows" in data.notes[2]


def test_values_of_a_frame_that_are_no_labels():
    odd = pd.DataFrame({"text": ["x", "y"], "labels": [object(), object()]})
    with pytest.raises(DataError, match=r"column 'labels' cannot be read .*type object"):
        load_labelled_dataset(odd)


@pytest.mark.parametrize("data", [3, [], None, [1], iter([])])
def test_what_is_no_data(data):
    with pytest.raises(UsageError, match=r"expected a file or folder, a datasets\.Dataset"):
        load_labelled_dataset(data)


def test_an_empty_dataset():
    empty = datasets.Dataset.from_dict({"text": [], "labels": []})
    for data in (
        empty,
        {"train": empty},
        datasets.IterableDataset.from_generator(lambda: iter([])),
        pd.DataFrame({"text": [], "labels": []}),
    ):
        with pytest.raises(DataError, match="has no rows"):
            load_labelled_dataset(data)


# ---- the hub ----


def test_a_dataset_of_the_hub_by_the_code_that_loads_it(tmp_path):
    """load_dataset takes a local folder by the same code, but for the download."""
    written(tmp_path, {f"{split}.csv": CSV(rows) for split, rows in ROWS.items()})
    data = load_labelled_dataset(HubDataset(str(tmp_path)))
    assert_rows(data)  # with the texts "None", "NA" and "null", which load_dataset alone would lose
    assert "on the hub" in data.notes[0]


def test_a_name_like_a_hubs_is_asked_of_the_hub_and_runs_no_code(monkeypatch):
    asked = []

    class Builder:
        name = "parquet"

    def load(name, config, **more):
        asked.append((name, config, more))
        return given_as("Dataset with ClassLabel lists", None)

    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name, config: Builder)
    monkeypatch.setattr(datasets, "load_dataset", load)
    assert_rows(load_labelled_dataset("some/data", label_info=INFO))
    assert_rows(DataOptions(dataset_name="some/data", dataset_config_name="en").load(INFO))
    assert asked == [("some/data", None, {}), ("some/data", "en", {})]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError("Dataset 'some/data' doesn't exist on the Hub."), "no such file or folder"),
        (
            RuntimeError("Dataset scripts are no longer supported, but found data.py"),
            "scripts are no longer supported",
        ),
        (ValueError("Config name is missing.\nPlease pick one among: ['a', 'b']"), "--dataset_config_name"),
    ],
)
def test_a_dataset_that_cannot_be_loaded(monkeypatch, error, said):
    def fail(*args):
        raise error

    monkeypatch.setattr(sources_module.datasets, "load_dataset_builder", fail)
    with pytest.raises(UsageError, match=said) as caught:
        load_labelled_dataset("some/data")
    assert "\n" not in str(caught.value)


def test_paths_are_no_names_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "absent", "absent", "./some/data"):
        with pytest.raises(UsageError, match="there is no such folder or file"):
            find_source(path)


# ---- DataOptions ----


def test_every_option_reaches_the_loader(tmp_path):
    rows = {split: [(text, hot) for text, hot in part] for split, part in ROWS.items()}
    files = {
        f"{name}.csv": ("phrase;tags;x\n" + "".join(f"word {i};{'|'.join('abc'[j] for j in range(3) if hot[j])};1\n"
                        for i, (_, hot) in enumerate(rows[split]))).encode("utf-16-le")
        for name, split in (("one", "train"), ("two", "validation"), ("three", "test"))
    }  # fmt: skip
    written(tmp_path, files)
    flags = {"train_file": "one.csv", "validation_file": "two.csv", "test_file": "three.csv"}
    options = DataOptions(**{flag: str(tmp_path / file) for flag, file in flags.items()}, text_column="phrase",
                          label_columns=["tags"], label_format="names", separator="|", delimiter=";",
                          encoding="utf-16-le")  # fmt: skip
    assert options.is_given
    assert options.name == "one"
    data = options.load(seed=1)
    for split, part in ROWS.items():
        assert data.splits[split]["labels"][:] == [hot for _, hot in part]


def test_names():
    assert DataOptions().name == "demo"
    assert not DataOptions().is_given
    assert DataOptions(dataset_name="org/some-data").name == "some-data"
    assert DataOptions(data_dir="a/b/").name == "b"
    assert DataOptions(data_dir="a/b").source == "a/b"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "No data is named; give one of --data_dir, --dataset_name, --train_file"),
        ({"data_dir": "x", "train_file": "y"}, "Give one of --data_dir and --train_file, not both"),
        ({"data_dir": " "}, "--data_dir is empty"),
        ({"test_file": "x"}, "--test_file needs --train_file"),
        ({"data_dir": "x", "validation_file": "y"}, "--validation_file needs --train_file"),
        ({"data_dir": "x", "dataset_config_name": "y"}, "--dataset_config_name needs --dataset_name"),
        ({"text_column": "x"}, "--text_column needs --data_dir or --dataset_name or --train_file"),
        ({"encoding": "x"}, "--encoding needs --data_dir or --dataset_name or --train_file"),
    ],
)
def test_options_that_do_not_go_together(options, said):
    with pytest.raises(UsageError, match=said):
        DataOptions(**options).load()


def test_each_option_is_a_flag_with_help():
    (options,) = FlagParser(DataOptions).parse(["--data_dir", "x", "--label_columns", "a", "b"])
    assert options == DataOptions(data_dir="x", label_columns=["a", "b"])
    assert all(field.metadata["help"].endswith(".") for field in dataclasses.fields(DataOptions))


def test_files_that_are_not_used_are_named(tmp_path):
    csv = "text,a\n" + "".join(f"t{i},{i % 2}\n" for i in range(9))
    written(tmp_path, dict.fromkeys(("train.csv", "tst.csv", "latest.csv", "test.csv.bak", ".tests.csv"), csv))
    written(tmp_path, {"label_info.json": '{"names": ["a"]}', "README.md": ""})
    assert load_labelled_dataset(tmp_path).notes[0].endswith("; not used: 'latest.csv', 'tst.csv'.")
