"""The examples of examples/by_feature, each in a process of its own, as small as they go."""

import ast
import multiprocessing
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples" / "by_feature"
ALL = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
NAMES = [name for name in ALL if name != "many_labels"]  # which tests/test_examples.py runs

TELLS = {
    "custom_weights": r"\nanti-democratic rhetoric +\S+ +\S+ +\S+ +15\n",
    "hierarchy": r"constraint='gold': \d+ of 300 rows break a rule, 0 once they are closed",
    "hyperparameter_search": r"The best of 4 trials, secondary_f1_macro 0\.\d+:\n  --focal_gamma \d\.\d\n",
    "lora": r"\n +\d+ KiB  \S+/adapter_model.safetensors\n",
    "any_trainer": r"\neval_secondary_f1_macro 0\.\d{3}\n",
    "own_loss": r"A mean is refused: The loss gave a single number for labels of shape \(2, 2\)",
    "single_label": r"\nmean recall +0\.\d\d +0\.\d\d +0\.\d\d\n",
    "stock_trainer": r"\n  eval_secondary_f1_macro +0\.\d{3}\n",
    "thresholds": r'config.json:\n\{\n  "anti-democratic rhetoric": 0\.\d+,',
    "token_classification": r"\nO +\d,\d{3} +0\.\d+ +\d\.\d\d +\S+\n",
}
NEEDS = {"hyperparameter_search": "optuna", "lora": "peft"}
SLOW = ("custom_weights", "hyperparameter_search")  # several trainings each

# Forked from a process that has imported what takes seconds and has done nothing else; one that cannot be is left out.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "imbalance_trainer.cli.parser",
        "imbalance_trainer.pipeline",
        "imbalance_trainer.training.trainer",
        *NEEDS.values(),
    ]
)


def in_process(path, flags, log, missing):
    """Run a script as python does, with its folder first on the path and its output in a file."""
    with open(log, "w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv = [str(path), *flags]
    sys.path.insert(0, str(path.parent))
    sys.modules.update(dict.fromkeys(missing))  # an import of them fails
    runpy.run_path(str(path), run_name="__main__")


@pytest.fixture
def run_example(tmp_path):
    def run(name, missing=()):
        flags = ["--rows", "300", "--max_steps", "3", "--output_dir", str(tmp_path / "run"), "--use_cpu"]
        log = tmp_path / "log.txt"
        process = FORKS.Process(target=in_process, args=(FOLDER / f"{name}.py", flags, log, missing))
        process.start()
        process.join()
        return process.exitcode, log.read_text()

    return run


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in NAMES])
def test_runs_and_shows_what_it_is_about(name, run_example):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    code, out = run_example(name)
    assert code == 0, out
    assert re.search(TELLS[name], out), out


@pytest.mark.parametrize("name", NEEDS)
def test_what_is_missing_is_said_in_a_sentence(name, run_example):
    code, out = run_example(name, missing=(NEEDS[name],))
    assert code == 2
    assert out == f"error: This example needs {NEEDS[name]}: pip install {NEEDS[name]}\n"


def test_the_command_of_a_docstring_runs():
    """The plain command, without what these tests do to be quick; --help ends it before the training."""
    script = FOLDER / "custom_weights.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "python examples/by_feature/custom_weights.py" in done.stdout


def test_every_example_has_something_to_tell():
    assert sorted(TELLS) == NAMES


@pytest.mark.parametrize("name", ALL)
def test_the_docstring_names_the_command_and_the_program_is_short(name):
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    first, *rest = ast.get_docstring(ast.parse(source)).splitlines()
    assert first.endswith(".")
    assert any(re.match(rf"    (python|accelerate launch) examples/by_feature/{name}\.py\b", line) for line in rest)
    assert len(source.splitlines()) < 100
