"""Texts and labels by split: what is odd in them, and splits that are made of the training rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, quoted
from ..utils.text import pluralize

Parts = dict[str, tuple[pa.Array, np.ndarray]]
"""Per split, or file, the texts and the encoded labels."""

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
        raise DataError(
            f"{path}: has {pluralize(len(first), 'different text')}; expected at least {n_splits} to make "
            f"{' and '.join(made)} of them; add rows, or files for these splits."
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
    texts = pd.Series([text for texts, _ in parts.values() for text in texts.to_pylist()])
    rows = np.flatnonzero(texts.duplicated(keep=False) & (texts.str.strip() != ""))
    labels = pd.DataFrame(np.concatenate([labels for _, labels in parts.values()])[rows])
    groups = labels.where(labels != IGNORE_INDEX).groupby(texts.to_numpy()[rows], sort=False)
    conflict = (groups.max() > groups.min()).any(axis=1)
    if not conflict.any():
        return []
    odd = conflict.index[conflict]
    places = [f"{split} row {row}" for split, (_, part) in parts.items() for row in range(1, len(part) + 1)]
    where = " and ".join(places[row] for row in np.flatnonzero(texts == odd[0])[:2])
    shown = f"{odd[0][:40]}..." if len(odd[0]) > 40 else odd[0]
    stand = "stands" if len(odd) == 1 else "stand"
    n = int(texts.isin(odd).sum())
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
