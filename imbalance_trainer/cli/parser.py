"""What our command lines share: flags from dataclasses, --config files, errors as one sentence with an exit code."""

import errno
import json
import math
import os
import re
import sys
import textwrap
from argparse import SUPPRESS, Action, ArgumentDefaultsHelpFormatter, Namespace, RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
import yaml
from tqdm.auto import tqdm
from transformers import HfArgumentParser

from ..data.options import DataOptions
from ..utils.constants import WIDTH
from ..utils.errors import DataError, NonFiniteLossError, UsageError, did_you_mean, first_line
from ..utils.files import writing

_FLAG = re.compile(r"--?[^\W\d][\w-]*(=|$)")  # neither a negative number nor a text that begins with a dash


class FlagParser(HfArgumentParser):
    """HfArgumentParser that raises UsageErrors and reads flags from a YAML file too (`--config`).

    Where one of the dataclasses is a DataOptions, the data may stand on the command line without a flag.

    Args:
        dataclass_types: as for HfArgumentParser.
        doc: a docstring. Its first line describes the program, after the name of the command in backticks if it has
            one; the rest ends the help.
    """

    def __init__(self, dataclass_types: Any, doc: str = "") -> None:
        first, _, rest = doc.partition("\n")
        name, is_command, what = first.partition("`: ")
        if is_command:
            rest += "\n\nWith --json the result is printed as JSON, and everything else to stderr."
        super().__init__(
            dataclass_types,
            prog=name[1:] if is_command else None,
            description=what or first,
            epilog=_paragraphs(rest),
            allow_abbrev=False,
            formatter_class=_HelpFormatter,
        )
        self.add_argument("--config", help="YAML file with values for any of these flags.")
        if any(issubclass(kind, DataOptions) for kind in self.dataclass_types):
            help_ = "Folder or file of the data; the demo's if not given."
            self.add_argument("data", nargs="?", metavar="DATA", help=help_)
        for action in self._actions:  # --no_x, which HfArgumentParser makes beside --x; help says "--x false"
            if any(flag.startswith("--no_") for flag in action.option_strings) and action.nargs == 0:
                action.help = SUPPRESS

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError instead of printing two hundred lines of usage."""
        raise UsageError(f"{message}; --help lists all flags.")

    def parse(self, flags: Sequence[str], defaults: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
        """The dataclasses; flags win over the --config file, which wins over `defaults`.

        Raises:
            UsageError: an unknown flag or config key (the nearest are offered), or a value that does not fit.
        """
        return self.build({**(defaults or {}), **self.given(flags)})

    def given(self, flags: Sequence[str]) -> dict[str, Any]:
        """The values of what stands on the command line or in its --config file, by name.

        Raises:
            UsageError: as `parse`.
        """
        self._check_repeats(flags)
        values, unknown = self._read(flags)
        if "config" in values:  # its words come first, and --config ends a list among them
            words = self._config_flags(values["config"])
            values, unknown = self._read([*words, "--config", values["config"], *flags])
        if unknown:
            flag = next((word.split("=")[0] for word in unknown if _FLAG.match(word)), None)
            if flag is None:
                raise UsageError(f"{unknown[0]!r} is one argument too many; --help lists all flags.")
            raise UsageError(f"Unknown flag {flag}: {did_you_mean(flag, self.flags())}")
        return values

    def _read(self, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """The values of a command line by name, and the words that stand for none."""
        unset = object()
        values, unknown = self.parse_known_args(words, Namespace(**{action.dest: unset for action in self._actions}))
        return {name: v for name, v in vars(values).items() if v is not unset and v is not None}, unknown

    def build(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The dataclasses from values by name; the others keep their defaults.

        Raises:
            UsageError: a value that does not fit.
        """
        try:
            parsed = self.parse_dict(dict(values), allow_extra_keys=True)
        except (UsageError, DataError):
            raise
        except (ValueError, TypeError) as error:  # what a dataclass of transformers says of its values
            raise UsageError(f"{' '.join(str(error).split())} (--help lists all flags.)") from None
        for options in parsed:
            if isinstance(options, DataOptions):
                options.take(values.get("data"))
                options.check()
        return parsed

    def flags(self) -> list[str]:
        """All flags, in the spelling with underscores."""
        return [flag for flag in self._option_string_actions if flag.startswith("--") and "-" not in flag[2:]]

    def format_help(self) -> str:
        """The help; its first line names what is required, and not each of two hundred flags."""
        needed = [f"{a.option_strings[0]} {a.dest.upper()}" for a in self._actions if a.required and a.option_strings]
        places = [a for a in self._actions if not a.option_strings]
        shown = [f"[{a.metavar}]" if a.nargs == "?" else str(a.metavar) for a in places]
        self.usage = " ".join(["%(prog)s", *needed, "[flags]", *shown])
        return super().format_help()

    def _check_repeats(self, flags: Sequence[str]) -> None:
        """Refuse a flag of several values that is given twice, as only the last one's values would count."""
        given = Counter(f"--{word[2:].split('=')[0].replace('-', '_')}" for word in flags if word.startswith("--"))
        for flag, times in given.items():
            action = self._option_string_actions.get(flag)
            if times > 1 and action is not None and action.nargs in ("+", "*"):
                raise UsageError(f"{flag} is given {times} times; give all its values after one: {flag} A B.")

    def _config_flags(self, file: str) -> list[str]:
        """The content of a --config file as words of a command line."""
        words: list[str] = []
        for key, value in _read_yaml(file).items():
            action = self._option_string_actions.get(f"--{key}")
            if action is None:
                raise UsageError(f"{file}: unknown key {key!r}: {did_you_mean(key, [f[2:] for f in self.flags()])}")
            if value is not None:
                words += as_flag(key, value, takes_many=action.nargs in ("+", "*"))
        return words


class _HelpFormatter(ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter):
    """Help with defaults behind the flags that have one, which ends as it is written."""

    def _get_help_string(self, action: Action) -> str | None:
        if action.required:
            return f"{action.help or ''} (required)"
        return action.help if action.default is None else super()._get_help_string(action)


def _paragraphs(text: str) -> str:
    """Text as wide as a terminal; paragraphs that are indented, which are commands, as they stand."""
    parts = (part for part in text.strip("\n").split("\n\n") if part.strip())
    return "\n\n".join(part if part.startswith(" ") else textwrap.fill(part, WIDTH) for part in parts)


def as_flag(name: str, value: Any, takes_many: bool = False) -> list[str]:
    """A flag and its values as words of a command line; what is no word or number as JSON.

    >>> as_flag("seeds", [1, 2], takes_many=True), as_flag("custom_weights", {"rare": 15})
    (['--seeds', '1', '2'], ['--custom_weights', '{"rare": 15}'])
    """
    parts = value if isinstance(value, list) and takes_many else [value]
    return [f"--{name}", *(json.dumps(v) if isinstance(v, (dict, list, bool)) else str(v) for v in parts)]


def _read_yaml(file: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"--config {file}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"--config {file}: is not UTF-8 ({error.reason} at byte {error.start}).") from None
    except yaml.YAMLError as error:
        raise UsageError(f"--config {file}: is no valid YAML ({' '.join(str(error).split())}).") from None
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"--config {file}: expected lines of 'flag: value', found a {type(content).__name__}.")
    return {str(key).replace("-", "_"): value for key, value in (content or {}).items()}


def check_at_least(options: Any, **least: float) -> None:
    """Raise a UsageError for the first of some flags whose value is too small or not finite; None is no value."""
    for name, limit in least.items():
        value = getattr(options, name)
        if value is not None and not limit <= value < math.inf:
            finite = " and finite" if value > limit or math.isnan(value) else ""
            raise UsageError(f"--{name} must be at least {limit}{finite}; got {value}.")


def check_epochs(args: Any) -> None:
    """Raise a UsageError for a number of epochs with which nothing is trained, unless --max_steps says how long."""
    if args.max_steps <= 0 and not 0 < args.num_train_epochs < math.inf:
        raise UsageError(f"--num_train_epochs must be a finite number above 0; got {args.num_train_epochs}.")


def print_notes(notes: Sequence[str]) -> None:
    """Print what was decided on loading, no line wider than a terminal."""
    for note in notes:
        print(textwrap.fill(note, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    print(flush=True)


def make_output_dir(path: str | Path) -> None:
    """Make the folder now: a training that cannot save is found out at its beginning."""
    with writing(f"--output_dir {path}"):
        Path(path).mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def run(main: Callable[[Sequence[str]], Any], goes_on: str = "") -> None:
    """Run a script's main, and say in one sentence, without a traceback, what the user has to change.

    Exit codes: 0 ok, 1 disk full or the like, 2 usage, 3 data, 4 a loss that is NaN or infinite, 130 interrupted. Of
    several processes each ends with it, or by a signal of torchrun, which stops those that are still ending when it
    sees the first that has.

    Args:
        main: takes the command line.
        goes_on: how it goes on after an interruption, if it can.
    """
    try:
        main(sys.argv[1:])
    except (UsageError, DataError, NonFiniteLossError) as error:
        _say("\n".join(f"error: {line}" for line in str(error).split("\n")))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say(f"\nInterrupted. {goes_on}".rstrip())
        sys.exit(130)
    except BrokenPipeError:  # "... | head": whoever read is gone, and a flush at exit must not say so again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if not _is_disk_full(error):
            raise
        said = f"error: the disk is full ({first_line(error)}). Free some space, then run the same command with "
        tqdm.write(f"{said}--resume_from_checkpoint true.", file=sys.stderr)
        sys.exit(1)
    finally:
        if _has_process_group():
            torch.distributed.destroy_process_group()  # else gloo's threads may abort, and the exit code is lost


def _say(text: str) -> None:
    """Print to stderr on a line of its own, below a progress bar; of several processes the first one speaks."""
    if os.environ.get("RANK", "0") == "0":
        tqdm.write(text, file=sys.stderr)


def _has_process_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _is_disk_full(error: Exception) -> bool:
    """Whether the disk is full; torch and safetensors say so in words alone."""
    words = ("No space left on device", "PytorchStreamWriter failed writing", "unexpected pos")
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return full or any(word in str(error) for word in words)
