"""The speed of everything that is on a hot path, against what one would take instead, and against the floor.

    python -m benchmarks                     # all parts, some minutes
    python -m benchmarks --quick             # small sizes, no memory, one process: about a minute
    python -m benchmarks --check             # exits with 1 where a ratio misses its target
    python -m benchmarks loss counting       # some parts

Other scripts in this folder measure quality, each by its own command.
"""

import argparse
import time
from importlib import import_module

from imbalance_trainer.utils.errors import did_you_mean

from .measuring import HEADER, Ratio, machine

PARTS = {
    "loss": "loss",
    "scoring": "scoring",
    "thresholds": "threshold_speed",
    "counting": "counting",
    "training": "training",
    "startup": "startup",
}
"""Part: module with a function ratios(quick)."""


def measure(parts: list[str], quick: bool) -> dict[str, list[Ratio]]:
    """The ratios of some parts; each part's table is printed when it is done."""
    found = {}
    for part in parts:
        start = time.perf_counter()
        found[part] = import_module(f".{PARTS[part]}", __package__).ratios(quick)
        print(f"\n{table(part, found[part])}\n\n{time.perf_counter() - start:.0f} s", flush=True)
    return found


def table(part: str, found: list[Ratio]) -> str:
    """A part as Markdown."""
    return "\n".join([f"## {part}", "", HEADER, *(ratio.row() for ratio in found)])


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--quick", action="store_true", help="small sizes, no memory, one process")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a target is missed")
    flags = parser.parse_args()
    for part in flags.parts:
        if part not in PARTS:
            parser.error(f"unknown part {part!r}: {did_you_mean(part, PARTS)}")
    print(machine())
    found = measure(flags.parts or list(PARTS), flags.quick)
    missed = [ratio for ratios in found.values() for ratio in ratios if not ratio.is_met and not ratio.why]
    for ratio in missed:
        print(f"missed: {ratio.case} beside {ratio.beside}: {ratio.value:.3g}, target {ratio.target:g}")
    return 1 if flags.check and missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
