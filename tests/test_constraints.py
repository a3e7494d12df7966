"""The penalty, against its formula in terms of probabilities, row by row and rule by rule."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer import LabelSchema
from imbalance_trainer.losses.constraints import ConstraintPenalty
from imbalance_trainer.losses.focal import WeightedFocalLoss
from imbalance_trainer.losses.objective import Objective
from imbalance_trainer.utils.constants import MULTI_LABEL
from imbalance_trainer.utils.errors import UsageError

from .test_labels import schemas

QUICK = settings(deadline=None, max_examples=60)
SEEDS = st.integers(0, 9999)

# c and d below a, e below c and d
SCHEMA = LabelSchema(list("abcdefg"), {}, [("c", "a"), ("d", "a"), ("e", "d"), ("e", "c"), ("c", "g")])
PAIR = LabelSchema(["child", "parent"], implications=[("child", "parent")])
HARD, MASKED, SOFT = (0, 1), (0, 1, -100), (0.0, 0.2, 0.5, 0.9, 1.0, -100.0)


def batch(schema=SCHEMA, rows=6, seed=0, values=MASKED):
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(0, 2, (rows, len(schema))))
    return logits, torch.tensor(rng.choice(values, (rows, len(schema))))


# ---- penalties, by a loop ----


def probability(z):
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


def entries_by_loop(logits, labels, schema):
    """The penalty of each row and rule, and whether it says something."""
    entries, known = [], []
    for z, y in zip(logits.tolist(), labels.tolist(), strict=True):
        p = dict(zip(schema.names, map(probability, z), strict=True))
        gold = dict(zip(schema.names, y, strict=True))
        entries.append([0.0 if gold[a] == -100 else p[c] * (1 - gold[a]) for c, a in schema.implications])
        known.append([gold[a] != -100 for _, a in schema.implications])
    shape = len(logits), len(schema.rules)
    return np.array(entries).reshape(shape), np.array(known, bool).reshape(shape)


@QUICK
@given(schemas(), st.integers(0, 5), st.sampled_from([HARD, MASKED, SOFT]), SEEDS)
def test_the_penalty_is_that_of_a_loop(schema, rows, values, seed):
    logits, labels = batch(schema, rows, seed, values)
    penalty = ConstraintPenalty(schema)
    expected, known = entries_by_loop(logits, labels, schema)
    np.testing.assert_allclose(penalty.entries(logits, labels), expected, rtol=1e-9, atol=1e-13)
    assert penalty.count(labels) == known.sum()
    assert penalty.sum(logits, labels).item() == pytest.approx(expected.sum(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("values", [MASKED, SOFT])
def test_the_gradient_is_that_of_the_loop(values):
    """Of `sum`, by central differences of the loop; no label is near a kink."""
    logits, labels = batch(rows=4, seed=3, values=values)
    logits.requires_grad_()
    penalty = ConstraintPenalty(SCHEMA)
    (gradient,) = torch.autograd.grad(penalty.sum(logits, labels), logits)
    step, numeric = 1e-5, torch.zeros_like(logits)
    for place in itertools.product(range(4), range(len(SCHEMA))):
        up, down = logits.detach().clone(), logits.detach().clone()
        up[place] += step
        down[place] -= step
        difference = entries_by_loop(up, labels, SCHEMA)[0] - entries_by_loop(down, labels, SCHEMA)[0]
        numeric[place] = difference.sum() / (2 * step)
    torch.testing.assert_close(gradient, numeric, rtol=1e-7, atol=1e-9)
    assert gradient.abs().sum() > 1
    assert torch.autograd.gradcheck(lambda z: penalty.entries(z, labels), logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_far_logits_give_finite_values_and_gradients_in_fp32(dtype):
    """Every row of -1e4, 0 and 1e4."""
    rules = LabelSchema(list("abcd"), {}, [("b", "a"), ("d", "c")])
    logits = torch.tensor(list(itertools.product([-1e4, 0.0, 1e4], repeat=4)), dtype=dtype)
    labels = torch.tensor(list(itertools.product([0, 1, -100], repeat=4)))[torch.randperm(81)]
    leaf = logits.clone().requires_grad_()
    penalty = ConstraintPenalty(rules)
    entries = penalty.entries(leaf, labels)
    assert entries.dtype == torch.float32
    assert torch.equal(entries, penalty.entries(logits.float(), labels))
    entries.sum().backward()
    assert leaf.grad.isfinite().all()
    assert leaf.grad.dtype == dtype
    expected, _ = entries_by_loop(logits.double(), labels, rules)
    np.testing.assert_allclose(entries.detach(), expected, atol=1e-6)


@pytest.mark.parametrize("schema", [SCHEMA, PAIR, LabelSchema(list("ab"))])
def test_no_rows_and_no_rules_are_0_with_a_gradient_of_0(schema):
    penalty = ConstraintPenalty(schema)
    for rows in (0, 3):
        logits, labels = batch(schema, rows)
        total = penalty.sum(logits.requires_grad_(), labels)
        total.backward()
        assert logits.grad.shape == logits.shape
        if rows == 0 or not schema.rules:
            assert total == 0
            assert not logits.grad.any()
            assert penalty.count(labels) == 0
        assert penalty.entries(logits, labels).shape == (rows, len(schema.rules))


# ---- what is refused ----


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("golden", "Unknown constraint 'golden': did you mean 'gold'"),
        ("xyz", "known are 'gold', 'none'"),
    ],
)
def test_an_unknown_constraint_is_an_error(name, message):
    with pytest.raises(UsageError, match=message):
        Objective.of(WeightedFocalLoss(), PAIR, MULTI_LABEL, name, 0.5)
