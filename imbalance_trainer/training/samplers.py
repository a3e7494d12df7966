"""RepeatFactorSampler: rows of rare labels are drawn more often.

The order of an epoch is a function of seed and epoch alone. So it is the same in every process, and a run that is
resumed inside an epoch goes on where it was.
"""

import dataclasses
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Sampler
from transformers import TrainingArguments

from ..labels.blocks import INDICES, MULTI_HOT, Block, IdLists, checked_classes, checked_multi_hot, numeric
from ..labels.columns import classes_listed, find_label_column, first_row, label_blocks
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from .arguments import ImbalanceOptions
    from .problem import Problem

MAX_GROWTH = 1.25
"""Without a threshold an epoch grows by a quarter at most: no fixed share of the rows suits 16 labels and 735 (the
paper's 0.001 is for 1,203 labels and repeats nothing of 28 of which the rarest has 0.002)."""

MAX_REPEATS = 10.0
"""A row that is drawn so often counts like one with the largest class weight of the tiers."""


@dataclass(frozen=True)
class Positives:
    """Which rows have which labels, as pairs sorted by row.

    Args:
        schema: the labels.
        n_rows: rows that there are.
        row, label: the pairs, each of shape (positives,).
        known: entries per label that are not masked, shape (labels,).
    """

    schema: LabelSchema
    n_rows: int
    row: np.ndarray
    label: np.ndarray
    known: np.ndarray

    @property
    def support(self) -> np.ndarray:
        """Rows of each label, shape (labels,)."""
        return np.bincount(self.label, minlength=len(self.schema))

    @classmethod
    def of(cls, labels: Any, schema: LabelSchema | None = None, column: str | None = None) -> "Positives":
        """Read them: from multi-hot labels (rows, labels), class indices (rows,), or a dataset that has such a column.

        A soft label is there where it is over 0.5; unknown entries (-100) are not. A `datasets.Dataset` is read from
        its Arrow buffers; of any other dataset each row is asked for.

        Raises:
            UsageError: a stream, or a dataset without rows.
            DataError: no column with labels, or a value that no label can have.
        """
        if isinstance(first_row(labels), Mapping):
            lists = INDICES if classes_listed(labels, column) else MULTI_HOT
            blocks, total = label_blocks(labels, column, lists=lists)
            if total is not None:
                raise UsageError(
                    f"A sampler draws rows by their numbers, but a {type(labels).__name__} is a stream without "
                    "length; use sampler=None (--sampler none), or data that has a length."
                )
        else:
            blocks = iter([(0, numeric(np.asarray(labels)))])
        if schema is None:
            every = list(blocks)
            blocks, schema = iter(every), LabelSchema.from_names([f"LABEL_{i}" for i in range(_width(every))])
        read = [_positives_of(block, schema, start, column or "labels") for start, block in blocks]
        if not sum(part[3] for part in read):
            raise UsageError("A sampler needs rows to draw from, and the data has none.")
        rows, found, known, sizes = zip(*read, strict=True)
        n_known = sum(known, np.zeros(len(schema), np.int64))
        return cls(schema, sum(sizes), np.concatenate(rows), np.concatenate(found), n_known)


class RepeatFactorSampler(Sampler[int]):
    """Every row once, and rows of rare labels more often (Gupta et al., 2019, "LVIS", section 5).

        r(label) = max(1, sqrt(threshold / f)),  f = rows of the label / rows in which it is known
        r(row)   = min(largest r of its labels, max_repeats)

    A row is drawn r times in an epoch: its whole part, and once more with the probability of the rest. The paper rolls
    a die for each row, so that epochs differ in length. Here the extra draws are spread by systematic sampling (Madow,
    1949) over the rows in random order, so that every epoch has exactly sum(r) rows, rounded, and each row still r
    times on average. A row without labels is drawn once.

    Args:
        labels: multi-hot (rows, labels), class indices (rows,), or a dataset with a column of such labels.
        threshold: share of the rows under which a label is repeated (the paper's t). None: the largest (three digits)
            at which an epoch has at most MAX_GROWTH times the rows; the attribute has what was found.
        max_repeats: no row has a larger factor; >= 1.
        seed: of the order, together with the epoch.
        schema: the labels, for errors and `repeats_by_label`; without it LABEL_0, LABEL_1, ...
        column: where the dataset has its labels.

    Raises:
        UsageError: a threshold that is not in (0, 1], max_repeats under 1, or a stream.
        DataError: a value that no label can have.

    >>> sampler = RepeatFactorSampler([[1, 0]] * 90 + [[1, 1]] * 10, threshold=0.4)
    >>> sampler.repeats_by_label["LABEL_1"], len(sampler)
    (2.0, 110)
    """

    def __init__(
        self,
        labels: Any,
        threshold: float | None = None,
        max_repeats: float = MAX_REPEATS,
        seed: int = 0,
        schema: LabelSchema | None = None,
        column: str | None = None,
    ) -> None:
        check_sampling("repeat_factor", threshold, max_repeats)
        self.threshold, self.max_repeats, self.seed, self.epoch = threshold, max_repeats, seed, 0
        self.positives = Positives.of(labels, schema, column)
        self.expected_draws = self._expect()

    def _expect(self) -> np.ndarray:
        positives = self.positives
        share = np.ones(positives.n_rows)  # of the rarest label of each row
        rows, starts = np.unique(positives.row, return_index=True)
        if len(rows):
            of_label = positives.support / np.maximum(positives.known, 1)
            share[rows] = np.minimum.reduceat(of_label[positives.label], starts)
        if self.threshold is None:
            self.threshold = _threshold_of_growth(share, self.max_repeats)
        return repeat_factors(share, self.threshold, self.max_repeats)

    @property
    def repeats_by_label(self) -> dict[str, float]:
        """{label: how often a row of it is drawn in an epoch, on average}; labels without rows are left out."""
        positives = self.positives
        draws = np.bincount(positives.label, self.expected_draws[positives.row], len(positives.schema))
        named = zip(positives.schema.names, draws.tolist(), positives.support.tolist(), strict=True)
        return {name: drawn / support for name, drawn, support in named if support}

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose rows come next. Trainer and accelerate call it; in a loop of your own you do."""
        self.epoch = epoch

    def order(self, epoch: int) -> np.ndarray:
        """The rows of an epoch in order, shape (len(self),): a function of seed and epoch alone."""
        rng = np.random.default_rng([self.seed % 2**64, epoch])
        return rng.permutation(
            np.repeat(np.arange(self.positives.n_rows), rounded_at_random(self.expected_draws, rng))
        )

    def __len__(self) -> int:
        return round(self.expected_draws.sum())

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(self.epoch).tolist())


SAMPLERS = ("repeat_factor",)


def check_sampling(sampler: str | None, threshold: float | None, max_repeats: float) -> None:
    """Raise a UsageError where the settings of a sampler cannot be right."""
    if sampler is not None and sampler not in SAMPLERS:
        raise UsageError(f"Unknown sampler {sampler!r}: {did_you_mean(sampler, [*SAMPLERS, 'none'])}")
    for name, is_set in (("oversample_threshold", threshold is not None), ("max_repeats", max_repeats != MAX_REPEATS)):
        if is_set and sampler is None:
            raise UsageError(f"{name} goes with sampler='repeat_factor'; set that too, or leave it out.")
    if threshold is not None and not (isinstance(threshold, Real) and 0 < threshold <= 1):
        raise UsageError(
            "oversample_threshold is the share of the rows under which a label is repeated, in (0, 1]; "
            f"got {threshold!r}."
        )
    if not (isinstance(max_repeats, Real) and 1 <= max_repeats < float("inf")):
        raise UsageError(f"max_repeats must be a finite number >= 1; got {max_repeats!r}.")


def repeat_factors(share: np.ndarray, threshold: float, max_repeats: float) -> np.ndarray:
    """How often rows are drawn in an epoch, by the share of the rows that have their rarest label.

    >>> repeat_factors(np.array([0.5, 0.01, 0.0001]), 0.04, 10.0).tolist()
    [1.0, 2.0, 10.0]
    """
    return np.sqrt(threshold / share).clip(1.0, max_repeats)


def rounded_at_random(expected: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers whose sum is that of `expected`, rounded, and whose means are `expected`, up to that rounding.

    Systematic sampling (Madow, 1949) of the fractional parts, laid end to end in random order.
    """
    whole = np.floor(expected)
    counts = whole.astype(np.int64)
    extra = round(expected.sum()) - int(counts.sum())
    uneven = rng.permutation(np.flatnonzero(expected > whole))
    if extra <= 0:
        return counts
    ends = np.cumsum((expected - whole)[uneven])
    points = (rng.random() + np.arange(extra)) * (ends[-1] / extra)
    hit = np.minimum(np.searchsorted(ends, points, side="right"), len(uneven) - 1)
    return counts + np.bincount(uneven[hit], minlength=len(counts))


def _threshold_of_growth(share: np.ndarray, max_repeats: float) -> float:
    """The largest threshold, of three digits, at which an epoch has at most MAX_GROWTH times the rows."""
    values, counts = np.unique(share, return_counts=True)
    steps = [digits * 10.0**power for power in range(-12, -2) for digits in range(100, 1000)] + [1.0]

    def is_too_large(threshold: float) -> bool:
        return bool(repeat_factors(values, threshold, max_repeats) @ counts > MAX_GROWTH * len(share))

    return float(f"{steps[max(bisect_left(steps, True, key=is_too_large) - 1, 0)]:.3g}")


def _positives_of(
    block: Block, schema: LabelSchema, start: int, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Rows and labels of a block's positives, known entries per label, and the number of rows."""
    if isinstance(block, IdLists):
        rows = np.repeat(np.arange(len(block)), np.diff(block.offsets))
        classes = checked_classes(block.values, schema, start, where, rows)
        is_whole = np.bincount(rows[classes == IGNORE_INDEX], minlength=len(block)) == 0
        row, label = np.unique(np.stack([rows, classes])[:, classes != IGNORE_INDEX], axis=1)
        known = is_whole.sum() + np.bincount(label[~is_whole[row]], minlength=len(schema))
        return start + row, label, known, len(block)
    if block.ndim == 1:
        classes = checked_classes(block, schema, start, where)
        rows = np.flatnonzero(classes != IGNORE_INDEX)
        return start + rows, classes[rows], np.full(len(schema), len(rows)), len(block)
    block = checked_multi_hot(block, schema, start, where)
    is_known = block != IGNORE_INDEX
    rows, labels = np.divmod(np.flatnonzero(block > 0.5), block.shape[1])
    return start + rows, labels, is_known.sum(0), len(block)


def _width(blocks: list[tuple[int, Block]]) -> int:
    """How many labels there are, where no schema says it."""
    read = [block.values if isinstance(block, IdLists) else block for _, block in blocks]
    if read and read[0].ndim > 1:
        return read[0].shape[1]
    largest = [np.nanmax(b, initial=0) for b in read if b.dtype.kind in "biuf"]
    return int(max(largest, default=0)) + 1


class RowSampling:
    """Makes the sampler of the options for a training set, once, as it reads every row.

    Args:
        options: the trainer's options (`sampler`, `oversample_threshold`, `max_repeats`).
        problem: what the labels are for.
        schema: the labels.
        args: the training arguments.
    """

    def __init__(
        self, options: "ImbalanceOptions", problem: "Problem", schema: LabelSchema, args: TrainingArguments
    ) -> None:
        self.options, self.problem, self.schema, self.args = options, problem, schema, args
        self._made: tuple[Any, RepeatFactorSampler] | None = None

    def sampler_of(self, dataset: Any) -> RepeatFactorSampler | None:
        """The sampler of a training set; None where rows are drawn as Trainer draws them.

        Raises:
            UsageError: data or settings that the sampler does not go with.
            DataError: a value that no label can have.
        """
        options = self.options
        if options.sampler is None or dataset is None:
            return None
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed  # a search may try several
        if self._made is None or self._made[0] is not dataset or self._made[1].seed != seed:
            settings = (options.oversample_threshold, options.max_repeats, seed, self.schema, self._column(dataset))
            self._made = dataset, RepeatFactorSampler(dataset, *settings)
        return self._made[1]

    def drawn(self, dataset: Any, counts: LabelDistribution | None) -> LabelDistribution | None:
        """Counts of what an epoch draws, from those of the training set."""
        sampler = None if counts is None else self.sampler_of(dataset)
        if counts is None or sampler is None:
            return counts
        repeats = np.array([sampler.repeats_by_label.get(name, 1.0) for name in self.schema.names])
        known = counts.known * len(sampler) / max(counts.n_rows, 1)
        return dataclasses.replace(counts, support=counts.support * repeats, known=known)

    def _column(self, dataset: Any) -> str:
        name, strategy = self.options.sampler, self.args.train_sampling_strategy
        if strategy != "random":
            raise UsageError(
                f"sampler={name!r} and train_sampling_strategy={strategy!r} both say which rows come next; "
                "keep one of them."
            )
        if self.args.accelerator_config.dispatch_batches:  # type: ignore[union-attr]  # read by TrainingArguments
            raise UsageError(
                f"sampler={name!r} has every process read its own rows, dispatch_batches=True has the first one read "
                "all; keep one of them."
            )
        if self.problem.tokens:
            raise UsageError(f"sampler={name!r} draws rows by their labels, but here each token has one; drop it.")
        column = find_label_column(dataset, tuple(self.args.label_names or ()))
        if column is None:
            raise UsageError(
                f"sampler={name!r} draws rows by their labels, but the training data has no column of labels; give it "
                "a column 'labels', or drop the sampler."
            )
        return column
