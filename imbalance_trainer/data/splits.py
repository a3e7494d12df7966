"""Texts and labels by split: what is odd in them, and splits that are made of the training rows."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, quoted
from ..utils.text import pluralize, shorten

_AT_ONCE, _MOST_COMPARED = 1_000, 60_000
"""Texts that are compared at once with all others, and texts beyond which none are."""

Parts = dict[str, tuple[pa.Array, np.ndarray]]
"""Per split, or file, the texts and the encoded labels."""

MADE_SHARE = 0.1
"""Of the training file, for each split that is made of it."""

_TRIES = 100
"""Of another order, where a label is not in every split."""


def make_splits(
    parts: Parts, groups: dict[str, pa.Array], made: Sequence[str], schema: LabelSchema, seed: int, path: Path | str,
    item: np.ndarray,
) -> list[str]:  # fmt: skip
    """Take the splits `made` out of the training rows and their groups, in place, and say what could not be done.

    Rows of one item (see `together`), (rows,), stay together. Every split keeps the order of the file.
    """
    (texts, labels), of_rows = parts["train"], groups.get("train")
    n_items, n_splits = item.max() + 1, 1 + len(made)
    if n_items < n_splits:
        raise DataError(
            f"{path}: has {pluralize(n_items, 'different text')}, or groups of them; expected at least {n_splits} to "
            f"make {' and '.join(made)} of them; add rows, or files for these splits."
        )
    has = _rows_of_labels(labels, len(schema))
    of_label = _items_of_labels(item, has)
    home = _dealt(of_label, n_items, [1 - MADE_SHARE * len(made), *[MADE_SHARE] * len(made)], seed, least=n_splits)
    remarks = []
    if labels.ndim == 1 and (alone := [schema.names[i] for i, items in enumerate(of_label) if len(items) == 1]):
        remarks.append(f"Classes with a single text, which no split can share: {quoted(alone)}.")
    absent = [len(rows) >= 3 and _n_homes(home, items) < n_splits for rows, items in zip(has, of_label, strict=True)]
    if any(absent):
        names = [schema.names[i] for i in np.flatnonzero(absent)]
        remarks.append(f"Labels that could not be spread over all splits: {quoted(names)}.")
    for i, split in enumerate(["train", *made]):
        chosen = np.flatnonzero(home[item] == i)
        parts[split] = (texts.take(pa.array(chosen)), labels[chosen])
        groups |= {} if of_rows is None else {split: of_rows.take(pa.array(chosen))}
    return remarks


def together(texts: pa.Array, groups: pa.Array | None, near: bool = False) -> np.ndarray:
    """Which rows belong together, (rows,), a number for each item: those with equal texts, those of one group, and, if
    `near`, those whose texts are nearly alike, chain by chain. A null is no group."""
    coded = texts.dictionary_encode()
    item, n_texts = coded.indices.to_numpy(), len(coded.dictionary)
    links = near_duplicates(coded.dictionary.to_pylist()) if near else np.empty((0, 2), np.int64)
    if groups is not None:
        group = pd.factorize(groups.to_pandas())[0]
        links = np.concatenate([links, np.stack([item, n_texts + group], axis=1)[group >= 0]])
    n = max(n_texts, links.max(initial=-1) + 1)
    graph = sparse.coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(n, n))
    return np.unique(connected_components(graph, directed=False)[1][item], return_inverse=True)[1]


def near_duplicates(texts: Sequence[str], least: float = 0.8) -> np.ndarray:
    """Pairs of different texts whose sets of words have a Jaccard similarity of `least` or more, (pairs, 2).

    Two such sets share one of their rarest words, of which so few are enough that all pairs that share one can be
    looked at (prefix filtering, Chaudhuri et al., 2006).
    """
    found = [{*re.findall(r"\w+", text.lower())} for text in texts]
    size = np.array([len(words) for words in found], dtype=np.int64)
    words, row = pd.factorize(np.array([w for of in found for w in of]))[0], np.repeat(range(len(found)), size)
    rarity = np.bincount(words)[words]
    order = np.lexsort((words, rarity, row))  # of each text its rarest words first
    words, place = words[order], np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
    few = place <= np.repeat(size - np.ceil(least * size - 1e-9), size)
    shape = (len(found), words.max(initial=-1) + 1)
    whole, rare = (
        sparse.csr_array((np.ones(len(words[at]), np.int32), (row[at], words[at])), shape=shape)
        for at in (slice(None), few)
    )
    pairs = []
    for start in range(0, len(found), _AT_ONCE):
        shares = sparse.triu(rare[start : start + _AT_ONCE] @ rare.T, k=start + 1).tocoo()
        first, second = shares.row + start, shares.col
        common = np.asarray((whole[first].multiply(whole[second])).sum(1)).ravel()
        alike = common >= least * (size[first] + size[second] - common) - 1e-9
        pairs.append(np.stack([first[alike], second[alike]], axis=1))
    return np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)


def parted_groups(groups: Mapping[str, pa.Array]) -> list[str]:
    """Groups of rows that stand in several splits."""
    every = pd.concat([pd.DataFrame({"group": g.to_pandas(), "split": split}) for split, g in groups.items()])
    n_groups = int((every.groupby("group")["split"].nunique() > 1).sum())
    said = f"{pluralize(n_groups, 'group')} of rows that belong together: in several of the splits that are given."
    return [said] if n_groups else []


def parted_near_duplicates(parts: Parts, are_made: bool) -> list[str]:
    """Texts that are nearly alike and stand in different splits; of many texts nobody looks."""
    texts = pa.chunked_array([texts for texts, _ in parts.values()]).combine_chunks()
    if len(parts) == 1 or len(texts) > _MOST_COMPARED:
        return []
    home = np.repeat(np.arange(len(parts)), [len(texts) for texts, _ in parts.values()])
    first = np.unique(texts.dictionary_encode().indices.to_numpy(), return_index=True)[1]
    pairs = first[near_duplicates(texts.take(pa.array(first)).to_pylist())]
    pairs = pairs[home[pairs[:, 0]] != home[pairs[:, 1]]]
    if not len(pairs):
        return []
    one, other = (texts[int(row)].as_py()[:40] for row in pairs[0])
    how = "; --keep_near_duplicates true keeps them together" if are_made else ""
    many = pluralize(len(pairs), "pair")
    return [f"{many} of texts in different splits have nearly the same words, such as {one!r} and {other!r}{how}."]


def deal_folds(item: np.ndarray, labels: np.ndarray, n_labels: int, n_folds: int, seed: int) -> np.ndarray:
    """The fold of each row, (rows,), stratified by label; rows of one item (see `together`) are in one fold.

    Args:
        item: of each row, (rows,).
        labels: (rows, labels), or classes, (rows,).
        n_labels: labels, or classes.
        n_folds: folds.
        seed: of what is drawn.

    Raises:
        DataError: fewer items than folds.
    """
    if item.max() + 1 < n_folds:
        raise DataError(f"There are {pluralize(item.max() + 1, 'different text')} for {n_folds} folds; take fewer.")
    of_label = _items_of_labels(item, _rows_of_labels(labels, n_labels))
    return _dealt(of_label, item.max() + 1, [1 / n_folds] * n_folds, seed)[item]


def _rows_of_labels(labels: np.ndarray, n_labels: int) -> list[np.ndarray]:
    """The rows that have each label, or class."""
    return [np.flatnonzero(labels[:, i] > 0.5 if labels.ndim == 2 else labels == i) for i in range(n_labels)]


def _items_of_labels(item: np.ndarray, rows_of_labels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The items that have a row of each label."""
    n_items = item.max() + 1
    return [np.flatnonzero(np.bincount(item[rows], minlength=n_items)) for rows in rows_of_labels]


def _dealt(
    of_label: Sequence[np.ndarray], n_items: int, shares: Sequence[float], seed: int, least: int = 1
) -> np.ndarray:
    """The split of each item, (items,); `of_label` has the items of each label, `shares` what each split is to have.

    Iterative stratification (Sechidis et al., 2011), a label at a time: the rarest label's items are dealt first, to
    each split its share, one at least where there are enough; then those of the next that are left. Items with a label
    that has fewer than `least` come last, so that they stay in the first split. Of several random orders the first is
    taken by which each label with enough items is in every split, else the one that leaves the fewest out.
    """
    rng, n_splits = np.random.default_rng(seed), len(shares)
    dealt = [*sorted((items for items in of_label if len(items) >= least), key=len), np.arange(n_items)]
    is_alone = np.zeros(n_items, bool)
    for items in of_label:
        is_alone[items] |= len(items) < least
    best, fewest = np.zeros(n_items, np.int64), len(dealt) + 1
    for _ in range(_TRIES):
        order, home = rng.random(n_items) + is_alone, np.full(n_items, -1)
        for items in dealt:
            left = items[home[items] < 0]
            left, rest, of_rest = left[np.argsort(order[left])], len(items), 1.0
            for split in range(1, n_splits):
                there = np.count_nonzero(home[items] == split)
                wanted = max(int(len(items) >= n_splits), round(rest * shares[split] / of_rest)) - there
                chosen, left = left[: max(0, wanted)], left[max(0, wanted) :]
                home[chosen] = split
                rest, of_rest = rest - there - len(chosen), of_rest - shares[split]
            home[left] = 0
        absent = sum(len(items) >= n_splits and _n_homes(home, items) < n_splits for items in dealt)
        if absent < fewest:
            best, fewest = home, absent
        if not absent:
            break
    return best


def _n_homes(home: np.ndarray, items: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(home[items])))


def is_blank_text(texts: pa.Array) -> np.ndarray:
    """Which texts are blank, (rows,)."""
    return np.asarray(pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False), bool)


def leaked_texts(parts: Parts) -> list[str]:
    """Texts of validation and test data that stand in training data too, or test texts in validation data."""
    said = []
    for split, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
        if split in parts and other in parts:
            texts = parts[split][0]
            n_rows = pc.sum(pc.is_in(texts, value_set=parts[other][0].unique())).as_py() or 0
            if n_rows:
                said.append(
                    f"{n_rows:,} of {len(texts):,} rows of {split} ({n_rows / len(texts):.1%}) have a text that "
                    f"stands in {other} too: their results say less than they seem to."
                )
    return said


def conflicting_duplicates(parts: Parts) -> list[str]:
    """Equal texts with labels that differ where both are known, over all files."""
    coded = pa.chunked_array([texts for texts, _ in parts.values()]).combine_chunks().dictionary_encode()
    item = coded.indices.to_numpy()
    rows = np.flatnonzero((np.bincount(item)[item] > 1) & ~is_blank_text(coded.dictionary)[item])
    labels = pd.DataFrame(np.concatenate([labels for _, labels in parts.values()])[rows])
    groups = labels.where(labels != IGNORE_INDEX).groupby(item[rows], sort=False)
    conflict = (groups.max() > groups.min()).any(axis=1)
    if not conflict.any():
        return []
    odd = conflict.index[conflict]
    places = [f"{split} row {row}" for split, (_, part) in parts.items() for row in range(1, len(part) + 1)]
    where = " and ".join(places[row] for row in np.flatnonzero(item == odd[0])[:2])
    shown = shorten(coded.dictionary[int(odd[0])].as_py(), 43)
    stand = "stands" if len(odd) == 1 else "stand"
    n = int(np.isin(item, odd).sum())
    return [
        f"{pluralize(len(odd), 'text')} {stand} there more than once with different labels, {n:,} rows in all, such "
        f"as {shown!r} in {where}."
    ]


def absent_labels(parts: Parts, schema: LabelSchema) -> list[str]:
    """Labels without a positive in a split, and labels without a negative in the training data."""
    said = []
    for split, (_, labels) in parts.items():
        is_class = labels.ndim == 1
        is_there = np.isin(np.arange(len(schema)), labels) if is_class else np.any(labels > 0.5, axis=0)
        said += no_positive(np.asarray(is_there), schema, split)
    labels = parts["train"][1]
    if labels.ndim == 2:
        is_absent = ((labels >= 0) & (labels <= 0.5)).any(0)
        said += _named(np.asarray(~is_absent & (labels > 0.5).any(0)), schema, "no negative in train")
    return said


def no_positive(is_there: np.ndarray, schema: LabelSchema, split: str) -> list[str]:
    """A sentence on the labels that have no positive in a split, (labels,); none where all have."""
    return _named(~is_there, schema, f"no positive in {split}")


def _named(chosen: np.ndarray, schema: LabelSchema, what: str) -> list[str]:
    names = [schema.names[i] for i in np.flatnonzero(chosen)]
    has = "has" if len(names) == 1 else "have"
    return [f"{pluralize(len(names), 'label')} {has} {what}: {quoted(names)}."] if names else []


def broken_rules(parts: Parts, schema: LabelSchema) -> list[str]:
    """Rows that break an implication, per rule and file, with the first row numbers from 1."""
    said = []
    for split, (_, labels) in parts.items() if schema.rules else ():
        if labels.ndim == 1:
            continue
        counted = LabelDistribution.from_labels(labels, schema, split)
        for rule, n_rows, rows in zip(schema.rules, counted.violations, counted.violation_rows, strict=True):
            if n_rows:
                shown = ", ".join(str(row + 1) for row in rows[:5])
                more = f" and {n_rows - 5:,} more" if n_rows > 5 else ""
                said.append(f"{split} has {rule} in {pluralize(int(n_rows), 'row')}: {shown}{more}.")
    return said


def blank_label_cells(cells: Sequence[pa.Array], column: str) -> list[str]:
    """Blank cells in a column of names, which were taken as rows without any label."""
    n_rows = sum(int(is_blank_text(array.fill_null("-1")).sum()) for array in cells if pa.types.is_string(array.type))
    has = "has" if n_rows == 1 else "have"
    said = f"{pluralize(n_rows, 'row')} {has} a blank cell in {column!r}, which is taken as no label; write -1 there"
    return [f"{said} where the labels are not known."] if n_rows else []
