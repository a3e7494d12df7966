"""The focal loss written a second time: float64 (or any precision), one entry after the other, nothing shared."""

import math

import mpmath
import torch

IGNORE_INDEX = -100


def softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def multi_label_entry(z, y, weight, gamma):
    """Loss of one entry, or None where it is masked."""
    if y == IGNORE_INDEX:
        return None
    p, not_p = math.exp(-softplus(-z)), math.exp(-softplus(z))
    return y * weight * not_p**gamma * softplus(-z) + (1 - y) * p**gamma * softplus(z)


def single_label_row(logits, label, weights, gamma):
    """Loss of one row, or None where it is masked."""
    if label == IGNORE_INDEX:
        return None
    top = max(logits)
    exponentials = [math.exp(z - top) for z in logits]
    log_p = logits[label] - top - math.log(sum(exponentials))
    not_p = sum(e for i, e in enumerate(exponentials) if i != label) / sum(exponentials)
    return weights[label] * not_p**gamma * -log_p


def losses(logits, labels, weights=None, gamma=2.0):
    """The loss of every entry (row, where labels have one dimension less), flat; None where it is masked."""
    n = logits.shape[-1]
    weights = [1.0] * n if weights is None else [float(w) for w in weights]
    rows = logits.double().reshape(-1, n).tolist()
    if labels.ndim < logits.ndim:
        classes = labels.reshape(-1).tolist()
        return [single_label_row(z, c, weights, gamma) for z, c in zip(rows, classes, strict=True)]
    targets = labels.double().reshape(-1, n).tolist()
    return [
        multi_label_entry(z, y, w, gamma)
        for zs, ys in zip(rows, targets, strict=True)
        for z, y, w in zip(zs, ys, weights, strict=True)
    ]


def reduced(entries, reduction, num_items_in_batch=None):
    known = [e for e in entries if e is not None]
    if reduction == "none":
        return [e or 0.0 for e in entries]
    if reduction == "sum":
        return math.fsum(known)
    count = len(known) if num_items_in_batch is None else num_items_in_batch
    return math.fsum(known) / max(count, 1)


def central_differences(logits, labels, weights=None, gamma=2.0, step=1e-6):
    """The gradient of the summed loss, entry by entry."""
    gradient = torch.zeros(logits.shape, dtype=torch.float64)
    logits = logits.double()
    for i in range(logits.numel()):
        ends = []
        for sign in (1, -1):
            moved = logits.clone()
            moved.view(-1)[i] += sign * step
            ends.append(reduced(losses(moved, labels, weights, gamma), "sum"))
        gradient.view(-1)[i] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def exact_gradient(z, y, weight, gamma):
    """The derivative of one multi-label entry to 60 digits, from the derivative of the definition by mpmath."""
    with mpmath.workdps(60):
        z = mpmath.mpf(z)

        def loss(x):
            p, not_p = 1 / (1 + mpmath.exp(-x)), 1 / (1 + mpmath.exp(x))
            return -y * weight * not_p**gamma * mpmath.log(p) - (1 - y) * p**gamma * mpmath.log(not_p)

        return mpmath.diff(loss, z)
