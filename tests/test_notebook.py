"""examples/rare_labels.ipynb runs top to bottom."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "rare_labels.ipynb"


@pytest.mark.slow
def test_it_runs_from_top_to_bottom_and_is_kept_without_outputs(tmp_path):
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    settings, *rest = ("".join(cell["source"]) for cell in code)
    assert "MAX_STEPS = 600" in settings
    script = "\n".join([settings.replace("600", "6"), *rest])
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "anti-democratic rhetoric" in done.stdout.splitlines()[0]
    assert "at 0.5" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("they run the banks, a secret plan -> [")
