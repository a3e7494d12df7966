"""Make rare labels learn: a drop-in replacement for transformers.Trainer for imbalanced classification.

Names are imported when they are first used, so that the losses, weights and metrics need no transformers.
"""

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

HOMES = {
    "LabelSchema": "labels.schema",
    "LabelDistribution": "labels.distribution",
    "compute_class_weights": "labels.class_weights",
    "cap_weights": "labels.class_weights",
    "weighted_focal_loss": "losses",
    "WeightedFocalLoss": "losses",
    "LOSSES": "losses",
    "enforce_hierarchy": "decisions.rule",
    "apply_thresholds": "decisions.rule",
    "tune_thresholds": "tuning.thresholds",
    "ImbalanceMetrics": "metrics.imbalance_metrics",
    "ImbalanceTrainingArguments": "training.arguments",
    "WeightedFocalTrainer": "training.trainer",
    "LayerHeadConfig": "training.layer_head",
    "LayerHeadForSequenceClassification": "training.layer_head",
    "RareLabelCallback": "training.callbacks",
    "imbalance_loss": "training.any_trainer",
    "start_head": "training.any_trainer",
    "set_head_rate": "training.any_trainer",
    "ImbalanceTextClassificationPipeline": "pipeline",
    "load_labelled_dataset": "data.dataset",
}

__all__ = [*HOMES, "__version__"]

if TYPE_CHECKING:
    from .data.dataset import load_labelled_dataset as load_labelled_dataset
    from .decisions.rule import apply_thresholds as apply_thresholds
    from .decisions.rule import enforce_hierarchy as enforce_hierarchy
    from .labels.class_weights import cap_weights as cap_weights
    from .labels.class_weights import compute_class_weights as compute_class_weights
    from .labels.distribution import LabelDistribution as LabelDistribution
    from .labels.schema import LabelSchema as LabelSchema
    from .losses import LOSSES as LOSSES
    from .losses import WeightedFocalLoss as WeightedFocalLoss
    from .losses import weighted_focal_loss as weighted_focal_loss
    from .metrics.imbalance_metrics import ImbalanceMetrics as ImbalanceMetrics
    from .pipeline import ImbalanceTextClassificationPipeline as ImbalanceTextClassificationPipeline
    from .training.any_trainer import imbalance_loss as imbalance_loss
    from .training.any_trainer import set_head_rate as set_head_rate
    from .training.any_trainer import start_head as start_head
    from .training.arguments import ImbalanceTrainingArguments as ImbalanceTrainingArguments
    from .training.callbacks import RareLabelCallback as RareLabelCallback
    from .training.layer_head import LayerHeadConfig as LayerHeadConfig
    from .training.layer_head import LayerHeadForSequenceClassification as LayerHeadForSequenceClassification
    from .training.trainer import WeightedFocalTrainer as WeightedFocalTrainer
    from .tuning.thresholds import tune_thresholds as tune_thresholds


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)


_AUTO = "transformers.models.auto.modeling_auto"


class _RegistersLayerHead:
    """Finder that registers the head over layers as soon as transformers' auto classes are imported."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
        if name != _AUTO:
            return None
        sys.meta_path.remove(cls)
        spec: Any = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def then_register(module: Any) -> None:
            execute(module)
            importlib.import_module(".training.layer_head", __name__)

        spec.loader.exec_module = then_register
        return spec


if _AUTO in sys.modules:
    importlib.import_module(".training.layer_head", __name__)
else:
    sys.meta_path.insert(0, _RegistersLayerHead)
