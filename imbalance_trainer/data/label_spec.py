"""LabelSpec: what the label columns mean, how it is found where one column has all labels, and labels as numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ..labels.schema import LabelSchema
from ..utils.errors import DataError, UsageError, first_five, quoted
from .cells import (
    NO_SEPARATOR,
    PATHS,
    EntryRule,
    as_index,
    as_numbers,
    flatten_lists,
    fold,
    is_blank,
    is_index,
    is_numeric,
    label_entries,
    paths_in,
    read_cells,
    words_in,
)
from .frame import Frame

COLUMNS, MULTI_HOT, INDICES, NAMES, CLASSES, LONG = LABEL_FORMATS = (
    "columns", "multi_hot", "indices", "names", "classes", "long",
)  # fmt: skip
"""What `label_format` may be: a column per label; or one column with lists of 0 and 1, of class indices or of names,
with one class a row, or with one label of a text that has several rows."""

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
        remarks: what may be meant otherwise, a sentence each.
        numbered: whether numbers in the cells are class indices.
        spelled: whether the cells are strings that spell lists.
        rule: what the values of a column per label mean.
    """

    columns: tuple[str, ...]
    form: str
    schema: LabelSchema
    note: str
    separator: str | None = None
    remarks: tuple[str, ...] = ()
    numbered: bool = True
    spelled: bool = False
    rule: EntryRule = field(default_factory=EntryRule)

    @property
    def where(self) -> str:
        """What messages call the columns."""
        return f"column {self.columns[0]!r}" if len(self.columns) == 1 else f"columns {quoted(self.columns)}"


def plan_of_cells(
    frame: Frame, columns: Sequence[str], given: LabelSchema | None, separator: str | None, label_format: str | None
) -> LabelSpec:
    """The plan for labels that lie in one column, or as names in several.

    Args:
        frame: the training data.
        columns: the columns.
        given: the schema, if there is one.
        separator: between names in one cell, if the user gave it.
        label_format: one of LABEL_FORMATS, if the user gave it.
    """
    column = columns[0]
    where = f"{frame.path}: {LabelSpec(tuple(columns), '', given, '').where}"  # type: ignore[arg-type]
    known = given.names if given else frame.class_names.get(column)
    if label_format == CLASSES and separator is None:
        separator = NO_SEPARATOR
    asked = separator
    cells, separator = read_cells(frame, columns, known, separator)
    if cells.null_count == len(cells) or (pa.types.is_string(cells.type) and not words_in(cells)):
        raise DataError(f"{where}: no row has a known label; expected some to train on.")
    if pa.types.is_struct(cells.type) or pa.types.is_map(cells.type):
        raise DataError(f"{where}: holds dicts; these are read in a column 'labels' or 'label'; rename it.")
    is_list = pa.types.is_list(cells.type)
    values = flatten_lists(cells)[0] if is_list else cells
    is_text = pa.types.is_string(values.type)
    if not (is_text or is_numeric(values.type) or pa.types.is_null(values.type)):
        raise DataError(f"{where}: holds {values.type}; expected names or class indices.")
    words = words_in(values)
    _check_separator(frame, column, asked, where)
    _check_format(label_format, is_list, is_text, where)
    form, width = _form_of(frame, column, cells, known, label_format)
    are_indices = bool(words) and all(map(is_index, words))
    numbered = label_format != NAMES and (known is not None or not is_text or are_indices)
    if not is_text and words and known is not None and set(words) <= set(known):
        numbered = False  # such as the years or stars by which classes are called
    if label_format == INDICES and not are_indices:
        raise DataError(f"{where}: holds other values than class indices, which --label_format indices asks for.")
    names, merged = (known, ()) if known else _names_in(values, words, width, numbered, where)
    said = [*merged, *_remark_on_paths(words, separator, f"{frame.name}: column {column!r}")]
    if form == "classes" and (len(names) == 1 or (known is None and len(words) == 1)):
        raise DataError(f"{where}: has only one class, {names[-1]!r}; expected two or more.")
    how = _how(form, is_text and not are_indices, separator)
    if form == "multi-hot" and not (known or label_format):
        how += " (they could be class indices: --label_format indices)"
    are_made = known is None and numbered
    source = f"names of {'label_info.json' if given else 'ClassLabel'}" if known else _found_names(names, are_made)
    listed = "" if given or are_made else f" ({quoted(names)})"  # a typo among them shows
    kind = "single-label" if form == "classes" else "multi-label"
    place = f"{column!r}" if len(columns) == 1 else quoted(columns)
    note = f"Labels: {len(names)}{listed}, {kind}, {how} in {place}, {source}"
    spelled = is_list and separator is None and pa.types.is_string(frame.table.schema.field(column).type)
    schema = given or LabelSchema(tuple(names), {}, _levels(names) if (separator or "").strip() == PATHS else ())
    return LabelSpec(
        tuple(columns), form, schema, note, separator, tuple(said), numbered, spelled and len(columns) == 1
    )  # fmt: skip


def _check_separator(frame: Frame, column: str, asked: str | None, where: str) -> None:
    """Raise a UsageError for a separator that the user gives and that no cell has."""
    if asked in (None, NO_SEPARATOR) or not pa.types.is_string(frame.table.schema.field(column).type):
        return
    if not any(asked in value for value in words_in(frame.column(column))):
        raise UsageError(f"{where}: no cell has the separator {asked!r}; leave --separator out or give another.")


def _levels(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The implications of paths: each level implies the one above it."""
    pairs = ((name, name.rpartition(f" {PATHS} ")[0]) for name in names)
    return tuple((name, above) for name, above in pairs if above)


def _remark_on_paths(words: Sequence[str], separator: str | None, where: str) -> list[str]:
    path = None if separator == PATHS else paths_in(words)
    if path is None:
        return []
    way = "--separator '>' makes each level a label that implies the one above it"
    return [f"{where} holds paths such as {path!r}: {way}."]


def _form_of(
    frame: Frame, column: str, cells: pa.Array, known: Sequence[str] | None, label_format: str | None
) -> tuple[str, int | None]:
    """The form of the labels and, where they are multi-hot, how many there are."""
    if not pa.types.is_list(cells.type):
        return ("sets" if label_format in (NAMES, INDICES) else "classes"), None
    values, lengths = flatten_lists(cells)
    numbers = _spelled_numbers(values) if pa.types.is_string(values.type) else values
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


def _names_in(
    values: pa.Array, words: Sequence[str], width: int | None, numbered: bool, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the training labels, and what is said of those with several spellings.

    Names are those that occur, or made ones for indices and multi-hot lists.
    """
    if words and width is None and not numbered:
        return _merged(values, where)
    width = width or 1 + _highest_class([as_index(word) for word in words if is_index(word)], len(values), where)
    if not width:
        raise DataError(f"{where}: holds no label at all.")
    return tuple(f"label_{i}" for i in range(width)), ()


def _merged(values: pa.Array, where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names that differ only in case, blanks or Unicode form as one, in the spelling that most rows have."""
    spellings: dict[str, Counter] = {}
    for value in values.value_counts().to_pylist():
        word, count = value["values"], value["counts"]
        if word is not None and not is_blank(word):
            spellings.setdefault(fold(word), Counter())[word.strip()] += count
    chosen = {key: min(found, key=lambda word: (-found[word], word)) for key, found in spellings.items()}
    several = {chosen[key]: sorted(found) for key, found in spellings.items() if len(found) > 1}
    said = [f"{quoted(found)} as {name!r}" for name, found in sorted(several.items())]
    merged = (f"{where}: spellings of one name are taken as one label: {first_five(said)}.",) if said else ()
    return tuple(sorted(chosen.values())), merged


def _spelled_numbers(values: pa.Array) -> pa.Array | None:
    """Strings that are numbers, all of them, as float64; else None."""
    try:
        return None if values.null_count else values.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def _highest_class(indices: Sequence[int], n_values: int, where: str) -> int:
    """The highest class index, -1 where there is none; an error where so few below it occur that it seems to be a
    number of another kind, such as a year. `indices` differ from each other."""
    highest = max(indices, default=-1)
    if highest >= max(1000, n_values) or highest >= max(100, _SPARE * len(indices)):
        raise DataError(
            f"{where}: holds the class index {highest}; expected indices from 0, or names. Numbers that are names can "
            "be listed in a label_info.json (--label_schema)."
        )
    return highest


def is_multi_hot(
    frame: Frame, column: str, values: pa.Array, lengths: np.ndarray, known: Sequence[str] | None
) -> bool:
    """Whether lists of numbers are multi-hot (one number for each label) rather than class indices."""
    real = lengths[lengths >= 0]
    if not len(values):
        return False
    entries = label_entries(values)
    even = real.min() == real.max() and (known is None or real[0] == len(known))
    fits = not np.isinf(entries).any()
    if even and fits:
        return True
    if not is_numeric(values.type):
        return False
    row, number = np.repeat(np.arange(len(real)), real), as_numbers(values, pa.float64())
    order = np.lexsort((number, row))
    row, number = row[order], number[order]
    repeats = ((row[1:] == row[:-1]) & (number[1:] == number[:-1])).any()  # a set of indices has none twice
    if even:
        return bool(repeats)
    if fits and (repeats or ((entries > 0) & (entries < 1)).any()):
        check_width(frame, column, lengths, len(known) if known else int(real[0]))
    return False


def check_width(frame: Frame, column: str, lengths: np.ndarray, width: int) -> None:
    """Raise a DataError where a multi-hot list has not one value for each label; -1 stands for no list."""
    wrong = np.flatnonzero((lengths >= 0) & (lengths != width))
    if len(wrong):
        at = wrong[0]
        more = f" (and {len(wrong) - 1} more rows)" if len(wrong) > 1 else ""
        raise DataError(
            f"{frame.path}: column {column!r}: {frame.row(at)} has {lengths[at]} values; expected {width}, one for "
            f"each label{more}."
        )
