"""A training set's labels and their weights, as a picture in a file."""

from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.parts import check_same_labels
from ..labels.class_weights import ClassWeights
from ..labels.distribution import LabelDistribution
from ..utils.text import compact_number, percent, pluralize, short_count
from .pictures import INK, WIDTH, draw_labels, head, new_figure, printable_names, save

MAX_BARS = 60
"""Up to so many labels each have a bar; of more the rarest 30 and the commonest 10."""

_TIERS = {"tail": ("#9a3324", ""), "medium": ("#e8a33d", "////"), "head": ("#c3d9ea", "")}
"""Colour and hatching: tiers differ in grey too."""


def plot_distribution(
    distribution: LabelDistribution, weights: ClassWeights, path: str | Path, split: str = "training"
) -> Path:
    """Draw positives and class weight of each label, rarest first.

    Of more than 60 labels the 30 rarest and the 10 commonest are drawn.

    Args:
        distribution: counts, of the **training** data if they are to explain the weights.
        weights: class weights of the training.
        path: file to write, see `save`.
        split: what was counted, for the heading.

    Raises:
        UsageError: weights of other labels than those counted, or as `save`.
    """
    check_same_labels(distribution, weights)
    return save(lambda: _distribution(distribution, weights, split), path)


def _distribution(counts: LabelDistribution, weights: ClassWeights, split: str) -> Any:
    from matplotlib.patches import Patch

    order, schema = counts.rarest_first, counts.schema
    shown = order if len(order) <= MAX_BARS else np.concatenate([order[:30], order[-10:]])
    figure = new_figure(
        WIDTH, 0.27 * len(shown) + 1.1, "Label distribution and class weights", _summary(counts, len(shown))
    )
    positives, weight = figure.subplots(1, 2, sharey=True, width_ratios=(0.55, 0.45))
    share, ratio = counts.prevalence, counts.imbalance_ratio
    said = [f"{short_count(counts.support[i])} ({percent(share[i])}%, ratio {compact_number(ratio[i])})"
            if counts.support[i] > 0 else "0: no positives" for i in shown]  # fmt: skip
    tiers = {i: tier for tier, labels in counts.tiers().items() for i in labels.tolist()}
    colours, hatches = zip(*(_TIERS[tiers[i]] for i in shown.tolist()), strict=True)
    look: dict[str, Any] = {"color": colours, "hatch": hatches, "edgecolor": INK, "linewidth": 0.5}
    draw_labels(positives, {"positives": counts.support[shown]}, said, **look)
    top = (0.0, 1.02 * float(weights.values[shown].max()))
    draw_labels(weight, {"weight": weights.values[shown]}, [_weight_text(weights, i) for i in shown], (), top, **look)
    names = printable_names([schema.names[i] for i in shown], [schema.slugs[i] for i in shown], 40)
    names = [f"{name} (primary)" if i in schema.primary else name for name, i in zip(names, shown, strict=True)]
    positives.set_yticks(range(len(shown)), names)
    head(positives, f"Positives in {split}", "log scale; in brackets prevalence, and commonest secondary : this label")
    head(weight, "Class weight", "of a positive entry")
    keys = [Patch(facecolor=c, hatch=h, edgecolor=INK, label=t) for t, (c, h) in _TIERS.items() if t in tiers.values()]
    figure.legend(handles=keys, loc="outside lower right", ncols=3)
    return figure


def _summary(counts: LabelDistribution, n_shown: int) -> str:
    """Rows, labels and the commonest : rarest in one line."""
    support = counts.support[counts.rarest_first]
    present, n = support[support > 0], len(support)
    rows = f" (of {counts.row_total:,})" if counts.row_total > counts.n_rows else ""
    parts = [pluralize(counts.n_rows, "row") + rows, pluralize(n, "label")]
    if n_shown < n:
        parts.append("drawn are the 30 rarest and the 10 commonest")
    if len(present):
        ends = f"({short_count(present[-1])} : {short_count(present[0])})"
        parts.append(f"commonest : rarest = {compact_number(present[-1] / present[0])} : 1  {ends}")
    if len(present) < n:
        parts.append(f"{n - len(present):,} without positives")
    return "  ·  ".join(parts)


def _weight_text(weights: ClassWeights, i: int) -> str:
    name, before = weights.names[i], (weights.clamped or {}).get(weights.names[i])
    marks = ["custom"] * (name in weights.custom)
    marks += [] if before is None else [f"capped from {compact_number(before)}"]
    return f"{weights.values[i]:.3g} {', '.join(marks)}".rstrip()
