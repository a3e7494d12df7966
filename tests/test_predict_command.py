"""`imbalance-trainer predict`: what it writes is what the model's decision rule says of each text alone."""

import io
import json
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from imbalance_trainer.cli import predict as predict
from imbalance_trainer.data.demo import demo_model
from imbalance_trainer.data.frame import make_frame
from imbalance_trainer.decisions.rule import HIERARCHY_POLICIES, DecisionRule
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.utils.constants import CONFIG_KEY, MULTI_LABEL
from imbalance_trainer.utils.errors import DataError, UsageError

NAMES = ["hateful", "insults", "threats", "quoted"]
TEXTS = [
    "what a clown", "we know where you live", "nobody should ever say such a loser", "garden", "bus train match",
    "they run the banks and they only want money", "the bomber was a hero", "close the parliament for good today",
    "smile for me babé 日本語", "good bread", "a plague in our street", "cake recipe book film song concert team",
]  # fmt: skip


def save_model(folder, rule, problem_type=MULTI_LABEL, texts=TEXTS):
    """A model with random weights, mean logits of 0 over texts, and a rule in its config."""
    model, tokenizer = demo_model(rule.schema, seed=3)
    with torch.no_grad():
        model.classifier.out_proj.weight.mul_(4)
        model.classifier.out_proj.bias.sub_(logits_one_by_one(model.eval(), tokenizer, texts).mean(0))
    model.config.problem_type = problem_type
    rule.schema.to_config(model.config, constraint="none")
    rule.to_config(model.config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


def logits_one_by_one(model, tokenizer, texts):
    with torch.no_grad():
        return torch.cat([model(**tokenizer(text, truncation=True, return_tensors="pt")).logits for text in texts])


def expected(rule, logits, texts, all_labels=False):
    """What is to be written, by the rule alone."""
    decided, scores = rule.decide(logits), rule.scores(logits).sigmoid()
    lines = []
    for row, text in enumerate(texts):
        labels = [
            {"label": name, "score": scores[row, i].item(), "threshold": rule.by_label()[name],
             **({"decided": decided[row, i].item()} if all_labels else {})}
            for i, name in enumerate(rule.schema.names) if all_labels or decided[row, i]
        ]  # fmt: skip
        lines.append({"text": text, "labels": sorted(labels, key=lambda label: -label["score"])})
    return lines


def assert_same(lines, wanted):
    assert [line["text"] for line in lines] == [line["text"] for line in wanted]
    for line, other in zip(lines, wanted, strict=True):
        assert list(line)[-2:] == ["text", "labels"]
        for label, wanted_label in zip(line["labels"], other["labels"], strict=True):
            assert label["score"] == pytest.approx(wanted_label["score"], abs=1e-5, rel=6e-4)
            assert label["score"] == float(f"{label['score']:.4g}")
            assert {**label, "score": None} == {**wanted_label, "score": None}


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model with tuned thresholds: its folder, and what is to be said of TEXTS."""
    folder = tmp_path_factory.mktemp("model")
    rule = DecisionRule(LabelSchema(NAMES), [0.4, 0.5, 0.6, 0.3])
    return str(folder), expected(rule, logits_one_by_one(*save_model(folder, rule), TEXTS), TEXTS)


@pytest.fixture
def texts_file(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return path


HIERARCHY = LabelSchema(NAMES, {}, (("insults", "hateful"), ("threats", "hateful")))
RULES = {
    "thresholds": DecisionRule(LabelSchema(NAMES), [0.4, 0.5, 0.6, 0.3]),
    **{how: DecisionRule(HIERARCHY, [0.6, 0.5, 0.4, 0.5], how) for how in HIERARCHY_POLICIES},
}


@pytest.mark.parametrize("case", RULES)
def test_decides_as_the_rule_does_row_by_row(case, tmp_path, texts_file, capsys):
    rule = RULES[case]
    logits = logits_one_by_one(*save_model(tmp_path / "model", rule), TEXTS)
    decided, raw = rule.decide(logits), rule.margins(logits) > 0
    assert decided.any()
    assert not decided.all()
    closes = case != "thresholds"
    assert (decided != raw).any() == closes  # else a rule that is never applied would pass
    for flags in (["--batch_size", "1"], ["--batch_size", "5"], ["--all_labels"]):
        capsys.readouterr()
        predict.main(["--model_dir", str(tmp_path / "model"), "--file", str(texts_file), *flags])
        assert_same(lines_of(capsys.readouterr().out), expected(rule, logits, TEXTS, "--all_labels" in flags))


def test_one_text(saved, capsys):
    folder, wanted = saved
    predict.main(["--model_dir", folder, "--text", TEXTS[1]])
    assert_same(lines_of(capsys.readouterr().out), wanted[1:2])


def test_thresholds_may_be_given(saved, capsys):
    flags = ["--text", TEXTS[1], "--all_labels", "--thresholds", json.dumps({NAMES[1]: 0.07})]
    predict.main(["--model_dir", saved[0], *flags])
    (found,) = lines_of(capsys.readouterr().out)
    stored = json.loads((Path(saved[0]) / "config.json").read_text())[CONFIG_KEY]["thresholds"]
    assert {row["label"]: row["threshold"] for row in found["labels"]} == pytest.approx({**stored, NAMES[1]: 0.07})


def write_lines(path):
    path.write_bytes("\r\n".join(TEXTS).encode("utf-8-sig"))


def write_jsonl(path):
    rows = [{"id": i, "note": "x" if i else None, "text": text, "labels": [i]} for i, text in enumerate(TEXTS)]
    rows[2]["more"] = 1
    path.write_text("\n\n".join(map(json.dumps, rows)))


def write_csv(path):
    path.write_text("insults,id,title\n" + "".join(f'0,{i},"{text}"\n' for i, text in enumerate(TEXTS)))


def write_parquet(path):
    pq.write_table(pa.table({"labels": [[1]] * len(TEXTS), "Sentence": TEXTS, "text_id": ["a"] * len(TEXTS)}), path)


def write_with_two(path):
    path.write_text("".join(json.dumps({"text": "other", "answer": text}) + "\n" for text in TEXTS))


@pytest.mark.parametrize(
    ("name", "write", "flags"),
    [
        ("a.txt", write_lines, []),
        ("a.jsonl", write_jsonl, []),
        ("a.JSON", write_with_two, ["--text_column", "answer"]),
        ("a.csv", write_csv, []),
        ("a.csv", write_csv, ["--text_column", "title"]),
        ("a.parquet", write_parquet, []),
    ],
)
def test_files(name, write, flags, saved, tmp_path, capsys):
    folder, wanted = saved
    write(tmp_path / name)
    output = tmp_path / "predictions.jsonl"
    predict.main(["--model_dir", folder, "--file", str(tmp_path / name), "--output_file", str(output), *flags])
    assert_same(lines_of(output.read_text(encoding="utf-8")), wanted)
    assert "babé 日本語" in output.read_text(encoding="utf-8")
    without = sum(not line["labels"] for line in wanted)
    said = capsys.readouterr().out
    assert said == f"{len(TEXTS)} texts written to {output}, {without} of them without a label.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "predictions.jsonl"])


def test_with_all_labels_a_text_without_one_that_is_decided_is_counted_too(tmp_path, texts_file, capsys):
    folder, output = str(tmp_path / "model"), tmp_path / "out.json"
    rule = DecisionRule(LabelSchema(NAMES), [0.7, 0.7, 0.7, 0.7])
    without = (~rule.decide(logits_one_by_one(*save_model(folder, rule), TEXTS)).any(1)).sum().item()
    assert 0 < without < len(TEXTS)
    for flags in ([], ["--all_labels"]):
        predict.main(["--model_dir", folder, "--file", str(texts_file), "--output_file", str(output), *flags])
        assert capsys.readouterr().out.endswith(f", {without} of them without a label.\n")
    predict.main(["--model_dir", folder, "--text", TEXTS[0], "--output_file", str(output)])
    assert capsys.readouterr().out.startswith("1 text written to ")


class Watched:
    """A stdout that notes, at each line, how many texts had been read."""

    def __init__(self):
        self.read, self.read_at_line = 0, []

    def write(self, line):
        self.read_at_line.append(self.read)

    def flush(self):
        pass

    def isatty(self):
        return False


def test_texts_stream(saved, tmp_path, monkeypatch):
    watched = Watched()

    def batches(path, settings, rows):
        assert rows
        for number in range(200):
            watched.read += 1
            yield make_frame(path, [{"text": "good bread"}], "lines", start=number)

    monkeypatch.setattr(predict, "read_batches", batches)
    monkeypatch.setattr(sys, "stdout", watched)
    (tmp_path / "a.jsonl").write_text("")
    predict.main(["--model_dir", saved[0], "--file", str(tmp_path / "a.jsonl"), "--batch_size", "4"])
    ahead = [read - number for number, read in enumerate(watched.read_at_line)]
    assert len(ahead) == 200
    assert 3 <= max(ahead[20:]) <= 2 * 4  # batches, one or two of them


def test_each_row_comes_back_with_its_other_columns_and_a_blank_text_without_labels(saved, tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text(f'id,comment_text,labels,insults\n000,{TEXTS[1]},x,1\n001,,y,0\n002,"two\nlines",z,1\n')
    flags = ["--model_dir", saved[0], "--file", str(path), "--text_column", "comment_text"]
    predict.main(flags)
    lines = lines_of(capsys.readouterr().out)
    assert [(line["id"], line["text"]) for line in lines] == [("000", TEXTS[1]), ("001", ""), ("002", "two\nlines")]
    assert [(line["file: labels"], str(line["insults"])) for line in lines] == [("x", "1"), ("y", "0"), ("z", "1")]
    predict.main([*flags, "--output_file", str(tmp_path / "out.csv"), "--all_labels"])
    rows = pd.read_csv(tmp_path / "out.csv", dtype={"id": str}, keep_default_na=False)
    assert rows["id"].tolist() == ["000", "001", "002"]
    assert rows["file: insults"].tolist() == [1, 0, 1]
    for row, line in zip(rows.to_dict("records"), lines, strict=True):
        assert {name for name in NAMES if row[name]} == {label["label"] for label in line["labels"]}
        shown = {f"{label['label']} score": label["score"] for label in line["labels"]}
        assert {name: float(row[name]) for name in shown} == pytest.approx(shown)
    assert rows.loc[1, "insults score"] == ""
    assert [label["label"] for label in lines[0]["labels"]] == [label["label"] for label in saved[1][1]["labels"]]
    assert lines[1]["labels"] == []


def test_standard_input_is_a_text_a_line(saved, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(TEXTS)))
    predict.main(["--model_dir", saved[0], "--file", "-"])
    assert_same(lines_of(capsys.readouterr().out), saved[1])


def test_rows_of_different_columns_are_no_csv(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "AT_ONCE", 1)
    (tmp_path / "a.jsonl").write_text('{"text": "one", "id": 1}\n{"text": "two", "more": 2}\n')
    with pytest.raises(DataError, match=r"different columns, .* give a \.jsonl"):
        predict.main(
            ["--model_dir", saved[0], "--file", str(tmp_path / "a.jsonl"), "--output_file", str(tmp_path / "o.csv")]
        )
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_bar_is_shown_on_a_terminal_alone_and_never_among_the_lines(
    terminal, saved, texts_file, monkeypatch, capsys
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    predict.main(["--model_dir", saved[0], "--file", str(texts_file)])
    shown = capsys.readouterr()
    assert (f"{len(TEXTS)} texts" in shown.err) == terminal
    assert len(lines_of(shown.out)) == len(TEXTS)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    predict.main(["--model_dir", saved[0], "--file", str(texts_file)])
    assert " texts" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", r"a\.txt: is empty; expected texts"),
        ("a.txt", b"one\n\xff\n", r"a\.txt: is not UTF-8: byte 0xff after"),
        ("a.jsonl", "\n", r"a\.jsonl: is empty"),
        ("a.jsonl", '{"text": "a"}\n{"text": "\\ud83d"}\n', "surrogates not allowed"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', r"a\.jsonl: line 2 is no valid JSON"),
        ("a.jsonl", '{"id": 1}\n', r"a\.jsonl: which column is the text\?.*name it with --text_column"),
        ("a.csv", "text,id\n", r"a\.csv: is empty"),
    ],
)
def test_wrong_files(name, content, message, saved, tmp_path):
    path, output = tmp_path / name, tmp_path / "out.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    output.write_text("old")
    with pytest.raises((UsageError, DataError), match=message):
        predict.main(["--model_dir", saved[0], "--file", str(path), "--output_file", str(output), "--batch_size", "1"])
    assert output.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, "out.jsonl"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Give --text or --file, one of them"),
        (["--text", "a", "--file", "texts.txt"], "Give --text or --file, not both"),
        (["--text", " "], "--text is ' '; give a text"),
        (["--file", "absent.txt"], r"--file absent\.txt: there is no such file"),
        (["--file", "texts.docx"], r"--file texts\.docx: expected one of the endings \.arrow, \.csv"),
        (["--file", "texts.csv", "--text_column", "txt"], r"has no text column 'txt': did you mean 'text'"),
        (["--file", "texts.txt", "--text_column", "text"], "--text_column has no use here"),
        (["--text", "a", "--batch_size", "0"], "--batch_size must be at least 1; got 0"),
        (["--text", "a", "--output_file", "."], r"--output_file \.: is a folder"),
        (["--text", "a", "--output_file", "absent/out.jsonl"], r"absent/out\.jsonl: cannot be written"),
        (["--text", "a", "--output_file", "p.xml"], r"p\.xml: expected one of the endings \.jsonl"),
    ],
)
def test_wrong_flags(flags, message, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("a\n")
    Path("texts.docx").write_text("a\n")
    Path("texts.csv").write_text("text\na\n")
    with pytest.raises(UsageError, match=message):
        predict.main(["--model_dir", saved[0], *flags])


def test_folders_that_are_no_model(tmp_path):
    rule = DecisionRule(LabelSchema(NAMES))
    save_model(tmp_path / "single", rule, "single_label_classification")
    save_model(tmp_path / "torn", rule)
    weights = tmp_path / "torn" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    save_model(tmp_path / "bare", rule)
    (tmp_path / "bare" / "model.safetensors").unlink()
    (tmp_path / "empty").mkdir()
    for folder, message in {
        "absent": "is no folder of a saved model, as it has no config.json",
        "empty": "is no folder of a saved model",
        "single": "expected a multi-label model or one of two classes, .* 'single_label_classification', with 4",
        "torn": "torn: cannot be loaded",
        "bare": "bare: cannot be loaded",
    }.items():
        with pytest.raises(UsageError, match=message) as caught:
            predict.main(["--model_dir", str(tmp_path / folder), "--text", "a"])
        assert "\n" not in str(caught.value)
