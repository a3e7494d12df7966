"""From logits to decisions that break no rule, against sets of labels closed by hand, row by row."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer import LabelSchema, apply_thresholds, enforce_hierarchy
from imbalance_trainer.decisions.rule import (
    HIERARCHY_POLICIES,
    DecisionRule,
    checked_thresholds,
)
from imbalance_trainer.utils.errors import UsageError

from .test_labels import ancestors_of, assert_one_sentence, broken_by_loop, schemas

QUICK = settings(deadline=None, max_examples=100)


@st.composite
def cases(draw):
    """Decisions and a schema."""
    schema = draw(schemas())
    rows, n = draw(st.integers(0, 5)), len(schema)
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    return rng.random((rows, n)) < rng.choice([0.2, 0.5, 0.8]), schema


def breaks_a_rule(decisions, schema):
    return [any(broken_by_loop(schema, [int(x) for x in row])) for row in decisions.tolist()]


# ---- closing: what always holds ----


@QUICK
@given(cases())
@pytest.mark.parametrize("how", HIERARCHY_POLICIES)
def test_after_closing_no_rule_is_broken_and_closing_again_changes_nothing(how, case):
    decisions, schema = case
    before = decisions.copy()
    closed = enforce_hierarchy(decisions, schema, how)
    assert not any(breaks_a_rule(closed, schema))
    assert np.array_equal(enforce_hierarchy(closed, schema, how), closed)
    coherent = ~np.array(breaks_a_rule(decisions, schema), dtype=bool)
    assert np.array_equal(closed[coherent], decisions[coherent])
    assert np.array_equal(decisions, before)


@pytest.mark.parametrize("schema", [LabelSchema(["a", "b"], {"g": ["a", "b"]}, [("b", "a")])])
@pytest.mark.parametrize("how", HIERARCHY_POLICIES)
@pytest.mark.parametrize(
    "convert",
    [
        lambda d: d,
        torch.from_numpy,
        lambda d: d.astype(np.int64),
        lambda d: d.astype(np.float32),
        lambda d: torch.from_numpy(d).long(),
    ],
)
def test_closing_gives_a_copy_of_the_same_kind(convert, how, schema):
    decisions = convert(np.array([[False, True], [True, False]]))
    closed = enforce_hierarchy(decisions, schema, how)
    assert type(closed) is type(decisions)
    assert closed.dtype == decisions.dtype
    assert closed.tolist() == ([[1, 1], [1, 0]] if how == "add_parent" else [[0, 0], [1, 0]])
    assert closed is not decisions
    assert decisions.tolist() == [[0, 1], [1, 0]]


# ---- closing implications ----


def closed_by_hand(there, schema, how):
    """A set of decided labels, closed."""
    above = {label: ancestors_of(schema, label) for label in schema.names}
    if how == "drop_child":
        return {label for label in there if above[label] <= there}
    return there | {a for label in there for a in above[label]}


@settings(deadline=None, max_examples=300)
@given(cases())
@pytest.mark.parametrize("how", HIERARCHY_POLICIES)
def test_decisions_are_closed_as_sets_of_labels_by_hand(how, case):
    decisions, schema = case
    expected = []
    for row in decisions:
        there = {label for label, on in zip(schema.names, row, strict=True) if on}
        there = closed_by_hand(there, schema, how)
        expected.append([label in there for label in schema.names])
    assert enforce_hierarchy(decisions, schema, how).tolist() == expected


@pytest.mark.parametrize(
    ("how", "near"),
    [("add_parents", "'add_parent'"), ("drop", "'drop_child'")],
)
def test_an_unknown_closing_offers_the_nearest(how, near):
    for call in (
        lambda: enforce_hierarchy(torch.zeros(1, 1, dtype=torch.bool), LabelSchema(["a"]), how),
        lambda: DecisionRule(LabelSchema(["a"]), hierarchy_policy=how),
        lambda: apply_thresholds([[0.5]], 0.5, ["a"], how),
    ):
        with pytest.raises(UsageError, match=f"did you mean {near}"):
            call()


# ---- thresholds ----

AB = LabelSchema(["a", "B"])


WRONG = [
    (0, r"lies in \(0, 1\); got 0\.0"),
    (1.0, r"lies in \(0, 1\); got 1\.0"),
    (-0.1, r"got -0\.1"),
    (math.nan, "got nan"),
    ([0.5, 1.5], r"got 1\.5 for 'B'"),
    ({"a": 0.0, "B": 0.5}, r"got 0\.0 for 'a'"),
    ({"a": None, "B": 0.5}, "got nan for 'a'"),
    ({"a": 0.5}, "The thresholds lack 1 of 2 labels, the first of them 'B'"),
    ({}, "The thresholds lack 2 of 2 labels, the first of them 'a'"),
    ({"a": 0.5, "B": 0.5, "bb": 0.5}, "Unknown label 'bb' in the thresholds: did you mean 'B'"),
    ([0.5], "Got 1 thresholds for 2 labels"),
    ([0.5, 0.5, 0.5], "Got 3 thresholds for 2 labels"),
    ([[0.5, 0.5]], "thresholds for 2 labels"),
    ("high", r"A threshold is a number in \(0, 1\); got high"),
    ({"a": [0.5], "B": 0.5}, r"A threshold is a number in \(0, 1\)"),
]


@pytest.mark.parametrize(("thresholds", "message"), WRONG)
def test_thresholds_that_do_not_do_are_one_sentence(thresholds, message):
    for call in (
        lambda: checked_thresholds(thresholds, AB),
        lambda: apply_thresholds([[0.5, 0.5]], thresholds, AB),
        lambda: DecisionRule(AB, thresholds),
        lambda: DecisionRule.from_config(config_of(AB, thresholds=thresholds)),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            call()
        assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    "given_as", [0.3, [0.3, 0.2], np.array([0.3, 0.2]), {"B": 0.2, "a": 0.3}, {"b": 0.2, "A": 0.3}]
)
def test_thresholds_are_one_or_one_each_or_by_label_in_any_order(given_as):
    expected = [0.3, 0.3] if isinstance(given_as, float) else [0.3, 0.2]
    assert checked_thresholds(given_as, AB).tolist() == expected
    assert apply_thresholds([[0.2, 0.4]], given_as, AB).tolist() == [[False, True]]


@pytest.mark.parametrize("shape", [(2,), (3, 1), (3, 3), (1, 2, 2)])
def test_scores_of_another_shape_are_an_error(shape):
    with pytest.raises(UsageError, match=r"expected \(rows, 2\)"):
        apply_thresholds(np.full(shape, 0.5), 0.5, AB)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_score_must_exceed_its_threshold_whatever_its_type(dtype):
    for value in (0.1, 0.3, 0.5, 0.7, 0.9):
        at = np.array([[value, np.nextafter(dtype(value), dtype(1))]], dtype=dtype)
        assert apply_thresholds(at, value, AB).tolist() == [[False, True]]
    assert apply_thresholds([[0.3, 0.7]], 0.3, AB).tolist() == [[False, True]]
    assert apply_thresholds([[0, 1]], 0.999, AB).tolist() == [[False, True]]


@QUICK
@given(schemas(), st.integers(0, 999))
@pytest.mark.parametrize("how", HIERARCHY_POLICIES)
def test_probabilities_and_logits_are_decided_alike(how, schema, seed):
    """Thresholds are the nearer to 0 the rarer a label, so that distances in probability mean nothing."""
    rng = np.random.default_rng(seed)
    far = np.array([rng.permutation(len(schema)) + 1 for _ in range(4)]) / 4  # no two alike, whatever is rounded
    margins, cuts = far * rng.choice([-1, 1], far.shape), rng.normal(-2, 2, len(schema))
    logits, thresholds = margins + cuts, 1 / (1 + np.exp(-cuts))
    from_logits = apply_thresholds(logits, thresholds, schema, how, from_logits=True)
    assert np.array_equal(apply_thresholds(1 / (1 + np.exp(-logits)), thresholds, schema, how), from_logits)
    assert np.array_equal(enforce_hierarchy(margins > 0, schema, how), from_logits)
    assert from_logits.dtype == bool
    assert torch.equal(
        DecisionRule(schema, thresholds, how).decide(torch.tensor(logits)), torch.from_numpy(from_logits)
    )


@pytest.mark.filterwarnings("error")
def test_probabilities_of_0_and_1_are_infinitely_far_and_no_warning():
    schema = LabelSchema(list("abc"), {}, [("c", "b")])
    scores = [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]
    for how in HIERARCHY_POLICIES:
        assert not any(breaks_a_rule(apply_thresholds(scores, 0.3, schema, how), schema))


# ---- the rule of a model ----

FAMILY = LabelSchema(list("pcd"), implications=[("c", "p"), ("d", "c")])
LOGITS = np.array([[-1.0, 0.5, -2.0], [0.25, -3.0, 1.5], [-0.5, -0.25, -4.0]])


def config_of(schema, **ours):
    config = SimpleNamespace(imbalance_trainer=ours)
    schema.to_config(config)
    return config


@pytest.mark.parametrize("thresholds", [None, [0.2, 0.5, 0.9]])
@pytest.mark.parametrize("how", HIERARCHY_POLICIES)
def test_a_rule_decides_over_thresholds_and_closes(thresholds, how):
    rule = DecisionRule(FAMILY, thresholds, how)
    scores = LOGITS.tolist()
    cuts = [math.log(t / (1 - t)) for t in thresholds or [0.5] * 3]
    margins = np.array([[z - cut for z, cut in zip(row, cuts, strict=True)] for row in scores])
    for given_as in (LOGITS, torch.tensor(LOGITS), torch.tensor(LOGITS).half(), LOGITS.tolist()):
        np.testing.assert_allclose(rule.scores(given_as), scores, rtol=1e-6)
        np.testing.assert_allclose(rule.margins(given_as), margins, rtol=1e-5, atol=1e-6)
        assert rule.scores(given_as).dtype == torch.float32
        decided = rule.decide(given_as)
        assert decided.dtype == torch.bool
        for row, found in zip(margins > 0, decided, strict=True):
            there = {label for label, on in zip("pcd", row, strict=True) if on}
            there = closed_by_hand(there, FAMILY, how)
            assert found.tolist() == [label in there for label in "pcd"]
    assert rule.is_tuned == (thresholds is not None)


@pytest.mark.parametrize("thresholds", [None, [0.2, 0.5, 0.9]])
@pytest.mark.parametrize("how", HIERARCHY_POLICIES)
def test_a_rule_goes_into_a_config_and_back(thresholds, how):
    rule = DecisionRule(FAMILY, thresholds, how)
    config = config_of(FAMILY, other=1, thresholds={"p": 0.1})  # what was there before
    rule.to_config(config)
    ours = config.imbalance_trainer
    assert ours["other"] == 1
    assert ours["hierarchy_policy"] == how
    assert ours.get("thresholds") == (None if thresholds is None else dict(zip("pcd", thresholds, strict=True)))
    back = DecisionRule.from_config(config)
    assert back.schema == FAMILY
    assert back.hierarchy_policy == how
    assert back.by_label() == rule.by_label()
    assert torch.equal(back.margins(LOGITS), rule.margins(LOGITS))


def test_an_untuned_rule_has_no_thresholds_and_keeps_the_rest():
    rule = DecisionRule(FAMILY, [0.2, 0.5, 0.9], "add_parent")
    untuned = rule.untuned()
    assert not untuned.is_tuned
    assert torch.equal(untuned.margins(LOGITS), DecisionRule(FAMILY).scores(LOGITS))
    assert (untuned.schema, untuned.hierarchy_policy) == (FAMILY, "add_parent")
    assert rule.is_tuned


def test_a_config_by_label_may_stand_in_any_order():
    ours = {"thresholds": {"d": 0.9, "p": 0.2, "c": 0.5}}
    rule = DecisionRule.from_config(config_of(FAMILY, **ours))
    assert rule.thresholds.tolist() == [0.2, 0.5, 0.9]
    assert rule.hierarchy_policy == "drop_child"
