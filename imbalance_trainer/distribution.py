"""LabelDistribution: how often each label occurs, counted in one pass over whatever holds the labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .errors import DataError, first_five
from .label_columns import label_blocks, numeric, reshaped
from .labels import LabelSchema

UNKNOWN = -100
"""The value of an entry that is masked: not counted, not trained on, not evaluated."""


MAX_ROWS_NAMED = 100
"""Of the rows that break a rule so many are named, the first ones."""


@dataclass(frozen=True)
class LabelDistribution:
    """Counts per label. Arrays have shape (labels,).

    Args:
        schema: the labels.
        n_rows: rows (for token labels: known tokens) that were counted.
        support: positives per label; soft labels add their value.
        known: entries per label that are not masked.
        violations: per rule of the schema (`LabelSchema.rules`), the rows that break it; empty where nobody looked.
        violation_rows: per rule the first MAX_ROWS_NAMED of those rows.
        row_total: rows that there are, where only a sample of them was counted; -1 where that is not known, as of a
            stream; else equal to `n_rows`.
    """

    schema: LabelSchema
    n_rows: int
    support: np.ndarray
    known: np.ndarray
    violations: np.ndarray
    row_total: int
    violation_rows: tuple[tuple[int, ...], ...] = ()

    @property
    def support_by_label(self) -> dict[str, float]:
        """{label: positives}, Python numbers."""
        return dict(zip(self.schema.names, self.support.tolist(), strict=True))

    @classmethod
    def empty(cls, schema: LabelSchema) -> "LabelDistribution":
        """Counts of nothing."""
        zeros = np.zeros(len(schema))
        return cls(schema, 0, zeros, zeros, np.zeros(len(schema.rules), dtype=np.int64), 0)

    @classmethod
    def from_counts(cls, support: Sequence[float], n_rows: int, schema: LabelSchema) -> "LabelDistribution":
        """Counts that are known already, of data that is too long to read or comes as a stream.

        Args:
            support: positives per label (single-label: rows per class).
            n_rows: rows.
            schema: the labels.

        Raises:
            DataError: another number of counts than labels, or one that is not in 0 to n_rows.

        >>> LabelDistribution.from_counts([900, 9], 1000, LabelSchema(["a", "b"])).imbalance_ratio
        array([  1., 100.])
        """
        counts = np.asarray(support, dtype=np.float64)
        if counts.shape != (len(schema),):
            raise DataError(f"Got {counts.size} counts for {len(schema)} labels; give one each.")
        wrong = np.flatnonzero(~((counts >= 0) & (counts <= n_rows)))
        if len(wrong):
            at = wrong[0]
            label, count = schema.names[at], counts[at]
            raise DataError(f"Label {label!r}: {count:g} positives in {n_rows} rows; expected 0 to {n_rows}.")
        known = np.full(len(schema), float(n_rows))
        return cls(schema, int(n_rows), counts, known, np.zeros(0, dtype=np.int64), int(n_rows))

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

        A `datasets.Dataset` is read from its Arrow buffers, all of it; of any other dataset, or one with a transform,
        at most `limit` rows (see `label_blocks`).
        """
        blocks, total = label_blocks(dataset, column, limit, tokens)
        counted = cls._count(blocks, schema, column or "labels")
        read_to_its_end = total is None or (total < 0 and (limit is None or counted.n_rows < limit))
        if read_to_its_end:
            return counted
        if total > 0:  # counted were rows that label_blocks picked; name them by their numbers in the dataset
            picked = np.linspace(0, total - 1, limit).astype(int)
            rows = tuple(tuple(picked[list(rows)].tolist()) for rows in counted.violation_rows)
            counted = replace(counted, violation_rows=rows)
        return replace(counted, row_total=total)

    @classmethod
    def _count(cls, blocks: Iterator[tuple[int, np.ndarray]], schema: LabelSchema, where: str) -> "LabelDistribution":
        width = len(schema)
        support, known = np.zeros(width), np.zeros(width)
        violations = np.zeros(len(schema.rules), dtype=np.int64)
        named: list[list[int]] = [[] for _ in schema.rules]
        n_rows = 0
        for start, block in blocks:
            if block.ndim == 1:
                classes = checked_classes(block, schema, start, where)
                counts = np.bincount(classes[classes != UNKNOWN], minlength=width)
                support += counts
                known += counts.sum()
                n_rows += int(counts.sum())
                continue
            block = checked_multi_hot(block, schema, start, where)
            is_known = block != UNKNOWN
            known += is_known.sum(0)
            support += block.sum(0, where=is_known, dtype=np.float64)
            n_rows += len(block)
            for i, broken in enumerate(schema.broken_rules(block > 0.5, block == 0) if schema.rules else ()):
                rows = np.flatnonzero(broken)
                violations[i] += len(rows)
                named[i] += (start + rows[: MAX_ROWS_NAMED - len(named[i])]).tolist()
        return cls(schema, n_rows, support, known, violations, n_rows, tuple(map(tuple, named)))

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


def checked_classes(block: np.ndarray, schema: LabelSchema, start: int, where: str) -> np.ndarray:
    """The class indices of a block of rows as integers, unknown ones (NaN) made -100; errors name the row."""
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
    return classes


def _bad_values(block: np.ndarray, bad: np.ndarray, schema: LabelSchema, start: int, where: str) -> str:
    rows, columns = np.nonzero(bad)
    shown = [
        f"row {start + r}, label {schema.names[c]!r}: {block[r, c].item():g}"
        for r, c in zip(rows[:5], columns[:5], strict=True)
    ]
    found = first_five(shown, len(rows))
    return f"{where}: expected 0, 1, a value between them, or -100 for unknown; found {found}."


def _array(labels: Any, where: str) -> np.ndarray:
    """Labels that are all there, as an array; lists of different lengths are an error that names the row."""
    try:
        return numeric(np.asarray(labels))
    except ValueError:
        lengths = np.array([np.size(row) for row in labels])
        return reshaped(np.empty(0), lengths, False, 0, where)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(n) for n in names[:3])
    return shown if len(names) <= 3 else f"{shown}, ... {names[-1]!r}"
