import numpy as np
import pytest
from sklearn.metrics import f1_score

from imbalance_trainer.comparison.measures import paired_difference

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
