import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import RobertaConfig

from imbalance_trainer import LabelSchema
from imbalance_trainer.utils.errors import UsageError

NAMES = st.lists(st.text(min_size=1).filter(lambda name: name.strip()), min_size=1, max_size=12, unique=True)
QUICK = settings(deadline=None, max_examples=100)

HATE = ["hateful", "threat", "insult", "none"]


# ---- names and slugs ----


@QUICK
@given(NAMES)
@example(["micro", "Micro", "MACRO", "head", "head_2"])
@example(["a b", "a-b", "A_B", "a_b_2", "ä b"])
@example(["仇恨", "愛", "label_1", "label_0"])
@example(["ﬁ", "fi", "ﬁ_2", "²", "2"])
def test_slugs_are_distinct_and_plain_and_names_are_found(names):
    schema = LabelSchema.from_names(names)
    slugs = schema.slugs
    assert len(slugs) == len(names)
    assert len({slug.casefold() for slug in slugs}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", slug) for slug in slugs)
    assert [schema.resolve(name) for name in names] == names
    assert [schema.index(name) for name in names] == list(range(len(names)))


@pytest.mark.parametrize("reserved", ["micro", "macro", "weighted", "head", "medium", "tail", "Macro"])
def test_a_label_never_takes_the_name_of_an_overall_metric(reserved):
    (slug,) = LabelSchema.from_names([reserved]).slugs
    assert slug == f"{reserved}_2"


def test_slugs_are_readable():
    names = ["sexual orientation", "Früh", "C++", "++", "hate"]
    assert LabelSchema.from_names(names).slugs == ("sexual_orientation", "Fruh", "C", "label_3", "hate")


def test_names_resolve_without_regard_to_case_unless_two_differ_in_it_alone():
    schema = LabelSchema.from_names(["Joy", "US", "us", "Straße"])
    assert schema.resolve("jOY") == "Joy"
    assert schema.index("STRASSE") == 3
    assert schema.resolve("us") == "us"
    with pytest.raises(UsageError, match=r"'Us'.*'US' and 'us'"):
        schema.resolve("Us")


def test_an_unknown_name_offers_the_nearest_and_says_where():
    with pytest.raises(UsageError, match=r"'hatefull' in group 'primary': did you mean 'hateful'"):
        LabelSchema(HATE, {"primary": ["hatefull"]})
    with pytest.raises(UsageError, match=r"'xyz' in the implications: known are 'hateful'"):
        LabelSchema(HATE, implications=[("threat", "xyz")])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "a"], "'a' stands twice, at 0 and 2"),
        ([], "at least one"),
        (["a", " "], "Label name 1 is ' '"),
        (["a", ""], "Label name 1 is ''"),
        (["a", 3], "Label name 1 is 3"),
        ("abc", "list of strings"),
        (None, "list of strings"),
    ],
)
def test_names_that_do_not_do_are_an_error(names, message):
    with pytest.raises(UsageError, match=message):
        LabelSchema(names)


# ---- groups ----


def test_every_label_that_is_not_primary_is_secondary_unless_a_group_says_otherwise():
    assert LabelSchema(HATE).primary == ()
    assert LabelSchema(HATE).secondary == (0, 1, 2, 3)
    assert LabelSchema(HATE, {"primary": ["none", "hateful"]}).primary == (0, 3)
    assert LabelSchema(HATE, {"primary": ["none", "hateful"]}).secondary == (1, 2)
    both = LabelSchema(HATE, {"primary": ["hateful"], "secondary": ["insult", "threat"]})
    assert both.secondary == (1, 2)


def test_a_group_is_a_set_so_that_nothing_counts_twice():
    schema = LabelSchema(HATE, {"primary": ["hateful", "HATEFUL"]}, [("threat", "hateful")] * 2)
    assert schema.groups == {"primary": ("hateful",)}
    assert schema.primary == (0,)
    assert schema.implications == (("threat", "hateful"),)


@pytest.mark.parametrize("members", ["hateful", 3, None])
def test_a_group_that_is_no_list_is_an_error(members):
    with pytest.raises(UsageError, match="Group 'primary' is a list"):
        LabelSchema(HATE, {"primary": members})


# ---- implications ----


@pytest.mark.parametrize(
    ("pairs", "cycle"),
    [
        ([("a", "a")], "'a' -> 'a'"),
        ([("a", "b"), ("b", "a")], "'a' -> 'b' -> 'a'"),
        ([("d", "a"), ("a", "b"), ("b", "c"), ("c", "a")], "'a' -> 'b' -> 'c' -> 'a'"),
        ([("a", "b"), ("a", "c"), ("c", "d"), ("d", "c")], "'c' -> 'd' -> 'c'"),
    ],
)
def test_a_cycle_is_an_error_that_names_it_and_nothing_else(pairs, cycle):
    with pytest.raises(UsageError, match=rf"cycle: {cycle}\. "):
        LabelSchema(list("abcd"), implications=pairs)


@pytest.mark.parametrize("pair", ["ab", ["a"], ["a", "b", "c"], 7])
def test_an_implication_that_is_no_pair_is_an_error(pair):
    with pytest.raises(UsageError, match=r"pair \[child, parent\]"):
        LabelSchema(list("abc"), implications=[pair])


@st.composite
def dags(draw):
    """Names and implications between them without a cycle: each child comes after its parents in a hidden order."""
    n = draw(st.integers(2, 8))
    hidden = draw(st.permutations(range(n)))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=14))
    return n, [(str(hidden[max(p)]), str(hidden[min(p)])) for p in pairs if p[0] != p[1]]


@st.composite
def schemas(draw):
    """Schemas with a random DAG."""
    n, pairs = draw(dags())
    return LabelSchema([str(i) for i in range(n)], {}, pairs)


def ancestors_of(schema, label):
    """The names that a label implies, by going up pair by pair."""
    above, waiting = set(), [label]
    while waiting:
        child = waiting.pop()
        found = {parent for c, parent in schema.implications if c == child} - above
        above |= found
        waiting += found
    return above


@QUICK
@given(dags())
def test_ancestors_are_what_a_walk_up_the_pairs_meets(dag):
    n, pairs = dag
    schema = LabelSchema([str(i) for i in range(n)], implications=pairs)
    walked = [sorted(int(name) for name in ancestors_of(schema, label)) for label in schema.names]
    assert [list(above) for above in schema.ancestors] == walked


@QUICK
@given(dags())
def test_parents_first_orders_the_same_pairs_from_the_roots_down(dag):
    n, pairs = dag
    schema = LabelSchema([str(i) for i in range(n)], implications=pairs)
    ordered = schema.parents_first
    assert sorted(ordered) == sorted({(int(c), int(p)) for c, p in pairs})
    for at, (_, parent) in enumerate(ordered):
        assert parent not in [child for child, _ in ordered[at:]]


def test_a_chain_of_two_thousand_labels_is_no_problem():
    names = [str(i) for i in range(2000)]
    schema = LabelSchema(names, implications=[(str(i), str(i + 1)) for i in range(1999)])
    assert schema.parents_first[0] == (1998, 1999)


# ---- rules ----


def assert_one_sentence(error):
    message = str(error)
    assert "\n" not in message
    assert re.search(r"[.?]$", message)
    assert ". " not in message


def test_rules_are_in_words():
    assert LabelSchema(list("abc"), {}, [("b", "c"), ("a", "c")]).rules == ("'b' without 'c'", "'a' without 'c'")
    assert LabelSchema(list("abcd")).rules == ()


def broken_by_loop(schema, row):
    """Which rules a row breaks: a label is there over 0.5, and known not to be at 0; -100 is neither."""
    value = dict(zip(schema.names, row, strict=True))
    return [value[child] > 0.5 and value[parent] == 0 for child, parent in schema.implications]


@QUICK
@given(schemas(), st.integers(0, 6), st.integers(0, 999))
@pytest.mark.parametrize("convert", [lambda x: x, torch.from_numpy])
def test_broken_rules_are_those_of_a_loop(convert, schema, rows, seed):
    values = np.random.default_rng(seed).choice([0, 0, 1, 0.3, 0.7, -100], (rows, len(schema)))
    positive, negative = convert(values > 0.5), convert(values == 0)
    broken = list(schema.broken_rules(positive, negative))
    assert len(broken) == len(schema.rules)
    assert all(type(part) is type(positive) and part.dtype == positive.dtype for part in broken)
    by_row = [list(row) for row in zip(*(part.tolist() for part in broken), strict=True)]
    assert by_row == [broken_by_loop(schema, row) for row in values] if schema.rules else broken == []


# ---- files and configs ----


@QUICK
@given(schemas())
def test_rules_go_to_a_dict_or_a_config_and_back(schema):
    assert LabelSchema.from_label_info(json.loads(json.dumps(schema.to_dict()))) == schema
    config = SimpleNamespace()
    schema.to_config(config)
    assert LabelSchema.from_config(config) == schema


def test_a_model_config_keeps_the_schema_through_saving_and_loading(tmp_path):
    groups, implications = {"primary": ["仇恨"], "x/y": []}, [("Drohung", "仇恨"), ("a/b", "仇恨")]
    schema = LabelSchema(["仇恨", "Drohung", "a/b", *map(str, range(9))], groups, implications)
    config = RobertaConfig(hidden_size=8, imbalance_trainer={"thresholds": [0.3]})
    schema.to_config(config)
    config.save_pretrained(tmp_path)
    loaded = RobertaConfig.from_pretrained(tmp_path)
    assert LabelSchema.from_config(loaded) == schema
    assert loaded.label2id == {name: i for i, name in enumerate(schema.names)}
    assert loaded.imbalance_trainer["thresholds"] == [0.3]


def test_a_config_without_our_key_gives_its_names_alone():
    config = RobertaConfig(id2label={0: "b", 10: "c", 2: "a"})
    assert LabelSchema.from_config(config) == LabelSchema(["b", "a", "c"])


def test_of_takes_whatever_stands_for_a_schema():
    schema = LabelSchema(["a", "b"])
    assert LabelSchema.of(schema) is schema
    for source in (["a", "b"], ("a", "b"), {"names": ["a", "b"]}):
        assert LabelSchema.of(source) == schema


def test_names_come_from_a_class_label_column():
    from datasets import ClassLabel, Features, List, Value

    label = ClassLabel(names=["neg", "pos"])
    for feature in (label, List(label)):
        features = Features({"labels": feature, "text": Value("string")})
        assert LabelSchema.from_features(features).names == ("neg", "pos")
    assert LabelSchema.from_features(Features({"y": label}), "y").names == ("neg", "pos")
    assert LabelSchema.from_features(Features({"labels": List(Value("int64"))})) is None
    assert LabelSchema.from_features(Features({"text": Value("string")})) is None


def test_labels_without_names_say_how_they_get_them():
    with pytest.raises(UsageError, match=r"Unknown label 'fear' in the labels: .*\(label_schema= gives them names\)"):
        LabelSchema(["LABEL_0", "LABEL_1"]).resolve("fear")
