import numpy as np
from sklearn.metrics import f1_score

from imbalance_trainer.comparison.bootstrap import paired_difference


def decisions(seed, n_rows=300, wrong=0.1):
    rng = np.random.default_rng(seed)
    gold = np.random.default_rng(0).random((n_rows, 4)) < [0.5, 0.2, 0.05, 0.02]
    return gold ^ (rng.random(gold.shape) < wrong), gold


def test_the_mean_is_that_of_scikit_learn_and_the_interval_that_of_a_loop_over_the_same_rows():
    ours, gold = [decisions(seed, wrong=0.05)[0] for seed in (1, 2)], decisions(1)[1]
    theirs = [decisions(seed)[0] for seed in (3, 4)]
    found = paired_difference(ours, theirs, gold, n_resamples=130, seed=5)

    def macro(these, rows):
        return np.mean([f1_score(gold[rows], d[rows], average="macro", zero_division=0) for d in these])

    every = np.arange(len(gold))
    assert abs(found.mean - (macro(ours, every) - macro(theirs, every))) < 1e-6
    rng, drawn = np.random.default_rng(5), []
    for n in (64, 64, 2):
        for counts in rng.multinomial(len(gold), np.full(len(gold), 1 / len(gold)), size=n):
            rows = np.repeat(every, counts)
            drawn.append(macro(ours, rows) - macro(theirs, rows))
    np.testing.assert_allclose([found.low, found.high], np.quantile(drawn, (0.025, 0.975)), atol=1e-6)
    assert found.is_more_than_chance


def test_a_method_does_not_beat_itself_nor_one_that_is_as_wrong():
    one, gold = decisions(1)
    same = paired_difference([one], [one], gold)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert not same.is_more_than_chance
    other = paired_difference([one], [decisions(2)[0]], gold)
    assert other.low < 0 < other.high
