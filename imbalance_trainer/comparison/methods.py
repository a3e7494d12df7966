"""What is compared: the stock Trainer, our recommended default, losses by name, and methods of the user's own."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..losses import LOSSES
from ..losses.registry import check_kind, loss_class
from ..training.arguments import ImbalanceOptions
from ..utils.errors import UsageError, did_you_mean, quoted
from ..utils.files import read_json_flag

STOCK, DEFAULT = "stock", "default"
"""transformers.Trainer as it is; WeightedFocalTrainer with nothing set."""

_SET_BY_THE_COMPARISON = {"label_schema", "on_nan", "rare_label_patience"}


@dataclass(frozen=True)
class Method:
    """A way to train.

    Args:
        name: what the table calls it.
        options: keywords of WeightedFocalTrainer; None for the stock Trainer.
        trainer: a subclass of the stock Trainer to take in its place.
    """

    name: str
    options: Mapping[str, Any] | None = field(default_factory=dict)
    trainer: type | None = None

    @property
    def in_words(self) -> str:
        """What tells it from another of the same name: its options as JSON, "" for the stock Trainer."""
        if self.options is None:
            return "" if self.trainer is None else self.trainer.__name__
        return json.dumps(dict(self.options), sort_keys=True, default=repr)

    @property
    def is_stock(self) -> bool:
        """Whether it is the stock Trainer."""
        return self.options is None


def read_methods(names: Sequence[str], own: Any, problem_type: str) -> list[Method]:
    """The methods that were asked for, the stock Trainer first, as everything is compared to it.

    Args:
        names: "stock", "default", names of LOSSES, and of `own`; each may hold several with commas between them.
        own: {name: keywords of WeightedFocalTrainer}, JSON of it or the path of a JSON file; None for none.
        problem_type: which losses fit.

    Raises:
        UsageError: a name that is not known or stands twice, options that do not exist or fit, or nothing to compare.

    >>> [method.name for method in read_methods(["focal,bce"], None, "multi_label_classification")]
    ['stock', 'focal', 'bce']
    """
    mine = _read_own(own)
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    twice = sorted({name for name in wanted if wanted.count(name) > 1})
    if twice:
        raise UsageError(f"--methods names {quoted(twice)} twice; name each once.")
    methods = []
    for name in dict.fromkeys([STOCK, *wanted, *mine]):
        if name in mine:
            methods.append(_own_method(name, mine[name]))
        elif name in (STOCK, DEFAULT):
            methods.append(Method(name, None if name == STOCK else {}))
        elif name in LOSSES:
            methods.append(Method(name, {"loss": name}))
        else:
            raise UsageError(f"Unknown method {name!r}: {did_you_mean(name, [STOCK, DEFAULT, *LOSSES, *mine])}")
    if len(methods) < 2:
        raise UsageError("There is nothing to compare stock with: name --methods, such as default,focal.")
    for method in methods:
        loss = (method.options or {}).get("loss")
        if isinstance(loss, str):
            check_kind(loss, loss_class(loss), problem_type)
    return methods


def _read_own(own: Any) -> dict[str, dict[str, Any]]:
    if own is None:
        return {}
    if isinstance(own, str):
        own, _ = read_json_flag(own, "--own_methods", '{"gamma 3": {"focal_gamma": 3}}')
    if not isinstance(own, Mapping) or not all(isinstance(options, Mapping) for options in own.values()):
        raise UsageError(f'--own_methods is {{"name": {{"focal_gamma": 3}}}} or a JSON file of it; got {own!r}.')
    return {str(name): dict(options) for name, options in own.items()}


def _own_method(name: str, options: Mapping[str, Any]) -> Method:
    if name in (STOCK, DEFAULT):
        raise UsageError(f"--own_methods: {name!r} is taken; give your method another name.")
    known = [f.name for f in dataclasses.fields(ImbalanceOptions) if f.name not in _SET_BY_THE_COMPARISON]
    for option in options:
        if option not in known:
            raise UsageError(
                f"--own_methods: {name!r} has an unknown option {option!r}: {did_you_mean(option, known)}"
            )
    ImbalanceOptions(**options).checked()
    return Method(name, dict(options))
