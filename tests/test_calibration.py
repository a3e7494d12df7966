"""Scales and offsets against another optimiser of the same likelihood, and errors against a loop over bins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.model_selection import StratifiedKFold

from imbalance_trainer import LabelSchema
from imbalance_trainer.tuning.calibration import N_BINS, calibrate, expected_calibration_error
from imbalance_trainer.utils.errors import DataError

from .test_labels import assert_one_sentence

ABC = LabelSchema(list("abc"))


def make(rows, seed, scale=1.0, shift=0.0, n=3):
    """Logits whose true probability is expit(scale * logit + shift), and labels drawn from it; two of each kind."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, (rows, n))
    labels = (rng.random((rows, n)) < expit(scale * logits + shift)).astype(int)
    order = logits.argsort(0)
    np.put_along_axis(labels, order[:2], 0, 0)
    np.put_along_axis(labels, order[-2:], 1, 0)
    return logits, labels


def fit_by_scipy(z, y):
    """The maximum of the likelihood of Platt's targets; the identity where that means a negative scale."""
    p, n = y.sum(), (1 - y).sum()
    target = np.where(y == 1, (p + 1) / (p + 2), 1 / (n + 2))

    def loss(parameters):
        logit = parameters[0] * z + parameters[1]
        error = (expit(logit) - target) / len(z)
        return (np.logaddexp(0, logit) - target * logit).mean(), np.array([error @ z, error.sum()])

    found = minimize(loss, [0.5, 0.0], jac=True, method="BFGS", options={"gtol": 1e-10}).x
    return tuple(found) if found[0] > 0 else (1.0, 0.0)


def error_by_loop(probabilities, labels, n_bins=N_BINS):
    error = 0.0
    for i in range(n_bins):
        in_bin = [(p, y) for p, y in zip(probabilities, labels, strict=True) if min(int(p * n_bins), n_bins - 1) == i]
        if in_bin:
            mean, share = np.mean(in_bin, axis=0)
            error += len(in_bin) / len(labels) * abs(mean - share)
    return error


# ---- the fit ----


@settings(deadline=None, max_examples=15)
@given(st.integers(10, 300), st.integers(0, 999), st.sampled_from([0.3, 1.0, 3.0]), st.sampled_from([-3.0, 0.0, 1.0]))
def test_scale_and_offset_are_those_of_another_optimiser(rows, seed, scale, shift):
    logits, labels = make(rows, seed, scale, shift)
    calibration = calibrate(logits, labels, ABC)
    for i in range(3):
        expected = fit_by_scipy(logits[:, i], labels[:, i])
        np.testing.assert_allclose((calibration.scale[i], calibration.offset[i]), expected, rtol=1e-3, atol=1e-3)
        assert calibration.fitted[i] == (expected != (1.0, 0.0))


@pytest.mark.parametrize("far", [1.0, 1e4])
def test_labels_that_are_ranked_perfectly_get_a_finite_scale(far):
    logits = far * np.repeat([-1.0, 1.0], [90, 10])[:, None]
    calibration = calibrate(logits, (logits > 0).astype(int), LabelSchema(["a"]))
    assert calibration.fitted.all()
    assert 0 < calibration.scale[0] * far < 20
    assert np.isfinite([calibration.error_before, calibration.error_after]).all()


# ---- where there is nothing to fit ----


@pytest.mark.parametrize(
    "case", ["no positive", "one positive", "one negative", "no negative", "reversed", "constant", "nothing known"]
)
def test_what_cannot_be_fitted_stays_as_it_is(case):
    z = np.linspace(-2, 3, 12)
    y = {
        "no positive": np.zeros(12), "one positive": np.eye(12)[11], "one negative": 1 - np.eye(12)[0],
        "no negative": np.ones(12), "reversed": z < -1, "constant": z > 0, "nothing known": np.full(12, -100),
    }[case]  # fmt: skip
    if case == "reversed":
        z = z - z.mean()
    for constant in (-3.0, 0.0, 3.0) if case == "constant" else (None,):
        logits = z if constant is None else np.full(12, constant)
        calibration = calibrate(logits[:, None], y[:, None], LabelSchema(["a"]))
        assert calibration.parameters.tolist() == [[1.0], [0.0]]
        assert calibration.fitted.tolist() == [False]
        expected = 0.0 if case == "nothing known" else error_by_loop(expit(logits), y)
        assert calibration.error_before[0] == calibration.error_after[0] == pytest.approx(expected)


@pytest.mark.parametrize("unknown", [-100, np.nan])
def test_unknown_entries_are_left_out(unknown):
    logits, labels = make(80, 1)
    known = np.random.default_rng(0).random((80, 3)) < 0.7
    masked = calibrate(logits, np.where(known, labels, unknown), ABC)
    for i, rows in enumerate(known.T):
        alone = calibrate(logits[rows, i : i + 1], labels[rows, i : i + 1], LabelSchema(["a"]))
        for part in ("scale", "offset", "error_before", "error_after", "fitted"):
            assert getattr(masked, part)[i] == getattr(alone, part)[0]


# ---- the calibration error ----


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 40), st.integers(1, 20), st.integers(0, 999))
def test_the_calibration_error_is_that_of_a_loop_over_bins(rows, n_bins, seed):
    rng = np.random.default_rng(seed)
    probabilities, labels = rng.integers(0, 21, rows) / 20, rng.integers(0, 2, rows)  # 0, 1 and edges of bins
    expected = error_by_loop(probabilities, labels, n_bins)
    assert expected_calibration_error(probabilities, labels, n_bins) == pytest.approx(expected, abs=1e-12)


def at_random(rows):
    """Labels that logits say nothing about, so that the rest of a part may be ranked the wrong way round."""
    rng = np.random.default_rng(0)
    return rng.normal(-1, 2, (rows, 3)), rng.integers(0, 2, (rows, 3))


@pytest.mark.parametrize("case", [make(8, 3), make(30, 3, 0.5, -1), make(200, 3, 0.5, -1), at_random(40)])
def test_the_error_after_is_of_rows_that_were_calibrated_by_others(case):
    logits, labels = case
    calibration = calibrate(logits, labels, ABC)
    assert calibration.fitted.any()
    for i in np.flatnonzero(calibration.fitted):
        z, y = logits[:, i], labels[:, i]
        held_out = np.empty(len(z))
        folds = StratifiedKFold(min(5, y.sum(), (1 - y).sum()), shuffle=True, random_state=0)
        for rest, fold in folds.split(z, y):
            a, b = fit_by_scipy(z[rest], y[rest])
            held_out[fold] = expit(a * z[fold] + b)
        assert calibration.error_before[i] == pytest.approx(error_by_loop(expit(z), y))
        assert calibration.error_after[i] == pytest.approx(error_by_loop(held_out, y), abs=2e-3)


# ---- errors ----


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_does_not_fit_is_one_sentence(value):
    with pytest.raises(DataError, match="no rows to calibrate on") as caught:
        calibrate(np.empty((0, 3)), np.empty((0, 3)), ABC)
    assert_one_sentence(caught.value)
    logits, labels = make(10, 0)
    logits[4, 1] = value
    with pytest.raises(DataError, match=f"The logit in row 4 of 'b' is {value}; expected a number") as caught:
        calibrate(logits, labels, ABC)
    assert_one_sentence(caught.value)
