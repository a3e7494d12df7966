"""Objects in memory as frames: datasets, streams, pandas frames, anything that hands out Arrow, lists of rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import pyarrow as pa

from ..utils.errors import DataError, UsageError
from .columnar import table_frame
from .frame import Frame
from .json_lines import as_array, frame_of_rows

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
