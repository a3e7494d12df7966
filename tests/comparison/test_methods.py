import json

import pytest

from imbalance_trainer.comparison.runs import read_methods
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
