"""What the columns of a table mean: which is the text, which hold labels, in which form (`Plan`)."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..errors import DataError, UsageError, did_you_mean, first_five, quoted
from ..label_columns import LABEL_COLUMNS
from ..labels import LabelSchema
from .cells import NO_SEPARATOR, check_width, is_multi_hot, read_cells
from .frame import Frame
from .values import (
    are_numbers,
    as_index,
    as_numbers,
    flatten_lists,
    is_blank,
    is_index,
    is_label_like,
    is_numeric,
    label_entries,
    spelled,
    spelled_numbers,
)

COLUMNS, MULTI_HOT, INDICES, NAMES, CLASSES = LABEL_FORMATS = ("columns", "multi_hot", "indices", "names", "classes")
"""What `label_format` may be: a column per label; or one column with lists of 0 and 1, of class indices or of names,
or with one class a row."""

_SPARE = 10  # times as many classes as occur are taken for numbers of another kind, such as years
_MOST_CLASSES, _ROWS_PER_CLASS = 100, 4  # of a column of strings that could hold one class a row

TEXT_COLUMNS = (
    *("text", "sentence", "comment_text", "comment", "content", "tweet"),
    *("body", "review", "title", "utterance", "question"),
)
"""Where the text lies, in the order in which it is looked for."""


@dataclass(frozen=True)
class Plan:
    """What the columns mean, decided on the training data.

    Args:
        columns: the label columns.
        form: "columns", "multi-hot", "sets" or "classes".
        schema: the labels.
        note: what was decided, in words.
        separator: between names in one cell.
        remarks: columns that may be meant otherwise.
        doubtful: columns that are nearly labels and are not used as such.
        numbered: whether numbers in the cells are class indices.
        spelled: whether the cells are strings that spell lists.
    """

    columns: tuple[str, ...]
    form: str
    schema: LabelSchema
    note: str
    separator: str | None = None
    remarks: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    numbered: bool = True
    spelled: bool = False


def find_text_column(frame: Frame, wanted: str | None, labels: set[str]) -> str:
    """The column `wanted`, else the first usual name that holds strings, else the only column with strings."""
    names = frame.table.column_names
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"{frame.path}: has no text column {wanted!r}: {did_you_mean(wanted, names)}")
        return wanted
    usual = _named_like(TEXT_COLUMNS, names)
    if usual in frame.broken:
        raise DataError(frame.broken[usual])
    labels = {*labels, *LABEL_COLUMNS, *frame.fields}
    strings = [n for n in names if n not in labels and pa.types.is_string(frame.table.schema.field(n).type)]
    usual = _named_like(TEXT_COLUMNS, strings)
    if usual is not None and (len(strings) == 1 or not is_label_column(frame, usual)):
        return usual
    strings = [n for n in strings if not is_label_column(frame, n)]
    if usual is not None and strings:
        raise UsageError(
            f"{frame.path}: which column is the text? {usual!r} holds 0 and 1 as a label does, {quoted(strings)} "
            "other strings; name it with --text_column."
        )
    if usual is not None:
        return usual
    if len(strings) > 1:  # in a CSV file numbers are strings too
        strings = [n for n in strings if not are_numbers(frame.column(n))]
    if len(strings) != 1:
        found = f"{quoted(strings)} hold strings" if strings else f"none of {quoted(names)} is left for it"
        raise UsageError(f"{frame.path}: which column is the text? {found}; name it with --text_column.")
    return strings[0]


def read_texts(frame: Frame, name: str) -> pa.Array:
    """The texts of a file; a row without one is an error."""
    texts = frame.column(name)
    if not (pa.types.is_string(texts.type) or pa.types.is_null(texts.type)):
        raise DataError(f"{frame.path}: the text column {name!r} holds {texts.type}; expected strings.")
    if name in frame.mixed:
        raise DataError(f"{frame.path}: the text column {name!r}, {frame.mixed[name]}; expected a string in each row.")
    if texts.null_count:
        rows = np.flatnonzero(texts.is_null().to_numpy(zero_copy_only=False))
        found = first_five([frame.row(row) for row in rows[:5]], len(rows))
        raise DataError(f"{frame.path}: column {name!r} has no text (null) in {found}; drop such rows or give text.")
    return texts


def make_plan(
    frame: Frame,
    given: LabelSchema | None,
    asked: tuple[str, ...],
    text: str,
    separator: str | None,
    label_format: str | None = None,
) -> Plan:
    """Decide what the columns mean.

    Args:
        frame: the training data.
        given: the schema of a label_info.json, if there is one.
        asked: the label columns that the user named, none to have them found.
        text: the column of the text.
        separator: between names in one cell, if the user gave it.
        label_format: one of LABEL_FORMATS, if the user gave it.
    """
    if label_format is not None and label_format not in LABEL_FORMATS:
        raise UsageError(f"Unknown --label_format {label_format!r}: {did_you_mean(label_format, LABEL_FORMATS)}")
    others = [name for name in frame.table.column_names if name != text]
    asked = () if asked == (frame.dict_name,) else asked
    for name in asked:
        if name == text:
            raise UsageError(f"{frame.path}: column {name!r} cannot be the text and a label; name another for one.")
        if name not in others:
            raise UsageError(f"{frame.path}: has no label column {name!r}: {did_you_mean(name, others)}")
    columns = asked or _label_columns(frame, given, others, label_format)
    if label_format not in (None, COLUMNS) and len(columns) > 1:
        raise UsageError(
            f"{frame.path}: --label_format {label_format} means one column with all labels, but {quoted(columns)} are "
            "taken as labels; name that column with --label_columns."
        )
    if label_format != COLUMNS and len(columns) == 1 and (label_format or _holds_all_labels(frame, columns[0], given)):
        plan = _cell_plan(frame, columns[0], given, separator, label_format)
    else:
        plan = _columns_plan(frame, given, asked, columns, others)
    if separator not in (None, NO_SEPARATOR) and plan.separator is None:
        raise UsageError(f"{frame.path}: separator={separator!r} has no use, as the labels are no delimited names.")
    return plan


def _columns_plan(
    frame: Frame, given: LabelSchema | None, asked: tuple[str, ...], columns: tuple[str, ...], others: Sequence[str]
) -> Plan:
    """The plan for a column per label."""
    schema = given or LabelSchema.from_names(columns)
    for name in schema.names:
        if name not in columns:
            raise DataError(f"{frame.path}: no column for the label {name!r}: {did_you_mean(name, columns)}")
    for name in columns:
        if name not in schema.names:
            raise DataError(f"{frame.path}: column {name!r} is no label: {did_you_mean(name, schema.names)}")
    how = "a dict of them" if frame.fields else "one column each"
    source = "label_info.json" if given else "the keys" if frame.fields else "the columns"
    if given or asked or frame.fields:
        return Plan(schema.names, "columns", schema, f"Labels: {len(schema)}, multi-label, {how}, names of {source}")
    note = f"Labels: {len(schema)} ({quoted(schema.names)}), multi-label, {how}"
    doubtful = doubtful_columns(frame, [name for name in others if name not in columns])
    remarks = (*_soft_columns(frame, columns), *doubtful.values())
    return Plan(schema.names, "columns", schema, note, remarks=remarks, doubtful=tuple(doubtful))


def _label_columns(
    frame: Frame, given: LabelSchema | None, others: Sequence[str], label_format: str | None
) -> tuple[str, ...]:
    if frame.fields:
        return frame.fields
    if given and set(given.names) <= set(others):
        return given.names
    cell = _named_like(LABEL_COLUMNS, others)
    if cell is not None and label_format != COLUMNS:
        return (cell,)
    if given:
        name = next(name for name in given.names if name not in others)
        raise DataError(f"{frame.path}: no column for the label {name!r}: {did_you_mean(name, others)}")
    found = tuple(name for name in others if name.strip() and is_label_column(frame, name))
    if not found:
        near = next(iter(doubtful_columns(frame, others).values()), "").rstrip(".") or _class_columns(frame, others)
        raise UsageError(
            f"{frame.path}: found no labels in {quoted(others)}; expected a column 'labels' or a column of 0 and 1 "
            f"for each label; {near or 'name them with --label_columns'}."
        )
    if frame.format.startswith(("CSV", "TSV")) and set(found) <= {"0", "1", "0.0", "1.0"}:
        raise UsageError(
            f"{frame.path}: the first row ({quoted(frame.table.column_names)}) looks like data; expected a header. If "
            "it is one, name the labels with --label_columns."
        )
    return found


def _class_columns(frame: Frame, names: Sequence[str]) -> str:
    """What to say of up to three columns of strings that could hold one class a row, as few of them differ; nothing
    where there is none."""
    said = []
    for name in names:
        if pa.types.is_string(frame.table.schema.field(name).type) and not are_numbers(frame.column(name)):
            cells = frame.column(name).drop_null()
            n_values = sum(not is_blank(value) for value in cells.unique().to_pylist())
            if 2 <= n_values <= min(_MOST_CLASSES, len(cells) // _ROWS_PER_CLASS):
                flag = f"--label_columns {shlex.quote(name)}"
                said.append(f"{name!r} has {n_values} different values and could hold one class a row: {flag}")
    return "; ".join(said[:3])


def _holds_all_labels(frame: Frame, column: str, given: LabelSchema | None) -> bool:
    """Whether a single label column has the labels of a row in its cells, rather than being one label itself."""
    is_list = pa.types.is_list(frame.table.schema.field(column).type)
    if given is not None and not is_list and set(given.names) <= {*frame.table.column_names}:
        return False
    return column.casefold() in LABEL_COLUMNS or not is_label_column(frame, column)


def is_label_column(frame: Frame, column: str) -> bool:
    """Whether nearly all values of a column are values that a label can have."""
    return column not in frame.broken and is_label_like(label_entries(frame.column(column)))


def _named_like(usual: Sequence[str], names: Sequence[str]) -> str | None:
    """The first usual name that is among the names, whatever its case."""
    return next((name for wanted in usual for name in names if name.casefold() == wanted), None)


def _soft_columns(frame: Frame, columns: Sequence[str]) -> list[str]:
    """A sentence for each label column with values between 0 and 1, which the user may see differently."""
    found = [(name, label_entries(frame.column(name))) for name in columns]
    return [
        f"Column {name!r} has values between 0 and 1: they are taken as soft labels."
        for name, entries in found
        if ((entries > 0) & (entries < 1)).any()
    ]


def doubtful_columns(frame: Frame, names: Sequence[str]) -> dict[str, str]:
    """Of columns that are not used as labels those in which at least half of the known values are label values, each
    with a sentence that says where the others begin."""
    said = {}
    for name in names:
        if name in frame.broken:
            continue
        entries = label_entries(frame.column(name))
        known, wrong = int((~np.isnan(entries)).sum()), np.flatnonzero(np.isinf(entries))
        fits = known - len(wrong)
        if not len(wrong) or 2 * fits < known:
            continue
        is_soft = ((entries > 0) & (entries < 1)).any()
        what = f"{fits:,} of {known:,} values are {'in 0 to 1' if is_soft else '0 or 1'}, {len(wrong):,} "
        what += "is not" if len(wrong) == 1 else "are not"
        first = f"{frame.column(name)[int(wrong[0])].as_py()!r} first in {frame.row(wrong[0])}"
        said[name] = (
            f"column {name!r} is not used as a label: {what} ({first}). Correct them, or name the labels with "
            "--label_columns."
        )
    return said


def _cell_plan(
    frame: Frame, column: str, given: LabelSchema | None, separator: str | None, label_format: str | None
) -> Plan:
    """The plan for labels that lie in one column."""
    where = f"{frame.path}: column {column!r}"
    known = given.names if given else frame.class_names.get(column)
    if label_format == CLASSES and separator is None:
        separator = NO_SEPARATOR
    cells, separator = read_cells(frame, column, known, separator)
    if cells.null_count == len(cells) or (pa.types.is_string(cells.type) and all(map(_is_no_cell, cells.to_pylist()))):
        raise DataError(f"{where}: no row has a known label; expected some to train on.")
    if pa.types.is_struct(cells.type) or pa.types.is_map(cells.type):
        raise DataError(
            f"{where}: holds dicts; labels are read from dicts in a column 'labels' or 'label'; rename it."
        )
    is_list = pa.types.is_list(cells.type)
    values, lengths = flatten_lists(cells) if is_list else (cells, None)
    is_text = pa.types.is_string(values.type)
    _check_format(label_format, is_list, is_text, where)
    form, width = "sets" if is_list or label_format in (NAMES, INDICES) else "classes", None
    numbers = spelled_numbers(values) if is_text else values
    looks = label_format is None and is_list and numbers is not None
    if label_format == MULTI_HOT or (looks and is_multi_hot(frame, column, numbers, lengths, known)):
        form, width = "multi-hot", int(lengths.max(initial=0))
        check_width(frame, column, lengths, len(known) if known else width)
    numbered = label_format != NAMES and (known is not None or not is_text or _are_indices(values))
    numbered = numbered and not _are_names(values, known)
    if label_format == INDICES and not _are_indices(values):
        raise DataError(f"{where}: holds other values than class indices, which --label_format indices asks for.")
    names = known or _names_in(values, width, label_format != NAMES, where)
    if form == "classes" and (len(names) == 1 or (known is None and _n_known(values) == 1)):
        raise DataError(f"{where}: has only one class, {names[-1]!r}; expected two or more.")
    how = _how(form, is_text and not _are_indices(values), separator)
    if form == "multi-hot" and not (known or label_format):
        how += " (they could be class indices: --label_format indices)"
    are_made = known is None and numbered
    source = f"names of {'label_info.json' if given else 'ClassLabel'}" if known else _found_names(names, are_made)
    listed = "" if given or are_made else f" ({quoted(names)})"  # a typo among them shows
    kind = "single-label" if form == "classes" else "multi-label"
    note = f"Labels: {len(names)}{listed}, {kind}, {how} in {column!r}, {source}"
    spelled = is_list and separator is None and pa.types.is_string(frame.table.schema.field(column).type)
    schema = given or LabelSchema.from_names(names)
    return Plan((column,), form, schema, note, separator, numbered=numbered, spelled=spelled)


def _found_names(names: Sequence[str], are_made: bool) -> str:
    """Where names are from that nobody gave."""
    if not are_made:
        return "names as found in the training data"
    span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return f"no names are given: {span} (a label_info.json can name them)"


def _is_no_cell(value: str | None) -> bool:
    return value is None or is_blank(value)


def _check_format(label_format: str | None, is_list: bool, is_text: bool, where: str) -> None:
    """Whether the cells can be what the user says that they are."""
    found = "lists" if is_list else "single values"
    fits = {CLASSES: not is_list, MULTI_HOT: is_list, INDICES: is_list or is_text, NAMES: is_text, None: True}
    if not fits[label_format]:
        found += " of numbers" if label_format == NAMES else ""
        raise UsageError(f"{where}: holds {found}, which does not go with --label_format {label_format}.")


def _how(form: str, are_names: bool, separator: str | None) -> str:
    parted = "" if separator in (None, NO_SEPARATOR) else f" separated by {separator!r}"
    if form == "multi-hot":
        return f"multi-hot lists{parted}"
    if form == "classes":
        return "one class a row"
    what = "names" if are_names else "class indices"
    return f"{what}{parted}" if parted else f"lists of {what}"


def _are_indices(values: pa.Array) -> bool:
    """Whether all values are class indices, as numbers or in words."""
    if not pa.types.is_string(values.type):
        return is_numeric(values.type) or pa.types.is_null(values.type)
    filled = [value for value in values.drop_null().unique().to_pylist() if not is_blank(value)]
    return bool(filled) and all(map(is_index, filled))


def _are_names(values: pa.Array, known: Sequence[str] | None) -> bool:
    """Whether numbers are the names of known classes, such as the years or stars that they are called by."""
    if known is None or not is_numeric(values.type) or pa.types.is_boolean(values.type):
        return False
    numbers = as_numbers(values, pa.float64())
    numbers = np.unique(numbers[np.isfinite(numbers) & (numbers >= 0)])
    return bool(len(numbers)) and {spelled(number) for number in numbers} <= set(known)


def _n_known(values: pa.Array) -> int:
    """How many values differ, without those that are unknown."""
    if pa.types.is_string(values.type):
        return sum(not is_blank(value) for value in values.drop_null().unique().to_pylist())
    numbers = as_numbers(values, pa.float64())
    return len(np.unique(numbers[np.isfinite(numbers) & (numbers >= 0)]))


def _names_in(values: pa.Array, width: int | None, may_be_indices: bool, where: str) -> tuple[str, ...]:
    """The names that the training labels have: those in them, or made ones for indices and multi-hot lists."""
    if pa.types.is_string(values.type):
        names = tuple(sorted({v.strip() for v in values.drop_null().unique().to_pylist() if not is_blank(v)}))
        if width is None and not (may_be_indices and names and all(map(is_index, names))):
            if not names:
                raise DataError(f"{where}: holds no label at all.")
            return names
        width = width or 1 + _highest_class(np.array([as_index(name) for name in names]), len(values), where)
    elif width is None:
        numbers = as_numbers(values, pa.float64()) if is_numeric(values.type) else np.zeros(0)
        width = 1 + _highest_class(numbers[np.isfinite(numbers) & (numbers >= 0)], len(values), where)
    if not width:
        raise DataError(f"{where}: holds no label at all.")
    return tuple(f"label_{i}" for i in range(width))


def _highest_class(indices: np.ndarray, n_values: int, where: str) -> int:
    """The highest class index, -1 where there is none; an error where so few below it occur that it seems to be a
    number of another kind, such as a year."""
    if not len(indices):
        return -1
    highest = int(indices.max())
    if highest >= max(1000, n_values) or highest >= max(100, _SPARE * len(np.unique(indices))):
        raise DataError(
            f"{where}: holds the class index {highest}; expected indices from 0, or names. Numbers that are names can "
            "be listed in a label_info.json (--label_schema)."
        )
    return highest
