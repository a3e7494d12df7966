# What the package offers: __init__.py looks here for the home of a name that is used, type checkers for its type.

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

__version__: str
