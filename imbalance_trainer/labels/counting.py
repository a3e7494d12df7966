"""Counting labels in blocks of rows."""

import os
from collections.abc import Iterator

import numpy as np
import scipy.sparse
from tqdm import tqdm

from ..utils.constants import IGNORE_INDEX
from ..utils.numeric import column_sums
from .blocks import Block, IdLists, check_width, checked_classes, checked_multi_hot
from .schema import LabelSchema

MAX_ROWS_NAMED = 100
"""Rows that are named of those that break a rule, the first ones."""

_ENTRIES = 1 << 19  # counted at a time, so that copies stay in the cache
_MOST_PAIRED = 1_000  # labels, up to which pairs of them are counted


class LabelCounts:
    """Counts of blocks of labels."""

    def __init__(self, schema: LabelSchema, where: str, details: bool = False) -> None:
        width = len(schema)
        self.schema, self.where = schema, where
        self.n_rows = 0
        self.support, self.known = np.zeros(width), np.zeros(width)
        self.violations = np.zeros(len(schema.rules), dtype=np.int64)
        self.violation_rows: list[list[int]] = [[] for _ in schema.rules]
        self.labels_per_row = np.zeros(1, dtype=np.int64) if details else None
        self.cooccurrence = np.zeros((width, width), dtype=np.int64) if details and width <= _MOST_PAIRED else None

    def add(self, start: int, block: Block) -> None:
        """Count a block whose first row is the row `start`.

        Raises:
            DataError: a width other than the schema's, or a value that no label can have.
        """
        if isinstance(block, IdLists):
            step = max(1, _ENTRIES * len(block) // max(1, len(block.values)))
            for at in range(0, len(block), step):
                self._add_lists(start + at, block[at : at + step])
        elif block.ndim == 1:
            self._add_classes(start, block)
        else:
            check_width(block, self.schema, start, self.where)
            step = max(1, _ENTRIES // block.shape[1])
            for at in range(0, len(block), step):
                self._add_multi_hot(start + at, block[at : at + step])

    def _add_classes(self, start: int, block: np.ndarray) -> None:
        classes = checked_classes(block, self.schema, start, self.where)
        classes = classes[classes != IGNORE_INDEX]
        self._add_ids(classes, np.arange(len(classes) + 1))

    def _add_lists(self, start: int, block: IdLists) -> None:
        width, row = len(self.schema), np.repeat(np.arange(len(block)), np.diff(block.offsets))
        classes = checked_classes(block.values, self.schema, start, self.where, row)
        offsets = block.offsets - block.offsets[0]
        if not self.schema.rules and not (classes == IGNORE_INDEX).any():
            rows = scipy.sparse.csr_array((np.ones(len(classes), np.int8), classes, offsets), (len(block), width))
            rows.sum_duplicates()  # a class that stands twice in a row counts once
            self._add_ids(rows.indices, rows.indptr)
            return
        step = max(1, _ENTRIES // width)
        for at in range(0, len(block), step):
            part = offsets[at : at + step + 1]
            self._add_multi_hot(start + at, self._as_multi_hot(classes[part[0] : part[-1]], part))

    def _as_multi_hot(self, classes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(rows, labels), int8. With a class of -100 the other labels of the row are unknown."""
        row, is_known = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), classes != IGNORE_INDEX
        matrix = np.zeros((len(offsets) - 1, len(self.schema)), np.int8)
        matrix[row[~is_known]] = IGNORE_INDEX
        matrix[row[is_known], classes[is_known]] = 1
        return matrix

    def _add_ids(self, classes: np.ndarray, offsets: np.ndarray) -> None:
        """Count rows that are known as a whole, each with the classes from one offset to the next."""
        self.n_rows += len(offsets) - 1
        self.known += len(offsets) - 1
        self.support += np.bincount(classes, minlength=len(self.schema))
        self._add_rows(classes, offsets)

    def _add_multi_hot(self, start: int, block: np.ndarray) -> None:
        block = checked_multi_hot(block, self.schema, start, self.where)
        is_known, is_soft, negative = block != IGNORE_INDEX, block.dtype.kind == "f", block == 0
        positive = block > 0.5 if is_soft else block == 1
        self.support += np.where(is_known, block, 0).sum(0, dtype=np.float64) if is_soft else column_sums(positive)
        self.known += column_sums(is_known)
        if self.labels_per_row is not None:  # a row of which nothing is known is no row without labels
            self.labels_per_row[0] -= np.count_nonzero(~is_known.any(1))
        self.n_rows += len(block)
        for i, broken in enumerate(self.schema.broken_rules(positive, negative)):
            rows = np.flatnonzero(broken)
            self.violations[i] += len(rows)
            self.violation_rows[i] += (start + rows[: MAX_ROWS_NAMED - len(self.violation_rows[i])]).tolist()
        if self.labels_per_row is not None:
            rows, classes = np.nonzero(positive)
            self._add_rows(classes, np.searchsorted(rows, np.arange(len(positive) + 1)))

    def _add_rows(self, classes: np.ndarray, offsets: np.ndarray) -> None:
        """Count how many rows have 0, 1, 2, ... labels, and pairs of labels."""
        if self.labels_per_row is not None:
            more = np.bincount(np.diff(offsets), minlength=len(self.labels_per_row))
            more[: len(self.labels_per_row)] += self.labels_per_row
            self.labels_per_row = more
        if self.cooccurrence is not None:
            shape = (len(offsets) - 1, len(self.schema))
            rows = scipy.sparse.csr_array((np.ones(len(classes), np.int64), classes, offsets), shape)
            self.cooccurrence += (rows.T @ rows).toarray()


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
