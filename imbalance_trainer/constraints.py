"""Implications between labels: a penalty that teaches them, and decisions that hold them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .distribution import UNKNOWN
from .errors import UsageError, did_you_mean
from .labels import LabelSchema

Penalty = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], Tensor]


def gold_penalty(logits: Tensor, labels: Tensor, pairs: Tensor, row_weights: Tensor | None = None) -> Tensor:
    r"""Sum over known (row, implication) pairs of :math:`p_c\,[y_a = 0]`.

    That is the child's probability where the parent is not.
    Divide by `count_pairs` for the mean. "gold" because it looks at the parent's label, not its prediction. A soft
    parent label counts with 1 - y. The penalty of the note that this project grew from, there with weight 0.5.

    Args:
        logits: (rows, labels).
        labels: (rows, labels), -100 for unknown: an unknown parent counts for nothing.
        pairs: (implications, 2), indices child and parent.
        row_weights: (rows,), what each row counts for; None for 1.

    Returns:
        A scalar, fp32 (fp64 for fp64 logits).

    >>> gold_penalty(torch.tensor([[0.0, 0.0]]), torch.tensor([[0, 0]]), torch.tensor([[1, 0]]))
    tensor(0.5000)
    """
    child, parent = pairs.T
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    gold = labels[:, parent]
    excluded = torch.where(gold == UNKNOWN, 0, 1 - gold.to(dtype))
    penalty = torch.sigmoid(logits[:, child].to(dtype)) * excluded
    return penalty.sum() if row_weights is None else (penalty.sum(1) * row_weights).sum()


def count_pairs(labels: Tensor, pairs: Tensor) -> Tensor:
    """Known (row, implication) pairs: those whose parent's label is known. A scalar."""
    return (labels[:, pairs[:, 1]] != UNKNOWN).sum()


PENALTIES: dict[str, Penalty] = {"gold": gold_penalty}
"""Every `constraint` but "none", by name."""


def penalty_by_name(name: str) -> Penalty | None:
    """The penalty that `constraint=` names, None for "none"; an unknown name is an error."""
    if name == "none":
        return None
    if name not in PENALTIES:
        raise UsageError(f"Unknown constraint {name!r}: {did_you_mean(name, [*PENALTIES, 'none'])}")
    return PENALTIES[name]


CLOSINGS = ("drop_child", "raise_parent")


def close_decisions(decisions: Any, schema: LabelSchema, how: str = "drop_child") -> Any:
    """Decisions in which no child is decided without all its parents.

    Args:
        decisions: (rows, labels), boolean or 0/1, a tensor or an array; not changed.
        schema: whose implications are to hold.
        how: "drop_child" drops a child whose parent is not decided, "raise_parent" decides the parent as well.

    Returns:
        A copy of the same kind. Closing twice changes nothing more.

    Raises:
        UsageError: an unknown `how`.

    >>> schema = LabelSchema(["hateful", "threat"], implications=[("threat", "hateful")])
    >>> close_decisions(torch.tensor([[False, True]]), schema)
    tensor([[False, False]])
    """
    if how not in CLOSINGS:
        raise UsageError(f"Unknown way {how!r} to close decisions: {did_you_mean(how, CLOSINGS)}")
    closed = decisions.clone() if isinstance(decisions, Tensor) else decisions.copy()
    if how == "drop_child":
        for child, parent in schema.parents_first:
            closed[:, child] &= closed[:, parent]
    else:
        for child, parent in reversed(schema.parents_first):
            closed[:, parent] |= closed[:, child]
    return closed


def violations(decisions: Tensor, schema: LabelSchema) -> Tensor:
    """Per row, whether a child is decided without one of its parents. (rows, labels) -> (rows,), boolean."""
    if not schema.implications:
        return torch.zeros(len(decisions), dtype=torch.bool, device=decisions.device)
    child, parent = torch.tensor(schema.implication_indices, device=decisions.device).T
    return (decisions[:, child] & ~decisions[:, parent]).any(1)
