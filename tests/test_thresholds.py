"""Tuned thresholds against scikit-learn and against loops over every cut; what always holds; and every error."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import fbeta_score, precision_recall_curve

from imbalance_trainer import LabelSchema, apply_thresholds, tune_thresholds
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.tuning.threshold_search import OBJECTIVES
from imbalance_trainer.tuning.thresholds import PER
from imbalance_trainer.utils.errors import DataError, UsageError

from .test_labels import assert_one_sentence

QUICK = settings(deadline=None, max_examples=40)
NAIVE = {"shrinkage": 0}
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def make(rows, n, levels, seed, prevalence=0.3, unknown=0.0, dtype=np.float64):
    """Probabilities on so many levels, and labels that go with them: at least one positive each."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(1, levels + 1, (rows, n)) / (levels + 1)
    labels = (rng.random((rows, n)) < prevalence * (0.3 + scores)).astype(np.int64)
    labels = np.where(rng.random((rows, n)) < unknown, -100, labels)
    labels[rng.integers(0, rows, n), np.arange(n)] = 1
    return scores.astype(dtype), labels


cases = st.builds(
    make,
    st.integers(1, 40),
    st.integers(1, 5),
    st.sampled_from([1, 3, 10, 1000]),
    st.integers(0, 9999),
    st.sampled_from([0.0, 0.2, 0.9]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([np.float32, np.float64]),
)


def neighbours(rows, n, seed, prevalence=0.4):
    """fp32 scores that are a few of the type's own steps apart, around different numbers."""
    rng = np.random.default_rng(seed)
    around = np.array([1e-7, 0.1, 0.5, 0.75, 0.9999998], np.float32)  # of the last, some get to 1
    scores = rng.choice(around, n) + np.zeros((rows, n), np.float32)
    for _ in range(6):
        scores = np.where(rng.random((rows, n)) < 0.5, np.nextafter(scores, np.float32(1)), scores)
    labels = (rng.random((rows, n)) < prevalence).astype(int)
    labels[0] = 1
    return scores, labels


def columns(scores, labels):
    """The known rows of each label: scores and whether they are positive."""
    return [(s[y != -100], y[y != -100] > 0.5) for s, y in zip(scores.T, labels.T, strict=True)]


def best_by_sklearn(scores, positive, beta=1.0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, _ = precision_recall_curve(positive, scores)
    numerator, denominator = (1 + beta**2) * precision * recall, beta**2 * precision + recall
    return np.divide(numerator, denominator, out=np.zeros_like(recall), where=denominator > 0).max()


def f_by_sklearn(decided, labels, beta=1.0):
    parts = columns(decided, labels)
    return [fbeta_score(positive, d, beta=beta, zero_division=0) for d, positive in parts]


def counted(decided, positive):
    """Precision and recall, 0/0 = 0."""
    hits = (decided & positive).sum()
    return hits / max(decided.sum(), 1), hits / max(positive.sum(), 1)


def f1_by_hand(decided, positive):
    return 2 * (decided & positive).sum() / max(decided.sum() + positive.sum(), 1)


def every_cut(scores):
    return np.unique(scores)[::-1]


# ---- naive: exactly the best ----


@QUICK
@given(cases, st.booleans())
def test_naive_tuning_finds_scikit_learn_s_best_f1_and_deciding_gives_it(case, from_logits):
    scores, labels = case
    scores = (12 * scores - 7).astype(scores.dtype) if from_logits else scores
    tuned = tune_thresholds(scores, labels, from_logits=from_logits, **NAIVE)
    best = [best_by_sklearn(*column) for column in columns(scores, labels)]
    np.testing.assert_allclose(tuned.f1, best, **EXACT)
    decided = (expit(scores.astype(float)) if from_logits else scores) > tuned.thresholds
    np.testing.assert_allclose(f_by_sklearn(decided, labels), best, **EXACT)


@QUICK
@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 9999), st.booleans())
def test_scores_that_are_neighbours_in_fp32_are_told_apart_wherever_they_are_decided(rows, n, seed, from_logits):
    scores, labels = neighbours(rows, n, seed)
    scores = 16 * scores - 8 if from_logits else scores
    best = [best_by_sklearn(*column) for column in columns(scores, labels)]
    tuned = tune_thresholds(scores, labels, from_logits=from_logits, **NAIVE)
    np.testing.assert_allclose(tuned.f1, best, **EXACT)
    decided = apply_thresholds(scores, tuned.as_dict(), tuned.schema, from_logits=from_logits)
    np.testing.assert_allclose(f_by_sklearn(decided, labels), best, **EXACT)


@QUICK
@given(cases, st.sampled_from([0.25, 0.5, 2.0, 5.0]))
def test_f_beta_is_scikit_learn_s_best(case, beta):
    scores, labels = case
    tuned = tune_thresholds(scores, labels, objective="f_beta", beta=beta, **NAIVE)
    best = [best_by_sklearn(*column, beta) for column in columns(scores, labels)]
    np.testing.assert_allclose(f_by_sklearn(scores > tuned.thresholds, labels, beta), best, **EXACT)


@QUICK
@given(cases, st.sampled_from([0.1, 0.5, 0.75, 0.9, 1.0]))
@pytest.mark.parametrize(("objective", "kept"), [("recall_at_precision", 0), ("precision_at_recall", 1)])
def test_a_floor_is_kept_at_the_most_of_the_other_or_else_approached(objective, kept, case, floor):
    scores, labels = case
    tuned = tune_thresholds(scores, labels, objective=objective, floor=floor)
    for i, (column, positive) in enumerate(columns(scores, labels)):
        found = counted(column > tuned.thresholds[i], positive)
        options = [counted(column >= cut, positive) for cut in every_cut(column)]
        allowed = [option[1 - kept] for option in options if option[kept] >= floor]
        assert tuned.reached[i] == bool(allowed) == (found[kept] >= floor)
        if allowed:
            assert found[1 - kept] == max(allowed)
        else:
            assert found[kept] == max(option[kept] for option in options)


# ---- shared thresholds ----


def value_by_loop(scores, labels, decided, objective, floor=None):
    """What labels that share a threshold are worth: the mean over those with positives, over pooled counts a floor."""
    parts = columns(decided, labels)
    pooled_decided = np.concatenate([d for d, _ in parts])
    pooled = np.concatenate([positive for _, positive in parts])
    precision, recall = counted(pooled_decided, pooled)
    if objective == "recall_at_precision":
        return 1 + recall if precision >= floor else precision
    if objective == "precision_at_recall":
        return 1 + precision if recall >= floor else recall
    return np.mean([f1_by_hand(d, positive) for d, positive in parts if positive.any()])


def best_shared_by_loop(scores, labels, objective, floor=None):
    return max(value_by_loop(scores, labels, scores >= cut, objective, floor) for cut in every_cut(scores))


SMALL = st.builds(make, st.integers(1, 15), st.integers(2, 5), st.sampled_from([2, 6, 1000]), st.integers(0, 9999))
SHARED = [("f1", None), ("recall_at_precision", 0.6), ("precision_at_recall", 0.6)]


@settings(deadline=None, max_examples=20)
@given(SMALL)
@pytest.mark.parametrize(("objective", "floor"), SHARED)
def test_one_threshold_for_all_has_the_best_mean_over_labels_of_every_cut(objective, floor, case):
    scores, labels = case
    scores = np.concatenate([scores, np.repeat(scores[::-1], 3, 1)], axis=1)
    labels = np.concatenate([labels, np.zeros_like(np.repeat(labels, 3, 1))], axis=1)  # no part of the mean
    tuned = tune_thresholds(scores, labels, objective=objective, floor=floor, per="all")
    assert len(set(tuned.thresholds)) == 1
    assert tuned.thresholds[0] == pytest.approx(tuned.shared)
    found = value_by_loop(scores, labels, scores > tuned.thresholds, objective, floor)
    assert found == pytest.approx(best_shared_by_loop(scores, labels, objective, floor), abs=1e-12)


# ---- probabilities and logits, and where thresholds lie ----


@QUICK
@given(cases, st.sampled_from(PER), st.booleans())
def test_probabilities_and_logits_give_the_same_decisions(case, per, naive):
    scores, labels = case
    logits = 9 * scores.astype(float) ** 3 - 4  # of no two levels is the middle a third
    options = {"per": per, **(NAIVE if naive else {})}
    by_logits = tune_thresholds(logits, labels, from_logits=True, **options)
    by_scores = tune_thresholds(expit(logits), labels, **options)
    np.testing.assert_allclose(by_logits.thresholds, by_scores.thresholds, rtol=1e-9)
    assert np.array_equal(by_logits.f1, by_scores.f1)
    assert np.array_equal(by_logits.f1_at_half, by_scores.f1_at_half)
    decided = DecisionRule(by_logits.schema, by_logits.thresholds).decide(logits).numpy()
    again = apply_thresholds(expit(logits), by_scores.thresholds, by_scores.schema)
    clear = np.abs(logits - logit(by_logits.thresholds)) > 1e-6  # logits are decided in fp32
    assert np.array_equal(decided[clear], again[clear])


@st.composite
def strange(draw):
    """Scores as a rounding or a broken model gives them; some positive is there."""
    rows, n = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    from_logits = draw(st.booleans())
    values = draw(
        st.sampled_from([[0.0], [1e4], [-1e4], [-1e4, 1e4], [36.0, 37.0, -36.0, -37.0], [0.0, 30.0, 3e38, -3e38]])
        if from_logits
        else st.sampled_from([[0.0], [1.0], [0.5], [0.0, 1.0], [1e-30, 1e-20, 1.0], [1.0, 1 - 6e-8, 0.0, 1e-45]])
    )
    scores = rng.choice(np.array(values, draw(st.sampled_from([np.float32, np.float64]))), (rows, n))
    labels = (rng.random((rows, n)) < draw(st.sampled_from([0.1, 0.5, 1.0]))).astype(int)
    labels[0, 0] = 1
    return scores, labels, from_logits


@settings(deadline=None, max_examples=150)
@given(strange(), st.sampled_from(OBJECTIVES), st.sampled_from(PER), st.sampled_from([0, 30]), st.booleans())
def test_thresholds_always_lie_between_0_and_1(case, objective, per, n_bootstrap, naive):
    scores, labels, from_logits = case
    schema = LabelSchema(list("abcd")[: scores.shape[1]])
    options = {"floor": 0.7} if "_at_" in objective else {}
    strengths = NAIVE if naive else {"shrinkage": 5}
    with np.errstate(all="raise", under="ignore"):
        tuned = tune_thresholds(
            scores, labels, schema, objective=objective, per=per, from_logits=from_logits, n_bootstrap=n_bootstrap,
            **options, **strengths,
        )  # fmt: skip
    assert ((tuned.thresholds > 0) & (tuned.thresholds < 1)).all()
    assert 0 < tuned.shared < 1
    assert np.isfinite(tuned.f1).all()
    assert np.isnan(tuned.low).all() == np.isnan(tuned.high).all() == (n_bootstrap == 0)
    if n_bootstrap:
        assert ((tuned.low > 0) & (tuned.low <= tuned.high) & (tuned.high < 1)).all()
    assert set(tuned.as_dict()) == set(schema.names)


@QUICK
@given(cases)
def test_a_threshold_is_halfway_between_scores_in_logits_and_one_under_the_lowest(case):
    scores, labels = case
    tuned = tune_thresholds(scores, labels, **NAIVE)
    for (column, _), threshold in zip(columns(scores, labels), tuned.thresholds, strict=True):
        upper = min(logit(float(column[column > threshold].min())), 36)
        rest = column[column <= threshold]
        lower = max(logit(float(rest.max())), -36) if len(rest) else upper - 2
        expected = (upper + lower) / 2
        if scores.dtype == np.float32:
            assert threshold == pytest.approx(expit(expected), rel=2e-7)
        else:
            assert logit(threshold) == pytest.approx(expected, rel=1e-9, abs=1e-9 if upper < 20 else 1)


# ---- what must not matter ----


@QUICK
@given(cases, st.integers(0, 99), st.booleans())
def test_rows_and_labels_may_stand_in_any_order(case, seed, naive):
    scores, labels = case
    rng = np.random.default_rng(seed)
    rows, order = rng.permutation(len(scores)), rng.permutation(scores.shape[1])
    options = NAIVE if naive else {}
    tuned = tune_thresholds(scores, labels, **options)
    by_row = tune_thresholds(scores[rows], labels[rows], **options)
    assert np.array_equal(by_row.thresholds, tuned.thresholds)
    by_label = tune_thresholds(scores[:, order], labels[:, order], **options)
    np.testing.assert_allclose(by_label.thresholds, tuned.thresholds[order], rtol=1e-6)
    assert np.array_equal(by_label.support, tuned.support[order])


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: a.tolist(),
        torch.tensor,
        lambda a: torch.tensor(a, requires_grad=True),
        lambda a: torch.tensor(a).bfloat16(),
        lambda a: torch.tensor(a).half(),
        lambda a: a.astype(np.float16),
        np.asfortranarray,
    ],
)
def test_scores_may_be_lists_tensors_and_half_precision(convert):
    scores, labels = make(30, 3, 7, 0)  # eighths are exact in all of them
    tuned = tune_thresholds(convert(scores), torch.tensor(labels) if convert is torch.tensor else labels)
    np.testing.assert_allclose(tuned.thresholds, tune_thresholds(scores, labels).thresholds, rtol=1e-6)


def test_soft_labels_are_positive_over_a_half_and_inputs_stay_as_they_are():
    scores, labels = make(30, 3, 8, 1)
    soft = np.where(labels == 1, 0.6, 0.5)
    before = scores.copy(), soft.copy()
    tuned = tune_thresholds(scores, soft)
    assert np.array_equal(tuned.thresholds, tune_thresholds(scores, labels).thresholds)
    assert np.array_equal(scores, before[0])
    assert np.array_equal(soft, before[1])


# ---- what is reported ----


@QUICK
@given(cases)
def test_f1_at_a_half_and_at_the_threshold_are_scikit_learn_s(case):
    scores, labels = case
    tuned = tune_thresholds(scores, labels)
    np.testing.assert_allclose(tuned.f1_at_half, f_by_sklearn(scores > 0.5, labels), **EXACT)
    np.testing.assert_allclose(tuned.f1, f_by_sklearn(scores > tuned.thresholds, labels), **EXACT)
    assert np.array_equal(tuned.support, (labels == 1).sum(0))


# ---- errors ----

SCORES, LABELS = np.full((4, 3), 0.3), np.eye(4, 3, dtype=int)


def changed(row, label, value):
    scores = SCORES.copy()
    scores[row, label] = value
    return scores


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": SCORES[:, :2]}, r"one shape .* \(4, 2\) and \(4, 3\)"),
        ({"scores": SCORES[:, 0], "labels": LABELS[:, 0]}, r"\(4,\)"),
        ({"schema": ["a", "b"]}, "scores of 3 labels; the schema has 2"),
        ({"objective": "fbeta"}, "Unknown objective 'fbeta': did you mean 'f_beta'"),
        ({"objective": "recall-at-precision"}, "did you mean 'recall_at_precision'"),
        ({"per": "labels"}, "Unknown per 'labels': did you mean 'label'"),
        ({"objective": "recall_at_precision"}, r"'recall_at_precision' needs a floor in \(0, 1\]; got None"),
        ({"objective": "precision_at_recall", "floor": 0.0}, r"\(0, 1\]; got 0.0"),
        ({"objective": "precision_at_recall", "floor": 1.1}, "got 1.1"),
        ({"objective": "precision_at_recall", "floor": float("nan")}, "got nan"),
        ({"floor": 0.5}, "'f1' has no floor"),
        ({"beta": 2.0}, "'f1' has no beta"),
        ({"objective": "f_beta", "beta": 0.0}, "beta must be a positive finite number; got 0.0"),
        ({"objective": "f_beta", "beta": float("inf")}, "got inf"),
        ({"objective": "f_beta", "beta": float("nan")}, "got nan"),
        ({"shrinkage": -0.5}, "shrinkage .in positives. must be a finite number >= 0; got -0.5"),
        ({"shrinkage": float("nan")}, "shrinkage .* got nan"),
        ({"n_bootstrap": -1}, "n_bootstrap is a whole number >= 0; got -1"),
        ({"n_bootstrap": 1.5}, "n_bootstrap .* got 1.5"),
        ({"n_bootstrap": float("nan")}, "n_bootstrap .* got nan"),
        ({"n_bootstrap": float("inf")}, "n_bootstrap .* got inf"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(changes, message):
    given = {"scores": SCORES, "labels": LABELS, "schema": ["joy", "fear", "anger"], **changes}
    with pytest.raises(UsageError, match=message) as caught:
        tune_thresholds(given.pop("scores"), given.pop("labels"), **given)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": changed(2, 1, np.nan)}, "score in row 2 of 'fear' is nan"),
        ({"scores": changed(2, 1, np.inf)}, "score in row 2 of 'fear' is inf"),
        ({"scores": changed(3, 2, -np.inf), "from_logits": True}, "score in row 3 of 'anger' is -inf"),
        ({"scores": changed(0, 2, 1.5)}, "row 0 of 'anger' is 1.5, no probability; .*from_logits=True"),
        ({"scores": changed(1, 0, -2.0)}, "row 1 of 'joy' is -2, no probability"),
        ({"labels": np.zeros((4, 3))}, "No label has a positive"),
        ({"labels": np.full((4, 3), -100)}, "No label has a positive"),
        ({"scores": np.empty((0, 3)), "labels": np.empty((0, 3))}, r"nothing to tune thresholds on.*\(0, 3\)"),
    ],
)
def test_data_that_does_not_fit_is_one_sentence(changes, message):
    given = {"scores": SCORES, "labels": LABELS, **changes}
    with pytest.raises(DataError, match=message) as caught:
        tune_thresholds(given.pop("scores"), given.pop("labels"), ["joy", "fear", "anger"], **given)
    assert_one_sentence(caught.value)
