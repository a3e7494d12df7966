"""`imbalance-trainer evaluate`: what it prints and writes is what a loop, scikit-learn and the metrics say."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import multilabel_confusion_matrix

from imbalance_trainer.cli import evaluate as evaluate
from imbalance_trainer.cli import models, train
from imbalance_trainer.data.demo import demo_data
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.metrics.imbalance_metrics import ImbalanceMetrics
from imbalance_trainer.utils.console import as_text
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.test_predict_command import logits_one_by_one, save_model

NAMES = ["hateful", "insults", "threats"]
SCHEMA = LabelSchema(NAMES, {"primary": ["hateful"]}, [("insults", "hateful"), ("threats", "hateful")])
THRESHOLDS = [0.6, 0.5, 0.3]
PARTS = [
    "what a clown",
    "we know where you live",
    "good bread",
    "bus train match",
    "garden soup recipe",
    "smile for me",
]


def write_data(folder, names=NAMES, seed=0):
    """Rows of two or three parts each, so that a text has up to 14 tokens; the columns are in another order."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    made = {}
    for split, n in (("train", 12), ("validation", 20), ("test", 50)):
        texts = [" ".join(rng.choice(PARTS, rng.integers(2, 4))) + f" {i}" for i in range(n)]
        hateful = rng.random(n) < 0.5
        labels = np.stack([hateful, *(hateful & (rng.random(n) < share) for share in (0.7, 0.3))], 1).astype(int)
        labels[:3] = np.eye(3, dtype=int) | [1, 0, 0]
        made[split] = texts, labels
        order = [2, 0, 1]
        lines = [",".join([names[i] for i in order] + ["text"])]
        lines += [",".join([*(str(row[i]) for i in order), text]) for text, row in zip(texts, labels, strict=True)]
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return made


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A model whose tokenizer reads 8 tokens, evaluated: its folder, and what is known of the test rows by hand."""
    root = tmp_path_factory.mktemp("evaluated")
    splits = write_data(root / "data")
    rule = DecisionRule(SCHEMA, THRESHOLDS)
    model, tokenizer = save_model(root / "model", rule, texts=splits["test"][0])
    whole = logits_one_by_one(model, tokenizer, splits["test"][0])
    tokenizer.model_max_length = 8
    tokenizer.save_pretrained(root / "model")
    logits = logits_one_by_one(model, tokenizer, splits["test"][0])
    assert (whole - logits).abs().max() > 0.1  # else the length would not matter
    flags = ["--model_dir", str(root / "model"), "--data_dir", str(root / "data"), "--batch_size", "7"]
    evaluate.main([*flags, "--n_worst", "1000"])
    return root, flags, rule, logits.numpy(), *splits["test"]


def results(root, split="test"):
    return json.loads((root / "model" / f"evaluation_{split}" / "metrics.json").read_text())


@pytest.mark.parametrize("kind", ["columns", "names"])
def test_all_rows_of_a_single_file_are_evaluated_by_the_names_of_its_labels(evaluated, tmp_path, capsys, kind):
    root, flags, *_, texts, labels = evaluated
    path = root / "data" / "test.csv"
    if kind == "names":
        cells = [";".join(name for name, value in zip(NAMES, row, strict=True) if value) for row in labels]
        path = tmp_path / "names.csv"
        path.write_text("text,labels\n" + "".join(f"{t},{c}\n" for t, c in zip(texts, cells, strict=True)) + ",\n")
    found = evaluate.main([*flags[:2], str(path), "--output_dir", str(tmp_path / "out")])
    assert found["data"]["rows"] == len(texts)
    assert found["metrics"]["f1_macro"] == pytest.approx(results(root)["metrics"]["f1_macro"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"All {len(texts)} rows with a text are taken as the test data." in said
    assert ("1 blank text" in said) == (kind == "names")


def test_metrics_at_the_thresholds_and_at_a_half(evaluated):
    root, _, rule, logits, _, labels = evaluated
    found = results(root)
    assert found["thresholds_are_tuned"] is True
    assert (found["version"], found["split"], found["step"]) == (1, "test", None)
    assert found["data"] == {"name": "data", "folder": str(root / "data"), "rows": 50}
    assert found["model"] == str(root / "model")
    assert found["thresholds"] == pytest.approx(dict(zip(NAMES, THRESHOLDS, strict=True)))
    per_label = {f"{m}_{name}" for m in ("recall", "precision", "f1", "support") for name in NAMES}
    for key, decides in (("metrics", rule), ("metrics_at_0.5", rule.untuned())):
        metrics = ImbalanceMetrics(SCHEMA)
        metrics.rule = decides
        metrics.update(logits, labels)
        wanted = {name: value for name, value in metrics.compute().items() if name not in per_label}
        ranks = wanted.pop("mean_average_precision")  # texts that are cut alike are ties but for the last bit
        assert found[key]["mean_average_precision"] == pytest.approx(ranks, abs=0.02)
        assert {name: found[key][name] for name in wanted} == pytest.approx(wanted, abs=1e-6)
        if key == "metrics":
            for row, recall, f1 in zip(found["labels"], metrics.table.recall, metrics.table.f1, strict=True):
                assert (row["recall"], row["f1"]) == pytest.approx((recall, f1))
    assert found["metrics"]["loss"] > 0


def test_other_thresholds_may_be_given(evaluated, tmp_path):
    _, flags, _, logits, _, labels = evaluated
    found = evaluate.main([*flags, "--thresholds", "0.2", "--output_dir", str(tmp_path)])
    decided = expit(logits) > 0.2
    decided[:, 1:] &= decided[:, :1]
    assert [row["true_positives"] for row in found["labels"]] == (decided & (labels > 0)).sum(0).tolist()


def test_counts_are_those_of_scikit_learn(evaluated):
    root, _, rule, logits, _, labels = evaluated
    found = results(root)
    at_thresholds, at_half = (
        multilabel_confusion_matrix(labels, r.decide(logits).numpy()) for r in (rule, rule.untuned())
    )
    assert (at_thresholds != at_half).any()
    assert (at_thresholds != multilabel_confusion_matrix(labels, rule.margins(logits).numpy() > 0)).any()  # is closed
    for i, row in enumerate(found["labels"]):
        assert (row["label"], row["threshold"]) == (NAMES[i], pytest.approx(THRESHOLDS[i]))
        for theirs, ours in ((at_thresholds[i], row), (at_half[i], row["at_0.5"])):
            names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
            assert [ours[name] for name in names] == theirs.ravel().tolist()


def errors_by_a_loop(logits, labels, rule, texts):
    """Wrong decisions, the worst first, entry by entry."""
    decided, scores = rule.decide(logits).tolist(), rule.scores(logits)
    errors = []
    for row, text in enumerate(texts):
        for i, (name, threshold) in enumerate(rule.by_label().items()):
            gold = labels[row][i]
            if gold == -100 or math.isnan(gold) or decided[row][i] == (gold > 0.5):
                continue
            score = scores[row, i].item()
            distance = (score - math.log(threshold / (1 - threshold))) * (-1 if gold > 0.5 else 1)
            kind = "missed" if gold > 0.5 else "false alarm"
            values = {"gold": int(gold > 0.5), "score": 1 / (1 + math.exp(-score)), "threshold": threshold}
            errors.append((distance, {"row": row, "text": text, "label": name, **values, "kind": kind}))
    return [error for _, error in sorted(errors, key=lambda pair: -pair[0])]


def assert_same_errors(found, wanted):
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert list(ours) == ["row", "text", "label", "gold", "score", "threshold", "kind"]
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)
        assert {**ours, "score": 0, "threshold": 0} == {**theirs, "score": 0, "threshold": 0}
        assert ours["threshold"] == pytest.approx(theirs["threshold"])


def test_worst_errors_of_a_run(evaluated):
    root, _, rule, logits, texts, labels = evaluated
    lines = (root / "model" / "evaluation_test" / "worst_errors.jsonl").read_text().splitlines()
    by_place = [
        sorted(errors, key=lambda error: (error["row"], error["label"]))
        for errors in ([json.loads(line) for line in lines], errors_by_a_loop(logits, labels, rule, texts))
    ]  # ties have no order
    assert_same_errors(*by_place)
    wrong = sum(row["false_positives"] + row["false_negatives"] for row in results(root)["labels"])
    assert len(lines) == wrong


@pytest.mark.parametrize("hierarchy_policy", ["drop_child", "add_parent"])
@pytest.mark.parametrize("seed", range(3))
def test_worst_errors_against_a_loop(seed, hierarchy_policy):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(60, 3)).astype(np.float32)
    labels = rng.choice([0, 1, 0.3, 0.7, -100, np.nan], (60, 3))
    texts = [f"text {i}" for i in range(60)]
    for rule in (
        DecisionRule(SCHEMA, THRESHOLDS, hierarchy_policy),
        DecisionRule(SCHEMA, hierarchy_policy=hierarchy_policy),
    ):
        wanted = errors_by_a_loop(logits, labels, rule, texts)
        for n in (0, 5, 1000):
            assert_same_errors(list(evaluate.worst_errors(logits, labels, rule, texts, n)), wanted[:n])
        off = [(error["score"] > error["threshold"]) == (error["kind"] == "missed") for error in wanted]
        assert any(off)  # closing alone made them wrong
        assert off == sorted(off)  # and they come last


def test_a_wrong_row_of_two_classes_is_listed_once():
    rule = DecisionRule(LabelSchema(["ham", "spam"]), two_classes=True)
    logits = np.array([[2.0, 0], [0, 1], [3, 0]], dtype=np.float32)
    labels = np.array([[0.0, 1], [0, 1], [1, 0]])
    (error,) = evaluate.worst_errors(logits, labels, rule, ["a", "b", "c"], 10)
    assert (error["row"], error["label"], error["kind"]) == (0, "spam", "missed")


def test_unknown_entries_count_nowhere_and_soft_ones_by_their_half():
    labels = np.array([[1, 0.7], [-100, 0.2], [0, np.nan], [1, 1], [0, 0.6]])
    logits = np.array([[2.0, -1], [3, 2], [1, 5], [-1, 2], [-2, 1]], dtype=np.float32)
    report = evaluate.label_report(logits, labels, DecisionRule(LabelSchema(["a", "b"])))
    assert [[row[count] for count in evaluate.COUNTS] for row in report] == [[1, 1, 1, 1], [2, 1, 1, 0]]


def test_prints_tables_and_says_what_it_wrote(evaluated, tmp_path, capsys):
    flags = evaluated[1]
    evaluate.main([*flags, "--split", "validation", "--n_worst", "2", "--output_dir", str(tmp_path / "out")])
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert any(line.startswith("validation: ") for line in lines)  # the trainer's table
    assert "decided by tuned thresholds; at 0.5" in out
    start = next(i for i, line in enumerate(lines) if "true pos  false pos  false neg  true neg" in line)
    table = {line.split()[0]: line.split()[1:] for line in lines[start + 1 : start + 4]}
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (found["split"], found["data"]["rows"]) == ("validation", 20)
    assert table == {row["label"]: [str(row[count]) for count in evaluate.COUNTS] for row in found["labels"]}
    support = [int(cells[0]) + int(cells[2]) for cells in table.values()]
    assert support == sorted(support)
    names = ["metrics.json", "worst_errors.jsonl"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert all(name in lines[-1] for name in names)
    assert len((tmp_path / "out" / "worst_errors.jsonl").read_text().splitlines()) == 2


def test_many_labels_are_a_table_of_the_rarest():
    long = "a label with a long name that goes on and on for quite some time, number {}"
    rows = [{"label": long.format(i), **dict.fromkeys(evaluate.COUNTS, 1_000_000 + i)} for i in range(60)]
    lines = as_text(*evaluate.confusion_message(rows[::-1])).splitlines()
    assert sum("1,000,0" in line for line in lines) == 20
    assert lines[-1] == "... and 40 more labels, in metrics.json"
    assert "number 0" in " ".join(lines[1:4])
    assert max(map(len, lines)) <= 80


def test_without_thresholds_on_the_demos_data(tmp_path, monkeypatch):
    data = demo_data()
    for split, rows in data.splits.items():
        data.splits[split] = rows.select(range(40))
    monkeypatch.setattr(models, "demo_data", lambda: data)
    save_model(tmp_path / "model", DecisionRule(data.schema))
    evaluate.main(["--model_dir", str(tmp_path / "model")])
    found = results(tmp_path)
    assert found["thresholds_are_tuned"] is False
    assert found["metrics_at_0.5"] is None
    assert set(found["thresholds"].values()) == {0.5}
    assert found["data"]["name"] == "demo"
    names = ["metrics.json", "worst_errors.jsonl"]
    assert sorted(path.name for path in (tmp_path / "model" / "evaluation_test").iterdir()) == names


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "tset"], "Unknown --split 'tset': did you mean 'test'"),
        (["--batch_size", "0"], "--batch_size must be at least 1; got 0"),
        (["--n_worst", "-1"], "--n_worst must be at least 0; got -1"),
        (["--model_dir", "absent"], "--model_dir absent: is no folder of a saved model, as it has no config.json"),
        (["--data_dir", "absent"], "absent: there is no such folder"),
        (["--data_dir", "empty"], "empty: has no split .train.; found nothing"),
        (["--data_dir", "others"], "others: has other labels than the model in .*: only the data has 'joy'; only the "
                                   "model has 'threats'"),
        (["--data_dir", "classes"], "classes: is single_label_classification, but the model in .* is multi_label_"),
        (["--label_columns", "insults", "treats"], "no label column 'treats': did you mean 'threats'"),
        (["--output_dir", "file/out"], "--output_dir file/out: cannot be written"),
    ],
)  # fmt: skip
def test_mistakes(flags, message, evaluated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("file").write_text("")
    write_data(Path("others"), ["hateful", "insults", "joy"])
    Path("classes").mkdir()
    Path("classes/train.csv").write_text("text,label\n" + "".join(f"text {i},{'xy'[i % 2]}\n" for i in range(20)))
    with pytest.raises((UsageError, DataError), match=message) as caught:
        evaluate.main([*evaluated[1], *flags])
    assert "\n" not in str(caught.value)


def test_models_that_cannot_be_evaluated(evaluated, tmp_path):
    rule = DecisionRule(SCHEMA)
    data = ["--data_dir", evaluated[1][3]]
    model, _ = save_model(tmp_path / "broken", rule)
    with torch.no_grad():
        model.classifier.out_proj.bias[1] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    with pytest.raises(DataError, match="broken: gives a score that is NaN or infinite, first for row 0"):
        evaluate.main(["--model_dir", str(tmp_path / "broken"), *data])


def test_of_the_file_that_training_made_its_splits_of_the_rows_that_it_left_out_are_taken(
    small_training, tmp_path, capsys
):
    train.main(small_training)
    file, model = tmp_path / "data" / "train.jsonl", str(tmp_path / "out")
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(file.read_bytes())
    for same in (file, copy):
        assert evaluate.main([str(same), "--model_dir", model])["data"]["rows"] == 6
    capsys.readouterr()
    lines = file.read_text().splitlines()
    copy.write_text("\n".join(lines[1:]))
    assert evaluate.main([str(copy), "--model_dir", model])["data"]["rows"] == 59
    assert "flatter" not in capsys.readouterr().out
    file.write_text("\n".join(line.replace("{", f'{{"user": {i // 2}, ', 1) for i, line in enumerate(lines)))
    assert evaluate.main([str(file), "--model_dir", model, "--split_group_column", "user"])["data"]["rows"] == 60
    assert "trained on some of them: results flatter" in " ".join(capsys.readouterr().out.split())
