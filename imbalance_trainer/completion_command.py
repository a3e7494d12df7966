"""`imbalance-trainer completion`: a script that completes commands and flags in a shell.

    eval "$(imbalance-trainer completion bash)"                      # now, in bash
    imbalance-trainer completion zsh > ~/.imbalance-trainer.zsh      # for good: source it in ~/.zshrc

It is made of the commands' own parsers; make it again after an update.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .cli import FlagParser
from .errors import UsageError, did_you_mean

SHELLS = ("bash", "zsh")

_SCRIPT = """\
_imbalance_trainer() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} flags=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{commands}" -- "$word"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  COMPREPLY=()
  case $word in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;;
  esac
}}
complete -o default -F _imbalance_trainer imbalance-trainer"""


@dataclass
class CompletionArguments:
    """Nothing to set."""


def make_parser(prog: str = "imbalance-trainer completion") -> FlagParser:
    """The flags."""
    parser = FlagParser((CompletionArguments,), prog=prog, doc=__doc__)
    parser.add_argument("shell", metavar="SHELL", help="bash or zsh.")
    return parser


def main(flags: Sequence[str]) -> dict[str, str]:
    """Run the command; the script."""
    from .__main__ import COMMANDS

    _, others = make_parser().parse(flags)
    if others.shell not in SHELLS:
        raise UsageError(f"No completion for {others.shell!r}: {did_you_mean(others.shell, SHELLS)}")
    of_commands = {}
    for name, (module, _) in COMMANDS.items():
        parser = importlib.import_module(f".{module}", __package__).make_parser()
        of_commands[name] = [*sorted(parser.flags()), "--json"]
    script = completion_script(of_commands, others.shell)
    print(script)
    return {"script": script}


def completion_script(flags: Mapping[str, Sequence[str]], shell: str) -> str:
    """The script.

    Args:
        flags: of each command.
        shell: one of SHELLS.
    """
    cases = "\n".join(f'    {name}) flags="{" ".join(those)}" ;;' for name, those in flags.items())
    script = _SCRIPT.format(commands=" ".join(flags), cases=cases)
    return script if shell == "bash" else f"autoload -U bashcompinit && bashcompinit\n{script}"
