"""Before training: how often each label occurs, what weight it will get and why, and what to set.

    python examples/analyze_class_distribution.py --data_dir my_data
    python examples/analyze_class_distribution.py --data_dir my_data --custom_weights '{"rare label": 15}'
    python examples/analyze_class_distribution.py                     # the demo's data

The same as `imbalance-trainer analyze`, with a picture saved as class_distribution.png; --plot none for no picture.
"""

from collections.abc import Sequence

from imbalance_trainer.cli.analyze import main as analyze
from imbalance_trainer.cli.parser import run


def main(flags: Sequence[str]) -> dict:
    has_plot = any(flag == "--plot" or flag.startswith("--plot=") for flag in flags)
    return analyze(flags if has_plot else [*flags, "--plot", "class_distribution.png"])


if __name__ == "__main__":
    run(main)
