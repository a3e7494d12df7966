"""The linear probe and the linear baseline, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from imbalance_trainer.tuning.linear_baseline import CLASSIFIERS, LinearBaseline
from imbalance_trainer.tuning.probe import RIDGES, fit_probe
from imbalance_trainer.utils.numeric import multi_hot


def bce(logits, labels, reduction):
    return binary_cross_entropy_with_logits(logits, labels, reduction=reduction)


def ce(logits, labels, reduction):
    return cross_entropy(logits, labels, reduction=reduction)


def made(n=400, width=12, n_labels=3, seed=0):
    """Features of very different scales, and labels that follow from them with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, width)) * np.logspace(-1, 1, width) + rng.normal(size=width)
    weight = rng.normal(size=(n_labels, width)) / np.logspace(-1, 1, width)
    scores = (x - x.mean(0)) @ weight.T + rng.normal(size=(n, n_labels))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(scores - np.quantile(scores, 0.8, axis=0))


def test_the_probe_minimises_the_penalised_loss_as_scikit_learn_does():
    x, scores = made()
    y = (scores > 0).float()
    probe = fit_probe(x, y, bce, torch.zeros(3))
    rows = np.setdiff1d(np.arange(len(x)), probe.held_out)  # what features are standardised by
    mean, std = x[rows].mean(0), x[rows].std(0, unbiased=False) + 1e-3
    z = ((x - mean) / std).double().numpy()
    for label in range(3):
        sklearn = LogisticRegression(C=1 / (probe.ridge * len(x)), tol=1e-8, max_iter=10_000).fit(z, y[:, label])
        expected = sklearn.decision_function(z)
        found = x @ probe.weight[label] + probe.bias[label]
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=0.01)


def test_held_out_rows_choose_the_ridge_and_were_not_fitted_to():
    x, scores = made(n=90, width=80, seed=1)  # more features than a small sample can tell apart
    y = (scores > 0).float()
    probe = fit_probe(x, y, bce, torch.zeros(3))
    assert probe.ridge in RIDGES[:3]
    gold = y[probe.held_out].numpy()
    expected = np.mean([average_precision_score(gold[:, i], probe.logits[:, i]) for i in range(3)])
    assert probe.average_precision == pytest.approx(expected)
    rows = np.setdiff1d(np.arange(len(x)), probe.held_out)
    by_ridge = dict(zip(RIDGES, (_alone(x[rows], y[rows], x[probe.held_out], ridge) for ridge in RIDGES), strict=True))
    np.testing.assert_allclose(probe.logits, by_ridge[probe.ridge], atol=0.2)  # no held-out label enters


def _alone(x, y, new, ridge):
    """Logits of new rows by scikit-learn's logistic regression on standardised features."""
    mean, std = x.mean(0), x.std(0, unbiased=False) + 1e-3
    z, new = ((part - mean) / std for part in (x, new))
    fits = (LogisticRegression(C=1 / (ridge * len(x)), tol=1e-8, max_iter=10_000).fit(z, label) for label in y.T)
    return np.stack([fit.decision_function(new) for fit in fits], 1)


def test_classes_and_unknown_entries_are_taken():
    x, scores = made(seed=2)
    classes = scores.argmax(1)
    probe = fit_probe(x, classes, ce, torch.zeros(3))
    assert ((x @ probe.weight.T + probe.bias).argmax(1) == classes).float().mean() > 0.7
    gold = multi_hot(torch.tensor([2, -100]), 3)
    np.testing.assert_array_equal(gold, [[0, 0, 1], [-100, -100, -100]])


def test_the_same_rows_give_the_same_probe():
    x, scores = made()
    first, second = (fit_probe(x, (scores > 0).float(), bce, torch.zeros(3)) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


TEXTS = [f"{'wins' if i % 3 else 'loses'} the {'cup' if i % 2 else 'bowl'} number {i}" for i in range(60)]
LABELS = np.array([[float(i % 3 == 0), float(i % 2 == 0), 0.0] for i in range(60)])


def test_the_linear_baseline_learns_words_and_knows_a_label_without_positives():
    baseline = LinearBaseline().fit(TEXTS[:40], LABELS[:40])
    assert baseline.classifier in CLASSIFIERS
    np.testing.assert_array_equal(baseline.logits(TEXTS[40:]) > 0, LABELS[40:] > 0.5)


def test_unknown_entries_are_left_out_of_the_linear_baseline():
    labels = LABELS.copy()
    labels[::2, 1] = -100  # all that is left of the label is negative
    baseline = LinearBaseline(classifier="linear SVM").fit(TEXTS, labels)
    assert (baseline.logits(TEXTS)[:, 1] < 0).all()
