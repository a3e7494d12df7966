"""Counts at the threshold candidates of a label, against loops over rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer.metrics.curves import counts_over, known, label_curve, sorted_scores

QUICK = settings(deadline=None, max_examples=60)


def counts_by_loop(scores, labels, is_decided):
    """True positives and predicted entries of a column among its known rows."""
    pairs = [(s, y) for s, y in zip(scores.tolist(), labels.tolist(), strict=True) if y == y and y != -100]
    decided = [y for s, y in pairs if is_decided(s)]
    return sum(y > 0.5 for y in decided), len(decided)


def next_lower_by_loop(scores, labels, score):
    lower = [s for s, y in zip(scores.tolist(), labels.tolist(), strict=True) if y == y and y != -100 and s < score]
    return max(lower, default=-np.inf)


def assert_curve_is_the_loop_s(curve, scores, labels):
    at_least = [counts_by_loop(scores, labels, lambda s, c=c: s >= c) for c in curve.candidates.tolist()]
    assert list(zip(curve.true_positives.tolist(), curve.predicted.tolist(), strict=True)) == at_least
    assert curve.below.tolist() == [next_lower_by_loop(scores, labels, c) for c in curve.candidates.tolist()]
    assert curve.support == counts_by_loop(scores, labels, lambda s: True)[0]
    assert (np.diff(curve.candidates) < 0).all()  # highest first, each once


@st.composite
def cases(draw, dtypes=(np.float32, np.float64)):
    """Scores with ties, and labels of a type that may be soft, unknown or all negative."""
    rows, n = draw(st.integers(1, 30)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    scores = (rng.integers(-9, 10, (rows, n)) * rng.choice([1.0, 0.37])).astype(draw(st.sampled_from(dtypes)))
    labels = (rng.random((rows, n)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))).astype(np.int64)
    unknown = rng.random((rows, n)) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    kind = draw(st.sampled_from(["int64", "int8", "bool", "soft"]))
    if kind == "bool":
        return scores, labels.astype(bool)
    if kind == "soft":
        labels = np.where(rng.random((rows, n)) < 0.5, rng.choice([0.2, 0.5, 0.51, 0.9], (rows, n)), labels)
        return scores, np.where(unknown, rng.choice([np.nan, -100], (rows, n)), labels).astype(np.float32)
    return scores, np.where(unknown, -100, labels).astype(kind)


@QUICK
@given(cases(), st.sampled_from(["C", "F"]))
def test_counts_at_every_candidate_are_those_of_a_loop(case, order):
    scores, labels = (np.asarray(part, order=order) for part in case)
    before = scores.copy(), labels.copy()
    grid = np.unique(scores[labels > 0.5])
    pairs = list(sorted_scores(scores, labels))
    assert len(pairs) == scores.shape[1]
    for i, (ordered, positives) in enumerate(pairs):
        in_use = scores[known(labels[:, i]), i]
        assert ordered.tolist() == sorted(in_use.tolist())
        own = label_curve(ordered, positives)
        assert own.candidates.tolist() == sorted(set(scores[labels[:, i] > 0.5, i].tolist()), reverse=True)
        assert own.highest == max(in_use.tolist(), default=np.nan) or not len(in_use)
        for curve in (own, label_curve(ordered, positives, grid), own.thinned(3)):
            assert_curve_is_the_loop_s(curve, scores[:, i], labels[:, i])
    assert np.array_equal(scores, before[0])
    assert np.array_equal(labels, before[1], equal_nan=labels.dtype.kind == "f")


def test_more_labels_than_are_copied_at_a_time():
    rng = np.random.default_rng(0)
    scores, labels = rng.random((50, 37)), (rng.random((50, 37)) < 0.3).astype(int)
    for i, pair in enumerate(sorted_scores(scores, labels)):
        assert_curve_is_the_loop_s(label_curve(*pair), scores[:, i], labels[:, i])


@pytest.mark.parametrize("n", [1, 2, 5, 20, 100])
def test_a_thinned_curve_keeps_its_lowest_candidate_and_those_named(n):
    scores = np.arange(20.0)
    own = label_curve(scores, scores)
    fewer = own.thinned(n)
    assert len(fewer.candidates) == min(n, 20)
    assert fewer.candidates[-1] == own.candidates[-1] or n == 1
    assert own.candidates[7] in own.thinned(n, [7]).candidates


@QUICK
@given(cases(), st.integers(0, 99))
def test_counts_over_thresholds_are_those_of_a_loop(case, seed):
    scores, labels = case
    thresholds = np.random.default_rng(seed).integers(-9, 10, scores.shape[1]).astype(scores.dtype)
    true_positives, predicted = counts_over(scores, labels, thresholds)
    for i, threshold in enumerate(thresholds.tolist()):
        counts = counts_by_loop(scores[:, i], labels[:, i], lambda s, t=threshold: s > t)
        assert (true_positives[i], predicted[i]) == counts


def test_zero_and_minus_zero_are_one_candidate():
    scores = np.array([-0.0, 0.0])
    assert len(label_curve(scores, scores).candidates) == 1
