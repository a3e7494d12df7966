# ruff: noqa: E501 (a sentence is kept whole, so that it can be searched for)
"""Columns and values that do not fit, and what the user is asked, each with the sentence that is said of it."""

import json

import datasets
import pyarrow as pa

from tests.data.broken_files import ABC, LISTS, OK, SETS, TABLE, Case
from tests.data.made import jsonl

_BAD = "text,id,toxic\n" + "".join(f"t{i},{i},{2 if 10 <= i < 17 else i % 2}\n" for i in range(80))


def _with_features(content, feature):
    features = datasets.Features(dict(zip(content, [datasets.Value("string"), feature], strict=True)))
    return pa.table(content).cast(features.arrow_schema)


def _mixed(train, test):
    return {"train.jsonl": jsonl(train), "test.jsonl": jsonl(test)}


UNFIT = {
    "only one class": Case(
        {"train.csv": "text,label\nx,ham\ny,ham\nz,ham\n"},
        "data/train.csv: column 'label': has only one class, 'ham'; expected two or more.",
    ),
    "a label called text": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": {"text": 1, "joy": 0}}])},
        "data/train.jsonl: has more than one column 'text' (one of them in the dicts of 'labels'); rename one.",
    ),
    "lists and strings in one column": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": ["a"]}, {"text": "y", "labels": "b"}])},
        "data/train.jsonl: column 'labels' cannot be read (it mixes lists and single values).",
    ),
    "nested lists": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": [[1, 0], [0, 1]]}])},
        "data/train.jsonl: column 'labels', row 1: holds [[1, 0], [0, 1]]; expected one list of labels.",
    ),
    "nested lists in a cell": Case(
        {"train.csv": 'text,labels\nx,"[0, 1]"\ny,"[[1], [0]]"\n'},
        "data/train.csv: column 'labels', row 2: holds [[1], [0]]; expected one list of labels.",
    ),
    "texts that are bytes": Case(
        {"train.parquet": pa.table({"text": [b"x"], "a": [1]})},
        "data/train.parquet: the text column 'text' holds binary; expected strings.",
        {"text_column": "text"},
    ),
    "a bad value in the second shard": Case(
        {"train-00000-of-00002.csv": OK, "train-00001-of-00002.csv": "text,a,b\np,1,7\n"},
        "data/train-00000-of-00002.csv and 1 more: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 1 of train-00001-of-00002.csv, column 'b': '7'; where they are counts, --label_scale divides them, and --positive_values names values that mean 1.",
        {"label_columns": ["a", "b"]},
    ),
    "a wrong label in text lines": Case(
        {"train.txt": "x\ta\ny\td\n", "label_info.json": ABC},
        "data/train.txt: column 'labels', row 2: unknown label 'd': known are 'a', 'b', 'c'.",
    ),
    "a soft label above 1": Case(
        {"train.csv": "text,a,b\nx,0.5,1\ny,1.5,0\n"},
        "data/train.csv: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 2, column 'a': '1.5'; where they are counts, --label_scale divides them, and --positive_values names values that mean 1.",
        {"label_columns": ["a", "b"]},
    ),
    "texts that are numbers": Case(
        {"train.parquet": pa.table({"text": [7], "a": [1]})},
        "data/train.parquet: the text column 'text' holds int64; expected strings.",
        {"text_column": "text"},
    ),
    "text column of another file": Case(
        {"train.csv": OK, "test.csv": OK.replace("text", "txt")},
        "data/test.csv: has no column 'text': did you mean 'txt'?",
    ),
    "label column of another file": Case(
        {"train.csv": OK, "test.csv": OK.replace(",b", ",B")}, "data/test.csv: has no column 'b': did you mean 'B'?"
    ),
    "label_info without a column": Case(
        {"train.csv": OK, "label_info.json": ABC.replace('"c"', '"bb"')},
        "data/train.csv: no column for the label 'bb': did you mean 'b'?",
    ),
    "a column that label_info has not": Case(
        {"train.csv": OK, "label_info.json": '{"names": ["a"]}'},
        "data/train.csv: column 'b' is no label: known are 'a'.",
        {"label_columns": ["a", "b"]},
    ),
    "a dict that label_info has not": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": {"a": 1, "b": 0}}]), "label_info.json": ABC},
        "data/train.jsonl: no column for the label 'c': known are 'a', 'b'.",
    ),
    "bad entries": Case(
        {"train.csv": _BAD},
        "data/train.csv: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 11, column 'toxic': '2'; row 12, column 'toxic': '2'; row 13, column 'toxic': '2'; row 14, column 'toxic': '2'; row 15, column 'toxic': '2' (and 2 more); where they are counts, --label_scale divides them, and --positive_values names values that mean 1, or say --label_format classes for a class a row.",
    ),
    "bad entries of another file": Case(
        {"train.csv": OK, "test.csv": OK + "p,1,maybe\n"},
        "data/test.csv: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 4, column 'b': 'maybe'; where they are counts, --label_scale divides them, and --positive_values names values that mean 1.",
    ),
    "bad multi-hot value": Case(
        {"train.jsonl": LISTS + '{"text": "w", "labels": [0, 0, 2]}\n', "label_info.json": ABC},
        "data/train.jsonl: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 4, column 'labels', label 'c': 2.",
    ),
    "bad value below a row of nothing": Case(
        {"train.jsonl": LISTS, "test.jsonl": '{"text": "v", "labels": null}\n{"text": "w", "labels": [0, 7, 0]}\n'},
        "data/test.jsonl: expected 0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown; found row 2, column 'labels', label 'label_1': 7.",
    ),
    "multi-hot of another width": Case(
        {"train.jsonl": LISTS, "label_info.json": json.dumps({"names": ["a", "b", "c", "d"]})},
        "data/train.jsonl: column 'labels': row 1 has 3 values; expected 4, one for each label (and 2 more rows).",
    ),
    "uneven multi-hot": Case(
        {"train.jsonl": LISTS + '{"text": "w", "labels": [0, 0, 0, 1]}\n'},
        "data/train.jsonl: column 'labels': row 4 has 4 values; expected 3, one for each label.",
    ),
    "uneven soft lists": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": [0.5, 1]}, {"text": "y", "labels": [0.5]}])},
        "data/train.jsonl: column 'labels': row 2 has 1 values; expected 2, one for each label.",
    ),
    "width of another file": Case(
        {"train.jsonl": LISTS, "test.jsonl": '{"text": "w", "labels": [0, 1]}\n'},
        "data/test.jsonl: column 'labels': row 1 has 2 values; expected 3, one for each label.",
    ),
    "unknown name": Case(
        {"train.jsonl": SETS, "validation.jsonl": '{"text": "w", "labels": ["joy", "joi"]}\n'},
        "data/validation.jsonl: column 'labels', row 1: unknown label 'joi': did you mean 'joy'?",
    ),
    "unknown name in a later row": Case(
        {"train.jsonl": SETS, "test.jsonl": '{"text": "v", "labels": []}\n{"text": "w", "labels": ["ang", "x"]}\n'},
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
        {"train.csv": "text,label\nx,001\n", "label_info.json": ABC},
        "data/train.csv: column 'label', row 1: unknown label '001': known are 'a', 'b', 'c'.",
    ),
    "identifiers as classes": Case(
        {"train.csv": "text,label\nx,123456789\ny,5\n"},
        "data/train.csv: column 'label': holds the class index 123456789; expected indices from 0, or names. Numbers that are names can be listed in a label_info.json (--label_schema).",
    ),
    "no label at all": Case(
        {"train.csv": "text,labels\nx,\ny,\n", "label_info.json": ABC},
        "data/train.csv: column 'labels': no row has a known label; expected some to train on.",
    ),
    "only empty lists": Case(
        {"train.jsonl": jsonl([{"text": "x", "labels": []}])},
        "data/train.jsonl: column 'labels': holds no label at all.",
    ),
    "dates as labels": Case(
        {"train.parquet": pa.table({"text": ["x"], "label": pa.array([0], pa.date32())})},
        "data/train.parquet: column 'label': holds date32[day]; expected names or class indices.",
    ),
    "lists of dates": Case(
        {"train.parquet": pa.table({"text": ["x"], "labels": pa.array([[0]], pa.list_(pa.date32()))})},
        "data/train.parquet: column 'labels': holds date32[day]; expected names or class indices.",
    ),
    "dicts in a column of another name": Case(
        {"train.jsonl": jsonl([{"text": t, "marks": {"joy": 1}} for t in "xyz"])},
        "data/train.jsonl: column 'marks': holds dicts; these are read in a column 'labels' or 'label'; rename it.",
        {"label_columns": ["marks"]},
    ),
    "years as classes": Case(
        {"train.jsonl": jsonl([{"text": f"t{i}", "label": 2019 + i % 3} for i in range(3000)])},
        "data/train.jsonl: column 'label': holds the class index 2021; expected indices from 0, or names. Numbers that are names can be listed in a label_info.json (--label_schema).",
    ),
    "a typo among names with commas": Case(
        {
            "train.csv": 'text,labels\nx,"joy,feer"\ny,joy\nz,"fear,joy"\n',
            "label_info.json": json.dumps({"names": ["joy", "fear"]}),
        },
        "data/train.csv: column 'labels', row 1: unknown label 'feer': did you mean 'fear'?",
    ),
    "one class, by its index": Case(
        {"train.jsonl": jsonl([{"text": t, "label": 1} for t in "xyz"])},
        "data/train.jsonl: column 'label': has only one class, 'label_1'; expected two or more.",
    ),
    "a list that is none": Case(
        {"train.csv": 'text,labels\nx,"[1, 0]"\ny,__import__("os")\n'},
        "data/train.csv: column 'labels', row 2: '__import__(\"os\")' is no list; expected one such as [0, 1] or ['joy', 'fear']. Where cells are names of classes, say --separator none.",
    ),
    "a call in a list": Case(
        {"train.csv": "text,labels\nx,[print(1)]\n"},
        "data/train.csv: column 'labels', row 1: '[print(1)]' is no list; expected one such as [0, 1] or ['joy', 'fear']. Where cells are names of classes, say --separator none.",
    ),
    "a mixed list": Case(
        {"train.csv": "text,labels\nx,[]\ny,\"[1, 'a']\"\n"},
        "data/train.csv: column 'labels', row 2: \"[1, 'a']\" mixes names, numbers or lists; expected one kind.",
    ),
    "classes, then lists": Case(
        _mixed([{"text": "x", "label": 0}, {"text": "y", "label": 1}], [{"text": "x", "label": [1]}]),
        "data/test.jsonl: column 'label': holds list<item: int64>; expected one class in each row, as in the training data.",
    ),
    "lists, then classes": Case(
        _mixed([{"text": "x", "labels": [0, 2]}, {"text": "y", "labels": [1]}], [{"text": "x", "labels": 1}]),
        "data/test.jsonl: column 'labels': holds int64; expected a list of labels in each row, as in the training data.",
    ),
    "ClassLabel out of range": Case(
        {"train.parquet": _with_features({"text": ["x", "y"], "label": [0, 5]}, datasets.ClassLabel(names=["a"]))},
        "data/train.parquet: column 'label' cannot be read (it holds class 5, but its ClassLabel has 1 names).",
    ),
    "ClassLabel out of range in a list": Case(
        {
            "train.parquet": _with_features(
                {"text": ["x", "y", "z"], "labels": [[0], [], [1, 5]]},
                datasets.List(datasets.ClassLabel(names=["a", "b"])),
            )
        },
        "data/train.parquet: column 'labels' cannot be read (it holds class 5, but its ClassLabel has 2 names).",
    ),
}

ASKED = {
    "an encoding that there is not": Case(
        {"train.csv": OK},
        "Unknown --encoding 'utf-88': did you mean 'utf-8' or 'utf-32' or 'utf-16'?",
        {"encoding": "utf-88"},
    ),
    "an encoding against the byte-order mark": Case(
        {"train.csv": OK.encode("utf-16")},
        "data/train.csv: begins with the byte-order mark of UTF-16; leave --encoding out.",
        {"encoding": "cp1252"},
    ),
    "an encoding for a file that has none": Case(
        {"train.parquet": TABLE},
        "--encoding 'cp1252' has no use: it is for files .csv, .tsv, .jsonl, .json, .txt, and found .parquet.",
        {"encoding": "cp1252"},
    ),
    "two delimiters fit": Case(
        {"train.csv": "text;a,b\nx;1,0\ny;0,1\n"},
        "data/train.csv: ',' (2 columns) or ';' (2 columns) may part the columns; give it: --delimiter.",
    ),
    "a delimiter that the header has not": Case(
        {"train.csv": OK},
        "data/train.csv: the header 'text,a,b' has no ';'; give another --delimiter.",
        {"delimiter": ";"},
    ),
    "a delimiter of two characters": Case(
        {"train.csv": OK}, "--delimiter must be one character, or tab; got '||'.", {"delimiter": "||"}
    ),
    "a delimiter without use": Case(
        {"train.jsonl": LISTS},
        "--delimiter ';' has no use: it is for files .csv, .tsv, .txt, and found .jsonl.",
        {"delimiter": ";"},
    ),
    "no header, and three labels": Case(
        {"train.csv": "good bread,1,0,0\nshut up,0,1,0\nso so,0,0,1\n"},
        "data/train.csv: the first row ('good bread', '1', '0', '0') looks like data, and a header was expected; if there is none, say --reader_args '{\"header\": null}', and the columns are called 0, 1 and so on; if it is one, --reader_args '{\"header\": 0}'.",
    ),
    "no header": Case(
        {"train.csv": "good bread,1\nshut up,0\n"},
        "data/train.csv: the first row ('good bread', '1') looks like data, and a header was expected; if there is none, say --reader_args '{\"header\": null}', and the columns are called 0, 1 and so on; if it is one, --reader_args '{\"header\": 0}'.",
    ),
    "text lines without names": Case(
        {"train.txt": "x\ta\nz\tb\n"},
        "data/train.txt: which column is the text? None of 'x', 'a' looks like text; name it with --text_column.",
    ),
    "label_format that does not fit": Case(
        {"train.jsonl": LISTS},
        "data/train.jsonl: column 'labels': holds lists, which does not go with --label_format classes.",
        {"label_format": "classes"},
    ),
    "label_format that there is not": Case(
        {"train.jsonl": LISTS},
        "Unknown --label_format 'multihot': did you mean 'multi_hot'?",
        {"label_format": "multihot"},
    ),
    "label_format for one column, and several": Case(
        {"train.csv": OK},
        "data/train.csv: --label_format names means one column with all labels, but 'a', 'b' are taken as labels; name that column with --label_columns.",
        {"label_format": "names"},
    ),
    "split names for files": Case(
        {"train.csv": OK},
        "data: names of splits have no use here; files are named by --train_file and the like.",
        {"split_names": {"train": "a"}},
    ),
    "text column": Case(
        {"train.csv": OK}, "data/train.csv: has no text column 'txt': did you mean 'text'?", {"text_column": "txt"}
    ),
    "which text": Case(
        {"train.csv": "p,q,a\nx,y,1\n"},
        "data/train.csv: which column is the text? None of 'p', 'q', 'a' looks like text; name it with --text_column.",
    ),
    "no text": Case(
        {"train.parquet": pa.table({"p": [1], "a": [1]})},
        "data/train.parquet: which column is the text? None of 'p', 'a' looks like text; name it with --text_column.",
    ),
    "no labels": Case(
        {"train.csv": "text,id\nx,7\ny,8\n"},
        "data/train.csv: found no labels in 'id'; expected a column 'labels' or a column of 0 and 1 for each label. Name them with --label_columns.",
    ),
    "a label with another value": Case(
        {"train.csv": "text,joy\nx,1\ny,2\nz,0\n"},
        "data/train.csv: found no labels in 'joy'; expected a column 'labels' or a column of 0 and 1 for each label. 'joy' may be counts: --label_columns joy --label_scale 2.",
    ),
    "one class a row in a column of another name": Case(
        {"train.csv": "text,Category,by\n" + "".join(f"x{i},{'abcd'[i % 4]},{i}\n" for i in range(16))},
        "data/train.csv: found no labels in 'Category', 'by'; expected a column 'labels' or a column of 0 and 1 for each label. 'Category' has 4 different values and could hold one class a row: --label_columns Category.",
    ),
    "label column": Case(
        {"train.csv": OK}, "data/train.csv: has no label column 'bb': did you mean 'b'?", {"label_columns": ["bb"]}
    ),
    "text as label": Case(
        {"train.csv": OK},
        "data/train.csv: column 'text' cannot be the text and a label; name another for one.",
        {"label_columns": "text", "text_column": "text"},
    ),
    "separator": Case(
        {"train.csv": "text,labels\nx,a|b\ny,a;c\n"},
        "data/train.csv: column 'labels': '|' or ';' may separate names or be part of them, as in 'a|b'; say which: --separator '|' or --separator ';', or --separator none where a cell is one name.",
    ),
    "a separator without use": Case(
        {"train.csv": OK},
        "data/train.csv: --separator '|' has no use, as the labels are no delimited names.",
        {"separator": "|"},
    ),
}
