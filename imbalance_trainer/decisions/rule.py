"""From logits to decisions: thresholds and the hierarchy policy, which keeps the schema's rules.

One place decides, for metrics, predictions, the pipeline and the thresholds' own report, so that they cannot differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from ..labels.schema import LabelSchema
from ..utils.constants import CONFIG_KEY, SINGLE_LABEL
from ..utils.errors import UsageError, check_known
from ..utils.files import read_json_flag
from ..utils.numeric import checked_number

HIERARCHY_POLICIES = ("drop_child", "add_parent")
"""What to do about a child that is decided where one of its parents is not."""

TUNED = ("thresholds", "tuned_on")
"""What of a rule tuning finds, under these keys in a config."""


@dataclass(frozen=True, eq=False)
class DecisionRule:
    """How logits become decisions: thresholds, then the hierarchy policy.

    Args:
        schema: the labels.
        thresholds: the probability that each label must exceed, (labels,), in (0, 1); None for 0.5.
        hierarchy_policy: one of HIERARCHY_POLICIES.
        tuned_on: what thresholds were tuned on: {"rows": a hash of their labels in order, "cross_fitted": metrics}.
        two_classes: whether a row has exactly one of two labels, by a softmax. The score of a class is its logit less
            the other's, and their thresholds add up to 1.
    """

    schema: LabelSchema
    thresholds: np.ndarray | None = None
    hierarchy_policy: str = HIERARCHY_POLICIES[0]
    tuned_on: Mapping[str, Any] | None = None
    two_classes: bool = False

    def __post_init__(self) -> None:
        check_known("hierarchy_policy", self.hierarchy_policy, HIERARCHY_POLICIES)
        if self.thresholds is not None:
            object.__setattr__(self, "thresholds", checked_thresholds(self.thresholds, self.schema))

    @classmethod
    def from_config(cls, config: Any) -> "DecisionRule":
        """The rule that a model's config holds (`to_config`); 0.5 for every label where it holds none.

        Raises:
            UsageError: thresholds outside (0, 1) or of other labels than the model's, or an unknown hierarchy policy.
        """
        schema = LabelSchema.from_config(config)
        ours = getattr(config, CONFIG_KEY, None) or {}
        hierarchy_policy = ours.get("hierarchy_policy", HIERARCHY_POLICIES[0])
        return cls(schema, ours.get("thresholds"), hierarchy_policy, ours.get("tuned_on"), has_two_classes(config))

    def to_config(self, config: Any) -> None:
        """Write the rule into a model's config, thresholds by label name."""
        ours = dict(getattr(config, CONFIG_KEY, None) or {})
        kept: dict[str, Any] = {} if self.thresholds is None else {"thresholds": self.by_label()}
        kept |= {} if self.tuned_on is None else {"tuned_on": self.tuned_on}
        others = {key: value for key, value in ours.items() if key not in TUNED}
        setattr(config, CONFIG_KEY, {**others, **kept, "hierarchy_policy": self.hierarchy_policy})

    @property
    def is_tuned(self) -> bool:
        """Whether there are thresholds other than "0.5 until tuned"."""
        return self.thresholds is not None

    def untuned(self) -> "DecisionRule":
        """The same rule with 0.5 for every label."""
        return replace(self, thresholds=None, tuned_on=None)

    def with_thresholds(self, given: Any) -> "DecisionRule":
        """The same rule with thresholds set by hand: a number for all labels, one for each, or {label: number} for
        some, where the others stay; also as JSON or the path of a JSON file. Of two classes it is of one of them."""
        if isinstance(given, str):
            given, _ = read_json_flag(given, "thresholds", '{"rare label": 0.4}', ("{", "[", "0."), "a number, ")
        if isinstance(given, Mapping):
            own = {self.schema.resolve(name, "the thresholds"): value for name, value in given.items()}
            others = self.by_label()
            if self.two_classes and len(own) == 1:
                (value,) = own.values()
                others = {name: 1 - checked_number("A threshold", value, 0, above=True) for name in others}
            given = {**others, **own}
        if self.two_classes and not np.isclose(np.sum(checked_thresholds(given, self.schema)), 1):
            raise UsageError(
                f"A row is {' or '.join(map(repr, self.schema.names))}, so that their thresholds add up to 1; give "
                f"one of them, as {{{self.schema.names[1]!r}: 0.3}}."
            )
        return replace(self, thresholds=given, tuned_on=None)

    def scores(self, logits: Any) -> Tensor:
        """Logits (rows, labels), fp32, whose sigmoid is the probability."""
        scores = torch.as_tensor(logits).float()
        if self.two_classes:
            scores = scores - scores.flip(-1)
        return scores

    def margins(self, logits: Any) -> Tensor:
        """Scores less the threshold's logit, (rows, labels): a label is decided where that is over 0."""
        scores = self.scores(logits)
        return scores - torch.as_tensor(self.threshold_logits(), device=scores.device)

    def decide(self, logits: Any) -> Tensor:
        """Decisions that break no rule of the schema, (rows, labels), boolean."""
        margins = self.margins(logits)
        if self.two_classes:
            return margins.argmax(-1, keepdim=True) == torch.arange(2, device=margins.device)
        return enforce_hierarchy(margins > 0, self.schema, self.hierarchy_policy)

    def by_label(self) -> dict[str, float]:
        """The threshold of each label by its name."""
        values = np.full(len(self.schema), 0.5) if self.thresholds is None else self.thresholds
        return dict(zip(self.schema.names, values.tolist(), strict=True))

    def threshold_logits(self) -> np.ndarray:
        """The thresholds as logits, (labels,), fp32: a label is decided where its score is over it."""
        thresholds = np.full(len(self.schema), 0.5) if self.thresholds is None else self.thresholds
        return logit(thresholds).astype(np.float32)


def forget_foreign_thresholds(config: Any, schema: LabelSchema) -> bool:
    """Drop thresholds of other labels than the schema's from a config, as it is trained anew; whether it had any."""
    ours = dict(getattr(config, CONFIG_KEY, None) or {})
    foreign = set(ours.get("thresholds") or schema.names) != set(schema.names)
    if foreign:
        setattr(config, CONFIG_KEY, {key: value for key, value in ours.items() if key not in TUNED})
    return foreign


def has_two_classes(config: Any) -> bool:
    """Whether a model decides between two classes by a softmax."""
    return getattr(config, "problem_type", None) == SINGLE_LABEL and len(config.id2label) == 2


def is_baked(config: Any) -> bool:
    """Whether a model's head has its thresholds baked in (`imbalance-trainer export`): no further training for it."""
    return "baked_thresholds" in (getattr(config, CONFIG_KEY, None) or {})


def apply_thresholds(
    scores: Any,
    thresholds: "float | Sequence[float] | Mapping[str, float]",
    schema: "LabelSchema | Sequence[str]",
    hierarchy_policy: str = "drop_child",
    from_logits: bool = False,
) -> np.ndarray:
    """Decide each label whose score is over its threshold, then enforce the schema's rules.

    Args:
        scores: (rows, labels), probabilities, or with `from_logits` logits.
        thresholds: one for all labels, one for each in order, or {label: threshold} for all of them; in (0, 1).
        schema: the labels, for their implications.
        hierarchy_policy: see `enforce_hierarchy`.
        from_logits: whether scores are logits.

    Returns:
        (rows, labels), boolean.

    Raises:
        UsageError: a threshold outside (0, 1) or of an unknown label, a label without one, scores of another width.

    >>> apply_thresholds([[0.6, 0.3]], {"a": 0.5, "b": 0.2}, ["a", "b"])
    array([[ True,  True]])
    """
    schema = LabelSchema.of(schema)
    values = checked_thresholds(thresholds, schema)
    array = np.asarray(scores)
    array = array if array.dtype.kind == "f" else array.astype(np.float32)
    if array.ndim != 2 or array.shape[1] != len(schema):
        raise UsageError(f"Got scores of shape {array.shape}; expected (rows, {len(schema)}).")
    if from_logits:
        return DecisionRule(schema, values, hierarchy_policy).decide(array).numpy()
    return enforce_hierarchy(array > values.astype(array.dtype), schema, hierarchy_policy)


def enforce_hierarchy(decisions: Any, schema: LabelSchema, hierarchy_policy: str = "drop_child") -> Any:
    """Change decisions so that they break no rule of the schema: no child without all its parents.

    Decisions that break no rule stay as they are, so a second call changes nothing. What is dropped takes its
    descendants along.

    Args:
        decisions: (rows, labels), boolean or 0/1, a tensor or an array; not changed.
        schema: whose implications are to hold.
        hierarchy_policy: "drop_child" drops a child whose parent is not decided; "add_parent" decides the parent as
            well.

    Returns:
        A copy of the same kind.

    Raises:
        UsageError: an unknown policy.

    >>> schema = LabelSchema(["hateful", "threat"], implications=[("threat", "hateful")])
    >>> enforce_hierarchy(torch.tensor([[False, True]]), schema)
    tensor([[False, False]])
    >>> enforce_hierarchy(torch.tensor([[False, True]]), schema, "add_parent")
    tensor([[True, True]])
    """
    check_known("hierarchy_policy", hierarchy_policy, HIERARCHY_POLICIES)
    decided = torch.as_tensor(decisions).bool().clone()
    if hierarchy_policy == "drop_child":
        for child, parent in schema.parents_first:
            decided[:, child] &= decided[:, parent]
    else:
        for child, parent in reversed(schema.parents_first):
            decided[:, parent] |= decided[:, child]
    if isinstance(decisions, Tensor):
        return decided.to(decisions.dtype)
    return decided.numpy().astype(np.asarray(decisions).dtype)


def violations(decisions: Tensor, schema: LabelSchema) -> Tensor:
    """Per row, whether a rule of the schema is broken. (rows, labels) -> (rows,), boolean."""
    broken = torch.zeros(len(decisions), dtype=torch.bool, device=decisions.device)
    for rows in schema.broken_rules(decisions, ~decisions):
        broken |= rows
    return broken


def checked_thresholds(thresholds: Any, schema: LabelSchema) -> np.ndarray:
    """Thresholds given as one number, a sequence or {label: number}, as an array (labels,), float64.

    Raises:
        UsageError: one outside (0, 1), of an unknown label or missing; the message names it.
    """
    if isinstance(thresholds, Mapping):
        given = {schema.resolve(name, "the thresholds"): value for name, value in thresholds.items()}
        missing = [name for name in schema.names if name not in given]
        if missing:
            raise UsageError(
                f"The thresholds lack {len(missing)} of {len(schema)} labels, the first of them {missing[0]!r}; give "
                "one for each."
            )
        thresholds = [given[name] for name in schema.names]
    try:
        values = np.asarray(thresholds, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"A threshold is a number in (0, 1); got {str(thresholds)[:60]}.") from None
    if values.shape not in ((), (len(schema),)):
        raise UsageError(f"Got {values.size} thresholds for {len(schema)} labels; give one for all or one each.")
    wrong = np.flatnonzero(~((values > 0) & (values < 1)))
    if len(wrong):
        whose = f" for {schema.names[wrong[0]]!r}" if values.ndim else ""
        raise UsageError(f"A threshold lies in (0, 1); got {float(values.ravel()[wrong[0]])}{whose}.")
    return np.broadcast_to(values, (len(schema),))
