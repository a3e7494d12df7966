import numpy as np
import pytest
from scipy.stats import binomtest

from imbalance_trainer.utils.numeric import column_sums, ratio, wilson_interval


def test_a_ratio_is_0_where_the_denominator_is_and_broadcasts():
    over = ratio([[1], [0], [3]], [2, 0])
    assert over.tolist() == [[0.5, 0], [0, 0], [1.5, 0]]
    assert ratio(0, 0) == 0
    assert ratio(np.int64(1), np.int64(3)) == 1 / 3


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 3, 0.0, 0.5615), (3, 3, 0.4385, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_interval_has_published_values(successes, trials, low, high):
    # 81 of 263 is the worked example of Newcombe, 1998, "Two-sided confidence intervals for the single proportion"
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_intervals_are_wilsons():
    hits, rows = np.array([0, 1, 3, 10, 400]), np.array([1, 1, 7, 10, 1000])
    low, high = wilson_interval(hits, rows)
    for i in range(len(rows)):
        interval = binomtest(int(hits[i]), int(rows[i])).proportion_ci(method="wilson")
        assert (low[i], high[i]) == pytest.approx((interval.low, interval.high), abs=1e-4)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (254, 2), (255, 3), (511, 127), (5, 0)])
@pytest.mark.parametrize("share", [0.01, 1.0])
def test_sums_of_columns_are_numpys(shape, share):
    mask = np.random.default_rng(0).random(shape) < share
    assert column_sums(mask).tolist() == mask.sum(0).tolist()
