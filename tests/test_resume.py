"""A run that was stopped, or killed, and resumed ends as one that never stopped: weights, history, findings."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import Trainer, TrainerCallback

from imbalance_trainer import WeightedFocalTrainer
from imbalance_trainer.monitor.run_files import HISTORY_FILE, read_history
from imbalance_trainer.utils.errors import UsageError

from .conftest import vector

EXAMPLE = Path(__file__).parent.parent / "examples" / "train_model.py"


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step == self.step


@pytest.fixture
def run(make_model, make_rows, make_args, tmp_path):
    def run(name, stop_at=None, resume=False, **changes):
        args = make_args(
            output_dir=str(tmp_path / name), max_steps=12, eval_strategy="steps", eval_steps=2, save_strategy="steps",
            save_steps=2, learning_rate=1e-2, logging_steps=1, per_device_train_batch_size=8, **changes,
        )  # fmt: skip
        trainer = WeightedFocalTrainer(
            make_model(hidden_dropout_prob=0.1), args, train_dataset=make_rows(), eval_dataset=make_rows(seed=1),
            callbacks=[StopAt(stop_at)] if stop_at else None, class_weights={"LABEL_3": 12},
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def history_of(trainer):
    """Without the times, which differ."""
    entries = read_history(Path(trainer.args.output_dir) / HISTORY_FILE)
    for entry in entries:
        for key in [k for k in entry["metrics"] if k.endswith(("runtime", "per_second", "_time"))]:
            del entry["metrics"][key]
    return entries


@pytest.mark.parametrize("start", ["bias", "probe"])
@pytest.mark.parametrize("best", [False, True])
def test_a_resumed_run_is_bit_equal_to_one_that_never_stopped(best, start, run, capsys):
    best_model = {"load_best_model_at_end": True, "metric_for_best_model": "secondary_f1_macro"} if best else {}
    best_model["head_start"] = start
    undisturbed = run("whole", **best_model)
    run("parts", stop_at=6, **best_model)
    capsys.readouterr()
    resumed = run("parts", resume=True, **best_model)
    assert torch.equal(vector(undisturbed.model), vector(resumed.model))
    assert history_of(undisturbed) == history_of(resumed)
    assert [e["step"] for e in history_of(resumed)] == [2, 4, 6, 8, 10, 12]
    losses = [[log["loss"] for log in t.state.log_history if "loss" in log] for t in (undisturbed, resumed)]
    assert losses[0] == losses[1]
    assert undisturbed.state.best_metric == resumed.state.best_metric


def test_nothing_of_ours_is_in_the_models_state(run, make_model):
    trainer = run("whole")
    assert trainer.model.state_dict().keys() == make_model().state_dict().keys()
    checkpoint = Path(trainer.args.output_dir) / "checkpoint-12"
    assert {f.name for f in checkpoint.iterdir()} >= {"model.safetensors", "trainer_state.json", HISTORY_FILE}


def test_a_checkpoint_that_was_moved_has_its_history(run, tmp_path, capsys):
    """Only the checkpoint folder was kept, in another output folder."""
    undisturbed = run("whole")
    run("parts", stop_at=6)
    (tmp_path / "moved").mkdir()
    (tmp_path / "parts" / "checkpoint-6").rename(tmp_path / "moved" / "checkpoint-6")
    resumed = run("moved", resume=True)
    assert history_of(resumed) == history_of(undisturbed)


@pytest.mark.parametrize("best", [False, True])
def test_a_finished_run_that_is_resumed_stays_as_it_is(best, run):
    """Trainer would train one step more, each time."""
    best_model = {"load_best_model_at_end": True, "metric_for_best_model": "secondary_f1_macro"} if best else {}
    finished = run("whole", **best_model)
    again = run("whole", resume=True, **best_model)
    assert torch.equal(vector(finished.model), vector(again.model))
    assert again.state.global_step == 12
    assert history_of(again) == history_of(finished)
    assert {"train_loss", "train_runtime", "epoch"} <= set(again.state.log_history[-1])
    assert again.evaluate()["eval_loss"] == finished.evaluate()["eval_loss"]


def test_a_checkpoint_of_the_stock_trainer_is_refused_in_a_sentence(make_trainer, make_args, make_rows):
    args = make_args(max_steps=2, save_strategy="steps", save_steps=1)
    args.label_names = ["labels"]
    floats = make_rows(kind="floats")
    trainer = make_trainer(cls=Trainer, args=args, train_dataset=floats, eval_dataset=floats)
    trainer.model.config.problem_type = "multi_label_classification"
    trainer.train()
    with pytest.raises(UsageError, match="its optimizer has other parameter groups than this one, as that of the st"):
        make_trainer(args=args).train(resume_from_checkpoint=f"{args.output_dir}/checkpoint-1")


def words(n_words=40, n_rows=240, seed=0):
    rng = random.Random(seed)
    lines = ["text,hateful,rare"]
    for _ in range(n_rows):
        hateful = rng.random() < 0.4
        rare = hateful and rng.random() < 0.2
        text = [f"w{rng.randrange(n_words)}" for _ in range(6)] + ["bad"] * hateful + ["worst"] * rare
        lines.append(f"{' '.join(text)},{int(hateful)},{int(rare)}")
    return "\n".join(lines)


@pytest.fixture
def command(tmp_path):
    from imbalance_trainer.data.demo import demo_model

    model, tokenizer = demo_model()
    model.base_model.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").write_text(words())

    def command(output_dir):
        return [
            sys.executable, str(EXAMPLE), "--data_dir", str(tmp_path / "data"), "--model_name_or_path",
            str(tmp_path / "encoder"), "--output_dir", str(output_dir), "--use_cpu", "--max_steps", "1500",
            "--eval_strategy", "steps", "--eval_steps", "10", "--batch_size", "8", "--learning_rate", "1e-3",
            "--resume_from_checkpoint", "true",
        ]  # fmt: skip

    return command


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_weights(command, tmp_path):
    """SIGKILL 20 times, at random points of training and of saving."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(command(tmp_path / "whole"), check=True, env=environment, capture_output=True)
    rng, passed_over, at = random.Random(0), 0, []
    for i in range(20):
        log = tmp_path / f"log{i}"
        with log.open("w") as out:
            process = subprocess.Popen(command(tmp_path / "killed"), stdout=out, stderr=out, env=environment)
            while "Class weights" not in log.read_text() and process.poll() is None:
                time.sleep(0.05)
            time.sleep(rng.uniform(0.0, 1.2))
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert "Traceback" not in log.read_text(), log.read_text()[-2000:]
        passed_over += log.read_text().count("Passed over")
        at.append(max((int(p.name[11:]) for p in (tmp_path / "killed").glob("checkpoint-*")), default=0))
    done = subprocess.run(command(tmp_path / "killed"), check=True, env=environment, capture_output=True, text=True)
    print(f"last checkpoint after each kill: {at}; torn ones passed over: {passed_over}")
    assert "Saved in" in done.stdout
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == (
        tmp_path / "killed" / "model.safetensors"
    ).read_bytes()
    steps = [[e["step"] for e in read_history(tmp_path / d / HISTORY_FILE)] for d in ("whole", "killed")]
    assert steps[0] == steps[1]
