"""iter_labels: the labels of files that are too large to load, read in batches, so that memory does not grow.

What the columns mean is decided on the first batch, as for files that are loaded. Only where the labels' names have to
be found is the label column read once before, to collect them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..labels.blocks import INDICES, MULTI_HOT, Block, IdLists, array_block
from ..labels.counting import are_classes
from ..labels.schema import LabelSchema
from ..utils.constants import MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import DataError, UsageError
from .batches import BatchFile, open_batches
from .columns import find_text_column, make_plan
from .frame import Frame
from .label_spec import LabelSpec, encode_labels

_ENTRIES = 1 << 22  # of a batch's matrix, at most about: fewer rows at a time where there are many labels
_BATCH = 65_536
_MAX_CELLS = 1_000_000
_HEADS = (8_192, 65_536, 262_144)
"""Rows on which it is decided what columns mean: more where the first ones do not tell."""


@dataclass(frozen=True)
class LabelIterator:
    """Labels of files, in batches; `LabelDistribution.from_stream` counts them.

    Args:
        schema: the labels.
        problem_type: "multi_label_classification" or "single_label_classification".
        notes: what was decided, in a few lines for a person.
        n_rows: rows of all files; -1 where the files do not say (all but parquet and Arrow).
        paths: the files.
        plan: what their columns mean.
        text: the column of the text, which is not read.
    """

    schema: LabelSchema
    problem_type: str
    notes: tuple[str, ...]
    n_rows: int
    paths: tuple[Path, ...]
    plan: LabelSpec
    text: str
    files: tuple[BatchFile, ...] = field(repr=False)

    @property
    def where(self) -> str:
        """What messages call the labels."""
        return str(self.paths[0]) if len(self.paths) == 1 else f"{self.paths[0]} and {len(self.paths) - 1} more"

    @property
    def options(self) -> tuple[str, ...]:
        """What the counts depend on besides the files and the schema."""
        return (self.plan.form, *self.plan.columns, str(self.plan.separator))

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Read all files: blocks of labels, each with the number of its first row, from 0 through all files.

        Raises:
            DataError: a file that cannot be read or a value that does not fit; the message names file, row (counted
                from 1 through the whole file), column and value.
        """
        first = 0
        rows = max(1_024, min(_BATCH, _ENTRIES // len(self.schema)))
        for file in self.files:
            start = 0
            own_names = file.class_names.get(self.plan.columns[0])
            for frame in file.frames(self.plan.columns, rows, as_names=own_names != self.schema.names):
                yield first + start, _encoded(frame, self.plan)
                start += len(frame.table)
            first += start


def iter_labels(
    paths: str | Path | Sequence[str | Path],
    text_column: str | None = None,
    label_columns: str | Sequence[str] | None = None,
    separator: str | None = None,
    label_info: str | Path | LabelSchema | None = None,
    *,
    delimiter: str | None = None,
    label_format: str | None = None,
    like: LabelIterator | None = None,
) -> LabelIterator:
    """The labels of files that are read in batches: .parquet, .arrow, .csv, .tsv, .jsonl or .json (JSON lines), text
    in UTF-8.

    Args:
        paths: a file, or several with the same columns, such as the shards of a split.
        text_column: the column of the text, as in `load_labelled_dataset`.
        label_columns: the columns of the labels, or the one that holds them all, as there.
        separator: what stands between names in one cell, as there.
        label_info: a label_info.json, or a schema. With it no file is read before it is counted.
        delimiter: between the columns of CSV files, as there.
        label_format: what the label columns hold, as there.
        like: the stream of training, whose decisions hold for these files too; then nothing is decided anew.

    Raises:
        UsageError: a file or column that does not exist, or a choice that the user has to make.
        DataError: a file that cannot be read, or labels that do not fit.
    """
    every = tuple(Path(p) for p in ([paths] if isinstance(paths, (str, Path)) else paths))
    if not every:
        raise UsageError("Expected at least one file to read labels from, got an empty list.")
    files = tuple(open_batches(path, delimiter) for path in every)
    if like is not None:
        return _stream(every, files, like.plan, like.text)
    given = None if label_info is None else LabelSchema.of(label_info)
    asked = (label_columns,) if isinstance(label_columns, str) else tuple(label_columns or ())
    for rows in _HEADS:
        head = next(files[0].frames(None, rows), None)
        if head is None:
            raise DataError(f"{every[0]}: has no rows.")
        try:
            as_columns = given.names if given and set(given.names) <= set(head.table.column_names) else ()
            text = find_text_column(head, text_column, {*asked, *as_columns})
            plan = make_plan(head, given, asked, text, separator, label_format)
            break
        except (DataError, UsageError):  # such as no label in any of the first rows
            if len(head.table) < rows or rows == _HEADS[-1]:
                raise
    known = given is not None or (len(plan.columns) == 1 and plan.columns[0] in head.class_names)
    if not known and plan.form in ("sets", "classes"):
        plan = make_plan(_with_all_cells(head, files, plan), given, asked, text, separator, label_format)
    return _stream(every, files, plan, text)


def _stream(every: tuple[Path, ...], files: tuple[BatchFile, ...], plan: LabelSpec, text: str) -> LabelIterator:
    n_rows = -1 if any(file.n_rows < 0 for file in files) else sum(file.n_rows for file in files)
    size = f", {n_rows:,} rows" if n_rows >= 0 else ""
    names = ", ".join(path.name for path in every[:3]) + (f" and {len(every) - 3} more" if len(every) > 3 else "")
    notes = (f"Read in batches: {names}{size}.", f"{plan.note}.", *plan.remarks)
    problem = SINGLE_LABEL if plan.form == "classes" else MULTI_LABEL
    return LabelIterator(plan.schema, problem, notes, n_rows, every, plan, text, files)


def _with_all_cells(head: Frame, files: Sequence[BatchFile], plan: LabelSpec) -> Frame:
    """The first batch, and after it a row for each other cell (or for each other value in lists) of the label column
    in all files."""
    column = plan.columns[0]
    cells = head.column(column)
    is_list = pa.types.is_list(cells.type)
    seen = _distinct(cells, is_list)
    for file in files:
        for frame in file.frames((column,), _BATCH):
            more = _distinct(frame.column(column), is_list)
            try:
                seen = pa.concat_arrays([seen, more.cast(seen.type)]).unique()
            except pa.ArrowException:
                raise DataError(
                    f"{frame.path}: column {column!r} holds {more.type}; expected {seen.type}, as in {head.path}."
                ) from None
            if len(seen) > _MAX_CELLS:
                raise DataError(
                    f"{frame.path}: column {column!r} has more than {_MAX_CELLS:,} different cells, too many for "
                    "labels; name another column, or give the names in a label_info.json."
                )
    if is_list:
        seen = pa.ListArray.from_arrays(np.arange(len(seen) + 1, dtype=np.int32), seen)
    labels = pa.concat_arrays([cells, seen.cast(cells.type)])
    others = {name: pa.nulls(len(seen), head.table.schema.field(name).type) for name in head.table.column_names}
    extra = {name: pa.concat_arrays([*head.table.column(name).chunks, more]) for name, more in others.items()}
    return replace(head, table=pa.table({**extra, column: labels}))


def _distinct(cells: pa.Array, is_list: bool) -> pa.Array:
    return (cells.flatten() if is_list and pa.types.is_list(cells.type) else cells).drop_null().unique()


def _encoded(frame: Frame, plan: LabelSpec) -> Block:
    """The labels of a batch, straight from its buffers where all values are plain, else by `encode_labels`."""
    block = _plain(frame, plan)
    if block is not None:
        return block
    return encode_labels(frame, plan)


def _plain(frame: Frame, plan: LabelSpec) -> Block | None:
    """Lists of numbers as they lie in the buffers; None where a null or a number has to be looked at."""
    if plan.form not in ("multi-hot", "sets") or not plan.numbered:
        return None
    cells = frame.column(plan.columns[0])
    if not pa.types.is_list(cells.type) or not pa.types.is_integer(cells.type.value_type) or cells.null_count:
        return None
    if plan.form == "multi-hot":
        if cells.flatten().null_count or len(cells.flatten()) != len(cells) * len(plan.schema):
            return None
        if (np.diff(cells.offsets.to_numpy()) != len(plan.schema)).any():
            return None
        block = array_block(cells, MULTI_HOT, str(frame.path))
        assert isinstance(block, np.ndarray)
        bits = block.view(f"u{block.itemsize}")  # negative numbers are large ones then
        return block if bits.max(initial=0) <= 1 else None
    block = array_block(cells, INDICES, str(frame.path))
    assert isinstance(block, IdLists)
    return block if are_classes(block.values, len(plan.schema)) else None
