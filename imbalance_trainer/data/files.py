"""Reading files: bytes become tables by csv, pandas (Excel), pyarrow (Parquet, Arrow) and json.

A file is read whole or in batches of rows by the same function.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..utils.errors import DataError, UsageError, first_five, first_line, quoted
from .frame import Frame, join_frames, make_frame
from .text_files import DELIMITED, Batches, Settings, not_decoded, open_text, read_delimited, read_head, read_lines

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
    if len(frames) == 1:
        return frames[0]
    return join_frames(paths[0].parent / f"{paths[0].name} and {len(paths) - 1} more", frames)


def read_batches(path: Path, settings: Settings, rows: int | None = None) -> Iterator[Frame]:
    """A file in batches of at most so many rows; None for all at once."""
    reader = READERS.get(ending(path))
    if reader is None:
        raise UsageError(f"{path}: expected one of the endings {', '.join(READERS)}.")
    start = 0
    try:
        for batch, kind, remarks in reader(path, settings, rows):
            if len(batch):
                yield replace(make_frame(path, batch, kind, start=start), remarks=remarks)
                start += len(batch)
    except UnicodeDecodeError as error:
        raise DataError(not_decoded(path, settings, error)) from None
    except (OSError, EOFError, pa.ArrowException, UnicodeError) as error:
        said = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"{path}: cannot be read ({said}).") from None


def _excel(path: Path, settings: Settings, rows: int | None) -> Batches:
    try:
        with pd.ExcelFile(path) as book:
            how = {"dtype": str, "na_filter": False, **settings.reader_args}
            is_asked = "sheet_name" in how or len(book.sheet_names) == 1
            remark = f"{path.name}: of the sheets {quoted(book.sheet_names)} the first is read; to name another one: "
            remark += '--reader_args \'{"sheet_name": "..."}\'.'
            yield pd.read_excel(book, **how), "Excel", () if is_asked else (remark,)
    except ImportError:
        raise UsageError(f"{path}: needs openpyxl: pip install 'imbalance-trainer[excel]'.") from None
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}).") from None


def _parquet(path: Path, settings: Settings, rows: int | None) -> Batches:
    with pq.ParquetFile(path, buffer_size=1 << 20 if rows else 0) as file:
        if rows is None:
            yield file.read(), "Parquet", ()
        else:
            batches = file.iter_batches(rows, use_threads=False)
            yield from ((pa.Table.from_batches([batch]), "Parquet", ()) for batch in batches)


def _arrow(path: Path, settings: Settings, rows: int | None) -> Batches:
    """An Arrow file or stream, of which nothing is read before it is asked for."""
    source = pa.memory_map(str(path))
    is_file = source.read(6) == b"ARROW1"
    source.seek(0)
    table = (pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)).read_all()
    step = rows or max(len(table), 1)
    yield from ((table.slice(at, step), "Arrow file", ()) for at in range(0, len(table), step))


def _text(path: Path, settings: Settings, rows: int | None) -> Batches:
    """A .txt file: JSON where it begins like it, else lines or a table."""
    is_json = re.match(r"\s*(\{|\[\s*\{)", read_head(path, settings))
    return (_json if is_json else read_lines)(path, settings, rows)


def _json(path: Path, settings: Settings, rows: int | None) -> Batches:
    """One object a line, where more lines follow; else one document with an array of objects."""
    with open_text(path, settings) as file:
        lines = ((f"line {number}", line) for number, line in enumerate(file, 1) if line.strip())
        first = list(islice(lines, 2))
        if len(first) == 2 and _is_object(first[0][1]):
            every = chain(first, lines)
            met: dict[str, None] = {}  # a column stays where a later batch has no value for it
            while some := list(islice(every, rows)):
                batch = _checked(path, [(place, _load(line, f"{path}: {place}")) for place, line in some])
                met.update(dict.fromkeys(name for row in batch for name in row))
                yield [{**met, **batch[0]}, *batch[1:]], "JSON lines", ()
            return
        file.seek(0)
        document = _load(file.read(), f"{path}:") if first else []
    if isinstance(document, dict) and not _is_row(document):
        if "names" in document and not {"text", "data"} & {*document}:
            raise UsageError(f"{path}: holds names of labels, as a label_info.json does; give it with --label_schema.")
        raise DataError(
            f"{path}: is one JSON object with the keys {quoted([*document])}; write its rows as one array of objects, "
            "or one object a line."
        )
    elements = document if isinstance(document, list) else [document]
    yield _checked(path, [(f"element {i}", row) for i, row in enumerate(elements, 1)]), "JSON", ()


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_row(document: dict[str, Any]) -> bool:
    """Whether an object is a row, rather than lists of rows or of columns."""
    has_rows = any(isinstance(v, list) and v and isinstance(v[0], dict) for v in document.values())
    return not has_rows and not all(isinstance(v, (list, dict)) for v in document.values())


def _load(text: str, where: str) -> Any:
    try:
        return json.loads(text.strip())
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where} is no valid JSON ({first_line(error)}); expected an array of objects, or one object a line."
        ) from None


def _checked(path: Path, rows: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Rows, of which each has to be an object; given with what each is called."""
    if odd := [place for place, row in rows if not isinstance(row, dict)]:
        raise DataError(f"{path}: expected JSON objects; found others in {first_five(odd)}.")
    return [row for _, row in rows]


READERS: dict[str, Callable[[Path, Settings, int | None], Batches]] = {
    ".parquet": _parquet,
    **dict.fromkeys(DELIMITED, read_delimited),
    **dict.fromkeys((".jsonl", ".json"), _json),
    ".txt": _text,
    ".xlsx": _excel,
    ".arrow": _arrow,
}
"""Per ending of a file its reader. One more format is one function and one entry."""
