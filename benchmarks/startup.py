"""How long a user waits for us: imports, `--help`, data, and the labels of a file of texts.

    python -m benchmarks startup

Each in a new process, by turns, medians of wall time.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from datasets import load_dataset

from imbalance_trainer import load_labelled_dataset
from imbalance_trainer.data.demo import demo_data, demo_model

from .measuring import Ratio, by_turns, made_up_labels, ms, multi_hot_column


def process(*arguments: str) -> Callable[[], object]:
    """A new Python process."""
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def import_ratios(quick: bool) -> list[Ratio]:
    """Imports and --help."""
    calls = {
        "ours": process("-c", "from imbalance_trainer import WeightedFocalTrainer"),
        "theirs": process("-c", "from transformers import Trainer"),
        "help": process("-m", "imbalance_trainer", "--help"),
    }
    times = by_turns(calls, 1 if quick else 7)
    beside = "from transformers import Trainer"
    return [
        Ratio("import WeightedFocalTrainer", beside, times["ours"] / times["theirs"], 1.1, ours=ms(times["ours"])),
        Ratio("imbalance-trainer --help", "one second", times["help"], 1.0, ours=ms(times["help"])),
    ]


def loading_ratios(quick: bool) -> list[Ratio]:
    """A CSV with a column per label, and parquet, against datasets' own reader, each with a fresh cache."""
    n = 20_000 if quick else 200_000
    labels = made_up_labels(n, 28)
    texts = [f"text number {i} with some words that are not all the same {i * 7919 % 1009}" for i in range(n)]
    found: list[Ratio] = []
    with tempfile.TemporaryDirectory() as folder:
        csv, parquet = Path(folder) / "train.csv", Path(folder) / "train.parquet"
        columns = {"text": texts, **{f"label_{i}": labels[:, i].astype(np.int64) for i in range(28)}}
        pa.csv.write_csv(pa.table(columns), csv)
        pq.write_table(pa.table({"text": texts, "labels": multi_hot_column(labels)}), parquet)
        for name, path in (("csv", csv), ("parquet", parquet)):
            turn = iter(range(1_000))

            def theirs(name: str = name, path: Path = path, turn: object = turn) -> object:
                return load_dataset(name, data_files=str(path), cache_dir=f"{folder}/{name}{next(turn)}")

            names = [f"label_{i}" for i in range(28)]
            ours = lambda p=path, names=names: load_labelled_dataset(p, label_info={"names": names})  # noqa: E731
            times = by_turns({"ours": ours, "theirs": theirs}, 2 if quick else 3)
            ratio, word = times["ours"] / times["theirs"], f"load_labelled_dataset, {n:,} rows x 28 of {name}"
            found.append(Ratio(word, "load_dataset, nothing decided or checked", ratio, 5.0, ours=ms(times["ours"])))
    return found


PIPELINE = """
import sys
from transformers import pipeline
classify = pipeline("text-classification", sys.argv[1], top_k=None, function_to_apply="sigmoid")
texts = open(sys.argv[2]).read().splitlines()
print(sum(len(labels) for labels in classify(texts, batch_size=32, truncation=True)))
"""


def prediction_ratios(quick: bool) -> list[Ratio]:
    """`imbalance-trainer predict` of a file of texts against a script with transformers' pipeline, from the start."""
    n, data = 500 if quick else 10_000, demo_data()
    model, tokenizer = demo_model(data.schema)
    model.config.problem_type = "multi_label_classification"
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        file, out = str(Path(folder) / "texts.txt"), str(Path(folder) / "out.jsonl")
        Path(file).write_text("\n".join((2 * data.splits["train"]["text"][:])[:n]) + "\n")
        command = ("predict", "--model_dir", folder, "--file", file, "--output_file", out)
        calls = {"ours": process("-m", "imbalance_trainer", *command), "theirs": process("-c", PIPELINE, folder, file)}
        times = by_turns(calls, 1 if quick else 3)
    word = f"predict, {n:,} texts, the demo's small model"
    return [Ratio(word, "pipeline() of transformers", times["ours"] / times["theirs"], 1.1, ours=ms(times["ours"]))]


def ratios(quick: bool) -> list[Ratio]:
    """All of this part."""
    datasets.disable_progress_bars()
    return [*import_ratios(quick), *loading_ratios(quick), *prediction_ratios(quick)]
