"""Loss plus penalty: parts of a batch add up to the whole, whatever the cut, and rows count by their weights."""

import pytest
import torch

from imbalance_trainer import LabelSchema
from imbalance_trainer.losses import make_loss
from imbalance_trainer.losses.constraints import CONSTRAINTS, ConstraintPenalty
from imbalance_trainer.losses.objective import Objective
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL

SCHEMA = LabelSchema(["a", "b", "c"], {"g": ["b", "c"]}, [("b", "a"), ("c", "a")])
WEIGHTS = [1.0, 2.0, 3.0]


def make(kind=MULTI_LABEL, schema=SCHEMA, weight=0.5, constraint="gold"):
    return Objective.of(make_loss("focal", kind, WEIGHTS), schema, kind, constraint, weight)


def batch(rows=9):
    g = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (rows, 3), generator=g).masked_fill(torch.rand(rows, 3, generator=g) < 0.3, -100)
    return torch.randn(rows, 3, generator=g, dtype=torch.float64), labels


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("cut", [0, 1, 4, 8])
def test_parts_add_up_to_the_whole(cut, constraint):
    objective, (logits, labels) = make(constraint=constraint), batch()
    parts = [(logits[:cut], labels[:cut]), (logits[cut:], labels[cut:])]
    sums, counts = sum(objective.sums(*part) for part in parts), sum(objective.counts(part[1]) for part in parts)
    assert torch.equal(counts, objective.counts(labels))
    torch.testing.assert_close(
        objective.value(sums, counts), objective.value(objective.sums(logits, labels), objective.counts(labels))
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": SINGLE_LABEL},
        {"schema": LabelSchema(list("abc"), {"g": ["b", "c"]})},
        {"weight": 0.0},
        {"constraint": "none"},
    ],
)
def test_without_rules_weight_or_kind_there_is_no_constraint(changes):
    objective = make(**changes)
    assert objective.penalty is None
    assert objective.counts(torch.tensor([0, 1, -100])).tolist() == [2, 0]


def test_the_penalty_counts_by_its_weight():
    logits, labels = batch()
    objective, penalty = make(weight=0.25), ConstraintPenalty(SCHEMA)
    plain, leaf = make(constraint="none"), logits.clone().requires_grad_()
    sums, counts = objective.sums(leaf, labels), objective.counts(labels)
    assert torch.equal(sums[0], plain.sums(leaf, labels)[0])
    assert torch.equal(sums[1], penalty.sum(leaf, labels))
    assert counts.tolist() == [plain.counts(labels)[0], penalty.count(labels)]
    expected = sums[0] / counts[0] + 0.25 * sums[1] / counts[1]
    torch.testing.assert_close(objective.value(sums, counts), expected)
    found, wanted = (torch.autograd.grad(s, leaf)[0] for s in (sums[1], penalty.sum(leaf, labels)))
    torch.testing.assert_close(found, wanted)
