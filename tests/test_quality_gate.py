"""The floors of --fail_under."""

import math

import pytest

from imbalance_trainer import ImbalanceMetrics, LabelSchema
from imbalance_trainer.cli.quality_gate import check_results, read_floors
from imbalance_trainer.metrics.imbalance_metrics import LOWER_IS_BETTER
from imbalance_trainer.monitor.run_files import Results
from imbalance_trainer.utils.errors import QualityGateError, UsageError

SCHEMA = LabelSchema(["hateful", "rare / label"], {"primary": ["hateful"]})
ROWS = [
    {"label": "hateful", "recall": 0.5, "precision": 0.25, "f1": 1 / 3, "average_precision": 0.75},
    {"label": "rare / label", "recall": 0.125, "precision": None, "f1": 0.0, "average_precision": math.nan},
]
RESULTS = Results("test", 5, {"f1_macro": 0.31204, "secondary_f1_macro": math.nan, "loss": math.inf}, ROWS, 20)


def floors(*texts, split="test", schema=SCHEMA):
    return read_floors(texts, schema, split)


def test_floors_are_read_with_the_prefix_or_without():
    assert floors("secondary_f1_macro=0.4", "test_f1_macro = .3") == {"secondary_f1_macro": 0.4, "f1_macro": 0.3}
    assert floors("validation_recall_rare_label=1", split="validation") == {"recall_rare_label": 1.0}
    assert read_floors(None, SCHEMA, "test") == {}


def test_a_label_that_is_called_like_the_split_is_meant_by_its_metric():
    schema = LabelSchema(["a", "b"])
    assert floors("f1_a=0.5", schema=schema) == {"f1_a": 0.5}
    many = LabelSchema([f"label {i}" for i in range(60)])
    assert floors("average_precision_label_55=0.5", schema=many) == {"average_precision_label_55": 0.5}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        *[([text], r"--fail_under .*: expected name=value, such as secondary_f1_macro=0\.4\.")
          for text in ("f1_macro", "f1_macro=", "=0.4", "f1_macro=high", "f1_macro:0.4", "")],
        *[([f"f1_macro={value}"], rf"f1_macro={value}: a floor lies in \[0, 1\]") for value in (40, -0.1, "nan")],
        (["f1_macro=0.1", "test_f1_macro=0.2"], "'f1_macro' stands twice; give it once"),
        (["secondary_f1_makro=0.4"], "unknown metric 'secondary_f1_makro': did you mean 'secondary_f1_macro'"),
        (["eval_f1_macro=0.4"], "unknown metric 'eval_f1_macro': did you mean 'f1_macro'"),
        (["support_hateful=0.4"], "unknown metric 'support_hateful'"),
        *[([f"{name}=0.4"], f"--fail_under {name}: is best when it is low.*--fail_over")
          for name in (*LOWER_IS_BETTER, "loss", "test_loss")],
    ],
)  # fmt: skip
def test_what_is_no_floor_is_one_sentence(texts, said):
    with pytest.raises(UsageError, match=said) as caught:
        floors(*texts)
    assert "\n" not in str(caught.value)


def test_every_other_metric_can_have_one():
    names = [name for name in ImbalanceMetrics(SCHEMA).compute() if not name.startswith("support_")]
    high = [name for name in names if name not in LOWER_IS_BETTER]
    assert list(floors(*(f"{name}=0" for name in high))) == high


def test_at_the_floor_is_enough():
    check_results(RESULTS, {"f1_macro": 0.312, "recall_rare_label": 0.125, "average_precision_hateful": 0.7}, SCHEMA)
    check_results(RESULTS, {}, SCHEMA)


def test_each_metric_under_its_floor_is_a_line():
    wanted = {"f1_macro": 0.3121, "recall_hateful": 0.5, "recall_rare_label": 0.2}
    with pytest.raises(QualityGateError) as caught:
        check_results(RESULTS, wanted, SCHEMA)
    assert str(caught.value).splitlines() == [
        "f1_macro is 0.31204, under the floor of 0.3121 (test)",
        "recall_rare_label is 0.125, under the floor of 0.2 (test)",
    ]
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("name", ["secondary_f1_macro", "average_precision_rare_label", "precision_rare_label", "x"])
def test_no_number_is_under_every_floor(name):
    with pytest.raises(QualityGateError, match=rf"{name} is nan, under the floor of 0 \(test\)"):
        check_results(RESULTS, {name: 0.0}, SCHEMA)
