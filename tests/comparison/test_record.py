import numpy as np
import pytest

from imbalance_trainer.comparison.runs import Record, Run
from imbalance_trainer.utils.errors import DataError, UsageError

SETTINGS = {"data": "d", "steps": 60}
DECIDED = np.random.default_rng(0).random((7, 3)) < 0.5


def kept(folder, *seeds):
    record = Record(folder, SETTINGS)
    for seed in seeds:
        record.add(Run("my/method", 1e-3, seed, {"tuned": {"f1_macro": 0.5}}, 2.0), DECIDED)
    return record


def test_runs_and_their_decisions_are_found_again(tmp_path):
    kept(tmp_path, 1, 2)
    again = Record(tmp_path, SETTINGS)
    assert set(again.runs) == {("my/method", 1e-3, 1), ("my/method", 1e-3, 2)}
    run = again.runs["my/method", 1e-3, 2]
    assert run.values == {"tuned": {"f1_macro": 0.5}}
    np.testing.assert_array_equal(again.decisions(run), DECIDED)


def test_a_line_that_a_kill_has_torn_is_done_again(tmp_path):
    kept(tmp_path, 1)
    with open(tmp_path / "runs.jsonl", "a") as file:
        file.write('{"method": "my/meth')
    record = kept(tmp_path, 2)
    assert [seed for _, _, seed in record.runs] == [1, 2]
    assert [seed for _, _, seed in Record(tmp_path, SETTINGS).runs] == [1, 2]


def test_another_comparison_is_refused_with_what_differs(tmp_path):
    kept(tmp_path)
    with pytest.raises(UsageError, match="holds a comparison with steps 60, and this one has 70"):
        Record(tmp_path, {**SETTINGS, "steps": 70})


def test_files_that_are_broken_are_named(tmp_path):
    record = kept(tmp_path, 1)
    (run,) = record.runs.values()
    (tmp_path / "decisions" / "my%2Fmethod-lr0.001-seed1.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"my%2Fmethod-lr0.001-seed1.npz: cannot be read"):
        record.decisions(run)
    (tmp_path / "runs.jsonl").write_text("no json\n")
    with pytest.raises(DataError, match=r"runs.jsonl: cannot be read"):
        Record(tmp_path, SETTINGS)
