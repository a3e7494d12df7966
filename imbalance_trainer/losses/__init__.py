"""Losses: each in a small file of its own, all with one reduction convention (see `reduction`)."""

from ..utils.constants import MULTI_LABEL, SINGLE_LABEL
from .asymmetric import AsymmetricLoss, asymmetric_loss
from .balanced_softmax import BalancedSoftmaxLoss, balanced_softmax_loss
from .base import Loss
from .cb_ntr import CBNTRLoss, cb_ntr_loss
from .class_balanced import ClassBalancedLoss, class_balanced_loss
from .custom import UserLoss
from .distribution_balanced import DistributionBalancedLoss, distribution_balanced_loss
from .focal import WeightedFocalLoss, checked_gamma, weighted_focal_loss
from .hill import HillLoss, hill_loss
from .ldam import LDAMLoss, ldam_loss
from .logit_adjusted import LogitAdjustedLoss, logit_adjusted_loss
from .negative_tolerant import NegativeTolerantLoss, negative_tolerant_loss
from .plain import WeightedBCELoss, WeightedCELoss
from .registry import LOSSES, make_loss
from .two_way import TwoWayLoss, two_way_loss
from .zlpr import ZLPRLoss, zlpr_loss

__all__ = [
    "LOSSES",
    "MULTI_LABEL",
    "SINGLE_LABEL",
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
    "asymmetric_loss",
    "balanced_softmax_loss",
    "cb_ntr_loss",
    "checked_gamma",
    "class_balanced_loss",
    "distribution_balanced_loss",
    "hill_loss",
    "ldam_loss",
    "logit_adjusted_loss",
    "make_loss",
    "negative_tolerant_loss",
    "two_way_loss",
    "weighted_focal_loss",
    "zlpr_loss",
]
