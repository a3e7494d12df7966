"""Losses, one small file each."""

from .asymmetric import AsymmetricLoss
from .base import Loss, checked_gamma
from .custom import UserLoss
from .focal import WeightedBCELoss, WeightedCELoss, WeightedFocalLoss, weighted_focal_loss
from .logit_adjusted import LogitAdjustedLoss
from .registry import LOSSES, make_loss

__all__ = [
    "LOSSES",
    "AsymmetricLoss",
    "LogitAdjustedLoss",
    "Loss",
    "UserLoss",
    "WeightedBCELoss",
    "WeightedCELoss",
    "WeightedFocalLoss",
    "checked_gamma",
    "make_loss",
    "weighted_focal_loss",
]
