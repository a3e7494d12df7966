import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import RobertaConfig

from imbalance_trainer import LabelSchema
from imbalance_trainer.errors import DataError, UsageError

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
def test_slugs_are_distinct_plain_and_invertible(names):
    schema = LabelSchema.from_names(names)
    slugs = schema.slugs
    assert len(slugs) == len(names)
    assert len({slug.casefold() for slug in slugs}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", slug) for slug in slugs)
    assert [schema.from_slug(slug) for slug in slugs] == names


@pytest.mark.parametrize("reserved", ["micro", "macro", "weighted", "head", "medium", "tail", "Macro"])
def test_a_label_never_takes_the_name_of_an_overall_metric(reserved):
    (slug,) = LabelSchema.from_names([reserved]).slugs
    assert slug == f"{reserved}_2"


def test_slugs_are_readable():
    names = ["sexual orientation", "Früh", "C++", "++", "hate"]
    assert LabelSchema.from_names(names).slugs == ("sexual_orientation", "Fruh", "C", "label_3", "hate")


def test_an_unknown_slug_offers_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'sexual_orientation'"):
        LabelSchema.from_names(["sexual orientation", "race"]).from_slug("sexual_orientatoin")


@QUICK
@given(NAMES)
def test_every_exact_name_resolves_to_itself_and_its_own_output(names):
    schema = LabelSchema.from_names(names)
    assert len(schema) == len(names)
    assert [schema.resolve(name) for name in names] == names
    assert [schema.index(name) for name in names] == list(range(len(names)))


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


def test_a_label_in_primary_and_secondary_is_an_error():
    with pytest.raises(UsageError, match="'threat' is in the groups primary and secondary"):
        LabelSchema(HATE, {"primary": ["hateful", "Threat"], "secondary": ["threat"]})


def test_a_group_is_a_set_so_that_nothing_counts_twice():
    schema = LabelSchema(HATE, {"primary": ["hateful", "HATEFUL"]}, [("threat", "hateful")] * 2)
    assert schema.groups == {"primary": ("hateful",)}
    assert schema.primary == (0,)
    assert schema.implications == (("threat", "hateful"),)


@pytest.mark.parametrize("members", ["hateful", 3, None])
def test_a_group_that_is_no_list_is_an_error(members):
    with pytest.raises(UsageError, match="Group 'primary' is a list"):
        LabelSchema(HATE, {"primary": members})


def test_flat_groups_and_implications_are_read_from_a_label_info():
    info = {"names": HATE, "groups": {"primary": ["hateful"]}, "implications": [["threat", "Hateful"]], "url": "x"}
    schema = LabelSchema.from_label_info(info)
    assert schema == LabelSchema(HATE, {"primary": ["hateful"]}, [("threat", "hateful")])
    assert schema.implication_indices == ((1, 0),)


def test_groups_nested_as_group_to_labels_are_read():
    names = ["joy", "love", "anger", "annoyance"]
    info = {"names": names, "groups": {"ekman": {"joy": ["joy", "love"], "anger": ["anger", "annoyance"]}}}
    groups = LabelSchema.from_label_info(info).groups
    assert groups == {"ekman/joy": ("joy", "love"), "ekman/anger": ("anger", "annoyance")}


@pytest.mark.parametrize("value", [lambda domain: domain, lambda domain: [domain]])
def test_groups_nested_as_label_to_groups_are_read(value):
    domains = {"gym": value("hotels"), "visa": value("travel"), "pool": value("hotels")}
    info = {"names": ["gym", "visa", "pool"], "groups": {"domain": domains}}
    assert LabelSchema.from_label_info(info).groups == {"domain/hotels": ("gym", "pool"), "domain/travel": ("visa",)}


def test_a_label_of_several_groups_is_in_each():
    info = {"names": ["a", "b"], "groups": {"topic": {"a": ["x", "y"], "b": ["y"]}}}
    assert LabelSchema.from_label_info(info).groups == {"topic/x": ("a",), "topic/y": ("a", "b")}


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


@QUICK
@given(dags())
def test_parents_first_orders_the_same_pairs_from_the_roots_down(dag):
    n, pairs = dag
    schema = LabelSchema([str(i) for i in range(n)], implications=pairs)
    ordered = schema.parents_first
    assert sorted(ordered) == sorted({(int(c), int(p)) for c, p in pairs})
    for at, (_, parent) in enumerate(ordered):
        assert parent not in [child for child, _ in ordered[at:]]


@QUICK
@given(dags())
def test_closing_a_chain_into_a_ring_is_always_found(dag):
    n, pairs = dag
    ring = [(str(i), str((i + 1) % n)) for i in range(n)]
    with pytest.raises(UsageError, match="cycle"):
        LabelSchema([str(i) for i in range(n)], implications=[*pairs, *ring])


def test_a_chain_of_two_thousand_labels_is_no_problem():
    names = [str(i) for i in range(2000)]
    schema = LabelSchema(names, implications=[(str(i), str(i + 1)) for i in range(1999)])
    assert schema.parents_first[0] == (1998, 1999)


# ---- files and configs ----


@QUICK
@given(NAMES, st.data())
def test_to_dict_and_back(names, data):
    members = data.draw(st.lists(st.sampled_from(names), unique=True))
    schema = LabelSchema(names, {"primary": members}, [(names[-1], names[0])] if len(names) > 1 else [])
    assert LabelSchema.from_label_info(json.loads(json.dumps(schema.to_dict()))) == schema


@pytest.mark.parametrize(
    "schema",
    [
        LabelSchema(["LABEL_0", "LABEL_1"]),
        LabelSchema(["only"]),
        LabelSchema([f"label {i}" for i in range(12)]),
        LabelSchema(
            ["仇恨", "Drohung", "a/b"], {"primary": ["仇恨"], "x/y": []}, [("Drohung", "仇恨"), ("a/b", "仇恨")]
        ),
    ],
)
def test_a_model_config_keeps_the_schema_through_saving_and_loading(schema, tmp_path):
    config = RobertaConfig(hidden_size=8, imbalance_trainer={"thresholds": [0.3]})
    schema.to_config(config)
    config.save_pretrained(tmp_path)
    loaded = RobertaConfig.from_pretrained(tmp_path)
    assert LabelSchema.from_config(loaded) == schema
    assert loaded.num_labels == len(schema)
    assert loaded.label2id == {name: i for i, name in enumerate(schema.names)}
    assert loaded.imbalance_trainer["thresholds"] == [0.3]


def test_a_config_without_our_key_gives_its_names_alone():
    config = RobertaConfig(id2label={0: "b", 10: "c", 2: "a"})
    assert LabelSchema.from_config(config) == LabelSchema(["b", "a", "c"])


def test_label_info_files_are_read_with_and_without_byte_order_mark(tmp_path):
    for encoding in ("utf-8", "utf-8-sig"):
        path = tmp_path / "label_info.json"
        path.write_text(json.dumps({"names": ["ä", "b"]}, ensure_ascii=False), encoding=encoding)
        for source in (path, str(path)):
            assert LabelSchema.of(source).names == ("ä", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "no valid JSON"),
        ("[1]", "expected a JSON object, found a list"),
        ("{}", "expected a key 'names'"),
        ('{"names": ["a", "a"]}', "stands twice"),
        ('{"names": ["a"], "groups": {"primary": ["b"]}}', "Unknown label 'b'"),
        ('{"names": ["a", "b"], "implications": [["a", "b"], ["b", "a"]]}', "cycle"),
    ],
)
def test_a_bad_label_info_is_a_data_error_that_names_the_file(content, message, tmp_path):
    path = tmp_path / "info.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=rf"info\.json: .*{re.escape(message)}"):
        LabelSchema.from_label_info(path)


def test_a_file_that_is_not_utf_8_is_a_data_error(tmp_path):
    path = Path(tmp_path, "info.json")
    path.write_bytes(b'{"names": ["\xff"]}')
    with pytest.raises(DataError, match="no valid JSON"):
        LabelSchema.of(path)


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"names": {"0": "joy"}}, "expected a key 'names' with the list"),
        ({"names": ["joy"], "groups": ["joy"]}, "expected groups as"),
        ({"names": ["joy"], "groups": {"primary": "joy"}}, "group 'primary' is a list of labels; found 'joy'"),
        ({"names": ["joy"], "groups": {"primary": {"a": 5}}}, "group 'primary' is a list of labels"),
        ({"names": ["joy"], "implications": 5}, r"implications as a list of \[child, parent\], found 5"),
    ],
)
def test_a_label_info_of_the_wrong_kinds_is_named(content, message):
    with pytest.raises(DataError, match=message):
        LabelSchema.from_label_info(content)


def test_labels_without_names_say_how_they_get_them():
    with pytest.raises(UsageError, match=r"Unknown label 'fear' in the labels: .*\(label_schema= gives them names\)"):
        LabelSchema(["LABEL_0", "LABEL_1"]).resolve("fear")
