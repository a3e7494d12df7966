"""Files as people have them: each is read rightly, or asked about, and what an error advises leads to a right reading.

Each is a small copy of a kind of file that was once read wrongly without a word; all texts are made up.
"""

import gzip
import json
import re
import shlex

import datasets
import pandas as pd
import pytest

from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.data.options import DataOptions
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.data.made import csv_text, jsonl, written

N = 40
TEXTS = [f"the {'red blue old new'.split()[i % 4]} river runs past the market {i}" for i in range(N)]


def table(header, *columns, delimiter=",", n=N):
    """CSV with a column of texts where the header says so, and of others a function of the row or its values."""
    cells = [[column(i) if callable(column) else column[i % len(column)] for i in range(n)] for column in columns]
    return csv_text(header.split(","), zip(*cells, strict=True), delimiter)


def lines(spell):
    return "".join(spell(i, text) + "\n" for i, text in enumerate(TEXTS))


ABC = "text,anger,joy"
NAMES = ["joy", "fear", "joy", "anger"]
LABELLED = [{"text": text, "labels": [["joy"], ["fear", "joy"], []][i % 3]} for i, text in enumerate(TEXTS)]
LONG = "".join(f"{TEXTS[i // 2]},{['joy', 'fear', 'anger'][i % 3]}\n" for i in range(N))
UTF8 = "text,joy\n" + lines(lambda i, text: f"{text} café,{i % 2}")

READ = {  # file, content: names of the labels, labels of the first rows, and what is said
    "newlines between names": ("a.csv", table("text,labels", TEXTS, ["joy", "fear\njoy", "joy", ""]),
                               ("fear", "joy"), [[0, 1], [1, 1], [0, 1], [0, 0]], r"separated by '\\n'"),
    "commas between names": ("a.csv", table("text,labels", TEXTS, ["joy", "fear, joy"]), ("fear", "joy"),
                             [[0, 1], [1, 1]], "separated by ','"),
    "commas within names": ("a.csv", table("text,labels", TEXTS, ["threats, plans", "none of it", "slurs, insults"]),
                            ("none of it", "slurs, insults", "threats, plans"), [2, 0, 1], "one class a row"),
    "headers in other case": ("a.csv", table("Text, Labels ", TEXTS, NAMES), ("anger", "fear", "joy"), [2, 1, 2], ""),
    "stars beside labels": ("a.csv", table("text,toxic,stars", TEXTS, "01", "01234"), ("toxic",), [[0], [1]],
                            "ignored columns: 'stars'"),
    **{f"a text called {name}": ("a.csv", table(f"toxic,other,{name}", "01", lambda i: f"z{i}", TEXTS), ("toxic",),
                                 [[0], [1]], f"text in '{name}'") for name in ("sentence", "tweet", "question")},
    "tags": ("a.csv", table("text,labels", TEXTS, ["<c#><asp.net>", "<c#>", "<r>"]), ("asp.net", "c#", "r"),
             [[1, 1, 0], [0, 1, 0], [0, 0, 1]], "separated by '><'"),
    "sets as Python prints them": ("a.csv", table("text,labels", TEXTS, ["{'joy'}", "{'joy', 'fear'}", "set()"]),
                                   ("fear", "joy"), [[0, 1], [1, 1], [0, 0]], "lists of names"),
    "tuples": ("a.csv", table("text,labels", TEXTS, ["(0, 1)", "(1, 1)", "(0, 0)"]), ("label_0", "label_1"),
               [[0, 1], [1, 1], [0, 0]], "multi-hot"),
    "bars around names": ("a.csv", table("text,labels", TEXTS, ["|c#|r|", "|c#|"]), ("c#", "r"), [[1, 1], [1, 0]], ""),
    "Label Studio's choices": ("a.csv", table("text,label", TEXTS, ["joy", '{"choices": ["joy", "fear"]}', "fear"]),
                               ("fear", "joy"), [[0, 1], [1, 1], [1, 0]], "lists of names"),
    "lists without quotation marks": ("a.csv", table("text,labels", TEXTS, ["[joy, fear]", "[joy]", "[]"]),
                                      ("fear", "joy"), [[1, 1], [0, 1], [0, 0]], "lists of names"),
    "notes in few rows": ("a.csv", table("tweet,label,notes", TEXTS, "01",
                                         lambda i: f"{TEXTS[i]}, which is hard to say for me" * (i % 9 == 0)),
                          ("label_0", "label_1"), [0, 1], "text in 'tweet'"),
    "blanks before quotation marks": ("a.csv", 'text, "joy"\n' + lines(lambda i, text: f'{text}, "{i % 2}"'), ("joy",),
                                      [[0], [1]], ""),
    "columns without names": ("a.csv", table(",Unnamed: 0,text,joy, , ", "0123", "0123", TEXTS, "01", " ", " "),
                              ("joy",), [[0], [1]], "ignored columns: 'Unnamed: 0', 'Unnamed: 1', 'Unnamed: 4'"),
    "a delimiter at the end of rows": ("a.csv", "text,joy\n" + lines(lambda i, text: f"{text},{i % 2},"), ("joy",),
                                       [[0], [1]], ""),
    "rows within quotation marks": ("a.tsv", "text\tjoy\n" + lines(lambda i, text: (
        f'"{text}' if i == 5 else f'{text}"' if i == 9 else text) + f"\t{i % 2}"), ("joy",), [[0], [1]],
        "from line 7 on a cell holds lines that look like rows.*quoting"),
    "n/a among words": ("a.csv", table(ABC, TEXTS, ["Yes", "N/A", "No"], ["No", "Yes"]), ("anger", "joy"),
                        [[1, 0], [-100, 1]], ""),
    "a column called any": ("a.csv", table("text,any,epidural", TEXTS, "01", "10"), ("any", "epidural"), [[0, 1]], ""),
    "values with their names": ("a.csv", table("text,labels", TEXTS, ["joy-0;fear-1", "joy-1;fear-1", "joy-1;fear-0"]),
                                ("fear", "joy"), [[1, 0], [1, 1], [0, 1]], ""),
    "a dict in a cell": ("a.csv", table("text,labels", TEXTS, ['{"joy": 1, "fear": 0}', '{"joy": 1, "fear": 1}']),
                         ("fear", "joy"), [[0, 1], [1, 1]], ""),
    "several columns of names": ("a.csv", table("text,label_1,label_2", TEXTS, ["joy", "joy"], ["fear", ""]),
                                 ("fear", "joy"), [[1, 1], [0, 1]], "'label_1', 'label_2'"),
    "spellings": ("a.csv", table("text,labels", TEXTS, ["Joy", " joy", "joy", "JOY ", "fear"]), ("fear", "joy"),
                  [1, 1, 1, 1, 0], "'JOY', 'Joy', 'joy' as 'joy'"),
    "Unicode forms": ("a.csv", table("text,labels", TEXTS, ["\u00c4rger", "A\u0308rger", "Freude"]),
                      ("Freude", "\u00c4rger"), [1, 1, 0], "taken as one label"),
    "paths": ("a.csv", table("text,labels", TEXTS, ["Home > Kitchen", "Home > Bath", "Toys"]),
              ("Home > Bath", "Home > Kitchen", "Toys"), [1, 0, 2], "--separator '>' makes each level a label"),
    "Unicode widths": ("a.csv", table("text,labels", TEXTS, ["joy", "joy", "joy\u200b", "ｊｏｙ", "fear"]),
                       ("fear", "joy"), [1, 1, 1, 1, 0], "taken as one label"),
    "sets of paths": ("a.csv", table("text,labels", TEXTS, ["A > B|A > C", "A > B"]), ("A > B", "A > C"),
                      [[1, 1], [1, 0]], "a label_info.json .* can list which label implies which"),
    "NA beside 0 and 1": ("a.csv", table(ABC, TEXTS, ["1", "0", "NA"], "01"), ("anger", "joy"),
                          [[1, 0], [0, 1], [-100, 0]], ""),
    "classes from 1": ("a.csv", table("text,label", TEXTS, ["1", "2", "10"]), ("1", "2", "10"), [0, 1, 2], ""),
    "classes from 1 beside a blank": ("a.csv", table("text,label", TEXTS, ["1.0", "2.0", ""]), ("1", "2"),
                                      [0, 1, -100], ""),
    "shares": ("a.csv", table(ABC, TEXTS, ["1/4", "0/4"], ["4/4", "2/4"]), ("anger", "joy"), [[0.25, 1], [0, 0.5]],
               "soft labels"),
    "da and net": ("a.csv", table(ABC, TEXTS, ["да", "нет"], ["нет", "да"]), ("anger", "joy"), [[1, 0], [0, 1]], ""),
    "Y and N": ("a.csv", table(ABC, TEXTS, "YN", "NNY"), ("anger", "joy"), [[1, 0], [0, 0], [1, 1]], ""),
    "T and F": ("a.csv", table(ABC, TEXTS, "tf", "ttf"), ("anger", "joy"), [[1, 1], [0, 1], [1, 0]], ""),
    "ja and nein": ("a.csv", table(ABC, TEXTS, ["Ja", "Nein"], ["nein", "ja"]), ("anger", "joy"),
                    [[1, 0], [0, 1]], ""),
    "marks": ("a.csv", table(ABC, TEXTS, "✓✗", "✗✗✓"), ("anger", "joy"), [[1, 0], [0, 0], [1, 1]], ""),
    "percent signs": ("a.csv", table(ABC, TEXTS, ["50%", "0%"], ["100 %", "25%"]), ("anger", "joy"),
                      [[0.5, 1], [0, 0.25]], "'anger', 'joy' hold values between 0 and 1, which are taken as soft"),
    "decimal commas": ("a.csv", table("text;anger;joy".replace(";", ","), TEXTS, ["0,5", "0"], ["1", "0,25"],
                                      delimiter=";"), ("anger", "joy"), [[0.5, 1], [0, 0.25]], ""),
    "a column split": ("a.csv", table("text,joy,split", TEXTS, "01", ["train", "dev", "train", "test"]), ("joy",),
                       [[0], [0]], "put into splits by the column 'split'"),
    "a column with splits": ("a.csv", table("text,joy,data_source", TEXTS, "01", ["train", "dev", "train", "test"]),
                             ("joy",), [[0], [0]], "put into splits by the column 'data_source'"),
    "a line sep=": ("a.csv", "sep=;\n" + table("Kommentar,Wut", TEXTS, "01", delimiter=";"), ("Wut",), [[0], [1]], ""),
    "gzip": ("train.csv.gz", gzip.compress(table(ABC, TEXTS, "01", "10").encode()), ("anger", "joy"),
             [[0, 1], [1, 0]], "train.csv.gz as CSV"),
    "an array in a .txt": ("a.txt", json.dumps(LABELLED, indent=1), ("fear", "joy"), [[0, 1], [1, 1], [0, 0]], ""),
    "a table in a .txt": ("a.txt", table("ID,Tweet,anger", lambda i: f"2018-{i}", TEXTS, "01", delimiter="\t"),
                          ("anger",), [[0], [1]], "text in 'Tweet'"),
    "lists of words": ("a.jsonl", jsonl({"id": str(i), "abstract": text.split(), "labels": [i % 3]}
                                        for i, text in enumerate(TEXTS)), ("label_0", "label_1", "label_2"),
                       [[1, 0, 0], [0, 1, 0]], "'abstract' .lists of words, joined by blanks"),
    "a long text beside titles": ("a.csv", table("title,description,labels", lambda i: f"River {i}", TEXTS, NAMES),
                                  ("anger", "fear", "joy"), [2, 1, 2, 0], "text in 'description'"),
    "a text of an unusual name": ("a.csv", table("id,url,date,Kommentar,labels", lambda i: f"a{i}_0",
                                                 lambda i: f"https://a.b/{i}", lambda i: f"2020-01-{i} 10:00", TEXTS,
                                                 NAMES), ("anger", "fear", "joy"), [2, 1, 2, 0], "in 'Kommentar'"),
    "Chinese": ("a.csv", table("nr,x,labels", range(N), lambda i: f"今天的天气非常好我们去公园散步吧{i}", NAMES),
                ("anger", "fear", "joy"), [2, 1, 2, 0], "text in 'x'"),
    **{f"fastText {name}": ("a.txt", lines(spell), ("fear", "joy"), [[0, 1], [1, 1]], "") for name, spell in {
        "with commas": lambda i, t: f"__label__joy, __label__fear {t}" if i % 2 else f"__label__joy {t}",
        "with commas and blanks": lambda i, t: f"__label__joy ,{' __label__fear ,' * (i % 2)} {t}",
        "at the end": lambda i, t: f"{t} __label__joy __label__fear" if i % 2 else f"{t} __label__joy",
        "with colons": lambda i, t: f"__label__joy; __label__fear: {t}" if i % 2 else f"__label__joy: {t}",
        "in capitals": lambda i, t: f"__LABEL__joy __Label__fear {t}" if i % 2 else f"__label__joy {t}",
    }.items()},
}  # fmt: skip


def of_first(data, n):
    """The labels of the first rows, whatever split they came to lie in."""
    found = {row["text"].split()[-1]: row["labels"] for split in data.splits.values() for row in split}
    return [found[key] for key in sorted(found, key=int)[:n]]


@pytest.mark.parametrize("kind", READ)
def test_files_that_are_read(tmp_path, kind):
    name, content, names, labels, said = READ[kind]
    content = content.replace(" café", "") if isinstance(content, str) else content
    data = load_labelled_dataset(written(tmp_path, {name: content}) / name)
    assert data.schema.names == names
    if kind in ("a column split", "a column with splits"):
        assert {s: len(rows) for s, rows in data.splits.items()} == {"train": 20, "validation": 10, "test": 10}
        assert data.splits["train"]["labels"][:2] == labels
    elif kind == "Chinese":
        assert sum(map(len, data.splits.values())) == N
    else:
        assert of_first(data, len(labels)) == labels
    assert pd.Series(data.remarks).str.contains(said).any()


VOTES = table("text,n,hate,offensive", TEXTS, "333", "0123", "3210")
ASKED = {  # content: what is said, and the options that it names, each with the names and the labels of the first row
    "ids": (table("post_id,label", lambda i: f"10{i}_0", NAMES), "None of 'post_id', 'label' looks like text", []),
    "a pair of texts": (table("premise,hypothesis,label", TEXTS, lambda i: f"{TEXTS[i]} b", NAMES),
                        "which column is the text.*--text_column.*join them", []),
    "plus": (table("text,labels", TEXTS, ["joy", "fear + joy", "fear", "anger + joy", "anger", "anger + fear"]),
             "[+]' may separate names", [("--separator '+'", ("anger", "fear", "joy"), [0, 0, 1]),
                                         ("--separator none", None, 5)]),
    "nothing but sets": (table("text,labels", TEXTS, ["joy+fear", "joy+anger", "anger+fear"]), "'[+]' may separate", [
        ("--separator '+'", ("anger", "fear", "joy"), [0, 1, 1])]),
    "names with values": (table("text,labels", TEXTS, ["joy:0.5;fear:0.2", "fear:0.4;anger:0.1", "joy:0.7;fear:0.1"]),
                          "seem to be names with values", ["--separator ';'"]),
    "values in words": (table("text,labels", TEXTS, ["joy: yes; fear: no", "joy: no; fear: yes"]),
                        "seem to be names with values", []),
    "values in brackets": (table("text,labels", TEXTS, ["joy (0.9); fear (0.1)", "joy (0.9); fear (0.2)",
                                                        "joy (0.1); fear (0.1)"]), "seem to be names with values", []),
    "numbers with a comma": (table("text,label", TEXTS, ["3,5", "4", "4,5"]), "'3,5' may be class indices",
                             ["--separator ','"]),
    "numbers with a point": (table("text,label", TEXTS, ["1.5", "4.0", "4.5"]), "numbers such as 1.5", [
        ("--label_columns label --label_format classes", ("1.5", "4.0", "4.5"), 0)]),
    "counts with a comma": (table("text,hate,ok", TEXTS, ["0", "1,000"], "01"), "'hate' holds 20 values", [
        ("--label_columns ok", ("ok",), [0])]),
    "names with a comma": (table("text,label", TEXTS, ["Paris, France", "Lyon, France", "Bonn, Germany",
                                                        "Ulm, Germany"]), "',' may separate names", [
        ("--separator none", ("Bonn, Germany", "Lyon, France", "Paris, France", "Ulm, Germany"), 2)]),
    "as many sets as rows": (table("text,label", [f"{text} again {i}" for i, text in enumerate(3 * TEXTS)],
                                   lambda i: f"c{i % 90} c{i}", n=3 * N), "different values in 120 rows", [
        ("--label_format classes", None, None)]),
    "one name or blank": (table("text,label", TEXTS, ["spam", ""]), "only one class, 'spam'", [
        ("--label_columns label --positive_values spam --blank_labels negative", ("label",), [1])]),
    "years": (table("text,label", TEXTS, ["2019", "2020", "2021"]), "class index 2021", [
        ("--label_format classes", ("2019", "2020", "2021"), 0)]),
    "dicts of another name": (jsonl({"text": t, "cats": {"joy": i % 2}} for i, t in enumerate(TEXTS)),
                              "Dicts such as 'cats' are read in a column 'labels'", []),
    "a title above the header": ("Survey,,\n" + table(ABC, TEXTS, "10", "01"), "header is further down", [
        ("--reader_args '{\"skiprows\": 1}'", ("anger", "joy"), [1, 0])]),
    "five signs": (table("text,label", TEXTS, ["-2", "-1", "0", "1", "2"]), "holds -2, -1, 0, 1 and 2", []),
    "a label beside labels": (table("text,label,insult", TEXTS, "01", "10"), "which of 'label', 'insult' are", [
        ("--label_columns label", None, None), ("--label_columns label insult", ("label", "insult"), [0, 1])]),
    "label and label_2": (table("text,label,label_2", TEXTS, NAMES, ["", "fear", "", ""]), "of 'label', 'label_2'", [
        ("--label_columns label label_2", ("anger", "fear", "joy"), [0, 0, 1])]),
    "sets in several columns": (table("text,label_1,label_2", TEXTS, ["joy|fear", "joy", "fear|joy"], ["", "anger"]),
                                "hold several names", []),
    "a name in two spellings": (table("text,joy,Joy", TEXTS, "01", "10"), "'joy', 'Joy' differ in spelling alone", []),
    "a comment and its parent": (table("label,comment,parent_comment", "01", TEXTS, lambda i: 3 * TEXTS[i]),
                                 "which column is the text", [("--text_column comment", None, None)]),
    "long premises": (table("premise,hypothesis,label", lambda i: TEXTS[i] * 3, TEXTS, NAMES), "join", []),
    "votes of several people": (table("text,gold,label_1,label_2,label_3", TEXTS, NAMES, NAMES, NAMES, ["", "fear"]),
                                "one name in several of them", [("--label_columns gold", None, 2)]),
    "two experts": (table("text,Hate (Expert 1),Hate (Expert 2)", TEXTS, ["YES", "NO"], ["NO", "YES"]),
                    "of several people", []),
    "two rows of headers": ("Survey,Task 1,Task 2\n" + table(ABC, TEXTS, "10", "01"),
                            "header is further down", []),
    "a lone separator": (table("text,labels", TEXTS, ["|", "joy/fear", "joy", "fear/anger", "anger", "fear"]),
                         "'/' may separate names", [("--separator /", ("anger", "fear", "joy", "|"), [0, 0, 0, 1])]),
    "sentences and what answers them": (table("hate,counter,kind", lambda i: f"{TEXTS[i % 40]} {i % 120}", lambda i: (
        f"{TEXTS[i % 40]} {i}"), NAMES, n=1000), "which column is the text", []),
    "values of long rows": ("text,label,value\n" + "".join(
        f"{TEXTS[i // 2]},{['joy', 'fear'][i % 2]},{i % 3 % 2}\n" for i in range(N)), "each text has every label", [],
        {"label_format": "long"}),
    "soft labels in one column": (table("text,label", TEXTS, ["0.25", "0.5", "1"]), "numbers such as 0.25", [
        ("--label_columns label --label_format columns", ("label",), [0.25]),
        ("--label_columns label --label_format classes", None, 0)]),
    "1 and -1": (table(ABC, TEXTS, ["1", "-1"], ["-1", "1"]), "nothing but positive values and -1", [
        ("--label_columns anger joy --positive_values 1", ("anger", "joy"), [1, 0])]),
    "NaN in words": (table(ABC, TEXTS, ["1.0", "nan"], ["nan", "1.0"]), "blank may mean 0", [
        ("--blank_labels negative", ("anger", "joy"), [1, 0])]),
    "another pair": (table(ABC, TEXTS, ["evet", "hayır"], ["hayır", "evet"]), "'anger', 'joy' .'evet', 'hayır'.", [
        ("--label_columns anger joy --positive_values evet", ("anger", "joy"), [1, 0])]),
    "a word or blank": (table(ABC, TEXTS, ["anger", ""], ["", "joy"]), "'anger' .'anger'.; 'joy' .'joy'.", [
        ("--label_columns anger joy", ("anger", "joy"), [1, 0])]),
    "yes and no beside classes": (table("text,Product,Timely?", TEXTS, ["loan", "card"], ["Yes", "No"]),
                                  "not clear of 'Timely.' .'No', 'Yes'.; 'Product'", [
        ("--label_columns Product", ("card", "loan"), 1), ("--label_columns 'Timely?'", ("Timely?",), [1])]),
    "lines above the header": ("Survey 2020\n\n" + table(ABC, TEXTS, "10", "01"), "line 3 has 3 cells", [
        ("--reader_args '{\"skiprows\": 2}'", ("anger", "joy"), [1, 0])]),
    "backslashes before commas": ("text,joy\n" + lines(lambda i, text: f"so\\, {text},{i % 2}"), "line 2 has 3 cells",
                                  [('--reader_args \'{"escapechar": "\\\\"}\'', ("joy",), [0])]),
    "texts without a header": (lines(lambda i, text: f"{text},e{i},{'abcdef'[i % 6]}+{'xyzuv'[i % 5]}"), "looks like",
                               []),
    "underscores": (table("text,labels", TEXTS, ["a_b", "b_c", "a_c", "a", "b", "c"]), "'_' may separate names",
                    [("--separator '_'", ("a", "b", "c"), [1, 1, 0]), ("--separator none", None, 1)]),
    "a comma within names": (table("text,labels", TEXTS, ["joy, fear", "fear", "threats, plans to harm"]),
                             "',' may separate names or be part of them", ["--separator ','", "--separator none"]),
    "tabs between names": (table("text,labels", TEXTS, ["joy", "fear\tjoy", "fear", "joy\tanger", "anger"]),
                           r"'\\t' may separate names", []),
    "two separators": (table("text,labels", TEXTS, ["joy;fear", "fear", "anger;joy", "fear, joy", "joy"]),
                       "';' separates names, and in cells such as 'fear, joy' it may be ','",
                       [("--separator ';'", ("anger", "fear", "fear, joy", "joy"), [0, 1, 0, 1])]),
    "what several people said": (table("text,annotator1,annotator2,annotator3", TEXTS, "01", "10", "011"),
                                 "of several people", [
        ("--label_columns annotator1 annotator2 annotator3", ("annotator1", "annotator2", "annotator3"), [0, 1, 0])]),
    "what raters said beside a label": (table("text,toxic,anotator1,rater_b", TEXTS, "01", "10", "01"),
                                        "not clear of 'anotator1', 'rater_b' .'0', '1'.", [
        ("--label_columns toxic", ("toxic",), [0])]),
    "dicts of what is there": (jsonl({"text": t, "labels": {"joy": 1} if i % 2 else {"fear": 1}}
                                     for i, t in enumerate(TEXTS)), "blank may mean 0",
                               [("--blank_labels negative", ("fear", "joy"), [1, 0])]),
    "positions": (jsonl({"text": t, "labels": list(range(90 + i, 95 + i))} for i, t in enumerate(TEXTS)),
                  "as positions in a text are", [("--label_format indices", None, None)]),
    "digits": (table("text,labels", TEXTS, ["010", "001", "110"]), "a digit for each label",
               [("--separator none", ("001", "010", "110"), 1)]),
    "words among labels": (table(ABC, TEXTS, ["0", "1", "maybe"], "01"), "13 others .'maybe' first in row 3.", []),
    "a separator without use": (table("text,labels", TEXTS, NAMES), "no cell has the separator ';'", [],
                                {"separator": ";"}),
    "lists in a row for each label": (jsonl({"text": t, "label": ["joy"]} for t in TEXTS), "long needs the column", [],
                                      {"label_format": "long"}),
    "a separator of dicts": (table("text,labels", TEXTS, ['{"joy": 1, "fear": 0}', '{"joy": 0, "fear": 1}']), "no use",
                             [], {"separator": ","}),
    "1 or blank": (table(ABC, TEXTS, ["1", ""], ["", "", "1"]), "'anger', 'joy' hold nothing but positive",
                   [("--blank_labels negative", ("anger", "joy"), [1, 0]),
                    ("--blank_labels unknown", ("anger", "joy"), [1, -100])]),
    "x or blank": (table(ABC, TEXTS, ["x", ""], ["", "", "x"]), "blank may mean 0",
                   [("--blank_labels negative", ("anger", "joy"), [1, 0])]),
    "TRUE or blank": (table(ABC, TEXTS, ["TRUE", ""], "10"), "'anger' hold nothing",
                      [("--blank_labels negative", ("anger", "joy"), [1, 1])]),
    "1 and 2": (table(ABC, TEXTS, "21", "112"), "'anger', 'joy' .'1', '2'.",
                [("--label_columns anger joy --positive_values 2", ("anger", "joy"), [1, 0]),
                 ("--label_columns anger joy --positive_values 1", ("anger", "joy"), [0, 1])]),
    "votes": (VOTES, "'hate', 'offensive' .'0', '1', '2', ", [
        ("--label_columns hate offensive --label_scale n", ("hate", "offensive"), [0, 1])]),
    "three signs as classes": (table("text,label", TEXTS, ["-1", "0", "1"]), "holds -1, 0 and 1", [],
                               {"label_format": "classes"}),
    "three signs": (table("clean_text,category", TEXTS, ["-1", "0", "1"]), "holds -1, 0 and 1", [
        ("--label_columns category", ("category",), [-100])]),
    "stars": (table("review,stars", TEXTS, "12345"), "found no labels in 'stars'", [
        ("--label_columns stars --label_format classes", ("1", "2", "3", "4", "5"), 0)]),
    "a percentage": (table("text,toxicity", TEXTS, lambda i: (i * 37) % 101), "found no labels in 'toxicity'", [
        ("--label_columns toxicity --label_scale 100", ("toxicity",), [0])]),
    "votes beside a class": (table("count,hate,offensive,class,tweet", "333", "0123", "3210", "0210", TEXTS),
                             "found no labels", [
        ("--label_columns class", ("label_0", "label_1", "label_2"), 0),
        ("--label_columns hate offensive --label_scale count", ("hate", "offensive"), [0, 1])]),
    "counts beside labels": (table("text,likes,anger", TEXTS, ["0", "0", "1", "7"], "01"), "'likes' holds", [
        ("--label_columns anger", ("anger",), [0]),
        ("--label_columns likes anger --label_scale 7", ("likes", "anger"), [0, 0])]),
    "columns that are seldom labels": (table("text,is_retweet,verified,anger", TEXTS, "01", ["True", "False"], "10"),
                                       "not clear of 'is_retweet' .'0', '1'.; 'verified'", [
        ("--label_columns anger", ("anger",), [1]),
        ("--label_columns is_retweet verified anger", ("is_retweet", "verified", "anger"), [0, 1, 1])]),
    "a confidence": (table("text,joy,confidence", TEXTS, "01", ["0.3", "0.9"]), "not clear of 'confidence'",
                     [("--label_columns joy", ("joy",), [0])]),
    "a row for each label": ("text,label\n" + LONG, "stand in several rows",
                             [("--label_format long", ("anger", "fear", "joy"), [0, 1, 1]), "--label_format classes"]),
    "tags of another name": (table("text,Tags,Score", TEXTS, ["<r><c>", "<c>", "<r>"], "012"), "'Tags' .'<c>'", [
        ("--label_columns Tags", ("c", "r"), [1, 1])]),
    "a class beside objects": (jsonl({"text": t, "mood": NAMES[i % 4], "at": [{"x": i}]} for i, t in enumerate(TEXTS)),
                               "no labels in 'mood' .'anger', 'fear', 'joy'.; expected",
                               [("--label_columns mood", ("anger", "fear", "joy"), 2)]),
    "a class of another name": (table("text,mood", TEXTS, NAMES), "'mood' .'anger', 'fear', 'joy'.",
                                [("--label_columns mood", ("anger", "fear", "joy"), 2)]),
    "no header": (lines(lambda i, text: f"{text},{i % 2},e{i}"), "looks like data",
                  [("--reader_args '{\"header\": null}'", ("1",), [0])]),
    "no header, and classes": (lines(lambda i, text: f"{text},{NAMES[i % 4]}"), "looks like data",
                               ["--reader_args '{\"header\": null}'"]),
    "a bad byte": (UTF8.encode() + b"\xf8 and so,1\n", r"is not UTF-8: byte 0xf8 after",
                   [("--reader_args '{\"encoding_errors\": \"replace\"}'", ("joy",), [0])]),
    "another encoding": (UTF8.encode("cp1252"), "is not UTF-8", [("--encoding cp1252", ("joy",), [0])]),
    "backslashes": ('text,joy\n' + lines(lambda i, text: f'"he said \\"no\\", {text}",{i % 2}'), "line 2",
                    [('--reader_args \'{"escapechar": "\\\\"}\'', ("joy",), [0])]),
    "open quotation marks": ('text,joy\n' + lines(lambda i, text: f'"{text},{i % 2}' if i == 7 else f"{text},{i % 2}"),
                             "line 9 is never closed", [("--reader_args '{\"quoting\": 3}'", ("joy",), [0])]),
    "a damaged line": ("text,joy\n" + lines(lambda i, text: f"{text},{i % 2}" + ",1,1" * (i == 7)),
                       "line 9 has 4 cells", [("--reader_args '{\"on_bad_lines\": \"skip\"}'", ("joy",), [0])]),
}  # fmt: skip


def options_of(way):
    """The flags of a message as keywords, read as the command line reads them."""
    words = shlex.split(way.replace("\\", "\\\\") if '"\\"' in way else way)
    flags: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            flags[word[2:]] = values = []
        else:
            values.append(word)
    lists = ("label_columns", "positive_values")
    return {name: found if name in lists else found[0] for name, found in flags.items()}


@pytest.mark.parametrize("kind", ASKED)
def test_files_that_are_asked_about_and_what_the_question_advises(tmp_path, kind):
    content, said, ways, *given = ASKED[kind]
    name = "a.tsv" if kind == "no header, and classes" else "a.jsonl" if content[:1] in ("{", b"{") else "a.csv"
    content = content.replace(",", "\t") if name == "a.tsv" else content
    path = str(written(tmp_path, {name: content}) / name)
    with pytest.raises((DataError, UsageError), match=said) as caught:
        load_labelled_dataset(path, **(given[0] if given else {}))
    for expected in ways:
        way, names, first = expected if isinstance(expected, tuple) else (expected, None, None)
        assert all(flag in str(caught.value) for flag in re.findall(r"--\w+", way)), str(caught.value)
        options = options_of(way)
        if kind == "no header, and classes":
            options["label_columns"] = ["1"]
        data = DataOptions(data_dir=path, **options).load()
        assert names is None or data.schema.names == names
        if first is not None:
            row = next(row for split in data.splits.values() for row in split if "market 0" in row["text"])
            assert row["labels"] == first


def test_what_is_no_data_is_said_as_what_it_is(tmp_path):
    (tmp_path / "info.json").write_text(json.dumps({"names": ["joy", "fear"]}))
    with pytest.raises(UsageError, match=r"holds names of labels.*--label_schema"):
        load_labelled_dataset(tmp_path / "info.json")
    (tmp_path / "a.csv").write_text(json.dumps(LABELLED))
    with pytest.raises(DataError, match=r"holds JSON; rename it to a\.json"):
        load_labelled_dataset(tmp_path / "a.csv")
    (tmp_path / "a.txt").write_text("one line of text\nand another one\n")
    with pytest.raises(UsageError, match="expected lines of fastText's format, '__label__name text', or a table"):
        load_labelled_dataset(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("__label__joy text\n__label__joy,some text\n")
    with pytest.raises(DataError, match=r"line 2: .*each with a blank after it"):
        load_labelled_dataset(tmp_path / "a.txt")
    (tmp_path / "a.csv").write_text("text,labels\nx,A > B; C > D\ny,A > B\nz,Pots; Pans > E\n")
    with pytest.raises(UsageError, match="'A > B; C > D' hold several paths, and --separator '>' is for one"):
        load_labelled_dataset(tmp_path / "a.csv", separator=">")
    (tmp_path / "a.csv").write_text("text,joy\nx,1\n")
    for wrong in ("{", "[1]"):
        with pytest.raises(UsageError, match="--reader_args"):
            DataOptions(data_dir=str(tmp_path / "a.csv"), reader_args=wrong).load()
    with pytest.raises(UsageError, match=r"--reader_args .*unexpected keyword argument 'headr'"):
        load_labelled_dataset(tmp_path / "a.csv", reader_args={"headr": 0})


@pytest.mark.parametrize("indent", [None, 1])
def test_one_object_is_no_list_of_rows_and_its_keys_are_named(tmp_path, indent):
    columns = pd.DataFrame({"text": TEXTS, "joy": [0, 1] * 20}).to_dict()
    for document in ({"version": 1, "data": LABELLED}, {"train": LABELLED, "test": LABELLED[:3]}, columns):
        (tmp_path / "a.json").write_text(json.dumps(document, indent=indent))
        said = rf"one JSON object with the keys '{next(iter(document))}'.*write its rows as one"
        with pytest.raises(DataError, match=said):
            load_labelled_dataset(tmp_path / "a.json")


def test_a_competitions_folder(tmp_path):
    """Test texts without labels take those of test_labels.csv, by the id; without such a file they are left out."""
    rows = [(f"0{i}", text, i % 2, i % 3 // 2) for i, text in enumerate(TEXTS)]
    files = {
        "train.csv": csv_text(["id", "comment_text", "toxic", "threat"], rows),
        "test.csv": csv_text(["id", "comment_text"], [("90", "some more text"), ("91", "and more of it")]),
        "test_labels.csv": csv_text(["id", "toxic", "threat"], [("91", -1, -1), ("90", 1, 0)]),
        "sample_submission.csv": "id,toxic,threat\n90,0.5,0.5\n",
    }
    data = load_labelled_dataset(written(tmp_path, files))
    assert data.splits["test"]["labels"][:] == [[1, 0], [-100, -100]]
    assert any("are those of test_labels.csv, by 'id'" in said for said in data.warnings)
    (tmp_path / "test_labels.csv").write_text("id,toxic,threat\n090,1,0\n091,0,0\n")
    with pytest.raises(DataError, match=r"no value of 'id' is one of test\.csv"):
        load_labelled_dataset(tmp_path)
    (tmp_path / "test_labels.csv").unlink()
    data = load_labelled_dataset(tmp_path)
    assert any("test.csv has no labels: it is not used" in said for said in data.warnings)
    assert data.made == ("validation", "test")


def test_folders_called_as_splits(tmp_path):
    for split, rows in (("train", "abcdefgh"), ("test", "xy")):
        (tmp_path / split).mkdir()
        (tmp_path / split / "data.csv").write_text(
            "".join(["text,joy\n", *(f"some {c},{i % 2}\n" for i, c in enumerate(rows))])
        )
    data = load_labelled_dataset(tmp_path, make_missing=False)
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 8, "test": 2}


def test_paths_become_labels_that_imply_the_level_above(tmp_path):
    content = table("text,labels", TEXTS, ["Home > Kitchen", "Home > Bath", "Toys"])
    data = load_labelled_dataset(written(tmp_path, {"a.csv": content}) / "a.csv", separator=">")
    assert data.schema.names == ("Home", "Home > Bath", "Home > Kitchen", "Toys")
    assert data.schema.implications == (("Home > Bath", "Home"), ("Home > Kitchen", "Home"))
    assert of_first(data, 3) == [[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]


def test_blank_texts_are_counted_and_left_out_of_training(tmp_path):
    rows = [(text if i % 4 else " ", i % 2) for i, text in enumerate(TEXTS)]
    data = load_labelled_dataset(written(tmp_path, {"train.csv": csv_text(["text", "a"], rows)}))
    assert "10 blank texts, 10 of them left out of the training rows" in data.notes[2]
    assert sum(map(len, data.splits.values())) == 30


def test_excel(tmp_path):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame(
        {"text": TEXTS, "id": [f"00{i}" for i in range(N)], "joy": [0, 1] * 20, "fear": [True, False] * 20}
    )
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        frame.to_excel(book, sheet_name="first", index=False)
        frame.assign(joy=1 - frame.joy).to_excel(book, sheet_name="second", index=False)
    data = load_labelled_dataset(tmp_path / "a.xlsx")
    assert (data.schema.names, of_first(data, 2)) == (("joy", "fear"), [[0, 1], [1, 0]])
    assert any("of the sheets 'first', 'second' the first is read" in said for said in data.warnings)
    data = load_labelled_dataset(tmp_path / "a.xlsx", reader_args={"sheet_name": "second"})
    assert of_first(data, 2) == [[1, 1], [0, 0]]


def test_the_same_splits_of_a_column_in_a_dataset():
    rows = {"text": TEXTS, "joy": [0, 1] * 20, "set": ["train", "train", "val", "other"] * 10}
    data = load_labelled_dataset(datasets.Dataset.from_dict(rows))
    assert (len(data.splits["validation"]), data.made) == (10, ("test",))
    assert any("10 rows with another value are left out" in said for said in data.warnings)
