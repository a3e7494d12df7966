"""Label counts of the splits, from loaded data or from files that are read in batches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.dataset import LabelledData, given_schema
from ..data.options import DataOptions
from ..data.sources import SPLITS, Source, find_source
from ..data.splits import MADE_SHARE, no_positive
from ..data.stream import LabelIterator, iter_labels
from ..labels.distribution import LabelDistribution
from ..utils.errors import UsageError

STREAMED_FROM = 1 << 30
"""Size in bytes from which files are read in batches by default."""


def count_splits(data: LabelledData) -> dict[str, LabelDistribution]:
    """Count every split."""
    how: dict[str, Any] = {"limit": None, "details": True}
    counted = {name: LabelDistribution.from_dataset(split, data.schema, **how) for name, split in data.splits.items()}
    if not data.made:
        return counted
    # warnings name rows of files, which a split made from another does not have
    return {name: replace(counts, violation_rows=()) for name, counts in counted.items()}


def positives(counts: LabelDistribution) -> np.ndarray:
    """Rows with each label, (labels,). Soft labels count above 0.5, as in metrics, where pairs were counted; else they
    are summed."""
    pairs = counts.cooccurrence
    return counts.support if pairs is None else pairs.diagonal().astype(float)


def partners(counts: LabelDistribution, label: int, without: Sequence[int] = ()) -> list[tuple[int, int]]:
    """(label, rows) of the labels that co-occur with `label`, the most frequent first; not those in `without`."""
    if counts.cooccurrence is None:
        return []
    together = counts.cooccurrence[label].copy()
    together[[label, *without]] = 0
    order = np.argsort(-together, kind="stable")
    return [(int(i), int(together[i])) for i in order[: np.count_nonzero(together)]]


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
    schema = given_schema(label_info, source.folder)
    streams: dict[str, LabelIterator] = {}
    for split in (split for split in SPLITS if split in source.parts):
        streams[split] = iter_labels(source.parts[split], schema, like=streams.get("train"), **options.reading())
    return streams


def count_streams(streams: Mapping[str, LabelIterator]) -> tuple[dict[str, LabelDistribution], list[str]]:
    """Count each split, and warn of what is not known so.

    A split without a file has a tenth of what training has, whose own counts stay those of all rows.
    """
    said, splits = ["Texts were not read, so that nothing is known of texts that stand twice."], {}
    schema = streams["train"].plan.schema
    for name, stream in streams.items():
        counts = splits[name] = LabelDistribution.from_stream(stream, details=True, progress=True)
        said += no_positive(counts.support > 0, schema, name)
    if missing := [split for split in SPLITS if split not in splits]:
        train = splits["train"]
        part = (train.support * MADE_SHARE).round(), int(train.n_rows * MADE_SHARE)
        splits |= {split: LabelDistribution.from_counts(*part, schema) for split in missing}
        files = " and no ".join(f"{split} file" for split in missing)
        said.append(
            f"There is no {files}: training takes a tenth of its rows for each, which are counted with its own."
        )
    return {name: splits[name] for name in SPLITS if name in splits}, said


def _source_of(options: DataOptions) -> Source | None:
    """The files that the options name; None for a dataset of the hub, or no data."""
    if options.dataset_name is not None or not options.is_given:
        return None
    return find_source(options.data())
