r"""Counts at the cuts of a label, smoothed by a model where its positives are few.

What few positives say of the best cut is mostly chance. A logistic model of the label's two parameters (Platt, 1999)
says less wrongly how many positives score over a cut: the sum of its probabilities over the rows that do. The smoothed
count is their mean, weighted as if the model's word were worth k positives:

    tp_smooth(t) = (P tp(t) + k sum_{z_i >= t} sigma(a z_i + b)) / (P + k)

and so is the support. With many positives nothing changes; with few, F of the smoothed counts is that of the plug-in
rule (Ye et al., ICML 2012). Smoothing F against thresholds of rare labels that overfit: Lin & Lin, CIKM 2023.
"""

import numpy as np
from scipy.special import expit

_PLACES = 512  # different logits that a model is fitted to
_STEPS, _FIRST_STEP, _TOLERANCE = 40, 1.0, 1e-7


def smoothed_counts(
    logits: np.ndarray, true_positives: np.ndarray, predicted: np.ndarray, k: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True positives and support, smoothed.

    Args:
        logits: (cuts,), of the rows between a cut and the next higher one; highest first.
        true_positives, predicted: (resamples, cuts), counts at or over each cut; the last cut is under all rows.
        k: positives that the model counts for.

    Returns:
        True positives (resamples, cuts) and support (resamples, 1), and whether the model holds, (resamples,): not
        where there is no positive, or where a larger score does not mean a larger probability.
    """
    rows = np.diff(predicted, axis=1, prepend=0)
    positives = np.diff(true_positives, axis=1, prepend=0)
    scale, offset = fit_logistic(*_merged(logits, positives, rows - positives))
    expected = (rows * expit(scale * logits + offset)).cumsum(1)
    support = true_positives[:, -1:]
    share = support / (support + k)
    smooth = share * true_positives + (1 - share) * expected
    return smooth, smooth[:, -1:], (scale[:, 0] > _TOLERANCE) & (support[:, 0] > 0)


def _merged(logits: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, ...]:
    """Neighbouring places put together, so that there are no more than _PLACES."""
    if len(logits) <= _PLACES:
        return logits, positives, negatives
    starts = np.linspace(0, len(logits), _PLACES, endpoint=False).astype(int)
    sizes = np.diff(starts, append=len(logits))
    sums = [np.add.reduceat(part, starts, axis=-1) for part in (logits, positives, negatives)]
    return sums[0] / sizes, sums[1], sums[2]


def fit_logistic(logits: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of the logistic regression of counts on logits, by Newton's method, with Platt's targets.

    The targets are (P + 1) / (P + 2) for P positives and 1 / (N + 2) for N negatives, so that positives that are
    ranked perfectly do not give an infinite scale.

    Args:
        logits: (places,).
        positives, negatives: (problems, places), counts at each place.

    Returns:
        Two arrays (problems, 1).
    """
    p, n = positives.sum(1, keepdims=True), negatives.sum(1, keepdims=True)
    successes = positives * (p + 1) / (p + 2) + negatives / (n + 2)
    total = positives + negatives
    centre, spread = logits.mean(), logits.std() or 1.0
    x = (logits - centre) / spread
    base = (successes.sum(1, keepdims=True) + 1e-9) / (total.sum(1, keepdims=True) + 2e-9)
    scale, offset = np.zeros_like(base), np.log(base) - np.log1p(-base)
    largest, last = np.full_like(base, _FIRST_STEP), np.zeros_like(base)
    for _ in range(_STEPS):
        probability = expit(scale * x + offset)
        residual = successes - total * probability
        curvature = total * probability * (1 - probability)
        g1, g0 = (residual @ x)[:, None], residual.sum(1, keepdims=True)
        h11, h10, h00 = (curvature @ (x * x))[:, None], (curvature @ x)[:, None], curvature.sum(1, keepdims=True)
        ridge = 1e-9 * (h00 + 1e-9)
        h11, h00 = h11 + ridge, h00 + ridge
        determinant = h11 * h00 - h10 * h10
        step1, step0 = (h00 * g1 - h10 * g0) / determinant, (h11 * g0 - h10 * g1) / determinant
        size = np.maximum(np.abs(step1), np.abs(step0))
        largest = largest * np.where(step1 * last < 0, 0.5, 1.5)  # one that has to turn back had been too long
        damping = np.minimum(1, largest / np.maximum(size, 1e-300))
        scale, offset, last = scale + damping * step1, offset + damping * step0, step1
        if size.max() < _TOLERANCE:
            break
    return scale / spread, offset - scale * centre / spread
