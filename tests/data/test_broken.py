# ruff: noqa: E501 (a sentence is kept whole, so that it can be searched for)
"""Files, columns and values that do not fit, and what the user is asked: each with the sentence that is said of it."""

import json
import os
from pathlib import Path

import datasets
import pyarrow as pa
import pytest

from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.data.made import WRITERS, jsonl, written

OK = "text,a,b\nx,1,0\ny,0,1\nz,1,1\n"
LISTS = jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate([[1, 0, 0], [0, 1, 1], [1, 1, 0]]))
SETS = jsonl({"text": f"t{i}", "labels": labels} for i, labels in enumerate([["joy"], ["fear", "joy"], []]))
ABC = json.dumps({"names": ["a", "b", "c"]})
TABLE = pa.table({"text": ["x", "y", "z"], "a": [1, 0, 1]})
BAD = "text,id,toxic\n" + "".join(f"t{i},{i},{2 if 10 <= i < 17 else i % 2}\n" for i in range(80))


def _cut(table):
    """A writer of the first half of a table's file."""

    def write(path):
        WRITERS[path.suffix](table, path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


def _with_features(content, feature):
    features = datasets.Features(dict(zip(content, [datasets.Value("string"), feature], strict=True)))
    return pa.table(content).cast(features.arrow_schema)


def _mixed(train, test):
    return {"train.jsonl": jsonl(train), "test.jsonl": jsonl(test)}


DATA_ERRORS = {  # files of the folder `data`, what is said of them, and with which options
    "nested lists in a cell": ({"train.csv": 'text,labels\nx,"[0, 1]"\ny,"[[1], [0]]"\n'},
        "data/train.csv: column 'labels', row 2: holds [[1], [0]]; expected one list of labels."),
    "label_info without a column": ({"train.csv": OK, "label_info.json": ABC.replace('"c"', '"bb"')},
        "data/train.csv: no column for the label 'bb': did you mean 'b'? --label_columns names the columns."),
    "bad value below a row of nothing": ({"train.jsonl": LISTS, "test.jsonl": '{"text": "v", "labels": null}\n{"text": "w", "labels": [0, 7, 0]}\n'},
        "data/test.jsonl: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 2, column 'labels', label 'label_1': 7."),
    "the files are one folder deeper": ({"data": lambda path: written(path, {"train.csv": OK} if not path.mkdir() else {})},
        "data: has no split 'train'; found 'data/'. Give a file of another name by --train_file (one of .parquet, .csv, .tsv, .jsonl, .json, .txt, .xlsx, .arrow), a folder in it as the data, a dataset's own name for the split by --train_split_name."),
    "UTF-16 without a byte-order mark": ({"train.csv": OK.encode("utf-16-le")},
        "data/train.csv: holds NUL bytes, as UTF-16 does; if so, say --encoding utf-16-le, or utf-16-be."),
    "UTF-16 that ends in half a character": ({"train.csv": OK.encode("utf-16")[:-1]},
        "data/train.csv: is not UTF-16-LE: byte 0x0a after ''; name its encoding, such as --encoding cp1252, or let bad bytes be replaced, --reader_args '{\"encoding_errors\": \"replace\"}'."),
    "another encoding than the one named": ({"train.csv": b"text,a\nx,1\n\x81,0\n"},
        "data/train.csv: is not CP1252: byte 0x81 after 'text,a\\nx,1\\n'; name its encoding, such as --encoding cp1252, or let bad bytes be replaced, --reader_args '{\"encoding_errors\": \"replace\"}'.", {"encoding": "cp1252"}),
    "a training file of another name": ({"comments.csv": OK, "label_info.json": ABC, "readme.md": ""},
        "data: has no split 'train'; found 'comments.csv'. Give a file of another name by --train_file (one of .parquet, .csv, .tsv, .jsonl, .json, .txt, .xlsx, .arrow), a folder in it as the data, a dataset's own name for the split by --train_split_name."),
    "two files": ({"train.csv": OK, "train.jsonl": ""},
        "data: 'train.csv' and 'train.jsonl' are both the train split; keep one."),
    "empty folder": ({},
        "data: has no split 'train'; found nothing. Give a file of another name by --train_file (one of .parquet, .csv, .tsv, .jsonl, .json, .txt, .xlsx, .arrow), a folder in it as the data, a dataset's own name for the split by --train_split_name."),
    "empty file": ({"train.csv": ""},
        "data/train.csv: is empty; expected a header and rows."),
    "no rows": ({"train.csv": "text,a\n"},
        "data/train.csv: has no rows."),
    "one row": ({"train.csv": "text,a\nx,1\n"},
        "data/train.csv: has 1 different text, or groups of them; expected at least 3 to make validation and test of them; add rows, or files for these splits."),
    "not UTF-8, jsonl": ({"train.jsonl": b'{"text": "\xff"}\n'},
        "data/train.jsonl: is not UTF-8: byte 0xff after '{\"text\": \"'; name its encoding, such as --encoding cp1252, or let bad bytes be replaced, --reader_args '{\"encoding_errors\": \"replace\"}'."),
    "words around labels": ({"train.txt": "my card is lost __label__a b\n"},
        "data/train.txt: line 1: there are words before '__label__a' and after '__label__a'; expected all labels at the beginning of a line, or all at its end, each with __label__ before its name."),
    "too many cells": ({"train.csv": OK + "p,1,0,1\n"},
        "data/train.csv: line 5 has 4 cells, but the header has 3. A cell with ',' in it needs quotation marks, and a blank cell its delimiter; --delimiter names another delimiter, and --reader_args '{\"on_bad_lines\": \"skip\"}' leaves such lines out."),
    "too few cells": ({"train.csv": OK + "p,1\n"},
        "data/train.csv: line 5 has 2 cells, but the header has 3. A cell with ',' in it needs quotation marks, and a blank cell its delimiter; --delimiter names another delimiter, and --reader_args '{\"on_bad_lines\": \"skip\"}' fills such lines up with blanks."),
    "open quotation mark": ({"train.csv": 'a,text\n1,"x\n0,y\n1,z\n'},
        "data/train.csv: a quotation mark in the row that begins in line 2 is never closed: '1,\"x'. Write it twice where it belongs to the text, or take --reader_args '{\"quoting\": 3}'."),
    "a quotation mark that ends in another row": ({"train.csv": 'text,a\n"I like it,1\nno,0\n"Not so much,0\nfine,1\n'},
        "data/train.csv: a quotation mark in the row that begins in line 2 is closed within a cell: '\"I like it,1'. Write it twice where it belongs to the text, or take --reader_args '{\"quoting\": 3}'."),
    "column twice": ({"train.csv": "text,a,a\nx,1,0\n"},
        "data/train.csv: has more than one column 'a'; rename one."),
    "no JSON": ({"train.jsonl": '{"text": "a"}\n\n{"text": \n'},
        "data/train.jsonl: line 3 is no valid JSON (Expecting value: line 1 column 9 (char 8)); expected an array of objects, or one object a line."),
    "an array of other things than objects": ({"train.json": '[{"text": "x", "a": 1}, 3, ["y"]]'},
        "data/train.json: expected JSON objects; found others in element 2; element 3."),
    "an array that is cut off": ({"train.json": '[{"text": "x", "a": 1},\n {"text": "y"'},
        "data/train.json: is no valid JSON (Expecting ',' delimiter: line 2 column 14 (char 37)); expected an array of objects, or one object a line."),
    "deep JSON": ({"train.jsonl": "[" * 100000 + "\n"},
        "data/train.jsonl: is no valid JSON (maximum recursion depth exceeded while decoding a JSON array from a unicode string); expected an array of objects, or one object a line."),
    "half a character": ({"train.jsonl": '{"text": "\\ud800", "a": 1}\n'},
        "data/train.jsonl: column 'text' cannot be read ('utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed)."),
    "no parquet": ({"train.parquet": b"PAR1 and then nothing"},
        "data/train.parquet: cannot be read (Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file)."),
    "a truncated Arrow file": ({"train.arrow": _cut(TABLE)},
        "data/train.arrow: cannot be read (Not an Arrow file)."),
    "a saved dataset with a part missing": ({"dataset_dict.json": '{"splits": ["train"]}'},
        "data: is a saved dataset that cannot be loaded (No such files: 'data/train/dataset_info.json', nor 'data/train/state.json' found. Expected to load a `Dataset` object but provided path is not a `Dataset`)."),
    "one of the shards missing": ({"train-00001-of-00002.parquet": TABLE},
        "data: has 1 of the 2 files train-*-of-00002.parquet."),
    "shards with other columns": ({"train-00000-of-00002.parquet": TABLE, "train-00001-of-00002.parquet": TABLE.rename_columns(["text", "b"])},
        "data/train-00001-of-00002.parquet: differs from train-00000-of-00002.parquet in the column 'a'; both are one split."),
    "shards with other values": ({"train-00000-of-00002.jsonl": LISTS, "train-00001-of-00002.jsonl": SETS},
        "data/train-00000-of-00002.jsonl and 1 more: the files of one split differ in their values (Unable to merge: Field labels has incompatible types: list<item: int64> vs list<item: string>: Unable to merge: Field item has incompatible types: int64 vs string)."),
    "label_info": ({"train.csv": OK, "label_info.json": "{"},
        "data/label_info.json: is no valid JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))."),
    "only one class": ({"train.csv": "text,label\nx,ham\ny,ham\nz,ham\n"},
        "data/train.csv: column 'label': has only one class, 'ham'; expected two or more."),
    "a label called text": ({"train.jsonl": jsonl([{"text": "x", "labels": {"text": 1, "joy": 0}}])},
        "data/train.jsonl: has more than one column 'text' (one of them in the dicts of 'labels'); rename one."),
    "nested lists": ({"train.jsonl": jsonl([{"text": "x", "labels": [[1, 0], [0, 1]]}])},
        "data/train.jsonl: column 'labels', row 1: holds [[1, 0], [0, 1]]; expected one list of labels."),
    "texts that are bytes": ({"train.parquet": pa.table({"text": [b"x"], "a": [1]})},
        "data/train.parquet: the text column 'text' holds binary; expected strings.", {"text_column": "text"}),
    "text column of another file": ({"train.csv": OK, "test.csv": OK.replace("text", "txt")},
        "data/test.csv: has no column 'text': did you mean 'txt'?"),
    "label column of another file": ({"train.csv": OK, "test.csv": OK.replace(",b", ",B")},
        "data/test.csv: has no column 'b': did you mean 'B'?"),
    "a column that label_info has not": ({"train.csv": OK, "label_info.json": '{"names": ["a"]}'},
        "data/train.csv: column 'b' is no label: known are 'a'.", {"label_columns": ["a", "b"]}),
    "bit strings": ({"train.csv": "text,label\nx,001\n", "label_info.json": ABC},
        "data/train.csv: column 'label', row 1: unknown label '001': known are 'a', 'b', 'c'."),
    "bad entries": ({"train.csv": BAD},
        "data/train.csv: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 11, column 'toxic': '2'; row 12, column 'toxic': '2'; row 13, column 'toxic': '2'; row 14, column 'toxic': '2'; row 15, column 'toxic': '2' (and 2 more); where they are counts, --label_scale divides them, and --positive_values names values that mean 1, or say --label_format classes for a class a row."),
    "bad multi-hot value": ({"train.jsonl": LISTS + '{"text": "w", "labels": [0, 0, 2]}\n', "label_info.json": ABC},
        "data/train.jsonl: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 4, column 'labels', label 'c': 2."),
    "multi-hot of another width": ({"train.jsonl": LISTS, "label_info.json": json.dumps({"names": ["a", "b", "c", "d"]})},
        "data/train.jsonl: column 'labels': row 1 has 3 values; expected 4, one for each label (and 2 more rows)."),
    "uneven multi-hot": ({"train.jsonl": LISTS + '{"text": "w", "labels": [0, 0, 0, 1]}\n'},
        "data/train.jsonl: column 'labels': row 4 has 4 values; expected 3, one for each label."),
    "unknown name": ({"train.jsonl": SETS, "validation.jsonl": '{"text": "w", "labels": ["joy", "joi"]}\n'},
        "data/validation.jsonl: column 'labels', row 1: unknown label 'joi': did you mean 'joy'?"),
    "unknown index": (_mixed([{"text": "x", "labels": [0, 2]}, {"text": "y", "labels": [1]}], [{"text": "z", "labels": [3]}]),
        "data/test.jsonl: column 'labels', row 1: unknown label 3: expected an index from 0 to 2."),
    "identifiers as classes": ({"train.csv": "text,label\nx,123456789\ny,5\n"},
        "data/train.csv: column 'label': holds the class index 123456789; expected indices from 0, or names. For a class a row say --label_format classes; a label_info.json (--label_schema) can list numbers that are names."),
    "no label at all": ({"train.csv": "text,labels\nx,\ny,\n", "label_info.json": ABC},
        "data/train.csv: column 'labels': no row has a known label; expected some to train on."),
    "only empty lists": ({"train.jsonl": jsonl([{"text": "x", "labels": []}])},
        "data/train.jsonl: column 'labels': holds no label at all."),
    "dates as labels": ({"train.parquet": pa.table({"text": ["x"], "label": pa.array([0], pa.date32())})},
        "data/train.parquet: column 'label': holds date32[day]; expected names or class indices."),
    "dicts in a column of another name": ({"train.jsonl": jsonl([{"text": t, "marks": {"joy": 1}} for t in "xyz"])},
        "data/train.jsonl: column 'marks': holds dicts; these are read in a column 'labels' or 'label'; rename it.", {"label_columns": ["marks"]}),
    "a typo among names with commas": ({"train.csv": 'text,labels\nx,"joy,feer"\ny,joy\nz,"fear,joy"\n', "label_info.json": json.dumps({"names": ["joy", "fear"]})},
        "data/train.csv: column 'labels', row 1: unknown label 'feer': did you mean 'fear'?"),
    "a list that is none": ({"train.csv": 'text,labels\nx,"[1, 0]"\ny,__import__("os")\n'},
        "data/train.csv: column 'labels', row 2: '__import__(\"os\")' is no list; expected one such as [0, 1] or ['joy', 'fear']. Where cells are names of classes, say --separator none."),
    "a mixed list": ({"train.csv": "text,labels\nx,[]\ny,\"[1, 'a']\"\n"},
        "data/train.csv: column 'labels', row 2: \"[1, 'a']\" mixes names, numbers or lists; expected one kind."),
    "classes, then lists": (_mixed([{"text": "x", "label": 0}, {"text": "y", "label": 1}], [{"text": "x", "label": [1]}]),
        "data/test.jsonl: column 'label': holds list<item: int64>; expected one class in each row, as in the training data."),
    "lists, then classes": (_mixed([{"text": "x", "labels": [0, 2]}, {"text": "y", "labels": [1]}], [{"text": "x", "labels": 1}]),
        "data/test.jsonl: column 'labels': holds int64; expected a list of labels in each row, as in the training data."),
    "ClassLabel out of range": ({"train.parquet": _with_features({"text": ["x", "y"], "label": [0, 5]}, datasets.ClassLabel(names=["a"]))},
        "data/train.parquet: column 'label' cannot be read (it holds class 5, but its ClassLabel has 1 names)."),
    "ClassLabel out of range in a list": ({"train.parquet": _with_features({"text": ["x", "y", "z"], "labels": [[0], [], [1, 5]]}, datasets.List(datasets.ClassLabel(names=["a", "b"]))) },
        "data/train.parquet: column 'labels' cannot be read (it holds class 5, but its ClassLabel has 2 names)."),
}  # fmt: skip
USAGE_ERRORS = {
    "a link that leads nowhere": ({"train.csv": lambda path: path.symlink_to("nowhere")},
        "data/train.csv: there is no such folder or file."),
    "a directory named train.csv": ({"train.csv": Path.mkdir},
        "data: 'train.csv' is a folder of several splits; give it as the whole data."),
    "a class that is none": ({"train.jsonl": jsonl([{"text": "x", "label": 0.5}, {"text": "y", "label": 1}])},
        "data/train.jsonl: column 'label': holds numbers such as 0.5; for a soft label say --label_columns label --label_format columns, for a class a row --label_columns label --label_format classes."),
    "an encoding that there is not": ({"train.csv": OK},
        "Unknown --encoding 'utf-88': did you mean 'utf-8' or 'utf-32' or 'utf-16'?", {"encoding": "utf-88"}),
    "an encoding against the byte-order mark": ({"train.csv": OK.encode("utf-16")},
        "data/train.csv: begins with the byte-order mark of UTF-16; leave --encoding out.", {"encoding": "cp1252"}),
    "an encoding for a file that has none": ({"train.parquet": TABLE},
        "--encoding 'cp1252' has no use: it is for files .csv, .tsv, .jsonl, .json, .txt, and found .parquet.", {"encoding": "cp1252"}),
    "two delimiters fit": ({"train.csv": "text;a,b\nx;1,0\ny;0,1\n"},
        "data/train.csv: ',' (2 columns) or ';' (2 columns) may part the columns; give it: --delimiter."),
    "a delimiter that the header has not": ({"train.csv": OK},
        "data/train.csv: the header 'text,a,b' has no ';'; give another --delimiter.", {"delimiter": ";"}),
    "a delimiter of two characters": ({"train.csv": OK},
        "--delimiter must be one character, or tab; got '||'.", {"delimiter": "||"}),
    "a delimiter without use": ({"train.jsonl": LISTS},
        "--delimiter ';' has no use: it is for files .csv, .tsv, .txt, and found .jsonl.", {"delimiter": ";"}),
    "no header": ({"train.csv": "good bread,1\nshut up,0\n"},
        "data/train.csv: the first row ('good bread', '1') looks like data, and a header was expected; if there is none, say --reader_args '{\"header\": null}', and the columns are called 0, 1 and so on; if it is one, --reader_args '{\"header\": 0}'."),
    "label_format that does not fit": ({"train.jsonl": LISTS},
        "data/train.jsonl: column 'labels': holds lists such as '1', '0', which does not go with --label_format classes.", {"label_format": "classes"}),
    "label_format that there is not": ({"train.jsonl": LISTS},
        "Unknown --label_format 'multihot': did you mean 'multi_hot'?", {"label_format": "multihot"}),
    "label_format for one column, and several": ({"train.csv": OK},
        "data/train.csv: --label_format names means one column with all labels, but 'a', 'b' are taken as labels; name that column with --label_columns.", {"label_format": "names"}),
    "positive values of no column": ({"train.csv": OK},
        "data/train.csv: --positive_values needs --label_columns, the columns that hold them.", {"positive_values": ["2"]}),
    "split names for files": ({"train.csv": OK},
        "data: has no split 'a': known are 'train.csv'.", {"split_names": {"train": "a"}}),
    "text column": ({"train.csv": OK},
        "data/train.csv: has no text column 'txt': did you mean 'text'?", {"text_column": "txt"}),
    "which text": ({"train.csv": "p,q,a\nx,y,1\n"},
        "data/train.csv: which column is the text? None of 'p', 'q', 'a' looks like text; name it with --text_column."),
    "no labels": ({"train.csv": "text,id\nx,7\ny,8\n"},
        "data/train.csv: found no labels; expected a column 'labels' or one of 0 and 1 for each label. --label_columns names them, with --positive_values (which values mean 1), --label_scale (what counts, percentages or ratings are divided by), --separator (between names) or --label_format classes (a class a row)."),
    "one class a row in a column of another name": ({"train.csv": "text,Category,by\n" + "".join(f"x{i},{'abcd'[i % 4]},{i}\n" for i in range(16))},
        "data/train.csv: found no labels in 'Category' ('a', 'b', 'c', ...); 'by' ('0', '1', '10', ...); expected a column 'labels' or one of 0 and 1 for each label. If they are in 'Category', say --label_columns Category. --label_columns names them, with --positive_values (which values mean 1), --label_scale (what counts, percentages or ratings are divided by), --separator (between names) or --label_format classes (a class a row)."),
    "label column": ({"train.csv": OK},
        "data/train.csv: has no label column 'bb': did you mean 'b'?", {"label_columns": ["bb"]}),
    "text as label": ({"train.csv": OK},
        "data/train.csv: column 'text' cannot be the text and a label; name another for one.", {"label_columns": "text", "text_column": "text"}),
    "separator": ({"train.csv": "text,labels\nx,a|b\ny,a;c\n"},
        "data/train.csv: column 'labels': '|' or ';' may separate names or be part of them, as in 'a|b'; say which: --separator '|' or --separator ';', or --separator none where a cell is one name."),
    "a separator without use": ({"train.csv": OK},
        "data/train.csv: --separator '|' has no use, as the labels are no delimited names.", {"separator": "|"}),
}  # fmt: skip


@pytest.mark.parametrize("name", [*DATA_ERRORS, *USAGE_ERRORS])
def test_errors_are_one_sentence_that_says_where(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    os.mkdir("data")
    files, said, *options = {**DATA_ERRORS, **USAGE_ERRORS}[name]
    written("data", files)
    with pytest.raises((DataError, UsageError)) as caught:
        load_labelled_dataset("data", **(options[0] if options else {}))
    assert str(caught.value) == said
    assert type(caught.value) is (UsageError if name in USAGE_ERRORS else DataError)
    assert "\n" not in said
