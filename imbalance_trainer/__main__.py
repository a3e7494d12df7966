"""The command line: `imbalance-trainer COMMAND --flags`, or `python -m imbalance_trainer COMMAND --flags`."""

import importlib
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from .utils.errors import did_you_mean

COMMANDS = {
    "analyze": "before training: how rare each label is, what it will weigh, and what to set, with the reasons",
    "find": "texts that may have a rare label, on a sheet for a person; its answers as data",
    "audit": "labels that are probably wrong or missing, on such a sheet; its answers in the data",
    "train": "fine-tune an encoder, and see what happens to each label",
    "compare": "which loss and weights suit your data, and whether any beats stock",
    "tune": "a threshold for each label of a saved model, stored in its config",
    "evaluate": "a saved model on labelled data: metrics, and its worst errors",
    "predict": "which labels texts have, by the model's thresholds and its labels' rules",
    "report": "one HTML file about a run: what is wrong with which label, and what to change",
    "export": "a copy of a model whose head has its thresholds baked in, for servers that decide at 0.5",
}
"""The commands, each with a line of help. `cli/NAME.py` has its `make_parser()` and `main(flags)`, which gives a
result for --json, and is imported only when it is asked for."""

_PRINTS_JSON = ("predict",)  # by itself, a line for each text

_ENDING = """
COMMAND --help shows its flags and examples. With --json the result is printed as
JSON, and everything else to stderr. Exit codes: 0 ok, 1 disk full or the like,
2 usage, 3 data, 4 a loss that is NaN, 130 interrupted."""


def main() -> None:
    """Run the command that the arguments name."""
    name, flags = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if name in ("--help", "-h"):
        print("usage: imbalance-trainer COMMAND [--help] [--flags]\n")
        print("\n".join(f"  {command:12}{what}" for command, what in COMMANDS.items()))
        print(_ENDING)
        return
    if name == "--version":
        print(importlib.import_module(__package__).__version__)
        return
    if name not in COMMANDS:
        print(f"error: Unknown command {name!r}: {did_you_mean(name, COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    from .cli.parser import run

    command = importlib.import_module(f".cli.{name}", __package__)
    goes_on = getattr(command, "GOES_ON", "")
    if "--json" in flags:
        flags = [flag for flag in flags if flag != "--json"]
        if name not in _PRINTS_JSON:
            run(lambda _: _print_result(command, flags), goes_on)
            return
    run(lambda _: command.main(flags), goes_on)


def _print_result(command: Any, flags: Sequence[str]) -> None:
    """Run a command and print what it gives as JSON, what it prints to stderr."""
    from .utils.files import as_json

    with redirect_stdout(sys.stderr):
        result = command.main(flags)
    print(as_json(result))


if __name__ == "__main__":
    main()
