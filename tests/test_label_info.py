import json
import re
from pathlib import Path

import pytest

from imbalance_trainer import LabelSchema
from imbalance_trainer.utils.errors import DataError

from .test_labels import REFUSED, assert_one_sentence

# ---- what is read ----


def test_flat_groups_and_implications_are_read_from_a_label_info():
    names, implications = ["hateful", "threat", "insult"], [["threat", "Hateful"]]
    info = {"names": names, "groups": {"primary": ["hateful"]}, "implications": implications, "url": "x"}
    schema = LabelSchema.from_label_info(info)
    assert schema == LabelSchema(names, {"primary": ["hateful"]}, [("threat", "hateful")])
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


def test_exclusive_groups_are_read_also_where_groups_are_nested(tmp_path):
    path = tmp_path / "label_info.json"
    info = {
        "names": ["joy", "love", "anger", "none"],
        "groups": {"ekman": {"joy": ["joy", "love"], "anger": ["anger", "none"]}, "all": ["joy", "none"]},
        "exclusive": {"ekman/joy": "exactly_one", "ekman/anger": "at_most_one"},
    }
    path.write_text(json.dumps(info))
    schema = LabelSchema.from_label_info(path)
    assert schema.exclusive == {"ekman/joy": "exactly_one", "ekman/anger": "at_most_one"}
    assert schema.exclusive_indices == (("at_most_one", (2, 3)), ("exactly_one", (0, 1)))


@pytest.mark.parametrize("nothing", [{}, {"exclusive": None}, {"exclusive": {}}])
def test_without_exclusive_no_group_is(nothing):
    info = {"names": ["a", "b"], "groups": {"g": ["a", "b"]}, **nothing}
    assert LabelSchema.from_label_info(info).exclusive == {}


def test_files_are_read_with_and_without_byte_order_mark(tmp_path):
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


# ---- what is refused ----


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"names": {"0": "joy"}}, "expected a key 'names' with the list"),
        ({"names": ["joy"], "groups": ["joy"]}, "expected groups as"),
        ({"names": ["joy"], "groups": {"primary": "joy"}}, "group 'primary' is a list of labels; found 'joy'"),
        ({"names": ["joy"], "groups": {"primary": {"a": 5}}}, "group 'primary' is a list of labels"),
        ({"names": ["joy"], "implications": 5}, r"implications as a list of \[child, parent\], found 5"),
        ({"names": ["a", "b"], "exclusive": ["g"]}, r'exclusive as {"group": "at_most_one"}, found \[\'g\'\]'),
    ],
)
def test_a_label_info_of_the_wrong_kinds_is_named(content, message):
    with pytest.raises(DataError, match=message):
        LabelSchema.from_label_info(content)


@pytest.mark.parametrize(("groups", "implications", "exclusive", "message"), REFUSED)
def test_exclusive_groups_that_do_not_do_are_a_data_error_that_names_the_file(
    groups, implications, exclusive, message, tmp_path
):
    path = tmp_path / "info.json"
    content = {"names": list("abcd"), "groups": groups, "implications": implications, "exclusive": exclusive}
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"info\.json: {message}") as caught:
        LabelSchema.from_label_info(path)
    assert_one_sentence(caught.value)
