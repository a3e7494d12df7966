"""The counts of a split that the analysis looks at, and of a sample of its rows an interval on each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.constants import DENSE_LABELS


@dataclass(frozen=True, eq=False)
class SplitCounts:
    """A split.

    Args:
        labels: counts per label.
        drawn: of a sample the rows that were looked at, with those of which nothing is known, and how many there are;
            None where all were counted.
    """

    labels: LabelDistribution
    drawn: tuple[int, int] | None = None

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Between which bounds each label's support in all rows lies, see `LabelDistribution.interval`.

        Of single-label rows nobody knows how many have a known class: the share of a class is one of all rows then.
        """
        if self.drawn is None or self.drawn[0] == self.labels.n_rows:
            return self.labels.interval()
        rows, total = self.drawn
        known = np.full(len(self.labels.schema), float(rows))
        return replace(self.labels, n_rows=rows, known=known, row_total=total).interval()

    @property
    def labels_per_row(self) -> np.ndarray:
        """How many rows have 0, 1, 2, ... labels, of those that have a known one; no row where nobody counted."""
        per_row = self.labels.labels_per_row
        return np.zeros(1, dtype=np.int64) if per_row is None else per_row

    @property
    def pairs(self) -> Any:
        """Rows that have both labels, shape (labels, labels); None where nobody counted."""
        return self.labels.cooccurrence

    @property
    def positives(self) -> np.ndarray:
        """Rows that have each label, (labels,): of soft ones from over 0.5 on, as metrics count them, where pairs were
        counted; else their sum."""
        return self.labels.support if self.pairs is None else np.asarray(self.pairs.diagonal(), dtype=float)

    @property
    def is_sample(self) -> bool:
        """Whether only some of the rows were counted."""
        return self.labels.row_total > self.labels.n_rows

    @property
    def mean_labels(self) -> float:
        """Labels of a row on the mean (label cardinality; Tsoumakas & Katakis, 2007)."""
        rows = self.labels_per_row.sum()
        return float(self.labels_per_row @ np.arange(len(self.labels_per_row)) / rows) if rows else 0.0


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
    together = len(schema) <= DENSE_LABELS
    counts = LabelDistribution.from_dataset(dataset, schema, limit=None, labels_per_row=True, cooccurrence=together)
    if rows is not None:
        named = tuple(tuple(rows[list(broken)].tolist()) for broken in counts.violation_rows)
        return sampled(replace(counts, violation_rows=named), len(rows), total)
    return SplitCounts(counts)


def sampled(counts: LabelDistribution, rows: int, total: int) -> SplitCounts:
    """Counts of some rows of a split. Of single-label rows those with a known class count: what there is in all is
    reckoned from their share."""
    row_total = max(counts.n_rows, round(total * counts.n_rows / rows))
    return SplitCounts(replace(counts, row_total=row_total), (rows, total))


def partners(split: SplitCounts, label: int, without: Sequence[int] = ()) -> list[tuple[int, int]]:
    """(label, rows) of the labels that are met most often in the rows of one, the most frequent first."""
    if split.pairs is None:
        return []
    row = split.pairs[[label]]
    together = np.asarray(row.toarray() if hasattr(row, "toarray") else row, dtype=float).ravel()
    together[[label, *without]] = 0
    order = np.argsort(-together, kind="stable")
    return [(int(i), int(together[i])) for i in order[: np.count_nonzero(together)]]
