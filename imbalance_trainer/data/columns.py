"""Which column of a table is the text and which hold labels, found or named; what they mean is a `LabelSpec`."""

import shlex
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..labels.schema import LabelSchema
from ..utils.constants import LABEL_COLUMNS
from ..utils.errors import DataError, UsageError, did_you_mean, first_five, quoted
from .cells import BARE, NO_SEPARATOR, are_numbers, is_blank, is_label_like, label_entries
from .frame import Frame, named_like
from .label_spec import COLUMNS, LABEL_FORMATS, LabelSpec, plan_of_cells

_MOST_CLASSES, _ROWS_PER_CLASS = 100, 4  # of a column of strings that could hold one class a row

TEXT_COLUMNS = (
    *("text", "sentence", "comment_text", "comment", "content", "tweet"),
    *("body", "review", "title", "utterance", "question"),
)
"""Where the text lies, in the order in which it is looked for."""


def find_text_column(frame: Frame, wanted: str | None, labels: set[str]) -> str:
    """The column `wanted`, else the first usual name that holds strings, else the only column with strings."""
    names = frame.table.column_names
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"{frame.path}: has no text column {wanted!r}: {did_you_mean(wanted, names)}")
        return wanted
    usual = named_like(TEXT_COLUMNS, names)
    if usual in frame.broken:
        raise DataError(frame.broken[usual])
    labels = {*labels, *LABEL_COLUMNS, *frame.fields}
    strings = [n for n in names if n not in labels and pa.types.is_string(frame.table.schema.field(n).type)]
    usual = named_like(TEXT_COLUMNS, strings)
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
) -> LabelSpec:
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
        plan = plan_of_cells(frame, columns[0], given, separator, label_format)
    else:
        plan = _columns_plan(frame, given, asked, columns, others)
    if separator not in (None, NO_SEPARATOR) and plan.separator is None:
        raise UsageError(f"{frame.path}: separator={separator!r} has no use, as the labels are no delimited names.")
    return plan


def _columns_plan(
    frame: Frame, given: LabelSchema | None, asked: tuple[str, ...], columns: tuple[str, ...], others: Sequence[str]
) -> LabelSpec:
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
        return LabelSpec(
            schema.names, "columns", schema, f"Labels: {len(schema)}, multi-label, {how}, names of {source}"
        )
    note = f"Labels: {len(schema)} ({quoted(schema.names)}), multi-label, {how}"
    doubtful = doubtful_columns(frame, [name for name in others if name not in columns])
    remarks = (*_soft_columns(frame, columns), *doubtful.values())
    return LabelSpec(schema.names, "columns", schema, note, remarks=remarks, doubtful=tuple(doubtful))


def _label_columns(
    frame: Frame, given: LabelSchema | None, others: Sequence[str], label_format: str | None
) -> tuple[str, ...]:
    if frame.fields:
        return frame.fields
    if given and set(given.names) <= set(others):
        return given.names
    cell = named_like(LABEL_COLUMNS, others)
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
    if frame.format.startswith(("CSV", "TSV")) and set(found) <= BARE:
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
