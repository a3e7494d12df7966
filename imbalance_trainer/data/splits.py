"""Splits that are missing, made of the training rows: stratified, and equal texts kept together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..labels.schema import LabelSchema
from ..utils.errors import DataError, quoted

Parts = dict[str, tuple[pa.Array, np.ndarray]]  # per split the texts and the encoded labels

MADE_SHARE = 0.1
"""Of the training file, for each split that is made of it."""

_RARE, _MOST_MOVED = 20, 3_000
"""Items with a label that so few have may move, if there are not more, where labels are spread."""


def make_splits(parts: Parts, made: Sequence[str], schema: LabelSchema, seed: int, path: Path | str) -> list[str]:
    """Take the splits `made` out of the training rows, in place, and say what could not be done.

    Rows with the same text are one item. Items are stratified by their label sets; then every label with enough
    positive items gets one in each split. Every split keeps the order of the file.
    """
    texts, labels = parts["train"]
    item = texts.dictionary_encode().indices.to_numpy()
    first = np.unique(item, return_index=True)[1]
    n_splits = 1 + len(made)
    if len(first) < n_splits:
        found = "1 different text" if len(first) == 1 else f"{len(first)} different texts"
        raise DataError(
            f"{path}: has {found}; expected at least {n_splits} to make {' and '.join(made)} of them; add rows, or "
            "files for these splits."
        )
    rows, columns = np.nonzero(labels > 0.5) if labels.ndim == 2 else (np.flatnonzero(labels >= 0), None)
    columns = labels[rows] if columns is None else columns
    positive = np.zeros((len(first), len(schema)), bool)
    positive[item[rows], columns] = True
    home = np.zeros(len(first), np.int64)
    for i in range(1, n_splits):
        rest = np.flatnonzero(home == 0)
        size = max(1, round(MADE_SHARE * len(first)))
        home[rest[_stratified(positive[rest], labels[first[rest]] if labels.ndim == 1 else None, size, seed)]] = i
    _spread(home, positive, n_splits)
    remarks = []
    if labels.ndim == 1 and (alone := np.flatnonzero(positive.sum(0) == 1)).size:
        names = quoted([schema.names[i] for i in alone])
        remarks.append(f"Classes with a single text, which no split can share: {names}.")
    enough = np.bincount(columns, minlength=len(schema)) >= 3
    shared = np.all([positive[home == i].any(0) for i in range(n_splits)], axis=0)
    if absent := [schema.names[i] for i in np.flatnonzero(enough & ~shared)]:
        remarks.append(f"Labels that could not be spread over all splits: {quoted(absent)}.")
    for i, split in enumerate(["train", *made]):
        chosen = np.flatnonzero(home[item] == i)
        parts[split] = (texts.take(pa.array(chosen)), labels[chosen])
    return remarks


def _stratified(positive: np.ndarray, classes: np.ndarray | None, size: int, seed: int) -> np.ndarray:
    """Which items go to a split of `size` items: of items with the same labels each n-th one.

    Items are sorted by their label sets, the rarest label first, so that those which no whole number of picks covers
    lie beside others with the same rare labels (systematic sampling, Madow and Madow, 1944).
    """
    items = np.arange(len(positive))
    if classes is not None:  # a class with a single item cannot be shared: it stays where it is
        _, which, counts = np.unique(classes, return_inverse=True, return_counts=True)
        items = items[counts[which] > 1] if (counts > 1).any() else items
    rng = np.random.default_rng(seed)
    rare_first = np.argsort(positive.sum(0), kind="stable")
    packed = np.ascontiguousarray(np.packbits(positive[np.ix_(items, rare_first)], axis=1))
    kind = np.unique(packed.view(f"V{packed.shape[1]}")[:, 0], return_inverse=True)[1]
    order = items[np.lexsort((rng.random(len(items)), kind))]
    size = min(size, len(items))
    return order[((np.arange(size) + rng.random()) * len(items) / size).astype(int)]


def _spread(home: np.ndarray, positive: np.ndarray, n_splits: int) -> None:
    """Move as few items as possible, in place, until every label with an item for each split has one there.

    An integer program: an item has one home, and each label that a split would be without has an item there, or a
    high price is paid. Only items with rare labels may move.
    """
    from scipy import sparse
    from scipy.optimize import Bounds, LinearConstraint, milp

    positive = np.column_stack([positive, np.ones(len(home), bool)])  # as if a label of all: no split is empty
    total = positive.sum(0)
    counts = np.stack([positive[home == i].sum(0) for i in range(n_splits)])
    missing = (counts == 0).any(0) & (total >= n_splits)
    free = np.flatnonzero(positive[:, missing].any(1))
    more = np.flatnonzero(positive[:, missing | (total <= _RARE)].any(1))
    free = more if len(more) <= _MOST_MOVED else free
    if not missing.any():
        return
    stays = np.stack([positive[np.setdiff1d(np.flatnonzero(home == i), free)].any(0) for i in range(n_splits)])
    split, label = np.nonzero(~stays & (total >= n_splits))
    need, item = np.nonzero(positive[np.ix_(free, label)].T)
    n, n_needs = len(free) * n_splits, len(label)
    has = sparse.csr_array((np.ones(len(need)), (need, item * n_splits + split[need])), shape=(n_needs, n))
    one = sparse.kron(sparse.eye_array(len(free)), np.ones((1, n_splits)))
    rules = [
        LinearConstraint(sparse.hstack([one, sparse.csr_array((len(free), n_needs))]), 1, 1),
        LinearConstraint(sparse.hstack([has, sparse.eye_array(n_needs)]), 1, np.inf),
    ]
    price = np.concatenate([(np.arange(n_splits) != home[free][:, None]).ravel(), np.full(n_needs, len(free) + 1)])
    whole = np.arange(n + n_needs) < n
    found = milp(price, integrality=whole, bounds=Bounds(0, 1), constraints=rules, options={"time_limit": 60})
    if found.x is not None:
        home[free] = found.x[:n].reshape(-1, n_splits).argmax(1)
