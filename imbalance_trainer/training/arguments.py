"""ImbalanceTrainingArguments: our options beside those of TrainingArguments, as flags and as fields."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TrainingArguments

from ..decisions.rule import HIERARCHY_POLICIES
from ..labels.class_weights import DEFAULT_STRATEGY, STRATEGIES, read_class_weights
from ..losses import LOSSES
from ..losses.constraints import CONSTRAINTS
from ..losses.registry import check_gamma_fits, checked_loss_args, has_gamma, loss_class, name_of, read_loss_args
from ..metrics.imbalance_metrics import LOWER_IS_BETTER
from ..utils.constants import MAX_WEIGHT
from ..utils.errors import UsageError, check_known, did_you_mean
from ..utils.flags import option
from ..utils.numeric import checked_number

HEAD_STARTS = ("auto", "probe", "bias", "none")
"""Where a fresh head can start."""


@dataclass
class ImbalanceOptions:
    """What WeightedFocalTrainer can be told. The one place of the defaults; each is also a field of
    ImbalanceTrainingArguments and a keyword of the trainer (the keyword wins)."""

    class_weights: dict | str | None = option(
        "auto",
        help="Weights of the labels' positives: auto (see --weight_strategy), none, JSON such as "
        "'{\"rare label\": 10}' or the path of a JSON file; the labels it names are set, the others stay auto.",
    )
    weight_strategy: str = option(DEFAULT_STRATEGY, help=f"How auto computes weights: {', '.join(STRATEGIES)}.")
    max_weight: float = option(MAX_WEIGHT, help="No class weight is larger than this.")
    loss: str = option("focal", help=f"One of {', '.join(LOSSES)} (docs/losses.md).")
    loss_args: dict | str | None = option(
        None, help="Arguments of the loss's own: JSON such as '{\"gamma_negative\": 4}', or a JSON file."
    )
    focal_gamma: float = option(
        2.0, help="Gamma of a loss that has one, >= 0; larger looks more at what is still wrong."
    )
    label_schema: str | None = option(None, help="Path of a label_info.json with names, groups and implications.")
    constraint: str = option("gold", help=f"What teaches implications: {', '.join(CONSTRAINTS)}.")
    constraint_weight: float = option(0.5, help="What a penalty is multiplied by, >= 0.")
    hierarchy_policy: str = option(
        "drop_child", help=f"A child decided where its parent is not: {', '.join(HIERARCHY_POLICIES)}."
    )
    thresholds: dict | str | None = option(
        None,
        help="Thresholds set by hand: a number for all labels, JSON such as '{\"rare label\": 0.4}', or a JSON file.",
    )
    head_start: str = option(
        "auto",
        help="Where a fresh head starts: probe (a linear probe on the encoder as it is), bias (where the loss "
        "is least without a look at the input), none, or auto (multi-label: the probe for --head layers, else the "
        "bias).",
    )
    head_learning_rate: float | None = option(
        None,
        help="Learning rate of the classification head's last layer; without it, for a fresh head, 3 times "
        "--learning_rate after a probe, else (multi-label) 30 times --learning_rate, at most 0.006.",
    )
    rare_label_patience: int = option(2, help="Warn of a label whose recall is 0 at this many evaluations in a row.")

    def checked(self) -> "ImbalanceOptions":
        """These options with class_weights and loss_args read; an error where one of them cannot be right."""
        check_known("weight_strategy", self.weight_strategy, STRATEGIES)
        loss_args = read_loss_args(self.loss_args)
        self._check_loss(loss_args)
        check_known("head_start", self.head_start, HEAD_STARTS)
        check_known("constraint", self.constraint, CONSTRAINTS)
        check_known("hierarchy_policy", self.hierarchy_policy, HIERARCHY_POLICIES)
        checked_number("focal_gamma", self.focal_gamma, 0)
        checked_number("max_weight", self.max_weight, 0, above=True)
        checked_number("constraint_weight", self.constraint_weight, 0)
        if self.head_learning_rate is not None:
            checked_number("head_learning_rate", self.head_learning_rate, 0, above=True)
        if int(self.rare_label_patience) != self.rare_label_patience or self.rare_label_patience < 1:
            raise UsageError(f"rare_label_patience must be a whole number >= 1; got {self.rare_label_patience!r}.")
        class_weights = read_class_weights(self.class_weights)
        return dataclasses.replace(self, class_weights=class_weights, loss_args=loss_args)

    def _check_loss(self, loss_args: dict[str, Any] | None) -> None:
        if isinstance(self.loss, str):
            loss_class(self.loss)
            checked_loss_args(self.loss, loss_args)
        if not self.is_default("focal_gamma"):
            check_gamma_fits(self.loss, loss_args)

    @property
    def gamma(self) -> float | None:
        """focal_gamma where the loss has a gamma that loss_args does not set; else None."""
        return self.focal_gamma if has_gamma(self.loss) and "gamma" not in (self.loss_args or {}) else None

    def plain(self) -> dict[str, Any]:
        """The options that are a word, a number or a dict of them, as run.json keeps them."""
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(ImbalanceOptions)}
        del options["class_weights"], options["label_schema"]
        return {**options, "loss": name_of(self.loss), "focal_gamma": self.gamma}

    def is_default(self, name: str) -> bool:
        """Whether an option has its default."""
        return getattr(self, name) == type(self).__dataclass_fields__[name].default

    @classmethod
    def resolve(
        cls, args: Any, keywords: Mapping[str, Any], stored: Mapping[str, Any] | None = None
    ) -> "ImbalanceOptions":
        """Options from keywords, else from args, else what the model was trained with, else the defaults.

        Args:
            args: training arguments, which may be plain TrainingArguments.
            keywords: options by name.
            stored: what the model's config holds of ours; its constraint and hierarchy policy count.
        """
        values = {name: getattr(args, name) for name in OPTION_NAMES if hasattr(args, name)}
        options = cls(**{**values, **keywords})
        if "focal_gamma" in keywords:  # also where it is the default
            check_gamma_fits(options.loss, read_loss_args(options.loss_args))
        kept = {k: v for k, v in (stored or {}).items() if k in ("constraint", "hierarchy_policy")}
        unsaid = {k: v for k, v in kept.items() if k not in keywords and options.is_default(k)}
        return dataclasses.replace(options, **unsaid).checked()


OPTION_NAMES = tuple(option.name for option in dataclasses.fields(ImbalanceOptions))
"""Names of the options, each a keyword of the trainer and a field of ImbalanceTrainingArguments."""


def with_options(init: Callable[..., None]) -> inspect.Signature:
    """The signature of Trainer's __init__ with our options as keywords behind its own parameters."""
    signature = inspect.signature(init)
    ours = [
        inspect.Parameter(o.name, inspect.Parameter.KEYWORD_ONLY, default=o.default, annotation=o.type)
        for o in dataclasses.fields(ImbalanceOptions)
    ]
    return signature.replace(parameters=[*signature.parameters.values(), *ours])


_RENAMED = {"tokenizer": "processing_class", "gamma": "focal_gamma", "custom_weights": "class_weights"}


def check_keywords(given: Iterable[str], init: Callable[..., None]) -> None:
    """Raise a UsageError for a keyword that neither we nor Trainer's bound __init__ have; it names the right one."""
    parameters = inspect.signature(init).parameters.values()
    known = [*(p.name for p in parameters), *OPTION_NAMES]
    for name in given:
        if name not in known and all(p.kind != p.VAR_KEYWORD for p in parameters):
            right = f"it is {_RENAMED[name]}." if name in _RENAMED else did_you_mean(name, known)
            raise UsageError(f"WeightedFocalTrainer has no argument {name!r}: {right}")


_TIMES = ("loss", "runtime", "samples_per_second", "steps_per_second", "model_preparation_time")


def check_best_metric(args: Any, ours: Sequence[str], sets: Sequence[str]) -> None:
    """Raise a UsageError where metric_for_best_model does not exist, or would keep the worst model.

    Args:
        args: TrainingArguments.
        ours: names of our metrics.
        sets: names of the evaluation sets, none where there is a single one without a name.
    """
    wanted = args.metric_for_best_model
    if wanted is None:
        return
    prefixes = [f"{name}_" for name in sets] or [""]
    known = {prefix + name: name for prefix in prefixes for name in (*ours, *_TIMES)}
    name = known.get(wanted.removeprefix("eval_"))
    if name is None:
        raise UsageError(f"Unknown metric_for_best_model {wanted!r}: {did_you_mean(wanted, known)}")
    higher_is_better = name not in LOWER_IS_BETTER
    if name not in _TIMES and bool(args.greater_is_better) != higher_is_better:
        raise UsageError(
            f"metric_for_best_model={wanted!r} is best when {'high' if higher_is_better else 'low'}, but "
            f"greater_is_better is {args.greater_is_better} (transformers guesses it from the name); set "
            f"greater_is_better={higher_is_better}."
        )


@dataclass
class ImbalanceTrainingArguments(ImbalanceOptions, TrainingArguments):
    """TrainingArguments with the options of `ImbalanceOptions`. No default of TrainingArguments is changed."""

    def __post_init__(self) -> None:
        options = self.checked()
        self.class_weights, self.loss_args = options.class_weights, options.loss_args
        super().__post_init__()

    def to_dict(self) -> dict[str, Any]:
        """TrainingArguments' own; a loss that is no name is said by its class or function."""
        return {**super().to_dict(), "loss": name_of(self.loss)}

    def checked(self) -> ImbalanceOptions:
        """Our options among the arguments, checked."""
        return ImbalanceOptions(**{name: getattr(self, name) for name in OPTION_NAMES}).checked()
