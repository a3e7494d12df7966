"""`imbalance-trainer report`: report.html of a run, or of one that is still running.

    imbalance-trainer report runs/data

It is one file, report.html in the run's folder if --output names no other, and needs nothing else to be looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..monitor.run_record import read_run
from ..reports.report import diagnosed, write_report
from ..utils.flags import option
from .parser import FlagParser


@dataclass
class ReportArguments:
    """Where to write to."""

    output: str | None = option(None, help="File to write; else report.html in the run's folder.")


def make_parser() -> FlagParser:
    """The flags."""
    parser = FlagParser(ReportArguments, __doc__)
    parser.add_argument("run_dir", metavar="RUN_DIR", help="Output directory of a training.")
    return parser


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; where the report is, and the findings."""
    given = make_parser().given(flags)
    path = write_report(given["run_dir"], given.get("output"))
    print(f"Wrote {path}: open it in a browser.")
    findings = [
        {name: getattr(finding, name) for name in ("kind", "label", "severity", "evidence", "advice", "evaluations")}
        for finding in diagnosed(read_run(given["run_dir"]))
    ]
    return {"run": given["run_dir"], "report": str(path), "findings": findings}
