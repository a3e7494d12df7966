"""Values of label cells as numbers, and cells that hold all labels of a row: lists and delimited names in strings."""

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, UsageError
from .frame import Frame

BARE = {"0", "1", "0.0", "1.0"}
"""Values of labels, which name no column: where they do, the header is missing."""

ENTRY = "0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown"


_WORDS = {
    **dict.fromkeys(("1", "true", "yes"), 1.0),
    **dict.fromkeys(("0", "false", "no"), 0.0),
    **dict.fromkeys(("", "nan", "none", "null"), np.nan),
}


_LABEL_LIKE = 0.9  # a column with this share of label values is one of labels, and its other values are errors


def label_entries(values: pa.Array) -> np.ndarray:
    """Entries of labels as float32: NaN where unknown, inf where the value is none that a label can have."""
    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan, np.float32)
    if pa.types.is_string(values.type):
        coded = values.dictionary_encode()
        table = np.array([*map(_entry, coded.dictionary.to_pylist()), np.nan], np.float32)
        numbers = table[coded.indices.fill_null(len(table) - 1).to_numpy()]
    elif is_numeric(values.type):
        numbers = as_numbers(values, pa.float32())
    else:
        return np.full(len(values), np.inf, np.float32)
    numbers[(numbers == -1) | (numbers == IGNORE_INDEX)] = np.nan
    numbers[(numbers < 0) | (numbers > 1)] = np.inf
    return numbers


def _entry(word: str) -> float:
    word = word.strip().casefold()
    if word in _WORDS:
        return _WORDS[word]
    try:
        return float(word) if len(word) < 40 else np.inf
    except ValueError:
        return np.inf


def is_label_like(entries: np.ndarray) -> bool:
    """Whether a column is one of labels: nearly all of its values are values that a label can have."""
    known = ~np.isnan(entries)
    return bool(known.any()) and np.isinf(entries).sum() <= (1 - _LABEL_LIKE) * known.sum() + 1e-9


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers or booleans."""
    is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(is_kind(kind) for is_kind in is_number)


def are_numbers(values: pa.Array) -> bool:
    """Whether all strings are numbers or blank."""
    is_number = pc.match_substring_regex(values, r"^\s*([+-]?\d[\d.,]*([eE][+-]?\d+)?)?\s*$")
    return pc.all(is_number).as_py() is not False


def as_numbers(values: pa.Array, kind: pa.DataType) -> np.ndarray:
    """Numbers or booleans as a numpy array of a type; null becomes NaN."""
    values = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
    return np.array(values.cast(kind, safe=False).to_numpy(zero_copy_only=False))


def is_blank(value: str) -> bool:
    """Whether a cell of names says that they are unknown; "none" is not here, as it is a usual name for a class."""
    return value.strip().casefold() in ("", "nan", "-1", "-100")


def is_index(value: str) -> bool:
    """Whether a text is a class index; also as pandas writes it into a column where one is blank, 1.0."""
    return re.fullmatch(r"(0|[1-9][0-9]{0,8})(\.0+)?", value.strip()) is not None


def as_index(value: str) -> int:
    """The number in a text that `is_index`."""
    return int(value.strip().partition(".")[0])


def as_name(number: float) -> str:
    """A number as the name of a class, 1 and not 1.0."""
    return str(int(number)) if number == int(number) else str(number)


def spelled_numbers(values: pa.Array) -> pa.Array | None:
    """Strings that are numbers, all of them, as float64; else None."""
    try:
        return None if values.null_count else values.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def flatten_lists(lists: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The values of lists, and how many each has (-1: no list)."""
    lengths = pc.list_value_length(lists).fill_null(-1).to_numpy().astype(np.int64)
    return lists.flatten(), lengths


NO_SEPARATOR = "none"
"""What `separator` may be where a cell is one name, whatever is in it."""

_NAME = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(\s*(?=['"]))?""")
"""A name in quotation marks and, where another one follows, what is between them."""

_NO_LIST = "no list; expected one such as [0, 1] or ['joy', 'fear']."
_ONE_NAME = "say --separator none."


def read_cells(
    frame: Frame, column: str, known: Sequence[str] | None, separator: str | None
) -> tuple[pa.Array, str | None]:
    """A column's cells with the lists that stand in its strings made lists, and the separator that was used."""
    cells = frame.column(column)
    where = f"{frame.path}: column {column!r}"
    if pa.types.is_list(cells.type) and pa.types.is_nested(cells.type.value_type):
        at = next(i for i, value in enumerate(cells.to_pylist()) if value)
        raise DataError(f"{where}, {frame.row(at)}: holds {str(cells[at].as_py())[:60]}; expected one list of labels.")
    if not pa.types.is_string(cells.type):
        return cells, None
    if separator == NO_SEPARATOR:
        return cells, separator
    filled = [v for v in cells.drop_null().unique().to_pylist() if not is_blank(v)]
    if any(_stands_in(v, "[]") for v in filled):
        return _lists(frame, cells, where), None
    if filled and all(_stands_in(v, "{}") or v.strip().startswith("array(") for v in filled):
        where = f"{where}, {frame.row(pc.index(cells, filled[0]).as_py())}"
        raise DataError(f"{where}: {filled[0][:60]!r} is {_NO_LIST} Where cells are names of classes, {_ONE_NAME}")
    separator = separator or _found_separator(filled, known, where)
    if separator is None:
        return cells, None
    split = [None if v is None else [p.strip() for p in v.split(separator) if p.strip()] for v in cells.to_pylist()]
    return pa.array(split, pa.list_(pa.string())), separator


def _stands_in(cell: str, brackets: str) -> bool:
    return cell.lstrip().startswith(brackets[0]) and cell.rstrip().endswith(brackets[1])


def _lists(frame: Frame, cells: pa.Array, where: str) -> pa.Array:
    rows = enumerate(cells.to_pylist())
    lists = [None if v is None or is_blank(v) else _parsed_list(v, f"{where}, {frame.row(i)}") for i, v in rows]
    nested = next(
        (i for i, a_list in enumerate(lists) if any(isinstance(v, (list, dict)) for v in a_list or ())), None
    )
    if nested is not None:
        said = str(lists[nested])[:60]
        raise DataError(f"{where}, {frame.row(nested)}: holds {said}; expected one list of labels.")
    try:
        return pa.array(lists, pa.list_(pa.null()) if not any(lists) else None)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        is_name = [{isinstance(v, str) for v in a_list or () if v is not None} for a_list in lists]
        usual = next(kinds for kinds in is_name if kinds)
        odd = next((i for i, kinds in enumerate(is_name) if kinds and (kinds != usual or len(kinds) > 1)), 0)
        raise DataError(f"{where}, {frame.row(odd)}: mixes names, numbers or lists; expected one kind.") from None


def _parsed_list(cell: str, where: str) -> list:
    """The list that a cell spells as JSON, as Python or as numpy prints it ([1 0 0])."""
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        if re.search("['\"]", cell):  # names side by side, which Python would join
            spelled = _NAME.sub(lambda found: found[1] + ("" if found[2] is None else ", "), cell)
        else:
            spelled = cell if "," in cell else re.sub(r"(?<=[\w.])\s+(?=[\w.-])", ", ", cell)
            spelled = re.sub(r"\bnan\b", "None", spelled)
        try:
            value = ast.literal_eval(spelled.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            value = None
    if not isinstance(value, list):
        way = "" if "," in cell else f" Where cells are names of classes, {_ONE_NAME}"
        raise DataError(f"{where}: {cell[:60]!r} is {_NO_LIST}{way}")
    return [int(v) if isinstance(v, bool) else v for v in value]


def _found_separator(values: Sequence[str], known: Sequence[str] | None, where: str) -> str | None:
    """The separator of delimited names: the only one that gives known names or class indices, else the only one that
    occurs."""
    present = [s for s in "|;" if any(s in v for v in values)]
    parts = {s: {p.strip() for v in values for p in v.split(s)} - {""} for s in "|;," if any(s in v for v in values)}
    if known is not None:
        folded = {name.casefold() for name in known}
        if all(v.strip().casefold() in folded for v in values):
            return None
        fitting = [s for s in parts if {part.casefold() for part in parts[s]} <= folded]
        fitting = fitting or [
            s for s in parts if all(is_index(part) and as_index(part) < len(known) for part in parts[s])
        ]
        present = fitting or present or [s for s in parts if {part.casefold() for part in parts[s]} & folded]
    elif len(numbered := [s for s in parts if all(map(is_index, parts[s]))]) == 1:
        return numbered[0]
    if len(present) > 1:
        raise UsageError(f"{where}: {' or '.join(map(repr, present))} may separate the names; give it: --separator.")
    return present[0] if present else (_comma(values, where) if known is None else None)


def _comma(values: Sequence[str], where: str) -> str | None:
    """ "," where the parts of each cell that has one occur in other cells too; a name may have a comma of its own."""
    split = [{part.strip() for part in value.split(",")} - {""} for value in values]
    cells = Counter(part for parts in split for part in parts)
    recurs = [
        any(cells[part] > 1 for part in parts) for parts, value in zip(split, values, strict=True) if "," in value
    ]
    if any(recurs) and not all(recurs):
        raise UsageError(
            f"{where}: ',' may separate names or be part of them; say which: --separator ',' or --separator none."
        )
    return "," if any(recurs) else None


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
