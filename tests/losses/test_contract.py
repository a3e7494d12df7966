"""What holds for every loss in LOSSES: a new one is tested by being registered and by its loop in `loops.py`."""

import numpy as np
import pytest
import torch

from imbalance_trainer import LabelDistribution, LabelSchema
from imbalance_trainer.losses import LOSSES, make_loss
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import UsageError

from .loops import ARGUMENTS, LOOPS

N_ROWS = 60
COUNTS = {
    "ordinary": [40, 17, 3, 1],
    "a label never, one always": [0, N_ROWS, 7, 1],
    "nothing": [0, 0, 0, 0],
}
WEIGHTS = [1.0, 2.0, 5.0, 10.0]
EXTREMES = (0.0, 1e-4, 2.95, 3.0, 17.0, 50.0, 88.0, 104.0, 1e3, 1e4)

KINDS = [(name, kind) for name, cls in LOSSES.items() for kind in cls.problem_types]
SETTINGS = [(name, kind, arguments) for name, kind in KINDS for arguments in ARGUMENTS.get(name, [{}])]
each_loss = pytest.mark.parametrize(("name", "kind"), KINDS)
each_setting = pytest.mark.parametrize(("name", "kind", "arguments"), SETTINGS)


def make(name, kind, arguments=None, counts="ordinary", weighted=True, **settings):
    weights = WEIGHTS if weighted and LOSSES[name].takes_class_weights else None
    distribution = LabelDistribution.from_counts(COUNTS[counts], N_ROWS, LabelSchema.from_names(list("abcd")))
    return make_loss(name, kind, weights, distribution, arguments, **settings)


def batch(kind, rows=7, soft=False, masked=True, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    logits = (torch.randn(rows, 4, generator=g, dtype=torch.float64) * 2).to(dtype)
    if kind == SINGLE_LABEL:
        labels = torch.randint(0, 4, (rows,), generator=g)
    elif soft:
        labels = torch.rand(rows, 4, generator=g, dtype=torch.float64)
    else:
        labels = (torch.rand(rows, 4, generator=g) < 0.4).long()
    return logits, labels.masked_fill(torch.rand(labels.shape, generator=g) < 0.3, -100) if masked else labels


def gradient_of(loss, logits, labels, **keywords):
    leaf = logits.detach().clone().requires_grad_()
    value = loss(leaf, labels, **keywords)
    value.sum().backward()
    return value.detach(), leaf.grad


# ---- value and gradient ----


@each_setting
@pytest.mark.parametrize("counts", list(COUNTS)[:2])
def test_value_is_that_of_the_formula_in_a_loop(name, kind, arguments, counts):
    for soft in (False, True) if kind == MULTI_LABEL else (False,):
        for weighted in (True, False):
            loss = make(name, kind, arguments, counts, weighted)
            logits, labels = batch(kind, soft=soft, seed=1)
            weights = WEIGHTS if weighted and loss.takes_class_weights else [1.0] * 4
            rows = (logits.tolist(), labels.tolist(), weights, COUNTS[counts], [N_ROWS] * 4)
            expected = np.array(LOOPS[name](*rows, **arguments), dtype=float)  # None is NaN
            entries = loss(logits, labels, reduction="none")
            assert np.array_equal(np.isnan(expected), (labels == -100).numpy())
            rtol = 1e-6 if loss.needs_counts else 1e-12  # what is made of counts is kept in fp32
            np.testing.assert_allclose(entries, np.nan_to_num(expected), rtol=rtol, atol=1e-14)
            total = np.nansum(expected)
            assert loss(logits, labels).item() == pytest.approx(total, rel=rtol)
            mean = loss(logits, labels, reduction="mean").item()
            assert mean == pytest.approx(total / (labels != -100).sum().item(), rel=rtol)
            over_37 = loss(logits, labels, torch.tensor(37), "mean").item()
            assert over_37 == pytest.approx(total / 37, rel=rtol)


@each_setting
@pytest.mark.parametrize("counts", COUNTS)
def test_gradcheck(name, kind, arguments, counts):
    for smoothing in (0.0, 0.1):
        loss = make(name, kind, arguments, counts, label_smoothing=smoothing)
        logits, labels = batch(kind, rows=4, seed=2)
        for reduction in ("sum", "none"):
            assert torch.autograd.gradcheck(
                lambda z: loss(z, labels, reduction=reduction),  # noqa: B023
                logits.requires_grad_(),
                fast_mode=reduction == "none",
            )


@each_setting
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_extreme_logits_give_finite_values_and_gradients_that_point_the_right_way(name, kind, arguments, dtype):
    rows = [[high, low, 0.5, low] for high in EXTREMES for low in (-high, 0.0) for _ in range(4)]
    logits, classes = torch.tensor(rows, dtype=dtype), torch.arange(len(rows)) % 4
    positive = torch.nn.functional.one_hot(classes, 4).bool()
    labels = positive.long() if kind == MULTI_LABEL else classes
    for counts in COUNTS:
        loss = make(name, kind, arguments, counts)
        value, gradient = gradient_of(loss, logits, labels, reduction="none")
        assert value.dtype == torch.float32
        assert gradient.dtype == dtype
        assert value.isfinite().all()
        assert gradient.isfinite().all()
        assert (gradient[positive] <= 0).all()
        assert (gradient[~positive] >= 0).all()
        exact = loss(logits.double(), labels, reduction="none").float()
        torch.testing.assert_close(value, exact, rtol=1e-5, atol=1e-5)


# ---- what is unknown, and what is given ----


@each_loss
def test_what_is_unknown_has_no_gradient_and_does_not_count(name, kind):
    loss = make(name, kind, label_smoothing=0.1)
    logits, labels = batch(kind, rows=9)
    masked = labels == -100
    assert masked.any()
    value, gradient = gradient_of(loss, logits, labels)
    assert not gradient[masked].any()
    assert gradient[~masked].any()
    moved = torch.where(masked if masked.ndim == 2 else masked[:, None], logits + 5, logits)
    torch.testing.assert_close(loss(moved, labels), value, rtol=1e-12, atol=0)


@each_loss
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_where_nothing_is_known_the_loss_is_0_with_no_gradient(name, kind, rows):
    loss, (logits, labels) = make(name, kind), batch(kind, rows=rows)
    for reduction in ("sum", "mean", "none"):
        value, gradient = gradient_of(loss, logits, torch.full_like(labels, -100), reduction=reduction)
        assert not value.any()
        assert not gradient.any()
        assert gradient.shape == logits.shape


@each_loss
def test_rows_that_have_all_labels_or_none(name, kind):
    if kind == MULTI_LABEL:
        for counts in COUNTS:
            for y in (0, 1):
                value, gradient = gradient_of(make(name, kind, counts=counts), *batch(kind)[:1], torch.full((7, 4), y))
                assert value.isfinite()
                assert gradient.isfinite().all()


@each_loss
def test_the_inputs_stay_as_they_are_and_a_second_call_gives_the_same(name, kind):
    loss = make(name, kind)
    logits, labels = batch(kind, dtype=torch.float32)
    logits_before, labels_before = logits.clone(), labels.clone()
    first = gradient_of(loss, logits, labels)
    buffers = [buffer.clone() for buffer in loss.buffers()]
    second = gradient_of(loss, logits, labels)
    assert torch.equal(logits, logits_before)
    assert torch.equal(labels, labels_before)
    assert all(torch.equal(a, b) for a, b in zip(loss.buffers(), buffers, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@each_loss
def test_labels_of_any_type_and_memory_that_is_not_contiguous_give_the_same(name, kind):
    loss = make(name, kind)
    logits, labels = batch(kind, dtype=torch.float32)
    expected = loss(logits, labels)
    types = (torch.int8, torch.int32, torch.float32, torch.bfloat16) if kind == MULTI_LABEL else (torch.int32,)
    for dtype in types:
        assert torch.equal(loss(logits, labels.to(dtype)), expected)
    apart = torch.stack([logits, logits], -1)[..., 0]
    assert not apart.is_contiguous()
    torch.testing.assert_close(loss(apart, labels), expected)
    if kind == SINGLE_LABEL:  # tokens
        of_tokens = loss(logits[:6].reshape(2, 3, 4), labels[:6].reshape(2, 3), reduction="none")
        torch.testing.assert_close(of_tokens, loss(logits[:6], labels[:6], reduction="none").reshape(2, 3))


# ---- the update ----


@each_loss
def test_micro_batches_add_up_to_the_whole(name, kind):
    loss, (logits, labels) = make(name, kind), batch(kind, rows=11)
    whole, gradient = gradient_of(loss, logits, labels)
    parts = [gradient_of(loss, logits[a:b], labels[a:b]) for a, b in ((0, 4), (4, 5), (5, 5), (5, 11))]
    total, gradients = sum(value for value, _ in parts), torch.cat([part for _, part in parts])
    torch.testing.assert_close(total, whole, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients, gradient, rtol=1e-10, atol=1e-14)


@each_loss
def test_a_large_batch_is_the_sum_of_its_entries(name, kind):
    loss, (logits, labels) = make(name, kind), batch(kind, rows=(1 << 15) + 7)
    whole, gradient = gradient_of(loss, logits, labels)
    total, expected = gradient_of(loss, logits, labels, reduction="none")
    torch.testing.assert_close(whole, total.sum(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-14)


@each_loss
def test_a_class_weight_multiplies_the_loss_of_positives_or_is_refused(name, kind):
    logits = torch.tensor([[0.3, -0.2, 0.1, 1.0]])
    labels = torch.tensor([[-100, 1, -100, -100]]) if kind == MULTI_LABEL else torch.tensor([1])
    if LOSSES[name].takes_class_weights:
        negative = torch.tensor([[0, 0, 0, 0]])
        one, ten = (make(name, kind, weighted=False), make(name, kind))
        torch.testing.assert_close(ten(logits, labels), WEIGHTS[1] * one(logits, labels))
        if kind == MULTI_LABEL:
            assert torch.equal(ten(logits, negative), one(logits, negative))
    else:
        with pytest.raises(UsageError, match=f"loss='{name}' takes no class weights, as it weighs by itself"):
            make_loss(name, kind, WEIGHTS)


@each_loss
def test_it_is_no_part_of_a_model(name, kind):
    loss = make(name, kind, ARGUMENTS.get(name, [{}])[-1])
    assert not loss.state_dict()
    assert not list(loss.parameters())


# ---- errors ----


@each_loss
def test_labels_of_the_other_kind_or_width_are_an_error(name, kind):
    loss = make(name, kind)
    if len(LOSSES[name].problem_types) == 1 and name not in ("bce", "ce"):
        other = batch(SINGLE_LABEL if kind == MULTI_LABEL else MULTI_LABEL)
        with pytest.raises(UsageError, match=r"Loss takes .*; got labels of shape"):
            loss(*other)
    with pytest.raises(UsageError, match="do not fit"):
        loss(torch.zeros(2, 4), torch.zeros(2, 5))
    if LOSSES[name].needs_counts or LOSSES[name].takes_class_weights:
        labels = torch.zeros(2, 5) if kind == MULTI_LABEL else torch.zeros(2, dtype=torch.long)
        with pytest.raises(UsageError, match=r"give one each"):
            loss(torch.zeros(2, 5), labels)


@each_loss
def test_a_loss_that_needs_counts_says_so_where_there_are_none(name, kind):
    empty = LabelDistribution.empty(LabelSchema.from_names(list("abcd")))
    for counts in (None, empty):
        if LOSSES[name].needs_counts:
            with pytest.raises(UsageError, match=f"loss='{name}' needs the labels' counts"):
                make_loss(name, kind, counts=counts)
        else:
            make_loss(name, kind, counts=counts)
