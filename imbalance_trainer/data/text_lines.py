"""Text files without a header: fastText's lines, or a text, a tab and its labels."""

from pathlib import Path

import pyarrow as pa

from ..utils.errors import DataError, UsageError, first_five
from .decoding import read_utf8
from .frame import Frame, ReadSettings

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
