"""Pictures of an evaluation, a small panel for each label: precision over recall, and calibration."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.label_table import compact_number, percent
from ..decisions.rule import DecisionRule
from ..labels.schema import LabelSchema
from ..metrics.curves import known
from ..tuning.calibration import N_BINS, expected_calibration_error
from ..utils.errors import DataError, UsageError
from ..utils.numeric import wilson_interval
from .page import GRID, INK, MUTED, WIDTH, Page, draw
from .plots import names_that_fit

MAX_PANELS = 12
"""Up to so many labels each have a panel; of more the rarest have one."""

_COLUMNS = 4
# Inches. Above the panels stands what all of them share, above each panel what is said of its label.
_LEFT, _BETWEEN, _RIGHT, _HEAD, _LINE_HEIGHT, _AXIS = 0.65, 0.55, 0.3, 1.1, 0.17, 0.62
_HEIGHT, _TALLER = 1.7, 2.6  # of a panel; the taller are for one or two labels, whose panels are wide
_STRIP = 0.5  # the histogram below a panel
_LINE, _BARS = "#0b3c5d", "#c3d9ea"
_FILLED, _HOLLOW = "●", "○"


def plot_precision_recall(logits: Any, labels: Any, rule: DecisionRule, path: str | Path) -> Path:
    """Draw precision over recall of each label, rarest first, with the points at which it is decided.

    A curve has a point at every distinct score, rows with the same score taken together, and the area below it is the
    average precision. The filled dot is what `rule` decides, the hollow one (where thresholds are tuned) what 0.5
    would without calibration. Both are closed under the schema's rules, so that recall and precision are those of the
    metrics; where closing changes a decision, a dot lies off its curve. Of more than MAX_PANELS labels the rarest that
    have positives are shown. The file appears whole or not at all.

    Args:
        logits: (rows, labels), the model's, as `rule` takes them.
        labels: (rows, labels): over 0.5 is positive, -100 or NaN unknown.
        rule: how logits become decisions.
        path: file to write; its suffix says the format, png where it has none.

    Returns:
        The path.

    Raises:
        UsageError: matplotlib is missing, shapes that do not fit, or a file that cannot be written.
        DataError: no rows.
    """
    labels = np.asarray(labels)
    scores = _checked(rule.scores(logits).cpu().numpy(), labels, rule.schema)
    rules = {_FILLED: rule, _HOLLOW: rule.untuned()} if rule.is_tuned else {_FILLED: rule}
    points = {mark: (r.by_label(), r.decide(logits).cpu().numpy()) for mark, r in rules.items()}

    def figure() -> Any:
        where = f"at the label's threshold   {_HOLLOW} at 0.5" if rule.is_tuned else "at 0.5"
        closed = "; closing by the rules of the labels can move a dot off its curve" if rule.schema.rules else ""
        legend = f"{_FILLED} decided {where}   dashed: prevalence, the precision of chance{closed}"
        panels = _Panels(labels, rule.schema, "Precision over recall", legend, 1 + len(points))
        for i, axes, say in panels:
            is_known, positive = panels.known[:, i], panels.positive[:, i]
            recall, precision = precision_recall(scores[is_known, i], positive[is_known])
            decided = {mark: (by_label[rule.schema.names[i]], yes[:, i] & is_known)
                       for mark, (by_label, yes) in points.items()}  # fmt: skip
            lines = [_point_in_words(mark, *point, positive) for mark, point in decided.items()]
            area = f"{average_precision(recall, precision):.3f}" if positive.any() else "-"
            say(f"average precision {area}", *lines)
            if positive.any():
                axes.axhline(positive.sum() / is_known.sum(), color=MUTED, linewidth=1, linestyle="--", zorder=1.5)
                axes.plot(
                    *_thinned(recall, precision), color=_LINE, linewidth=1.5, drawstyle="steps-pre", clip_on=False
                )
                for mark, (_, yes) in reversed(decided.items()):
                    _dot(axes, mark, (yes & positive).sum(), positive.sum(), yes.sum())
        panels.name_axes("recall", "precision")
        return panels.page.figure

    return draw(figure, path)


def plot_calibration(probabilities: Any, labels: Any, schema: LabelSchema, path: str | Path) -> Path:
    """Draw for each label, rarest first, the share of positives over the mean score, in equal bins of [0, 1].

    On the diagonal a score is a probability. The bins are those of `expected_calibration_error`; below each panel
    stand the rows of each bin, and a dot's line is the 95% interval of the share (Wilson, 1927). Of more than
    MAX_PANELS labels the rarest that have positives are shown. The file appears whole or not at all.

    Args:
        probabilities: (rows, labels), in [0, 1].
        labels: (rows, labels): over 0.5 is positive, -100 or NaN unknown.
        schema: the labels.
        path: file to write; its suffix says the format, png where it has none.

    Returns:
        The path.

    Raises:
        UsageError: matplotlib is missing, shapes that do not fit, or a file that cannot be written.
        DataError: no rows.
    """
    labels = np.asarray(labels)
    probabilities = _checked(np.asarray(probabilities, dtype=np.float64), labels, schema)

    def figure() -> Any:
        title = "Calibration: share of positives over the mean score"
        legend = (
            "dashed: where a score is a probability   lines: 95% intervals   bars: rows in each bin, log scale   "
            "expected calibration error: how far score and share are apart, mean over the rows"
        )
        panels = _Panels(labels, schema, title, legend, 1, _STRIP)
        for i, axes, say in panels:
            p, positive = probabilities[panels.known[:, i], i], panels.positive[panels.known[:, i], i]
            say(f"expected calibration error {expected_calibration_error(p, positive):.3f}" if len(p) else "")
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", zorder=1.5)
            mean, share, rows = reliability(p, positive)
            _strip(panels.strip(axes), rows)
            filled = rows > 0
            if positive.any():
                low, high = wilson_interval(share[filled] * rows[filled], rows[filled])
                axes.vlines(mean[filled], low, high, color=_LINE, linewidth=1)
                axes.plot(mean[filled], share[filled], "o", color=_LINE, markersize=4, clip_on=False)
        panels.name_axes("mean score", "share of positives")
        return panels.page.figure

    return draw(figure, path)


# ---- what is drawn, in numbers ----


def precision_recall(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at every distinct score, highest first; the first point has recall 0.

    Args:
        scores: (rows,).
        positive: (rows,), boolean.

    Returns:
        Two arrays (distinct scores + 1,); recall is 0 where there are no positives.

    >>> precision_recall(np.array([2.0, 1.0, 1.0]), np.array([True, False, True]))
    (array([0. , 0.5, 1. ]), array([1.        , 1.        , 0.66666667]))
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], len(ranked) > 0))  # the last row of each score
    true_positives = np.cumsum(positive[order])[ends]
    recall = np.concatenate([[0.0], true_positives / max(int(positive.sum()), 1)])
    precision = true_positives / (ends + 1)
    return recall, np.concatenate([precision[:1], precision])


def average_precision(recall: np.ndarray, precision: np.ndarray) -> float:
    """The area below the curve: precision, summed over the steps of recall."""
    return float((np.diff(recall) * precision[1:]).sum())


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


def _thinned(recall: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points that differ from the one before by what can be seen, so that no file grows with the rows."""
    place = np.round(np.stack([recall, precision]) * 1000)
    moved = (np.diff(place, prepend=-1) != 0).any(0)
    moved[-1] = True
    return recall[moved], precision[moved]


# ---- panels ----


class _Panels:
    """A page with a panel for each label. Iterating gives its index, its axes, and what writes lines above it."""

    def __init__(
        self,
        labels: np.ndarray,
        schema: LabelSchema,
        title: str,
        legend: str,
        n_lines: int,
        below: float = 0.0,
    ) -> None:
        self.schema, self.known = schema, known(labels)
        self.positive = (labels > 0.5) & self.known
        self.support, self.n_known = self.positive.sum(0), self.known.sum(0)
        self.shown = _rarest(self.support)
        columns = min(_COLUMNS, len(self.shown))
        self._text = _LINE_HEIGHT * (n_lines + 2)
        self._height, self._below = _HEIGHT if columns > 2 else _TALLER, below
        self._width = (WIDTH - _LEFT - _RIGHT - (columns - 1) * _BETWEEN) / columns
        self._row = self._text + self._height + below + _AXIS
        self._columns, n_rows = columns, -(-len(self.shown) // columns)
        self.page = Page(_HEAD + n_rows * self._row)
        self._axes: list[Any] = []
        self._bottoms: list[Any] = []
        self.page.text(0.25, 0.36, title, size=14, weight="bold")
        self.page.text(0.25, 0.62, self._summary(len(labels)), size=10)
        self.page.text(0.25, 0.85, legend, size=8, color=MUTED)

    def __iter__(self) -> Any:
        for place, (i, name) in enumerate(zip(self.shown, self._names(), strict=True)):
            row, column = divmod(place, self._columns)
            left = _LEFT + column * (self._width + _BETWEEN)
            top = _HEAD + row * self._row + self._text
            axes = self.page.axes(left, top, self._width, self._height)
            axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
            axes.set_xticklabels(["0", "0.5", "1"])
            axes.set_yticklabels(["0", "0.5", "1"], size=8)
            axes.grid(color=GRID, linewidth=0.6)
            self._axes.append(axes)
            self._bottoms.append(axes)
            if not self.support[i]:
                none = "no positives in this data" if self.n_known[i] else "not known in any row"
                axes.text(0.5, 0.5, none, ha="center", va="center", color=MUTED, transform=axes.transAxes,
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 3})  # fmt: skip
            yield i, axes, self._writer(i, name, left, top)

    def strip(self, axes: Any) -> Any:
        """A panel below a panel, with the same x axis."""
        box = axes.get_position()
        top = self.page.height * (1 - box.y0) + 0.14
        strip = self.page.axes(box.x0 * WIDTH, top, self._width, self._below - 0.14, sharex=axes)
        axes.tick_params(axis="x", labelbottom=False, length=0)
        self._bottoms[-1] = strip
        return strip

    def name_axes(self, x: str, y: str) -> None:
        """Name x below the lowest panel of each column, and y at the left."""
        for place, (axes, bottom) in enumerate(zip(self._axes, self._bottoms, strict=True)):
            if place + self._columns >= len(self._axes):
                bottom.set_xlabel(x, color=MUTED, size=8.5)
            if place % self._columns == 0:
                axes.set_ylabel(y, color=MUTED, size=8.5)

    def _writer(self, i: int, name: str, left: float, top: float) -> Callable[..., None]:
        def say(*lines: str) -> None:
            n, rows = self.support[i], self.n_known[i]
            counted = f"{compact_number(n)} {_plural(n, 'positive')} in {compact_number(rows)} {_plural(rows, 'row')}"
            share = f" ({percent(n / rows)}%)" if n else ""
            y = top - self._text + 0.05
            self.page.text(left, y, name, size=10, weight="bold")
            for line in (f"{counted}{share}", *lines):
                y += _LINE_HEIGHT
                self.page.text(left, y, line, size=8, color=INK if line[:1] in (_FILLED, _HOLLOW) else MUTED)

        return say

    def _summary(self, n_rows: int) -> str:
        n, without = len(self.support), int((self.support == 0).sum())
        few = f"the {len(self.shown)} rarest of {n:,} labels" if len(self.shown) < n else f"{n:,} labels"
        few = "1 label" if n == 1 else f"{few}, rarest first"
        none = f"  ·  {without:,} without positives in this data" if without else ""
        return f"{n_rows:,} {_plural(n_rows, 'row')}  ·  {few}{none}"

    def _names(self) -> list[str]:
        """Names as wide as a panel."""
        width = self._width + 0.25

        def fits(name: str) -> bool:
            return self.page.width_of(name, 10) * 1.15 <= width  # bold is wider

        return names_that_fit(self.schema, self.shown, fits, 44 if self._columns > 2 else 80)


def _rarest(support: np.ndarray) -> Sequence[int]:
    """Indices of the labels that have a panel, rarest first; of many those with positives go before those without."""
    order = np.argsort(support, kind="stable")
    if len(order) > MAX_PANELS:
        order = np.concatenate([order[support[order] > 0], order[support[order] == 0]])[:MAX_PANELS]
        order = order[np.argsort(support[order], kind="stable")]
    return order.tolist()


def _point_in_words(mark: str, threshold: float, decided: np.ndarray, positive: np.ndarray) -> str:
    n, hits = int(decided.sum()), int((decided & positive).sum())
    if not positive.any() or not n:
        return f"{mark} {threshold:.3g}: decided in {f'{n:,}' if n else 'no'} {_plural(n, 'row')}"
    return f"{mark} {threshold:.3g}: recall {hits / positive.sum():.2f}, precision {hits / n:.2f}"


def _dot(axes: Any, mark: str, hits: int, support: int, decided: int) -> None:
    if decided:
        face, size = (INK, 4.5) if mark == _FILLED else ("white", 8.5)  # both are seen where they meet
        look = {"color": INK, "markerfacecolor": face, "markersize": size, "clip_on": False, "zorder": 4}
        axes.plot([hits / support], [hits / decided], "o", **look)


def _strip(axes: Any, rows: np.ndarray) -> None:
    """Rows of each bin as bars on a log scale; a single row can be seen."""
    top = max(int(rows.max()), 1)
    axes.set_yscale("log")
    axes.set_ylim(0.5, top * 1.5)
    axes.bar((np.arange(len(rows)) + 0.5) / len(rows), np.maximum(rows, 0.5) - 0.5, 1 / len(rows), bottom=0.5,
             color=_BARS, edgecolor=INK, linewidth=0.5)  # fmt: skip
    axes.set_yticks(sorted({1, top}), [compact_number(tick) for tick in sorted({1, top})], size=7)
    axes.minorticks_off()


# ---- file ----


def _checked(scores: np.ndarray, labels: np.ndarray, schema: LabelSchema) -> np.ndarray:
    if scores.ndim != 2 or scores.shape != labels.shape or scores.shape[1] != len(schema):
        raise UsageError(
            f"Got scores of shape {scores.shape} and labels of shape {labels.shape}; expected (rows, {len(schema)})."
        )
    if not len(scores):
        raise DataError("There are no rows to draw.")
    return scores


def _plural(n: int, word: str) -> str:
    return word if n == 1 else f"{word}s"
