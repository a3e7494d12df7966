"""Data that is read in batches is told like data that is loaded."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imbalance_trainer.analysis.counts import is_large
from imbalance_trainer.cli.analyze import main as analyze
from imbalance_trainer.data.options import DataOptions
from imbalance_trainer.utils.errors import DataError, UsageError

INFO = {"names": ["a", "b", "c"], "implications": [["c", "a"]]}


def write(folder, splits=("train", "validation", "test"), n_rows=400):
    folder.mkdir()
    (folder / "label_info.json").write_text(json.dumps(INFO))
    for i, split in enumerate(splits):
        labels = (np.random.default_rng(i).random((n_rows, 3)) < [0.4, 0.1, 0.03]).astype(np.int8)
        texts = [f"{split} {row}" for row in range(n_rows)]
        table = pa.table({"text": texts, "labels": pa.array(labels.tolist(), pa.list_(pa.int8()))})
        pq.write_table(table, folder / f"{split}.parquet")
    return folder


def told(*flags):
    return analyze([*map(str, flags)])


def test_streamed_counts_and_recommendation_are_those_of_data_that_is_loaded(tmp_path):
    folder = write(tmp_path / "data")
    loaded, in_batches = (told(folder, "--streaming", s) for s in ("false", "true"))
    for key in ("labels", "splits", "recommendation"):
        assert in_batches[key] == loaded[key]
    assert in_batches["warnings"] == ["Texts were not read, so that nothing is known of texts that stand twice."]


def test_without_a_validation_file_a_tenth_of_training_stands_for_it(tmp_path):
    found = told(write(tmp_path / "data", ("train",)), "--streaming", "true")
    assert found["splits"]["validation"]["rows"] == 40
    assert "There is no validation file" in found["warnings"][1]


def test_large_files_are_streamed_without_a_flag(tmp_path):
    data = DataOptions(data_dir=str(write(tmp_path / "data")))
    size = sum(path.stat().st_size for path in (tmp_path / "data").glob("*.parquet"))
    assert [is_large(data, limit) for limit in (size, size + 1)] == [True, False]
    assert not is_large(data)
    assert not is_large(DataOptions(dataset_name="org/name"), 0)


def test_what_cannot_be_streamed_is_one_sentence(tmp_path):
    folder = write(tmp_path / "data")
    with pytest.raises(UsageError, match="--streaming reads files"):
        analyze(["--dataset_name", "org/name", "--streaming", "true"])
    table = pq.read_table(folder / "test.parquet")
    wrong = table.set_column(1, "labels", pa.array([[0, 1]] * len(table)))
    pq.write_table(wrong, folder / "test.parquet")
    with pytest.raises(DataError, match=r"test.parquet.*row 1 has 2 values"):
        analyze([str(folder), "--streaming", "true"])


def test_rows_with_a_blank_text_are_not_counted_as_training_leaves_them_out(tmp_path):
    rows = [{"text": " " if i % 4 == 0 else f"t {i}", "a": i % 2, "b": int(i % 3 == 0)} for i in range(120)]
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    in_batches, loaded = (told(tmp_path, "--streaming", streaming) for streaming in ("true", "false"))
    assert in_batches["splits"]["train"]["rows"] == loaded["splits"]["train"]["rows"] == 90
    assert in_batches["labels"] == loaded["labels"]


def test_labels_that_a_split_has_not_are_named_without_the_texts_too(tmp_path, capsys):
    folder = write(tmp_path / "data")
    table = pq.read_table(folder / "test.parquet")
    table = table.set_column(1, "labels", pa.array([[1, 1, 0]] * len(table), table.schema.field("labels").type))
    pq.write_table(table, folder / "test.parquet")
    analyze([str(folder), "--streaming", "true"])
    assert f"1 label has no positive in test: '{INFO['names'][2]}'." in capsys.readouterr().out
    assert "1 label has no positive in test" in " ".join(told(folder, "--streaming", "true")["warnings"])
