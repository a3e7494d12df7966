"""Labels in Arrow buffers as blocks of numpy, without a Python object for each row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils.errors import DataError

BLOCK = 1 << 20  # rows at a time
_BYTES = 1 << 26  # at a time, where rows are long

MULTI_HOT, INDICES, TOKENS = "multi-hot", "indices", "tokens"
"""What a row's list of numbers is: an entry for each label, the classes that it has, or a class for each token."""


@dataclass(frozen=True, eq=False)
class IdLists:
    """Rows that list their classes.

    Args:
        values: all lists, one after the other.
        offsets: (rows + 1,), the start of each row's list, and the end of the last; `values[0]` is at `offsets[0]`,
            which is not 0 in a slice of rows.
    """

    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: slice) -> "IdLists":
        start, stop, step = rows.indices(len(self))
        assert step == 1, "rows that follow each other"
        offsets, first = self.offsets[start : max(start, stop) + 1], self.offsets[0]
        return IdLists(self.values[offsets[0] - first : offsets[-1] - first], offsets)

    @classmethod
    def of(cls, values: np.ndarray, lengths: np.ndarray) -> "IdLists":
        """From all lists, one after the other, and how long each is."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths)]))


Block = np.ndarray | IdLists
"""Labels of some rows: class indices (rows,), multi-hot (rows, labels), or lists of classes."""


def column_blocks(columns: Iterable[Any], lists: str, where: str) -> Iterator[tuple[int, Block]]:
    """Read a column in blocks, each with the number of its first row.

    Args:
        columns: the column in parts, each a pyarrow ChunkedArray.
        lists: what a row's list is: MULTI_HOT, INDICES or TOKENS.
        where: the name of the column, for messages.
    """
    import pyarrow as pa

    start = 0
    for column in columns:
        rows = int(min(BLOCK, max(1, _BYTES * len(column) // max(1, column.nbytes))))
        for at in range(0, len(column), rows):
            chunks = [without_views(chunk) for chunk in column.slice(at, rows).chunks]
            piece = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)  # datasets writes 1,000 rows a chunk
            yield start, array_block(piece, lists, where, start)
            start += len(piece)


def array_block(array: Any, lists: str, where: str, start: int = 0) -> Block:
    """The labels in an Arrow array as a block; see `column_blocks`.

    Raises:
        DataError: a row without labels, nested lists, or multi-hot lists of different lengths.
    """
    import pyarrow as pa

    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    if not pa.types.is_nested(array.type):
        return numeric(array.to_numpy(zero_copy_only=False))
    if array.null_count:
        row = start + int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"{where}: row {row} has no labels (null); use a list of -100 for unknown.")
    if not hasattr(array, "flatten") or pa.types.is_struct(array.type):
        raise DataError(f"{where}: expected a number or a list of numbers in each row, found {array.type}.")
    values = array.flatten()
    if pa.types.is_nested(values.type):
        raise DataError(f"{where}: expected a number or a list of numbers in each row, found nested lists.")
    flat = numeric(values.to_numpy(zero_copy_only=False))
    if lists == TOKENS:
        return flat
    if pa.types.is_fixed_size_list(array.type):
        offsets = np.arange(len(array) + 1) * array.type.list_size
    else:
        offsets = array.offsets.to_numpy()
    return IdLists(flat, offsets) if lists == INDICES else as_matrix(flat, offsets, start, where)


def without_views(array: Any) -> Any:
    """Convert list views to lists. pyarrow's own cast loses the values of the last one (pyarrow 26)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_list_view(array.type) or pa.types.is_large_list_view(array.type)):
        return array
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    is_null = array.is_null() if array.null_count else None
    return pa.LargeListArray.from_arrays(offsets, array.flatten(), mask=is_null)


def as_matrix(flat: np.ndarray, offsets: np.ndarray, start: int, where: str) -> np.ndarray:
    """Reshape concatenated lists to a matrix (rows, labels); lists of different lengths are a DataError.

    Args:
        flat: the lists.
        offsets: (rows + 1,), the start of each, and the end of the last.
        start: the number of the first row.
        where: the column, for messages.
    """
    lengths = np.diff(offsets)
    width = int(lengths[0]) if len(lengths) else 0
    wrong = np.flatnonzero(lengths != width)
    if len(wrong):
        raise DataError(
            f"{where}: row {start} has {width} values and row {start + wrong[0]} has {lengths[wrong[0]]}; expected "
            "one value for each label in every row."
        )
    return flat.reshape(len(lengths), width)


def numeric(values: np.ndarray) -> np.ndarray:
    """Booleans as integers, missing values as NaN, bytes in this machine's order."""
    if values.dtype == object:
        return np.array([np.nan if v is None else v for v in values.ravel()]).reshape(values.shape)
    values = values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    return values.view(np.int8) if values.dtype == bool else values
