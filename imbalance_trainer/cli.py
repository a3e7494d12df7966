"""What our command lines share: flags from dataclasses, --config files, errors as one sentence with an exit code."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser

from .errors import DataError, UsageError, did_you_mean


class FlagParser(HfArgumentParser):
    """HfArgumentParser whose mistakes are UsageErrors, and that takes defaults from a `--config` YAML file.

    Args:
        dataclass_types: as for HfArgumentParser.
        **kwargs: as for argparse.ArgumentParser.
    """

    def __init__(self, dataclass_types: Any, **kwargs: Any) -> None:
        super().__init__(dataclass_types, allow_abbrev=False, **kwargs)

    def error(self, message: str) -> None:
        """Raise instead of printing two hundred lines of usage."""
        raise UsageError(f"{message}; --help lists all flags.")

    def parse(self, flags: Sequence[str], defaults: dict[str, Any] | None = None) -> tuple[Any, ...]:
        """The dataclasses; flags win over the --config file, which wins over `defaults`.

        Raises:
            UsageError: an unknown flag or config key (the nearest are offered), or a value that does not fit.
        """
        file = config_file(flags)
        from_file = _as_flags(_read_yaml(file), self, str(file)) if file else []
        before = _as_flags(defaults or {}, self, "the defaults")
        arguments = [*before, *from_file, *flags]
        *parsed, unknown = self.parse_args_into_dataclasses(
            arguments, return_remaining_strings=True, look_for_args_file=False
        )
        if unknown:
            known = [flag for flag in self._option_string_actions if flag.startswith("--") and "-" not in flag[2:]]
            flag = unknown[0].split("=")[0]
            raise UsageError(f"Unknown flag {flag}: {did_you_mean(flag, known)}")
        return tuple(parsed)


def config_file(flags: Sequence[str]) -> str | None:
    """The path after --config, if there is one."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    return parser.parse_known_args(flags)[0].config


def given(name: str, flags: Sequence[str]) -> bool:
    """Whether a flag stands on the command line or in its --config file."""
    file = config_file(flags)
    on_line = any(flag.split("=")[0].replace("-", "_").strip("_") == name for flag in flags if flag.startswith("--"))
    return on_line or bool(file and name in _read_yaml(file))


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Run a script's main; what is the user's to mend is said in one sentence, without a traceback.

    Exit codes: 0 ok, 2 usage, 3 data, 130 interrupted.
    """
    try:
        main(sys.argv[1:])
    except (UsageError, DataError) as error:
        if os.environ.get("RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _as_flags(values: dict[str, Any], parser: ArgumentParser, where: str) -> list[str]:
    flags: list[str] = []
    for key, value in values.items():
        if f"--{key}" not in parser._option_string_actions:
            known = [flag[2:] for flag in parser._option_string_actions if flag.startswith("--")]
            raise UsageError(f"{where}: unknown key {key!r}: {did_you_mean(str(key), known)}")
        if value is None:
            continue
        parts = value if isinstance(value, list) else [value]
        flags += [f"--{key}", *(json.dumps(v) if isinstance(v, (dict, bool)) else str(v) for v in parts)]
    return flags


def _read_yaml(file: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"--config {file}: cannot be read ({error.strerror}).") from None
    except yaml.YAMLError as error:
        raise UsageError(f"--config {file}: is no valid YAML ({' '.join(str(error).split())}).") from None
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"--config {file}: expected lines of 'flag: value', found a {type(content).__name__}.")
    return content or {}
