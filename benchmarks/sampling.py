"""What a sampler makes of an epoch: how long it gets, and how often rows of the rarest label are drawn.

python -m benchmarks.sampling --data_dir DIR [DIR ...] [--max_repeats 10]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import datasets

from imbalance_trainer import RepeatFactorSampler, load_labelled_dataset
from imbalance_trainer.training.samplers import MAX_REPEATS


def row(name: str, sampler: RepeatFactorSampler) -> str:
    """A line of the table: threshold, length, repeats of the rarest label, labels that are drawn twice or more."""
    positives, repeats = sampler.positives, sampler.repeats_by_label
    support = dict(zip(positives.schema.names, positives.support.tolist(), strict=True))
    rarest = min(repeats, key=support.get)
    threshold = f"{sampler.threshold:g}"
    length = f"{len(sampler):,} ({len(sampler) / positives.n_rows:.2f} x)"
    often = f"{sum(times >= 2 for times in repeats.values())} of {len(repeats)}"
    cells = (name, f"{positives.n_rows:,}", threshold, length, f"{repeats[rarest]:.1f} (support {support[rarest]:,})")
    return f"| {' | '.join([*cells, f'{min(repeats.values()):.2f}', often])} |"


def table(folders: Sequence[Path], max_repeats: float) -> list[str]:
    """The sampler on each folder's training rows, with their defaults."""
    heads = ["data", "rows", "threshold", "rows of an epoch", "times the rarest label is drawn"]
    heads += ["the least drawn", "labels drawn twice or more"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for folder in folders:
        data = load_labelled_dataset(folder)
        sampler = RepeatFactorSampler(data.splits["train"], max_repeats=max_repeats, schema=data.schema)
        lines.append(row(folder.name, sampler))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", nargs="+", type=Path, required=True)
    parser.add_argument("--max_repeats", type=float, default=MAX_REPEATS)
    args = parser.parse_args()
    datasets.disable_progress_bars()
    print("\n".join(table(args.data_dir, args.max_repeats)))


if __name__ == "__main__":
    main()
