"""Counts of decisions against labels while batches stream by, in O(labels) memory.

Rows go by in blocks that stay in the cache, as this is on the way of every evaluation.
"""

import numpy as np
import torch

from ..decisions.rule import DecisionRule, enforce_hierarchy, violations
from ..labels.schema import LabelSchema
from ..utils.numeric import column_sums
from .curves import known, positive

_BLOCK = 1 << 17  # entries that are counted at a time


class DecisionCounts:
    """Counts by label, of secondary labels, and of rows.

    Args:
        schema: the labels.

    Attributes:
        by_label: (5, labels), int64: true positives, predicted, support, known, and true positives before the
            hierarchy policy.
        secondary: (3, secondary labels), int64: the first three over the rows whose gold primary label is 1.
        rows: (4,), int64: rows with a known label; of these, without a mistake, with a rule broken before the
            hierarchy policy, and after it.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self.schema = schema
        self.by_label = np.zeros((5, len(schema)), dtype=np.int64)
        self.rows = np.zeros(4, dtype=np.int64)
        self._secondary = np.zeros((3, len(schema.secondary)), dtype=np.int64)

    @property
    def secondary(self) -> np.ndarray:
        """See above."""
        return self._secondary if self.schema.primary else self.by_label[:3, list(self.schema.secondary)]

    def add(self, scores: np.ndarray, labels: np.ndarray, rule: DecisionRule) -> None:
        """Count rows of a multi-label problem.

        Args:
            scores: (rows, labels), what `rule.scores` gives.
            labels: (rows, labels): over 0.5 is positive, -100 or NaN unknown.
            rule: what decides.
        """
        thresholds, height = rule.threshold_logits(), max(1, _BLOCK // scores.shape[1])
        for start in range(0, len(scores), height):
            rows = slice(start, start + height)
            over, broken = scores[rows] > thresholds, []
            decided = over
            if self.schema.rules:
                before = torch.from_numpy(over)
                after = enforce_hierarchy(before, self.schema, rule.hierarchy_policy)
                decided, broken = after.numpy(), [violations(x, self.schema).numpy() for x in (before, after)]
            self._add(decided, positive(labels[rows]), known(labels[rows]), over, broken)

    def add_classes(self, decided: np.ndarray, classes: np.ndarray) -> None:
        """Count rows of a single-label problem: the decided class and the gold one, (rows,) each."""
        every = np.arange(len(self.schema))
        over, gold = decided[:, None] == every, classes[:, None] == every
        self._add(over, gold, np.ones(gold.shape, bool), over, [])

    def _add(
        self, decided: np.ndarray, gold: np.ndarray, is_known: np.ndarray, over: np.ndarray, broken: list[np.ndarray]
    ) -> None:
        """Count a block: decisions, positives, known entries, decisions before the hierarchy policy,
        and rows that break a rule before and after it (none where there is no rule)."""
        decided, gold, in_row = decided & is_known, gold & is_known, is_known.any(1)
        right = decided & gold
        self.by_label += [column_sums(x) for x in (right, decided, gold, is_known, over & gold)]
        of_rows = (in_row, in_row & (decided == gold).all(1), *(rows & in_row for rows in broken))
        self.rows[: len(of_rows)] += [np.count_nonzero(rows) for rows in of_rows]
        if self.schema.primary:
            where = np.ix_(gold[:, list(self.schema.primary)].any(1), np.array(self.schema.secondary, dtype=int))
            self._secondary += [column_sums(x[where]) for x in (right, decided, gold)]
