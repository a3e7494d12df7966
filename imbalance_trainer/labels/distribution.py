"""LabelDistribution: how often each label occurs, counted in one pass over whatever holds the labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..utils.errors import DataError
from ..utils.numeric import ratio
from .blocks import INDICES, Block, array_or_rows, rows_block
from .columns import label_blocks, lists_of
from .counting import LabelCounts, with_progress
from .schema import LabelSchema


@dataclass(frozen=True)
class LabelDistribution:
    """Counts per label. Arrays have shape (labels,).

    Args:
        schema: the labels.
        n_rows: rows (for token labels: known tokens; for class indices: rows with a known class) that were counted.
        support: positives per label; soft labels add their value.
        known: entries per label that are not masked.
        violations: per rule of the schema (`LabelSchema.rules`), the rows that break it; empty where nobody looked.
        violation_rows: per rule the first MAX_ROWS_NAMED of those rows.
        row_total: rows that there are, where only a sample of them was counted; -1 where that is not known, as of a
            stream; else equal to `n_rows`.
        labels_per_row: (most + 1,): how many rows have 0, 1, 2, ... labels (soft ones from over 0.5 on, unknown ones
            not), of the rows that have a known label; None without details.
        cooccurrence: (labels, labels): how many rows have both labels, on the diagonal those that have the label;
            None without details, and where there are more than a thousand labels.
    """

    schema: LabelSchema
    n_rows: int
    support: np.ndarray
    known: np.ndarray
    violations: np.ndarray
    row_total: int
    violation_rows: tuple[tuple[int, ...], ...] = ()
    labels_per_row: np.ndarray | None = None
    cooccurrence: np.ndarray | None = None

    @property
    def support_by_label(self) -> dict[str, float]:
        """{label: positives}, Python numbers."""
        return dict(zip(self.schema.names, self.support.tolist(), strict=True))

    @classmethod
    def empty(cls, schema: LabelSchema) -> "LabelDistribution":
        """Counts of nothing."""
        zeros = np.zeros(len(schema))
        return cls(schema, 0, zeros, zeros, np.zeros(len(schema.rules), dtype=np.int64), 0)

    @classmethod
    def from_counts(cls, support: Sequence[float], n_rows: int, schema: LabelSchema) -> "LabelDistribution":
        """Counts that are known already, of data that is too long to read or comes as a stream.

        Args:
            support: positives per label (single-label: rows per class).
            n_rows: rows.
            schema: the labels.

        Raises:
            DataError: another number of counts than labels, or one that is not in 0 to n_rows.

        >>> LabelDistribution.from_counts([900, 9], 1000, LabelSchema(["a", "b"])).imbalance_ratio
        array([  1., 100.])
        """
        counts = np.asarray(support, dtype=np.float64)
        if counts.shape != (len(schema),):
            raise DataError(f"Got {counts.size} counts for {len(schema)} labels; give one each.")
        wrong = np.flatnonzero(~((counts >= 0) & (counts <= n_rows)))
        if len(wrong):
            at = wrong[0]
            label, count = schema.names[at], counts[at]
            raise DataError(f"Label {label!r}: {count:g} positives in {n_rows} rows; expected 0 to {n_rows}.")
        known = np.full(len(schema), float(n_rows))
        return cls(schema, int(n_rows), counts, known, np.zeros(0, dtype=np.int64), int(n_rows))

    @classmethod
    def from_labels(
        cls,
        labels: Any,
        schema: LabelSchema | Sequence[str],
        where: str = "labels",
        *,
        indices: bool = False,
        details: bool = False,
    ) -> "LabelDistribution":
        """Count labels that are all there: multi-hot (rows, labels), or class indices (rows,) of single-label data.

        Args:
            labels: an array, a tensor or lists.
            schema: the labels, or their names.
            where: what messages call them.
            indices: whether each row is a list of the classes that it has; one that stands twice in a row counts once.
            details: whether pairs of labels are counted, and rows by how many labels they have.

        Raises:
            DataError: a width that is not the schema's, or a value that is neither 0, 1, in between, nor -100; the
                message names the row and the label.

        >>> schema = LabelSchema.from_names(["a", "b"])
        >>> LabelDistribution.from_labels([[1, 0], [1, 1], [0, -100]], schema).negative_positive
        array([0.5, 1. ])
        """
        block = rows_block(labels, INDICES, where) if indices else array_or_rows(labels, where)
        return cls.from_blocks([(0, block)], LabelSchema.of(schema), where, details)

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        schema: LabelSchema,
        column: str | None = None,
        limit: int | None = 100_000,
        tokens: bool = False,
        *,
        indices: bool | None = None,
        details: bool = False,
        progress: bool = False,
    ) -> "LabelDistribution":
        """Count the label column of a dataset: lists of 0 and 1, class indices, or lists of classes.

        A `datasets.Dataset` is read from its Arrow buffers, all of it; of any other dataset, or one with a transform,
        at most `limit` rows (see `label_blocks`).

        Args:
            dataset: anything with rows.
            schema: the labels.
            column: the label column; without it `labels`, `label` or `label_ids`.
            limit: rows that are asked for one by one; None for all.
            tokens: whether a row is a list with a class for each token.
            indices: whether a row is a list of the classes that it has, each counted once; without it where the
                dataset's features have a list of ClassLabel there (see `lists_of`).
            details: as in `from_labels`; about twenty times the time.
            progress: whether a bar is shown, on a terminal, where counting takes more than a second.
        """
        lists = lists_of(dataset, column, len(schema), tokens, indices)
        blocks, total = label_blocks(dataset, column, limit, lists)
        n_rows = len(dataset) if total is None else limit

        shown = with_progress(blocks, n_rows, progress)
        counted = cls.from_blocks(shown, schema, column or "labels", details)
        if total is None or limit is None or (total < 0 and counted.n_rows < limit):  # read to its end
            return counted
        if total > 0:  # counted were rows that label_blocks picked; name them by their numbers in the dataset
            picked = np.linspace(0, total - 1, limit).astype(int)
            rows = tuple(tuple(picked[list(rows)].tolist()) for rows in counted.violation_rows)
            counted = replace(counted, violation_rows=rows)
        return replace(counted, row_total=total)

    @classmethod
    def from_stream(cls, stream: Any, *, details: bool = False, progress: bool = False) -> "LabelDistribution":
        """Count the labels of files that are read in batches, so that memory does not grow with them.

        Args:
            stream: a `data.stream.LabelIterator`, from `iter_labels`.
            details: as in `from_labels`.
            progress: as in `from_dataset`.
        """
        blocks = with_progress(stream.blocks(), None, progress)
        return cls.from_blocks(blocks, stream.plan.schema, stream.where, details)

    @classmethod
    def from_blocks(
        cls, blocks: Iterable[tuple[int, Block]], schema: LabelSchema, where: str, details: bool = False
    ) -> "LabelDistribution":
        """Count blocks, each given with the number of its first row (see `blocks`).

        Raises:
            DataError: a width other than the schema's, or a value that no label can have.
        """
        counts = LabelCounts(schema, where, details)
        for start, block in blocks:
            counts.add(start, block)
        return cls(
            schema,
            counts.n_rows,
            counts.support,
            counts.known,
            counts.violations,
            row_total=counts.n_rows,
            violation_rows=tuple(map(tuple, counts.violation_rows)),
            labels_per_row=counts.labels_per_row,
            cooccurrence=counts.cooccurrence,
        )

    @cached_property
    def prevalence(self) -> np.ndarray:
        """Support / known entries; 0 where nothing is known."""
        return ratio(self.support, self.known)

    @cached_property
    def negative_positive(self) -> np.ndarray:
        """Negatives for each positive; inf where there is no positive."""
        return self._over_support(self.known - self.support)

    @cached_property
    def imbalance_ratio(self) -> np.ndarray:
        """Support of the most frequent secondary label / support of this one; inf where there is no positive."""
        return self._over_support(self.support[list(self.schema.secondary)].max(initial=0.0))

    def _over_support(self, numbers: Any) -> np.ndarray:
        return np.where(self.support > 0, ratio(numbers, self.support), np.inf)

    @property
    def unknown(self) -> np.ndarray:
        """Masked entries per label, in the rows that were counted."""
        return self.n_rows - self.known

    @property
    def n_rows_unknown(self) -> int | None:
        """Rows of which no label is known; None without details."""
        return None if self.labels_per_row is None else self.n_rows - int(self.labels_per_row.sum())

    @cached_property
    def rarest_first(self) -> np.ndarray:
        """Label indices by rising support; equal supports keep the schema's order."""
        return np.argsort(self.support, kind="stable")

    def tiers(self) -> dict[str, np.ndarray]:
        """Label indices of head, medium and tail, see `tiers_by_support`."""
        return tiers_by_support(self.support)


def tiers_by_support(support: np.ndarray) -> dict[str, np.ndarray]:
    """Label indices of head, medium and tail, commonest first: terciles by support, what does not divide to the head.

    >>> {tier: labels.tolist() for tier, labels in tiers_by_support(np.array([5, 40, 9, 9])).items()}
    {'head': [1, 3], 'medium': [2], 'tail': [0]}
    """
    commonest_first = np.argsort(support, kind="stable")[::-1]
    return dict(zip(("head", "medium", "tail"), np.array_split(commonest_first, 3), strict=True))
