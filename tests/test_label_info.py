import json
import re

import pytest

from imbalance_trainer import LabelSchema
from imbalance_trainer.utils.errors import DataError

# ---- what is read ----


def test_files_are_read_with_and_without_byte_order_mark(tmp_path):
    for encoding in ("utf-8", "utf-8-sig"):
        path = tmp_path / "label_info.json"
        path.write_text(json.dumps({"names": ["ä", "b"]}, ensure_ascii=False), encoding=encoding)
        for source in (path, str(path)):
            assert LabelSchema.of(source).names == ("ä", "b")


def test_groups_are_lists_of_labels_and_a_taxonomy_is_left_out():
    groups = {"primary": ["A"], "ekman": {"joy": ["a", "b"], "fear": ["c"]}, "domain": {"a": "x"}}
    info = {"names": ["a", "b", "c"], "groups": groups, "implications": [["b", "A"]], "url": "x"}
    assert LabelSchema.from_label_info(info) == LabelSchema(["a", "b", "c"], {"primary": ("a",)}, [("b", "a")])


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
        (b'{"names": ["\xff"]}', "no valid JSON"),
        ('{"names": {"0": "joy"}}', "expected a key 'names' with the list"),
        ('{"names": ["joy"], "groups": ["joy"]}', "expected groups as"),
        ('{"names": ["joy"], "groups": {"primary": "joy"}}', "group 'primary' is a list of labels; found 'joy'"),
        ('{"names": ["joy"], "groups": {"primary": {"joy": 5}}}', "group 'primary' is a list of labels"),
        ('{"names": ["joy"], "implications": 5}', "implications as a list of [child, parent], found 5"),
    ],
)
def test_a_bad_label_info_is_a_data_error_that_names_the_file(content, message, tmp_path):
    path = tmp_path / "info.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=rf"info\.json: .*{re.escape(message)}"):
        LabelSchema.from_label_info(path)
