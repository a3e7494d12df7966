"""Class weights: a factor of the loss of each label's positives, with a reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.constants import MAX_WEIGHT
from ..utils.errors import UsageError, check_known
from ..utils.files import read_json_flag
from ..utils.numeric import checked_number
from ..utils.text import sentences_of
from .distribution import LabelDistribution
from .schema import LabelSchema

# The tiers of `tiered`: an imbalance ratio of at least this gives the label this weight.
TIERS = ((30.0, 10.0), (10.0, 5.0))
COMMON_LIMIT, PRIMARY_LIMIT = 3.0, 2.0
MOST_RARE = 1 / 3
"""`sqrt_tiered` weighs nothing where the labels that reach a tier hold more than this share of all positives."""

DEFAULT_STRATEGY = "sqrt_tiered"

_WORDS = sentences_of(Path(__file__).parent / "templates" / "weight_reasons.yaml")


@dataclass(frozen=True)
class WeightReason:
    """Where the weight of a label comes from.

    Args:
        kind: a key of templates/weight_reasons.yaml.
        values: the numbers in the text; of "text" the text itself.
        before: the weight before it was capped; None where it was not.
    """

    kind: str
    values: tuple[Any, ...] = ()
    before: float | None = None

    def __str__(self) -> str:
        capped = "" if self.before is None else f", capped from {self.before:.4g}"
        return _WORDS[self.kind]["long"].render(values=self.values) + capped

    @property
    def short(self) -> str:
        """Without the numbers that stand in other columns of a table."""
        words = _WORDS[self.kind]
        capped = "" if self.before is None else f", cut from {self.before:.4g}"
        return (words.get("short") or words["long"]).render(values=self.values) + capped


@dataclass(frozen=True)
class ClassWeights:
    """The weight of each label's positive entries (in single-label problems: of the class's rows), with its reason.

    Args:
        names: labels, in the schema's order.
        values: weights, shape (labels,), float64.
        why: for each label where its weight comes from.
        custom: the labels whose weight the user gave.
        clamped: the labels that were cut at the cap, with the weight before.
    """

    names: tuple[str, ...]
    values: np.ndarray
    why: tuple[WeightReason, ...]
    custom: tuple[str, ...] = ()
    clamped: Mapping[str, float] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, i: Any) -> Any:
        return self.values[i]

    @property
    def asked_for(self) -> bool:
        """False where class_weights is None, so that every label weighs 1."""
        return any(reason.kind != "not_asked_for" for reason in self.why)

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """For each label where its weight comes from, in a few words."""
        return tuple(map(str, self.why))

    def as_dict(self) -> dict[str, float]:
        """{label: weight}, Python floats."""
        return {name: float(w) for name, w in zip(self.names, self.values, strict=True)}


def compute_class_weights(
    distribution: Any,
    class_weights: "str | Mapping[str, float] | Sequence[float] | None" = "auto",
    weight_strategy: str = DEFAULT_STRATEGY,
    max_weight: float = MAX_WEIGHT,
) -> ClassWeights:
    """Weights for the labels of a training set.

    Args:
        distribution: a LabelDistribution of the **training** data, or its labels, (rows, labels), as an array or a
            frame; a LabelSchema alone where there are none, so that "auto" weighs 1.
        class_weights: "auto" for the strategy's; {label: weight} to override it for the labels named (names are not
            case-sensitive); a sequence with one weight per label; None for 1 everywhere.
        weight_strategy: one of `STRATEGIES`.

            - `sqrt_tiered`: the square roots of `tiered`: 3.2, 2.2, at most 1.7, primary at most 1.4. Where the labels
              of imbalance ratio >= 10 hold more than a third of all positives 1 throughout: they are no few rare
              labels beside common ones then, but most of the loss. The best of those measured on four data sets
              (docs/losses.md).
            - `tiered`: imbalance ratio >= 30 gives 10, >= 10 gives 5, else min(negatives / positives, 3); labels of
              the primary group min(negatives / positives, 2).
            - `inverse_frequency`: negatives / positives, the pos_weight of BCEWithLogitsLoss' documentation.
            - `sqrt_inverse_frequency`: its square root.
            - `balanced`: rows / (labels * positives), scikit-learn's class_weight="balanced".
        max_weight: no weight is larger than this, custom ones included (see `cap_weights`).

    Returns:
        The weights with a reason for each. A label without positives gets 1.

    Raises:
        UsageError: an unknown strategy or label name (the nearest are offered), a wrong number of weights, or a
            weight that is not a positive finite number.

    >>> from imbalance_trainer import LabelDistribution, LabelSchema
    >>> schema = LabelSchema.from_names(["common", "rare"])
    >>> counts = LabelDistribution.from_labels([[1, 0]] * 40 + [[0, 1]], schema)
    >>> compute_class_weights(counts, {"Rare": 12}, "tiered").as_dict()
    {'common': 0.025, 'rare': 12.0}
    """
    if isinstance(distribution, LabelSchema):
        distribution = LabelDistribution.empty(distribution)
    elif not isinstance(distribution, LabelDistribution):
        distribution = _counted(distribution)
    names = distribution.schema.names
    check_known("weight_strategy", weight_strategy, STRATEGIES)
    strategy, class_weights = STRATEGIES[weight_strategy], read_class_weights(class_weights)
    if class_weights is None:
        weights = ClassWeights(names, np.ones(len(names)), (WeightReason("not_asked_for"),) * len(names))
    elif isinstance(class_weights, str):
        weights = _automatic(distribution, strategy)
    elif isinstance(class_weights, Mapping):
        weights = _overridden(_automatic(distribution, strategy), class_weights, distribution)
    else:
        weights = _given(class_weights, names)
    capped, clamped = cap_weights(dict(zip(names, weights.values.tolist(), strict=True)), max_weight)
    why = tuple(replace(reason, before=clamped.get(name)) for name, reason in zip(names, weights.why, strict=True))
    return replace(weights, values=np.array([capped[n] for n in names]), why=why, clamped=clamped)


def _counted(labels: Any) -> LabelDistribution:
    """Counts of labels (rows, labels), whose names are those of a frame's columns, else 0, 1, ..."""
    array = np.asarray(labels)
    if array.ndim != 2:
        raise UsageError(f"Class weights are computed from labels of shape (rows, labels); got shape {array.shape}.")
    names = getattr(labels, "columns", range(array.shape[1]))
    return LabelDistribution.from_labels(array, LabelSchema.of([str(name) for name in names]))


def cap_weights(
    weights: Mapping[str, float], max_weight: float = MAX_WEIGHT
) -> tuple[dict[str, float], dict[str, float]]:
    """Clamp weights at `max_weight`, and say which were.

    Args:
        weights: {label: weight}.
        max_weight: the largest weight that is left.

    Returns:
        {label: weight} with the clamped weights, and {label: weight before} of those that were clamped.

    Raises:
        UsageError: a weight or a cap that is not a positive finite number.

    >>> cap_weights({"rare": 57.0, "common": 2.0})
    ({'rare': 20.0, 'common': 2.0}, {'rare': 57.0})
    """
    max_weight = checked_number("max_weight", max_weight, 0, above=True)
    checked = {name: checked_number(f"The weight of {name!r}", w, 0, above=True) for name, w in weights.items()}
    capped = {name: min(w, max_weight) for name, w in checked.items()}
    return capped, {name: w for name, w in checked.items() if w > max_weight}


_Weights = tuple[np.ndarray, list[WeightReason]]


def _tiered(counts: LabelDistribution) -> _Weights:
    weights, reasons = [], []
    for i, (ratio, negative_positive) in enumerate(zip(counts.imbalance_ratio, counts.negative_positive, strict=True)):
        is_primary = i in counts.schema.primary
        at, weight = next(((at, w) for at, w in TIERS if ratio >= at and not is_primary), (None, None))
        kind, limit = ("primary", PRIMARY_LIMIT) if is_primary else ("limit", COMMON_LIMIT)
        weights.append(min(negative_positive, limit) if weight is None else weight)
        reasons.append(
            WeightReason(kind, (negative_positive, limit)) if at is None else WeightReason("tier", (ratio, at))
        )
    return np.array(weights), reasons


def _sqrt_tiered(counts: LabelDistribution) -> _Weights:
    weights, reasons = _tiered(counts)
    is_rare = counts.imbalance_ratio >= TIERS[-1][0]
    is_rare[list(counts.schema.primary)] = False
    share = counts.support[is_rare].sum() / max(counts.support.sum(), 1)
    if share > MOST_RARE:
        return np.ones(len(weights)), [WeightReason("rare_are_most", (TIERS[-1][0], share))] * len(weights)
    roots = [WeightReason(f"root_{r.kind}", (*r.values, np.sqrt(r.values[1]))) for r in reasons]
    return np.sqrt(np.maximum(weights, 0)), roots


def _inverse_frequency(counts: LabelDistribution, kind: str = "inverse_frequency") -> _Weights:
    return counts.negative_positive, [WeightReason(kind, (ratio,)) for ratio in counts.negative_positive]


def _sqrt_inverse_frequency(counts: LabelDistribution) -> _Weights:
    ratios, reasons = _inverse_frequency(counts, "sqrt_inverse_frequency")
    return np.sqrt(ratios), reasons


def _balanced(counts: LabelDistribution) -> _Weights:
    n_rows, n_labels = counts.n_rows, len(counts.schema)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = n_rows / (n_labels * counts.support)
    return weights, [WeightReason("balanced", (n_rows, n_labels, support)) for support in counts.support]


STRATEGIES: dict[str, Callable[[LabelDistribution], _Weights]] = {
    "sqrt_tiered": _sqrt_tiered,
    "tiered": _tiered,
    "inverse_frequency": _inverse_frequency,
    "sqrt_inverse_frequency": _sqrt_inverse_frequency,
    "balanced": _balanced,
}
"""Every `weight_strategy`, by name."""


def _automatic(counts: LabelDistribution, strategy: Callable) -> ClassWeights:
    weights, reasons = strategy(counts)
    absent = counts.support <= 0
    if_absent = WeightReason("absent" if counts.n_rows else "uncounted")
    everywhere = ~absent & (weights <= 0)  # a label that is 1 in every row has neg:pos 0
    reasons = [
        if_absent if none else WeightReason("everywhere") if all_ else reason
        for none, all_, reason in zip(absent, everywhere, reasons, strict=True)
    ]
    return ClassWeights(counts.schema.names, np.where(absent | everywhere, 1.0, weights), tuple(reasons))


def _overridden(weights: ClassWeights, custom: Mapping[str, float], counts: LabelDistribution) -> ClassWeights:
    values, why, by_label = weights.values.copy(), list(weights.why), _by_label(custom, counts.schema, "class weights")
    for name, weight in by_label.items():
        i = counts.schema.index(name)
        values[i] = weight
        is_absent = counts.n_rows > 0 and counts.support[i] <= 0
        why[i] = WeightReason("custom_absent" if is_absent else "custom")
    return replace(weights, values=values, why=tuple(why), custom=tuple(by_label))


def _by_label(weights: Mapping[str, float], schema: LabelSchema, what: str) -> dict[str, float]:
    """{label: weight} with the schema's names, each weight above 0."""
    resolved: dict[str, float] = {}
    for given, weight in weights.items():
        name = schema.resolve(given, f"the {what}")
        if name in resolved:
            raise UsageError(f"The {what} name {name!r} twice; keep one.")
        resolved[name] = checked_number(f"The weight of {name!r}", weight, 0, above=True)
    return resolved


def _given(weights: Sequence[float], names: tuple[str, ...]) -> ClassWeights:
    try:
        values = list(np.asarray(weights)) if hasattr(weights, "__array__") else list(weights)
    except TypeError:
        raise UsageError(f"class_weights is 'auto', None, {{label: weight}} or a sequence; got {weights!r}.") from None
    if len(values) != len(names):
        raise UsageError(
            f"Got {len(values)} class weights for {len(names)} labels; give one each, or {{label: weight}}."
        )
    return ClassWeights(names, np.array(values, dtype=object), (WeightReason("custom"),) * len(names), custom=names)


def read_class_weights(value: Any, flag: str = "class_weights") -> Any:
    """What `class_weights` may be in a flag: "auto", "none", JSON, or the path of a JSON file; all else as it is.

    >>> read_class_weights('{"rare": 10}')
    {'rare': 10}
    """
    if not isinstance(value, str) or value.casefold() == "auto":
        return "auto" if isinstance(value, str) else value
    if value.casefold() == "none":
        return None
    if value in STRATEGIES:
        raise UsageError(f"{flag} {value} is a way to compute weights: set weight_strategy to it.")
    weights, where = read_json_flag(value, flag, '{"rare label": 10}', ("{", "["), "auto, none, ")
    if not isinstance(weights, (dict, list)):
        raise UsageError(f'{where}: expected {{"label": weight}}, found {weights!r}.')
    return weights


def merge_custom_weights(class_weights: Any, custom: Any, schema: LabelSchema) -> Any:
    """class_weights with the custom weights of single labels laid over them.

    Args:
        class_weights: as `compute_class_weights` takes them. Where it is None, labels that are not named weigh 1.
        custom: {label: weight}, JSON or the path of a JSON file of it; None for none.
        schema: the labels.

    Raises:
        UsageError: an unknown label, a weight that is not above 0, or custom weights that are no {label: weight}.
    """
    if isinstance(class_weights, Mapping):
        class_weights = _by_label(class_weights, schema, "class weights")
    custom = read_class_weights(custom, "--custom_weights")
    if custom is None:
        return class_weights
    if not isinstance(custom, Mapping):
        raise UsageError(f'--custom_weights: expected {{"label": weight}} or a JSON file of it, found {custom!r}.')
    others: Mapping[str, float] = {}
    if class_weights is None:
        others = dict.fromkeys(schema.names, 1.0)
    elif isinstance(class_weights, Mapping):
        others = class_weights
    elif not isinstance(class_weights, str):
        others = dict(zip(schema.names, _given(class_weights, schema.names).values, strict=True))
    return {**others, **_by_label(custom, schema, "custom weights")}
