r"""What teaches a model the rules of its labels: penalties.

A rule is an implication (child, parent). Each penalty has an entry for each row and rule; `ConstraintPenalty` adds
them up and counts those that say something.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import check_known


def gold_implication(child: Tensor, parent: Tensor, gold_parent: Tensor) -> Tensor:
    r""":math:`p_c\,[y_a = 0]`: the child's probability where the parent is not; a soft parent counts with 1 - y.

    It looks at the parent's label, not at its prediction, so it can only lower the child.
    """
    return torch.sigmoid(child) * torch.where(gold_parent == IGNORE_INDEX, 0, 1 - gold_parent.to(child.dtype))


def semantic_implication(child: Tensor, parent: Tensor, gold_parent: Tensor) -> Tensor:
    r""":math:`-\log(1 - p_c (1 - p_a))`: the semantic loss (Xu et al., 2018); large where the rule is surely broken.

    Labels are taken as independent. Computed from logits, as -log((1 - p_c) + p_c p_a).
    """
    return -torch.logaddexp(logsigmoid(-child), logsigmoid(child) + logsigmoid(parent))


PENALTIES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "gold": gold_implication,
    "semantic": semantic_implication,
}
"""Penalties by name. "gold" looks at gold labels, where they are known."""

CONSTRAINTS = (*PENALTIES, "none")
"""Every `constraint`: a penalty, or none."""


class ConstraintPenalty:
    """The penalty of a schema's rules, as a sum over rows and rules and the count to divide it by.

    Args:
        name: a name in PENALTIES.
        schema: whose rules they are.
    """

    def __init__(self, name: str, schema: LabelSchema) -> None:
        check_known("penalty", name, PENALTIES)
        self.implication = PENALTIES[name]
        self.uses_gold = name == "gold"
        self.pairs = torch.tensor(schema.implication_indices, dtype=torch.long).reshape(-1, 2)

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The penalty of each row and rule, (rows, rules), fp32 (fp64 for fp64 logits); 0 where nothing is known.

        Args:
            logits: (rows, labels).
            labels: (rows, labels), -100 for unknown.
        """
        logits = logits if logits.dtype == torch.float64 else logits.float()
        child, parent = self.pairs.to(logits.device).T
        return self.implication(logits[:, child], logits[:, parent], labels[:, parent])

    def sum(self, logits: Tensor, labels: Tensor, row_weights: Tensor | None = None) -> Tensor:
        """The sum of `entries`, a scalar; a row counts by its weight, (rows,), if there are any."""
        entries = self.entries(logits, labels)
        return entries.sum() if row_weights is None else (entries.sum(1) * row_weights).sum()

    def known(self, labels: Tensor) -> Tensor:
        """Where an entry says something, (rows, rules), boolean: everywhere, but for a penalty that looks at gold
        labels where the parent is known."""
        if not self.uses_gold:
            return torch.ones(len(labels), len(self.pairs), dtype=torch.bool, device=labels.device)
        return (labels != IGNORE_INDEX)[:, self.pairs[:, 1].to(labels.device)]

    def count(self, labels: Tensor) -> Tensor:
        """Known (row, rule) pairs, a scalar: what `sum` is to be divided by."""
        return self.known(labels).sum()
