"""Text files as UTF-8: byte-order marks, other encodings, and what is no text refused with line and byte."""

import codecs
from pathlib import Path

from ..utils.errors import DataError, UsageError, did_you_mean

LINE_LIMIT = 256 << 20
"""Bytes of the longest line that is read: a file without line breaks is refused before all of it is in memory."""

_CHUNK = 16 << 20
_MARKS = (  # that of UTF-16 is the beginning of one of UTF-32
    *((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)
_USUAL = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1", "cp1251", "gb18030", "shift_jis")


def read_utf8(path: Path, encoding: str | None = None) -> tuple[bytes, str]:
    """A text file's content as UTF-8 without a byte-order mark, and the encoding that it was in.

    Args:
        path: the file.
        encoding: what it is in; None for what its byte-order mark says, else UTF-8. Nothing is guessed.

    Raises:
        DataError: bytes that the encoding does not have, NUL bytes, or a line longer than LINE_LIMIT.
        UsageError: an encoding that does not exist, or that the byte-order mark contradicts.
    """
    raw = _read(path)
    marked = next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    name = _checked_name(encoding) if encoding else marked or "utf-8"
    if encoding and marked and not name.startswith(marked):
        raise UsageError(
            f"{path}: begins with the byte-order mark of {marked.upper()}; leave --encoding {encoding} out."
        )
    if not name.startswith(("utf-16", "utf-32")):
        _check_utf16(raw, path)
    if name != "utf-8":
        try:
            raw = bytearray(str(raw, name), "utf-8")
        except UnicodeDecodeError as error:
            line = raw[: error.start].decode(name, "ignore").count("\n") + 1
            byte = f"byte 0x{raw[error.start]:02x}" if error.start < len(raw) else "end of the file"
            raise DataError(
                f"{path}: line {line} is not {name.upper()} ({byte}); mend it, or name the encoding with --encoding."
            ) from None
    else:
        _check_utf8(raw, path)
    content = bytes(raw).removeprefix(codecs.BOM_UTF8)
    _check_nul(content, path)
    return content, name.upper()


def _read(path: Path) -> bytearray:
    raw = bytearray()
    line, length = 1, 0  # of the line that is not at its end yet
    with path.open("rb") as file:
        while chunk := file.read(min(_CHUNK, LINE_LIMIT)):
            first = chunk.find(b"\n")
            length += len(chunk) if first < 0 else first
            if length > LINE_LIMIT:
                raise DataError(
                    f"{path}: line {line} is longer than {_megabytes(LINE_LIMIT)}; expected one row a line, in .csv, "
                    ".tsv, .jsonl or .txt."
                )
            if first >= 0:
                line += chunk.count(b"\n")
                length = len(chunk) - chunk.rfind(b"\n") - 1
            raw += chunk
    return raw


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes >> 20} MB" if n_bytes >> 20 else f"{n_bytes} bytes"


def _checked_name(encoding: str) -> str:
    try:
        b"a".decode(encoding)
        return codecs.lookup(encoding).name
    except UnicodeError:  # half a character: the encoding exists
        return codecs.lookup(encoding).name
    except LookupError:
        raise UsageError(f"Unknown --encoding {encoding!r}: {did_you_mean(encoding, _USUAL)}") from None


def _check_utf8(raw: bytearray, path: Path) -> None:
    start = 0
    while start < len(raw):  # in pieces that end at a line's end: no copy of the whole
        end = raw.find(b"\n", min(start + _CHUNK, len(raw))) + 1 or len(raw)
        try:
            str(raw[start:end], "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(_not_utf8(raw, start + error.start, path)) from None
        start = end


def _not_utf8(raw: bytearray, at: int, path: Path) -> str:
    line = raw.count(b"\n", 0, at) + 1
    said = f"{path}: line {line} is not UTF-8 (byte 0x{raw[at]:02x})"
    for number, content in enumerate(raw.split(b"\n"), 1):
        if not content.isascii() and number != line:
            try:
                content.decode()
            except UnicodeDecodeError:
                continue
            return f"{said}, but line {number} is: the file has two encodings; write all of it as UTF-8."
    return f"{said}; save the file as UTF-8, or name its encoding, such as --encoding cp1252."


def _check_utf16(raw: bytearray, path: Path) -> None:
    head = raw[:1000]
    if 3 * head.count(b"\0") > len(head):
        likely = "utf-16-le" if head[1::2].count(b"\0") >= head[::2].count(b"\0") else "utf-16-be"
        raise DataError(
            f"{path}: looks like UTF-16 without a byte-order mark (NUL bytes); if so, say --encoding {likely}."
        )


def _check_nul(content: bytes, path: Path) -> None:
    at = content.find(b"\0")
    if at < 0:
        return
    line = content.count(b"\n", 0, at) + 1
    raise DataError(f"{path}: line {line} has a NUL byte (0x00), which no text has.")
