"""Text helpers: numbers in few characters, numbers with nouns, short names, Markdown, sentences from a file."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, Template
from rich.cells import cell_len


def pluralize(n: int, word: str) -> str:
    """A number with its noun.

    >>> pluralize(1, "label"), pluralize(2, "label")
    ('1 label', '2 labels')
    """
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds, or from 90 on minutes, in words."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def shorten(text: str, width: int) -> str:
    """Text of at most `width` columns, cut in the middle, where names that begin alike still differ at their ends.

    >>> shorten("ideologically motivated threats", 20)
    'ideologica...threats'
    """
    text = " ".join(text.split())
    if cell_len(text) <= width:
        return text
    head, tail = list(text[: len(text) * 4 // 7]), list(text[len(text) * 4 // 7 :])
    while head and cell_len("".join(head)) > (width - 3) * 3 // 5:
        head.pop()
    while tail and cell_len("".join(head) + "..." + "".join(tail)) > width:
        tail.pop(0)
    return "".join(head) + "..." + "".join(tail)


def distinct_names(names: Sequence[str], width: int) -> list[str]:
    """Names shortened to `width` columns; those that would be alike then get their number (#1, #2, ...).

    >>> distinct_names(["a very long name", "short"], 10)
    ['a ve...ame', 'short']
    >>> distinct_names(["a long name, part 1 of it", "a long name, part 2 of it"], 14)
    ['a lo...t #1', 'a lo...t #2']
    """
    short = [shorten(name, width) for name in names]
    count = Counter(short)
    marks = ["" if count[name] == 1 else f" #{i}" for i, name in enumerate(short, 1)]
    return [shorten(name, max(width - len(mark), 4)) + mark for name, mark in zip(names, marks, strict=True)]


def compact_number(value: float) -> str:
    """A count or ratio in few characters: three digits, whole from 100 on, in k, M or B above 99,999; inf is "-".

    >>> [compact_number(v) for v in (0.02513, 2.0, 43.51, 1234.5, 99_999, 123_456, 2_500_000, float("inf"))]
    ['0.0251', '2', '43.5', '1,234', '99,999', '123k', '2.5M', '-']
    """
    if not math.isfinite(value):
        return "-"
    if round(value) <= 99_999:
        return f"{value:.3g}" if value < 99.95 else f"{value:,.0f}"
    unit, size = ("k", 1e3) if value < 999.5e3 else ("M", 1e6) if value < 999.5e6 else ("B", 1e9)
    return f"{value / size:.3g}{unit}"


def short_count(value: float) -> str:
    """A count in full; the sum of soft labels in three digits.

    >>> short_count(1234567.0), short_count(2.345)
    ('1,234,567', '2.35')
    """
    return f"{value:,.0f}" if value == round(value) else compact_number(value)


def grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    """Items by their keys, keys and items in the order in which they come.

    >>> grouped(["ant", "bee", "ape"], lambda word: word[0])
    {'a': ['ant', 'ape'], 'b': ['bee']}
    """
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def percent(share: float) -> str:
    """A share in percent, without the sign.

    >>> [percent(share) for share in (0, 0.00001, 0.00345, 0.5)]
    ['0', '<0.01', '0.34', '50.0']
    """
    if share < 0.00005:
        return "<0.01" if share > 0 else "0"
    return f"{100 * share:.2f}" if share < 0.0995 else f"{100 * share:.1f}"


def escaped(text: Any) -> str:
    """Text that stands for itself in Markdown, on one line; also in a cell of a table.

    >>> print(escaped("a|b\\n<c>"))
    a\\|b \\<c\\>
    """
    line = " ".join(str(text).split()).replace("&", "&amp;")
    return re.sub(r"([\\`*_{}\[\]<>|~#$])", r"\\\1", line)


def sentences_of(file: Path, **filters: Any) -> Mapping[str, Mapping[str, Template]]:
    """Sentences from a YAML file as templates of their numbers, {kind: {part: template}}; they have the filter `fmt`,
    which writes a number as Python does, and `filters`."""
    environment = Environment(undefined=StrictUndefined)  # text for a terminal; a page escapes it
    environment.filters |= {"fmt": format, **filters}
    kinds = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {kind: {part: environment.from_string(text) for part, text in of.items()} for kind, of in kinds.items()}
