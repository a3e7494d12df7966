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

_TRIES, _RANDOM = 500, 0.2  # swaps without a gain before the search ends; the share of them that is random


def make_splits(parts: Parts, made: Sequence[str], schema: LabelSchema, seed: int, path: Path | str) -> list[str]:
    """Take the splits `made` out of the training rows, in place, and say what could not be done; every split keeps the
    order of the file."""
    texts, labels = parts["train"]
    home, remarks = _assign(texts, labels, schema, made, seed, path)
    for i, split in enumerate(["train", *made]):
        rows = np.flatnonzero(home == i)
        parts[split] = (texts.take(pa.array(rows)), labels[rows])
    return remarks


def _assign(
    texts: pa.Array, labels: np.ndarray, schema: LabelSchema, made: Sequence[str], seed: int, path: Path | str
) -> tuple[np.ndarray, list[str]]:
    """For each row the split that it goes to (0 train, 1 the first of `made`, ...), and what there is to say of it.

    Rows with the same text are one item. Items are stratified by their label sets; then every label with enough
    positive items gets one in each split.
    """
    item = texts.dictionary_encode().indices.to_numpy()
    first = np.unique(item, return_index=True)[1]
    if len(first) < 1 + len(made):
        found = "1 different text" if len(first) == 1 else f"{len(first)} different texts"
        raise DataError(
            f"{path}: has {found}; expected at least {1 + len(made)} to make "
            f"{' and '.join(made)} of them; add rows, or files for these splits."
        )
    positive = np.zeros((len(first), len(schema)), bool)
    rows, columns = np.nonzero(labels > 0.5) if labels.ndim == 2 else (np.flatnonzero(labels >= 0), None)
    positive[item[rows], labels[rows] if columns is None else columns] = True
    classes = labels[first] if labels.ndim == 1 else None
    home = np.zeros(len(first), np.int64)
    for i in range(1, 1 + len(made)):
        rest = np.flatnonzero(home == 0)
        size = max(1, round(MADE_SHARE * len(first)))
        home[rest[_stratified(positive[rest], None if classes is None else classes[rest], size, seed)]] = i
    _spread(home, positive, 1 + len(made), seed)
    remarks = []
    if classes is not None and (alone := np.flatnonzero(positive.sum(0) == 1)).size:
        names = quoted([schema.names[i] for i in alone])
        remarks.append(f"Classes with a single text, which no split can share: {names}.")
    enough = np.bincount(columns if columns is not None else labels[rows], minlength=len(schema)) >= 3
    shared = np.all([positive[home == i].any(0) for i in range(1 + len(made))], axis=0)
    absent = [schema.names[i] for i in np.flatnonzero(enough & ~shared)]
    if absent:
        remarks.append(f"Labels that could not be spread over all splits: {quoted(absent)}.")
    return home[item], remarks


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


def _spread(home: np.ndarray, positive: np.ndarray, n_splits: int, seed: int) -> None:
    """Swap items, in place, until every label with a positive item for each split has one there: as long as each swap
    helps, and then also by swaps that do not (min-conflicts with random steps, Minton et al., 1992)."""
    rng = np.random.default_rng(seed)
    counts = np.stack([positive[home == i].sum(0) for i in range(n_splits)])
    wanted = counts.sum(0) >= n_splits

    def move(item: int, to: int) -> None:
        counts[home[item]] -= positive[item]
        counts[to] += positive[item]
        home[item] = to

    def swap(item: int, to: int) -> None:
        giver = home[item]
        move(item, to)
        others = np.flatnonzero(home == to)
        others = others[(others != item) & ~(positive[others] & wanted & (counts[to] == 1)).any(1)]
        if len(others):
            move(rng.choice(others), giver)

    def missing() -> np.ndarray:
        """Splits and the labels that they have not, (n, 2)."""
        return np.argwhere((counts == 0) & wanted)

    def cost(items: np.ndarray, to: int) -> np.ndarray:
        """Labels that are missing more if an item goes to a split."""
        lost = (positive[items] & wanted & (counts[home[items]] == 1)).sum(1)
        return lost - (positive[items] & wanted & (counts[to] == 0)).sum(1)

    helped = True
    while helped:
        helped = False
        for to, label in missing():
            if counts[to, label]:
                continue
            items = np.flatnonzero(positive[:, label])
            costs = cost(items, to)
            least = np.lexsort((-counts[home[items], label], costs))[0]
            if costs[least] < 0:
                helped = True
                swap(items[least], to)

    best, fewest, tried = home.copy(), len(missing()), 0
    while fewest and tried < _TRIES:
        absent = missing()
        to, label = absent[rng.integers(len(absent))]
        items = np.flatnonzero(positive[:, label])
        ranked = np.lexsort((rng.random(len(items)), cost(items, to)))
        swap(items[ranked[0] if rng.random() > _RANDOM else rng.integers(len(items))], to)
        tried += 1
        if len(missing()) < fewest:
            best, fewest, tried = home.copy(), len(missing()), 0
    home[:] = best
