"""What a comparison says at its end, for each way in which it can go."""

from types import SimpleNamespace

import numpy as np
import pytest

from imbalance_trainer.comparison.measures import Difference
from imbalance_trainer.comparison.summary import MethodResult, Summary


def method(name, validation, test, difference=None):
    runs = tuple(
        SimpleNamespace(values={"validation_f1_macro": v, "tuned": {"f1_macro": t}})
        for v, t in zip(validation, test, strict=True)
    )
    return MethodResult(name, 1e-4, runs, difference)


def verdict(difference, n_seeds, validation=0.5):
    stock = method("stock", [0.3] * n_seeds, [0.3] * n_seeds)
    ours = method("focal", [validation] * n_seeds, [0.3 + difference.mean] * n_seeds, difference)
    return Summary((stock, ours), np.array([100, 100])).verdict()


@pytest.mark.parametrize(
    ("difference", "n_seeds", "said"),
    [
        (Difference(0.1, 0.05, 0.15), 3, "Take focal, "),
        (Difference(0.1, -0.05, 0.25), 3, "focal is ahead of stock by no more than chance explains, "),
        (Difference(0.1, 0.05, 0.15, knows_seeds=False), 1, "focal is ahead of stock, chosen"),
        (Difference(0.1, 0.0, 0.2, knows_seeds=False), 1, "focal is ahead of stock by no more than chance explains, "),
        (Difference(0.0, -0.1, 0.1), 3, "focal is not ahead of stock on test, "),
        (Difference(-0.1, -0.2, -0.05), 2, "focal is not ahead of stock on test, "),
    ],
)
def test_a_method_is_ahead_only_where_it_is(difference, n_seeds, said):
    words = verdict(difference, n_seeds)
    assert words.startswith(said)
    assert ("One seed says little" in words) == (n_seeds == 1)
    assert f"{n_seeds} seed{'s' * (n_seeds > 1)}." in words


def test_stock_is_kept_where_none_is_better_on_validation():
    ahead = verdict(Difference(0.1, 0.05, 0.15), 3, validation=0.2)
    assert ahead.startswith("None is better than stock")
    assert "did better by more than chance explains" in ahead
    assert "did better" not in verdict(Difference(0.1, -0.05, 0.15), 3, validation=0.2)
