import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from imbalance_trainer import LabelSchema, tune_thresholds
from imbalance_trainer.comparison.measures import Split, averaged_labels, judge, paired_difference
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
    labels = averaged_labels(np.array([200, 80, 40, 20, 16]), val_y.sum(0), (y > 0).sum(0))
    expected = {"macro": [0, 1, 2, 4], "head": [0, 1], "medium": [2], "tail": [4]}
    assert {name: where.tolist() for name, where in labels.items()} == expected
    rule = DecisionRule(LabelSchema.from_names(NAMES))
    decided, values = judge(Split(val_z, val_y), Split(z, y), rule, labels, is_multi_label=True)
    ours = tune_thresholds(val_z, val_y, NAMES, from_logits=True).thresholds
    for when, thresholds in (("at_half", np.full(5, 0.5)), ("tuned", ours)):
        cut = np.log(thresholds / (1 - thresholds))
        each = []
        for i in (0, 1, 2, 4):
            known = y[:, i] >= 0
            each.append(f1_score(y[known, i], z[known, i] > cut[i], zero_division=0))
        assert values[when]["f1_macro"] == pytest.approx(np.mean(each))
        assert values[when]["f1_head"] == pytest.approx(np.mean(each[:2]))
        assert values[when]["f1_tail"] == pytest.approx(each[3])
        assert values[when]["zero_recall"] == sum(f == 0 for f in each)
    known = y[:, 1] >= 0
    precision = [average_precision_score(y[:, i], z[:, i]) for i in (0, 2, 4)]
    precision.append(average_precision_score(y[known, 1], z[known, 1]))
    assert values["mean_average_precision"] == pytest.approx(np.mean(precision))
    assert decided.shape == y.shape
    assert not decided[y < 0].any()
    assert 0 < values["validation_f1_macro"] < 1


def test_single_label_values_are_scikit_learn_s():
    rng = np.random.default_rng(0)
    gold, z = rng.integers(0, 3, 300), rng.normal(size=(300, 3)).astype(np.float32)
    z[np.arange(300), gold] += 1
    labels = averaged_labels(np.array([9, 5, 7]), np.ones(3), np.ones(3))
    split = Split(z, gold)
    rule = DecisionRule(LabelSchema.from_names(["a", "b", "c"]))
    _, values = judge(split, split, rule, labels, is_multi_label=False)
    expected = f1_score(gold, z.argmax(1), average="macro")
    assert values["at_half"]["f1_macro"] == pytest.approx(expected)
    assert values["tuned"] == values["at_half"]
    assert values["validation_f1_macro"] == pytest.approx(expected)


def test_no_label_with_positives_everywhere():
    with pytest.raises(DataError, match="nothing to compare"):
        averaged_labels(np.array([1, 0]), np.array([0, 1]))


# ---- how sure a difference is ----

N_LABELS = 6


def run_of(seed, n_rows=400, wrong=0.06, spread=0.0, gold_seed=0):
    """Decisions that are wrong in a share of the entries, which itself moves with the seed."""
    gold = np.random.default_rng(gold_seed).random((n_rows, N_LABELS)) < 0.3
    rng = np.random.default_rng(seed)
    share = max(wrong + spread * rng.normal(), 0)
    return gold ^ (rng.random(gold.shape) < share), gold


def macro(runs, gold):
    return np.mean([f1_score(gold, run, average="macro", zero_division=0) for run in runs])


def test_the_mean_is_that_of_scikit_learn_and_a_clear_difference_is_seen():
    ours, gold = [run_of(seed, wrong=0.02)[0] for seed in (1, 2, 3)], run_of(1)[1]
    theirs = [run_of(seed, wrong=0.1)[0] for seed in (4, 5, 6)]
    found = paired_difference(ours, theirs, gold)
    assert found.mean == pytest.approx(macro(ours, gold) - macro(theirs, gold), abs=1e-6)
    assert found.low < found.mean < found.high
    assert found.is_more_than_chance
    assert not paired_difference(ours[:1], theirs[:1], gold).is_more_than_chance  # one seed says nothing of seeds


def test_equal_methods_are_told_apart_in_at_most_about_one_of_twenty_comparisons():
    """The interval holds 0 for two methods that differ by the luck of their seeds alone (rows alone: half of them)."""
    wrong = 0
    for i in range(150):
        runs = [run_of(100 * i + j, spread=0.02, gold_seed=i)[0] for j in range(6)]
        gold = run_of(0, gold_seed=i)[1]
        found = paired_difference(runs[:3], runs[3:], gold, n_resamples=100, seed=i)
        wrong += not found.low <= 0 <= found.high
    assert wrong <= 15


def test_over_rows_alone_the_spread_is_that_of_a_loop():
    ours, gold = run_of(1, wrong=0.02)
    theirs, _ = run_of(2)
    found = paired_difference([ours], [theirs], gold, n_resamples=400, seed=3)
    rng, drawn = np.random.default_rng(9), []
    for _ in range(400):
        rows = rng.integers(0, len(gold), len(gold))
        drawn.append(macro([ours[rows]], gold[rows]) - macro([theirs[rows]], gold[rows]))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.std(drawn), rel=0.15)


def test_the_interval_holds_its_own_estimate_where_labels_have_one_positive():
    gold = np.zeros((50, 4), bool)
    gold[np.arange(4), np.arange(4)] = True
    found = paired_difference([gold], [np.zeros_like(gold)], gold)
    assert found.mean == 1
    assert found.low <= 1 <= found.high
