"""Counts at every cut of the scores, against loops over rows."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer.metrics import curves as cuts
from imbalance_trainer.metrics.curves import (
    RANKS,
    column_sums,
    counts_over,
    distinct,
    known,
    label_curves,
    positive_scores,
)
from imbalance_trainer.tuning.thresholds import tune_thresholds

QUICK = settings(deadline=None, max_examples=60)
NO_GRID = np.empty(0)


def counts_by_loop(scores, labels, is_decided):
    """True positives and predicted entries of a column among its known rows."""
    pairs = [(s, y) for s, y in zip(scores.tolist(), labels.tolist(), strict=True) if y == y and y != -100]
    decided = [y for s, y in pairs if is_decided(s)]
    return sum(y > 0.5 for y in decided), len(decided)


def curves_of(scores, labels, grid, with_ranks=False):
    return label_curves(scores, labels, positive_scores(scores, labels), grid, with_ranks)


def next_lower_by_loop(scores, labels, cut):
    lower = [s for s, y in zip(scores.tolist(), labels.tolist(), strict=True) if y == y and y != -100 and s < cut]
    return max(lower, default=-np.inf)


def assert_curve_is_the_loop_s(curve, scores, labels):
    at_least = [counts_by_loop(scores, labels, lambda s, cut=cut: s >= cut) for cut in curve.cut.tolist()]
    assert list(zip(curve.true_positives.tolist(), curve.predicted.tolist(), strict=True)) == at_least
    assert curve.below.tolist() == [next_lower_by_loop(scores, labels, cut) for cut in curve.cut.tolist()]
    assert curve.support == counts_by_loop(scores, labels, lambda s: True)[0]
    assert (np.diff(curve.cut) < 0).all()  # highest first, each once


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


# ---- curves ----


@QUICK
@given(cases(), st.sampled_from([1, 7, 40, 1 << 19]), st.booleans())
def test_counts_at_every_cut_are_those_of_a_loop_in_whatever_chunks(case, chunk, with_ranks):
    scores, labels = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuts, "_CHUNK", chunk)
        grid = distinct(np.sort(np.concatenate(positive_scores(scores, labels))))[::-1]
        curves = list(curves_of(scores, labels, grid, with_ranks))
    assert len(curves) == scores.shape[1]
    for i, (own, at_grid) in enumerate(curves):
        assert_curve_is_the_loop_s(own, scores[:, i], labels[:, i])
        assert_curve_is_the_loop_s(at_grid, scores[:, i], labels[:, i])
        assert np.array_equal(at_grid.cut, grid)


@QUICK
@given(cases())
def test_the_cuts_of_a_label_are_its_positives_distinct_scores_and_with_ranks_some_more(case):
    scores, labels = case
    plain, ranked = (list(curves_of(scores, labels, NO_GRID, with_ranks)) for with_ranks in (False, True))
    for i in range(scores.shape[1]):
        positives, in_use = scores[labels[:, i] > 0.5, i], scores[known(labels[:, i]), i]
        assert plain[i][0].cut.tolist() == sorted(set(positives.tolist()), reverse=True)
        cut = set(ranked[i][0].cut.tolist())
        assert set(positives.tolist()) | set(in_use[in_use == in_use.min(initial=np.inf)].tolist()) <= cut
        assert cut <= set(in_use.tolist())


@pytest.mark.parametrize("rows", [1, 2, 255, 256, 257, 5000])
def test_with_ranks_the_highest_and_the_lowest_known_score_are_cuts(rows):
    scores = np.random.default_rng(0).normal(size=(rows, 1))
    labels = np.zeros((rows, 1))
    labels[scores[:, 0].argmin(), 0] = np.nan if rows > 1 else 0
    ((own, _),) = curves_of(scores, labels, NO_GRID, with_ranks=True)
    in_use = scores[known(labels)]
    assert own.cut[0] == in_use.max()
    assert own.cut[-1] == in_use.min()
    assert own.predicted[-1] == len(in_use)
    assert min(rows, 100) / 2 <= len(own.cut) <= RANKS


def test_ranks_lie_closer_together_at_the_top():
    scores, labels = np.arange(10_000.0)[:, None], np.zeros((10_000, 1))
    ((own, _),) = curves_of(scores, labels, NO_GRID, with_ranks=True)
    assert own.predicted[:10].tolist() == list(range(1, 11))
    assert np.diff(own.predicted)[-1] > 100


def test_a_label_without_positives_or_without_known_rows_has_no_cuts_of_its_own():
    scores, labels = np.zeros((3, 2), np.float32), np.array([[0, -100]] * 3)
    for (own, at_grid), rows in zip(curves_of(scores, labels, np.array([0.0])), (3, 0), strict=True):
        assert len(own.cut) == own.support == 0
        assert at_grid.predicted.tolist() == [rows]
        assert at_grid.true_positives.tolist() == [0]


@QUICK
@given(cases(dtypes=[np.float32]), st.sampled_from([torch.bfloat16, torch.float16]))
def test_half_precision_scores_are_counted_with_their_ties(case, dtype):
    scores, labels = case
    half = torch.tensor(scores).to(dtype).float().numpy()
    for i, (own, _) in enumerate(curves_of(half, labels, NO_GRID)):
        assert_curve_is_the_loop_s(own, half[:, i], labels[:, i])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [1, 3])
def test_inputs_are_not_changed_in_whatever_order_they_lie_in_memory(order, n):
    rng = np.random.default_rng(0)
    scores = np.array(rng.random((20, n)), order=order)
    labels = np.array(rng.integers(0, 2, (20, n)), order=order)
    before = scores.copy(), labels.copy()
    curves = list(curves_of(scores, labels, np.array([0.5]), with_ranks=True))
    counts_over(scores, labels, np.full((1, n), 0.5), positive_scores(scores, labels))
    assert np.array_equal(scores, before[0])
    assert np.array_equal(labels, before[1])
    for i, (own, _) in enumerate(curves):
        assert_curve_is_the_loop_s(own, scores[:, i], labels[:, i])


@pytest.mark.parametrize("n", [1, 2, 5, 20, 100])
def test_a_thinned_curve_keeps_its_ends_and_its_counts(n):
    scores = np.random.default_rng(1).permutation(20.0 * np.arange(20))[:, None]
    ((own, _),) = curves_of(scores, np.ones((20, 1)), NO_GRID)
    fewer = own.thinned(n)
    assert len(fewer.cut) == min(n, 20)
    assert fewer.cut[-1] == own.cut[-1] or n == 1
    assert_curve_is_the_loop_s(fewer, scores[:, 0], np.ones(20))
    assert own.cut[7] in own.thinned(n, [7]).cut


# ---- counts over thresholds ----


@QUICK
@given(cases(), st.sampled_from([1, 7, 1 << 19]), st.integers(0, 3))
def test_counts_over_thresholds_are_those_of_a_loop(case, chunk, sets):
    scores, labels = case
    thresholds = np.random.default_rng(sets).integers(-9, 10, (sets, scores.shape[1])).astype(scores.dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuts, "_CHUNK", chunk)
        true_positives, predicted = counts_over(scores, labels, thresholds, positive_scores(scores, labels))
    assert true_positives.shape == predicted.shape == thresholds.shape
    for j, row in enumerate(thresholds):
        for i, threshold in enumerate(row.tolist()):
            counts = counts_by_loop(scores[:, i], labels[:, i], lambda s, t=threshold: s > t)
            assert (true_positives[j, i], predicted[j, i]) == counts


def test_no_rows_count_nothing():
    true_positives, predicted = counts_over(np.empty((0, 3)), np.empty((0, 3)), np.zeros((2, 3)), [np.empty(0)] * 3)
    assert true_positives.tolist() == predicted.tolist() == [[0] * 3] * 2


# ---- small parts ----


@QUICK
@given(cases(), st.sampled_from([1, 7, 1 << 19]))
def test_positive_scores_of_each_label_are_in_rising_order(case, chunk):
    scores, labels = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuts, "_CHUNK", chunk)
        found = [of_label.tolist() for of_label in positive_scores(scores, labels)]
    assert found == [sorted(c[gold > 0.5].tolist()) for c, gold in zip(scores.T, labels.T, strict=True)]


@given(st.lists(st.integers(-3, 3)))
def test_distinct_numbers_are_those_of_a_set(numbers):
    assert distinct(np.sort(np.array(numbers, dtype=float))).tolist() == sorted(set(numbers))


def test_zero_and_minus_zero_are_one_number():
    assert len(distinct(np.array([-0.0, 0.0]))) == 1


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("rows", [0, 1, 254, 255, 256, 510, 511, 70_000])
def test_column_sums_are_numpy_s(rows, share, order):
    mask = np.array(np.random.default_rng(0).random((rows, 3)) < share, order=order)
    assert np.array_equal(column_sums(mask), mask.sum(0))
    assert column_sums(mask).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, np.float32, np.float64])
def test_minus_100_and_nan_are_unknown(dtype):
    labels = [0, 1, -100] + [np.nan, 0.3] * (np.dtype(dtype).kind == "f")
    is_known = [True, True, False] + [False, True] * (np.dtype(dtype).kind == "f")
    assert known(np.array(labels, dtype=dtype)).tolist() == is_known


# ---- memory ----


def test_tuning_takes_less_than_a_third_of_the_memory_of_its_scores():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((20_000, 1000), dtype=np.float32)
    labels = (scores[::-1] > 2).astype(np.int64)
    tracemalloc.start()
    try:
        tune_thresholds(scores, labels, smoothing=0, shrinkage=0, from_logits=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.3 * scores.nbytes
