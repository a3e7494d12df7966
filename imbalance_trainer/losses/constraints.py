r"""What teaches a model the rules of its labels: penalties, and the max constraint.

A rule is an implication (child, parent) or an exclusive group. Each penalty has an entry for each row and rule;
`ConstraintPenalty` adds them up and counts those that say something. With p the probability of a label,
as if labels were independent, the probability that a rule is broken is

    implication        p_c (1 - p_a)
    at most one        1 - prod(1 - p) - sum_i p_i prod_{j != i}(1 - p_j)
    exactly one        1 - sum_i p_i prod_{j != i}(1 - p_j)

and the penalty "semantic" is -log(1 - that).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from ..labels.schema import EXACTLY_ONE, LabelSchema
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import check_known


def gold_implication(child: Tensor, parent: Tensor, gold_parent: Tensor) -> Tensor:
    r""":math:`p_c\,[y_a = 0]`: the child's probability where the parent is not; a soft parent counts with 1 - y.

    It looks at the parent's label, not at its prediction, so it can only lower the child.
    """
    return torch.sigmoid(child) * torch.where(gold_parent == IGNORE_INDEX, 0, 1 - gold_parent.to(child.dtype))


def semantic_implication(child: Tensor, parent: Tensor, gold_parent: Tensor) -> Tensor:
    r""":math:`-\log(1 - p_c (1 - p_a))`: the semantic loss (Xu et al., 2018); large where the rule is surely broken.

    Computed from logits, as -log((1 - p_c) + p_c p_a).
    """
    return -torch.logaddexp(logsigmoid(-child), logsigmoid(child) + logsigmoid(parent))


def gold_exclusive(logits: Tensor, gold: Tensor, exactly: bool) -> Tensor:
    r""":math:`\sum_i p_i\,[\exists j \neq i: y_j = 1]`: the probability of the members beside the gold one."""
    is_there = (gold > 0.5).to(logits.dtype)
    others = is_there.sum(1, keepdim=True) - is_there
    return (torch.sigmoid(logits) * (others > 0)).sum(1)


def semantic_exclusive(logits: Tensor, gold: Tensor, exactly: bool) -> Tensor:
    """-log of the probability that the group holds if its labels are independent (Xu et al., 2018).

    Computed from logits: sum softplus(z) - logsumexp(z), for at most one with a further 0 in the logsumexp.
    """
    choices = logits if exactly else torch.nn.functional.pad(logits, (1, 0))
    return softplus(logits).sum(1) - torch.logsumexp(choices, 1)


PENALTIES: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], Callable[[Tensor, Tensor, bool], Tensor]]] = {
    "gold": (gold_implication, gold_exclusive),
    "semantic": (semantic_implication, semantic_exclusive),
}
"""Penalties by name: of implications and of exclusive groups. "gold" looks at gold labels, where they are known."""

CONSTRAINTS = (*PENALTIES, "max_constraint", "none")
"""Every `constraint`: a penalty, the max constraint, or none."""


class ConstraintPenalty:
    """The penalty of a schema's rules, as a sum over rows and rules and the count to divide it by.

    Args:
        name: a name in PENALTIES.
        schema: whose rules they are.
    """

    def __init__(self, name: str, schema: LabelSchema) -> None:
        check_known("penalty", name, PENALTIES)
        self.implication, self.exclusive = PENALTIES[name]
        self.uses_gold = name == "gold"
        self.pairs = torch.tensor(schema.implication_indices, dtype=torch.long).reshape(-1, 2)
        self.groups = [(kind == EXACTLY_ONE, list(labels)) for kind, labels in schema.exclusive_indices]

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The penalty of each row and rule, (rows, rules), fp32 (fp64 for fp64 logits); 0 where nothing is known.

        Args:
            logits: (rows, labels).
            labels: (rows, labels), -100 for unknown.
        """
        logits = logits if logits.dtype == torch.float64 else logits.float()
        child, parent = self.pairs.to(logits.device).T
        groups = [self.exclusive(logits[:, group], labels[:, group], exactly) for exactly, group in self.groups]
        pairs = self.implication(logits[:, child], logits[:, parent], labels[:, parent])
        return torch.cat([pairs, *(g[:, None] for g in groups)], 1)

    def sum(self, logits: Tensor, labels: Tensor, row_weights: Tensor | None = None) -> Tensor:
        """The sum of `entries`, a scalar; a row counts by its weight, (rows,), if there are any."""
        entries = self.entries(logits, labels)
        return entries.sum() if row_weights is None else (entries.sum(1) * row_weights).sum()

    def known(self, labels: Tensor) -> Tensor:
        """Where an entry says something, (rows, rules), boolean: everywhere, but for a penalty that looks at gold
        labels where the parent is known, and of a group a label that is there or all of them."""
        if not self.uses_gold:
            return torch.ones(len(labels), len(self.pairs) + len(self.groups), dtype=torch.bool, device=labels.device)
        is_known, is_there = labels != IGNORE_INDEX, labels > 0.5
        groups = [is_there[:, group].any(1) | is_known[:, group].all(1) for _, group in self.groups]
        return torch.cat([is_known[:, self.pairs[:, 1].to(labels.device)], *(g[:, None] for g in groups)], 1)

    def count(self, labels: Tensor) -> Tensor:
        """Known (row, rule) pairs, a scalar: what `sum` is to be divided by."""
        return self.known(labels).sum()


def max_over_descendants(logits: Tensor, schema: LabelSchema, labels: Tensor | None = None) -> Tensor:
    """Each label's logit or the largest of its descendants', whichever is larger, so that p_child <= p_parent.

    The max constraint module of C-HMCNN (Giunchiglia & Lukasiewicz, 2020); under equal thresholds its decisions break
    no implication. As sigmoid rises, it is the same on logits.

    With labels it gives the logits on which the loss of C-HMCNN is the loss at hand: where a label is 1, only the
    descendants that are 1 as well count. So an entry trains the label, below it or itself, that decides it.

    Args:
        logits: (rows, labels).
        schema: whose implications hold.
        labels: (rows, labels); over 0.5 counts as 1, unknown ones as 0.

    Returns:
        (rows, labels), made by one scatter over the pairs of a label and a descendant.
    """
    below, label = torch.tensor(schema.ancestor_pairs, dtype=torch.long, device=logits.device).reshape(-1, 2).T
    from_below = logits[:, below]
    if labels is not None:
        is_there = labels > 0.5
        from_below = torch.where(is_there[:, label] & ~is_there[:, below], -torch.inf, from_below)
    return logits.scatter_reduce(1, label.expand(len(logits), -1), from_below, "amax")
