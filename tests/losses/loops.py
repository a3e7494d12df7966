"""Every loss of LOSSES written a second time from its formula: float64, loops over rows and labels, nothing shared.

Each takes rows of logits and labels, the class weights, supports and known entries of the labels, and the loss's own
arguments; it gives the loss of every entry (single-label: row), None where it is unknown. Only for logits of ordinary
size: these are the formulas as the papers have them, which overflow at others.
"""

import math

IGNORE_INDEX = -100


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def by_entry(positive, negative):
    """Entries from the losses of a positive and of a negative: (z, label index, row of labels) -> loss."""

    def loop(rows, labels, weights):
        return [
            [
                None if y == IGNORE_INDEX else y * weights[c] * positive(z, c, ys) + (1 - y) * negative(z, c, ys)
                for c, (z, y) in enumerate(zip(zs, ys, strict=True))
            ]
            for zs, ys in zip(rows, labels, strict=True)
        ]

    return loop


def focal_positive(p, gamma):
    return (1 - p) ** gamma * -math.log(p)


def focal_negative(p, gamma):
    return p**gamma * -math.log(1 - p)


def focal(rows, labels, weights, support, known, gamma=2.0):
    if not isinstance(labels[0], list):
        return softmax_rows(rows, labels, weights, lambda zs, c: zs, gamma)
    return by_entry(
        lambda z, c, ys: focal_positive(sigmoid(z), gamma), lambda z, c, ys: focal_negative(sigmoid(z), gamma)
    )(rows, labels, weights)


def plain(rows, labels, weights, support, known):
    return focal(rows, labels, weights, support, known, 0.0)


def asymmetric(rows, labels, weights, support, known, gamma_negative=4.0, gamma_positive=1.0, shift=0.05):
    def negative(z, c, ys):
        p = max(sigmoid(z) - shift, 0)
        return p**gamma_negative * -math.log(1 - p)

    return by_entry(lambda z, c, ys: focal_positive(sigmoid(z), gamma_positive), negative)(rows, labels, weights)


def softmax_rows(rows, labels, weights, changed, gamma=0.0):
    losses = []
    for zs, label in zip(rows, labels, strict=True):
        if label == IGNORE_INDEX:
            losses.append(None)
            continue
        exponentials = [math.exp(z) for z in changed(zs, label)]
        losses.append(weights[label] * focal_positive(exponentials[label] / sum(exponentials), gamma))
    return losses


def logit_adjusted(rows, labels, weights, support, known, tau=1.0):
    counts = [max(n, 1) for n in support]
    shares = [n / sum(counts) for n in counts]
    return softmax_rows(
        rows, labels, weights, lambda zs, c: [z + tau * math.log(s) for z, s in zip(zs, shares, strict=True)]
    )


LOOPS = {
    "focal": focal,
    "bce": plain,
    "ce": plain,
    "asymmetric": asymmetric,
    "logit_adjusted": logit_adjusted,
}

ARGUMENTS = {
    "focal": [{}, {"gamma": 0.5}],
    "asymmetric": [
        {},
        {"shift": 0.0},
        {"shift": 1e-6},
        {"gamma_negative": 0.0, "gamma_positive": 0.0},
        {"gamma_negative": 0.5, "gamma_positive": 0.5, "shift": 0.3},
    ],
    "logit_adjusted": [{}, {"tau": 2.5}],
}
"""Settings of each loss's own that the tests run with; a loss that is not here has none."""
