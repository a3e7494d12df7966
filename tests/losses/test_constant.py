import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from imbalance_trainer import LabelDistribution, LabelSchema
from imbalance_trainer.losses import LOSSES, WeightedBCELoss, WeightedFocalLoss, make_loss
from imbalance_trainer.losses.objective import best_constant_logits
from imbalance_trainer.utils.constants import MULTI_LABEL

SUPPORT, KNOWN = np.array([500, 40, 1, 0, 1000]), np.array([1000, 900, 1000, 1000, 1000])


def test_of_binary_cross_entropy_it_is_the_log_odds_of_the_prevalence():
    found = best_constant_logits(WeightedBCELoss(), SUPPORT, KNOWN)
    positives = np.array([500, 40, 1, 0.5, 999.5])
    np.testing.assert_allclose(found, np.log(positives / (KNOWN - positives)), atol=1e-3)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_of_the_focal_loss_it_is_where_scipy_finds_the_least(gamma):
    weights = np.array([1.0, 5.0, 10.0, 2.0, 3.0])
    found = best_constant_logits(WeightedFocalLoss(weights, gamma), SUPPORT, KNOWN)
    for i in range(5):
        positives = min(max(SUPPORT[i], 0.5), KNOWN[i] - 0.5)

        def total(z, i=i, positives=positives):
            p = 1 / (1 + np.exp(-z))
            of_positive = weights[i] * (1 - p) ** gamma * np.logaddexp(0, -z)
            return positives * of_positive + (KNOWN[i] - positives) * p**gamma * np.logaddexp(0, z)

        assert abs(found[i] - minimize_scalar(total, bounds=(-16, 16), method="bounded").x) < 5e-3


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if MULTI_LABEL in loss.problem_types])
def test_of_every_loss_by_entry_no_other_constant_is_better(name):
    counts = LabelDistribution.from_counts([300, 20, 2], 1000, LabelSchema(["a", "b", "c"]))
    loss = make_loss(name, MULTI_LABEL, None, counts)
    start = torch.from_numpy(best_constant_logits(loss, counts.support, counts.known))
    if not loss.elementwise:
        np.testing.assert_allclose(start, np.log(counts.support / (1000 - counts.support)), atol=1e-9)
        return
    labels = torch.zeros(1000, 3)
    labels[:300, 0] = labels[:20, 1] = labels[:2, 2] = 1

    def of_label(z):
        return loss(z.expand(1000, 3), labels, reduction="none").sum(0)

    best = of_label(start)
    for step in (-1.0, -0.1, 0.1, 1.0):
        assert (of_label(start + step) >= best - 1e-4 * best.abs()).all()
