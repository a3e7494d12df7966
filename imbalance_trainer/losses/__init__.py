"""Losses: each in a small file of its own, all with one reduction convention (see `reduction`)."""

from ..labels import MULTI_LABEL, SINGLE_LABEL
from .asymmetric import AsymmetricLoss, asymmetric_loss
from .base import Loss
from .custom import UserLoss
from .focal import WeightedFocalLoss, checked_gamma, weighted_focal_loss
from .plain import WeightedBCELoss, WeightedCELoss
from .registry import LOSSES, make_loss

__all__ = [
    "LOSSES",
    "MULTI_LABEL",
    "SINGLE_LABEL",
    "AsymmetricLoss",
    "Loss",
    "UserLoss",
    "WeightedBCELoss",
    "WeightedCELoss",
    "WeightedFocalLoss",
    "asymmetric_loss",
    "checked_gamma",
    "make_loss",
    "weighted_focal_loss",
]
