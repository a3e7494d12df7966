"""The monitor's words: what is printed after an evaluation, and the advice to paste."""

import json
import re
import shlex
import sys
from types import ModuleType

import numpy as np
import pytest
from rich.cells import cell_len

from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.labels.class_weights import ClassWeights, WeightReason
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.monitor.findings import NOTE, TITLES, Finding, Settings
from imbalance_trainer.monitor.messages import (
    evaluation_message,
    overall,
    tuning_message,
    warning_message,
    was_started_with_flags,
)
from imbalance_trainer.tuning.decisions import TuningOptions, tune_decisions
from imbalance_trainer.utils.console import as_text

NAMES = ("praising extremist acts", "insults", "hateful")
WEIGHTS = ClassWeights(NAMES, np.array([10.0, 3.0, 2.0]), (WeightReason("limit"),) * 3)


def lines_of(message):
    return as_text(*message).splitlines()


def words_of(message):
    """Without the line breaks of paragraphs."""
    return " ".join(as_text(*message).split())


def zero_recall(label="praising extremist acts", weight=10.0, new_weight=15.0, new_gamma=3.0, advice="the flags"):
    words = ("0 of 12 found in the last 2 evaluations", advice)
    return Finding("not_learned", label, "warning", *words, weight, new_weight, new_gamma, 2)


def over(label="insults", weight=3.0, new_weight=2.1, new_gamma=1.5):
    words = ("30 of 90 predictions are right", "the flags")
    return Finding("over_predicted", label, "warning", *words, weight, new_weight, new_gamma, 2)


def pasted(message):
    """The weights in the line that is to be pasted into a shell."""
    (line,) = (line for line in lines_of(message) if line.startswith("    --custom_weights"))
    return json.loads(shlex.split(line)[1])


# ---- findings ----


def test_both_kinds_share_one_line_to_paste_and_gamma_stays():
    message = warning_message([zero_recall(), over()], Settings(WEIGHTS, focal_gamma=2.0))
    assert pasted(message) == {"praising extremist acts": 15.0, "insults": 2.1}
    assert sum(line.startswith("WARNING") for line in lines_of(message)) == 2
    assert "focal_gamma" not in words_of(message)  # one kind wants it larger, the other smaller
    assert warning_message([], Settings(WEIGHTS)) == []
    plateau = Finding("plateau", "", NOTE, "no gain", "stop here.")
    text = words_of(warning_message([zero_recall(), plateau], Settings(WEIGHTS)))
    assert text.index("--custom_weights") < text.index("NOTE:")  # beside the finding that it belongs to


def test_gamma_is_told_after_the_weights():
    settings = Settings(WEIGHTS, focal_gamma=2.0)
    text = words_of(warning_message([zero_recall()], settings))
    assert text.index("--custom_weights") < text.index("if that is not enough: --focal_gamma 3 (now 2)")
    assert "    --focal_gamma 1.5 (now 2)" in lines_of(warning_message([over(new_weight=None)], settings))
    assert "focal_gamma" not in words_of(warning_message([zero_recall(new_gamma=None)], settings))


def test_the_line_to_paste_keeps_the_custom_weights_in_use_if_they_are_not_hundreds():
    for custom in (("insults",), NAMES):
        weights = ClassWeights(NAMES, np.array([10.0, 8.0, 2.0]), (WeightReason("custom"),) * 3, custom=custom)
        kept = {name: weights.as_dict()[name] for name in custom}
        assert pasted(warning_message([zero_recall()], Settings(weights))) == {**kept, NAMES[0]: 15.0}
    names = tuple(f"label {i}" for i in range(200))
    many = Settings(ClassWeights(names, np.full(200, 10.0), (WeightReason("custom"),) * 200, names))
    message = warning_message([zero_recall("label 7")], many)
    assert pasted(message) == {"label 7": 15.0}
    assert "change these in your class_weights" in lines_of(message)[-1]


@pytest.mark.parametrize("label", ['it\'s "so"', "long " * 40, "[bold]b[/]"])
def test_the_line_to_paste_survives_a_shell_and_any_width(label):
    assert pasted(warning_message([zero_recall(label)], Settings(WEIGHTS))) == {label: 15.0}


def test_shared_advice_is_printed_once_and_other_advice_beside_each_label():
    findings = [zero_recall(name, new_weight=None, new_gamma=None, advice="use ours.") for name in NAMES]
    lines = lines_of(warning_message(findings, Settings()))
    assert lines[-1] == "    What to change: use ours."
    assert "".join(lines).count("use ours") == 1
    own = [zero_recall(n, new_weight=None, new_gamma=None, advice=f"{n} it is.") for n in NAMES[:2]]
    text = words_of(warning_message(own, Settings()))
    assert "What to change: praising extremist acts it is. - insults:" in text


def test_labels_that_need_no_words_of_their_own_are_listed():
    found = [Finding("no_positives_here", f"l{i}", "note", "no positive here", "move rows of it.") for i in range(400)]
    lines = lines_of(warning_message(found, Settings()))
    assert lines[1] == "NOTE: 400 labels without positives in the evaluation data."
    assert "l11, and 388 more" in " ".join(lines)
    assert len(lines) < 7


def test_many_findings_are_counted():
    message = warning_message([zero_recall(f"label {i}") for i in range(30)], Settings(WEIGHTS))
    assert "30 labels never found" in lines_of(message)[1]
    assert "  - ... and 22 more" in lines_of(message)
    assert len(pasted(message)) == 8


@pytest.mark.parametrize("kind", TITLES)
def test_every_kind_fits_80_columns(kind):
    for label in ("", "a" * 50):
        message = warning_message([Finding(kind, label, "warning", "word " * 60, "do " * 60)], Settings())
        assert max(map(cell_len, lines_of(message))) <= 80


@pytest.mark.parametrize(
    ("words", "kernel", "has"),
    [
        (["train.py"], False, False),
        (["train.py", "data", "-f"], False, False),
        (["train.py", "--loss=bce"], False, True),
        (["train.py", "--local-rank=0"], False, False),
        (["train.py", "--local_rank=1", "--bf16"], False, True),
        (["ipykernel_launcher.py", "--f=/x/kernel-1.json"], True, False),
    ],
)
def test_flags_are_those_that_a_user_gave(monkeypatch, words, kernel, has):
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if kernel:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    assert was_started_with_flags() is has


# ---- evaluations ----


def row(label, support, predicted, true_positives, weight=10.0):
    recall, precision = true_positives / support if support else 0.0, true_positives / predicted if predicted else 0.0
    return {
        "label": label, "support": support, "predicted": predicted, "true_positives": true_positives,
        "recall": recall, "precision": precision, "weight": weight,
    }  # fmt: skip


def entry(*rows, step=10, epoch=1.0, **metrics):
    return {"split": "eval", "step": step, "epoch": epoch, "metrics": metrics, "labels": list(rows)}


@pytest.mark.parametrize(
    ("zero_recall", "unsupported", "said"),
    [
        (0, 0, "no label has recall 0"),
        (0, 1, "no label that has positives here has recall 0, 1 without a positive"),
        (1, 1, "1 of 2 labels have recall 0, 1 without a positive"),
        (0, 2, "2 without a positive"),
    ],
)
def test_the_summary_does_not_say_more_than_is_known(zero_recall, unsupported, said):
    now = entry(row("a", 3, 0, 0), row("b", 3, 0, 0), n_labels_without_recall=zero_recall,
                n_labels_without_support=unsupported)  # fmt: skip
    assert said in words_of(evaluation_message(now))


@pytest.mark.parametrize(
    ("predicted", "right", "said"),
    [(1000, 20, True), (500, 11, True), (500, 20, False), (20, 15, False), (1, 1, False), (50, 1, True)],
)
def test_a_label_that_is_predicted_everywhere_is_not_just_found(predicted, right, said):
    rows = [{**row(name, 20, predicted, right), "known": 1000} for name in "ab"]
    text = words_of(evaluation_message(entry(*rows, n_labels_without_recall=0)))
    assert ("no label has recall 0, 2 are found no better than by drawing rows at random" in text) == said


def test_columns_are_aligned_with_and_without_changes():
    before = entry(row("a", 10, 10, 5), row("b", 20, 10, 5), row("c", 0, 0, 0))
    now = entry(row("a", 10, 10, 9), row("b", 20, 10, 5), row("c", 0, 0, 0), secondary_f1_macro=0.5)
    for lines in (lines_of(evaluation_message(now))[2:-1], lines_of(evaluation_message(now, before))[2:-1]):
        place = lines[0].index("recall") + len("recall")
        assert [line[:place].split()[-1] for line in lines[1:]] == ["-", "0.90", "0.25"]
    assert "+0.40" in lines[2]
    assert "+0.00" not in " ".join(lines)


@pytest.mark.parametrize(
    ("step", "epoch", "metrics", "said"),
    [
        (1200, 2.0, {"loss": 0.5}, "eval: epoch 2, step 1,200, loss 0.5000"),
        (3, None, {"loss": 0.5}, "eval: step 3, loss 0.5000"),
        (0, 0.0, {"loss": 0.5}, "eval: loss 0.5000"),
        (0, 0.0, {"loss": None}, "eval: loss is not a number"),
        (0, 0.0, {"secondary_f1_macro": 0.2, "f1_macro": 0.3}, "eval: f1_macro 0.300"),  # nothing is primary
        (
            0,
            0.0,
            {"secondary_f1_macro": 0.2, "f1_macro": 0.3, "primary_f1": 0.8},
            "eval: secondary_f1_macro 0.200, f1_macro 0.300, primary_f1 0.800",
        ),
        (0, 0.0, {}, "eval"),
    ],
)
def test_an_evaluation_without_training_has_no_step(step, epoch, metrics, said):
    assert overall(entry(step=step, epoch=epoch, **metrics)) == said


@pytest.mark.parametrize("name", ["x", "a very long name of a label " * 6, "言葉" * 40, "naïve façade"])
@pytest.mark.parametrize("changes", [False, True])
def test_no_line_is_wider_than_80_columns(name, changes):
    now = entry(row(name, 1_234_567, 7_654_321, 3), row("b", 20, 10, 5), loss=1.0, secondary_f1_macro=0.123,
                f1_macro=0.1, f1_micro=0.1, mean_average_precision=0.1, primary_f1=0.5, violation_rate=0.25,
                n_labels_without_recall=2, n_labels_without_support=1)  # fmt: skip
    before = entry(row(name, 1_234_567, 2, 1), secondary_f1_macro=0.1) if changes else None
    assert max(map(cell_len, lines_of(evaluation_message(now, before)))) <= 80


def test_of_many_labels_those_that_changed_most_are_shown_below_the_rarest():
    before = [row(f"l{i}", 9 + i, 9, 5) for i in range(100)]
    now = [*before[:70], *(row(f"l{i}", 9 + i, 20, 20) for i in range(70, 73)), *before[73:]]
    lines = lines_of(evaluation_message(entry(*now), entry(*before)))
    named = [line.split()[0] for line in lines if re.match(r"l\d", line)]
    assert named == [f"l{i}" for i in (*range(20), 70, 71, 72)]
    assert any(line.startswith("rarest, then changed") for line in lines)
    rest = now[20:70] + now[73:]
    mean = sum(r["recall"] for r in rest) / len(rest)
    assert f"... 77 more labels: mean recall {mean:.2f}, 0 at recall 0; all in label_history.jsonl" in " ".join(lines)


# ---- thresholds ----


def tuning_of(n_labels=3, floor=None):
    schema = LabelSchema([f"label number {i}" for i in range(n_labels)])
    rng = np.random.default_rng(0)
    labels = (rng.random((120, n_labels)) < 0.3).astype(int)
    logits = (rng.normal(size=labels.shape) + 2 * labels - 4).astype(np.float32)
    labels[0], logits[0] = 0, 9  # so that no threshold has a precision of 1
    objective = "f1" if floor is None else "recall_at_precision"
    options = TuningOptions(objective, threshold_floor=floor, thresholds_per="label")
    return tune_decisions(logits, labels, DecisionRule(schema), options, n_bootstrap=10)


def test_the_table_of_thresholds_has_each_label_with_both_results():
    tuning = tuning_of()
    lines = lines_of(tuning_message(tuning, {"label number 0": 5, "label number 1": 1, "label number 2": 9}))
    rows = [line for line in lines if line.startswith("label number")]
    assert [row.split()[2] for row in rows] == ["1", "0", "2"]  # rarest in training first
    first = rows[0].split()
    assert first[3:5] == [f"{tuning.thresholds.support[1]}", f"{tuning.thresholds.thresholds[1]:.3f}"]
    assert first[6:] == [f"{tuning.at_half_table.f1[1]:.2f}", f"{tuning.held_out_table.f1[1]:.2f}"]
    f1 = [metrics["f1_macro"] for metrics in (tuning.at_half, tuning.held_out)]
    assert f"f1_macro {f1[0]:.3f} -> {f1[1]:.3f}" in " ".join(lines)


@pytest.mark.parametrize("per", ["label", "all"])
def test_a_threshold_of_fewer_than_five_positives_has_no_range(per):
    labels = np.zeros((200, 3), int)
    labels[:4, 0] = labels[:5, 1] = labels[:60, 2] = 1
    logits = (np.random.default_rng(0).normal(-8, 1, labels.shape) + 4 * labels).astype(np.float32)
    rule = DecisionRule(LabelSchema(["four", "five", "sixty"]))
    tuning = tune_decisions(logits, labels, rule, TuningOptions(thresholds_per=per), n_bootstrap=50)
    lines = lines_of(tuning_message(tuning))
    ranges = {row.split()[0]: row.split()[3] for row in lines if row.split()[:1] in (["four"], ["five"], ["sixty"])}
    assert tuning.per == per
    expected = {i: f"{tuning.thresholds.low[i]:.3f}-{tuning.thresholds.high[i]:.3f}" for i in range(3)}
    four = "too" if per == "label" else expected[0]  # one that all share is tuned on the 69 positives of all
    assert ranges == {"four": four, "five": expected[1], "sixty": expected[2]}
    assert ("Too few: under 5 positives" in " ".join(lines)) == (per == "label")
    assert tuning.thresholds.tuned_on.tolist() == ([4, 5, 60] if per == "label" else [69] * 3)


def test_thresholds_that_lose_to_a_half_are_not_taken_and_that_is_said():
    rng = np.random.default_rng(0)
    labels = (rng.random((60, 3)) < 0.1).astype(int)
    logits = (rng.normal(0, 2.0, labels.shape) + 8 * labels - 4).astype(np.float32)
    tuning = tune_decisions(logits, labels, DecisionRule(LabelSchema(["a", "b", "c"])), TuningOptions(), n_bootstrap=9)
    text = words_of(tuning_message(tuning))
    assert tuning.per == "half"
    assert "Taken: 0.5. No thresholds do better than 0.5 on rows that they were not tuned on, so 0.5 stays." in text
    assert all(f"{f1:.3f}" in text for f1 in tuning.tried.values())


@pytest.mark.parametrize("n_labels", [1, 11, 80])
def test_the_table_of_thresholds_fits_80_columns_and_says_what_it_leaves_out(n_labels):
    lines = lines_of(tuning_message(tuning_of(n_labels)))
    assert max(map(len, lines)) <= 80
    assert ("... and 60 more labels, in the model's config" in lines) == (n_labels == 80)


def test_a_floor_that_is_not_reached_is_said():
    assert "! the floor is not reached" in words_of(tuning_message(tuning_of(floor=0.99)))
