"""Labels of files that are read in batches: the same as of files that are loaded."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from imbalance_trainer import LabelDistribution, LabelSchema, load_labelled_dataset
from imbalance_trainer.data import stream
from imbalance_trainer.utils.errors import DataError, UsageError

NAMES = ["joy", "fear", "anger", "none of these"]
N = 700


def iter_labels(paths, *args, **how):
    """The labels in small batches, of which the first ones do not tell everything."""
    return stream.iter_labels(paths, *args, **{"batch": 64, **how})


def matrix(seed=0, n=N):
    labels = (np.random.default_rng(seed).random((n, len(NAMES))) < [0.5, 0.3, 0.2, 0.02]).astype(int)
    labels[:40, 3] = 0  # a name that is not in the first batch
    labels[-1] = [0, 0, 0, 1]
    return labels


def write(folder, ending, columns):
    path = folder / f"train.{ending}"
    table = {"text": [f"text {i}" for i in range(len(next(iter(columns.values()))))], **columns}
    if ending == "jsonl":
        rows = zip(*table.values(), strict=True)
        path.write_text("\n".join(json.dumps(dict(zip(table, row, strict=True))) for row in rows))
    elif ending in ("csv", "tsv"):
        separator = "," if ending == "csv" else "\t"
        cells = {k: [v if isinstance(v, str) else "" if v is None else str(v) for v in vs] for k, vs in table.items()}
        pa_csv.write_csv(pa.table(cells), path, pa_csv.WriteOptions(delimiter=separator))
    elif ending == "parquet":
        pq.write_table(pa.table(table), path, row_group_size=90)
    else:
        with pa.ipc.new_stream(path, pa.table(table).schema) as writer:
            writer.write_table(pa.table(table), max_chunksize=77)
    return path


def shapes():
    labels = matrix()
    sets = [[NAMES[i] for i in np.flatnonzero(row)] for row in labels]
    partly = [[None if (i + j) % 9 == 0 else v for j, v in enumerate(row)] for i, row in enumerate(labels.tolist())]
    return {
        "columns": {name: labels[:, i].tolist() for i, name in enumerate(NAMES)},
        "columns with blanks": {name: [row[i] for row in partly] for i, name in enumerate(NAMES)},
        "multi-hot": {"labels": labels.tolist()},
        "soft": {"labels": (labels * 0.7).tolist()},
        "names": {"labels": sets},
        "indices": {"labels": [[NAMES.index(n) for n in row] for row in sets]},
        "delimited": {"labels": ["|".join(row) for row in sets]},
        "one class": {"label": [NAMES[row.argmax()] for row in labels]},
        "class index": {"label": labels.argmax(1).tolist()},
    }


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "tsv", "jsonl"])
@pytest.mark.parametrize("shape", list(shapes()))
def test_batches_count_as_the_loaded_file_does(tmp_path, ending, shape):
    columns = shapes()[shape]
    stream = iter_labels(write(tmp_path, ending, columns))
    folder = tmp_path / "loaded"
    folder.mkdir()
    path = write(folder, "parquet" if ending == "arrow" else ending, columns)
    for split in ("dev", "test"):
        (folder / path.name.replace("train", split)).write_bytes(path.read_bytes())
    loaded = load_labelled_dataset(folder)
    assert stream.plan.schema == loaded.schema
    assert stream.plan.problem_type == loaded.problem_type
    expected = LabelDistribution.from_dataset(loaded.splits["train"], loaded.schema, details=True)
    for _ in range(2):  # a stream can be read again
        counts = LabelDistribution.from_stream(stream, details=True)
        np.testing.assert_allclose(counts.support, expected.support, rtol=1e-6)
        assert counts.known.tolist() == expected.known.tolist()
        assert counts.labels_per_row.tolist() == expected.labels_per_row.tolist()
        assert (counts.n_rows, counts.row_total) == (expected.n_rows, expected.n_rows)


@pytest.mark.parametrize("feature", ["one", "lists"])
def test_class_labels_keep_their_names_whatever_the_order_that_is_asked_for(tmp_path, feature):
    labels = matrix()
    rows = labels.argmax(1).tolist() if feature == "one" else [np.flatnonzero(row).tolist() for row in labels]
    inner = ClassLabel(names=NAMES)
    features = Features({"text": Value("string"), "labels": inner if feature == "one" else List(inner)})
    Dataset.from_dict({"text": ["x"] * N, "labels": rows}, features=features).to_parquet(tmp_path / "a.parquet")
    expected = labels.sum(0) if feature == "lists" else np.bincount(labels.argmax(1), minlength=4)
    assert LabelDistribution.from_stream(iter_labels(tmp_path / "a.parquet")).support.tolist() == expected.tolist()
    stream = iter_labels(tmp_path / "a.parquet", label_info=LabelSchema(NAMES[::-1]))
    assert LabelDistribution.from_stream(stream).support.tolist() == expected[::-1].tolist()


def test_several_files_are_one_stream_with_rows_counted_through_it(tmp_path):
    labels = matrix()
    labels[[5, 600]] = [0, 1, 0, 0]
    schema = LabelSchema(NAMES, implications=[("fear", "joy")])
    for i, part in enumerate(np.split(labels, [300, 301])):
        write(tmp_path, "parquet", {"labels": part.tolist()}).rename(tmp_path / f"{i}.parquet")
    stream = iter_labels(sorted(tmp_path.iterdir()), label_info=schema)
    counts = LabelDistribution.from_stream(stream, details=True)
    expected = LabelDistribution.from_labels(labels, schema, details=True)
    assert counts.violation_rows == expected.violation_rows
    assert {5, 600} <= set(counts.violation_rows[0])
    assert np.array_equal(counts.cooccurrence, labels.T @ labels)
    assert counts.n_rows == N
    assert "0.parquet and 2 more" in stream.notes[0]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"row 7": [0] * 600 + [3] + [0] * 99, "b": [1] * N}, "row 601, column 'row 7': '?3'?;?"),
        ({"labels": [["joy"]] * 650 + [["joi"]] + [["fear"]] * 49}, "'labels', row 651: unknown label 'joi': did you"),
        ({"labels": [[0, 1, 0]] * 650 + [[0, 1, 2]] + [[1, 0, 0]] * 49}, "row 651, column 'labels', label .*: 2"),
        ({"labels": [[0, 1, 0]] * 650 + [[0, 1]] + [[1, 0, 0]] * 49}, "row 651 has 2 values; expected 3"),
    ],
)
def test_a_wrong_value_is_named_by_its_row_in_the_whole_file(tmp_path, ending, columns, said):
    path = write(tmp_path, ending, columns)
    schema = LabelSchema(["joy", "fear"]) if ["joy"] in columns.get("labels", []) else None
    with pytest.raises(DataError, match=said) as caught:
        LabelDistribution.from_stream(iter_labels(path, label_info=schema, label_columns=list(columns)))
    assert str(caught.value).startswith(str(path))


def test_the_first_rows_may_have_no_labels_at_all(tmp_path):
    path = write(tmp_path, "jsonl", {"labels": [[]] * 200 + [["b"], ["a", "b"]] * 50})
    counts = LabelDistribution.from_stream(iter_labels(path, batch=300), details=True)
    assert counts.support_by_label == {"a": 50, "b": 100}
    assert counts.labels_per_row[0] == 200


def test_what_is_no_such_file_is_said(tmp_path):
    for given, said in (
        (tmp_path / "no.csv", "there is no such file"),
        (tmp_path / "a.docx", "expected one of the endings .parquet, "),
    ):
        (tmp_path / "a.docx").touch()
        with pytest.raises(UsageError, match=said):
            iter_labels(given)
    (tmp_path / "c.csv").write_text("text,a\nx,1\ny,0,1\n")
    with pytest.raises(DataError, match="line 3 has 3 cells, but the header has 2"):
        LabelDistribution.from_stream(iter_labels(tmp_path / "c.csv"))


def test_a_wrong_cell_of_a_later_batch_is_shown_with_its_row(tmp_path):
    path = write(tmp_path, "csv", {"labels": ["['a']", "['b']"] * 340 + ["__import__('os')"] * 20})
    with pytest.raises(DataError, match=r"'labels', row 681: .__import__.* is no list"):
        iter_labels(path)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    """A file whose labels need 420 MB is counted by a process that may have 200 MB more than it starts with."""
    n = 15_000_000
    labels = np.tile((np.random.default_rng(0).random((n // 100, 28)) < 0.1).astype(np.int8), (10, 1))
    writer = None
    for _ in range(10):
        flat = pa.array(labels.ravel())
        column = pa.ListArray.from_arrays(np.arange(len(labels) + 1, dtype=np.int32) * 28, flat)
        table = pa.table({"text": pa.array(["x"] * len(labels)), "labels": column})
        writer = writer or pq.ParquetWriter(tmp_path / "a.parquet", table.schema)
        writer.write_table(table, row_group_size=200_000)
    writer.close()
    code = f"""
import resource
from imbalance_trainer import LabelDistribution, LabelSchema
from imbalance_trainer.data.stream import iter_labels
import pyarrow.compute
stream = iter_labels({str(tmp_path / "a.parquet")!r}, text_column="text",
                       label_info=LabelSchema([f"l{{i}}" for i in range(28)]))
now = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (now + (200 << 20), now + (200 << 20)))
print(*LabelDistribution.from_stream(stream).support.astype(int))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(map(int, done.stdout.split())) == (labels.sum(0, dtype=int) * 10).tolist()
