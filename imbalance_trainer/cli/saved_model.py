"""A saved model and labelled data to score with it, as the commands `evaluate` and `tune` take them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..data.dataset import LabelledData
from ..data.demo import demo_data
from ..data.files import SPLITS
from ..data.options import DataOptions
from ..labels.schema import LabelSchema
from ..training.arguments import ImbalanceTrainingArguments
from ..training.trainer import WeightedFocalTrainer
from ..utils.constants import MULTI_LABEL
from ..utils.errors import DataError, UsageError, did_you_mean, quoted
from .parser import load_multi_label_model, print_notes


@dataclass
class SavedModelOptions(DataOptions):
    """The model, and the data (without any, the demo's)."""

    model_dir: str = field(kw_only=True, metadata={"help": "Folder of the saved model, such as runs/data."})
    label_schema: str | None = field(default=None, metadata={"help": "Path of a label_info.json with the names."})
    batch_size: int = field(default=64, metadata={"help": "Rows per device."})
    config: str | None = field(default=None, metadata={"help": "YAML file with values for any of these flags."})

    def check_split(self, split: str) -> None:
        """Raise a UsageError for flags that cannot be right."""
        self.check()
        if split not in SPLITS:
            raise UsageError(f"Unknown --split {split!r}: {did_you_mean(split, SPLITS)}")
        if self.batch_size < 1:
            raise UsageError(f"--batch_size must be at least 1; got {self.batch_size}.")


class SavedModel:
    """What a folder holds.

    Args:
        options: the flags.
    """

    def __init__(self, options: SavedModelOptions) -> None:
        self.options = options
        self.model, self.tokenizer = load_multi_label_model(options.model_dir)
        self.schema = LabelSchema.from_config(self.model.config)

    def data(self) -> LabelledData:
        """The data, its labels checked to be the model's; what was decided on loading is printed."""
        options = self.options
        data = options.load(options.label_schema) if options.is_given else demo_data()
        self._places_of_labels(data)
        print_notes(data.remarks)
        return data

    def tokens(self, data: LabelledData, split: str) -> Any:
        """A split's rows in tokens, cut at the length that was saved with the model, labels in the model's order."""
        places = self._places_of_labels(data)
        return data.splits[split].map(
            lambda batch: {
                **self.tokenizer(batch["text"], truncation=True),
                "labels": [[labels[i] for i in places] for labels in batch["labels"]],
            },
            batched=True,
            remove_columns=["text"],
            desc="Tokenizing",
        )

    def trainer(self, rows: Any, output_dir: str | Path) -> WeightedFocalTrainer:
        """A trainer that evaluates, its model deciding as it was saved."""
        args = ImbalanceTrainingArguments(
            output_dir=str(output_dir),
            per_device_eval_batch_size=self.options.batch_size,
            report_to="none",
            dataloader_pin_memory=torch.accelerator.is_available(),  # without one it only warns
        )
        return WeightedFocalTrainer(self.model, args, eval_dataset=rows, processing_class=self.tokenizer)

    def _places_of_labels(self, data: LabelledData) -> Sequence[int]:
        """Where the data has each of the model's labels; an error where it has not just these."""
        where, folder = self.options.source or "The demo's data", self.options.model_dir
        if data.problem_type != MULTI_LABEL:
            raise DataError(f"{where}: has one class a row, but the model in {folder} is multi-label.")
        names, wanted = data.schema.names, self.schema.names
        only = {
            "the data": [name for name in names if name not in wanted],
            "the model": [name for name in wanted if name not in names],
        }
        if any(only.values()):
            said = "; ".join(f"only {whose} has {quoted(those)}" for whose, those in only.items() if those)
            raise DataError(f"{where}: has other labels than the model in {folder}: {said}.")
        return [names.index(name) for name in wanted]
