"""Pictures of what was measured: precision over recall and calibration of each label."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from ..decisions.rule import DecisionRule
from ..labels.schema import LabelSchema
from ..metrics.curves import known, label_curve
from ..tuning.calibration import N_BINS, expected_calibration_error
from ..utils.errors import DataError, UsageError
from ..utils.numeric import wilson_interval
from ..utils.text import compact_number, percent, pluralize
from .pictures import INK, MUTED, SERIES, WHITE, WIDTH, head, new_figure, printable_names, save

MAX_PANELS = 12
"""Up to so many labels each have a panel; of more the rarest have one."""

_COLUMNS, _NAME, _MAX_POINTS = 4, 30, 500  # panels beside each other, columns of a name, points of a curve
_LINE, _BARS = SERIES[0][0], "#c3d9ea"

Point = tuple[float, float | None, bool]
"""Recall and precision of decisions (None where nothing is predicted), and whether their threshold is in use."""


def plot_precision_recall(logits: Any, labels: Any, rule: DecisionRule, path: str | Path) -> Path:
    """Draw precision over recall of each label, rarest first, with the points at which it is decided.

    A curve has a point at every distinct score of a positive, rows with the same score taken together, and the area
    below it is the average precision. The filled dot is what `rule` decides, the hollow one (where thresholds are
    tuned) what 0.5 would without calibration. Both follow the schema's rules, so that recall and precision
    are those of the metrics; where a rule changes a decision, a dot lies off its curve. Of more than MAX_PANELS
    labels the rarest that have positives are shown.

    Args:
        logits: (rows, labels), the model's, as `rule` takes them.
        labels: (rows, labels): over 0.5 is positive, -100 or NaN unknown.
        rule: how logits become decisions.
        path: file to write, see `pictures.save`.

    Raises:
        UsageError: shapes that do not fit, or a file that cannot be written.
        DataError: no rows.
    """
    scores, labels = _checked(logits, labels, rule)
    decisions = [(r.by_label(), r.decide(logits).cpu().numpy()) for r in ([rule, rule.untuned()][: 1 + rule.is_tuned])]
    tuned = "at the label's threshold   ○ at 0.5" if rule.is_tuned else "at 0.5"
    closed = "; the rules of the labels can move a dot off its curve" if rule.schema.rules else ""
    legend = f"● decided {tuned}   dashed: prevalence, the precision of chance{closed}"

    def draw(i: int, is_known: np.ndarray, positive: np.ndarray, axes: Any) -> list[str]:
        points: list[Point] = []
        lines = []
        for mark, (thresholds, decided) in zip("●○", decisions, strict=False):
            yes = decided[is_known, i]
            n, hits, support = int(yes.sum()), int((yes & positive).sum()), int(positive.sum())
            said = f"decided in {pluralize(n, 'row')}"
            if support:
                points.append((hits / support, hits / n if n else None, mark == "●"))
                said = f"recall {hits / support:.2f}, precision {hits / n:.2f}" if n else said
            lines.append(f"{mark} {thresholds[rule.schema.names[i]]:.3g}: {said}")
        if not positive.any():
            return ["average precision -", *lines]
        recall, precision = precision_recall(scores[is_known, i], positive)
        draw_precision_recall(axes, recall, precision, points, positive.mean())
        area = float((np.diff(recall, prepend=0) * precision).sum())
        return [f"average precision {area:.3f}", *lines]

    names = ("recall", "precision")
    return save(lambda: _panels(labels, rule.schema, "Precision over recall", legend, names, draw), path)


def plot_calibration(logits: Any, labels: Any, rule: DecisionRule, path: str | Path) -> Path:
    """Draw for each label, rarest first, the share of positives over the mean score, in equal bins of [0, 1].

    On the diagonal a score is a probability. The bins are those of `expected_calibration_error`; below each panel
    stand the rows of each bin, and a dot's line is the 95% interval of the share (Wilson, 1927). Panels, arguments and
    errors are those of `plot_precision_recall`.
    """
    scores, labels = _checked(logits, labels, rule)
    probabilities = expit(scores.astype(np.float64))
    legend = (
        "dashed: where a score is a probability   lines: 95% intervals   bars: rows in each bin, log scale   "
        "expected calibration error: how far score and share are apart, mean over the rows"
    )

    def draw(i: int, is_known: np.ndarray, positive: np.ndarray, axes: Any, below: Any) -> list[str]:
        p = probabilities[is_known, i]
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", zorder=1.5)
        mean, share, rows = reliability(p, positive)
        _histogram(below, rows)
        filled = rows > 0
        if positive.any():
            low, high = wilson_interval(share[filled] * rows[filled], rows[filled])
            axes.vlines(mean[filled], low, high, color=_LINE, linewidth=1)
            axes.plot(mean[filled], share[filled], "o", color=_LINE, markersize=4, clip_on=False)
        return [f"expected calibration error {expected_calibration_error(p, positive):.3f}" if len(p) else ""]

    title, names = "Calibration: share of positives over the mean score", ("mean score", "share of positives")
    return save(lambda: _panels(labels, rule.schema, title, legend, names, draw, (3, 1)), path)


def precision_recall(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at every distinct score of a positive, highest first; scores (rows,), positive boolean.

    >>> precision_recall(np.array([2.0, 1.0, 1.0]), np.array([True, False, True]))
    (array([0.5, 1. ]), array([1.        , 0.66666667]))
    """
    curve = label_curve(np.sort(scores), np.sort(scores[positive]))
    return curve.true_positives / max(curve.support, 1), curve.true_positives / curve.predicted


def reliability(
    probabilities: np.ndarray, positive: np.ndarray, n_bins: int = N_BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean score, share of positives and rows of each bin, (bins,) each; NaN where a bin has no row.

    >>> reliability(np.array([0.1, 0.3, 0.9]), np.array([False, True, True]), 2)
    (array([0.2, 0.9]), array([0.5, 1. ]), array([2, 1]))
    """
    place = np.minimum((probabilities * n_bins).astype(int), n_bins - 1)
    rows = np.bincount(place, minlength=n_bins)
    sums = [np.bincount(place, values, n_bins) for values in (probabilities, positive)]
    mean, share = (np.divide(total, rows, out=np.full(n_bins, np.nan), where=rows > 0) for total in sums)
    return mean, share, rows


def draw_precision_recall(
    axes: Any,
    recall: Sequence[float] | np.ndarray,
    precision: Sequence[float] | np.ndarray,
    points: Sequence[Point],
    prevalence: float | None = None,
) -> None:
    """Draw a label's curve as a staircase, recall rising, with a dot for each point, filled where it is in use, and
    a dashed line at the precision of chance."""
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.grid()
    if prevalence is not None:
        axes.axhline(prevalence, color=MUTED, linewidth=1, linestyle="--", zorder=1.5)
    some = np.unique(np.linspace(0, len(recall) - 1, min(len(recall), _MAX_POINTS)).astype(int))
    x, y = np.asarray(recall)[some], np.asarray(precision)[some]
    axes.plot([0, *x], [y[0], *y], color=_LINE, linewidth=1.5, drawstyle="steps-pre", clip_on=False)
    for at, value, is_in_use in reversed(points):  # both are seen where they meet
        if value is not None:
            face, size = (INK, 4.5) if is_in_use else (WHITE, 8.5)
            axes.plot([at], [value], "o", color=INK, markerfacecolor=face, markersize=size, clip_on=False, zorder=4)


def _panels(
    labels: np.ndarray,
    schema: LabelSchema,
    title: str,
    legend: str,
    axes_names: tuple[str, str],
    draw: Callable,
    heights: tuple[int, ...] = (1,),
) -> Any:
    """A panel for each label, of one axes or more below each other.

    Above it stand its name, its counts, and the lines that `draw(label, known, positive, *axes)` gives.
    """
    is_known = known(labels)
    positives = (labels > 0.5) & is_known
    support, n_known = positives.sum(0), is_known.sum(0)
    shown = _rarest(support)
    columns = min(_COLUMNS, len(shown))
    n_rows = -(-len(shown) // columns)
    some = f"the {len(shown)} rarest of " * (len(shown) < len(schema))
    without = int((support == 0).sum())
    parts = [pluralize(len(labels), "row"), f"{some}{pluralize(len(schema), 'label')}, rarest first"]
    parts += [f"{without:,} without positives in this data"] if without else []
    height = n_rows * (2.5 + 0.7 * len(heights) if columns > 2 else 4.2)
    figure = new_figure(WIDTH, height, title, "  ·  ".join(parts), legend)
    figure.get_layout_engine().set(h_pad=0.1, wspace=0.04)
    grid = figure.subplots(n_rows * len(heights), columns, squeeze=False, height_ratios=heights * n_rows)
    names = printable_names([schema.names[i] for i in shown], [schema.slugs[i] for i in shown], _NAME)
    for place in range(n_rows * columns):
        row, column = divmod(place, columns)
        panel = grid[row * len(heights) : (row + 1) * len(heights), column]
        if place >= len(shown):
            for part in panel:
                part.remove()
            continue
        i, axes = shown[place], panel[0]
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.grid()
        axes.tick_params(axis="x", labelbottom=len(panel) == 1)
        lines = draw(i, is_known[:, i], positives[is_known[:, i], i], *panel)
        share = f" ({percent(support[i] / n_known[i])}%)" if support[i] else ""
        counted = f"positives: {compact_number(support[i])} of {compact_number(n_known[i])} rows{share}"
        head(axes, f"{names[place]} (primary)" if i in schema.primary else names[place], counted, *lines)
        if not support[i]:
            said = "no positives in this data" if n_known[i] else "not known in any row"
            axes.text(0.5, 0.5, said, ha="center", va="center", color=MUTED,
                      bbox={"facecolor": WHITE, "edgecolor": "none", "pad": 3})  # fmt: skip
        if place % columns == 0:
            axes.set_ylabel(axes_names[1])
        if place + columns >= len(shown):
            panel[-1].set_xlabel(axes_names[0])
    return figure


def _rarest(support: np.ndarray) -> list[int]:
    """Indices of the labels that have a panel, rarest first; of many those with positives go before those without."""
    is_last = (support == 0) & (len(support) > MAX_PANELS)
    return sorted(np.lexsort((support, is_last))[:MAX_PANELS].tolist(), key=lambda i: support[i])


def _histogram(below: Any, rows: np.ndarray) -> None:
    """Rows of each bin as bars on a log scale, below a panel; a single row can be seen."""
    top = max(int(rows.max()), 1)
    below.set(yscale="log", ylim=(0.5, top * 1.5), xlim=(0, 1), xticks=(0, 0.5, 1))
    below.bar((np.arange(len(rows)) + 0.5) / len(rows), np.maximum(rows, 0.5) - 0.5, 1 / len(rows), bottom=0.5,
              color=_BARS, edgecolor=INK, linewidth=0.5)  # fmt: skip
    below.set_yticks(sorted({1, top}), [compact_number(tick) for tick in sorted({1, top})], size=7)
    below.minorticks_off()


def _checked(logits: Any, labels: Any, rule: DecisionRule) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels as arrays."""
    scores, labels, wanted = rule.scores(logits).cpu().numpy(), np.asarray(labels), len(rule.schema)
    if scores.ndim != 2 or scores.shape != labels.shape or scores.shape[1] != wanted:
        raise UsageError(
            f"Got scores of shape {scores.shape} and labels of shape {labels.shape}; expected (rows, {wanted})."
        )
    if not len(scores):
        raise DataError("There are no rows to draw.")
    return scores, labels
