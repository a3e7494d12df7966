# ruff: noqa: E501 (a sentence is kept whole, so that it can be searched for)
"""Files that cannot be read, each with the sentence that is said of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.data.made import WRITERS, jsonl, written


@dataclass(frozen=True)
class Case:
    """Files of the folder `data`, what is said of them, and with which options."""

    files: Mapping[str, Any]
    said: str
    options: Mapping[str, Any] = field(default_factory=dict)


OK = "text,a,b\nx,1,0\ny,0,1\nz,1,1\n"
LISTS = jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate([[1, 0, 0], [0, 1, 1], [1, 1, 0]]))
SETS = jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate([["joy"], ["fear", "joy"], []]))
ABC = json.dumps({"names": ["a", "b", "c"]})
TABLE = pa.table({"text": ["x", "y", "z"], "a": [1, 0, 1]})


def _cut(table):
    """A writer of the first half of a table's file."""

    def write(path):
        WRITERS[path.suffix](table, path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


UNREADABLE = {
    "a directory named train.csv": Case({"train.csv": Path.mkdir}, "data: train.csv is a folder, no file."),
    "a link that leads nowhere": Case(
        {"train.csv": lambda path: path.symlink_to("nowhere")}, "data: train.csv is a broken link, no file."
    ),
    "the files are one folder deeper": Case(
        {"data": lambda path: written(path, {"train.csv": OK} if not path.mkdir() else {})},
        "data: has no training file, but the folder 'data' in it has one; give that one.",
    ),
    "two encodings": Case(
        {"train.csv": "text,a\ncafé,1\n".encode() + "thé,0\n".encode("cp1252")},
        'data/train.csv: is not UTF-8 in line 3 (byte 0xe9); name its encoding, such as --encoding cp1252, or let bad bytes be replaced, --reader_args \'{"encoding_errors": "replace"}\'.',
    ),
    "UTF-16 without a byte-order mark": Case(
        {"train.csv": OK.encode("utf-16-le")},
        "data/train.csv: looks like UTF-16 without a byte-order mark (NUL bytes); if so, say --encoding utf-16-le.",
    ),
    "UTF-16 without a byte-order mark, and letters that are not ASCII": Case(
        {"train.csv": "text,a\nä,1\nb,0\nc,1\n".encode("utf-16-be")},
        "data/train.csv: looks like UTF-16 without a byte-order mark (NUL bytes); if so, say --encoding utf-16-be.",
        {"encoding": "cp1252"},
    ),
    "UTF-16 that ends in half a character": Case(
        {"train.csv": OK.encode("utf-16")[:-1]},
        'data/train.csv: is not UTF-16; name its encoding, such as --encoding cp1252, or let bad bytes be replaced, --reader_args \'{"encoding_errors": "replace"}\'.',
    ),
    "another encoding than the one named": Case(
        {"train.csv": b"text,a\nx,1\n\x81,0\n"},
        'data/train.csv: is not CP1252 in line 3 (byte 0x81); name its encoding, such as --encoding cp1252, or let bad bytes be replaced, --reader_args \'{"encoding_errors": "replace"}\'.',
        {"encoding": "cp1252"},
    ),
    "no training file": Case(
        {"test.csv": OK, "notes.txt": ""},
        "data: has no training file; expected train with one of the endings .parquet, .csv, .tsv, .jsonl, .json, .txt, .xlsx, .arrow, .feather, .ipc, found notes.txt, test.csv.",
    ),
    "a training file of another name": Case(
        {"comments.csv": OK, "label_info.json": ABC, "readme.md": ""},
        "data: has no training file; expected train with one of the endings .parquet, .csv, .tsv, .jsonl, .json, .txt, .xlsx, .arrow, .feather, .ipc, found comments.csv, label_info.json, readme.md; rename comments.csv, or name it with --train_file data/comments.csv.",
    ),
    "an ending that is not read": Case(
        {"train.docx": ""},
        "data: has no training file; expected train with one of the endings .parquet, .csv, .tsv, .jsonl, .json, .txt, .xlsx, .arrow, .feather, .ipc, found train.docx.",
    ),
    "two files": Case(
        {"train.csv": OK, "train.jsonl": ""}, "data: train.csv and train.jsonl are both the train split; keep one."
    ),
    "two names": Case(
        {"train.csv": OK, "dev.csv": OK, "val.csv": OK},
        "data: dev.csv and val.csv are both the validation split; keep one.",
    ),
    "empty folder": Case({}, "data: is empty; expected a file such as train.csv, train.jsonl or train.parquet."),
    "empty file": Case({"train.csv": ""}, "data/train.csv: is empty; expected a header and rows."),
    "no rows": Case({"train.csv": "text,a\n"}, "data/train.csv: has no rows."),
    "no rows, jsonl": Case({"train.jsonl": "\n"}, "data/train.jsonl: has no rows."),
    "no rows, parquet": Case(
        {"train.parquet": pa.table({"text": pa.array([], pa.string())})}, "data/train.parquet: has no rows."
    ),
    "one row": Case(
        {"train.csv": "text,a\nx,1\n"},
        "data/train.csv: has 1 different text; expected at least 3 to make validation and test of them; add rows, or files for these splits.",
    ),
    "too few rows": Case(
        {"train.csv": "text,a\nx,1\ny,0\n"},
        "data/train.csv: has 2 different texts; expected at least 3 to make validation and test of them; add rows, or files for these splits.",
    ),
    "not UTF-8": Case(
        {"train.csv": "text,a\nok,1\ncafé,0\n".encode("latin-1")},
        'data/train.csv: is not UTF-8 in line 3 (byte 0xe9); name its encoding, such as --encoding cp1252, or let bad bytes be replaced, --reader_args \'{"encoding_errors": "replace"}\'.',
    ),
    "not UTF-8, jsonl": Case(
        {"train.jsonl": b'{"text": "\xff"}\n'},
        'data/train.jsonl: is not UTF-8 in line 1 (byte 0xff); name its encoding, such as --encoding cp1252, or let bad bytes be replaced, --reader_args \'{"encoding_errors": "replace"}\'.',
    ),
    "too many cells": Case(
        {"train.csv": OK + "p,1,0,1\n"},
        "data/train.csv: line 5 has 4 cells, but the header has 3. A cell with ',' in it needs quotation marks; --delimiter names another delimiter, and --reader_args '{\"on_bad_lines\": \"skip\"}' leaves such lines out.",
    ),
    "too few cells": Case(
        {"train.csv": OK + "p,1\n"},
        "data/train.csv: expected 3 cells in each row, as in the header; found fewer in row 4 (2). Fill them up; --delimiter names another delimiter.",
    ),
    "open quotation mark": Case(
        {"train.csv": 'a,text\n1,"x\n0,y\n1,z\n'},
        "data/train.csv: a quotation mark in the row that begins in line 2 is never closed: '1,\"x'. Write it twice where it belongs to the text, or take --reader_args '{\"quoting\": 3}'.",
    ),
    "a quotation mark that ends in another row": Case(
        {"train.csv": 'text,a\n"I like it,1\nno,0\n"Not so much,0\nfine,1\n'},
        "data/train.csv: a quotation mark in the row that begins in line 2 is closed within a cell: '\"I like it,1'. Write it twice where it belongs to the text, or take --reader_args '{\"quoting\": 3}'.",
    ),
    "column twice": Case(
        {"train.csv": "text,a,a\nx,1,0\n"}, "data/train.csv: has more than one column 'a'; rename one."
    ),
    "no JSON": Case(
        {"train.jsonl": '{"text": "a"}\n\n{"text": \n'},
        "data/train.jsonl: line 3 is no valid JSON (Expecting value: line 1 column 9 (char 8)); expected one JSON object a line.",
    ),
    "no object": Case(
        {"train.jsonl": '{"text": "a"}\n[1]\n'},
        "data/train.jsonl: line 2 is no JSON object; expected one JSON object a line.",
    ),
    "an array of other things than objects": Case(
        {"train.json": '[{"text": "x", "a": 1}, 3, ["y"]]'},
        "data/train.json: expected an array of JSON objects; found others in element 2; element 3.",
    ),
    "an array that is cut off": Case(
        {"train.json": '[{"text": "x", "a": 1},\n {"text": "y"'},
        "data/train.json: is no valid JSON (Expecting ',' delimiter: line 2 column 14 (char 37)); expected an array of objects, or one object a line.",
    ),
    "deep JSON": Case(
        {"train.jsonl": "[" * 100000 + "\n"},
        "data/train.jsonl: is no valid JSON (maximum recursion depth exceeded while decoding a JSON array from a unicode string); expected an array of objects, or one object a line.",
    ),
    "half a character": Case(
        {"train.jsonl": '{"text": "\\ud800", "a": 1}\n'},
        "data/train.jsonl: column 'text' cannot be read ('utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed).",
    ),
    "no parquet": Case(
        {"train.parquet": b"PAR1 and then nothing"},
        "data/train.parquet: cannot be read (Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file).",
    ),
    "a truncated Parquet file": Case(
        {"train.parquet": _cut(TABLE)},
        "data/train.parquet: cannot be read (Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file).",
    ),
    "a truncated Arrow file": Case(
        {"train.arrow": _cut(TABLE)},
        "data/train.arrow: cannot be read (Not an Arrow file).",
    ),
    "a truncated Arrow stream": Case(
        {"train.ipc": _cut(TABLE)},
        "data/train.ipc: cannot be read (Expected to read 200 metadata bytes, but only read 36).",
    ),
    "a saved dataset with a part missing": Case(
        {"dataset_dict.json": '{"splits": ["train"]}'},
        "data: is a saved dataset that cannot be loaded (No such files: 'data/train/dataset_info.json', nor 'data/train/state.json' found. Expected to load a `Dataset` object but provided path is not a `Dataset`).",
    ),
    "one of the shards missing": Case(
        {"train-00001-of-00002.parquet": TABLE},
        "data: train-00000-of-00002.parquet is missing among the 2 files of the train split.",
    ),
    "shards with other columns": Case(
        {"train-00000-of-00002.parquet": TABLE, "train-00001-of-00002.parquet": TABLE.rename_columns(["text", "b"])},
        "data/train-00001-of-00002.parquet: differs from train-00000-of-00002.parquet in the column 'a'; both are one split.",
    ),
    "shards with other values": Case(
        {"train-00000-of-00002.jsonl": LISTS, "train-00001-of-00002.jsonl": SETS},
        "data/train-00000-of-00002.jsonl and 1 more: the files of one split differ in their values (Unable to merge: Field labels has incompatible types: list<item: int64> vs list<item: string>: Unable to merge: Field item has incompatible types: int64 vs string).",
    ),
    "label_info": Case(
        {"train.csv": OK, "label_info.json": "{"},
        "data/label_info.json: is no valid JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)).",
    ),
}
