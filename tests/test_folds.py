"""`train --folds`: cross-validation that reports, and leaves the trained model as it is."""

import json

import numpy as np
import pyarrow as pa
import pytest

from imbalance_trainer.cli.train import main
from imbalance_trainer.data.splits import deal_folds, together
from imbalance_trainer.utils.errors import DataError, UsageError


@pytest.mark.parametrize("seed", range(4))
def test_folds_share_each_label_and_part_nothing_that_belongs_together(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random((600, 4)) < [0.3, 0.1, 0.03, 0.02]).astype(int)
    texts = pa.array([f"text {i % 500}" for i in range(600)])
    item = together(texts, pa.array([f"user {i // 3}" if i < 90 else None for i in range(600)]))
    fold = deal_folds(item, labels, 4, 5, seed)
    assert all(len(set(fold[item == i])) == 1 for i in np.unique(item))
    for label in labels.T:
        counts = np.bincount(fold[label == 1], minlength=5)
        assert counts.min() >= 1
        assert counts.max() - counts.min() <= 0.35 * label.sum()
    assert abs(np.bincount(fold) - 120).max() <= 25
    classes = np.arange(60) % 3
    of_classes = deal_folds(np.arange(60), classes, 3, 3, seed)
    assert all(np.ptp(np.bincount(of_classes[classes == c], minlength=3)) <= 1 for c in range(3))


def test_too_few_texts_for_the_folds():
    with pytest.raises(DataError, match="2 different texts for 3 folds"):
        deal_folds(np.array([0, 1, 1]), np.ones((3, 1)), 1, 3, 0)


def test_folds_are_reported_found_again_and_change_nothing_of_the_model(small_training, tmp_path, capsys):
    alone = main([*small_training[:-1], str(tmp_path / "alone")])
    capsys.readouterr()
    found = main([*small_training, "--folds", "3"])
    said = capsys.readouterr().out
    assert said.count("of 3: f1_macro") == 3
    assert "Cross-validation on all 60 labelled rows, 3 folds" in said
    assert json.loads((tmp_path / "out" / "folds.json").read_text()) == found["folds"]
    assert {row["label"]: row["support"] for row in found["folds"]["labels"]} == _supports(tmp_path)
    kept = [json.loads(file.read_text()) for file in sorted((tmp_path / "out" / "folds").glob("*.json"))]
    values = [of["metrics"]["f1_macro"] for of in kept]
    overall = found["folds"]["metrics"]["f1_macro"]
    assert overall["folds"] == pytest.approx(values)
    assert (overall["mean"], overall["spread"]) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    recalls = [row["recall"] for of in kept for row in of["labels"] if row["label"] == "good" and row["support"]]
    good = next(row for row in found["folds"]["labels"] if row["label"] == "good")
    assert good["recall"]["mean"] == pytest.approx(np.mean(recalls))
    assert {k: v for k, v in found["metrics"].items() if "runtime" not in k and "second" not in k} == pytest.approx(
        {k: v for k, v in alone["metrics"].items() if "runtime" not in k and "second" not in k}
    )
    (tmp_path / "out" / "folds" / sorted(p.name for p in (tmp_path / "out" / "folds").glob("2-*"))[0]).unlink()
    main([*small_training, "--folds", "3"])
    assert capsys.readouterr().out.count("(done before)") == 2


def _supports(folder):
    rows = [json.loads(line) for line in (folder / "data" / "train.jsonl").read_text().splitlines()]
    return {name: sum(name in row["labels"] for row in rows) for name in ("bad", "good")}


@pytest.mark.parametrize("wrong", [["--folds", "2"], ["--folds", "3", "--max_train_samples", "9"]])
def test_what_does_not_go_with_folds(small_training, wrong):
    with pytest.raises(UsageError, match="--folds"):
        main([*small_training, *wrong])
