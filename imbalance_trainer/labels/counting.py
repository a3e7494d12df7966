"""Counting labels in blocks of rows."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from ..utils.constants import DENSE_LABELS, IGNORE_INDEX
from ..utils.numeric import column_sums
from .blocks import Block, IdLists, check_width, checked_classes, checked_multi_hot
from .schema import LabelSchema

MAX_ROWS_NAMED = 100
"""Rows that are named of those that break a rule, the first ones."""

_ENTRIES = 1 << 19  # counted at a time, so that copies stay in the cache


class LabelCounts:
    """Counts of blocks of labels.

    Args:
        schema: the labels.
        where: the column, for messages.
        labels_per_row: whether rows are counted by how many labels they have.
        cooccurrence: whether pairs of labels are counted.
    """

    def __init__(
        self, schema: LabelSchema, where: str, labels_per_row: bool = False, cooccurrence: bool = False
    ) -> None:
        width = len(schema)
        self.schema, self.where = schema, where
        self.n_rows = 0
        self.support, self.known = np.zeros(width), np.zeros(width)
        self.violations = np.zeros(len(schema.rules), dtype=np.int64)
        self.violation_rows: list[list[int]] = [[] for _ in schema.rules]
        self.labels_per_row = np.zeros(1, dtype=np.int64) if labels_per_row else None
        self.cooccurrence: Any = None
        if cooccurrence:
            self.cooccurrence = _diagonal(np.zeros(width, dtype=np.int64))

    def add(self, start: int, block: Block) -> None:
        """Count a block whose first row is the row `start`.

        Raises:
            DataError: a width other than the schema's, or a value that no label can have.
        """
        if isinstance(block, IdLists):
            self._add_lists(start, block)
        elif block.ndim == 1:
            self._add_classes(start, block)
        else:
            check_width(block, self.schema, start, self.where)
            step = max(255, _ENTRIES // block.shape[1] // 255 * 255)  # see column_sums
            for at in range(0, len(block), step):
                self._add_multi_hot(start + at, block[at : at + step])

    def _add_classes(self, start: int, block: np.ndarray) -> None:
        if not are_classes(block, len(self.schema)):
            block = checked_classes(block, self.schema, start, self.where)
            block = block[block != IGNORE_INDEX]
        counts = np.bincount(block.astype(np.intp, copy=False), minlength=len(self.schema))
        self.support += counts
        self.known += len(block)
        self.n_rows += len(block)
        self._add_lengths(np.array([0, len(block)]))
        if self.cooccurrence is not None:
            self.cooccurrence = self.cooccurrence + _diagonal(counts)

    def _add_multi_hot(self, start: int, block: np.ndarray) -> None:
        positive = _as_bits(block)
        if positive is not None:
            self.support += column_sums(positive)
            self.known += len(block)
            negative = ~positive if self.schema.rules else positive
        else:
            block = checked_multi_hot(block, self.schema, start, self.where)
            is_known, positive, negative = block != IGNORE_INDEX, block > 0.5, block == 0
            self.support += np.where(is_known, block, 0).sum(0, dtype=np.float64)
            self.known += column_sums(is_known)
            if self.labels_per_row is not None:  # a row of which nothing is known is no row without labels
                self.labels_per_row[0] -= np.count_nonzero(~is_known.any(1))
        self.n_rows += len(block)
        for i, broken in enumerate(self.schema.broken_rules(positive, negative)):
            rows = np.flatnonzero(broken)
            self.violations[i] += len(rows)
            self.violation_rows[i] += (start + rows[: MAX_ROWS_NAMED - len(self.violation_rows[i])]).tolist()
        if self.labels_per_row is not None or self.cooccurrence is not None:
            self._add_rows(positive)

    def _add_rows(self, positive: np.ndarray) -> None:
        if positive.shape[1] > DENSE_LABELS:
            rows, classes = np.nonzero(positive)
            self._add_row_lists(classes, np.searchsorted(rows, np.arange(len(positive) + 1)))
            return
        ones = positive.astype(np.float32)  # BLAS multiplies floats in a fraction of the time of integers
        self._add_lengths(np.bincount((ones @ np.ones(ones.shape[1], np.float32)).astype(np.int64)))
        if self.cooccurrence is not None:
            self.cooccurrence += (ones.T @ ones).astype(np.int64)  # exact: a block has fewer than 2**24 rows

    def _add_lists(self, start: int, block: IdLists) -> None:
        width, values, offsets = len(self.schema), block.values, block.offsets
        if self.schema.rules or not are_classes(values, width):
            step = max(1, _ENTRIES // width)
            for at in range(0, len(block), step):
                self._add_multi_hot(start + at, self._as_multi_hot(start + at, block[at : at + step]))
            return
        if not _are_ascending(values, offsets):
            values, offsets = _without_repeats(values, offsets, width)
        self.n_rows += len(block)
        self.known += len(block)
        self.support += np.bincount(values.astype(np.intp, copy=False), minlength=width)
        self._add_row_lists(values, offsets)

    def _as_multi_hot(self, start: int, block: IdLists) -> np.ndarray:
        """(rows, labels), int8. With a class of -100 (or NaN) the other labels of the row are unknown."""
        row = np.repeat(np.arange(len(block)), np.diff(block.offsets))
        classes = checked_classes(block.values, self.schema, start, self.where, row)
        matrix = np.zeros((len(block), len(self.schema)), np.int8)
        matrix[row[classes == IGNORE_INDEX]] = IGNORE_INDEX
        is_known = classes != IGNORE_INDEX
        matrix[row[is_known], classes[is_known]] = 1
        return matrix

    def _add_row_lists(self, values: np.ndarray, offsets: np.ndarray) -> None:
        lengths = np.diff(offsets)
        self._add_lengths(np.bincount(lengths))
        if self.cooccurrence is None:
            return
        import scipy.sparse

        parts = (np.ones(len(values), np.int64), values, offsets - offsets[0])
        rows = scipy.sparse.csr_array(parts, shape=(len(lengths), len(self.schema)))
        pairs = (rows.T @ rows).tocsr()
        self.cooccurrence = self.cooccurrence + (pairs if len(self.schema) > DENSE_LABELS else pairs.toarray())

    def _add_lengths(self, histogram: np.ndarray) -> None:
        """Add how many rows have 0, 1, 2, ... labels."""
        if self.labels_per_row is not None:
            total = np.zeros(max(len(histogram), len(self.labels_per_row)), dtype=np.int64)
            total[: len(histogram)] += histogram
            total[: len(self.labels_per_row)] += self.labels_per_row
            self.labels_per_row = total


def _as_bits(block: np.ndarray) -> np.ndarray | None:
    """A block (rows, labels) as booleans where every entry is 0 or 1, else None."""
    if block.dtype.kind not in "biuf" or (block.size and not (block.min() >= 0 and block.max() <= 1)):
        return None  # a NaN is neither
    bits = block.astype(np.uint8, copy=False)
    return bits.view(bool) if block.dtype.kind != "f" or (bits == block).all() else None


def are_classes(values: np.ndarray, n_labels: int) -> bool:
    """Whether all values are integers from 0 to n_labels - 1."""
    return values.dtype.kind in "iu" and (not len(values) or bool(values.min() >= 0 and values.max() < n_labels))


def _are_ascending(values: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether the classes of each row rise, so that none stands twice."""
    begins_row = np.zeros(len(values) + 1, dtype=bool)
    begins_row[offsets - offsets[0]] = True
    return not ((values[1:] <= values[:-1]) > begins_row[1:-1]).any()


def _without_repeats(values: np.ndarray, offsets: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The lists with each class once, in order."""
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    row, classes = np.divmod(np.unique(row * width + values), width)
    return classes, np.searchsorted(row, np.arange(len(offsets)))


def _diagonal(counts: np.ndarray) -> Any:
    if len(counts) <= DENSE_LABELS:
        return np.diag(counts)
    import scipy.sparse

    return scipy.sparse.diags_array(counts, dtype=np.int64).tocsr()


def with_progress(
    blocks: Iterator[tuple[int, Block]], total: int | None, progress: bool
) -> Iterator[tuple[int, Block]]:
    """The blocks, with a bar that moves by rows: on a terminal, of the first process, where it takes over a second."""
    if not progress or os.environ.get("RANK", "0") != "0":
        yield from blocks
        return
    with tqdm(total=total, desc="Counting labels", unit=" rows", unit_scale=True, delay=1, disable=None) as bar:
        for start, block in blocks:
            yield start, block
            bar.update(len(block))
