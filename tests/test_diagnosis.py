"""Findings from made histories: each kind where it is due, and none where it is not."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbalance_trainer.labels.class_weights import ClassWeights
from imbalance_trainer.labels.weight_reasons import WeightReason
from imbalance_trainer.monitor.diagnose import SEVERITIES, TITLES, Settings, diagnose
from imbalance_trainer.monitor.label_rules import find_capped, find_over_predicted, find_silent, find_unsupported
from imbalance_trainer.utils.numeric import wilson_interval


def weights(**values):
    clamped = {name: value for name, value in values.items() if value > 20}
    kept = np.minimum(list(values.values()), 20.0)
    return ClassWeights(tuple(values), kept, (WeightReason("limit"),) * len(values), (), clamped)


def settings(**changes):
    return Settings(**{"class_weights": weights(a=10.0, b=1.0), "focal_gamma": 2.0, **changes})


def row(support, predicted, right, weight=10.0, **more):
    counts = {"support": support, "predicted": predicted, "true_positives": right, "weight": weight}
    return {**counts, "known": 1000, **more}


def evaluation(metrics=None, train_losses=(), epoch=None, step=0, **labels):
    """labels: name=row(...) or (support, predicted, true_positives, weight)."""
    rows = [{"label": name, **(r if isinstance(r, dict) else row(*r))} for name, r in labels.items()]
    return {"step": step, "epoch": epoch, "metrics": metrics or {}, "train_losses": list(train_losses), "labels": rows}


def losing(losses, train, f1, **more):
    series = zip(losses, train, f1, itertools.count(1), strict=False)
    return [
        evaluation({"loss": loss, "secondary_f1_macro": f}, [(i, t)], epoch=i, step=i * 10, a=FOUND, **more)
        for loss, t, f, i in series
    ]


def kinds(findings):
    return [finding.kind for finding in findings]


ZERO, FOUND = (12, 0, 0), (12, 6, 4)


# ---- never found, and why ----


def test_zero_recall_waits_for_its_patience():
    assert find_silent([evaluation(a=ZERO)], settings()) == []
    (finding,) = find_silent([evaluation(a=ZERO)] * 2, settings())
    assert (finding.label, finding.kind, finding.severity) == ("a", "not_learned", "warning")
    assert finding.new_weight == 15.0  # the note: 10 -> 15
    assert "0 of 12 found in the last 2 evaluations (95% interval of recall: 0 to 0.24)" in finding.evidence
    assert (
        finding.advice
        == """--custom_weights '{"a": 15}' (now 10, cap 20); if that is not enough, --focal_gamma 3 (now 2)."""
    )


def test_zero_recall_must_not_be_interrupted():
    assert find_silent([evaluation(a=ZERO), evaluation(a=FOUND), evaluation(a=ZERO)], settings()) == []
    history = [evaluation(a=FOUND), evaluation(a=ZERO), evaluation(a=ZERO)]
    assert find_silent(history, settings())[0].label == "a"


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
    (finding,) = find_silent([evaluation(a=known)] * 2, settings(parents={"a": ("hateful",)}))
    assert finding.kind == kind
    if kind == "threshold_too_high":
        assert "highest score 0.41 at a threshold of 0.5" in finding.evidence
        assert "threshold 0.21 would give recall 0.56 at precision 0.61 on this evaluation" in finding.advice
        assert "--tune_thresholds true (in Python trainer.tune_thresholds())" in finding.advice
        (stock,) = find_silent([evaluation(a=known)] * 2, settings(class_weights=None))
        assert stock.advice.endswith("; imbalance_trainer.tune_thresholds(scores, labels) finds one for each label.")
    if kind == "held_down_by_parent":
        assert "3 of 12 positives are over its threshold, but 'hateful' is not decided" in finding.evidence
        assert "--hierarchy_policy add_parent (now drop_child)" in finding.advice
    if kind == "too_few_to_tell":
        assert finding.severity == "note"
        assert "0 to 0.56" in finding.evidence
        assert "9 or more positives of each" in finding.advice
        assert wilson_interval(0, 9)[1] <= 0.3 < wilson_interval(0, 8)[1]
    if kind == "at_the_cap":
        assert finding.new_weight is None
        assert "--focal_gamma 3 (now 2)" in finding.advice


@pytest.mark.parametrize(("weight", "raised"), [(10.0, 15.0), (15.0, 20.0), (20.0, None), (3.0, 4.5), (None, None)])
def test_the_weight_to_try_never_passes_the_cap(weight, raised):
    (finding,) = find_silent([evaluation(a=(12, 0, 0, weight))] * 2, settings())
    assert finding.new_weight == raised


def test_a_label_that_ranks_better_and_better_is_on_its_way():
    history = [evaluation(a=row(*ZERO, average_precision=ap)) for ap in (0.05, 0.10)]
    (finding,) = find_silent(history, settings())
    assert (finding.kind, finding.severity, finding.new_weight, finding.new_gamma) == (
        "not_learned",
        "note",
        None,
        None,
    )
    assert "average precision 0.1, from 0.05 at the evaluation before: it is on its way" in finding.evidence
    (finding,) = find_silent([*history, history[-1]], settings())
    assert (finding.kind, finding.severity) == ("not_learned", "warning")


def test_without_weights_the_advice_is_to_have_them():
    (stock,) = find_silent([evaluation(a=(12, 0, 0, None))] * 2, Settings())
    assert "use WeightedFocalTrainer" in stock.advice
    none = ClassWeights(("a",), np.ones(1), (WeightReason("not_asked_for"),))
    (unweighted,) = find_silent([evaluation(a=(12, 0, 0, 1.0))] * 2, settings(class_weights=none))
    assert "--class_weights auto" in unweighted.advice


@pytest.mark.parametrize(
    ("loss", "advice"),
    [
        ("zlpr", "another --loss"),
        ("my_own", "another --loss"),
        ("focal", "--class_weights auto"),
        (None, "--class_weights auto"),
    ],
)
def test_a_loss_that_weighs_itself_is_not_told_to_take_weights(loss, advice):
    none = ClassWeights(("a",), np.ones(1), (WeightReason("not_asked_for"),))
    (found,) = find_silent([evaluation(a=(12, 0, 0, 1.0))] * 2, settings(class_weights=none, loss=loss))
    assert found.advice.startswith(advice)


def test_the_loss_is_known_from_the_run_s_file():
    assert Settings.from_run({"settings": {"loss": "zlpr"}}).loss_weighs_itself
    assert not Settings.from_run({"settings": {"loss": "focal"}}).loss_weighs_itself
    assert not Settings.from_run({}).loss_weighs_itself


def test_zero_recall_is_told_rarest_first():
    found = find_silent([evaluation(common=(60, 0, 0, 1.0), rare=(6, 0, 0, 10.0))] * 3, settings())
    assert [f.label for f in found] == ["rare", "common"]


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
        (127, 68, 10, False),  # predicted less than it is there: confused, and not too often
        (100, 149, 30, False),
        (100, 150, 30, True),
    ],
)
def test_over_prediction_is_told_where_the_predictions_carry_it(support, predicted, right, warned):
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
    assert find_over_predicted([low, better], settings()) == []
    assert find_over_predicted([low], settings()) == []
    assert find_over_predicted([low, evaluation(a=(60, 100, 60)), low], settings()) == []
    assert find_over_predicted([low, better, better], settings())[0].evaluations == 3


def test_a_label_of_which_nothing_is_found_is_not_told_to_weigh_less():
    history = [evaluation(a=(12, 40, 0), b=(90, 90, 90, 1.0))] * 2
    assert find_over_predicted(history, settings()) == []
    assert [(f.kind, f.new_weight) for f in diagnose(history, settings())] == [("not_learned", 15.0)]
    (over,) = find_over_predicted([evaluation(a=(0, 40, 0))] * 2, settings())  # none is there, and 40 were predicted
    assert over.new_weight == pytest.approx(7.0)


# ---- other findings of labels ----


def test_a_weight_that_was_cut_is_told_where_little_is_found():
    capped = settings(class_weights=weights(a=57.0, b=1.0))
    (finding,) = find_capped([evaluation(a=(100, 20, 20, 20.0), b=(100, 20, 20, 1.0))], capped)
    assert finding.label == "a"
    assert "57 was asked for, 20 is in force; recall 0.20" in finding.evidence
    for gamma, louder in (
        (2.0, "--focal_gamma 3 (now 2), or"),
        (3.0, "--tune_thresholds true, or"),
        (None, "true, or"),
    ):
        (finding,) = find_capped([evaluation(a=(100, 20, 20, 20.0))], replace(capped, focal_gamma=gamma))
        assert louder in finding.advice
        assert ("--focal_gamma" in finding.advice) == (gamma == 2.0)
    assert find_capped([evaluation(a=(100, 90, 80, 20.0))], capped) == []  # it is found
    assert find_capped([evaluation(a=(4, 1, 1, 20.0))], capped) == []  # 1 of 4 says little


def test_labels_that_the_evaluation_says_nothing_of():
    history = [evaluation(a=row(0, 4, 0, train_support=7), b=row(0, 0, 0, known=0), c=FOUND)]
    found = {f.label: f for f in find_unsupported(history, settings())}
    assert {label: f.kind for label, f in found.items()} == {"a": "no_positives_here", "b": "unknown_here"}
    assert "7 in training" in found["a"].evidence


# ---- all together ----


def healthy(n=6):
    """Losses fall, rare labels come in one after the other, precision rises from low values."""
    history = []
    for i in range(1, n + 1):
        share = 1 - 0.6**i
        labels = {}
        for name, support in (("common", 400), ("medium", 90), ("rare", 12)):
            right = round(support * share) if name != "rare" else (0, 0, 3, 6, 7, 8)[i - 1]
            predicted = round(right / min(0.3 + 0.12 * i, 1))
            known = {"average_precision": share, "prevalence": support / 1000, "train_support": support * 9}
            labels[name] = row(support, predicted, right, 3.0, **known)
        metrics = {"loss": 0.1 + 0.3 * 0.6**i, "secondary_f1_macro": share, "secondary_precision": 0.4 + 0.05 * i}
        losses = [(10 * i + j, 0.1 + 0.35 * 0.6 ** (i + j / 5 - 1)) for j in range(5)]
        history.append(evaluation({**metrics, "mean_average_precision": share}, losses, i, 10 * i, **labels))
    return history


def test_a_healthy_run_has_no_alarm():
    history = healthy()
    alarms = [f for n in range(1, 7) for f in diagnose(history[:n], settings()) if f.severity in ("error", "warning")]
    assert alarms == []
    assert kinds(diagnose(history, settings())) == ["improving"]


def test_an_empty_history_has_no_findings():
    assert diagnose([]) == []


def test_overfitting_takes_the_word_from_undertrained():
    history = losing([0.5, 0.4, 0.45, 0.5], [0.5, 0.4, 0.3, 0.2], [0.1, 0.4, 0.3, 0.3])
    for entry in history:
        entry["labels"] = evaluation(**{f"l{i}": (300, 0, 0, 3.0) for i in range(4)})["labels"]
    assert kinds(diagnose(history, settings()))[:2] == ["overfitting", "not_learned"]


numbers = st.one_of(st.none(), st.floats(0, 1))


@given(
    st.lists(
        st.tuples(*(st.integers(0, 60) for _ in range(3)), st.sampled_from([None, 1.0, 10.0, 20.0]), *[numbers] * 4),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 4),
    st.sampled_from([None, 0.3, float("nan")]),
)
def test_any_history_is_told_in_known_kinds_most_severe_first(labels, n, loss):
    rows = {}
    for i, (support, wrong, right, weight, average, threshold, best, recall) in enumerate(labels):
        right = min(right, support)
        ranks = {"average_precision": average, "prevalence": support / 100, "threshold": threshold}
        more = {"best_threshold": best, "best_recall": recall, "best_precision": 0.5, "highest_score": 0.5}
        rows[f"l{i}"] = row(support, right + wrong, right, weight, found_before_closing=right, **ranks, **more)
    found = diagnose([evaluation({"loss": loss, "secondary_f1_macro": 0.1}, [(1, 0.3)], 1.0, **rows)] * n, settings())
    ranks = [SEVERITIES.index(f.severity) for f in found]
    assert ranks == sorted(ranks)
    for finding in found:
        assert finding.kind in TITLES
        assert finding.title
        assert finding.evidence
        assert finding.new_weight is None or finding.new_weight <= 20
        assert finding.severity == "good" or finding.advice or finding.kind == "over_predicted"


def test_settings_from_a_run_file():
    run = {
        "labels": [
            {"label": "a", "weight": 20.0, "reason": "capped", "custom": True, "clamped_from": 57.0},
            {"label": "b", "weight": 1.0, "reason": "tier", "custom": False, "clamped_from": None},
        ],
        "implications": [["a", "b"], ["a", "c"]],
        "groups": {"secondary": ["a"]},
        "settings": {"focal_gamma": 2.0, "learning_rate": 2e-5, "num_epochs": 3, "max_weight": 20.0},
    }
    read = Settings.from_run(run)
    assert read.class_weights.as_dict() == {"a": 20.0, "b": 1.0}
    assert (read.class_weights.custom, dict(read.class_weights.clamped)) == (("a",), {"a": 57.0})
    assert (read.parents, read.secondary, read.num_epochs) == ({"a": ("b", "c")}, ("a",), 3)
    assert Settings.from_run({}).class_weights is None
