"""Loss plus penalty: parts of a batch add up to the whole, whatever the cut, and rows count by their weights."""

import pytest
import torch

from imbalance_trainer import LabelSchema
from imbalance_trainer.labels import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.losses import make_loss
from imbalance_trainer.objective import Objective

SCHEMA = LabelSchema(["a", "b", "c"], implications=[("b", "a"), ("c", "a")])


def make(kind=MULTI_LABEL, schema=SCHEMA, weight=0.5, constraint="gold"):
    return Objective.of(make_loss("focal", kind, [1.0, 2.0, 3.0]), schema, kind, constraint, weight)


def batch(rows=9):
    g = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (rows, 3), generator=g).masked_fill(torch.rand(rows, 3, generator=g) < 0.3, -100)
    return torch.randn(rows, 3, generator=g, dtype=torch.float64), labels


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_parts_add_up_to_the_whole(cut):
    objective, (logits, labels) = make(), batch()
    parts = [(logits[:cut], labels[:cut]), (logits[cut:], labels[cut:])]
    sums, counts = sum(objective.sums(*part) for part in parts), sum(objective.counts(part[1]) for part in parts)
    assert torch.equal(counts, objective.counts(labels))
    torch.testing.assert_close(
        objective.value(sums, counts), objective.value(objective.sums(logits, labels), objective.counts(labels))
    )


def test_a_row_of_weight_2_counts_as_that_row_twice():
    objective, (logits, labels) = make(), batch()
    weighted = objective.sums(logits, labels, torch.tensor([2.0] + [1.0] * 8))
    twice = objective.sums(torch.cat([logits, logits[:1]]), torch.cat([labels, labels[:1]]))
    torch.testing.assert_close(weighted, twice)


@pytest.mark.parametrize(
    "changes",
    [{"kind": SINGLE_LABEL}, {"schema": LabelSchema(list("abc"))}, {"weight": 0.0}, {"constraint": "none"}],
)
def test_without_implications_weight_or_kind_there_is_no_penalty(changes):
    objective = make(**changes)
    assert objective.penalty is None
    assert objective.counts(torch.tensor([0, 1, -100])).tolist() == [2, 0]
