import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer import LabelDistribution, LabelSchema, compute_class_weights
from imbalance_trainer.losses import (
    WeightedBCELoss,
    WeightedCELoss,
    WeightedFocalLoss,
    checked_gamma,
    weighted_focal_loss,
)
from imbalance_trainer.utils.errors import UsageError

from . import loops

GAMMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
KINDS = ("hard", "masked", "soft", "single", "single_masked", "tokens")
EXTREMES = (0.0, 1e-4, 17.0, 50.0, 100.0, 1e3, 1e4)


def make(kind, rows=5, n=4, dtype=torch.float64, seed=0):
    """Logits, labels and class weights of a kind of problem."""
    g = torch.Generator().manual_seed(seed)
    weights = torch.rand(n, generator=g, dtype=torch.float64) * 9 + 0.5
    shape = (rows, 3, n) if kind == "tokens" else (rows, n)
    logits = (torch.randn(shape, generator=g, dtype=torch.float64) * 3).to(dtype)
    if kind in ("single", "single_masked", "tokens"):
        labels = torch.randint(0, n, shape[:-1], generator=g)
    elif kind == "soft":
        labels = torch.rand(shape, generator=g, dtype=torch.float64)
    else:
        labels = (torch.rand(shape, generator=g) < 0.4).long()
    if kind in ("masked", "soft", "single_masked", "tokens"):
        labels = labels.masked_fill(torch.rand(labels.shape, generator=g) < 0.3, -100)
    return logits, labels, weights


def value_and_gradient(logits, labels, *args, upstream=None, **kwargs):
    logits = logits.detach().clone().requires_grad_()
    loss = weighted_focal_loss(logits, labels, *args, **kwargs)
    loss.backward(torch.ones_like(loss) if upstream is None else upstream)
    return loss.detach(), logits.grad


def exact_gradient(z, y, weight, gamma):
    """The derivative of one multi-label entry to 60 digits, from the derivative of the definition by mpmath."""
    with mpmath.workdps(60):
        z = mpmath.mpf(z)

        def loss(x):
            p, not_p = 1 / (1 + mpmath.exp(-x)), 1 / (1 + mpmath.exp(x))
            return -y * weight * not_p**gamma * mpmath.log(p) - (1 - y) * p**gamma * mpmath.log(not_p)

        return mpmath.diff(loss, z)


# ---- against references ----


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 6),
    st.integers(2, 9),
    st.floats(0, 6),
    st.integers(0, 10_000),
)
def test_fp32_value_is_that_of_the_loop_for_any_shape_and_gamma(kind, rows, n, gamma, seed):
    logits, labels, weights = make(kind, rows, n, torch.float32, seed)
    rows_of = logits.reshape(-1, n).double().tolist(), labels.reshape(-1, *labels.shape[logits.ndim - 1 :]).tolist()
    entries = np.array(loops.focal(*rows_of, weights.float().tolist(), None, None, gamma), dtype=float)
    expected = np.nansum(entries) / max((labels != -100).sum().item(), 1)
    loss = weighted_focal_loss(logits, labels, weights, gamma)
    assert loss.dtype == torch.float32
    torch_s_own = gamma == 0 or labels.ndim < logits.ndim  # its cross-entropies round absolutely, ours relatively
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=2e-5 if torch_s_own else 1e-9)


@pytest.mark.parametrize("gamma", GAMMAS[1:])  # gamma 0 is torch's own, which cancels in p - 1
def test_fp32_gradient_is_within_5e_6_of_60_digits(gamma):
    logits = torch.cat([torch.linspace(-16, 16, 41), torch.tensor([1e-4, -1e-4, 0.3333])])[:, None]
    for y in (0, 1):
        labels = torch.full_like(logits, y)
        weights = torch.tensor([7.0])
        _, gradient = value_and_gradient(logits, labels, weights, gamma, "sum")
        for z, got in zip(logits.flatten().tolist(), gradient.flatten().tolist(), strict=True):
            expected = exact_gradient(z, y, 7, gamma)
            allowed = max(5e-6 * abs(expected), torch.finfo(torch.float32).tiny * 1e-3)  # subnormal numbers are coarse
            assert abs(got - expected) <= allowed, (z, y, got, expected)


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
@pytest.mark.parametrize("shape", [(4, 3), (64, 28), (1000, 7), (31, 131), (1, 1)])
def test_gamma_0_without_weights_is_torch_bit_for_bit(shape, reduction):
    g = torch.Generator().manual_seed(3)
    logits = torch.randn(shape, generator=g) * 3
    multi_hot = (torch.rand(shape, generator=g) < 0.3).float()
    classes = torch.randint(0, shape[1], shape[:1], generator=g)
    for labels, stock in ((multi_hot, torch.nn.BCEWithLogitsLoss), (classes, torch.nn.CrossEntropyLoss)):
        theirs = logits.clone().requires_grad_()
        expected = stock(reduction=reduction)(theirs, labels)
        expected.backward(torch.ones_like(expected))
        loss, gradient = value_and_gradient(logits, labels, None, 0.0, reduction)
        assert torch.equal(loss, expected)
        torch.testing.assert_close(gradient, theirs.grad, rtol=2e-7, atol=0)
        assert reduction == "mean" or torch.equal(gradient, theirs.grad)


# ---- finite everywhere ----


@pytest.mark.parametrize("gamma", GAMMAS)
def test_far_logits_cost_what_they_should(gamma):
    logits = torch.tensor([[1e4], [-1e4]])
    wrong, wrong_slope = value_and_gradient(logits, torch.tensor([[0], [1]]), torch.tensor([3.0]), gamma, "none")
    right, right_slope = value_and_gradient(logits, torch.tensor([[1], [0]]), torch.tensor([3.0]), gamma, "none")
    assert wrong.flatten().tolist() == [1e4, 3e4]
    assert wrong_slope.flatten().tolist() == [1, -3]
    assert not right.any()
    assert not right_slope.any()


def test_fp16_gradient_of_a_mean_over_many_entries_does_not_underflow_under_a_loss_scale():
    logits = torch.full((4000, 50), -3.0, dtype=torch.float16, requires_grad=True)
    labels = torch.zeros(4000, 50)
    (weighted_focal_loss(logits, labels) * 2**16).backward()
    exact = exact_gradient(-3.0, 0, 1, 2.0) / labels.numel() * 2**16
    torch.testing.assert_close(logits.grad, torch.full_like(logits, float(exact)), rtol=2e-3, atol=0)


# ---- blocks, layout, masks ----


@pytest.mark.parametrize("shape", [(301, 907), (3, (1 << 18) + 5), ((1 << 17) + 3, 1)])
@pytest.mark.parametrize("kind", ["hard", "masked", "soft"])
def test_a_batch_larger_than_a_block_is_the_sum_of_small_ones(kind, shape):
    logits, labels, weights = make(kind, *shape)
    whole, gradient = value_and_gradient(logits, labels, weights, 2.0, "sum")
    entries = weighted_focal_loss(logits, labels, weights, 2.0, "none")
    torch.testing.assert_close(whole, entries.sum(), rtol=1e-12, atol=0)
    some = slice(0, 3), slice(-5, None)  # of the last block
    _, few = value_and_gradient(logits[some], labels[some], weights[-5:], 2.0, "sum")
    torch.testing.assert_close(gradient[some], few, rtol=1e-12, atol=0)
    with torch.no_grad():
        assert torch.equal(weighted_focal_loss(logits, labels, weights, 2.0, "sum"), whole)


@pytest.mark.parametrize("shape", [(5, 4), (301, 907)])
def test_the_upstream_gradient_multiplies_and_a_graph_that_is_kept_gives_it_again(shape):
    logits, labels, weights = make("masked", *shape)
    _, gradient = value_and_gradient(logits, labels, weights)
    leaf = logits.clone().requires_grad_()
    loss = -2.5 * weighted_focal_loss(leaf, labels, weights)
    loss.backward(retain_graph=True)
    torch.testing.assert_close(leaf.grad, -2.5 * gradient)
    loss.backward()
    torch.testing.assert_close(leaf.grad, -5 * gradient)


# ---- smoothing, and gamma 0 with weights ----


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_weighted_bce_is_torch_s_with_pos_weight(reduction, smoothing):
    logits, labels, weights = make("hard")
    labels, weights = labels.double(), weights.float().double()  # a module keeps its weights in fp32
    soft = labels * (1 - smoothing) + smoothing / 2
    expected = F.binary_cross_entropy_with_logits(logits, soft, pos_weight=weights, reduction=reduction)
    got = WeightedBCELoss(weights, reduction, smoothing)(logits, labels)
    torch.testing.assert_close(got, expected, rtol=1e-14, atol=0)


def test_weighted_ce_is_torch_s_but_its_mean_is_over_rows():
    logits, labels, weights = make("single_masked", rows=9, dtype=torch.float32)
    weights = weights.float()
    each = F.cross_entropy(logits, labels, weight=weights, reduction="none")
    torch.testing.assert_close(WeightedCELoss(weights, "none")(logits, labels), each)
    torch.testing.assert_close(WeightedCELoss(weights)(logits, labels), each.sum() / (labels != -100).sum())
    expected = F.cross_entropy(logits, labels, label_smoothing=0.3)
    torch.testing.assert_close(WeightedCELoss(label_smoothing=0.3)(logits, labels), expected)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_outside_0_to_1_is_an_error(smoothing):
    with pytest.raises(UsageError, match="label_smoothing"):
        weighted_focal_loss(torch.zeros(1, 2), torch.zeros(1, 2), label_smoothing=smoothing)


# ---- errors and the module ----


@pytest.mark.parametrize("gamma", [-0.1, float("nan"), float("inf"), "two", None])
def test_gamma_that_is_no_finite_number_from_0_is_an_error(gamma):
    with pytest.raises(UsageError, match="focal_gamma"):
        checked_gamma(gamma)
    with pytest.raises(UsageError, match="focal_gamma"):
        WeightedFocalLoss(gamma=gamma)


@pytest.mark.parametrize(
    ("logits", "labels", "kwargs", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 4), {}, r"\(2, 4\) do not fit logits of shape \(2, 3\)"),
        (torch.zeros(2, 3), torch.zeros(3), {}, r"expected the same shape"),
        (torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), {}, r"do not fit"),
        (torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3), {}, "floating"),
        (torch.zeros(2, 3), torch.zeros(2, 3), {"class_weights": [1.0, 2.0]}, r"shape \(2,\) for 3 labels"),
        (torch.zeros(2, 3), torch.zeros(2, 3), {"reduction": "average"}, "'average'"),
        (torch.zeros(2, 3), torch.zeros(2, dtype=torch.long), {"reduction": "average", "gamma": 0}, "'average'"),
    ],
)
def test_arguments_that_do_not_fit_are_an_error(logits, labels, kwargs, message):
    with pytest.raises(UsageError, match=message):
        weighted_focal_loss(logits, labels, **kwargs)


@pytest.mark.parametrize("convert", [list, np.asarray, torch.as_tensor])
def test_weights_come_as_a_list_an_array_a_tensor_or_class_weights(convert):
    counts = LabelDistribution.from_labels([[1, 0], [0, 1], [0, 0]], LabelSchema.from_names(["a", "b"]))
    weights = compute_class_weights(counts, [3, 4])
    given = convert([3.0, 4.0])
    logits, labels = torch.zeros(1, 2), torch.tensor([[1, 0]])
    expected = weighted_focal_loss(logits, labels, torch.tensor([3.0, 4.0]))
    assert torch.equal(WeightedFocalLoss(given)(logits, labels), expected)
    assert torch.equal(WeightedFocalLoss(weights)(logits, labels), expected)
    assert torch.equal(weighted_focal_loss(logits, labels, given), expected)
    assert torch.equal(weighted_focal_loss(logits, labels, weights), expected)
