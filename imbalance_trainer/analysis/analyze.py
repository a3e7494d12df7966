"""What `imbalance-trainer analyze` finds out before training; how it is told: `text`, `markdown`, `tables`, `page`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.dataset import LabelledData
from ..labels.class_weights import ClassWeights
from ..utils.errors import UsageError, did_you_mean
from .counts import SplitCounts, count_split, partners
from .recommend import Recommendation, recommend
from .shift import Shift, prevalence_shift
from .streamed import StreamedData

__all__ = ["Analysis", "SplitCounts", "analyze", "count_split", "partners"]


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found out.

    Args:
        name: of the data.
        splits: the counts, by split.
        split: the one whose labels are listed and drawn.
        problem_type: "multi_label_classification" or "single_label_classification".
        recommendation: what to set.
        weights: the class weights that training will use: recommended, unless asked for otherwise.
        gamma: of the focal loss; 0 where the loss is another.
        shifts: every other split against training.
        data_warnings: what reading the data found, such as texts that stand in two splits.
        notes: what was decided on reading the data.
    """

    name: str
    splits: Mapping[str, SplitCounts]
    split: str
    problem_type: str
    recommendation: Recommendation
    weights: ClassWeights
    gamma: float
    shifts: Mapping[str, Shift]
    data_warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> SplitCounts:
        """Of the split that is listed."""
        return self.splits[self.split]

    @property
    def rarest_first(self) -> np.ndarray:
        """Label indices by rising support in that split."""
        return self.counts.labels.rarest_first

    @property
    def missing(self) -> dict[str, np.ndarray]:
        """Per split the labels without a positive there, where another split has some."""
        support = {name: split.labels.support for name, split in self.splits.items()}
        anywhere = np.sum(list(support.values()), axis=0) > 0
        found = {name: np.flatnonzero(anywhere & (s <= 0)) for name, s in support.items()}
        return {name: labels for name, labels in found.items() if len(labels)}


def count_splits(data: LabelledData, limit: int | None = None, seed: int = 42) -> dict[str, SplitCounts]:
    """Counts of every split; with `limit`, of so many rows of each that are drawn at random.

    Raises:
        UsageError: a limit under 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1 row; got {limit}.")
    counted = {name: count_split(split, data.schema, limit, seed) for name, split in data.splits.items()}
    if not data.made:
        return counted
    # rows of a split that was made are no rows of a file, which the warnings name
    return {name: replace(split, labels=replace(split.labels, violation_rows=())) for name, split in counted.items()}


def recommend_for(
    data: "LabelledData | StreamedData", splits: Mapping[str, SplitCounts], asked_for: Mapping[str, Any] | None = None
) -> Recommendation:
    """The recommendation, from the counts of training and validation, beside what was asked for."""
    validation = replace(splits["validation"].labels, support=splits["validation"].positives)
    return recommend(splits["train"].labels, validation, data.problem_type, asked_for=asked_for)


def analyze(
    data: "LabelledData | StreamedData",
    name: str,
    splits: Mapping[str, SplitCounts],
    recommendation: Recommendation,
    weights: ClassWeights | None = None,
    gamma: float = 0.0,
    split: str = "train",
) -> Analysis:
    """Put together what `count_splits` and `recommend_for` found.

    Args:
        data: what was counted.
        name: what to call it.
        splits: its counts.
        recommendation: for it.
        weights: the weights of the training to come; None for the recommended ones.
        gamma: of the focal loss to come; 0 for none.
        split: whose labels to list.

    Raises:
        UsageError: no such split.
    """
    if split not in splits:
        raise UsageError(f"Unknown split {split!r}: {did_you_mean(split, splits)}")
    train = splits["train"].labels
    shifts = {other: prevalence_shift(train, c.labels) for other, c in splits.items() if other != "train"}
    found: dict[str, Any] = {"data_warnings": tuple(map(str, getattr(data, "warnings", ()))), "notes": data.notes}
    used = recommendation.weights if weights is None else weights
    return Analysis(name, splits, split, data.problem_type, recommendation, used, gamma, shifts, **found)
