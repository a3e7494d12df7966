"""Frame: the rows of a file, or of an object in memory, as an Arrow table in which each kind of value has one type."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..labels.schema import LabelSchema
from ..utils.constants import LABEL_COLUMNS
from ..utils.errors import DataError, UsageError, did_you_mean, first_line

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_NOT_ARROW = (pa.ArrowException, OverflowError, UnicodeEncodeError)


@dataclass(frozen=True)
class Frame:
    """A table. Cells of CSV are strings, other formats keep their types, ClassLabel indices became names.

    Args:
        path: the file, or what an object in memory is called; messages begin with it.
        table: the rows.
        class_names: per column the names that its ClassLabel carries.
        fields: the label columns that a dict of labels was taken apart into.
        dict_name: the column that held the dict.
        format: the format, in words.
        shards: name and number of rows of each file, where several were joined.
        broken: per column that cannot be read the reason; it is null here, and an error where it is asked for.
        remarks: what is odd about the file, a sentence each.
        start: rows of the file before these, where it is read in batches.
        rows: the place of each row in its file, where some rows were left out.
    """

    path: Path | str
    table: pa.Table
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    dict_name: str = ""
    format: str = ""
    shards: tuple[tuple[str, int], ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    start: int = 0
    rows: np.ndarray | None = None

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
        if name in self.broken:
            raise DataError(self.broken[name])
        column = self.table.column(name)
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)

    def row(self, index: int) -> str:
        """What a row is called in a message: counted from 1, in its own file where several were joined."""
        number = int(index if self.rows is None else self.rows[index]) + 1
        if not self.shards:
            return f"row {number + self.start}"
        ends = np.cumsum([n for _, n in self.shards])
        shard = int(np.searchsorted(ends, number - 1, "right"))
        return f"row {number - int(ends[shard]) + self.shards[shard][1]} of {self.shards[shard][0]}"

    def take(self, rows: np.ndarray) -> "Frame":
        """Some of the rows, which keep their numbers."""
        return replace(
            self, table=self.table.take(pa.array(rows)), rows=rows if self.rows is None else self.rows[rows]
        )


def named_like(usual: Sequence[str], names: Sequence[str]) -> str | None:
    """The first usual name that is among the names, whatever its case and the blanks around it."""
    return next((name for wanted in usual for name in names if name.strip().casefold() == wanted), None)


def frame_of_rows(path: Path | str, rows: list[Mapping[str, Any]], format: str, start: int = 0) -> Frame:
    """A frame of dictionaries. A key that a row does not have is null.

    Args:
        path: the file, for messages.
        rows: the dictionaries.
        format: the format, in words.
        start: rows of the file before these.
    """
    columns, broken = {}, {}
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            columns[name] = _array([row.get(name) for row in rows], path, name, start)
        except DataError as error:
            columns[name], broken[name] = pa.nulls(len(rows)), str(error)
    table = pa.table(columns) if columns else pa.table({"": pa.nulls(len(rows))})
    return tidy(Frame(path, table, format=format, broken=broken, start=start))


def _array(values: list, path: Path | str, name: str, start: int) -> pa.Array:
    """Python values as an Arrow array. Values of kinds that Arrow does not mix, such as 1 and true, become strings."""
    kinds: dict[str, int] = {}
    for row, value in enumerate(values, start + 1):
        if value is not None:
            kind = "a dict" if isinstance(value, Mapping) else "a list" if isinstance(value, list | tuple) else ""
            kinds.setdefault(kind or "a single value", row)
    if len(kinds) > 1:
        found = " and ".join(f"{kind} in row {row}" for kind, row in list(kinds.items())[:2])
        raise DataError(f"{path}: column {name!r} holds {found}; expected one kind in all rows.")
    if "a dict" in kinds:
        return _struct(values, path, name, start)
    try:
        return pa.array(values)
    except _NOT_ARROW:
        pass
    for row, value in enumerate(values, start + 1):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except (TypeError, ValueError) as error:
            what = (
                "half a character" if isinstance(error, UnicodeError) else f"a value of type {type(value).__name__!r}"
            )
            said = f"{path}: column {name!r}, row {row}: holds {what}; expected strings, numbers or lists of them."
            raise DataError(said) from None
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def _struct(dicts: list, path: Path | str, name: str, start: int) -> pa.Array:
    keys = list(dict.fromkeys(key for value in dicts for key in value or ()))
    full = [(row, value) for row, value in enumerate(dicts, start + 1) if value is not None]
    for row, value in full if name.strip().casefold() in LABEL_COLUMNS else ():
        if differ := value.keys() ^ full[0][1].keys():
            at = f"rows {full[0][0]} and {row} differ in the label {min(differ)!r}"
            raise DataError(f"{path}: column {name!r}: {at}; give 0, 1 or null (unknown) in each.")
    arrays = [_array([value and value.get(key) for value in dicts], path, f"{name}.{key}", start) for key in keys]
    return pa.StructArray.from_arrays(arrays, keys, mask=pa.array([value is None for value in dicts]))


def frame_of_arrow(
    path: Path | str, table: pa.Table, format: str, features: Mapping[str, Any] | None = None, start: int = 0
) -> Frame:
    """A frame of an Arrow table, without the index that pandas stores as a column.

    Args:
        path: the file, for messages.
        table: the rows.
        format: the format, in words.
        features: those of a datasets.Dataset; None for what the table's own metadata says.
        start: rows of the file before these.

    Raises:
        DataError: features that cannot be read, or a class index beyond the names of its ClassLabel.
    """
    features = _own_features(path, table.schema) if features is None else features
    table = table.drop_columns([name for name in table.column_names if _PANDAS_INDEX.fullmatch(name)])
    columns, class_names, broken = [], {}, {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        try:
            array = _plain(array, path, name, start)
        except (pa.ArrowException, DataError) as error:
            said = f"{path}: column {name!r} holds {column.type}, which is not read; make it text or numbers."
            array, broken[name] = pa.nulls(len(array)), str(error) if isinstance(error, DataError) else said
        try:
            schema = LabelSchema.from_features(features, name)
        except UsageError as error:
            raise DataError(f"{path}: column {name!r}: its ClassLabel is not right. {error}") from None
        if schema is not None:
            class_names[name] = schema.names
            array = _with_names(array, schema.names, f"{path}: column {name!r}", start)
        columns.append(array)
    table = pa.Table.from_arrays(columns, names=table.column_names)
    return tidy(Frame(path, table, class_names, format=format, broken=broken, start=start))


def _own_features(path: Path | str, schema: pa.Schema) -> Mapping[str, Any]:
    if b"huggingface" not in (schema.metadata or {}):  # which datasets writes
        return {}
    try:
        return datasets.Features.from_arrow_schema(schema)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the features in its metadata cannot be read ({error}).") from None


def _plain(values: pa.Array, path: Path | str, name: str, start: int) -> pa.Array:
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
        if pa.types.is_string(values.type):  # datasets' Json: each value is one JSON document
            return _array([None if v is None else json.loads(v) for v in values.to_pylist()], path, name, start)
    values = _without_views(values)
    kind = _plain_type(values.type)
    if kind == pa.list_(pa.null()):  # its cast loses values in pyarrow 26
        return pa.array(values.to_pylist(), kind)
    return values if values.type == kind else values.cast(kind)


def _without_views(array: Any) -> Any:
    """Convert list views to lists. pyarrow's own cast loses the values of the last one (pyarrow 26)."""
    if not (pa.types.is_list_view(array.type) or pa.types.is_large_list_view(array.type)):
        return array
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    is_null = array.is_null() if array.null_count else None
    return pa.LargeListArray.from_arrays(offsets, array.flatten(), mask=is_null)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The one type for strings, lists and categories that the rest of this package knows."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if any(is_kind(kind) for is_kind in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
        return pa.list_(_plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind])
    return kind


def _with_names(values: pa.Array, names: Sequence[str], where: str, start: int) -> pa.Array:
    """ClassLabel indices (or lists of them) as names, so that the order of these names does not matter later."""
    is_list = pa.types.is_list(values.type)
    flat = values.values if is_list else values
    top = pc.max(flat).as_py()
    if top is not None and top >= len(names):
        at = pc.index(flat, pa.scalar(top, flat.type)).as_py()
        row = int(np.searchsorted(values.offsets.to_numpy(), at, "right")) if is_list else at + 1
        raise DataError(f"{where}, row {row + start}: holds class {top}, but its ClassLabel has {len(names)} names.")
    flat = pa.array(names).take(pc.if_else(pc.less(flat, 0), pa.scalar(None, flat.type), flat))
    if not is_list:
        return flat
    return pa.ListArray.from_arrays(values.offsets, flat, mask=values.is_null() if values.null_count else None)


def tidy(frame: Frame) -> Frame:
    """The frame with its dict of labels taken apart and without blanks around the names of its columns.

    Raises:
        DataError: two columns of one name.
    """
    table, dict_name = frame.table, ""
    fields: tuple[str, ...] = ()
    name = named_like(LABEL_COLUMNS, [field.name for field in table.schema if pa.types.is_struct(field.type)])
    if name is not None:
        labels, dict_name = frame.column(name), name.strip()
        fields = tuple(f.name.strip() for f in labels.type)
        taken = next((label for label in fields if label in set(table.column_names) - {name}), None)
        if taken is not None:
            raise DataError(
                f"{frame.path}: the label {taken!r} in the dicts of {name!r} has the name of another column; "
                "rename one."
            )
        table = table.drop_columns([name])
        for label, array in zip(fields, labels.flatten(), strict=True):
            table = table.append_column(label, array)
    table = table.rename_columns([name.strip() for name in table.column_names])
    twice = next((name for name in table.column_names if table.column_names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{frame.path}: has more than one column {twice!r}; rename one.")
    class_names = {name.strip(): names for name, names in frame.class_names.items()}
    broken = {name.strip(): said for name, said in frame.broken.items()}
    return replace(frame, table=table, class_names=class_names, fields=fields, dict_name=dict_name, broken=broken)


def join_frames(path: Path | str, frames: Sequence[Frame]) -> Frame:
    """The rows of several files of one split, in order.

    Raises:
        DataError: files with other columns, names or kinds of values than the first.
    """
    first = frames[0]
    for frame in frames[1:]:
        odd = sorted(set(frame.names) ^ set(first.names))
        if odd:
            raise DataError(f"{frame.path}: differs from {first.name} in the column {odd[0]!r}; both are one split.")
        if {**frame.class_names} != {**first.class_names}:
            raise DataError(f"{frame.path}: its ClassLabel has other names than that of {first.name}.")
    try:
        table = pa.concat_tables([frame.table for frame in frames], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"{path}: the files of one split differ in their values ({first_line(error)}).") from None
    are_told_apart = len({frame.name for frame in frames}) == len(frames)
    shards = tuple((frame.name if are_told_apart else str(frame.path), frame.table.num_rows) for frame in frames)
    broken = {name: said for frame in reversed(frames) for name, said in frame.broken.items()}
    remarks = tuple(said for frame in frames for said in frame.remarks)
    return replace(first, path=path, table=table, shards=shards, broken=broken, remarks=remarks)


def frame_of_object(data: Any, split: str) -> Frame:
    """An object in memory as a frame.

    Args:
        data: a datasets.Dataset (with its selection, and its columns as stored) or IterableDataset, a pandas
            DataFrame, a list of dictionaries, or a table of a library that hands out Arrow streams.
        split: what it is, for messages.

    Raises:
        UsageError: any other object.
        DataError: columns that cannot be made Arrow arrays.
    """
    kind = type(data).__name__
    where = f"{split} ({kind})"
    try:
        if isinstance(data, datasets.Dataset):
            table = data.with_format("arrow")[:] if len(data) else data.data.table.slice(0, 0)
            return frame_of_arrow(where, table, kind, data.features)
        if isinstance(data, datasets.IterableDataset):
            return frame_of_rows(where, list(data), kind) if data.features is None else frame_of_object(
                datasets.Dataset.from_list(list(data), features=data.features), split
            )  # fmt: skip
        if kind == "DataFrame" and type(data).__module__.partition(".")[0] == "pandas":
            return frame_of_pandas(where, data, kind)
        if hasattr(data, "__arrow_c_stream__"):
            return frame_of_arrow(where, pa.table(data), kind)
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(f"{where}: cannot be read ({first_line(error)}).") from None
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        return frame_of_rows(where, list(data), "rows in memory")
    raise UsageError(
        f"{split}: cannot read a {kind}; expected a file or folder, a datasets.Dataset or IterableDataset, a pandas "
        "DataFrame, an Arrow table or a list of dictionaries."
    )


def frame_of_pandas(path: Path | str, data: Any, format: str, start: int = 0) -> Frame:
    """A frame of a pandas DataFrame. Words such as "None" and "NA" stay text; what pandas calls missing is null."""
    names = [str(name) for name in data.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: has more than one column {twice!r}; rename one.")
    arrays, broken = {}, {}
    for i, name in enumerate(names):
        try:
            arrays[name] = pa.array(data.iloc[:, i], from_pandas=True)
        except _NOT_ARROW:
            try:
                arrays[name] = _array(list(_python(data.iloc[:, i])), path, name, start)
            except DataError as error:
                arrays[name], broken[name] = pa.nulls(len(data)), str(error)
    frame = frame_of_arrow(path, pa.table(arrays), format, start=start)
    return replace(frame, broken={**frame.broken, **{name.strip(): said for name, said in broken.items()}})


def _python(column: Any) -> Iterable[Any]:
    """The values of a pandas column as Python's own, None for missing ones."""
    for value in column.tolist():
        is_missing = type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
        yield None if is_missing else value.tolist() if hasattr(value, "tolist") else value
