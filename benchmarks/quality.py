"""What the trainer is worth on real data: stock, the focal override that people copy, losses and the default, on test.

    python -m benchmarks.quality --data_root DIR --model_name_or_path ENCODER [--sets goemotions edos nlupp cooking]
        [--methods default asymmetric] [--seeds 1 2 3] [--size full|small|frozen] [--out benchmarks/results/quality]

Each set is a comparison (`imbalance_trainer.comparison`): the same rows, steps, batches and learning rates for all
methods; of the learning rates each method takes the one that is best for it on validation. Runs are kept under --out,
and a killed one goes on there. The encoder has 3 layers, its word embeddings stay as they are (two thirds
of its parameters, and half of a step's time on a CPU), and it computes in bf16: the same for all. Prints tables.
`python -m benchmarks.quality --tables` prints the tables of docs/losses.md from what lies under --out.
With --size frozen the texts are encoded once, and heads of two layers are trained: minutes, not hours.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AutoConfig, Trainer

from imbalance_trainer import load_labelled_dataset
from imbalance_trainer.cli.models import load_encoder, tokenized
from imbalance_trainer.comparison.runs import STOCK, Method, Record, read_methods
from imbalance_trainer.comparison.training import FeatureHead, Setting, compare, encoded
from imbalance_trainer.utils.console import as_text
from imbalance_trainer.utils.files import write_json

SETS = {"goemotions": (20_000, 2), "edos": (None, 3), "nlupp": (None, 10), "cooking": (None, 3)}
SMALL = {"goemotions": (6_000, 2), "edos": (4_000, 3), "nlupp": (None, 6), "cooking": (4_000, 3)}
"""Rows of training (None: all of them) and epochs."""

RATES = {"full": (2e-4, 5e-4, 1e-3), "small": (2e-4, 5e-4), "frozen": (1e-3, 3e-3)}
"""Stock gets the best of these, by validation. With fine-tuning every other method gets the first alone."""
FROZEN_ROWS, FROZEN_BATCH, FROZEN_EPOCHS = 20_000, 64, 12
BATCH, MAX_LENGTH, LAYERS = 32, 64, 3


class NaiveFocalTrainer(Trainer):
    """The override that people copy: gamma 2, the mean over everything, no weights."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """The mean of (1 - p_t)^2 times the binary cross-entropy."""
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        entropy = F.binary_cross_entropy_with_logits(outputs.logits, labels, reduction="none")
        loss = ((1 - torch.exp(-entropy)) ** 2 * entropy).mean()
        return (loss, outputs) if return_outputs else loss


OWN: dict[str, Method] = {
    "naive_focal": Method("naive_focal", None, NaiveFocalTrainer),
    "seed_note": Method(
        "seed_note",
        {
            "loss": "focal",
            "focal_gamma": 2.0,
            "weight_strategy": "tiered",
            "constraint": "none",
            "init_head_bias": False,
            "head_learning_rate": RATES["full"][0],
        },
    ),
    "asymmetric_unweighted": Method("asymmetric_unweighted", {"loss": "asymmetric", "class_weights": None}),
    "bce": Method("bce", {"loss": "bce", "class_weights": None, "constraint": "none"}),
    "tiered": Method("tiered", {"weight_strategy": "tiered"}),
    "unweighted": Method("unweighted", {"class_weights": None}),
    "slow_head": Method("slow_head", {"head_learning_rate": RATES["full"][0]}),
    "zero_start": Method("zero_start", {"init_head_bias": False}),
}
"""Methods beside those of the registry: the seed note's loss as people write it, stock's with the head's start and
rate, and the default with one thing taken from it."""


def setting_of(data_dir: Path, model: str, size: str, cache: Path) -> Setting:
    """Rows, steps and a fresh model of a set."""
    if size == "frozen":
        return frozen_setting(data_dir, model, cache)
    name = data_dir.name
    n_rows, epochs = (SETS if size == "full" else SMALL)[name]
    data = load_labelled_dataset(data_dir)
    splits = dict(data.splits)
    if n_rows is not None:
        splits["train"] = splits["train"].shuffle(seed=0).select(range(n_rows)).flatten_indices()
    overrides = f"num_hidden_layers={LAYERS}"
    _, tokenizer = load_encoder(model, overrides, data.schema, data.problem_type)
    made = tokenized(splits, tokenizer, MAX_LENGTH)

    def load() -> Any:
        fresh, _ = load_encoder(model, overrides, data.schema, data.problem_type)
        fresh.get_input_embeddings().weight.requires_grad_(False)
        return fresh

    steps = int(-(-len(made["train"]) // BATCH) * epochs)
    arguments = {"bf16": True, "train_sampling_strategy": "group_by_length"}
    return Setting(made, data.schema, data.problem_type, load, steps, BATCH, 128, tokenizer, arguments)


def frozen_setting(data_dir: Path, model: str, cache: Path) -> Setting:
    """The same for heads on features of the whole encoder's last layer."""
    data = load_labelled_dataset(data_dir)
    encoder, tokenizer = load_encoder(model)
    splits = {
        split: rows.shuffle(seed=0).select(range(min(FROZEN_ROWS, len(rows)))) for split, rows in data.splits.items()
    }
    made = {split: encoded(rows, encoder, tokenizer, MAX_LENGTH, cache) for split, rows in splits.items()}
    width, n_labels = encoder.config.hidden_size, len(data.schema)
    steps = -(-len(made["train"]) // FROZEN_BATCH) * FROZEN_EPOCHS
    load = lambda: FeatureHead(width, n_labels, data.problem_type)  # noqa: E731
    return Setting(made, data.schema, data.problem_type, load, steps, FROZEN_BATCH, 1024)


def settings_of(name: str, size: str, setting: Setting, model: str) -> dict[str, Any]:
    """What all runs of a set have in common."""
    config = AutoConfig.from_pretrained(model)
    layers = config.num_hidden_layers if size == "frozen" else LAYERS
    encoder = f"{config.model_type}, {layers} layers, {config.hidden_size} wide"
    rows = {split: len(part) for split, part in setting.splits.items()}
    return {"set": name, "size": size, "encoder": encoder, "rows": rows, "steps": setting.steps,
            "batch_size": setting.batch_size, "max_length": MAX_LENGTH}  # fmt: skip


def methods_of(names: Sequence[str], problem_type: str) -> list[Method]:
    """The stock Trainer and the methods of these names."""
    known = dict.fromkeys(["default", *(name for name in names if name not in OWN)])
    return [*read_methods(list(known), None, problem_type), *(OWN[name] for name in names if name in OWN)]


def tables(folder: Path) -> str:
    """Markdown of the comparisons in a folder: a row a method, a column a set, and the mean where none is missing."""
    found = {path.parent.name: json.loads(path.read_text())["methods"] for path in folder.glob("*/comparison.json")}
    found = {name: found[name] for name in SETS if name in found}
    methods = list(dict.fromkeys(method for of_set in found.values() for method in of_set))
    seeds = {len(of_set[method]["seeds"]) for of_set in found.values() for method in of_set}
    lines = [f"Seeds: {min(seeds)}" + (f" to {max(seeds)}" if len(seeds) > 1 else "") + " for each method and set."]
    for title, when, value in (
        ("Macro F1 on test at 0.5", "at_half", "f1_macro"),
        ("Macro F1 on test at tuned thresholds", "tuned", "f1_macro"),
        ("Labels never found, at 0.5", "at_half", "zero_recall"),
        ("Labels never found, tuned", "tuned", "zero_recall"),
        ("Mean average precision", None, "mean_average_precision"),
    ):
        lines += ["", f"| {title} | {' | '.join(found)} | mean |", "|---|" + "---|" * (len(found) + 1)]
        digits = 1 if value == "zero_recall" else 3
        for method in methods:
            runs = [of_set[method]["runs"] if method in of_set else [] for of_set in found.values()]
            values = [[_value(run, when, value) for run in of_set] for of_set in runs]
            mean = f"{statistics.fmean(map(statistics.fmean, values)):.{digits}f}" if all(values) else ""
            lines.append(f"| {method} | {' | '.join(_cell(v, digits) for v in values)} | {mean} |")
    return "\n".join(lines)


def _value(run: dict[str, Any], when: str | None, name: str) -> float:
    return (run if when is None else run[when])[name]


def _cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_root", type=Path)
    parser.add_argument("--model_name_or_path")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--methods", nargs="+", default=["default", "asymmetric", "seed_note", "naive_focal"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rates", type=float, nargs="+")
    parser.add_argument("--size", choices=tuple(RATES), default="full")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"), help="Where features lie.")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/quality"))
    parser.add_argument("--tables", action="store_true", help="Train nothing; print what lies under --out.")
    flags = parser.parse_args()
    if flags.tables:
        print(
            "\n\n".join(f"### {size}\n\n{tables(flags.out / size)}" for size in RATES if (flags.out / size).exists())
        )
        return
    rates = flags.rates or RATES[flags.size]
    if flags.size != "frozen" and not flags.rates:
        rates = {STOCK: rates, **dict.fromkeys(flags.methods, rates[:1])}
    for name in flags.sets:
        setting = setting_of(flags.data_root / name, flags.model_name_or_path, flags.size, flags.cache)
        folder = flags.out / flags.size / name
        record = Record(folder, settings_of(name, flags.size, setting, flags.model_name_or_path))
        methods = methods_of(flags.methods, setting.problem_type)
        summary = compare(setting, methods, rates, flags.seeds, record, lambda words: print(words, flush=True))
        write_json(folder / "comparison.json", summary.as_dict())
        print(f"\n{name}\n\n{as_text(*summary.message(), summary.verdict())}\n", flush=True)
    print(tables(flags.out / flags.size))


if __name__ == "__main__":
    main()
