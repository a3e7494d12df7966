"""Findings from histories of real runs: on what is healthy no alarm, and on what is ill only alarms that are true.

tests/histories holds evaluations with the keys that the diagnosis reads: the demo as it is (2,000 validation rows),
and a head of two layers on features of a small encoder, trained on GoEmotions (Demszky et al., 2020) and EDOS (Kirk et
al., 2023) for 8 epochs with the defaults (`benchmarks.adaptive`).
"""

from pathlib import Path

import pytest

from imbalance_trainer.monitor.diagnose import Settings, diagnose
from imbalance_trainer.monitor.history import read_history

from .test_diagnosis import kinds

HISTORIES = Path(__file__).parent / "histories"


def alarms(name):
    """Errors and warnings at each evaluation of a run, and the rows that they are about."""
    history = read_history(HISTORIES / f"{name}.jsonl")
    assert len(history) > 4
    settings = Settings(focal_gamma=2.0, learning_rate=1e-3, num_epochs=len(history))
    for i in range(len(history)):
        rows = {row["label"]: row for row in history[i]["labels"]}
        for finding in diagnose(history[: i + 1], settings):
            if finding.severity in ("error", "warning"):
                yield i, finding, rows.get(finding.label)


def test_the_healthy_demo_has_no_alarm():
    assert list(alarms("demo")) == []


@pytest.mark.parametrize("name", ["goemotions", "edos"])
def test_every_alarm_of_a_real_run_is_true(name):
    found = list(alarms(name))
    assert found
    for _, finding, row in found:
        if finding.kind == "over_predicted":
            assert row["predicted"] >= 1.5 * row["support"]
            assert row["true_positives"] / row["predicted"] < 0.5
        else:
            assert finding.kind in ("not_learned", "held_down_by_parent")
            assert row["true_positives"] == 0
            assert row["support"] >= 5


def test_on_goemotions_few_labels_are_named_and_of_the_others_none():
    named = {finding.label for _, finding, _ in alarms("goemotions")}
    assert named == {"relief", "nervousness", "grief", "sadness"}  # of 28


def test_a_run_that_learns_is_told_so():
    history = read_history(HISTORIES / "demo.jsonl")
    assert kinds(diagnose(history[:4])) == ["improving"]
