"""Losses, one small file each."""

from .asymmetric import AsymmetricLoss
from .base import Loss
from .class_balanced import ClassBalancedLoss
from .custom import UserLoss
from .distribution_balanced import DistributionBalancedLoss
from .focal import WeightedBCELoss, WeightedCELoss, WeightedFocalLoss, checked_gamma, weighted_focal_loss
from .hill import HillLoss
from .ldam import LDAMLoss
from .logit_adjusted import BalancedSoftmaxLoss, LogitAdjustedLoss
from .negative_tolerant import CBNTRLoss, NegativeTolerantLoss
from .registry import LOSSES, make_loss
from .two_way import TwoWayLoss
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
    "TwoWayLoss",
    "UserLoss",
    "WeightedBCELoss",
    "WeightedCELoss",
    "WeightedFocalLoss",
    "ZLPRLoss",
    "checked_gamma",
    "make_loss",
    "weighted_focal_loss",
]
