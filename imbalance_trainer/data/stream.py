"""iter_labels: the labels of files that are too large to load, read in batches, so that memory does not grow.

What the columns mean is decided on the first batch, as for files that are loaded. Only where the labels' names have to
be found is the label column read once before, to collect them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..labels.blocks import INDICES, MULTI_HOT, Block, IdLists, array_block
from ..labels.counting import are_classes
from ..labels.schema import LabelSchema
from ..utils.constants import LABEL_COLUMNS, MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import DataError, UsageError
from .cells import EntryRule
from .checks import is_blank_text
from .columns import LabelSettings, find_text_column, make_plan, read_texts
from .encode import check_blanks, encode_labels
from .files import count_rows, read_batches
from .frame import Frame
from .label_spec import CLASSES, COLUMNS, LabelSpec
from .text_files import ReadSettings

_ENTRIES = 1 << 22  # of a batch's matrix, at most about: fewer rows at a time where there are many labels


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
        text: the column of the text.
        settings: how the files are written.
        batch: rows at a time, at most.
        is_training: whether rows whose text is blank are left out, as training leaves them out.
    """

    schema: LabelSchema
    problem_type: str
    notes: tuple[str, ...]
    n_rows: int
    paths: tuple[Path, ...]
    plan: LabelSpec
    text: str
    settings: ReadSettings
    batch: int
    is_training: bool = True

    @property
    def where(self) -> str:
        """What messages call the labels."""
        return str(self.paths[0]) if len(self.paths) == 1 else f"{self.paths[0]} and {len(self.paths) - 1} more"

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Read all files: blocks of labels, each with the number of its first row, from 0 through all files.

        Raises:
            DataError: a file that cannot be read or a value that does not fit; the message names file, row (counted
                from 1 through the whole file), column and value.
        """
        first = 0
        scale = self.plan.rule.scale
        columns = (self.text, *self.plan.columns, *LABEL_COLUMNS, *([scale] if scale else []))
        rows = max(min(self.batch, 1_024), min(self.batch, _ENTRIES // len(self.schema)))
        for path in self.paths:
            for frame in read_batches(path, self.settings, columns, rows):
                n_rows, is_blank = len(frame.table), is_blank_text(read_texts(frame, self.text))
                if self.is_training and is_blank.any():
                    frame = frame.take(np.flatnonzero(~is_blank))
                if len(frame.table):
                    block = _plain(frame, self.plan)
                    yield first, encode_labels(frame, self.plan) if block is None else block
                first += n_rows


def iter_labels(
    paths: str | Path | Sequence[str | Path],
    text_column: str | None = None,
    label_columns: str | Sequence[str] | None = None,
    separator: str | None = None,
    label_info: str | Path | LabelSchema | None = None,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    reader_args: Mapping[str, Any] | None = None,
    label_format: str | None = None,
    rule: EntryRule | None = None,
    like: LabelIterator | None = None,
    batch: int = 65_536,
    max_cells: int = 1_000_000,
    looked_at: Sequence[int] = (8_192, 65_536, 262_144),
) -> LabelIterator:
    """The labels of files that are read in batches.

    Args:
        paths: a file, or several with the same columns, such as the shards of a split.
        text_column: the column of the text, as in `load_labelled_dataset`.
        label_columns: the columns of the labels, or the one that holds them all, as there.
        separator: what stands between names in one cell, as there.
        label_info: a label_info.json, or a schema. With it no file is read before it is counted.
        delimiter: between the columns of CSV files, as there.
        encoding: of files of text, as there.
        reader_args: arguments of pandas.read_csv, as there.
        label_format: what the label columns hold, as there.
        rule: what the values in a column per label mean.
        like: the stream of training, whose decisions hold for these files too; then nothing is decided anew.
        batch: rows at a time, at most.
        max_cells: different cells that a column of labels may have.
        looked_at: on how many rows it is decided what columns mean: more where the first ones do not tell.

    Raises:
        UsageError: a file or column that does not exist, or a choice that the user has to make.
        DataError: a file that cannot be read, or labels that do not fit.
    """
    every = tuple(Path(p) for p in ([paths] if isinstance(paths, (str, Path)) else paths))
    if not every:
        raise UsageError("Expected at least one file to read labels from, got an empty list.")
    for path in every:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file.")
    if like is not None:
        stream = _stream(every, like.plan, like.text, like.settings, like.batch)
        return replace(stream, is_training=False)
    given = None if label_info is None else LabelSchema.of(label_info)
    asked = (label_columns,) if isinstance(label_columns, str) else tuple(label_columns or ())
    named = frozenset({*asked, *(given.names if given else ()), *([text_column] if text_column else [])})
    settings = ReadSettings(delimiter, encoding, reader_args or {}, named, given is not None)
    how = LabelSettings(given, asked, separator, label_format, rule or EntryRule())
    for rows in looked_at:
        head = _first_rows(every[0], settings, rows)
        try:
            text = find_text_column(head, text_column, how)
            plan = make_plan(head, text, how)
            if plan.form == COLUMNS:
                check_blanks(encode_labels(head, plan), head.path, plan)
            break
        except (DataError, UsageError):  # such as no label in any of the first rows
            if len(head.table) < rows or rows == looked_at[-1]:
                raise
    known = given is not None or plan.columns[0] in head.class_names
    if not known and plan.form != COLUMNS and plan.form != "multi-hot":
        plan = make_plan(_with_all_cells(head, every, plan, settings, batch, max_cells), text, how)
    return _stream(every, plan, text, settings, batch)


def _first_rows(path: Path, settings: ReadSettings, rows: int) -> Frame:
    for frame in read_batches(path, settings, None, rows):
        return frame
    raise DataError(f"{path}: has no rows.")


def _stream(every: tuple[Path, ...], plan: LabelSpec, text: str, settings: ReadSettings, batch: int) -> LabelIterator:
    sizes = [count_rows(path) for path in every]
    n_rows = -1 if min(sizes) < 0 else sum(sizes)
    size = f", {n_rows:,} rows" if n_rows >= 0 else ""
    names = ", ".join(path.name for path in every[:3]) + (f" and {len(every) - 3} more" if len(every) > 3 else "")
    notes = (f"Read in batches: {names}{size}.", f"{plan.note}.", *plan.remarks)
    problem = SINGLE_LABEL if plan.form == CLASSES else MULTI_LABEL
    return LabelIterator(plan.schema, problem, notes, n_rows, every, plan, text, settings, batch)


def _with_all_cells(
    head: Frame, every: Sequence[Path], plan: LabelSpec, settings: ReadSettings, batch: int, max_cells: int
) -> Frame:
    """The first batch, and after it a row for each other cell (or for each other value in lists) of the label column
    in all files."""
    column = plan.columns[0]
    cells = head.column(column)
    is_list = pa.types.is_list(cells.type)
    seen = _distinct(cells, is_list)
    for path in every:
        for frame in read_batches(path, settings, plan.columns, batch):
            more = _distinct(frame.column(column), is_list)
            try:
                seen = pa.concat_arrays([seen, more.cast(seen.type)]).unique()
            except pa.ArrowException:
                raise DataError(
                    f"{frame.path}: column {column!r} holds {more.type}; expected {seen.type}, as in {head.path}."
                ) from None
            if len(seen) > max_cells:
                raise DataError(
                    f"{frame.path}: column {column!r} has more than {max_cells:,} different cells, too many for "
                    "labels; name another column, or give the names in a label_info.json."
                )
    if is_list:
        seen = pa.ListArray.from_arrays(np.arange(len(seen) + 1, dtype=np.int32), seen)
    extra = pa.table({column: seen.cast(cells.type)})
    return replace(head, table=pa.concat_tables([head.table, extra], promote_options="default"))


def _distinct(cells: pa.Array, is_list: bool) -> pa.Array:
    return (cells.flatten() if is_list and pa.types.is_list(cells.type) else cells).drop_null().unique()


def _plain(frame: Frame, plan: LabelSpec) -> Block | None:
    """Lists of numbers as they lie in the buffers; None where a null or a number has to be looked at."""
    if plan.form not in ("multi-hot", "sets") or not plan.numbered or len(plan.columns) > 1:
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
