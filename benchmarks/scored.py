"""Scores of a model trained on real data, kept in a file: what thresholds and calibration are measured on.

A data folder is as examples/train_model.py takes it, with train, validation and test; the encoder is a hub name or a
folder. Each seed draws its own head, order of rows and dropout.
"""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, set_seed

from imbalance_trainer import ImbalanceTrainingArguments, LabelSchema, WeightedFocalTrainer, load_labelled_dataset
from imbalance_trainer.training.callbacks import RareLabelCallback

EPOCHS = {"nlupp": 30}
"""Passes over the training data where 3 are too few, by the folder's name."""


@dataclass(frozen=True)
class Scored:
    """Logits and labels, (rows, labels) each, of the validation and of the test split."""

    schema: LabelSchema
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def scored(data_dir: str, model: str, seed: int, cache: str, layers: int = 3, max_rows: int = 20_000) -> Scored:
    """The scores of a seed, from the cache if they lie there.

    Args:
        data_dir: the data.
        model: the encoder, of which `layers` layers are used.
        seed: of the head, the order of rows and dropout.
        cache: folder where scores are kept.
        layers: layers of the encoder.
        max_rows: training rows; of more, this many drawn by seed.
    """
    name = Path(data_dir).name
    file = Path(cache) / f"{name}-{seed}.npz"
    if not file.exists():
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            parts = _train(data_dir, model, seed, layers, max_rows, EPOCHS.get(name, 3))
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part.npz")
        np.savez(unfinished, **parts)
        unfinished.replace(file)
    with np.load(file) as kept:
        schema = load_labelled_dataset(data_dir).schema
        validation, test = ((kept[f"{split}_logits"], kept[f"{split}_labels"]) for split in ("validation", "test"))
    return Scored(schema, validation, test)


def _train(data_dir: str, model: str, seed: int, layers: int, max_rows: int, epochs: int) -> dict[str, np.ndarray]:
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    set_seed(seed)
    data = load_labelled_dataset(data_dir)
    config = AutoConfig.from_pretrained(model, num_labels=len(data.schema), num_hidden_layers=layers)
    tokenizer = AutoTokenizer.from_pretrained(model)
    net = AutoModelForSequenceClassification.from_pretrained(model, config=config)
    splits = data.splits
    if len(splits["train"]) > max_rows:
        splits["train"] = splits["train"].shuffle(seed=seed).select(range(max_rows))
    splits = splits.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=64), batched=True, remove_columns=["text"]
    )
    with tempfile.TemporaryDirectory() as folder:
        args = ImbalanceTrainingArguments(
            output_dir=folder, seed=seed, num_train_epochs=epochs, learning_rate=2e-4, per_device_train_batch_size=32,
            per_device_eval_batch_size=64, warmup_steps=0.1, save_strategy="no", logging_strategy="no",
            disable_tqdm=True, dataloader_pin_memory=False, train_sampling_strategy="group_by_length",
        )  # fmt: skip
        trainer = WeightedFocalTrainer(
            net,
            args,
            train_dataset=splits["train"],
            processing_class=tokenizer,
            label_schema=data.schema,
            init_head_bias=False,
            head_learning_rate=2e-4,
            weight_strategy="tiered",
        )
        trainer.remove_callback(RareLabelCallback)
        trainer.train()
        parts = {}
        for split in ("validation", "test"):
            output = trainer.predict(splits[split])
            parts[f"{split}_logits"], parts[f"{split}_labels"] = output.predictions, output.label_ids.astype(np.int8)
    return parts
