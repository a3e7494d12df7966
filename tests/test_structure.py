"""The house: rooms that import downward only, and budgets. It finds rooms and floors by itself."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import imbalance_trainer

PACKAGE = Path(imbalance_trainer.__file__).parent
NEEDS_NO_TRANSFORMERS = ("utils", "labels", "losses", "data", "decisions", "metrics", "tuning")
# what the house may not grow over
BUDGET = {"files": 115, "lines": 18_000, "statements": 10_000, "at the top": 4, "floors by file": 18}
LONGEST, LONGEST_OF_THE_TRAINER = 400, 650


def name_of(path, root):
    return ".".join((root.name, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")


def imported(path, root):
    """Modules of the package that a file imports, anywhere in it but under TYPE_CHECKING."""
    files = {name_of(p, root): p for p in root.rglob("*.py")}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    skipped = {inner for node in for_types for inner in ast.walk(node)}
    folder = (root.name, *path.relative_to(root).parts[:-1])
    for node in ast.walk(tree):
        if node in skipped or not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.Import):
            found = {alias.name for alias in node.names}
        else:
            base = folder[: len(folder) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            found = {inner if (inner := f"{module}.{alias.name}") in files else module for alias in node.names}
        yield from found & set(files) - {name_of(path, root)}


def room_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or (PACKAGE / parts[-1]).is_dir() else None  # None: a file at the top


def edges(root=PACKAGE):
    return {(name_of(path, root), to) for path in root.rglob("*.py") for to in imported(path, root)}


def edges_between_rooms():
    pairs = {(room_of(a), room_of(b)) for a, b in edges() if a != "imbalance_trainer" and b != "imbalance_trainer"}
    return {(a, b) for a, b in pairs if a != b and a and b}


def floors(graph):
    """{node: 1 + the longest chain of imports below it}; an error where there is a circle."""
    below = {node: {b for a, b in graph if a == node} for pair in graph for node in pair}
    level = {}

    def visit(node, path):
        assert node not in path, f"a circle: {' -> '.join((*path[path.index(node) :], node))}"
        if node not in level:
            level[node] = 1 + max((visit(other, (*path, node)) for other in below[node]), default=0)
        return level[node]

    for node in sorted(below):
        visit(node, ())
    return level


def statements(tree):
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = sum(isinstance(n, documented) and ast.get_docstring(n) is not None for n in ast.walk(tree))
    return sum(isinstance(n, ast.stmt) for n in ast.walk(tree)) - docstrings


def test_rooms_import_downward_only():
    level = floors(edges_between_rooms())
    assert level["utils"] == 1
    assert level["cli"] == max(level.values())


def test_a_circle_would_be_seen():
    with pytest.raises(AssertionError, match=r"a circle: b -> c -> d -> b"):
        floors({("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")})


def test_imports_are_found_in_every_form(tmp_path):
    root = tmp_path / "house"
    (root / "room").mkdir(parents=True)
    for path in ("__init__.py", "top.py", "room/__init__.py", "room/one.py", "room/two.py"):
        (root / path).write_text("")
    file = root / "room" / "three.py"
    file.write_text("from .. import top\ndef f():\n    from .one import a\nimport house.room.two\nimport os\n")
    assert set(imported(file, root)) == {"house.top", "house.room.one", "house.room.two"}


def test_the_house_keeps_its_budgets(capsys):
    size, count = Counter(), Counter()
    for path in PACKAGE.rglob("*.py"):
        text, module = path.read_text(encoding="utf-8"), name_of(path, PACKAGE)
        lines, room = text.count("\n"), room_of(module) or "at the top"
        size.update({"lines": lines, "statements": statements(ast.parse(text)), "files": 1})
        count.update({room: lines})
        size.update({"at the top": room == "at the top"})
        limit = LONGEST_OF_THE_TRAINER if module.endswith("training.trainer") else LONGEST
        assert lines <= limit, f"{module} has {lines} lines; at most {limit}"
    inits = {name_of(p, PACKAGE) for p in PACKAGE.rglob("__init__.py")}
    size["floors by file"] = max(floors({(a, b) for a, b in edges() if not {a, b} & inits}).values())
    with capsys.disabled():
        print("\n" + ", ".join(f"{room} {n:,}" for room, n in count.most_common()))
        print(", ".join(f"{what} {size[what]:,} (at most {most:,})" for what, most in BUDGET.items()))
    assert {what: n for what, n in size.items() if n > BUDGET[what]} == {}


@pytest.mark.parametrize("room", NEEDS_NO_TRANSFORMERS)
def test_the_lower_rooms_load_without_transformers(room):
    names = [name_of(path, PACKAGE) for path in sorted((PACKAGE / room).rglob("*.py"))]
    code = f"import sys, importlib; sys.modules['transformers'] = None; [importlib.import_module(n) for n in {names}]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names_of_the_lower_rooms_load_without_transformers():
    code = (
        "import sys; sys.modules['transformers'] = None; import imbalance_trainer as it; "
        "it.weighted_focal_loss, it.ImbalanceMetrics, it.compute_class_weights, it.enforce_hierarchy, "
        "it.apply_thresholds, it.tune_thresholds, it.load_labelled_dataset"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    for name in imbalance_trainer.__all__:
        assert getattr(imbalance_trainer, name) is not None
    assert dir(imbalance_trainer) == sorted(imbalance_trainer.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = imbalance_trainer.nothing
