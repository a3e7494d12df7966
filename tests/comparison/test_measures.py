import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from imbalance_trainer import LabelSchema, tune_thresholds
from imbalance_trainer.comparison.measures import Labels, Split, judge
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.utils.errors import DataError

NAMES = ("a", "b", "c", "never in test", "d")


def made(seed, n_rows=400, n_labels=5):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n_rows, n_labels)) < [0.5, 0.2, 0.1, 0.05, 0.04]).astype(np.int64)
    return labels, (2 * labels - 3 + rng.normal(size=labels.shape)).astype(np.float32)


def test_multi_label_values_are_scikit_learn_s():
    (val_y, val_z), (y, z) = made(1), made(2)
    y[:, 3] = 0
    y[:5, 1] = -100
    labels = Labels.of(np.array([200, 80, 40, 20, 16]), val_y.sum(0), (y > 0).sum(0))
    assert labels.counted.tolist() == [0, 1, 2, 4]
    assert {tier: where.tolist() for tier, where in labels.tiers.items()} == {
        "head": [0, 1],
        "medium": [2],
        "tail": [4],
    }
    rule = DecisionRule(LabelSchema.from_names(NAMES))
    judged = judge(Split(val_z, val_y), Split(z, y), rule, labels, is_multi_label=True)
    ours = tune_thresholds(val_z, val_y, NAMES, from_logits=True).thresholds
    for when, thresholds in (("at_half", np.full(5, 0.5)), ("tuned", ours)):
        cut = np.log(thresholds / (1 - thresholds))
        each = []
        for i in (0, 1, 2, 4):
            known = y[:, i] >= 0
            each.append(f1_score(y[known, i], z[known, i] > cut[i], zero_division=0))
        assert judged.values[when]["f1_macro"] == pytest.approx(np.mean(each))
        assert judged.values[when]["f1_head"] == pytest.approx(np.mean(each[:2]))
        assert judged.values[when]["f1_tail"] == pytest.approx(each[3])
        assert judged.values[when]["zero_recall"] == sum(f == 0 for f in each)
    known = y[:, 1] >= 0
    precision = [average_precision_score(y[:, i], z[:, i]) for i in (0, 2, 4)]
    precision.append(average_precision_score(y[known, 1], z[known, 1]))
    assert judged.values["mean_average_precision"] == pytest.approx(np.mean(precision))
    assert judged.tuned.shape == y.shape
    assert not judged.tuned[y < 0].any()
    assert 0 < judged.values["validation_f1_macro"] < 1


def test_single_label_values_are_scikit_learn_s():
    rng = np.random.default_rng(0)
    gold, z = rng.integers(0, 3, 300), rng.normal(size=(300, 3)).astype(np.float32)
    z[np.arange(300), gold] += 1
    labels = Labels.of(np.array([9, 5, 7]), np.ones(3), np.ones(3))
    split = Split(z, gold)
    judged = judge(split, split, DecisionRule(LabelSchema.from_names(["a", "b", "c"])), labels, is_multi_label=False)
    expected = f1_score(gold, z.argmax(1), average="macro")
    assert judged.values["at_half"]["f1_macro"] == pytest.approx(expected)
    assert judged.values["tuned"] == judged.values["at_half"]
    assert judged.values["validation_f1_macro"] == pytest.approx(expected)


def test_no_label_with_positives_everywhere():
    with pytest.raises(DataError, match="nothing to compare"):
        Labels.of(np.array([1, 0]), np.array([0, 1]))
