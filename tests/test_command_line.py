"""`imbalance-trainer`: its commands, --json."""

import importlib
import json
import sys

import pytest

from imbalance_trainer import __main__ as command_line
from imbalance_trainer import __version__


def called(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["imbalance-trainer", *words])
    command_line.main()


def test_the_help_names_every_command_and_the_exit_codes(monkeypatch, capsys):
    called(monkeypatch)
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in command_line.COMMANDS)
    assert "4 a loss that is NaN" in out
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_each_command_shows_examples_that_its_own_parser_takes(name):
    module = importlib.import_module(f"imbalance_trainer.cli.{name}")
    parser = module.make_parser()
    assert parser.prog == f"imbalance-trainer {name}"
    text = parser.format_help()
    examples = [line.strip() for line in text.splitlines() if line.startswith(f"    imbalance-trainer {name}")]
    examples += [line for line in text.splitlines() if f"$(imbalance-trainer {name}" in line]
    assert examples
    assert parser.description[0].islower()  # the docstring's first line without the command's name
    for line in examples:
        words = {word for word in line.replace("=", " ").split() if word.startswith("--")} - {"--json"}
        assert words <= {*parser.flags(), "--model"}, line


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_help_begins_with_what_is_needed_and_has_no_default_of_none(name):
    parser = importlib.import_module(f"imbalance_trainer.cli.{name}").make_parser()
    text = parser.format_help()
    assert "default: None" not in text
    assert text.count("(required)") == sum(action.required for action in parser._actions)
    usage = text.partition("\n\n")[0]
    needed = [action.option_strings[0] for action in parser._actions if action.required and action.option_strings]
    assert all(flag in usage for flag in needed)
    assert len(usage) < 160


def test_json_goes_to_stdout_and_all_else_to_stderr(monkeypatch, capsys):
    called(monkeypatch, "analyze", "--json", "--max_rows", "5")
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["labels"]) == 11
    assert "label" in captured.err


def test_the_version_and_an_unknown_command(monkeypatch, capsys):
    called(monkeypatch, "--version")
    assert capsys.readouterr().out.strip() == __version__
    with pytest.raises(SystemExit) as caught:
        called(monkeypatch, "evalute")
    assert caught.value.code == 2
    assert "did you mean 'evaluate'" in capsys.readouterr().err
