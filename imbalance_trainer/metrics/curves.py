"""Counts at every cut of a label's scores: how many rows, and how many positives, score at least so much.

Scores are sorted by value alone and the positives are looked up in them, which is exact with ties and about ten times
as fast as sorting rows by score; labels go by in chunks, so that memory does not grow with their number.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..utils.constants import IGNORE_INDEX
from ..utils.numeric import column_sums

_THREADS = 2  # that sort
_CHUNK = 1 << 19  # scores that are copied and sorted at a time, or more, see _chunk
_LINE = 16  # scores that memory hands over at a time
_BLOCK = 256  # rows that are transposed at a time

RANKS = 256
"""Ranks at which a label is looked at besides its positives, where its counts are smoothed."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A label's counts at cuts, highest cut first. Of raw counts only a positive's score can be the best cut.

    Args:
        cut: (cuts,), distinct scores.
        below: (cuts,), the next lower score of any row; -inf where there is none.
        true_positives, predicted: (cuts,), positives and rows whose score is at least the cut.
        support: positives.
    """

    cut: np.ndarray
    below: np.ndarray
    true_positives: np.ndarray
    predicted: np.ndarray
    support: int

    def thinned(self, n: int, keep: Sequence[int] = ()) -> "Curve":
        """About n of the cuts, the lowest among them, and those at the places `keep`."""
        some = np.linspace(0, len(self.cut) - 1, min(n, len(self.cut))).astype(int)
        some = np.union1d(some, np.asarray(keep, dtype=int))
        return Curve(self.cut[some], self.below[some], self.true_positives[some], self.predicted[some], self.support)


def label_curves(
    scores: np.ndarray,
    labels: np.ndarray,
    positives: Sequence[np.ndarray],
    grid: np.ndarray,
    with_ranks: bool = False,
) -> Iterator[tuple[Curve, Curve]]:
    """For each label, in order, its Curve at its own cuts, and that at the cuts of `grid`.

    Args:
        scores: (rows, labels), finite.
        labels: (rows, labels): over 0.5 is positive, -100 or NaN unknown.
        positives: for each label its positives' scores in rising order (`positive_scores`).
        grid: (cuts,), highest first.
        with_ranks: whether scores at about RANKS ranks, closer together at the top, down to the lowest score, are own
            cuts as well.
    """
    all_are_known = all_known(labels)
    chunks = (
        (columns_of(scores[:, part]), None if all_are_known else columns_of(known(labels[:, part])), positives[part])
        for part in label_chunks(*scores.shape, _chunk(len(scores)))
    )
    for ordered, own in known_in_order(chunks):
        at = _own_cuts(ordered, own) if with_ranks else None
        yield curve_at(ordered, own, at), curve_at(ordered, own, grid[::-1])


def known_in_order(
    chunks: Iterable[tuple[np.ndarray, np.ndarray | None, Sequence[np.ndarray]]],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each label of the chunks, in order, its known scores in rising order, and what came with it.

    Threads do nothing but sort: what else they did would wait for the interpreter, and it for them.

    Args:
        chunks: scores (labels, rows), which are changed; where they are known, None for everywhere; and something for
            each of the labels, such as its positives' scores.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        running: deque = deque()
        for columns, is_known, beside in chunks:
            n_known = np.full(columns.shape[0], columns.shape[1])
            if is_known is not None:
                columns[~is_known] = np.inf  # sorted to the end, where they are cut off
                n_known = is_known.sum(1)
            sorting = [pool.submit(part.sort, axis=1) for part in np.array_split(columns, _THREADS)]
            running.append((sorting, zip(columns, n_known, beside, strict=True)))
            if len(running) > _THREADS:
                yield from _cut_off(*running.popleft())
        while running:
            yield from _cut_off(*running.popleft())


def _cut_off(sorting: list[Future], labels: Iterable[tuple]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for part in sorting:
        part.result()
    return ((ordered[:n], beside) for ordered, n, beside in labels)


def counts_over(
    scores: np.ndarray, labels: np.ndarray, thresholds: np.ndarray, positives: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """True positives and predicted entries, (sets, labels), at a score over the label's threshold.

    Args:
        scores, labels: (rows, labels).
        thresholds: (sets, labels); of the scores' type, nothing needs to be converted.
        positives: for each label its positives' scores in rising order (`positive_scores`).
    """
    true_positives, predicted = np.zeros((2, *thresholds.shape), dtype=np.int64)
    for label, own in enumerate(positives):
        true_positives[:, label] = len(own) - np.searchsorted(own, thresholds[:, label], side="right")
    height = max(1, _CHUNK // max(1, scores.shape[1]))
    for start in range(0, len(scores), height):
        rows = slice(start, start + height)
        is_known = None if all_known(labels[rows]) else known(labels[rows])
        for at_threshold, threshold in zip(predicted, thresholds, strict=True):
            decided = scores[rows] > threshold
            at_threshold += column_sums(decided if is_known is None else decided & is_known)
    return true_positives, predicted


def positive_scores(scores: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """For each label the scores of its positives, in rising order."""
    positives = []
    for part in label_chunks(*scores.shape, _chunk(len(scores))):
        positives += sorted_where(scores[:, part].T, positive(columns_of(labels[:, part])))
    return positives


def sorted_where(columns: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """What stands in each of the columns (labels, rows) where the mask holds, in rising order."""
    return [np.sort(column[np.flatnonzero(here)]) for column, here in zip(columns, mask, strict=True)]


def columns_of(matrix: np.ndarray) -> np.ndarray:
    """A transposed copy, made in blocks of rows that stay in the cache: up to three times as fast as in one go."""
    columns = np.empty(matrix.shape[::-1], dtype=matrix.dtype)
    for start in range(0, len(matrix), _BLOCK):
        columns[:, start : start + _BLOCK] = matrix[start : start + _BLOCK].T
    return columns


def curve_at(ordered: np.ndarray, positives: np.ndarray, cut: np.ndarray | None = None) -> Curve:
    """Counts at cuts in rising order, which is kind to the cache of a search; turned over at the end.

    Args:
        ordered: (rows,), a label's scores in rising order.
        positives: those of its positives, in rising order.
        cut: (cuts,), in rising order; None for each score of a positive, once.
    """
    if cut is None:
        first = np.flatnonzero(_is_first(positives))
        cut = positives[first]
    else:
        first = np.searchsorted(positives, cut)
    lower = np.searchsorted(ordered, cut)
    below = ordered.take(lower - 1) if len(ordered) else np.empty(len(cut))
    below[: np.searchsorted(lower, 1)] = -np.inf  # under the lowest score there is none
    return Curve(cut[::-1], below[::-1], (len(positives) - first)[::-1], (len(ordered) - lower)[::-1], len(positives))


def label_chunks(n_rows: int, n_labels: int, n_scores: int) -> Iterator[slice]:
    """The labels in chunks of about so many scores."""
    width = max(1, n_scores // max(1, n_rows))
    return (slice(start, start + width) for start in range(0, n_labels, width))


def distinct(ordered: np.ndarray) -> np.ndarray:
    """What stands in an array of rising numbers, each once."""
    return ordered[_is_first(ordered)]


def known(labels: np.ndarray) -> np.ndarray:
    """Where a label is known: neither -100 nor NaN."""
    is_known = labels != IGNORE_INDEX
    return is_known & ~np.isnan(labels) if labels.dtype.kind == "f" else is_known


def all_known(labels: np.ndarray) -> bool:
    """known(labels).all(), at a fifth of its time."""
    return not labels.size or bool(labels.min() >= 0)


def positive(labels: np.ndarray) -> np.ndarray:
    """Where a label is over 0.5; of whole numbers, without a copy of them as floats."""
    return labels > (0.5 if labels.dtype.kind == "f" else 0)


def _chunk(n_rows: int) -> int:
    """Scores of a chunk: as wide as what memory hands over at a time, where that is not too many."""
    return int(np.clip(_LINE * n_rows, _CHUNK, 8 * _CHUNK))


def _own_cuts(ordered: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """The scores of the positives, and those at some ranks, each once, in rising order."""
    if not len(ordered):
        return ordered
    cut = np.concatenate([positives, ordered[-_ranks(len(ordered))]])
    cut.sort()
    return distinct(cut)


def _ranks(n: int) -> np.ndarray:
    """Ranks from 1, the highest, to n, in steps that grow with the rank."""
    return np.unique(np.geomspace(1, n, min(n, RANKS)).round().astype(int))


def _is_first(ordered: np.ndarray) -> np.ndarray:
    """Where a number stands for the first time in an array of rising numbers."""
    is_first = np.ones(len(ordered), dtype=bool)
    np.greater(ordered[1:], ordered[:-1], out=is_first[1:])
    return is_first
