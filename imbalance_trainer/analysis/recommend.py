"""From label counts to a configuration: what to set (`rules`), why, and what no setting can mend (`gaps`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..labels.class_weights import DEFAULT_STRATEGY, ClassWeights
from ..labels.distribution import LabelDistribution
from ..labels.weight_reasons import WeightReason
from ..utils.constants import MULTI_LABEL
from ..utils.errors import UsageError
from ..utils.numeric import wilson_interval
from .dataset_stats import ENOUGH, FEW, HALF_WIDTH, Choice, DatasetStats, positives_for, rows_for, whole
from .limitations import LIMITATIONS
from .recommendation_rules import NONE_NEEDED, RULES, threshold_plan, too_few_to_tune

__all__ = [
    "ENOUGH",
    "FEW",
    "HALF_WIDTH",
    "RULES",
    "Choice",
    "DatasetStats",
    "Recommendation",
    "positives_for",
    "recommend",
    "too_few_to_tune",
]


@dataclass(frozen=True, eq=False)
class Recommendation:
    """What to set, and what each label's data allows to be known. Arrays have shape (labels,).

    Args:
        choices: the settings.
        warnings: what the data lacks and no setting can mend, in sentences, the worst first.
        weights: the class weights that the choices give.
        support, validation_support: positives in training and validation, of all rows where a sample was counted.
        recall_low, recall_high: the 95% interval (Wilson, 1927) of a recall of 0.5 on the validation split as it is.
        validation_rows: rows that would make it +-HALF_WIDTH, at the label's prevalence in training; inf where it has
            no positive there.
        threshold: per label what it is decided at, see `threshold_plan`.
        rows_to_label: more training rows for `ENOUGH` positives at the same prevalence; 0 where there are FEW or more,
            inf where there is none.
    """

    choices: tuple[Choice, ...]
    warnings: tuple[str, ...]
    weights: ClassWeights
    support: np.ndarray
    validation_support: np.ndarray
    recall_low: np.ndarray
    recall_high: np.ndarray
    validation_rows: np.ndarray
    threshold: tuple[str, ...]
    rows_to_label: np.ndarray

    def value(self, flag: str) -> Any:
        """What a flag should be; None where nothing is recommended."""
        return next((choice.value for choice in self.choices if choice.flag == flag), None)


def recommend(
    train: LabelDistribution,
    validation: LabelDistribution,
    problem_type: str = MULTI_LABEL,
    rules: "Sequence[Callable[[DatasetStats], list[Choice]]] | None" = None,
    asked_for: Mapping[str, Any] | None = None,
) -> Recommendation:
    """A configuration for a data set, from nothing but its counts.

    Args:
        train: counts of the training rows.
        validation: counts of the rows that choose the best model and the thresholds.
        problem_type: "multi_label_classification" or "single_label_classification".
        rules: instead of `RULES`.
        asked_for: settings of the user's own by flag, "none" for none: they stand in place of the recommended ones,
            and what else is recommended goes with them.

    Raises:
        UsageError: splits with other labels; weights asked for that cannot be right.

    >>> from imbalance_trainer import LabelSchema
    >>> schema = LabelSchema(["insult", "threat"])
    >>> counts = LabelDistribution.from_counts
    >>> found = recommend(counts([4000, 40], 20_000, schema), counts([400, 4], 2000, schema))
    >>> found.value("loss"), found.validation_rows.tolist(), found.recall_low.round(2).tolist()
    ('focal', [195.0, 19500.0], [0.45, 0.15])
    """
    if train.schema.names != validation.schema.names:
        raise UsageError("The splits were counted with different labels; count both with one schema.")
    is_sample = any(counts.row_total > counts.n_rows for counts in (train, validation))
    asked = dict(asked_for or {})
    if "focal_gamma" in asked:  # a gamma asks for the focal loss
        asked.setdefault("loss", "focal")
    facts = DatasetStats(whole(train), whole(validation), problem_type, is_sample, asked, train.n_rows)
    choices = tuple(_own(choice, asked) for rule in rules or RULES for choice in rule(facts))
    chosen = {choice.flag: choice.value for choice in choices}
    weights = facts.weights(chosen.get("class_weights", "auto"), chosen.get("weight_strategy", DEFAULT_STRATEGY))
    in_short = next((choice.in_short for choice in choices if choice.flag == "class_weights"), "")
    weights = replace(weights, why=_reasons(facts, weights, in_short))
    support, here = facts.train.support, facts.validation.support
    low, high = wilson_interval(here / 2, here)
    needed = rows_for(positives_for(HALF_WIDTH), facts.train)
    to_label = np.where(support >= FEW, 0.0, rows_for(ENOUGH - support, facts.train))
    plan = threshold_plan(facts, chosen)
    warnings = tuple(sentence for warn in LIMITATIONS if (sentence := warn(facts)))
    return Recommendation(choices, warnings, weights, support, here, low, high, needed, plan, to_label)


def _reasons(facts: DatasetStats, weights: ClassWeights, in_short: str) -> tuple[WeightReason, ...]:
    """Why each label weighs what it does: of those without a positive, that there is none."""
    is_told = bool(in_short) and not weights.asked_for
    why = (WeightReason.from_text(in_short),) * len(weights) if is_told else weights.why
    absent = WeightReason.from_text("none in the rows counted") if facts.is_sample else WeightReason("absent")
    is_absent = facts.train.support <= 0
    told = {WeightReason("absent"), WeightReason.from_text(NONE_NEEDED)}
    return tuple(absent if no and r in told else r for r, no in zip(why, is_absent, strict=True))


def _own(choice: Choice, asked_for: Mapping[str, Any]) -> Choice:
    """The user's own choice in place of one that differs from it."""
    own = asked_for.get(choice.flag, choice.value)
    if own == choice.value:
        return choice
    return Choice(choice.flag, own, f"Your own choice; else {choice.value} is recommended here.", "asked for")
