"""Counts of decisions against labels while batches stream by, in O(labels) memory.

Rows go by in blocks that stay in the cache, and what a block does not need (unknown entries, rules)
costs it nothing: this is on the way of every evaluation.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ..decisions.rule import DecisionRule, enforce_hierarchy, violations
from ..labels.schema import LabelSchema
from ..utils.numeric import any_in_rows, column_sums
from .curves import all_known, known, positive

_BLOCK = 1 << 17  # entries that are counted at a time

_Counts = tuple[tuple[Any, ...], list[int], list[np.ndarray] | None]
"""Of a block: `by_label`, `rows` and `secondary` of DecisionCounts."""


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
        self._has_rules = bool(schema.implications or schema.exclusive)

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
        thresholds = rule.threshold_logits()
        for rows in _blocks(scores):
            self._add(*self._decided(scores[rows], labels[rows], thresholds, rule))

    def add_classes(self, decided: np.ndarray, classes: np.ndarray) -> None:
        """Count rows of a single-label problem: the decided class and the gold one, (rows,) each."""
        every = np.arange(len(self.schema))
        self._add(*self._counted(decided[:, None] == every, classes[:, None] == every, None))

    def _add(self, by_label: tuple[Any, ...], rows: list[int], secondary: list[np.ndarray] | None) -> None:
        for total, more in zip(self.by_label, by_label, strict=True):
            total += more
        self.rows += rows
        if secondary is not None:
            self._secondary += secondary

    def _decided(self, scores: np.ndarray, labels: np.ndarray, thresholds: np.ndarray, rule: DecisionRule) -> _Counts:
        over, (gold, is_known) = scores > thresholds, _gold_and_known(labels)
        if not self._has_rules:
            return self._counted(over, gold, is_known)
        decided = enforce_hierarchy(
            torch.from_numpy(over), self.schema, rule.hierarchy_policy, torch.from_numpy(scores - thresholds)
        )
        broken = [violations(x, self.schema).numpy() for x in (torch.from_numpy(over), decided)]
        return self._counted(decided.numpy(), gold, is_known, over, broken)

    def _counted(
        self,
        decided: np.ndarray,
        gold: np.ndarray,
        is_known: np.ndarray | None,
        over: np.ndarray | None = None,
        broken: list[np.ndarray] | None = None,
    ) -> _Counts:
        """Counts of a block from decisions, positives, known entries (None for all), decisions before the hierarchy
        policy, and rows that break a rule before and after it (None where there is no rule)."""
        known_by_label: Any = len(gold)
        in_row = np.ones(len(gold), dtype=bool)
        if is_known is not None:
            decided, gold, in_row = decided & is_known, gold & is_known, any_in_rows(is_known)
            known_by_label = column_sums(is_known)
        wrong = decided != gold
        predicted, support = column_sums(decided), column_sums(gold)
        true_positives = (predicted + support - column_sums(wrong)) // 2
        found = true_positives if over is None else column_sums(over & gold)
        faultless = in_row & ~any_in_rows(wrong)
        of_rows = [in_row, faultless, *(rows & in_row for rows in broken or ())]
        rows = [int(np.count_nonzero(x)) for x in of_rows] + [0] * (4 - len(of_rows))
        secondary = None
        if self.schema.primary:
            where = np.ix_(any_in_rows(gold[:, list(self.schema.primary)]), np.array(self.schema.secondary, dtype=int))
            secondary = [column_sums(x[where]) for x in (decided & gold, decided, gold)]
        return (true_positives, predicted, support, known_by_label, found), rows, secondary


def _gold_and_known(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Where a label is positive and where it is known, None for everywhere; of bytes 0 and 1 nothing is copied."""
    if labels.dtype.itemsize == 1 and labels.view(np.uint8).max(initial=0) <= 1:
        return labels.view(bool), None
    return positive(labels), None if all_known(labels) else known(labels)


def _blocks(scores: np.ndarray) -> Iterator[slice]:
    height = max(1, _BLOCK // max(1, scores.shape[1]))
    return (slice(start, start + height) for start in range(0, len(scores), height))
