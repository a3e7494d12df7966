"""load_labelled_dataset: data as people have it -> text and labels in one canonical form, and a LabelSchema.

The way of the data: it is found by split (`sources`), a reader makes a table of each split (`files`, `memory`), the
training table decides what its columns mean (`columns`), every table is encoded under that plan (`encode`), what is
odd is counted (`checks`), and splits that are missing are made (`splits`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX, MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import DataError, quoted
from .cells import label_entries
from .checks import (
    absent_labels,
    blank_label_cells,
    broken_rules,
    conflicting_duplicates,
    leaked_texts,
    unread_columns,
    unused_label_columns,
)
from .columns import find_text_column, is_label_column, make_plan, read_texts
from .files import SPLITS
from .frame import Frame, ReadSettings
from .label_spec import LabelSpec, encode_labels
from .sources import Source, find_source, read_source
from .splits import Parts, make_splits

__all__ = ["MULTI_LABEL", "SINGLE_LABEL", "LabelledData", "load_labelled_dataset"]


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
    """

    splits: datasets.DatasetDict
    schema: LabelSchema
    problem_type: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    made: tuple[str, ...] = ()

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
    label_format: str | None = None,
    split_names: Mapping[str, str] | None = None,
) -> LabelledData:
    """Load train, validation (or dev, val, valid) and test data from whatever holds it (docs/data-formats.md).

    Labels may be one column per label; or one column `labels` or `label` with a multi-hot list, a list of names or of
    class indices, a dict, names with a separator between them, or a single class. Beside files may lie a
    `label_info.json` (see `LabelSchema.from_label_info`). Splits that are not there are made from the training data,
    10% each, stratified, with equal texts in the same split.

    Args:
        data: a folder, a file, a folder that `datasets.save_to_disk` wrote, the name of a dataset on the hub
            (`org/name`, loaded without running code of it); a datasets.Dataset, DatasetDict or IterableDataset (read
            to its end), a pandas DataFrame, an Arrow table, a list of dictionaries; or a mapping of splits to any of
            these. Files are .parquet, .arrow, .feather, .csv, .tsv, .jsonl, .json or .txt.
        text_column: the column of the text; without it one of the usual names (`text`, `sentence`, `comment_text`,
            ...), else the only one with strings.
        label_columns: one column per label, or the single column that holds the labels; without it they are found.
        separator: what stands between names in one cell, such as "|"; "none" where a cell is one name.
        label_info: the schema, or the label_info.json, to use in place of that beside the data.
        seed: for the splits that are made.
        delimiter: between the columns of CSV files, such as ";"; without it it is found.
        encoding: of text files; without it UTF-8, or what their byte-order mark says.
        label_format: "columns", "multi_hot", "indices", "names" or "classes"; without it it is found.
        split_names: per split what a dataset calls it, such as {"train": "full"}.

    Raises:
        UsageError: a folder or column that does not exist, or a choice that the user has to make; the message names
            the flag that answers it.
        DataError: a file that cannot be read, or a value in it that does not fit; the message names file, row
            (counted from 1, without the header), column and value.
    """
    source = find_source(data, split_names)
    given = _given_schema(label_info, source.folder)
    frames = read_source(source, ReadSettings(delimiter, encoding, given is not None))
    asked = (label_columns,) if isinstance(label_columns, str) else tuple(label_columns or ())
    names = frames["train"].table.column_names
    as_columns = given.names if given and set(given.names) <= set(names) else ()
    text = find_text_column(frames["train"], text_column, {*asked, *as_columns})
    plan = make_plan(frames["train"], given, asked, text, separator, label_format)
    parts = {split: (read_texts(frame, text), encode_labels(frame, plan)) for split, frame in frames.items()}
    if (parts["train"][1] == IGNORE_INDEX).all():
        raise DataError(f"{frames['train'].path}: no row has a known label; expected some to train on.")
    by_file = _by_file(parts, frames)
    warnings = [
        *unread_columns(frames["train"]),
        *plan.remarks,
        *unused_label_columns(_more_label_columns(frames, text, plan)),
        *_blank_cells(frames, parts, plan),
        *conflicting_duplicates(by_file),
        *broken_rules(by_file, plan.schema),
    ]
    made = [split for split in SPLITS if split not in parts]
    if made:
        warnings += make_splits(parts, made, plan.schema, seed, frames["train"].path)
    warnings += [*leaked_texts(parts), *absent_labels(parts, plan.schema)]
    notes = (
        _source_note(frames, source, text, plan),
        _label_note(plan),
        _split_note(parts, made, frames["train"].name, seed),
    )
    problem = SINGLE_LABEL if plan.form == "classes" else MULTI_LABEL
    return LabelledData(_datasets(parts, plan.schema), plan.schema, problem, notes, tuple(warnings), tuple(made))


def _given_schema(label_info: Any, folder: Path | None) -> LabelSchema | None:
    if label_info is not None:
        return LabelSchema.of(label_info)
    beside = None if folder is None else folder / "label_info.json"
    return LabelSchema.from_label_info(beside) if beside is not None and beside.exists() else None


def _lists(labels: np.ndarray) -> pa.ChunkedArray:
    """A matrix (rows, labels) as lists, in chunks whose offsets fit into 32 bits."""
    n_rows, width = labels.shape
    height = max(1, (2**31 - 1) // max(width, 1))
    chunks = []
    for start in range(0, max(n_rows, 1), height):
        part = labels[start : start + height]
        offsets = np.arange(len(part) + 1, dtype=np.int32) * np.int32(width)
        chunks.append(pa.ListArray.from_arrays(offsets, pa.array(part.ravel())))
    return pa.chunked_array(chunks)


def _datasets(parts: Parts, schema: LabelSchema) -> datasets.DatasetDict:
    every = [labels for _, labels in parts.values()]
    if every[0].ndim == 1:
        has_unknown = any((labels == IGNORE_INDEX).any() for labels in every)
        feature = datasets.Value("int64") if has_unknown else datasets.ClassLabel(names=list(schema.names))
    else:
        is_soft = any((labels != np.floor(labels)).any() for labels in every)
        feature = datasets.List(datasets.Value("float32" if is_soft else "int8"))
    features = datasets.Features({"text": datasets.Value("string"), "labels": feature})
    made = {}
    for split in SPLITS:
        texts, labels = parts[split]
        is_matrix = labels.ndim == 2
        column = _lists(labels.astype(feature.feature.dtype)) if is_matrix else pa.array(labels, pa.int64())
        made[split] = datasets.Dataset(pa.Table.from_arrays([texts, column], schema=features.arrow_schema))
    return datasets.DatasetDict(made)


def _more_label_columns(frames: Mapping[str, Frame], text: str, plan: LabelSpec) -> dict[str, list[str]]:
    """Per file the columns that look like labels, where labels are columns and the training file has none such."""
    if plan.form != "columns":
        return {}
    train = frames["train"]
    used = {text, *plan.columns}
    known = {n for n in train.table.column_names if n in used or (n not in train.broken and not _is_blank(train, n))}
    return {
        frame.name: [n for n in frame.table.column_names
                     if n.strip() and n not in known and is_label_column(frame, n)]
        for frame in frames.values()
    }  # fmt: skip


def _is_blank(frame: Frame, name: str) -> bool:
    """Whether a column has no value at all; a look at its first rows spares one at long texts."""
    values = frame.column(name)
    return all(bool(np.isnan(label_entries(part)).all()) for part in (values[:100], values))


def _by_file(parts: Parts, frames: Mapping[str, Frame]) -> Parts:
    """The parts by the names of their files, in which rows are looked up; by split where two files have one name, or a
    split has several files."""
    names = [split if frames[split].shards else frames[split].name for split in parts]
    return dict(zip(names, parts.values(), strict=True)) if len(set(names)) == len(names) else parts


def _blank_cells(frames: Mapping[str, Frame], parts: Parts, plan: LabelSpec) -> list[str]:
    if plan.form != "sets":
        return []
    column = plan.columns[0]
    return blank_label_cells({split: frame.column(column) for split, frame in frames.items()}, parts, column)


def _source_note(frames: Mapping[str, Frame], source: Source, text: str, plan: LabelSpec) -> str:
    train = frames["train"]
    used = {text, *plan.columns, *plan.doubtful}
    ignored = [name for name in train.table.column_names if name not in used]
    kinds = dict.fromkeys(frame.format for frame in frames.values())
    read = "; ".join(
        f"{', '.join(frame.name for frame in frames.values() if frame.format == kind)} as {kind}" for kind in kinds
    )
    where = f" in {source.where}" if source.where else ""
    more = f"; unused splits: {quoted(source.unused)}" if source.unused else ""
    more += f"; not used: {', '.join(source.nearly)}" if source.nearly else ""
    more += f"; ignored columns: {quoted(ignored)}" if ignored else ""
    more += f"; not used, but nearly labels: {quoted(plan.doubtful)} (see the warnings)" if plan.doubtful else ""
    return f"Read {read}{where}; text in {text!r}{more}."


def _label_note(plan: LabelSpec) -> str:
    if plan.form == "classes" or plan.schema.primary:
        return f"{plan.note}."
    return f"{plan.note}; none is named primary (groups in label_info.json), so all count as secondary."


def _split_note(parts: Parts, made: Sequence[str], source: str, seed: int) -> str:
    sizes = ", ".join(f"{split} {len(parts[split][0]):,}" for split in SPLITS)
    if made:
        each = " each" if len(made) > 1 else ""
        sizes += (
            f"; {' and '.join(made)} made of 10% of {source}{each}, stratified, seed {seed}, equal texts kept together"
        )
    else:
        sizes += ", splits as they were"
    unknown = sum(int((labels == IGNORE_INDEX).sum()) for _, labels in parts.values())
    blank = sum(pc.sum(pc.equal(pc.utf8_trim_whitespace(texts), "")).as_py() or 0 for texts, _ in parts.values())
    sizes += f"; {unknown:,} unknown label entries ({IGNORE_INDEX})" if unknown else "; no label entry unknown"
    if blank:
        sizes += f"; {blank:,} blank text{'' if blank == 1 else 's'}"
    return f"Rows: {sizes}."
