"""The parts of the speed benchmarks that are no measurement: verdicts, tables, the command."""

import inspect

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks.loss import TEXTBOOK, batch, step
from benchmarks.measuring import Ratio, by_turns, made_up_scores, peak_memory
from imbalance_trainer.losses import LOSSES


@pytest.mark.parametrize(
    ("value", "target", "at_most", "is_met"),
    [
        (0.9, 1.0, True, True),
        (1.1, 1.0, True, False),
        (11, 10, False, True),
        (9, 10, False, False),
        (9, None, True, True),
    ],
)
def test_a_target_is_met_or_missed(value, target, at_most, is_met):
    ratio = Ratio("case", "beside", value, target, at_most)
    assert ratio.is_met is is_met
    assert ("missed" in ratio.row()) is not is_met


def test_the_check_fails_on_a_miss_without_a_reason(monkeypatch, capsys):
    found = {"loss": [Ratio("slow", "a floor", 2.0, 1.0)]}
    monkeypatch.setattr(command, "measure", lambda parts, quick: found)
    monkeypatch.setattr("sys.argv", ["benchmarks", "--check"])
    assert command.main() == 1
    assert "missed: slow beside a floor: 2, target 1" in capsys.readouterr().out
    found["loss"] = [Ratio("slow", "a floor", 2.0, 1.0, why="sorting alone takes 1.5")]
    assert command.main() == 0


def test_an_unknown_part_offers_the_nearest(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "los"])
    with pytest.raises(SystemExit):
        command.main()
    assert "did you mean 'loss'" in capsys.readouterr().err


def test_turns_alternate_and_the_first_does_not_count():
    seen = []
    calls = {name: lambda name=name: seen.append(name) for name in "ab"}
    assert set(by_turns(calls, 2)) == {"a", "b"}
    assert "".join(seen) == "ababab"


def test_memory_that_is_taken_is_seen():
    seen = []
    for _ in range(3):  # an allocator's thread may give back what earlier tests took meanwhile
        with peak_memory() as grown:
            np.ones(100_000_000, np.int8)  # over 32 MiB, so that malloc cannot take it from what was freed before
        seen += grown
    assert not seen or any(95e6 < size < 200e6 for size in seen), seen


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook_forms_are_the_losses_of_the_registry(name):
    logits, gold, weights = batch(8, 12)
    arguments = {"support": np.full(12, 5), "class_weights": weights}
    takes = inspect.signature(LOSSES[name]).parameters
    loss = LOSSES[name](**{key: value for key, value in arguments.items() if key in takes})
    ours, theirs = loss(logits, gold).item(), TEXTBOOK[name](logits, gold, weights).item()
    assert ours == pytest.approx(theirs, rel=2e-3)
    step(loss, logits, gold)()
    assert logits.grad.isfinite().all()


def test_made_up_scores_have_ties_and_all_labels():
    scores, labels = made_up_scores(5_000, 6)
    assert labels.any(0).all()
    assert len(np.unique(scores[:, 0])) < 5_000
