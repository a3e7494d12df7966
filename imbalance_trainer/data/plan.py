"""Plan: what the label columns mean; and how it is made where one column holds all labels of a row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..labels.schema import LabelSchema
from ..utils.errors import DataError, UsageError, quoted
from .cells import NO_SEPARATOR, check_width, is_multi_hot, read_cells
from .frame import Frame
from .values import as_index, as_name, as_numbers, flatten_lists, is_blank, is_index, is_numeric, spelled_numbers

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
