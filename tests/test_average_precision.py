import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from imbalance_trainer.metrics.average_precision import StreamingAveragePrecision


def by_sklearn(scores, labels):
    """Label by label over the known rows; 0 without positives."""
    result = []
    for i in range(scores.shape[1]):
        known = labels[:, i] != -100
        gold = labels[known, i] > 0.5
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result.append(average_precision_score(gold, scores[known, i]) if gold.any() else 0.0)
    return np.array(result)


def streamed(scores, labels, batch=64, **kwargs):
    average_precision = StreamingAveragePrecision(scores.shape[1], **kwargs)
    for top in range(0, len(scores), batch):
        part = slice(top, top + batch)
        average_precision.update(scores[part], labels[part])
    return average_precision


def random_case(rows, n, levels, seed, prevalence=0.3, unknown=0.0):
    rng = np.random.default_rng(seed)
    shares = rng.integers(0, levels + 1, (rows, n)) / levels
    scores = (shares * 12 - 6).astype(np.float32)
    labels = (rng.random((rows, n)) < prevalence * (0.3 + shares)).astype(np.int64)
    return scores, np.where(rng.random((rows, n)) < unknown, -100, labels)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 40),
    st.integers(1, 5),
    st.sampled_from([1, 4, 16, 1 << 20]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(1, 17),
    st.integers(0, 9999),
)
def test_it_is_scikit_learn_s_with_ties_masks_and_any_batches(rows, n, levels, unknown, batch, seed):
    scores, labels = random_case(rows, n, levels, seed, unknown=unknown)
    average_precision = streamed(scores, labels, batch)
    assert average_precision.exact
    np.testing.assert_allclose(average_precision.compute(), by_sklearn(scores, labels), rtol=1e-12)


def test_no_positives_give_0_and_only_positives_1():
    scores, _ = random_case(9, 2, 4, 0)
    labels = np.stack([np.zeros(9), np.ones(9)], axis=1)
    assert streamed(scores, labels).compute().tolist() == [0.0, 1.0]


def test_what_was_added_may_be_written_over():
    scores, labels = random_case(30, 2, 16, 0)
    average_precision, expected = streamed(scores, labels), by_sklearn(scores, labels)
    scores[:], labels[:] = 0, 0
    np.testing.assert_allclose(average_precision.compute(), expected, rtol=1e-12)


@pytest.mark.parametrize("unknown", [0.0, 0.2])
def test_in_bins_it_stays_within_a_thousandth(unknown):
    scores, labels = random_case(6000, 2, 1 << 20, 5, unknown=unknown)
    average_precision = streamed(scores, labels, 100, max_scores=10_000)
    assert not average_precision.exact
    np.testing.assert_allclose(average_precision.compute(), by_sklearn(scores, labels), atol=1e-3)
    np.testing.assert_array_equal(average_precision.compute(), average_precision.compute())


def test_bins_count_every_score_once_in_whatever_batches_it_came():
    scores, labels = random_case(500, 3, 8, 1, unknown=0.1)  # 9 levels: bins of their own, so still exact
    for batch in (1, 7, 100, 500):
        binned = streamed(scores, labels, batch, max_scores=600)
        assert not binned.exact
        np.testing.assert_allclose(binned.compute(), by_sklearn(scores, labels), rtol=1e-12)


def test_far_scores_have_bins_and_are_no_ties_where_exact():
    scores, labels = np.array([[-1e4], [1e4], [-1e4], [1e4]], np.float32), np.array([[0], [1], [1], [0]])
    binned = streamed(scores, labels, max_scores=1)
    assert not binned.exact
    np.testing.assert_allclose(binned.compute(), by_sklearn(scores, labels))
    saturated = np.array([[20.0], [30.0], [40.0]], np.float32)  # probability 1 in fp32, all three
    assert streamed(saturated, np.array([[0], [0], [1]])).compute().tolist() == [1.0]


@pytest.mark.parametrize("max_scores", [1, 1000])
def test_nan_scores_rank_first_and_do_not_break_the_count(max_scores):
    scores, labels = np.array([[np.nan], [3.0], [-3.0]], np.float32), np.array([[0], [1], [0]])
    assert streamed(scores, labels, max_scores=max_scores).compute().tolist() == [0.5]


def test_memory_stays_bounded():
    limit, n = 1000, 4
    average_precision = StreamingAveragePrecision(n, max_scores=limit)
    scores, labels = random_case(13, n, 100, 0)
    for _ in range(200):
        average_precision.update(scores, labels)
        assert len(pickle.dumps(average_precision)) < 12 * limit


def brute_force_best(scores, labels):
    """The highest F1 of any threshold at a score of its own, over the known rows."""
    known = labels != -100
    scores, gold = scores[known], labels[known] > 0.5
    if not gold.any():
        return 0.0
    return max(2 * (gold & (scores >= t)).sum() / (gold.sum() + (scores >= t).sum()) for t in np.unique(scores))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.sampled_from([1, 4, 1 << 20]), st.sampled_from([0.0, 0.3]), st.integers(0, 9999))
def test_the_best_cut_has_the_best_f1_of_all_thresholds(rows, levels, unknown, seed):
    scores, labels = random_case(rows, 3, levels, seed, unknown=unknown)
    best = streamed(scores, labels, 7).compute_ranking().best
    for i in range(3):
        known = labels[:, i] != -100
        gold, decided = labels[:, i] == 1, known & (scores[:, i].astype(np.float64) > best.logit[i])
        if not gold.any():
            assert np.isnan(best.logit[i])
            assert best.true_positives[i] == best.predicted[i] == 0
            continue
        assert decided.sum() == best.predicted[i]
        assert (decided & gold).sum() == best.true_positives[i]
        f1 = 2 * best.true_positives[i] / (gold.sum() + best.predicted[i])
        np.testing.assert_allclose(f1, brute_force_best(scores[:, i], labels[:, i]))
        assert best.highest[i] == scores[known, i].max()


def test_the_best_cut_from_bins_is_near_the_exact_one():
    scores, labels = random_case(4000, 2, 1 << 20, 3)
    exact = streamed(scores, labels).compute_ranking().best
    binned = streamed(scores, labels, max_scores=4000)
    assert not binned.exact
    binned = binned.compute_ranking().best
    f1 = [2 * best.true_positives / ((labels == 1).sum(0) + best.predicted) for best in (exact, binned)]
    np.testing.assert_allclose(f1[0], f1[1], atol=0.005)
    np.testing.assert_allclose(exact.highest, binned.highest, atol=0.2)


def test_a_curve_goes_through_scikit_learn_s_points():
    scores, labels = random_case(500, 2, 16, 0)
    curves = streamed(scores, labels).compute_ranking([1]).curves
    assert list(curves) == [1]
    recall, precision = curves[1]
    theirs = precision_recall_curve(labels[:, 1] == 1, scores[:, 1])
    points = {(round(r, 9), round(p, 9)) for p, r in zip(*theirs[:2], strict=True)}
    assert {(round(r, 9), round(p, 9)) for r, p in zip(recall[1:], precision[1:], strict=True)} <= points
    assert (recall[0], recall[-1], len(recall) <= 64) == (0, 1, True)
    assert (np.diff(recall) >= 0).all()


@pytest.mark.parametrize("max_scores", [1, 1000])
def test_a_batch_without_rows_changes_nothing(max_scores):
    scores, labels = random_case(20, 2, 16, 0)
    average_precision = StreamingAveragePrecision(2, max_scores=max_scores)
    for part in (slice(0), slice(12), slice(12, 12), slice(12, 20), slice(0)):
        average_precision.update(scores[part], labels[part])
    whole = streamed(scores, labels, max_scores=max_scores).compute()
    np.testing.assert_allclose(average_precision.compute(), whole)


def test_without_anything_there_is_no_best_cut():
    ranking = StreamingAveragePrecision(2).compute_ranking([0])
    assert np.isnan(ranking.best.logit).all()
    assert np.isnan(ranking.best.highest).all()
    assert len(ranking.curves[0][0]) == 0
