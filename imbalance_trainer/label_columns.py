"""Where a dataset holds its labels, and the labels in blocks of numpy, whatever kind of dataset it is."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from .errors import DataError

LABEL_COLUMNS = ("labels", "label", "label_ids")
"""Where labels lie in a row, in the order in which they are looked for (the collators of transformers know these)."""

_BLOCK = 65_536


def find_label_column(dataset: Any, label_names: Iterable[str] = ()) -> str | None:
    """The name of the column that holds a dataset's labels, or None.

    Looks at column names; at the first row's keys where there are none, or where a transform makes the rows.

    Args:
        dataset: anything with rows.
        label_names: names that count besides LABEL_COLUMNS, and before them.
    """
    names = getattr(dataset, "column_names", None)
    if isinstance(names, Mapping):  # a DatasetDict was given where a Dataset belongs
        raise DataError(f"Expected one dataset, got a dictionary of {sorted(names)}; pass one of them.")
    if names is None or _has_transform(dataset):
        row = first_row(dataset)
        names = list(row) if isinstance(row, Mapping) else ()
    return next((c for c in (*label_names, *LABEL_COLUMNS) if c in names), None)


def first_row(dataset: Any) -> Any:
    """A dataset's first row; None where it has none, or where looking would use it up (an iterator)."""
    if not _is_indexed(dataset):
        return None if iter(dataset) is dataset else next(iter(dataset), None)
    return dataset[0] if len(dataset) else None


def first_row_with_null(dataset: Any, column: str) -> int | None:
    """The first row of a datasets.Dataset in whose label there is a null, which collators cannot make a tensor of."""
    if not _is_arrow(dataset) or _has_transform(dataset) or column not in dataset.column_names:
        return None
    start = 0
    for table in dataset.with_format("arrow").select_columns([column]).iter(batch_size=_BLOCK):
        for i, label in enumerate(table.column(column)) if _has_null(table.column(column)) else ():
            value = label.as_py()
            if value is None or (isinstance(value, list) and None in value):
                return start + i
        start += len(table)
    return None


def label_blocks(
    dataset: Any, column: str | None = None, limit: int | None = None, tokens: bool = False
) -> tuple[Iterator[tuple[int, np.ndarray]], int | None]:
    """The labels of a dataset in blocks, each with the number of its first row; and where these are only a sample of
    rows, how many rows there are (else None; -1 for a stream, which does not say).

    A `datasets.Dataset` without a transform is read from its Arrow buffers, all of it. Any other dataset is asked for
    its rows, so at most `limit` of them are: evenly spaced where it has a length, else the first ones.

    Args:
        dataset: anything with rows.
        column: the label column; without it the first of LABEL_COLUMNS.
        limit: rows that are asked for one by one; None for all.
        tokens: whether a row is a list of classes rather than one entry per label.
    """
    if _is_arrow(dataset) and not _has_transform(dataset):
        name = column or find_label_column(dataset)
        if name in dataset.column_names:
            return _arrow_blocks(dataset, name, tokens), None
    if not _is_indexed(dataset):
        return _row_blocks(islice(iter(dataset), limit), column, tokens), -1
    total = len(dataset)
    if limit is None or total <= limit:
        return _row_blocks(_rows(dataset, range(total)), column, tokens), None
    return _row_blocks(_rows(dataset, np.linspace(0, total - 1, limit).astype(int)), column, tokens), total


def _rows(dataset: Any, indices: Iterable[int]) -> Iterator[Any]:
    if not _is_arrow(dataset):
        yield from (dataset[int(i)] for i in indices)
        return
    for batch in dataset.select(indices).iter(batch_size=1000):  # a transform works on batches, row by row it is slow
        yield from (dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True))


def _is_arrow(dataset: Any) -> bool:
    return hasattr(dataset, "with_format") and hasattr(dataset, "data") and hasattr(dataset, "column_names")


def _has_transform(dataset: Any) -> bool:
    return _is_arrow(dataset) and dataset.format["type"] == "custom"


def _is_indexed(dataset: Any) -> bool:
    """Whether rows can be asked for by number; an IterableDataset of torch may have a length and cannot."""
    torch_data = sys.modules.get("torch.utils.data")
    if torch_data is not None and isinstance(dataset, torch_data.IterableDataset):
        return False
    return hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")


def _has_null(column: Any) -> bool:
    values = column.combine_chunks()
    nested = hasattr(values, "flatten") and "list" in str(values.type)
    return bool(column.null_count or (nested and values.flatten().null_count))


def _arrow_blocks(dataset: Any, column: str, tokens: bool) -> Iterator[tuple[int, np.ndarray]]:
    """A datasets.Dataset's column in blocks of numpy, without a Python object per row."""
    import pyarrow as pa

    start = 0
    for table in dataset.with_format("arrow").select_columns([column]).iter(batch_size=_BLOCK):
        array = table.column(column).combine_chunks()
        array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
        if not pa.types.is_nested(array.type):
            yield start, numeric(array.to_numpy(zero_copy_only=False))
        elif array.null_count:
            row = start + int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
            raise DataError(f"{column}: row {row} has no labels (null); use a list of -100 for unknown.")
        else:
            lengths = _list_lengths(array)
            values = array.flatten()
            if pa.types.is_nested(values.type):
                raise DataError(f"{column}: expected a number or a list of numbers in each row, found nested lists.")
            flat = numeric(values.to_numpy(zero_copy_only=False))
            yield start, reshaped(flat, lengths, tokens, start, column)
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
        name = column or find_label_column(block)
        if name is None:
            raise DataError(f"No labels in row {start}: its keys are {sorted(block[0])}, expected 'labels'.")
        missing = next((i for i, row in enumerate(block) if name not in row), None)
        if missing is not None:
            raise DataError(f"Row {start + missing} has no {name!r}; its keys are {sorted(block[missing])}.")
        labels = [np.asarray(row[name]) for row in block]
        is_list = [row.ndim > 0 for row in labels]
        if not any(is_list):
            yield start, numeric(np.stack(labels))
        elif all(is_list):
            lengths = np.array([len(row) for row in labels])
            yield start, reshaped(numeric(np.concatenate(labels)), lengths, tokens, start, name)
        else:
            i = is_list.index(False)
            raise DataError(f"{name}: row {start + i} has {labels[i].item()!r}, but others have a list of labels.")
        start += len(block)


def reshaped(flat: np.ndarray, lengths: np.ndarray, tokens: bool, start: int, column: str) -> np.ndarray:
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


def numeric(values: np.ndarray) -> np.ndarray:
    """Booleans as integers, missing values as NaN."""
    if values.dtype == object:
        return np.array([np.nan if v is None else v for v in values.ravel()]).reshape(values.shape)
    return values.astype(np.int8) if values.dtype == bool else values
