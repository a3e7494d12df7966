"""Values of label cells as numbers: 0, 1, in between, NaN for unknown, inf for what no label can have."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..utils.constants import IGNORE_INDEX

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
