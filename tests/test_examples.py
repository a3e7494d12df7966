"""The examples as a user runs them. Mistakes: one sentence, an exit code, no traceback."""

import functools
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from transformers import Trainer

from imbalance_trainer import load_labelled_dataset
from imbalance_trainer.utils.constants import CONFIG_KEY
from imbalance_trainer.utils.errors import DataError, NonFiniteLossError, UsageError

EXAMPLES = Path(__file__).parent.parent / "examples"


@functools.cache  # a second module of the same name would have other classes
def load(name):
    spec = importlib.util.spec_from_file_location(f"examples_{name.replace('/', '_')}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


train = load("train_model").main
analyze = load("analyze_class_distribution").main

NAMES = ["hateful", "insults", "threats"]
KINDS = [("you clown", "1,1,0"), ("we know where you live", "1,0,1"), ("good bread", "0,0,0"), ('nice "sun"', "0,0,0")]
ROWS = [(f"{text} {i}", labels) for i in range(8) for text, labels in KINDS]


def write_csv(folder, rows=ROWS, header="text,hateful,insults,threats"):
    folder.mkdir(exist_ok=True)
    lines = ['"{}",{}'.format(text.replace('"', '""'), labels) for text, labels in rows]
    (folder / "train.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder


@pytest.fixture
def data_dir(tmp_path):
    return write_csv(tmp_path / "data")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    from imbalance_trainer.data.demo import demo_model

    folder = tmp_path_factory.mktemp("encoder")
    model, tokenizer = demo_model()
    model.base_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def run_train(data_dir, encoder, tmp_path):
    def run(*flags, folder=data_dir):
        basics = ["--data_dir", str(folder), "--model_name_or_path", encoder, "--output_dir", str(tmp_path / "run")]
        train([*basics, "--num_epochs", "2", "--batch_size", "8", "--use_cpu", *flags])

    return run


def test_train_from_a_csv_to_a_saved_model(run_train, tmp_path, capsys):
    run_train("--custom_weights", '{"Threats": 7}', "--focal_gamma", "3", "--max_length", "16")
    out = capsys.readouterr().out
    saved = tmp_path / "run"
    for name in ("config.json", "model.safetensors", "tokenizer.json", "train_results.json", "test_results.json",
                 "label_history.jsonl", "trainer_state.json", "README.md", "metrics.json"):  # fmt: skip
        assert (saved / name).is_file(), name
    assert "7  custom" in out
    assert "Thresholds tuned on" in out
    assert "The best model is loaded (f1_macro" in out
    state = json.loads((saved / "trainer_state.json").read_text())
    assert f"test: epoch {state['best_global_step'] // 4}, step {state['best_global_step']}," in out
    assert "imbalance-trainer predict --model_dir" in out.splitlines()[-1]
    splits = [json.loads(line)["split"] for line in (saved / "label_history.jsonl").read_text().splitlines()]
    assert splits in (["eval", "eval", "test"], ["eval", "eval", "eval", "test"])  # the third where tuning helped
    assert json.loads((saved / "config.json").read_text())["id2label"]["2"] == "threats"


def test_the_demo_trains_without_a_flag(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train(["--num_epochs", "1", "--max_train_samples", "320", "--use_cpu"])
    assert (tmp_path / "runs" / "demo" / "model.safetensors").is_file()
    out = capsys.readouterr().out
    assert "anti-democratic rhetoric" in out
    assert "too few to tune on" not in out


def test_custom_weights_over_none_leave_the_others_at_1(run_train, tmp_path, capsys):
    nowhere = tmp_path / "no" / "such" / "folder"
    run_train(
        "--class_weights", "none", "--custom_weights", '{"threats": 7}', "--dry_run", "--output_dir", str(nowhere)
    )
    assert not (tmp_path / "no").exists()
    table = capsys.readouterr().out
    weights = {line.split()[0]: line.split()[-2] for line in table.splitlines() if line.endswith(" custom")}
    assert weights == {"threats": "7", "insults": "1", "hateful": "1"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--custom_weights", '{"treats": 3}'], "Unknown label 'treats'.*did you mean 'threats'"),
        (["--custom_weights", '{"threats": -3}'], "weight of 'threats' must be a positive finite number; got -3"),
        (["--custom_weights", "weights.json"], "'weights.json' is no such file"),
        (["--class_weights", "[1, 2]"], "Got 2 class weights for 3 labels"),
        (["--focal_gamma", "-1"], "focal_gamma must be a finite number >= 0; got -1"),
        (["--metric_for_best_model", "f1_makro"], "Unknown metric_for_best_model 'f1_makro': did you mean 'f1_macro'"),
        (["--model_name_or_path", "no/such-model"], "--model_name_or_path no/such-model: cannot be loaded"),
        (["--max_train_samples", "0"], "--max_train_samples must be at least 1; got 0"),
        (["--text_column", "txt"], "txt.*text"),
        (["--label_columns", "insults", "treats"], "no label column 'treats': did you mean 'threats'"),
        (["--label_schema", "nofile.json"], "nofile.json: cannot be read"),
        (["--eval_strategy", "foo"], "foo.*no.*steps.*epoch"),
        (["--load_best_model_at_end", "true", "--save_strategy", "no"], "--help lists all flags"),
        (["--batch_size", "0"], "batch_size must be at least 1; got 0"),
        (["--max_length", "0"], "--max_length must be at least 3"),
        (["--config_overrides", "nothing=3"], "--config_overrides nothing=3: .*nothing"),
    ],
)
def test_wrong_flags(flags, message, run_train, monkeypatch):
    monkeypatch.setattr(Trainer, "train", lambda *_, **__: pytest.fail("was trained"))
    with pytest.raises((UsageError, DataError), match=message):
        run_train(*flags)


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--class_weights", '{"threats": -3}', "weight of 'threats' must be a positive finite number; got -3"),
        ("--metric_for_best_model", "f1_makro", "did you mean 'f1_macro'"),
        ("--thresholds", '{"threats": 2}', "A threshold lies in"),
    ],
)
def test_what_needs_no_model_is_checked_before_it_is_loaded(flag, value, message, run_train):
    with pytest.raises(UsageError, match=message):
        run_train(flag, value, "--model_name_or_path", "no/such-model")


@pytest.mark.parametrize("program", ["train", "analyze"])
def test_wrong_data(program, run_train, tmp_path):
    for folder, message in ((write_csv(tmp_path / "broken", [*ROWS, ("bad", "1,2,0")]), "33.*insults.*2"),
                            (tmp_path / "nowhere", "no such")):  # fmt: skip
        with pytest.raises((UsageError, DataError), match=message):
            run_train(folder=folder) if program == "train" else analyze(["--data_dir", str(folder), "--plot", "none"])


def test_a_mistake_ends_with_a_sentence_and_a_code(tmp_path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "analyze_class_distribution.py", "--data_dir", str(tmp_path / "nowhere")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_config_file_may_name_the_data(data_dir, encoder, tmp_path, capsys):
    config = tmp_path / "run.yaml"
    config.write_text(f"data-dir: {data_dir}\nmodel-name-or-path: {encoder}\noutput-dir: {tmp_path / 'run'}\n")
    train(["--config", str(config), "--use_cpu", "--num_epochs", "1"])
    assert "Demo:" not in capsys.readouterr().out
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_a_dry_run_leaves_a_finished_run_alone(run_train, tmp_path, capsys):
    run_train()
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    capsys.readouterr()
    run_train("--dry_run")
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()} == before
    assert "WARNING" not in capsys.readouterr().out  # one update says nothing of the weights


def test_one_label_can_be_trained(tmp_path, run_train):
    folder = write_csv(tmp_path / "one", [(text, labels[0]) for text, labels in ROWS], header="text,hateful")
    run_train(folder=folder)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["problem_type"] == "multi_label_classification"


def test_a_saved_model_is_only_tested(run_train, encoder, tmp_path, capsys, data_dir):
    run_train()
    capsys.readouterr()
    train(["--data_dir", str(data_dir), "--model_name_or_path", str(tmp_path / "run"), "--do_train", "false",
           "--output_dir", str(tmp_path / "tested"), "--use_cpu"])  # fmt: skip
    assert "test: " in capsys.readouterr().out
    first, again = (json.loads((tmp_path / d / "test_results.json").read_text()) for d in ("run", "tested"))
    assert first["test_loss"] == pytest.approx(again["test_loss"], rel=1e-6)


@pytest.mark.slow
def test_a_reader_that_stops_early_is_no_error():
    command = f"{sys.executable} {EXAMPLES / 'analyze_class_distribution.py'} --plot none | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("Demo:")


def test_a_loss_that_explodes_stops_the_training(run_train):
    with pytest.raises(NonFiniteLossError, match=r"At step \d+ the loss is .*Lower --learning_rate \(now 1e\+30\)"):
        run_train("--learning_rate", "1e30", "--max_grad_norm", "0")


@pytest.mark.parametrize("torn", [False, True])
def test_resume_true_takes_the_last_complete_checkpoint_or_starts(torn, run_train, tmp_path, capsys):
    flags = ["--resume_from_checkpoint", "true", "--save_strategy", "steps", "--save_steps", "4", "--num_epochs", "1",
             "--eval_strategy", "steps", "--eval_steps", "4"]  # fmt: skip
    run_train(*flags)
    assert "No checkpoint in" in capsys.readouterr().out
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    if torn:
        (tmp_path / "run" / "checkpoint-4" / "trainer_state.json").write_text("{")
    run_train(*flags)
    out = capsys.readouterr().out
    assert ("Passed over" in out) == torn
    assert "from the start" in out if torn else "Resuming from" in out
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_a_checkpoint_that_is_none_is_named(run_train, tmp_path):
    with pytest.raises(UsageError, match="--resume_from_checkpoint nowhere: there is no such folder"):
        run_train("--resume_from_checkpoint", "nowhere")


def test_metrics_and_card_of_a_run(run_train, tmp_path, data_dir):
    run_train("--threshold_objective", "recall_at_precision", "--threshold_floor", "0.1")  # for F1 0.5 may stay
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    written = json.loads((tmp_path / "run" / "test_results.json").read_text())
    config = json.loads((tmp_path / "run" / "config.json").read_text())["imbalance_trainer"]
    assert (found["version"], found["split"]) == (1, "test")
    assert found["data"] == {"name": "data", "folder": str(data_dir), "rows": found["data"]["rows"]}
    assert found["data"]["rows"] == len(load_labelled_dataset(data_dir).splits["test"])
    assert found["metrics"] == {name: written[f"test_{name}"] for name in found["metrics"]}
    assert found["metrics_at_0.5"] == {name: written[f"test_at_0.5_{name}"] for name in found["metrics_at_0.5"]}
    assert "f1_macro" in found["metrics_at_0.5"]
    assert (found["thresholds"], found["thresholds_are_tuned"]) == (config["thresholds"], True)
    assert found["thresholds_tuned_on_this_data"] is False
    assert [row["label"] for row in found["labels"]] == NAMES
    assert {f"test_recall_{row['label']}": row["recall"] for row in found["labels"]}.items() <= written.items()
    state = json.loads((tmp_path / "run" / "trainer_state.json").read_text())
    assert found["step"] == state["best_global_step"]
    card = ModelCard.load(tmp_path / "run" / "README.md")
    assert {result.dataset_name for result in card.data.eval_results} == {"data"}
    assert {result.dataset_split for result in card.data.eval_results} == {"eval", "test"}
    assert str(tmp_path) not in card.content


def test_thresholds_set_by_hand_take_the_place_of_tuning(run_train, tmp_path, capsys):
    flags = ["--num_epochs", "1", "--thresholds", '{"threats": 0.3}']
    with pytest.raises(UsageError, match="--thresholds are set by hand and --tune_thresholds true finds others"):
        run_train(*flags, "--tune_thresholds", "true")
    run_train(*flags)
    assert "Thresholds tuned on" not in capsys.readouterr().out
    saved = json.loads((tmp_path / "run" / "config.json").read_text())[CONFIG_KEY]["thresholds"]
    assert saved["threats"] == 0.3
    assert set(saved.values()) == {0.3, 0.5}


@pytest.mark.distributed
def test_two_processes_save_all(data_dir, encoder, tmp_path):
    flags = ["--data_dir", str(data_dir), "--model_name_or_path", encoder, "--output_dir", str(tmp_path / "run"),
             "--num_epochs", "1", "--use_cpu"]  # fmt: skip
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*launch, EXAMPLES / "train_model.py", *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Saved in") == 1
    results = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert ModelCard.load(tmp_path / "run" / "README.md").data.eval_results
    assert results["data"]["rows"] == len(load_labelled_dataset(data_dir).splits["test"])


def test_many_labels_says_what_it_took(tmp_path, capsys):
    flags = {"n_labels": "60", "n_rows": "160", "max_steps": "4", "output_dir": str(tmp_path), "report_to": "none"}
    load("by_feature/many_labels").main([part for name, value in flags.items() for part in (f"--{name}", value)])
    assert re.search(r"60 labels, f1_micro 0\.\d+, peak of memory \d\.\d\d GiB", capsys.readouterr().out)
