"""Broken files: each with the sentence that is said of it. docs/data-formats.md shows this table.

`python -m tests.data.test_broken_files` writes what is said now into that page.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest

from imbalance_trainer.data import decoding, load_labelled_dataset
from imbalance_trainer.errors import DataError, UsageError
from tests.data.made import WRITERS, jsonl, written

PAGE = Path(__file__).parents[2] / "docs" / "data-formats.md"


@dataclass(frozen=True)
class Case:
    """Files of the folder `data`, what is said of them, with which options; and what is changed before they are read."""

    files: Mapping[str, Any]
    said: str
    options: Mapping[str, Any] = field(default_factory=dict)
    before: Callable[[pytest.MonkeyPatch], None] = lambda patch: None


_OK = "text,a,b\nx,1,0\ny,0,1\nz,1,1\n"
_LISTS = jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate([[1, 0, 0], [0, 1, 1], [1, 1, 0]]))
_SETS = jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate([["joy"], ["fear", "joy"], []]))
_ABC = json.dumps({"names": ["a", "b", "c"]})
_BAD = "text,id,toxic\n" + "".join(f"t{i},{i},{2 if 10 <= i < 17 else i % 2}\n" for i in range(80))
_TABLE = pa.table({"text": ["x", "y", "z"], "a": [1, 0, 1]})


def _with_features(content, feature):
    features = datasets.Features(dict(zip(content, [datasets.Value("string"), feature], strict=True)))
    return pa.table(content).cast(features.arrow_schema)


def _mixed(train, test):
    return {"train.jsonl": jsonl(train), "test.jsonl": jsonl(test)}


def _cut(table):
    """A writer of the first half of a table's file."""

    def write(path):
        WRITERS[path.suffix](table, path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


def _unreadable(patch):
    opened = Path.open

    def open_(path, *args, **more):
        if path.name == "train.csv":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **more)

    patch.setattr(Path, "open", open_)  # a mode of 000 does not keep out root


DATA = {
    "a directory named train.csv": Case({"train.csv": Path.mkdir}, "data: train.csv is a folder, no file."),
    "a link that leads nowhere": Case(
        {"train.csv": lambda path: path.symlink_to("nowhere")}, "data: train.csv is a broken link, no file."
    ),
    "unreadable": Case({"train.csv": _OK}, "data/train.csv: cannot be read (Permission denied).", before=_unreadable),
    "the files are one folder deeper": Case(
        {"data": lambda path: written(path, {"train.csv": _OK} if not path.mkdir() else {})},
        "data: has no training file, but the folder 'data' in it has one; give that one.",
    ),
    "one line longer than the limit (256 MB; 1 MB in this test)": Case(
        {"train.jsonl": '{"text": "' + "x" * (1 << 20) + '"}'},
        "data/train.jsonl: line 1 is longer than 1 MB; expected one row a line, in .csv, .tsv, .jsonl or .txt.",
        before=lambda patch: patch.setattr(decoding, "LINE_LIMIT", 1 << 20),
    ),
    "two encodings": Case(
        {"train.csv": "text,a\ncafé,1\n".encode() + "thé,0\n".encode("cp1252")},
        "data/train.csv: line 3 is not UTF-8 (byte 0xe9), but line 2 is: the file has two encodings; write all of it as UTF-8.",
    ),
    "UTF-16 without a byte-order mark": Case(
        {"train.csv": _OK.encode("utf-16-le")},
        "data/train.csv: looks like UTF-16 without a byte-order mark (NUL bytes); if so, say --encoding utf-16-le.",
    ),
    "UTF-16 that ends in half a character": Case(
        {"train.csv": _OK.encode("utf-16")[:-1]},
        "data/train.csv: line 4 is not UTF-16 (byte 0x0a); mend the file, or name its encoding with --encoding.",
    ),
    "a NUL byte": Case(
        {"train.csv": "text,a\nx,1\ny\0,0\n"}, "data/train.csv: line 3 has a NUL byte (0x00), which no text has."
    ),
    "another encoding than the one named": Case(
        {"train.csv": b"text,a\nx,1\n\x81,0\n"},
        "data/train.csv: line 3 is not CP1252 (byte 0x81); mend the file, or name its encoding with --encoding.",
        {"encoding": "cp1252"},
    ),
    "one row": Case(
        {"train.csv": "text,a\nx,1\n"},
        "data/train.csv: has 1 different text; expected at least 3 to make validation and test of them; add rows, or files for these splits.",
    ),
    "only one class": Case(
        {"train.csv": "text,label\nx,ham\ny,ham\nz,ham\n"},
        "data/train.csv: column 'label': has only one class, 'ham'; expected two or more.",
    ),
    "a label called text": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": {"text": 1, "joy": 0}}])},
        "data/train.jsonl: the label 'text' in the dicts of 'labels' has the name of another column; rename one.",
    ),
    "a key twice in one object": Case(
        {"train.jsonl": '{"text": "x", "a": 1, "a": 0}\n'},
        "data/train.jsonl: line 1 is no valid JSON (the key 'a' stands twice); expected one JSON object a line, or one array of objects.",
    ),
    "JSON over several lines": Case(
        {"train.json": json.dumps({"text": ["x"], "a": [1]}, indent=1)},
        "data/train.json: is one JSON object; expected one object a line, or one array of objects.",
    ),
    "an array of other things than objects": Case(
        {"train.json": '[{"text": "x", "a": 1}, 3, ["y"]]'},
        "data/train.json: element 2 is a number; element 3 is a list; expected an array of JSON objects.",
    ),
    "an array that is cut off": Case(
        {"train.json": '[{"text": "x", "a": 1},\n {"text": "y"'},
        "data/train.json: is no valid JSON (Expecting ',' delimiter: line 2 column 14 (char 37)); expected an array of JSON objects, or one object a line.",
    ),
    "lists and strings in one column": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": ["a"]}, {"text": "y", "labels": "b"}])},
        "data/train.jsonl: column 'labels' holds a list in row 1 and a string in row 2; expected one kind in all rows.",
    ),
    "a number among the texts": Case(
        {"train.jsonl": jsonl([{"text": "x", "a": 1}, {"text": 5, "a": 0}])},
        "data/train.jsonl: the text column 'text', row 2 holds 5; expected a string in each row.",
    ),
    "nested lists": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": [[1, 0], [0, 1]]}])},
        "data/train.jsonl: column 'labels', row 1: holds [[1, 0], [0, 1]]; expected one list of labels.",
    ),
    "nested lists in a cell": Case(
        {"train.csv": 'text,labels\nx,"[0, 1]"\ny,"[[1], [0]]"\n'},
        "data/train.csv: column 'labels', row 2: holds [[1], [0]]; expected one list of labels.",
    ),
    "a truncated Parquet file": Case(
        {"train.parquet": _cut(_TABLE)},
        "data/train.parquet: is no whole Parquet file (it does not begin and end with 'PAR1').",
    ),
    "a truncated Arrow file": Case(
        {"train.arrow": _cut(_TABLE)},
        "data/train.arrow: is no whole Arrow file (it begins with 'ARROW1' and does not end with it).",
    ),
    "a truncated Arrow stream": Case(
        {"train.ipc": _cut(_TABLE)},
        "data/train.ipc: cannot be read (Expected to read 200 metadata bytes, but only read 36).",
    ),
    "texts that are bytes": Case(
        {"train.parquet": pa.table({"text": [b"x"], "a": [1]})},
        "data/train.parquet: the text column 'text' holds binary; expected strings.",
        {"text_column": "text"},
    ),
    "a saved dataset with a part missing": Case(
        {"dataset_dict.json": '{"splits": ["train"]}'},
        "data: is a saved dataset that cannot be loaded (No such files: 'data/train/dataset_info.json', nor 'data/train/state.json' found. Expected to load a `Dataset` object but provided path is not a `Dataset`.).",
    ),
    "one of the shards missing": Case(
        {"train-00001-of-00002.parquet": _TABLE},
        "data: train-00000-of-00002.parquet is missing among the 2 files of the train split.",
    ),
    "shards with other columns": Case(
        {"train-00000-of-00002.parquet": _TABLE, "train-00001-of-00002.parquet": _TABLE.rename_columns(["text", "b"])},
        "data/train-00001-of-00002.parquet: differs from train-00000-of-00002.parquet in the column 'a'; both are one split.",
    ),
    "shards with other values": Case(
        {"train-00000-of-00002.jsonl": _LISTS, "train-00001-of-00002.jsonl": _SETS},
        "data/train-00001-of-00002.jsonl: column 'labels' holds list<item: string>, but in train-00000-of-00002.jsonl list<item: int64>; both are one split.",
    ),
    "a bad value in the second shard": Case(
        {"train-00000-of-00002.csv": _OK, "train-00001-of-00002.csv": "text,a,b\np,1,7\n"},
        "data/train-00000-of-00002.csv and 1 more: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 1 of train-00001-of-00002.csv, column 'b': '7'.",
        {"label_columns": ["a", "b"]},
    ),
    "fastText with a label after the text": Case(
        {"train.txt": "__label__a some text\nmore text __label__b\n"},
        "data/train.txt: expected __label__name, as often as needed, and then the text; found line 2: a label after the text.",
    ),
    "text lines with two tabs": Case(
        {"train.txt": "x\ta\ty\nz\tb\n", "label_info.json": _ABC},
        "data/train.txt: expected '__label__name text', or a text, one tab and its labels, in each line; found line 1: 2 tabs.",
    ),
    "a wrong label in text lines": Case(
        {"train.txt": "x\ta\ny\td\n", "label_info.json": _ABC},
        "data/train.txt: column 'labels', row 2: unknown label 'd': known are 'a', 'b', 'c'.",
    ),
    "a soft label above 1": Case(
        {"train.csv": "text,a,b\nx,0.5,1\ny,1.5,0\n"},
        "data/train.csv: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 2, column 'a': '1.5'.",
        {"label_columns": ["a", "b"]},
    ),
    "no training file": Case(
        {"test.csv": _OK, "notes.txt": ""},
        "data: has no training file; expected train with one of the endings .parquet, .csv, .tsv, .jsonl, .json, .txt, .arrow, .feather, .ipc, found notes.txt, test.csv.",
    ),
    "an ending that is not read": Case(
        {"train.xlsx": ""},
        "data: has no training file; expected train with one of the endings .parquet, .csv, .tsv, .jsonl, .json, .txt, .arrow, .feather, .ipc, found train.xlsx.",
    ),
    "two files": Case(
        {"train.csv": _OK, "train.jsonl": ""}, "data: train.csv and train.jsonl are both the train split; keep one."
    ),
    "two names": Case(
        {"train.csv": _OK, "dev.csv": _OK, "val.csv": _OK},
        "data: dev.csv and val.csv are both the validation split; keep one.",
    ),
    "empty folder": Case({}, "data: is empty; expected a file such as train.csv, train.jsonl or train.parquet."),
    "empty file": Case({"train.csv": ""}, "data/train.csv: is empty; expected a header and rows."),
    "no rows": Case({"train.csv": "text,a\n"}, "data/train.csv: has no rows."),
    "no rows, jsonl": Case({"train.jsonl": "\n"}, "data/train.jsonl: has no rows."),
    "no rows, parquet": Case(
        {"train.parquet": pa.table({"text": pa.array([], pa.string())})}, "data/train.parquet: has no rows."
    ),
    "no parquet": Case(
        {"train.parquet": b"PAR1 and then nothing"},
        "data/train.parquet: is no whole Parquet file (it does not begin and end with 'PAR1').",
    ),
    "no JSON": Case(
        {"train.jsonl": '{"text": "a"}\n\n{"text": \n'},
        "data/train.jsonl: line 3 is no valid JSON (Expecting value: line 1 column 10 (char 9)); expected one JSON object a line, or one array of objects.",
    ),
    "no object": Case(
        {"train.jsonl": '{"text": "a"}\n[1]\n'},
        "data/train.jsonl: line 2 is a list; expected one JSON object a line, or one array of objects.",
    ),
    "deep JSON": Case(
        {"train.jsonl": "[" * 100000 + "\n"},
        "data/train.jsonl: is no valid JSON (nested too deeply); expected an array of JSON objects, or one object a line.",
    ),
    "half a character": Case(
        {"train.jsonl": '{"text": "\\ud800", "a": 1}\n'},
        "data/train.jsonl: column 'text', row 1: half a surrogate pair, which is no character.",
    ),
    "not UTF-8": Case(
        {"train.csv": "text,a\nok,1\ncafé,0\n".encode("latin-1")},
        "data/train.csv: line 3 is not UTF-8 (byte 0xe9); save the file as UTF-8, or name its encoding, such as --encoding cp1252.",
    ),
    "not UTF-8, jsonl": Case(
        {"train.jsonl": b'{"text": "\xff"}\n'},
        "data/train.jsonl: line 1 is not UTF-8 (byte 0xff); save the file as UTF-8, or name its encoding, such as --encoding cp1252.",
    ),
    "too many cells": Case(
        {"train.csv": _OK + "p,1,0,1\n"},
        "data/train.csv: expected 3 columns in each row, as in the header; found row 4: 4 ('p,1,0,1'); a cell with ',' in it needs quotation marks, and --delimiter names another delimiter.",
    ),
    "too few cells": Case(
        {"train.csv": _OK + "p,1\n"},
        "data/train.csv: expected 3 columns in each row, as in the header; found row 4: 2 ('p,1'); a cell with ',' in it needs quotation marks, and --delimiter names another delimiter.",
    ),
    "open quotation mark": Case(
        {"train.csv": 'a,text\n1,"x\n0,y\n1,z\n'},
        "data/train.csv: the quotation mark before 'x\\n0,y\\n1,z\\n' in row 1 is never closed.",
    ),
    "column twice": Case(
        {"train.csv": "text,a,a\nx,1,0\n"}, "data/train.csv: has more than one column 'a'; rename one."
    ),
    "label_info": Case(
        {"train.csv": _OK, "label_info.json": "{"},
        "data/label_info.json: is no valid JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)).",
    ),
    "null text": Case(
        {"train.jsonl": jsonl({"text": None if i > 1 else "x", "a": 1} for i in range(9))},
        "data/train.jsonl: column 'text' has no text (null) in row 3; row 4; row 5; row 6; row 7 (and 2 more); drop such rows or give text.",
    ),
    "texts that are numbers": Case(
        {"train.parquet": pa.table({"text": [7], "a": [1]})},
        "data/train.parquet: the text column 'text' holds int64; expected strings.",
        {"text_column": "text"},
    ),
    "text column of another file": Case(
        {"train.csv": _OK, "test.csv": _OK.replace("text", "txt")},
        "data/test.csv: has no column 'text': did you mean 'txt'?",
    ),
    "label column of another file": Case(
        {"train.csv": _OK, "test.csv": _OK.replace(",b", ",B")}, "data/test.csv: has no column 'b': did you mean 'B'?"
    ),
    "label_info without a column": Case(
        {"train.csv": _OK, "label_info.json": _ABC.replace('"c"', '"bb"')},
        "data/train.csv: no column for the label 'bb': did you mean 'b'?",
    ),
    "a column that label_info has not": Case(
        {"train.csv": _OK, "label_info.json": '{"names": ["a"]}'},
        "data/train.csv: column 'b' is no label: known are 'a'.",
        {"label_columns": ["a", "b"]},
    ),
    "a dict that label_info has not": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": {"a": 1, "b": 0}}]), "label_info.json": _ABC},
        "data/train.jsonl: no column for the label 'c': known are 'a', 'b'.",
    ),
    "dicts that differ": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": {"a": 1, "b": 0}}, {"text": "y", "labels": {"a": 1}}])},
        "data/train.jsonl: column 'labels': rows 1 and 2 differ in the label 'b'; give 0, 1 or null (unknown) in each.",
    ),
    "bad entries": Case(
        {"train.csv": _BAD},
        "data/train.csv: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 11, column 'toxic': '2'; row 12, column 'toxic': '2'; row 13, column 'toxic': '2'; row 14, column 'toxic': '2'; row 15, column 'toxic': '2' (and 2 more).",
    ),
    "bad entries of another file": Case(
        {"train.csv": _OK, "test.csv": _OK + "p,1,maybe\n"},
        "data/test.csv: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 4, column 'b': 'maybe'.",
    ),
    "bad multi-hot value": Case(
        {"train.jsonl": _LISTS + '{"text": "w", "labels": [0, 0, 2]}\n', "label_info.json": _ABC},
        "data/train.jsonl: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 4, column 'labels', label 'c': 2.",
    ),
    "bad value below a row of nothing": Case(
        {"train.jsonl": _LISTS, "test.jsonl": '{"text": "v", "labels": null}\n{"text": "w", "labels": [0, 7, 0]}\n'},
        "data/test.jsonl: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 2, column 'labels', label 'label_1': 7.",
    ),
    "multi-hot of another width": Case(
        {"train.jsonl": _LISTS, "label_info.json": json.dumps({"names": ["a", "b", "c", "d"]})},
        "data/train.jsonl: column 'labels': row 1 has 3 values; expected 4, one for each label (and 2 more rows).",
    ),
    "uneven multi-hot": Case(
        {"train.jsonl": _LISTS + '{"text": "w", "labels": [0, 0, 0, 1]}\n'},
        "data/train.jsonl: column 'labels': row 4 has 4 values; expected 3, one for each label.",
    ),
    "uneven soft lists": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": [0.5, 1]}, {"text": "y", "labels": [0.5]}])},
        "data/train.jsonl: column 'labels': row 2 has 1 values; expected 2, one for each label.",
    ),
    "width of another file": Case(
        {"train.jsonl": _LISTS, "test.jsonl": '{"text": "w", "labels": [0, 1]}\n'},
        "data/test.jsonl: column 'labels': row 1 has 2 values; expected 3, one for each label.",
    ),
    "unknown name": Case(
        {"train.jsonl": _SETS, "validation.jsonl": '{"text": "w", "labels": ["joy", "joi"]}\n'},
        "data/validation.jsonl: column 'labels', row 1: unknown label 'joi': did you mean 'joy'?",
    ),
    "unknown name in a later row": Case(
        {"train.jsonl": _SETS, "test.jsonl": '{"text": "v", "labels": []}\n{"text": "w", "labels": ["ang", "x"]}\n'},
        "data/test.jsonl: column 'labels', row 2: unknown label 'ang' (also row 2: 'x'): known are 'fear', 'joy'.",
    ),
    "unknown class": Case(
        {"train.csv": "text,label\nx,ham\ny,spam\n", "test.csv": "text,label\nx,ham\ny,Spom\n"},
        "data/test.csv: column 'label', row 2: unknown label 'Spom': did you mean 'spam'?",
    ),
    "a number among names": Case(
        {"train.csv": "text,label\nx,ham\ny,spam\n", "test.csv": "text,label\nx,ham\ny,1\n"},
        "data/test.csv: column 'label', row 2: unknown label '1': known are 'ham', 'spam'.",
    ),
    "unknown index": Case(
        _mixed([{"text": "x", "labels": [0, 2]}, {"text": "y", "labels": [1]}], [{"text": "z", "labels": [3]}]),
        "data/test.jsonl: column 'labels', row 1: unknown label 3: expected an index from 0 to 2.",
    ),
    "unknown class index": Case(
        {"train.csv": "text,label\nx,0\ny,1\n", "test.csv": "text,label\nx,1\ny,2\n"},
        "data/test.csv: column 'label', row 2: unknown label '2': expected an index from 0 to 1.",
    ),
    "a class that is none": Case(
        {"train.jsonl": jsonl([{"text": "x", "label": 0.5}, {"text": "y", "label": 1}])},
        "data/train.jsonl: column 'label', row 1: unknown label 0.5: expected an index from 0 to 1.",
    ),
    "bit strings": Case(
        {"train.csv": "text,label\nx,001\n", "label_info.json": _ABC},
        "data/train.csv: column 'label', row 1: unknown label '001': known are 'a', 'b', 'c'.",
    ),
    "identifiers as classes": Case(
        {"train.csv": "text,label\nx,123456789\ny,5\n"},
        "data/train.csv: column 'label': holds the class index 123456789; expected indices from 0, or names.",
    ),
    "no label at all": Case(
        {"train.csv": "text,label\nx,\ny,\n"}, "data/train.csv: column 'label': holds no label at all."
    ),
    "only empty lists": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": []}])},
        "data/train.jsonl: column 'labels': holds no label at all.",
    ),
    "dates as labels": Case(
        {"train.parquet": pa.table({"text": ["x"], "label": pa.array([0], pa.date32())})},
        "data/train.parquet: column 'label': holds no label at all.",
    ),
    "lists of dates": Case(
        {"train.parquet": pa.table({"text": ["x"], "labels": pa.array([[0]], pa.list_(pa.date32()))})},
        "data/train.parquet: column 'labels': holds no label at all.",
    ),
    "a list that is none": Case(
        {"train.csv": 'text,labels\nx,"[1, 0]"\ny,__import__("os")\n'},
        "data/train.csv: column 'labels', row 2: '__import__(\"os\")' is no list; expected one such as [0, 1] or ['joy', 'fear'].",
    ),
    "a call in a list": Case(
        {"train.csv": "text,labels\nx,[print(1)]\n"},
        "data/train.csv: column 'labels', row 1: '[print(1)]' is no list; expected one such as [0, 1] or ['joy', 'fear'].",
    ),
    "a mixed list": Case(
        {"train.csv": "text,labels\nx,[]\ny,\"[1, 'a']\"\n"},
        "data/train.csv: column 'labels', row 2: mixes names, numbers or lists; expected one kind.",
    ),
    "classes, then lists": Case(
        _mixed([{"text": "x", "label": 0}, {"text": "y", "label": 1}], [{"text": "x", "label": [1]}]),
        "data/test.jsonl: column 'label': holds list<item: int64>; expected one class in each row, as in the training data.",
    ),
    "lists, then classes": Case(
        _mixed([{"text": "x", "labels": [0, 2]}, {"text": "y", "labels": [1]}], [{"text": "x", "labels": 1}]),
        "data/test.jsonl: column 'labels': holds int64; expected a list of labels in each row, as in the training data.",
    ),
    "too few rows": Case(
        {"train.csv": "text,a\nx,1\ny,0\n"},
        "data/train.csv: has 2 different texts; expected at least 3 to make validation and test of them; add rows, or files for these splits.",
    ),
    "ClassLabel out of range": Case(
        {"train.parquet": _with_features({"text": ["x", "y"], "label": [0, 5]}, datasets.ClassLabel(names=["a"]))},
        "data/train.parquet: column 'label', row 2: holds class 5, but its ClassLabel has 1 names.",
    ),
    "ClassLabel out of range in a list": Case(
        {
            "train.parquet": _with_features(
                {"text": ["x", "y", "z"], "labels": [[0], [], [1, 5]]},
                datasets.List(datasets.ClassLabel(names=["a", "b"])),
            )
        },
        "data/train.parquet: column 'labels', row 3: holds class 5, but its ClassLabel has 2 names.",
    ),
}
"""What is wrong with the data (DataError, exit code 3)."""

ASKED = {
    "an encoding that there is not": Case(
        {"train.csv": _OK},
        "Unknown --encoding 'utf-88': did you mean 'utf-8' or 'utf-32' or 'utf-16'?",
        {"encoding": "utf-88"},
    ),
    "an encoding against the byte-order mark": Case(
        {"train.csv": _OK.encode("utf-16")},
        "data/train.csv: begins with the byte-order mark of UTF-16; leave --encoding cp1252 out.",
        {"encoding": "cp1252"},
    ),
    "an encoding for a file that has none": Case(
        {"train.parquet": _TABLE},
        "--encoding 'cp1252' has no use: it is for files .csv, .tsv, .jsonl, .json, .txt, and found .parquet.",
        {"encoding": "cp1252"},
    ),
    "two delimiters fit": Case(
        {"train.csv": "text;a,b\nx;1,0\ny;0,1\n"},
        "data/train.csv: ',' (2 columns) or ';' (2 columns) may part the columns; give it: --delimiter.",
    ),
    "a delimiter that the header has not": Case(
        {"train.csv": _OK},
        "data/train.csv: the header 'text,a,b' has no ';'; give another --delimiter.",
        {"delimiter": ";"},
    ),
    "a delimiter of two characters": Case(
        {"train.csv": _OK}, "--delimiter must be one character, or tab; got '||'.", {"delimiter": "||"}
    ),
    "a delimiter without use": Case(
        {"train.jsonl": _LISTS},
        "--delimiter ';' has no use: it is for files .csv, .tsv, and found .jsonl.",
        {"delimiter": ";"},
    ),
    "no header": Case(
        {"train.csv": "good bread,1\nshut up,0\n"},
        "data/train.csv: the first row ('good bread', '1') looks like data; expected a header. If it is one, name the labels with --label_columns.",
    ),
    "a label called text, as a column": Case(
        {"train.csv": "phrase,text,joy\nx y,1,0\ny z,0,1\n"},
        "data/train.csv: which column is the text? 'text' holds 0 and 1 as a label does, 'phrase' other strings; name it with --text_column.",
    ),
    "text lines without names": Case(
        {"train.txt": "x\ta\nz\tb\n"},
        "data/train.txt: lines of a text, a tab and labels need a label_info.json with the names of the labels (--label_schema); or give the columns a header, in a .tsv file.",
    ),
    "label_format that does not fit": Case(
        {"train.jsonl": _LISTS},
        "data/train.jsonl: column 'labels': holds lists, which does not go with --label_format classes.",
        {"label_format": "classes"},
    ),
    "label_format that there is not": Case(
        {"train.jsonl": _LISTS},
        "Unknown --label_format 'multihot': did you mean 'multi_hot'?",
        {"label_format": "multihot"},
    ),
    "label_format for one column, and several": Case(
        {"train.csv": _OK},
        "data/train.csv: --label_format names means one column with all labels, but 'a', 'b' are taken as labels; name that column with --label_columns.",
        {"label_format": "names"},
    ),
    "split names for files": Case(
        {"train.csv": _OK},
        "data: names of splits have no use here; files are named by --train_file and the like.",
        {"split_names": {"train": "a"}},
    ),
    "text column": Case(
        {"train.csv": _OK}, "data/train.csv: has no text column 'txt': did you mean 'text'?", {"text_column": "txt"}
    ),
    "which text": Case(
        {"train.csv": "p,q,a\nx,y,1\n"},
        "data/train.csv: which column is the text? 'p', 'q' hold strings; name it with --text_column.",
    ),
    "no text": Case(
        {"train.parquet": pa.table({"p": [1], "a": [1]})},
        "data/train.parquet: which column is the text? none of 'p', 'a' is left for it; name it with --text_column.",
    ),
    "no labels": Case(
        {"train.csv": "text,id\nx,7\ny,8\n"},
        "data/train.csv: found no labels in 'id'; expected a column 'labels' or a column of 0 and 1 for each label; name them with --label_columns.",
    ),
    "label column": Case(
        {"train.csv": _OK}, "data/train.csv: has no label column 'bb': did you mean 'b'?", {"label_columns": ["bb"]}
    ),
    "text as label": Case(
        {"train.csv": _OK},
        "data/train.csv: column 'text' cannot be the text and a label; name another for one.",
        {"label_columns": "text", "text_column": "text"},
    ),
    "separator": Case(
        {"train.csv": "text,labels\nx,a|b\ny,a;c\n"},
        "data/train.csv: column 'labels': '|' or ';' may separate the names; give it: --separator.",
    ),
    "a separator without use": Case(
        {"train.csv": _OK},
        "data/train.csv: separator='|' has no use, as the labels are no delimited names.",
        {"separator": "|"},
    ),
}
"""What the user has to answer or to change (UsageError, exit code 2)."""

CASES = {**DATA, **ASKED}
assert len(CASES) == len(DATA) + len(ASKED)


def said_of(case, patch):
    """The error that loading the case's files raises, in an empty folder that becomes the current one."""
    os.mkdir("data")
    written("data", case.files)
    case.before(patch)
    with pytest.raises((DataError, UsageError)) as caught:
        load_labelled_dataset("data", **case.options)
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_errors_are_one_sentence_that_says_where(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    error = said_of(CASES[name], monkeypatch)
    assert str(error) == CASES[name].said
    assert type(error) is (DataError if name in DATA else UsageError)
    assert "\n" not in str(error)


def test_nothing_is_read_beyond_the_limit_of_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LINE_LIMIT", 1000)
    path = tmp_path / "train.csv"
    path.write_text("text,a\n" + "x" * 5000)
    read = []

    class Watched:
        def __init__(self, *args):
            self.file = open(path, "rb")

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

        def read(self, size):
            read.append(size)
            return self.file.read(size)

    monkeypatch.setattr(Path, "open", Watched)
    with pytest.raises(DataError, match="line 2 is longer than 1000 bytes"):
        decoding.read_utf8(path)
    assert sum(read) <= 3000


def table():
    """The cases as the page shows them."""
    rows = []
    for title, cases in (("What is wrong with the data", DATA), ("What you are asked", ASKED)):
        rows += [f"### {title}", "", "| | what is said |", "|---|---|"]
        rows += [f"| {_cell(name)} | {_cell(case.said)} |" for name, case in cases.items()]
        rows.append("")
    return "\n".join(rows)


def _cell(text):
    return re.sub(r"([|\\*_<>`\[\]])", r"\\\1", text)


def _page_with(content):
    start, end = "<!-- broken files: begin -->\n", "<!-- broken files: end -->"
    before, rest = PAGE.read_text(encoding="utf-8").split(start)
    return before + start + "\n" + content + end + rest.split(end)[1]


def test_the_page_shows_what_is_said():
    assert len(CASES) > 100
    assert PAGE.read_text(encoding="utf-8") == _page_with(table())


if __name__ == "__main__":
    PAGE.write_text(_page_with(table()), encoding="utf-8")
