import json

import numpy as np
import pytest

from imbalance_trainer.comparison.runs import Record, Run, read_methods
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import DataError, UsageError

SETTINGS = {"data": "d", "steps": 60}
VALUES = {"at_half": {}, "tuned": {"f1_macro": 0.5}, "validation_f1_macro": 0.4, "mean_average_precision": 0.3}
DECIDED = np.random.default_rng(0).random((7, 3)) < 0.5


def kept(folder, *seeds):
    record = Record(folder, SETTINGS)
    for seed in seeds:
        record.add(Run("my/method", 1e-3, seed, VALUES, 2.0), DECIDED)
    return record


def test_runs_and_their_decisions_are_found_again(tmp_path):
    kept(tmp_path, 1, 2)
    again = Record(tmp_path, SETTINGS)
    assert set(again.runs) == {("my/method", 1e-3, 1), ("my/method", 1e-3, 2)}
    run = again.runs["my/method", 1e-3, 2]
    assert run.values == VALUES
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
    first = (tmp_path / "runs.jsonl").read_text()
    for line in ("no json", "3", '{"method": "of then"}', first.replace("tuned", "decided").strip()):
        (tmp_path / "runs.jsonl").write_text(f"{first}{line}\n")
        said = r"runs.jsonl: line 2 cannot be read as a run of this version of imbalance-trainer; give another --out"
        with pytest.raises(DataError, match=said):
            Record(tmp_path, SETTINGS)


# ---- methods ----


def test_stock_comes_first_and_names_may_be_separated_by_commas(tmp_path):
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"gamma 3": {"focal_gamma": 3.0}}))
    methods = read_methods(["default,focal", "stock"], str(own), MULTI_LABEL)
    assert [(m.name, m.options) for m in methods] == [
        ("stock", None),
        ("default", {}),
        ("focal", {"loss": "focal"}),
        ("gamma 3", {"focal_gamma": 3.0}),
    ]
    assert [m.is_stock for m in methods] == [True, False, False, False]


@pytest.mark.parametrize(
    ("names", "own", "kind", "said"),
    [
        (["focal,focal"], None, MULTI_LABEL, "'focal' twice"),
        (["focl"], None, MULTI_LABEL, "did you mean 'focal'"),
        (["stock"], None, MULTI_LABEL, "nothing to compare"),
        (["ce"], None, MULTI_LABEL, "not for multi-label"),
        (["bce"], None, SINGLE_LABEL, "not for single-label"),
        ([], "{", MULTI_LABEL, "no valid JSON"),
        ([], "nowhere.json", MULTI_LABEL, "the path of a JSON file; 'nowhere.json' is no such file"),
        ([], '{"mine": 3}', MULTI_LABEL, "--own_methods is"),
        ([], '{"mine": {"gamma": 3}}', MULTI_LABEL, "has an unknown option 'gamma': did you mean 'focal_gamma'"),
        ([], '{"mine": {"focal_gamma": -1}}', MULTI_LABEL, "focal_gamma must be"),
        ([], '{"stock": {}}', MULTI_LABEL, "'stock' is taken"),
    ],
)
def test_bad_methods_are_one_sentence(names, own, kind, said):
    with pytest.raises(UsageError, match=said) as error:
        read_methods(names, own, kind)
    assert "\n" not in str(error.value)
