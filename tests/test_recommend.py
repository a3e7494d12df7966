"""Every rule of the recommendation, on distributions made for it; and that what it chooses exists."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbalance_trainer.analysis.dataset_stats import positives_for
from imbalance_trainer.analysis.recommend import RULES, recommend
from imbalance_trainer.cli.train import make_parser
from imbalance_trainer.labels.distribution import LabelDistribution
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.losses import LOSSES, make_loss
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import UsageError
from imbalance_trainer.utils.numeric import wilson_interval


def counts(support, n_rows=20_000, schema=None):
    return LabelDistribution.from_counts(
        support, n_rows, schema or LabelSchema([f"l{i}" for i in range(len(support))])
    )


def found(train, validation=None, rows=(20_000, 2000), problem=MULTI_LABEL, schema=None):
    validation = [v / 10 for v in train] if validation is None else validation
    return recommend(counts(train, rows[0], schema), counts(validation, rows[1], schema), problem)


RARE = [8000, 4000, 400, 40]
IMPLICATION = LabelSchema(["child", "parent"], {}, [("child", "parent")])


def test_rare_labels_get_tiers_focal_loss_and_thresholds():
    plan = found(RARE)
    assert {c.flag: c.value for c in plan.choices} == {
        "class_weights": "auto", "weight_strategy": "sqrt_tiered", "loss": "focal", "focal_gamma": 2.0,
        "metric_for_best_model": "f1_macro",
        "tune_thresholds": True,
    }  # fmt: skip
    assert plan.weights.values.tolist() == pytest.approx(np.sqrt([1.5, 3, 5, 10]).tolist())


def test_where_nothing_is_rare_the_plain_loss_does():
    even = found([9000, 8000, 10_000])
    assert [even.value(flag) for flag in ("loss", "class_weights")] == ["bce", "none"]
    assert set(even.weights.reasons) == {"none needed: no label is rare"}
    assert even.weights.values.tolist() == [1, 1, 1]
    assert found([9000, 8000, 0]).weights.reasons[2] == "no positives in training"
    single = found([2000] * 10, problem=SINGLE_LABEL)  # each class against nine others, none of them rare
    assert [single.value(flag) for flag in ("loss", "class_weights", "tune_thresholds")] == ["ce", "none", None]
    assert found([15_000, 4960, 40], problem=SINGLE_LABEL).value("loss") == "focal"


def beside(asked_for, train=RARE):
    plan = recommend(counts(train), counts([v / 10 for v in train], 2000), asked_for=asked_for)
    return plan, {c.flag: c for c in plan.choices}


def test_a_choice_of_the_user_s_own_takes_along_what_goes_with_it():
    plan, choices = beside({"loss": "bce", "weight_strategy": "balanced"})
    assert (plan.value("loss"), plan.value("focal_gamma"), plan.value("weight_strategy")) == ("bce", None, "balanced")
    assert choices["loss"].reason == "Your own choice; else focal is recommended here."
    assert beside({"focal_gamma": 3.0}, [9000, 8000, 10_000])[0].value("loss") == "focal"


def test_a_user_who_wants_no_weights_gets_none():
    plan, _ = beside({"class_weights": "none"})
    assert set(plan.weights.reasons) == {"no weights asked for"}
    assert plan.value("weight_strategy") is None


@pytest.mark.parametrize(
    ("train", "asked", "flag", "said"),
    [
        (counts([30, 2000, 40], schema=LabelSchema(["hateful", "insults", "threats"], {"primary": ["hateful"]})), {},
         "weight_strategy", "'threats' is 50 times rarer than the commonest secondary label and gets weight 3.16; "
         "negatives : positives would ask for up to 666, and past"),
        (counts(RARE), {"custom_weights": '{"l3": 25}'}, "weight_strategy",
         "'l3' is 200 times rarer than the commonest and gets weight 20 (custom, capped from 25); negatives"),
        (counts(RARE), {"max_weight": 2.0}, "weight_strategy", "'l3' is 200 times rarer than the commonest and gets "
         "weight 2;"),
        (counts([90], 2000), {}, "weight_strategy", "A positive of the rarest label stands against 21 negatives; 'l0' "
         "gets weight"),  # no label is called rarer than itself
        (dataclasses.replace(counts([700, 100, 50], 10_000), known=np.array([10_000.0, 10_000, 500])), {}, "loss",
         "A positive of 'l1' stands against 99 negatives"),  # the hardest of the labels, of which some are unknown
    ],
)  # fmt: skip
def test_the_reason_has_the_label_and_the_numbers(train, asked, flag, said):
    plan = recommend(train, counts(train.support / 10, 2000, train.schema), asked_for=asked)
    assert next(c for c in plan.choices if c.flag == flag).reason.startswith(said)


@pytest.mark.parametrize(
    ("validation", "metric", "tune"),
    [
        ([800, 400, 40, 0], "f1_macro", True),
        ([800, 9, 4, 4], "mean_average_precision", True),
        ([20, 9, 4, 4], "f1_macro", False),  # ranks alone may find nothing at 0.5
        ([0, 0, 0, 0], "f1_macro", False),
    ],
)
def test_metric_and_thresholds_follow_the_positives_in_validation(validation, metric, tune):
    plan = found(RARE, validation)
    assert [plan.value(flag) for flag in ("metric_for_best_model", "tune_thresholds")] == [metric, tune]


@pytest.mark.parametrize(("rows", "epochs"), [(20_000, None), (5344, None), (5328, 4), (2159, 8), (160, 20), (16, 20)])
def test_small_data_is_trained_longer(rows, epochs):
    plan = found([rows // 4, 1], [10, 1], rows=(rows, 100))
    assert plan.value("num_train_epochs") == epochs
    if epochs is not None:
        reason = next(c.reason for c in plan.choices if c.flag == "num_train_epochs")
        most = ", the most," if epochs == 20 else ""
        reached = -(-rows // 16) * epochs
        assert reason.endswith(f"about 1,000 updates are wanted, and {epochs} epochs{most} give {reached:,}.")


@pytest.mark.parametrize(
    ("train", "validation", "i", "said"),
    [
        ([8000, 0, 0], [800, 10, 0], 0, "No positive in training: 'l1', 'l2'. No weight"),
        ([8000, 4, 5], [800, 10, 10], 0, "Fewer than 5 positives in training: 'l1'. No setting will make"),
        ([8000, 4, 5], [800, 10, 10], 0, "For 20 positives it takes about 80,000 more rows"),  # 16, 1 in 5,000
        ([4, 3, 2, 1], [4, 3, 2, 1], 0, "Fewer than 5 positives in training: all 4 labels. No setting"),
        ([4, 3, 2, 1], [4, 3, 2, 1], 1, "Fewer than 39 positives in validation: all 4 labels. The recall"),
        (RARE, [800, 400, 8, 0], 0, "No positive in validation: 'l3'. Whether such a label is learned cannot be seen"),
        (RARE, [800, 400, 8, 0], 1, "Fewer than 39 positives in validation: 'l2'. The recall"),
        (
            RARE,
            [800, 400, 8, 0],
            1,
            "0.22 to 0.78 (95% interval). That label needs about 2,000 validation rows",
        ),  # 1,950
    ],
)
def test_problems_no_setting_can_fix_are_told_with_numbers(train, validation, i, said):
    assert said in found(train, validation).warnings[i]


@pytest.mark.parametrize(
    ("schema", "violations", "asked_for", "said"),
    [
        (
            IMPLICATION,
            6,
            {},
            "violate rules of the schema ('child' without 'parent' in 6 of 500 positives)",
        ),
        (IMPLICATION, 5, {}, ""),  # 1%: labelling is never perfect
        (IMPLICATION, 267, {"constraint": "none"}, ""),
    ],
)
def test_rules_that_training_rows_violate_are_told(schema, violations, asked_for, said):
    train = dataclasses.replace(counts([500, 400], 2000, schema), violations=np.array([violations]))
    warnings = recommend(train, counts([50, 40], 2000, schema), asked_for=asked_for).warnings
    assert said in " ".join(warnings)
    assert any("rules of the schema" in warning for warning in warnings) == bool(said)


@given(st.floats(0.02, 0.45))
def test_positives_for_is_the_least_number_by_wilson(half_width):
    n = positives_for(half_width)
    low, high = wilson_interval(n / 2, n)
    assert high - low <= 2 * half_width + 1e-9
    if n > 1:
        low, high = wilson_interval((n - 1) / 2, n - 1)
        assert high - low > 2 * half_width


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 500), min_size=n, max_size=n)] * 2)),
       st.sampled_from([MULTI_LABEL, SINGLE_LABEL]))  # fmt: skip
def test_whatever_the_counts_every_choice_exists_and_is_one_sentence(support, problem):
    train, validation = support
    plan = recommend(counts(train, max(sum(train), 1)), counts(validation, max(sum(validation), 1)), problem)
    flags = [c.flag for c in plan.choices]
    assert len(set(flags)) == len(flags)
    for choice in plan.choices:
        assert choice.reason.endswith(".")
        assert choice.reason.count("\n") == 0
        assert choice.source
    make_loss(plan.value("loss"), problem, plan.weights.values)
    assert plan.value("loss") in LOSSES
    assert all("nan" not in text and "inf" not in text.split() for text in plan.warnings)


def test_every_flag_that_a_rule_may_choose_is_one_of_training():
    known = make_parser()._option_string_actions
    plans = [found(RARE), found(RARE, [1, 1, 1, 1]), found(RARE, [40, 9, 9, 9]), found([9, 8], rows=(20, 20))]
    assert {f"--{c.flag}" for plan in plans for c in plan.choices} <= set(known)
    assert len({c.flag for plan in plans for c in plan.choices}) > len(RULES)


def test_splits_of_other_labels_are_a_usage_error():
    with pytest.raises(UsageError, match="counted with different labels"):
        recommend(counts([1]), counts([1, 2]))


# ---- what is not known ----


def test_rows_for_an_honest_recall_follow_the_prevalence_in_all_rows():
    plan = found([10_000, 200, 0], rows=(20_000, 2000))
    assert plan.validation_rows.tolist() == [78, 3900, math.inf]
    assert (plan.recall_low[1], plan.recall_high[1]) == wilson_interval(10, 20)
    assert found([8000, 4000], [800, 400]).warnings == ()
    train = dataclasses.replace(counts([700, 100, 2], 2000), known=np.array([2000.0, 200, 40]))
    plan = recommend(train, counts([70, 25, 1], 500))
    assert plan.validation_rows.tolist() == [112, 780, 39_000]  # 39 positives at 700, 100 and 2 in 2,000 rows
    assert "For 20 positives it takes about 18,000 more rows" in plan.warnings[0]


@pytest.mark.parametrize(
    ("primary", "validation", "metric"),
    [
        (["a"], [50, 40, 30], "secondary_f1_macro"),
        (["a"], [0, 40, 30], "mean_average_precision"),
        (["a", "b", "c"], [50, 40, 30], "f1_macro"),
        ([], [50, 40, 30], "f1_macro"),
        ([], [50, 0, 0], "mean_average_precision"),
    ],
)
def test_the_metric_is_one_that_can_differ_from_zero(primary, validation, metric):
    schema = LabelSchema(["a", "b", "c"], {"primary": primary} if primary else {})
    assert found([500, 400, 300], validation, schema=schema).value("metric_for_best_model") == metric


@pytest.mark.parametrize("asked", [{"weight_strategy": "balanced"}, {"max_weight": 5.0}])
def test_what_needs_weights_brings_them(asked):
    assert beside(asked, [9000, 8000, 10_000])[0].value("class_weights") == "auto"
