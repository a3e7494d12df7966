"""Data-quality warnings: each check gives sentences with counts, none where all is well."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import quoted
from .frame import Frame

Parts = Mapping[str, tuple[pa.Array, np.ndarray]]  # per split, or file, the texts and the encoded labels


def is_blank_text(texts: pa.Array) -> np.ndarray:
    """Which texts are blank, (rows,)."""
    return np.asarray(pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False), bool)


def leaked_texts(parts: Parts) -> list[str]:
    """Texts of the validation and test data that stand in the training data too, or test texts in the validation
    data."""
    said = []
    for split, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
        if split in parts and other in parts:
            texts = parts[split][0]
            n_rows = pc.sum(pc.is_in(texts, value_set=parts[other][0].unique())).as_py() or 0
            if n_rows:
                said.append(
                    f"{n_rows:,} of {len(texts):,} rows of {split} ({n_rows / len(texts):.1%}) have a text that "
                    f"stands in {other} too: their results say less than they seem to."
                )
    return said


def conflicting_duplicates(parts: Parts) -> list[str]:
    """Equal texts with labels that differ where both are known, over all files."""
    texts = pa.chunked_array([texts for texts, _ in parts.values()], pa.string()).combine_chunks()
    labels = np.concatenate([labels for _, labels in parts.values()])
    item = texts.dictionary_encode().indices.to_numpy()
    rows = np.flatnonzero(np.bincount(item, minlength=1)[item] > 1)
    if not len(rows):
        return []
    rows = rows[np.argsort(item[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(item[rows], prepend=-1))
    values = labels[rows] if labels.ndim == 2 else labels[rows, None].astype(np.float32)
    is_known = values != IGNORE_INDEX
    top = np.maximum.reduceat(np.where(is_known, values, -np.inf), starts)
    low = np.minimum.reduceat(np.where(is_known, values, np.inf), starts)
    conflict = np.flatnonzero((top > low).any(1))
    if not len(conflict):
        return []
    first = int(conflict[0])
    sizes = np.diff(starts, append=len(rows))
    names = _row_names({split: len(labels) for split, (_, labels) in parts.items()})
    where = " and ".join(names(int(row)) for row in sorted(rows[starts[first] : starts[first] + min(2, sizes[first])]))
    text = texts[int(rows[starts[first]])].as_py()
    shown = f"{text[:40]}..." if len(text) > 40 else text
    which = "1 text stands" if len(conflict) == 1 else f"{len(conflict):,} texts stand"
    return [
        f"{which} there more than once with different labels, {int(sizes[conflict].sum()):,} rows in all, such as "
        f"{shown!r} in {where}."
    ]


def _row_names(sizes: Mapping[str, int]) -> Callable[[int], str]:
    splits, ends = list(sizes), np.cumsum(list(sizes.values()))

    def name(row: int) -> str:
        at = int(np.searchsorted(ends, row, "right"))
        return f"{splits[at]} row {row - int(ends[at]) + sizes[splits[at]] + 1}"

    return name


def absent_labels(parts: Parts, schema: LabelSchema) -> list[str]:
    """Labels without a positive in a split, and labels without a negative in the training data."""
    said = []
    for split, (_, labels) in parts.items():
        is_class = labels.ndim == 1
        is_there = np.isin(np.arange(len(schema)), labels) if is_class else np.any(labels > 0.5, axis=0)
        said += no_positive(np.asarray(is_there), schema, split)
    labels = parts["train"][1]
    if labels.ndim == 2:
        is_absent = ((labels >= 0) & (labels <= 0.5)).any(0)
        said += _named(np.asarray(~is_absent & (labels > 0.5).any(0)), schema, "no negative in train")
    return said


def no_positive(is_there: np.ndarray, schema: LabelSchema, split: str) -> list[str]:
    """A sentence on the labels that have no positive in a split, (labels,); none where all have."""
    return _named(~is_there, schema, f"no positive in {split}")


def _named(chosen: np.ndarray, schema: LabelSchema, what: str) -> list[str]:
    names = [schema.names[i] for i in np.flatnonzero(chosen)]
    has = "1 label has" if len(names) == 1 else f"{len(names):,} labels have"
    return [f"{has} {what}: {quoted(names)}."] if names else []


def broken_rules(parts: Parts, schema: LabelSchema) -> list[str]:
    """Rows that break an implication or an exclusive group, per rule and file, with the first row numbers from 1."""
    said = []
    for split, (_, labels) in parts.items() if schema.rules else ():
        if labels.ndim == 1:
            continue
        counted = LabelDistribution.from_labels(labels, schema, split)
        for rule, n_rows, rows in zip(schema.rules, counted.violations, counted.violation_rows, strict=True):
            if n_rows:
                shown = ", ".join(str(row + 1) for row in rows[:5])
                more = f" and {n_rows - 5:,} more" if n_rows > 5 else ""
                said.append(f"{split} has {rule} in {_rows(int(n_rows))}: {shown}{more}.")
    return said


def _rows(n_rows: int) -> str:
    return "1 row" if n_rows == 1 else f"{n_rows:,} rows"


def blank_label_cells(cells: Mapping[str, pa.Array], parts: Parts, column: str) -> list[str]:
    """Blank cells that were taken as a row without any label, over all splits; none where they are unknown.

    Args:
        cells: per split the cells of the column that holds all labels.
        parts: per split the texts and the encoded labels, as a matrix.
        column: what the column is called.
    """
    n_rows = 0
    for split, array in cells.items():
        if pa.types.is_string(array.type):
            is_blank = pc.equal(pc.utf8_trim_whitespace(array), "").fill_null(False).to_numpy(zero_copy_only=False)
            n_rows += int((parts[split][1][is_blank] != IGNORE_INDEX).all(1).sum())
    if not n_rows:
        return []
    have = "has" if n_rows == 1 else "have"
    return [
        f"{_rows(n_rows)} {have} a blank cell in {column!r}, which is taken as no label; write -1 there where the "
        "labels are not known."
    ]


def unread_columns(frame: Frame) -> list[str]:
    """Columns of a file that cannot be read, with the reason."""
    return [f"Column {name!r} is not used, as it cannot be read. {said}" for name, said in frame.broken.items()]


def unused_label_columns(candidates: Mapping[str, Sequence[str]]) -> list[str]:
    """Columns that look like labels, per file, and that the training file does not have.

    Args:
        candidates: per file its columns that are label-like and not in the training file.
    """
    return [
        f"{file} has columns of labels that the training data does not have, or leaves blank: {quoted(columns)}; they "
        "are not used."
        for file, columns in candidates.items()
        if columns
    ]
