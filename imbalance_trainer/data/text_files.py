"""Files of text: encodings, CSV, fastText's lines.

What pandas can do with such a file is passed on to it: `reader_args` holds arguments of pandas.read_csv.
"""

import codecs
import csv
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from ..labels.schema import LabelSchema
from ..utils.errors import DataError, UsageError, did_you_mean, first_line, quoted

DELIMITED = (".csv", ".tsv")
TEXT = (*DELIMITED, ".jsonl", ".json", ".txt")
"""Endings of files of text, which have an encoding and may be compressed."""

_SPELLED = {"tab": "\t", "\\t": "\t", "\\n": "\n"}
_HEAD = 1 << 16  # characters of the beginning that say what the delimiter is
_ROWS_LOOKED_AT = 100
_MARKS = (  # that of UTF-16 is the beginning of one of UTF-32
    *((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)
_USUAL = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1", "cp1251", "gb18030", "shift_jis")
_LABEL = "__label__"
_FASTTEXT = re.compile(rf"{_LABEL}(?!.*{_LABEL})[^,;|]+[,;:|]*", re.IGNORECASE)
_UNEVEN = (
    "are not as wide as the header: those with more cells are left out, those with fewer are filled up with blanks."
)
_MERGED = (
    "a cell holds lines that look like rows, as where a text begins with a quotation mark; --reader_args "
    "'{\"quoting\": 3}' takes such marks as they are."
)
_STYLE = ("quoting", "quotechar", "escapechar", "doublequote")
_SENTENCE = re.compile(r"(\S+\s+){4}\S")  # five words
_NO_NAME = re.compile(r"\s*(Unnamed: \d+\s*)?")  # as pandas writes an index, and reads a blank
_NUMBER = re.compile(r"\s*[+-]?\d[\d.,]*([eE][+-]?\d+)?\s*")


@dataclass
class Settings:
    """What the user says about how files are written, and what their columns mean; see `load_labelled_dataset`."""

    text_column: str | None = None
    label_columns: Sequence[str] = ()
    separator: str | None = None
    label_info: LabelSchema | None = None
    delimiter: str | None = None
    encoding: str | None = None
    reader_args: Mapping[str, Any] = field(default_factory=dict)
    label_format: str | None = None
    positive_values: Sequence[str] = ()
    blank_labels: str | None = None
    label_scale: Any = None

    def __post_init__(self) -> None:
        self.label_columns, self.positive_values = _as_names(self.label_columns), _as_names(self.positive_values)
        self.separator = _SPELLED.get(self.separator or "", self.separator)
        self.reader_args = self.reader_args or {}
        if self.blank_labels not in (None, "negative", "unknown"):
            raise UsageError(f"--blank_labels is negative or unknown; got {self.blank_labels!r}.")
        if self.positive_values and self.label_scale is not None:
            raise UsageError("--positive_values and --label_scale do not go together; keep one.")


def _as_names(names: Any) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(map(str, names or ()))


Batches = Iterator[tuple[Any, str, tuple[str, ...]]]
"""Rows of a file (a DataFrame, an Arrow table or a list of dictionaries), the format in words, and what is odd."""


def open_text(path: Path, settings: Settings) -> io.TextIOWrapper:
    """A file of text, decompressed, with line breaks as they are.

    Raises:
        UsageError: an encoding that does not exist, or that the byte-order mark contradicts.
    """
    if path.suffix.lower() == ".zip" and len(inside := zipfile.ZipFile(path).namelist()) != 1:
        raise UsageError(
            f"{path}: holds {len(inside)} files ({quoted(inside)}); unpack it and give one, or the folder."
        )
    is_packed = path.suffix.lower() not in TEXT
    raw: Any = LocalFileSystem().open(str(path), "rb", compression="infer") if is_packed else path.open("rb")
    head = raw.read(1000)
    raw.seek(0)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    encoding = settings.encoding or settings.reader_args.get("encoding") or marked or "utf-8"
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise UsageError(f"Unknown --encoding {encoding!r}: {did_you_mean(encoding, _USUAL)}") from None
    if marked and not name.startswith(marked):
        raise UsageError(f"{path}: begins with the byte-order mark of {marked.upper()}; leave --encoding out.")
    if not name.startswith(("utf-16", "utf-32")) and 3 * head.count(b"\0") > len(head):
        raise DataError(f"{path}: holds NUL bytes, as UTF-16 does; if so, say --encoding utf-16-le, or utf-16-be.")
    errors = settings.reader_args.get("encoding_errors", "strict")
    return io.TextIOWrapper(raw, encoding="utf-8-sig" if name == "utf-8" else encoding, errors=errors, newline="")


def read_head(path: Path, settings: Settings) -> str:
    """The beginning of a file of text."""
    with open_text(path, settings) as file:
        return file.read(_HEAD)


def not_decoded(path: Path, settings: Settings, error: UnicodeDecodeError) -> str:
    """Which byte of a file is not in its encoding, what stands before it, and what helps."""
    data, at = error.object, error.start
    encoding = settings.encoding or settings.reader_args.get("encoding") or error.encoding
    before = data[max(0, at - 60) : at].decode(error.encoding, "ignore")[-20:]
    return (
        f"{path}: is not {encoding.upper()}: byte 0x{data[at]:02x} after {before!r}; name its encoding, such as "
        '--encoding cp1252, or let bad bytes be replaced, --reader_args \'{"encoding_errors": "replace"}\'.'
    )


def read_delimited(path: Path, settings: Settings, rows: int | None) -> Batches:
    """A .csv or .tsv file; every cell is a string. Python's csv reads it, or pandas where it has further arguments."""
    head, n_before = read_head(path, settings), 0
    if not head.strip():
        raise DataError(f"{path}: is empty; expected a header and rows.")
    for begins, what, name in ((_LABEL, "lines of fastText's format", ".txt"), (r"\s*\[?\s*\{\s*\"", "JSON", ".json")):
        if re.match(begins, head, re.IGNORECASE) and not settings.reader_args:
            raise DataError(f"{path}: holds {what}; rename it to {path.stem}{name}.")
    args: dict[str, Any] = {k: v for k, v in settings.reader_args.items() if not k.startswith("encoding")}
    style: dict[str, Any] = {k: args[k] for k in _STYLE if k in args}
    if re.match('[^\\n]*[,;|] "', head):  # blanks before quotation marks
        style["skipinitialspace"] = True
    if sep_line := re.match(r'"?sep=(.)"?\r?\n', head, re.IGNORECASE):  # as Excel writes and reads it
        args = {"sep": sep_line[1], **args}
        head, n_before = head[sep_line.end() :], 1
    given = args.pop("delimiter", None) or args.pop("sep", None) or settings.delimiter
    delimiter = _checked_delimiter(given, path, head) if given else find_delimiter(path, head, style)
    if not {"header", "names", "skiprows"} & {*args}:
        _check_header(path, first_rows(head, delimiter, style), settings)
    kind = f"{'TSV' if '.tsv' in path.name.lower() else 'CSV'}, {delimiter!r} between columns"
    with open_text(path, settings) as file:
        if not {*args} <= {*_STYLE, "header", "on_bad_lines"} or args.get("header", 0) not in (0, None):
            yield from ((table, kind, ()) for table in _by_pandas(path, file, rows, n_before, delimiter, args))
            return
        odd: list[int] | None = [] if args.get("on_bad_lines") == "skip" else None
        merged: list[int] = []
        found = _even_rows(path, file, n_before, odd, merged, {"delimiter": delimiter, **style})
        header = None if args.get("header", 0) is None else next(found, [])
        tables = _tables(found, header, rows or 1_000)
        for table in tables if rows else [pa.concat_tables([first, *tables]) for first in islice(tables, 1)]:
            remarks = [f"{len(odd):,} lines of {path.name} {_UNEVEN}"] if odd else []
            remarks += [f"{path.name}: from line {merged[0]} on {_MERGED}"] if merged else []
            yield table, kind, tuple(remarks)


def _tables(rows: Iterator[list[str]], header: Sequence[str] | None, step: int) -> Iterator[pa.Table]:
    """So many rows at a time as an Arrow table, in which they take far less room than in Python."""
    while some := list(islice(rows, step)):
        columns = [pa.array(cells, pa.string()) for cells in zip(*some, strict=True)]
        names = range(len(columns)) if header is None else [
            f"Unnamed: {i}" if _NO_NAME.fullmatch(name) else name for i, name in enumerate(header)
        ]  # fmt: skip
        yield pa.Table.from_arrays(columns, list(map(str, names)))


def _looks_merged(cells: Sequence[str], delimiter: str) -> bool:
    """Whether the lines within a cell have the delimiters of rows, so that a quotation mark may have joined them."""
    for i, cell in enumerate(cells):
        counts = [line.count(delimiter) for line in cell.splitlines()]
        rows = [len(cells) - 1 - i, *[len(cells) - 1] * (len(counts) - 2), i]
        if len(counts) > 1 and counts == rows and sum(rows) > (0 if delimiter == "\t" else 3):
            return True
    return False


def _by_pandas(
    path: Path, file: io.TextIOWrapper, rows: int | None, n_before: int, delimiter: str, args: Mapping[str, Any]
) -> Iterator[pd.DataFrame]:
    how = {"dtype": object, "na_filter": False, "keep_default_na": False, "skiprows": n_before, **args}
    try:
        read = pd.read_csv(file, sep=delimiter, chunksize=rows, **how)
        yield from [read] if rows is None else read
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: has no rows.") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, UnicodeError):
            raise
        raise UsageError(f"{path}: --reader_args {json.dumps(args, default=str)}: {first_line(error)}.") from None


def _even_rows(
    path: Path, file: io.TextIOWrapper, n_before: int, odd: list[int] | None, merged: list[int], style: Any
) -> Iterator[list[str]]:
    """Rows of CSV that are as wide as the first. The numbers of lines that are not go into the list `odd`: wider ones
    are left out, others filled up. Without the list they are a DataError, as are quotation marks that end within a
    cell, or never. Lines at which several rows may have become one go into `merged`."""
    width, end, limit = 0, n_before, csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.reader(islice(file, n_before, None), strict=True, **style)
        for cells in reader:
            begin, end = end + 1, n_before + reader.line_num
            if not cells or (len(cells) == 1 and cells[0].isspace()):
                continue
            width = width or len(cells)
            if len(cells) > width and not any(map(str.strip, cells[width:])):  # each row ends in a delimiter
                cells = cells[:width]
            if len(cells) == width:
                if end > begin and _looks_merged(cells, style["delimiter"]):
                    merged.append(begin)
                yield cells
            elif odd is not None:
                odd.append(end)
                if len(cells) < width:
                    yield [*cells, *[""] * (width - len(cells))]
            else:
                way = '{"on_bad_lines": "skip"}'
                does = "leaves such lines out" if len(cells) > width else "fills such lines up with blanks"
                if any(cell.endswith("\\") for cell in cells):
                    way, does = '{"escapechar": "\\\\"}', "takes a backslash before it for that"
                elif width == 1:
                    way, does = f'{{"skiprows": {end - 1}}}', "leaves out what stands above the header"
                raise DataError(
                    f"{path}: line {end} has {len(cells)} cells, but the header has {width}. A cell with "
                    f"{style['delimiter']!r} in it needs quotation marks, and a blank cell its delimiter; --delimiter "
                    f"names another delimiter, and --reader_args '{way}' {does}."
                )
    except csv.Error as error:
        file.seek(0)
        shown = next(islice(file, end, None)).rstrip("\r\n")[:60]
        way = '{"escapechar": "\\\\"}' if '\\"' in shown else '{"quoting": 3}'
        what = "is never closed" if "end of data" in str(error) else "is closed within a cell"
        raise DataError(
            f"{path}: a quotation mark in the row that begins in line {end + 1} {what}: {shown!r}. Write it twice "
            f"where it belongs to the text, or take --reader_args '{way}'."
        ) from None
    finally:
        csv.field_size_limit(limit)


def _checked_delimiter(wanted: str, path: Path, head: str) -> str:
    delimiter = _SPELLED.get(wanted.casefold(), wanted)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise UsageError(f"--delimiter must be one character, or tab; got {wanted!r}.")
    first = next(filter(str.strip, head.splitlines()), "")
    if delimiter not in first:
        raise UsageError(f"{path}: the header {first[:60]!r} has no {delimiter!r}; give another --delimiter.")
    return delimiter


def find_delimiter(path: Path, head: str, style: Mapping[str, Any]) -> str:
    """The only delimiter that gives every row the width of the header; of none, the one with the widest header."""
    rows = {delimiter: first_rows(head, delimiter, style) for delimiter in ",;\t|"}
    width = {delimiter: len(found[0]) for delimiter, found in rows.items()}
    fitting = [d for d in rows if width[d] > 1 and all(len(row) == width[d] for row in rows[d])]
    if "\t" in fitting and ".csv" not in path.name.lower():
        return "\t"
    if len(fitting) > 1:
        ways = " or ".join(f"{d!r} ({width[d]} columns)" for d in fitting)
        raise UsageError(f"{path}: {ways} may part the columns; give it: --delimiter.")
    return fitting[0] if fitting else max(width, key=lambda d: width[d])


def first_rows(head: str, delimiter: str, style: Mapping[str, Any]) -> list[list[str]]:
    """The first rows that are not blank, as Python's csv reads them; at least one."""
    try:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, **style)
        rows = list(islice(filter(None, reader), _ROWS_LOOKED_AT))
    except csv.Error:  # a cell longer than its limit
        rows = []
    is_cut = len(head) >= _HEAD and 1 < len(rows) < _ROWS_LOOKED_AT
    return (rows[:-1] if is_cut else rows) or [[]]


def _check_header(path: Path, rows: Sequence[Sequence[str]], settings: Settings) -> None:
    """Ask where the first row looks like data: a number in it, or a name that stands below in its own column too."""
    header = [name.strip() for name in rows[0]]
    info = settings.label_info.names if settings.label_info else ()
    named = {*settings.label_columns, *info, settings.text_column or ""}
    below = [{row[i].strip() for row in rows[1:] if i < len(row)} - {""} for i in range(len(header))]
    odd = [n for n, cells in zip(header, below, strict=True) if _NUMBER.fullmatch(n) or (n in cells and cells != {n})
           or (_SENTENCE.match(n) and any(map(_SENTENCE.match, cells)))]  # fmt: skip
    if odd and len({*map(len, rows)}) == 1 and not named & {*header} - {""}:
        shown = quoted([name[:40] for name in header])
        raise UsageError(
            f"{path}: the first row ({shown}) looks like data, and a header was expected; if there is none, say "
            "--reader_args '{\"header\": null}', and the columns are called 0, 1 and so on; if it is one, "
            "--reader_args '{\"header\": 0}'."
        )
    if twice := next((n for n in header if header.count(n) > 1 and not _NO_NAME.fullmatch(n)), None):
        raise DataError(f"{path}: has more than one column {twice!r}; rename one.")


def read_lines(path: Path, settings: Settings, rows: int | None) -> Batches:
    """A .txt file without JSON: fastText's lines, or a table."""
    head = read_head(path, settings)
    if re.search(_LABEL, head, re.IGNORECASE):
        with open_text(path, settings) as file:
            numbered = ((i, line) for i, line in enumerate(file, 1) if line.strip())
            while some := [_fasttext(path, i, line) for i, line in islice(numbered, rows)]:
                are_classes = all(len(names) == 1 for _, names in some)
                found = [{"text": text, "labels": names[0] if are_classes else names} for text, names in some]
                yield found, "fastText lines", ()
        return
    if not settings.delimiter and not settings.reader_args and head.strip():
        widths = {len(row) for row in first_rows(head, find_delimiter(path, head, {}), {})}
        if len(widths) > 1 or widths == {1}:
            raise UsageError(
                f"{path}: expected lines of fastText's format, '__label__name text', or a table with a header; the "
                f"first line is {head.lstrip().splitlines()[0][:60]!r}."
            )
    yield from read_delimited(path, settings, rows)


def _fasttext(path: Path, number: int, line: str) -> tuple[str, list[str]]:
    """The text and the labels of a line: as fastText does, each word that begins with __label__ is a label."""
    words = line.split()
    labels = [word for word in words if _LABEL in word.lower()]
    odd = next((word for word in labels if not _FASTTEXT.fullmatch(word)), None)
    if odd is not None:
        raise DataError(
            f"{path}: line {number}: the label {odd!r}; expected '__label__name' as often as needed, each with a "
            "blank after it."
        )
    if labels and words[0] not in labels and words[-1] not in labels:
        raise DataError(
            f"{path}: line {number}: there are words before {labels[0]!r} and after {labels[-1]!r}; expected all "
            "labels at the beginning of a line, or all at its end, each with __label__ before its name."
        )
    names = [word[len(_LABEL) :].rstrip(",;:|") for word in labels]
    return " ".join(word for word in words if word not in labels), names
