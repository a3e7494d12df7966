"""Files of a data folder: found by split, and each read into a table (`Frame`)."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ..errors import DataError, UsageError, did_you_mean
from ..label_columns import LABEL_COLUMNS
from ..labels import LabelSchema

SPLITS = {"train": ("train",), "validation": ("validation", "dev", "val", "valid"), "test": ("test",)}
"""The splits, and the file names (without their ending) under which each is looked for."""


_ClassNames = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Frame:
    """A file as a table: CSV cells are strings, other formats keep their types, ClassLabel indices became names."""

    path: Path
    table: pa.Table
    class_names: _ClassNames = field(default_factory=dict)
    fields: tuple[str, ...] = ()  # the label columns that a dict of labels was taken apart into

    def column(self, name: str) -> pa.Array:
        """A column as one array; an error that offers the nearest names where there is none."""
        names = self.table.column_names
        if name not in names:
            raise DataError(f"{self.path}: has no column {name!r}: {did_you_mean(name, names)}")
        return pa.concat_arrays(self.table.column(name).chunks)


def find_files(folder: Path) -> dict[str, Path]:
    """The file of each split; a training file has to be there."""
    if not folder.exists():
        raise UsageError(f"{folder}: there is no such folder; give one with a file such as train.csv.")
    if not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give the folder that it lies in, with train.csv or the like.")
    try:
        present = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror}).") from None
    if not present:
        raise DataError(f"{folder}: is empty; expected a file such as train.csv, train.jsonl or train.parquet.")
    found: dict[str, Path] = {}
    for path in present:
        split = next((s for s, stems in SPLITS.items() if path.stem.lower() in stems), None)
        if split is None or path.suffix.lower() not in _READERS or not path.is_file():
            continue
        if split in found:
            raise DataError(f"{folder}: {found[split].name} and {path.name} are both the {split} split; keep one.")
        found[split] = path
    if "train" not in found:
        more = f" and {len(present) - 10} more" if len(present) > 10 else ""
        raise DataError(
            f"{folder}: has no training file; expected train with one of the endings {', '.join(_READERS)}, "
            f"found {', '.join(path.name for path in present[:10])}{more}."
        )
    return {split: found[split] for split in SPLITS if split in found}


def read_file(path: Path) -> Frame:
    """A file as a table; one that cannot be read, or has no rows, is an error that names it."""
    try:
        table, class_names = _READERS[path.suffix.lower()](path)
    except (OSError, pa.ArrowException, UnicodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0][:300]}).") from None
    if not table.num_rows:
        raise DataError(f"{path}: has no rows.")
    fields: tuple[str, ...] = ()
    for name in LABEL_COLUMNS:
        if name in table.column_names and pa.types.is_struct(table.schema.field(name).type):
            labels = pa.concat_arrays(table.column(name).chunks)
            fields = tuple(f.name for f in labels.type)
            arrays = dict(zip(table.column_names, table.columns, strict=True))
            arrays.pop(name)
            table = pa.Table.from_arrays([*arrays.values(), *labels.flatten()], names=[*arrays, *fields])
            break
    table = table.rename_columns([name.strip() for name in table.column_names])
    class_names = {name.strip(): names for name, names in class_names.items()}
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: has more than one column {twice[0]!r}; rename one.")
    return Frame(path, table, class_names, fields)


def _utf8(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, byte = raw.count(b"\n", 0, error.start) + 1, raw[error.start]
        raise DataError(f"{path}: line {line} is not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8.") from None


def _read_delimited(path: Path) -> tuple[pa.Table, _ClassNames]:
    """CSV and TSV: every cell a string. The separator is the one that parts the header into most columns."""
    content = _utf8(path)
    if not content.strip():
        raise DataError(f"{path}: is empty; expected a header and rows.")
    separators = "\t,;|" if path.suffix.lower() == ".tsv" else ",;\t|"
    headers = {s: next(filter(None, csv.reader(io.StringIO(content, newline=""), delimiter=s))) for s in separators}
    separator = max(headers, key=lambda s: len(headers[s]))
    raw = content.encode()
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(raw),
            pa_csv.ReadOptions(use_threads=False, block_size=min(len(raw) + 1, 1 << 30)),  # a row must fit into one
            pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(headers[separator], pa.string())),
        )
    except pa.ArrowInvalid as error:
        said = re.search(r"Row #(\d+): (.*)", str(error))
        if said is None:
            raise
        raise DataError(f"{path}: row {int(said[1]) - 1}: {said[2][:300]} (separator {separator!r}).") from None
    last = table.columns[-1][-1].as_py() if table.num_rows else ""
    if raw.count(b'"') % 2 and "\n" in last:  # pyarrow lets an open quotation mark swallow the rest of the file
        raise DataError(f"{path}: the quotation mark before {last[:40]!r} in row {len(table)} is never closed.")
    return table, {}


def _read_json_lines(path: Path) -> tuple[pa.Table, _ClassNames]:
    rows = []
    for number, line in enumerate(_utf8(path).split("\n"), 1):
        if not line.strip():
            continue
        rows.append(json_row(path, number, line))
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _array([row.get(name) for row in rows], path, name) for name in names}), {}


def json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    """The object in a line of JSON; a DataError that names the line where it is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: line {number} is no valid JSON ({error}); expected one object a line.") from None
    if not isinstance(row, dict):
        raise DataError(f"{path}: line {number} is a {type(row).__name__}; expected one JSON object a line.")
    return row


def _array(values: list, path: Path, name: str) -> pa.Array:
    """JSON values as an Arrow array; kinds that Arrow does not mix (1 and true, 0 and "no") become strings."""
    dicts = [(row, value) for row, value in enumerate(values, 1) if isinstance(value, dict)]
    for row, value in dicts:
        differ = value.keys() ^ dicts[0][1].keys()
        if differ and name in LABEL_COLUMNS:
            at = f"rows {dicts[0][0]} and {row} differ in the label {min(differ)!r}"
            raise DataError(f"{path}: column {name!r}: {at}; give 0, 1 or null (unknown) in each.")
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def _read_parquet(path: Path) -> tuple[pa.Table, _ClassNames]:
    table = pq.read_table(path, partitioning=None)
    is_ours = b"huggingface" in (table.schema.metadata or {})  # written by datasets, which adds its features
    try:
        features = datasets.Features.from_arrow_schema(table.schema) if is_ours else {}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the features in its metadata cannot be read ({error}).") from None
    class_names = {}
    for i, name in enumerate(table.column_names if table.num_rows else []):
        values = pa.concat_arrays(table.column(i).chunks)
        values = values.cast(_plain_type(values.type))
        schema = LabelSchema.from_features(features, name)
        if schema is not None:
            class_names[name] = schema.names
            values = _named(values, schema.names, f"{path}: column {name!r}")
        table = table.set_column(i, name, values)
    return table, class_names


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The one type for strings, lists and categories that the rest of this module knows."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind


def _named(values: pa.Array, names: Sequence[str], where: str) -> pa.Array:
    """ClassLabel indices (or lists of them) as names, so that the order of these names does not matter later."""
    is_list = pa.types.is_list(values.type)
    flat = values.values if is_list else values
    top = pc.max(flat).as_py()
    if top is not None and top >= len(names):
        at = pc.index(flat, pa.scalar(top, flat.type)).as_py()
        row = int(np.searchsorted(values.offsets.to_numpy(), at, "right")) if is_list else at + 1
        raise DataError(f"{where}, row {row}: holds class {top}, but its ClassLabel has {len(names)} names.")
    flat = pa.array(names).take(pc.if_else(pc.less(flat, 0), pa.scalar(None, flat.type), flat))
    if not is_list:
        return flat
    return pa.ListArray.from_arrays(values.offsets, flat, mask=values.is_null() if values.null_count else None)


_READERS: dict[str, Callable[[Path], tuple[pa.Table, _ClassNames]]] = {
    ".parquet": _read_parquet,
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_json_lines,
    ".json": _read_json_lines,
}
