"""The logistic model of a label against scikit-learn's, and the counts that it smooths against their formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from imbalance_trainer.tuning import smoothing
from imbalance_trainer.tuning.smoothing import fit_logistic, smoothed_counts

QUICK = settings(deadline=None, max_examples=60)


def fit_by_sklearn(logits, positives, negatives):
    """Each place stands twice, as positives and as negatives, by the share of Platt's targets."""
    p, n = positives.sum(), negatives.sum()
    successes = positives * (p + 1) / (p + 2) + negatives / (n + 2)
    weights = np.concatenate([successes, positives + negatives - successes])
    centre, spread = logits.mean(), logits.std() or 1.0  # scikit-learn's solver wants numbers near 1
    x = (np.concatenate([logits, logits])[:, None] - centre) / spread
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit(x, np.repeat([1, 0], len(logits)), sample_weight=weights / weights.sum())
    return model.coef_[0, 0] / spread, model.intercept_[0] - model.coef_[0, 0] * centre / spread


@st.composite
def problems(draw):
    """Distinct logits, highest first, and counts of positives and negatives at each: (problems, places)."""
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    n, size = draw(st.integers(1, 4)), draw(st.integers(2, 60))
    logits = np.sort(rng.normal(draw(st.sampled_from([-6.0, 0.0])), draw(st.sampled_from([0.1, 2.0, 8.0])), size))
    share = expit(np.sort(rng.normal(-2, 2, size)))  # rises with the logit
    rows = rng.integers(0, draw(st.sampled_from([3, 1000])), (n, size))
    positives = rng.binomial(rows, share)
    positives[:, -1] += 1
    rows[:, 0] += 1
    rows[:, -1] += 1
    return logits[::-1], positives[:, ::-1], (rows - positives)[:, ::-1]


# ---- the model ----


@QUICK
@given(problems())
def test_the_model_is_scikit_learn_s_logistic_regression_on_platt_s_targets(problem):
    logits, positives, negatives = problem
    scale, offset = fit_logistic(*problem)
    assert scale.shape == offset.shape == (len(positives), 1)
    for i in range(len(positives)):
        a, b = fit_by_sklearn(logits, positives[i], negatives[i])
        np.testing.assert_allclose(scale[i, 0], a, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(scale[i, 0] * logits + offset[i, 0], a * logits + b, rtol=1e-5, atol=1e-5)


@QUICK
@given(problems())
def test_problems_in_a_batch_are_fitted_as_one_by_one(problem):
    logits, positives, negatives = problem
    batched = np.concatenate(fit_logistic(*problem), axis=1)
    for i, together in enumerate(batched):
        alone = np.concatenate(fit_logistic(logits, positives[i : i + 1], negatives[i : i + 1]), axis=1)
        np.testing.assert_allclose(together, alone[0], rtol=1e-6, atol=1e-6)


@QUICK
@given(problems())
def test_the_gradient_of_the_likelihood_is_0_at_the_fit(problem):
    logits, positives, negatives = problem
    scale, offset = fit_logistic(*problem)
    p, n = positives.sum(1, keepdims=True), negatives.sum(1, keepdims=True)
    residual = positives * (p + 1) / (p + 2) + negatives / (n + 2)
    residual = residual - (positives + negatives) * expit(scale * logits + offset)
    x = (logits - logits.mean()) / logits.std()
    np.testing.assert_allclose(residual.sum(1), 0, atol=1e-6 * (p + n).max())
    np.testing.assert_allclose(residual @ x, 0, atol=1e-6 * (p + n).max())


def test_steep_models_and_outliers_are_fitted_to_the_end():
    steep = np.linspace(0.1, -0.1, 60), np.repeat([40, 0], [20, 40])[None], np.repeat([0, 900], [20, 40])[None]
    outlier = np.append(36, np.linspace(-19.9, -20.1, 60)), np.repeat([9, 0], [9, 52])[None]
    for logits, positives, negatives in (steep, (*outlier, 50 - 5 * outlier[1])):
        scale, offset = fit_logistic(logits, positives, negatives)
        a, b = fit_by_sklearn(logits, positives[0], negatives[0])
        np.testing.assert_allclose(scale[0, 0] * logits + offset[0, 0], a * logits + b, rtol=1e-4)


STRANGE = {
    "separable": ([3.0, 2.0, -2.0, -3.0], [4, 1, 0, 0], [0, 0, 2, 90]),
    "separable by far": ([1e4, -1e4], [1, 0], [0, 10**6]),
    "one positive": ([2.0, 1.0, -5.0], [1, 0, 0], [0, 3, 999]),
    "one positive at the bottom": ([2.0, 1.0, -5.0], [0, 0, 1], [5, 3, 999]),
    "all positive": ([2.0, 1.0, -5.0], [1, 2, 3], [0, 0, 0]),
    "none positive": ([2.0, 1.0, -5.0], [0, 0, 0], [1, 2, 3]),
    "constant scores": ([0.7], [3], [5]),
    "nothing drawn": ([2.0, 1.0], [0, 0], [0, 0]),
    "all in one place": ([2.0, 1.0], [0, 7], [0, 8]),
    "reversed": ([2.0, -2.0], [1, 9], [9, 1]),
}


@pytest.mark.parametrize("case", STRANGE)
def test_strange_data_gives_finite_parameters_and_counts(case):
    logits, positives, negatives = (np.array(part, dtype=float) for part in STRANGE[case])
    with np.errstate(all="raise", under="ignore"):
        scale, offset = fit_logistic(logits, positives[None], negatives[None])
        counts = positives.cumsum()[None], (positives + negatives).cumsum()[None]
        smooth, support, holds = smoothed_counts(logits, *counts, 5.0)
    assert np.isfinite([scale, offset]).all()
    assert np.isfinite(smooth).all()
    assert np.isfinite(support).all()
    assert not (holds[0] and case in ("none positive", "nothing drawn", "reversed", "one positive at the bottom"))
    assert holds[0] or not case.startswith(("separable", "one positive")) or case == "one positive at the bottom"


def test_a_model_of_labels_that_scores_say_nothing_about_does_not_hold():
    for seed in range(30):
        logits = np.sort(np.random.default_rng(seed).normal(size=12))[::-1]
        positives = np.arange(1, 13)[None]
        for rows in (positives, 3 * positives):  # all positive, a third everywhere
            _, _, holds = smoothed_counts(logits, positives.cumsum(1), rows.cumsum(1), 5.0)
            assert not holds[0]


# ---- smoothed counts ----


def counts_of(problem):
    logits, positives, negatives = problem
    return logits, positives.cumsum(1), (positives + negatives).cumsum(1)


@QUICK
@given(problems(), st.sampled_from([0.5, 10.0, 300.0]))
def test_smoothed_counts_are_the_weighted_mean_of_counts_and_of_what_the_model_expects(problem, k):
    logits, positives, negatives = problem
    smooth, support, holds = smoothed_counts(*counts_of(problem), k)
    for i in range(len(positives)):
        a, b = fit_by_sklearn(logits, positives[i], negatives[i])
        p = positives[i].sum()
        for j in range(len(logits)):
            counted = positives[i, : j + 1].sum()
            expected = sum((positives[i, m] + negatives[i, m]) * expit(a * logits[m] + b) for m in range(j + 1))
            np.testing.assert_allclose(smooth[i, j], (p * counted + k * expected) / (p + k), rtol=1e-5, atol=1e-6)
        assert support[i, 0] == smooth[i, -1]
        assert holds[i] == (a > 1e-7) or abs(a) < 1e-6


@QUICK
@given(problems())
def test_a_model_that_counts_for_nothing_changes_nothing(problem):
    _, true_positives, _ = counts_of(problem)
    smooth, support, _ = smoothed_counts(*counts_of(problem), 1e-12)
    np.testing.assert_allclose(smooth, true_positives, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(support[:, 0], true_positives[:, -1], rtol=1e-9)


def test_many_positives_are_hardly_smoothed_and_few_are():
    logits, k = np.array([2.0, 1.0, 0.0, -1.0]), 20.0
    positives, negatives = np.array([[5, 0, 3, 1]]), np.array([[1, 9, 20, 60]])
    distance = []
    for times in (1, 10, 100, 1000, 10_000):
        _, true_positives, predicted = counts_of((logits, times * positives, times * negatives))
        smooth, _, _ = smoothed_counts(logits, true_positives, predicted, k)
        distance.append(np.abs(smooth / true_positives - 1).max())
    assert distance[0] > 0.05
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 1e-3


@pytest.mark.parametrize("size", [smoothing._PLACES - 1, smoothing._PLACES, smoothing._PLACES + 1, 3000])
def test_many_places_are_put_together_without_moving_the_model(size):
    rng = np.random.default_rng(0)
    logits = np.sort(rng.normal(-2, 2, size))[::-1]
    rows = rng.integers(1, 20, (2, size))
    positives = rng.binomial(rows, expit(1.5 * logits - 0.5))
    whole = fit_logistic(logits, positives, rows - positives)
    merged = smoothing._merged(logits, positives, rows - positives)
    assert len(merged[0]) == min(size, smoothing._PLACES)
    for before, after in zip((positives, rows - positives), merged[1:], strict=True):
        assert np.array_equal(before.sum(1), after.sum(1))
    for a, b in zip(whole, fit_logistic(*merged), strict=True):
        np.testing.assert_allclose(a, b, rtol=0.02)
