"""`imbalance-trainer find` and `audit`: what is asked, what a person sees, and what the answers become."""

import json

import numpy as np
import pandas as pd
import pytest

from imbalance_trainer.analysis.baseline import doubtful_labels
from imbalance_trainer.cli import audit, find
from imbalance_trainer.data.dataset import load_labelled_dataset
from imbalance_trainer.data.demo import demo_model
from imbalance_trainer.data.text_files import Settings
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.mining.questions import Candidates, read_sheet, write_sheet
from imbalance_trainer.tuning.linear_baseline import out_of_fold
from imbalance_trainer.utils.constants import MULTI_LABEL
from imbalance_trainer.utils.errors import DataError, UsageError

ANIMALS = "otter badger heron newt marten lynx stoat".split()
TOOLS = "hammer chisel plane rasp lathe anvil saw".split()
EVIL = ["=1+1 a", "-a", "@a", "+a", "'=a", "it's a '-x", 'a "b"\nc, d', "\tä"]  # formulas to a spreadsheet


def texts_of(words, n, seed):
    rng, filler = np.random.default_rng(seed), "when we saw that near our old house on the long road".split()
    return [" ".join([*rng.permutation(filler)[:5], *rng.permutation(words)[:3]]) for _ in range(n)]


@pytest.fixture
def folder(tmp_path):
    """Data with a common label, a rare one and one without positives; a pool beside it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "label_info.json").write_text(json.dumps({"names": ["tool", "animal", "plant"]}))
    for split, seed in (("train", 0), ("validation", 10), ("test", 20)):
        labels = [[1, 0, 0]] * 120 + [[0, 1, 0]] * 12
        table = pd.DataFrame({"text": texts_of(TOOLS, 120, seed) + texts_of(ANIMALS, 12, seed + 1), "labels": labels})
        table.to_parquet(tmp_path / "data" / f"{split}.parquet")
    new = texts_of(TOOLS, 900, 3) + texts_of(ANIMALS, 300, 4)
    alike = [f"otter badger heron newt marten, said number {i}" for i in range(300)]
    texts = [*new, *table["text"], "", *alike, *(text.upper() + "!" for text in new)]
    pool = pd.DataFrame({"id": [f"r{i}" for i in range(len(texts))], "text": texts})
    pool.to_csv(tmp_path / "pool.csv", index=False)
    return tmp_path / "data"


def test_find_asks_about_likely_positives_and_the_answers_become_training_rows(folder, tmp_path, capsys):
    pool, sheet, new = (tmp_path / name for name in ("pool.csv", "sheet.csv", "new"))
    found = find.main([str(folder), "--pool", str(pool), "--n", "40", "--output_file", str(sheet)])
    assert found["questions"] == {"animal": 40}
    assert f"--collect {sheet}" in capsys.readouterr().out
    table = pd.read_csv(sheet)
    words = [{*text.casefold().replace("!", "").replace(",", "").split()} for text in table["text"]]
    assert sum(bool(some & {*ANIMALS}) for some in words) >= 36
    assert all(len(a & b) < 0.6 * len(a | b) for i, a in enumerate(words) for b in words[:i])
    old, test = (pd.read_parquet(folder / f"{split}.parquet")["text"].tolist() for split in ("train", "test"))
    assert not {*table["text"]} & {*old, *test}
    assert {*table["nearest_positive"]} <= {*old[120:]}
    assert table["row"].str.fullmatch(r"r\d+").all()
    table.assign(answer="Yes").to_csv(sheet, index=False, sep=";")  # as a spreadsheet program may save it
    collected = find.main([str(folder), "--collect", str(sheet), "--output_file", str(new)])
    assert (collected["new_rows"], collected["changed"]) == (40, 0)
    rows, before = load_labelled_dataset(new).splits, load_labelled_dataset(folder).splits
    assert rows["train"]["labels"][-40:] == [[-100, 1, -100]] * 40
    assert (rows["train"][:132], rows["test"][:]) == (before["train"][:], before["test"][:])


@pytest.mark.parametrize("flag", ["--model_name_or_path", "--model_dir"])
def test_an_encoder_or_a_saved_model_gives_the_scores(folder, tmp_path, flag):
    schema = LabelSchema.from_names(["animal", "tool"])
    model, tokenizer = demo_model(schema, seed=0)
    schema.to_config(model.config)
    model.config.problem_type = MULTI_LABEL
    model.classifier.out_proj.bias.data += 9
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "model")
    pool, saved, sheet = (str(tmp_path / name) for name in ("pool.csv", "model", "s.csv"))
    find.main([str(folder), "--pool", pool, "--labels", "animal", "--n", "20", flag, saved, "--output_file", sheet])
    table = pd.read_csv(sheet)
    is_right = table["score"] > 0.99 if flag == "--model_dir" else table["text"].str.contains("|".join(ANIMALS))
    assert is_right.mean() > 0.8


def test_find_goes_on_after_a_kill_and_what_it_keeps_does_not_grow(tmp_path):
    rows, seen = [(str(i), f"otter {i}") for i in range(5_000)], []

    def scores(texts):
        seen.extend(texts)
        return np.array([[int(text.split()[1]) % 977] for text in texts]) / 977

    def killed():
        yield from rows[:2_500]
        raise KeyboardInterrupt

    whole, other, again, fresh = (Candidates(["a"], scores, ["Otter 0!"]) for _ in range(4))
    whole.look(iter(rows), tmp_path / "whole", "x")
    with pytest.raises(KeyboardInterrupt):
        other.look(killed(), tmp_path / "work", "x")
    seen.clear()
    again.look(iter(rows), tmp_path / "work", "x")
    assert (len(seen), again.n_rows, again.n_known, len(again.best["a"])) == (3_000, 5_000, 1, 1_000)
    assert again.questions(50) == whole.questions(50)
    fresh.look(iter(rows[:10]), tmp_path / "work", "another search")
    assert fresh.n_rows == 10


def test_a_sheet_keeps_texts_and_gives_spreadsheets_no_formula(tmp_path):
    sheet, new = tmp_path / "sheet.csv", tmp_path / "new"
    write_sheet(sheet, [{"text": text, "label": "-a", "score": 0.5, "answer": "no"} for text in EVIL])
    cells = pd.read_csv(sheet, header=None, dtype=str, keep_default_na=False).stack()
    assert not cells.str.match(r"[=+\-@\t\r]").any()
    assert [row[1:] for row in read_sheet(sheet, Settings())] == [(text, "-a", 0) for text in EVIL]
    find.main(["--collect", str(sheet), "--output_file", str(new)])  # without data: these rows alone
    assert pd.read_parquet(new / "train.parquet")["labels"].map(list).tolist() == [[0]] * len(EVIL)


def test_audit_finds_planted_errors_and_an_answer_mends_them(folder, tmp_path):
    train, sheet, new = pd.read_parquet(folder / "train.parquet"), tmp_path / "sheet.csv", tmp_path / "new"
    train["labels"] = [[1, 1, 0] if i == 1 else [0, 0, 0] if i > 129 else row for i, row in enumerate(train["labels"])]
    train.to_parquet(folder / "train.parquet")
    audit.main([str(folder), "--labels", "animal", "--output_file", str(sheet)])
    table = pd.read_csv(sheet)
    assert {2, 131, 132} <= {*table["row"]} <= {*range(1, 133)}
    assert table["present"].tolist() == [train["labels"][row - 1][1] for row in table["row"]]
    table.assign(answer=1 - table["present"]).to_csv(sheet, index=False)
    assert audit.main([str(folder), "--collect", str(sheet), "--output_file", str(new)])["changed"] == len(table)
    mended = load_labelled_dataset(new).splits["train"]["labels"]
    assert [mended[i][1] for i in (1, 130, 131)] == [0, 1, 1]


def test_doubtful_labels_are_those_of_the_definition_and_folds_share_rare_labels_and_no_text():
    logits, labels = np.array([[3.0, -4, -3, -5, 2, 9]]).T, np.array([[1, 1, 0, 0, 0, -100]]).T
    assert [np.flatnonzero(found).tolist() for found in doubtful_labels(logits, labels)] == [[1], [4]]
    texts, seen = np.array([f"text {i // 2}" for i in range(200)]), []
    labels = np.array([[i // 2 < 15, True] for i in range(200)], dtype=np.float32)
    fit = lambda rows, y: seen.append((len({*rows}), y.sum(0)[0])) or (lambda held: np.zeros((len(held), 2)))  # noqa: E731
    out_of_fold(texts, texts, labels, fit)
    assert seen == [(80, 24)] * 5


@pytest.mark.parametrize(("flags", "said"), [
    ("--pool pool.csv", "--output_file is missing"),
    ("--pool pool.csv --output_file pool.csv", "is there already"),
    ("--pool pool.csv --output_file x.csv --labels plant", "'plant': has no positive"),
    ("--pool =text --output_file x.csv", "is empty; expected texts"),
    ("--pool =a|1 --output_file x.csv", "name it with --pool_text_column"),
    ("--pool data/train.parquet --output_file x.csv", "blank or labelled already"),
    ("--collect pool.csv --output_file new", "has no column 'label'"),
    ("--collect =text,label,answer|a,tool,maybe --output_file new", r"row 1 \('maybe'\)"),
    ("--collect =text,label,answer|a,tool,yes|a,tool,no --output_file new", "row 2 of the sheet: the answer is not"),
    ("--collect =text,label,answer|a,tool, --output_file new", "no row is answered"),
])  # fmt: skip
def test_bad_input_gets_one_sentence(folder, tmp_path, monkeypatch, flags, said):
    monkeypatch.chdir(tmp_path)
    words = flags.split()
    for i, word in enumerate(words):
        if word.startswith("="):  # the lines of a file
            (tmp_path / "given.csv").write_text(word[1:].replace("|", "\n") + "\n")
            words[i] = "given.csv"
    with pytest.raises((UsageError, DataError), match=said):
        find.main(["data", *words])
    assert not (tmp_path / "new").exists()
