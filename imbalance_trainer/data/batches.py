"""Files read in batches of rows, each a Frame as of a file that is loaded; for each file type a function."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ..utils.constants import LABEL_COLUMNS
from ..utils.errors import DataError, UsageError, first_line
from .columnar import table_frame
from .delimited import LOOKED_AT, checked_delimiter, find_delimiter, first_rows
from .frame import Frame, tidy
from .json_lines import frame_of_rows, json_row

_LONGEST_LINE = 1 << 26
"""Characters of a line of JSON: more is no row of labelled text, and would not fit into the memory."""

_CSV_BYTES = 1 << 23

Columns = Sequence[str] | None


class BatchFile:
    """A file that is read in batches.

    Args:
        path: the file.
        read: (columns or None for all, rows at a time) -> tables, or lists of dictionaries.
        format: the format, in words.
        n_rows: its rows; -1 where it does not say.
        schema: its Arrow schema; None where it has none.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Columns, int], Iterator[Any]],
        format: str,
        n_rows: int = -1,
        schema: pa.Schema | None = None,
    ) -> None:
        self.path, self.read, self.format, self.n_rows, self.schema = path, read, format, n_rows, schema

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """Per column the names that its ClassLabel carries, in a file that datasets wrote."""
        if self.schema is None:
            return {}
        empty = table_frame(self.path, self.schema.empty_table(), self.format)
        return {name.strip(): names for name, names in empty.class_names.items()}

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
            for batch in self.read(columns, rows):
                if len(batch):
                    frame = self._frame(batch, as_names, start)
                    for name in set(columns or ()) & set(frame.broken):
                        raise DataError(frame.broken[name])
                    yield frame
                start += len(batch)
        except (OSError, pa.ArrowException, UnicodeError, csv.Error) as error:
            said = re.sub(r"\bRow #(\d+)", _without_header, first_line(error))
            raise DataError(f"{self.path}: cannot be read ({said}).") from None

    def _frame(self, batch: Any, as_names: bool, start: int) -> Frame:
        if isinstance(batch, list):
            return tidy(frame_of_rows(self.path, batch, self.format, start))
        return tidy(table_frame(self.path, batch, self.format, None if as_names else {}, start))


def _without_header(row: re.Match[str]) -> str:
    """The number of a row of CSV as this package counts, from 1 after the header."""
    return f"row {int(row[1]) - 1}"


def open_batches(path: Path, delimiter: str | None = None) -> BatchFile:
    """A file to read in batches, by its ending.

    Args:
        path: the file.
        delimiter: between the columns of a CSV file; None to find it.

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
        return opened(path, delimiter)
    except (OSError, pa.ArrowException, UnicodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}).") from None


def _parquet(path: Path, delimiter: str | None) -> BatchFile:
    with pq.ParquetFile(path) as file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows

    def read(columns: Columns, rows: int) -> Iterator[pa.Table]:
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(rows, columns=_spelled(columns, schema), use_threads=False):
                yield pa.Table.from_batches([batch])

    return BatchFile(path, read, "Parquet", n_rows, schema)


def _arrow(path: Path, delimiter: str | None) -> BatchFile:
    """An Arrow file, or a stream as datasets writes them."""

    def batches() -> Iterator[Any]:
        """The schema, then the batches."""
        with pa.memory_map(str(path)) as source:
            try:
                reader = pa.ipc.open_file(source)
            except pa.ArrowInvalid:
                source.seek(0)
                reader = pa.ipc.open_stream(source)
            yield reader.schema
            if isinstance(reader, pa.RecordBatchFileReader):
                yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                yield from reader

    schema, *sizes = (part.num_rows if isinstance(part, pa.RecordBatch) else part for part in batches())

    def read(columns: Columns, rows: int) -> Iterator[pa.Table]:
        names = _spelled(columns, schema)
        waiting: list[pa.RecordBatch] = []
        n = 0
        for batch in batches():
            if not isinstance(batch, pa.RecordBatch):
                continue
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

    return BatchFile(path, read, "Arrow file", sum(sizes), schema)


def _delimited(path: Path, delimiter: str | None) -> BatchFile:
    """CSV and TSV in UTF-8: every cell a string."""
    with path.open("rb") as file:
        head = file.read(LOOKED_AT + 1).removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        raise DataError(f"{path}: is empty; expected a header and rows.")
    delimiter = checked_delimiter(delimiter, path, head) if delimiter else find_delimiter(path, head)
    names = first_rows(head, delimiter)[0]

    def read(columns: Columns, rows: int) -> Iterator[pa.Table]:
        wanted = None if columns is None else [name for name in names if name.strip() in columns]
        with pa_csv.open_csv(
            path,
            pa_csv.ReadOptions(use_threads=False, block_size=_CSV_BYTES),
            pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=wanted),
        ) as reader:
            for batch in reader:
                for at in range(0, batch.num_rows, rows):
                    yield pa.Table.from_batches([batch.slice(at, rows)])

    kind = "TSV" if path.suffix.lower() == ".tsv" else "CSV"
    return BatchFile(path, read, f"{kind}, {delimiter!r} between columns")


def _json_lines(path: Path, delimiter: str | None) -> BatchFile:
    """JSON lines in UTF-8. A key that no row of a batch has is a column of nulls there, once another batch had it."""

    def read(columns: Columns, rows: int) -> Iterator[list[dict[str, Any]]]:
        met: dict[str, None] = {}
        batch: list[dict[str, Any]] = []
        for row in _json_rows(path):
            if columns is not None:
                row = {k: v for k, v in row.items() if k.strip() in columns or k in LABEL_COLUMNS}
            met.update(dict.fromkeys(row))
            batch.append(row)
            if len(batch) == rows:
                yield [{**dict.fromkeys(met), **batch[0]}, *batch[1:]]
                batch = []
        if batch:
            yield [{**dict.fromkeys(met), **batch[0]}, *batch[1:]]

    return BatchFile(path, read, "JSON lines")


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE and not line.endswith("\n"):
                said = f"line {number} is longer than {_LONGEST_LINE >> 20} MB"
                raise DataError(f"{path}: {said}; expected one JSON object a line.")
            if line.strip():
                yield json_row(path, number, line)


def _spelled(columns: Columns, schema: pa.Schema) -> list[str] | None:
    """The columns as the file spells them, and a dict of labels, which is taken apart."""
    if columns is None:
        return None
    dicts = [n for n in LABEL_COLUMNS if n in schema.names and pa.types.is_struct(schema.field(n).type)]
    return [name for name in schema.names if name.strip() in columns or name in dicts[:1]]


_READERS: dict[str, Callable[[Path, str | None], BatchFile]] = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".feather": _arrow,
    ".ipc": _arrow,
    ".csv": _delimited,
    ".tsv": _delimited,
    ".jsonl": _json_lines,
    ".json": _json_lines,
}
