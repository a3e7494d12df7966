"""The errors that the user can fix, each with the exit code that a script ends with."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class UsageError(ValueError):
    """A flag, keyword or setting that does not fit; scripts end with exit code 2."""

    exit_code = 2


class DataError(ValueError):
    """A file or a value in it that does not fit; scripts end with exit code 3."""

    exit_code = 3


class RaggedLabelsError(DataError):
    """Rows that do not all have one value for each label."""


class NonFiniteLossError(ArithmeticError):
    """A loss that is NaN or infinite; scripts end with exit code 4."""

    exit_code = 4


def did_you_mean(name: str, known: Iterable[str], limit: int = 3) -> str:
    """The end of a sentence that offers the nearest known names, or a few of them where none is near.

    >>> did_you_mean("joi", ["joy", "anger"])
    "did you mean 'joy'?"
    >>> did_you_mean("xyz", ["joy", "anger"])
    "known are 'joy', 'anger'."
    """
    known = [str(k) for k in known]
    folded: dict[str, str] = {}
    for k in known:
        folded.setdefault(k.casefold(), k)
    near = difflib.get_close_matches(str(name).casefold(), folded, n=limit, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(folded[n]) for n in near)}?"
    return f"known are {quoted(known)}." if known else "none is known."


def check_known(what: str, value: Any, known: Iterable[str]) -> None:
    """Raise a UsageError that offers the nearest names where a value is none of those that are known."""
    if value not in known:
        raise UsageError(f"Unknown {what} {value!r}: {did_you_mean(value, known)}")


def first_line(error: Exception) -> str:
    """The first line of what an error of another library says, without its full stop and at most 500 letters of it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:500]


def quoted(names: Sequence[str]) -> str:
    """Up to ten names in quotation marks, and how many more there are.

    >>> quoted(["a", "b"])
    "'a', 'b'"
    """
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def first_five(found: Sequence[str], total: int | None = None) -> str:
    """The first five of the places that are wrong, and how many more there are (of `total`, where not all are given).

    >>> first_five(["row 1", "row 2"], total=12)
    'row 1; row 2 (and 7 more)'
    """
    more = (len(found) if total is None else total) - 5
    return "; ".join(found[:5]) + (f" (and {more} more)" if more > 0 else "")
