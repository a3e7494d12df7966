"""Labels of a file as numbers, under the plan that was made on the training data."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..utils.constants import IGNORE_INDEX, LABEL_COLUMNS
from ..utils.errors import DataError, UsageError, did_you_mean, first_five
from .cells import check_width, read_cells
from .frame import Frame, named_like
from .plan import LabelSpec
from .values import ENTRY, as_index, as_name, as_numbers, flatten_lists, is_blank, is_index, is_numeric, label_entries


def encode_labels(frame: Frame, plan: LabelSpec) -> np.ndarray:
    """The labels of a file: class indices (rows,), or float32 (rows, labels); IGNORE_INDEX where unknown."""
    if plan.form == "columns":
        if _has_no_dict(frame, plan):
            return np.full((frame.table.num_rows, len(plan.schema)), np.float32(IGNORE_INDEX))
        matrix = np.stack([label_entries(frame.column(name)) for name in plan.columns], axis=1)
        return _checked(matrix, frame, plan, lambda row, i: frame.column(plan.columns[i])[row].as_py())
    column = plan.columns[0]
    where = f"{frame.path}: column {column!r}"
    cells, _ = read_cells(frame, column, plan.schema.names, plan.separator)
    if plan.form != "classes" and pa.types.is_string(cells.type):
        cells = _single_names(cells, plan)
    if pa.types.is_null(cells.type):
        cells = cells.cast(pa.int64() if plan.form == "classes" else pa.list_(pa.null()))
    if pa.types.is_list(cells.type) == (plan.form == "classes"):
        expected = "one class in each row" if plan.form == "classes" else "a list of labels in each row"
        raise DataError(f"{where}: holds {cells.type}; expected {expected}, as in the training data.")
    if plan.form == "classes":
        return _classes(cells, plan, frame, np.arange(len(cells)))
    values, lengths = flatten_lists(cells)
    n = len(plan.schema)
    matrix = np.zeros((len(cells), n), np.float32)
    if plan.form == "sets":
        rows = np.repeat(np.arange(len(cells)), np.maximum(lengths, 0))
        classes = _classes(values, plan, frame, rows)
        matrix[rows[classes == IGNORE_INDEX]] = IGNORE_INDEX  # what else the row has is not known
        matrix[rows[classes >= 0], classes[classes >= 0]] = 1
        matrix[lengths < 0] = IGNORE_INDEX
        return matrix
    check_width(frame, column, lengths, n)
    full = np.flatnonzero(lengths >= 0)
    matrix[full] = label_entries(values).reshape(-1, n)
    matrix[lengths < 0] = np.nan
    place = np.cumsum(lengths >= 0) - 1
    return _checked(matrix, frame, plan, lambda row, i: values[int(place[row]) * n + i].as_py())


def _has_no_dict(frame: Frame, plan: LabelSpec) -> bool:
    """Whether each row has null where the training data has a dict of labels."""
    names = frame.table.column_names
    name = named_like(LABEL_COLUMNS, names)
    return name is not None and pa.types.is_null(frame.column(name).type) and not set(plan.columns) & set(names)


def _single_names(cells: pa.Array, plan: LabelSpec) -> pa.Array:
    """The lists of a file in whose strings none stands: an empty cell means what it means in the training data."""
    empty: list[str] | None = None if plan.spelled else []
    cell_lists = {
        v: [v] if not is_blank(v) else None if v.strip() else empty for v in cells.drop_null().unique().to_pylist()
    }
    lists = [cell_lists.get(v) for v in cells.to_pylist()]
    if plan.form == "sets":
        return pa.array(lists, pa.list_(pa.string()))
    return cells if any(lists) else pa.nulls(len(lists))  # a name where a multi-hot list is expected is refused


def _checked(matrix: np.ndarray, frame: Frame, plan: LabelSpec, value_at: Callable[[int, int], Any]) -> np.ndarray:
    """The matrix with IGNORE_INDEX for NaN; values that no label can have are an error that shows five of them."""
    bad = np.argwhere(np.isinf(matrix))
    if len(bad):
        names = plan.schema.names
        what = "column" if plan.form == "columns" else f"column {plan.columns[0]!r}, label"
        shown = [f"{frame.row(r)}, {what} {names[i]!r}: {value_at(int(r), int(i))!r}" for r, i in bad[:5]]
        could_be_classes = plan.form == "columns" and len(plan.columns) == 1
        way = "; where it holds a class a row, say --label_format classes" if could_be_classes else ""
        raise DataError(f"{frame.path}: expected {ENTRY}; found {first_five(shown, len(bad))}{way}.")
    return np.where(np.isnan(matrix), np.float32(IGNORE_INDEX), matrix)


def _classes(values: pa.Array, plan: LabelSpec, frame: Frame, rows: np.ndarray) -> np.ndarray:
    """Class indices of names or indices; IGNORE_INDEX for null, blank, -1, -100. `rows`: where each stands."""
    schema, where = plan.schema, f"{frame.path}: column {plan.columns[0]!r}"
    if pa.types.is_null(values.type):
        return np.full(len(values), IGNORE_INDEX)
    if pa.types.is_string(values.type):
        coded = values.dictionary_encode()
        names = coded.dictionary.to_pylist()
        table = np.array([*_codes(names, plan), IGNORE_INDEX], np.int64)
        codes = table[coded.indices.fill_null(len(names)).to_numpy()]
        wrong = codes == _NO_CLASS
    elif is_numeric(values.type):
        numbers = as_numbers(values, pa.float64())
        unknown = np.isnan(numbers) | (numbers == -1) | (numbers == IGNORE_INDEX)
        if not plan.numbered:
            numbers = _by_name(numbers, unknown, schema.names)
        wrong = ~unknown & ((numbers != np.floor(numbers)) | (numbers < 0) | (numbers >= len(schema)))
        codes = np.where(unknown | wrong, IGNORE_INDEX, numbers).astype(np.int64)
        if not plan.numbered and wrong.any() and (wrong | unknown).all():
            raise DataError(f"{where}: holds {values.type}; expected names, as in the training data.")
    else:
        raise DataError(f"{where}: holds {values.type}; expected names or class indices.")
    if wrong.any():
        raise DataError(_unknown_labels(values, np.flatnonzero(wrong), plan, frame, rows))
    return codes


def _unknown_labels(values: pa.Array, wrong: np.ndarray, plan: LabelSpec, frame: Frame, rows: np.ndarray) -> str:
    """The first five values that are no label, and what was expected in place of the first."""
    value = values[int(wrong[0])].as_py()
    said = f"{frame.path}: column {plan.columns[0]!r}, {frame.row(rows[wrong[0]])}: unknown label {value!r}"
    more = [f"{frame.row(rows[at])}: {values[int(at)].as_py()!r}" for at in wrong[1:5]]
    also = f" (also {first_five(more)}{f' and {len(wrong) - 5} more' if len(wrong) > 5 else ''})" if more else ""
    if isinstance(value, str) and not (plan.numbered and is_index(value)):
        return f"{said}{also}: {did_you_mean(value, plan.schema.names)}"
    return f"{said}{also}: expected an index from 0 to {len(plan.schema) - 1}."


def _by_name(numbers: np.ndarray, unknown: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The class index of numbers that are names; -2, which is none, of those that are not."""
    index = {name: i for i, name in enumerate(names)}
    found, inverse = np.unique(numbers[~unknown], return_inverse=True)
    classes = np.full(len(numbers), float(_NO_CLASS))
    classes[~unknown] = np.array([index.get(as_name(number), _NO_CLASS) for number in found], float)[inverse]
    return classes


_NO_CLASS = -2


def _codes(names: Sequence[str], plan: LabelSpec) -> list[int]:
    """The class index of each name; numbers are indices where all of them are and none is a name."""
    schema = plan.schema
    filled = [name for name in names if not is_blank(name)]
    are_indices = plan.numbered and bool(filled) and all(map(is_index, filled)) and not set(filled) & set(schema.names)
    codes = []
    for name in names:
        if are_indices and is_index(name):
            codes.append(as_index(name) if as_index(name) < len(schema) else _NO_CLASS)
            continue
        try:
            codes.append(schema.index(name if name in schema.names else name.strip()))
        except UsageError:
            codes.append(IGNORE_INDEX if is_blank(name) else _NO_CLASS)
    return codes
