"""Adaptive weights: what moves, how far, how often, and that a resumed run goes on as if it had never stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import EarlyStoppingCallback, TrainerCallback

from imbalance_trainer import ImbalanceTrainingArguments, WeightedFocalTrainer
from imbalance_trainer.adaptive import FILE_NAME, AdaptiveWeights
from imbalance_trainer.adaptive_callback import AdaptiveWeightsCallback
from imbalance_trainer.diagnosis import Settings
from imbalance_trainer.errors import UsageError

from .test_diagnosis import evaluation, row, weights

ZERO, FOUND, OFTEN = (12, 0, 0), (12, 12, 9), (60, 100, 20)


def play(adaptive, *entries, settings=None):
    """Steps through evaluations, and the log lines of each."""
    history, lines = [], []
    for entry in entries:
        history.append(entry)
        now = weights(**adaptive.weights)
        lines.append(adaptive.step(history, settings or Settings(now, focal_gamma=adaptive.gamma)))
    return lines


def of(name="a", weight=10.0, gamma=None, patience=2, **others):
    return AdaptiveWeights({name: weight, **others}, gamma, 20.0, patience)


def both(a):
    return evaluation(a=row(*a), b=row(*FOUND))


def test_a_silent_label_is_raised_by_half_after_two_evaluations():
    adaptive = of(b=1.0)
    lines = play(adaptive, both(ZERO), both(ZERO))
    assert adaptive.weights == {"a": 15.0, "b": 1.0}
    assert lines == [[], ["weight of 'a': 10 -> 15 (never found, 2 evaluations in a row)"]]


def test_it_is_then_left_alone_for_two_and_never_passes_the_cap():
    adaptive = of(b=1.0)
    seen = []
    for n in range(1, 9):
        play_one = [both(ZERO)] * n
        adaptive.step(play_one, Settings(weights(a=min(adaptive.weights["a"], 20.0), b=1.0)))
        seen.append(adaptive.weights["a"])
    assert seen == [10, 15, 15, 20, 20, 20, 20, 20]


def test_a_label_that_is_predicted_too_often_is_lowered_to_one_at_least():
    adaptive = of(weight=1.2, b=1.0)
    play(adaptive, both(OFTEN), both(OFTEN))
    assert adaptive.weights["a"] == 1.0
    adaptive = of(b=1.0)
    play(adaptive, both(OFTEN), both(OFTEN))
    assert adaptive.weights["a"] == pytest.approx(7.0)


def test_a_change_of_direction_waits_twice_as_long():
    adaptive = of(b=1.0)
    up = [both(ZERO)] * 2
    play(adaptive, *up)
    history, changes = up, []
    for _ in range(5):
        history = [*history, both(OFTEN)]
        changes.append(bool(adaptive.step(history, Settings(weights(a=15.0, b=1.0)))))
    assert changes == [False, False, False, True, False]  # seen twice at the second, left alone for four
    assert adaptive.weights["a"] == pytest.approx(10.5)


def test_what_is_no_warning_changes_nothing():
    best = {"best_threshold": 0.2, "best_recall": 0.5, "best_precision": 0.5, "highest_score": 0.4}
    few, threshold = row(3, 0, 0), row(*ZERO, average_precision=0.5, prevalence=0.01, threshold=0.5, **best)
    for label in (few, threshold, row(*ZERO, train_support=0), row(*ZERO, found_before_closing=2)):
        adaptive = of(b=1.0)
        play(adaptive, *[evaluation(a=label, b=row(*FOUND))] * 3)
        assert adaptive.weights["a"] == 10.0
    adaptive = AdaptiveWeights({f"l{i}": 3.0 for i in range(4)}, None, 20.0)
    play(adaptive, *[evaluation(**{f"l{i}": (300, 0, 0, 3.0) for i in range(4)})] * 3)  # hardly learned at all
    assert set(adaptive.weights.values()) == {3.0}


def test_gamma_follows_labels_at_the_cap_and_labels_predicted_too_often():
    adaptive = AdaptiveWeights({"a": 20.0, "b": 1.0}, 2.0, 20.0)
    lines = play(adaptive, *[evaluation(a=(12, 0, 0, 20.0), b=row(*FOUND))] * 6)
    assert adaptive.gamma == 3.0  # and no further
    assert lines[1] == ["focal_gamma: 2 -> 2.5 (1 label at the cap is never found)"]
    adaptive = AdaptiveWeights({"a": 10.0, "b": 10.0}, 2.0, 20.0)
    play(adaptive, *[evaluation(a=(60, 100, 20, 10.0), b=(60, 100, 20, 10.0))] * 6)
    assert adaptive.gamma == 1.5
    fixed = of(weight=20.0, b=1.0)
    play(fixed, *[evaluation(a=(12, 0, 0, 20.0), b=row(*FOUND))] * 6)
    assert fixed.gamma is None


@given(st.lists(st.sampled_from([ZERO, FOUND, OFTEN]), max_size=12), st.integers(0, 12), st.floats(0.5, 20))
def test_it_goes_on_where_it_was_saved_and_stays_under_the_cap(seen, cut, weight):
    history = [both(a) for a in seen]

    def stepped(adaptive, start):
        for i in range(start, len(history)):
            now = Settings(weights(**adaptive.weights), focal_gamma=adaptive.gamma)
            adaptive.step(history[max(0, i - 2) : i + 1], now)
            assert min(1.0, weight) <= adaptive.weights["a"] <= 20.0
        return adaptive

    whole = stepped(of(weight=weight, b=1.0, gamma=2.0), 0)
    history, rest = history[:cut], history
    first = stepped(of(weight=weight, b=1.0, gamma=2.0), 0)
    history, second = rest, of(weight=1.0, b=9.0)
    second.restore(json.loads(json.dumps(first.to_json())))
    stepped(second, min(cut, len(rest)))
    assert second.to_json() == whole.to_json()


# ---- in the trainer ----


def test_gamma_needs_weights_and_the_focal_loss(tmp_path):
    with pytest.raises(UsageError, match="adaptive_gamma goes with adaptive_weights"):
        ImbalanceTrainingArguments(output_dir=str(tmp_path), adaptive_gamma=True)


@pytest.fixture
def trained(make_model, make_rows, make_args, monkeypatch):
    """Trains with a diagnosis that always finds label 0 silent, and gives the trainer."""

    def silent(history, settings=None, patience=2, **more):
        from imbalance_trainer.diagnosis.labels import _not_learned

        name = history[-1]["labels"][0]["label"]
        known = Settings(settings.class_weights, 20.0, 2.0)
        return [_not_learned(name, "made up", known, history[-1]["labels"][0]["weight"], 2)]

    monkeypatch.setattr("imbalance_trainer.adaptive.diagnose", silent)

    def train(folder, resume=None, callbacks=(), **changes):
        args = make_args(
            output_dir=str(folder), eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2,
            adaptive_weights=True, class_weights="auto", **{"max_steps": 8, **changes},
        )  # fmt: skip
        sets = {"train_dataset": make_rows(32), "eval_dataset": make_rows(16)}
        trainer = WeightedFocalTrainer(make_model(), args, callbacks=list(callbacks), **sets)
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return train


def test_weights_move_in_training_and_reach_loss_config_history_and_checkpoints(trained, tmp_path):
    trainer = trained(tmp_path)
    name = trainer.label_schema.names[0]
    asked, final = trainer.asked_weights.as_dict()[name], trainer.class_weights.as_dict()[name]
    assert final > asked
    assert trainer.model.config.imbalance_trainer["class_weights"][name] == final
    assert "adapted by step" in trainer.class_weights.reasons[0]
    saved = [json.loads((tmp_path / f"checkpoint-{s}" / FILE_NAME).read_text())["weights"][name] for s in (2, 4, 6, 8)]
    assert saved == sorted(saved)
    assert final in saved[-2:]  # the last evaluation may ask for more, which no update follows
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["labels"][0]["weight"] == final
    lines = [json.loads(line) for line in (tmp_path / "label_history.jsonl").read_text().splitlines()]
    assert [line["labels"][0]["weight"] for line in lines] == [asked, *saved[:-1]]


@pytest.mark.parametrize("steps", [2, 4, 6, 8, 10])
def test_the_weights_at_the_end_are_those_of_the_last_update(trained, tmp_path, steps):
    trainer = trained(tmp_path, max_steps=steps)
    lines = [json.loads(line) for line in (tmp_path / "label_history.jsonl").read_text().splitlines()]
    used = [row["weight"] for row in lines[-1]["labels"]]
    assert list(trainer.class_weights.as_dict().values()) == used
    assert [row["weight"] for row in json.loads((tmp_path / "run.json").read_text())["labels"]] == used


def test_a_resumed_run_has_the_same_weights_and_the_same_model(trained, tmp_path):
    whole = trained(tmp_path / "whole")
    trained(tmp_path / "cut")
    again = trained(tmp_path / "cut", resume=str(tmp_path / "cut" / "checkpoint-4"))
    assert again.class_weights.as_dict() == whole.class_weights.as_dict()
    for (name, a), b in zip(whole.model.named_parameters(), again.model.parameters(), strict=True):
        assert a.equal(b), name


@pytest.mark.parametrize("step", [2, 4, 6])
def test_a_resumed_run_says_what_the_stopped_one_had_no_time_to(trained, tmp_path, capsys, step):
    trained(tmp_path)
    decided = {s: json.loads((tmp_path / f"checkpoint-{s}" / FILE_NAME).read_text())["moves"] for s in (2, 4, 6)}
    assert sum(map(len, decided.values())) > 1
    capsys.readouterr()
    trained(tmp_path, resume=str(tmp_path / f"checkpoint-{step}"))
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Adapted: ")]
    assert said == [f"Adapted: {line}" for s, moves in decided.items() if s >= step for line in moves]


def test_a_finished_run_that_is_extended_goes_on_as_one_that_was_longer(trained, tmp_path):
    whole = trained(tmp_path / "whole", max_steps=16, lr_scheduler_type="constant")
    trained(tmp_path / "cut", max_steps=8, lr_scheduler_type="constant")
    longer = {"max_steps": 16, "lr_scheduler_type": "constant"}
    again = trained(tmp_path / "cut", resume=str(tmp_path / "cut" / "checkpoint-8"), **longer)
    weights = []
    for folder in ("whole", "cut"):
        lines = (tmp_path / folder / "label_history.jsonl").read_text().splitlines()
        weights.append([json.loads(line)["labels"][0]["weight"] for line in lines])
    assert weights[0] == weights[1]
    assert len(set(weights[0])) > 2
    assert again.class_weights.as_dict() == whole.class_weights.as_dict()
    for (name, a), b in zip(whole.model.named_parameters(), again.model.parameters(), strict=True):
        assert a.equal(b), name


def test_a_run_that_is_stopped_ends_with_the_weights_of_its_last_update(trained, tmp_path):
    class Stop(TrainerCallback):
        def on_evaluate(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step >= 6

    trainer = trained(tmp_path, callbacks=[Stop()])
    lines = [json.loads(line) for line in (tmp_path / "label_history.jsonl").read_text().splitlines()]
    assert trainer.state.global_step == 6
    assert list(trainer.class_weights.as_dict().values()) == [row["weight"] for row in lines[-1]["labels"]]


def test_a_second_training_starts_from_the_weights_that_were_asked_for(trained, tmp_path):
    trainer = trained(tmp_path)
    once = trainer.class_weights.as_dict()
    trainer.train()
    assert trainer.class_weights.as_dict() == once


def test_without_the_option_nothing_is_added(make_model, make_rows, make_args):
    trainer = WeightedFocalTrainer(make_model(), make_args(), train_dataset=make_rows(32))
    assert not any(isinstance(c, AdaptiveWeightsCallback) for c in trainer.callback_handler.callbacks)


def test_it_stops_early_and_ends_with_the_best_model(make_model, make_rows, make_args, tmp_path):
    args = make_args(
        output_dir=str(tmp_path), max_steps=40, eval_strategy="steps", eval_steps=2, save_strategy="steps",
        save_steps=2, learning_rate=1e-9, load_best_model_at_end=True, metric_for_best_model="secondary_f1_macro",
        greater_is_better=True, adaptive_weights=True, adaptive_gamma=True,
    )  # fmt: skip
    trainer = WeightedFocalTrainer(
        make_model(),
        args,
        train_dataset=make_rows(32),
        eval_dataset=make_rows(16),
        callbacks=[EarlyStoppingCallback(2)],
    )
    trainer.train()
    assert trainer.state.global_step < 40  # nothing gets better at that rate
    assert trainer.state.best_global_step == 2
    steps = [json.loads(line)["step"] for line in (tmp_path / "label_history.jsonl").read_text().splitlines()]
    assert steps == list(range(2, trainer.state.global_step + 1, 2))
    assert (tmp_path / "report.html").is_file()


TWO_PROCESSES = """
import json, sys
import numpy as np
from datasets import Dataset
from tests.conftest import make_args, make_model, make_rows
from imbalance_trainer import WeightedFocalTrainer
import imbalance_trainer.adaptive as adaptive
from imbalance_trainer.diagnosis import Finding

def silent(history, settings=None, patience=2, **more):  # as the table says, which must be that of both ranks
    row = max(history[-1]["labels"], key=lambda r: r["support"] + r["predicted"] / 100)
    return [Finding("not_learned", row["label"], "warning", "made up", "", row["weight"], None, None, 2)]

adaptive.diagnose = silent
unwrapped = lambda fixture: getattr(fixture, "__wrapped__", None) or fixture.__pytest_wrapped__.obj
rows, model = unwrapped(make_rows)(), unwrapped(make_model)()
import pathlib
args = unwrapped(make_args)(pathlib.Path(sys.argv[1]))(
    eval_strategy="steps", eval_steps=2, max_steps=8, save_strategy="steps", save_steps=4, adaptive_weights=True,
)
trainer = WeightedFocalTrainer(model(), args, train_dataset=rows(32), eval_dataset=rows(17))
trainer.train()
pathlib.Path(sys.argv[1], f"rank{args.process_index}.json").write_text(
    json.dumps([trainer.class_weights.as_dict(), trainer.asked_weights.as_dict()])
)
"""


@pytest.mark.distributed
def test_two_processes_come_to_the_same_weights(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [*launch, script, tmp_path], capture_output=True, text=True, check=False, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first[0] != first[1]
    lines = [line for line in done.stdout.splitlines() if line.startswith("Adapted: ")]
    assert 0 < len(lines) == len(set(lines))  # the first rank alone speaks
