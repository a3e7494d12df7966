"""What the monitor costs in a training run of the demo's small encoder: with RareLabelCallback and without, by turns.

    python -m benchmarks.monitor_cost [--pairs 3]

Prints the share of a run's time that is spent in the callback's events (all it does: table, diagnosis, history,
curves, report), and the ratio of whole runs with it to runs without it, which the noise of a shared machine moves by
more.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from typing import Any

import datasets
import transformers
from transformers import set_seed

from imbalance_trainer import ImbalanceTrainingArguments, RareLabelCallback, WeightedFocalTrainer
from imbalance_trainer.data.demo import DEMO_TRAINING, demo_data, demo_model

EVENTS = ("on_train_begin", "on_evaluate", "on_save", "on_train_end")


class Timed(RareLabelCallback):
    """Adds up the seconds that its events take."""

    seconds = 0.0


def _timed(event: str) -> Any:
    def call(self: Timed, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = getattr(RareLabelCallback, event)(self, *args, **kwargs)
        self.seconds += time.perf_counter() - start
        return result

    return call


for name in EVENTS:
    setattr(Timed, name, _timed(name))


def run(splits: Any, data: Any, with_monitor: bool) -> tuple[float, float]:
    """Seconds of a training run of two epochs, and those in the callback."""
    set_seed(42)
    model, tokenizer = demo_model(data.schema)
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        args = ImbalanceTrainingArguments(
            output_dir=folder, eval_strategy="epoch", save_strategy="epoch", disable_tqdm=True,
            **{**DEMO_TRAINING, "num_train_epochs": 2},
        )  # fmt: skip
        monitor = Timed()
        trainer = WeightedFocalTrainer(
            model, args, train_dataset=splits["train"], eval_dataset=splits["validation"], processing_class=tokenizer,
            label_schema=data.schema, callbacks=[monitor],
        )  # fmt: skip
        if not with_monitor:
            trainer.remove_callback(monitor)
        start = time.perf_counter()
        trainer.train()
        return time.perf_counter() - start, monitor.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    pairs = parser.parse_args().pairs
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    data = demo_data()
    _, tokenizer = demo_model(data.schema)
    splits = data.splits.map(
        lambda rows: tokenizer(rows["text"], truncation=True), batched=True, remove_columns=["text"]
    )
    run(splits, data, True)  # a warm-up
    results = [(run(splits, data, True), run(splits, data, False)[0]) for _ in range(pairs)]
    shares = [seconds / whole for (whole, seconds), _ in results]
    ratios = [whole / without for (whole, _), without in results]
    print(f"{pairs} pairs of runs of {statistics.median(w for (w, _), _ in results):.1f} s with 2 evaluations")
    print(f"share of a run in the monitor: {statistics.median(shares):.2%} (largest {max(shares):.2%})")
    print(f"with / without: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
