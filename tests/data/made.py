"""The same rows in every format, and what the tests of data/ make files with."""

import csv
import io
import json
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NAMES = ("anger", "fear", "joy")
INFO = {
    "names": list(NAMES), "groups": {"primary": ["anger"]}, "implications": [["fear", "anger"]],
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


def written(folder, files):
    """Write files into a folder: text, bytes, an Arrow table by the ending of its name, or what a function writes."""
    folder = Path(folder)
    for name, content in files.items():
        path = folder / name
        if callable(content):
            content(path)
        elif isinstance(content, pa.Table):
            WRITERS[path.suffix.lower()](content, path)
        elif isinstance(content, datasets.Dataset):
            content.to_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def _write_arrow(table, path):
    new = pa.ipc.new_stream if table.num_rows == 2 else pa.ipc.new_file  # splits of each kind
    with path.open("wb") as file, new(file, table.schema) as writer:
        writer.write_table(table)


WRITERS = {
    ".parquet": pq.write_table,
    ".arrow": _write_arrow,
}


def csv_text(header, rows, separator=",", start="", quoting=csv.QUOTE_MINIMAL):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="\n", quoting=quoting).writerows([header, *rows])
    return start + out.getvalue()


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def names_of(hot):
    return [name for name, value in zip(NAMES, hot, strict=True) if value]


def _hot_indices(hot):
    return [i for i, value in enumerate(hot) if value]


def _csv_cell(spell, **style):
    return lambda rows: csv_text(["text", "labels"], [(text, spell(hot)) for text, hot in rows], **style)


def _jsonl_labels(spell, name="labels"):
    return lambda rows: jsonl({"text": text, name: spell(hot)} for text, hot in rows)


def _parquet(kind, spell=list):
    return lambda rows: pa.table(
        {"text": [text for text, _ in rows], "labels": pa.array([spell(hot) for _, hot in rows], kind)}
    )


def _class_label_lists(rows):
    names = ["joy", "anger", "fear"]  # another order than label_info.json's
    indices = [[names.index(name) for name in names_of(hot)] for _, hot in rows]
    features = {"text": datasets.Value("string"), "labels": datasets.List(datasets.ClassLabel(names=names))}
    return datasets.Dataset.from_dict(
        {"text": [text for text, _ in rows], "labels": indices}, features=datasets.Features(features)
    )


def _columns_table(rows):
    large = pa.array([text for text, _ in rows], pa.large_string())
    return pa.table({"text": large, **{n: pa.array([hot[i] for _, hot in rows]) for i, n in enumerate(NAMES)}})


def _columns_csv(rows, separator=","):
    return csv_text(["text", *NAMES], [(text, *hot) for text, hot in rows], separator)


_WORDS = (["0", "False", "no"], ["1", "TRUE", "Yes"])
MULTI_FORMATS = {
    "columns.csv": _columns_csv,
    "columns of words.csv": lambda rows: csv_text(
        ["text", *NAMES], [(text, *(_WORDS[v][i] for i, v in enumerate(hot))) for text, hot in rows]
    ),
    "columns, semicolons and BOM.csv": lambda rows: "\ufeff" + _columns_csv(rows, ";"),
    "columns, bars.csv": lambda rows: _columns_csv(rows, "|"),
    "columns, UTF-16.csv": lambda rows: _columns_csv(rows).encode("utf-16"),
    "columns, UTF-32.tsv": lambda rows: _columns_csv(rows, "\t").encode("utf-32"),
    "json lists.csv": _csv_cell(json.dumps),
    "numpy lists.csv": _csv_cell(lambda hot: str(np.array(hot))),
    "python lists of names.csv": _csv_cell(lambda hot: repr(names_of(hot))),
    "names with bars.csv": _csv_cell(lambda hot: "|".join(names_of(hot))),
    "names with semicolons.csv": _csv_cell(lambda hot: " ; ".join(names_of(hot))),
    "names in capitals with commas.csv": _csv_cell(lambda hot: ",".join(names_of(hot)).upper()),
    "multi-hot.jsonl": _jsonl_labels(list),
    "booleans.jsonl": _jsonl_labels(lambda hot: [bool(value) for value in hot]),
    "mixed kinds.jsonl": _jsonl_labels(lambda hot: [bool(hot[0]), *hot[1:]]),
    "names.jsonl": _jsonl_labels(names_of),
    "indices.json": _jsonl_labels(_hot_indices),
    "dict.jsonl": _jsonl_labels(lambda hot: dict(zip(NAMES, hot, strict=True))),
    "columns.jsonl": lambda rows: jsonl({"text": t, **dict(zip(NAMES, hot, strict=True))} for t, hot in rows),
    "multi-hot.parquet": _parquet(pa.list_(pa.int8())),
    "booleans.parquet": _parquet(pa.list_(pa.bool_()), lambda hot: list(map(bool, hot))),
    "fixed size.parquet": _parquet(pa.list_(pa.int64(), 3)),
    "large lists.parquet": _parquet(pa.large_list(pa.int64())),
    "names.parquet": _parquet(pa.list_(pa.string()), names_of),
    "indices.parquet": _parquet(pa.list_(pa.int64()), _hot_indices),
    "struct.parquet": lambda rows: pa.Table.from_pylist(
        [{"text": text, "labels": dict(zip(NAMES, hot, strict=True))} for text, hot in rows]
    ),
    "columns.parquet": _columns_table,
    "ClassLabel.parquet": _class_label_lists,
    "indices with commas.csv": lambda rows: csv_text(
        ["text", "labels"], [(text, ",".join(map(str, _hot_indices(hot)))) for text, hot in rows]
    ),
    "array.json": lambda rows: json.dumps([{"text": t, "labels": hot} for t, hot in rows], indent=1),
    "UTF-16.jsonl": lambda rows: _jsonl_labels(names_of)(rows).encode("utf-16"),
    "multi-hot.arrow": _parquet(pa.list_(pa.int8())),
    "columns.arrow": _columns_table,
    "large lists.arrow": _parquet(pa.large_list(pa.int64())),
    "string views.arrow": _parquet(pa.list_(pa.string_view()), names_of),
}
TEXT_FORMATS = {
    "fastText.txt": lambda rows: "".join(
        " ".join([*(f"__label__{name}" for name in names_of(hot)), plain(text)]) + "\n" for text, hot in rows
    ),
}
"""These cannot hold texts with line breaks or tabs, nor with blanks around them."""


def plain(text):
    """A text that a line of a text file can hold."""
    return " ".join(text.split())


HAVE_NO_NAMES = {"json lists.csv", "numpy lists.csv", "multi-hot.jsonl", "booleans.jsonl", "mixed kinds.jsonl"} | {
    *("indices.json", "multi-hot.parquet", "booleans.parquet", "fixed size.parquet"),
    *("large lists.parquet", "indices.parquet", "indices with commas.csv", "array.json", "multi-hot.arrow"),
    "large lists.arrow",
}


OBJECTS = {
    "DataFrame with columns": lambda rows: pd.DataFrame([[t, *hot] for t, hot in rows], columns=["text", *NAMES]),
    "DataFrame with lists": lambda rows: pd.DataFrame({"text": [t for t, _ in rows], "labels": [h for _, h in rows]}),
    "DataFrame with arrays": lambda rows: pd.DataFrame(
        {"text": [t for t, _ in rows], "labels": [np.array(h) for _, h in rows]}, index=range(7, 7 + len(rows))
    ),
    "Dataset with lists": lambda rows: datasets.Dataset.from_list([{"text": t, "labels": h} for t, h in rows]),
    "Dataset with ClassLabel lists": _class_label_lists,
    "Dataset with floats, selected": lambda rows: datasets.Dataset.from_list(
        [{"text": t, "labels": [float(v) for v in h]} for t, h in reversed(rows)]
    ).select(range(len(rows) - 1, -1, -1)),
    "Dataset with a transform": lambda rows: _class_label_lists(rows).with_transform(
        lambda batch: {"x": batch["text"]}
    ),
    "IterableDataset": lambda rows: _class_label_lists(rows).to_iterable_dataset(num_shards=2),
    "IterableDataset without features": lambda rows: datasets.IterableDataset.from_generator(
        lambda: iter([{"text": t, "labels": names_of(h)} for t, h in rows])
    ),
    "Arrow table": _columns_table,
    "list of dictionaries": lambda rows: [{"text": t, "labels": names_of(h)} for t, h in rows],
}


def given_as(kind, folder, rows=ROWS):
    """What to give to load_labelled_dataset for the rows in a format, with label_info.json where there are files."""
    if kind in OBJECTS:
        return {split: OBJECTS[kind](part) for split, part in rows.items()}
    if kind.startswith("saved"):
        parts = {split: _class_label_lists(part) for split, part in rows.items()}
        if kind == "saved DatasetDict":
            datasets.DatasetDict(parts).save_to_disk(folder / "saved")
            return folder / "saved"
        for split, part in parts.items():
            part.save_to_disk(folder / split)
        return {split: folder / split for split in parts}
    formats, ending = {**MULTI_FORMATS, **TEXT_FORMATS}, Path(kind).suffix
    if kind == "shards.parquet":
        halves = {f"{split}-{i:05d}-of-00002": part[i::2] for split, part in rows.items() for i in (0, 1)}
        return written(folder, {f"{name}.parquet": _columns_table(part) for name, part in halves.items()})
    return written(folder, {f"{split}{ending}": formats[kind](part) for split, part in rows.items()})


EVERY_FORMAT = [*MULTI_FORMATS, *TEXT_FORMATS, *OBJECTS, "saved DatasetDict", "saved Datasets", "shards.parquet"]


def assert_rows(data, expected=ROWS, order=(0, 1, 2)):
    """Whether the splits have the rows, with the labels in another order."""
    assert list(data.splits) == ["train", "validation", "test"]
    for split, rows in expected.items():
        assert data.splits[split].column_names == ["text", "labels"]
        assert data.splits[split]["text"][:] == [text for text, _ in rows]
        assert data.splits[split]["labels"][:] == [[hot[i] for i in order] for _, hot in rows]
