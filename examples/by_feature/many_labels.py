"""131,000 labels on one machine: rows list their classes, and nothing larger than a batch is ever multi-hot.

    accelerate launch examples/by_feature/many_labels.py --n_labels 131000

Data and features are made up: each row is the sum of its labels' vectors with noise, labels are as rare as in real
catalogues (Zipf). What matters here is how it is done, and that it fits: the peak of memory is printed at the end.
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from torch import nn

from imbalance_trainer import ImbalanceTrainingArguments, WeightedFocalTrainer
from imbalance_trainer.cli.parser import FlagParser, run

WIDTH, LABELS_PER_ROW = 64, 5


@dataclass
class ManyLabels:
    """What is made up."""

    n_labels: int = field(default=131_000, metadata={"help": "How many labels."})
    n_rows: int = field(default=8_000, metadata={"help": "Rows of training; an eighth of it for evaluation."})


class Head(nn.Module):
    """Features in, a logit for each label out; with a real encoder it would stand in front."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(WIDTH, n_labels)

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits, as models of transformers give them."""
        return {"logits": self.classifier(features)}


def made_up(n_rows: int, names: list[str], seed: int) -> Dataset:
    """Rows of a few labels each. The feature List(ClassLabel) says that they are lists of classes."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(0).standard_normal((len(names), WIDTH)).astype(np.float32)
    labels = np.minimum(rng.zipf(1.3, (n_rows, LABELS_PER_ROW)), len(names)) - 1
    features = directions[labels].sum(1) + 0.1 * rng.standard_normal((n_rows, WIDTH)).astype(np.float32)
    rows = {"features": features, "labels": [np.unique(row).tolist() for row in labels]}
    kinds = Features({"features": List(Value("float32"), length=WIDTH), "labels": List(ClassLabel(names=names))})
    return Dataset.from_dict(rows, features=kinds)


DEFAULTS = {"output_dir": "runs/many_labels", "learning_rate": 0.01, "per_device_train_batch_size": 32,
            "per_device_eval_batch_size": 64, "num_train_epochs": 2, "save_strategy": "no"}  # fmt: skip


def main(flags: Sequence[str]) -> None:
    """Train, evaluate, and say what it took."""
    parser = FlagParser((ManyLabels, ImbalanceTrainingArguments), __doc__)
    wanted, args = parser.parse(flags, DEFAULTS)
    names = [f"label {i}" for i in range(wanted.n_labels)]
    trainer = WeightedFocalTrainer(
        Head(wanted.n_labels),
        args,
        train_dataset=made_up(wanted.n_rows, names, seed=1),
        eval_dataset=made_up(wanted.n_rows // 8, names, seed=2),
    )
    trainer.train()
    metrics = trainer.evaluate()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{wanted.n_labels:,} labels, f1_micro {metrics['eval_f1_micro']:.3f}, peak of memory {peak:.2f} GiB")


if __name__ == "__main__":
    run(main)
