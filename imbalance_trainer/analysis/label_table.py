"""The table of labels before training: counts, ratios, weights with their reasons, and rows that violate a rule."""

import math
import os
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType

from ..labels.class_weights import ClassWeights
from ..labels.distribution import LabelDistribution
from ..utils.console import bullets, text_table
from ..utils.errors import UsageError
from ..utils.text import pluralize, shorten

_ROWS_SHOWN, _ROOM = 8, 38  # columns that names and reasons have in 80 beside the numbers
_TIERED = ("tier", "limit", "root_tier", "root_limit")  # reasons of weights by tiers


def label_table(
    distribution: LabelDistribution, weights: ClassWeights, max_rows: int | None = None
) -> list[RenderableType]:
    """Counts, ratios and weights of the labels, rarest label first, for `console_print`.

    Below the table are the rules of the schema that rows violate, with their first rows (counted from 0), the worst
    rule first.

    Args:
        distribution: counts of the **training** data.
        weights: its class weights.
        max_rows: labels in the table (the rarest ones), and rules below it; None for all.

    Raises:
        UsageError: weights of other labels than those counted, or a max_rows that is not a whole number from 0 on.

    >>> from imbalance_trainer import LabelDistribution, LabelSchema, compute_class_weights
    >>> from imbalance_trainer.utils.console import as_text
    >>> schema = LabelSchema(["hateful", "threat"], {"primary": ["hateful"]}, [("threat", "hateful")])
    >>> counts = LabelDistribution.from_labels([[1, 0]] * 40 + [[0, 0]] * 59 + [[0, 1]], schema)
    >>> print(as_text(*label_table(counts, compute_class_weights(counts))))
    label    samples     %  neg:pos  ratio  weight  reason
    threat         1  1.00       99      1    1.73  at most 1.7
    hateful       40  40.0      1.5  0.025    1.22  primary: at most 1.4
    <BLANKLINE>
    1 row has 'threat' without 'hateful'
      row 99
    """
    check_same_labels(distribution, weights)
    if max_rows is not None and (isinstance(max_rows, bool) or max_rows != int(max_rows) or max_rows < 0):
        raise UsageError(f"max_rows is a number of labels, 0 or more, or None for all; got {max_rows!r}.")
    order = distribution.rarest_first
    shown = order if max_rows is None else order[: int(max_rows)]
    rows = [_cells(distribution, weights, i) for i in shown]
    header = ["label", "samples", "%", "neg:pos", "ratio", "weight", "reason"]
    is_wide = sum(max((cell_len(row[i]) for row in rows), default=0) for i in (0, 6)) > _ROOM
    message: list[RenderableType] = [text_table(header, rows, left=(0, 6), gap=1 if is_wide else 2)]
    if len(shown) < len(order):
        rest = weights.values[order[len(shown) :]]
        message.append(f"... and {pluralize(len(rest), 'more label')}: weights {_span(rest)}")
    return message + _violations(distribution, max_rows)


def check_same_labels(distribution: LabelDistribution, weights: ClassWeights) -> None:
    """Raise a UsageError where weights and counts are not of the same labels in the same order."""
    if tuple(weights.names) != tuple(distribution.schema.names):
        raise UsageError(
            f"The weights are of {len(weights)} labels and the counts of {len(distribution.schema)}, or their order "
            "differs; compute the weights from this distribution."
        )


def distinct_names(names: Sequence[str], width: int) -> list[str]:
    """Names shortened to `width` columns that still differ: cut where they are alike, else numbered (#1, #2, ...).

    >>> distinct_names(["a very long name", "short"], 10)
    ['a ve...ame', 'short']
    >>> distinct_names(["a long name, part 1 of it", "a long name, part 2 of it"], 14)
    ['a long ...1...', 'a long ...2...']
    """
    names = [" ".join(name.split()) for name in names]
    alike: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        alike.setdefault(shorten(name, width), []).append(i)
    distinct = [""] * len(names)
    for short, places in alike.items():
        cut = [short] if len(places) == 1 else _cut_alike([names[i] for i in places], width)
        for place, name in zip(places, cut, strict=True):
            distinct[place] = name
    if len(set(distinct)) < len(distinct):
        numbers = [f" #{i + 1}" for i in range(len(names))]
        cut = [shorten(name, max(width - len(n), 4)) + n for name, n in zip(names, numbers, strict=True)]
        count = Counter(distinct)
        return [cut[i] if count[name] > 1 else name for i, name in enumerate(distinct)]
    return distinct


def _cut_alike(names: Sequence[str], width: int) -> list[str]:
    """Long names that begin and end alike, each as its beginning and the part where it differs."""
    start, end = len(os.path.commonprefix(names)), len(os.path.commonprefix([name[::-1] for name in names]))
    parts = [name[start : max(len(name) - end, start)] for name in names]
    beginning = names[0][: min(start, max(width - 6 - max(map(cell_len, parts)), 0))]
    return [shorten(f"{beginning}...{part}...", width) for part in parts]


class RankedLabels:
    """What a picture shows of each label: arrays of shape (labels,) with the rarest label first.

    Args:
        counts: counts of the training data.
        weights: its class weights.
        max_weight: cap of the weights, where it is known.
    """

    def __init__(self, counts: LabelDistribution, weights: ClassWeights, max_weight: float | None) -> None:
        tiers = counts.tiers()
        self.counts, self.weights = counts, weights
        self.order = np.concatenate(list(tiers.values()))[::-1]
        self.tiers = {name: len(tiers[name]) for name in ("tail", "medium", "head")}  # sizes, tail first like `order`
        self.support = counts.support[self.order]
        self.share = counts.prevalence[self.order]
        self.ratio = counts.imbalance_ratio[self.order]
        self.weight = np.asarray(weights.values, dtype=float)[self.order]
        self.absent = int((self.support <= 0).sum())
        place = {name: i for i, name in enumerate(weights.names)}
        is_custom, self.before = np.zeros(len(self.order), dtype=bool), np.full(len(self.order), np.nan)
        is_custom[[place[name] for name in weights.custom]] = True
        for name, before in (weights.clamped or {}).items():
            self.before[place[name]] = before
        self.is_custom, self.before = is_custom[self.order], self.before[self.order]
        self.is_capped = ~np.isnan(self.before)
        self.cap = float(self.weight[self.is_capped][0]) if self.is_capped.any() else max_weight
        self.is_tiered = any(reason.kind in _TIERED for reason in weights.why)

    @cached_property
    def summary(self) -> str:
        """Rows, labels and the commonest : rarest in one line."""
        counts, n = self.counts, len(self.order)
        rows = pluralize(counts.n_rows, "row")
        rows += f" (of {counts.row_total:,})" if counts.row_total > counts.n_rows else ""
        parts = [rows, pluralize(n, "label")]
        if self.absent < n:
            top, low = self.support[-1], self.support[self.absent]
            counted = f"  ({short_count(top)} : {short_count(low)})" if low > 1 else ""
            parts.append(f"commonest : rarest = {compact_number(top / low)} : 1{counted}")
        if self.absent:
            parts.append(f"{self.absent:,} without positives")
        return "  ·  ".join(parts)

    @cached_property
    def rest_in_words(self) -> list[str]:
        """How many labels have few positives and which weights are frequent; headings start at the margin."""
        lines = ["Labels with few positives"]
        lines += [f"  fewer than {limit:,}: {int((self.support < limit).sum()):,}" for limit in (10, 100, 1000)]
        values, count = np.unique(self.weight, return_counts=True)
        often = np.arange(len(values)) if len(values) < 5 else np.argsort(-count, kind="stable")[:3]
        lines += ["", "Weights"]
        lines += [f"  {values[i]:.3g}: {pluralize(count[i], 'label')}" for i in sorted(often, reverse=True)]
        others = np.setdiff1d(np.arange(len(values)), often)
        if len(others):
            lines.append(f"  others, {_span(values[others])}: {pluralize(count[others].sum(), 'label')}")
        return lines

    def short_weight(self, i: int) -> str:
        """The weight at a place of the order, and in a word whether it is custom or capped."""
        mark = "capped " if self.is_capped[i] else "custom " if self.is_custom[i] else ""
        return f"{mark}{self.weight[i]:.3g}"

    def weight_text(self, i: int) -> str:
        """The weight at a place of the order, with its mark."""
        marks = ["custom"] * bool(self.is_custom[i])
        marks += [f"capped from {compact_number(self.before[i])}"] * bool(self.is_capped[i])
        return f"{self.weight[i]:.3g} {', '.join(marks)}".rstrip()


def compact_number(value: float) -> str:
    """A count or ratio in few characters: three digits, whole from 100 on, in k, M or B above 99,999; inf is "-".

    >>> [compact_number(v) for v in (0.02513, 2.0, 43.51, 1234.5, 99_999, 123_456, 2_500_000, float("inf"))]
    ['0.0251', '2', '43.5', '1,234', '99,999', '123k', '2.5M', '-']
    """
    if not math.isfinite(value):
        return "-"
    if round(value) <= 99_999:
        return f"{value:.3g}" if value < 99.95 else f"{value:,.0f}"
    for unit, size in (("k", 1e3), ("M", 1e6), ("B", 1e9)):
        if value < 999.5 * size or unit == "B":
            break
    return f"{value / size:.3g}{unit}"


def short_count(value: float) -> str:
    """A count in full; the sum of soft labels in three digits.

    >>> short_count(1234567.0), short_count(2.345)
    ('1,234,567', '2.35')
    """
    return f"{value:,.0f}" if value == round(value) else compact_number(value)


def percent(share: float) -> str:
    """A share in percent, without the sign.

    >>> [percent(share) for share in (0, 0.00001, 0.00345, 0.5)]
    ['0', '<0.01', '0.34', '50.0']
    """
    if share < 0.00005:
        return "<0.01" if share > 0 else "0"
    return f"{100 * share:.2f}" if share < 0.0995 else f"{100 * share:.1f}"


def _cells(counts: LabelDistribution, weights: ClassWeights, i: int) -> list[str]:
    return [
        counts.schema.names[i],
        compact_number(counts.support[i]),
        percent(counts.prevalence[i]),
        compact_number(counts.negative_positive[i]),
        compact_number(counts.imbalance_ratio[i]),
        f"{weights.values[i]:.3g}",
        weights.why[i].short,
    ]


def _violations(counts: LabelDistribution, max_rows: int | None) -> list[RenderableType]:
    rules, rows = counts.schema.rules, np.asarray(counts.violations)
    worst = [int(i) for i in np.argsort(-rows, kind="stable") if rows[i] > 0]
    if not len(rows):
        return []
    if not worst:
        kind = "rule" if counts.schema.exclusive else "implication"
        return ["", f"No row violates the {pluralize(len(rules), kind)}."]
    shown = worst if max_rows is None else worst[: int(max_rows)]
    message: list[RenderableType] = [""]
    for i in shown:
        n = int(rows[i])
        message.append(f"{pluralize(n, 'row')} {'has' if n == 1 else 'have'} {rules[i]}")
        if named := (counts.violation_rows or [()] * len(rows))[i][:_ROWS_SHOWN]:
            more = f" and {n - len(named):,} more" if n > len(named) else ""
            message.append(bullets([f"{'row' if n == 1 else 'rows'} {', '.join(map(str, named))}{more}"], "  "))
    if len(shown) < len(worst):
        rest = pluralize(len(worst) - len(shown), "more rule")
        times = pluralize(int(rows[worst[len(shown) :]].sum()), "time")
        message.append(f"... and {rest} violated, {times} in all")
    return message


def _span(values: np.ndarray) -> str:
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"
