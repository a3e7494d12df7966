"""LabelSpec: what the label columns mean, how it is found where one column has all labels, and labels as numbers."""

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX, MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import DataError, UsageError, did_you_mean, first_five, quoted
from . import cells as cell
from .frame import Frame
from .text_files import Settings

COLUMNS, MULTI_HOT, INDICES, NAMES, CLASSES, LONG = LABEL_FORMATS = (
    "columns", "multi_hot", "indices", "names", "classes", "long",
)  # fmt: skip
"""What `label_format` may be: a column per label; or one column with lists of 0 and 1, of class indices or of names,
with one class a row, or with one label of a text that has several rows."""

ENTRY = "0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown"
_SPARE = 10  # times as many classes as occur are taken for numbers of another kind, such as years
_MANY = 100  # classes, from which numbers are looked at twice
_NO_CLASS = -2


@dataclass(frozen=True)
class LabelSpec:
    """What the columns mean, decided on the training data.

    Args:
        columns: the label columns.
        form: COLUMNS, MULTI_HOT, NAMES (sets of names or indices) or CLASSES.
        schema: the labels.
        note: what was decided, in words.
        written: how cells of strings are written, see `cells.how_written`.
        remarks: what may be meant otherwise, a sentence each.
        numbered: whether numbers in the cells are class indices.
        settings: what the user says of the values of a column per label.
    """

    columns: tuple[str, ...]
    form: str
    schema: LabelSchema
    note: str
    written: str = cell.NO_SEPARATOR
    remarks: tuple[str, ...] = ()
    numbered: bool = True
    settings: Settings = field(default_factory=Settings)

    @cached_property
    def places(self) -> tuple[dict[str, int], dict[str, int]]:
        """The index of each name as it is spelled, and as `fold` spells those that are told apart so."""
        names = self.schema.names
        spellings = Counter(map(cell.fold, names))
        folded = {cell.fold(name): i for i, name in enumerate(names) if spellings[cell.fold(name)] == 1}
        return {name: i for i, name in enumerate(names)}, folded

    @property
    def problem_type(self) -> str:
        """What a config's `problem_type` is for these labels."""
        return SINGLE_LABEL if self.form == CLASSES else MULTI_LABEL

    @property
    def where(self) -> str:
        """What messages call the columns."""
        return _called(self.columns)


def plan_of_cells(frame: Frame, columns: Sequence[str], settings: Settings) -> LabelSpec:
    """The plan for labels that lie in one column of the training data, or as names in several."""
    column, given, label_format = columns[0], settings.label_info, settings.label_format
    where = f"{frame.path}: {_called(columns)}"
    known = given.names if given else frame.class_names.get(column)
    cells, written = _cells(frame, columns, known, settings, where)
    is_list = pa.types.is_list(cells.type)
    values = cells.flatten() if is_list else cells
    words, is_text = cell.words_in(values), pa.types.is_string(values.type)
    if cells.null_count == len(cells) or (not is_list and is_text and not words):
        raise DataError(f"{where}: no row has a known label; expected some to train on.")
    are_indices = bool(words) and all(map(cell.is_index, words))
    fits = {CLASSES: not is_list, MULTI_HOT: is_list, INDICES: are_indices and (is_list or is_text), NAMES: is_text}
    if not fits.get(label_format or "", label_format is None):
        holds = f"{'lists' if is_list else 'single values'} such as {quoted(words[:2])}"
        raise UsageError(f"{where}: holds {holds}, which does not go with --label_format {label_format}.")
    form, width = (NAMES if label_format in (NAMES, INDICES) else CLASSES), None
    if is_list:
        form, width = _form_of_lists(cells, known, label_format, where)
    if form == CLASSES and known is None:
        numbers = cell.numbers_in(values)
        ask_about_signs(numbers, column, str(frame.path))
        if label_format is None:
            _ask_about_fractions(numbers, column, where)
    are_names = not is_text and words and known is not None and set(words) <= set(known)  # such as years or stars
    numbered = label_format != NAMES and not are_names and (known is not None or not is_text or are_indices)
    is_free = known is None and width is None and label_format in (None, CLASSES)
    is_counted = is_free and numbered and min(map(cell.as_index, words), default=0) > 0  # such as 1 to 5: none is 0
    is_made = known is None and not (is_counted and label_format)  # where classes are asked for, however large
    names, said = _names_in(values, words, width, numbered, where) if is_made else (known or (), [])
    if is_counted:
        numbered, names = False, [str(i) for i in sorted({*map(cell.as_index, words)})]
    path = cell.paths_in(words) if written != cell.PATHS else None
    if path is not None:
        way = "--separator '>' makes each level a label that implies the one above it"
        if written != cell.NO_SEPARATOR:
            way = "a label_info.json (--label_schema) can list which label implies which"
        said = [*said, f"{frame.name}: column {column!r} holds paths such as {path!r}: {way}."]
    if form == CLASSES and (len(names) == 1 or (known is None and len(words) == 1)):
        flags = f"--label_columns {shlex.quote(column)} --positive_values {shlex.quote([*words, names[-1]][0])}"
        way = f" Where a blank cell means that it is not, say {flags} --blank_labels negative."
        has_blank = values.null_count or any(map(cell.is_blank, cell.words_of(values.drop_null().unique())))
        raise DataError(f"{where}: has only one class, {names[-1]!r}; expected two or more.{way if has_blank else ''}")
    if form == CLASSES and is_text and is_free and not label_format and 100 <= len(values) < 2 * len(names):
        raise UsageError(
            f"{where}: holds {len(names):,} different values in {len(values):,} rows, such as {names[-1]!r}; for sets "
            "of labels say --separator and what is between them, for a class a row --label_format classes."
        )
    parted = "" if written in (cell.NO_SEPARATOR, cell.SPELLED) else f" separated by {written!r}"
    what = "names" if is_text and not are_indices else "class indices"
    how = {CLASSES: "one class a row", NAMES: what if parted else f"lists of {what}"}.get(form, "multi-hot lists")
    if form == MULTI_HOT and not (known or label_format):
        parted += " (they could be class indices: --label_format indices)"
    kind = "single-label" if form == CLASSES else "multi-label"
    hint = ", which a label_info.json can name" if known is None and numbered else ""
    note = f"Labels: {len(names)} ({quoted(names)}){hint}, {kind}, {how}{parted} in {quoted(columns)}"
    arrow = f" {cell.PATHS} "
    levels = [(n, n.rpartition(arrow)[0]) for n in names if arrow in n and written.strip() == cell.PATHS]
    schema = given or LabelSchema(tuple(names), {}, tuple(levels))
    return LabelSpec(tuple(columns), form, schema, note, written, tuple(said), bool(numbered))


def _called(columns: Sequence[str]) -> str:
    return f"column {columns[0]!r}" if len(columns) == 1 else f"columns {quoted(columns)}"


def ask_about_signs(numbers: np.ndarray | None, column: str, where: str) -> None:
    """Ask whether -1, beside 0 and 1 or one of them in a tenth of the rows, is a class."""
    known = np.array([]) if numbers is None else numbers[~np.isnan(numbers)]
    signs, flag = int((known == -1).sum()), f"--label_columns {shlex.quote(column)}"
    is_below = bool((known[known != IGNORE_INDEX] < -1).any())
    if signs > 2 and ((10 * signs >= len(known) and np.isin(known, (-1, 0, 1)).all()) or is_below):
        *some, last = (f"{n:g}" for n in np.unique(known))
        raise UsageError(
            f"{where}: {column!r} holds {', '.join(some)} and {last}, and -1 means unknown. For classes say {flag} "
            "--label_format classes, with a label_info.json (--label_schema) that names all of them, such as '-1' "
            f"and '1'; else say {flag} --label_format columns."
        )


def _ask_about_fractions(numbers: np.ndarray | None, column: str, where: str) -> None:
    """Ask whether fractions are soft labels or classes."""
    if numbers is None or not (odd := numbers[np.isfinite(numbers) & (numbers != np.floor(numbers))]).size:
        return
    way = f" --label_scale {np.nanmax(numbers):g}" if np.nanmax(numbers) > 1 else " --label_format columns"
    flag = f"--label_columns {shlex.quote(column)}"
    ways = f"for a soft label say {flag}{way}, for a class a row {flag} --label_format classes"
    raise UsageError(f"{where}: holds numbers such as {odd[0]:g}; {ways}.")


def _cells(
    frame: Frame, columns: Sequence[str], known: Sequence[str] | None, settings: Settings, where: str
) -> tuple[pa.Array, str]:
    """The cells, as lists unless they are single values, and how they are written."""
    cells, written = frame.column(columns[0]), cell.NO_SEPARATOR
    is_string = pa.types.is_string(cells.type) and len(columns) == 1
    if is_string:
        classes = cell.NO_SEPARATOR if settings.label_format == CLASSES else None
        written = cell.how_written(cells, known, settings.separator or classes, where)
    if len(columns) > 1:
        every = pa.concat_arrays([frame.column(name).cast(pa.string()) for name in columns])
        if cell.how_written(every, known, settings.separator, where) != cell.NO_SEPARATOR:
            raise UsageError(f"{where}: their cells hold several names; that is read where one column has all labels.")
        rows = frame.table.select(columns).to_pandas().replace("", None)
        if not settings.label_columns and 10 * (rows.nunique(axis=1) < rows.count(axis=1)).sum() > len(rows):
            raise UsageError(
                f"{where}: many rows have one name in several of them, as where several people said it; name the "
                "column of the label with --label_columns."
            )
    if not is_string or written != cell.NO_SEPARATOR:
        cells = cell.cell_lists(frame, columns, written)
    if pa.types.is_struct(cells.type) or pa.types.is_map(cells.type):
        raise DataError(f"{where}: holds dicts; these are read in a column 'labels' or 'label'; rename it.")
    kind = cells.type.value_type if pa.types.is_list(cells.type) else cells.type
    if not (pa.types.is_string(kind) or cell.is_numeric(kind) or pa.types.is_null(kind)):
        raise DataError(f"{where}: holds {kind}; expected names or class indices.")
    return cells, written


def _form_of_lists(
    cells: pa.Array, known: Sequence[str] | None, label_format: str | None, where: str
) -> tuple[str, int | None]:
    """The form of labels in lists and, where they are multi-hot (a number for each label), how many there are."""
    values, lengths = cells.flatten(), list_lengths(cells)
    real, numbers = lengths[lengths >= 0], cell.numbers_in(values)
    is_multi_hot = label_format == MULTI_HOT
    if label_format is None and numbers is not None and len(numbers):
        entries = cell.label_entries(values)
        is_even = real.min() == real.max() and (known is None or real[0] == len(known))
        fits = not np.isinf(entries).any()
        is_soft = ((entries > 0) & (entries < 1)).any()
        is_multi_hot = bool(fits and (is_even or is_soft))
        if not is_multi_hot:
            rows = pd.DataFrame({"row": np.repeat(np.arange(len(real)), real), "number": numbers}).dropna()
            steps = rows["number"].diff()[rows["row"].diff() == 0]
            if known is None and numbers.max() >= _MANY and (steps == 1).mean() > 0.8:
                shown = rows["number"][:3].astype(int).tolist()
                raise UsageError(
                    f"{where}: holds runs such as {shown}, as positions in a text are; for class indices say "
                    "--label_format indices."
                )
            is_multi_hot = bool((is_even or fits) and rows.duplicated().any())  # a set of indices has none twice
    return (MULTI_HOT, len(known) if known else int(real[0])) if is_multi_hot else (NAMES, None)


def list_lengths(lists: pa.Array) -> np.ndarray:
    """How many values each list has; -1 for null."""
    return lists.value_lengths().fill_null(-1).to_numpy().astype(np.int64)


def _names_in(
    values: pa.Array, words: Sequence[str], width: int | None, numbered: bool, where: str
) -> tuple[Sequence[str], list[str]]:
    """The names of the training labels: those that occur, or made ones for indices and multi-hot lists.

    Names that differ only in case, blanks or Unicode form are one, in the spelling that most rows have, which is said.
    """
    if width is None and (numbered or not words):
        highest = max([cell.as_index(word) for word in words if cell.is_index(word)], default=-1)
        if highest >= max(1000, len(values)) or highest >= max(_MANY, _SPARE * len(words)):
            raise DataError(
                f"{where}: holds the class index {highest}; expected indices from 0, or names. For a class a row "
                "say --label_format classes; a label_info.json (--label_schema) can list numbers that are names."
            )
        width = 1 + highest
    if width == 0:
        raise DataError(f"{where}: holds no label at all.")
    if width is not None:
        return [f"label_{i}" for i in range(width)], []
    spellings: dict[str, Counter] = {}
    for word, count in Counter(cell.words_of(values.drop_null())).items():
        if not cell.is_blank(word):
            spellings.setdefault(cell.fold(word), Counter())[word.strip()] += count
    chosen = {key: min(found, key=lambda word: (-found[word], word)) for key, found in spellings.items()}
    several = {chosen[key]: sorted(found) for key, found in spellings.items() if len(found) > 1}
    said = [f"{quoted(found)} as {name!r}" for name, found in sorted(several.items())]
    merged = [f"{where}: spellings of one name are taken as one label: {first_five(said)}."] if said else []
    return sorted(chosen.values()), merged


# ---- labels as numbers ----


def check_columns(labels: np.ndarray, frame: Frame, plan: LabelSpec) -> tuple[str, ...]:
    """What is said of a column per label in training; what blank and -1 mean beside positives alone is asked."""
    if plan.form != COLUMNS:
        return ()
    one_sided = (labels > 0).any(0) & (labels == IGNORE_INDEX).any(0) & ~(labels == 0).any(0)
    if plan.settings.blank_labels is None and one_sided.any():
        odd, ways = [plan.columns[i] for i in np.flatnonzero(one_sided)], ""
        if any(-1 in n for name in odd if (n := cell.numbers_in(frame.column(name))) is not None):
            ways = f"; or --label_columns {shlex.join(plan.columns)} --positive_values 1, so that -1 means 0"
        raise UsageError(
            f"{frame.path}: {quoted(odd)} hold nothing but positive values and {'-1 or ' if ways else ''}blanks, so "
            f"that blank may mean 0; say --blank_labels negative or --blank_labels unknown{ways}."
        )
    is_soft = ((labels > 0) & (labels < 1)).any(0) & (plan.settings.label_scale is None)
    soft = quoted([plan.schema.names[i] for i in np.flatnonzero(is_soft)])
    return (f"{soft} hold values between 0 and 1, which are taken as soft labels.",) if soft else ()


def encode_labels(frame: Frame, plan: LabelSpec) -> np.ndarray:
    """The labels of a file: class indices (rows,), or float32 (rows, labels); IGNORE_INDEX where unknown."""
    n_rows, n = frame.table.num_rows, len(plan.schema)
    if plan.form == COLUMNS:
        if all(name not in frame.names or pa.types.is_null(frame.column(name).type) for name in plan.columns):
            return np.full((n_rows, n), IGNORE_INDEX, np.float32)  # as a null for each dict
        scale = _scale_of(frame, plan.settings.label_scale)
        columns = [frame.column(name) for name in plan.columns]
        matrix = np.stack([cell.label_entries(column, plan.settings, scale) for column in columns], axis=1)
        return _checked(matrix, frame, plan, lambda row, i: columns[i][row].as_py())
    cells = frame.column(plan.columns[0])
    if plan.form != CLASSES or (pa.types.is_string(cells.type) and plan.written == cell.SPELLED):
        cells = cell.cell_lists(frame, plan.columns, plan.written)
    if pa.types.is_null(cells.type) or cells.null_count == n_rows:
        return np.full(n_rows if plan.form == CLASSES else (n_rows, n), IGNORE_INDEX, np.int64)
    if pa.types.is_list(cells.type) == (plan.form == CLASSES):
        expected = "one class in each row" if plan.form == CLASSES else "a list of labels in each row"
        raise DataError(
            f"{frame.path}: {plan.where}: holds {cells.type}; expected {expected}, as in the training data."
        )
    if plan.form == CLASSES:
        return _classes(cells, plan, frame, np.arange(n_rows))
    values, lengths = cells.flatten(), list_lengths(cells)
    if plan.form == MULTI_HOT:
        wrong = np.flatnonzero((lengths >= 0) & (lengths != n))
        if len(wrong):
            more = f" (and {len(wrong) - 1} more rows)" if len(wrong) > 1 else ""
            found = f"{frame.row(wrong[0])} has {lengths[wrong[0]]} values; expected {n}, one for each label{more}"
            raise DataError(f"{frame.path}: {plan.where}: {found}.")
        matrix = np.full((n_rows, n), np.nan, np.float32)
        matrix[lengths >= 0] = cell.label_entries(values).reshape(-1, n)
        return _checked(matrix, frame, plan, lambda row, i: cells[row][i].as_py())
    rows = np.repeat(np.arange(n_rows), np.maximum(lengths, 0))
    classes = _classes(values, plan, frame, rows)
    matrix = np.zeros((n_rows, n), np.float32)
    matrix[rows[classes >= 0], classes[classes >= 0]] = 1
    matrix[rows[classes == IGNORE_INDEX]] = IGNORE_INDEX  # what else the row has is not known
    matrix[lengths < 0] = IGNORE_INDEX
    return matrix


def _scale_of(frame: Frame, scale: str | None) -> Any:
    if scale is None:
        return 1.0
    number = cell.numbers_in(frame.column(scale) if scale in frame.names else pa.array([scale]))
    if number is None or not (number[~np.isnan(number)] > 0).all():
        raise UsageError(
            f"--label_scale is a number over 0, or a column of such numbers; got {scale!r}"
            f"{'' if scale in frame.names else f', and there is no such column: {did_you_mean(scale, frame.names)}'}"
        )
    return number if scale in frame.names else number[0]


def _checked(matrix: np.ndarray, frame: Frame, plan: LabelSpec, value_at: Callable[[int, int], Any]) -> np.ndarray:
    """The matrix with IGNORE_INDEX for NaN; values that no label can have are an error that shows five of them."""
    bad = np.argwhere(np.isinf(matrix))
    if len(bad):
        names = plan.schema.names
        what = "column" if plan.form == COLUMNS else f"{plan.where}, label"
        shown = [f"{frame.row(r)}, {what} {names[i]!r}: {value_at(int(r), int(i))!r}" for r, i in bad[:5]]
        way = (
            "; if the header is further down, --reader_args '{\"skiprows\": 1}' says so" if not bad[:, 0].any() else ""
        )
        if plan.form == COLUMNS and not way:
            way = "; where they are counts, --label_scale divides them, and --positive_values names values that mean 1"
            way += ", or say --label_format classes for a class a row" if len(plan.columns) == 1 else ""
        raise DataError(f"{frame.path}: expected {ENTRY}; found {first_five(shown, len(bad))}{way}.")
    return np.where(np.isnan(matrix), np.float32(IGNORE_INDEX), matrix)


def _classes(values: pa.Array, plan: LabelSpec, frame: Frame, rows: np.ndarray) -> np.ndarray:
    """Class indices of names or numbers; IGNORE_INDEX for null, blank, -1, -100. `rows`: where each stands."""
    if pa.types.is_null(values.type):
        return np.full(len(values), IGNORE_INDEX)
    if not (pa.types.is_string(values.type) or cell.is_numeric(values.type)):
        raise DataError(f"{frame.path}: {plan.where}: holds {values.type}; expected names or class indices.")
    are_numbers = cell.is_numeric(values.type)
    codes = cell.each(values, lambda words: _codes(cell.words_of(words), plan, are_numbers), IGNORE_INDEX)
    wrong = np.flatnonzero(codes == _NO_CLASS)
    if len(wrong):
        value, *others = (values[int(at)].as_py() for at in wrong[:5])
        more = [f"{frame.row(rows[at])}: {other!r}" for at, other in zip(wrong[1:], others, strict=False)]
        also = f" (also {first_five(more)}{f' and {len(wrong) - 5} more' if len(wrong) > 5 else ''})" if more else ""
        are_names = not plan.numbered or (isinstance(value, str) and not cell.is_index(value))
        expected = did_you_mean(str(value), plan.schema.names) if are_names else (
            f"expected an index from 0 to {len(plan.schema) - 1}."
        )  # fmt: skip
        where = f"{frame.path}: {plan.where}, {frame.row(rows[wrong[0]])}"
        raise DataError(f"{where}: unknown label {value!r}{also}: {expected}")
    return codes


def _codes(words: Sequence[str], plan: LabelSpec, are_numbers: bool) -> list[int]:
    """The class index of each name; strings are indices where all of them are numbers and none is a name."""
    exact, folded = plan.places
    filled = [word for word in words if not cell.is_blank(word)]
    are_indices = plan.numbered and (
        are_numbers or (all(map(cell.is_index, filled)) and not set(filled) & exact.keys())
    )

    def code(word: str) -> int:
        if not plan.numbered and word not in exact and cell.is_index(word):
            word = str(cell.as_index(word))  # 1.0 is 1
        if are_indices and not cell.is_blank(word):
            return cell.as_index(word) if cell.is_index(word) and cell.as_index(word) < len(exact) else _NO_CLASS
        unknown = IGNORE_INDEX if cell.is_blank(word) else _NO_CLASS
        return exact.get(word, exact.get(word.strip(), folded.get(cell.fold(word), unknown)))

    return list(map(code, words))
