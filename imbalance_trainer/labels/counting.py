"""Counting labels block by block: sums of bytes where every entry is 0 or 1, the careful way where one is not."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
from tqdm import tqdm

from ..utils.constants import IGNORE_INDEX
from ..utils.numeric import column_sums
from .arrow import Block, IdLists
from .schema import LabelSchema
from .values import check_width, checked_classes, checked_multi_hot

MAX_ROWS_NAMED = 100
"""Of the rows that break a rule so many are named, the first ones."""

DENSE_LABELS = 1_000
"""Up to so many labels co-occurrence is a plain array, beyond them a sparse one."""

_BYTES = 1 << 25  # of a block that is summed at a time
_CACHED = 1 << 19  # entries of which copies are made, at a time: they stay in the processor's cache
_THREADS = 2
_AHEAD = 4  # blocks that are read before they are counted, so that no thread waits for one
_WAITING = 1 << 22  # entries
_BYTE = 256  # values of one
_IN_TABLE = 1 << 15  # numbers up to which Arrow's mode counts in a table; beyond them it sorts
_MANY, _EACH = 1 << 16, 100  # numbers, in all and for each that may be distinct, from which on the mode is faster


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
        self.named: list[list[int]] = [[] for _ in schema.rules]
        self.per_row = np.zeros(1, dtype=np.int64) if labels_per_row else None
        self.pairs = _no_pairs(width) if cooccurrence else None
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []  # lists whose pairs are not counted yet

    @classmethod
    def of(
        cls,
        blocks: Iterable[tuple[int, Block]],
        schema: LabelSchema,
        where: str,
        labels_per_row: bool = False,
        cooccurrence: bool = False,
    ) -> "LabelCounts":
        """Count blocks in threads, which take turns, each with counts of its own that are added up in the end; in one
        where labels per row or co-occurrence are asked for.

        Raises:
            DataError: see `add`; of several the one in the first block.
        """
        n = 1 if labels_per_row or cooccurrence else _THREADS  # BLAS, which these take, has threads of its own
        parts = [cls(schema, where, labels_per_row, cooccurrence) for _ in range(n)]
        with ExitStack() as stack:
            threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in parts]
            running: deque[Future] = deque()
            try:
                for i, (start, block) in enumerate(blocks):
                    if len(running) == _AHEAD:
                        running[0].result()
                        running.popleft()
                    running.append(threads[i % n].submit(parts[i % n].add, start, block))
            except Exception:  # what is wrong in a block is said before what is wrong in one after it
                for added in running:
                    added.result()
                raise
            for added in running:
                added.result()
        for other in parts[1:]:
            parts[0]._add_counts(other)
        return parts[0]

    def _add_counts(self, other: "LabelCounts") -> None:
        """Add what another counted, which looked neither at labels per row nor at pairs."""
        self.n_rows += other.n_rows
        self.support += other.support
        self.known += other.known
        self.violations += other.violations
        self.named = [sorted(a + b)[:MAX_ROWS_NAMED] for a, b in zip(self.named, other.named, strict=True)]

    def add(self, start: int, block: Block) -> None:
        """Count a block whose first row is the row `start`.

        Raises:
            DataError: a width that is not the schema's, or a value that no label can have.
        """
        if isinstance(block, IdLists):
            self._add_lists(start, block)
        elif block.ndim == 1:
            for at in range(0, len(block), _CACHED):
                self._add_classes(start + at, block[at : at + _CACHED])
        else:
            check_width(block, self.schema, start, self.where)
            step = max(255, _BYTES // (block.shape[1] * block.itemsize) // 255 * 255)
            for at in range(0, len(block), step):
                self._add_multi_hot(start + at, block[at : at + step])

    def _add_classes(self, start: int, block: np.ndarray) -> None:
        classes = as_classes(block, len(self.schema))
        if classes is None:
            classes = checked_classes(block, self.schema, start, self.where)
            classes = classes[classes != IGNORE_INDEX]
        counts = class_counts(classes, len(self.schema))
        self.support += counts
        self.known += len(classes)
        self.n_rows += len(classes)
        if self.per_row is not None:
            self.per_row = _added(self.per_row, np.array([0, len(classes)]))
        if self.pairs is not None:
            self.pairs = self.pairs + (_diagonal(counts) if len(counts) > DENSE_LABELS else np.diag(counts))

    # ---- multi-hot ----

    def _add_multi_hot(self, start: int, block: np.ndarray) -> None:
        positive = _as_bits(block)
        looks_at_rows = self.schema.rules or self.per_row is not None or self.pairs is not None
        if positive is not None and not looks_at_rows:
            self._add_bits(positive)
            return
        step = max(1, _CACHED // block.shape[1])
        for at in range(0, len(block), step):
            if positive is not None:
                bits = positive[at : at + step]
                self._add_bits(bits)
                self._look_at_rows(start + at, bits, ~bits)
            else:
                self._add_entries(start + at, block[at : at + step])

    def _add_bits(self, positive: np.ndarray) -> None:
        self.support += column_sums(positive)
        self.known += len(positive)
        self.n_rows += len(positive)

    def _add_entries(self, start: int, block: np.ndarray) -> None:
        """Count entries among which some are unknown or soft."""
        block = checked_multi_hot(block, self.schema, start, self.where)
        is_known, positive = block != IGNORE_INDEX, block > 0.5
        self.n_rows += len(block)
        self.known += column_sums(is_known)
        if block.dtype.kind == "f":
            self.support += np.where(is_known, block, 0).sum(0, dtype=np.float64)
        else:
            self.support += column_sums(positive)
        self._look_at_rows(start, positive, block == 0)
        if self.per_row is not None:  # a row of which nothing is known is no row without labels
            self.per_row[0] -= np.count_nonzero(~is_known.any(1))

    def _look_at_rows(self, start: int, positive: np.ndarray, negative: np.ndarray) -> None:
        if self.schema.rules:
            self._add_violations(start, positive, negative)
        if self.per_row is not None or self.pairs is not None:
            self._add_rows(positive)

    def _add_violations(self, start: int, positive: np.ndarray, negative: np.ndarray) -> None:
        for i, broken in enumerate(self.schema.broken_rules(positive, negative)):
            rows = np.flatnonzero(broken)
            self.violations[i] += len(rows)
            self.named[i] += (start + rows[: MAX_ROWS_NAMED - len(self.named[i])]).tolist()

    def _add_rows(self, positive: np.ndarray) -> None:
        if positive.shape[1] > DENSE_LABELS:
            rows, classes = np.nonzero(positive)
            self._add_row_lists(classes, np.searchsorted(rows, np.arange(len(positive) + 1)))
            return
        ones = positive.astype(np.float32)  # of a matrix of floats BLAS makes sums in a fraction of the time
        lengths = ones @ np.ones(ones.shape[1], np.float32)
        if self.per_row is not None:
            self.per_row = _added(self.per_row, np.bincount(lengths.astype(np.int64)))
        if self.pairs is not None:
            ones = ones[lengths > 0]
            self.pairs += (ones.T @ ones).astype(np.int64)  # exact: a block has less than 2**24 rows

    # ---- lists of classes ----

    def _add_lists(self, start: int, block: IdLists) -> None:
        width, offsets = len(self.schema), block.offsets
        values = None if self.schema.rules else as_classes(block.values, width)
        if values is None:
            step = max(1, _CACHED // width)
            for at in range(0, len(block), step):
                self._add_multi_hot(start + at, self._as_multi_hot(start + at, block[at : at + step]))
            return
        if not _are_ascending(values, offsets):
            values, offsets = _without_repeats(values, offsets, width)
        self.n_rows += len(block)
        self.known += len(block)
        self.support += class_counts(values, width)
        if self.per_row is not None or self.pairs is not None:
            self._add_row_lists(values, offsets)

    def _add_row_lists(self, values: np.ndarray, offsets: np.ndarray) -> None:
        lengths = np.diff(offsets)
        if self.per_row is not None:
            self.per_row = _added(self.per_row, np.bincount(lengths))
        if self.pairs is not None:
            self._waiting.append((values, lengths))
            if sum(len(v) for v, _ in self._waiting) > _WAITING:
                self._add_waiting()

    def _add_waiting(self) -> None:
        """Count the pairs in lists that wait: of many at a time, as each sum of sparse matrices makes a new one."""
        if not self._waiting:
            return
        import scipy.sparse

        values, lengths = map(np.concatenate, zip(*self._waiting, strict=True))
        self._waiting = []
        parts = (np.ones(len(values), np.int64), values, np.concatenate([[0], np.cumsum(lengths)]))
        rows = scipy.sparse.csr_array(parts, shape=(len(lengths), len(self.schema)))
        pairs = (rows.T @ rows).tocsr()
        self.pairs = self.pairs + (pairs if len(self.schema) > DENSE_LABELS else pairs.toarray())

    def cooccurrence(self) -> Any:
        """Rows that have both of two labels, (labels, labels); None where they were not asked for."""
        self._add_waiting()
        return self.pairs

    def _as_multi_hot(self, start: int, block: IdLists) -> np.ndarray:
        """(rows, labels), int8. A class of -100 (or NaN) says that what else the row has is not known."""
        row = np.repeat(np.arange(len(block)), np.diff(block.offsets))
        classes = checked_classes(block.values, self.schema, start, self.where, row)
        matrix = np.zeros((len(block), len(self.schema)), np.int8)
        matrix[row[classes == IGNORE_INDEX]] = IGNORE_INDEX
        is_known = classes != IGNORE_INDEX
        matrix[row[is_known], classes[is_known]] = 1
        return matrix


# ---- arithmetic ----


def _as_bits(block: np.ndarray) -> np.ndarray | None:
    """A block (rows, labels) as booleans where every entry is 0 or 1, else None. One look at each byte decides."""
    kind, size = block.dtype.kind, block.dtype.itemsize
    if not block.size or kind not in "biuf":
        return block.astype(bool) if kind in "biuf" else None
    if kind == "f":
        if not (block.min() >= 0 and block.max() <= 1):  # a NaN is neither
            return None
        bits = block.astype(np.uint8)
        return bits.view(bool) if (bits == block).all() else None
    block = block if kind == "b" else block.view(f"u{size}")  # negative numbers are large ones then
    if block.max() > 1:
        return None
    return (block if size == 1 else block.astype(np.uint8)).view(bool)


def as_classes(values: np.ndarray, n_labels: int) -> np.ndarray | None:
    """Class indices, as bytes where the labels are few, which leaves less to look at; None where one is no class."""
    if values.dtype.kind not in "iu":
        return None
    limit = np.iinfo(values.dtype).max + 1
    unsigned = values.view(f"u{values.itemsize}")  # negative numbers are large ones then, of this limit or more
    if n_labels < _BYTE and values.itemsize > 1:  # what is too large becomes 255, which is no class
        values = np.empty(values.shape, np.uint8)
        unsigned = np.minimum(unsigned, unsigned.dtype.type(_BYTE - 1), out=values, casting="unsafe")
    return values if unsigned.max(initial=0) < min(n_labels, limit) else None


def class_counts(classes: np.ndarray, n_labels: int) -> np.ndarray:
    """How often each class occurs, (labels,); up to 256 classes are counted two at a time.

    Args:
        classes: (values,), each from 0 to n_labels - 1.
        n_labels: classes.
    """
    if n_labels > _BYTE:
        return _number_counts(classes, n_labels, n_labels)
    in_bytes, even = np.ascontiguousarray(classes, np.uint8), len(classes) // 2 * 2
    pairs = _number_counts(in_bytes[:even].view(np.uint16), n_labels * _BYTE, n_labels**2).reshape(n_labels, _BYTE)
    return pairs.sum(0)[:n_labels] + pairs.sum(1) + np.bincount(in_bytes[even:], minlength=n_labels)


def _number_counts(numbers: np.ndarray, n: int, distinct: int) -> np.ndarray:
    """How often each number from 0 to n - 1 occurs, (n,).

    Many numbers, of which few are distinct, are counted by Arrow's mode, which takes half the time of numpy.bincount
    and lets other threads run; few, or such as may be distinct, by the other, as the mode ranks what it found.
    """
    if n > _IN_TABLE or len(numbers) < max(_MANY, _EACH * distinct):
        return np.bincount(numbers.astype(np.intp, copy=False), minlength=n)
    import pyarrow as pa
    import pyarrow.compute as pc

    in_table = numbers.astype(np.uint16, copy=False)
    found, counts = pc.mode(pa.array(in_table), n=n), np.zeros(n, np.int64)
    counts[found.field("mode")] = found.field("count")
    return counts


def _are_ascending(values: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether each row's classes rise, so that none stands twice: exact, in passes over whole blocks.

    Where a value is not larger than the one before it, a row has to begin; so both are counted.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    start, end = int(offsets[0]), int(offsets[-1])
    first = 0 if end <= _BYTES else start  # 0: offsets need no copy, and memory that is not written is not touched
    falls = np.empty(end - first + 1, dtype=bool)
    falls[[start - first, -1]] = False
    np.less_equal(values[1:], values[:-1], out=falls[start - first + 1 : -1])
    starts = pa.array(offsets[:-1] - first if first else offsets[:-1])
    at_row_starts = pc.take(pa.array(falls.view(np.uint8)), starts, boundscheck=False).to_numpy().view(bool)
    at_row_starts = at_row_starts & (offsets[1:] > offsets[:-1])  # an empty row begins where the next one does
    return np.count_nonzero(at_row_starts) == np.count_nonzero(falls[start - first :])


def _without_repeats(values: np.ndarray, offsets: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The lists with each class once, in order."""
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    row, classes = np.divmod(np.unique(row * width + values), width)
    return classes, np.searchsorted(row, np.arange(len(offsets)))


def _added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of two histograms, of which one may be longer."""
    total = np.zeros(max(len(a), len(b)), dtype=np.int64)
    total[: len(a)] += a
    total[: len(b)] += b
    return total


def _no_pairs(width: int) -> Any:
    if width <= DENSE_LABELS:
        return np.zeros((width, width), dtype=np.int64)
    return _diagonal(np.zeros(width, dtype=np.int64))


def _diagonal(counts: np.ndarray) -> Any:
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
