"""Adaptive class weights against fixed ones, on test: the same features, head, order of rows and evaluations.

    python -m benchmarks.adaptive --data_dir DIR [DIR ...] --model_name_or_path ENCODER [--seeds 1 2 3]

The texts are encoded once (mean of the encoder's last layer, which stays as it is); each run trains a head of two
layers on them, with an evaluation per epoch on the validation data, and ends with thresholds tuned there. Features lie
in --cache. Prints a table.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset
from torch import nn
from transformers import AutoModel, AutoTokenizer, set_seed

from imbalance_trainer import ImbalanceTrainingArguments, WeightedFocalTrainer, load_labelled_dataset

ARMS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "adaptive_weights": {"adaptive_weights": True},
    "adaptive_weights, adaptive_gamma": {"adaptive_weights": True, "adaptive_gamma": True},
}
MAX_ROWS, EPOCHS, BATCH, HIDDEN = 20_000, 12, 64, 256
COLUMNS = {
    "secondary_f1_macro": 3,
    "f1_macro": 3,
    "f1_micro": 3,
    "secondary_precision": 3,
    "n_labels_without_recall": 1,
}


class Head(nn.Module):
    """Two layers on top of features, (rows, 384) in, (rows, labels) out."""

    def __init__(self, width: int, n_labels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, HIDDEN), nn.GELU(), nn.Dropout(0.2), nn.Linear(HIDDEN, n_labels))

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits, as models of transformers give them."""
        return {"logits": self.layers(features)}


@torch.no_grad()
def encoded(data_dir: str, model: str, cache: Path) -> tuple[Any, dict[str, Dataset]]:
    """The schema, and for each split features and labels, from the cache if they lie there."""
    data, splits = load_labelled_dataset(data_dir), {}
    encoder = tokenizer = None
    for split, rows in data.splits.items():
        rows = rows.select(range(min(MAX_ROWS, len(rows))))
        file = cache / f"{Path(data_dir).name}-{split}.npy"
        if not file.exists():
            if encoder is None:
                encoder, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
            order = np.argsort([len(text) for text in rows["text"]])
            features = np.empty((len(rows), encoder.config.hidden_size), dtype=np.float32)
            for start in range(0, len(order), 64):
                part = order[start : start + 64]
                texts = [rows[int(i)]["text"] for i in part]
                inputs = tokenizer(texts, truncation=True, max_length=64, padding=True, return_tensors="pt")
                mask = inputs["attention_mask"][..., None]
                features[part] = ((encoder(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)).numpy()
            np.save(file, features)
        labels = np.array(rows["labels"], dtype=np.float32)
        splits[split] = Dataset.from_dict({"features": np.load(file), "labels": labels}).with_format("torch")
    return data.schema, splits


def run(schema: Any, splits: dict[str, Dataset], seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Test metrics at 0.5 and tuned, and which weights moved."""
    set_seed(seed)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        args = ImbalanceTrainingArguments(
            output_dir=folder, seed=seed, num_train_epochs=EPOCHS, learning_rate=1e-3,
            per_device_train_batch_size=BATCH, per_device_eval_batch_size=1024, eval_strategy="epoch",
            save_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
            **{"weight_strategy": "tiered", **options},
        )  # fmt: skip
        with contextlib.redirect_stdout(nowhere):
            trainer = WeightedFocalTrainer(
                Head(splits["train"]["features"][0].numel(), len(schema)), args, train_dataset=splits["train"],
                eval_dataset=splits["validation"], label_schema=schema,
            )  # fmt: skip
            trainer.train()
            asked, final = trainer.asked_weights.as_dict(), trainer.class_weights.as_dict()
            at_half = trainer.predict(splits["test"]).metrics
            trainer.tune_thresholds(n_bootstrap=0)
            tuned = trainer.predict(splits["test"]).metrics
    moved = {name: [asked[name], final[name]] for name in asked if asked[name] != final[name]}
    return {"at_half": at_half, "tuned": tuned, "moved": moved, "gamma": trainer.options.focal_gamma}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", nargs="+", required=True)
    parser.add_argument("--model_name_or_path", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cache", default="runs/features")
    flags = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    cache = Path(flags.cache)
    cache.mkdir(parents=True, exist_ok=True)
    for data_dir in flags.data_dir:
        schema, splits = encoded(data_dir, flags.model_name_or_path, cache)
        results = {arm: [run(schema, splits, seed, options) for seed in flags.seeds] for arm, options in ARMS.items()}
        print(f"\n{Path(data_dir).name}, seeds {flags.seeds}, test: mean ± standard deviation\n")
        print(f"| weights | decided at | {' | '.join(COLUMNS)} | weights moved | gamma |")
        print(f"|---|---|{'---|' * (len(COLUMNS) + 2)}")
        for arm, of_seeds in results.items():
            for when, name in (("at_half", "0.5"), ("tuned", "tuned")):
                cells = [_cell([r[when][f"test_{c}"] for r in of_seeds], digits) for c, digits in COLUMNS.items()]
                moved = _cell([len(result["moved"]) for result in of_seeds], 1)
                gamma = _cell([result["gamma"] for result in of_seeds], 1)
                print(f"| {arm} | {name} | {' | '.join(cells)} | {moved} | {gamma} |", flush=True)


def _cell(values: list[float], digits: int) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


if __name__ == "__main__":
    main()
