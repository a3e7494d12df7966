import errno
import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from imbalance_trainer.cli.parser import FlagParser, check_at_least, check_epochs, make_output_dir, run
from imbalance_trainer.cli.train import defaults_for
from imbalance_trainer.data.demo import DEMO_OPTIONS, DEMO_TRAINING
from imbalance_trainer.data.options import DataOptions
from imbalance_trainer.utils.errors import DataError, NonFiniteLossError, UsageError


@dataclass
class Flags:
    learning_rate: float = field(default=0.1, metadata={"help": "a number"})
    names: list[str] = field(default_factory=list, metadata={"help": "a list"})
    weights: str | None = field(default=None, metadata={"help": "JSON"})
    bf16: bool = field(default=False, metadata={"help": "a switch"})


PARSER = FlagParser(Flags)


@pytest.fixture
def yaml(tmp_path):
    def write(text):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return str(path)

    return write


def parse(*flags, **defaults):
    return PARSER.parse(flags, defaults)[0]


def test_flags_win_over_the_file_and_the_file_over_defaults(yaml):
    file = yaml("learning_rate: 2e-5\n")  # which plain YAML reads as text
    assert parse().learning_rate == 0.1
    assert parse(learning_rate=0.2).learning_rate == 0.2
    assert parse("--config", file, learning_rate=0.2).learning_rate == 2e-5
    assert parse("--config", file, "--learning_rate", "3", learning_rate=0.2).learning_rate == 3.0


def test_the_file_takes_lists_switches_and_dicts_and_switches_take_values(yaml):
    assert parse("--bf16").bf16 is True
    assert parse("--bf16", "false").bf16 is False
    parsed = parse("--config", yaml("names: [a, b c]\nbf16: true\nweights: {rare one: 10}\n"))
    assert (parsed.names, parsed.bf16, parsed.weights) == (["a", "b c"], True, '{"rare one": 10}')


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--learning_rat", "3"], "Unknown flag --learning_rat: did you mean '--learning_rate'"),
        (["--learning-rat=3"], "Unknown flag --learning-rat: did you mean '--learning_rate'"),
        (["--wholly_other"], "^Unknown flag --wholly_other: known are '--help'"),
        (["-x", "3"], "^Unknown flag -x: "),
        (["huch wow", "--bf16"], "^'huch wow' is one argument too many; --help lists all flags"),
        (["--learning_rate", "3", "-4"], "^'-4' is one argument too many"),
        (["--BF-16"], "^Unknown flag --BF-16: did you mean '--bf16'"),
        (["--a text"], "^'--a text' is one argument too many"),
        (["--learning", "3"], "^Unknown flag --learning: did you mean '--learning_rate'"),
        (["a", "--nmaes", "b"], "^Unknown flag --nmaes: did you mean '--names'"),
        (["--learning_rate", "fast"], "invalid float value: 'fast'.*--help"),
        (["--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    ],
)
def test_wrong_flags_are_one_sentence(flags, message):
    with pytest.raises(UsageError, match=message):
        parse(*flags)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 3", "unknown key 'learning_rat': did you mean 'learning_rate'"),
        ("- a\n- b", "expected lines of 'flag: value', found a list"),
        ("a: [", "no valid YAML"),
    ],
)
def test_wrong_files_are_one_sentence(text, message, yaml):
    with pytest.raises(UsageError, match=message):
        parse("--config", yaml(text))


def test_what_is_given_is_known_from_what_is_default(yaml):
    file = yaml("learning-rate: 3\nnames: [a, b]")  # either spelling
    assert PARSER.given([]) == {}
    assert PARSER.given(["--bf16", "--learning-rate=0.1"]) == {"bf16": True, "learning_rate": 0.1}
    assert PARSER.given(["--config", file]) == {"learning_rate": 3.0, "names": ["a", "b"], "config": file}
    assert PARSER.given(["--config", file, "--learning_rate", "4"])["learning_rate"] == 4.0


def test_data_that_stands_without_a_flag_is_no_value_of_a_list_in_the_file(yaml):
    parser = FlagParser(DataOptions)
    (options,) = parser.parse(["folder", "--config", yaml("label_columns: [a, b]")])
    assert (options.data_dir, options.label_columns) == ("folder", ["a", "b"])
    with pytest.raises(UsageError, match="The data is given twice"):
        parser.parse(["folder", "--data_dir", "other"])
    with pytest.raises(UsageError, match="--test_file needs --train_file"):
        parser.parse(["folder", "--test_file", "x"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"load_best_model_at_end": True}),
        ({"eval_strategy": "steps"}, {"save_strategy": "steps", "load_best_model_at_end": True}),
        ({"eval_strategy": "no"}, {"save_strategy": "no", "load_best_model_at_end": False}),
        ({"save_strategy": "no"}, {"load_best_model_at_end": False}),
        ({"save_strategy": "steps"}, {"load_best_model_at_end": False}),
        (
            {"eval_strategy": "steps", "eval_steps": 7},
            {"save_strategy": "steps", "save_steps": 7, "load_best_model_at_end": True},
        ),
    ],
)
def test_saving_follows_evaluation(given, expected):
    assert defaults_for({"data": "folder", **given}) == expected


def test_the_demo_has_defaults_of_its_own():
    assert defaults_for({}).items() >= {**DEMO_TRAINING, **DEMO_OPTIONS}.items()
    assert not defaults_for({"model_name_or_path": "x"}).keys() & DEMO_OPTIONS.keys()
    assert "head_learning_rate" not in defaults_for({"learning_rate": 0.1})  # it follows from the rate


def test_numbers_that_are_too_small_or_not_finite():
    options = SimpleNamespace(rate=0.0, rows=None, max_steps=-1, num_train_epochs=0.5)
    check_at_least(options, rate=0, rows=1)
    check_epochs(options)
    for value, said in (
        (-1.0, "0; got -1.0"),
        (math.nan, "0 and finite; got nan"),
        (math.inf, "0 and finite; got inf"),
    ):
        options.rate = value
        with pytest.raises(UsageError, match=f"^--rate must be at least {said}.$"):
            check_at_least(options, rate=0, rows=1)
    for value in (0.0, -1.0, math.nan, math.inf):
        options.num_train_epochs, options.max_steps = value, -1
        with pytest.raises(UsageError, match=f"--num_train_epochs must be a finite number above 0; got {value}"):
            check_epochs(options)
        options.max_steps = 5
        check_epochs(options)  # which the steps override


def test_an_output_dir_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--output_dir .*file: cannot be written \(File exists\)"):
        make_output_dir(tmp_path / "file")
    make_output_dir(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_the_values_of_a_flag_that_takes_several_stand_behind_one():
    parsed = parse("--names", "a", "b", "--weights", "x", "--weights", "y")
    assert (parsed.names, parsed.weights) == (["a", "b"], "y")
    for flags in (["--names", "a", "--names", "b"], ["--names=a", "--weights", "b", "--names=c"]):
        with pytest.raises(UsageError, match="--names is given 2 times; give all its values after one"):
            parse(*flags)


@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("flag"), 2, "error: flag\n"),
        (DataError("file"), 3, "error: file\n"),
        (NonFiniteLossError("At step 7 the loss is nan."), 4, "error: At step 7 the loss is nan.\n"),
        (KeyboardInterrupt(), 130, "\nInterrupted. It goes on.\n"),
    ],
)
def test_an_error_is_a_sentence_of_the_first_process_and_an_exit_code_of_all(
    error, code, said, rank, monkeypatch, capsys
):
    def main(flags):
        raise error

    monkeypatch.setenv("RANK", rank)
    with pytest.raises(SystemExit) as stop:
        run(main, "It goes on.")
    assert stop.value.code == code
    assert capsys.readouterr().err == (said if rank == "0" else "")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 29 vs 28"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_a_sentence(error, capsys):
    def main(flags):
        raise error

    with pytest.raises(SystemExit) as stop:
        run(main)
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the disk is full")
    assert line.endswith("--resume_from_checkpoint true.")


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda flags: 1 / 0)
