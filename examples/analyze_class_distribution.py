"""Before training: how often each label occurs, what weight it will get and why, and which rows break an implication.

    python examples/analyze_class_distribution.py --data_dir my_data
    python examples/analyze_class_distribution.py --data_dir my_data --custom_weights '{"rare label": 15}'
    python examples/analyze_class_distribution.py                     # the demo's data

Prints a table, rarest label first, and saves a picture. Counts are those of the training split, as in training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from imbalance_trainer import LabelDistribution, compute_class_weights
from imbalance_trainer.analysis import analysis_table
from imbalance_trainer.cli import FlagParser, print_notes, run, value_of
from imbalance_trainer.data.options import DataOptions
from imbalance_trainer.demo import demo_data
from imbalance_trainer.plots import plot_distribution
from imbalance_trainer.training_args import ImbalanceOptions
from imbalance_trainer.weights import merge_custom_weights


@dataclass
class AnalyzeArguments(DataOptions):
    """What to look at (without data, the demo's), and where the picture goes."""

    custom_weights: str | None = field(default=None, metadata={"help": "JSON (or a JSON file) of weights by label."})
    plot: str = field(
        default="class_distribution.png", metadata={"help": "The picture to write; none for no picture."}
    )
    max_rows: int | None = field(default=None, metadata={"help": "Labels in the table; all of them if not given."})
    config: str | None = field(default=None, metadata={"help": "YAML file with values for any of these flags."})


def main(flags: Sequence[str]) -> None:
    parser = FlagParser((AnalyzeArguments, ImbalanceOptions), description=__doc__.splitlines()[0])
    args, options = parser.parse(flags)
    options = options.checked()
    args.check()
    data = args.load(options.label_schema) if args.is_given else demo_data()
    print_notes(data.remarks)

    distribution = LabelDistribution.from_dataset(data.splits["train"], data.schema)
    weights = compute_class_weights(
        distribution,
        merge_custom_weights(options.class_weights, args.custom_weights, data.schema),
        options.weight_strategy,
        options.max_weight,
        options.effective_number_beta,
    )
    print(analysis_table(distribution, weights, args.max_rows))
    if value_of("plot", flags) is None and find_spec("matplotlib") is None:
        print("\nNo picture: pip install matplotlib to have one.")
    elif args.plot.lower() != "none":
        print(f"\nPicture: {plot_distribution(distribution, weights, options.focal_gamma, args.plot)}")


if __name__ == "__main__":
    run(main)
