import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer import LabelSchema, close_decisions
from imbalance_trainer.constraints import (
    CLOSINGS,
    PENALTIES,
    count_pairs,
    gold_penalty,
    penalty_by_name,
    violations,
)
from imbalance_trainer.errors import UsageError

QUICK = settings(deadline=None, max_examples=60)
PAIRS = torch.tensor([[1, 0], [2, 0], [2, 3]])


def batch(seed=0, rows=6, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, 4, generator=g, dtype=torch.float64).to(dtype)
    labels = (torch.rand(rows, 4, generator=g) < 0.4).long()
    return logits, labels.masked_fill(torch.rand(rows, 4, generator=g) < 0.2, -100)


# ---- the penalty ----


def penalty_by_loop(logits, labels):
    total, known = 0.0, 0
    for z, y in zip(logits.tolist(), labels.tolist(), strict=True):
        for child, parent in PAIRS.tolist():
            if y[parent] == -100:
                continue
            known += 1
            total += (1 - y[parent]) / (1 + math.exp(-z[child]))
    return total, known


@pytest.mark.parametrize("seed", range(4))
def test_gold_penalty_is_the_child_s_probability_where_the_gold_parent_is_0(seed):
    logits, labels = batch(seed)
    total, known = penalty_by_loop(logits, labels)
    assert gold_penalty(logits, labels, PAIRS).item() == pytest.approx(total, rel=1e-12)
    assert count_pairs(labels, PAIRS).item() == known


def test_a_soft_parent_counts_with_what_it_lacks():
    logits, labels = torch.zeros(1, 4), torch.tensor([[0.25, 0.0, 0.0, 1.0]])
    assert gold_penalty(logits, labels, PAIRS).item() == pytest.approx(2 * 0.5 * 0.75)


@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty_passes_gradcheck_and_is_0_where_no_implication_can_break(name):
    logits, labels = batch()
    penalty = penalty_by_name(name)
    assert torch.autograd.gradcheck(lambda z: penalty(z, labels, PAIRS), logits.requires_grad_())
    assert penalty(logits, torch.ones_like(labels), PAIRS) == 0
    assert penalty(logits, torch.full_like(labels, -100), PAIRS) == 0
    assert penalty(logits[:0], labels[:0], PAIRS) == 0


@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty_adds_up_over_micro_batches(name):
    logits, labels = batch(rows=8)
    penalty = penalty_by_name(name)
    parts = penalty(logits[:3], labels[:3], PAIRS) + penalty(logits[3:], labels[3:], PAIRS)
    torch.testing.assert_close(parts, penalty(logits, labels, PAIRS))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_penalty_is_computed_in_fp32_and_finite(dtype):
    logits, labels = batch(dtype=dtype)
    penalty = gold_penalty(logits, labels, PAIRS)
    assert penalty.dtype == torch.float32
    assert penalty == gold_penalty(logits.float(), labels, PAIRS)
    far = (logits * 1e4).requires_grad_()
    gold_penalty(far, labels, PAIRS).backward()
    assert far.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.float32, torch.bfloat16])
def test_labels_of_any_type_give_the_same_penalty(dtype):
    logits, labels = batch()
    labels = labels.clamp(min=0)
    assert gold_penalty(logits, labels.to(dtype), PAIRS) == gold_penalty(logits, labels, PAIRS)
    assert count_pairs(labels.to(dtype), PAIRS) == 18


def test_penalties_are_found_by_name():
    assert penalty_by_name("none") is None
    assert penalty_by_name("gold") is gold_penalty
    with pytest.raises(UsageError, match="did you mean 'gold'"):
        penalty_by_name("golden")


# ---- decisions ----


@st.composite
def decisions_and_schemas(draw):
    n = draw(st.integers(2, 7))
    hidden = draw(st.permutations(range(n)))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=10))
    implications = [(str(hidden[max(p)]), str(hidden[min(p)])) for p in pairs if p[0] != p[1]]
    rows = draw(st.lists(st.lists(st.booleans(), min_size=n, max_size=n), max_size=6))
    schema = LabelSchema([str(i) for i in range(n)], implications=implications)
    return np.array(rows, dtype=bool).reshape(-1, n), schema


def close_by_loop(decisions, schema, how):
    closed = decisions.copy()
    for row in closed:
        changed = True
        while changed:
            changed = False
            for child, parent in schema.implication_indices:
                if row[child] and not row[parent]:
                    at, to = (child, False) if how == "drop_child" else (parent, True)
                    row[at], changed = to, True
    return closed


@QUICK
@given(decisions_and_schemas(), st.sampled_from(CLOSINGS))
def test_closing_is_that_of_a_loop_until_nothing_changes(case, how):
    decisions, schema = case
    expected = close_by_loop(decisions, schema, how)
    closed = close_decisions(decisions, schema, how)
    assert (closed == expected).all()
    assert not violations(torch.from_numpy(closed), schema).any()
    assert (close_decisions(closed, schema, how) == closed).all()


@QUICK
@given(decisions_and_schemas())
def test_violations_are_those_of_a_loop(case):
    decisions, schema = case
    expected = [any(row[c] and not row[p] for c, p in schema.implication_indices) for row in decisions]
    assert violations(torch.from_numpy(decisions), schema).tolist() == expected


@pytest.mark.parametrize("how", CLOSINGS)
@pytest.mark.parametrize("convert", [lambda d: d, torch.from_numpy, lambda d: d.astype(np.int64)])
def test_closing_gives_a_copy_of_the_same_kind(convert, how):
    schema = LabelSchema(["a", "b"], implications=[("b", "a")])
    decisions = convert(np.array([[False, True], [True, False]]))
    closed = close_decisions(decisions, schema, how)
    assert type(closed) is type(decisions)
    assert closed.dtype == decisions.dtype
    assert closed.tolist() == ([[0, 0], [1, 0]] if how == "drop_child" else [[1, 1], [1, 0]])
    assert decisions.tolist() == [[0, 1], [1, 0]]


def test_a_chain_is_closed_from_end_to_end_in_whatever_order_it_was_given():
    chain = [("b", "a"), ("c", "b"), ("d", "c")]
    for implications in (chain, chain[::-1], [chain[1], chain[0], chain[2]]):
        schema = LabelSchema(list("abcd"), implications=implications)
        assert close_decisions(torch.tensor([[False, True, True, True]]), schema).tolist() == [[False] * 4]
        raised = close_decisions(torch.tensor([[False, False, False, True]]), schema, "raise_parent")
        assert raised.tolist() == [[True] * 4]


def test_an_unknown_closing_offers_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'raise_parent'"):
        close_decisions(torch.zeros(1, 1, dtype=torch.bool), LabelSchema(["a"]), "raise_parents")
