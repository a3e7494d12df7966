"""What is asked about label columns where it is not clear which they are, with the flags that answer."""

import re
import shlex
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from ..utils.errors import UsageError, quoted
from .cells import find_separator, label_entries, numbers_in, split_cell, words_in
from .frame import Frame

_CLASS_COLUMNS = ("class", "category", "categories", "target", "sentiment", "emotion", "emotions", "topic", "topics",
                  "intent", "tags", "tag", "genre", "genres")  # fmt: skip
"""Usual names of a column with a class a row, or with several names."""
_SELDOM_LABEL = re.compile(
    r"(is|has)[_ ].*|verified|retweeted|truncated|.*confidence.*|.*(score|prob\w*)", re.IGNORECASE
)
_MOST_CLASSES, _ROWS_PER_CLASS = 100, 4  # of a column of strings that could hold one class a row
_SAMPLE = 2_000  # rows by which a column is judged


def is_class_name(column: str) -> bool:
    """Whether a column is called as one that holds a class a row."""
    return column.strip().casefold() in _CLASS_COLUMNS


def soft_columns(frame: Frame, names: Sequence[str]) -> list[str]:
    """Columns with a value between 0 and 1 among their first rows."""
    found = {name: label_entries(frame.column(name).slice(0, _SAMPLE)) for name in names}
    return [name for name, entries in found.items() if ((entries > 0) & (entries < 1)).any()]


def nearly_labels(frame: Frame, names: Sequence[str]) -> dict[str, str]:
    """Columns in which at least half of the known values are label values, each with the first of its other values."""
    said = {}
    for name in names:
        entries = label_entries(frame.column(name))
        known, wrong = int((~np.isnan(entries)).sum()), np.flatnonzero(np.isinf(entries))
        if len(wrong) and 2 * len(wrong) <= known and not is_class_name(name):
            first = f"{frame.column(name)[int(wrong[0])].as_py()!r} first in {frame.row(wrong[0])}"
            said[name] = f"{name!r} holds {known - len(wrong):,} values of 0 to 1 and {len(wrong):,} others ({first})"
    return said


def ask_about_doubtful(frame: Frame, found: Sequence[str], nearly: Mapping[str, str], readable: Sequence[str]) -> None:
    """Raise a UsageError for columns beside the labels that may be labels, and for labels that may be none."""
    seldom = [name for name in found if _SELDOM_LABEL.fullmatch(name.strip())]
    soft = [name for name in soft_columns(frame, found) if name not in seldom]
    said = list(nearly.values())
    doubtful = {*nearly}
    for names, what in (
        (seldom, "hold 0 and 1 and are seldom labels"),
        (soft, "hold values between 0 and 1, as soft labels or scores do"),
    ):
        if names and len(names) < len(found):
            said.append(f"{quoted(names)} {what}")
            doubtful.update(names)
    if len(found) == 1 and _has_three_signs(frame, found[0]):
        raise UsageError(
            f"{frame.path}: {found[0]!r} holds -1, 0 and 1, and -1 means unknown. For three classes say "
            f"{_flag(found)} --label_format classes, with a label_info.json (--label_schema) whose names are '-1', "
            f"'0' and '1'; else say {_flag(found)}."
        )
    if not said:
        return
    sure = [name for name in found if name not in doubtful]
    everything = [name for name in readable if name in {*found, *nearly}]
    ways = [*([f"without them {_flag(sure)}"] if sure else []), f"with them {_flag(everything)}"]
    more = ""
    if nearly.keys() & _numbers(frame, everything).keys():
        more = f" --label_scale {_scale(frame, everything)}, which divides counts"
    elif nearly:
        more = ", and write -1 where a label is unknown"
    raise UsageError(f"{frame.path}: {'; '.join(said)}. Are these labels? Say {' or '.join(ways)}{more}.")


def _has_three_signs(frame: Frame, name: str) -> bool:
    """Whether a column has -1 in a tenth of its rows or more, beside 0 and 1."""
    numbers = numbers_in(frame.column(name))
    return numbers is not None and bool(np.isin((-1, 0, 1), numbers).all()) and (numbers == -1).mean() >= 0.1


def _flag(names: Sequence[str]) -> str:
    return f"--label_columns {shlex.join(names)}"


def _numbers(frame: Frame, names: Sequence[str]) -> dict[str, np.ndarray]:
    found = {name: numbers_in(frame.column(name)) for name in names if name not in frame.broken}
    return {name: numbers for name, numbers in found.items() if numbers is not None}


def _scale(frame: Frame, counts: Sequence[str]) -> str:
    """What counts may be divided by: a column that is their sum, else the largest of them."""
    numbers = _numbers(frame, frame.names)
    total = sum(numbers.get(name, 0) for name in counts)
    whole = next((name for name in numbers if name not in counts and np.array_equal(numbers[name], total)), None)
    return (
        shlex.quote(whole) if whole else f"{max((np.nanmax(numbers[n]) for n in counts if n in numbers), default=1):g}"
    )


def hints(frame: Frame, names: Sequence[str], nearly: Mapping[str, str]) -> list[str]:
    """What to say of columns that may hold labels, each with the flags that read it so."""
    said: list[str] = []
    pairs: dict[tuple[str, ...], list[str]] = {}
    numbers = _numbers(frame, names)
    for name in sorted(names, key=lambda name: not is_class_name(name)):
        values = frame.column(name)
        if pa.types.is_nested(values.type):
            said += [f"{name!r} holds lists: {_flag([name])}"] if pa.types.is_list(values.type) else []
            continue
        words, is_class = words_in(values.cast(pa.string())), is_class_name(name)
        if len(words) == 2 and name in numbers and not is_class:
            pairs.setdefault(tuple(sorted(words)), []).append(name)
        elif is_class or name not in numbers:
            said += _hint_of_names(name, words, len(values))
        elif 2 < len(words) <= 5 and not (numbers[name] == 0).any():  # such as stars
            said.append(f"{name!r} has {len(words)} different values: {_flag([name])} --label_format classes")
        elif np.nanmin(numbers[name], initial=0) >= 0 and 1 < np.nanmax(numbers[name], initial=0) <= 100 < 5 * len(
            words
        ):
            said.append(f"{name!r} may be a percentage: {_flag([name])} --label_scale 100")
    for (one, other), columns in pairs.items():
        ways = " or ".join(f"--positive_values {shlex.quote(word)}" for word in (other, one))
        said.append(f"{quoted(columns)} hold {one!r} and {other!r}: {_flag(columns)} with {ways}")
    counts = _counts(numbers, {name for columns in pairs.values() for name in columns})
    named = {*counts, *(name for columns in pairs.values() for name in columns)}
    said += [what for name, what in nearly.items() if name not in named]
    if len(counts) > 1 or (counts and nearly):
        said.append(f"{quoted(counts)} may be counts: {_flag(counts)} --label_scale {_scale(frame, counts)}")
    return said[:5]


def _counts(numbers: Mapping[str, np.ndarray], others: set[str]) -> list[str]:
    """Columns with a few whole numbers from 0 on, such as votes, without the column that is their sum."""
    few = [
        name for name, n in numbers.items()
        if name not in others and not is_class_name(name) and np.nanmin(n, initial=0) >= 0
        and (n == 0).any() and len(np.unique(n)) <= 20
    ]  # fmt: skip
    total = sum(numbers[name] for name in few)
    return [name for name in few if len(few) < 3 or not np.array_equal(2 * numbers[name], total)]


def _hint_of_names(name: str, words: Sequence[str], n_rows: int) -> list[str]:
    """What to say of a column of strings that may hold a class a row, or names with a separator."""
    try:
        separator = find_separator(words, None, "")
    except UsageError as error:
        ways = re.findall(r"--separator ('[^']*')", str(error))
        return [f"{name!r} may hold several names: {_flag([name])} with --separator {' or '.join(ways)} or none"]
    if separator is not None:
        parts = {part for word in words for part in split_cell(word, separator)}
        if 2 * len(parts) < 3 * len(words):
            return [f"{name!r} holds names separated by {separator!r}: {_flag([name])}"]
        return []
    if 2 <= len(words) <= min(_MOST_CLASSES, n_rows // _ROWS_PER_CLASS):
        return [f"{name!r} has {len(words)} different values and could hold one class a row: {_flag([name])}"]
    return []
