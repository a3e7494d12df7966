import json

import numpy as np
import pytest

from imbalance_trainer.comparison.runs import Record, Run, read_methods
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import DataError, UsageError

SETTINGS = {"data": "d", "steps": 60}
VALUES = {"at_half": {}, "tuned": {"f1_macro": 0.5}, "validation_f1_macro": 0.4, "mean_average_precision": 0.3}
DECIDED = np.random.default_rng(0).random((7, 3)) < 0.5


def kept(folder):
    record = Record(folder, SETTINGS)
    record.add(Run("my/method", 1e-3, 2, VALUES, 2.0, "{}", decided=DECIDED))
    return folder / "runs" / "my%2Fmethod-lr0.001-seed2.npz"


def test_runs_and_their_decisions_are_found_again(tmp_path):
    kept(tmp_path)
    again = Record(tmp_path, SETTINGS)
    failed = again.add(Run("other", 1e-3, 1, {}, 0.0, "{}", "The loss is NaN."))
    assert again.find(("other", 1e-3, 1), "{}") == failed
    assert again.find(("other", 1e-3, 2), "{}") is None
    run = again.find(("my/method", 1e-3, 2), "{}")
    assert (run.values, run.seconds, run.error) == (VALUES, 2.0, None)
    np.testing.assert_array_equal(run.decided, DECIDED)


def test_another_comparison_and_one_of_another_version_are_refused_with_what_differs(tmp_path):
    kept(tmp_path)
    with pytest.raises(UsageError, match="holds a comparison with steps 60, and this one has 70"):
        Record(tmp_path, {**SETTINGS, "steps": 70})
    (tmp_path / "settings.json").write_text(json.dumps({"version": 1, **SETTINGS}))
    with pytest.raises(UsageError, match="holds a comparison with version 1, and this one has 2; give another --outp"):
        Record(tmp_path, SETTINGS)


@pytest.mark.parametrize("broken", [b"PK", b"", {"decided": DECIDED}, {"run": '{"method": "of then"}'}, {"run": "3"}])
def test_a_file_that_is_broken_is_named(broken, tmp_path):
    file = kept(tmp_path)
    if isinstance(broken, bytes):
        file.write_bytes(broken)
    else:
        np.savez(file, **broken)
    with pytest.raises(DataError, match=r"my%2Fmethod-lr0.001-seed2.npz: cannot be read .*; delete it, and its run"):
        Record(tmp_path, SETTINGS).find(("my/method", 1e-3, 2), "{}")


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
