"""Values of label cells as numbers, and cells that hold all labels of a row: lists, and names with a separator."""

import ast
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, UsageError
from .frame import Frame

_WORDS = {
    **dict.fromkeys(("1", "true", "yes"), 1.0),
    **dict.fromkeys(("0", "false", "no"), 0.0),
    **dict.fromkeys(("nan", "none", "null"), np.nan),
}
_PAIRS = (
    *(("y", "n"), ("t", "f"), ("ja", "nein"), ("oui", "non"), ("si", "no"), ("sí", "no"), ("sim", "não")),
    *(("on", "off"), ("✓", "✗"), ("✔", "✘")),
)
"""Words that mean 1 and 0 where a column has no others."""


@dataclass(frozen=True)
class EntryRule:
    """What the values in label columns mean, where the user says it.

    Args:
        positive: values that mean 1; others mean 0.
        blank: what a blank cell means: "negative", "unknown", or None, which is unknown too.
        scale: what is divided by, such as the number of votes: a number, or the column that holds it.
    """

    positive: tuple[str, ...] = ()
    blank: str | None = None
    scale: str | None = None


def label_entries(values: pa.Array, rule: EntryRule | None = None, scale: Any = 1.0) -> np.ndarray:
    """Entries of labels as float32: NaN where unknown, inf where the value is none that a label can have.

    Args:
        values: a column.
        rule: what the user says of values.
        scale: what numbers are divided by, (rows,) or one number.
    """
    rule = rule or EntryRule()
    blank = 0.0 if rule.blank == "negative" else np.nan
    if pa.types.is_null(values.type):
        return np.full(len(values), blank, np.float32)
    if pa.types.is_string(values.type):
        coded = values.dictionary_encode()
        words = [*coded.dictionary.to_pylist(), *([""] if values.null_count else [])]
        table = np.array([*_entries(words, rule, blank), blank], np.float32)
        numbers = table[coded.indices.fill_null(len(table) - 1).to_numpy()]
    elif is_numeric(values.type):
        numbers = as_numbers(values, pa.float32())
        numbers[(numbers == -1) | (numbers == IGNORE_INDEX)] = np.nan
        if rule.positive:
            wanted = [float(word) for word in rule.positive if _number(word) is not None]
            numbers = np.where(np.isnan(numbers), np.nan, np.isin(numbers, wanted)).astype(np.float32)
        numbers[values.is_null().to_numpy(zero_copy_only=False)] = blank
    else:
        return np.full(len(values), np.inf, np.float32)
    numbers /= np.asarray(scale, np.float32)
    numbers[(numbers < 0) | (numbers > 1)] = np.inf
    return numbers


def _entries(words: Sequence[str], rule: EntryRule, blank: float) -> list[float]:
    folded = [word.strip().casefold() for word in words]
    if rule.positive:
        positive = {word.strip().casefold() for word in rule.positive}
        unknown = {"-1", str(IGNORE_INDEX), "nan", "none", "null"} - positive
        return [blank if not w else np.nan if w in unknown else float(w in positive) for w in folded]
    left = {word for word in folded if word and word not in _WORDS and _number(word) is None}
    pairs = _PAIRS if left != {"x"} else (("x", "x"),) if "" in folded else ()  # x marks a box beside empty ones
    pair = next(({no: 0.0, yes: 1.0} for yes, no in pairs if left and left <= {yes, no}), {})
    found = [blank if not w else pair.get(w, _WORDS.get(w, _number(w))) for w in folded]
    return [np.inf if n is None else np.nan if n in (-1, IGNORE_INDEX) else n for n in found]


def _number(word: str) -> float | None:
    """A number, also one with a decimal comma or a percent sign."""
    plain = re.fullmatch(r"([+-]?[\d.,]+(?:e[+-]?\d+)?)\s*(%?)", word.strip().casefold())
    try:
        return float(re.sub(r"^(\d+),(\d+)$", r"\1.\2", plain[1])) / (100 if plain[2] else 1) if plain else None
    except ValueError:
        return None


def numbers_in(values: pa.Array) -> np.ndarray | None:
    """A column's values as float64 where all of them are numbers or missing, else None."""
    if is_numeric(values.type):
        return as_numbers(values, pa.float64())
    if not pa.types.is_string(values.type):
        return None
    coded = values.dictionary_encode()
    words = coded.dictionary.to_pylist()
    numbers = [np.nan if not w.strip() else _number(w) for w in words]
    if None in numbers:
        return None
    return np.array([*numbers, np.nan], float)[coded.indices.fill_null(len(words)).to_numpy()]


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers or booleans."""
    is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(is_kind(kind) for is_kind in is_number)


def as_numbers(values: pa.Array, kind: pa.DataType) -> np.ndarray:
    """Numbers or booleans as a numpy array of a type; null becomes NaN."""
    values = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
    return np.array(values.cast(kind, safe=False).to_numpy(zero_copy_only=False))


# ---- names ----


def fold(name: str) -> str:
    """A name without what two spellings of one name differ in: case, blanks and Unicode form.

    >>> fold(" Joy  ride")
    'joy ride'
    """
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def is_blank(value: str) -> bool:
    """Whether a cell of names says that they are unknown; "none" is not here, as it is a usual name for a class."""
    return value.strip().casefold() in ("", "nan", "-1", "-100")


def is_index(value: str) -> bool:
    """Whether a text is a class index; also as pandas writes it into a column where one is blank, 1.0."""
    return re.fullmatch(r"(0|[1-9][0-9]{0,8})(\.0+)?", value.strip()) is not None


def as_index(value: str) -> int:
    """The number in a text that `is_index`."""
    return int(value.strip().partition(".")[0])


def words_of(values: pa.Array) -> list[str]:
    """Each value of a dictionary as text: numbers as the names of classes, 1 and not 1.0."""
    if pa.types.is_string(values.type):
        return values.to_pylist()
    return [str(n) if n != n or n != int(n) else str(int(n)) for n in as_numbers(values, pa.float64()).tolist()]


def words_in(values: pa.Array) -> list[str]:
    """The values that differ, as text, without those that say unknown."""
    return [word for word in words_of(values.drop_null().unique()) if not is_blank(word)]


def flatten_lists(lists: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The values of lists, and how many each has (-1: no list)."""
    lengths = pc.list_value_length(lists).fill_null(-1).to_numpy().astype(np.int64)
    return lists.flatten(), lengths


# ---- cells that hold all labels of a row ----

NO_SEPARATOR = "none"
"""What `separator` may be where a cell is one name, whatever is in it."""

PATHS = ">"
"""The separator of the levels of a path, such as Electronics > Phones: each level is a label."""

_TAKEN = "|;\n,"
"""Separators that are taken where they are found."""

_WORDS_THAT_JOIN = (" and ", " und ", " y ", " et ")
_WITHIN_NAMES = "_:-. "
"""Separators that stand within names too: they are asked about from three cells on, others from two."""

_TAGS = re.compile(r"<([^<>]+)>")
_NAMED_VALUE = re.compile(r"(.*\S)\s*[-:=]\s*([01])(?:\.0)?")
_NAME = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(\s*(?=['"]))?""")
"""A name in quotation marks and, where another one follows, what is between them."""

_NO_LIST = "no list; expected one such as [0, 1] or ['joy', 'fear']."
_ONE_NAME = "say --separator none."


def read_cells(
    frame: Frame, columns: Sequence[str], known: Sequence[str] | None, separator: str | None
) -> tuple[pa.Array, str | None]:
    """The cells with the lists that stand in their strings made lists, and the separator that was used.

    Args:
        frame: the file.
        columns: the column with the labels; of several the union is taken.
        known: the names of the labels, if they are known.
        separator: between names in one cell; None to find it.

    Raises:
        UsageError: a separator that has to be given, or one that no cell has.
        DataError: cells that are no lists.
    """
    if len(columns) > 1:
        return _union(frame, columns), None
    cells = frame.column(columns[0])
    where = f"{frame.path}: column {columns[0]!r}"
    if pa.types.is_list(cells.type) and pa.types.is_nested(cells.type.value_type):
        at = next(i for i, value in enumerate(cells.to_pylist()) if value)
        raise DataError(f"{where}, {frame.row(at)}: holds {str(cells[at].as_py())[:60]}; expected one list of labels.")
    if not pa.types.is_string(cells.type) or separator == NO_SEPARATOR:
        return cells, separator if pa.types.is_string(cells.type) else None
    filled = words_in(cells)
    if any(_stands_in(v, "[]") for v in filled):
        return _parsed_cells(frame, cells, where), None
    if filled and all(_stands_in(v, "{}") or v.strip().startswith("array(") for v in filled):
        return _parsed_cells(frame, cells, where), None
    if separator is None:
        separator = find_separator(filled, known, where)
    if separator is None:
        return cells, None
    named = _named_values([split_cell(value, separator) for value in filled])
    parts = {value: named[i] if named else split_cell(value, separator) for i, value in enumerate(filled)}
    lists = [None if v is None else parts[v] if v in parts else split_cell(v, separator) for v in cells.to_pylist()]
    return pa.array(lists, pa.list_(pa.string())), separator


def _union(frame: Frame, columns: Sequence[str]) -> pa.Array:
    """The names that several columns hold in each row; null where none of them has a value."""
    texts = [pc.utf8_trim_whitespace(frame.column(name).cast(pa.string())).to_pylist() for name in columns]
    rows = [[name for name in row if name is not None and not is_blank(name)] for row in zip(*texts, strict=True)]
    return pa.array([list(dict.fromkeys(row)) for row in rows], pa.list_(pa.string()))


def split_cell(cell: str, separator: str) -> list[str]:
    """The names in a cell; with the separator of paths each of its levels, named by the path to it.

    >>> split_cell("Home > Kitchen", ">")
    ['Home', 'Home > Kitchen']
    """
    if separator == "><":
        return _TAGS.findall(cell)
    parts = [part.strip() for part in cell.split(separator) if part.strip()]
    if separator.strip() == PATHS:
        return [f" {PATHS} ".join(parts[: i + 1]) for i in range(len(parts))]
    return parts


def _named_values(cells: list[list[str]]) -> list[list[str]] | None:
    """The names with a 1 in cells such as "joy-1;fear-0"; None unless each cell lists the same names so."""
    found = [[_NAMED_VALUE.fullmatch(part) for part in parts] for parts in cells]
    if not found or not all(len(cell) > 1 and all(cell) for cell in found):
        return None
    pairs = [{match[1]: match[2] for match in cell if match} for cell in found]
    if any(pair.keys() != pairs[0].keys() for pair in pairs):
        return None
    return [[name for name, value in pair.items() if value == "1"] for pair in pairs]


def find_separator(values: Sequence[str], known: Sequence[str] | None, where: str) -> str | None:
    """The separator of delimited names, by which parts occur in several cells; None where cells are single names.

    Args:
        values: the cells that differ.
        known: the names of the labels, if they are known.
        where: the column, for messages.

    Raises:
        UsageError: several separators that may be meant, or one that is not taken without asking.
    """
    signs = {c for value in values for c in value if not (c.isalnum() or c.isspace() or c in "'\"()[]{}<>")}
    asked = [*sorted(signs - {*_TAKEN, *_WITHIN_NAMES}), "\t", *_WORDS_THAT_JOIN, *_WITHIN_NAMES]
    there = [s for s in (*_TAKEN, *asked) if any(s in value for value in values)]
    parts = {s: {part for value in values for part in split_cell(value, s)} for s in there}
    present = [s for s in "|;\n" if s in parts]
    if known is not None:
        return _fitting_separator(values, known, parts, present, where)
    if values and all(re.fullmatch(r"(\s*<[^<>]+>)+\s*", value) for value in values):
        return "><"
    if len(values) > 2 and len(set(map(len, values))) == 1 and all(re.fullmatch("[01]{2,}", v) for v in values):
        raise UsageError(
            f"{where}: cells such as {values[0]!r} may be a digit for each label; write them as lists, [0, 1, 0], or "
            f"say --separator {NO_SEPARATOR} where a cell is one name."
        )
    if len(numbered := [s for s in _TAKEN if s in parts and all(map(is_index, parts[s]))]) == 1:
        return numbered[0]
    shares = {s: _recurring(values, s) for s in parts}
    recurring = [s for s in present if shares[s][0] > 0] or [
        s for s in present if 2 * sum(s in v for v in values) >= len(values)
    ]
    if len(recurring) == 1:
        return recurring[0]
    if "," in parts and not present:
        some = shares[","][0]
        if some >= 0.9:
            return ","
        recurring = [","] if some else []
    asked = [s for s in asked if s in parts and _may_separate(values, s, parts[s], shares[s][1])]
    asked = asked[:1] if asked and asked[0] != " " else asked  # with '+' the blanks around it separate too
    doubtful = recurring or (present if present and len(values) > 1 else []) or asked
    if not doubtful:
        return None
    shown = next(v for v in values if doubtful[0] in v)
    ways = " or ".join(f"--separator {s!r}" for s in doubtful)
    may = " or ".join(map(repr, doubtful))
    raise UsageError(
        f"{where}: {may} may separate names or be part of them, as in {shown[:60]!r}; say which: {ways}, or "
        f"--separator {NO_SEPARATOR} where a cell is one name."
    )


def _fitting_separator(
    values: Sequence[str], known: Sequence[str], parts: dict[str, set[str]], present: list[str], where: str
) -> str | None:
    """The separator that gives known names or class indices, else the only one that occurs."""
    folded = {fold(name) for name in known}
    if all(fold(v) in folded for v in values):
        return None
    fitting = [s for s in parts if {fold(part) for part in parts[s]} <= folded]
    fitting = fitting or [
        s for s in _TAKEN if s in parts and all(is_index(p) and as_index(p) < len(known) for p in parts[s])
    ]
    found = fitting or present or [s for s in parts if {fold(part) for part in parts[s]} & folded]
    if len(found) > 1:
        raise UsageError(f"{where}: {' or '.join(map(repr, found))} may separate the names; give it: --separator.")
    return found[0] if found else None


def _recurring(values: Sequence[str], separator: str) -> tuple[float, float]:
    """Of the cells with a separator the share in which some part, and in which each part, occurs in other cells."""
    split = [set(split_cell(value, separator)) for value in values]
    cells = Counter(part for parts in split for part in parts)
    several = [[cells[part] > 1 for part in parts] for parts, value in zip(split, values, strict=True)
               if separator in value]  # fmt: skip
    return sum(map(any, several)) / len(several), sum(map(all, several)) / len(several)


def _may_separate(values: Sequence[str], separator: str, parts: set[str], share: float) -> bool:
    """Whether few names make up many cells: joy + fear, joy and fear are sets; very_good and very_bad are not."""
    several = sum(len(split_cell(value, separator)) > 1 for value in values)
    least = 3 if separator in _WITHIN_NAMES else 2
    return several >= least and share >= 0.8 and len(parts) * (1 if least == 2 else 1.5) < len(values)


def paths_in(values: Sequence[str]) -> str | None:
    """One of several cells that are paths (A > B) with levels in common; None where cells are none."""
    paths = [value for value in values if re.search(r"\S\s*>\s*\S", value)]
    is_shared = len(paths) > 1 and _recurring(values, PATHS)[0] > 0.5
    return paths[0] if is_shared else None


def _stands_in(cell: str, brackets: str) -> bool:
    return cell.lstrip().startswith(brackets[0]) and cell.rstrip().endswith(brackets[1])


def _parsed_cells(frame: Frame, cells: pa.Array, where: str) -> pa.Array:
    """The lists that strings spell; of a dict of labels those names that have 1."""
    read: dict[str, Any] = {}
    at: Callable[[Any], str] = lambda value: f"{where}, {frame.row(pc.index(cells, value).as_py())}"  # noqa: E731
    for cell in cells.drop_null().unique().to_pylist():
        read[cell] = None if is_blank(cell) else _parsed(cell, at(cell))
        if any(isinstance(v, (list, dict)) for v in read[cell] or ()):
            raise DataError(f"{at(cell)}: holds {cell[:60]}; expected one list of labels.")
    names = {cell: {isinstance(v, str) for v in values or () if v is not None} for cell, values in read.items()}
    usual = next((kinds for kinds in names.values() if kinds), set())
    odd = next((cell for cell, kinds in names.items() if kinds and (kinds != usual or len(kinds) > 1)), None)
    if odd is not None:
        raise DataError(f"{at(odd)}: mixes names, numbers or lists; expected one kind.")
    lists = [None if cell is None else read[cell] for cell in cells.to_pylist()]
    return pa.array(lists, pa.list_(pa.null()) if not any(lists) else None)


def _parsed(cell: str, where: str) -> list:
    """The list or dict that a cell spells as JSON, as Python or as numpy prints it ([1 0 0])."""
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
    if isinstance(value, dict) and all(v in (0, 1) for v in value.values()):
        return [str(name) for name, v in value.items() if v]
    if not isinstance(value, list):
        way = "" if "," in cell and _stands_in(cell, "[]") else f" Where cells are names of classes, {_ONE_NAME}"
        raise DataError(f"{where}: {cell[:60]!r} is {_NO_LIST}{way}")
    return [int(v) if isinstance(v, bool) else v for v in value]
