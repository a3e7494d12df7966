"""What users rely on: the public names, one place of the version, and defaults as pages and --help tell them."""

import ast
import configparser
import re
from pathlib import Path

import pytest

import imbalance_trainer
from imbalance_trainer import losses
from imbalance_trainer.cli import train
from imbalance_trainer.data import files
from imbalance_trainer.monitor.diagnose import TITLES
from imbalance_trainer.training.head import fresh_head_rate
from imbalance_trainer.tuning.threshold_search import OBJECTIVES

ROOT = Path(__file__).parent.parent

# A name that goes from one of these lists is a breaking change: first it is deprecated (CONTRIBUTING.md).
PUBLIC = """
    ImbalanceMetrics ImbalanceTextClassificationPipeline ImbalanceTrainingArguments LOSSES
    LabelDistribution LabelSchema LayerHeadConfig LayerHeadForSequenceClassification RareLabelCallback
    WeightedFocalLoss WeightedFocalTrainer
    __version__ apply_thresholds cap_weights enforce_hierarchy compute_class_weights load_labelled_dataset
    tune_thresholds weighted_focal_loss imbalance_loss start_head set_head_rate
""".split()
PUBLIC_LOSSES = """
    AsymmetricLoss LOSSES
    LogitAdjustedLoss Loss UserLoss WeightedBCELoss WeightedCELoss WeightedFocalLoss
    checked_gamma make_loss weighted_focal_loss
""".split()


def page(name):
    return (ROOT / name).read_text(encoding="utf-8")


def numbers(version):
    return [int(number) for number in re.findall(r"\d+", version)]


# ---- names ----


@pytest.mark.parametrize(("module", "names"), [(imbalance_trainer, PUBLIC), (losses, PUBLIC_LOSSES)])
def test_public_names_are_these_and_each_that_can_be_called_says_what_it_does(module, names):
    assert sorted(module.__all__) == sorted(names)
    silent = [name for name in names if callable(value := getattr(module, name)) and not value.__doc__]
    assert not silent


def test_public_methods_say_what_they_do():
    silent = []
    for name in PUBLIC:
        members = vars(getattr(imbalance_trainer, name)) if isinstance(getattr(imbalance_trainer, name), type) else {}
        for member, value in members.items():
            function = getattr(value, "fget", getattr(value, "__func__", value))  # of properties and class methods
            if not member.startswith("_") and callable(function) and not function.__doc__:
                silent.append(f"{name}.{member}")
    assert not silent


def test_a_type_checker_sees_what_is_imported_on_demand():
    tree = ast.parse(page("imbalance_trainer/__init__.pyi"))
    seen = {alias.name: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level
            for alias in node.names}  # fmt: skip
    assert seen == imbalance_trainer.HOMES


# ---- the version ----


def test_the_version_stands_once():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["version"] == "attr: imbalance_trainer.__version__"
    assert not re.search(r"^version\b", page("pyproject.toml"), re.MULTILINE)
    package = ROOT / "imbalance_trainer"
    assigned = [file for file in package.rglob("*.py") if "\n__version__ =" in file.read_text(encoding="utf-8")]
    assert assigned == [package / "__init__.py"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", imbalance_trainer.__version__)


def test_the_changelog_has_no_version_past_this_one():
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", page("CHANGELOG.md"), re.MULTILINE)
    assert all(numbers(version) <= numbers(imbalance_trainer.__version__) for version in released)


# ---- defaults and lists that a page quotes ----


def rows_of(text, start):
    """The cells of a Markdown table's rows that begin with `start`."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def quoted_default(cell):
    """A word in backticks or a number; None where the cell is prose."""
    found = re.fullmatch(r"`([^`]+)`|([\d.]+)", cell)
    return found and (found[1] or found[2])


def test_defaults_in_the_quick_reference_are_those_of_the_flags():
    parser = train.make_parser()
    checked = []
    for flags, defaults, _ in (row for row in rows_of(page("docs/quick-reference.md"), "`--") if len(row) == 3):
        names, values = re.findall(r"`--(\w+)`", flags), defaults.split(", ")
        for name, value in zip(names, map(quoted_default, values), strict=False):
            if value is not None:
                default = parser.get_default(name)
                words = {str(default), str(default).lower()} | ({"none", "false"} if default is None else set())
                is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
                assert float(value) == default if is_number else value in words, name
                checked.append(name)
    assert {"class_weights", "max_weight", "focal_gamma", "tune_thresholds", "constraint_weight"} <= set(checked)
    assert len(checked) >= 14


def test_numbers_that_help_and_pages_say_by_hand_are_those_of_the_code():
    teens = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split()
    ones = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    words = dict(enumerate([*ones, *teens, *(f"twenty-{one}" for one in ones)], start=1))
    assert f"one of {words[len(losses.LOSSES)]} (" in page("docs/quick-reference.md")
    assert f"{words[len(TITLES)].capitalize()} kinds of findings" in page("README.md")
    times, at_most = fresh_head_rate(1e-6) / 1e-6, fresh_head_rate(1e-3)
    said = f"{times:g} times --learning_rate, at most {at_most:g}"
    help_text = train.TrainArguments.__dataclass_fields__["head_learning_rate"].metadata["help"]
    assert said in help_text
    assert said in page("docs/quick-reference.md").replace("`", "")


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("docs/troubleshooting.md", TITLES),
        ("docs/thresholds.md", OBJECTIVES),
        ("docs/data-formats.md", files.READERS),
    ],
)
def test_a_page_has_a_row_for_each_of_a_list(name, every):
    first_cells = [row[0] for row in rows_of(page(name), "`")]
    named = {word for cell in first_cells for word in re.findall(r"`([^`]+)`", cell)}
    assert set(every) <= named
