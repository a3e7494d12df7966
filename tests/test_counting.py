"""Counts from Arrow buffers, lists of classes, and the measures beyond supports, against loops and numpy."""

import datasets
import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse
import scipy.stats
from datasets import ClassLabel, Dataset, Features, List, Value, concatenate_datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MultiLabelBinarizer

from imbalance_trainer import LabelDistribution, LabelSchema
from imbalance_trainer.data.files import read_files
from imbalance_trainer.data.text_files import Settings
from imbalance_trainer.labels import counting
from imbalance_trainer.labels.blocks import INDICES, column_blocks, rows_block
from imbalance_trainer.utils.errors import DataError

from .test_distribution import ABC, FAMILY, assert_counts, random_labels

LISTS = [[2, 0], [], [1], [0, 1, 2], [2, 2, 2], [], [1, 0, 1]]
BINARY = MultiLabelBinarizer(classes=[0, 1, 2]).fit_transform(LISTS)


def assert_same(counts, expected):
    """Whether two distributions hold the same numbers, whatever they were counted from."""
    for name in ("support", "known", "violations", "labels_per_row", "cooccurrence"):
        a, b = getattr(counts, name), getattr(expected, name)
        if a is None and b is None:  # neither was asked for
            continue
        a = a.toarray() if scipy.sparse.issparse(a) else a
        b = b.toarray() if scipy.sparse.issparse(b) else b
        np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=name)
    assert counts.violation_rows == expected.violation_rows
    assert (counts.n_rows, counts.row_total) == (expected.n_rows, expected.row_total)


# ---- lists of classes ----


def test_lists_of_classes_count_as_their_multi_hot_rows_and_repeats_count_once():
    expected = LabelDistribution.from_labels(BINARY, ABC, details=True)
    features = Features({"labels": List(ClassLabel(names=["a", "b", "c"]))})
    by_feature = Dataset.from_dict({"labels": LISTS}, features=features)
    big = datasets.Features({"labels": datasets.LargeList(Value("uint64"))})
    many = {"details": True}
    for counts in (
        LabelDistribution.from_labels(LISTS, ABC, indices=True, **many),
        LabelDistribution.from_dataset(Dataset.from_dict({"labels": LISTS}), ABC, indices=True, **many),
        LabelDistribution.from_dataset(Dataset.from_dict({"labels": LISTS}, features=big), ABC, indices=True, **many),
        LabelDistribution.from_dataset([{"labels": row} for row in LISTS], ABC, indices=True, **many),
        LabelDistribution.from_dataset(by_feature, ABC, **many),
        LabelDistribution.from_dataset(by_feature.to_iterable_dataset(), ABC, limit=None, **many),
    ):
        assert_same(counts, expected)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from([0, 1, 2, 3, -100]), max_size=6), max_size=30),
    st.integers(0, 12),
    st.integers(0, 12),
    st.booleans(),
)
def test_lists_of_classes_with_rules_and_unknown_ones_are_those_of_a_loop(lists, skip, skip_end, with_rules):
    """A -100 in a list: what else the row has is not known."""
    schema = FAMILY if with_rules else LabelSchema(FAMILY.names)
    rows = lists[skip : len(lists) - skip_end]
    loop = np.array([[1 if c in row else -100 if -100 in row else 0 for c in range(4)] for row in rows]).reshape(-1, 4)
    column = Dataset(pa.table({"labels": pa.array(lists, pa.list_(pa.int32()))}).slice(skip, len(rows)))
    assert_counts(LabelDistribution.from_dataset(column, schema, indices=True), loop)


def test_multi_hot_lists_that_map_left_with_a_feature_of_classes_are_taken_as_multi_hot():
    features = Features({"labels": List(ClassLabel(names=["a", "b", "c"]))})
    mapped = Dataset.from_dict({"labels": BINARY.tolist()}, features=features)
    assert LabelDistribution.from_dataset(mapped, ABC).support.tolist() == BINARY.sum(0).tolist()
    assert LabelDistribution.from_dataset(mapped, ABC, indices=True).support.tolist() != BINARY.sum(0).tolist()


INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("kind", [pa.list_view, pa.large_list_view])
@pytest.mark.parametrize("lists", [LISTS, LISTS[1:4], [[2]], [], [[1], [0, 2]]])
def test_views_of_lists_are_read_as_the_lists_that_they_show(kind, lists, tmp_path):
    column = pa.array([[9], *lists, [8]], kind(pa.int64())).slice(1, len(lists))
    blocks = column_blocks([pa.chunked_array([column]), pa.chunked_array([column])], INDICES, "labels")
    counts = LabelDistribution.from_blocks(blocks, ABC, "labels")
    expected = MultiLabelBinarizer(classes=[0, 1, 2]).fit_transform(lists) if lists else np.zeros((0, 3))
    assert (counts.n_rows, counts.support.tolist()) == (2 * len(lists), (2 * expected.sum(0)).tolist())
    if lists:
        table = pa.table({"text": [f"text {i}" for i in range(len(lists))], "labels": column})
        with pa.ipc.new_file(tmp_path / "train.arrow", table.schema) as writer:
            writer.write_table(table.combine_chunks())
        frame = read_files(tmp_path / "train.arrow", Settings())
        assert frame.table.column("labels").to_pylist() == lists


# ---- blocks ----


@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("n_blocks", [1, 2, 61])
def test_blocks_add_up_to_the_whole(n_blocks, more, as_lists):
    labels = (np.random.default_rng(n_blocks).random((500, 4)) < 0.4).astype(np.int8)
    parts = np.array_split(labels, n_blocks)
    starts = np.cumsum([0] + [len(part) for part in parts])
    if as_lists:
        parts = [rows_block([np.flatnonzero(row) for row in part], INDICES, "labels") for part in parts]
    counts = LabelDistribution.from_blocks(zip(starts, parts, strict=False), FAMILY, "labels", more)
    whole = LabelDistribution.from_labels(labels, FAMILY, details=more)
    assert (whole.violations > counting.MAX_ROWS_NAMED).any()  # so that it matters which rows are named
    assert_same(counts, whole)
    assert_counts(whole, labels)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([0, 2**64 - 100], "u8"), "row 1 has class 18446744073709551516"),
        (np.array([0, 2**63], "u8"), "row 1 has class 9223372036854775808"),
        (np.array([0, np.inf]), "row 1 has inf; expected class indices"),
        (np.array([0, -np.inf]), "row 1 has -inf"),
        (np.array([np.nan, 1e300]), r"row 1 has class 1e\+300"),
        (np.array([0, 12345678.0]), "row 1 has class 12345678;"),
        (np.array([0, 7, 0.5]), "row 1 has class 7"),
        (np.array([0, 0.5, 7]), r"row 1 has 0\.5"),
        (np.array([0, 256], ">i2"), "row 1 has class 256"),
        (np.array([0, -5], ">i8"), "row 1 has class -5"),
        (np.array(["0", "1"]), "row 0 has .*'0'"),
    ],
)
@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.filterwarnings("error")
def test_values_that_are_no_class_are_shown_as_they_are(values, said, as_lists):
    labels = list(values[:, None]) if as_lists else values
    with pytest.raises(DataError, match=said):
        LabelDistribution.from_labels(labels, ABC, indices=as_lists or None)


@pytest.mark.parametrize("dtype", [">i2", ">u4", ">f8", ">f4", ">i8"])
def test_labels_with_their_bytes_in_the_other_order_count_as_others_do(dtype):
    classes = np.array([0, 2, 1, 2])
    assert_same(LabelDistribution.from_labels(classes.astype(dtype), ABC), LabelDistribution.from_labels(classes, ABC))
    assert_same(LabelDistribution.from_labels(BINARY.astype(dtype), ABC), LabelDistribution.from_labels(BINARY, ABC))


# ---- Arrow ----


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["int8", "uint8", "int64", "bool", "float32", "soft", "unknown", "null entries"]),
    st.sampled_from(["list", "large_list", "fixed_size"]),
    st.lists(st.integers(0, 40), min_size=1, max_size=5),
    st.integers(0, 5),
    st.sampled_from(["as it is", "shuffled", "picked", "sliced"]),
)
def test_columns_of_any_layout_count_as_a_loop_does(kind, layout, chunks, skip, order):
    n = sum(chunks)
    values = {"soft": (0, 0.25, 1), "unknown": (0, 1, -100), "null entries": (0, 1, 2)}.get(kind, (0, 1))
    labels = random_labels(n, 4, len(chunks) + skip, values)
    dtype = {"soft": "float32", "unknown": "int8", "null entries": "int8"}.get(kind, kind)
    arrays, at = [], 0
    for size in chunks:
        part = labels[at : at + size]
        at += size
        padded = np.concatenate([np.ones((skip, 4)), part]).astype("int8" if dtype == "bool" else dtype)  # an offset
        flat = padded.ravel()
        flat = pa.array(flat, mask=flat == 2) if kind == "null entries" else pa.array(flat).cast(dtype.replace(
            "float32", "float"))  # fmt: skip
        if layout == "fixed_size":
            array = pa.FixedSizeListArray.from_arrays(flat, 4)
        else:
            cls, kind_of = (pa.ListArray, "int32") if layout == "list" else (pa.LargeListArray, "int64")
            array = cls.from_arrays(pa.array(np.arange(len(padded) + 1) * 4, kind_of), flat)
        arrays.append(array.slice(skip))
    dataset = Dataset(pa.table({"labels": pa.chunked_array(arrays)}))
    rows = np.arange(n)
    if order == "shuffled" and n:
        rows = np.random.default_rng(1).permutation(n)
        dataset = dataset.select(rows)
    elif order == "picked" and n:
        rows = np.array([0, n - 1, 0])
        dataset = dataset.select(rows)
    elif order == "sliced":
        rows = rows[n // 3 : n // 2]
        dataset = dataset.select(range(n // 3, n // 2))
    expected = np.where(labels == 2, -100, labels) if kind == "null entries" else labels
    assert_counts(LabelDistribution.from_dataset(dataset, FAMILY), expected[rows])


@pytest.mark.parametrize("rows", [254, 255, 256, 1_000])
@pytest.mark.parametrize("width", [1, 3, 28, 300])
def test_long_and_wide_blocks_are_summed_exactly(rows, width):
    schema = LabelSchema([f"l{i}" for i in range(width)])
    ones = np.ones((rows, width), np.int8)
    assert LabelDistribution.from_labels(ones, schema).support.tolist() == [rows] * width  # 256 is no byte
    ones[-1, 0] = 2
    with pytest.raises(DataError, match=f"row {rows - 1}, label 'l0': 2"):
        LabelDistribution.from_labels(ones, schema)
    for bad in (np.int64(256), np.int64(-255), np.float32(256), np.float32(np.inf)):  # 0 or 1 if cut to a byte
        with pytest.raises(DataError, match="row 0"):
            LabelDistribution.from_labels(np.full((2, width), bad), schema)


def test_an_iterable_dataset_is_read_up_to_the_limit():
    labels = random_labels(300, 4, values=(0, 1, 1, -100))
    dataset = Dataset.from_dict({"labels": labels.tolist(), "text": ["x"] * 300})
    for stream in (dataset.to_iterable_dataset(num_shards=3), dataset.with_format("torch").to_iterable_dataset()):
        for limit in (1, 99, 100, 101, 299):
            assert_counts(LabelDistribution.from_dataset(stream, FAMILY, limit=limit), labels[:limit], row_total=-1)
        assert_counts(LabelDistribution.from_dataset(stream, FAMILY, limit=None), labels)
        assert_counts(LabelDistribution.from_dataset(stream, FAMILY, limit=301), labels)
    mapped = dataset.to_iterable_dataset().map(lambda row: {"labels": [1 - v if v >= 0 else v for v in row["labels"]]})
    flipped = np.where(labels >= 0, 1 - labels, labels)
    assert_counts(LabelDistribution.from_dataset(mapped, FAMILY, limit=120), flipped[:120], row_total=-1)
    with pytest.raises(DataError, match="Row 0 has no 'typo'"):
        LabelDistribution.from_dataset(dataset.to_iterable_dataset(), FAMILY, column="typo")


# ---- measures ----


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 60), st.sampled_from([(0, 1), (0, 0, 1, -100), (0.0, 0.5, 0.6, 1.0)]), st.integers(0, 99))
def test_rows_and_pairs_are_those_of_numpy(rows, values, seed):
    labels = random_labels(rows, 5, seed, values)
    schema = LabelSchema(list("abcde"))
    positive = (labels > 0.5).astype(int)
    counts = LabelDistribution.from_labels(labels, schema, details=True)
    assert np.array_equal(counts.cooccurrence, positive.T @ positive)
    known = (labels != -100).any(1)
    lengths = positive[known].sum(1)
    assert np.trim_zeros(counts.labels_per_row, "b").tolist() == np.trim_zeros(np.bincount(lengths), "b").tolist()
    assert counts.n_rows_unknown == (~known).sum()
    assert counts.unknown.tolist() == (labels == -100).sum(0).tolist()
    plain = LabelDistribution.from_labels(labels, schema)
    assert (plain.labels_per_row, plain.cooccurrence) == (None, None)
    assert plain.n_rows_unknown is None


def test_rows_of_which_nothing_is_known_are_not_counted_by_their_labels():
    labels = np.array([[-100, -100, -100], [0, -100, 0], [1, 1, 0], [np.nan, np.nan, np.nan]])
    for width in (3, 1_002):
        schema = LabelSchema([f"l{i}" for i in range(width)])
        counts = LabelDistribution.from_labels(np.tile(labels, width // 3), schema, details=True)
        assert (counts.labels_per_row[[0, -1]].tolist(), counts.n_rows_unknown) == ([1, 1], 2)
    counts = LabelDistribution.from_labels([[-100], [], [0, 2]], ABC, indices=True, details=True)
    assert (counts.labels_per_row.tolist(), counts.n_rows_unknown) == ([1, 0, 1], 1)


def test_beyond_a_thousand_labels_pairs_are_not_counted():
    labels = random_labels(600, 1_001, values=(0, 0, 0, 1))  # several steps
    schema = LabelSchema([f"l{i}" for i in range(1_001)])
    lists = [np.flatnonzero(row).tolist() for row in labels]
    for rows, indices in ((labels, False), (lists, True)):
        counts = LabelDistribution.from_labels(rows, schema, indices=indices, details=True)
        assert counts.cooccurrence is None
        assert np.array_equal(counts.labels_per_row, np.bincount(labels.sum(1)))


# ---- the trainer ----


def test_the_trainer_weighs_by_training_data_alone(make_trainer, make_rows):
    train = make_rows(50, prevalence=[0.5, 0.4, 0.3, 0.1])
    first = make_trainer(train_dataset=train, eval_dataset=make_rows(30, seed=3))
    other = make_trainer(train_dataset=train, eval_dataset=make_rows(90, seed=4, prevalence=[0.01, 0.9, 0.9, 0.9]))
    assert first.imbalance.class_weights.as_dict() == other.imbalance.class_weights.as_dict()
    assert other.imbalance.distribution.support.tolist() == np.sum(train["labels"], 0).tolist()
    nothing = concatenate_datasets([train, make_rows(9, seed=5)])
    assert make_trainer(train_dataset=nothing).imbalance.distribution.n_rows == 59
