"""Runs of the demo that are made ill on purpose, each in one way, and what the monitor says of them.

    python -m benchmarks.failure_modes [--cases CASE ...]

Prints Markdown: for each case how it was made, the evaluation at which the ailment was first told and in what words,
and which other kinds of findings there were. docs/troubleshooting.md holds its output. Takes about ten minutes on two
cores.
"""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import datasets
import numpy as np
import torch
import transformers
from transformers import set_seed

from imbalance_trainer import ImbalanceTrainingArguments, WeightedFocalTrainer
from imbalance_trainer.data.demo import DEMO_TRAINING, demo_data, demo_model
from imbalance_trainer.monitor.diagnose import Finding, Settings, diagnose
from imbalance_trainer.monitor.messages import warning_message
from imbalance_trainer.training.callbacks import RareLabelCallback
from imbalance_trainer.utils.console import as_text
from imbalance_trainer.utils.errors import NonFiniteLossError

RAREST, RARE, COMMON = "anti-democratic rhetoric", "ideologically motivated threats", "insults"


@dataclass(frozen=True)
class Case:
    """A way to make a run ill.

    Args:
        how: in words.
        options: changed training arguments.
        rows: changes of the rows of each split, (labels, schema) -> labels.
        keep: training rows that are left.
    """

    how: str
    options: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Callable[[np.ndarray, Any], np.ndarray]] = field(default_factory=dict)
    keep: int | None = None


def without(name: str) -> Callable[[np.ndarray, Any], np.ndarray]:
    """No positive of a label."""
    return lambda labels, schema: np.where(np.arange(len(schema)) == schema.index(name), 0, labels)


def unknown(name: str) -> Callable[[np.ndarray, Any], np.ndarray]:
    """A label that is not known in any row."""
    return lambda labels, schema: np.where(np.arange(len(schema)) == schema.index(name), -100, labels)


def shuffled(name: str) -> Callable[[np.ndarray, Any], np.ndarray]:
    """A label that has nothing to do with its texts."""

    def change(labels: np.ndarray, schema: Any) -> np.ndarray:
        labels = labels.copy()
        labels[:, schema.index(name)] = np.random.default_rng(0).permutation(labels[:, schema.index(name)])
        return labels

    return change


CASES = {
    "over_predicted": Case(
        "Weight 20 on labels that are common, and gamma 3.",
        {"class_weights": {COMMON: 20, "stereotypes": 20, "dehumanisation": 20}, "focal_gamma": 3.0},
    ),
    "learning_rate_too_high": Case("The learning rate times 100.", {"learning_rate": 0.2, "max_grad_norm": 1e9}),
    "nan": Case(
        "A learning rate of 1e30, without what would stop the run.",
        {"learning_rate": 1e30, "max_grad_norm": 0.0, "logging_nan_inf_filter": False},
    ),
    "oscillating_loss": Case(
        "A learning rate times 10, batches of 2 rows.",
        {"learning_rate": 0.02, "per_device_train_batch_size": 2, "logging_steps": 1, "warmup_steps": 0},
        keep=100,
    ),
    "undertrained": Case(
        "A pretrained encoder's learning rate for one that starts from nothing.", {"learning_rate": 2e-5}
    ),
    "overfitting": Case(
        "400 training rows, 80 epochs at a learning rate that stays high.",
        {"num_train_epochs": 80, "lr_scheduler_type": "constant", "eval_steps": 104, "logging_steps": 26},
        keep=400,
    ),
    "plateau": Case(
        "Evaluations that go on after the learning rate has come near 0.", {"num_train_epochs": 6, "eval_steps": 78}
    ),
    "threshold_too_high": Case(
        "No weights and no focal term, for 3 epochs.",
        {"class_weights": None, "focal_gamma": 0.0, "num_train_epochs": 3},
    ),
    "held_down_by_parent": Case(
        "Gold labels of 'hateful', the parent of all others, that have nothing to do with the training texts.",
        {"constraint": "none"},
        {"train": shuffled("hateful")},
    ),
    "not_learned": Case(
        f"Gold labels of {RARE!r} that have nothing to do with the texts.",
        {"class_weights": {RARE: 1}},
        {"train": shuffled(RARE)},
    ),
    "at_the_cap": Case("The same, at weight 20.", {"class_weights": {RARE: 20}}, {"train": shuffled(RARE)}),
    "no_positives_in_training": Case(f"No row of {RAREST!r} in the training data.", {}, {"train": without(RAREST)}),
    "no_positives_here": Case(f"No row of {RAREST!r} in the validation data.", {}, {"validation": without(RAREST)}),
    "unknown_here": Case(f"{RAREST!r} masked in the validation data.", {}, {"validation": unknown(RAREST)}),
    "too_few_to_tell": Case(
        "The first 1,000 rows of the validation data, weights of 1.", {"class_weights": None, "eval_rows": 1000}
    ),
    "healthy": Case("Nothing: the demo as it is."),
}


def run(case: Case) -> tuple[list[dict[str, Any]], Any]:
    """The evaluations of a run, and the settings that the monitor knows."""
    set_seed(42)
    data = demo_data()
    model, tokenizer = demo_model(data.schema)
    splits = data.splits
    if case.keep is not None:
        splits["train"] = splits["train"].select(range(case.keep))
    options = {**DEMO_TRAINING, "eval_steps": 313, "logging_steps": 50, **case.options}
    splits["validation"] = splits["validation"].select(range(options.pop("eval_rows", 2000)))
    for split, change in case.rows.items():
        labels = change(np.array(splits[split]["labels"]), data.schema)
        splits[split] = splits[split].remove_columns("labels").add_column("labels", labels.tolist())
    splits = splits.map(lambda rows: tokenizer(rows["text"], truncation=True), batched=True, remove_columns=["text"])
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        args = ImbalanceTrainingArguments(
            output_dir=folder, eval_strategy="steps", save_strategy="no", disable_tqdm=True,
            **{"weight_strategy": "tiered", **options},
        )  # fmt: skip
        trainer = WeightedFocalTrainer(
            model, args, train_dataset=splits["train"], eval_dataset=splits["validation"], processing_class=tokenizer,
            label_schema=data.schema, head_start="none",
            head_learning_rate=args.learning_rate,
        )  # fmt: skip
        if case is CASES["nan"] and trainer.imbalance is not None:
            stack.enter_context(mock.patch.object(trainer.imbalance.guard, "check"))
        with contextlib.suppress(NonFiniteLossError):
            trainer.train()
        (callback,) = (c for c in trainer.callback_handler.callbacks if isinstance(c, RareLabelCallback))
        return callback.history, Settings.from_run(callback._run_info(args, None))


def told(history: list[dict[str, Any]], settings: Any) -> list[list[Finding]]:
    """What is found at each evaluation."""
    return [diagnose(history[: i + 1], settings) for i in range(len(history))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    for name in parser.parse_args().cases:
        history, settings = run(CASES[name])
        found = told(history, settings)
        at = next((i for i, findings in enumerate(found) if any(f.kind == name for f in findings)), None)
        others = dict.fromkeys(f"{f.kind} ({f.severity})" for findings in found for f in findings if f.kind != name)
        print(f"### {name}\n\n{CASES[name].how}")
        if at is not None:
            mine = [finding for finding in found[at] if finding.kind == name]
            print(f"Told at evaluation {at + 1} of {len(history)}:\n\n```")
            print(as_text(*warning_message(mine, settings)).strip() + "\n```")
        elif name != "healthy":
            print(f"NOT TOLD in {len(history)} evaluations.")
        print(f"\nBeside it: {', '.join(others) or 'nothing'}.\n", flush=True)


if __name__ == "__main__":
    main()
