"""Rows that list their classes train and evaluate like the same rows in multi-hot."""

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List

from imbalance_trainer.labels.columns import classes_listed
from imbalance_trainer.training.batch import MultiHotCollator
from imbalance_trainer.utils.errors import DataError


def listed(rows, names):
    """The same rows with lists of classes in the place of multi-hot labels."""
    lists = [np.flatnonzero(row).tolist() for row in rows["labels"]]
    rows = rows.remove_columns("labels").add_column("labels", lists)
    return rows.cast_column("labels", List(ClassLabel(names=names)))


def test_batches_are_multi_hot_whatever_a_list_holds():
    collate = MultiHotCollator(3)
    rows = [{"x": 1, "labels": []}, {"x": 2, "labels": [2, 0, 2]}, {"x": 3, "labels": torch.tensor([1])},
            {"x": 4, "labels": [None, 1]}, {"x": 5, "labels": np.array([-100])}]  # fmt: skip
    batch = collate(rows)
    assert batch["labels"].tolist() == [[0, 0, 0], [1, 0, 1], [0, 1, 0], [-100, 1, -100], [-100] * 3]
    assert batch["labels"].dtype == torch.int8
    assert batch["x"].tolist() == [1, 2, 3, 4, 5]
    assert "labels" not in collate([{"x": 1}])
    assert collate([{"label": [1]}])["label"].tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("wrong", [3, -1, 99])
def test_a_class_that_no_label_has_is_an_error_with_the_row(wrong):
    with pytest.raises(DataError, match=f"row 1 of a batch lists the class {wrong}; expected 0 to 2"):
        MultiHotCollator(3)([{"labels": [0]}, {"labels": [1, wrong]}])


def test_training_and_evaluation_are_those_of_multi_hot_rows(make_trainer, make_rows, make_args):
    args = make_args(max_steps=4, optim="sgd", learning_rate=0.1)
    train, test = make_rows(), make_rows(seed=1)
    names = [f"name {i}" for i in range(len(train["labels"][0]))]
    plain = make_trainer(args=args, train_dataset=train, eval_dataset=test, label_schema=names)
    lists = make_trainer(args=args, train_dataset=listed(train, names), eval_dataset=listed(test, names))
    assert lists.imbalance.problem.lists_classes
    assert lists.imbalance.schema.names == tuple(names)
    np.testing.assert_array_equal(lists.imbalance.distribution.support, plain.imbalance.distribution.support)
    for trainer in (plain, lists):
        trainer.train()
    for one, other in zip(plain.model.parameters(), lists.model.parameters(), strict=True):
        assert torch.equal(one, other)
    ours, theirs = lists.evaluate(), plain.evaluate()
    assert {k: v for k, v in ours.items() if "_per_" not in k and "time" not in k} == pytest.approx(
        {k: v for k, v in theirs.items() if "_per_" not in k and "time" not in k}
    )
    lists.tune_thresholds(n_bootstrap=0)
    assert lists.predict(listed(test, names)).label_ids.shape == (len(test), len(names))


@pytest.mark.parametrize(
    ("lists", "n_labels", "listed_classes"),
    [
        ([[0], [1], [0, 1]], 2, 2),
        ([[1, 0], [0, 0], [0, 1]], 2, 0),  # `map` keeps the feature when it makes multi-hot rows
        ([[1, -100, 0]], 3, 0),
        ([[1, 0, 0]], 3, 0),
        ([[2, 1, 0]], 3, 3),
        ([[]], 3, 3),
    ],
)
def test_lists_of_classes_are_told_from_multi_hot_rows(lists, n_labels, listed_classes):
    features = Features({"labels": List(ClassLabel(names=list("abc")[:n_labels]))})
    rows = Dataset.from_dict({"labels": [[max(c, 0) for c in row] for row in lists]}, features=features)
    if any(-100 in row for row in lists):
        rows = rows.map(lambda _, i: {"labels": lists[i]}, with_indices=True)
    assert classes_listed(rows, "labels") == listed_classes


def test_a_collator_of_the_users_is_left_alone(make_trainer, make_rows):
    rows = make_rows()
    names = [f"name {i}" for i in range(len(rows["labels"][0]))]
    mine = lambda batch: batch  # noqa: E731
    assert make_trainer(train_dataset=listed(rows, names), data_collator=mine).data_collator is mine
