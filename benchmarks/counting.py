"""Counting labels: against a Python loop, Dataset.map and the time that reading the same bytes takes.

    python -m benchmarks counting

In one process, by turns, medians. The loop and Dataset.map are measured on a part of the rows and scaled.
"""

import datasets
import numpy as np
import pyarrow as pa
from datasets import Dataset

from imbalance_trainer import LabelDistribution, LabelSchema

from .measuring import Ratio, by_turns, made_up_labels, ms, multi_hot_column

N_LABELS = 28
SCHEMA = LabelSchema([f"label {i}" for i in range(N_LABELS)])
PART = 50_000  # rows of the loop and of Dataset.map


def loop(part: Dataset, kind: str) -> list[int]:
    """What one would write: each row of the dataset, each label of the row."""
    counts = [0] * N_LABELS
    for row in part:
        if kind == "multi-hot":
            for i, value in enumerate(row["labels"]):
                counts[i] += value
        else:
            for i in row["labels"]:
                counts[i] += 1
    return counts


def mapped(part: Dataset, kind: str) -> None:
    counts = np.zeros(N_LABELS, np.int64)

    def add(batch: dict) -> None:
        labels = batch["labels"]
        if kind == "multi-hot":
            counts[:] += np.sum(labels, 0)
        else:
            counts[:] += np.bincount(np.concatenate(labels).astype(int), minlength=N_LABELS)

    part.map(add, batched=True, load_from_cache_file=False)


def in_memory(kind: str, labels: np.ndarray) -> Dataset:
    if kind == "multi-hot":
        return Dataset(pa.table({"labels": multi_hot_column(labels)}))
    parts = np.array_split(labels, 100)
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([part.sum(1) for part in parts]))]).astype(np.int32)
    ids = np.concatenate([np.nonzero(part)[1] for part in parts])
    return Dataset(pa.table({"labels": pa.ListArray.from_arrays(offsets, pa.array(ids))}))


def in_memory_times(labels: np.ndarray, kind: str, repeats: int) -> dict[str, float]:
    """Seconds of ours and of reading the bytes, and of loop and map as they would be on all rows."""
    n, dataset = len(labels), in_memory(kind, labels)
    chunk = dataset.data.column("labels").chunk(0)
    values = chunk.flatten().to_numpy().view(np.uint8)
    values = values[: len(values) // 8 * 8].view(np.uint64)
    is_lists = kind == "id lists"

    def ours(data: Dataset = dataset) -> LabelDistribution:
        return LabelDistribution.from_dataset(data, SCHEMA, indices=is_lists)

    part = dataset.select(range(min(PART, n)))
    assert ours(part).support.tolist() == loop(part, kind)
    fast = by_turns({"ours": ours, "floor": values.sum}, repeats)
    slow = {"loop": lambda: loop(part, kind), "map": lambda: mapped(part, kind)}
    scaled = {name: t * n / len(part) for name, t in by_turns(slow, 3).items()}
    return {**fast, **scaled}


def ratios(quick: bool) -> list[Ratio]:
    """What `python -m benchmarks counting` holds against targets."""
    datasets.disable_progress_bars()
    labels, found = made_up_labels(1_000_000 if quick else 10_000_000, N_LABELS), []
    for kind in ("multi-hot", "id lists"):
        times = in_memory_times(labels, kind, 3 if quick else 15)
        ours, word = times["ours"], f"counting {kind}, {len(labels):,} x {N_LABELS}"
        found += [
            Ratio(word, "time of a Python loop / ours", times["loop"] / ours, 200, False, ms(ours)),
            Ratio(word, "time of Dataset.map / ours", times["map"] / ours, None, False, ms(ours)),
            Ratio(word, "reading the bytes", ours / times["floor"], None, ours=ms(ours)),
        ]
    return found
