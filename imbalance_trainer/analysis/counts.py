"""Label counts of the splits, of all rows or of a sample, from loaded data or from files that are read in batches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
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


def count_split(dataset: Any, schema: LabelSchema, limit: int | None = None, seed: int = 42) -> LabelDistribution:
    """Count a split, or `limit` rows of it drawn at random."""
    total, rows = len(dataset), None
    if limit is not None and limit < total:
        rows = np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))
        dataset = dataset.select(rows)
    together = len(schema) <= DENSE_LABELS
    counts = LabelDistribution.from_dataset(dataset, schema, limit=None, labels_per_row=True, cooccurrence=together)
    if rows is None:
        return counts
    named = tuple(tuple(rows[list(broken)].tolist()) for broken in counts.violation_rows)
    return sampled(replace(counts, violation_rows=named), len(rows), total)


def count_splits(data: LabelledData, limit: int | None = None, seed: int = 42) -> dict[str, LabelDistribution]:
    """Count every split, or `limit` rows of each drawn at random."""
    counted = {name: count_split(split, data.schema, limit, seed) for name, split in data.splits.items()}
    if not data.made:
        return counted
    # warnings name rows of files, which a split made from another does not have
    return {name: replace(counts, violation_rows=()) for name, counts in counted.items()}


def sampled(counts: LabelDistribution, rows: int, total: int) -> LabelDistribution:
    """Counts of `rows` rows of a split of `total`. Of single-label rows only those with a known class count, so that
    the rows in all are estimated from their share."""
    return replace(counts, row_total=max(counts.n_rows, round(total * counts.n_rows / rows)))


def is_sample(counts: LabelDistribution) -> bool:
    """Whether only some of the rows were counted."""
    return counts.row_total > counts.n_rows


def positives(counts: LabelDistribution) -> np.ndarray:
    """Rows with each label, (labels,). Soft labels count above 0.5, as in metrics, where pairs were counted; else they
    are summed."""
    pairs = counts.cooccurrence
    return counts.support if pairs is None else np.asarray(pairs.diagonal(), dtype=float)


def partners(counts: LabelDistribution, label: int, without: Sequence[int] = ()) -> list[tuple[int, int]]:
    """(label, rows) of the labels that co-occur with `label`, the most frequent first; not those in `without`."""
    if counts.cooccurrence is None:
        return []
    row = counts.cooccurrence[[label]]
    together = np.asarray(row.toarray() if hasattr(row, "toarray") else row, dtype=float).ravel()
    together[[label, *without]] = 0
    order = np.argsort(-together, kind="stable")
    return [(int(i), int(together[i])) for i in order[: np.count_nonzero(together)]]


# ---- files that are too large to load ----


def is_large(options: DataOptions, limit: int = STREAMED_FROM) -> bool:
    """Whether the data is files that together have `limit` bytes or more."""
    source = _source_of(options)
    return source is not None and sum(path.stat().st_size for path in source.paths()) >= limit


def open_streams(options: DataOptions, label_info: Any = None) -> dict[str, LabelIterator]:
    """Open the files of each split that the options name to read their labels in batches; `label_info` as for loading.

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
    return streams


def count_streams(
    streams: Mapping[str, LabelIterator], limit: int | None = None
) -> tuple[dict[str, LabelDistribution], list[str]]:
    """Count each split, or its first `limit` rows, and warn of what is not known so.

    A split without a file has a tenth of what training has, whose own counts stay those of all rows.
    """
    said, splits = ["Texts were not read, so that nothing is known of texts that stand twice."], {}
    schema = streams["train"].schema
    for name, stream in streams.items():
        counts = LabelDistribution.from_stream(
            stream, limit, labels_per_row=True, cooccurrence=len(schema) <= DENSE_LABELS, progress=True
        )
        where = name
        if limit is not None and counts.row_total != counts.n_rows:
            where = f"the rows of {name} that were counted"
            total = _lines(stream.paths) if counts.row_total < 0 else counts.row_total
            counts = sampled(counts, limit, total)
            of = f"the first {limit:,} of {total:,} {'lines' if stream.n_rows < 0 else 'rows'}"
            said.append(f"Of {name} only {of} were counted, which mislead if sorted.")
        splits[name] = counts
        said += no_positive(counts.support > 0, schema, where)
    if missing := [split for split in SPLITS if split not in splits]:
        train = whole(splits["train"])
        part = (train.support * MADE_SHARE).round(), int(train.n_rows * MADE_SHARE)
        splits |= {split: LabelDistribution.from_counts(*part, schema) for split in missing}
        files = " and no ".join(f"{split} file" for split in missing)
        said.append(
            f"There is no {files}: training takes a tenth of its rows for each, which are counted with its own."
        )
    return {name: splits[name] for name in SPLITS if name in splits}, said


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
