"""Files read in batches of rows, each a Frame; of each file type one small class."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ..errors import DataError, UsageError
from ..label_columns import LABEL_COLUMNS
from ..labels import LabelSchema
from .files import Frame

_LONGEST_LINE = 1 << 26
"""Of a JSON lines file, in bytes: more than 64 MiB is no row of labelled text, and would not fit into the memory."""

_CSV_BYTES = 1 << 23

Columns = Sequence[str] | None


class BatchFile:
    """A file that is read in batches.

    Args:
        path: the file.
        read: (columns or None for all, rows at a time) -> tables.
        n_rows: its rows; -1 where it does not say.
        schema: its Arrow schema; None where it has none.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Columns, int], Iterator[pa.Table]],
        n_rows: int = -1,
        schema: pa.Schema | None = None,
    ) -> None:
        self.path, self.read, self.n_rows = path, read, n_rows
        self.class_names = _class_names(path, schema)

    def frames(self, columns: Columns, rows: int, as_names: bool = True) -> Iterator[Frame]:
        """The file in batches of at most `rows` rows, of some columns (those that it has) or all.

        Args:
            columns: their names; None for all.
            rows: at a time.
            as_names: whether indices of a ClassLabel become names, as in a file that is loaded as a whole.

        Raises:
            DataError: a file that cannot be read.
        """
        start = 0
        try:
            for table in self.read(columns, rows):
                if len(table):
                    yield self._frame(table, start, as_names)
                start += len(table)
        except (OSError, pa.ArrowException, UnicodeError, csv.Error) as error:
            raise DataError(f"{self.path}: cannot be read ({str(error).splitlines()[0][:300]}).") from None

    def _frame(self, table: pa.Table, start: int, as_names: bool) -> Frame:
        """A batch with the types and names that a file has which is loaded as a whole."""
        fields: tuple[str, ...] = ()
        arrays: dict[str, pa.Array] = {}
        for name, column in zip(table.column_names, table.columns, strict=True):
            array = pa.concat_arrays(column.chunks)
            if name in LABEL_COLUMNS and not fields and pa.types.is_struct(array.type):  # a dict of labels
                fields = tuple(f.name for f in array.type)
                parts = dict(zip(fields, array.flatten(), strict=True))
            else:
                parts = {name: array}
            for part, values in parts.items():
                if part.strip() in arrays:
                    raise DataError(f"{self.path}: has more than one column {part.strip()!r}; rename one.")
                values = values.cast(_plain_type(values.type))
                if as_names and part.strip() in self.class_names:
                    values = self._named(values, part.strip(), start)
                arrays[part.strip()] = values
        return Frame(self.path, pa.table(arrays), self.class_names, fields)

    def _named(self, values: pa.Array, column: str, start: int) -> pa.Array:
        """ClassLabel indices (or lists of them) as names; negative ones as null."""
        names = self.class_names[column]
        is_list = pa.types.is_list(values.type)
        flat = values.flatten() if is_list else values
        numbers = flat.cast(pa.int64()).fill_null(-1).to_numpy()
        if (numbers >= len(names)).any():
            at = int(np.argmax(numbers >= len(names)))
            row = np.repeat(np.arange(len(values)), pc.list_value_length(values).fill_null(0))[at] if is_list else at
            where = f"{self.path}: column {column!r}, row {start + row + 1}"
            raise DataError(f"{where}: holds class {numbers[at]}, but its ClassLabel has {len(names)} names.")
        flat = pa.array(names, pa.string()).take(pa.array(numbers, mask=numbers < 0))
        if not is_list:
            return flat
        lengths = pc.list_value_length(values).fill_null(0).to_numpy()
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return pa.ListArray.from_arrays(offsets, flat, mask=values.is_null() if values.null_count else None)


def open_batches(path: Path) -> BatchFile:
    """A file to read in batches, by its ending.

    Raises:
        UsageError: a file that is not there, or of another kind.
        DataError: a file that cannot be read.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file.")
    opened = _READERS.get(path.suffix.lower())
    if opened is None:
        raise UsageError(f"{path}: expected a file that ends with {', '.join(_READERS)}.")
    try:
        return opened(path)
    except (OSError, pa.ArrowException, UnicodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0][:300]}).") from None


def _parquet(path: Path) -> BatchFile:
    with pq.ParquetFile(path) as file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows

    def read(columns: Columns, rows: int) -> Iterator[pa.Table]:
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            names = None if columns is None else _top_names(columns, schema)
            for batch in file.iter_batches(rows, columns=names, use_threads=False):
                yield pa.Table.from_batches([batch])

    return BatchFile(path, read, n_rows, schema)


def _arrow(path: Path) -> BatchFile:
    """An Arrow file, or a stream as datasets writes them."""

    def opened(source: pa.NativeFile) -> Any:
        try:
            return pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_stream(source)

    def batches() -> Iterator[pa.RecordBatch]:
        with pa.memory_map(str(path)) as source:
            reader = opened(source)
            if isinstance(reader, pa.RecordBatchFileReader):
                yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                yield from reader

    with pa.memory_map(str(path)) as source:
        schema = opened(source).schema
    n_rows = sum(batch.num_rows for batch in batches())

    def read(columns: Columns, rows: int) -> Iterator[pa.Table]:
        names = None if columns is None else _top_names(columns, schema)
        waiting, n = [], 0
        for batch in batches():
            batch = batch if names is None else batch.select(names)
            for at in range(0, batch.num_rows, rows):
                piece = batch.slice(at, rows)
                if n + piece.num_rows > rows:
                    yield pa.Table.from_batches(waiting)
                    waiting, n = [], 0
                waiting.append(piece)
                n += piece.num_rows
        if waiting:
            yield pa.Table.from_batches(waiting)

    return BatchFile(path, read, n_rows, schema)


def _delimited(path: Path) -> BatchFile:
    """CSV and TSV: every cell a string. The separator is the one that parts the header into most columns."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline(1 << 20)
        while header and not header.strip():
            header = file.readline(1 << 20)
    if not header.strip():
        raise DataError(f"{path}: is empty; expected a header and rows.")
    separators = "\t,;|" if path.suffix.lower() == ".tsv" else ",;\t|"
    headers = {s: next(csv.reader([header], delimiter=s)) for s in separators}
    separator = max(headers, key=lambda s: len(headers[s]))
    names = headers[separator]

    def read(columns: Columns, rows: int) -> Iterator[pa.Table]:
        wanted = None if columns is None else [name for name in names if name.strip() in columns]
        with pa_csv.open_csv(
            path,
            pa_csv.ReadOptions(use_threads=False, block_size=_CSV_BYTES),
            pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=wanted),
        ) as reader:
            for batch in reader:
                for at in range(0, batch.num_rows, rows):
                    yield pa.Table.from_batches([batch.slice(at, rows)])

    return BatchFile(path, read)


def _json_lines(path: Path) -> BatchFile:
    """JSON lines. A column that no value was given for in a batch is one of nulls there."""

    def lines() -> Iterator[tuple[int, str]]:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE and not line.endswith("\n"):
                    raise DataError(
                        f"{path}: line {number} is longer than {_LONGEST_LINE >> 20} MiB; expected one object a line."
                    )
                if line.strip():
                    yield number, line

    def read(columns: Columns, rows: int) -> Iterator[pa.Table]:
        names: dict[str, None] = {}
        batch: list[dict[str, Any]] = []
        for number, line in lines():
            batch.append(_json_row(path, number, line))
            if len(batch) == rows:
                yield _json_table(batch, names, columns)
                batch = []
        if batch:
            yield _json_table(batch, names, columns)

    return BatchFile(path, read)


def _json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: line {number} is no valid JSON ({error}); expected one object a line.") from None
    if not isinstance(row, dict):
        raise DataError(f"{path}: line {number} is a {type(row).__name__}; expected one JSON object a line.")
    return row


def _json_table(batch: list[dict[str, Any]], names: dict[str, None], columns: Columns) -> pa.Table:
    """Rows as a table with all columns that were met so far; kinds that Arrow does not mix become strings."""
    names.update(dict.fromkeys(name for row in batch for name in row))
    arrays = {}
    for name in names:
        values = [row.get(name) for row in batch]
        is_wanted = columns is None or name.strip() in columns or name in LABEL_COLUMNS
        if is_wanted:
            try:
                arrays[name] = pa.array(values)
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
                texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
                arrays[name] = pa.array(texts, pa.string())
    return pa.table(arrays)


def _top_names(columns: Sequence[str], schema: pa.Schema) -> list[str]:
    """The columns as the file spells them; a dict of labels, which was taken apart, in their place."""
    names = [name for name in schema.names if name.strip() in columns]
    dicts = [n for n in LABEL_COLUMNS if n in schema.names and pa.types.is_struct(schema.field(n).type)]
    return [*names, *(name for name in dicts[:1] if name not in names)]


def _class_names(path: Path, schema: pa.Schema | None) -> dict[str, tuple[str, ...]]:
    if schema is None or b"huggingface" not in (schema.metadata or {}):  # written by datasets, which adds its features
        return {}
    try:
        features = datasets.Features.from_arrow_schema(schema)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the features in its metadata cannot be read ({error}).") from None
    known = {name.strip(): LabelSchema.from_features(features, name) for name in features}
    return {name: labels.names for name, labels in known.items() if labels is not None}


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The one type for strings, lists and categories that the rest of this package knows."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind


_READERS: dict[str, Callable[[Path], BatchFile]] = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".csv": _delimited,
    ".tsv": _delimited,
    ".jsonl": _json_lines,
    ".json": _json_lines,
}
