"""Shift of prevalence against the textbook's formulas in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from imbalance_trainer.analysis.shift import prevalence_shift
from imbalance_trainer.labels.distribution import LabelDistribution
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.utils.errors import UsageError


def counts(support, n_rows):
    return LabelDistribution.from_counts(support, n_rows, LabelSchema([f"l{i}" for i in range(len(support))]))


def reference(x, n, y, m):
    """Fisher's exact test: how likely are tables with the same margins that are no likelier than this one."""
    tables = hypergeom(n + m, x + y, n)
    every = tables.pmf(np.arange(n + 1))
    return every[every <= tables.pmf(x) * (1 + 1e-7)].sum()


@settings(deadline=None)
@given(
    st.integers(1, 3000), st.integers(1, 3000),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6),
)  # fmt: skip
def test_p_values_are_those_of_the_textbook(n, m, shares):
    x = [round(a * n) for a, _ in shares]
    y = [round(b * m) for _, b in shares]
    shift = prevalence_shift(counts(x, n), counts(y, m))
    expected = [reference(a, n, b, m) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(shift.p, expected, rtol=1e-6, atol=1e-12)
    q = [min(p * len(shares) / sum(other <= p for other in shift.p) for p in shift.p if p >= one) for one in shift.p]
    np.testing.assert_allclose(shift.q, np.minimum(q, 1), rtol=1e-6, atol=1e-12)
    assert set(shift.differs) == {i for i, q in enumerate(shift.q) if q < 0.05}


def test_chance_alone_is_rarely_called_a_shift():
    rng = np.random.default_rng(0)
    share = np.full(50, 0.01)
    found = [
        len(prevalence_shift(counts(rng.binomial(4000, share), 4000), counts(rng.binomial(900, share), 900)).differs)
        for _ in range(40)
    ]
    assert np.mean(np.array(found) > 0) <= 0.15


def test_ratio_and_direction():
    shift = prevalence_shift(counts([500, 30, 0, 0], 1000), counts([100, 60, 5, 0], 500))
    assert shift.ratio.tolist() == [0.4, 4.0, math.inf, 1.0]
    assert shift.differs.tolist() == [0, 1, 2]
    assert shift.p[3] == 1


def test_a_split_that_knows_nothing_of_a_label_says_nothing():
    schema = LabelSchema(["a", "b"])
    other = LabelDistribution.from_labels([[-100, 1]] * 50 + [[-100, 0]] * 50, schema)
    shift = prevalence_shift(LabelDistribution.from_counts([500, 500], 1000, schema), other)
    assert shift.p[0] == shift.q[0] == 1


def test_other_labels_are_a_usage_error():
    with pytest.raises(UsageError, match="counted with different labels"):
        prevalence_shift(counts([1], 10), counts([1, 1], 10))
