"""Thresholds of labels with few positives: shrinkage and the bootstrap, against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from imbalance_trainer import LabelSchema, tune_thresholds
from imbalance_trainer.tuning.threshold_search import OBJECTIVES, Search, ThresholdObjective, find_best
from imbalance_trainer.tuning.thresholds import PER, SHRINKAGE

from .test_thresholds import NAIVE, QUICK, cases, every_cut, make

# ---- shrinkage ----


@QUICK
@given(cases, st.sampled_from([0.5, 1.0, 20.0]))
def test_shrinkage_weighs_the_own_logit_by_positives_and_the_shared_one_by_its_strength(case, k):
    scores, labels = case
    labels[:, -1] = 0 if scores.shape[1] > 1 else labels[:, -1]
    naive = tune_thresholds(scores, labels, **NAIVE)
    tuned = tune_thresholds(scores, labels, shrinkage=k)
    assert tuned.shared == naive.shared
    for i, positives in enumerate((labels == 1).sum(0).tolist()):
        own, shared = logit(naive.thresholds[i]), logit(naive.shared)
        expected = expit((positives * own + k * shared) / (positives + k)) if positives else naive.shared
        assert tuned.thresholds[i] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("per", "objective"), [(per, o) for per in PER for o in OBJECTIVES])
def test_a_label_without_positives_gets_the_shared_threshold(per, objective):
    scores, labels = make(40, 3, 50, 0)
    labels[:, 1] = 0
    schema = LabelSchema(list("abc"))
    floor = 0.5 if "_at_" in objective else None
    tuned = tune_thresholds(scores, labels, schema, objective=objective, floor=floor, per=per, n_bootstrap=5)
    assert tuned.thresholds[1] == pytest.approx(tuned.shared)
    assert tuned.support[1] == 0
    assert np.isfinite([tuned.low, tuned.high]).all()


def test_a_floor_is_not_shrunk_unless_that_is_asked_for():
    scores, labels = make(60, 3, 50, 0, prevalence=0.1)
    for options, default in [({"objective": "recall_at_precision", "floor": 0.5}, 0), ({}, SHRINKAGE)]:
        plain = tune_thresholds(scores, labels, **options).thresholds
        assert np.array_equal(plain, tune_thresholds(scores, labels, **options, shrinkage=default).thresholds)
        assert not np.array_equal(plain, tune_thresholds(scores, labels, **options, shrinkage=30).thresholds)


# ---- bootstrap ----


def as_good_by_loop(scores, positive, n, rng):
    """The logit of the threshold at each cut, the best of them, and the share of resamples, in which each row counts
    Poisson(1) times, where a cut is as good as the best."""
    cuts = every_cut(scores[positive])
    lower = [logit(scores[scores < cut].max()) if (scores < cut).any() else logit(cut) - 2 for cut in cuts]

    def f1(times):
        hits = np.array([times[(scores >= cut) & positive].sum() for cut in cuts])
        predicted = np.array([times[scores >= cut].sum() for cut in cuts])
        return 2 * hits / np.maximum(predicted + times[positive].sum(), 1)

    best = f1(np.ones(len(scores))).argmax()
    drawn = np.array([f1(rng.poisson(1.0, len(scores))) for _ in range(n)])
    return (logit(cuts) + np.array(lower)) / 2, best, (drawn >= drawn[:, [best]]).mean(0)


@pytest.mark.parametrize("positives", [1, 4, 15])
def test_the_range_has_the_thresholds_that_are_as_good_in_more_than_a_twentieth_of_resampled_rows(positives):
    n = 3000
    rng = np.random.default_rng(positives)
    scores = np.round(rng.uniform(0.05, 0.95, 60), 2)
    positive = np.zeros(60, bool)
    positive[rng.choice(60, positives, replace=False, p=scores**2 / (scores**2).sum())] = True
    search = Search(ThresholdObjective("f1"),
                    lambda p: np.clip(logit(p, where=p > 0, out=np.full(np.shape(p), -36.0)), -36, 36),
                    n, np.random.default_rng(0))  # fmt: skip
    _, (found,), _ = find_best(scores[:, None], positive[:, None], search, False)
    thresholds, best, share = as_good_by_loop(scores, positive, n, rng)
    assert found[0] == pytest.approx(thresholds[best])
    for surely, maybe in [(share > 0.07, share > 0.03)]:  # 0.02 is three standard deviations
        assert found[1] <= thresholds[surely].min() + 1e-9
        assert found[2] >= thresholds[surely].max() - 1e-9
        assert all(np.isclose(end, thresholds[maybe]).any() for end in found[1:])


@pytest.mark.parametrize("per", PER)
def test_intervals_are_those_of_the_seed_and_leave_thresholds_as_they_are(per):
    scores, labels = make(80, 4, 1000, 0, prevalence=0.15)
    schema = LabelSchema(list("abcd"))
    first, again, other, none = (
        tune_thresholds(scores, labels, schema, per=per, n_bootstrap=n, seed=seed)
        for n, seed in [(50, 1), (50, 1), (50, 2), (0, 1)]
    )
    assert np.array_equal(first.low, again.low)
    assert np.array_equal(first.high, again.high)
    assert not np.array_equal([first.low, first.high], [other.low, other.high]) or per == "all"  # that may be the same
    assert np.array_equal(first.thresholds, none.thresholds)
    assert np.isnan([none.low, none.high]).all()
    assert (first.low <= first.high).all()


def test_the_interval_of_one_threshold_for_all_does_not_hang_on_shrinkage():
    scores, labels = make(80, 4, 1000, 0, prevalence=0.15)
    plain, shrunk = (tune_thresholds(scores, labels, per="all", n_bootstrap=50, shrinkage=k) for k in (0, 100))
    assert plain.low[0] < plain.high[0]
    assert np.array_equal([plain.low, plain.high], [shrunk.low, shrunk.high])


def test_ranges_hold_the_threshold_and_narrow_with_more_rows_and_more_shrinkage():
    def width(rows, **options):
        scores, labels = make(rows, 20, 10**6, 0)
        tuned = tune_thresholds(scores, labels, n_bootstrap=200, **options)
        assert ((tuned.low <= tuned.thresholds + 1e-6) & (tuned.thresholds <= tuned.high + 1e-6)).all()
        return np.mean(logit(tuned.high) - logit(tuned.low))

    assert width(50, **NAIVE) > width(5000, **NAIVE)
    assert width(50, **NAIVE) > width(50, shrinkage=100)
