"""Reading files: bytes become tables by pandas (CSV, Excel), pyarrow (Parquet, Arrow, feather) and json.

A file is read whole or in batches of rows by the same function.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from ..utils.errors import DataError, UsageError, first_five, first_line, quoted
from .frame import Frame, frame_of_arrow, frame_of_pandas, frame_of_rows, join_frames
from .text_files import (
    TEXT,
    Batch,
    Batches,
    Columns,
    ReadSettings,
    not_decoded,
    open_text,
    read_delimited,
    read_text_lines,
)

_COMPRESSED = (".gz", ".bz2", ".xz", ".zip")


def ending(path: Path) -> str:
    """The ending of a file's name, without that of its compression.

    >>> ending(Path("train.CSV.gz"))
    '.csv'
    """
    suffix = path.suffix.lower()
    return ending(path.with_suffix("")) if suffix in _COMPRESSED else suffix


def stem(path: Path) -> str:
    """The name of a file without its endings."""
    return Path(path.stem).stem if path.suffix.lower() in _COMPRESSED else path.stem


def read_files(paths: Path | tuple[Path, ...], settings: ReadSettings) -> Frame:
    """The file, or the files of one split, as one frame."""
    if isinstance(paths, Path):
        return read_file(paths, settings)
    frames = [read_file(path, settings) for path in paths]
    return join_frames(paths[0].parent / f"{paths[0].name} and {len(paths) - 1} more", frames)


def read_file(path: Path, settings: ReadSettings) -> Frame:
    """A file as a frame; one that cannot be read, or has no rows, is an error that names it."""
    frame = next(read_batches(path, settings), None)
    if frame is None:
        raise DataError(f"{path}: has no rows.")
    return frame


def read_batches(
    path: Path, settings: ReadSettings, columns: Columns = None, rows: int | None = None
) -> Iterator[Frame]:
    """A file in batches.

    Args:
        path: the file.
        settings: how it is written.
        columns: the columns that are needed, for formats that can leave others out; None for all.
        rows: at most so many at a time; None for all at once.

    Raises:
        UsageError: another kind of file, or one that may be read in several ways.
        DataError: a file that cannot be read.
    """
    reader = READERS.get(ending(path))
    if reader is None:
        raise UsageError(f"{path}: expected one of the endings {', '.join(READERS)}.")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, no file.")
    start = 0
    try:
        for batch in reader(path, settings, columns, rows):
            if not len(batch.rows):
                continue
            make = (
                frame_of_rows if isinstance(batch.rows, list)
                else frame_of_arrow if isinstance(batch.rows, pa.Table)
                else frame_of_pandas
            )  # fmt: skip
            yield replace(make(path, batch.rows, batch.format, start=start), remarks=batch.remarks)
            start += len(batch.rows)
    except UnicodeDecodeError:
        raise DataError(not_decoded(path, settings)) from None
    except (OSError, EOFError, pa.ArrowException, UnicodeError) as error:
        said = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"{path}: cannot be read ({said}).") from None


def count_rows(path: Path) -> int:
    """The rows of a Parquet or Arrow file, without its values being read; -1 for other files, which do not say."""
    if ending(path) == ".parquet":
        return pq.read_metadata(path).num_rows
    return -1 if ending(path) in (*TEXT, ".xlsx") else sum(batch.num_rows for batch in _arrow_batches(path))


def _excel(path: Path, settings: ReadSettings, columns: Columns, rows: int | None) -> Batches:
    import pandas as pd

    try:
        with pd.ExcelFile(path) as book:
            how = {"dtype": str, "na_filter": False, "sheet_name": 0, **settings.reader_args}
            sheet = how["sheet_name"] if isinstance(how["sheet_name"], str) else book.sheet_names[how["sheet_name"]]
            more = len(book.sheet_names) - 1
            remark = f"{path.name} has {more} more sheets than {sheet!r}; name another one: --reader_args " + (
                '\'{"sheet_name": "..."}\'.'
            )
            yield Batch(pd.read_excel(book, **how), f"Excel, sheet {sheet!r}", (remark,) if more else ())
    except ImportError:
        raise UsageError(f"{path}: needs openpyxl: pip install 'imbalance-trainer[excel]'.") from None
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}).") from None


def _text(path: Path, settings: ReadSettings, columns: Columns, rows: int | None) -> Batches:
    """A .txt file: JSON where it begins like it, else lines or a table."""
    with open_text(path, settings) as file:
        is_json = re.match(r"\s*(\{|\[\s*\{)", file.read(1000)) is not None
    yield from (_json if is_json else read_text_lines)(path, settings, columns, rows)


def _json(path: Path, settings: ReadSettings, columns: Columns, rows: int | None) -> Batches:
    """One object a line, else one document, which `json_rows` takes apart."""
    with open_text(path, settings) as file:
        lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        first = list(islice(lines, 2))
        if _begins_with_a_row(first):
            every = chain(first, lines)
            met: dict[str, None] = {}  # a column stays where a later batch has no value for it
            while some := list(islice(every, rows)):
                batch = [_object(path, number, line) for number, line in some]
                met.update(dict.fromkeys(name for row in batch for name in row))
                yield Batch([{**met, **batch[0]}, *batch[1:]], "JSON lines")
            return
    if not first:
        return
    found = json_rows(path, load_json(path, settings))
    step = rows or max(len(found), 1)
    for at in range(0, len(found), step):
        yield Batch(found[at : at + step], "JSON")


def _begins_with_a_row(lines: Sequence[tuple[int, str]]) -> bool:
    try:
        row = json.loads(lines[0][1]) if lines else None
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and (len(lines) > 1 or not (json_tables(row) or _is_label_info(row)))


def _loads(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_without_repeats)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return row


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = _loads(line.strip())
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: line {number} is no valid JSON ({first_line(error)}); expected one JSON object a line."
        ) from None
    if not isinstance(row, dict):
        raise DataError(f"{path}: line {number} is no JSON object; expected one JSON object a line.")
    return row


def load_json(path: Path, settings: ReadSettings) -> Any:
    """The document in a file of JSON."""
    with open_text(path, settings) as file:
        try:
            return _loads(file.read())
        except (ValueError, RecursionError) as error:
            if isinstance(error, UnicodeError):
                raise
            raise DataError(
                f"{path}: is no valid JSON ({first_line(error)}); expected an array of objects, or one object a line."
            ) from None


def json_tables(document: Any) -> dict[str, list]:
    """The lists of objects in a document, by their key; none in any other document, or one of columns."""
    if not isinstance(document, dict):
        return {}
    if isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):  # as pandas splits it
        return {"": [dict(zip(document["columns"], row, strict=False)) for row in document["data"]]}
    inner = [v.keys() for v in document.values() if isinstance(v, dict)]
    if len(inner) == len(document) > 1 and all(keys == inner[0] for keys in inner):  # columns by the rows' names
        return {"": [{name: column[key] for name, column in document.items()} for key in inner[0]]}
    lists = {k: v for k, v in document.items() if isinstance(v, list)}
    if lists and all(isinstance(row, dict) for rows in lists.values() for row in rows):
        return {k: v for k, v in lists.items() if v} if len(lists) == len(document) or len(lists) == 1 else {}
    same = len(lists) == len(document) > 1 and len({len(v) for v in lists.values()}) == 1
    return {"": [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]} if same else {}


def json_splits(path: Path, settings: ReadSettings) -> dict[str, list]:
    """The lists of objects of a file with one JSON document, by their key; none in any other file."""
    if ending(path) not in (".json", ".txt"):
        return {}
    with open_text(path, settings) as file:
        first = list(islice((line for line in file if line.strip()), 2))
    if not first or not first[0].lstrip().startswith("{") or _begins_with_a_row(list(enumerate(first))):
        return {}
    return json_tables(load_json(path, settings))


def _is_label_info(document: Any) -> bool:
    return (
        isinstance(document, dict) and isinstance(document.get("names"), list) and not {*document} & {"text", "data"}
    )


def json_rows(path: Path, document: Any) -> list[Mapping[str, Any]]:
    """The rows of a document: an array of objects, one in an object, or an object of columns."""
    if _is_label_info(document):
        raise UsageError(f"{path}: holds names of labels, as a label_info.json does; give it with --label_schema.")
    tables = json_tables(document)
    rows = document if isinstance(document, list) else next(iter(tables.values())) if len(tables) == 1 else None
    if rows is None:
        found = f" with the keys {quoted(list(map(str, document)))}" if isinstance(document, dict) else ""
        raise DataError(f"{path}: is one JSON object{found}; expected one object a line, or one array of objects.")
    odd = [f"element {i}" for i, row in enumerate(rows, 1) if not isinstance(row, dict)]
    if odd:
        raise DataError(f"{path}: expected an array of JSON objects; found others in {first_five(odd)}.")
    return rows


# ---- Arrow ----


def _parquet(path: Path, settings: ReadSettings, columns: Columns, rows: int | None) -> Batches:
    with pq.ParquetFile(path, buffer_size=1 << 20 if rows else 0) as file:
        names = _needed(columns, file.schema_arrow)
        if rows is None:
            yield Batch(file.read(columns=names), "Parquet")
            return
        for batch in file.iter_batches(rows, columns=names, use_threads=False):
            yield Batch(pa.Table.from_batches([batch]), "Parquet")


def _arrow(path: Path, settings: ReadSettings, columns: Columns, rows: int | None) -> Batches:
    """An Arrow file or stream, or a feather file."""
    if path.open("rb").read(4) == b"FEA1":
        yield Batch(feather.read_table(path), "feather")
        return
    if rows is None:
        batches = list(_arrow_batches(path))
        yield Batch(pa.Table.from_batches(batches) if batches else [], "Arrow file")
        return
    for batch in _arrow_batches(path):
        batch = batch.select(_needed(columns, batch.schema) or batch.schema.names)
        for at in range(0, batch.num_rows, rows):
            yield Batch(pa.Table.from_batches([batch.slice(at, rows)]), "Arrow file")


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as source:
        if source.read(6) == b"ARROW1":
            reader = pa.ipc.open_file(source)
            yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            return
        source.seek(0)
        yield from pa.ipc.open_stream(source)


def _needed(columns: Columns, schema: pa.Schema) -> list[str] | None:
    """The columns as the file spells them, and dicts, which are taken apart."""
    if columns is None:
        return None
    return [field.name for field in schema if field.name.strip() in columns or pa.types.is_struct(field.type)]


READERS: dict[str, Callable[[Path, ReadSettings, Columns, int | None], Batches]] = {
    ".parquet": _parquet,
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".jsonl": _json,
    ".json": _json,
    ".txt": _text,
    ".xlsx": _excel,
    ".arrow": _arrow,
    ".feather": _arrow,
    ".ipc": _arrow,
}
"""Per ending of a file its reader. One more format is one function and one entry."""
