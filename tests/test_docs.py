"""What README and docs say exists: flags, files, public names; Python blocks are valid Python."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest

import imbalance_trainer
from imbalance_trainer.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# of launchers, benchmarks and ruff
OTHER_FLAGS = {
    "--config_file",
    "--cpu",
    "--num_processes",
    "--nproc_per_node",
    "--seeds",
    "--size",
    "--tables",
    "--check",
    "--json",
    "--picture",
    "--gpus-per-node",
    "--nnodes",
    "--ntasks-per-node",
    "--rdzv_backend",
    "--rdzv_endpoint",
    "--rdzv_id",
    "--requeue",
    "--standalone",
}


def known_flags():
    commands = (importlib.import_module(f"imbalance_trainer.cli.{name}") for name in COMMANDS)
    parsers = [command.make_parser() for command in commands]
    return OTHER_FLAGS.union(*(parser._option_string_actions for parser in parsers))


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_exist(page):
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z_0-9-]*", page.read_text(encoding="utf-8")))
    assert flags <= known_flags()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(([^)#:]+)\)", text))
    assert all((page.parent / link).exists() for link in links), links
    for file in re.findall(r"\b(?:examples|benchmarks|docs|tests)/[\w/]+\.(?:py|md|png|txt)", text):
        assert (ROOT / file).is_file(), file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_are_python_and_import_what_is_there(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "imbalance_trainer":
                assert {alias.name for alias in node.names} <= set(imbalance_trainer.__all__)


def test_the_two_commands_are_where_ci_reads_them():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, last in (("demo", "examples/train_model.py"), ("test", "pytest")):
        found = re.search(rf"<!-- command: {name} -->\n```bash\n(pip install [^\n]+)\n```", text)
        assert found, name
        assert shlex.split(found[1])[-1] == last


def test_each_row_of_the_drop_in_table_names_tests_that_exist():
    table = [line for line in (ROOT / "docs/drop-in.md").read_text(encoding="utf-8").splitlines() if "`test_" in line]
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = {name for line in table for name in re.findall(r"`(test_\w+)`", line.rsplit("|", 2)[1])}
    assert len(table) > 30
    assert len(named) > 30
    missing = {name for name in named if f"def {name}(" not in source}
    assert not missing
