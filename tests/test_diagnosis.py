"""Findings from made histories: each kind where it is due, and none where it is not."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbalance_trainer.arrays import wilson_interval
from imbalance_trainer.diagnosis import SEVERITIES, TITLES, Settings, diagnose
from imbalance_trainer.diagnosis.labels import find_capped, find_over_predicted, find_silent, find_unsupported
from imbalance_trainer.diagnosis.runs import (
    find_improving,
    find_learning_rate_too_high,
    find_nan,
    find_oscillating_loss,
    find_overfitting,
    find_plateau,
    find_precision_under_target,
    find_stacked,
    find_undertrained,
)
from imbalance_trainer.weights import ClassWeights


def weights(**values):
    clamped = {name: value for name, value in values.items() if value > 20}
    kept = np.minimum(list(values.values()), 20.0)
    return ClassWeights(tuple(values), kept, ("tier",) * len(values), (), clamped)


def settings(**changes):
    return Settings(**{"class_weights": weights(a=10.0, b=1.0), "focal_gamma": 2.0, **changes})


def row(support, predicted, right, weight=10.0, **more):
    counts = {"support": support, "predicted": predicted, "true_positives": right, "weight": weight}
    return {**counts, "known": 1000, **more}


def evaluation(metrics=None, train_losses=(), epoch=None, step=0, **labels):
    """labels: name=row(...) or (support, predicted, true_positives, weight)."""
    rows = [{"label": name, **(r if isinstance(r, dict) else row(*r))} for name, r in labels.items()]
    return {"step": step, "epoch": epoch, "metrics": metrics or {}, "train_losses": list(train_losses), "labels": rows}


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
        assert "--closing raise_parent (now drop_child)" in finding.advice
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
    assert find_silent(history, settings()) == []
    assert find_silent([*history, history[-1]], settings())[0].kind == "not_learned"


def test_without_weights_the_advice_is_to_have_them():
    (stock,) = find_silent([evaluation(a=(12, 0, 0, None))] * 2, Settings())
    assert "use WeightedFocalTrainer" in stock.advice
    none = ClassWeights(("a",), np.ones(1), ("no weights asked for",))
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
    none = ClassWeights(("a",), np.ones(1), ("no weights asked for",))
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
    assert find_capped([evaluation(a=(100, 90, 80, 20.0))], capped) == []  # it is found
    assert find_capped([evaluation(a=(4, 1, 1, 20.0))], capped) == []  # 1 of 4 says little


def test_labels_that_the_evaluation_says_nothing_of():
    history = [evaluation(a=row(0, 4, 0, train_support=7), b=row(0, 0, 0, known=0), c=FOUND)]
    found = {f.label: f for f in find_unsupported(history, settings())}
    assert {label: f.kind for label, f in found.items()} == {"a": "no_positives_here", "b": "unknown_here"}
    assert "7 in training" in found["a"].evidence


# ---- the run as a whole ----


@pytest.mark.parametrize("loss", [float("nan"), None, float("inf")])
def test_a_loss_that_is_not_a_number_is_all_that_is_told(loss):
    (finding,) = diagnose([evaluation({"loss": loss}, a=ZERO)] * 2, settings(learning_rate=2e-3))
    assert (finding.kind, finding.severity) == ("nan", "error")
    assert "--learning_rate 2e-04 (now 2e-03)" in finding.advice
    in_training = [evaluation({"loss": 0.1}, [(10, 0.2), (20, loss)], a=ZERO)]
    assert "the training loss at step 20" in find_nan(in_training, settings())[0].evidence
    assert find_nan([evaluation({"loss": 0.1}, [(10, 0.2)], a=ZERO)], settings()) == []


def oscillating(values, per_evaluation=5):
    parts = [values[i : i + per_evaluation] for i in range(0, len(values), per_evaluation)]
    return [evaluation({}, list(enumerate(part)), a=FOUND) for part in parts]


SMOOTH = [1 / (1 + i) for i in range(20)]


def test_an_oscillating_loss_is_told():
    (finding,) = find_oscillating_loss(oscillating([0.5, 0.9] * 10), settings(learning_rate=2e-5))
    assert "--learning_rate 1e-05 (now 2e-05)" in finding.advice  # the note: 2e-5 -> 1e-5


@pytest.mark.parametrize(
    "losses",
    [
        SMOOTH,
        [0.5] * 20,
        [*[0.5] * 12, 2.5, *[0.5] * 7],  # one bump
        [*[0.5] * 6, 2.5, 0.1, 2.0, *[0.5] * 11],  # a few at once
        [0.5 + 0.02 * (-1) ** i for i in range(20)],  # noise
        [0.5, 0.9, 0.5],  # too few to tell
        [(0.4 if i % 2 else 0.6) * 0.9**i for i in range(20)],  # up and down, but down
        [],
    ],
)
def test_no_bump_no_noise_and_no_descent_is_an_oscillation(losses):
    assert find_oscillating_loss(oscillating(losses), settings()) == []


@given(st.integers(0, 2**32 - 1))
def test_the_noise_of_batches_is_no_oscillation(seed):
    rng = np.random.default_rng(seed)
    losses = (0.1 + np.exp(-np.arange(40) / 10)) * rng.lognormal(0, 0.12, 40)
    assert find_oscillating_loss(oscillating(losses.tolist()), settings()) == []


def losing(losses, train, f1, **more):
    series = zip(losses, train, f1, itertools.count(1), strict=False)
    return [
        evaluation({"loss": loss, "secondary_f1_macro": f}, [(i, t)], epoch=i, step=i * 10, a=FOUND, **more)
        for loss, t, f, i in series
    ]


def test_overfitting_is_told_and_a_note_where_the_rare_labels_still_gain():
    (finding,) = find_overfitting(
        losing([0.5, 0.4, 0.45, 0.5], [0.5, 0.4, 0.3, 0.2], [0.1, 0.4, 0.3, 0.3]), settings()
    )
    assert finding.severity == "warning"
    assert "evaluation loss 0.4 (step 20) -> 0.5, training loss 0.4 -> 0.2" in finding.evidence
    assert "--num_train_epochs 2" in finding.advice
    (note,) = find_overfitting(losing([0.5, 0.4, 0.45, 0.5], [0.5, 0.4, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4]), settings())
    assert note.severity == "note"


@pytest.mark.parametrize(
    ("losses", "train"),
    [
        ([0.5, 0.4, 0.45, 0.44], [0.5, 0.4, 0.3, 0.2]),  # not twice in a row
        ([0.5, 0.4, 0.401, 0.402], [0.5, 0.4, 0.3, 0.2]),  # hardly
        ([0.5, 0.4, 0.45, 0.5], [0.5, 0.4, 0.45, 0.5]),  # the training loss rises too
        ([0.4, 0.5], [0.5, 0.4]),  # too few
    ],
)
def test_a_loss_that_rises_is_not_always_overfitting(losses, train):
    assert find_overfitting(losing(losses, train, [0.4, 0.3, 0.2, 0.1]), settings()) == []


def test_losses_under_other_weights_are_not_compared():
    history = losing([0.5, 0.4, 0.45, 0.5], [0.5, 0.4, 0.3, 0.2], [0.1, 0.4, 0.3, 0.3])
    history[2]["labels"][0]["weight"] = 15.0
    assert find_overfitting(history, settings()) == []


def f1_of(*values):
    return [evaluation({"secondary_f1_macro": v}, step=i, a=FOUND) for i, v in enumerate(values)]


def test_a_steady_rise_is_good():
    (finding,) = find_improving(f1_of(0.1, 0.2, 0.4), settings())
    assert finding.severity == "good"
    for history in (f1_of(0.1, 0.2), f1_of(0.1, 0.2, 0.2), f1_of(0.1, 0.101, 0.102), []):
        assert find_improving(history, settings()) == []


def test_a_rise_that_leaves_a_label_at_recall_0_is_not_called_good():
    history = f1_of(0.1, 0.2, 0.4)
    history[-1]["labels"] += evaluation(b=ZERO)["labels"]
    assert find_improving(history, settings()) == []


def test_an_f1_that_is_still_0_is_no_plateau():
    assert find_plateau(f1_of(0.0, 0.0, 0.0, 0.0, 0.0), settings()) == []
    assert len(find_plateau(f1_of(0.0, 0.1, 0.1, 0.1, 0.1), settings())) == 1


def test_a_plateau_is_three_evaluations_without_gain():
    (finding,) = find_plateau(f1_of(0.1, 0.4, 0.39, 0.40, 0.401), settings())
    assert "0.401 at step 4" in finding.evidence
    for history in (f1_of(0.1, 0.4, 0.39, 0.40), f1_of(0.1, 0.4, 0.39, 0.40, 0.42), f1_of(0.4, 0.4)):
        assert find_plateau(history, settings()) == []
    ranking = f1_of(0.1, 0.4, 0.39, 0.40, 0.401)
    for i, entry in enumerate(ranking):
        entry["metrics"]["mean_average_precision"] = 0.1 * i  # what is not over a threshold yet is still learned
    assert find_plateau(ranking, settings()) == []


def test_what_is_stacked():
    strong = settings(focal_gamma=3.0, sampler="repeat_factor")
    (finding,) = find_stacked([evaluation(a=FOUND)], strong, 0)
    assert (finding.severity, finding.evidence) == (
        "note",
        "class weights up to 10, focal_gamma 3, sampler repeat_factor",
    )
    assert find_stacked([evaluation(a=FOUND)], strong, 2)[0].severity == "warning"
    drawn = settings(sampler="repeat_factor", repeats={"a": 4.2, "b": 1.0})
    (finding,) = find_stacked([evaluation(a=FOUND)], drawn, 0)
    assert finding.evidence.endswith("repeat_factor: an epoch counts 'a' 42 times, weight 10 x drawn 4.2 times")
    hardly = settings(sampler="repeat_factor", repeats={"a": 1.9, "b": 1.0})
    assert find_stacked([evaluation(a=FOUND)], hardly, 0) == []
    assert find_stacked([evaluation(a=FOUND)], settings(), 2) == []  # the defaults


def test_precision_under_its_target():
    low = {"secondary_precision": 0.55, "secondary_recall": 0.7}
    history = [evaluation(low, a=(40, 50, 27), primary=(900, 900, 900))] * 2
    (finding,) = find_precision_under_target(history, settings(secondary=("a",)))
    assert "secondary_precision 0.55, target 0.6, at secondary_recall 0.70 (50 decisions)" in finding.evidence
    few = [evaluation(low, a=(40, 20, 11), primary=(900, 900, 900))] * 2
    assert find_precision_under_target(few, settings(secondary=("a",))) == []
    assert find_precision_under_target(history[:1], settings()) == []


def by_chance(times=1.0, mean=0.05):
    labels = {f"l{i}": row(50, 0, 0, average_precision=0.05 * times, prevalence=0.05) for i in range(4)}
    return evaluation({"mean_average_precision": mean}, [(1, 0.3)], **labels)


def test_a_learning_rate_that_is_too_high_is_not_told_to_be_raised():
    (finding,) = diagnose([by_chance()] * 2, settings(learning_rate=2e-3))
    assert finding.kind == "learning_rate_too_high"
    assert "--learning_rate 2e-04 (now 2e-03)" in finding.advice
    assert kinds(diagnose([by_chance()] * 2, settings(learning_rate=2e-5))) == ["undertrained"]
    assert find_learning_rate_too_high([by_chance(1.5)] * 2, settings(learning_rate=2e-3)) == []
    assert find_learning_rate_too_high([by_chance()], settings(learning_rate=2e-3)) == []


def hardly_learned(step, epoch=None):
    silent = {f"label {i}": (300 - i, 0, 0, 3.0) for i in range(9)}
    return evaluation({"mean_average_precision": 0.1 * step}, epoch=epoch, top=(900, 1500, 700, 1.0), **silent)


def test_most_of_the_common_labels_at_zero_is_no_matter_of_rarity():
    assert diagnose([hardly_learned(1)], settings()) == []  # once says nothing yet
    history = [hardly_learned(1), hardly_learned(2)]
    (finding,) = diagnose(history, settings(num_epochs=3, learning_rate=2e-5))
    assert (finding.kind, finding.label, finding.evaluations) == ("undertrained", "", 2)
    assert "9 of 10 labels have recall 0, even 'label 0' with its 300 positives" in finding.evidence
    assert "0.100 -> 0.200" in finding.evidence
    assert finding.advice == "--num_train_epochs 9 (now 3) or --learning_rate 1e-04 (now 2e-05)."
    (early,) = diagnose([hardly_learned(1, 1), hardly_learned(2, 2)], settings(num_epochs=5))
    assert (early.severity, "epoch 2 of 5" in early.evidence) == ("note", True)


@pytest.mark.parametrize(("n_silent", "undertrained"), [(4, False), (7, False), (8, True)])
def test_a_long_tail_at_zero_is_not_undertrained(n_silent, undertrained):
    """10 labels, the rarest silent: only when half of the 5 commonest are silent too is the model to blame."""
    labels = {f"l{i}": (10 * (10 - i), 5, 0 if 10 - i <= n_silent else 5, 1.0) for i in range(10)}
    assert bool(find_undertrained([evaluation(**labels)] * 2, settings())) == undertrained


def ranked(average_precision, mean, silent=2):
    """Four labels, the rarest `silent` of them not found, with that average precision at a share of 0.01."""
    known = {"average_precision": average_precision, "prevalence": 0.01}
    labels = {f"l{i}": row(90 - 20 * i, 9, 0 if i >= 4 - silent else 9, 3.0, **known) for i in range(4)}
    return evaluation({"mean_average_precision": mean}, **labels)


@pytest.mark.parametrize(
    ("average_precision", "means", "silent", "kind"),
    [
        (0.01, (0.2, 0.2), 2, "undertrained"),  # half of the labels, by chance
        (0.01, (0.2, 0.3), 1, "undertrained"),  # on its way
        (0.01, (0.2, 0.2), 1, "not_learned"),  # it learns no more, and all but one label are found
        (0.15, (0.2, 0.3), 2, "not_learned"),  # it ranks better than chance
        (None, (0.2, 0.3), 2, "not_learned"),  # with the stock Trainer that is not known
    ],
)
def test_a_label_that_ranks_by_chance_is_not_given_a_weight(average_precision, means, silent, kind):
    found = diagnose([ranked(average_precision, mean, silent) for mean in means], settings())
    assert found[0].kind == kind
    if kind == "undertrained":
        assert "average precision 0.01 at a share of 0.01 of the rows" in found[0].evidence


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
