"""Counting labels: against a Python loop, Dataset.map and the time that reading the same bytes takes; from a parquet
file against pyarrow's own read; and the memory of a stream.

    python -m benchmarks.counting
    python -m benchmarks.counting --rows 1000000

In one process, by turns, medians of the time that passes. The
loop and Dataset.map are measured on a part of the rows and scaled. Files lie in a temporary folder, which is removed:
at 1e7 rows about 30 MB.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from imbalance_trainer import LabelDistribution, LabelSchema
from imbalance_trainer.data.stream import iter_labels

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
        elif kind == "id lists":
            for i in row["labels"]:
                counts[i] += 1
        else:
            counts[row["labels"]] += 1
    return counts


def lists_loop(part: Dataset, kind: str) -> list[int]:
    """The same on Python lists, which Arrow makes of the whole column at once: the fastest loop."""
    counts = [0] * N_LABELS
    for labels in part.data.column("labels").to_pylist():
        if kind == "multi-hot":
            for i, value in enumerate(labels):
                counts[i] += value
        elif kind == "id lists":
            for i in labels:
                counts[i] += 1
        else:
            counts[labels] += 1
    return counts


def mapped(part: Dataset, kind: str) -> None:
    counts = np.zeros(N_LABELS, np.int64)

    def add(batch: dict) -> None:
        labels = batch["labels"]
        if kind == "multi-hot":
            counts[:] += np.sum(labels, 0)
        else:
            labels = np.concatenate(labels).astype(int) if kind == "id lists" else labels
            counts[:] += np.bincount(labels, minlength=N_LABELS)

    part.map(add, batched=True, load_from_cache_file=False)


def in_memory(kind: str, labels: np.ndarray) -> Dataset:
    n = len(labels)
    if kind == "multi-hot":
        column = multi_hot_column(labels)
    else:
        lengths = np.concatenate([part.sum(1) for part in np.array_split(labels, 100)])
        ids = np.concatenate([np.nonzero(part)[1] for part in np.array_split(labels, 100)])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        column = pa.ListArray.from_arrays(offsets, pa.array(ids)) if kind == "id lists" else pa.array(ids[:n])
    return Dataset(pa.table({"labels": column}))


def in_memory_times(labels: np.ndarray, kind: str, repeats: int) -> dict[str, float]:
    """Seconds of ours and of reading the bytes, and of loop, lists and map as they would be on all rows."""
    n, dataset = len(labels), in_memory(kind, labels)
    chunk = dataset.data.column("labels").chunk(0)
    values = (chunk.flatten() if pa.types.is_list(chunk.type) else chunk).to_numpy().view(np.uint8)
    values = values[: len(values) // 8 * 8].view(np.uint64)
    is_lists = kind == "id lists"

    def ours(data: Dataset = dataset) -> LabelDistribution:
        return LabelDistribution.from_dataset(data, SCHEMA, indices=is_lists)

    part = dataset.select(range(min(PART, n)))
    assert ours(part).support.tolist() == loop(part, kind) == lists_loop(part, kind)
    fast = by_turns({"ours": ours, "floor": values.sum}, repeats)
    slow = {
        "loop": lambda: loop(part, kind),
        "lists": lambda: lists_loop(part, kind),
        "map": lambda: mapped(part, kind),
    }
    scaled = {name: t * n / len(part) for name, t in by_turns(slow, 3).items()}
    return {**fast, **scaled}


def in_memory_table(labels: np.ndarray, repeats: int) -> None:
    n = len(labels)
    print(
        f"\n{n:,} rows, {N_LABELS} labels, a datasets.Dataset in memory\n\n"
        "| labels | time | rows a second | reading the bytes | ratio to it | loop over the dataset / ours | "
        "loop over lists / ours | Dataset.map / ours |\n|---|---|---|---|---|---|---|---|"
    )
    for kind in ("multi-hot", "id lists", "class indices"):
        times = in_memory_times(labels, kind, repeats)
        ours, floor = times["ours"], times["floor"]
        print(
            f"| {kind} | {ours * 1e3:.0f} ms | {n / ours:.1e} | {floor * 1e3:.0f} ms | {ours / floor:.1f} | "
            f"{times['loop'] / ours:,.0f} | {times['lists'] / ours:,.0f} | {times['map'] / ours:,.0f} |",
            flush=True,
        )


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


def options_table(labels: np.ndarray, repeats: int) -> None:
    print("\n| multi-hot, also counted | time / plain count |\n|---|---|")
    whole = in_memory("multi-hot", labels)
    written = [whole.data.table.slice(at, 1_000) for at in range(0, len(whole), 1_000)]
    pieces = Dataset(pa.concat_tables(written))
    calls = {
        "plain": lambda: LabelDistribution.from_dataset(whole, SCHEMA),
        "labels per row": lambda: LabelDistribution.from_dataset(whole, SCHEMA, labels_per_row=True),
        "labels per row and co-occurrence": lambda: LabelDistribution.from_dataset(
            whole, SCHEMA, labels_per_row=True, cooccurrence=True
        ),
        "nothing more, in pieces of 1,000 rows as datasets writes them": lambda: LabelDistribution.from_dataset(
            pieces, SCHEMA
        ),
    }
    times = by_turns(calls, repeats)
    for name in list(calls)[1:]:
        print(f"| {name} | {times[name] / times['plain']:.1f} |", flush=True)


PEAK = """
import sys
import pyarrow.parquet
from imbalance_trainer import LabelDistribution, LabelSchema
from imbalance_trainer.data.stream import iter_labels
def peak():  # in KiB; unlike ru_maxrss it does not begin with what the process that started this one had
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
def counts(path): return LabelDistribution.from_stream(iter_labels(path, "text", label_info=schema))
schema = LabelSchema([f"label {i}" for i in range(int(sys.argv[3]))])
if sys.argv[1] == "stream":
    counts(sys.argv[4])
    before = peak()
    counts(sys.argv[2])
else:
    pyarrow.parquet.ParquetFile(sys.argv[4]).read(columns=["labels"])
    before = peak()
    pyarrow.parquet.ParquetFile(sys.argv[2]).read(columns=["labels"])
print(peak() - before)
"""


def write_parquet(path: Path, labels: np.ndarray) -> None:
    writer = None
    for start in range(0, len(labels), 1_000_000):
        part = labels[start : start + 1_000_000]
        column = in_memory("multi-hot", part).data.column("labels")
        table = pa.table({"text": pa.nulls(len(part), pa.string()), "labels": column})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def files_table(labels: np.ndarray, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, small = Path(folder) / "large.parquet", Path(folder) / "small.parquet"
        write_parquet(path, labels)
        write_parquet(small, labels[:1_000])
        calls = {
            "ours": lambda: LabelDistribution.from_stream(iter_labels(path, "text", label_info=SCHEMA)),
            "read": lambda: pq.ParquetFile(path).read(columns=["labels"]),
        }
        times = by_turns(calls, repeats)
        memory = {}
        for what in ("stream", "read"):
            arguments = [sys.executable, "-c", PEAK, what, str(path), str(N_LABELS), str(small)]
            memory[what] = int(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout) / 2**10
        print(
            f"\n| parquet, {len(labels):,} x {N_LABELS}, {path.stat().st_size / 2**20:.0f} MiB | counted from it | "
            "pyarrow reads the column | ratio |\n|---|---|---|---|\n"
            f"| time | {times['ours']:.2f} s | {times['read']:.2f} s | {times['ours'] / times['read']:.2f} |\n"
            f"| memory more than for 1,000 rows | {memory['stream']:.0f} MiB | {memory['read']:.0f} MiB | "
            f"{memory['stream'] / max(memory['read'], 1):.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    datasets.disable_progress_bars()
    print(f"numpy {np.__version__}, pyarrow {pa.__version__}, datasets {datasets.__version__}, {platform.machine()}")
    labels = made_up_labels(args.rows, N_LABELS)
    in_memory_table(labels, args.repeats)
    options_table(labels, max(1, args.repeats // 5))
    files_table(labels, max(1, args.repeats // 5))


if __name__ == "__main__":
    main()
