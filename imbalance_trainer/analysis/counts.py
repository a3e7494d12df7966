"""The counts of a split that the analysis looks at, and of a sample of its rows an interval on each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import numpy as np

from ..arrays import wilson_interval
from ..distribution import LabelDistribution
from ..label_columns import label_blocks
from ..labels import LabelSchema

_MOST_LABELS = 1000  # of more a matrix of pairs is too large to be worth it
_ROWS = 8192


@dataclass(frozen=True, eq=False)
class SplitCounts:
    """A split.

    Args:
        labels: counts per label.
        labels_per_row: how many rows have 0, 1, 2, ... labels.
        pairs: rows that have both labels, shape (labels, labels); None where nobody counted.
    """

    labels: LabelDistribution
    labels_per_row: np.ndarray
    pairs: np.ndarray | None

    @property
    def is_sample(self) -> bool:
        """Whether only some of the rows were counted."""
        return self.labels.row_total > self.labels.n_rows

    @property
    def unknown(self) -> np.ndarray:
        """Masked entries per label."""
        return self.labels.n_rows - self.labels.known

    @property
    def mean_labels(self) -> float:
        """Labels of a row on the mean (label cardinality; Tsoumakas & Katakis, 2007)."""
        rows = self.labels_per_row.sum()
        return float(self.labels_per_row @ np.arange(len(self.labels_per_row)) / rows) if rows else 0.0

    @property
    def irlbl(self) -> np.ndarray:
        """Support of the most frequent label / support of this one (IRLbl; Charte et al., 2015); inf without one."""
        support = self.labels.support
        top = support.max(initial=0.0)
        return np.divide(top, support, out=np.full_like(support, np.inf), where=support > 0)

    @property
    def mean_ir(self) -> float:
        """Mean of IRLbl over the labels that have positives (MeanIR; Charte et al., 2015)."""
        known = self.irlbl[np.isfinite(self.irlbl)]
        return float(known.mean()) if len(known) else 0.0

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """The 95% interval (Wilson, 1927) of each label's positives in all rows, where a sample of them was drawn."""
        counts = self.labels
        if hasattr(counts, "interval"):
            return counts.interval()
        low, high = wilson_interval(counts.support, counts.known)
        times = counts.known * (counts.row_total / max(counts.n_rows, 1))
        return low * times, high * times


def count_split(dataset: Any, schema: LabelSchema, limit: int | None = None, seed: int = 42) -> SplitCounts:
    """Count a split, or `limit` rows of it drawn at random.

    Args:
        dataset: with a label column.
        schema: its labels.
        limit: rows; None for all.
        seed: for the draw.
    """
    total, rows = len(dataset), None
    if limit is not None and limit < total:
        rows = np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))
        dataset = dataset.select(rows)
    if "cooccurrence" in signature(LabelDistribution.from_dataset).parameters:
        together = {"labels_per_row": True, "cooccurrence": True}
        counts = LabelDistribution.from_dataset(dataset, schema, limit=None, **together)
        per_row, pairs = counts.labels_per_row, counts.cooccurrence
    else:
        counts = LabelDistribution.from_dataset(dataset, schema, limit=None)
        per_row, pairs = _count_together(dataset, schema)
    if rows is not None:
        named = tuple(tuple(rows[list(broken)].tolist()) for broken in counts.violation_rows)
        counts = replace(counts, row_total=total, violation_rows=named)
    return SplitCounts(counts, per_row, pairs)


def partners(split: SplitCounts, label: int, without: Sequence[int] = ()) -> list[tuple[int, int]]:
    """(label, rows) of the labels that are met most often in the rows of one, the most frequent first."""
    if split.pairs is None:
        return []
    row = split.pairs[[label]]
    together = np.asarray(row.toarray() if hasattr(row, "toarray") else row, dtype=float).ravel()
    together[[label, *without]] = 0
    order = np.argsort(-together, kind="stable")
    return [(int(i), int(together[i])) for i in order[: np.count_nonzero(together)]]


def _count_together(dataset: Any, schema: LabelSchema) -> tuple[np.ndarray, np.ndarray | None]:
    width = len(schema)
    pairs = np.zeros((width, width)) if width <= _MOST_LABELS else None
    per_row = np.zeros(width + 1, dtype=np.int64)
    for _, block in label_blocks(dataset)[0]:
        if block.ndim == 1:
            known = block[block >= 0].astype(np.int64)
            per_row[1] += len(known)
            if pairs is not None:
                pairs[np.diag_indices(width)] += np.bincount(known, minlength=width)
            continue
        for start in range(0, len(block), _ROWS):
            positive = block[start : start + _ROWS] > 0.5
            per_row += np.bincount(positive.sum(1), minlength=width + 1)
            if pairs is not None:
                hot = positive.astype(np.float32)
                pairs += hot.T @ hot
    return per_row[: np.flatnonzero(per_row).max(initial=0) + 1], pairs
