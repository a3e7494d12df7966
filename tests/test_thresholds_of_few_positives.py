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


def drawn_by_loop(scores, positive, n, rng):
    """The logit of the naive threshold of each resample, in which each row counts Poisson(1) times."""
    cuts = every_cut(scores[positive])
    lower = [logit(scores[scores < cut].max()) if (scores < cut).any() else logit(cut) - 2 for cut in cuts]
    halfway = (logit(cuts) + np.array(lower)) / 2
    drawn = []
    for _ in range(n):
        times = rng.poisson(1.0, len(scores))
        f1 = []
        for cut in cuts:
            hits, predicted = times[(scores >= cut) & positive].sum(), times[scores >= cut].sum()
            f1.append(2 * hits / max(predicted + times[positive].sum(), 1))
        drawn.append(halfway[np.argmax(f1)] if times[positive].any() else np.nan)
    return np.array(drawn)


@pytest.mark.parametrize("positives", [1, 4, 15])
def test_resampled_thresholds_are_distributed_as_those_of_resampled_rows(positives):
    n = 3000
    rng = np.random.default_rng(positives)
    scores = np.round(rng.uniform(0.05, 0.95, 60), 2)
    positive = np.zeros(60, bool)
    positive[rng.choice(60, positives, replace=False, p=scores**2 / (scores**2).sum())] = True
    search = Search(ThresholdObjective("f1"),
                    lambda p: np.clip(logit(p, where=p > 0, out=np.full(np.shape(p), -36.0)), -36, 36),
                    n, np.random.default_rng(0))  # fmt: skip
    _, (best,), _ = find_best(scores[:, None], positive[:, None], search, False)
    drawn = best.logits[1:]
    by_rows = drawn_by_loop(scores, positive, n, rng)
    assert len(drawn) == n
    largest = np.sqrt(np.log(2 / 1e-4) / n)  # of two samples of one distribution, once in 10,000 times
    assert abs(np.isnan(drawn).mean() - np.isnan(by_rows).mean()) < largest
    at = np.unique(np.concatenate([drawn, by_rows]))
    at = at[~np.isnan(at)] + 1e-9
    difference = (drawn[:, None] <= at).mean(0) - (by_rows[:, None] <= at).mean(0)
    assert np.abs(difference).max() < largest
    quantiles = np.nanquantile(by_rows, [0.025, 0.975])
    if positives > 4:
        assert np.abs(np.nanquantile(drawn, [0.025, 0.975]) - quantiles).max() < 0.3


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
    assert not np.array_equal(first.low, other.low) or per == "all"  # one threshold, that may well be the same
    assert np.array_equal(first.thresholds, none.thresholds)
    assert np.isnan([none.low, none.high]).all()
    assert (first.low <= first.high).all()


def test_the_interval_of_one_threshold_for_all_does_not_hang_on_shrinkage():
    scores, labels = make(80, 4, 1000, 0, prevalence=0.15)
    plain, shrunk = (tune_thresholds(scores, labels, per="all", n_bootstrap=50, shrinkage=k) for k in (0, 100))
    assert plain.low[0] < plain.high[0]
    assert np.array_equal([plain.low, plain.high], [shrunk.low, shrunk.high])


def test_intervals_hold_the_threshold_as_a_rule_and_narrow_with_more_rows_and_more_shrinkage():
    def width(rows, **options):
        scores, labels = make(rows, 20, 10**6, 0)
        tuned = tune_thresholds(scores, labels, n_bootstrap=200, **options)
        held = (tuned.low <= tuned.thresholds) & (tuned.thresholds <= tuned.high)
        assert held.mean() >= 0.8
        return np.mean(logit(tuned.high) - logit(tuned.low))

    assert width(50, **NAIVE) > width(5000, **NAIVE)
    assert width(50, **NAIVE) > width(50, shrinkage=100)
