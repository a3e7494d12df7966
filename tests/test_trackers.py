"""What trackers see: every scalar under a name that each of them takes, from the first evaluation on."""

import re

import pytest
from transformers import TrainerCallback

from imbalance_trainer import LabelSchema

NAMES = ["praising extremist acts / <x>", "Ärger|\n", "100 %", "a.b:c"]
SLUGS = ["praising_extremist_acts_x", "Arger", "100", "a_b_c"]
SAFE = re.compile(r"[/\w.\- ]+", re.ASCII)  # what MLflow allows, which is the strictest


class Tracker(TrainerCallback):
    """Keeps what it is told, as reporters do."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append(dict(logs))


@pytest.fixture
def train(make_trainer, make_args, make_rows):
    def run(eval_dataset=None, **arguments):
        tracker = Tracker()
        args = make_args(max_steps=4, eval_strategy="steps", eval_steps=2, logging_steps=1, **arguments)
        evaluated = make_rows(seed=1) if eval_dataset is None else eval_dataset
        trainer = make_trainer(args=args, label_schema=LabelSchema(NAMES, {"primary": NAMES[:1]}),
                               eval_dataset=evaluated, callbacks=[tracker])  # fmt: skip
        trainer.train()
        return trainer, tracker

    return run


def tag(key):
    """The name that transformers' TensorBoardCallback gives to a key of the log."""
    return f"eval/{key.removeprefix('eval_')}" if key.startswith("eval_") else f"train/{key}"


def test_tensorboard_has_every_scalar_of_the_log(train, tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer, _ = train(report_to=["tensorboard"])
    folders = {file.parent for file in (tmp_path / "out").rglob("events.out.tfevents.*")}
    assert len(folders) == 1
    read = events.EventAccumulator(str(folders.pop()), size_guidance={"scalars": 0}).Reload()
    found = {(name, event.step): event.value for name in read.Tags()["scalars"] for event in read.Scalars(name)}
    wanted = {
        (tag(key), log["step"]): value for log in trainer.state.log_history for key, value in log.items()
        if key != "step"
    }  # fmt: skip
    assert found == pytest.approx(wanted, rel=1e-6)  # events are fp32
    assert len({step for name, step in found if name == "eval/secondary_f1_macro"}) == 2
    names = {name for name, _ in found}
    assert all(SAFE.fullmatch(name) for name in names)
    for metric in ("recall", "precision", "f1", "support"):
        assert {f"eval/{metric}_{slug}" for slug in SLUGS} <= names


def test_a_tracker_sees_floats_and_all_keys_from_the_first_evaluation(train):
    trainer, tracker = train()
    evaluations = [log for log in tracker.logs if "eval_loss" in log]
    assert len(evaluations) == 2
    assert evaluations[0].keys() == evaluations[1].keys()
    assert {f"eval_{key}" for key in trainer.imbalance.metrics.keys()} <= evaluations[0].keys()  # noqa: SIM118
    assert {type(value) for log in tracker.logs for value in log.values()} == {float}
    assert {type(log[f"eval_{key}"]) for log in evaluations for key in trainer.imbalance.metrics.keys()} == {float}  # noqa: SIM118
    assert all(SAFE.fullmatch(key) for log in tracker.logs for key in log)


def test_several_evaluation_sets_are_told_apart(train, make_rows):
    trainer, tracker = train({"near": make_rows(seed=1), "far": make_rows(seed=2)})
    for name in ("near", "far"):
        seen = [log for log in tracker.logs if f"eval_{name}_loss" in log]
        assert len(seen) == 2
        assert {f"eval_{name}_{key}" for key in trainer.imbalance.metrics.keys()} <= seen[0].keys()  # noqa: SIM118
    assert trainer.results_of("eval_far").metrics["f1_macro"] == seen[-1]["eval_far_f1_macro"]
