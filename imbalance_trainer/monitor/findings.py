"""A finding, the settings of the run that it is about, and the flags of its advice."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..labels.class_weights import ClassWeights
from ..labels.weight_reasons import WeightReason
from ..utils.constants import MAX_WEIGHT

ERROR, WARNING, NOTE, GOOD = "error", "warning", "note", "good"
SEVERITIES = (ERROR, WARNING, NOTE, GOOD)
"""An error has ruined the run. A warning calls for a change, a note does not. Good needs nothing."""

LARGER_GAMMA = 3.0
"""The note's focal_gamma for labels that are not learned."""

Rows = Sequence[Mapping[str, Any]]

TITLES = {
    "nan": "the loss is not a number",
    "learning_rate_too_high": "nothing is learned: the scores are the same for every row",
    "undertrained": "the model has not learned enough yet for weights to matter",
    "oscillating_loss": "the training loss oscillates",
    "overfitting": "overfitting: the evaluation loss rises while the training loss falls",
    "threshold_too_high": "never found, but ranked well: all scores are under the threshold",
    "held_down_by_parent": "never found, because a parent label is not predicted",
    "not_learned": "never found: not learned yet",
    "at_the_cap": "never found, with a weight at the cap",
    "no_positives_in_training": "never found: no positives in the training data",
    "over_predicted": "predicted too often",
    "compounded_reweighting": "rare labels are re-weighted in several ways at once",
    "precision_under_target": "precision is under its target",
    "plateau": "no gain in the last evaluations",
    "capped": "with a weight cut at the cap",
    "too_few_to_tell": "never found, but with too few positives to tell",
    "no_positives_here": "without positives in the evaluation data",
    "unknown_here": "unknown in every row of the evaluation data",
    "improving": "the rare labels get better at every evaluation",
}
"""The title of each kind of finding, in the order in which they are printed."""


@dataclass(frozen=True)
class Finding:
    """Something to know about a label, or about the whole run.

    Args:
        kind: one of TITLES.
        label: its name; "" where it is about the whole run.
        severity: one of SEVERITIES.
        evidence: the numbers, in a few words.
        advice: what to change, with the flag and its value; "" where nothing has to change.
        weight: the class weight now; None where it is not known, as with the stock Trainer.
        new_weight: the weight to try; None where another weight does not help.
        new_gamma: the focal_gamma to try; None where another one does not help.
        evaluations: the last evaluations in a row that show it.
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
        """The title of the kind."""
        return TITLES[self.kind]


@dataclass(frozen=True)
class Settings:
    """The settings of a run, which advice starts from. What is not known is None or empty.

    Args:
        class_weights: the weights; None with the stock Trainer.
        max_weight: their cap.
        focal_gamma: gamma, None where there is none.
        learning_rate: the largest one.
        num_epochs: passes over the training data; None where the number of steps is set.
        sampler: the name of a sampler that draws rare rows more often.
        hierarchy_policy: what is done with a child label whose parent is not predicted.
        parents: {label: its parents}.
        secondary: the names of the secondary labels; None for all.
        repeats: {label: how often a row of it is drawn in an epoch}; None where that is not known.
        loss: the name of the loss.
        takes_class_weights: whether the loss takes class weights.
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
    takes_class_weights: bool | None = None

    @classmethod
    def from_run(cls, run: Mapping[str, Any]) -> "Settings":
        """Read them from the content of a `run.json` (see `run_info`)."""
        labels, settings = run.get("labels", []), run.get("settings", {})
        weights = None
        if labels and labels[0].get("weight") is not None:
            clamped = {row["label"]: row["clamped_from"] for row in labels if row.get("clamped_from")}
            custom = tuple(row["label"] for row in labels if row.get("custom"))
            names = tuple(row["label"] for row in labels)
            values = np.array([row["weight"] for row in labels])
            none = WeightReason("not_asked_for")
            why = (none if row["reason"] == str(none) else WeightReason("text", (row["reason"],)) for row in labels)
            weights = ClassWeights(names, values, tuple(why), custom, clamped)
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
            takes_class_weights=settings.get("takes_class_weights"),
        )


def parents_of(implications: Iterable[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """{label: its parents} from pairs of child and parent."""
    parents: dict[str, tuple[str, ...]] = {}
    for child, parent in implications:
        parents[child] = (*parents.get(child, ()), parent)
    return parents


def custom_weights_flag(weights: Mapping[str, float]) -> str:
    """The flag `--custom_weights`, quoted for a shell.

    >>> print(custom_weights_flag({"rare": 15.0}))
    --custom_weights '{"rare": 15}'
    """
    short = {name: int(weight) if weight == int(weight) else round(weight, 4) for name, weight in weights.items()}
    quoted = json.dumps(short, ensure_ascii=False).replace("'", "'\"'\"'")
    return f"--custom_weights '{quoted}'"


def gamma_flag(settings: Settings, gamma: float | None) -> str:
    """The flag `--focal_gamma` with the value now; "" where no other gamma is advised."""
    return "" if gamma is None else f"--focal_gamma {gamma:g} (now {settings.focal_gamma:g})"


def larger_gamma(settings: Settings) -> float | None:
    """`LARGER_GAMMA` where it is larger than gamma in use; None else, and where there is no gamma."""
    return LARGER_GAMMA if settings.focal_gamma is not None and settings.focal_gamma < LARGER_GAMMA else None


# ---- reading evaluations ----


def last_rows(history: Rows) -> Rows:
    """The labels of the last evaluation."""
    return history[-1]["labels"] if history else ()


def metric_series(history: Rows, name: str) -> list[Any]:
    """A metric over the evaluations; None where one does not have it."""
    return [entry.get("metrics", {}).get(name) for entry in history]


def has_zero_recall(row: Mapping[str, Any]) -> bool:
    """Whether a label with positives has none of them found."""
    return bool(row["support"]) and not row["true_positives"]


def is_near_chance(row: Mapping[str, Any], times: float = 3.0) -> bool:
    """Whether average precision is less than `times` the label's share of the rows, which is what chance gives."""
    return row["average_precision"] < times * (row.get("prevalence") or 0)


def evaluations_in_a_row(history: Rows, holds: Callable[[Mapping[str, Any]], bool]) -> Counter[str]:
    """For each label the number of last evaluations in a row for which `holds(row)` is true."""
    since: Counter[str] = Counter()
    still = {row["label"] for row in last_rows(history)}
    for entry in reversed(history):
        still &= {row["label"] for row in entry["labels"] if holds(row)}
        since.update(still)
    return since
