"""Findings about single labels from made evaluations: each where it is due, and none in near misses."""

import numpy as np
import pytest

from imbalance_trainer.labels.class_weights import ClassWeights, WeightReason
from imbalance_trainer.monitor.diagnose import Settings, diagnose
from imbalance_trainer.monitor.label_rules import find_over_predicted, find_unsupported, find_zero_recall
from imbalance_trainer.utils.numeric import wilson_interval

from .made_runs import FOUND, ZERO, evaluation, row, settings

NO_WEIGHTS = ClassWeights(("a",), np.ones(1), (WeightReason("not_asked_for"),))


# ---- zero recall, and its cause ----


def test_zero_recall_waits_for_its_patience_without_a_break():
    zero, found = evaluation(a=ZERO), evaluation(a=FOUND)
    (finding,) = find_zero_recall([zero] * 2, settings())
    assert (finding.label, finding.kind, finding.severity) == ("a", "not_learned", "warning")
    assert finding.new_weight == 15.0  # the note: 10 -> 15
    assert "0 of 12 found in the last 2 evaluations (95% interval of recall: 0 to 0.24)" in finding.evidence
    flags = """--custom_weights '{"a": 15}' (now 10, cap 20); if that is not enough, --focal_gamma 3 (now 2)."""
    assert finding.advice == flags
    assert find_zero_recall([zero], settings()) == find_zero_recall([zero, found, zero], settings()) == []
    assert find_zero_recall([found, zero, zero], settings()) == [finding]


def test_zero_recall_is_told_rarest_first():
    found = find_zero_recall([evaluation(common=(60, 0, 0, 1.0), rare=(6, 0, 0, 10.0))] * 3, settings())
    assert [(f.label, f.evaluations) for f in found] == [("rare", 3), ("common", 3)]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"train_support": 0}, "no_positives_in_training"),
        ({"found_before_closing": 3}, "held_down_by_parent"),
        ({"support": 3}, "too_few_to_tell"),
        ({"weight": 20.0}, "at_the_cap"),
        ({"weight": None}, "not_learned"),
        ({}, "not_learned"),
        ({"average_precision": 0.5}, "threshold_too_high"),
        ({"average_precision": 0.19}, "not_learned"),  # ranked, but not well
        ({"average_precision": 0.5, "prevalence": 0.2}, "not_learned"),  # chance would do nearly as well
        ({"average_precision": 0.5, "best_recall": 1 / 12}, "not_learned"),  # a single positive, by luck
        ({"average_precision": 0.5, "best_threshold": None}, "not_learned"),  # with the stock Trainer
        ({"average_precision": 0.5, "support": 3}, "too_few_to_tell"),
        ({"average_precision": 0.5, "found_before_closing": 3}, "held_down_by_parent"),
    ],
)
def test_the_causes_of_zero_recall_are_told_apart(changes, kind):
    ranked = {"prevalence": 0.01, "best_threshold": 0.21, "best_recall": 0.56, "best_precision": 0.61}
    known = {**row(*ZERO), "threshold": 0.5, "highest_score": 0.41, "found_before_closing": 0, **ranked, **changes}
    known.setdefault("average_precision", 0.05)
    (finding,) = find_zero_recall([evaluation(a=known)] * 2, settings(parents={"a": ("hateful",)}))
    assert finding.kind == kind
    assert (finding.severity == "note") == (kind == "too_few_to_tell")
    evidence, advice, is_new_weight = {
        "threshold_too_high": ("highest score 0.41 at a threshold of 0.5", "threshold 0.21 would give recall 0.56 at "
                               "precision 0.61 on this evaluation; tune it: imbalance-trainer train does", False),
        "held_down_by_parent": ("3 of 12 positives are over its threshold, but 'hateful' is not predicted",
                                "--hierarchy_policy add_parent (now drop_child)", False),
        "too_few_to_tell": ("0 to 0.56", "9 or more positives of each", False),
        "at_the_cap": ("weight 20 is the cap", "--focal_gamma 3 (now 2)", False),
        "no_positives_in_training": ("the training data has no positive", "add training rows", False),
        "not_learned": ("0 of 12 found", "", known["weight"] == 10),
    }[kind]  # fmt: skip
    assert evidence in finding.evidence
    assert advice in finding.advice
    assert (finding.new_weight is not None) == is_new_weight


def test_how_many_positives_are_enough_follows_from_the_interval():
    assert wilson_interval(0, 9)[1] <= 0.3 < wilson_interval(0, 8)[1]


def test_the_stock_trainer_tunes_thresholds_by_a_function():
    known = {"average_precision": 0.5, "threshold": 0.5, "highest_score": 0.4, "best_threshold": 0.2}
    known |= {"best_recall": 0.5, "best_precision": 0.5}
    (stock,) = find_zero_recall([evaluation(a=row(*ZERO, **known))] * 2, settings(class_weights=None))
    assert stock.advice.endswith("imbalance_trainer.tune_thresholds(scores, labels).")


@pytest.mark.parametrize(("weight", "raised"), [(10.0, 15.0), (15.0, 20.0), (20.0, None), (3.0, 4.5), (None, None)])
def test_the_weight_to_try_never_passes_the_cap(weight, raised):
    (finding,) = find_zero_recall([evaluation(a=(12, 0, 0, weight))] * 2, settings())
    assert finding.new_weight == raised


def test_a_label_that_ranks_better_and_better_is_a_note():
    history = [evaluation(a=row(*ZERO, average_precision=ap)) for ap in (0.05, 0.10)]
    (finding,) = find_zero_recall(history, settings())
    assert (finding.kind, finding.severity) == ("not_learned", "note")
    assert finding.new_weight is finding.new_gamma is None
    assert "average precision 0.1, up from 0.05 at the evaluation before" in finding.evidence
    (finding,) = find_zero_recall([*history, history[-1]], settings())
    assert (finding.kind, finding.severity) == ("not_learned", "warning")


@pytest.mark.parametrize(
    ("changes", "weight", "flag"),
    [
        ({"class_weights": None}, None, "use WeightedFocalTrainer"),
        ({"class_weights": NO_WEIGHTS}, 1.0, "--class_weights auto (now none)"),
        ({"class_weights": NO_WEIGHTS, "takes_class_weights": True}, 1.0, "--class_weights auto"),
        (
            {"class_weights": NO_WEIGHTS, "takes_class_weights": False, "loss": "logit_adjusted"},
            1.0,
            "has none): --loss",
        ),
    ],
)
def test_without_weights_the_advice_is_to_have_them(changes, weight, flag):
    (finding,) = find_zero_recall([evaluation(a=(12, 0, 0, weight))] * 2, settings(**changes))
    assert flag in finding.advice


# ---- predicted too often ----


@pytest.mark.parametrize(
    ("support", "predicted", "right", "warned"),
    [
        (60, 100, 30, True),
        (60, 100, 45, False),  # 0.45, but it may be 0.53
        (60, 100, 50, False),
        (6, 10, 1, True),
        (6, 10, 3, False),
        (2, 4, 1, False),  # too few to tell
        (0, 10, 0, True),
        (0, 0, 0, False),
        (127, 68, 10, False),  # predicted less often than it is there: confused
        (100, 149, 30, False),
        (100, 150, 30, True),
    ],
)
def test_over_prediction_needs_enough_predictions(support, predicted, right, warned):
    found = find_over_predicted([evaluation(a=(support, predicted, right))] * 2, settings())
    assert bool(found) == warned


def test_over_prediction_names_the_threshold_the_weight_and_gamma():
    best = {"threshold": 0.5, "best_threshold": 0.71, "best_recall": 0.6, "best_precision": 0.8}
    (finding,) = find_over_predicted([evaluation(a=row(60, 100, 30, **best))] * 2, settings())
    assert "threshold 0.71 would give recall 0.60 at precision 0.80" in finding.evidence
    assert finding.advice == """--custom_weights '{"a": 7}' (now 10); or --focal_gamma 1.5 (now 2)."""
    assert finding.new_weight == pytest.approx(7.0)
    (note,) = find_over_predicted([evaluation(a=row(60, 100, 30))] * 2, settings(), is_improving=True)
    assert note.severity == "note"


@pytest.mark.parametrize(("weight", "lowered"), [(10.0, 7.0), (1.2, 1.0), (1.0, None), (0.4, None), (None, None)])
def test_the_lower_weight_stops_at_one(weight, lowered):
    (finding,) = find_over_predicted([evaluation(a=(60, 100, 10, weight))] * 2, settings())
    assert finding.new_weight == (pytest.approx(lowered) if lowered else None)


def test_over_prediction_that_passes_is_not_told():
    low, better = evaluation(a=(60, 100, 20)), evaluation(a=(60, 100, 26))
    for history in ([low, better], [low], [low, evaluation(a=(60, 100, 60)), low]):
        assert find_over_predicted(history, settings()) == []
    assert find_over_predicted([low, better, better], settings())[0].evaluations == 3


def test_a_label_with_zero_recall_is_not_told_to_weigh_less():
    history = [evaluation(a=(12, 40, 0), b=(90, 90, 90, 1.0))] * 2
    assert find_over_predicted(history, settings()) == []
    assert [(f.kind, f.new_weight) for f in diagnose(history, settings())] == [("not_learned", 15.0)]


# ---- other findings of labels ----


def test_labels_that_the_evaluation_says_nothing_of():
    history = [evaluation(a=row(0, 4, 0, train_support=7), b=row(0, 0, 0, known=0), c=FOUND)]
    found = {f.label: f for f in find_unsupported(history, Settings())}
    assert {label: f.kind for label, f in found.items()} == {"a": "no_positives_here", "b": "unknown_here"}
    assert "7 in training" in found["a"].evidence
