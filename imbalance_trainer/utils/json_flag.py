"""A setting that may be JSON, or the path of a file with JSON."""

import json
from pathlib import Path
from typing import Any

from .errors import UsageError


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
