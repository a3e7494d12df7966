"""CSV and TSV, of which the delimiter is found out, and text files without a header: fastText's lines, or a tab."""

import csv
import io
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from ..utils.errors import DataError, UsageError, first_five, quoted
from .cells import BARE
from .decoding import read_utf8
from .frame import Frame, ReadSettings

_DELIMITERS = ",;\t|"
_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
LOOKED_AT = 1 << 16  # bytes of the beginning that say what the delimiter is
_ROWS_LOOKED_AT = 100


def read_delimited(path: Path, settings: ReadSettings) -> Frame:
    """A .csv or .tsv file with a header.

    Raises:
        DataError: an empty file, rows of another width than the header, a quotation mark that is never closed.
        UsageError: several delimiters that part header and rows alike.
    """
    content, encoding = read_utf8(path, settings.encoding)
    if not content.strip():
        raise DataError(f"{path}: is empty; expected a header and rows.")
    delimiter = (
        checked_delimiter(settings.delimiter, path, content) if settings.delimiter else find_delimiter(path, content)
    )
    header = first_rows(content, delimiter)[0]
    if {name for name in header if header.count(name) > 1} & BARE:
        raise UsageError(f"{path}: the first row ({quoted(header)}) looks like data; expected a header.")
    table = _parsed(path, content, header, delimiter)
    kind = "TSV" if path.suffix.lower() == ".tsv" else "CSV"
    return Frame(path, table, format=f"{kind}, {delimiter!r} between columns, {encoding}")


def _parsed(path: Path, content: bytes, header: Sequence[str], delimiter: str) -> pa.Table:
    wrong: list[tuple[int, int, str]] = []  # row, its width, what stands there

    def keep(row: pa_csv.InvalidRow) -> str:
        wrong.append((row.number - 1, row.actual_columns, row.text))
        return "skip"

    table = pa_csv.read_csv(
        pa.py_buffer(content),
        pa_csv.ReadOptions(use_threads=False, block_size=min(len(content) + 1, 1 << 30)),  # a row must fit into one
        pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep),
        pa_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
    )
    n_rows = table.num_rows + len(wrong)
    if b'"' in content and content.rstrip(b"\r\n").count(b"\n") > n_rows:  # a cell may have swallowed rows
        check_quotes(path, content, delimiter)
    if wrong:
        found = first_five([f"row {row}: {width} ({text[:60]!r})" for row, width, text in wrong])
        raise DataError(
            f"{path}: expected {table.num_columns} columns in each row, as in the header; found {found}; a cell with "
            f"{delimiter!r} in it needs quotation marks, and --delimiter names another delimiter."
        )
    return table


def check_quotes(path: Path, content: bytes, delimiter: str) -> None:
    """Raise a DataError where a quotation mark at the beginning of a cell is closed within another row, or never."""
    end = re.escape(delimiter.encode()) + rb"\r\n"
    for cell in re.finditer(rb'(?:\A|(?<=[%b]))"[^"]*(?:""[^"]*)*("?)' % end, content):
        after = content[cell.end() : cell.end() + 1]
        if cell[1] and (b"\n" not in cell[0] or after in (b"", b"\r", b"\n", delimiter.encode())):
            continue
        first = content.count(b"\n", 0, cell.start()) + 1
        said = f"{path}: line {first}: the quotation mark before {cell[0][1:].decode()[:40]!r} is "
        if not cell[1]:
            raise DataError(f"{said}never closed.")
        rest = content[cell.end() : cell.end() + 80].decode(errors="ignore").splitlines()[0][:20]
        last = content.count(b"\n", 0, cell.end()) + 1
        raise DataError(
            f"{said}closed in line {last} before {rest!r}, within a cell; close it in its row, or write one that "
            'belongs to the text as "" in a cell that stands in quotation marks.'
        )


def checked_delimiter(wanted: str, path: Path, content: bytes) -> str:
    """The delimiter that the user names; a UsageError where it is none."""
    delimiter = _WORDS.get(wanted.casefold(), wanted)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise UsageError(f"--delimiter must be one character, or tab; got {wanted!r}.")
    if len(delimiter.encode()) != 1:
        raise UsageError(f"--delimiter must be an ASCII character; got {wanted!r}.")
    if delimiter not in (header := "".join(content.decode().lstrip().splitlines()[:1])):
        raise UsageError(f"{path}: the header {header[:60]!r} has no {delimiter!r}; give another --delimiter.")
    return delimiter


def find_delimiter(path: Path, content: bytes) -> str:
    """The only delimiter that gives every row the width of the header; of none, the one with the widest header."""
    rows = {delimiter: first_rows(content, delimiter) for delimiter in _DELIMITERS}
    width = {delimiter: len(found[0]) for delimiter, found in rows.items()}
    fitting = [d for d in rows if width[d] > 1 and all(len(row) == width[d] for row in rows[d])]
    if len(fitting) > 1 and path.suffix.lower() == ".tsv" and "\t" in fitting:
        return "\t"
    if len(fitting) > 1:
        ways = " or ".join(f"{d!r} ({width[d]} columns)" for d in fitting)
        raise UsageError(f"{path}: {ways} may part the columns; give it: --delimiter.")
    return fitting[0] if fitting else max(width, key=lambda d: width[d])


def first_rows(content: bytes, delimiter: str) -> list[list[str]]:
    """The first rows that are not blank, as Python's csv reads them; at least one."""
    head = content[:LOOKED_AT].decode("utf-8", "ignore")
    try:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
        rows = list(islice(filter(None, reader), _ROWS_LOOKED_AT))
    except csv.Error:  # a cell longer than its limit
        rows = []
    is_cut = len(content) > LOOKED_AT and 1 < len(rows) < _ROWS_LOOKED_AT
    return (rows[:-1] if is_cut else rows) or [[]]


PREFIX = "__label__"
"""What a label begins with in fastText's format (Joulin et al., 2017)."""


def read_text_lines(path: Path, settings: ReadSettings) -> Frame:
    """A .txt file, one row a line: `__label__joy __label__fear some text`, or `some text<TAB>joy,fear`.

    Columns are `text` and `labels`. Where every line of fastText's format has one label, these are strings (one class
    a row), else lists.

    Raises:
        DataError: lines that are neither.
        UsageError: lines with tabs, and no names of labels by which their separator could be found.
    """
    content, encoding = read_utf8(path, settings.encoding)
    lines = [(i, line.rstrip("\r")) for i, line in enumerate(content.decode().split("\n"), 1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: is empty; expected a text and its labels in each line.")
    if any(line.lstrip().startswith(PREFIX) for _, line in lines):
        texts, labels = _fasttext(path, lines)
        kind = f"fastText lines, {encoding}"
    else:
        texts, labels = _tabbed(path, lines)
        kind = f"lines of text, tab, labels, {encoding}"
        if not settings.has_names:
            raise UsageError(
                f"{path}: lines of a text, a tab and labels need a label_info.json with the names of the labels "
                "(--label_schema); or give the columns a header, in a .tsv file."
            )
    return Frame(path, pa.table({"text": pa.array(texts, pa.string()), "labels": labels}), format=kind)


def _fasttext(path: Path, lines: list[tuple[int, str]]) -> tuple[list[str], pa.Array]:
    texts, labels, wrong = [], [], []
    for number, line in lines:
        rest, names = line.lstrip(), []
        while rest.startswith(PREFIX):
            name, _, rest = rest.partition(" ") if " " in rest else rest.partition("\t")
            names.append(name.removeprefix(PREFIX).rstrip("\t"))
            rest = rest.lstrip()
        if "" in names:
            wrong.append(f"line {number}: {PREFIX} without a name")
        elif any(word.startswith(PREFIX) for word in rest.split()):
            wrong.append(f"line {number}: a label after the text")
        texts.append(rest)
        labels.append(names)
    if wrong:
        raise DataError(
            f"{path}: expected {PREFIX}name, as often as needed, and then the text; found {first_five(wrong)}."
        )
    if all(len(names) == 1 for names in labels):
        return texts, pa.array([names[0] for names in labels])
    return texts, pa.array(labels, pa.list_(pa.string()))


def _tabbed(path: Path, lines: list[tuple[int, str]]) -> tuple[list[str], pa.Array]:
    rows = [line.split("\t") for _, line in lines]
    wrong = [
        f"line {number}: {len(row) - 1} tabs" for (number, _), row in zip(lines, rows, strict=True) if len(row) != 2
    ]
    if wrong:
        raise DataError(
            f"{path}: expected '{PREFIX}name text', or a text, one tab and its labels, in each line; found "
            f"{first_five(wrong)}."
        )
    return [text for text, _ in rows], pa.array([labels for _, labels in rows])
