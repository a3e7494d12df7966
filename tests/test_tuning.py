"""Tuning and what it gains, against the same by hand; and no row is decided by what was tuned on it."""

from functools import partial

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import f1_score

from imbalance_trainer import ImbalanceMetrics, LabelSchema, tune_thresholds
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.tuning.decisions import TuningOptions, tune_decisions
from imbalance_trainer.tuning.threshold_search import f_score
from imbalance_trainer.utils.errors import DataError, UsageError

from .test_labels import assert_one_sentence

SCHEMA = LabelSchema(["a", "b", "c"], {"g": ["b", "c"]}, [("b", "a")])
PLAIN = DecisionRule(SCHEMA)
by_label = partial(TuningOptions, thresholds_per="label")


def make(rows=60, seed=0):
    """Logits that are too near to 0 and too low for what they say: thresholds gain something."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2, 1.5, (rows, 3)).astype(np.float32)
    return logits, (rng.random((rows, 3)) < expit(2 * logits + 2)).astype(np.int64)


# ---- what is tuned ----


@pytest.mark.parametrize(
    ("options", "keywords"),
    [
        ({"thresholds_per": "label"}, {}),
        ({"threshold_objective": "f_beta", "threshold_beta": 2.0}, {"objective": "f_beta", "beta": 2.0}),
        (
            {"threshold_objective": "recall_at_precision", "threshold_floor": 0.7},
            {"objective": "recall_at_precision", "floor": 0.7},
        ),
        ({"thresholds_per": "all"}, {"per": "all"}),
        ({"thresholds_per": "label", "threshold_shrinkage": 7.0}, {"shrinkage": 7.0}),
    ],
)
def test_thresholds_are_those_of_tune_thresholds_with_the_same_options(options, keywords):
    logits, labels = make()
    result = tune_decisions(logits, labels, PLAIN, TuningOptions(**options), n_bootstrap=20, seed=3)
    direct = tune_thresholds(logits, labels, SCHEMA, from_logits=True, n_bootstrap=20, seed=3, **keywords)
    for part in ("thresholds", "low", "high", "support", "f1"):
        assert np.array_equal(getattr(result.thresholds, part), getattr(direct, part))
    assert np.array_equal(result.rule.thresholds, direct.thresholds)
    assert result.n_rows == 60


def test_the_hierarchy_policy_stays_and_earlier_thresholds_go():
    logits, labels = make()
    before = DecisionRule(SCHEMA, [0.9] * 3, "add_parent")
    result = tune_decisions(logits, labels, before, by_label(), n_bootstrap=0)
    assert result.rule.hierarchy_policy == "add_parent"
    direct = tune_thresholds(logits, labels, SCHEMA, from_logits=True)
    assert np.array_equal(result.rule.thresholds, direct.thresholds)
    at_half = ImbalanceMetrics(SCHEMA, hierarchy_policy="add_parent")
    at_half.update(logits, labels)
    assert result.at_half == at_half.compute()


# ---- what it gains ----


@pytest.mark.parametrize("rows", [60, 43])
def test_metrics_are_those_of_a_loop_over_parts_by_hand(rows):
    logits, labels = make(rows)
    support = np.array([3.0, 2.0, 1.0])
    result = tune_decisions(logits, labels, PLAIN, by_label(), train_support=support, n_bootstrap=0, seed=5)
    part_of = np.random.default_rng(5).permutation(rows) % 5
    decided = np.zeros((rows, 3), dtype=bool)
    for part in range(5):
        rest, here = part_of != part, part_of == part
        tuned = tune_thresholds(logits[rest], labels[rest], SCHEMA, from_logits=True)
        decided[here] = logits[here] > logit(tuned.thresholds)
    decided[:, 1] &= decided[:, 0]
    half = logits > 0
    half[:, 1] &= half[:, 0]
    for found, table, by_hand in (
        (result.held_out, result.held_out_table, decided),
        (result.at_half, result.at_half_table, half),
    ):
        f1 = f1_score(labels, by_hand, average=None, zero_division=0)
        np.testing.assert_allclose(table.f1, f1)
        assert found["f1_macro"] == pytest.approx(f1.mean())
        assert found["f1_tail"] == pytest.approx(f1[2])  # by the training support, the last is the rarest
        assert found["f1_micro"] == pytest.approx(f1_score(labels, by_hand, average="micro", zero_division=0))
        assert np.array_equal(table.predicted, by_hand.sum(0))
    assert result.held_out.keys() == result.at_half.keys()


F2 = {"threshold_objective": "f_beta", "threshold_beta": 2.0}


@pytest.mark.parametrize(("shift", "more"), [(-2.0, {}), (0.0, {}), (4.0, F2)])
def test_what_is_taken_is_what_wins_by_cross_fitting_and_never_loses_to_a_half(shift, more):
    rng = np.random.default_rng(2)
    labels = (rng.random((80, 6)) < 0.1).astype(int)
    logits = (rng.normal(shift, 2.0, labels.shape) + 8 * labels - 4).astype(np.float32)
    plain = DecisionRule(LabelSchema(list("abcdef")))
    result = tune_decisions(logits, labels, plain, TuningOptions(**more), n_bootstrap=0)
    alone = {
        per: tune_decisions(logits, labels, plain, TuningOptions(thresholds_per=per, **more), n_bootstrap=0).tried[per]
        for per in ("all", "label")
    }
    half, held_out = (
        f_score(t.true_positives, t.predicted, t.support, more.get("threshold_beta", 1)).mean()
        for t in (result.at_half_table, result.held_out_table)
    )
    assert result.tried == {"half": half, **alone}
    assert result.tried[result.per] == held_out == max(result.tried.values())
    assert (result.rule.thresholds is None) == (result.per == "half") == (shift == 0)
    assert (result.rule.tuned_on is None) == (shift == 0)


# ---- where little is there ----


def test_positives_that_all_lie_in_one_part_leave_that_part_at_a_half():
    logits, labels = make()
    labels[:] = 0
    labels[11, 2] = 1
    logits[11, 2] = -1.0  # over the tuned threshold, under a half
    result = tune_decisions(logits, labels, PLAIN, by_label(), n_bootstrap=0)
    assert result.held_out_table.support.tolist() == [0, 0, 1]
    assert result.held_out_table.true_positives.tolist() == [0, 0, 0]
    assert result.thresholds.support.tolist() == [0, 0, 1]


@pytest.mark.parametrize("rows", [1, 2, 4, 5])
def test_a_few_rows_are_enough(rows):
    logits, labels = make(rows)
    labels[0] = 1
    result = tune_decisions(logits, labels, PLAIN, by_label(), n_bootstrap=3)
    assert result.held_out_table.known.tolist() == [rows] * 3
    thresholds = result.thresholds.thresholds
    assert ((thresholds > 0) & (thresholds < 1)).all()
    assert (result.per == "half") == (result.rule.thresholds is None)


# ---- errors ----


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold_objective": "f2"}, "Unknown objective 'f2': did you mean 'f1'"),
        ({"threshold_objective": "recall_at_precision"}, r"needs a floor in \(0, 1\]; got None"),
        ({"thresholds_per": "labels"}, "Unknown thresholds_per 'labels': did you mean 'label'"),
        ({"threshold_shrinkage": -1.0}, "threshold_shrinkage .* must be a finite number >= 0; got -1.0"),
        ({"threshold_shrinkage": float("nan")}, "threshold_shrinkage .* must be a finite number .* got nan"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(options, message):
    with pytest.raises(UsageError, match=message) as caught:
        TuningOptions(**options).checked()
    assert_one_sentence(caught.value)
    with pytest.raises(UsageError, match=message):
        tune_decisions(*make(), PLAIN, TuningOptions(**options))


def test_data_that_does_not_fit_is_an_error_and_no_result_at_a_half():
    logits, labels = make()
    options = by_label()
    with pytest.raises(DataError, match="No label has a positive"):
        tune_decisions(logits, 0 * labels, PLAIN, options)
    logits[7, 1] = np.nan
    with pytest.raises(DataError, match="in row 7 of 'b' is nan") as caught:
        tune_decisions(logits, labels, PLAIN, options)
    assert_one_sentence(caught.value)
    with pytest.raises(DataError):
        tune_decisions(logits[:0], labels[:0], PLAIN, options)
