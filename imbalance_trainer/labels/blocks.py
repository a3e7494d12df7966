"""Labels as blocks of numpy, without a Python object for each row: made of Arrow arrays or of rows, and checked.

Messages name the column, the row and the label.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, RaggedLabelsError, first_five
from .schema import LabelSchema

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


Block = np.ndarray | IdLists
"""Labels of some rows: class indices (rows,), multi-hot (rows, labels), or lists of classes."""


def column_blocks(columns: Iterable[Any], lists: str, where: str) -> Iterator[tuple[int, Block]]:
    """Read a column in blocks, each with the number of its first row.

    Args:
        columns: the column in parts, each a pyarrow ChunkedArray.
        lists: what a row's list is: MULTI_HOT, INDICES or TOKENS.
        where: the name of the column, for messages.
    """
    start = 0
    for column in columns:
        rows = int(min(BLOCK, max(1, _BYTES * len(column) // max(1, column.get_total_buffer_size()))))
        for at in range(0, len(column), rows):
            piece = column.slice(at, rows)
            yield start, array_block(piece, lists, where, start)
            start += len(piece)


def array_block(array: Any, lists: str, where: str, start: int = 0) -> Block:
    """The labels in an Arrow array, chunked or not, as a block; see `column_blocks`.

    Raises:
        DataError: a row without labels, nested lists, or multi-hot lists of different lengths.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    array = array.cast(array.type.storage_type) if isinstance(array.type, pa.BaseExtensionType) else array
    if not pa.types.is_nested(array.type):
        return numeric(np.asarray(array))
    if array.null_count:
        row = start + int(np.flatnonzero(np.asarray(array.is_null()))[0])
        raise DataError(f"{where}: row {row} has no labels (null); use a list of -100 for unknown.")
    inner = getattr(array.type, "value_type", array.type)
    if pa.types.is_nested(inner):
        found = array.type if inner == array.type or pa.types.is_struct(inner) else "nested lists"
        raise DataError(f"{where}: expected a number or a list of numbers in each row, found {found}.")
    lengths = np.asarray(pc.list_value_length(array))
    return _list_block(numeric(np.asarray(pc.list_flatten(array))), lengths, lists, where, start)


def rows_block(labels: Sequence[Any], lists: str, where: str, start: int = 0) -> Block:
    """The labels of rows, each a number or a list of numbers, as a block; see `column_blocks`."""
    rows = [np.asarray(row) for row in labels]
    is_list = [row.ndim > 0 for row in rows]
    if rows and not any(is_list):
        return numeric(np.stack(rows))
    if not all(is_list):
        i = is_list.index(False)
        raise DataError(f"{where}: row {start + i} has {rows[i].item()!r}, but others have a list of labels.")
    filled = [row for row in rows if row.size]  # an empty list has a type of its own, float
    flat = numeric(np.concatenate(filled)) if filled else np.zeros(0, np.int64)
    return _list_block(flat, np.array([len(row) for row in rows], np.int64), lists, where, start)


def array_or_rows(labels: Any, where: str) -> Block:
    """Labels that are all there, as a block; lists of different lengths are an error that names the row."""
    try:
        return numeric(np.asarray(labels))
    except ValueError:
        return rows_block(labels, MULTI_HOT, where)


def numeric(values: np.ndarray) -> np.ndarray:
    """Booleans as integers, missing values as NaN, bytes in this machine's order."""
    if values.dtype == object:
        return np.array([np.nan if v is None else v for v in values.ravel()]).reshape(values.shape)
    values = values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    return values.view(np.int8) if values.dtype == bool else values


def _list_block(flat: np.ndarray, lengths: np.ndarray, lists: str, where: str, start: int) -> Block:
    """A block of lists, one after the other, and how long each is."""
    if lists == TOKENS:
        return flat
    if lists == INDICES:
        return IdLists(flat, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))
    width = int(lengths[0]) if len(lengths) else 0
    wrong = np.flatnonzero(lengths != width)
    if len(wrong):
        raise RaggedLabelsError(
            f"{where}: row {start} has {width} values and row {start + wrong[0]} has {lengths[wrong[0]]}; expected "
            "one value for each label in every row."
        )
    return flat.reshape(len(lengths), width)


def check_width(block: np.ndarray, schema: LabelSchema, start: int, where: str) -> None:
    """Raise a DataError unless a block is (rows, labels)."""
    if block.ndim != 2 or block.shape[1] != len(schema):
        got = f"{block.shape[1]} values" if block.ndim == 2 else f"shape {block.shape}"
        raise DataError(f"{where}: row {start} has {got}, but there are {len(schema)} labels ({_some(schema.names)}).")


def checked_multi_hot(block: np.ndarray, schema: LabelSchema, start: int, where: str) -> np.ndarray:
    """A multi-hot block (rows, labels) with unknown entries (NaN) made -100; errors name the row and the label."""
    check_width(block, schema, start, where)
    if block.dtype.kind not in "biuf":
        raise DataError(f"{where}: expected numbers (0, 1, or -100 for unknown), found {block.flat[0]!r}.")
    if block.dtype.kind == "f":
        block = np.where(np.isnan(block), IGNORE_INDEX, block)
    bad = ((block < 0) | (block > 1)) & (block != IGNORE_INDEX)
    if bad.any():
        raise DataError(_bad_values(block, bad, schema, start, where))
    return block


def checked_classes(
    block: np.ndarray, schema: LabelSchema, start: int, where: str, rows: np.ndarray | None = None
) -> np.ndarray:
    """Class indices as integers, unknown ones (NaN) made -100; errors name the row.

    Args:
        block: (values,).
        schema: the labels.
        start: the number of the first row, for messages.
        where: the column, for messages.
        rows: (values,), the row of each value; without it they are in a row each.
    """

    kind = block.dtype.kind
    if kind not in "biuf" and len(block):
        row = start + (0 if rows is None else int(rows[0]))
        raise DataError(f"{where}: row {row} has {block[0]!r}; expected class indices (integers).")
    unknown = (block == IGNORE_INDEX) | np.isnan(block) if kind == "f" else block == IGNORE_INDEX
    fits = (block >= 0) & (block < len(schema))
    wrong = ~unknown & ~(fits & (block == np.floor(block)) if kind == "f" else fits)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        row, value = start + (at if rows is None else int(rows[at])), block[at].item()
        if kind == "f" and not value.is_integer():
            raise DataError(f"{where}: row {row} has {value!r}; expected class indices (integers).")
        shown = f"{value:.15g}" if kind == "f" else value
        raise DataError(
            f"{where}: row {row} has class {shown}; expected 0 to {len(schema) - 1} "
            f"({_some(schema.names)}), or -100 for unknown."
        )
    classes = np.full(len(block), IGNORE_INDEX, np.int64)
    classes[~unknown] = block[~unknown]
    return classes


def _bad_values(block: np.ndarray, bad: np.ndarray, schema: LabelSchema, start: int, where: str) -> str:
    rows, columns = np.nonzero(bad)
    shown = [
        f"row {start + r}, label {schema.names[c]!r}: {block[r, c].item():g}"
        for r, c in zip(rows[:5], columns[:5], strict=True)
    ]
    found = first_five(shown, len(rows))
    return f"{where}: expected 0, 1, a value between them, or -100 for unknown; found {found}."


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(repr(n) for n in names[:3])
    return shown if len(names) <= 3 else f"{shown}, ... {names[-1]!r}"
