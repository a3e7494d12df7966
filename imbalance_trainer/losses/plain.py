"""The plain losses: binary cross-entropy and cross-entropy, with class weights and our reduction convention."""

from typing import Any

from ..utils.constants import MULTI_LABEL, SINGLE_LABEL
from .focal import WeightedFocalLoss


class WeightedBCELoss(WeightedFocalLoss):
    """Binary cross-entropy for multi-label problems: the focal loss with gamma 0, so that each entry counts alike.

    Without class weights it is torch's BCEWithLogitsLoss, bit for bit. Shapes and errors: `weighted_focal_loss`.
    """

    problem_types = (MULTI_LABEL,)

    def __init__(self, class_weights: Any = None, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(class_weights, 0.0, reduction, label_smoothing)


class WeightedCELoss(WeightedFocalLoss):
    """Cross-entropy for single-label problems: the focal loss with gamma 0.

    Without class weights it is torch's CrossEntropyLoss, bit for bit. With weights the mean is over rows, not over the
    sum of their weights as in torch: only so is an update the same however its batch is cut up.
    """

    problem_types = (SINGLE_LABEL,)

    def __init__(self, class_weights: Any = None, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(class_weights, 0.0, reduction, label_smoothing)
