"""What stands in an array of labels: widths and values checked, errors with the row and the label."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, first_five
from .arrow import IdLists, as_matrix, numeric
from .schema import LabelSchema


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


def labels_array(labels: Any, where: str) -> np.ndarray:
    """Labels that are all there, as an array; lists of different lengths are an error that names the row."""
    try:
        return numeric(np.asarray(labels))
    except ValueError:
        lengths = np.array([np.size(row) for row in labels])
        return as_matrix(np.empty(0), IdLists.of(np.empty(0), lengths).offsets, 0, where)


def id_lists(labels: Iterable[Any]) -> IdLists:
    """Lists of classes that are all there, as one block."""
    rows = [np.asarray(row).reshape(-1) for row in labels]
    filled = [row for row in rows if row.size]
    flat = np.concatenate(filled) if filled else np.zeros(0, np.int64)
    return IdLists.of(numeric(flat), np.array([row.size for row in rows], dtype=np.int64))


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
