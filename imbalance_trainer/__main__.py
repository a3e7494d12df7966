"""The command line: `imbalance-trainer COMMAND --flags`, or `python -m imbalance_trainer COMMAND --flags`."""

import importlib
import sys

from .errors import did_you_mean

COMMANDS = {
    "analyze": (
        "analyze_command",
        "before training: how rare each label is, what it will weigh, and what to set, with the reasons",
    ),
    "compare": ("compare_command", "which loss, weights and sampler suit your data, and whether any beats stock"),
    "export": ("export", "a copy of a model whose head has its thresholds baked in, for servers that decide at 0.5"),
    "report": ("report_command", "one HTML file about a run: what is wrong with which label, and what to change"),
}
"""Each has a module with a `main(flags)`, which is imported only when it is asked for, and a line of help."""


def main() -> None:
    """Run the command that the arguments name."""
    name, flags = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if name in ("--help", "-h"):
        print("usage: imbalance-trainer COMMAND [--help] [--flags]\n")
        print("\n".join(f"  {command:10}{what}" for command, (_, what) in COMMANDS.items()))
        return
    if name not in COMMANDS:
        print(f"error: Unknown command {name!r}: {did_you_mean(name, COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    from .cli import run

    command = importlib.import_module(f".{COMMANDS[name][0]}", __package__)
    run(lambda _: command.main(flags))


if __name__ == "__main__":
    main()
