import json

import pytest

from imbalance_trainer.comparison.budget import LEAST_STEPS, Budget, read_budget
from imbalance_trainer.comparison.methods import read_methods
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import UsageError


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


def test_budgets():
    assert read_budget("500").steps(10_000, 32) == 500
    assert read_budget("500 steps") == read_budget("500")
    assert read_budget("2 epochs").steps(65, 32) == 6
    assert read_budget("0.5epochs").steps(65, 32) == 2
    assert read_budget("30m") == Budget(1800, "seconds") == read_budget("0.5h")
    assert read_budget("10m").steps_in_time(6, seconds_of_step=0.5, seconds_of_scoring=20, epoch=50) == 160
    assert read_budget("10m").steps_in_time(6, seconds_of_step=1e-4, seconds_of_scoring=20, epoch=50) == 20 * 50
    with pytest.raises(UsageError, match=rf"fewer than {LEAST_STEPS} steps for each of 6 trainings; give 5m or more"):
        read_budget("1m").steps_in_time(6, seconds_of_step=0.5, seconds_of_scoring=20, epoch=50)


@pytest.mark.parametrize("text", ["", "0", "-3", "2.5 steps", "3 days", "m", "1e3", "nan"])
def test_bad_budgets(text):
    with pytest.raises(UsageError, match="--budget is"):
        read_budget(text)
