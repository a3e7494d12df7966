"""Label counts of the splits, of all rows or of a sample, from loaded data or from files that are read in batches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import LabelledData
from ..data.options import DataOptions
from ..data.sources import SPLITS, Source, find_source
from ..data.splits import MADE_SHARE, no_positive
from ..data.stream import LabelIterator, iter_labels
from ..data.text_files import DELIMITED
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.constants import DENSE_LABELS
from ..utils.errors import UsageError
from .dataset_stats import whole

STREAMED_FROM = 1 << 30
"""Size in bytes from which files are read in batches by default."""

_CHUNK = 1 << 24


@dataclass(frozen=True, eq=False)
class SplitCounts:
    """Counts of a split.

    Args:
        labels: counts per label.
        drawn: rows that were drawn for a sample, with those that have no known label, and rows in all; None where all
            rows were counted.
    """

    labels: LabelDistribution
    drawn: tuple[int, int] | None = None

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """The 95% interval of each label's support in all rows, see `LabelDistribution.interval`.

        How many single-label rows have a known class is not known: the share of a class is one of all rows then.
        """
        if self.drawn is None or self.drawn[0] == self.labels.n_rows:
            return self.labels.interval()
        rows, total = self.drawn
        known = np.full(len(self.labels.schema), float(rows))
        return replace(self.labels, n_rows=rows, known=known, row_total=total).interval()

    @property
    def labels_per_row(self) -> np.ndarray:
        """Rows with 0, 1, 2, ... labels, of those with a known label; [0] where it was not counted."""
        per_row = self.labels.labels_per_row
        return np.zeros(1, dtype=np.int64) if per_row is None else per_row

    @property
    def pairs(self) -> Any:
        """Rows with both labels, shape (labels, labels); None where it was not counted."""
        return self.labels.cooccurrence

    @property
    def positives(self) -> np.ndarray:
        """Rows with each label, (labels,). Soft labels count above 0.5, as in metrics, where pairs were counted; else
        they are summed."""
        return self.labels.support if self.pairs is None else np.asarray(self.pairs.diagonal(), dtype=float)

    @property
    def is_sample(self) -> bool:
        """Whether only some of the rows were counted."""
        return self.labels.row_total > self.labels.n_rows

    @property
    def mean_labels(self) -> float:
        """Mean labels per row (label cardinality; Tsoumakas & Katakis, 2007)."""
        rows = self.labels_per_row.sum()
        return float(self.labels_per_row @ np.arange(len(self.labels_per_row)) / rows) if rows else 0.0


def count_split(dataset: Any, schema: LabelSchema, limit: int | None = None, seed: int = 42) -> SplitCounts:
    """Count a split, or `limit` rows of it drawn at random.

    Args:
        dataset: with a label column.
        schema: its labels.
        limit: rows; None for all.
        seed: for the draw.
    """
    total, rows = len(dataset), None
    if limit is not None and limit < total:
        rows = np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))
        dataset = dataset.select(rows)
    together = len(schema) <= DENSE_LABELS
    counts = LabelDistribution.from_dataset(dataset, schema, limit=None, labels_per_row=True, cooccurrence=together)
    if rows is not None:
        named = tuple(tuple(rows[list(broken)].tolist()) for broken in counts.violation_rows)
        return sampled(replace(counts, violation_rows=named), len(rows), total)
    return SplitCounts(counts)


def count_splits(data: LabelledData, limit: int | None = None, seed: int = 42) -> dict[str, SplitCounts]:
    """Count every split, or `limit` rows of each drawn at random.

    Raises:
        UsageError: a limit under 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1 row; got {limit}.")
    counted = {name: count_split(split, data.schema, limit, seed) for name, split in data.splits.items()}
    if not data.made:
        return counted
    # warnings name rows of files, which a split made from another does not have
    return {name: replace(split, labels=replace(split.labels, violation_rows=())) for name, split in counted.items()}


def sampled(counts: LabelDistribution, rows: int, total: int) -> SplitCounts:
    """Counts of a sample of a split. Only single-label rows with a known class count, so that the rows in all are
    estimated from their share."""
    row_total = max(counts.n_rows, round(total * counts.n_rows / rows))
    return SplitCounts(replace(counts, row_total=row_total), (rows, total))


def partners(split: SplitCounts, label: int, without: Sequence[int] = ()) -> list[tuple[int, int]]:
    """(label, rows) of the labels that co-occur with `label`, the most frequent first; not those in `without`."""
    if split.pairs is None:
        return []
    row = split.pairs[[label]]
    together = np.asarray(row.toarray() if hasattr(row, "toarray") else row, dtype=float).ravel()
    together[[label, *without]] = 0
    order = np.argsort(-together, kind="stable")
    return [(int(i), int(together[i])) for i in order[: np.count_nonzero(together)]]


# ---- files that are too large to load ----


@dataclass(frozen=True)
class StreamedData:
    """Data whose labels alone are read.

    Args:
        streams: the labels of each split with files.
        schema, problem_type: those of training.
        notes: what was decided while reading.
        warnings: what is not known without the texts.
    """

    streams: Mapping[str, LabelIterator]
    schema: LabelSchema
    problem_type: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ("Texts were not read, so that nothing is known of texts that stand twice.",)


def is_large(options: DataOptions, limit: int = STREAMED_FROM) -> bool:
    """Whether the data is files that together have `limit` bytes or more."""
    source = _source_of(options)
    return source is not None and sum(path.stat().st_size for path in source.paths()) >= limit


def open_streams(options: DataOptions, label_info: Any = None) -> StreamedData:
    """Open files to read their labels in batches.

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
    info = label_info
    if info is None and source.folder is not None and (source.folder / "label_info.json").exists():
        info = source.folder / "label_info.json"
    streams: dict[str, LabelIterator] = {}
    for split in SPLITS:
        if split in source.parts:
            part = source.parts[split]
            streams[split] = iter_labels(part, label_info=info, **options.reading(), like=streams.get("train"))
    train = streams["train"]
    return StreamedData(streams, train.schema, train.plan.problem_type, train.notes)


def count_streams(data: StreamedData, limit: int | None = None) -> tuple[dict[str, SplitCounts], StreamedData]:
    """Count each split, or its first `limit` rows; the data comes back with warnings about that.

    Of splits without a file each stands for a tenth of the training rows, and training has the rest, as in training.

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
    missing = [split for split in SPLITS if split not in splits]
    if missing:
        train = whole(splits["train"].labels)
        part = (train.support * MADE_SHARE).round(), int(train.n_rows * MADE_SHARE)
        splits |= {split: SplitCounts(LabelDistribution.from_counts(*part, data.schema)) for split in missing}
        splits["train"] = _share(splits["train"], 1 - MADE_SHARE * len(missing))
        files = " and no ".join(f"{split} file" for split in missing)
        said.append(f"There is no {files}: a tenth of the training rows is taken for each, as training takes it.")
    data = replace(data, warnings=(*data.warnings, *said))
    return {name: splits[name] for name in SPLITS if name in splits}, data


def _share(split: SplitCounts, share: float) -> SplitCounts:
    """The counts of a part of the rows, drawn so that it has the same share of each label."""
    labels, pairs = split.labels, split.pairs
    if split.is_sample:
        total = max(labels.n_rows, round(labels.row_total * share))
        drawn = split.drawn and (split.drawn[0], max(split.drawn[0], round(split.drawn[1] * share)))
        return SplitCounts(replace(labels, row_total=total), drawn)
    n_rows = round(labels.n_rows * share)
    some = None if pairs is None else pairs * share
    part = replace(
        labels,
        n_rows=n_rows,
        row_total=n_rows,
        support=(labels.support * share).round(),
        known=(labels.known * share).round(),
        labels_per_row=(split.labels_per_row * share).round().astype(np.int64),
        cooccurrence=some if some is None else some.round() if isinstance(some, np.ndarray) else some.rint(),
    )
    return SplitCounts(part)


def _lines(paths: Iterable[Path]) -> int:
    """Lines of text files without CSV headers: their rows, or more where cells have line breaks."""
    lines, last = 0, b"\n"
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                lines += chunk.count(b"\n")
                last = chunk[-1:]
        lines += (last != b"\n") - (path.suffix.lower() in DELIMITED)
    return lines


def _source_of(options: DataOptions) -> Source | None:
    """The files that the options name; None for a dataset of the hub, or no data."""
    if options.dataset_name is not None or not options.is_given:
        return None
    return find_source(options.data())
