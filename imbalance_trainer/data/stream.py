"""iter_labels: the labels of files that are too large to load, read in batches, so that memory does not grow.

What the columns mean is decided on the first batch, as for files that are loaded. Only where the labels' names have to
be found are the label columns, without the texts, read whole before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..labels.schema import LabelSchema
from ..utils.errors import DataError, UsageError
from .columns import find_text_column, make_plan, read_texts
from .files import read_batches
from .frame import join_frames
from .label_spec import CLASSES, NAMES, LabelSpec, check_columns, encode_labels
from .splits import is_blank_text
from .text_files import Settings

_ENTRIES = 1 << 22  # of a batch's matrix, at most: fewer rows at a time where there are many labels


@dataclass(frozen=True)
class LabelIterator:
    """Labels of files, in batches; `LabelDistribution.from_stream` counts them.

    Args:
        paths: the files.
        plan: what their columns mean.
        text: the column of the text.
        settings: how the files are written.
        batch: rows at a time, at most.
        is_training: whether rows whose text is blank are left out, as training leaves them out.
    """

    paths: tuple[Path, ...]
    plan: LabelSpec
    text: str
    settings: Settings
    batch: int
    is_training: bool = True

    @property
    def where(self) -> str:
        """What messages call the labels."""
        return str(self.paths[0]) if len(self.paths) == 1 else f"{self.paths[0]} and {len(self.paths) - 1} more"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided, in a few lines for a person."""
        return f"Read in batches: {self.where}.", f"{self.plan.note}.", *self.plan.remarks

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Read all files: blocks of labels, each with the number of its first row, from 0 through all files.

        Raises:
            DataError: a file that cannot be read or a value that does not fit; the message names file, row (counted
                from 1 through the whole file), column and value.
        """
        first = 0
        rows = min(self.batch, max(1_024, _ENTRIES // len(self.plan.schema)))
        for path in self.paths:
            for frame in read_batches(path, self.settings, rows):
                n_rows, is_blank = len(frame.table), is_blank_text(read_texts(frame, self.text))
                if self.is_training and is_blank.any():
                    frame = frame.take(np.flatnonzero(~is_blank))
                if len(frame.table):
                    yield first, encode_labels(frame, self.plan)
                first += n_rows


def iter_labels(
    paths: str | Path | Sequence[str | Path],
    label_info: str | Path | LabelSchema | None = None,
    *,
    like: LabelIterator | None = None,
    batch: int = 65_536,
    **reading: Any,
) -> LabelIterator:
    """The labels of files that are read in batches.

    Args:
        paths: a file, or several with the same columns, such as the shards of a split.
        label_info: a label_info.json, or a schema. With it no file is read before it is counted.
        like: the stream of training, whose decisions hold for these files too; then nothing is decided anew.
        batch: rows at a time, at most; the first ones say what columns mean.
        **reading: `text_column` to `label_scale`, as in `load_labelled_dataset`.

    Raises:
        UsageError: a file or column that does not exist, or a choice that the user has to make.
        DataError: a file that cannot be read, or labels that do not fit.
    """
    every = tuple(Path(p) for p in ([paths] if isinstance(paths, (str, Path)) else paths))
    if absent := [path for path in every if not path.is_file()]:
        raise UsageError(f"{absent[0]}: there is no such file.")
    if like is not None:
        return replace(like, paths=every, is_training=False)
    given = None if label_info is None else LabelSchema.of(label_info)
    settings = Settings(label_info=given, **reading)
    head = next(read_batches(every[0], settings, batch), None)
    if head is None:
        raise DataError(f"{every[0]}: has no rows.")
    text = find_text_column(head, settings)
    plan = make_plan(head, text, settings)
    if plan.form in (NAMES, CLASSES) and given is None and plan.columns[0] not in head.class_names:
        batches = (frame for path in every for frame in read_batches(path, settings, batch))
        whole = join_frames(every[0], [replace(frame, table=frame.table.select(plan.columns)) for frame in batches])
        plan = make_plan(whole, text, replace(settings, label_columns=plan.columns))
    else:
        plan = replace(plan, remarks=(*plan.remarks, *check_columns(encode_labels(head, plan), head, plan)))
    return LabelIterator(every, plan, text, settings, batch)
