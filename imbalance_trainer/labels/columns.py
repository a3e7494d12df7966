"""Where a dataset holds its labels, and the labels in blocks of numpy, whatever kind of dataset it is."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from ..utils.constants import LABEL_COLUMNS
from ..utils.errors import DataError
from .blocks import INDICES, MULTI_HOT, TOKENS, Block, column_blocks, rows_block

_LOOKED_AT = 64
_PICKED = 65_536


def find_label_column(dataset: Any, label_names: Iterable[str] = ()) -> str | None:
    """The name of the column that holds a dataset's labels, or None.

    Looks at column names; at the first row's keys where there are none, or where a transform makes the rows.
    """
    names = getattr(dataset, "column_names", None)
    if isinstance(names, Mapping):  # a DatasetDict was given where a Dataset belongs
        raise DataError(f"Expected one dataset, got a dictionary of {sorted(names)}; pass one of them.")
    if names is None or has_transform(dataset):
        row = first_row(dataset)
        names = list(row) if isinstance(row, Mapping) else ()
    return next((c for c in (*label_names, *LABEL_COLUMNS) if c in names), None)


def first_row(dataset: Any) -> Any:
    """A dataset's first row; None where it has none, or where looking may use it up (see `can_be_read_again`)."""
    if not _is_indexed(dataset):
        return next(iter(dataset), None) if can_be_read_again(dataset) else None
    return dataset[0] if len(dataset) else None


def can_be_read_again(dataset: Any) -> bool:
    """Whether reading leaves all rows there: of streams only a datasets.IterableDataset is known to begin anew."""
    return _is_indexed(dataset) or type(dataset).__module__.startswith("datasets.")


def kept_first_row(dataset: Any) -> Any:
    """The dataset, or for one of torch whose rows are made when asked for, a view that asks for the first one once."""
    is_made = dataset is not None and _is_indexed(dataset) and not hasattr(dataset, "column_names")
    return _KeptFirstRow(dataset) if is_made else dataset


class _KeptFirstRow:
    def __init__(self, dataset: Any) -> None:
        self._dataset, self._first = dataset, None

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, i: int) -> Any:
        if i == 0 and self._first is None:
            self._first = self._dataset[0]
        return self._dataset[i] if i else self._first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)


def first_row_with_null(dataset: Any, column: str) -> int | None:
    """The first row of a datasets.Dataset in whose label there is a null, which collators cannot make a tensor of."""
    if not is_arrow(dataset) or has_transform(dataset) or column not in dataset.column_names:
        return None
    if not any(map(_has_null, dataset.data.column(column).chunks)):
        return None
    labels = (row[column] for row in dataset.select_columns([column]).with_format(None))
    has_null = (label is None or (isinstance(label, list) and None in label) for label in labels)
    return next((i for i, is_found in enumerate(has_null) if is_found), None)


def lists_of(dataset: Any, column: str | None, n_labels: int, tokens: bool, indices: bool | None) -> str:
    """What a row's list of numbers is: MULTI_HOT, INDICES or TOKENS.

    As told; else INDICES where the dataset's features have lists of any length of a ClassLabel with as many names.
    `map` keeps such a feature when it makes multi-hot lists of them: a first row with `n_labels` entries that are all
    0 or 1, so that some stand twice, is taken as multi-hot.
    """
    if tokens:
        return TOKENS
    if indices is None:
        indices = classes_listed(dataset, column) == n_labels
    return INDICES if indices else MULTI_HOT


def classes_listed(dataset: Any, column: str | None) -> int:
    """How many classes there are where a row lists some of them (see `lists_of`); 0 where it does not."""
    features = getattr(dataset, "features", None) or {}
    column = column or next((c for c in LABEL_COLUMNS if c in features), None)
    feature = features.get(column)
    n_labels = len(getattr(getattr(feature, "feature", None), "names", None) or ())
    if not n_labels or getattr(feature, "length", -1) >= 0:
        return 0
    some = _some_labels(dataset, str(column), _LOOKED_AT if n_labels <= 2 else 1)  # of two labels one row says little
    is_multi_hot = bool(some) and all(len(row) == n_labels and np.isin(row, (0, 1, -100)).all() for row in some)
    return 0 if is_multi_hot else n_labels


def _some_labels(dataset: Any, column: str, n: int) -> list[Any]:
    """The label lists of the first rows, without those that are null."""
    if is_arrow(dataset) and not has_transform(dataset):
        rows = dataset[: min(n, len(dataset))][column]
    else:
        row = first_row(dataset)
        rows = [] if row is None else [row[column]]
    return [np.asarray(row) for row in rows if row is not None]


def label_blocks(
    dataset: Any, column: str | None = None, limit: int | None = None, lists: str = MULTI_HOT
) -> tuple[Iterator[tuple[int, Block]], int | None]:
    """The labels of a dataset in blocks, each with the number of its first row; and where these are only a sample of
    rows, how many rows there are (else None; -1 for a stream, which does not say).

    A `datasets.Dataset` without a transform is read from its Arrow buffers, all of it. Any other dataset is asked for
    its rows, so at most `limit` of them are: evenly spaced where it has a length, else the first ones.

    Args:
        dataset: anything with rows.
        column: the label column; without it the first of LABEL_COLUMNS.
        limit: rows that are asked for one by one; None for all.
        lists: what a row's list is: MULTI_HOT, INDICES or TOKENS.
    """
    if is_arrow(dataset) and not has_transform(dataset):
        name = column or find_label_column(dataset)
        if name is not None and name in dataset.column_names:
            return column_blocks(_arrow_columns(dataset, name), lists, name), None
    if not _is_indexed(dataset):
        return _row_blocks(islice(iter(dataset), limit), column, lists), -1
    total = len(dataset)
    if limit is None or total <= limit:
        return _row_blocks(_rows(dataset, range(total)), column, lists), None
    return _row_blocks(_rows(dataset, np.linspace(0, total - 1, limit).astype(int)), column, lists), total


def is_arrow(dataset: Any) -> bool:
    """Whether it is a datasets.Dataset, whose rows lie in Arrow tables."""
    return hasattr(dataset, "with_format") and hasattr(dataset, "data") and hasattr(dataset, "column_names")


def has_transform(dataset: Any) -> bool:
    """Whether the rows of a datasets.Dataset are made by a function as they are asked for."""
    return is_arrow(dataset) and dataset.format["type"] == "custom"


def _is_indexed(dataset: Any) -> bool:
    """Whether rows can be asked for by number; an IterableDataset of torch may have a length and cannot."""
    torch_data = sys.modules.get("torch.utils.data")
    if torch_data is not None and isinstance(dataset, torch_data.IterableDataset):
        return False
    return hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")


def _arrow_columns(dataset: Any, column: str) -> Iterator[Any]:
    """The column of a datasets.Dataset in ChunkedArrays, in the dataset's order."""
    labels, picked = dataset.data.column(column), getattr(dataset, "_indices", None)
    if picked is None:
        yield labels
        return
    for at in range(0, len(dataset), _PICKED):  # `iter` of such a dataset gives an array for each row
        yield labels.take(picked.column(0).slice(at, _PICKED))


def _has_null(array: Any) -> bool:
    nested = hasattr(array, "flatten") and "list" in str(array.type)
    return bool(array.null_count or (nested and array.flatten().null_count))


def _rows(dataset: Any, indices: Iterable[int]) -> Iterator[Any]:
    if not is_arrow(dataset):
        yield from (dataset[int(i)] for i in indices)
        return
    for batch in dataset.select(indices).iter(batch_size=1000):  # a transform works on batches, row by row it is slow
        yield from (dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True))


def _row_blocks(rows: Iterable[Any], column: str | None, lists: str) -> Iterator[tuple[int, Block]]:
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
        yield start, rows_block([row[name] for row in block], lists, name, start)
        start += len(block)
