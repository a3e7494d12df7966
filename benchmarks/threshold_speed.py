"""Naive tuning of F1 thresholds against scikit-learn's precision_recall_curve of each label: time, F1, memory.

    python -m benchmarks.threshold_speed

In one process, by turns, medians of 15; scores with ties. Prints a table; the ratio is scikit-learn's time over ours.
"""

import statistics
import time
import tracemalloc
import warnings

import numpy as np
from sklearn.metrics import precision_recall_curve

from imbalance_trainer import tune_thresholds

SHAPES = ((100_000, 28), (20_000, 1_000))
REPEATS = {28: 15, 1_000: 3}


def made_up(n_rows: int, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random((n_rows, n_labels)) < np.geomspace(0.3, 0.002, n_labels)).astype(np.int8)
    logits = rng.normal(size=labels.shape) + 2 * labels - 3
    return np.round(logits, 3).astype(np.float32), labels


def ours(scores: np.ndarray, labels: np.ndarray, **more: float) -> np.ndarray:
    return tune_thresholds(scores, labels, from_logits=True, **{"smoothing": 0, "shrinkage": 0, **more}).f1


def theirs(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    best = []
    for column, gold in zip(scores.T, labels.T, strict=True):
        precision, recall, _ = precision_recall_curve(gold, column)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
        best.append(f1.max())
    return np.array(best)


def main() -> None:
    warnings.filterwarnings("ignore")
    print("| rows x labels | precision_recall_curve | naive | ratio | ours | with 200 resamples | F1 differs by | "
          "memory / scores |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for n_rows, n_labels in SHAPES:
        scores, labels = made_up(n_rows, n_labels)
        calls = {
            "theirs": lambda s=scores, y=labels: theirs(s, y),
            "naive": lambda s=scores, y=labels: ours(s, y),
            "ours": lambda s=scores, y=labels: ours(s, y, smoothing=None, shrinkage=None),
            "resampled": lambda s=scores, y=labels: ours(s, y, smoothing=None, shrinkage=None, n_bootstrap=200),
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        results = {}
        for turn in range(REPEATS[n_labels] + 1):  # the first is a warm-up
            for name, call in calls.items():
                if name == "resampled" and turn > 2:
                    continue
                start = time.perf_counter()
                results[name] = call()
                if turn:
                    times[name].append(time.perf_counter() - start)
        tracemalloc.start()
        ours(scores, labels)
        memory = tracemalloc.get_traced_memory()[1] / scores.nbytes
        tracemalloc.stop()
        medians = {name: statistics.median(values) for name, values in times.items()}
        difference = np.abs(results["theirs"] - results["naive"]).max()
        print(f"| {n_rows:,} x {n_labels:,} | {medians['theirs'] * 1e3:.0f} ms | {medians['naive'] * 1e3:.0f} ms | "
              f"{medians['theirs'] / medians['naive']:.1f} | {medians['ours'] * 1e3:.0f} ms | "
              f"{medians['resampled']:.1f} s | {difference:.0e} | {memory:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
