"""From label counts to recommended settings, each with its reason.

`RULES` has the rules. Each is a pure function of the counts, its limits are its arguments, and its docstring names the
source. A rule may only choose settings that exist: tests/test_recommend.py checks each choice against the flags.
"""

import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import yaml

from ..labels.class_weights import DEFAULT_STRATEGY, ClassWeights
from ..labels.distribution import LabelDistribution
from ..labels.weight_reasons import WeightReason
from ..utils.constants import MAX_WEIGHT, MULTI_LABEL
from ..utils.errors import UsageError
from ..utils.numeric import wilson_interval
from .dataset_stats import HALF_WIDTH, LIMITATIONS, DatasetStats, positives_for, rows_for, whole

_NONE_NEEDED = "none needed: no label is rare"
_NEED_WEIGHTS = ("weight_strategy", "max_weight", "effective_number_beta")


@dataclass(frozen=True)
class Choice:
    """One setting.

    Args:
        flag: its flag of `imbalance-trainer train`, a field of the training arguments.
        value: the recommended value.
        reason: a sentence with the numbers.
        source: where the rule comes from.
        in_short: the reason in a few words for the table of labels, where there are no weights.
    """

    flag: str
    value: Any
    reason: str
    source: str
    in_short: str = ""

    @property
    def typed(self) -> str:
        """The value as it is typed."""
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


@dataclass(frozen=True, eq=False)
class Recommendation:
    """Recommended settings, and how precisely each label can be measured. Arrays have shape (labels,).

    Args:
        choices: the settings.
        warnings: problems no setting can fix, in sentences, the worst first.
        weights: the class weights that the settings give.
        validation_support: positives in validation, estimated where a sample was counted.
        recall_low, recall_high: the 95% interval (Wilson, 1927) of a recall of 0.5 on the validation split.
        validation_rows: validation rows for an interval of +-HALF_WIDTH, at the label's prevalence in training; inf
            for a label without positives there.
    """

    choices: tuple[Choice, ...]
    warnings: tuple[str, ...]
    weights: ClassWeights
    validation_support: np.ndarray
    recall_low: np.ndarray
    recall_high: np.ndarray
    validation_rows: np.ndarray

    def value(self, flag: str) -> Any:
        """The recommended value of a flag; None where nothing is recommended."""
        return next((choice.value for choice in self.choices if choice.flag == flag), None)


def recommend(
    train: LabelDistribution,
    validation: LabelDistribution,
    problem_type: str = MULTI_LABEL,
    asked_for: Mapping[str, Any] | None = None,
) -> Recommendation:
    """Recommend settings for a data set from its label counts.

    Args:
        train: counts of the training rows.
        validation: counts of the rows that choose the best model and the thresholds.
        problem_type: "multi_label_classification" or "single_label_classification".
        asked_for: settings of the user by flag, "none" for none. They replace the recommended ones, and the other
            recommendations follow from them.

    Raises:
        UsageError: splits with different labels, or invalid weights in `asked_for`.

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
    stats = DatasetStats(whole(train), whole(validation), problem_type, is_sample, asked, train.n_rows)
    choices = tuple(_own(choice, asked) for rule in RULES for choice in rule(stats))
    chosen = {choice.flag: choice.value for choice in choices}
    weights = stats.weights(chosen.get("class_weights", "auto"), chosen.get("weight_strategy", DEFAULT_STRATEGY))
    in_short = next((choice.in_short for choice in choices if choice.flag == "class_weights"), "")
    weights = replace(weights, why=_reasons(stats, weights, in_short))
    here = stats.validation.support
    low, high = wilson_interval(here / 2, here)
    needed = rows_for(positives_for(HALF_WIDTH), stats.train)
    warnings = tuple(sentence for warn in LIMITATIONS if (sentence := warn(stats)))
    return Recommendation(choices, warnings, weights, here, low, high, needed)


def _reasons(stats: DatasetStats, weights: ClassWeights, in_short: str) -> tuple[WeightReason, ...]:
    """The reason of each weight; for a label without positives that it has none."""
    is_told = bool(in_short) and not weights.asked_for
    why = (WeightReason("text", (in_short,)),) * len(weights) if is_told else weights.why
    absent = WeightReason("text", ("none in the rows counted",)) if stats.is_sample else WeightReason("absent")
    is_absent = stats.train.support <= 0
    told = {WeightReason("absent"), WeightReason("text", (_NONE_NEEDED,))}
    return tuple(absent if no and r in told else r for r, no in zip(why, is_absent, strict=True))


def _own(choice: Choice, asked_for: Mapping[str, Any]) -> Choice:
    """The choice, or the user's setting in its place."""
    own = asked_for.get(choice.flag, choice.value)
    if own == choice.value:
        return choice
    return Choice(choice.flag, own, f"Your own choice; else {choice.value} is recommended here.", "asked for")


# ---- rules ----


def choose_weights(stats: DatasetStats, balanced: float = 3.0) -> list[Choice]:
    """Weights of the default strategy, which was measured (docs/losses.md). None where no label has more than
    `balanced` negatives per positive, the largest weight that the tiers give a common label, unless a setting
    that needs weights was asked for."""
    asked = stats.asked_for
    needs = any(asked.get(flag) not in (None, False, "none") for flag in _NEED_WEIGHTS)
    if stats.hardest <= balanced and not needs:
        reason = f"{stats.hardest_in_words}, so no label needs a weight."
        return [Choice("class_weights", "none", reason, "limit of the tiers for common labels", _NONE_NEEDED)]
    i, source = stats.rarest, "the tiers, docs/quick-reference.md"
    auto = Choice("class_weights", "auto", "Each label's weight follows from its counts in training.", source)
    weights = stats.weights()
    if not weights.asked_for:
        return [auto]
    if weights.why[i].kind == "rare_are_most":
        reason = f"Every label weighs 1 ({weights.reasons[i]}): with weights most of the loss would be about them."
        return [auto, Choice("weight_strategy", DEFAULT_STRATEGY, reason, source)]
    custom = f" ({weights.reasons[i]})" if stats.train.schema.names[i] in weights.custom else ""
    top = "commonest secondary label" if stats.train.schema.primary else "commonest"
    name, weight = stats.train.schema.names[i], f"weight {weights.values[i]:.3g}{custom}"
    if stats.train.imbalance_ratio[i] > 1:
        reason = f"{name!r} is {_times(stats.train.imbalance_ratio[i])} rarer than the {top} and gets {weight}"
    else:  # itself the commonest
        reason = f"{stats.hardest_in_words}; {name!r} gets {weight}"
    if stats.hardest > MAX_WEIGHT:
        reason += (
            f"; negatives : positives would ask for up to {stats.hardest:,.0f}, and past {MAX_WEIGHT:g} training is "
            "unstable"
        )
    return [auto, Choice("weight_strategy", DEFAULT_STRATEGY, f"{reason}.", source)]


def choose_loss(stats: DatasetStats, balanced: float = 3.0, gamma: float = 2.0) -> list[Choice]:
    """The focal loss with gamma 2 (Lin et al., 2017). The plain loss where no label is rare, with the limit of the
    weights. On Reuters focal beats BCE by 27 points of F1 on labels with at most 8 positives (Huang et al., 2021)."""
    if stats.hardest <= balanced:
        plain = "bce" if stats.is_multi_label else "ce"
        return [Choice("loss", plain, "No label is rare here, so the plain loss does.", "no rarity, no remedy")]
    reason = f"{stats.hardest_in_words}, nearly all of them easy; the focal term takes those out of the loss."
    source = "Lin et al., 2017; Huang et al., 2021"
    if stats.asked_for.get("loss", "focal") != "focal":
        return [Choice("loss", "focal", reason, source)]
    softer = "1.5 if rare labels are predicted too often, 3 if their recall stays 0: the monitor says which."
    return [Choice("loss", "focal", reason, source), Choice("focal_gamma", gamma, softer, "Lin et al., 2017")]


def choose_metric(stats: DatasetStats, few: int = 10) -> list[Choice]:
    """Macro F1 of the secondary labels, or mean average precision where half of them have few positives in validation.

    With fewer than `few` one row moves F1 at 0.5 by a tenth (Saito & Rehmsmeier, 2015, on ranks). Only where
    thresholds will be tuned: the best model by ranks may find nothing at 0.5.
    """
    schema, here, source = stats.train.schema, stats.validation.support, "docs/quick-reference.md"
    median = float(np.median(here[list(schema.secondary)])) if len(schema.secondary) else 0.0
    value = "mean_average_precision"
    if not len(schema.secondary):
        value, reason = "f1_macro", "No label is secondary; each label counts the same."
    elif schema.primary and not here[list(schema.primary)].any():
        reason = "No row of validation has the primary label, and F1 of the secondary ones looks at such rows only."
    elif median < few and not too_few_to_tune(float(here.sum())):
        source = "Saito & Rehmsmeier, 2015"
        reason = (
            f"Half of the labels have at most {_positives(median)} in validation, where F1 at 0.5 jumps with single "
            "rows; average precision looks at the ranks of all of them."
        )
    else:
        over = "the rows whose primary label is 1" if schema.primary else "all rows"
        value, reason = "secondary_f1_macro", f"Each secondary label counts the same, however rare, over {over}."
    return [Choice("metric_for_best_model", value, reason, source)]


def choose_thresholds(stats: DatasetStats, few: int = 10) -> list[Choice]:
    """A threshold per label. One for all where half of the labels have fewer than `few` positives in validation: on
    nlupp, with a median of 6, it is as good on test and overfits less (docs/thresholds.md). 0.5 where there are
    `too_few_to_tune`."""
    if not stats.is_multi_label:
        return []
    support, source = stats.validation.support, "measured, docs/thresholds.md; Lin & Lin, 2023"
    median = float(np.median(support))
    if too_few := too_few_to_tune(float(support.sum())):
        return [Choice("tune_thresholds", False, f"{too_few}.", source)]
    per, reason = "all", f"Half of the labels have at most {_positives(median)} in validation: one threshold for all."
    if median >= few or len(support) == 1:
        per = "label"
        reason = (
            f"Half of the labels have {_positives(median)} in validation or more; the fewer a label has, the more its "
            "threshold is drawn towards that of all."
        )
    why = "F1 is seldom best at 0.5, above all where labels weigh differently."
    return [Choice("tune_thresholds", True, why, source), Choice("thresholds_per", per, reason, source)]


def too_few_to_tune(positives: float, least: int = 50, where: str = "Validation") -> str:
    """A sentence that validation has too few positives, over all labels, to tune thresholds; "" from `least` on.

    >>> too_few_to_tune(19), too_few_to_tune(50)
    ('Validation has 19 positives in all, too few to tune on', '')
    """
    return "" if positives >= least else f"{where} has {_positives(positives)} in all, too few to tune on"


def choose_epochs(
    stats: DatasetStats, batch: int = 16, epochs: int = 3, least: int = 1000, most: int = 20
) -> list[Choice]:
    """More epochs, up to `most`, where the default gives fewer than `least` updates: small data needs longer training
    (Mosbach et al., 2021; Zhang et al., 2021)."""
    updates = math.ceil(stats.train.n_rows / batch)
    if not updates or updates * epochs >= least:
        return []
    wanted = min(math.ceil(least / updates), most)
    reason = (
        f"{stats.train.n_rows:,} rows give {updates * epochs:,} updates in {epochs} epochs at a batch of {batch}; "
        f"about {least:,} updates are wanted, and {wanted} epochs{', the most,' * (wanted == most)} give "
        f"{updates * wanted:,}."
    )
    return [Choice("num_train_epochs", wanted, reason, "Mosbach et al., 2021; Zhang et al., 2021")]


RULES: tuple[Callable[[DatasetStats], list[Choice]], ...] = (
    choose_weights,
    choose_loss,
    choose_metric,
    choose_thresholds,
    choose_epochs,
)
"""The rules, in the order in which their choices are printed."""


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"


def _positives(n: float) -> str:
    return f"{n:,.3g} positive{'' if n == 1 else 's'}" if n < 1000 else f"{n:,.0f} positives"


# ---- the settings as a file ----


def config_text(
    recommendation: Recommendation, given: Mapping[str, Any], asked_for: Mapping[str, Any], command: str
) -> str:
    """The recommendation as YAML for `imbalance-trainer train --config`, with the reason above each line.

    Args:
        recommendation: its settings, with the defaults, so that the run stays the same when a default changes.
        given: flags of the data and model_name_or_path; None is left out.
        asked_for: settings of the user, which replace or join the recommended ones.
        command: the command that made the file, for its first line.
    """
    lines = [*_comment(f"Made by: {command}"), "# The command line wins over this file."]
    lines += _settings({flag: value for flag, value in given.items() if value is not None})
    for choice in recommendation.choices:
        if choice.flag not in asked_for:
            lines += ["", *_comment(f"{choice.reason} [{choice.source}]"), *_settings({choice.flag: choice.value})]
    if asked_for:
        lines += ["", "# As asked for when this file was made.", *_settings(asked_for)]
    if recommendation.warnings:
        lines += ["", "# Problems no setting can fix:"]
        lines += [line for warning in recommendation.warnings for line in _comment(f"- {warning}")]
    return "\n".join(lines) + "\n"


def _settings(values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False)
    return text.splitlines()


def _comment(text: str) -> list[str]:
    """Text as comments, without its line breaks, which would end the comment."""
    text = " ".join(text.split())
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)
