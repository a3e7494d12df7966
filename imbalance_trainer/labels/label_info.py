"""label_info.json: reading it, and saying what is wrong with it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..utils.errors import DataError


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


def check_kinds(source: Mapping[str, Any], where: str) -> None:
    """Raise a DataError where groups, implications or exclusive groups are of another kind than they should be."""
    groups, implications = source.get("groups") or {}, source.get("implications") or ()
    if not isinstance(groups, Mapping):
        raise DataError(f'{where}: expected groups as {{"group": [labels]}}, found {groups!r}.')
    for group, content in groups.items():
        members = content.values() if isinstance(content, Mapping) else [content]
        wrong = next((m for m in members if not isinstance(m, (list, tuple, str))), None)
        if wrong is not None or isinstance(content, str):
            raise DataError(f"{where}: group {group!r} is a list of labels; found {content!r}.")
    if not isinstance(implications, (list, tuple)):
        raise DataError(f"{where}: expected implications as a list of [child, parent], found {implications!r}.")
    exclusive = source.get("exclusive") or {}
    if not isinstance(exclusive, Mapping):
        raise DataError(f'{where}: expected exclusive as {{"group": "at_most_one"}}, found {exclusive!r}.')


def flat_groups(groups: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """Groups without nesting: {"ekman": {"joy": [...]}} becomes the group ekman/joy."""
    flat: dict[str, Any] = {}
    for group, content in groups.items():
        if not isinstance(content, Mapping):
            flat[group] = content
        elif _is_per_label(content, names):
            for name, members_of in content.items():
                for inner in [members_of] if isinstance(members_of, str) else members_of:
                    flat.setdefault(f"{group}/{inner}", []).append(name)
        else:
            flat.update({f"{group}/{inner}": labels for inner, labels in content.items()})
    return flat


def _is_per_label(content: Mapping[str, Any], names: set[str]) -> bool:
    """Whether a nested grouping is {label: [groups]} rather than {group: [labels]}."""
    values = {v for vs in content.values() for v in ([vs] if isinstance(vs, str) else vs)}
    return set(content) <= names and not values <= names
