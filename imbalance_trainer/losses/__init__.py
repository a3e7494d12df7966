"""Losses: each in a small file of its own, all with one reduction convention (see `reduction`)."""

from collections.abc import Callable

from torch import nn

from ..errors import UsageError, did_you_mean
from ..labels import MULTI_LABEL, SINGLE_LABEL
from .focal import WeightedFocalLoss, checked_gamma, weighted_focal_loss
from .plain import WeightedBCELoss, WeightedCELoss

LOSSES: dict[str, Callable[..., nn.Module]] = {
    "focal": WeightedFocalLoss,
    "bce": WeightedBCELoss,
    "ce": WeightedCELoss,
}
"""Losses by the name that `loss=` takes: called with class_weights and reduction, they give a module."""

_ONLY_FOR = {"bce": MULTI_LABEL, "ce": SINGLE_LABEL}


def make_loss(
    name: str,
    problem_type: str,
    class_weights: object = None,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
) -> nn.Module:
    """The loss that `loss=name` means, summed rather than averaged: the trainer divides by the whole update's counts.

    Raises:
        UsageError: an unknown name (the nearest are offered), or a loss for the other kind of problem.
    """
    if name not in LOSSES:
        raise UsageError(f"Unknown loss {name!r}: {did_you_mean(name, LOSSES)}")
    if _ONLY_FOR.get(name, problem_type) != problem_type:
        fitting = [n for n in LOSSES if _ONLY_FOR.get(n, problem_type) == problem_type]
        kind = problem_type.removesuffix("_classification").replace("_", "-")
        raise UsageError(f"loss={name!r} is not for {kind} problems; take one of {', '.join(map(repr, fitting))}.")
    own = {"gamma": gamma} if name == "focal" else {}
    return LOSSES[name](class_weights=class_weights, reduction="sum", label_smoothing=label_smoothing, **own)


__all__ = [
    "LOSSES",
    "MULTI_LABEL",
    "SINGLE_LABEL",
    "WeightedBCELoss",
    "WeightedCELoss",
    "WeightedFocalLoss",
    "checked_gamma",
    "make_loss",
    "weighted_focal_loss",
]
