import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from imbalance_trainer import LabelDistribution, LabelSchema
from imbalance_trainer.labels.columns import find_label_column
from imbalance_trainer.labels.counting import MAX_ROWS_NAMED
from imbalance_trainer.utils.errors import DataError

from .test_labels import broken_by_loop, schemas

ABC = LabelSchema(["a", "b", "c"])
FAMILY = LabelSchema(["root", "child", "leaf", "free"], {}, [("child", "root"), ("leaf", "child")])


def random_labels(rows=40, n=4, seed=0, values=(0, 1)):
    return np.random.default_rng(seed).choice(values, (rows, n))


def counted(labels, schema):
    """Support, known entries and the rows that break each rule, by a loop over entries."""
    support, known = [0.0] * len(schema), [0] * len(schema)
    broken = [[] for _ in schema.rules]
    for number, row in enumerate(labels):
        unknown = [value is None or value == -100 or np.isnan(value) for value in row]
        for i, value in enumerate(row):
            if not unknown[i]:
                known[i] += 1
                support[i] += float(value)
        values = [-100 if missing else value for missing, value in zip(unknown, row, strict=True)]
        for rows, breaks in zip(broken, broken_by_loop(schema, values), strict=True):
            rows += [number] * bool(breaks)
    return support, known, broken


def assert_counts(distribution, labels, row_total=None):
    support, known, broken = counted(labels, distribution.schema)
    np.testing.assert_allclose(distribution.support, support, rtol=1e-6)
    assert distribution.known.tolist() == known
    assert distribution.violations.tolist() == [len(rows) for rows in broken]
    assert distribution.violation_rows == tuple(tuple(rows[:MAX_ROWS_NAMED]) for rows in broken)
    assert distribution.n_rows == len(labels)
    assert distribution.row_total == (len(labels) if row_total is None else row_total)


# ---- what is counted ----


def every_source(rows):
    yield lambda: LabelDistribution.from_labels(rows, ABC)
    yield lambda: LabelDistribution.from_dataset([{"labels": row} for row in rows], ABC)
    yield lambda: LabelDistribution.from_dataset(Dataset.from_dict({"labels": rows}), ABC)


@pytest.mark.parametrize("unknown", [None, np.nan, -100])
def test_none_nan_and_minus_100_are_unknown(unknown):
    for labels, *expected in (
        ([[1, 0, unknown], [unknown, 0, unknown], [1, 1, 0]], [2, 1, 0], [2, 3, 1], 3),
        ([2, 0, unknown, 2, 1, 2], [1, 1, 3], [5, 5, 5], 5),
    ):
        for count in every_source(labels):
            counts = count()
            assert [counts.support.tolist(), counts.known.tolist(), counts.n_rows] == expected
            assert counts.row_total == counts.n_rows  # all rows were counted: no sample


@settings(deadline=None, max_examples=40)
@given(
    schemas(),
    st.integers(0, 30),
    st.sampled_from([(0, 1), (0, 0, 0, 1, -100), (0.0, 0.25, 0.75, 1.0, np.nan)]),
    st.integers(0, 99),
)
def test_rows_that_break_a_rule_are_those_of_a_loop(schema, rows, values, seed):
    labels = random_labels(rows, len(schema), seed, values)
    assert_counts(LabelDistribution.from_labels(labels, schema), labels.tolist())


def test_token_classes_are_counted_over_all_rows():
    labels = [[-100, 0, 2], [1, -100], [], [2, 2, 2, -100]]
    for dataset in (Dataset.from_dict({"labels": labels}), [{"labels": row} for row in labels]):
        counts = LabelDistribution.from_dataset(dataset, ABC, tokens=True)
        assert counts.support.tolist() == [1, 1, 4]
        assert counts.n_rows == 6


def test_nothing_to_count_is_no_error():
    for counts in (
        LabelDistribution.from_labels(np.zeros((0, 3)), ABC),
        LabelDistribution.from_dataset([], ABC),
        LabelDistribution.from_dataset(Dataset.from_dict({"labels": []}), ABC),
    ):
        assert counts.n_rows == 0
        assert counts.prevalence.tolist() == [0, 0, 0]
        assert counts.negative_positive.tolist() == [np.inf] * 3


# ---- where labels come from ----


def test_rows_that_break_a_rule_have_their_numbers_in_the_whole_and_the_first_ones_are_named():
    labels = random_labels(1000, 4, values=(0, 1, 1, -100))
    rows = [{"labels": row} for row in labels.tolist()]
    for dataset in (Dataset.from_list(rows), rows * 5):  # rows that come one by one are gathered by 4096
        counts = LabelDistribution.from_dataset(dataset, FAMILY)
        assert_counts(counts, np.tile(labels, (len(dataset) // 1000, 1)))
        assert max(map(len, counts.violation_rows)) == MAX_ROWS_NAMED
        assert max(counts.violations) > MAX_ROWS_NAMED
    few = [{"labels": [1, 1, 0, 0]}] * 6000
    for at in (0, 4095, 4096, 5999):
        few[at] = {"labels": [0, 1, 0, 0]}
    for dataset in (few, Dataset.from_list(few), iter(few)):
        assert LabelDistribution.from_dataset(dataset, FAMILY).violation_rows == ((0, 4095, 4096, 5999), ())


@pytest.mark.parametrize("transformed", [False, True])
def test_rows_of_a_sample_are_named_by_their_numbers_in_the_dataset(transformed):
    labels = random_labels(500, 4)
    rows = [{"labels": row} for row in labels.tolist()]
    dataset = Dataset.from_list(rows).with_transform(lambda batch: batch) if transformed else rows
    counts = LabelDistribution.from_dataset(dataset, FAMILY, limit=60)
    assert (counts.n_rows, counts.row_total) == (60, 500)
    for i, named in enumerate(counts.violation_rows):
        assert len(named) == counts.violations[i] > 0
        assert all(broken_by_loop(FAMILY, labels[row])[i] for row in named)
        assert list(named) == sorted(set(named))
    assert max(max(named) for named in counts.violation_rows) > 400


def test_of_an_iterable_dataset_the_first_rows_up_to_the_limit_are_counted():
    taken = []

    class Stream:
        def __iter__(self):
            for row in labels:
                taken.append(row)
                yield {"labels": row}

    labels = random_labels(30).tolist()
    assert_counts(LabelDistribution.from_dataset(Stream(), FAMILY, limit=12), labels[:12], row_total=-1)
    assert len(taken) == 12
    assert_counts(LabelDistribution.from_dataset(Stream(), FAMILY, limit=None), labels)


def test_of_a_long_dataset_rows_over_its_whole_length_are_counted():
    labels = np.repeat([[1, 0, 0], [0, 0, 1]], 500, axis=0)  # sorted: the first rows alone would mislead
    dataset = [{"labels": row} for row in labels.tolist()]
    counts = LabelDistribution.from_dataset(dataset, ABC, limit=100)
    assert (counts.n_rows, counts.row_total) == (100, 1000)
    assert counts.support.tolist() == [50, 0, 50]
    arrow = LabelDistribution.from_dataset(Dataset.from_list(dataset), ABC, limit=100)
    assert (arrow.n_rows, arrow.row_total) == (1000, 1000)


@pytest.mark.parametrize("as_row", [list, np.array, torch.tensor])
def test_rows_that_are_dictionaries_are_counted(as_row):
    labels = random_labels(values=(0, 1, -100))
    dataset = [{"labels": [9], "mine": as_row(row.tolist())} for row in labels]
    assert_counts(LabelDistribution.from_dataset(dataset, FAMILY, column="mine"), labels)


@pytest.mark.parametrize("column", ["labels", "label", "label_ids"])
def test_the_label_column_is_found_by_its_name(column):
    row = {"text": "x", column: [1, 0, 1]}
    for dataset in ([row], Dataset.from_list([row])):
        assert find_label_column(dataset) == column
        assert LabelDistribution.from_dataset(dataset, ABC).support.tolist() == [1, 0, 1]


def test_no_label_column_is_none_and_a_dictionary_of_datasets_an_error():
    assert find_label_column([{"text": "x"}]) is None
    assert find_label_column([]) is None
    with pytest.raises(DataError, match=r"dictionary of \['train'\]"):
        find_label_column(type("Splits", (), {"column_names": {"train": ["labels"]}})())


# ---- what is wrong ----


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1, 0], [0, 0, 2]], r"row 1, label 'c': 2"),
        ([[0, 1, 0], [0, -1, 0]], r"row 1, label 'b': -1"),
        ([[0.0, 1.5, 0.0]], r"row 0, label 'b': 1\.5"),
        ([[2, 2, 2], [2, 2, 2]], r"row 0, label 'a': 2;.*row 1, label 'b': 2 \(and 1 more\)"),
        ([[0, 1, 0], [1, 0]], r"row 0 has 3 values and row 1 has 2"),
        ([[0, 1], [1, 0]], r"row 0 has 2 values, but there are 3 labels"),
        ([[0, 1, 0, 1]], r"row 0 has 4 values, but there are 3 labels"),
        ([["a", "b", "c"]], r"expected numbers"),
        ([0, 1, 3], r"row 2 has class 3; expected 0 to 2"),
        ([0, -1], r"row 1 has class -1"),
        ([0.0, 1.0, 1.5], r"row 2 has .*1\.5.*; expected class indices"),
        (["a", "b"], r"row 0 has .*'a'.*; expected class indices"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_row_and_label(rows, message):
    for count in every_source(rows):
        with pytest.raises(DataError, match=message):
            count()


def test_a_row_without_labels_is_an_error():
    with pytest.raises(DataError, match="row 1 has no labels"):
        LabelDistribution.from_dataset(Dataset.from_dict({"labels": [[1, 0, 0], None]}), ABC)
    with pytest.raises(DataError, match="row 1 has None"):
        LabelDistribution.from_dataset([{"labels": [1, 0, 0]}, {"labels": None}], ABC)
    with pytest.raises(DataError, match="Row 1 has no 'labels'"):
        LabelDistribution.from_dataset([{"labels": [1, 0, 0]}, {"text": "x"}], ABC)
    with pytest.raises(DataError, match=r"No labels in row 0: its keys are \['text'\]"):
        LabelDistribution.from_dataset([{"text": "x"}], ABC)
    with pytest.raises(DataError, match="Row 0 has no 'typo'"):
        LabelDistribution.from_dataset(Dataset.from_dict({"labels": [[1, 0, 0]]}), ABC, column="typo")
    with pytest.raises(DataError, match="dictionaries with labels, got a tuple"):
        LabelDistribution.from_dataset([("text", 1)], ABC)


def test_nested_lists_are_an_error():
    with pytest.raises(DataError, match="nested lists"):
        LabelDistribution.from_dataset(Dataset.from_dict({"labels": [[[1, 0, 0]]]}), ABC)


# ---- derived ----


def test_ratios_are_hand_computed():
    schema = LabelSchema(["main", "common", "rare", "never"], {"primary": ["main"]})
    labels = np.zeros((100, 4))
    labels[:80, 0] = labels[:60, 1] = labels[:3, 2] = 1
    labels[-10:, 2] = -100
    counts = LabelDistribution.from_labels(labels, schema)
    np.testing.assert_allclose(counts.prevalence, [0.8, 0.6, 3 / 90, 0])
    np.testing.assert_allclose(counts.negative_positive, [20 / 80, 40 / 60, 87 / 3, np.inf])
    np.testing.assert_allclose(counts.imbalance_ratio, [60 / 80, 1, 20, np.inf])  # the most frequent *secondary*
    assert counts.rarest_first.tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("support", "tiers"),
    [
        ([5, 9, 1], [[1], [0], [2]]),
        ([1, 2, 3, 4], [[3, 2], [1], [0]]),
        ([4, 4, 4], [[2], [1], [0]]),
        ([1, 2], [[1], [0], []]),
        ([7], [[0], [], []]),
    ],
)
def test_tiers_are_thirds_by_support_and_the_head_takes_the_rest(support, tiers):
    labels = [[int(row < s) for s in support] for row in range(10)]
    counts = LabelDistribution.from_labels(labels, LabelSchema([f"l{i}" for i in range(len(support))]))
    assert [counts.tiers()[t].tolist() for t in ("head", "medium", "tail")] == tiers
    assert [i for tier in tiers for i in tier] == counts.rarest_first[::-1].tolist()  # one order, in text and picture
