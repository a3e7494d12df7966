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

    Rows with the same text are one item. Multi-label items are stratified by their label sets, and what is left by
    iterative stratification (Sechidis et al., 2011); single-label ones by class. Then every label with enough positive
    items gets one in each split.
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
    """Which items go to a split of about `size` items."""
    from sklearn.model_selection import train_test_split

    items = np.arange(len(positive))
    if classes is not None:
        _, which, counts = np.unique(classes, return_inverse=True, return_counts=True)
        shared = items[counts[which] > 1]  # a class with a single item cannot be stratified: it stays where it is
        if (counts > 1).sum() <= min(size, len(shared) - size):
            return train_test_split(shared, test_size=size, stratify=classes[shared], random_state=seed)[1]
    target = np.column_stack([positive, ~positive.any(1)])  # items without a label are spread too
    chosen, left = _by_label_set(target, size, seed)
    more = min(size - len(chosen), len(left))
    if more > 0:
        chosen = np.concatenate([chosen, left[_iteratively(target[left], more, seed)]])
    return chosen if 0 < len(chosen) < len(items) else np.random.default_rng(seed).permutation(items)[:size]


def _by_label_set(target: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of items with equal labels one in `len(target) / size`, and the few of each kind for which that is no whole
    number: iterative stratification, a Python loop over items, is left with them alone."""
    period = len(target) / size
    packed = np.ascontiguousarray(np.packbits(target, axis=1))
    _, kind, counts = np.unique(packed.view(f"V{packed.shape[1]}")[:, 0], return_inverse=True, return_counts=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(target)), kind))
    place = np.arange(len(target)) - np.repeat(np.cumsum(counts) - counts, counts)  # within its kind
    whole = np.floor(counts / period)
    is_chosen = place < np.repeat(whole, counts)
    is_left = place >= np.repeat(np.round(whole * period), counts)
    return order[is_chosen], np.sort(order[is_left])


def _iteratively(target: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Which items go to a split of about `size`, by iterative stratification."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    if size >= len(target):
        return np.arange(len(target))
    splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=size, random_state=seed)
    return next(splitter.split(np.arange(len(target)), target))[1]


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
