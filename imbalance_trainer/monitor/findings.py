"""What is found, what is known of the run that it is found in, and the steps that advice takes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..labels.class_weights import ClassWeights
from ..labels.weight_reasons import WeightReason
from ..losses.registry import LOSSES, takes_class_weights
from ..utils.constants import MAX_WEIGHT

ERROR, WARNING, NOTE, GOOD = "error", "warning", "note", "good"
SEVERITIES = (ERROR, WARNING, NOTE, GOOD)
"""An error has ruined the run, a warning is worth a change, a note is worth knowing, and good is as it should be."""

RAISE_BY, LOWER_BY = 1.5, 0.7
"""The note's steps: a weight of 10 goes to 15 where recall is 0, and to 7 where a label is predicted too often."""

LOUDER_GAMMA, SOFTER_GAMMA = 3.0, 1.5
"""The note's other values of focal_gamma."""

TITLES = {
    "nan": "the loss is not a number",
    "learning_rate_too_high": "nothing is learned: the scores are the same for every row",
    "undertrained": "the model has not learned enough yet for weights to matter",
    "oscillating_loss": "the training loss oscillates",
    "overfitting": "overfitting: the evaluation loss rises while the training loss falls",
    "threshold_too_high": "never found, although ranked well: the scores stay under the threshold",
    "held_down_by_parent": "never found, because a parent label is not decided",
    "not_learned": "never found: not learned yet",
    "at_the_cap": "never found, with its weight at the cap already",
    "no_positives_in_training": "never found: the training data has no row of it",
    "over_predicted": "predicted too often",
    "stacked": "several things push rare labels at once",
    "precision_under_target": "precision is under its target",
    "plateau": "nothing gained of late",
    "capped": "with a weight that was cut at the cap",
    "too_few_to_tell": "never found, but too few to tell",
    "no_positives_here": "without a positive in the evaluation data",
    "unknown_here": "known in no row of the evaluation data",
    "improving": "the rare labels get better at every evaluation",
}
"""Every kind of finding in plain words, in the order in which they are told."""


@dataclass(frozen=True)
class Finding:
    """Something worth knowing of a label, or of the model as a whole.

    Args:
        kind: one of TITLES.
        label: its name; "" where it is about the model as a whole.
        severity: one of SEVERITIES.
        evidence: the numbers, in a few words.
        advice: what to change, with the flag and its value; "" where there is nothing to change.
        weight: the class weight now; None where it is not known (with the stock Trainer).
        new_weight: the weight to try, None where another is not what helps.
        new_gamma: the focal_gamma to try, likewise.
        evaluations: how many evaluations in a row show it, up to the last.
    """

    kind: str
    label: str
    severity: str
    evidence: str
    advice: str = ""
    weight: float | None = None
    new_weight: float | None = None
    new_gamma: float | None = None
    evaluations: int = 1

    @property
    def title(self) -> str:
        """The kind in plain words."""
        return TITLES[self.kind]


@dataclass(frozen=True)
class Settings:
    """What is in use, so that advice can say from what to what. Whatever is not known is None or empty.

    Args:
        class_weights: the weights; None with the stock Trainer.
        max_weight: their cap.
        focal_gamma: gamma, None where there is none.
        learning_rate: the largest one.
        num_epochs: passes over the training data; None where the number of steps is set.
        sampler: the name of a sampler that draws rare rows more often.
        hierarchy_policy: how decisions are closed.
        parents: {label: the labels that it implies}.
        secondary: the names of the secondary labels; None for all.
        repeats: {label: how often a row of it is drawn in an epoch}; None where that is not known.
        loss: the name of the loss.
    """

    class_weights: ClassWeights | None = None
    max_weight: float = MAX_WEIGHT
    focal_gamma: float | None = None
    learning_rate: float | None = None
    num_epochs: float | None = None
    sampler: str | None = None
    hierarchy_policy: str = "drop_child"
    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secondary: tuple[str, ...] | None = None
    repeats: Mapping[str, float] | None = None
    loss: str | None = None

    @property
    def loss_weighs_itself(self) -> bool:
        """Whether the loss takes no class weights, as a user's own, which has no name here, does not either."""
        return self.loss is not None and not (self.loss in LOSSES and takes_class_weights(self.loss))

    @classmethod
    def from_run(cls, run: Mapping[str, Any]) -> "Settings":
        """The settings that a `run.json` holds (see `run_info`)."""
        labels, settings = run.get("labels", []), run.get("settings", {})
        weights = None
        if labels and labels[0].get("weight") is not None:
            clamped = {row["label"]: row["clamped_from"] for row in labels if row.get("clamped_from")}
            custom = tuple(row["label"] for row in labels if row.get("custom"))
            names = tuple(row["label"] for row in labels)
            values = np.array([row["weight"] for row in labels])
            weights = ClassWeights(
                names, values, tuple(WeightReason.from_text(row["reason"]) for row in labels), custom, clamped
            )
        secondary = run.get("secondary") or run.get("groups", {}).get("secondary")
        return cls(
            class_weights=weights,
            max_weight=settings.get("max_weight") or MAX_WEIGHT,
            focal_gamma=settings.get("focal_gamma"),
            learning_rate=settings.get("learning_rate"),
            num_epochs=settings.get("num_epochs"),
            sampler=settings.get("sampler"),
            hierarchy_policy=settings.get("hierarchy_policy") or cls.hierarchy_policy,
            parents=parents_of(run.get("implications", ())),
            secondary=None if secondary is None else tuple(secondary),
            repeats={row["label"]: row["repeats"] for row in labels if row.get("repeats") is not None} or None,
            loss=settings.get("loss"),
        )


def parents_of(implications: Iterable[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """{label: the labels that it implies} of pairs of child and parent."""
    parents: dict[str, tuple[str, ...]] = {}
    for child, parent in implications:
        parents[child] = (*parents.get(child, ()), parent)
    return parents


def custom_weights_flag(weights: Mapping[str, float]) -> str:
    """`--custom_weights` with these, as a shell takes it.

    >>> print(custom_weights_flag({"rare": 15.0}))
    --custom_weights '{"rare": 15}'
    """
    short = {name: int(weight) if weight == int(weight) else round(weight, 4) for name, weight in weights.items()}
    quoted = json.dumps(short, ensure_ascii=False).replace("'", "'\"'\"'")
    return f"--custom_weights '{quoted}'"
