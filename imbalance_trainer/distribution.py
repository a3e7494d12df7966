"""LabelDistribution: how often each label occurs, counted in one pass over whatever holds the labels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from .errors import DataError
from .labels import LabelSchema

UNKNOWN = -100
"""The value of an entry that is masked: not counted, not trained on, not evaluated."""

LABEL_COLUMNS = ("labels", "label", "label_ids")
"""Where labels lie in a row, in the order in which they are looked for (the collators of transformers know these)."""

_BLOCK = 65_536


@dataclass(frozen=True)
class LabelDistribution:
    """Counts per label. Arrays have shape (labels,).

    Args:
        schema: the labels.
        n_rows: rows (for token labels: known tokens) that were counted.
        support: positives per label; soft labels add their value.
        known: entries per label that are not masked.
        violations: per implication of the schema, the rows where the child is 1 and the parent is 0.
        row_total: rows that there are, where only a sample of them was counted; else equal to `n_rows`.
    """

    schema: LabelSchema
    n_rows: int
    support: np.ndarray
    known: np.ndarray
    violations: np.ndarray
    row_total: int

    @classmethod
    def from_labels(cls, labels: Any, schema: LabelSchema, where: str = "labels") -> "LabelDistribution":
        """Count an array: multi-hot (rows, labels), or class indices (rows,) in a single-label problem.

        Raises:
            DataError: a width that is not the schema's, or a value that is neither 0, 1, in between, nor -100; the
                message names the row and the label.

        >>> schema = LabelSchema.from_names(["a", "b"])
        >>> LabelDistribution.from_labels([[1, 0], [1, 1], [0, -100]], schema).negative_positive
        array([0.5, 1. ])
        """
        return cls._count(iter([(0, _array(labels, where))]), schema, where)

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        schema: LabelSchema,
        column: str | None = None,
        limit: int | None = 100_000,
        tokens: bool = False,
    ) -> "LabelDistribution":
        """Count the label column of a dataset: lists of 0 and 1, class indices, or with `tokens` lists of classes.

        A `datasets.Dataset` is read from its Arrow buffers, all of it. Any other dataset is asked for its rows one by
        one, so at most `limit` of them are: evenly spaced where it has a length, else the first ones.
        """
        if hasattr(dataset, "with_format") and hasattr(dataset, "data"):
            column = column or _first_present(dataset.column_names)
            if column in dataset.column_names:
                return cls._count(_arrow_blocks(dataset, column, tokens), schema, column)
        total = len(dataset) if hasattr(dataset, "__len__") else None
        if total is None:
            rows: Iterable[Any] = islice(iter(dataset), limit)
        elif limit is not None and total > limit:
            rows = (dataset[int(i)] for i in np.linspace(0, total - 1, limit).astype(int))
        else:
            rows = (dataset[i] for i in range(total))
        counted = cls._count(_row_blocks(rows, column, tokens), schema, column or "labels")
        return cls(**{**counted.__dict__, "row_total": max(total or 0, counted.n_rows)})

    @classmethod
    def _count(cls, blocks: Iterator[tuple[int, np.ndarray]], schema: LabelSchema, where: str) -> "LabelDistribution":
        width, pairs = len(schema), schema.implication_indices
        support, known = np.zeros(width), np.zeros(width)
        violations = np.zeros(len(pairs), dtype=np.int64)
        n_rows = 0
        for start, block in blocks:
            if block.ndim == 1:
                counts = np.bincount(_checked_classes(block, schema, start, where), minlength=width)
                support += counts
                known += counts.sum()
                n_rows += int(counts.sum())
                continue
            block = checked_multi_hot(block, schema, start, where)
            is_known = block != UNKNOWN
            known += is_known.sum(0)
            support += block.sum(0, where=is_known, dtype=np.float64)
            n_rows += len(block)
            for i, (child, parent) in enumerate(pairs):
                violations[i] += int(((block[:, child] > 0.5) & (block[:, parent] == 0)).sum())
        return cls(schema, n_rows, support, known, violations, n_rows)

    # ---- derived ----

    @property
    def prevalence(self) -> np.ndarray:
        """Support / known entries; 0 where nothing is known."""
        return np.divide(self.support, self.known, out=np.zeros_like(self.support), where=self.known > 0)

    @property
    def negative_positive(self) -> np.ndarray:
        """Negatives for each positive; inf where there is no positive."""
        negatives = self.known - self.support
        return np.divide(negatives, self.support, out=np.full_like(self.support, np.inf), where=self.support > 0)

    @property
    def imbalance_ratio(self) -> np.ndarray:
        """Support of the most frequent secondary label / support of this one; inf where there is no positive."""
        top = self.support[list(self.schema.secondary)].max(initial=0.0)
        return np.divide(top, self.support, out=np.full_like(self.support, np.inf), where=self.support > 0)

    @property
    def rarest_first(self) -> np.ndarray:
        """Label indices by rising support; equal supports keep the schema's order."""
        return np.argsort(self.support, kind="stable")

    def tiers(self) -> dict[str, np.ndarray]:
        """Label indices of head, medium and tail, see `tiers_by_support`."""
        return tiers_by_support(self.support)


def tiers_by_support(support: np.ndarray) -> dict[str, np.ndarray]:
    """Label indices of head, medium and tail, commonest first: terciles by support, what does not divide to the head.

    >>> {tier: labels.tolist() for tier, labels in tiers_by_support(np.array([5, 40, 9, 9])).items()}
    {'head': [1, 3], 'medium': [2], 'tail': [0]}
    """
    commonest_first = np.argsort(support, kind="stable")[::-1]
    return dict(zip(("head", "medium", "tail"), np.array_split(commonest_first, 3), strict=True))


def find_label_column(dataset: Any) -> str | None:
    """The name of the column that holds a dataset's labels, or None. Looks at column names, else at the first row."""
    names = getattr(dataset, "column_names", None)
    if names is None and hasattr(dataset, "__len__") and len(dataset) and isinstance(dataset[0], Mapping):
        names = list(dataset[0])
    if isinstance(names, Mapping):  # a DatasetDict was given where a Dataset belongs
        raise DataError(f"Expected one dataset, got a dictionary of {sorted(names)}; pass one of them.")
    return _first_present(names or ())


def checked_multi_hot(block: np.ndarray, schema: LabelSchema, start: int, where: str) -> np.ndarray:
    """A multi-hot block (rows, labels) with unknown entries (NaN) made -100; errors name the row and the label."""
    if block.ndim != 2 or block.shape[1] != len(schema):
        got = f"{block.shape[1]} values" if block.ndim == 2 else f"shape {block.shape}"
        raise DataError(f"{where}: row {start} has {got}, but there are {len(schema)} labels ({_some(schema.names)}).")
    if block.dtype.kind not in "biuf":
        raise DataError(f"{where}: expected numbers (0, 1, or -100 for unknown), found {block.flat[0]!r}.")
    if block.dtype.kind == "f":
        block = np.where(np.isnan(block), UNKNOWN, block)
    bad = ((block < 0) | (block > 1)) & (block != UNKNOWN)
    if bad.any():
        raise DataError(_bad_values(block, bad, schema, start, where))
    return block


def _checked_classes(block: np.ndarray, schema: LabelSchema, start: int, where: str) -> np.ndarray:
    """The known class indices of a block of rows, as integers."""
    wrong = np.ones(block.shape, dtype=bool)
    if block.dtype.kind in "biuf":
        block = np.where(np.isnan(block), UNKNOWN, block) if block.dtype.kind == "f" else block
        wrong = block != np.floor(block)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(f"{where}: row {start + row} has {block[row]!r}; expected class indices (integers).")
    classes = block.astype(np.int64)
    bad = ((classes < 0) | (classes >= len(schema))) & (classes != UNKNOWN)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{where}: row {start + row} has class {classes[row]}; expected 0 to {len(schema) - 1} "
            f"({_some(schema.names)}), or -100 for unknown."
        )
    return classes[classes != UNKNOWN]


def _bad_values(block: np.ndarray, bad: np.ndarray, schema: LabelSchema, start: int, where: str) -> str:
    rows, columns = np.nonzero(bad)
    shown = "; ".join(
        f"row {start + r}, label {schema.names[c]!r}: {block[r, c].item():g}"
        for r, c in zip(rows[:5], columns[:5], strict=True)
    )
    more = f" (and {len(rows) - 5} more)" if len(rows) > 5 else ""
    return f"{where}: expected 0, 1, a value between them, or -100 for unknown; found {shown}{more}."


def _arrow_blocks(dataset: Any, column: str, tokens: bool) -> Iterator[tuple[int, np.ndarray]]:
    """A datasets.Dataset's column in blocks of numpy, without a Python object per row."""
    import pyarrow as pa

    start = 0
    for table in dataset.with_format("arrow").select_columns([column]).iter(batch_size=_BLOCK):
        array = table.column(column).combine_chunks()
        array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
        if not pa.types.is_nested(array.type):
            yield start, _numeric(array.to_numpy(zero_copy_only=False))
        elif array.null_count:
            row = start + int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
            raise DataError(f"{column}: row {row} has no labels (null); use a list of -100 for unknown.")
        else:
            lengths = _list_lengths(array)
            values = array.flatten()
            if pa.types.is_nested(values.type):
                raise DataError(f"{column}: expected a number or a list of numbers in each row, found nested lists.")
            flat = _numeric(values.to_numpy(zero_copy_only=False))
            yield start, _reshaped(flat, lengths, tokens, start, column)
        start += len(array)


def _list_lengths(array: Any) -> np.ndarray:
    import pyarrow.compute as pc

    return pc.list_value_length(array).to_numpy(zero_copy_only=False).astype(np.int64)


def _row_blocks(rows: Iterable[Any], column: str | None, tokens: bool) -> Iterator[tuple[int, np.ndarray]]:
    """The labels of rows that come one by one, gathered into blocks."""
    rows = iter(rows)
    start = 0
    while block := list(islice(rows, 4096)):
        if not isinstance(block[0], Mapping):
            raise DataError(f"Expected rows that are dictionaries with labels, got a {type(block[0]).__name__}.")
        name = column or _first_present(block[0])
        if name is None:
            raise DataError(f"No labels in row {start}: its keys are {sorted(block[0])}, expected 'labels'.")
        missing = next((i for i, row in enumerate(block) if name not in row), None)
        if missing is not None:
            raise DataError(f"Row {start + missing} has no {name!r}; its keys are {sorted(block[missing])}.")
        labels = [np.asarray(row[name]) for row in block]
        is_list = [row.ndim > 0 for row in labels]
        if not any(is_list):
            yield start, _numeric(np.stack(labels))
        elif all(is_list):
            lengths = np.array([len(row) for row in labels])
            yield start, _reshaped(_numeric(np.concatenate(labels)), lengths, tokens, start, name)
        else:
            i = is_list.index(False)
            raise DataError(f"{name}: row {start + i} has {labels[i].item()!r}, but others have a list of labels.")
        start += len(block)


def _reshaped(flat: np.ndarray, lengths: np.ndarray, tokens: bool, start: int, column: str) -> np.ndarray:
    """Lists of labels as a matrix (rows, labels); lists of token classes as one flat array."""
    if tokens:
        return flat
    uneven = np.flatnonzero(lengths != lengths[0]) if len(lengths) else lengths
    if len(uneven):
        raise DataError(
            f"{column}: row {start} has {lengths[0]} values and row {start + uneven[0]} has {lengths[uneven[0]]}; "
            "expected one value for each label in every row."
        )
    return flat.reshape(len(lengths), -1)


def _array(labels: Any, where: str) -> np.ndarray:
    """Labels that are all there, as an array; lists of different lengths are an error that names the row."""
    try:
        return _numeric(np.asarray(labels))
    except ValueError:
        lengths = np.array([np.size(row) for row in labels])
        return _reshaped(np.empty(0), lengths, False, 0, where)


def _numeric(values: np.ndarray) -> np.ndarray:
    """Booleans as integers, missing values as NaN."""
    if values.dtype == object:
        return np.array([np.nan if v is None else v for v in values.ravel()]).reshape(values.shape)
    return values.astype(np.int8) if values.dtype == bool else values


def _first_present(names: Iterable[str]) -> str | None:
    names = set(names)
    return next((c for c in LABEL_COLUMNS if c in names), None)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(n) for n in names[:3])
    return shown if len(names) <= 3 else f"{shown}, ... {names[-1]!r}"
