"""JSON: one object a line, or one array of objects."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..utils.constants import LABEL_COLUMNS
from ..utils.errors import DataError, first_five
from .decoding import read_utf8
from .frame import Frame, ReadSettings


def read_json(path: Path, settings: ReadSettings) -> Frame:
    """A .jsonl or .json file.

    Raises:
        DataError: lines that are no JSON objects, or a column whose values are of kinds that do not go together.
    """
    content, encoding = read_utf8(path, settings.encoding)
    text = content.decode()
    is_array = text.lstrip()[:1] == "["
    rows = _array_rows(path, text) if is_array else _line_rows(path, text)
    return frame_of_rows(path, rows, f"{'a JSON array' if is_array else 'JSON lines'}, {encoding}")


def frame_of_rows(path: Path | str, rows: list[Mapping[str, Any]], format: str, start: int = 0) -> Frame:
    """A frame of rows that are dictionaries, `start` rows into the file. A key that a row does not have is null."""
    columns, mixed, broken = {}, {}, {}
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            columns[name], said = as_array([row.get(name) for row in rows], path, name, start)
            if said:
                mixed[name] = said
        except DataError as error:
            columns[name], broken[name] = pa.nulls(len(rows)), str(error)
    table = pa.table(columns) if columns else pa.table({"": pa.nulls(len(rows))})
    return Frame(path, table, format=format, mixed=mixed, broken=broken, start=start)


def json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    """The object in a line of JSON; a DataError that names the line where it is none."""
    row, wrong = _parsed(line)
    if wrong:
        raise DataError(f"{path}: line {number} {wrong}; expected one JSON object a line.")
    return row


def _line_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    rows, wrong = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row, said = _parsed(line)
            rows.append(row)
            if said:
                wrong.append(f"line {number} {said}")
    if wrong:
        if text.lstrip().startswith("{") and _loaded(text)[1] is None:
            raise DataError(f"{path}: is one JSON object; expected one object a line, or one array of objects.")
        raise DataError(f"{path}: {first_five(wrong)}; expected one JSON object a line, or one array of objects.")
    if len(rows) == 1 and _is_whole_table(rows[0]):
        raise DataError(f"{path}: is one JSON object; expected one object a line, or one array of objects.")
    return rows


def _is_whole_table(row: Mapping[str, Any]) -> bool:
    """Whether an object seems to hold the rows of a file, in columns or as a list of objects."""
    values = list(row.values())
    if not values or not all(isinstance(value, list) for value in values):
        return False
    return len(values) > 1 or any(isinstance(item, dict) for item in values[0])


def _array_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    rows, wrong = _loaded(text)
    if wrong:
        raise DataError(f"{path}: {wrong}; expected an array of JSON objects, or one object a line.")
    odd = [f"element {i} is {_kind(row)}" for i, row in enumerate(rows, 1) if not isinstance(row, dict)]
    if odd:
        raise DataError(f"{path}: {first_five(odd)}; expected an array of JSON objects.")
    return rows


def _parsed(line: str) -> tuple[Any, str | None]:
    """The object in a line, and what is wrong with it."""
    row, wrong = _loaded(line)
    if wrong is None and not isinstance(row, dict):
        wrong = f"is {_kind(row)}"
    return row, wrong


def _loaded(text: str) -> tuple[Any, str | None]:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats), None
    except RecursionError:
        return None, "is no valid JSON (nested too deeply)"
    except ValueError as error:
        return None, f"is no valid JSON ({error})"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return row


def _kind(value: Any) -> str:
    """What a value is called, with its article."""
    kinds = {
        list: "a list",
        tuple: "a list",
        dict: "an object",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return kinds.get(type(value), "a number")


def as_array(values: list, path: Path | str, name: str, start: int = 0) -> tuple[pa.Array, str | None]:
    """Python values as an Arrow array, and one of them that is no string where all of them were made strings.

    Scalars of kinds that Arrow does not mix (1 and true, 0 and "no") become strings, as label cells of CSV are.
    """
    _check_kinds(values, path, name, start)
    _check_keys(values, path, name, start)
    try:
        return pa.array(values), None
    except UnicodeEncodeError:
        row = next(i for i, value in enumerate(values, start + 1) if _is_broken(value))
        raise DataError(f"{path}: column {name!r}, row {row}: half a surrogate pair, which is no character.") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        pass
    if any(isinstance(value, Mapping) for value in values):
        return _struct_array(values, path, name, start), None
    try:
        texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
    except TypeError:
        row, value = next((i, value) for i, value in enumerate(values, start + 1) if not _is_json(value))
        raise DataError(
            f"{path}: column {name!r}, row {row}: holds a value of type {type(value).__name__!r}; expected strings, "
            "numbers or lists of them."
        ) from None
    others = ((i, value) for i, value in enumerate(values, start + 1) if not isinstance(value, str | None))
    odd = next((f"row {i} holds {value!r}" for i, value in others), "")
    return pa.array(texts, pa.string()), odd[:100] or None


def _struct_array(dicts: Sequence[Mapping[str, Any] | None], path: Path | str, name: str, start: int) -> pa.Array:
    """Dicts as an Arrow array in which the values of a key are of one kind."""
    keys = list(dict.fromkeys(key for value in dicts for key in value or ()))
    arrays = [as_array([value and value.get(key) for value in dicts], path, f"{name}.{key}", start)[0] for key in keys]
    return pa.StructArray.from_arrays(arrays, keys, mask=pa.array([value is None for value in dicts]))


def _check_kinds(values: Iterable[Any], path: Path | str, name: str, start: int) -> None:
    """Lists, dicts and single values do not go together in a column."""
    first: dict[str, tuple[int, str]] = {}
    for row, value in enumerate(values, start + 1):
        if value is not None:
            kind = "list" if isinstance(value, (list, tuple)) else "dict" if isinstance(value, dict) else "scalar"
            first.setdefault(kind, (row, _kind(value)))
    if len(first) > 1:
        (a, one), (b, other) = sorted(first.values())[:2]
        raise DataError(
            f"{path}: column {name!r} holds {one} in row {a} and {other} in row {b}; expected one kind in all rows."
        )


def _check_keys(values: list, path: Path | str, name: str, start: int) -> None:
    dicts = [(row, value) for row, value in enumerate(values, start + 1) if isinstance(value, dict)]
    for row, value in dicts:
        differ = value.keys() ^ dicts[0][1].keys()
        if differ and name in LABEL_COLUMNS:
            at = f"rows {dicts[0][0]} and {row} differ in the label {min(differ)!r}"
            raise DataError(f"{path}: column {name!r}: {at}; give 0, 1 or null (unknown) in each.")


def _is_broken(value: Any) -> bool:
    try:
        pa.array([value])
    except UnicodeEncodeError:
        return True
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        pass
    return False


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
