"""Naive tuning of F1 thresholds against scikit-learn's precision_recall_curve of each label: time, F1, memory.

    python -m benchmarks thresholds

Scores with ties. The best F1 is compared too: it is the same.
"""

import tracemalloc
import warnings

import numpy as np
from sklearn.metrics import precision_recall_curve

from imbalance_trainer import tune_thresholds

from .measuring import Ratio, by_turns, made_up_scores, ms

SHAPES = ((100_000, 28, 15), (20_000, 1_000, 3))
"""Rows, labels, repeats."""

_WHY = "numpy.sort of the scores and the search for the positives' places are two thirds of it"


def ours(scores: np.ndarray, labels: np.ndarray, **more: float) -> np.ndarray:
    return tune_thresholds(scores, labels, from_logits=True, **{"shrinkage": 0, **more}).f1


def theirs(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    best = []
    for column, gold in zip(scores.T, labels.T, strict=True):
        precision, recall, _ = precision_recall_curve(gold, column)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
        best.append(f1.max())
    return np.array(best)


def ratios(quick: bool) -> list[Ratio]:
    """All of this part."""
    warnings.filterwarnings("ignore")
    found: list[Ratio] = []
    for n_rows, n_labels, repeats in SHAPES[:1] if quick else SHAPES:
        scores, labels = made_up_scores(n_rows, n_labels)
        calls = {
            "theirs": lambda s=scores, y=labels: theirs(s, y),
            "best F1": lambda s=scores, y=labels: ours(s, y),
            "shrunk, as by default": lambda s=scores, y=labels: ours(s, y, shrinkage=None),
        }
        np.testing.assert_allclose(ours(scores, labels), theirs(scores, labels), atol=1e-12)
        times = by_turns(calls, 3 if quick else repeats)
        if not quick:
            resampled = lambda s=scores, y=labels: ours(s, y, shrinkage=None, n_bootstrap=200)  # noqa: E731
            times |= by_turns({"with 200 resamples": resampled}, 1)
        case, beside = f"{n_rows:,} x {n_labels:,}", "time of precision_recall_curve / ours"
        for name in list(times)[1:]:
            target, why = (4.0, _WHY) if name == "best F1" else (None, "")
            ratio = times["theirs"] / times[name]
            found.append(Ratio(f"thresholds, {name}, {case}", beside, ratio, target, False, ms(times[name]), why))
        tracemalloc.start()
        ours(scores, labels)
        memory = tracemalloc.get_traced_memory()[1] / scores.nbytes
        tracemalloc.stop()
        target = 0.4 if n_labels >= 1_000 else None  # below, what is fixed is more
        found.append(Ratio(f"memory, {case}", "bytes of the scores", memory, target))
    return found
