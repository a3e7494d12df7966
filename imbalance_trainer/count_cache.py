"""Counts of large data kept in a small file of datasets' cache folder, so that the next run need not count again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .labels import LabelSchema
from .whole_file import write_json

VERSION = 3
"""Of the files. One of another version is counted again."""

MIN_ROWS = 1_000_000
"""Fewer rows are counted as fast as a file is found and read."""

_ARRAYS = {"support": np.float64, "known": np.float64, "violations": np.int64}
_FIELDS = {*_ARRAYS, "n_rows", "row_total", "violation_rows", "labels_per_row", "cooccurrence"}


class CountCache:
    """Where the counts of one dataset, or of some files, are kept.

    Args:
        source: what tells the data from any other: fingerprint, paths, sizes, times.
    """

    def __init__(self, source: Sequence[Any]) -> None:
        self.source = source

    @classmethod
    def of_dataset(cls, dataset: Any) -> "CountCache | None":
        """For a datasets.Dataset of many rows that lies in files; None for any other, as a dataset that is in memory
        alone is a new one in each run."""
        fingerprint = getattr(dataset, "_fingerprint", None)
        paths = [file["filename"] for file in getattr(dataset, "cache_files", None) or ()]
        if fingerprint is None or not paths or len(dataset) <= MIN_ROWS:
            return None
        stamps = _stamps(paths)
        return None if stamps is None else cls([fingerprint, *stamps])

    @classmethod
    def of_files(cls, paths: Sequence[Path], n_rows: int) -> "CountCache | None":
        """For files of many rows (-1: of how many is not known)."""
        stamps = _stamps(paths)
        return None if stamps is None or 0 <= n_rows <= MIN_ROWS else cls(stamps)

    def path(self, schema: LabelSchema, options: Sequence[Any]) -> Path:
        """The file for these labels and options."""
        import datasets

        key = json.dumps([VERSION, self.source, schema.to_dict(), options], sort_keys=True, default=str)
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return Path(datasets.config.HF_DATASETS_CACHE) / "imbalance_trainer" / f"counts-{name}.json"

    def read(self, schema: LabelSchema, options: Sequence[Any]) -> dict[str, Any] | None:
        """The fields of a LabelDistribution but its schema; None where there are none, or the file is broken."""
        try:
            content = json.loads(self.path(schema, options).read_text(encoding="utf-8"))
            if content.pop("version") != VERSION or set(content) != _FIELDS:
                return None
            for name, dtype in _ARRAYS.items():
                content[name] = np.array(content[name], dtype=dtype)
            for name in ("labels_per_row", "cooccurrence"):
                content[name] = None if content[name] is None else np.array(content[name], dtype=np.int64)
            content["violation_rows"] = tuple(map(tuple, content["violation_rows"]))
            width, rules = len(schema), len(schema.rules)
            shapes = (content["support"].shape, content["known"].shape, content["violations"].shape)
            is_whole = shapes == ((width,), (width,), (rules,)) and _are_counts(content, width)
            return content if is_whole else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def write(self, schema: LabelSchema, options: Sequence[Any], fields: Mapping[str, Any]) -> None:
        """Keep the fields of a LabelDistribution. Sparse co-occurrence is not kept, and nothing where no file can
        be written: then the next run counts again."""
        pairs = fields["cooccurrence"]
        if pairs is not None and not isinstance(pairs, np.ndarray):
            return
        content = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in fields.items()}
        with suppress(OSError):
            write_json(self.path(schema, options), {"version": VERSION, **content})


def _are_counts(content: Mapping[str, Any], width: int) -> bool:
    """Whether the numbers can be counts at all."""
    n_rows, pairs, per_row = content["n_rows"], content["cooccurrence"], content["labels_per_row"]
    are_whole = isinstance(n_rows, int) and isinstance(content["row_total"], int)
    support, known = content["support"], content["known"]
    are_possible = are_whole and ((support >= 0) & (support <= known) & (known <= n_rows)).all()
    return bool(are_possible and (pairs is None or pairs.shape == (width, width)) and np.ndim(per_row) <= 1)


def _stamps(paths: Sequence[Any]) -> list[Any] | None:
    """Path, size and time of each file; None where one is not there."""
    try:
        return [[str(Path(p).resolve()), (stat := Path(p).stat()).st_size, stat.st_mtime_ns] for p in paths]
    except OSError:
        return None
