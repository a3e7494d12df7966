"""Splits that are too large to load: their files are read in batches, and only labels are looked at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data.checks import no_positive
from ..data.files import DELIMITED, SPLITS
from ..data.options import DataOptions
from ..data.sources import Source, find_source
from ..data.splits import MADE_SHARE
from ..data.stream import LabelIterator, iter_labels
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.constants import DENSE_LABELS
from ..utils.errors import UsageError
from .counts import SplitCounts, sampled
from .dataset_stats import whole

STREAMED_FROM = 1 << 30
"""Bytes of files from which on they are read in batches, if nothing is said."""

_CHUNK = 1 << 24


@dataclass(frozen=True)
class StreamedData:
    """Data of which only the labels are read.

    Args:
        streams: the labels of each split that has files.
        schema, problem_type: those of training.
        notes: what was decided.
        warnings: what cannot be told without the texts.
    """

    streams: Mapping[str, LabelIterator]
    schema: LabelSchema
    problem_type: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ("Texts were not read, so that nothing is known of texts that stand twice.",)


def is_large(options: DataOptions) -> bool:
    """Whether the data is files that together have STREAMED_FROM bytes or more."""
    source = _source_of(options)
    return source is not None and sum(path.stat().st_size for path in source.paths()) >= STREAMED_FROM


def open_streams(options: DataOptions, label_info: Any = None) -> StreamedData:
    """The labels of files that are read in batches.

    Args:
        options: the flags that name the data.
        label_info: as in `load_labelled_dataset`.

    Raises:
        UsageError, DataError: data that is no file, or as `iter_labels`.
    """
    options.check()
    source = _source_of(options)
    if source is None or not source.paths():
        raise UsageError("--streaming reads files; give a folder or a file of parquet, Arrow, CSV or JSON lines.")
    if options.encoding is not None:
        raise UsageError("--streaming reads UTF-8 only; convert the file, or leave --streaming out.")
    info = label_info
    if info is None and source.folder is not None and (source.folder / "label_info.json").exists():
        info = source.folder / "label_info.json"
    how = {"delimiter": options.delimiter, "label_format": options.label_format}
    streams: dict[str, LabelIterator] = {}
    for split in SPLITS:
        if split in source.parts:
            part = source.parts[split]
            columns = (options.text_column, options.label_columns, options.separator)
            streams[split] = iter_labels(part, *columns, info, **how, like=streams.get("train"))
    train = streams["train"]
    return StreamedData(streams, train.schema, train.problem_type, train.notes)


def count_streams(data: StreamedData, limit: int | None = None) -> tuple[dict[str, SplitCounts], StreamedData]:
    """Counts of each split, with `limit` of its first rows; and the data with what there is to say of that.

    Where there is no validation file, that split is what training would make: a tenth of the training rows.

    Raises:
        UsageError: a limit under 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1 row; got {limit}.")
    splits, said = {}, []
    for name, stream in data.streams.items():
        counts = LabelDistribution.from_stream(
            stream, limit, labels_per_row=True, cooccurrence=len(data.schema) <= DENSE_LABELS, progress=True
        )
        where = name
        if limit is not None and counts.row_total != counts.n_rows:
            where = f"the rows of {name} that were counted"
            total = _lines(stream.paths) if counts.row_total < 0 else counts.row_total
            splits[name] = sampled(counts, limit, total)
            of = f"the first {limit:,} of {total:,} {'lines' if stream.n_rows < 0 else 'rows'}"
            said.append(f"Of {name} only {of} were counted, which mislead if sorted.")
        else:
            splits[name] = SplitCounts(counts)
        said += no_positive(counts.support > 0, data.schema, where)
    if "validation" not in splits:
        train = whole(splits["train"].labels)
        made = LabelDistribution.from_counts(
            (train.support * MADE_SHARE).round(), int(train.n_rows * MADE_SHARE), data.schema
        )
        splits["validation"] = SplitCounts(made)
        said.append("There is no validation file: a tenth of the training rows is taken for it, as training makes it.")
    data = replace(data, warnings=(*data.warnings, *said))
    return {name: splits[name] for name in SPLITS if name in splits}, data


def _lines(paths: Iterable[Path]) -> int:
    """Lines of text files without the headers of CSV: their rows, or more where cells have line breaks."""
    lines, last = 0, b"\n"
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                lines += chunk.count(b"\n")
                last = chunk[-1:]
        lines += (last != b"\n") - (path.suffix.lower() in DELIMITED)
    return lines


def _source_of(options: DataOptions) -> Source | None:
    """The files that are named; None for a dataset of the hub, or no data."""
    if options.dataset_name is not None or not options.is_given:
        return None
    return find_source(options.data())
