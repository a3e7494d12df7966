"""From label counts to recommended settings, each with its reason.

`RULES` has the rules. Each is a pure function of the counts, its limits are its arguments, and its docstring names the
source. A rule may only choose settings that exist: tests/test_recommend.py checks each choice against the flags.
"""

import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ..labels.class_weights import DEFAULT_STRATEGY, ClassWeights, WeightReason
from ..labels.distribution import LabelDistribution
from ..utils.constants import MAX_WEIGHT, MULTI_LABEL
from ..utils.errors import UsageError
from ..utils.numeric import wilson_interval
from ..utils.text import sentences_of
from .dataset_stats import HALF_WIDTH, WORDS, DatasetStats, count_of_positives, limitations, positives_for, rows_for

_NEED_WEIGHTS = ("weight_strategy", "max_weight")


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
        validation_support: positives in validation.
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
    asked = dict(asked_for or {})
    if "focal_gamma" in asked:  # a gamma asks for the focal loss
        asked.setdefault("loss", "focal")
    stats = DatasetStats(train, validation, problem_type, asked)
    choices = tuple(_own(choice, asked) for rule in RULES for choice in rule(stats))
    chosen = {choice.flag: choice.value for choice in choices}
    weights = stats.weights(chosen.get("class_weights", "auto"), chosen.get("weight_strategy", DEFAULT_STRATEGY))
    in_short = next((choice.in_short for choice in choices if choice.flag == "class_weights"), "")
    weights = replace(weights, why=_reasons(stats, weights, in_short))
    here = stats.validation.support
    low, high = wilson_interval(here / 2, here)
    needed = rows_for(positives_for(HALF_WIDTH), stats.train)
    return Recommendation(choices, limitations(stats), weights, here, low, high, needed)


def _reasons(stats: DatasetStats, weights: ClassWeights, in_short: str) -> tuple[WeightReason, ...]:
    """The reason of each weight; for a label without positives that it has none."""
    is_told = bool(in_short) and not weights.asked_for
    absent = WeightReason("absent")
    return tuple(
        absent
        if n <= 0 and (is_told or why.kind == "absent")
        else WeightReason("text", (in_short,))
        if is_told
        else why
        for why, n in zip(weights.why, stats.train.support, strict=True)
    )


def _choice(flag: str, value: Any, words: str, **numbers: Any) -> Choice:
    """A setting with the reason in templates/recommendation.yaml, whose numbers are given."""
    said = {part: text.render(value=value, **numbers) for part, text in WORDS[words].items()}
    return Choice(flag, value, **said)


def _own(choice: Choice, asked_for: Mapping[str, Any]) -> Choice:
    """The choice, or the user's setting in its place."""
    own = asked_for.get(choice.flag, choice.value)
    if own == choice.value:
        return choice
    return replace(_choice(choice.flag, choice.value, "own"), value=own)


def choose_weights(stats: DatasetStats, balanced: float = 3.0) -> list[Choice]:
    """Weights of the default strategy, which was measured (docs/losses.md). None where no label has more than
    `balanced` negatives per positive, the largest weight that the tiers give a common label, unless a setting
    that needs weights was asked for."""
    asked = stats.asked_for
    needs = any(asked.get(flag) not in (None, False, "none") for flag in _NEED_WEIGHTS)
    if stats.hardest <= balanced and not needs:
        return [_choice("class_weights", "none", "class_weights_none_rare", stats=stats)]
    auto, weights = _choice("class_weights", "auto", "class_weights"), stats.weights()
    if not weights.asked_for:
        return [auto]
    i = stats.rarest
    words = "weight_strategy_rare_are_most" if weights.why[i].kind == "rare_are_most" else "weight_strategy"
    label, ratio = stats.train.schema.names[i], stats.train.imbalance_ratio[i]  # 1: it is itself the commonest
    numbers = {"why": weights.reasons[i], "label": label, "ratio": ratio, "weight": weights.values[i]}
    numbers |= {"is_custom": label in weights.custom, "most": MAX_WEIGHT, "stats": stats}
    return [auto, _choice("weight_strategy", DEFAULT_STRATEGY, words, **numbers)]


def choose_loss(stats: DatasetStats, balanced: float = 3.0, gamma: float = 2.0) -> list[Choice]:
    """The focal loss with gamma 2 (Lin et al., 2017). The plain loss where no label is rare, with the limit of the
    weights. On Reuters focal beats BCE by 27 points of F1 on labels with at most 8 positives (Huang et al., 2021)."""
    if stats.hardest <= balanced:
        return [_choice("loss", "bce" if stats.is_multi_label else "ce", "loss_plain")]
    loss = _choice("loss", "focal", "loss_focal", stats=stats)
    is_focal = stats.asked_for.get("loss", "focal") == "focal"
    return [loss, _choice("focal_gamma", gamma, "focal_gamma")] if is_focal else [loss]


def choose_metric(stats: DatasetStats, few: int = 10) -> list[Choice]:
    """Macro F1 of the secondary labels, or mean average precision where half of them have few positives in validation.

    With fewer than `few` one row moves F1 at 0.5 by a tenth (Saito & Rehmsmeier, 2015, on ranks). Only where
    thresholds will be tuned: the best model by ranks may find nothing at 0.5.
    """
    schema, here = stats.train.schema, stats.validation.support
    median = float(np.median(here[list(schema.secondary)])) if len(schema.secondary) else 0.0
    if not len(schema.secondary):
        value, words = "f1_macro", "metric_no_secondary"
    elif schema.primary and not here[list(schema.primary)].any():
        value, words = "mean_average_precision", "metric_no_primary_row"
    elif median < few and not too_few_to_tune(float(here.sum())):
        value, words = "mean_average_precision", "metric_few"
    else:
        value, words = "secondary_f1_macro" if schema.primary else "f1_macro", "metric"
    return [_choice("metric_for_best_model", value, words, median=median, stats=stats)]


def choose_thresholds(stats: DatasetStats) -> list[Choice]:
    """Thresholds, which keep 0.5 where they do not help (see `tune_decisions`); none where there are
    `too_few_to_tune`."""
    if not stats.is_multi_label:
        return []
    support = stats.validation.support
    if too_few := too_few_to_tune(float(support.sum())):
        return [_choice("tune_thresholds", False, "thresholds_too_few", too_few=too_few)]
    return [_choice("tune_thresholds", True, "thresholds")]


def too_few_to_tune(positives: float, least: int = 50) -> str:
    """A sentence that validation has too few positives, over all labels, to tune thresholds; "" from `least` on.

    >>> too_few_to_tune(19), too_few_to_tune(50)
    ('Validation has 19 positives in all, too few to tune on', '')
    """
    return "" if positives >= least else f"Validation has {count_of_positives(positives)} in all, too few to tune on"


def choose_epochs(
    stats: DatasetStats, batch: int = 16, epochs: int = 3, least: int = 1000, most: int = 20
) -> list[Choice]:
    """More epochs, up to `most`, where the default gives fewer than `least` updates: small data needs longer training
    (Mosbach et al., 2021; Zhang et al., 2021)."""
    updates = math.ceil(stats.train.n_rows / batch)
    if not updates or updates * epochs >= least:
        return []
    wanted = min(math.ceil(least / updates), most)
    numbers = {"given": updates * epochs, "updates": updates * wanted, "wanted": wanted, "most": most, "stats": stats}
    numbers |= {"epochs": epochs, "batch": batch, "least": least}
    return [_choice("num_train_epochs", wanted, "epochs", **numbers)]


RULES: tuple[Callable[[DatasetStats], list[Choice]], ...] = (
    choose_weights,
    choose_loss,
    choose_metric,
    choose_thresholds,
    choose_epochs,
)
"""The rules, in the order in which their choices are printed."""


def _settings(values: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False)
    return text.rstrip("\n")


def _comment(text: str) -> str:
    """Text as comments, without its line breaks, which would end the comment."""
    text = " ".join(text.split())
    return textwrap.fill(text, 100, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)


_CONFIG = sentences_of(Path(__file__).parent / "templates" / "train_config.yaml", comment=_comment, settings=_settings)


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
    text = _CONFIG["file"]["text"].render(
        command=command,
        given={flag: value for flag, value in given.items() if value is not None},
        choices=[choice for choice in recommendation.choices if choice.flag not in asked_for],
        asked_for=asked_for,
        warnings=recommendation.warnings,
    )
    return f"{text}\n"
