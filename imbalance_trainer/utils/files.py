"""Atomic file writes, and JSON in files and flags."""

import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import DataError, UsageError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end: after a kill or an error the old content is
    there, or none, and nothing is left beside it after an error.

    Yields:
        The path to write to.
    """
    path = Path(path)
    unfinished = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink()


@contextmanager
def writing(where: str) -> Iterator[None]:
    """Raise a UsageError that begins with `where`, a path or a flag with its path, in place of an OSError."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{where}: cannot be written ({error.strerror or error}); give another.") from None


@contextmanager
def written(path: str | Path) -> Iterator[Path]:
    """`atomic_write` of a file that the user named, whose folder is made where there is none; see `writing`."""
    with writing(str(path)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            yield unfinished


def write_text(path: str | Path, text: str) -> None:
    """Write a file as a whole. Its folder is made where there is none."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a file as a whole; NaN and infinite values become null."""
    write_text(path, as_json(content) + "\n")


def read_json_object(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file.

    Raises:
        DataError: a file that cannot be read or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no valid JSON ({error}).") from None
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: expected a JSON object, found a {type(content).__name__}.")
    return content


def read_json_flag(
    value: str, flag: str, example: str, starts: tuple[str, ...] = ("{",), or_else: str = ""
) -> tuple[Any, str]:
    """What a flag's text stands for, and where that stands, for messages: the flag, or the file.

    Args:
        value: JSON, which begins with one of `starts`, or a path.
        flag: its name.
        example: JSON that would be right.
        starts: how JSON begins here.
        or_else: words that the flag takes beside, such as "auto, none, ".

    Raises:
        UsageError: no such file, or no JSON.

    >>> read_json_flag('{"rare": 10}', "class_weights", '{"rare label": 10}')
    ({'rare': 10}, 'class_weights')
    """
    text, where = value, flag
    if not value.lstrip().startswith(starts):
        where = value
        try:
            text = Path(value).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise UsageError(
                f"{flag} is {or_else}JSON or the path of a JSON file; {value!r} is no such file ({error.strerror})."
            ) from None
    try:
        return json.loads(text), where
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: is no valid JSON ({error}); expected for example {example}.") from None


def as_json(content: Mapping[str, Any]) -> str:
    """JSON in lines, with null for NaN and infinite values."""
    return json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """A JSON-able value with None for every NaN and infinity in it.

    >>> finite({"a": [float("nan"), 1.0]})
    {'a': [None, 1.0]}
    """
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
