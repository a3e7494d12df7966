"""Figures as they are when they are saved, and what can be read on them."""

import warnings
from itertools import combinations

from matplotlib.figure import Figure


def figure_of(monkeypatch, draw):
    """The figure that `draw()` saves, which gives no warning."""
    kept = []

    def keep(figure, path, **settings):
        figure.draw_without_rendering()
        kept.append(figure)
        path.write_bytes(b"")

    with monkeypatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("error")
        patched.setattr(Figure, "savefig", keep)
        draw()
    return kept[-1]


def texts_in(figure):
    """Every text that can be seen, with its box in pixels."""
    texts = list(figure.texts)
    for axes in figure.get_axes():
        texts += [*axes.texts, axes.xaxis.label, axes.yaxis.label]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if tick.label1.get_visible()]
            texts += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high and axes.axison]
    seen = [text for text in texts if text.get_text().strip() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent()) for text in seen]


def words_in(figure):
    return [text for text, _ in texts_in(figure)]


def assert_readable(figure):
    """No text is cut off by the edge or lies over another."""
    boxes = texts_in(figure)
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1, text
    for (a, box_a), (b, box_b) in combinations(boxes, 2):
        over = min(box_a.x1, box_b.x1) - max(box_a.x0, box_b.x0), min(box_a.y1, box_b.y1) - max(box_a.y0, box_b.y0)
        assert min(over) <= 2, f"{a!r} overlaps {b!r} by {over} pixels"
