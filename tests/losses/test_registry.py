"""What holds for every loss in LOSSES: a new one is tested by being registered."""

import pytest
import torch

from imbalance_trainer.errors import UsageError
from imbalance_trainer.losses import LOSSES, MULTI_LABEL, SINGLE_LABEL, WeightedFocalLoss, make_loss

FOR = [(name, problem_type) for name in LOSSES for problem_type in LOSSES[name].problem_types]


def batch(problem_type, rows=6, n=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, n, generator=g, dtype=torch.float64)
    if problem_type == SINGLE_LABEL:
        labels = torch.randint(0, n, (rows,), generator=g)
    else:
        labels = (torch.rand(rows, n, generator=g) < 0.5).long()
    return logits, labels


@pytest.mark.parametrize(("name", "problem_type"), FOR)
def test_the_trainer_s_loss_is_a_sum_that_adds_up_over_micro_batches(name, problem_type):
    loss = make_loss(name, problem_type, class_weights=[1.0, 4.0, 9.0])
    logits, labels = batch(problem_type)
    torch.testing.assert_close(loss(logits[:2], labels[:2]) + loss(logits[2:], labels[2:]), loss(logits, labels))


@pytest.mark.parametrize(("name", "problem_type"), FOR)
def test_every_reduction_agrees_with_the_loss_per_item(name, problem_type):
    logits, labels = batch(problem_type)
    labels[0] = -100
    known = (labels != -100).sum()
    each, total, mean = (LOSSES[name]([1.0, 4.0, 9.0], reduction=r)(logits, labels) for r in ("none", "sum", "mean"))
    assert each.shape == labels.shape
    assert not each[0].any()
    torch.testing.assert_close(total, each.sum())
    torch.testing.assert_close(mean, each.sum() / known)


@pytest.mark.parametrize(("name", "problem_type"), FOR)
def test_gradcheck_and_no_state(name, problem_type):
    loss = make_loss(name, problem_type, class_weights=[1.0, 4.0, 9.0], label_smoothing=0.1)
    logits, labels = batch(problem_type)
    labels = labels if problem_type == SINGLE_LABEL else labels.double()
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), logits.requires_grad_())
    assert not loss.state_dict()
    assert not list(loss.parameters())


@pytest.mark.parametrize(("name", "problem_type"), FOR)
def test_the_loss_of_a_positive_is_in_proportion_to_its_weight(name, problem_type):
    logits = torch.zeros(1, 2)
    labels = torch.tensor([1]) if problem_type == SINGLE_LABEL else torch.tensor([[-100, 1]])
    one, ten = (make_loss(name, problem_type, class_weights=[1.0, w])(logits, labels) for w in (1.0, 10.0))
    torch.testing.assert_close(ten, 10 * one)


def test_gamma_and_smoothing_arrive():
    loss = make_loss("focal", MULTI_LABEL, gamma=3.5, label_smoothing=0.25)
    assert isinstance(loss, WeightedFocalLoss)
    assert (loss.gamma, loss.label_smoothing, loss.reduction) == (3.5, 0.25, "sum")
    with pytest.raises(UsageError, match="focal_gamma is not for loss='bce', which has no gamma"):
        make_loss("bce", MULTI_LABEL, gamma=3.5)


def test_an_unknown_loss_offers_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'focal'"):
        make_loss("focl", MULTI_LABEL)


@pytest.mark.parametrize(
    ("name", "problem_type", "fitting"),
    [("ce", MULTI_LABEL, "'focal', 'bce'"), ("bce", SINGLE_LABEL, "'focal', 'ce'")],
)
def test_a_loss_for_the_other_kind_of_problem_is_an_error_that_names_the_fitting(name, problem_type, fitting):
    with pytest.raises(UsageError, match=fitting):
        make_loss(name, problem_type)
