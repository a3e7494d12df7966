"""What to set. `RULES` is the one place of the choices.

Each rule is a pure function of the counts. Its limits are its arguments, and its docstring says where they come from.
A rule may only choose what exists: tests/test_recommend.py holds each choice against the flags and the losses.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..labels.class_weights import DEFAULT_STRATEGY
from ..utils.constants import MAX_WEIGHT
from .dataset_stats import Choice, DatasetStats

NONE_NEEDED = "none needed: no label is rare"
_STACKED = "FARM#443, nnUNet#1118"
_WEIGHTS = {"class_weights", "custom_weights", "weight_strategy"}
_NEED_WEIGHTS = ("weight_strategy", "max_weight", "effective_number_beta", "reweight_from")


def choose_weights(facts: DatasetStats, balanced: float = 3.0) -> list[Choice]:
    """The weights of the default strategy, which were measured (docs/choosing-a-loss.md); none where no label has more
    than `balanced` negatives for a positive, the most that the tiers give a common label anyway; and none beside a
    sampler that was asked for, unless weights were asked for too, or something that needs them."""
    asked = facts.asked_for
    needs = any(asked.get(flag) not in (None, False, "none") for flag in _NEED_WEIGHTS)
    if facts.hardest <= balanced and not needs:
        reason = f"{facts.hardest_in_words}, so no label needs a weight."
        return [Choice("class_weights", "none", reason, "limit of the tiers for common labels", NONE_NEEDED)]
    if facts.sampler and not _WEIGHTS & set(asked) and not needs:
        reason = f"The sampler {facts.sampler} draws rare labels more often already; weights would count them twice."
        return [Choice("class_weights", "none", reason, _STACKED, "none: the sampler does it")]
    i, source = facts.rarest, "the tiers, docs/quick-reference.md"
    auto = Choice("class_weights", "auto", "Each label's weight follows from its counts in training.", source)
    weights = facts.weights()
    if not weights.asked_for:
        return [auto]
    if weights.why[i].kind == "rare_are_most":
        reason = f"Every label weighs 1 ({weights.reasons[i]}): with weights most of the loss would be about them."
        return [auto, Choice("weight_strategy", DEFAULT_STRATEGY, reason, source)]
    custom = f" ({weights.reasons[i]})" if facts.train.schema.names[i] in weights.custom else ""
    top = "commonest secondary label" if facts.train.schema.primary else "commonest"
    name, weight = facts.train.schema.names[i], f"weight {weights.values[i]:.3g}{custom}"
    if facts.train.imbalance_ratio[i] > 1:
        reason = f"{name!r} is {_times(facts.train.imbalance_ratio[i])} rarer than the {top} and gets {weight}"
    else:  # itself the commonest
        reason = f"{facts.hardest_in_words}; {name!r} gets {weight}"
    if facts.hardest > MAX_WEIGHT:
        reason += (
            f"; negatives : positives would ask for up to {facts.hardest:,.0f}, and past {MAX_WEIGHT:g} training is "
            "unstable"
        )
    return [auto, Choice("weight_strategy", DEFAULT_STRATEGY, f"{reason}.", source)]


def choose_loss(facts: DatasetStats, balanced: float = 3.0, gamma: float = 2.0) -> list[Choice]:
    """The focal loss with gamma 2 (Lin et al., 2017); the plain loss where no label is rare, by the same limit as the
    weights. On Reuters focal beats BCE by 27 points of F1 on labels with at most 8 positives (Huang et al., 2021)."""
    if facts.hardest <= balanced:
        plain = "bce" if facts.is_multi_label else "ce"
        return [Choice("loss", plain, "No label is rare here, so the plain loss does.", "no rarity, no remedy")]
    reason = f"{facts.hardest_in_words}, nearly all of them easy; the focal term takes those out of the loss."
    source = "Lin et al., 2017; Huang et al., 2021"
    if facts.asked_for.get("loss", "focal") != "focal":
        return [Choice("loss", "focal", reason, source)]
    softer = "1.5 if rare labels are predicted too often, 3 if they stay silent: the monitor says which."
    return [Choice("loss", "focal", reason, source), Choice("focal_gamma", gamma, softer, "Lin et al., 2017")]


def choose_sampler(facts: DatasetStats, balanced: float = 3.0) -> list[Choice]:
    """Rows as they come: weights and focal term raise rare labels already, and stacking remedies wrecks training
    (FARM#443, nnUNet#1118). Nothing is said where no label is rare."""
    asked = facts.asked_for
    if facts.hardest <= balanced or (asked.get("class_weights") == "none" and asked.get("loss", "focal") != "focal"):
        return []
    reason = "The loss raises rare labels already; drawing their rows more often as well would count them twice."
    return [Choice("sampler", "none", reason, _STACKED)]


def choose_metric(facts: DatasetStats, few: int = 10) -> list[Choice]:
    """Macro F1 of the secondary labels; mean average precision where most labels have fewer than `few` positives in
    validation, so that one row moves an F1 at the fixed 0.5 by a tenth (Saito & Rehmsmeier, 2015, on ranks). Not where
    no threshold will be tuned: the best by ranks may decide nothing at 0.5."""
    schema, here = facts.train.schema, facts.validation.support
    if not len(schema.secondary):
        reason = "No label is secondary; each label counts the same."
        return [Choice("metric_for_best_model", "f1_macro", reason, "docs/quick-reference.md")]
    if schema.primary and not here[list(schema.primary)].any():
        reason = "No row of validation has the primary label, and F1 of the secondary ones looks at such rows only."
        return [Choice("metric_for_best_model", "mean_average_precision", reason, "docs/quick-reference.md")]
    support = here[np.array(schema.secondary, dtype=int)]
    if len(support) and np.median(support) < few and not too_few_to_tune(float(facts.validation.support.sum())):
        reason = (
            f"Half of the labels have at most {_positives(np.median(support))} in validation, where F1 at 0.5 jumps "
            "with single rows; average precision looks at the ranks of all of them."
        )
        return [Choice("metric_for_best_model", "mean_average_precision", reason, "Saito & Rehmsmeier, 2015")]
    over = "the rows whose primary label is 1" if facts.train.schema.primary else "all rows"
    reason = f"Each secondary label counts the same, however rare, over {over}."
    return [Choice("metric_for_best_model", "secondary_f1_macro", reason, "docs/quick-reference.md")]


def choose_thresholds(facts: DatasetStats, few: int = 10) -> list[Choice]:
    """A threshold per label; one for all where most labels have fewer than `few` positives to tune on; 0.5 where they
    are `too_few_to_tune` on. On nlupp, with a median of 6, one for all is as good on test as ours and promises
    less that it does not keep (docs/thresholds.md)."""
    if not facts.is_multi_label:
        return []
    support = facts.validation.support
    total, median = float(support.sum()), float(np.median(support))
    source = "measured, docs/thresholds.md; Lin & Lin, 2023"
    if too_few := too_few_to_tune(total):
        reason = f"{too_few}."
        return [Choice("tune_thresholds", False, reason, source)]
    tune = Choice(
        "tune_thresholds", True, "F1 is seldom best at 0.5, above all where labels weigh differently.", source
    )
    if median < few and len(support) > 1:
        reason = f"Half of the labels have at most {_positives(median)} in validation: one threshold for all."
        return [tune, Choice("thresholds_per", "all", reason, source)]
    reason = (
        f"Half of the labels have {_positives(median)} in validation or more; the fewer a label has, the more its "
        "threshold is drawn towards that of all."
    )
    return [tune, Choice("thresholds_per", "label", reason, source)]


def too_few_to_tune(positives: float, least: int = 50, where: str = "Validation") -> str:
    """That validation has too few positives, of all labels together, to tune any threshold on; empty where it has
    `least`.

    >>> too_few_to_tune(19), too_few_to_tune(50)
    ('Validation has 19 positives in all, too few to tune on', '')
    """
    return "" if positives >= least else f"{where} has {_positives(positives)} in all, too few to tune on"


def choose_epochs(
    facts: DatasetStats, batch: int = 16, epochs: int = 3, least: int = 1000, most: int = 20
) -> list[Choice]:
    """More epochs where 3 of them are fewer than `least` updates: small data wants longer training, up to 20 epochs
    (Mosbach et al., 2021; Zhang et al., 2021). Nothing where there is no reason."""
    updates = math.ceil(facts.train.n_rows / batch)
    if not updates or updates * epochs >= least:
        return []
    wanted = min(math.ceil(least / updates), most)
    reason = (
        f"{facts.train.n_rows:,} rows give {updates * epochs:,} updates in {epochs} epochs at a batch of {batch}; "
        f"about {least:,} updates are wanted, and {wanted} epochs{', the most,' * (wanted == most)} give "
        f"{updates * wanted:,}."
    )
    return [Choice("num_train_epochs", wanted, reason, "Mosbach et al., 2021; Zhang et al., 2021")]


RULES: tuple[Callable[[DatasetStats], list[Choice]], ...] = (
    choose_weights,
    choose_loss,
    choose_sampler,
    choose_metric,
    choose_thresholds,
    choose_epochs,
)
"""In the order in which the choices are told."""


def threshold_plan(facts: DatasetStats, chosen: Mapping[str, Any], few: int = 10) -> tuple[str, ...]:
    """What each label is decided at, by its positives in validation: a threshold of its "own"; one that is "unsure",
    of its own too but of fewer than `few` positives; the "shared" one of all labels, which a label without positives
    has in any case; "0.5"; or in single-label problems the "highest" score of all."""
    if not facts.is_multi_label or chosen.get("tune_thresholds") is False:
        return ("0.5" if facts.is_multi_label else "highest",) * len(facts.train.schema)
    support = facts.validation.support
    if chosen.get("thresholds_per") == "all":
        return ("shared",) * len(support)
    return tuple("own" if n >= few else "unsure" if n > 0 else "shared" for n in support)


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"


def _positives(n: float) -> str:
    return f"{n:,.3g} positive{'' if n == 1 else 's'}" if n < 1000 else f"{n:,.0f} positives"
