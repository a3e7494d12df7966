"""`imbalance-trainer compare` as a user runs it."""

import json
import shlex

import numpy as np
import pytest

from imbalance_trainer.cli.compare import CompareArguments, _how_to_train
from imbalance_trainer.cli.compare import main as compare
from imbalance_trainer.cli.predict import main as predict
from imbalance_trainer.utils.errors import UsageError
from tests.test_examples import encoder, train, write_csv  # noqa: F401 - a fixture


@pytest.fixture
def data_dir(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"bread {i} soup", "0,0,0") for i in range(60)]
    rows += [(f"you clown {i}", "1,1,0") for i in range(30)]
    rows += [(f"we know where you live {i}", "1,0,1") for i in range(20)]
    return write_csv(tmp_path / "data", [rows[i] for i in rng.permutation(len(rows))])


@pytest.mark.parametrize("frozen", ["false", "true"])
def test_a_comparison_prints_its_runs_a_table_and_a_verdict_and_goes_on(data_dir, encoder, tmp_path, capsys, frozen):  # noqa: F811
    out = tmp_path / "out"
    asked = "--methods default,bce --seeds 1 2 --max_steps 4 --batch_size 8".split()
    flags = [str(data_dir), "--model", str(encoder), *asked, "--frozen", frozen, "--output_dir", str(out)]
    compare(flags)
    first = capsys.readouterr().out
    assert "3 methods, 2 seeds, 4 steps of 8 rows each." in first
    assert "[6/6] bce" in first
    table = first[first.index("method ") : first.index("Kept in")]
    table = table.partition("Train with it: ")[0].partition("Use it with: ")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert json.loads((out / "comparison.json").read_text())["verdict"] in " ".join(first.split())
    compare([flag for flag in flags if flag != "1"])  # --seeds 2 are the seeds 1 and 2
    again = capsys.readouterr().out
    assert again.count("(done before)") == 6
    assert table in again


@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize("options", [{}, {"loss": "bce"}, {"loss": "asymmetric", "loss_args": {"shift": 0.1}},
                                     {"focal_gamma": 3.0, "class_weights": None}])  # fmt: skip
def test_what_to_type_for_the_best_method_trains(data_dir, encoder, tmp_path, options, is_frozen, monkeypatch):  # noqa: F811
    how = {"config_overrides": "hidden_dropout_prob=0", "batch_size": 4, "max_length": 16}
    how |= {"data_dir": str(data_dir), "label_columns": ["hateful", "insults", "threats"]}
    args = CompareArguments(model_name_or_path=str(encoder), frozen=is_frozen, max_train_samples=20, **how)
    line = _how_to_train(options, 1e-4, args, 2.5)
    words = shlex.split(line.removeprefix("Train with it: "))
    assert words[:2] == ["imbalance-trainer", "train"]
    made = []
    with monkeypatch.context() as patch:
        patch.setattr(
            "imbalance_trainer.training.trainer.WeightedFocalTrainer.train", lambda self, **more: made.append(self)
        )
        with pytest.raises(AttributeError):  # nothing was trained
            train([*words[2:], "--use_cpu", "--output_dir", str(tmp_path / "trained")])
    (trainer,) = made
    assert len(trainer.train_dataset) == 88  # all rows of the training split, not those that were compared on
    assert trainer.model.config.hidden_dropout_prob == 0
    assert max(map(len, trainer.train_dataset["input_ids"])) <= 16
    for name, value in options.items():
        assert getattr(trainer.imbalance.options, name) == value
    expected = {"learning_rate": 1e-4, "warmup_steps": 0.1, "num_train_epochs": 2.5, "per_device_train_batch_size": 4}
    for name, value in ({} if is_frozen else expected).items():
        assert getattr(trainer.args, name) == value


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["nowhere"], "--model_name_or_path is missing"),
        (["--frozen", "true"], "--model_name_or_path is missing"),
        (["--methods", "focl"], "Unknown method 'focl'"),
        (["--num_epochs", "0"], "--num_train_epochs must be a finite number above 0; got 0"),
        (["--seeds", "1", "1"], "--seeds names a value twice; got 1, 1"),
        (["--seeds", "0"], "--seeds is how many, such as 3.* got 0"),
        (["--seeds", "-1"], "--seeds is how many.* got -1"),
        (["--learning_rates", "0"], "--learning_rates are"),
        (["--batch_size", "0"], "--batch_size must be at least 1"),
        (["--method", "bce"], "Unknown flag --method"),
    ],
)
def test_wrong_flags_are_one_sentence(flags, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        compare([*flags, "--output_dir", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_the_linear_baseline_is_always_there_and_may_be_what_to_take(data_dir, encoder, tmp_path, capsys):  # noqa: F811
    asked = "--methods bce --seeds 1 --max_steps 1 --batch_size 8".split()
    found = compare([str(data_dir), "--model", str(encoder), *asked, "--output_dir", str(tmp_path / "out")])
    out = capsys.readouterr().out
    said = " ".join(out.split())
    assert "linear: macro F1 1.000 at 0.5" in said  # a label is a word of these texts
    assert found["best"] == "linear"
    assert "difference_from_stock" in found["methods"]["linear"]
    assert "Take linear" in said or "linear is ahead of stock" in said
    (line,) = (line for line in out.splitlines() if line.startswith("Use it with: imbalance-trainer predict "))
    texts = tmp_path / "texts.txt"
    texts.write_text("we know where you live 3\n\ngarden soup\n")
    flags = shlex.split(line.partition(" predict ")[2].partition(" --text")[0])
    predict([*flags, "--file", str(texts), "--batch_size", "2"])
    threat, blank, nice = (json.loads(line)["labels"] for line in capsys.readouterr().out.splitlines())
    assert {label["label"] for label in threat} == {"hateful", "threats"}
    assert (blank, nice) == ([], [])
