"""LabelSpec: what the label columns mean, how it is found where one column has all labels, and labels as numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX, LABEL_COLUMNS
from ..utils.errors import DataError, UsageError, did_you_mean, first_five, quoted
from .cells import (
    ENTRY,
    NO_SEPARATOR,
    as_index,
    as_name,
    as_numbers,
    check_width,
    flatten_lists,
    is_blank,
    is_index,
    is_multi_hot,
    is_numeric,
    label_entries,
    read_cells,
    spelled_numbers,
)
from .frame import Frame, named_like

COLUMNS, MULTI_HOT, INDICES, NAMES, CLASSES = LABEL_FORMATS = ("columns", "multi_hot", "indices", "names", "classes")
"""What `label_format` may be: a column per label; or one column with lists of 0 and 1, of class indices or of names,
or with one class a row."""

_SPARE = 10  # times as many classes as occur are taken for numbers of another kind, such as years


@dataclass(frozen=True)
class LabelSpec:
    """What the columns mean, decided on the training data.

    Args:
        columns: the label columns.
        form: "columns", "multi-hot", "sets" or "classes".
        schema: the labels.
        note: what was decided, in words.
        separator: between names in one cell.
        remarks: columns that may be meant otherwise.
        doubtful: columns that are nearly labels and are not used as such.
        numbered: whether numbers in the cells are class indices.
        spelled: whether the cells are strings that spell lists.
    """

    columns: tuple[str, ...]
    form: str
    schema: LabelSchema
    note: str
    separator: str | None = None
    remarks: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    numbered: bool = True
    spelled: bool = False


def plan_of_cells(
    frame: Frame, column: str, given: LabelSchema | None, separator: str | None, label_format: str | None
) -> LabelSpec:
    """The plan for labels that lie in one column."""
    where = f"{frame.path}: column {column!r}"
    known = given.names if given else frame.class_names.get(column)
    if label_format == CLASSES and separator is None:
        separator = NO_SEPARATOR
    cells, separator = read_cells(frame, column, known, separator)
    if cells.null_count == len(cells) or (pa.types.is_string(cells.type) and all(map(_is_no_cell, cells.to_pylist()))):
        raise DataError(f"{where}: no row has a known label; expected some to train on.")
    if pa.types.is_struct(cells.type) or pa.types.is_map(cells.type):
        raise DataError(f"{where}: holds dicts; these are read in a column 'labels' or 'label'; rename it.")
    is_list = pa.types.is_list(cells.type)
    values = flatten_lists(cells)[0] if is_list else cells
    is_text = pa.types.is_string(values.type)
    _check_format(label_format, is_list, is_text, where)
    form, width = _form_of(frame, column, cells, known, label_format)
    numbered = label_format != NAMES and (known is not None or not is_text or _are_indices(values))
    numbered = numbered and not _are_names(values, known)
    if label_format == INDICES and not _are_indices(values):
        raise DataError(f"{where}: holds other values than class indices, which --label_format indices asks for.")
    names = known or _names_in(values, width, label_format != NAMES, where)
    differ = _words(values) if is_text else _numbers(values)
    if form == "classes" and (len(names) == 1 or (known is None and len(differ) == 1)):
        raise DataError(f"{where}: has only one class, {names[-1]!r}; expected two or more.")
    how = _how(form, is_text and not _are_indices(values), separator)
    if form == "multi-hot" and not (known or label_format):
        how += " (they could be class indices: --label_format indices)"
    are_made = known is None and numbered
    source = f"names of {'label_info.json' if given else 'ClassLabel'}" if known else _found_names(names, are_made)
    listed = "" if given or are_made else f" ({quoted(names)})"  # a typo among them shows
    kind = "single-label" if form == "classes" else "multi-label"
    note = f"Labels: {len(names)}{listed}, {kind}, {how} in {column!r}, {source}"
    spelled = is_list and separator is None and pa.types.is_string(frame.table.schema.field(column).type)
    schema = given or LabelSchema.from_names(names)
    return LabelSpec((column,), form, schema, note, separator, numbered=numbered, spelled=spelled)


def _form_of(
    frame: Frame, column: str, cells: pa.Array, known: Sequence[str] | None, label_format: str | None
) -> tuple[str, int | None]:
    """The form of the labels and, where they are multi-hot, how many there are."""
    if not pa.types.is_list(cells.type):
        return ("sets" if label_format in (NAMES, INDICES) else "classes"), None
    values, lengths = flatten_lists(cells)
    numbers = spelled_numbers(values) if pa.types.is_string(values.type) else values
    could_be = label_format is None and numbers is not None
    if label_format != MULTI_HOT and not (could_be and is_multi_hot(frame, column, numbers, lengths, known)):
        return "sets", None
    width = len(known) if known else int(lengths.max(initial=0))
    check_width(frame, column, lengths, width)
    return "multi-hot", width


def _found_names(names: Sequence[str], are_made: bool) -> str:
    """Where names are from that nobody gave."""
    if not are_made:
        return "names as found in the training data"
    span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return f"no names are given: {span} (a label_info.json can name them)"


def _is_no_cell(value: str | None) -> bool:
    return value is None or is_blank(value)


def _check_format(label_format: str | None, is_list: bool, is_text: bool, where: str) -> None:
    """Whether the cells can be what the user says that they are."""
    found = "lists" if is_list else "single values"
    fits = {CLASSES: not is_list, MULTI_HOT: is_list, INDICES: is_list or is_text, NAMES: is_text, None: True}
    if not fits[label_format]:
        found += " of numbers" if label_format == NAMES else ""
        raise UsageError(f"{where}: holds {found}, which does not go with --label_format {label_format}.")


def _how(form: str, are_names: bool, separator: str | None) -> str:
    parted = "" if separator in (None, NO_SEPARATOR) else f" separated by {separator!r}"
    if form == "multi-hot":
        return f"multi-hot lists{parted}"
    if form == "classes":
        return "one class a row"
    what = "names" if are_names else "class indices"
    return f"{what}{parted}" if parted else f"lists of {what}"


def _are_indices(values: pa.Array) -> bool:
    """Whether all values are class indices, as numbers or in words."""
    if not pa.types.is_string(values.type):
        return is_numeric(values.type) or pa.types.is_null(values.type)
    words = _words(values)
    return bool(words) and all(map(is_index, words))


def _are_names(values: pa.Array, known: Sequence[str] | None) -> bool:
    """Whether numbers are the names of known classes, such as the years or stars that they are called by."""
    if known is None or not is_numeric(values.type) or pa.types.is_boolean(values.type):
        return False
    numbers = _numbers(values)
    return bool(len(numbers)) and set(map(as_name, numbers)) <= set(known)


def _words(values: pa.Array) -> list[str]:
    """The strings that differ, without those that say unknown."""
    return [value for value in values.drop_null().unique().to_pylist() if not is_blank(value)]


def _numbers(values: pa.Array) -> np.ndarray:
    """The numbers that differ, rising, without those that say unknown."""
    numbers = as_numbers(values, pa.float64())
    return np.unique(numbers[np.isfinite(numbers) & (numbers >= 0)])


def _names_in(values: pa.Array, width: int | None, may_be_indices: bool, where: str) -> tuple[str, ...]:
    """The names that the training labels have: those in them, or made ones for indices and multi-hot lists."""
    if pa.types.is_string(values.type):
        names = tuple(sorted({word.strip() for word in _words(values)}))
        if width is None and not (may_be_indices and names and all(map(is_index, names))):
            if not names:
                raise DataError(f"{where}: holds no label at all.")
            return names
        width = width or 1 + _highest_class(np.array([as_index(name) for name in names]), len(values), where)
    elif width is None:
        numbers = _numbers(values) if is_numeric(values.type) else np.zeros(0)
        width = 1 + _highest_class(numbers, len(values), where)
    if not width:
        raise DataError(f"{where}: holds no label at all.")
    return tuple(f"label_{i}" for i in range(width))


def _highest_class(indices: np.ndarray, n_values: int, where: str) -> int:
    """The highest class index, -1 where there is none; an error where so few below it occur that it seems to be a
    number of another kind, such as a year. `indices` differ from each other."""
    if not len(indices):
        return -1
    highest = int(indices.max())
    if highest >= max(1000, n_values) or highest >= max(100, _SPARE * len(indices)):
        raise DataError(
            f"{where}: holds the class index {highest}; expected indices from 0, or names. Numbers that are names can "
            "be listed in a label_info.json (--label_schema)."
        )
    return highest


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
