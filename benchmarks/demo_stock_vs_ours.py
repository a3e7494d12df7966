"""The demo with the stock Trainer and with WeightedFocalTrainer: same data, model, steps and seeds; on the test split.

    python -m benchmarks.demo_stock_vs_ours [--seeds 1 2 3]

Each seed makes its own data, initial weights and order of rows. Decisions at 0.5. Takes about 4 minutes on two cores.
"""

import argparse
import contextlib
import os
import statistics
import tempfile

import datasets
import transformers
from datasets import List, Value
from transformers import Trainer

from imbalance_trainer import ImbalanceMetrics, ImbalanceTrainingArguments, WeightedFocalTrainer
from imbalance_trainer.callbacks import RareLabelCallback
from imbalance_trainer.demo import DEMO_OPTIONS, DEMO_TRAINING, SECONDARY_LABELS, demo_data, demo_model

RAREST = list(SECONDARY_LABELS)[:-4:-1]
METHODS = ("stock Trainer", "WeightedFocalTrainer")


def run(method: str, seed: int, folder: str) -> dict[str, float]:
    data = demo_data(seed)
    model, tokenizer = demo_model(data.schema, seed)
    splits = data.splits.map(
        lambda rows: tokenizer(rows["text"], truncation=True), batched=True, remove_columns=["text"]
    )
    args = ImbalanceTrainingArguments(
        output_dir=folder,
        seed=seed,
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        **DEMO_TRAINING,
    )
    if method == "stock Trainer":
        model.config.problem_type = "multi_label_classification"
        splits = splits.cast_column("labels", List(Value("float32")))  # integers would stop it with a RuntimeError
        trainer = Trainer(
            model, args, train_dataset=splits["train"], processing_class=tokenizer,
            compute_metrics=ImbalanceMetrics(data.schema),
        )  # fmt: skip
    else:
        trainer = WeightedFocalTrainer(
            model, args, train_dataset=splits["train"], processing_class=tokenizer, label_schema=data.schema,
            **DEMO_OPTIONS,
        )  # fmt: skip
        trainer.remove_callback(RareLabelCallback)
    trainer.train()
    metrics = trainer.predict(splits["test"]).metrics
    return {name.removeprefix("test_"): value for name, value in metrics.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    seeds = parser.parse_args().seeds
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    results: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            for method in METHODS:
                with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                    results[method].append(run(method, seed, folder))
    slugs = [demo_data(1).schema.slugs[demo_data(1).schema.index(name)] for name in RAREST]
    rows = {"secondary_f1_macro": "secondary_f1_macro", "mean average precision": "mean_average_precision"}
    rows |= {f"recall of {name!r}": f"recall_{slug}" for name, slug in zip(RAREST, slugs, strict=True)}
    rows |= {"labels at zero recall, of 11": "n_labels_without_recall"}
    print(f"Demo, test split, mean ± standard deviation over seeds {', '.join(map(str, seeds))}\n")
    print(f"| | {' | '.join(METHODS)} |\n|---|---|---|")
    for title, key in rows.items():
        cells = [cell([result[key] for result in results[method]]) for method in METHODS]
        print(f"| {title} | {' | '.join(cells)} |")


def cell(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {spread:.2f}"


if __name__ == "__main__":
    main()
