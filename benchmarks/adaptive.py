"""Adaptive class weights against fixed ones, on test: the same model, rows, order and evaluations.

    python -m benchmarks.adaptive --data_dir DIR [DIR ...] --model_name_or_path ENCODER [--seeds 1 2 3]

Each run (2 layers of the encoder, its embeddings frozen, 6,000 training rows at most, 3 epochs, 9 evaluations on 1,000
validation rows) ends with thresholds tuned on the validation data. Results lie in --cache; a second run only reads
them. Prints a table.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import datasets
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, set_seed

from imbalance_trainer import ImbalanceTrainingArguments, WeightedFocalTrainer, load_labelled_dataset
from imbalance_trainer.history import FILE_NAME

ARMS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "adaptive_weights": {"adaptive_weights": True},
    "adaptive_weights, adaptive_gamma": {"adaptive_weights": True, "adaptive_gamma": True},
}
MAX_TRAIN, MAX_VALIDATION, EPOCHS, EVALUATIONS, BATCH = 6_000, 1_000, 3, 9, 32
COLUMNS = {
    "secondary_f1_macro": 3,
    "f1_macro": 3,
    "f1_micro": 3,
    "secondary_precision": 3,
    "n_labels_without_recall": 1,
}


def run(data_dir: str, model: str, seed: int, arm: str, cache: Path) -> dict[str, Any]:
    """Test metrics at 0.5 and tuned, and how many weights moved, from the cache if they lie there."""
    file = cache / f"{Path(data_dir).name}-{seed}-{arm.replace(', ', '-')}.json"
    if not file.exists():
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            result = _train(data_dir, model, seed, ARMS[arm], file.with_suffix(".jsonl"))
        file.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def _train(data_dir: str, model: str, seed: int, options: dict[str, Any], history: Path) -> dict[str, Any]:
    set_seed(seed)
    data = load_labelled_dataset(data_dir)
    config = AutoConfig.from_pretrained(model, num_labels=len(data.schema), num_hidden_layers=2)
    tokenizer = AutoTokenizer.from_pretrained(model)
    net = AutoModelForSequenceClassification.from_pretrained(model, config=config)
    net.base_model.embeddings.requires_grad_(False)  # four in five parameters, and half of the time
    splits = data.splits
    for split, most in (("train", MAX_TRAIN), ("validation", MAX_VALIDATION)):
        splits[split] = splits[split].shuffle(seed=seed).select(range(min(most, len(splits[split]))))
    splits = splits.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=48), batched=True, remove_columns=["text"]
    )
    steps = len(splits["train"]) * EPOCHS // BATCH
    with tempfile.TemporaryDirectory() as folder:
        args = ImbalanceTrainingArguments(
            output_dir=folder, seed=seed, num_train_epochs=EPOCHS, learning_rate=3e-4, warmup_steps=0.1,
            per_device_train_batch_size=BATCH, per_device_eval_batch_size=128, save_strategy="no", logging_steps=20,
            eval_strategy="steps", eval_steps=steps // EVALUATIONS, disable_tqdm=True, dataloader_pin_memory=False,
            train_sampling_strategy="group_by_length", **options,
        )  # fmt: skip
        trainer = WeightedFocalTrainer(
            net, args, train_dataset=splits["train"], eval_dataset=splits["validation"], processing_class=tokenizer,
            label_schema=data.schema,
        )  # fmt: skip
        trainer.train()
        asked, final = trainer.asked_weights.as_dict(), trainer.class_weights.as_dict()
        at_half = trainer.predict(splits["test"]).metrics
        trainer.tune_thresholds(n_bootstrap=0)
        tuned = trainer.predict(splits["test"]).metrics
        shutil.copy(Path(folder) / FILE_NAME, history)
        moved = {name: [asked[name], final[name]] for name in asked if asked[name] != final[name]}
        return {"at_half": at_half, "tuned": tuned, "moved": moved, "gamma": trainer.options.focal_gamma}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", nargs="+", required=True)
    parser.add_argument("--model_name_or_path", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cache", default="runs/adaptive")
    flags = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    cache = Path(flags.cache)
    cache.mkdir(parents=True, exist_ok=True)
    for data_dir in flags.data_dir:
        results = {arm: [run(data_dir, flags.model_name_or_path, s, arm, cache) for s in flags.seeds] for arm in ARMS}
        print(f"\n{Path(data_dir).name}, seeds {flags.seeds}, test: mean ± standard deviation\n")
        print(
            f"| weights | decided at | {' | '.join(COLUMNS)} | weights moved |\n|---|---|{'---|' * (len(COLUMNS) + 1)}"
        )
        for arm, of_seeds in results.items():
            for when, name in (("at_half", "0.5"), ("tuned", "tuned")):
                cells = [_cell([r[when][f"test_{c}"] for r in of_seeds], digits) for c, digits in COLUMNS.items()]
                moved = _cell([len(result["moved"]) for result in of_seeds], 1)
                print(f"| {arm} | {name} | {' | '.join(cells)} | {moved} |", flush=True)


def _cell(values: list[float], digits: int) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


if __name__ == "__main__":
    main()
