"""Reading files: bytes become tables by pandas (CSV, Excel), pyarrow (Parquet, Arrow, feather) and json.

A file is read whole or in batches of rows by the same function.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..utils.errors import DataError, UsageError, first_five, first_line, quoted
from .frame import Frame, join_frames, make_frame
from .text_files import TEXT, Batches, Settings, not_decoded, open_text, read_delimited, read_head, read_lines

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


def read_files(paths: Path | tuple[Path, ...], settings: Settings) -> Frame:
    """The file, or the files of one split, as one frame; a file that has no rows is an error that names it."""
    if isinstance(paths, Path):
        frame = next(read_batches(paths, settings), None)
        if frame is None:
            raise DataError(f"{paths}: has no rows.")
        return frame
    frames = [read_files(path, settings) for path in paths]
    return join_frames(paths[0].parent / f"{paths[0].name} and {len(paths) - 1} more", frames)


def read_batches(path: Path, settings: Settings, rows: int | None = None) -> Iterator[Frame]:
    """A file in batches.

    Args:
        path: the file.
        settings: how it is written.
        rows: at most so many at a time; None for all at once.

    Raises:
        UsageError: another kind of file, or one that may be read in several ways.
        DataError: a file that cannot be read.
    """
    reader = READERS.get(ending(path))
    if reader is None:
        raise UsageError(f"{path}: expected one of the endings {', '.join(READERS)}.")
    start = 0
    try:
        for batch, kind, remarks in reader(path, settings, rows):
            if len(batch):
                yield replace(make_frame(path, batch, kind, start=start), remarks=remarks)
                start += len(batch)
    except UnicodeDecodeError:
        raise DataError(not_decoded(path, settings)) from None
    except (OSError, EOFError, pa.ArrowException, UnicodeError) as error:
        said = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"{path}: cannot be read ({said}).") from None


def count_rows(path: Path) -> int:
    """The rows of a Parquet or Arrow file, without its values being read; -1 for other files, which do not say."""
    if ending(path) == ".parquet":
        return pq.read_metadata(path).num_rows
    is_silent = ending(path) in (*TEXT, ".xlsx")
    return -1 if is_silent else sum(len(table) for table, _, _ in _arrow(path, Settings(), 1 << 30))


def _excel(path: Path, settings: Settings, rows: int | None) -> Batches:
    import pandas as pd

    try:
        with pd.ExcelFile(path) as book:
            how = {"dtype": str, "na_filter": False, "sheet_name": 0, **settings.reader_args}
            sheet = how["sheet_name"] if isinstance(how["sheet_name"], str) else book.sheet_names[how["sheet_name"]]
            more = len(book.sheet_names) - 1
            remark = f"{path.name} has {more} more sheets than {sheet!r}; name another one: --reader_args " + (
                '\'{"sheet_name": "..."}\'.'
            )
            yield pd.read_excel(book, **how), f"Excel, sheet {sheet!r}", (remark,) if more else ()
    except ImportError:
        raise UsageError(f"{path}: needs openpyxl: pip install 'imbalance-trainer[excel]'.") from None
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}).") from None


def _parquet(path: Path, settings: Settings, rows: int | None) -> Batches:
    with pq.ParquetFile(path, buffer_size=1 << 20 if rows else 0) as file:
        if rows is None:
            yield file.read(), "Parquet", ()
            return
        for batch in file.iter_batches(rows, use_threads=False):
            yield pa.Table.from_batches([batch]), "Parquet", ()


def _arrow(path: Path, settings: Settings, rows: int | None) -> Batches:
    """An Arrow file (feather is one) or stream."""
    with pa.memory_map(str(path)) as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else reader
        if rows is None:
            yield pa.Table.from_batches(list(batches), reader.schema), "Arrow file", ()
            return
        for batch in batches:
            for at in range(0, batch.num_rows, rows):
                yield pa.Table.from_batches([batch.slice(at, rows)]), "Arrow file", ()


# ---- JSON ----


def _text(path: Path, settings: Settings, rows: int | None) -> Batches:
    """A .txt file: JSON where it begins like it, else lines or a table."""
    is_json = re.match(r"\s*(\{|\[\s*\{)", read_head(path, settings))
    return (_json if is_json else read_lines)(path, settings, rows)


def _json(path: Path, settings: Settings, rows: int | None) -> Batches:
    """One object a line, else one document with one list of rows."""
    with open_text(path, settings) as file:
        lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        first = list(islice(lines, 2))
        if _begins_with_a_row([line for _, line in first]):
            every = chain(first, lines)
            met: dict[str, None] = {}  # a column stays where a later batch has no value for it
            while some := list(islice(every, rows)):
                batch = [_load(path, line, number) for number, line in some]
                met.update(dict.fromkeys(name for row in batch for name in row))
                yield [{**met, **batch[0]}, *batch[1:]], "JSON lines", ()
            return
    if not first:
        return
    with open_text(path, settings) as file:
        document = _load(path, file.read())
    if _is_label_info(document):
        raise UsageError(f"{path}: holds names of labels, as a label_info.json does; give it with --label_schema.")
    tables = _tables(document)
    if len(tables) != 1:
        found = f" with the keys {quoted(list(map(str, document)))}" if isinstance(document, dict) else ""
        raise DataError(f"{path}: is one JSON object{found}; expected one object a line, or one array of objects.")
    (found_rows,) = tables.values()
    odd = [f"element {i}" for i, row in enumerate(found_rows, 1) if not isinstance(row, dict)]
    if odd:
        raise DataError(f"{path}: expected an array of JSON objects; found others in {first_five(odd)}.")
    step = rows or max(len(found_rows), 1)
    for at in range(0, len(found_rows), step):
        yield found_rows[at : at + step], "JSON", ()


def json_splits(path: Path, settings: Settings) -> dict[str, list]:
    """The lists of objects of a file with one JSON document, by their key; none in any other file."""
    if ending(path) not in (".json", ".txt"):
        return {}
    try:
        with open_text(path, settings) as file:
            first = list(islice((line for line in file if line.strip()), 2))
            is_object = bool(first) and first[0].lstrip().startswith("{") and not _begins_with_a_row(first)
            return _tables(_load(path, "".join([*first, *file]))) if is_object else {}
    except UnicodeDecodeError:  # which reading it says
        return {}


def _begins_with_a_row(lines: Sequence[str]) -> bool:
    try:
        row = json.loads(lines[0]) if lines else None
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and (len(lines) > 1 or not (_tables(row) or _is_label_info(row)))


def _load(path: Path, text: str, line: int | None = None) -> Any:
    """What a text, or a line with its number, spells; a DataError where that is no JSON, or a line is no object."""
    where, expected = (f"line {line} is", "one JSON object a line")
    if line is None:
        where, expected = "is", "an array of objects, or one object a line"
    try:
        found = json.loads(text.strip())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {where} no valid JSON ({first_line(error)}); expected {expected}.") from None
    if line is not None and not isinstance(found, dict):
        raise DataError(f"{path}: {where} no JSON object; expected {expected}.")
    return found


def _is_label_info(document: Any) -> bool:
    is_dict = isinstance(document, dict)
    return is_dict and isinstance(document.get("names"), list) and not {*document} & {"text", "data"}


def _tables(document: Any) -> dict[str, list]:
    """The lists of rows in a document, by their key; one list of columns, as pandas writes them."""
    if isinstance(document, list):
        return {"": document}
    if not isinstance(document, dict):
        return {}
    if isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):
        return {"": [dict(zip(document["columns"], row, strict=False)) for row in document["data"]]}
    values = list(document.values())
    if len(values) > 1 and all(isinstance(v, dict) and v.keys() == values[0].keys() for v in values):
        return {"": [{name: column[key] for name, column in document.items()} for key in values[0]]}
    lists = {k: v for k, v in document.items() if isinstance(v, list)}
    if lists and all(isinstance(row, dict) for rows in lists.values() for row in rows):
        return {k: v for k, v in lists.items() if v} if len(lists) == len(document) or len(lists) == 1 else {}
    if len(lists) == len(document) > 1 and len({len(v) for v in lists.values()}) == 1:
        return {"": [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]}
    return {}


READERS: dict[str, Callable[[Path, Settings, int | None], Batches]] = {
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
