"""`imbalance-trainer tune`: it stores what tune_decisions says of the logits, and changes nothing else."""

import json

import numpy as np
import pytest

from imbalance_trainer import LabelSchema
from imbalance_trainer.cli import evaluate as evaluate_command
from imbalance_trainer.cli import tune as tune_command
from imbalance_trainer.cli.export import main as export
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.tuning.decisions import TuningOptions, tune_decisions
from imbalance_trainer.utils.errors import UsageError

from .data.made import csv_text
from .test_evaluate_command import SCHEMA, write_data
from .test_labels import assert_one_sentence
from .test_predict_command import logits_one_by_one, save_model


@pytest.fixture
def saved(tmp_path):
    """A model without thresholds, data, the flags that name them, and the logits and labels of validation."""
    texts, labels = write_data(tmp_path / "data")["validation"]
    model, tokenizer = save_model(tmp_path / "model", DecisionRule(SCHEMA), texts=texts)
    flags = ["--model_dir", str(tmp_path / "model"), "--data_dir", str(tmp_path / "data"), "--batch_size", "7"]
    return tmp_path / "model", flags, logits_one_by_one(model, tokenizer, texts).numpy(), labels


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_with_more_than_ten_labels_a_tuned_model_is_read_as_before(tmp_path):
    names, rng = [f"label {i}" for i in range(12)], np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for split in ("train", "validation", "test"):
        rows = [(f"{split} text {i}", *(rng.random(12) < 0.4).astype(int)) for i in range(40)]
        (tmp_path / "data" / f"{split}.csv").write_text(csv_text(["text", *names], rows))
    save_model(tmp_path / "model", DecisionRule(LabelSchema(names)), texts=[f"text {i}" for i in range(5)])
    flags = ["--model_dir", str(tmp_path / "model"), "--data_dir", str(tmp_path / "data")]
    tuned = tune_command.main(flags)["thresholds"]
    config = tmp_path / "model" / "config.json"
    for _ in range(2):
        found = evaluate_command.main([*flags, "--split", "validation"])
        assert [row["label"] for row in found["labels"]] == names
        assert {row["label"]: row["threshold"] for row in found["labels"]} == pytest.approx(tuned)
        in_order = json.loads(config.read_text())
        config.write_text(json.dumps(in_order, sort_keys=True))  # "10" stands before "2", as in files of before
    assert list(in_order["id2label"]) == sorted(in_order["id2label"])


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ([], TuningOptions()),
        (["--n_bootstrap", "0"], TuningOptions()),
        (
            ["--threshold_objective", "recall_at_precision", "--threshold_floor", "0.5"],
            TuningOptions("recall_at_precision", threshold_floor=0.5),
        ),
    ],
)
def test_the_model_has_the_thresholds_that_its_logits_give(saved, more, options, capsys):
    folder, flags, logits, labels = saved
    before = contents(folder)
    found = tune_command.main([*flags, *more])
    wanted = tune_decisions(logits, labels, DecisionRule(SCHEMA), options, n_bootstrap=0)
    assert found["thresholds"] == pytest.approx(wanted.rule.by_label(), abs=1e-4)
    assert (found["rows"], found["split"], found["stored"]) == (20, "validation", True)
    # batches round otherwise than single rows, so that a row at a threshold of a fold may fall to its other side
    assert found["metrics"]["f1_macro"] == pytest.approx(wanted.held_out["f1_macro"], abs=0.05)
    assert (found["ranges"] is None) == ("--n_bootstrap" in more)
    for name, pair in (found["ranges"] or {}).items():  # of fewer than five positives it says nothing
        assert (pair is None) == (wanted.thresholds.tuned_on[SCHEMA.names.index(name)] < 5)
    after = contents(folder)
    stored = json.loads(after.pop("config.json"))["imbalance_trainer"]
    assert stored["thresholds"] == pytest.approx(found["thresholds"])
    assert after == {name: content for name, content in before.items() if name != "config.json"}
    out = capsys.readouterr().out
    assert "Thresholds tuned on 20 rows" in out
    assert out.splitlines()[-1] == f"Stored in {folder / 'config.json'}."


def test_a_dry_run_stores_nothing(saved, capsys):
    folder, flags, *_ = saved
    before = contents(folder)
    with pytest.raises(UsageError, match=r"--split test: results on rows .* say --allow_in_sample true"):
        tune_command.main([*flags, "--dry_run", "--split", "test"])
    assert tune_command.main([*flags, "--dry_run", "--split", "test", "--allow_in_sample"])["stored"] is False
    assert "WARNING: tuned on the test split" in capsys.readouterr().out
    alone = [*flags[:2], "--test_file", str(folder.parent / "data" / "validation.csv"), "--dry_run"]
    assert tune_command.main(alone)["rows"] == 20  # and not a tenth
    assert contents(folder) == before
    assert "Nothing is stored" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "valid"], "Unknown --split 'valid': did you mean 'validation'"),
        (["--n_bootstrap", "-1"], "--n_bootstrap must be at least 0; got -1"),
        (["--threshold_objective", "f2"], "Unknown objective 'f2'"),
    ],
)
def test_mistakes_change_nothing(flags, message, saved):
    folder, before = saved[0], contents(saved[0])
    with pytest.raises(UsageError, match=message) as caught:
        tune_command.main([*saved[1], *flags])
    assert_one_sentence(caught.value)
    assert contents(folder) == before


def test_baked_thresholds_are_not_tuned_again(saved, tmp_path):
    folder, flags, *_ = saved
    tune_command.main([*flags, "--n_bootstrap", "0"])
    export(["--model_dir", str(folder), "--output_dir", str(tmp_path / "baked")])
    with pytest.raises(UsageError, match="baked: has its thresholds baked into the head; tune the model it was made"):
        tune_command.main(["--model_dir", str(tmp_path / "baked"), *flags[2:]])
