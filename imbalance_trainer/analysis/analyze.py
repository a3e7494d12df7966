"""The content of `imbalance-trainer analyze`: all that is found before training. `parts` puts it into words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.dataset import LabelledData
from ..labels.class_weights import ClassWeights
from ..utils.errors import UsageError, did_you_mean
from .counts import SplitCounts, StreamedData
from .recommend import Recommendation, recommend
from .shift import Shift, prevalence_shift


@dataclass(frozen=True, eq=False)
class Analysis:
    """The result of an analysis.

    Args:
        name: name of the data.
        splits: the counts by split.
        split: the split whose labels are listed and drawn.
        problem_type: "multi_label_classification" or "single_label_classification".
        recommendation: the recommended settings.
        weights: the class weights of the training: the recommended ones, or those asked for.
        gamma: gamma of the focal loss; 0 for another loss.
        shifts: every other split compared with training.
        data_warnings: data-quality warnings, as about texts that are in two splits.
        notes: what was decided while reading the data.
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
        """Counts of the listed split."""
        return self.splits[self.split]

    @property
    def rarest_first(self) -> np.ndarray:
        """Label indices by rising support in the listed split."""
        return self.counts.labels.rarest_first

    @property
    def missing(self) -> dict[str, np.ndarray]:
        """For each split the labels without a positive there, where another split has some."""
        support = {name: split.labels.support for name, split in self.splits.items()}
        anywhere = np.sum(list(support.values()), axis=0) > 0
        found = {name: np.flatnonzero(anywhere & (s <= 0)) for name, s in support.items()}
        return {name: labels for name, labels in found.items() if len(labels)}


def recommend_for(
    data: LabelledData | StreamedData, splits: Mapping[str, SplitCounts], asked_for: Mapping[str, Any] | None = None
) -> Recommendation:
    """Recommend settings from the counts of training and validation, with those the user asked for."""
    validation = replace(splits["validation"].labels, support=splits["validation"].positives)
    return recommend(splits["train"].labels, validation, data.problem_type, asked_for=asked_for)


def analyze(
    data: LabelledData | StreamedData,
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
        name: name of the data.
        splits: its counts.
        recommendation: its recommended settings.
        weights: the class weights of the training; None for the recommended ones.
        gamma: gamma of the focal loss; 0 for another loss.
        split: the split to list.

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
