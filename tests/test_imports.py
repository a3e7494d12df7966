"""Imports go one way (docs/architecture.md): each module imports only from its own level or from lower ones."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import imbalance_trainer

PACKAGE = Path(imbalance_trainer.__file__).parent

LEVELS = [
    {"errors", "arrays", "whole_file", "markdown"},
    {"label_info", "results", "json_flag"},
    {"labels"},
    {"arrow_labels", "count_cache", "loading"},
    {"label_columns", "label_values"},
    {"counting"},
    {"distribution"},
    {"constraints", "cuts", "smoothing", "sampling"},
    {"decisions", "threshold_search", "calibration", "average_precision"},
    {"decision_counts"},
    {"weights", "metrics", "thresholds", "tables", "data", "batches", "page", "page_style", "markup", "svg", "head"},
    {"evaluate_metric", "label_table", "recommend", "shift", "tuning", "quality_gate"},
    {"analysis", "plots", "evaluation_plots"},
    {"losses"},
    {"objective"},
    {"nan_guard", "checkpoints", "evaluation"},
    {"demo", "problem", "training_args", "diagnosis", "history", "pipeline"},
    {"run_info", "adaptive"},
    {"messages", "model_card", "run_record", "screen"},
    {"report_tables", "report_charts"},
    {"report"},
    {"callbacks"},
    {"adaptive_callback"},
    {"threshold_tuning"},
    {"outputs"},
    {"weighted_loss", "row_sampling"},
    {"head_training", "collation"},
    {"trainer"},
    {"encoders"},
    {"comparison"},
    {"cli"},
    {"saved_model"},
    {"analyze_command", "compare_command", "tune_command", "evaluate_command", "predict_command", "report_command"}
    | {"export", "env_command"},
    {"__main__"},
    {"completion_command"},
]
LEVEL = {module: i for i, level in enumerate(LEVELS) for module in level}
NEEDS_NO_TRANSFORMERS = [module for level in LEVELS[: LEVEL["losses"] + 1] for module in sorted(level)]

# Not at import but when it is called: the level above, on demand.
ON_DEMAND = {("metrics", "evaluate_metric")}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


def room(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(path):
    """Rooms of our package that a file imports from, anywhere in it."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level == depth and node.module:
                yield node.module.split(".")[0]
            elif node.level == depth:
                yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imbalance_trainer."):
            yield node.module.split(".")[1]


def test_every_module_has_a_level():
    assert {room(path) for path in modules()} == set(LEVEL)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_runs_back(path):
    for imported in imported_rooms(path):
        allowed = LEVEL[imported] <= LEVEL[room(path)] or (room(path), imported) in ON_DEMAND
        assert allowed, f"{path.name} imports {imported}, which stands above it"


def test_an_import_that_runs_back_would_be_seen(tmp_path):
    assert "trainer" in set(imported_rooms(PACKAGE / "__init__.py")) | {"trainer"}
    edges = {(room(path), imported) for path in modules() for imported in imported_rooms(path)}
    assert ("trainer", "callbacks") in edges
    assert ("losses", "errors") in edges  # a package inside the package is walked too
    assert len(edges) > 30


@pytest.mark.parametrize("module", NEEDS_NO_TRANSFORMERS)
def test_the_pure_part_imports_no_transformers(module):
    tops = set()
    path = PACKAGE / module
    for file in path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                tops.add(node.module.split(".")[0])
    assert not tops & {"transformers", "accelerate"}


def test_losses_and_metrics_load_without_transformers():
    code = (
        "import sys; sys.modules['transformers'] = None; import imbalance_trainer as it; "
        "it.weighted_focal_loss, it.ImbalanceMetrics, it.compute_class_weights, it.close_decisions, "
        "it.apply_thresholds"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    for name in imbalance_trainer.__all__:
        assert getattr(imbalance_trainer, name) is not None
    assert dir(imbalance_trainer) == sorted(imbalance_trainer.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = imbalance_trainer.nothing
