"""A finding and its words, the settings of the run that it is about, and what rules read from evaluations."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from ..labels.class_weights import ClassWeights, WeightReason
from ..utils.constants import MAX_WEIGHT
from ..utils.text import grouped, sentences_of

ERROR, WARNING, NOTE, GOOD = "error", "warning", "note", "good"
SEVERITIES = (ERROR, WARNING, NOTE, GOOD)
"""An error has ruined the run. A warning calls for a change, a note does not. Good needs nothing."""

Rows = Sequence[Mapping[str, Any]]


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
        numbers: what evidence and advice were written from, by name.
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
    numbers: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

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
        hierarchy_policy: what is done with a child label whose parent is not predicted.
        parents: {label: its parents}.
        loss: the name of the loss.
        takes_class_weights: whether the loss takes class weights.
        load_best_model_at_end: whether the best model is kept.
    """

    class_weights: ClassWeights | None = None
    max_weight: float = MAX_WEIGHT
    focal_gamma: float | None = None
    learning_rate: float | None = None
    num_epochs: float | None = None
    hierarchy_policy: str = "drop_child"
    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    loss: str | None = None
    takes_class_weights: bool | None = None
    load_best_model_at_end: bool | None = None

    @classmethod
    def from_run(cls, run: Mapping[str, Any]) -> "Settings":
        """Read them from the content of a `run.json` (see `run_info`)."""
        labels, settings = run.get("labels", []), run.get("settings", {})
        weights = None
        if labels and labels[0].get("weight") is not None:
            custom = tuple(row["label"] for row in labels if row.get("custom"))
            names = tuple(row["label"] for row in labels)
            values = np.array([row["weight"] for row in labels])
            none = WeightReason("not_asked_for")
            why = (none if row["reason"] == str(none) else WeightReason("text", (row["reason"],)) for row in labels)
            weights = ClassWeights(names, values, tuple(why), custom)
        by_child = grouped(run.get("implications", ()), itemgetter(0))
        known = ("focal_gamma", "learning_rate", "num_epochs", "loss", "takes_class_weights", "load_best_model_at_end")
        return cls(
            class_weights=weights,
            max_weight=settings.get("max_weight") or MAX_WEIGHT,
            hierarchy_policy=settings.get("hierarchy_policy") or cls.hierarchy_policy,
            parents={child: tuple(parent for _, parent in pairs) for child, pairs in by_child.items()},
            **{name: settings.get(name) for name in known},
        )


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


def rate_flag(settings: Settings, times: float) -> str:
    """The flag `--learning_rate` with `times` the value now."""
    if not settings.learning_rate:
        return "a smaller --learning_rate" if times < 1 else "a larger --learning_rate"
    return f"--learning_rate {settings.learning_rate * times:.0e} (now {settings.learning_rate:.0e})"


def _slower(settings: Settings, times: float = 0.1, most: float = 1e-3) -> str:
    """A learning rate of a tenth, and at most `most`, above which hardly any encoder learns."""
    return rate_flag(settings, min(times, most / settings.learning_rate) if settings.learning_rate else times)


_WORDS = sentences_of(Path(__file__).parent / "templates" / "findings.yaml")
TITLES: dict[str, str] = {kind: words["title"].render() for kind, words in _WORDS.items()}
"""The title of each kind of finding, in the order in which they are printed."""


def make_finding(
    kind: str,
    settings: Settings,
    label: str = "",
    severity: str = WARNING,
    weight: float | None = None,
    new_weight: float | None = None,
    new_gamma: float | None = None,
    evaluations: int = 1,
    **numbers: Any,
) -> Finding:
    """Write a finding in the words of templates/findings.yaml."""
    own: dict[str, Any] = {"weight": weight, "new_weight": new_weight, "new_gamma": new_gamma}
    own["evaluations"] = evaluations
    flags = {name: partial(flag, settings) for name, flag in
             (("slower", _slower), ("rate", rate_flag), ("gamma", gamma_flag))}  # fmt: skip
    context = {"settings": settings, "label": label, "weight_flag": custom_weights_flag, **flags, **own, **numbers}
    said = {part: words.render(context).strip() for part, words in _WORDS[kind].items()}
    return Finding(kind, label, severity, said["evidence"], said.get("advice", ""), **own, numbers=numbers)


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
