"""Values of label cells as numbers, and cells that hold all labels of a row: lists, and names with a separator."""

import ast
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, UsageError
from .frame import Frame
from .text_files import Settings

_WORDS = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0}
_NOTHING = ("", "na", "n/a", "#n/a", "<na>", "nan", "none", "null")
_SPELLED_PAIRS = "y/n t/f ja/nein oui/non si/no sí/no sim/não wahr/falsch vrai/faux да/нет 是/否 on/off ✓/✗ ✔/✘ ✅/❌"
_PAIRS = tuple(tuple(pair.split("/")) for pair in _SPELLED_PAIRS.split())
"""Words that mean 1 and 0 where a column has no others."""


# ---- numbers ----


def label_entries(values: pa.Array, settings: Settings | None = None, scale: Any = 1.0) -> np.ndarray:
    """Labels as float32, divided by `scale`, a number or (rows,): NaN where unknown, inf where no label can be so."""
    settings = settings or Settings()
    blank = 0.0 if settings.blank_labels == "negative" else np.nan
    if settings.positive_values and is_numeric(values.type):
        values = values.cast(pa.string())
    if pa.types.is_string(values.type):
        nothing = [""] if values.null_count else []
        numbers = each(values, lambda w: _entries([*w.to_pylist(), *nothing], settings.positive_values, blank), blank)
        with np.errstate(over="ignore"):
            numbers = numbers.astype(np.float32)
    elif is_numeric(values.type) or pa.types.is_null(values.type):
        numbers = as_numbers(values, pa.float32())
        numbers[np.isnan(numbers)] = blank
        numbers[(numbers == -1) | (numbers == IGNORE_INDEX)] = np.nan
    else:
        return np.full(len(values), np.inf, np.float32)
    numbers /= np.asarray(scale, np.float32)
    numbers[(numbers < 0) | (numbers > 1)] = np.inf
    return numbers


def each(values: pa.Array, convert: Callable[[pa.Array], Sequence[Any]], missing: float) -> np.ndarray:
    """What a function makes of the values that differ, put at the place of each; `missing` where there is none."""
    coded = values.dictionary_encode()
    table = np.array([*convert(coded.dictionary), missing])
    return np.take(table, coded.indices.fill_null(len(table) - 1).to_numpy())


def _entries(words: Sequence[str], positive: Sequence[str], blank: float) -> list[float]:
    folded = [word.strip().casefold() for word in words]
    if positive:
        ones, folded = {*map(_plain, positive)}, [*map(_plain, words)]
        nothing, unknown = {*_NOTHING} - ones, {"-1", str(IGNORE_INDEX)} - ones
        if {*folded} <= {*ones, *nothing, *unknown}:  # -1 is what the other values are, and means 0
            unknown -= {"-1"}
        return [blank if w in nothing else np.nan if w in unknown else float(w in ones) for w in folded]
    left = {word for word in folded if word not in (*_WORDS, *_NOTHING) and _number(word) is None}
    pairs = _PAIRS if left != {"x"} else (("x", "x"),) if "" in folded else ()  # x marks a box beside empty ones
    pair = next(({no: 0.0, yes: 1.0} for yes, no in pairs if left and left <= {yes, no}), {})
    found = [blank if w in _NOTHING else pair.get(w, _WORDS.get(w, _number(w))) for w in folded]
    return [np.inf if n is None else np.nan if n in (-1, IGNORE_INDEX) else n for n in found]


def _plain(word: str) -> str:
    """A word in small letters, and a number in one spelling, 1 and not 1.0."""
    number = _number(word)
    return word.strip().casefold() if number is None else f"{number:g}"


def _number(word: str) -> float | None:
    """A number, also one with a decimal comma or a percent sign, or a share such as 2/3; none where it is not clear
    what a comma means (1,000)."""
    plain = re.fullmatch(r"([+-]?[\d.,]+(?:e[+-]?\d+)?)\s*(?:(%)|/([1-9]\d*))?", word.strip().casefold())
    if plain is None or re.fullmatch(r"[1-9]\d{0,2},\d{3}", plain[1]):
        return None
    try:
        return float(re.sub(r"^(\d+),(\d+)$", r"\1.\2", plain[1])) / (100 if plain[2] else float(plain[3] or 1))
    except ValueError:
        return None


def numbers_in(values: pa.Array) -> np.ndarray | None:
    """A column's values as float64 where all of them are numbers or missing, else None."""
    if is_numeric(values.type):
        return as_numbers(values, pa.float64())
    if not pa.types.is_string(values.type):
        return None
    numbers = each(values, lambda words: [_number(w) if w.strip() else np.nan for w in words.to_pylist()], np.nan)
    return None if numbers.dtype == object else numbers  # where some are None


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers or booleans."""
    of = pa.types
    return of.is_boolean(kind) or of.is_integer(kind) or of.is_floating(kind) or of.is_decimal(kind)


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
    plain = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return " ".join(plain.split()).casefold()


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
    """Each value as text: numbers as the names of classes, 1 and not 1.0."""
    if pa.types.is_string(values.type):
        return values.to_pylist()
    return [str(int(n)) if n == n // 1 else str(n) for n in as_numbers(values, pa.float64()).tolist()]


def words_in(values: pa.Array) -> list[str]:
    """The values that differ, as text, without those that say unknown."""
    return [word for word in words_of(values.drop_null().unique()) if not is_blank(word)]


# ---- cells that hold all labels of a row ----

NO_SEPARATOR, SPELLED, PATHS = "none", "[]", ">"
"""How cells of strings are written, where it is no separator between names: one name, whatever is in it; lists or
dicts; paths such as Electronics > Phones, of which each level is a label."""

_TAKEN = "|;\n,"
"""Separators that are taken where they are found."""

_WORDS_THAT_JOIN = (" and ", " und ", " y ", " et ")
_WITHIN_NAMES = "_:-. "
"""Separators that stand within names too: they are asked about from three cells on, others from two."""

_IN_BRACKETS = re.compile(r"\[.*\]|\{.*\}|\w*\(.*\)", re.DOTALL)
_ARROW = re.compile(r"\s*(?:[-=]?>+|[→»›])\s*")
_NAMED_VALUE = re.compile(r"(.*\S)\s*[-:=_]\s*([01])(?:\.0)?")
_NAMED_NUMBER = re.compile(
    r"(?i)(.*\S)\s*(?:[-:=_(]\s*(?:[01]|yes|no|true|false|\d*[.,]\d+)\)?|\s\(?\d*[.,]?\d+ ?%\)?)"
)
_QUOTED = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(\s*(?=['"]))?""")
"""A name in quotation marks and, where another one follows, what is between them."""


def how_written(cells: pa.Array, known: Sequence[str] | None, separator: str | None, where: str) -> str:
    """How a column of strings is written: SPELLED, NO_SEPARATOR or a separator, which may have to be asked for.

    `known`: the names of the labels, if they are known; `separator`: what the user says; `where`: for messages.
    """
    filled = words_in(cells)
    if separator == NO_SEPARATOR:
        return NO_SEPARATOR
    brackets = [v.strip()[:1] if _IN_BRACKETS.fullmatch(v.strip()) else "" for v in filled]
    if {"[", "{"} & {*brackets} or (brackets and all(brackets)):
        return SPELLED
    if separator is not None and not any(separator in value for value in filled):
        raise UsageError(f"{where}: no cell has the separator {separator!r}; leave --separator out or give another.")
    for s in _TAKEN if (separator or "").strip() == PATHS else "":
        if several := next((v for v in filled if s in v and all(map(_ARROW.search, v.split(s)))), None):
            raise UsageError(
                f"{where}: cells such as {several[:60]!r} hold several paths, and --separator '>' is for one: give "
                "lists of the labels of all levels, and a label_info.json with the implications."
            )
    found = separator or find_separator(filled, known, where)
    if found is not None and separator is None and known is None:
        _check_mixed(filled, found, where)
    return found or NO_SEPARATOR


def cell_lists(frame: Frame, columns: Sequence[str], written: str) -> pa.Array:
    """The labels of each row as a list, of several columns their union: null where they are unknown, empty where there
    are none; a DataError for cells that are no lists."""
    if len(columns) > 1:
        texts = [pc.utf8_trim_whitespace(frame.column(name).cast(pa.string())).to_pylist() for name in columns]
        rows = [[name for name in row if name is not None and not is_blank(name)] for row in zip(*texts, strict=True)]
        return pa.array([list(dict.fromkeys(row)) for row in rows], pa.list_(pa.string()))
    cells = frame.column(columns[0])
    where = f"{frame.path}: column {columns[0]!r}"
    if pa.types.is_list(cells.type) and pa.types.is_nested(cells.type.value_type):
        at = next(i for i, value in enumerate(cells.to_pylist()) if value)
        raise DataError(f"{where}, {frame.row(at)}: holds {str(cells[at].as_py())[:60]}; expected one list of labels.")
    if not pa.types.is_string(cells.type):
        return cells
    every = cells.drop_null().unique().to_pylist()
    if written == SPELLED:
        lists, is_bare = {}, any(re.fullmatch(r"[\[{][^'\"\d]*,[^'\"\d]*[\]}]", v.strip()) for v in every)
        for v in every:
            try:
                lists[v] = spelled_list(v, is_bare)
            except ValueError as error:
                raise DataError(f"{where}, {frame.row(pc.index(cells, v).as_py())}: {error}") from None
    else:
        lists = {v: split_cell(v, written) for v in every}
        lists = _named_values({v: parts for v, parts in lists.items() if not is_blank(v)}) | {
            v: [] if not v.strip() else None for v in every if is_blank(v)
        }
    found = [None if v is None else lists[v] for v in cells.to_pylist()]
    try:
        return pa.array(found, None if written == SPELLED else pa.list_(pa.string()))
    except pa.ArrowException:
        usual = type(next(value for values in found if values for value in values))
        at = next(i for i, values in enumerate(found) if any(type(v) is not usual for v in values or ()))
        said = f"{where}, {frame.row(at)}: {str(cells[at])[:60]!r} mixes names, numbers or lists; expected one kind."
        raise DataError(said) from None


def split_cell(cell: str, separator: str) -> list[str]:
    """The names in a cell; with the separator of paths each of its levels, named by the path to it.

    >>> split_cell("Home > Kitchen", ">")
    ['Home', 'Home > Kitchen']
    """
    if separator == NO_SEPARATOR:
        return [cell.strip()]
    if separator == "><":
        return re.findall(r"<([^<>]+)>", cell)
    if separator.strip() == PATHS:
        levels = [*filter(None, _ARROW.split(cell.strip()))]
        return [f" {PATHS} ".join(levels[: i + 1]) for i in range(len(levels))]
    return [part.strip() for part in cell.split(separator) if part.strip()]


def _named_values(cells: dict[str, Any]) -> dict[str, Any]:
    """Of cells such as "joy-1;fear-0" the names with a 1, if each cell lists the same names so."""
    found = {cell: [*filter(None, map(_NAMED_VALUE.fullmatch, parts))] for cell, parts in cells.items()}
    pairs = {cell: {match[1]: match[2] for match in matches} for cell, matches in found.items()}
    is_each = all(1 < len(parts) == len(pairs[cell]) for cell, parts in cells.items())
    if not is_each or len({frozenset(pair) for pair in pairs.values()}) != 1:
        return cells
    return {cell: [name for name, value in pair.items() if value == "1"] for cell, pair in pairs.items()}


def find_separator(values: Sequence[str], known: Sequence[str] | None, where: str) -> str | None:
    """The separator of delimited names, by which parts are known names or occur in several cells; None where cells are
    single names. A UsageError where several may be meant, or one that is not taken without asking."""
    if values and all(re.fullmatch(r"(\s*<[^<>]+>)+\s*", value) for value in values):
        return "><"
    names = {*map(fold, known or ())}
    if names.issuperset(map(fold, values)):
        return None
    if len(values) > 2 and len(set(map(len, values))) == 1 and all(re.fullmatch("[01]{2,}", v) for v in values):
        raise UsageError(
            f"{where}: cells such as {values[0]!r} may be a digit for each label; write them as lists, [0, 1, 0], or "
            f"say --separator {NO_SEPARATOR} where a cell is one name."
        )
    if not known and numbers_in(pa.array(values, pa.string())) is not None:
        if odd := next((value for value in values if "," in value), None):
            raise UsageError(
                f"{where}: cells such as {odd!r} may be class indices with ',' between them, or numbers; say "
                f"--separator ',' or --separator {NO_SEPARATOR}."
            )
        return None
    others = [s for s in _signs(values) if s not in (*_TAKEN, *_WITHIN_NAMES)]
    others += ["\t", *_WORDS_THAT_JOIN, *_WITHIN_NAMES]
    inner = {s: [v.strip(s) if s in _TAKEN else v for v in values] for s in (*_TAKEN, *others)}
    parts = {
        s: {p for v in values for p in split_cell(v, s)} for s, found in inner.items() if any(s in v for v in found)
    }
    found = [s for s in parts if names.issuperset(map(fold, parts[s]))]
    found = found or [s for s in parts if s in _TAKEN and all(map(is_index, parts[s]))]
    if len(found) != 1:
        shares = {s: _recurring(values, s, names) for s in parts}
        usual = [s for s in parts if s in "|;\n"]
        found = found or [s for s in usual if shares[s][0] > 0]
        found = found or [s for s in usual if 2 * sum(s in v for v in values) >= len(values)]
        found = found or [s for s in parts if s == "," and not usual and shares[s][0] >= 0.9
                          and (shares[s][1] >= 0.5 or parts[s] & {*values})]  # fmt: skip
    if len(found) == 1:
        return found[0]
    doubtful = found or [s for s in parts if s in _TAKEN and len(values) > 1 and (s != "," or shares[s][0] > 0)]
    if not doubtful:
        doubtful = [s for s in others if s in parts and _may_separate(values, s, parts[s], shares[s][1])]
        doubtful = doubtful[:1] if doubtful[:1] != [" "] else doubtful  # with '+' the blanks around it separate too
    if not doubtful:
        return None
    shown = next(v for v in values if doubtful[0] in v)
    ways = " or ".join(f"--separator {s!r}" for s in doubtful)
    may = " or ".join(map(repr, doubtful))
    raise UsageError(
        f"{where}: {may} may separate names or be part of them, as in {shown[:60]!r}; say which: {ways}, or "
        f"--separator {NO_SEPARATOR} where a cell is one name."
    )


def _check_mixed(values: Sequence[str], separator: str, where: str) -> None:
    """Ask where another separator parts names, which the one leaves together, into names that stand alone too."""
    cells = {value: split_cell(value, separator) for value in values}
    names = {name for parts in cells.values() for name in parts}
    numbered = [match[1] for name in names if (match := _NAMED_NUMBER.fullmatch(name))]
    if _named_values(cells) is cells and 1 < len({*numbered}) <= len(numbered) / 2:
        raise UsageError(
            f"{where}: parts of cells such as {values[0][:60]!r} seem to be names with values, which are read where "
            "each cell lists the same names, each with 0 or 1; write a column for each label, or say --separator "
            f"{separator!r} where they are names."
        )
    for other in dict.fromkeys([*_TAKEN, *_signs(values), *_WORDS_THAT_JOIN]):
        split = {name: {*split_cell(name, other)} - {name} for name in names if other in name and other != separator}
        mixed = [n for n, found in split.items() if found and (found <= names or (other in _TAKEN and found & names))]
        if mixed:
            raise UsageError(
                f"{where}: {separator!r} separates names, and in cells such as {min(mixed)[:60]!r} it may be "
                f"{other!r}; write one of them throughout, or say --separator {separator!r} where that is one name."
            )


def _signs(values: Sequence[str]) -> list[str]:
    return sorted({c for v in values for c in v if not (c.isalnum() or c.isspace() or c in "'\"()[]{}<>")})


def _recurring(values: Sequence[str], separator: str, names: Collection[str] = ()) -> tuple[float, float]:
    """Of the cells with a separator the share in which some part, and in which each part, is a name or occurs in other
    cells."""
    split = [set(split_cell(value, separator)) for value in values]
    cells = Counter(part for parts in split for part in parts)
    with_it = [parts for parts, value in zip(split, values, strict=True) if separator in value]
    several = [[cells[p] > 1 or fold(p) in names for p in parts] for parts in with_it]
    return sum(map(any, several)) / len(several), sum(map(all, several)) / len(several)


def _may_separate(values: Sequence[str], separator: str, parts: set[str], share: float) -> bool:
    """Whether few names make up many cells: joy + fear, joy and fear are sets; very_good and very_bad are not."""
    several = sum(len(split_cell(value, separator)) > 1 for value in values)
    least = 3 if separator in _WITHIN_NAMES else 2
    return several >= least and share >= 0.8 and len(parts) * (1 if least == 2 else 1.5) <= len(values)


def paths_in(values: Sequence[str]) -> str | None:
    """One of several cells that are paths (A > B) with levels in common; None where cells are none."""
    paths = [value for value in values if re.search(rf"\S{_ARROW.pattern}\S", value)]
    return paths[0] if len(paths) > 1 and _recurring(values, PATHS)[0] > 0.5 else None


def spelled_list(cell: str, is_bare: bool = False) -> list | None:
    """The list that a cell spells (JSON, Python, numpy's [1 0 0]; of a dict the names with 1, or its only list; a name
    that stands alone; if `is_bare` [joy, fear] too), else a ValueError."""
    if is_blank(cell):
        return None
    if not re.search(r"[\[\]{}()'\",]", cell):
        return [cell.strip()]
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        if re.search("['\"]", cell):  # names side by side, which Python would join
            spelled = _QUOTED.sub(lambda found: found[1] + ("" if found[2] is None else ", "), cell)
        else:
            spelled = cell if "," in cell else re.sub(r"(?<=[\w.])\s+(?=[\w.-])", ", ", cell)
            spelled = re.sub(r"\bnan\b", "None", spelled)
        try:
            value = ast.literal_eval(spelled.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            names = re.fullmatch(r"\s*[\[{]([^\[\]{}()'\":]*)[\]}]\s*", cell)
            value = [*filter(None, map(str.strip, names[1].split(",")))] if names and is_bare else None
    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), list):
        (value,) = value.values()  # such as Label Studio's {"choices": [...]}
    if isinstance(value, dict) and all(v in (0, 1) for v in value.values()):
        return [str(name) for name, v in value.items() if v]
    if not isinstance(value, (list, tuple, set)):
        way = "" if "," in cell and cell.strip()[:1] + cell.strip()[-1:] == "[]" else (
            " Where cells are names of classes, say --separator none."
        )  # fmt: skip
        if isinstance(value, dict):
            way = " A dict is read where each of its values is 0 or 1."
        raise ValueError(f"{cell[:60]!r} is no list; expected one such as [0, 1] or ['joy', 'fear'].{way}")
    if any(isinstance(v, (list, dict)) for v in value):
        raise ValueError(f"holds {cell[:60]}; expected one list of labels.")
    return [int(v) if isinstance(v, bool) else v for v in (sorted(value) if isinstance(value, set) else value)]
