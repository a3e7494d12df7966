"""load_labelled_dataset: files as people have them -> text and labels in one canonical form, and a LabelSchema.

The way of a file: a reader makes a table of it (`files`), the training table decides what its columns mean
(`columns`), every table is encoded under that plan (`encode`), and splits that are missing are made (`splits`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..distribution import UNKNOWN
from ..errors import quoted
from ..labels import MULTI_LABEL, SINGLE_LABEL, LabelSchema
from .columns import Plan, find_text_column, make_plan, read_texts
from .encode import encode_labels
from .files import SPLITS, Frame, find_files, read_file
from .splits import Parts, make_splits

__all__ = ["MULTI_LABEL", "SINGLE_LABEL", "LabelledData", "load_labelled_dataset"]


_NO_PRIMARY = "No primary label is named (groups in label_info.json), so every label counts as secondary."


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


def load_labelled_dataset(
    data_dir: str | Path,
    text_column: str | None = None,
    label_columns: str | Sequence[str] | None = None,
    separator: str | None = None,
    label_info: str | Path | None = None,
    seed: int = 42,
) -> LabelledData:
    """Load train, validation (or dev, val, valid) and test files: .parquet, .csv, .tsv, .jsonl or .json (JSON lines).

    Labels may be one column per label; or one column `labels` or `label` with a multi-hot list, a list of names or of
    class indices, a dict, names with a separator between them, or a single class. The folder may have a
    `label_info.json` (see `LabelSchema.from_label_info`). Splits that are not there are made from the training file,
    10% each, stratified, with equal texts in the same split.

    Args:
        data_dir: the folder.
        text_column: the column of the text; without it one of the usual names (`text`, `sentence`, `comment_text`,
            ...), else the only one with strings.
        label_columns: one column per label, or the single column that holds the labels; without it they are found.
        separator: what stands between names in one cell, such as "|"; "none" where a cell is one name.
        label_info: the label_info.json to use in place of the folder's.
        seed: for the splits that are made.

    Raises:
        UsageError: a folder or column that does not exist, or a choice that the user has to make.
        DataError: a file that cannot be read, or a value in it that does not fit; the message names file, row
            (counted from 1, without the header), column and value.
    """
    folder = Path(data_dir)
    paths = find_files(folder)
    info = folder / "label_info.json" if label_info is None else Path(label_info)
    given = LabelSchema.from_label_info(info) if label_info is not None or info.exists() else None
    frames = {split: read_file(path) for split, path in paths.items()}
    asked = (label_columns,) if isinstance(label_columns, str) else tuple(label_columns or ())
    text = find_text_column(frames["train"], text_column, {*asked, *(given.names if given else ())})
    plan = make_plan(frames["train"], given, asked, text, separator)
    parts = {split: (read_texts(frame, text), encode_labels(frame, plan)) for split, frame in frames.items()}
    made = [split for split in SPLITS if split not in parts]
    remarks = make_splits(parts, made, plan.schema, seed, paths["train"]) if made else []
    notes = (
        _source_note(frames, text, plan),
        plan.note,
        _split_note(parts, made, paths["train"].name, seed),
        *([] if plan.schema.primary or plan.form == "classes" else [_NO_PRIMARY]),
        *(f"Note: {remark}" for remark in plan.remarks),
        *_remarks(parts, remarks),
    )
    problem = SINGLE_LABEL if plan.form == "classes" else MULTI_LABEL
    return LabelledData(_datasets(parts, plan.schema), plan.schema, problem, notes)


def _datasets(parts: Parts, schema: LabelSchema) -> datasets.DatasetDict:
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


def _source_note(frames: Mapping[str, Frame], text: str, plan: Plan) -> str:
    train = frames["train"]
    ignored = [name for name in train.table.column_names if name != text and name not in plan.columns]
    more = f"; ignored columns: {quoted(ignored)}" if ignored else ""
    return f"Read {', '.join(f.path.name for f in frames.values())} in {train.path.parent}, text in {text!r}{more}."


def _split_note(parts: Parts, made: Sequence[str], source: str, seed: int) -> str:
    sizes = ", ".join(f"{split} {len(parts[split][0]):,}" for split in SPLITS)
    if not made:
        return f"Rows: {sizes}, splits as in the files."
    how = f"{' and '.join(made)} made of 10% of {source}{' each' if len(made) > 1 else ''}"
    return f"Rows: {sizes}; {how}, stratified, seed {seed}, equal texts kept together."


def _remarks(parts: Parts, remarks: Sequence[str]) -> list[str]:
    unknown = sum(int((labels == UNKNOWN).sum()) for _, labels in parts.values())
    blank = sum(pc.sum(pc.equal(pc.utf8_trim_whitespace(texts), "")).as_py() or 0 for texts, _ in parts.values())
    said = [f"{unknown:,} unknown label entries ({UNKNOWN})"] if unknown else []
    said += [f"{blank:,} blank texts"] if blank else []
    return [f"Note: {'; '.join([*said, *remarks])}."] if said or remarks else []
