import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from imbalance_trainer import LabelDistribution, LabelSchema, cap_weights, compute_class_weights
from imbalance_trainer.labels.class_weights import STRATEGIES, merge_custom_weights, read_class_weights
from imbalance_trainer.utils.errors import UsageError

BAD_WEIGHTS = [0, -1, float("nan"), float("inf"), True, np.True_, "3", b"3", None, [1.0]]


def counts_of(support, n_rows, primary=(), names=None):
    """A distribution with these counts, nothing unknown."""
    names = names or [f"l{i}" for i in range(len(support))]
    schema = LabelSchema(names, {"primary": [names[i] for i in primary]} if primary else {})
    support, n_rows = np.array(support, dtype=float), int(n_rows)
    return LabelDistribution(schema, n_rows, support, np.full(len(support), float(n_rows)), np.zeros(0), n_rows)


def weights_of(*args, strategy="tiered", given="auto", **kwargs):
    return compute_class_weights(counts_of(*args), given, strategy, **kwargs).values.tolist()


# ---- strategies ----


@pytest.mark.parametrize(
    ("ratio", "weight"), [(30, 10), (29.99, 5), (30.01, 10), (10, 5), (9.99, 3), (10.01, 5), (100, 10), (1, 3)]
)
def test_tiers_begin_exactly_at_their_bounds(ratio, weight):
    support = [ratio * 100, 100]  # of so many rows that negatives / positives is over every limit
    assert weights_of(support, 1_000_000)[1] == weight


@pytest.mark.parametrize(
    ("strategy", "support", "n_rows", "primary", "expected"),
    [  # up to 3 negatives / positives, 1 where all are positive
        ("tiered", [100, 80, 25, 20], 100, [], [1.0, 0.25, 3.0, 3.0]),
        ("tiered", [50, 40], 100, [], [1.0, 1.5]),
        # of primary labels up to 2, without tiers; ratios are to the most frequent secondary label
        ("tiered", [10, 1000, 90], 10_000, [0], [2.0, 3.0, 5.0]),
        ("tiered", [600, 300], 1000, [0], [2 / 3, 7 / 3]),
        ("tiered", [5000, 1000, 100], 10_000, [0], [1.0, 3.0, 5.0]),
        ("inverse_frequency", [20, 50], 100, [], [4.0, 1.0]),
        ("sqrt_inverse_frequency", [20, 50], 100, [], [2.0, 1.0]),
    ],
)
def test_weights_are_those_by_hand(strategy, support, n_rows, primary, expected):
    assert weights_of(support, n_rows, primary, strategy=strategy) == pytest.approx(expected)


def test_balanced_is_scikit_learn_s():
    classes = np.random.default_rng(0).choice(4, 300, p=[0.6, 0.25, 0.1, 0.05])
    counts = LabelDistribution.from_labels(classes, LabelSchema(list("abcd")))
    weights = compute_class_weights(counts, weight_strategy="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(4), y=classes)
    np.testing.assert_allclose(weights.values, expected)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_label_without_positives_has_weight_1_and_says_so(strategy):
    weights = compute_class_weights(counts_of([50, 0, 5], 100), weight_strategy=strategy)
    assert weights.values[1] == 1.0
    assert weights.reasons[1] == "no positives in training"
    nothing = compute_class_weights(counts_of([0, 0], 0), weight_strategy=strategy)
    assert nothing.values.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("strategy", ["tiered", "inverse_frequency", "sqrt_inverse_frequency"])
def test_a_label_that_is_always_1_has_weight_1_and_says_so(strategy):
    weights = compute_class_weights(counts_of([100, 5], 100), weight_strategy=strategy)
    assert weights.values[0] == 1.0
    assert weights.reasons[0] == "positive in every row"


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(list(STRATEGIES)),
    st.lists(st.integers(0, 500), min_size=1, max_size=8),
    st.integers(0, 500),
    st.floats(0.1, 50),
)
def test_every_strategy_gives_finite_positive_weights_under_the_cap_with_reasons(strategy, support, more, cap):
    counts = counts_of(support, max(support) + more)
    weights = compute_class_weights(counts, "auto", strategy, cap)
    assert np.isfinite(weights.values).all()
    assert (weights.values > 0).all()
    assert (weights.values <= cap).all()
    assert len(weights.reasons) == len(weights) == len(support)
    assert all(weights.reasons)


def test_a_strategy_that_does_not_exist_is_an_error():
    with pytest.raises(UsageError, match="did you mean 'tiered'"):
        weights_of([1], 2, strategy="tierd")


def test_sqrt_tiered_is_the_root_of_tiered_where_rare_labels_are_few():
    counts = counts_of([4000, 5000, 100, 400, 0], 10_000, [0])
    tiered, roots = (compute_class_weights(counts, weight_strategy=name) for name in ("tiered", "sqrt_tiered"))
    np.testing.assert_allclose(roots.values, np.sqrt(tiered.values))
    assert roots.reasons[:3:2] == ("primary root: min(neg:pos 1.5, 2)", "root: ratio 50 >= 30")
    assert tiered.reasons[2] == "tier: ratio 50 >= 30"
    assert roots.reasons[4] == "no positives in training"


@pytest.mark.parametrize(("n_rare", "weight"), [(49, np.sqrt(10)), (51, 1.0)])
def test_sqrt_tiered_weighs_nothing_where_rare_labels_hold_a_third_of_the_positives(n_rare, weight):
    counts = counts_of([1000, *[10] * n_rare], 10_000)  # at 50 labels they hold a third
    weights = compute_class_weights(counts, weight_strategy="sqrt_tiered")
    np.testing.assert_allclose(weights.values[1:], weight)
    if weight == 1:
        assert set(weights.values) == {1.0}
        assert set(weights.reasons) == {"none: labels of ratio >= 10 hold 34% of all positives"}


def test_reasons_say_which_rule_gave_the_weight():
    weights = compute_class_weights(counts_of([400, 500, 10, 40], 1000, [0]), {"L3": 4}, "tiered", max_weight=8)
    assert weights.reasons == (
        "primary: min(neg:pos 1.5, 2)",
        "tier: min(neg:pos 1, 3)",
        "tier: ratio 50 >= 30, capped from 10",
        "custom",
    )


# ---- given by the user ----


def test_a_dict_overrides_the_labels_it_names_without_regard_to_case():
    counts = counts_of([50, 40, 0], 100, (), ["Joy", "Fear", "Relief"])
    weights = compute_class_weights(counts, {"fEAR": 7, "relief": 2.5})
    assert weights.as_dict() == {"Joy": 1.0, "Fear": 7.0, "Relief": 2.5}
    assert weights.custom == ("Fear", "Relief")
    assert weights.reasons[1:] == ("custom", "custom, though no positives in training")
    assert all(type(w) is float for w in weights.as_dict().values())


@pytest.mark.parametrize("given", [[2, 3], (2.0, 3.0), np.array([2, 3]), torch.tensor([2.0, 3.0])])
def test_a_sequence_gives_each_label_its_weight(given):
    weights = compute_class_weights(counts_of([5, 1], 10), given)
    assert weights.values.tolist() == [2.0, 3.0]
    assert weights.custom == ("l0", "l1")


def test_weights_that_were_computed_may_be_given_again():
    counts = counts_of([50, 1], 100)
    weights = compute_class_weights(counts)
    again = compute_class_weights(counts, weights)
    assert again.values.tolist() == weights.values.tolist()
    assert np.asarray(weights, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0], "1 class weights for 2 labels"),
        ("automatic", "'automatic'"),
        (3, "got 3"),
        ({"L0": 2, "l0": 3}, "'l0' twice"),
        ({"l2": 2}, "'l2' in the class weights: did you mean"),
    ],
)
def test_what_is_no_weights_is_an_error(given, message):
    with pytest.raises(UsageError, match=message):
        compute_class_weights(counts_of([5, 1], 10), given)


@pytest.mark.parametrize("bad", BAD_WEIGHTS)
def test_a_weight_that_is_no_positive_finite_number_is_an_error(bad):
    counts = counts_of([5, 1], 10)
    with pytest.raises(UsageError, match="The weight of 'l1' must be a positive finite number"):
        compute_class_weights(counts, {"L1": bad})
    with pytest.raises(UsageError, match="must be a positive finite number"):
        compute_class_weights(counts, [1.0, bad])
    with pytest.raises(UsageError, match="The weight of 'x'"):
        cap_weights({"x": bad})
    with pytest.raises(UsageError, match="max_weight"):
        cap_weights({"x": 1.0}, bad)


# ---- the cap ----


def test_every_weight_is_capped_and_the_clamped_are_named():
    counts = counts_of([900, 10, 5], 1000)
    weights = compute_class_weights(counts, {"l0": 215}, "inverse_frequency")
    assert weights.values.tolist() == [20.0, 20.0, 20.0]
    assert weights.clamped == {"l0": 215.0, "l1": 99.0, "l2": 199.0}
    assert weights.reasons[0] == "custom, capped from 215"
    assert compute_class_weights(counts, [1, 2, 50], max_weight=30).clamped == {"l2": 50.0}


# ---- from a flag ----


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        ("auto", "auto"),
        ("AUTO", "auto"),
        ("none", None),
        ("None", None),
        (None, None),
        ([1, 2], [1, 2]),
        ('{"a": 10}', {"a": 10}),
        (" [1, 2.5]", [1, 2.5]),
    ],
)
def test_a_flag_is_read(value, weights):
    assert read_class_weights(value) == weights


def test_a_file_is_read_and_what_cannot_be_read_is_an_error(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(json.dumps({"ä": 3}, ensure_ascii=False), encoding="utf-8-sig")
    assert read_class_weights(str(path)) == {"ä": 3}
    path.write_text("3")
    for value, message in (
        ("{'a': 1}", "no valid JSON"),
        ("{", "no valid JSON"),
        ("missing.json", "no such file"),
        (str(path), r"weights\.json: expected"),
    ):
        with pytest.raises(UsageError, match=message):
            read_class_weights(value)


@pytest.mark.parametrize(
    ("weights", "custom", "merged"),
    [
        ("auto", {"JOY": 4}, {"joy": 4}),
        (None, {"Joy": 4}, {"joy": 4, "fear": 1.0}),
        ({"Fear": 2, "joy": 3}, {"joy": 4}, {"fear": 2, "joy": 4}),
        ([2, 3], {"FEAR": 4}, {"joy": 2, "fear": 4}),
        ("auto", '{"fear": 5}', {"fear": 5}),
        ("auto", None, "auto"),
        ([2, 3], None, [2, 3]),
    ],
)
def test_custom_weights_lie_over_the_others(weights, custom, merged):
    assert merge_custom_weights(weights, custom, LabelSchema(["joy", "fear"])) == merged


@pytest.mark.parametrize(
    ("weights", "custom", "message"),
    [
        ("auto", {"feer": 2}, "did you mean 'fear'"),
        ("auto", [1, 2], "--custom_weights: expected"),
        ("auto", {"joy": 3, "JOY": 4}, "name 'joy' twice"),
        ([1.0], {"joy": 3}, "Got 1 class weights for 2 labels"),
    ],
)
def test_custom_weights_that_do_not_do_are_an_error(weights, custom, message):
    with pytest.raises(UsageError, match=message):
        merge_custom_weights(weights, custom, LabelSchema(["joy", "fear"]))


def test_without_counts_custom_weights_hold_and_auto_is_1():
    schema = LabelSchema(["joy", "fear"])
    weights = compute_class_weights(schema, {"joy": 30})
    assert weights.values.tolist() == [20.0, 1.0]
    assert weights.reasons == ("custom, capped from 30", "labels were not counted")
    assert compute_class_weights(schema).values.tolist() == [1.0, 1.0]
    assert not compute_class_weights(schema, None).asked_for
    assert weights.why[0].short == "custom, cut from 30"
