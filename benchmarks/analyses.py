"""What `imbalance-trainer analyze` finds in several data sets, as a table of Markdown.

python -m benchmarks.analyses --data_dir edos goemotions nlupp cooking
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imbalance_trainer import load_labelled_dataset
from imbalance_trainer.analysis.analyze import Analysis, analyze, recommend_for
from imbalance_trainer.analysis.counts import count_splits
from imbalance_trainer.analysis.recommend import FEW, HALF_WIDTH, positives_for
from imbalance_trainer.cli.parser import FlagParser, run
from imbalance_trainer.utils.text import compact_number, markdown_table

HEADER = (
    "data", "labels", "rows", "commonest : rarest", "MeanIR", f"under {FEW} positives", "recall known to ±0.15",
    "shifted", "best model by", "thresholds", "epochs",
)  # fmt: skip


@dataclass
class Arguments:
    """Which data sets."""

    data_dir: list[str] = field(metadata={"help": "Folders of data."})


def main(flags: Sequence[str]) -> None:
    (args,) = FlagParser((Arguments,), description=__doc__.splitlines()[0]).parse(flags)
    rows = []
    for folder in args.data_dir:
        data = load_labelled_dataset(folder)
        splits = count_splits(data)
        rows.append(row_of(analyze(data, Path(folder).name, splits, recommend_for(data, splits))))
    print("\n".join(markdown_table(HEADER, rows)))


def row_of(analysis: Analysis) -> list[str]:
    """What stands in the table of a data set."""
    counts, found = analysis.counts.labels, analysis.recommendation
    present = counts.support[counts.support > 0]
    known = int((found.validation_support >= positives_for(HALF_WIDTH)).sum())
    shifted = {int(i) for shift in analysis.shifts.values() for i in shift.differs}
    return [
        analysis.name,
        str(len(counts.schema)),
        f"{counts.n_rows:,}",
        f"{compact_number(present.max() / present.min())}",
        compact_number(analysis.counts.labels.mean_ir),
        str(int((counts.support < FEW).sum())),
        str(known),
        str(len(shifted)),
        f"`{found.value('metric_for_best_model')}`",
        {"all": "one for all", "label": "per label"}.get(found.value("thresholds_per"), "0.5"),
        str(found.value("num_train_epochs") or 3),
    ]


if __name__ == "__main__":
    run(lambda _: main(sys.argv[1:]))
