"""Losses, one small file each."""

from .asymmetric import AsymmetricLoss
from .base import Loss
from .class_balanced import ClassBalancedLoss
from .custom import UserLoss
from .focal import WeightedBCELoss, WeightedCELoss, WeightedFocalLoss, checked_gamma, weighted_focal_loss
from .hill import HillLoss
from .logit_adjusted import BalancedSoftmaxLoss, LDAMLoss, LogitAdjustedLoss
from .negative_tolerant import CBNTRLoss, DistributionBalancedLoss, NegativeTolerantLoss
from .registry import LOSSES, make_loss
from .zlpr import ZLPRLoss

__all__ = [
    "LOSSES",
    "AsymmetricLoss",
    "BalancedSoftmaxLoss",
    "CBNTRLoss",
    "ClassBalancedLoss",
    "DistributionBalancedLoss",
    "HillLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "Loss",
    "NegativeTolerantLoss",
    "UserLoss",
    "WeightedBCELoss",
    "WeightedCELoss",
    "WeightedFocalLoss",
    "ZLPRLoss",
    "checked_gamma",
    "make_loss",
    "weighted_focal_loss",
]
