"""LabelSpec: what the label columns mean, how it is found where one column has all labels, and labels as numbers."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, UsageError, did_you_mean, first_five, quoted
from .cells import (
    ENTRY,
    NO_SEPARATOR,
    PATHS,
    EntryRule,
    as_index,
    as_name,
    as_numbers,
    flatten_lists,
    fold,
    is_blank,
    is_index,
    is_numeric,
    label_entries,
    numbers_in,
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
_NO_CLASS = -2


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
    _check_separator(frame, column, asked, where)
    _check_format(label_format, is_list, is_text, where)
    form, width = _form_of(frame, column, cells, known, label_format)
    numbered = label_format != NAMES and (known is not None or not is_text or _are_indices(values))
    numbered = numbered and not _are_names(values, known)
    if label_format == INDICES and not _are_indices(values):
        raise DataError(f"{where}: holds other values than class indices, which --label_format indices asks for.")
    names, merged = (known, ()) if known else _names_in(values, width, label_format != NAMES, where)
    said = [*merged, *_remark_on_paths(values, separator, f"{frame.name}: column {column!r}")]
    differ = words_in(values) if is_text else _numbers(values)
    if form == "classes" and (len(names) == 1 or (known is None and len(differ) == 1)):
        raise DataError(f"{where}: has only one class, {names[-1]!r}; expected two or more.")
    how = _how(form, is_text and not _are_indices(values), separator)
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


def _remark_on_paths(values: pa.Array, separator: str | None, where: str) -> list[str]:
    path = paths_in(words_in(values)) if pa.types.is_string(values.type) and separator != PATHS else None
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


def _are_indices(values: pa.Array) -> bool:
    """Whether all values are class indices, as numbers or in words."""
    if not pa.types.is_string(values.type):
        return is_numeric(values.type) or pa.types.is_null(values.type)
    words = words_in(values)
    return bool(words) and all(map(is_index, words))


def _are_names(values: pa.Array, known: Sequence[str] | None) -> bool:
    """Whether numbers are the names of known classes, such as the years or stars that they are called by."""
    if known is None or not is_numeric(values.type) or pa.types.is_boolean(values.type):
        return False
    numbers = _numbers(values)
    return bool(len(numbers)) and set(map(as_name, numbers)) <= set(known)


def _numbers(values: pa.Array) -> np.ndarray:
    """The numbers that differ, rising, without those that say unknown."""
    numbers = as_numbers(values, pa.float64())
    return np.unique(numbers[np.isfinite(numbers) & (numbers >= 0)])


def _names_in(
    values: pa.Array, width: int | None, may_be_indices: bool, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the training labels, and what is said of those with several spellings.

    Names are those that occur, or made ones for indices and multi-hot lists.
    """
    if pa.types.is_string(values.type):
        words = [word.strip() for word in words_in(values)]
        if words and width is None and not (may_be_indices and all(map(is_index, words))):
            return _merged(values, where)
        width = width or 1 + _highest_class(np.array([as_index(word) for word in words]), len(values), where)
    elif width is None:
        numbers = _numbers(values) if is_numeric(values.type) else np.zeros(0)
        width = 1 + _highest_class(numbers, len(values), where)
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
    """Class indices of names or indices; IGNORE_INDEX for null, blank, -1, -100. `rows`: where each stands."""
    schema, where = plan.schema, f"{frame.path}: {plan.where}"
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
    said = f"{frame.path}: {plan.where}, {frame.row(rows[wrong[0]])}: unknown label {value!r}"
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


def _codes(names: Sequence[str], plan: LabelSpec) -> list[int]:
    """The class index of each name; numbers are indices where all of them are and none is a name."""
    schema = plan.schema
    exact = {name: i for i, name in enumerate(schema.names)}
    folded: dict[str, int] = {}
    for i, name in enumerate(schema.names):
        folded[fold(name)] = _NO_CLASS if fold(name) in folded else i
    filled = [name for name in names if not is_blank(name)]
    are_indices = plan.numbered and bool(filled) and all(map(is_index, filled)) and not set(filled) & set(schema.names)
    codes = []
    for name in names:
        if are_indices and is_index(name):
            codes.append(as_index(name) if as_index(name) < len(schema) else _NO_CLASS)
        else:
            code = exact.get(name, exact.get(name.strip(), folded.get(fold(name))))
            codes.append((IGNORE_INDEX if is_blank(name) else _NO_CLASS) if code is None else code)
    return codes


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
