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
    assert "5 a metric under its floor" in out
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_each_command_shows_examples_that_its_own_parser_takes(name):
    module = importlib.import_module(f"imbalance_trainer.{command_line.COMMANDS[name][0]}")
    parser = module.make_parser()
    assert parser.prog == f"imbalance-trainer {name}"
    text = parser.format_help()
    examples = [line.strip() for line in text.splitlines() if line.startswith(f"    imbalance-trainer {name}")]
    examples += [line for line in text.splitlines() if f"$(imbalance-trainer {name}" in line]
    assert examples
    assert parser.description[0].islower()  # the docstring's first line without the command's name
    for line in examples:
        words = {word for word in line.replace("=", " ").split() if word.startswith("--")} - {"--json"}
        assert words <= {*parser.flags(), "--bake-thresholds", "--model"}, line


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_help_has_what_is_needed_first_each_flag_once_and_no_default_of_none(name):
    parser = importlib.import_module(f"imbalance_trainer.{command_line.COMMANDS[name][0]}").make_parser()
    text = parser.format_help()
    assert "default: None" not in text
    assert text.count("(required)") == sum(action.required for action in parser._actions)
    shown = [line.split()[0].rstrip(",") for line in text.splitlines() if line.startswith("  --")]
    assert len(set(shown)) == len(shown)
    needed = [action.option_strings[0] for action in parser._actions if action.required and action.option_strings]
    assert shown[: len(needed)] == needed
    twins = [f"--{flag[2:].replace('_', '-')} " for flag in shown if "_" in flag]
    assert not any(twin in text.split("\n\n", 1)[1].partition("\n\n  ")[0] for twin in twins)


def test_json_goes_to_stdout_and_all_else_to_stderr(monkeypatch, capsys):
    called(monkeypatch, "analyze", "--json", "--limit", "500")
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["labels"]) == 11
    assert "label" in captured.err


def test_an_analysis_as_json_is_that_of_its_format(monkeypatch, capsys):
    called(monkeypatch, "analyze", "--json", "--limit", "500")
    with_flag = json.loads(capsys.readouterr().out)
    called(monkeypatch, "analyze", "--format", "json", "--limit", "500")
    assert json.loads(capsys.readouterr().out) == with_flag


def test_the_version_and_an_unknown_command(monkeypatch, capsys):
    called(monkeypatch, "--version")
    assert capsys.readouterr().out.strip() == __version__
    with pytest.raises(SystemExit) as caught:
        called(monkeypatch, "evalute")
    assert caught.value.code == 2
    assert "did you mean 'evaluate'" in capsys.readouterr().err
