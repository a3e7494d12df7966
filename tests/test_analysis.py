"""The whole analysis, in each of its forms."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from rich.cells import cell_len

from imbalance_trainer.analysis.analyze import analysis_json, analyze
from imbalance_trainer.analysis.counts import count_splits, partners, positives
from imbalance_trainer.analysis.parts import analysis_text
from imbalance_trainer.data.dataset import LabelledData, load_labelled_dataset
from imbalance_trainer.labels.distribution import LabelDistribution
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import UsageError
from tests.data.made import csv_text

LONG = "a label whose name says much more than any column can hold, number {}, and so on to its end"


def made(n_labels=11, rows=(400, 120, 120), name="l{}", seed=0, unknown=False, tilt=1.0, **schema):
    """Labels of falling frequency; in the test split the first is `tilt` times as frequent."""
    rng = np.random.default_rng(seed)
    share = 0.5 / np.arange(1, n_labels + 1) ** 1.3
    splits = {}
    for split, n in zip(("train", "validation", "test"), rows, strict=True):
        p = np.where(np.arange(n_labels) == 0, share * (tilt if split == "test" else 1), share)
        labels = (rng.random((n, n_labels)) < p).astype(np.int8)
        if unknown:
            labels[:7, 1] = -100
        splits[split] = Dataset.from_dict({"text": [f"text {i}" for i in range(n)], "labels": labels.tolist()})
    names = LabelSchema([name.format(i) for i in range(n_labels)], **schema)
    return LabelledData(DatasetDict(splits), names, MULTI_LABEL, ("a note",))


def analysis_of(data, split="train"):
    return analyze("made", count_splits(data), data.problem_type, split=split, notes=data.notes)


def same_splits(rows, names, problem=MULTI_LABEL, **schema):
    """Data whose splits have the same rows."""
    split = Dataset.from_dict({"text": [f"t {i}" for i in range(len(rows))], "labels": rows})
    splits = DatasetDict(train=split, validation=split, test=split)
    return LabelledData(splits, LabelSchema(list(names), **schema), problem)


def labels_of(data, split="train"):
    return np.array(data.splits[split]["labels"])


@pytest.mark.parametrize("n_labels", [1, 2, 11, 28, 62, 735])
@pytest.mark.parametrize("name", ["l{}", LONG])
def test_text_fits_into_80_columns_with_any_number_of_labels(n_labels, name):
    pairs = [(name.format(i), name.format(0)) for i in range(1, min(n_labels, 5))]
    analysis = analysis_of(made(n_labels, name=name, unknown=n_labels > 1, tilt=0.2, implications=pairs))
    lines = analysis_text(analysis).splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert name == LONG or len(lines) < 220
    assert lines[2].startswith("label")
    table = lines[3 : lines.index("", 3)]
    supports = [re.search(r" ([\d,]+) +[\d.<]+ +[\d.,]+ ", line) for line in table]
    counts = [int(found[1].replace(",", "")) for found in supports if found]
    assert counts == sorted(counts)
    assert any(line.startswith("  --loss ") for line in lines)
    assert max(map(cell_len, analysis_text(analysis, max_rows=3).splitlines())) <= 80
    assert ("... and 42 more labels: weights" in analysis_text(analysis)) == (n_labels == 62)


def test_parts_say_what_a_loop_counts():
    data = made(6, unknown=True)
    labels = labels_of(data) == 1
    text = analysis_text(analysis_of(data))
    support = labels.sum(0)
    rarest = min(range(6), key=lambda i: (support[i], i))
    partner, together = max(
        ((j, int((labels[:, rarest] & labels[:, j]).sum())) for j in range(6) if j != rarest), key=lambda p: p[1]
    )
    assert f"  l{rarest}: {together} of {support[rarest]} also l{partner}" in text
    assert "Unknown entries (-100): 7 in 1 label: 'l1' 7. % is of the known entries." in text
    per_row = np.bincount(labels.sum(1))
    assert f"rows with 0: {per_row[0]}, 1: {per_row[1]}" in " ".join(text.split())


def test_unknown_entries_are_told_once_and_rows_without_a_known_one_are_no_rows_without_labels():
    rows = [[-100] * 4] * 13 + [[0] * 4] * 84 + [[1, 1, 0, 0]] * 60 + [[1, 0, 1, 1]] * 43
    data = same_splits(rows, "ABCD")
    text = " ".join(analysis_text(analysis_of(data)).split())
    assert "Unknown entries (-100): 52 in 4 labels, most: 'A' 13, 'B' 13, 'C' 13. % is of the known entries." in text
    assert "Rows without a known label, which teach nothing: 13." in text
    assert f"Labels in a row: {(60 * 2 + 43 * 3) / 187:.3g} on average; rows with 0: 84, 2: 60, 3: 43." in text
    found = analysis_json(analysis_of(data))["splits"]["train"]
    assert (found["rows"], found["labels_per_row"]) == (200, [84, 0, 60, 43])
    rows[0], rows[99] = [-100] * 3 + [1], [-100, 1, 0, 0]
    data.splits["train"] = Dataset.from_dict({"text": ["t"] * 200, "labels": rows})
    text = " ".join(analysis_text(analysis_of(data)).split())
    assert "Unknown entries (-100): 52 in 4 labels, most: 'A' 14, 'B' 13, 'C' 13." in text
    assert "% is of" not in analysis_text(analysis_of(made(3)))


def test_what_a_rule_implies_is_no_co_occurrence():
    schema = LabelSchema(["hateful", "insult", "threat"], {"primary": ["hateful"]}, [("threat", "hateful")])
    rows = [[1, 1, 1]] * 12 + [[1, 0, 1]] * 2 + [[1, 1, 0]] * 90 + [[0, 0, 0]] * 300
    split = LabelDistribution.from_dataset(Dataset.from_dict({"labels": rows}), schema, details=True)
    assert partners(split, 2, schema.ancestors[2]) == [(1, 12)]
    assert partners(split, 2) == [(0, 14), (1, 12)]


def test_missing_labels_are_named():
    data = made(5, rows=(2000, 500, 500), tilt=0.3)
    silent = labels_of(data, "validation")
    silent[:, 4] = 0
    splits = {**data.splits, "validation": Dataset.from_dict({"text": [""] * 500, "labels": silent.tolist()})}
    text = analysis_text(analysis_of(dataclasses.replace(data, splits=DatasetDict(splits))))
    assert "validation has no positive of 1 label: 'l4'." in text


def test_warnings_of_the_data_are_told():
    sentence = "49 of 5,426 rows of validation have a text that stands in train too."
    analysis = dataclasses.replace(analysis_of(made(3)), data_warnings=(sentence,))
    assert f"Warning: {sentence}" in " ".join(analysis_text(analysis).split())
    assert analysis_json(analysis)["warnings"] == [sentence]


def test_the_weights_of_another_split_are_those_of_training():
    data = made(5)
    train, test = analysis_of(data), analysis_of(data, split="test")
    assert test.recommendation.weights.as_dict() == train.recommendation.weights.as_dict()
    assert test.counts.n_rows == 120
    assert analysis_text(test).startswith("Labels in test, 120 rows")
    with pytest.raises(UsageError, match="Unknown split 'tests': did you mean 'test'"):
        analysis_of(data, split="tests")


JSON_KEYS = {"version", "name", "problem_type", "split", "splits", "labels", "recommendation", "warnings",
             "notes"}  # fmt: skip
LABEL_KEYS = {"label", "is_primary", "tier", "support", "unknown", "prevalence",
              "negative_positive", "imbalance_ratio", "weight", "weight_reason", "weight_before_cap",
              "support_by_split", "co_occurrence", "recall_interval", "validation_rows_needed",
              }  # fmt: skip


def test_rows_of_a_split_that_was_made_are_not_named_as_if_they_were_the_file_s(tmp_path):
    rows = [(f"text {i}", int(i % 3 == 0), int(i % 5 == 0)) for i in range(60)]
    info = {"names": ["a", "b"], "implications": [["b", "a"]]}
    (tmp_path / "train.csv").write_text(csv_text(["text", "a", "b"], rows))
    made = count_splits(load_labelled_dataset(tmp_path, label_info=info))["train"]
    assert made.violations[0] > 0
    assert made.violation_rows == ()
    for split in ("validation", "test"):
        (tmp_path / f"{split}.csv").write_text(csv_text(["text", "a", "b"], [(f"{split} {t}", *v) for t, *v in rows]))
    whole = count_splits(load_labelled_dataset(tmp_path, label_info=info))["train"]
    assert whole.violation_rows[0] == tuple(i for i, (_, a, b) in enumerate(rows) if b and not a)


def test_json_has_every_label_and_is_json():
    data = made(62, implications=[("l3", "l0")])
    found = json.loads(json.dumps(analysis_json(analysis_of(data)), allow_nan=False))
    assert set(found) == JSON_KEYS
    assert found["version"] == 1
    assert [row["label"] for row in found["labels"]] == list(data.schema.names)
    assert all(set(row) == LABEL_KEYS for row in found["labels"])
    labels = labels_of(data)
    for i, row in enumerate(found["labels"]):
        assert row["support"] == labels[:, i].sum()
        assert row["imbalance_ratio"] == (labels.sum(0).max() / labels[:, i].sum() if labels[:, i].sum() else None)
        for other in row["co_occurrence"]:
            j = data.schema.names.index(other["label"])
            assert other["rows"] == (labels[:, i] & labels[:, j]).sum()
    assert sum(found["splits"]["train"]["labels_per_row"]) == found["splits"]["train"]["rows"] == 400
    broken = ((labels[:, 3] == 1) & (labels[:, 0] == 0)).sum()
    assert found["splits"]["train"]["rules"][0]["rows_broken"] == broken
    assert {c["flag"] for c in found["recommendation"]["settings"]} >= {"loss", "class_weights"}


def test_every_key_of_the_json_is_in_the_docs():
    from tests.test_doc_links import ROOT

    page = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in page for key in JSON_KEYS)


def test_single_label_data_has_no_thresholds_and_no_co_occurrence():
    labels = {"train": [0] * 90 + [1] * 8 + [2] * 2, "validation": [0] * 18 + [1, 2], "test": [0] * 19 + [1]}
    splits = DatasetDict({s: Dataset.from_dict({"text": ["t"] * len(v), "labels": v}) for s, v in labels.items()})
    analysis = analysis_of(LabelledData(splits, LabelSchema(["a", "b", "c"]), SINGLE_LABEL))
    text = analysis_text(analysis)
    assert "Co-occurrence" not in text
    assert "Labels in a row" not in text
    assert "--tune_thresholds" not in text
    assert "No setting will make the model learn such a label reliably" in " ".join(text.split())


def test_numbers_that_are_not_defined_are_null():
    data = made(3)
    for split in data.splits:
        data.splits[split] = data.splits[split].map(lambda row: {"labels": [*row["labels"][:2], 0]})
    row = analysis_json(analysis_of(data))["labels"][2]
    assert (row["support"], row["imbalance_ratio"], row["negative_positive"]) == (0, None, None)
    assert math.isfinite(row["weight"])


def test_soft_labels_are_positives_of_validation_as_metrics_count_them():
    """Over 0.5; their sum is the support of training, which weights follow."""
    values = [[float(i % 3 == 0), float(i % 4 == 0), 0.9 if i % 20 == 0 else 0.4] for i in range(400)]
    analysis = analysis_of(same_splits(values, "abc"))
    assert analysis.recommendation.validation_support.tolist() == [134, 100, 20]
    assert analysis.counts.support[2] == pytest.approx(20 * 0.9 + 380 * 0.4, rel=1e-5)
    assert positives(analysis.counts).tolist() == [134, 100, 20]


def test_rows_that_break_a_rule_are_counted_from_1_as_in_warnings():
    labels = [[1, 0] if i in (3, 7) else [1, 1] for i in range(50)]
    data = same_splits(labels, ("child", "parent"), implications=(("child", "parent"),))
    assert "'child' without 'parent': rows 4, 8;" in analysis_text(analysis_of(data))
    assert analysis_json(analysis_of(data))["splits"]["train"]["rules"][0]["first_rows"] == [3, 7]
