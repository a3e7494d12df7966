"""load_labelled_dataset: files as people have them -> text and labels in one canonical form, and a LabelSchema.

The way of a file: a reader makes a table of it (`_READERS`), the training table decides what its columns mean
(`_make_plan`), every table is encoded under that plan (`_encode`), and splits that are missing are made (`_assign`).
"""

import ast
import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from .distribution import LABEL_COLUMNS, UNKNOWN
from .errors import DataError, UsageError, did_you_mean
from .labels import LabelSchema

MULTI_LABEL, SINGLE_LABEL = "multi_label_classification", "single_label_classification"
"""The two kinds of problem, spelled as in `losses`, which this module does without (it needs no torch)."""

SPLITS = {"train": ("train",), "validation": ("validation", "dev", "val", "valid"), "test": ("test",)}
"""The splits, and the file names (without their ending) under which each is looked for."""

TEXT_COLUMNS = (
    *("text", "sentence", "comment_text", "comment", "content", "tweet"),
    *("body", "review", "title", "utterance", "question"),
)
"""Where the text lies, in the order in which it is looked for."""

_MADE_SHARE = 0.1  # of the training file, for each split that is made of it
_LABEL_LIKE = 0.9  # a column with this share of label values is one of labels, and its other values are errors
_ENTRY = "0, 1, true, false, yes, no, a value between 0 and 1, or blank, -1 or -100 for unknown"
_WORDS = {
    **dict.fromkeys(("1", "true", "yes"), 1.0),
    **dict.fromkeys(("0", "false", "no"), 0.0),
    **dict.fromkeys(("", "nan", "none", "null"), np.nan),
}


_ClassNames = Mapping[str, tuple[str, ...]]
_Parts = dict[str, tuple[pa.Array, np.ndarray]]  # per split the texts and the encoded labels


@dataclass(frozen=True)
class LabelledData:
    """What was loaded.

    Args:
        splits: "train", "validation" and "test", each with the columns `text` (string) and `labels`: in multi-label
            data a list of 0, 1 and -100 (unknown) as int8, or of float32 where a label is soft; in single-label data
            a class index.
        schema: the labels, in the order of the list or of the indices.
        problem_type: "multi_label_classification" or "single_label_classification".
        notes: what was decided, in a few lines for a person.
    """

    splits: datasets.DatasetDict
    schema: LabelSchema
    problem_type: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Frame:
    """A file as a table: CSV cells are strings, other formats keep their types, ClassLabel indices became names."""

    path: Path
    table: pa.Table
    class_names: _ClassNames = field(default_factory=dict)
    fields: tuple[str, ...] = ()  # the label columns that a dict of labels was taken apart into

    def column(self, name: str) -> pa.Array:
        names = self.table.column_names
        if name not in names:
            raise DataError(f"{self.path}: has no column {name!r}: {did_you_mean(name, names)}")
        return pa.concat_arrays(self.table.column(name).chunks)


@dataclass(frozen=True)
class _Plan:
    """What the columns mean, decided on the training data. Forms: columns, multi-hot, sets, classes."""

    columns: tuple[str, ...]
    form: str
    schema: LabelSchema
    note: str
    separator: str | None = None


def load_labelled_dataset(
    data_dir: str | Path,
    text_column: str | None = None,
    label_columns: str | Sequence[str] | None = None,
    separator: str | None = None,
    seed: int = 42,
) -> LabelledData:
    """Load train, validation (or dev, val, valid) and test files: .parquet, .csv, .tsv, .jsonl or .json (JSON lines).

    Labels may be one column per label; or one column `labels` or `label` with a multi-hot list, a list of names or of
    class indices, a dict, names with a separator between them, or a single class. The folder may have a
    `label_info.json` (see `LabelSchema.from_label_info`). Splits that are not there are made from the training file,
    10% each, stratified, with equal texts in the same split.

    Args:
        data_dir: the folder.
        text_column: the column of the text; without it the first of TEXT_COLUMNS, else the only one with strings.
        label_columns: one column per label, or the single column that holds the labels; without it they are found.
        separator: what stands between names in one cell, such as "|".
        seed: for the splits that are made.

    Raises:
        UsageError: a folder or column that does not exist, or a choice that the user has to make.
        DataError: a file that cannot be read, or a value in it that does not fit; the message names file, row
            (counted from 1, without the header), column and value.
    """
    folder = Path(data_dir)
    paths = _find_files(folder)
    info = folder / "label_info.json"
    given = LabelSchema.from_label_info(info) if info.exists() else None
    frames = {split: _read(path) for split, path in paths.items()}
    asked = (label_columns,) if isinstance(label_columns, str) else tuple(label_columns or ())
    text = _text_column(frames["train"], text_column, {*asked, *(given.names if given else ())})
    plan = _make_plan(frames["train"], given, asked, text, separator)
    parts = {split: (_texts(frame, text), _encode(frame, plan)) for split, frame in frames.items()}
    made = [split for split in SPLITS if split not in parts]
    remarks = _make_splits(parts, made, plan.schema, seed, paths["train"]) if made else []
    notes = (
        _source_note(frames, text, plan),
        plan.note,
        _split_note(parts, made, paths["train"].name, seed),
        *_remarks(parts, remarks),
    )
    problem = SINGLE_LABEL if plan.form == "classes" else MULTI_LABEL
    return LabelledData(_datasets(parts, plan.schema), plan.schema, problem, notes)


# ---- files ----


def _find_files(folder: Path) -> dict[str, Path]:
    """The file of each split; a training file has to be there."""
    if not folder.exists():
        raise UsageError(f"{folder}: there is no such folder; give one with a file such as train.csv.")
    if not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give the folder that it lies in, with train.csv or the like.")
    try:
        present = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror}).") from None
    if not present:
        raise DataError(f"{folder}: is empty; expected a file such as train.csv, train.jsonl or train.parquet.")
    found: dict[str, Path] = {}
    for path in present:
        split = next((s for s, stems in SPLITS.items() if path.stem.lower() in stems), None)
        if split is None or path.suffix.lower() not in _READERS or not path.is_file():
            continue
        if split in found:
            raise DataError(f"{folder}: {found[split].name} and {path.name} are both the {split} split; keep one.")
        found[split] = path
    if "train" not in found:
        more = f" and {len(present) - 10} more" if len(present) > 10 else ""
        raise DataError(
            f"{folder}: has no training file; expected train with one of the endings {', '.join(_READERS)}, "
            f"found {', '.join(path.name for path in present[:10])}{more}."
        )
    return {split: found[split] for split in SPLITS if split in found}


def _read(path: Path) -> _Frame:
    try:
        table, class_names = _READERS[path.suffix.lower()](path)
    except (OSError, pa.ArrowException, UnicodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0][:300]}).") from None
    if not table.num_rows:
        raise DataError(f"{path}: has no rows.")
    fields: tuple[str, ...] = ()
    for name in LABEL_COLUMNS:
        if name in table.column_names and pa.types.is_struct(table.schema.field(name).type):
            labels = pa.concat_arrays(table.column(name).chunks)
            fields = tuple(f.name for f in labels.type)
            arrays = dict(zip(table.column_names, table.columns, strict=True))
            arrays.pop(name)
            table = pa.Table.from_arrays([*arrays.values(), *labels.flatten()], names=[*arrays, *fields])
            break
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: has more than one column {twice[0]!r}; rename one.")
    return _Frame(path, table, class_names, fields)


def _utf8(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, byte = raw.count(b"\n", 0, error.start) + 1, raw[error.start]
        raise DataError(f"{path}: line {line} is not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8.") from None


def _read_delimited(path: Path) -> tuple[pa.Table, _ClassNames]:
    """CSV and TSV: every cell a string. The separator is the one that parts the header into most columns."""
    content = _utf8(path)
    if not content.strip():
        raise DataError(f"{path}: is empty; expected a header and rows.")
    separators = "\t,;|" if path.suffix.lower() == ".tsv" else ",;\t|"
    headers = {s: next(filter(None, csv.reader(io.StringIO(content, newline=""), delimiter=s))) for s in separators}
    separator = max(headers, key=lambda s: len(headers[s]))
    raw = content.encode()
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(raw),
            pa_csv.ReadOptions(use_threads=False, block_size=min(len(raw) + 1, 1 << 30)),  # a row must fit into one
            pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(headers[separator], pa.string())),
        )
    except pa.ArrowInvalid as error:
        said = re.search(r"Row #(\d+): (.*)", str(error))
        if said is None:
            raise
        raise DataError(f"{path}: row {int(said[1]) - 1}: {said[2][:300]} (separator {separator!r}).") from None
    last = table.columns[-1][-1].as_py() if table.num_rows else ""
    if raw.count(b'"') % 2 and "\n" in last:  # pyarrow lets an open quotation mark swallow the rest of the file
        raise DataError(f"{path}: the quotation mark before {last[:40]!r} in row {len(table)} is never closed.")
    return table, {}


def _read_json_lines(path: Path) -> tuple[pa.Table, _ClassNames]:
    rows = []
    for number, line in enumerate(_utf8(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number} is no valid JSON ({error}); expected one object a line.") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number} is a {type(row).__name__}; expected one JSON object a line.")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _array([row.get(name) for row in rows], path, name) for name in names}), {}


def _array(values: list, path: Path, name: str) -> pa.Array:
    """JSON values as an Arrow array; kinds that Arrow does not mix (1 and true, 0 and "no") become strings."""
    dicts = [(row, value) for row, value in enumerate(values, 1) if isinstance(value, dict)]
    for row, value in dicts:
        differ = value.keys() ^ dicts[0][1].keys()
        if differ and name in LABEL_COLUMNS:
            at = f"rows {dicts[0][0]} and {row} differ in the label {min(differ)!r}"
            raise DataError(f"{path}: column {name!r}: {at}; give 0, 1 or null (unknown) in each.")
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def _read_parquet(path: Path) -> tuple[pa.Table, _ClassNames]:
    table = pq.read_table(path, partitioning=None)
    is_ours = b"huggingface" in (table.schema.metadata or {})  # written by datasets, which adds its features
    try:
        features = datasets.Features.from_arrow_schema(table.schema) if is_ours else {}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the features in its metadata cannot be read ({error}).") from None
    class_names = {}
    for i, name in enumerate(table.column_names if table.num_rows else []):
        values = pa.concat_arrays(table.column(i).chunks)
        values = values.cast(_plain_type(values.type))
        schema = LabelSchema.from_features(features, name)
        if schema is not None:
            class_names[name] = schema.names
            values = _named(values, schema.names, f"{path}: column {name!r}")
        table = table.set_column(i, name, values)
    return table, class_names


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The one type for strings, lists and categories that the rest of this module knows."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind


def _named(values: pa.Array, names: Sequence[str], where: str) -> pa.Array:
    """ClassLabel indices (or lists of them) as names, so that the order of these names does not matter later."""
    is_list = pa.types.is_list(values.type)
    flat = values.values if is_list else values
    top = pc.max(flat).as_py()
    if top is not None and top >= len(names):
        at = pc.index(flat, pa.scalar(top, flat.type)).as_py()
        row = int(np.searchsorted(values.offsets.to_numpy(), at, "right")) if is_list else at + 1
        raise DataError(f"{where}, row {row}: holds class {top}, but its ClassLabel has {len(names)} names.")
    flat = pa.array(names).take(pc.if_else(pc.less(flat, 0), pa.scalar(None, flat.type), flat))
    if not is_list:
        return flat
    return pa.ListArray.from_arrays(values.offsets, flat, mask=values.is_null() if values.null_count else None)


_READERS: dict[str, Callable[[Path], tuple[pa.Table, _ClassNames]]] = {
    ".parquet": _read_parquet,
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_json_lines,
    ".json": _read_json_lines,
}


# ---- text ----


def _text_column(frame: _Frame, wanted: str | None, labels: set[str]) -> str:
    names = frame.table.column_names
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"{frame.path}: has no text column {wanted!r}: {did_you_mean(wanted, names)}")
        return wanted
    labels = {*labels, *LABEL_COLUMNS, *frame.fields}
    strings = [n for n in names if n not in labels and pa.types.is_string(frame.table.schema.field(n).type)]
    usual = next((n for n in TEXT_COLUMNS if n in strings), None)
    if usual is not None:
        return usual
    strings = [n for n in strings if not _is_label_like(_entries(frame.column(n)))]
    if len(strings) != 1:
        found = f"{_quoted(strings)} hold strings" if strings else f"none of {_quoted(names)} is left for it"
        raise UsageError(f"{frame.path}: which column is the text? {found}; name it with --text_column.")
    return strings[0]


def _texts(frame: _Frame, name: str) -> pa.Array:
    texts = frame.column(name)
    if texts.null_count:
        rows = np.flatnonzero(texts.is_null().to_numpy(zero_copy_only=False)) + 1
        found = _first_five([f"row {row}" for row in rows])
        raise DataError(f"{frame.path}: column {name!r} has no text (null) in {found}; drop such rows or give text.")
    if not pa.types.is_string(texts.type):
        raise DataError(f"{frame.path}: the text column {name!r} holds {texts.type}; expected strings.")
    return texts


# ---- what the columns mean ----


def _make_plan(
    frame: _Frame, given: LabelSchema | None, asked: tuple[str, ...], text: str, separator: str | None
) -> _Plan:
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
        plan = _Plan(schema.names, "columns", schema, note)
    if separator is not None and plan.separator is None:
        raise UsageError(f"{frame.path}: separator={separator!r} has no use, as the labels are no delimited names.")
    return plan


def _label_columns(frame: _Frame, given: LabelSchema | None, others: Sequence[str]) -> tuple[str, ...]:
    if frame.fields:
        return frame.fields
    if given and set(given.names) <= set(others):
        return given.names
    cell = next((name for name in LABEL_COLUMNS if name in others), None)
    if cell is not None:
        return (cell,)
    if given:
        name = next(name for name in given.names if name not in others)
        raise DataError(f"{frame.path}: no column for the label {name!r}: {did_you_mean(name, others)}")
    found = tuple(name for name in others if name.strip() and _is_label_like(_entries(frame.column(name))))
    if not found:
        raise UsageError(
            f"{frame.path}: found no labels in {_quoted(others)}; expected a column 'labels' or a column of 0 and 1 "
            "for each label; name them with --label_columns."
        )
    return found


def _holds_all_labels(frame: _Frame, column: str, given: LabelSchema | None) -> bool:
    """Whether a single label column has the labels of a row in its cells, rather than being one label itself."""
    if given is not None and column in given.names:
        return False
    return column in LABEL_COLUMNS or not _is_label_like(_entries(frame.column(column)))


def _cell_plan(frame: _Frame, column: str, given: LabelSchema | None, separator: str | None) -> _Plan:
    """The plan for labels that lie in one column."""
    known = given.names if given else frame.class_names.get(column)
    cells, separator = _cells(frame, column, known, separator)
    is_list = pa.types.is_list(cells.type)
    values, lengths = _flat(cells) if is_list else (cells, None)
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
    return _Plan((column,), form, given or LabelSchema.from_names(names), note, separator)


def _names_in(values: pa.Array, width: int | None, where: str) -> tuple[str, ...]:
    """The names that the training labels have: those in them, or made ones for indices and multi-hot lists."""
    names: tuple[str, ...] = ()
    if pa.types.is_string(values.type):
        names = tuple(sorted({v.strip() for v in values.drop_null().unique().to_pylist() if not _is_blank(v)}))
        width = 1 + max(map(int, names)) if names and all(map(_is_index, names)) else None
    elif width is None and _is_numeric(values.type):
        numbers = _numbers(values, pa.float64())
        width = 1 + int(max(numbers[np.isfinite(numbers)], default=-1)) or None
    if width is not None:
        if width > max(1000, len(values)):
            raise DataError(f"{where}: holds the class index {width - 1}; expected indices from 0, or names.")
        names = tuple(f"label_{i}" for i in range(width))
    if not names:
        raise DataError(f"{where}: holds no label at all.")
    return names


def _cells(
    frame: _Frame, column: str, known: Sequence[str] | None, separator: str | None
) -> tuple[pa.Array, str | None]:
    """A column's cells with the lists that stand in its strings made lists, and the separator that was used."""
    cells = frame.column(column)
    if not pa.types.is_string(cells.type):
        return cells, None
    where = f"{frame.path}: column {column!r}"
    filled = [v for v in cells.drop_null().unique().to_pylist() if not _is_blank(v)]
    if any(v.lstrip().startswith("[") and v.rstrip().endswith("]") for v in filled):
        rows = enumerate(cells.to_pylist(), 1)
        lists = [None if v is None or _is_blank(v) else _parsed_list(v, f"{where}, row {row}") for row, v in rows]
        try:
            return pa.array(lists, pa.list_(pa.null()) if not any(lists) else None), None
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            is_name = [{isinstance(v, str) for v in a_list or () if v is not None} for a_list in lists]
            usual = next(kinds for kinds in is_name if kinds)
            row = next((i for i, kinds in enumerate(is_name, 1) if kinds and (kinds != usual or len(kinds) > 1)), 1)
            raise DataError(f"{where}, row {row}: mixes names, numbers or lists; expected one kind.") from None
    separator = separator or _found_separator(filled, known, where)
    if separator is None:
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
        raise UsageError(f"{where}: {' or '.join(map(repr, present))} may separate the names; give separator.")
    return present[0] if present else None


def _is_multi_hot(where: str, values: pa.Array, lengths: np.ndarray, known: Sequence[str] | None) -> bool:
    """Whether lists of numbers are multi-hot (one number for each label) rather than class indices."""
    real = lengths[lengths >= 0]
    if not len(values):
        return False
    entries = _entries(values)
    even = real.min() == real.max() and (known is None or real[0] == len(known))
    fits = not np.isinf(entries).any()
    if even and fits:
        return True
    if not _is_numeric(values.type):
        return False
    row, number = np.repeat(np.arange(len(real)), real), _numbers(values, pa.float64())
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


# ---- from cells to numbers ----


def _entries(values: pa.Array) -> np.ndarray:
    """Entries of labels as float32: NaN where unknown, inf where the value is none that a label can have."""
    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan, np.float32)
    if pa.types.is_string(values.type):
        coded = values.dictionary_encode()
        table = np.array([*map(_entry, coded.dictionary.to_pylist()), np.nan], np.float32)
        numbers = table[coded.indices.fill_null(len(table) - 1).to_numpy()]
    elif _is_numeric(values.type):
        numbers = _numbers(values, pa.float32())
    else:
        return np.full(len(values), np.inf, np.float32)
    numbers[(numbers == -1) | (numbers == UNKNOWN)] = np.nan
    numbers[(numbers < 0) | (numbers > 1)] = np.inf
    return numbers


def _entry(word: str) -> float:
    word = word.strip().casefold()
    if word in _WORDS:
        return _WORDS[word]
    try:
        return float(word) if len(word) < 40 else np.inf
    except ValueError:
        return np.inf


def _is_label_like(entries: np.ndarray) -> bool:
    known = ~np.isnan(entries)
    return bool(known.any()) and np.isinf(entries).sum() <= (1 - _LABEL_LIKE) * known.sum() + 1e-9


def _is_numeric(kind: pa.DataType) -> bool:
    is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(is_kind(kind) for is_kind in is_number)


def _numbers(values: pa.Array, kind: pa.DataType) -> np.ndarray:
    values = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
    return np.array(values.cast(kind, safe=False).to_numpy(zero_copy_only=False))


def _is_blank(value: str) -> bool:
    """Whether a cell of names says that they are unknown; "none" is not here, as it is a usual name for a class."""
    return value.strip().casefold() in ("", "nan", "-1", "-100")


def _is_index(value: str) -> bool:
    return re.fullmatch(r"0|[1-9][0-9]{0,8}", value.strip()) is not None


def _flat(lists: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The values of lists, and how many each has (-1: no list)."""
    lengths = pc.list_value_length(lists).fill_null(-1).to_numpy().astype(np.int64)
    return lists.flatten(), lengths


def _encode(frame: _Frame, plan: _Plan) -> np.ndarray:
    """The labels of a file: class indices (rows,), or a matrix (rows, labels) of float32; UNKNOWN where unknown."""
    if plan.form == "columns":
        matrix = np.stack([_entries(frame.column(name)) for name in plan.columns], axis=1)
        return _checked(matrix, frame, plan, lambda row, i: frame.column(plan.columns[i])[row].as_py())
    column = plan.columns[0]
    where = f"{frame.path}: column {column!r}"
    cells, _ = _cells(frame, column, plan.schema.names, plan.separator)
    if plan.form == "sets" and pa.types.is_string(cells.type):  # a file in which no row has two names
        cells = pa.array([None if v is None else [v] if v.strip() else [] for v in cells.to_pylist()])
    if pa.types.is_null(cells.type):
        cells = cells.cast(pa.int64() if plan.form == "classes" else pa.list_(pa.null()))
    if pa.types.is_list(cells.type) == (plan.form == "classes"):
        expected = "one class in each row" if plan.form == "classes" else "a list of labels in each row"
        raise DataError(f"{where}: holds {cells.type}; expected {expected}, as in the training data.")
    if plan.form == "classes":
        return _classes(cells, plan.schema, where, np.arange(len(cells)))
    values, lengths = _flat(cells)
    n = len(plan.schema)
    matrix = np.zeros((len(cells), n), np.float32)
    if plan.form == "sets":
        rows = np.repeat(np.arange(len(cells)), np.maximum(lengths, 0))
        classes = _classes(values, plan.schema, where, rows)
        matrix[rows[classes == UNKNOWN]] = UNKNOWN  # what else the row has is not known
        matrix[rows[classes >= 0], classes[classes >= 0]] = 1
        matrix[lengths < 0] = UNKNOWN
        return matrix
    wrong = np.flatnonzero((lengths >= 0) & (lengths != n))
    if len(wrong):
        at = wrong[0]
        raise DataError(f"{where}: row {at + 1} has {lengths[at]} values; expected {n}, one for each label.")
    full = np.flatnonzero(lengths >= 0)
    matrix[full] = _entries(values).reshape(-1, n)
    matrix[lengths < 0] = np.nan
    place = np.cumsum(lengths >= 0) - 1
    return _checked(matrix, frame, plan, lambda row, i: values[int(place[row]) * n + i].as_py())


def _checked(matrix: np.ndarray, frame: _Frame, plan: _Plan, value_at: Callable[[int, int], Any]) -> np.ndarray:
    """The matrix with UNKNOWN for NaN; values that no label can have are an error that shows five of them."""
    bad = np.argwhere(np.isinf(matrix))
    if len(bad):
        names = plan.schema.names
        what = "column" if plan.form == "columns" else f"column {plan.columns[0]!r}, label"
        shown = [f"row {r + 1}, {what} {names[i]!r}: {value_at(int(r), int(i))!r}" for r, i in bad[:5]]
        raise DataError(f"{frame.path}: expected {_ENTRY}; found {_first_five(shown, len(bad))}.")
    return np.where(np.isnan(matrix), np.float32(UNKNOWN), matrix)


def _classes(values: pa.Array, schema: LabelSchema, where: str, rows: np.ndarray) -> np.ndarray:
    """Class indices of names or indices; UNKNOWN for null, blank, -1 and -100. `rows` says where each value stands."""
    if pa.types.is_null(values.type):
        return np.full(len(values), UNKNOWN)
    if pa.types.is_string(values.type):
        coded = values.dictionary_encode()
        names = coded.dictionary.to_pylist()
        table = np.array([*_codes(names, schema), UNKNOWN], np.int64)
        codes = table[coded.indices.fill_null(len(names)).to_numpy()]
        wrong = codes == _NO_CLASS
    elif _is_numeric(values.type):
        numbers = _numbers(values, pa.float64())
        unknown = np.isnan(numbers) | (numbers == -1) | (numbers == UNKNOWN)
        wrong = ~unknown & ((numbers != np.floor(numbers)) | (numbers < 0) | (numbers >= len(schema)))
        codes = np.where(unknown | wrong, UNKNOWN, numbers).astype(np.int64)
    else:
        raise DataError(f"{where}: holds {values.type}; expected names or class indices.")
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        value = values[at].as_py()
        last = len(schema) - 1
        wanted = (
            did_you_mean(value, schema.names) if isinstance(value, str) else f"expected an index from 0 to {last}."
        )
        raise DataError(f"{where}, row {rows[at] + 1}: unknown label {value!r}: {wanted}")
    return codes


_NO_CLASS = -2


def _codes(names: Sequence[str], schema: LabelSchema) -> list[int]:
    """The class index of each name; numbers are indices where all of them are and none is a name."""
    filled = [name for name in names if not _is_blank(name)]
    are_indices = bool(filled) and all(map(_is_index, filled)) and not set(filled) & set(schema.names)
    codes = []
    for name in names:
        if are_indices and _is_index(name):
            codes.append(int(name) if int(name) < len(schema) else _NO_CLASS)
            continue
        try:
            codes.append(schema.index(name if name in schema.names else name.strip()))
        except UsageError:
            codes.append(UNKNOWN if _is_blank(name) else _NO_CLASS)
    return codes


# ---- splits that are made ----


def _make_splits(parts: _Parts, made: Sequence[str], schema: LabelSchema, seed: int, path: Path) -> list[str]:
    """Take the splits `made` out of the training rows, in place; every split keeps the order of the file."""
    texts, labels = parts["train"]
    home, remarks = _assign(texts, labels, schema, made, seed, path)
    for i, split in enumerate(["train", *made]):
        rows = np.flatnonzero(home == i)
        parts[split] = (texts.take(pa.array(rows)), labels[rows])
    return remarks


def _assign(
    texts: pa.Array, labels: np.ndarray, schema: LabelSchema, made: Sequence[str], seed: int, path: Path
) -> tuple[np.ndarray, list[str]]:
    """For each row the split that it goes to (0 train, 1 the first of `made`, ...), and what there is to say of it.

    Rows with the same text are one item. Multi-label items are stratified by iterative stratification (Sechidis et
    al., 2011), single-label ones by class; then every label with enough positive items gets one in each split.
    """
    item = texts.dictionary_encode().indices.to_numpy()
    first = np.unique(item, return_index=True)[1]
    if len(first) < 1 + len(made):
        raise DataError(
            f"{path}: has {len(first)} different texts; expected at least {1 + len(made)} to make "
            f"{' and '.join(made)} of them; add rows, or files for these splits."
        )
    positive = np.zeros((len(first), len(schema)), bool)
    rows, columns = np.nonzero(labels > 0.5) if labels.ndim == 2 else (np.flatnonzero(labels >= 0), None)
    positive[item[rows], labels[rows] if columns is None else columns] = True
    classes = labels[first] if labels.ndim == 1 else None
    home = np.zeros(len(first), np.int64)
    for i in range(1, 1 + len(made)):
        rest = np.flatnonzero(home == 0)
        size = max(1, round(_MADE_SHARE * len(first)))
        home[rest[_stratified(positive[rest], None if classes is None else classes[rest], size, seed)]] = i
    _spread(home, positive, 1 + len(made), seed)
    remarks = []
    if classes is not None and (alone := np.flatnonzero(positive.sum(0) == 1)).size:
        names = _quoted([schema.names[i] for i in alone])
        remarks.append(f"classes with a single text, which no split can share: {names}")
    enough = np.bincount(columns if columns is not None else labels[rows], minlength=len(schema)) >= 3
    shared = np.all([positive[home == i].any(0) for i in range(1 + len(made))], axis=0)
    absent = [schema.names[i] for i in np.flatnonzero(enough & ~shared)]
    if absent:
        remarks.append(f"labels that could not be spread over all splits: {_quoted(absent)}")
    return home[item], remarks


def _stratified(positive: np.ndarray, classes: np.ndarray | None, size: int, seed: int) -> np.ndarray:
    """Which items go to a split of about `size` items."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit
    from sklearn.model_selection import train_test_split

    items = np.arange(len(positive))
    if classes is not None:
        _, which, counts = np.unique(classes, return_inverse=True, return_counts=True)
        shared = items[counts[which] > 1]  # a class with a single item cannot be stratified: it stays where it is
        if (counts > 1).sum() <= min(size, len(shared) - size):
            return train_test_split(shared, test_size=size, stratify=classes[shared], random_state=seed)[1]
    target = np.column_stack([positive, ~positive.any(1)])  # items without a label are spread too
    splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=size, random_state=seed)
    _, chosen = next(splitter.split(items, target))
    return chosen if 0 < len(chosen) < len(items) else np.random.default_rng(seed).permutation(items)[:size]


def _spread(home: np.ndarray, positive: np.ndarray, n_splits: int, seed: int) -> None:
    """Swap items, in place, until every label with a positive item for each split has one there, or no swap helps."""
    rng = np.random.default_rng(seed)
    counts = np.stack([positive[home == i].sum(0) for i in range(n_splits)])
    wanted = counts.sum(0) >= n_splits

    def move(item: int, to: int) -> None:
        counts[home[item]] -= positive[item]
        counts[to] += positive[item]
        home[item] = to

    helped = True
    while helped:
        helped = False
        for to, label in np.argwhere((counts == 0) & wanted):
            if counts[to, label]:
                continue
            items = np.flatnonzero(positive[:, label])
            lost = (positive[items] & wanted & (counts[home[items]] == 1)).sum(1)
            gained = (positive[items] & wanted & (counts[to] == 0)).sum(1)
            best = np.lexsort((-counts[home[items], label], lost - gained))[0]
            if lost[best] >= gained[best]:
                continue
            helped, giver = True, home[items[best]]
            move(items[best], to)
            others = np.flatnonzero(home == to)
            others = others[(others != items[best]) & ~(positive[others] & wanted & (counts[to] == 1)).any(1)]
            if len(others):
                move(rng.choice(others), giver)


# ---- the canonical form, and what is said of it ----


def _datasets(parts: _Parts, schema: LabelSchema) -> datasets.DatasetDict:
    every = [labels for _, labels in parts.values()]
    if every[0].ndim == 1:
        has_unknown = any((labels == UNKNOWN).any() for labels in every)
        feature = datasets.Value("int64") if has_unknown else datasets.ClassLabel(names=list(schema.names))
    else:
        is_soft = any((labels != np.floor(labels)).any() for labels in every)
        feature = datasets.List(datasets.Value("float32" if is_soft else "int8"))
    features = datasets.Features({"text": datasets.Value("string"), "labels": feature})
    made = {}
    for split in SPLITS:
        texts, labels = parts[split]
        if labels.ndim == 1:
            column = pa.array(labels, pa.int64())
        else:
            flat = pa.array(labels.ravel().astype(feature.feature.dtype))
            column = pa.ListArray.from_arrays(np.arange(len(labels) + 1, dtype=np.int32) * labels.shape[1], flat)
        made[split] = datasets.Dataset(pa.Table.from_arrays([texts, column], schema=features.arrow_schema))
    return datasets.DatasetDict(made)


def _source_note(frames: Mapping[str, _Frame], text: str, plan: _Plan) -> str:
    train = frames["train"]
    ignored = [name for name in train.table.column_names if name != text and name not in plan.columns]
    more = f"; ignored columns: {_quoted(ignored)}" if ignored else ""
    return f"Read {', '.join(f.path.name for f in frames.values())} in {train.path.parent}, text in {text!r}{more}."


def _split_note(parts: _Parts, made: Sequence[str], source: str, seed: int) -> str:
    sizes = ", ".join(f"{split} {len(parts[split][0]):,}" for split in SPLITS)
    if not made:
        return f"Rows: {sizes}, splits as in the files."
    how = f"{' and '.join(made)} made of 10% of {source}{' each' if len(made) > 1 else ''}"
    return f"Rows: {sizes}; {how}, stratified, seed {seed}, equal texts kept together."


def _remarks(parts: _Parts, remarks: Sequence[str]) -> list[str]:
    unknown = sum(int((labels == UNKNOWN).sum()) for _, labels in parts.values())
    blank = sum(pc.sum(pc.equal(pc.utf8_trim_whitespace(texts), "")).as_py() or 0 for texts, _ in parts.values())
    said = [f"{unknown:,} unknown label entries ({UNKNOWN})"] if unknown else []
    said += [f"{blank:,} blank texts"] if blank else []
    return [f"Note: {'; '.join([*said, *remarks])}."] if said or remarks else []


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _first_five(found: Sequence[str], total: int | None = None) -> str:
    more = (len(found) if total is None else total) - 5
    return "; ".join(found[:5]) + (f" (and {more} more)" if more > 0 else "")
