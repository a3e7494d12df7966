r"""What teaches a model the rules of its labels: a penalty.

A rule is an implication (child, parent). `ConstraintPenalty` has an entry for each row and rule, adds them up, and
counts those that say something.
"""

import torch
from torch import Tensor

from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX

CONSTRAINTS = ("gold", "none")
"""Every `constraint`: the penalty, or none."""


class ConstraintPenalty:
    r"""The penalty of a schema's rules, as a sum over rows and rules and the count to divide it by.

    An entry is :math:`p_c\,[y_a = 0]`: the child's probability where the parent is not (a soft parent: times 1 - y).
    It looks at the parent's label, not at its prediction, so it can only lower the child.

    Args:
        schema: whose rules they are.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self.pairs = torch.tensor(schema.implication_indices, dtype=torch.long).reshape(-1, 2)

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The penalty of each row and rule, (rows, rules), fp32 (fp64 for fp64 logits); 0 where the parent is unknown.

        Args:
            logits: (rows, labels).
            labels: (rows, labels), -100 for unknown.
        """
        logits = logits if logits.dtype == torch.float64 else logits.float()
        child, parent = self.pairs.to(logits.device).T
        gold = labels[:, parent]
        return torch.sigmoid(logits[:, child]) * torch.where(gold == IGNORE_INDEX, 0, 1 - gold.to(logits.dtype))

    def sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum of `entries`, a scalar."""
        return self.entries(logits, labels).sum()

    def count(self, labels: Tensor) -> Tensor:
        """(Row, rule) pairs whose parent is known, a scalar: what `sum` is to be divided by."""
        return (labels != IGNORE_INDEX)[:, self.pairs[:, 1].to(labels.device)].sum()
