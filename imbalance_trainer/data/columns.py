"""Which column of a table is the text and which hold labels; what is not clear is asked, with the flag for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..labels.schema import LabelSchema
from ..utils.constants import LABEL_COLUMNS
from ..utils.errors import DataError, UsageError, did_you_mean, quoted
from .cells import (
    NO_SEPARATOR,
    EntryRule,
    label_entries,
    numbers_in,
)
from .frame import Frame, named_like
from .label_spec import COLUMNS, LABEL_FORMATS, LabelSpec, plan_of_cells
from .questions import ask_about_doubtful, hints, is_class_name, nearly_labels, soft_columns

TEXT_COLUMNS = (
    *("text", "sentence", "comment_text", "comment", "content", "tweet"),
    *("body", "review", "title", "utterance", "question"),
)
"""Usual names of the column of the text, in the order in which they are looked for."""

_SAMPLE = 2_000  # rows by which a column is judged
_MUCH_LONGER = 1.5
_LABEL_LIKE = 0.9  # a column with this share of label values is one of labels, and its other values are errors
_NO_TEXT = re.compile(
    r"https?://\S+|www\.\S+|\S+@\S+\.\w+|[\[{].*[\]}]|(?-i:[\d+-][\d\s.,:/+TZ-]*)([ap]m|utc|gmt)?"
    r"|(mon|tue|wed|thu|fri|sat|sun)[a-z]*,? .*\d|[a-z]{3,9} \d{1,2},? \d{4}.*|\d{1,2} [a-z]{3,9} \d{4}.*",
    re.IGNORECASE | re.DOTALL,
)
"""Addresses, lists, numbers, dates and times."""
_NO_BLANKS = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
"""Letters of scripts that put no blanks between words: Thai, Japanese, Chinese."""
_NO_LABEL = re.compile(r"(unnamed: \d+|index|.*[ _]id|id)?", re.IGNORECASE)


@dataclass(frozen=True)
class LabelSettings:
    """What the user says about the labels.

    Args:
        given: the schema of a label_info.json.
        columns: the label columns.
        separator: between names in one cell.
        label_format: one of LABEL_FORMATS.
        rule: what the values of label columns mean.
    """

    given: LabelSchema | None = None
    columns: tuple[str, ...] = ()
    separator: str | None = None
    label_format: str | None = None
    rule: EntryRule = field(default_factory=EntryRule)


# ---- the text ----


def find_text_column(frame: Frame, wanted: str | None, settings: LabelSettings) -> str:
    """The column `wanted`, else the one that looks like text: the longest among several, or one with a usual name.

    Raises:
        UsageError: no column looks like text, or several do.
    """
    if wanted is not None:
        if wanted not in frame.names:
            raise UsageError(f"{frame.path}: has no text column {wanted!r}: {did_you_mean(wanted, frame.names)}")
        return wanted
    labels = {*settings.columns, *frame.fields}
    if settings.given and set(settings.given.names) <= set(frame.names):
        labels |= set(settings.given.names)
    strings = [n for n in frame.names if n not in labels and n.casefold() not in LABEL_COLUMNS and _is_text(frame, n)]
    usual = named_like(TEXT_COLUMNS, [*strings, *frame.broken])
    if usual in frame.broken:
        raise DataError(frame.broken[str(usual)])
    lengths = {name: length for name in strings if (length := _length_of_text(frame, name))}
    found = sorted(lengths, key=lambda name: -lengths[name])
    usual = named_like(TEXT_COLUMNS, found)
    if usual and _MUCH_LONGER * lengths[usual] >= lengths[found[0]]:
        return usual
    if len(found) == 1 or (found and lengths[found[0]] >= _MUCH_LONGER * lengths[found[1]] and usual != "text"):
        return found[0]
    if found:
        raise UsageError(
            f"{frame.path}: which column is the text? {quoted(found)} look like text; name it with --text_column. "
            "Pairs of texts are not read: join them in one column."
        )
    usual = named_like(TEXT_COLUMNS, strings)
    if usual and (usual.strip().casefold() == TEXT_COLUMNS[0] or not _is_no_text(frame, usual)):
        return usual
    raise UsageError(
        f"{frame.path}: which column is the text? None of {quoted(frame.names)} looks like text; name it with "
        "--text_column."
    )


def _is_text(frame: Frame, name: str) -> bool:
    kind = frame.table.schema.field(name).type
    return pa.types.is_string(kind) or (pa.types.is_list(kind) and pa.types.is_string(kind.value_type))


def _sample(frame: Frame, name: str) -> list[str]:
    texts = _joined(frame.column(name).slice(0, _SAMPLE)).drop_null().to_pylist()
    return [text.strip() for text in texts if text.strip()]


def _is_no_text(frame: Frame, name: str) -> bool:
    """Whether most cells are numbers, dates, addresses or lists."""
    texts = _sample(frame, name)
    return 2 * sum(_NO_TEXT.fullmatch(text) is not None for text in texts) > len(texts)


def _length_of_text(frame: Frame, name: str) -> float:
    """The mean length of a column that looks like text: words with blanks, most rows different; else 0."""
    texts = _sample(frame, name)
    if not texts or _is_no_text(frame, name):
        return 0
    words = [len(text.split()) + len(_NO_BLANKS.findall(text)) // 4 for text in texts]
    different = len(set(texts)) / len(texts)
    has_words = 2 * sum(n > 1 for n in words) >= len(texts)
    is_varied = different >= 0.5 or (different >= 0.2 and np.mean(words) >= 5)
    return float(np.mean([len(text) for text in texts])) if has_words and is_varied else 0


def _joined(values: pa.Array) -> pa.Array:
    """Lists of words as texts."""
    if pa.types.is_list(values.type) and pa.types.is_string(values.type.value_type):
        return pc.binary_join(values, " ")
    return values


def read_texts(frame: Frame, name: str) -> pa.Array:
    """The texts of a file; a missing one is blank, and lists of words are joined."""
    texts = _joined(frame.column(name))
    if not (pa.types.is_string(texts.type) or pa.types.is_null(texts.type)):
        raise DataError(f"{frame.path}: the text column {name!r} holds {texts.type}; expected strings.")
    return texts.cast(pa.string()).fill_null("")


# ---- the labels ----


def make_plan(frame: Frame, text: str, settings: LabelSettings) -> LabelSpec:
    """Decide on the training data what the columns mean.

    Args:
        frame: the training data.
        text: the column of the text.
        settings: what the user says.

    Raises:
        UsageError: a choice that the user has to make; the message names the flag.
        DataError: columns or values that do not fit.
    """
    label_format, separator, given = settings.label_format, settings.separator, settings.given
    if label_format is not None and label_format not in LABEL_FORMATS:
        raise UsageError(f"Unknown --label_format {label_format!r}: {did_you_mean(label_format, LABEL_FORMATS)}")
    others = [name for name in frame.names if name != text]
    asked = () if settings.columns == (frame.dict_name,) else settings.columns
    for name in asked:
        if name == text:
            raise UsageError(f"{frame.path}: column {name!r} cannot be the text and a label; name another for one.")
        if name not in others:
            raise UsageError(f"{frame.path}: has no label column {name!r}: {did_you_mean(name, others)}")
    columns = asked or _label_columns(frame, others, text, settings)
    if columns and label_format != COLUMNS and _hold_names(frame, columns, settings):
        plan = plan_of_cells(frame, columns, given, separator, label_format)
    elif label_format not in (None, COLUMNS):
        raise UsageError(
            f"{frame.path}: --label_format {label_format} means one column with all labels, but {quoted(columns)} are "
            "taken as labels; name that column with --label_columns."
        )
    else:
        plan = _columns_plan(frame, columns, settings)
    if separator not in (None, NO_SEPARATOR) and plan.separator is None:
        raise UsageError(f"{frame.path}: --separator {separator!r} has no use, as the labels are no delimited names.")
    if plan.form != COLUMNS and settings.rule != EntryRule():
        raise UsageError(
            f"{frame.path}: --positive_values, --blank_labels and --label_scale are for a column per label, but the "
            f"labels are {plan.note.partition(', ')[2].partition(', ')[2]}; name those columns with --label_columns."
        )
    return plan


def _hold_names(frame: Frame, columns: Sequence[str], settings: LabelSettings) -> bool:
    """Whether columns have the labels of a row in their cells, rather than each being a label itself."""
    if settings.rule.positive or settings.rule.scale or frame.fields:
        return False
    if len(columns) > 1:
        are_strings = all(pa.types.is_string(frame.table.schema.field(name).type) for name in columns)
        return are_strings and not any(is_label_column(frame, name) for name in columns)
    if settings.label_format is not None or pa.types.is_list(frame.table.schema.field(columns[0]).type):
        return True
    if settings.given is not None and set(settings.given.names) <= {*frame.names}:
        return False
    return columns[0].casefold() in LABEL_COLUMNS or not is_label_column(frame, columns[0])


def _columns_plan(frame: Frame, columns: tuple[str, ...], settings: LabelSettings) -> LabelSpec:
    """The plan for a column per label."""
    given = settings.given
    schema = given or LabelSchema.from_names(columns)
    for name in schema.names:
        if name not in columns:
            raise DataError(f"{frame.path}: no column for the label {name!r}: {did_you_mean(name, columns)}")
    for name in columns:
        if name not in schema.names:
            raise DataError(f"{frame.path}: column {name!r} is no label: {did_you_mean(name, schema.names)}")
    how = "a dict of them" if frame.fields else "one column each"
    source = f", names of {'label_info.json' if given else 'the keys' if frame.fields else 'the columns'}"
    listed = "" if given else f" ({quoted(schema.names)})"
    note = f"Labels: {len(schema)}{listed}, multi-label, {how}{source}"
    soft = [] if settings.rule.scale else soft_columns(frame, schema.names)
    said = (f"{quoted(soft)} hold values between 0 and 1, which are taken as soft labels.",) if soft else ()
    return LabelSpec(schema.names, COLUMNS, schema, note, remarks=said, rule=settings.rule)


def _label_columns(frame: Frame, others: Sequence[str], text: str, settings: LabelSettings) -> tuple[str, ...]:
    """The label columns, where the user does not name them."""
    given = settings.given
    if frame.fields:
        return frame.fields
    if given and set(given.names) <= set(others):
        return given.names
    cell = named_like(LABEL_COLUMNS, others)
    if cell is not None and settings.label_format != COLUMNS:
        return (cell,)
    numbered = tuple(name for name in others if _is_numbered(name))
    if len(numbered) > 1 and _hold_names(frame, numbered, settings):
        return numbered
    if given:
        name = next(name for name in given.names if name not in others)
        raise DataError(f"{frame.path}: no column for the label {name!r}: {did_you_mean(name, others)}")
    readable = [name for name in others if name not in frame.broken and not _NO_LABEL.fullmatch(name)]
    if settings.rule.positive:
        found = [name for name in readable if _has_positive_value(frame, name, settings.rule)]
    else:
        found = [name for name in readable if is_label_column(frame, name)]
    whole = [name for name in found if _has_no_other_number(frame, name, settings.rule)]
    nearly = {} if settings.rule.positive else nearly_labels(frame, [name for name in readable if name not in whole])
    where = f" in {quoted(others)}" if others else ""
    if not whole and (not found or nearly.keys() - set(found)):
        raise UsageError(
            f"{frame.path}: found no labels{where}; expected a column 'labels' or a column of 0 and 1 "
            f"for each label. {'; '.join(hints(frame, readable, nearly)) or 'Name them with --label_columns'}."
        )
    if whole and not settings.rule.positive:
        ask_about_doubtful(frame, whole, nearly, readable)
    return tuple(found)


def _has_no_other_number(frame: Frame, name: str, rule: EntryRule) -> bool:
    """Whether a column of labels has no numbers that are none; a wrong word in it is an error, and no question."""
    values = frame.column(name)
    odd = values.filter(pa.array(np.isinf(label_entries(values, rule))))
    return not len(odd) or numbers_in(odd) is None


def _is_numbered(name: str) -> bool:
    """Whether a column is one of several such as label_1, label_2."""
    stem = re.sub(r"[ _.-]?\d+$", "", name.strip()).casefold()
    return stem != name.strip().casefold() and (stem in LABEL_COLUMNS or is_class_name(stem))


def is_label_column(frame: Frame, column: str) -> bool:
    """Whether nearly all values of a column are values that a label can have."""
    if column in frame.broken:
        return False
    entries = label_entries(frame.column(column))
    known = ~np.isnan(entries)
    return bool(known.any()) and bool(np.isinf(entries).sum() <= (1 - _LABEL_LIKE) * known.sum() + 1e-9)


def _has_positive_value(frame: Frame, name: str, rule: EntryRule) -> bool:
    """Whether a column has at most two values, one of them being positive as the user says."""
    values = frame.column(name)
    if pa.types.is_nested(values.type) or len(values.drop_null().unique()) > 3:
        return False
    return bool((label_entries(values, rule) == 1).any())
