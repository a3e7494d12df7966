"""What our command lines share: flags from dataclasses, --config files, errors as one sentence with an exit code."""

import copy
import difflib
import errno
import json
import math
import os
import re
import sys
import textwrap
from argparse import SUPPRESS, Action, ArgumentDefaultsHelpFormatter, ArgumentParser, RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from tqdm.auto import tqdm
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, HfArgumentParser

from ..training.checkpoints import find_fault, last_complete_checkpoint
from ..utils.constants import MULTI_LABEL, WIDTH
from ..utils.errors import DataError, NonFiniteLossError, QualityGateError, UsageError, did_you_mean, first_line

_FLAG = re.compile(r"--?[^\W\d][\w-]*(=|$)")  # neither a negative number nor a text that begins with a dash


_JSON = "With --json the result is printed as JSON, and everything else to stderr."


class FlagParser(HfArgumentParser):
    """HfArgumentParser whose mistakes are UsageErrors, and that takes defaults from a `--config` YAML file.

    Args:
        dataclass_types: as for HfArgumentParser.
        doc: a module's docstring: its first line describes the program, the rest, with the examples, ends the help.
        **kwargs: as for argparse.ArgumentParser.
    """

    def __init__(self, dataclass_types: Any, doc: str | None = None, **kwargs: Any) -> None:
        if doc is not None:
            first, _, rest = doc.partition("\n")
            rest = f"{rest}\n\n{_JSON}" if kwargs.get("prog", "").startswith("imbalance-trainer ") else rest
            kwargs = {"description": first.partition("`: ")[2] or first, "epilog": _paragraphs(rest), **kwargs}
        super().__init__(dataclass_types, allow_abbrev=False, formatter_class=_HelpFormatter, **kwargs)
        for action in self._actions:  # --no_x, which HfArgumentParser makes beside --x; help says "--x false"
            if any(flag.startswith("--no_") for flag in action.option_strings) and action.nargs == 0:
                action.help = SUPPRESS

    def error(self, message: str) -> None:
        """Raise instead of printing two hundred lines of usage."""
        raise UsageError(f"{message}; --help lists all flags.")

    def parse(self, flags: Sequence[str], defaults: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
        """The dataclasses; flags win over the --config file, which wins over `defaults`.

        Raises:
            UsageError: an unknown flag or config key (the nearest are offered), or a value that does not fit.
        """
        self._check_repeats(flags)
        file = _config_file(flags)
        from_file = _as_flags(_read_yaml(file), self, str(file)) if file else []
        before = _as_flags(defaults or {}, self, "the defaults")
        try:
            *parsed, unknown = self.parse_args_into_dataclasses(
                [*before, *from_file, *flags], return_remaining_strings=True, look_for_args_file=False
            )
        except (UsageError, DataError):
            raise
        except (ValueError, TypeError) as error:  # what a dataclass says of its values
            raise UsageError(f"{' '.join(str(error).split())} (--help lists all flags.)") from None
        if unknown:
            raise UsageError(self._unknown(unknown))
        return tuple(parsed)

    def _check_repeats(self, flags: Sequence[str]) -> None:
        """The values of a flag that takes several stand behind one: of two flags only the second one's would count."""
        given = Counter(f"--{word[2:].split('=')[0].replace('-', '_')}" for word in flags if word.startswith("--"))
        for flag, times in given.items():
            action = self._option_string_actions.get(flag)
            if times > 1 and action is not None and action.nargs in ("+", "*"):
                raise UsageError(f"{flag} is given {times} times; give all its values after one: {flag} A B.")

    def _unknown(self, unknown: Sequence[str]) -> str:
        """What is wrong with arguments that no flag took: the first flag among them, else the first of them."""
        flag = next((word.split("=")[0] for word in unknown if _FLAG.match(word)), None)
        if flag is None:
            return f"{unknown[0]!r} is one argument too many; --help lists all flags."
        names = [known[2:] for known in self.flags()]  # without the dashes, which would make all of them alike
        name = flag.lstrip("-").replace("-", "_").casefold()
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.7)
        near = near or [known for known in names if known.startswith(f"{name}_")][:3]
        meant = f"did you mean {' or '.join(repr(f'--{name}') for name in near)}?" if near else "--help lists all."
        return f"Unknown flag {flag}: {meant}"

    def flags(self) -> list[str]:
        """All flags, in the spelling with underscores."""
        return [flag for flag in self._option_string_actions if flag.startswith("--") and "-" not in flag[2:]]


class _HelpFormatter(ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter):
    """Flags that are needed first, defaults behind the others, and what ends the help line by line."""

    def add_usage(self, usage: str | None, actions: Any, groups: Any, prefix: str | None = None) -> None:
        flags = (f"{action.option_strings[0]} {action.dest.upper()}" for action in actions
                 if action.required and action.option_strings)  # fmt: skip
        places = (f"[{action.metavar}]" if action.nargs == "?" else action.metavar for action in actions
                  if not action.option_strings)  # fmt: skip
        words = ["%(prog)s", *flags, "[flags]", *places]
        super().add_usage(usage or " ".join(words), actions, groups, prefix)

    def add_arguments(self, actions: Iterable[Action]) -> None:
        super().add_arguments(sorted(actions, key=lambda action: not action.required))

    def _format_action_invocation(self, action: Action) -> str:
        once = copy.copy(action)  # dashes are taken in place of underscores, but not shown beside them
        spelled = [f"--{flag[2:].replace('-', '_')}" for flag in action.option_strings]
        once.option_strings = [
            flag
            for flag, underscored in zip(action.option_strings, spelled, strict=True)
            if flag == underscored or underscored not in action.option_strings
        ]
        return super()._format_action_invocation(once)

    def _get_help_string(self, action: Action) -> str | None:
        if action.required:
            return f"{action.help or ''} (required)"
        return action.help if action.default is None else super()._get_help_string(action)


def with_data(parser: FlagParser) -> FlagParser:
    """The parser, which takes the data by position as well (`DataOptions.take`)."""
    parser.add_argument("data", nargs="?", metavar="DATA", help="Folder or file of the data; the demo's if not given.")
    return parser


def _paragraphs(text: str) -> str:
    """Text as wide as a terminal; paragraphs that are indented, which are commands, as they stand."""
    parts = (part for part in text.strip("\n").split("\n\n") if part.strip())
    return "\n\n".join(part if part.startswith(" ") else textwrap.fill(part, WIDTH) for part in parts)


def value_of(name: str, flags: Sequence[str]) -> Any:
    """What stands for a flag on the command line, else in its --config file; None where it stands in neither."""
    value = None
    for flag, following in zip(flags, [*flags[1:], ""], strict=False):
        key, equals, rest = flag.partition("=")
        if key.startswith("--") and key[2:].replace("-", "_") == name:
            value = rest if equals else following
    file = _config_file(flags)
    return value if value is not None or not file else _read_yaml(file).get(name)


def strategy_defaults(flags: Sequence[str]) -> dict[str, Any]:
    """Defaults that fit the strategies on the command line: saving follows evaluation, which the best model asks for;
    where they part, no best model is loaded at the end."""
    evaluate, save = value_of("eval_strategy", flags), value_of("save_strategy", flags)
    defaults: dict[str, Any] = {}
    if evaluate is not None and save is None:
        defaults["save_strategy"] = save = evaluate
    if value_of("eval_steps", flags) is not None and value_of("save_steps", flags) is None:
        defaults["save_steps"] = value_of("eval_steps", flags)
    if value_of("load_best_model_at_end", flags) is None:
        parted = evaluate is None and save not in (None, "epoch", "best")
        defaults["load_best_model_at_end"] = not parted and "no" not in (evaluate, save)
    return defaults


def check_training_numbers(args: Any) -> None:
    """Raise a UsageError for numbers with which nothing can be trained; Trainer would go wrong only later, or train
    nothing and say nothing."""
    least = {
        "per_device_train_batch_size": 1,
        "per_device_eval_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "learning_rate": 0,
        "weight_decay": 0,
        "warmup_steps": 0,
        "seed": 0,
    }
    for name, limit in least.items():
        value = getattr(args, name)
        if not (value >= limit and math.isfinite(value)):
            raise UsageError(f"--{name} must be a finite number >= {limit}; got {value}.")
    if args.max_steps <= 0 and not (args.num_train_epochs > 0 and math.isfinite(args.num_train_epochs)):
        raise UsageError(f"--num_train_epochs must be a finite number above 0; got {args.num_train_epochs}.")


def print_notes(notes: Sequence[str]) -> None:
    """Print what was decided on loading, no line wider than a terminal."""
    for note in notes:
        print(textwrap.fill(note, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    print(flush=True)


def checkpoint_to_resume(args: Any) -> str | None:
    """What `--resume_from_checkpoint` means: true is the last complete checkpoint in the output folder, or none yet;
    false is none; a path is that checkpoint, which has to be complete."""
    wanted = str(args.resume_from_checkpoint or "false")
    if wanted.lower() == "false":
        return None
    if wanted.lower() != "true":
        fault = find_fault(Path(wanted)) if Path(wanted).is_dir() else "there is no such folder"
        if fault is not None:
            raise UsageError(f"--resume_from_checkpoint {wanted}: {fault}; give a complete one, or true for the last.")
        return wanted
    checkpoint, skipped = last_complete_checkpoint(args.output_dir)
    if args.process_index == 0:
        for reason in skipped:
            print(f"Passed over {reason}.")
        none = f"No checkpoint in {args.output_dir} yet: from the start."
        print(f"Resuming from {checkpoint}." if checkpoint else none, flush=True)
    return None if checkpoint is None else str(checkpoint)


def load_multi_label_model(folder: str | Path) -> tuple[Any, Any]:
    """The model that `--model_dir` names, in evaluation mode, and its tokenizer.

    Raises:
        UsageError: a folder without a model, one that cannot be loaded, or a model that is not multi-label.
    """
    if not (Path(folder) / "config.json").is_file():
        raise UsageError(f"--model_dir {folder}: is no folder of a saved model, as it has no config.json.")
    try:
        kind = AutoConfig.from_pretrained(folder).problem_type
        if kind == MULTI_LABEL:
            return AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UsageError(f"--model_dir {folder}: cannot be loaded ({first_line(error)}).") from None
    raise UsageError(f"--model_dir {folder}: expected a multi-label model, but its problem_type is {kind!r}.")


def make_output_dir(path: str | Path) -> None:
    """Make the folder now: a training that cannot save is found out at its beginning."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise UsageError(f"--output_dir {path}: cannot be written to ({error.strerror}); give another.") from None


def run(main: Callable[[Sequence[str]], None], goes_on: str = "") -> None:
    """Run a script's main; what is the user's to mend is said in one sentence, without a traceback.

    Exit codes: 0 ok, 1 disk full or the like, 2 usage, 3 data, 4 a loss that is NaN or infinite, 5 a metric under its
    floor (`--fail_under`), 130 interrupted. Of several processes each ends with it, or by a signal of torchrun, which
    stops those that are still ending when it sees the first that has.

    Args:
        main: takes the command line.
        goes_on: how it goes on after an interruption, if it can.
    """
    try:
        main(sys.argv[1:])
    except (UsageError, DataError, NonFiniteLossError, QualityGateError) as error:
        if os.environ.get("RANK", "0") == "0":
            said = str(error).replace("\n", "\nerror: ") if isinstance(error, QualityGateError) else error
            tqdm.write(f"error: {said}", file=sys.stderr)  # on a line of its own, below a progress bar
        if isinstance(error, QualityGateError) and _has_process_group():  # it is that of every process
            torch.distributed.barrier()  # none ends, and has torchrun stop the others, before the first has spoken
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        if os.environ.get("RANK", "0") == "0":
            tqdm.write(f"\nInterrupted. {goes_on}".rstrip(), file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # "... | head": whoever read is gone, and a flush at exit must not say so again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if not is_disk_full(error):
            raise
        said = f"error: the disk is full ({first_line(error)}). Free some space, then run the same command with "
        tqdm.write(f"{said}--resume_from_checkpoint true.", file=sys.stderr)
        sys.exit(1)
    finally:
        if _has_process_group():
            torch.distributed.destroy_process_group()  # else gloo's threads may abort, and the exit code is lost


def _has_process_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def is_disk_full(error: Exception) -> bool:
    """Whether an error says that the disk is full; torch and safetensors say so in words alone."""
    said = str(error)
    words = ("No space left on device", "os error 28", "PytorchStreamWriter failed writing", "unexpected pos")
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(word in said for word in words)


def _config_file(flags: Sequence[str]) -> str | None:
    """The path after --config, if there is one."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    return parser.parse_known_args(flags)[0].config


def _as_flags(values: Mapping[str, Any], parser: FlagParser, where: str) -> list[str]:
    flags: list[str] = []
    for key, value in values.items():
        action = parser._option_string_actions.get(f"--{key}")
        if action is None:
            known = [flag[2:] for flag in parser.flags()]
            raise UsageError(f"{where}: unknown key {key!r}: {did_you_mean(str(key), known)}")
        if value is None:
            continue
        flags += as_flag(key, value, takes_many=action.nargs in ("+", "*"))
    return flags


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
