"""Frame: the rows of a file, or of an object in memory, as an Arrow table in which each kind of value has one type."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..labels.schema import LabelSchema
from ..utils.constants import LABEL_COLUMNS
from ..utils.errors import DataError, UsageError, did_you_mean, first_line

_NOT_ARROW = (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, UsageError)


@dataclass(frozen=True)
class Frame:
    """A table. Cells of CSV are strings, other formats keep their types, ClassLabel indices became names.

    Args:
        path: the file, or what an object in memory is called; messages begin with it.
        table: the rows.
        format: the format, in words.
        places: the file among `files` of each row, and its number there from 0, (rows, 2).
        class_names: per column the names that its ClassLabel carries.
        fields: the label columns that a dict of labels was taken apart into.
        dict_name: the column that held the dict.
        files: the names of the files, where several were joined.
        remarks: what is odd about the file, a sentence each.
    """

    path: Path | str
    table: pa.Table
    format: str
    places: np.ndarray
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    dict_name: str = ""
    files: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.name if isinstance(self.path, Path) else self.path

    @property
    def names(self) -> list[str]:
        """The columns."""
        return self.table.column_names

    def column(self, name: str) -> pa.Array:
        """A column as one array; an error that offers the nearest names where there is none."""
        if name not in self.names:
            raise DataError(f"{self.path}: has no column {name!r}: {did_you_mean(name, self.names)}")
        return _one_array(self.table.column(name))

    def row(self, index: int) -> str:
        """What a row is called in a message: counted from 1, in its own file where several were joined."""
        file, number = self.places[index]
        return f"row {number + 1}" + (f" of {self.files[file]}" if self.files else "")

    def take(self, rows: np.ndarray) -> "Frame":
        """Some of the rows, which keep their numbers."""
        return replace(self, table=self.table.take(pa.array(rows)), places=self.places[rows])


def named_like(usual: Sequence[str], names: Sequence[str]) -> str | None:
    """The first usual name that is among the names, whatever its case and the blanks around it."""
    return next((name for wanted in usual for name in names if name.strip().casefold() == wanted), None)


def make_frame(
    path: Path | str, rows: Any, format: str, features: Mapping[str, Any] | None = None, start: int = 0
) -> Frame:
    """A frame of an Arrow table, a pandas DataFrame or a list of dictionaries, in which missing keys are null.

    `features`: those of a datasets.Dataset; None for what an Arrow table's own metadata says. `start`: rows of the
    file before these.
    """
    if isinstance(rows, list):
        keys = dict.fromkeys(key for row in rows for key in row)
        found: list[tuple[Any, Any]] = [(key, [row.get(key) for row in rows]) for key in keys]
    elif isinstance(rows, pa.Table):
        features = _own_features(path, rows.schema) if features is None else features
        found = [(k, v) for k, v in zip(rows.column_names, rows.columns, strict=True)
                 if not re.fullmatch(r"__index_level_\d+__", k)]  # where pandas puts its index  # fmt: skip
    else:
        found = [(name, rows.iloc[:, i]) for i, name in enumerate(rows.columns)]
    arrays: dict[str, pa.Array] = {}
    class_names = {}
    for key, values in found:
        name = str(key).strip()
        if name in arrays:
            raise DataError(f"{path}: has more than one column {name!r}; rename one.")
        try:
            arrays[name] = _plain(values)
            schema = LabelSchema.from_features(features or {}, key)
            if schema is not None:
                class_names[name] = schema.names
                arrays[name] = _with_names(arrays[name], schema.names)
        except _NOT_ARROW as error:
            raise DataError(f"{path}: column {name!r} cannot be read ({first_line(error)}).") from None
    label_column = named_like(LABEL_COLUMNS, [name for name in arrays if pa.types.is_struct(arrays[name].type)]) or ""
    fields: list[str] = []
    if label_column:
        labels = arrays.pop(label_column)
        fields = [f.name.strip() for f in labels.type]
        if twice := [name for name in fields if name in arrays or fields.count(name) > 1]:
            of = f"(one of them in the dicts of {label_column!r})"
            raise DataError(f"{path}: has more than one column {twice[0]!r} {of}; rename one.")
        arrays |= dict(zip(fields, labels.flatten(), strict=True))
    table = pa.table(arrays or {"": pa.nulls(len(rows))})
    places = np.stack([np.zeros(len(table), np.int64), start + np.arange(len(table))], axis=1)
    return Frame(path, table, format, places, class_names, tuple(fields), label_column)


def _own_features(path: Path | str, schema: pa.Schema) -> Mapping[str, Any]:
    if b"huggingface" not in (schema.metadata or {}):  # which datasets writes
        return {}
    try:
        return datasets.Features.from_arrow_schema(schema)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the features in its metadata cannot be read ({error}).") from None


def _plain(values: Any) -> pa.Array:
    """Values as an array with the one type for strings, lists and categories that the rest of this package knows.

    A single value in a column of lists is a list of one. Other kinds of values that Arrow does not mix, such as 1 and
    true, become strings of JSON, also in lists.
    """
    try:
        array = _one_array(values) if isinstance(values, pa.ChunkedArray) else pa.array(values, from_pandas=True)
    except _NOT_ARROW:
        values = values.astype(object).where(values.notna(), None).tolist() if hasattr(values, "notna") else values
        values = [v.tolist() if hasattr(v, "tolist") else v for v in values]
        if all(isinstance(v, dict) for v in values if v is not None):
            keys = list(dict.fromkeys(key for v in values for key in v or ()))
            return pa.StructArray.from_arrays([_plain([(v or {}).get(key) for v in values]) for key in keys], keys)
        if len({isinstance(v, (list, tuple)) for v in values if v is not None}) > 1:
            return _plain([v if v is None or isinstance(v, (list, tuple)) else [v] for v in values])
        strings = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        return pa.array(strings, pa.string())
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    kind = _plain_type(array.type)
    if re.search("list_view|null", str(array.type)):  # whose cast loses values in pyarrow 26
        return pa.array(array.to_pylist(), kind)
    return array if array.type == kind else array.cast(kind)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([pa.array([], column.type), *column.chunks])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if "list" in str(kind).partition("<")[0]:
        return pa.list_(_plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind])
    return kind


def _with_names(values: pa.Array, names: Sequence[str]) -> pa.Array:
    """ClassLabel indices (or lists of them) as names, so that the order of these names does not matter later."""
    if pa.types.is_null(values.type):
        return values
    if pa.types.is_list(values.type):
        is_null = values.is_null() if values.null_count else None
        return pa.ListArray.from_arrays(values.offsets, _with_names(values.values, names), mask=is_null)
    if (pc.max(values).as_py() or 0) >= len(names):
        raise UsageError(f"it holds class {pc.max(values)}, but its ClassLabel has {len(names)} names")
    return pa.array(names).take(pc.if_else(pc.less(values, 0), pa.scalar(None, values.type), values))


def join_frames(path: Path | str, frames: Sequence[Frame]) -> Frame:
    """The rows of several files of one split, or of batches of one file, in order."""
    first = frames[0]
    for frame in frames[1:]:
        odd = sorted(set(frame.names) ^ set(first.names))
        if odd:
            raise DataError(f"{frame.path}: differs from {first.name} in the column {odd[0]!r}; both are one split.")
        if frame.class_names != first.class_names:
            raise DataError(f"{frame.path}: its ClassLabel has other names than that of {first.name}.")
    try:
        table = pa.concat_tables([frame.table for frame in frames], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"{path}: the files of one split differ in their values ({first_line(error)}).") from None
    files = tuple(dict.fromkeys(str(frame.path) for frame in frames))
    places = np.concatenate([frame.places + np.array([files.index(str(frame.path)), 0]) for frame in frames])
    files = files if len(files) > 1 else ()
    remarks = tuple(said for frame in frames for said in frame.remarks)
    return replace(first, path=path, table=table, places=places, files=files, remarks=remarks)


def frame_of_object(data: Any, split: str) -> Frame:
    """An object in memory, of the kinds that `load_labelled_dataset` names, as a frame."""
    kind, features = type(data).__name__, getattr(data, "features", None)
    where = f"{split} ({kind})"
    try:
        if isinstance(data, datasets.Dataset):
            rows = data.with_format("arrow")[:] if len(data) else data.data.table.slice(0, 0)
        elif isinstance(data, pd.DataFrame):
            rows = data
        elif hasattr(data, "__arrow_c_stream__"):
            rows = pa.table(data)
        else:
            is_iterable = isinstance(data, datasets.IterableDataset)
            rows = list(data) if is_iterable or isinstance(data, Sequence) else []
            if not (rows or is_iterable) or not all(isinstance(row, Mapping) for row in rows):
                raise UsageError(
                    f"{split}: cannot read a {kind}; expected a file or folder, a datasets.Dataset or "
                    "IterableDataset, a pandas DataFrame, an Arrow table or a list of dictionaries."
                )
            kind = kind if is_iterable else "rows in memory"
        return make_frame(where, rows, kind, features)
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(f"{where}: cannot be read ({first_line(error)}).") from None
