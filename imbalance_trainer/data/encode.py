"""Labels as numbers, by a LabelSpec: class indices, or a matrix of entries."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, UsageError, did_you_mean, first_five, quoted
from .cells import (
    as_index,
    flatten_lists,
    fold,
    is_blank,
    is_index,
    is_numeric,
    label_entries,
    numbers_in,
    read_cells,
    words_of,
)
from .frame import Frame
from .label_spec import COLUMNS, LabelSpec, check_width

ENTRY = "0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown"
_NO_CLASS = -2


def entries_of(frame: Frame, plan: LabelSpec) -> np.ndarray:
    """The values of a column per label as float32 (rows, labels): NaN where unknown, inf where they are no entries."""
    if all(name not in frame.names or pa.types.is_null(frame.column(name).type) for name in plan.columns):
        return np.full((frame.table.num_rows, len(plan.schema)), np.nan, np.float32)  # as a null for each dict
    scale = _scale_of(frame, plan.rule.scale)
    return np.stack([label_entries(frame.column(name), plan.rule, scale) for name in plan.columns], axis=1)


def check_blanks(labels: np.ndarray, path: Any, plan: LabelSpec) -> None:
    """Ask what blank means where a column per label has nothing but positive values and blanks.

    Args:
        labels: (rows, labels), of the training data.
        path: the file, for messages.
        plan: what the columns mean.
    """
    if plan.form != COLUMNS or plan.rule.blank is not None:
        return
    one_sided = (labels > 0).any(0) & (labels == IGNORE_INDEX).any(0) & ~(labels == 0).any(0)
    if one_sided.any():
        raise UsageError(
            f"{path}: {quoted([plan.schema.names[i] for i in np.flatnonzero(one_sided)])} hold nothing but positive "
            "values and blanks, so that blank may mean 0; say --blank_labels negative or --blank_labels unknown."
        )


def _scale_of(frame: Frame, scale: str | None) -> Any:
    if scale is None:
        return 1.0
    number = numbers_in(frame.column(scale) if scale in frame.names else pa.array([scale]))
    if number is None or not (number[~np.isnan(number)] > 0).all():
        raise UsageError(
            f"--label_scale is a number over 0, or a column of such numbers; got {scale!r}"
            f"{'' if scale in frame.names else f', and there is no such column: {did_you_mean(scale, frame.names)}'}"
        )
    return number if scale in frame.names else number[0]


def encode_labels(frame: Frame, plan: LabelSpec) -> np.ndarray:
    """The labels of a file: class indices (rows,), or float32 (rows, labels); IGNORE_INDEX where unknown."""
    if plan.form == COLUMNS:
        return _checked(
            entries_of(frame, plan), frame, plan, lambda row, i: frame.column(plan.columns[i])[row].as_py()
        )
    where = f"{frame.path}: {plan.where}"
    cells, _ = read_cells(frame, plan.columns, plan.schema.names, plan.separator)
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
    check_width(frame, plan.columns[0], lengths, n)
    full = np.flatnonzero(lengths >= 0)
    matrix[full] = label_entries(values).reshape(-1, n)
    matrix[lengths < 0] = np.nan
    place = np.cumsum(lengths >= 0) - 1
    return _checked(matrix, frame, plan, lambda row, i: values[int(place[row]) * n + i].as_py())


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
        what = "column" if plan.form == COLUMNS else f"{plan.where}, label"
        shown = [f"{frame.row(r)}, {what} {names[i]!r}: {value_at(int(r), int(i))!r}" for r, i in bad[:5]]
        way = ""
        if plan.form == COLUMNS:
            way = "; where they are counts, --label_scale divides them, and --positive_values names values that mean 1"
            way += ", or say --label_format classes for a class a row" if len(plan.columns) == 1 else ""
        raise DataError(f"{frame.path}: expected {ENTRY}; found {first_five(shown, len(bad))}{way}.")
    return np.where(np.isnan(matrix), np.float32(IGNORE_INDEX), matrix)


def _classes(values: pa.Array, plan: LabelSpec, frame: Frame, rows: np.ndarray) -> np.ndarray:
    """Class indices of names or numbers; IGNORE_INDEX for null, blank, -1, -100. `rows`: where each stands."""
    if pa.types.is_null(values.type):
        return np.full(len(values), IGNORE_INDEX)
    if not (pa.types.is_string(values.type) or is_numeric(values.type)):
        raise DataError(f"{frame.path}: {plan.where}: holds {values.type}; expected names or class indices.")
    coded = values.dictionary_encode()
    found = _codes(words_of(coded.dictionary), plan, is_numeric(values.type))
    codes = np.array([*found, IGNORE_INDEX], np.int64)[coded.indices.fill_null(len(found)).to_numpy()]
    if (codes == _NO_CLASS).any():
        raise DataError(_unknown_labels(values, np.flatnonzero(codes == _NO_CLASS), plan, frame, rows))
    return codes


def _unknown_labels(values: pa.Array, wrong: np.ndarray, plan: LabelSpec, frame: Frame, rows: np.ndarray) -> str:
    """The first five values that are no label, and what was expected in place of the first."""
    value = values[int(wrong[0])].as_py()
    said = f"{frame.path}: {plan.where}, {frame.row(rows[wrong[0]])}: unknown label {value!r}"
    more = [f"{frame.row(rows[at])}: {values[int(at)].as_py()!r}" for at in wrong[1:5]]
    also = f" (also {first_five(more)}{f' and {len(wrong) - 5} more' if len(wrong) > 5 else ''})" if more else ""
    if not plan.numbered or (isinstance(value, str) and not is_index(value)):
        return f"{said}{also}: {did_you_mean(str(value), plan.schema.names)}"
    return f"{said}{also}: expected an index from 0 to {len(plan.schema) - 1}."


def _codes(words: Sequence[str], plan: LabelSpec, are_numbers: bool) -> list[int]:
    """The class index of each name; words are indices where all of them are numbers and none is a name."""
    exact = {name: i for i, name in enumerate(plan.schema.names)}
    folded: dict[str, int] = {}
    for i, name in enumerate(plan.schema.names):
        folded[fold(name)] = _NO_CLASS if fold(name) in folded else i
    filled = [word for word in words if not is_blank(word)]
    are_indices = plan.numbered and (are_numbers or (all(map(is_index, filled)) and not set(filled) & exact.keys()))
    codes = []
    for word in words:
        if are_indices and not is_blank(word):
            code = as_index(word) if is_index(word) and as_index(word) < len(exact) else _NO_CLASS
        else:
            unknown = IGNORE_INDEX if is_blank(word) else _NO_CLASS
            code = exact.get(word, exact.get(word.strip(), folded.get(fold(word), unknown)))
        codes.append(code)
    return codes
