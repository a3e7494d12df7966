"""Parquet, Arrow and feather files, and objects in memory, as tables in the types that the package knows."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import pyarrow.parquet as pq

from ..labels.schema import LabelSchema
from ..utils.errors import DataError, UsageError
from .frame import Frame, ReadSettings, whole
from .json_lines import as_array, frame_of_rows

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path, settings: ReadSettings) -> Frame:
    """A .parquet file; ClassLabel names of files that datasets wrote are kept."""
    with path.open("rb") as file:
        if _edges(file, 4) != (b"PAR1", b"PAR1"):
            raise DataError(f"{path}: is no whole Parquet file (it does not begin and end with 'PAR1').")
        return table_frame(path, pq.ParquetFile(file).read(), "Parquet")


def read_arrow(path: Path, settings: ReadSettings) -> Frame:
    """An .arrow, .ipc or .feather file, in the file or in the stream format."""
    with path.open("rb") as file:
        start, end = _edges(file, 6)
        if start == b"ARROW1":
            if end != b"ARROW1":
                raise DataError(f"{path}: is no whole Arrow file (it begins with 'ARROW1' and does not end with it).")
            return table_frame(path, pa.ipc.open_file(file).read_all(), "Arrow file")
        if start.startswith(b"FEA1"):
            return table_frame(path, feather.read_table(file), "feather")
        return table_frame(path, pa.ipc.open_stream(file).read_all(), "Arrow stream")


def _edges(file: Any, n_bytes: int) -> tuple[bytes, bytes]:
    """The first and the last bytes of an open file, which is left at its beginning."""
    start = file.read(n_bytes)
    file.seek(max(0, file.seek(0, 2) - n_bytes))
    end = file.read()
    file.seek(0)
    return start, end


def table_frame(
    path: Path | str, table: pa.Table, format: str, features: Mapping[str, Any] | None = None, start: int = 0
) -> Frame:
    """A frame of an Arrow table, without the index that pandas stores as a column.

    Args:
        path: what messages begin with.
        table: the rows.
        format: the format, in words.
        features: those of a datasets.Dataset; None for what the table's own metadata says.
        start: rows of the file before these.

    Raises:
        DataError: features that cannot be read, a class index beyond the names of its ClassLabel, or JSON values of
            several kinds.
    """
    if features is None:
        features = _own_features(path, table.schema)
    table = table.drop_columns([name for name in table.column_names if _PANDAS_INDEX.fullmatch(name)])
    columns: list[pa.Array] = []
    class_names, broken = {}, {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            values = _plain(whole(column), path, name, start)
        except pa.ArrowException:
            broken[name] = f"{path}: column {name!r} holds {column.type}, which is not read; make it text or numbers."
            values = pa.nulls(len(column))
        except DataError as error:
            broken[name], values = str(error), pa.nulls(len(column))
        try:
            schema = LabelSchema.from_features(features, name)
        except UsageError as error:
            raise DataError(f"{path}: column {name!r}: its ClassLabel is not right. {error}") from None
        if schema is not None:
            class_names[name] = schema.names
            values = _named(values, schema.names, f"{path}: column {name!r}", start)
        columns.append(values)
    plain = pa.Table.from_arrays(columns, names=table.column_names)
    return Frame(path, plain, class_names, format=format, broken=broken, start=start)


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
        if pa.types.is_string(values.type) and name:  # datasets' Json: each value is one JSON document
            documents = [None if v is None else json.loads(v) for v in values.to_pylist()]
            return as_array(documents, path, name, start)[0]
    values = _without_views(values)
    kind = _plain_type(values.type)
    if kind == pa.list_(pa.null()):  # whose cast loses values in pyarrow 26
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
    is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if any(is_kind(kind) for is_kind in is_list):
        return pa.list_(_plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind])
    return kind


def _named(values: pa.Array, names: Sequence[str], where: str, start: int) -> pa.Array:
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


_BLOCK = 10_000  # rows of a stream that are asked for at once


def object_frame(data: Any, split: str) -> Frame:
    """The rows of an object as a frame.

    Args:
        data: a datasets.Dataset (its columns, without a transform) or IterableDataset (read to its end), a pandas
            DataFrame, a list of dictionaries, or a table of a library that hands out Arrow streams, such as pyarrow.
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
            return table_frame(where, table, kind, data.features)
        if isinstance(data, datasets.IterableDataset):
            return _stream_frame(where, data)
        if _is_pandas(data):
            return _pandas_frame(where, data)
        if hasattr(data, "__arrow_c_stream__"):
            return table_frame(where, pa.table(data), kind)
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(f"{where}: cannot be read ({str(error).splitlines()[0][:300]}).") from None
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        return frame_of_rows(where, list(data), "rows in memory")
    raise UsageError(
        f"{split}: cannot read a {kind}; expected a file or folder, a datasets.Dataset or IterableDataset, a pandas "
        "DataFrame, an Arrow table or a list of dictionaries."
    )


def _stream_frame(where: str, stream: datasets.IterableDataset) -> Frame:
    if stream.features is None:  # blocks may differ in their types
        return frame_of_rows(where, list(stream), "IterableDataset")
    blocks = list(stream.with_format("arrow").iter(batch_size=_BLOCK))
    table = (
        pa.concat_tables(blocks, promote_options="permissive")
        if blocks
        else stream.features.arrow_schema.empty_table()
    )
    return table_frame(where, table, "IterableDataset", stream.features)


def _is_pandas(data: Any) -> bool:
    return type(data).__name__ == "DataFrame" and type(data).__module__.partition(".")[0] == "pandas"


def _pandas_frame(where: str, frame: Any) -> Frame:
    """Words such as "None" and "NA" stay text; only what pandas itself calls missing is null."""
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{where}: has more than one column {twice[0]!r}; rename one.")
    arrays, mixed, broken = {}, {}, {}
    for i, name in enumerate(names):
        column = frame.iloc[:, i]
        try:
            arrays[name] = pa.Array.from_pandas(column)
        except (UnicodeEncodeError, pa.ArrowException, OverflowError):
            values = [None if _is_missing(value) else _listed(value) for value in column.tolist()]
            try:
                arrays[name], said = as_array(values, where, name)
                if said:
                    mixed[name] = said
            except DataError as error:
                arrays[name], broken[name] = pa.nulls(len(column)), str(error)
    arrays = {n: pa.chunked_array([a]) if isinstance(a, pa.Array) else a for n, a in arrays.items()}
    found = table_frame(where, pa.table(arrays), "DataFrame")
    broken |= found.broken
    return Frame(where, found.table, found.class_names, format="DataFrame", mixed=mixed, broken=broken)


def _listed(value: Any) -> Any:
    """numpy's arrays and numbers as Python's."""
    return value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, (tuple, set)) else value


def _is_missing(value: Any) -> bool:
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )
