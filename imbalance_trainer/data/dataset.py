"""load_labelled_dataset: data as people have it -> text and labels in one canonical form, and a LabelSchema.

The way of the data: it is found by split and read into frames (`sources`, `files`), the training frame decides what
its columns mean (`columns`, `label_spec`), every frame is encoded by that plan, what is odd is counted, and splits
that are missing are made (`splits`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX, LABEL_COLUMNS
from ..utils.errors import DataError, UsageError, quoted
from ..utils.text import pluralize
from . import splits as split_rows
from .cells import SPELLED
from .columns import find_text_column, make_plan, read_texts
from .files import read_files
from .frame import Frame, named_like
from .label_spec import CLASSES, LONG, NAMES, LabelSpec, check_columns, encode_labels
from .sources import SPLITS, Source, find_source, read_source, split_named
from .text_files import Settings


@dataclass(frozen=True)
class LabelledData:
    """What was loaded.

    Args:
        splits: "train", "validation" and "test", each with the columns `text` (string) and `labels`: in multi-label
            data a list of 0, 1 and -100 (unknown) as int8, or of float32 where a label is soft; in single-label data
            a class index.
        schema: the labels, in the order of the list or of the indices.
        problem_type: "multi_label_classification" or "single_label_classification".
        notes: what was decided, in three lines for a person.
        warnings: what is odd in the data, with counts, a sentence each.
        made: splits that were made of the training file's rows.
        groups: per split what each row belongs to, by split_group_column; None without one.
    """

    splits: datasets.DatasetDict
    schema: LabelSchema
    problem_type: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    groups: Mapping[str, pa.Array] | None = None

    def fingerprint(self, *splits: str) -> str:
        """A hash of the texts of some splits, of all if none is named; their order does not matter."""
        texts = (
            text.encode("utf-8", "surrogatepass")
            for split in splits or self.splits
            for text in self.splits[split]["text"]
        )
        total = sum(int.from_bytes(blake2b(text, digest_size=8).digest(), "big") for text in texts)
        return f"{total % 2**64:016x}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Notes and warnings, as they are printed."""
        return (*self.notes, *(f"Warning: {warning}" for warning in self.warnings))


def load_labelled_dataset(
    data: Any,
    text_column: str | None = None,
    label_columns: str | Sequence[str] | None = None,
    separator: str | None = None,
    label_info: str | Path | LabelSchema | Mapping[str, Any] | None = None,
    seed: int = 42,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    reader_args: Mapping[str, Any] | None = None,
    label_format: str | None = None,
    positive_values: Sequence[str] | None = None,
    blank_labels: str | None = None,
    label_scale: str | float | None = None,
    split_names: Mapping[str, str] | None = None,
    split_group_column: str | None = None,
    keep_near_duplicates: bool = False,
    make_missing: bool = True,
) -> LabelledData:
    """Load train, validation (or dev, val, valid) and test data from whatever holds it (docs/data-formats.md).

    Labels may be one column per label; or one column `labels` or `label` with a multi-hot list, a list of names or of
    class indices, a dict, names with a separator between them, or a single class. Beside files may lie a
    `label_info.json` (see `LabelSchema.from_label_info`). Splits that are not there are made from the training data,
    10% each, stratified, with equal texts in the same split. Rows whose text is blank are left out of training.

    Args:
        data: a folder, a file, a folder that `datasets.save_to_disk` wrote, the name of a dataset on the hub
            (`org/name`, loaded without running code of it); a datasets.Dataset, DatasetDict or IterableDataset (read
            to its end), a pandas DataFrame, an Arrow table, a list of dictionaries; or a mapping of splits to any of
            these. Files are .parquet, .arrow, .csv, .tsv, .xlsx, .jsonl, .json or .txt; those of text may
            be compressed.
        text_column: the column of the text; without it the one that looks like text.
        label_columns: one column per label, or the single column that holds the labels; without it they are found.
        separator: what stands between names in one cell, such as "|"; "none" where a cell is one name, ">" for the
            levels of paths.
        label_info: the schema, or the label_info.json, to use in place of that beside the data.
        seed: for the splits that are made.
        delimiter: between the columns of CSV files, such as ";"; without it it is found.
        encoding: of text files; without it UTF-8, or what their byte-order mark says.
        reader_args: further arguments of pandas.read_csv or pandas.read_excel, such as {"header": None}.
        label_format: "columns", "multi_hot", "indices", "names", "classes" or "long" (a row for each text and label);
            without it it is found.
        positive_values: values that mean 1 in a column per label, where they are not 1, true or yes; others mean 0.
        blank_labels: what a blank cell means in a column per label, "negative" or "unknown".
        label_scale: what the values in a column per label are divided by, such as 100, or the column with the number
            of votes; they become soft labels.
        split_names: per split what a dataset calls it, such as {"train": "full"}.
        split_group_column: the column by which rows belong together, such as the user: they stay in one split where
            splits are made, and are warned of where those that are given part them.
        keep_near_duplicates: whether texts with nearly the same words stay in one split where splits are made.
        make_missing: whether splits that are not there are made; if not, the data has those that are there.

    Raises:
        UsageError: a folder or column that does not exist, or a choice that the user has to make; the message names
            the flag that answers it.
        DataError: a file that cannot be read, or a value in it that does not fit; the message names file, row
            (counted from 1, without the header), column and value.
    """
    source = find_source(data, split_names)
    given = given_schema(label_info, source.folder)
    settings = Settings(text_column, label_columns or (), separator, given, delimiter, encoding, reader_args or {},
                        label_format, positive_values or (), blank_labels, label_scale)  # fmt: skip
    frames = _by_split_column(read_source(source, settings))
    groups = None
    if split_group_column is not None:
        if label_format == LONG:
            raise UsageError("--split_group_column is for a row for each text, not for --label_format long.")
        groups = {split: frame.column(split_group_column).cast(pa.string()) for split, frame in frames.items()}
        frames = {split: replace(f, table=f.table.drop_columns([split_group_column])) for split, f in frames.items()}
    text = find_text_column(frames["train"], settings)
    if label_format == LONG:
        frames = {split: _grouped(frame, text, settings) for split, frame in frames.items()}
        settings = replace(settings, label_format=NAMES)
    plan = make_plan(frames["train"], text, settings)
    frames, warnings = _with_labels(frames, source, plan, settings)
    parts = {split: (read_texts(frame, text), encode_labels(frame, plan)) for split, frame in frames.items()}
    train = frames["train"]
    warnings += check_columns(parts["train"][1], train, plan)
    _check_training(parts["train"], train, plan, settings)
    warnings += [said for frame in frames.values() for said in frame.remarks]
    warnings += plan.remarks
    if plan.form == NAMES and len(plan.columns) == 1 and plan.written != SPELLED:
        warnings += split_rows.blank_label_cells([f.column(plan.columns[0]) for f in frames.values()], plan.columns[0])
    # rows are looked up in files; by split where two files have one name, or a split has several files
    files = [split if frame.files else frame.name for split, frame in frames.items()]
    by_file = dict(zip(files, parts.values(), strict=True)) if len(set(files)) == len(files) else parts
    warnings += [*split_rows.conflicting_duplicates(by_file), *split_rows.broken_rules(by_file, plan.schema)]
    blank = {split: split_rows.is_blank_text(texts) for split, (texts, _) in parts.items()}
    if blank["train"].any():
        rows = np.flatnonzero(~blank["train"])
        parts["train"] = (parts["train"][0].take(pa.array(rows)), parts["train"][1][rows])
        groups = groups and {**groups, "train": groups["train"].take(pa.array(rows))}
    groups = groups and {split: groups[split] for split in parts}
    made = [split for split in SPLITS if split not in parts] if make_missing else []
    warnings += split_rows.parted_groups(groups) if groups else []
    warnings += split_rows.leaked_texts(parts)  # between splits that are made there is none
    if made:
        item = split_rows.together(parts["train"][0], groups["train"] if groups else None, keep_near_duplicates)
        warnings += split_rows.make_splits(parts, groups or {}, made, plan.schema, seed, train.path, item)
    warnings += split_rows.parted_near_duplicates(parts, bool(made))
    warnings += split_rows.absent_labels(parts, plan.schema)
    unnamed = "; none is named primary (groups in label_info.json), so all count as secondary"
    labels_note = f"{plan.note}{'' if plan.form == CLASSES or plan.schema.primary else unnamed}."
    n_blank = {split: int(rows.sum()) for split, rows in blank.items()}
    rows_note = _split_note(parts, made, train.name, seed, n_blank, split_group_column)
    notes = (_source_note(frames, source, text, plan), labels_note, rows_note)
    splits = make_datasets(parts, plan.schema)
    return LabelledData(splits, plan.schema, plan.problem_type, notes, tuple(warnings), tuple(made), groups)


def given_schema(label_info: Any, folder: Path | None) -> LabelSchema | None:
    """The schema that the user gives, else that of a label_info.json in the folder of the data."""
    if label_info is not None:
        return LabelSchema.of(label_info)
    beside = None if folder is None else folder / "label_info.json"
    return LabelSchema.from_label_info(beside) if beside is not None and beside.exists() else None


def _by_split_column(frames: dict[str, Frame]) -> dict[str, Frame]:
    """The training data by a column that names train and another split, where there is no other data."""
    train = frames["train"]
    strings = [name for name in train.names if pa.types.is_string(train.table.schema.field(name).type)]
    for name in strings if len(frames) == 1 else ():
        cells = train.table.column(name)
        if name.casefold() in LABEL_COLUMNS or len(cells.slice(0, 1_000).unique()) > 10:
            continue
        words = cells.unique().drop_null().to_pylist()
        named = {word: split for word in words if len(words) <= 10 and (split := split_named(word))}
        if "train" in named.values() and len({*named.values()}) > 1:
            break
    else:
        return frames
    home = np.array([named.get(value, "") for value in cells.to_pylist()])
    found = {split: train.take(np.flatnonzero(home == split)) for split in SPLITS if split in home}
    rest = int((home == "").sum())
    said = f"{train.name}: the rows are put into splits by the column {name!r}"
    remark = f"{said}; {rest:,} rows with another value are left out." if rest else f"{said}."
    return {**found, "train": replace(found["train"], remarks=(*train.remarks, remark))}


def _grouped(frame: Frame, text: str, settings: Settings) -> Frame:
    """Rows with one text as one row with a list of their labels, for files with a row for each text and label."""
    others = [name for name in frame.names if name != text]
    column = settings.label_columns[0] if settings.label_columns else named_like(LABEL_COLUMNS, others)
    if column is None or len(settings.label_columns) > 1 or pa.types.is_nested(frame.column(column).type):
        raise UsageError(f"{frame.path}: --label_format long needs the column of the label: --label_columns NAME.")
    found: dict[str, tuple[int, dict[str, None]]] = {}  # of each text its first row and its labels
    names = frame.column(column).cast(pa.string()).to_pylist()
    for row, (key, name) in enumerate(zip(read_texts(frame, text).to_pylist(), names, strict=True)):
        found.setdefault(key, (row, {}))[1].update({name.strip(): None} if name and name.strip() else {})
    every = {label for _, labels in found.values() for label in labels}
    if len(every) > 1 and all(len(labels) == len(every) for _, labels in found.values()):
        raise UsageError(
            f"{frame.path}: --label_format long takes each row as a label of its text, and so each text has every "
            f"label; keep the rows whose label holds, if one of {quoted(others)} says which these are."
        )
    grouped = frame.take(np.array([row for row, _ in found.values()]))
    lists = pa.array([list(labels) for _, labels in found.values()], pa.list_(pa.string()))
    return replace(grouped, table=grouped.table.drop_columns([column]).append_column(column, lists))


def _check_training(part: tuple[pa.Array, np.ndarray], train: Frame, plan: LabelSpec, settings: Settings) -> None:
    """Raise an error for labels that are unknown or positive throughout, blank texts, and several classes a text."""
    texts, labels = part
    if (labels == IGNORE_INDEX).all():
        raise DataError(f"{train.path}: no row has a known label; expected some to train on.")
    if settings.label_format is None and plan.form == CLASSES:
        pairs = pa.table({"text": texts, "label": labels}).group_by("text").aggregate([("label", "count_distinct")])
        several = int(pc.sum(pc.greater(pairs["label_count_distinct"], 1)).as_py())
        if several >= 3 and 20 * several >= len(pairs):
            raise UsageError(
                f"{train.path}: {several:,} of {len(pairs):,} texts stand in several rows with different labels in "
                f"{plan.columns[0]!r}. --label_format long takes a row for each text and label, --label_format "
                "classes one class a row."
            )
    if split_rows.is_blank_text(texts).all():
        raise DataError(f"{train.path}: each text is blank; name the column of the text with --text_column.")


def _with_labels(
    frames: dict[str, Frame], source: Source, plan: LabelSpec, settings: Settings
) -> tuple[dict[str, Frame], list[Any]]:
    """The splits that have labels, those of a file such as test_labels.csv included, and what is said of others."""
    found, said = {}, []
    for split, frame in frames.items():
        if set(plan.columns) & set(frame.names) or named_like(LABEL_COLUMNS, frame.names) is not None:
            found[split] = frame
            continue
        beside = source.labels_beside(split)
        if beside is None:
            said.append(f"{frame.name} has no labels: it is not used as the {split} data.")
            continue
        labels = read_files(beside, settings)
        key = next((name for name in frame.names if name in labels.names), None)
        if key is None:
            raise DataError(f"{beside}: has no column of {frame.name} by which labels and texts go together.")
        rows = pc.index_in(frame.column(key), labels.column(key))
        if rows.null_count == len(rows):
            raise DataError(f"{beside}: no value of {key!r} is one of {frame.name}; both have to be written alike.")
        table = frame.table
        for name in (name for name in labels.names if name not in frame.names):
            table = table.append_column(name, labels.column(name).take(rows))
        found[split] = replace(frame, table=table)
        missing = f"; {rows.null_count:,} rows have none" if rows.null_count else ""
        said.append(f"The labels of {frame.name} are those of {beside.name}, by {key!r}{missing}.")
    return found, said


def make_datasets(parts: split_rows.Parts, schema: LabelSchema) -> datasets.DatasetDict:
    """The splits in their canonical form, see `LabelledData`."""
    every = [labels for _, labels in parts.values()]
    if every[0].ndim == 1:
        has_unknown = any((labels == IGNORE_INDEX).any() for labels in every)
        feature = datasets.Value("int64") if has_unknown else datasets.ClassLabel(names=list(schema.names))
    else:
        is_soft = any((labels != np.floor(labels)).any() for labels in every)
        feature = datasets.List(datasets.Value("float32" if is_soft else "int8"))
    features = datasets.Features({"text": datasets.Value("string"), "labels": feature})
    step = (2**31 - 1) // len(schema)  # rows of a chunk, whose offsets fit into 32 bits
    made = {}
    for split in (split for split in SPLITS if split in parts):
        texts, labels = parts[split]
        kind = features.arrow_schema.field("labels").type
        column = pa.array(labels, pa.int64()) if labels.ndim == 1 else pa.chunked_array([
            pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()).cast(kind.value_type), len(schema)).cast(kind)
            for part in (labels[at : at + step] for at in range(0, max(len(labels), 1), step))
        ])  # fmt: skip
        made[split] = datasets.Dataset(pa.Table.from_arrays([texts, column], schema=features.arrow_schema))
    return datasets.DatasetDict(made)


def _source_note(frames: Mapping[str, Frame], source: Source, text: str, plan: LabelSpec) -> str:
    train = frames["train"]
    ignored = [name for name in train.names if name not in (text, *plan.columns)]
    read = "; ".join(f"{frame.name} as {frame.format}" for frame in {f.name: f for f in frames.values()}.values())
    where = f" in {source.where}" if source.where else ""
    words = " (lists of words, joined by blanks)" if pa.types.is_list(train.table.schema.field(text).type) else ""
    more = f"; not used: {quoted(source.unused)}" if source.unused else ""
    more += f"; ignored columns: {quoted(ignored)}" if ignored else ""
    return f"Read {read}{where}; text in {text!r}{words}{more}."


def _split_note(
    parts: split_rows.Parts, made: Sequence[str], source: str, seed: int, blank: Mapping[str, int], group: str | None
) -> str:
    sizes = ", ".join(f"{split} {len(parts[split][0]):,}" for split in SPLITS if split in parts)
    how = "splits as they were"
    if made:
        each = " each" if len(made) > 1 else ""
        more = f" and rows of one {group!r}" if group else ""
        how = f"{' and '.join(made)} made of 10% of {source}{each}, stratified, seed {seed}, equal texts{more} "
        how += "kept together"
    unknown = sum(int((labels == IGNORE_INDEX).sum()) for _, labels in parts.values())
    note = f"Rows: {sizes}; {how}; {unknown:,} unknown label entries ({IGNORE_INDEX})"
    if total := sum(blank.values()):
        note += f"; {pluralize(total, 'blank text')}, {blank['train']:,} of them left out of the training rows"
    return f"{note}."
