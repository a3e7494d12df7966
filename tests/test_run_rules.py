"""Findings about a run as a whole from made histories: each where it is due, and none in near misses."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbalance_trainer.monitor.diagnose import (
    diagnose,
    find_improving,
    find_learning_rate_too_high,
    find_nan,
    find_oscillating_loss,
    find_overfitting,
    find_plateau,
    find_undertrained,
)

from .made_runs import FOUND, ZERO, evaluation, kinds, row, settings


def losing(losses, train, f1):
    series = zip(losses, train, f1, itertools.count(1), strict=False)
    return [
        evaluation({"loss": loss, "secondary_f1_macro": f}, [(i, t)], epoch=i, step=i * 10, a=FOUND)
        for loss, t, f, i in series
    ]


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
    history = f1_of(0.1, 0.2, 0.4)
    history[-1]["labels"] += evaluation(b=ZERO)["labels"]  # a label is left behind
    assert find_improving(history, settings()) == []
    history = f1_of(0.1, 0.2, 0.4)
    history[-1]["labels"] = [{**row, "threshold": 0.3} for row in history[-1]["labels"]]  # by tuning, not by training
    assert find_improving(history, settings()) == []


def test_a_plateau_is_three_evaluations_without_gain():
    (finding,) = find_plateau(f1_of(0.1, 0.4, 0.39, 0.40, 0.401), settings())
    assert "0.401 at step 4" in finding.evidence
    assert finding.evaluations == 3
    assert find_plateau(f1_of(0.1, 0.4, *[0.3] * 7), settings())[0].evaluations == 7
    for values in ((0.1, 0.4, 0.39, 0.40), (0.1, 0.4, 0.39, 0.40, 0.42), (0.4, 0.4), (0.0,) * 5):
        history = f1_of(*values)
        assert find_plateau(history, settings()) == []
    ranking = f1_of(0.1, 0.4, 0.39, 0.40, 0.401)
    for i, entry in enumerate(ranking):
        entry["metrics"]["mean_average_precision"] = 0.1 * i  # what is not over a threshold yet is still learned
    assert find_plateau(ranking, settings()) == []


def by_chance(times=1.0, mean=0.05):
    labels = {f"l{i}": row(50, 0, 0, average_precision=0.05 * times, prevalence=0.05) for i in range(4)}
    return evaluation({"mean_average_precision": mean}, [(1, 0.3)], **labels)


def test_a_learning_rate_that_is_too_high_is_not_told_to_be_raised():
    (finding,) = diagnose([by_chance()] * 2, settings(learning_rate=2e-3))
    assert finding.kind == "learning_rate_too_high"
    assert "--learning_rate 2e-04 (now 2e-03)" in finding.advice
    assert kinds(diagnose([by_chance()] * 2, settings(learning_rate=2e-5))) == ["undertrained"]
    for n in (2, 5):
        history = [by_chance(1.5), *[by_chance()] * n]
        assert find_learning_rate_too_high(history, settings(learning_rate=2e-3))[0].evaluations == n
    assert find_learning_rate_too_high([by_chance(), by_chance(1.5)], settings(learning_rate=2e-3)) == []
    assert find_learning_rate_too_high([by_chance(1.5)] * 2, settings(learning_rate=2e-3)) == []
    assert find_learning_rate_too_high([by_chance()], settings(learning_rate=2e-3)) == []


def hardly_learned(step, epoch=None):
    zero = {f"label {i}": (300 - i, 0, 0, 3.0) for i in range(9)}
    return evaluation({"mean_average_precision": 0.1 * step}, epoch=epoch, top=(900, 1500, 700, 1.0), **zero)


def test_most_of_the_common_labels_at_zero_is_no_matter_of_rarity():
    assert diagnose([hardly_learned(1)], settings()) == []  # once says nothing yet
    history = [hardly_learned(1), hardly_learned(2)]
    (finding,) = diagnose(history, settings(num_epochs=3, learning_rate=2e-5))
    assert (finding.kind, finding.label, finding.evaluations) == ("undertrained", "", 2)
    assert "9 of 10 labels have recall 0, even 'label 0' with its 300 positives" in finding.evidence
    assert "0.100 -> 0.200" in finding.evidence
    longer = "train longer or faster: --num_train_epochs 9 (now 3)"
    assert finding.advice == f"{longer}."  # it learns at its rate
    for rate, more in ((2e-5, " or --learning_rate 1e-04 (now 2e-05)"), (1e-4, "")):  # what encoders are tuned with
        (finding,) = diagnose([hardly_learned(1)] * 2, settings(num_epochs=3, learning_rate=rate))
        assert finding.advice == f"{longer}{more}."
    (early,) = diagnose([hardly_learned(1, 1), hardly_learned(2, 2)], settings(num_epochs=5))
    assert (early.severity, "epoch 2 of 5" in early.evidence) == ("note", True)


@pytest.mark.parametrize(("n_zero", "undertrained"), [(4, False), (7, False), (8, True)])
def test_a_long_tail_at_zero_is_not_undertrained(n_zero, undertrained):
    """10 labels, the rarest with zero recall: the model is to blame only when half of the 5 commonest have it too."""
    labels = {f"l{i}": (10 * (10 - i), 5, 0 if 10 - i <= n_zero else 5, 1.0) for i in range(10)}
    assert bool(find_undertrained([evaluation(**labels)] * 2, settings())) == undertrained


def ranked(average_precision, mean, zero=2):
    """Four labels, the rarest `zero` of them not found, with that average precision at a share of 0.01."""
    known = {"average_precision": average_precision, "prevalence": 0.01}
    labels = {f"l{i}": row(90 - 20 * i, 9, 0 if i >= 4 - zero else 9, 3.0, **known) for i in range(4)}
    return evaluation({"mean_average_precision": mean}, **labels)


@pytest.mark.parametrize(
    ("average_precision", "means", "zero", "kind"),
    [
        (0.01, (0.2, 0.2), 2, "undertrained"),  # half of the labels, by chance
        (0.01, (0.2, 0.3), 1, "undertrained"),  # on its way
        (0.01, (0.2, 0.2), 1, "not_learned"),  # it learns no more, and all but one label are found
        (0.15, (0.2, 0.3), 2, "not_learned"),  # it ranks better than chance
        (None, (0.2, 0.3), 2, "not_learned"),  # with the stock Trainer that is not known
    ],
)
def test_a_label_that_ranks_by_chance_is_not_given_a_weight(average_precision, means, zero, kind):
    found = diagnose([ranked(average_precision, mean, zero) for mean in means], settings())
    assert found[0].kind == kind
    if kind == "undertrained":
        assert "average precision 0.01 at a share of 0.01 of the rows" in found[0].evidence
