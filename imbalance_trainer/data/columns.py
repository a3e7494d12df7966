"""What the columns of a table mean: which is the text, which hold labels, in which form (`Plan`)."""

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..errors import DataError, UsageError, did_you_mean, first_five, quoted
from ..label_columns import LABEL_COLUMNS
from ..labels import LabelSchema
from .files import Frame
from .values import as_numbers, flatten_lists, is_blank, is_index, is_label_like, is_numeric, label_entries

NO_SEPARATOR = "none"
"""What `separator` may be where a cell is one name, whatever is in it."""

TEXT_COLUMNS = (
    *("text", "sentence", "comment_text", "comment", "content", "tweet"),
    *("body", "review", "title", "utterance", "question"),
)
"""Where the text lies, in the order in which it is looked for."""


@dataclass(frozen=True)
class Plan:
    """What the columns mean, decided on the training data. Forms: columns, multi-hot, sets, classes."""

    columns: tuple[str, ...]
    form: str
    schema: LabelSchema
    note: str
    separator: str | None = None
    remarks: tuple[str, ...] = ()


def find_text_column(frame: Frame, wanted: str | None, labels: set[str]) -> str:
    """The column `wanted`, else the first usual name that holds strings, else the only column with strings."""
    names = frame.table.column_names
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"{frame.path}: has no text column {wanted!r}: {did_you_mean(wanted, names)}")
        return wanted
    labels = {*labels, *LABEL_COLUMNS, *frame.fields}
    strings = [n for n in names if n not in labels and pa.types.is_string(frame.table.schema.field(n).type)]
    usual = _named_like(TEXT_COLUMNS, strings)
    if usual is not None:
        return usual
    strings = [n for n in strings if not is_label_like(label_entries(frame.column(n)))]
    if len(strings) != 1:
        found = f"{quoted(strings)} hold strings" if strings else f"none of {quoted(names)} is left for it"
        raise UsageError(f"{frame.path}: which column is the text? {found}; name it with --text_column.")
    return strings[0]


def read_texts(frame: Frame, name: str) -> pa.Array:
    """The texts of a file; a row without one is an error."""
    texts = frame.column(name)
    if texts.null_count:
        rows = np.flatnonzero(texts.is_null().to_numpy(zero_copy_only=False)) + 1
        found = first_five([f"row {row}" for row in rows])
        raise DataError(f"{frame.path}: column {name!r} has no text (null) in {found}; drop such rows or give text.")
    if not pa.types.is_string(texts.type):
        raise DataError(f"{frame.path}: the text column {name!r} holds {texts.type}; expected strings.")
    return texts


def make_plan(
    frame: Frame, given: LabelSchema | None, asked: tuple[str, ...], text: str, separator: str | None
) -> Plan:
    """Decide what the columns mean.

    Args:
        frame: the training data.
        given: the schema of a label_info.json, if there is one.
        asked: the label columns that the user named, none to have them found.
        text: the column of the text.
        separator: between names in one cell, if the user gave it.
    """
    others = [name for name in frame.table.column_names if name != text]
    for name in asked:
        if name == text:
            raise UsageError(f"{frame.path}: column {name!r} cannot be the text and a label; name another for one.")
        if name not in others:
            raise UsageError(f"{frame.path}: has no label column {name!r}: {did_you_mean(name, others)}")
    columns = asked or _label_columns(frame, given, others)
    if len(columns) == 1 and _holds_all_labels(frame, columns[0], given):
        plan = _cell_plan(frame, columns[0], given, separator)
    else:
        schema = given or LabelSchema.from_names(columns)
        for name in schema.names:
            if name not in columns:
                raise DataError(f"{frame.path}: no column for the label {name!r}: {did_you_mean(name, columns)}")
        for name in columns:
            if name not in schema.names:
                raise DataError(f"{frame.path}: column {name!r} is no label: {did_you_mean(name, schema.names)}")
        how = "a dict of them" if frame.fields else "one column each"
        source = "label_info.json" if given else "the keys" if frame.fields else "the columns"
        note = f"Labels: {len(schema)}, multi-label, {how}, names of {source}."
        remarks: tuple[str, ...] = ()
        if not (given or asked or frame.fields):
            note = f"Labels: {len(schema)} ({quoted(schema.names)}), multi-label, {how}."
            remarks = _doubtful_columns(frame, columns, others)
        plan = Plan(schema.names, "columns", schema, note, remarks=remarks)
    if separator not in (None, NO_SEPARATOR) and plan.separator is None:
        raise UsageError(f"{frame.path}: separator={separator!r} has no use, as the labels are no delimited names.")
    return plan


def _label_columns(frame: Frame, given: LabelSchema | None, others: Sequence[str]) -> tuple[str, ...]:
    if frame.fields:
        return frame.fields
    if given and set(given.names) <= set(others):
        return given.names
    cell = _named_like(LABEL_COLUMNS, others)
    if cell is not None:
        return (cell,)
    if given:
        name = next(name for name in given.names if name not in others)
        raise DataError(f"{frame.path}: no column for the label {name!r}: {did_you_mean(name, others)}")
    found = tuple(name for name in others if name.strip() and is_label_like(label_entries(frame.column(name))))
    if not found:
        raise UsageError(
            f"{frame.path}: found no labels in {quoted(others)}; expected a column 'labels' or a column of 0 and 1 "
            "for each label; name them with --label_columns."
        )
    return found


def _holds_all_labels(frame: Frame, column: str, given: LabelSchema | None) -> bool:
    """Whether a single label column has the labels of a row in its cells, rather than being one label itself."""
    if given is not None and column in given.names:
        return False
    return column.casefold() in LABEL_COLUMNS or not is_label_like(label_entries(frame.column(column)))


def _named_like(usual: Sequence[str], names: Sequence[str]) -> str | None:
    """The first usual name that is among the names, whatever its case."""
    return next((name for wanted in usual for name in names if name.casefold() == wanted), None)


def _doubtful_columns(frame: Frame, columns: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Columns that were taken as labels, or were not, in a way that the user may see differently."""
    remarks = []
    for name in others:
        entries = label_entries(frame.column(name))
        known = entries[~np.isnan(entries)]
        if name in columns and ((known > 0) & (known < 1)).any():
            remarks.append(f"column {name!r} has values between 0 and 1: they are taken as soft labels.")
        if name not in columns and len(known) and np.isfinite(known).mean() >= 0.5:
            row = int(np.flatnonzero(np.isinf(entries))[0])
            value = frame.column(name)[row].as_py()
            share = f"{np.isinf(known).mean():.0%} of its values are neither 0 nor 1 ({value!r} in row {row + 1})"
            remarks.append(f"column {name!r} is not taken as a label: {share}. --label_columns names the labels.")
    return tuple(remarks)


def _cell_plan(frame: Frame, column: str, given: LabelSchema | None, separator: str | None) -> Plan:
    """The plan for labels that lie in one column."""
    known = given.names if given else frame.class_names.get(column)
    cells, separator = read_cells(frame, column, known, separator)
    is_list = pa.types.is_list(cells.type)
    values, lengths = flatten_lists(cells) if is_list else (cells, None)
    is_text = pa.types.is_string(values.type)
    form, how = ("sets", "lists of names") if is_list else ("classes", "one class a row")
    width = None
    if separator is not None:
        how = f"names separated by {separator!r}"
    elif is_list and not is_text:
        how = "lists of class indices"
        if _is_multi_hot(f"{frame.path}: column {column!r}", values, lengths, known):
            form, how, width = "multi-hot", "multi-hot lists", int(lengths.max())
            how += "" if known else " (they could be class indices; a label_info.json with the names would decide)"
    names = known or _names_in(values, width, f"{frame.path}: column {column!r}")
    source = "label_info.json" if given else "ClassLabel" if known else "the training data" if is_text else "indices"
    kind = "single-label" if form == "classes" else "multi-label"
    note = f"Labels: {len(names)}, {kind}, {how} in {column!r}, names of {source}."
    return Plan((column,), form, given or LabelSchema.from_names(names), note, separator)


def _names_in(values: pa.Array, width: int | None, where: str) -> tuple[str, ...]:
    """The names that the training labels have: those in them, or made ones for indices and multi-hot lists."""
    names: tuple[str, ...] = ()
    if pa.types.is_string(values.type):
        names = tuple(sorted({v.strip() for v in values.drop_null().unique().to_pylist() if not is_blank(v)}))
        width = 1 + max(map(int, names)) if names and all(map(is_index, names)) else None
    elif width is None and is_numeric(values.type):
        numbers = as_numbers(values, pa.float64())
        width = 1 + int(max(numbers[np.isfinite(numbers)], default=-1)) or None
    if width is not None:
        if width > max(1000, len(values)):
            raise DataError(f"{where}: holds the class index {width - 1}; expected indices from 0, or names.")
        names = tuple(f"label_{i}" for i in range(width))
    if not names:
        raise DataError(f"{where}: holds no label at all.")
    return names


def read_cells(
    frame: Frame, column: str, known: Sequence[str] | None, separator: str | None
) -> tuple[pa.Array, str | None]:
    """A column's cells with the lists that stand in its strings made lists, and the separator that was used."""
    cells = frame.column(column)
    if not pa.types.is_string(cells.type):
        return cells, None
    where = f"{frame.path}: column {column!r}"
    filled = [v for v in cells.drop_null().unique().to_pylist() if not is_blank(v)]
    if any(v.lstrip().startswith("[") and v.rstrip().endswith("]") for v in filled):
        rows = enumerate(cells.to_pylist(), 1)
        lists = [None if v is None or is_blank(v) else _parsed_list(v, f"{where}, row {row}") for row, v in rows]
        try:
            return pa.array(lists, pa.list_(pa.null()) if not any(lists) else None), None
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            is_name = [{isinstance(v, str) for v in a_list or () if v is not None} for a_list in lists]
            usual = next(kinds for kinds in is_name if kinds)
            row = next((i for i, kinds in enumerate(is_name, 1) if kinds and (kinds != usual or len(kinds) > 1)), 1)
            raise DataError(f"{where}, row {row}: mixes names, numbers or lists; expected one kind.") from None
    separator = separator or _found_separator(filled, known, where)
    if separator in (None, NO_SEPARATOR):
        return cells, None
    split = [None if v is None else [p.strip() for p in v.split(separator) if p.strip()] for v in cells.to_pylist()]
    return pa.array(split, pa.list_(pa.string())), separator


def _parsed_list(cell: str, where: str) -> list:
    """The list that a cell spells as JSON, as Python or as numpy prints it ([1 0 0])."""
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        between = r"(?<=['\"])\s+(?=['\"])" if re.search("['\"]", cell) else r"(?<=[\w.])\s+(?=[\w.-])"
        spelled = cell if "," in cell else re.sub(between, ", ", cell)
        spelled = spelled if re.search("['\"]", cell) else re.sub(r"\bnan\b", "None", spelled)
        try:
            value = ast.literal_eval(spelled.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            value = None
    if not isinstance(value, list):
        raise DataError(f"{where}: {cell[:60]!r} is no list; expected one such as [0, 1] or ['joy', 'fear'].")
    return [int(v) if isinstance(v, bool) else v for v in value]


def _found_separator(values: Sequence[str], known: Sequence[str] | None, where: str) -> str | None:
    """The separator of delimited names: the only one that gives known names, else the only one that occurs."""
    present = [s for s in "|;" if any(s in v for v in values)]
    if known is not None:
        folded = {name.casefold() for name in known}
        if all(v.strip().casefold() in folded for v in values):
            return None
        parts = {s: {p.strip().casefold() for v in values for p in v.split(s)} - {""} for s in "|;,"}
        fitting = [s for s in parts if any(s in v for v in values) and parts[s] <= folded]
        present = fitting or present
    if len(present) > 1:
        raise UsageError(f"{where}: {' or '.join(map(repr, present))} may separate the names; give it: --separator.")
    return present[0] if present else (_comma(values, where) if known is None else None)


def _comma(values: Sequence[str], where: str) -> str | None:
    """ "," where the parts of each cell that has one occur in other cells too; a name may have a comma of its own."""
    split = [{part.strip() for part in value.split(",")} - {""} for value in values]
    cells = Counter(part for parts in split for part in parts)
    recurs = [
        any(cells[part] > 1 for part in parts) for parts, value in zip(split, values, strict=True) if "," in value
    ]
    if any(recurs) and not all(recurs):
        raise UsageError(
            f"{where}: ',' may separate names or be part of them; say which: --separator ',' or --separator none."
        )
    return "," if any(recurs) else None


def _is_multi_hot(where: str, values: pa.Array, lengths: np.ndarray, known: Sequence[str] | None) -> bool:
    """Whether lists of numbers are multi-hot (one number for each label) rather than class indices."""
    real = lengths[lengths >= 0]
    if not len(values):
        return False
    entries = label_entries(values)
    even = real.min() == real.max() and (known is None or real[0] == len(known))
    fits = not np.isinf(entries).any()
    if even and fits:
        return True
    if not is_numeric(values.type):
        return False
    row, number = np.repeat(np.arange(len(real)), real), as_numbers(values, pa.float64())
    order = np.lexsort((number, row))
    row, number = row[order], number[order]
    repeats = ((row[1:] == row[:-1]) & (number[1:] == number[:-1])).any()  # a set of indices has none twice
    if even:
        return bool(repeats)
    if fits and (repeats or ((entries > 0) & (entries < 1)).any()):
        width = len(known) if known else int(real[0])
        at = int(np.flatnonzero((lengths >= 0) & (lengths != width))[0])
        raise DataError(f"{where}: row {at + 1} has {lengths[at]} values; expected {width}, one for each label.")
    return False
