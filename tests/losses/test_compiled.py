"""Losses under torch.compile give what they give without."""

import copy
import shutil

import pytest
import torch
from torch import nn

from imbalance_trainer.losses import make_loss
from imbalance_trainer.losses.compiled import compiled
from imbalance_trainer.losses.fused_focal import _log1p
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import UsageError

from .test_contract import batch, gradient_of, make

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
CPU = torch.device("cpu")


def assert_same_as_eager(name, kind):
    eager = make(name, kind)
    fast = copy.deepcopy(eager)
    compiled(fast, kind, 4, CPU)
    for rows, seed, dtype in ((7, 0, torch.float32), (1, 1, torch.float32), (9, 2, torch.bfloat16)):
        logits, labels = batch(kind, rows, seed=seed, dtype=dtype)
        expected, got = gradient_of(eager, logits, labels), gradient_of(fast, logits, labels)
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(UsageError, match="do not fit logits"):
        fast(torch.zeros(2, 4), torch.zeros(3, 3))


@needs_compiler
def test_the_focal_loss_compiled_is_the_focal_loss():
    assert_same_as_eager("focal", MULTI_LABEL)


@needs_compiler
@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_kernel_takes_unknown_and_soft_labels_and_far_logits(gamma, reduction):
    logits = torch.cat([torch.randn(5, 4, generator=torch.Generator().manual_seed(0)) * 5, torch.full((1, 4), 1e4)])
    logits[-1, :2] *= -1
    labels = torch.tensor([[0, 1, -100, 0.3]] * 5 + [[1.0, 0, 1, 0]])
    eager = make_loss("focal", MULTI_LABEL, [1.0, 5.0, 2.0, 3.0], gamma=gamma, label_smoothing=0.1)
    fast = copy.deepcopy(eager)
    compiled(fast, MULTI_LABEL, 4, CPU)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        found = []
        for loss in (eager, fast):
            leaf = logits.to(dtype).clone().requires_grad_()
            value = loss(leaf, labels, reduction=reduction)
            value.sum().backward()
            found.append((value.detach(), leaf.grad))
        torch.testing.assert_close(*found, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-6)
        with torch.no_grad():
            torch.testing.assert_close(fast(logits.to(dtype), labels, reduction=reduction), found[1][0])


def test_the_series_is_log1p_to_the_last_bits():
    e = torch.cat([torch.zeros(1), torch.logspace(-38, 0, 10_000)])
    exact = torch.log1p(e.double())
    assert ((_log1p(e).double() - exact).abs() <= 3e-7 * exact).all()
    assert torch.equal(_log1p(e.double()), exact)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("asymmetric", MULTI_LABEL),
        ("distribution_balanced", MULTI_LABEL),
        ("zlpr", MULTI_LABEL),
        ("focal", SINGLE_LABEL),
    ],
)
def test_other_losses_compiled_are_what_they_are(name, kind):
    assert_same_as_eager(name, kind)


def test_what_does_not_compile_is_said_before_training(monkeypatch):
    def fail(self, **_):
        def call(*_, **__):
            raise RuntimeError("No working C++ compiler found.\nMore of it")

        self._compiled_call_impl = call

    monkeypatch.setattr(nn.Module, "compile", fail)
    with pytest.raises(UsageError, match=r"\(No working C\+\+ compiler found\); it needs a C\+\+ compiler"):
        compiled(make_loss("bce", MULTI_LABEL), MULTI_LABEL, 3, CPU)


@needs_compiler
@pytest.mark.slow
def test_the_trainer_trains_with_it_as_without(make_trainer, make_args):
    args = make_args(max_steps=3, optim="sgd", learning_rate=0.1)
    plain, fast = make_trainer(args=args), make_trainer(args=args, compile_loss=True)
    for trainer in (plain, fast):
        trainer.train()
    for one, other in zip(plain.model.parameters(), fast.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
