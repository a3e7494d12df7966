import errno
from dataclasses import dataclass, field

import pytest

from imbalance_trainer.cli.parser import (
    FlagParser,
    check_training_numbers,
    make_output_dir,
    run,
    strategy_defaults,
    value_of,
)
from imbalance_trainer.utils.errors import DataError, NonFiniteLossError, QualityGateError, UsageError


@dataclass
class Flags:
    learning_rate: float = field(default=0.1, metadata={"help": "a number"})
    names: list[str] = field(default_factory=list, metadata={"help": "a list"})
    weights: str | None = field(default=None, metadata={"help": "JSON"})
    bf16: bool = field(default=False, metadata={"help": "a switch"})
    config: str | None = field(default=None, metadata={"help": "YAML"})


@pytest.fixture
def yaml(tmp_path):
    def write(text):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return str(path)

    return write


def parse(*flags, **defaults):
    return FlagParser(Flags).parse(flags, defaults)[0]


def test_flags_win_over_the_file_and_the_file_over_defaults(yaml):
    file = yaml("learning_rate: 2e-5\n")  # which plain YAML reads as text
    assert parse().learning_rate == 0.1
    assert parse(learning_rate=0.2).learning_rate == 0.2
    assert parse("--config", file, learning_rate=0.2).learning_rate == 2e-5
    assert parse("--config", file, "--learning_rate", "3", learning_rate=0.2).learning_rate == 3.0


def test_the_file_takes_lists_switches_and_dicts(yaml):
    parsed = parse("--config", yaml("names: [a, b c]\nbf16: true\nweights: {rare one: 10}\n"))
    assert (parsed.names, parsed.bf16, parsed.weights) == (["a", "b c"], True, '{"rare one": 10}')


def test_booleans_take_values():
    assert parse("--bf16").bf16 is True
    assert parse("--bf16", "false").bf16 is False


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--learning_rat", "3"], "Unknown flag --learning_rat: did you mean '--learning_rate'"),
        (["--learning-rat=3"], "Unknown flag --learning-rat: did you mean '--learning_rate'\\?$"),
        (["--wholly_other"], r"^Unknown flag --wholly_other: --help lists all\.$"),
        (["-x", "3"], r"^Unknown flag -x: --help lists all\.$"),
        (["huch wow", "--bf16"], "^'huch wow' is one argument too many; --help lists all flags"),
        (["--learning_rate", "3", "-4"], "^'-4' is one argument too many"),
        (["--BF-16"], "^Unknown flag --BF-16: did you mean '--bf16'"),
        (["--a text"], "^'--a text' is one argument too many"),
        (["--learning", "3"], "^Unknown flag --learning: did you mean '--learning_rate'\\?$"),
        (["a", "--nmaes", "b"], "^Unknown flag --nmaes: did you mean '--names'\\?$"),
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


def test_a_value_is_found_on_the_line_and_in_the_file(yaml):
    assert value_of("learning_rate", ["--learning-rate=3"]) == "3"
    assert value_of("learning_rate", ["--bf16", "--learning_rate", "3"]) == "3"
    assert value_of("learning_rate", ["--config", yaml("learning-rate: 3")]) == 3  # either spelling
    assert value_of("learning_rate", ["--config", yaml("learning_rate: 3"), "--learning_rate", "4"]) == "4"
    assert value_of("learning_rate", ["--bf16", "--config", yaml("bf16: true")]) is None


def test_the_file_takes_either_spelling_and_lists_as_json(yaml):
    parsed = parse("--config", yaml("learning-rate: 0.5\nweights: [1, 2]\n"))
    assert (parsed.learning_rate, parsed.weights) == (0.5, "[1, 2]")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], {"load_best_model_at_end": True}),
        (["--eval_strategy", "steps"], {"save_strategy": "steps", "load_best_model_at_end": True}),
        (["--eval_strategy", "no"], {"save_strategy": "no", "load_best_model_at_end": False}),
        (["--save_strategy", "no"], {"load_best_model_at_end": False}),
        (["--eval_strategy", "no", "--load_best_model_at_end", "true"], {"save_strategy": "no"}),  # theirs to see
        (
            ["--eval_strategy=steps", "--eval_steps", "7"],
            {"save_strategy": "steps", "save_steps": "7", "load_best_model_at_end": True},
        ),
    ],
)
def test_saving_follows_evaluation(flags, expected):
    assert strategy_defaults(flags) == expected


class Numbers:
    per_device_train_batch_size = per_device_eval_batch_size = gradient_accumulation_steps = 1
    learning_rate, weight_decay, warmup_steps, seed, max_steps, num_train_epochs = 1e-5, 0.0, 0, 0, -1, 3.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("per_device_train_batch_size", 0),
        ("gradient_accumulation_steps", 0),
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("seed", -1),
        ("num_train_epochs", 0.0),
        ("num_train_epochs", float("nan")),
    ],
)
def test_numbers_with_which_nothing_trains(name, value):
    args = Numbers()
    check_training_numbers(args)
    setattr(args, name, value)
    with pytest.raises(UsageError, match=f"got {value}"):
        check_training_numbers(args)
    args.max_steps = 5
    if name == "num_train_epochs":
        check_training_numbers(args)  # which the steps override


def test_an_output_dir_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--output_dir .*file: cannot be written to \(File exists\)"):
        make_output_dir(tmp_path / "file")
    make_output_dir(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@dataclass
class Several:
    names: list[str] = field(default_factory=list)
    name: str = ""


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError("flag"), 2), (DataError("file"), 3), (KeyboardInterrupt(), 130)]
)
def test_run_ends_with_the_errors_exit_code(error, code, capsys):
    def main(flags):
        raise error

    with pytest.raises(SystemExit) as exit_:
        run(main, "It goes on.")
    assert exit_.value.code == code
    assert capsys.readouterr().err == ("\nInterrupted. It goes on.\n" if code == 130 else f"error: {error}\n")


def test_the_values_of_a_flag_that_takes_several_stand_behind_one():
    parser = FlagParser(Several)
    assert parser.parse(["--names", "a", "b", "--name", "x", "--name", "y"])[0] == Several(["a", "b"], "y")
    for flags in (["--names", "a", "--names", "b"], ["--names=a", "--name", "b", "--names=c"]):
        with pytest.raises(UsageError, match="--names is given 2 times; give all its values after one"):
            parser.parse(flags)


def test_each_metric_under_its_floor_is_a_line_of_its_own(monkeypatch, capsys):
    def main(flags):
        raise QualityGateError("f1_macro is 0.1\nf1_tail is 0.0")

    with pytest.raises(SystemExit) as stop:
        run(main)
    assert stop.value.code == 5
    assert capsys.readouterr().err == "error: f1_macro is 0.1\nerror: f1_tail is 0.0\n"
    monkeypatch.setenv("RANK", "1")  # whose process ends with the same code, and says nothing
    with pytest.raises(SystemExit) as stop:
        run(main)
    assert stop.value.code == 5
    assert capsys.readouterr().err == ""


def test_one_rank_speaks_for_all(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):
        run(lambda flags: parse("--nonsense"))
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda flags: 1 / 0)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NonFiniteLossError("At step 7 the loss is nan."), 4, "error: At step 7 the loss is nan."),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: the disk is full"),
        (
            RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
            1,
            "resume_from_checkpoint",
        ),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 29 vs 28"), 1, "disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 1, "error: the disk is full"),
    ],
)
def test_what_went_wrong_in_training_is_one_sentence(error, code, said, monkeypatch, capsys):
    def main(flags):
        raise error

    monkeypatch.setattr("sys.argv", ["train"])
    with pytest.raises(SystemExit) as stop:
        run(main)
    assert stop.value.code == code
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_an_error_of_ours_keeps_its_traceback(monkeypatch):
    def main(flags):
        raise RuntimeError("a bug")

    monkeypatch.setattr("sys.argv", ["train"])
    with pytest.raises(RuntimeError, match="a bug"):
        run(main)
