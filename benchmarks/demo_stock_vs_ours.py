"""The demo with the stock Trainer and with WeightedFocalTrainer: same data, model, steps and seeds; on the test split.

    python -m benchmarks.demo_stock_vs_ours [--seeds 1 2 3] [--picture docs/pictures/recall_by_epoch.png]

Each seed makes its own data, initial weights and order of rows. Decisions at 0.5. Takes about 4 minutes on two cores.
The picture is of the first seed: the recall of each label on the validation split after each epoch.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
from pathlib import Path

import datasets
import numpy as np
import transformers
from datasets import List, Value
from transformers import Trainer

from imbalance_trainer import ImbalanceMetrics, ImbalanceTrainingArguments, LabelDistribution, WeightedFocalTrainer
from imbalance_trainer.data.demo import DEMO_OPTIONS, DEMO_TRAINING, SECONDARY_LABELS, demo_data, demo_model
from imbalance_trainer.training.callbacks import RareLabelCallback

RAREST = list(SECONDARY_LABELS)[:-4:-1]
METHODS = ("stock Trainer", "WeightedFocalTrainer")


def run(method: str, seed: int, folder: str) -> tuple[dict[str, float], np.ndarray]:
    """Metrics on test, and the recall of each label on validation after each epoch, (labels, epochs)."""
    data = demo_data(seed)
    model, tokenizer = demo_model(data.schema, seed)
    splits = data.splits.map(
        lambda rows: tokenizer(rows["text"], truncation=True), batched=True, remove_columns=["text"]
    )
    args = ImbalanceTrainingArguments(
        output_dir=folder,
        seed=seed,
        save_strategy="no",
        eval_strategy="epoch",
        logging_strategy="no",
        disable_tqdm=True,
        **DEMO_TRAINING,
    )
    if method == "stock Trainer":
        model.config.problem_type = "multi_label_classification"
        splits = splits.cast_column("labels", List(Value("float32")))  # integers would stop it with a RuntimeError
        trainer = Trainer(
            model, args, train_dataset=splits["train"], eval_dataset=splits["validation"],
            processing_class=tokenizer, compute_metrics=ImbalanceMetrics(data.schema),
        )  # fmt: skip
    else:
        trainer = WeightedFocalTrainer(
            model, args, train_dataset=splits["train"], eval_dataset=splits["validation"],
            processing_class=tokenizer, label_schema=data.schema, **DEMO_OPTIONS,
        )  # fmt: skip
        trainer.remove_callback(RareLabelCallback)
    trainer.train()
    epochs = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    recall = np.array([[entry[f"eval_recall_{slug}"] for entry in epochs] for slug in data.schema.slugs])
    metrics = trainer.predict(splits["test"]).metrics
    return {name.removeprefix("test_"): value for name, value in metrics.items()}, recall


def draw(recalls: dict[str, np.ndarray], path: str) -> None:
    """The recall of each label after each epoch, a panel for each method, the rarest label on top."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    data = demo_data(1)
    support = LabelDistribution.from_dataset(data.splits["train"], data.schema).support
    order = np.argsort(support, kind="stable")
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 4.4), sharey=True, layout="constrained")
    for panel, method in zip(panels, METHODS, strict=True):
        recall = recalls[method][order]
        shown = panel.imshow(recall, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(recall):
            colour = "white" if value < 0.6 else "black"
            panel.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
        panel.set(title=method, xlabel="epoch", xticks=range(recall.shape[1]))
        panel.set_xticklabels(range(1, recall.shape[1] + 1))
        panel.tick_params(length=0)
    panels[0].set_yticks(range(len(order)), [f"{data.schema.names[i]} ({support[i]:,.0f})" for i in order])
    figure.colorbar(shown, ax=panels, label="recall on validation", shrink=0.9)
    figure.suptitle("Recall of each label (rows that have it in training), after each epoch", fontsize=11)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--picture", help="PNG to write; needs matplotlib")
    flags = parser.parse_args()
    seeds = flags.seeds
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    results: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    recalls: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            for method in METHODS:
                with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                    metrics, recall = run(method, seed, folder)
                results[method].append(metrics)
                recalls.setdefault(method, recall)
    if flags.picture:
        draw(recalls, flags.picture)
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
