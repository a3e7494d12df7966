"""The registry of losses, and making the one that a user asks for."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from ..labels.distribution import LabelDistribution
from ..utils.errors import UsageError, check_known, did_you_mean
from ..utils.files import read_json_flag
from .asymmetric import AsymmetricLoss
from .base import Loss
from .custom import UserLoss
from .focal import WeightedBCELoss, WeightedCELoss, WeightedFocalLoss
from .logit_adjusted import LogitAdjustedLoss

LOSSES: dict[str, type[Loss]] = {
    "focal": WeightedFocalLoss,
    "bce": WeightedBCELoss,
    "ce": WeightedCELoss,
    "asymmetric": AsymmetricLoss,
    "logit_adjusted": LogitAdjustedLoss,
}
"""Losses by name, as `loss=` takes them. The attributes of a class say what it needs (see `Loss`)."""


def make_loss(
    loss: "str | nn.Module | Callable",
    problem_type: str,
    class_weights: Any = None,
    counts: LabelDistribution | None = None,
    loss_args: Mapping[str, Any] | None = None,
    gamma: float | None = None,
    label_smoothing: float = 0.0,
) -> Loss:
    """Make the loss named `loss`, with reduction "sum": the trainer divides by the counts of the whole update.

    A `Loss` is returned as it is.

    Args:
        loss: a name in LOSSES, or a module or function of the user (see `UserLoss`).
        problem_type: MULTI_LABEL or SINGLE_LABEL.
        class_weights: (labels,), or None.
        counts: the training data's labels, for the losses that need them.
        loss_args: further arguments of the loss (`Loss.own_arguments`).
        gamma: of a loss that has one; None for the loss's default.
        label_smoothing: see `Loss`.

    Raises:
        UsageError: an unknown name or argument (the nearest are offered), a value out of range, a loss for the other
            kind of problem, class weights for a loss that takes none, or no counts for one that needs them.
    """
    if not isinstance(loss, str):
        _refuse(loss_args, "loss_args go with a loss in LOSSES", "give yours with its arguments set")
        _refuse(class_weights is not None, "class_weights go with a loss in LOSSES", "weigh in yours")
        _refuse(label_smoothing, "label_smoothing_factor goes with a loss in LOSSES", "smooth labels in yours")
        own = loss if isinstance(loss, Loss) else UserLoss(loss)
        if any(parameter.requires_grad for parameter in own.parameters()):
            raise UsageError("The loss has parameters of its own, which no optimizer would train; freeze them.")
        check_kind(name_of(loss), own, problem_type)
        return own
    cls = loss_class(loss)
    check_kind(loss, cls, problem_type)
    arguments = checked_loss_args(loss, loss_args)
    if gamma is not None:
        check_gamma_fits(loss, arguments)
        arguments["gamma"] = gamma
    if class_weights is not None:
        check_weights_fit(loss)
        arguments["class_weights"] = class_weights
    if cls.needs_counts:
        arguments |= _counts_for(loss, counts)
    return cls(reduction="sum", label_smoothing=label_smoothing, **arguments)


def loss_class(name: str) -> type[Loss]:
    """Return the class of a loss by name; a UsageError offers the nearest names."""
    check_known("loss", name, LOSSES)
    return LOSSES[name]


def check_kind(name: str, loss: "Loss | type[Loss]", problem_type: str) -> None:
    """Raise a UsageError if a loss is for the other kind of problem."""
    if problem_type not in loss.problem_types:
        fitting = [other for other, cls in LOSSES.items() if problem_type in cls.problem_types]
        kind = problem_type.removesuffix("_classification").replace("_", "-")
        raise UsageError(f"loss={name!r} is not for {kind} problems; take one of {', '.join(map(repr, fitting))}.")


def has_gamma(loss: Any) -> bool:
    """Whether `focal_gamma` is a setting of a loss."""
    return isinstance(loss, str) and "gamma" in loss_class(loss).own_arguments()


def check_gamma_fits(loss: Any, loss_args: Mapping[str, Any] | None = None) -> None:
    """Raise a UsageError if a loss has no gamma, or loss_args set it too."""
    if not has_gamma(loss):
        raise UsageError(f"focal_gamma is not for loss={name_of(loss)!r}, which has no gamma; leave it out.")
    if "gamma" in (loss_args or {}):
        raise UsageError("gamma is set twice, by focal_gamma and in loss_args; keep one.")


def takes_class_weights(loss: Any) -> bool:
    """Whether class weights multiply the positives of a loss; otherwise `class_weights="auto"` means none."""
    return isinstance(loss, str) and loss_class(loss).takes_class_weights


def name_of(loss: Any) -> str:
    """The name of a loss in files and messages; for a user's own that of the class or function."""
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)


def check_weights_fit(loss: Any) -> None:
    """Raise a UsageError if a loss takes no class weights."""
    if not takes_class_weights(loss):
        fitting = ", ".join(repr(name) for name, cls in LOSSES.items() if cls.takes_class_weights)
        raise UsageError(
            f"loss={name_of(loss)!r} takes no class weights, as it weighs by itself; leave class_weights out, or take "
            f"a loss that does: {fitting}."
        )


def checked_loss_args(loss: Any, loss_args: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of loss_args; a UsageError names one that the loss does not have and offers the nearest."""
    if not loss_args:
        return {}
    known = loss_class(loss).own_arguments()
    for name in loss_args:
        if not known:
            raise UsageError(f"loss={loss!r} has no arguments; drop loss_args ({name!r}).")
        if name not in known:
            raise UsageError(f"loss={loss!r} has no argument {name!r}: {did_you_mean(name, known)}")
    return dict(loss_args)


def read_loss_args(value: Any) -> dict[str, Any] | None:
    """Read `loss_args` from a flag: JSON or the path of a JSON file; other values are returned as they are.

    Raises:
        UsageError: invalid JSON, no such file, or a value other than {argument: value}.

    >>> read_loss_args('{"gamma_negative": 3}')
    {'gamma_negative': 3}
    """
    given, where = value, "loss_args"
    if isinstance(value, str):
        given, where = read_json_flag(value, where, '{"gamma_negative": 4}')
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(f'{where}: expected {{"argument": value}}, found {given!r}.')
    return None if given is None else dict(given)


def _counts_for(loss: str, counts: LabelDistribution | None) -> dict[str, Any]:
    cls = loss_class(loss)
    if counts is None or not counts.n_rows:
        raise UsageError(
            f"loss={loss!r} needs the labels' counts, and there is no training data whose labels could be counted; "
            f"give data with a column 'labels', or the loss itself: loss={cls.__name__}(support=...)."
        )
    return {"support": counts.support}


def _refuse(is_given: Any, what: str, instead: str) -> None:
    if is_given:
        raise UsageError(f"{what}, and the loss is your own; {instead}.")
