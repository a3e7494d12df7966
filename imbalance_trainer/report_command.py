"""`imbalance-trainer report`: report.html of a run, or of one that is still running.

imbalance-trainer report runs/data
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .cli import FlagParser
from .report import write_report


@dataclass
class ReportArguments:
    """Where to write to."""

    output: str | None = field(default=None, metadata={"help": "File to write; else report.html in the run's folder."})


def main(flags: Sequence[str]) -> None:
    """Run the command."""
    parser = FlagParser((ReportArguments,), prog="imbalance-trainer report", description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", metavar="RUN_DIR", help="Output directory of a training.")
    args, others = parser.parse(flags)
    print(f"Wrote {write_report(others.run_dir, args.output)}: open it in a browser.")
