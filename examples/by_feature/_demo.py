"""What the examples of this folder share: flags that make a run smaller, and the embedded demo, ready to train on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

from imbalance_trainer import LabelSchema
from imbalance_trainer.cli.models import tokenized
from imbalance_trainer.cli.parser import FlagParser
from imbalance_trainer.data.demo import DEMO_TRAINING, demo_data, demo_model


@dataclass
class DemoFlags:
    """How much of the demo is taken."""

    rows: int = field(default=10_000, metadata={"help": "Rows of each split at most."})


@dataclass
class Demo:
    """The demo's splits, tokenized, and a small encoder with random weights."""

    schema: LabelSchema
    train: Dataset
    validation: Dataset
    test: Dataset
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def inputs(self) -> dict[str, Any]:
        """What every trainer of the demo is given: rows, tokenizer and labels."""
        return {
            "train_dataset": self.train,
            "eval_dataset": self.validation,
            "processing_class": self.tokenizer,
            "label_schema": self.schema,
        }


def parse(file: str, doc: str, flags: Sequence[str], kind: type = TrainingArguments, **defaults: Any) -> Any:
    """Rows to take, and training arguments: what suits the demo, then an example's defaults, then flags.

    Options of ours are no flags here, so that what an example shows stands where it makes its trainer.
    """
    few = {"num_train_epochs": 3, "eval_strategy": "epoch", "logging_strategy": "epoch", "save_strategy": "no"}
    folder = {"output_dir": f"runs/{Path(file).stem}"}
    wanted, args = FlagParser((DemoFlags, kind), doc).parse(flags, {**DEMO_TRAINING, **few, **folder, **defaults})
    return wanted.rows, args


def load_demo(rows: int) -> Demo:
    """The demo with the first `rows` of each split, which are in random order."""
    disable_progress_bars()  # of tokenizing, which takes a second
    data = demo_data()
    model, tokenizer = demo_model(data.schema)
    few = {name: split.select(range(min(rows, len(split)))) for name, split in data.splits.items()}
    splits = tokenized(few, tokenizer, tokenizer.model_max_length)
    return Demo(data.schema, **splits, model=model, tokenizer=tokenizer)
