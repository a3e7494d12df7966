"""Make rare labels learn: a drop-in replacement for transformers.Trainer for imbalanced classification.

Names are imported when they are first used, so that the losses, weights and metrics need no transformers.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "LabelSchema": "labels",
    "LabelDistribution": "distribution",
    "compute_class_weights": "weights",
    "cap_weights": "weights",
    "weighted_focal_loss": "losses",
    "WeightedFocalLoss": "losses",
    "LOSSES": "losses",
    "close_decisions": "decisions",
    "apply_thresholds": "decisions",
    "tune_thresholds": "thresholds",
    "ImbalanceMetrics": "metrics",
    "RepeatFactorSampler": "sampling",
    "ClassAwareSampler": "sampling",
    "ImbalanceTrainingArguments": "training_args",
    "WeightedFocalTrainer": "trainer",
    "RareLabelCallback": "callbacks",
    "ImbalanceTextClassificationPipeline": "pipeline",
    "load_labelled_dataset": "data",
}

__all__ = [*_HOME, "__version__"]

if TYPE_CHECKING:
    from .callbacks import RareLabelCallback as RareLabelCallback
    from .data import load_labelled_dataset as load_labelled_dataset
    from .decisions import apply_thresholds as apply_thresholds
    from .decisions import close_decisions as close_decisions
    from .distribution import LabelDistribution as LabelDistribution
    from .labels import LabelSchema as LabelSchema
    from .losses import LOSSES as LOSSES
    from .losses import WeightedFocalLoss as WeightedFocalLoss
    from .losses import weighted_focal_loss as weighted_focal_loss
    from .metrics import ImbalanceMetrics as ImbalanceMetrics
    from .pipeline import ImbalanceTextClassificationPipeline as ImbalanceTextClassificationPipeline
    from .sampling import ClassAwareSampler as ClassAwareSampler
    from .sampling import RepeatFactorSampler as RepeatFactorSampler
    from .thresholds import tune_thresholds as tune_thresholds
    from .trainer import WeightedFocalTrainer as WeightedFocalTrainer
    from .training_args import ImbalanceTrainingArguments as ImbalanceTrainingArguments
    from .weights import cap_weights as cap_weights
    from .weights import compute_class_weights as compute_class_weights


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
