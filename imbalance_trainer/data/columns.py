"""Which column of a table is the text and which hold labels; what is not clear is asked, with the flag for it."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..labels.schema import LabelSchema
from ..utils.constants import LABEL_COLUMNS
from ..utils.errors import DataError, UsageError, did_you_mean, quoted
from .cells import NO_SEPARATOR, fold, how_written, label_entries, numbers_in, words_in
from .frame import Frame, named_like
from .label_spec import COLUMNS, LABEL_FORMATS, LabelSpec, ask_about_signs, plan_of_cells
from .text_files import Settings

_TEXT_NAMES = "text sentence comment_text comment content tweet post message msg body review title utterance question"
TEXT_COLUMNS = tuple(_TEXT_NAMES.split())
"""Usual names of the column of the text, in the order in which they are looked for."""

_HEADINGS = ("title", "question")  # which may stand beside a longer text
_OF_PAIRS = re.compile(
    r"(?i)premise|hypothesis|(sentence|text|question|[sq])[ _]?[12ab]?|answer|query|passage|context|response|reply"
)
_SAMPLE = 2_000  # rows by which a column is judged
_MANY_TEXTS = 100  # sentences that differ, however often each stands there
_MUCH_LONGER = 2
_LABEL_LIKE = 0.9  # a column with this share of label values is one of labels, and its other values are errors
_NO_TEXT = re.compile(
    r"(?is)https?://\S+|www\.\S+|\S+@\S+\.\w+|[\[{].*[\]}]|(?-i:[\d+-][\d\s.,:/+TZ-]*)([ap]m|utc|gmt)?"
    r"|(mon|tue|wed|thu|fri|sat|sun)[a-z]*,? .*\d|[a-z]{3,9} \d{1,2},? \d{4}.*|\d{1,2} [a-z]{3,9} \d{4}.*"
)
"""Addresses, lists, numbers, dates and times."""
_NO_BLANKS = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
"""Letters of scripts that put no blanks between words: Thai, Japanese, Chinese."""
_NO_LABEL = re.compile(r"(unnamed: \d+|index|.*[ _]id|id)?", re.IGNORECASE)
_CLASS_NAMES = "class category categories target sentiment emotion emotions topic topics intent tags tag genre genres"
_CLASS_COLUMNS = tuple(_CLASS_NAMES.split())
"""Usual names of a column with a class a row, or with several names."""
_SELDOM_LABEL = re.compile(
    r"(?i)(is|has|user|example)[_ ].*|.*(verified|retweeted|truncated|favorited|deleted|sensitive|golden?)"
    r"|.*confidence.*|.*(count|votes?|likes?|score|prob\w*|pred\w*)"
)
_PEOPLE = re.compile(
    r"(?i)(?:^|[ _.(-])(an+(?:ot\w*)?|rater|coder|judge|worker|labell?er|reviewer|expert|evaluator|assessor|user"
    r"|person|participant)([ _.-]*\d+|[ _.-]+[a-z])\)?$"
)
_WAYS = (
    "--label_columns names them, with --positive_values (which values mean 1), --label_scale (what counts, "
    "percentages or ratings are divided by), --separator (between names) or --label_format classes (a class a row)."
)
_MOST_CLASSES, _ROWS_PER_CLASS = 100, 4  # of a column of strings that could hold one class a row


# ---- the text ----


def find_text_column(frame: Frame, settings: Settings) -> str:
    """The column of the text: of several that look like it the longest, or one with a usual name; else it is asked."""
    wanted = settings.text_column
    if wanted is not None:
        if wanted not in frame.names:
            raise UsageError(f"{frame.path}: has no text column {wanted!r}: {did_you_mean(wanted, frame.names)}")
        return wanted
    labels = {*settings.label_columns, *frame.fields}
    if settings.label_info and set(settings.label_info.names) <= set(frame.names):
        labels |= set(settings.label_info.names)
    strings = [n for n in frame.names if n not in labels and n.casefold() not in LABEL_COLUMNS and _is_text(frame, n)]
    lengths = {name: _text_length(frame, name) for name in strings}
    found = sorted((name for name in strings if lengths[name] > 0), key=lambda name: -lengths[name])
    usual = named_like(TEXT_COLUMNS, found)
    is_pair = sum(_OF_PAIRS.fullmatch(name.strip()) is not None for name in found) > 1
    if usual and _MUCH_LONGER * lengths[usual] >= lengths[found[0]] and not is_pair:
        return usual
    is_longest = len(found) > 1 and lengths[found[0]] >= _MUCH_LONGER * lengths[found[1]]
    if len(found) == 1 or (is_longest and not is_pair and (not usual or usual.strip().casefold() in _HEADINGS)):
        return found[0]
    usual = named_like(TEXT_COLUMNS, strings)
    if usual and not found and (lengths[usual] == 0 or usual.casefold() == TEXT_COLUMNS[0]):
        return usual
    said = f"{quoted(found)} look like text" if found else f"None of {quoted(frame.names)} looks like text"
    pairs = " Pairs of texts are not read: join them in one column." if found else ""
    raise UsageError(f"{frame.path}: which column is the text? {said}; name it with --text_column.{pairs}")


def _is_text(frame: Frame, name: str) -> bool:
    kind = frame.table.schema.field(name).type
    return pa.types.is_string(kind) or (pa.types.is_list(kind) and pa.types.is_string(kind.value_type))


def _text_length(frame: Frame, name: str) -> float:
    """The mean length of a column that looks like text, blank cells too: words with blanks, most rows different; else
    0, or -1 where most cells are numbers, dates, addresses or lists."""
    every = _joined(frame.column(name).slice(0, _SAMPLE)).to_pylist()
    texts = [text.strip() for text in every if text and text.strip()]
    if not texts:
        return 0
    if 2 * sum(_NO_TEXT.fullmatch(text) is not None for text in texts) > len(texts):
        return -1
    words = [len(text.split()) + len(_NO_BLANKS.findall(text)) // 4 for text in texts]
    different = len(set(texts)) / len(texts)
    has_words = 2 * sum(n > 1 for n in words) >= len(texts)
    is_varied = different >= 0.5 or (np.mean(words) >= 5 and (different >= 0.2 or len(set(texts)) >= _MANY_TEXTS))
    return sum(map(len, texts)) / len(every) if has_words and is_varied else 0


def _joined(values: pa.Array) -> pa.Array:
    """Lists of words as texts."""
    is_list = pa.types.is_list(values.type) and pa.types.is_string(values.type.value_type)
    return pc.binary_join(values, " ") if is_list else values


def read_texts(frame: Frame, name: str) -> pa.Array:
    """The texts of a file; a missing one is blank, and lists of words are joined."""
    texts = _joined(frame.column(name))
    if not (pa.types.is_string(texts.type) or pa.types.is_null(texts.type)):
        raise DataError(f"{frame.path}: the text column {name!r} holds {texts.type}; expected strings.")
    return texts.cast(pa.string()).fill_null("")


# ---- the labels ----


def make_plan(frame: Frame, text: str, settings: Settings) -> LabelSpec:
    """Decide on the training data what the columns beside the text mean; what is not clear is asked."""
    label_format, separator = settings.label_format, settings.separator
    if label_format is not None and label_format not in LABEL_FORMATS:
        raise UsageError(f"Unknown --label_format {label_format!r}: {did_you_mean(label_format, LABEL_FORMATS)}")
    others = [name for name in frame.names if name != text]
    asked = () if settings.label_columns == (frame.dict_name,) else settings.label_columns
    for name in asked:
        if name == text:
            raise UsageError(f"{frame.path}: column {name!r} cannot be the text and a label; name another for one.")
        if name not in others:
            raise UsageError(f"{frame.path}: has no label column {name!r}: {did_you_mean(name, others)}")
    columns = asked or _label_columns(frame, others, settings)
    if label_format != COLUMNS and _hold_names(frame, columns, settings):
        plan = plan_of_cells(frame, columns, settings)
    elif label_format not in (None, COLUMNS):
        raise UsageError(
            f"{frame.path}: --label_format {label_format} means one column with all labels, but {quoted(columns)} are "
            "taken as labels; name that column with --label_columns."
        )
    else:
        plan = _columns_plan(frame, columns, settings)
    if separator not in (None, NO_SEPARATOR, plan.written):
        raise UsageError(f"{frame.path}: --separator {separator!r} has no use, as the labels are no delimited names.")
    if plan.form != COLUMNS and (settings.positive_values or settings.blank_labels or settings.label_scale):
        raise UsageError(
            f"{frame.path}: --positive_values, --blank_labels and --label_scale are for a column per label, but the "
            f"labels are in {plan.where}; name those columns with --label_columns."
        )
    return plan if settings.label_info is None else replace(plan, note=f"{plan.note}, names of label_info.json")


def _hold_names(frame: Frame, columns: Sequence[str], settings: Settings) -> bool:
    """Whether columns have the labels of a row in their cells, rather than each being a label itself."""
    if settings.positive_values or settings.label_scale or frame.fields:
        return False
    if len(columns) > 1:
        are_strings = all(pa.types.is_string(frame.table.schema.field(name).type) for name in columns)
        return are_strings and not any(_seen(frame, name).is_like_label for name in columns)
    if settings.label_format is not None or pa.types.is_list(frame.table.schema.field(columns[0]).type):
        return True
    if settings.label_info is not None and set(settings.label_info.names) <= {*frame.names}:
        return False
    return columns[0].casefold() in LABEL_COLUMNS or not _seen(frame, columns[0]).is_like_label


def _columns_plan(frame: Frame, columns: Sequence[str], settings: Settings) -> LabelSpec:
    """The plan for a column per label."""
    given = settings.label_info
    schema = given or LabelSchema.from_names(columns)
    alike = [name for name in columns if sum(fold(name) == fold(other) for other in columns) > 1]
    if alike and not given:
        raise DataError(f"{frame.path}: the columns {quoted(alike)} differ in spelling alone; rename or drop one.")
    if missing := [name for name in schema.names if name not in columns]:
        raise DataError(f"{frame.path}: no column for the label {missing[0]!r}: {did_you_mean(missing[0], columns)}")
    if odd := [name for name in columns if name not in schema.names]:
        raise DataError(f"{frame.path}: column {odd[0]!r} is no label: {did_you_mean(odd[0], schema.names)}")
    how = "a dict of them" if frame.fields else "one column each"
    note = f"Labels: {len(schema)} ({quoted(schema.names)}), multi-label, {how}"
    return LabelSpec(schema.names, COLUMNS, schema, note, settings=settings)


def _label_columns(frame: Frame, others: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """The label columns, where the user does not name them."""
    given = settings.label_info
    if frame.fields:
        return frame.fields
    if given and set(given.names) <= set(others):
        return given.names
    cell = named_like(LABEL_COLUMNS, others)
    if cell is not None and settings.label_format != COLUMNS:
        _ask_about_others(frame, cell, others)
        return (cell,)
    numbered = tuple(name for name in others if _is_numbered(name))
    if len(numbered) > 1 and _hold_names(frame, numbered, settings):
        return numbered
    if given:
        name = next(name for name in given.names if name not in others)
        near = did_you_mean(name, others)
        raise DataError(f"{frame.path}: no column for the label {name!r}: {near} --label_columns names the columns.")
    if settings.positive_values:
        raise UsageError(f"{frame.path}: --positive_values needs --label_columns, the columns that hold them.")
    possible = [n for n in others if not _NO_LABEL.fullmatch(n)]
    values = {n: _seen(frame, n) for n in possible if not _holds_objects(frame.table.schema.field(n).type)}
    found = [name for name, v in values.items() if v.is_label]
    if not found and all(v.is_like_label for v in values.values() if v.nearly):
        found = [name for name, v in values.items() if v.is_like_label]
    if not found:
        where = f" in {_described(values)}" if values else ""
        named = [f" If they are in {n!r}, say --label_columns {shlex.quote(n)}." for n in values if _is_class_name(n)]
        kinds = {n: frame.table.schema.field(n).type for n in others}
        named += [
            f" Dicts such as {n!r} are read in a column 'labels'." for n in others if pa.types.is_struct(kinds[n])
        ]
        if 2 * sum(name.startswith("Unnamed: ") for name in frame.names) >= len(frame.names):
            named.append(" If the header is further down, say --reader_args '{\"skiprows\": 1}', or how many lines.")
        raise UsageError(
            f"{frame.path}: found no labels{where}; expected a column 'labels' or one of 0 and 1 for each label."
            f"{''.join(named)} {_WAYS}"
        )
    _ask_about_doubtful(frame, {name: values[name] for name in found}, values)
    return tuple(found)


def _ask_about_others(frame: Frame, cell: str, others: Sequence[str]) -> None:
    """Ask where there is a label_2 beside `label`, or where `label` and columns beside it hold 0 and 1."""
    beside = [n for n in others if n != cell and not (_NO_LABEL.fullmatch(n) or _SELDOM_LABEL.fullmatch(n.strip()))]
    beside = [n for n in beside if not _holds_objects(frame.table.schema.field(n).type)]
    is_label = _seen(frame, cell).is_label
    found = [n for n in beside if _stem(n) == _stem(cell) or (is_label and _seen(frame, n).is_label)]
    if found:
        ways = " or ".join(f"--label_columns {shlex.join(names)}" for names in ([cell], [cell, *found]))
        raise UsageError(f"{frame.path}: which of {quoted([cell, *found])} are labels? Say {ways}.")


def _is_numbered(name: str) -> bool:
    """Whether a column is one of several such as label_1, label_2."""
    return _stem(name) != name.strip().casefold() and _stem(name) in (*LABEL_COLUMNS, *_CLASS_COLUMNS)


def _stem(name: str) -> str:
    return re.sub(r"[ _.-]?\d+$", "", name.strip()).casefold()


# ---- what is asked ----


@dataclass(frozen=True)
class _Values:
    """The values of a column, seen as those of a label.

    Args:
        cells: the values.
        entries: what they are as entries of a label, see `label_entries`.
        is_like_label: whether nearly all of them are values that a label can have.
        is_label: whether there are no other numbers too: a wrong word is an error, and no question.
        nearly: what is said where it is none, but half of the known values could be those of a label.
    """

    cells: pa.Array
    entries: np.ndarray
    is_like_label: bool
    is_label: bool
    nearly: str

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """The values as numbers, where all of them are."""
        return numbers_in(self.cells)


def _seen(frame: Frame, name: str) -> _Values:
    cells = frame.column(name)
    entries = label_entries(cells)
    wrong, known, nearly = np.flatnonzero(np.isinf(entries)), int((~np.isnan(entries)).sum()), ""
    is_like = known > 0 and len(wrong) <= (1 - _LABEL_LIKE) * known + 1e-9
    is_label = is_like and (not len(wrong) or numbers_in(cells.take(pa.array(wrong))) is None)
    if not is_label and 0 < 2 * len(wrong) <= known and not _is_class_name(name):
        first = f"{cells[int(wrong[0])].as_py()!r} first in {frame.row(wrong[0])}"
        nearly = f"{name!r} holds {known - len(wrong):,} values of 0 to 1 and {len(wrong):,} others ({first})"
    return _Values(cells, entries, is_like, is_label, nearly)


def _ask_about_doubtful(frame: Frame, found: Mapping[str, _Values], values: Mapping[str, _Values]) -> None:
    """Raise a UsageError for columns beside the labels that may be labels, and for labels that may be none."""
    if len(found) == 1 and 0 in next(iter(found.values())).entries:
        ask_about_signs(next(iter(found.values())).numbers, next(iter(found)), str(frame.path))
    nearly = {name: v for name, v in values.items() if v.nearly and name not in found}
    people = [name for name in found if _PEOPLE.search(name.strip())]
    seldom = {name: v for name, v in found.items() if name in people or _SELDOM_LABEL.fullmatch(name.strip())}
    soft = {n: v for n, v in found.items() if n not in seldom and ((v.entries > 0) & (v.entries < 1)).any()}
    doubtful = nearly | (seldom if len(seldom) < len(found) or 1 < len(people) == len(found) else {})
    doubtful |= soft if len(soft) < len(found) else {}
    is_certain = any(v.numbers is not None for name, v in found.items() if name not in seldom)
    rest = {n: v for n, v in values.items() if n not in {**found, **nearly} and _may_hold_names(n, v, is_certain)}
    if not doubtful and not rest:
        return
    certain = [name for name in found if name not in doubtful] if doubtful else []
    everything = [name for name in values if name in {**found, **nearly}]
    ways = [f"--label_columns {shlex.join(names)}" for names in (certain, *([n] for n in rest), everything) if names]
    if counts := [np.nanmax(v.numbers) for v in nearly.values() if v.numbers is not None]:
        ways[-1] += f" --label_scale {max(counts):g}"
    odd = "".join(f", where {v.nearly}" for v in nearly.values())
    odd += ", which may be what each of several people said of one label" if people else ""
    raise UsageError(
        f"{frame.path}: which columns are labels? It is not clear of {_described({**(doubtful or found), **rest})}"
        f"{odd}; say {' or '.join(ways)}. {_WAYS}"
    )


def _is_class_name(column: str) -> bool:
    return column.strip().casefold() in _CLASS_COLUMNS


def _may_hold_names(name: str, values: _Values, is_certain: bool) -> bool:
    """Whether a column may hold a class a row or sets of names, where its own name says so or the labels are words."""
    if is_certain and not _is_class_name(name):
        return False
    if pa.types.is_nested(values.cells.type):
        return True
    words = words_in(values.cells.cast(pa.string()))
    if len(words) < 2 or not (values.numbers is None or len(words) == 2 or _is_class_name(name)):
        return False
    try:
        is_set = how_written(pa.array(words, pa.string()), None, None, "") != NO_SEPARATOR
    except UsageError:
        return True
    return is_set or len(words) <= min(_MOST_CLASSES, len(values.cells) // _ROWS_PER_CLASS)


def _holds_objects(kind: pa.DataType) -> bool:
    """Whether values are lists of lists or of dicts, or dicts, which are no labels."""
    return pa.types.is_nested(kind) and (not pa.types.is_list(kind) or pa.types.is_nested(kind.value_type))


def _described(values: Mapping[str, _Values]) -> str:
    """Columns, those with the same values together, and some of their values."""
    alike: dict[str, list[str]] = {}
    for name, v in values.items():
        found = sorted({str(cell)[:25] for cell in v.cells.slice(0, _SAMPLE).to_pylist() if cell is not None} - {""})
        shown = ", ".join(map(repr, found[:3])) + (", ..." if len(found) > 3 else "")
        alike.setdefault(shown or "blank", []).append(name)
    return "; ".join(f"{quoted(columns)} ({shown})" for shown, columns in [*alike.items()][:10])
