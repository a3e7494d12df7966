"""Charts as SVG: values where they belong, words beside them."""

import re
from xml.etree import ElementTree

import pytest

from imbalance_trainer.reports.svg import Dot, Series, line_chart, precision_recall_panel, scatter, ticks


def parsed(svg):
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    ids = {element.get("id"): element.text for element in root if element.get("id")}
    return root, ids


def texts(root):
    return [element.text for element in root.iter("text")]


def inside(root):
    """Whether each coordinate lies on the picture."""
    _, _, width, height = map(float, root.get("viewBox").split())
    for path in root.iter("path"):
        pairs = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.get("d"))
        assert all(-1 <= float(x) <= width + 1 and -1 <= float(y) <= height + 1 for x, y in pairs)


def test_a_chart_says_what_it_shows():
    root, ids = parsed(
        line_chart("a", "Title & more", "Words <b>", [Series("x", [(1, 0.5), (2, 0.7)])], ("step", "score"))
    )
    assert ids["a-title"] == "Title & more"
    assert ids["a-desc"] == "Words <b>"
    assert root.get("aria-labelledby") == "a-title"
    assert {"x", "step", "score"} <= set(texts(root))


def test_a_line_goes_up_where_values_do_and_breaks_where_one_is_missing():
    points = [(0, 0.1), (10, 0.9), (20, None), (30, 0.5), (40, float("nan")), (50, 0.2)]
    root, _ = parsed(line_chart("a", "t", "w", [Series("x", points)], ("x", "y")))
    line = next(p.get("d") for p in root.iter("path") if p.get("class") == "line s0 l0" and p.get("d").count("M") > 1)
    assert line.count("M") == 3
    (x1, y1), (x2, y2) = [tuple(map(float, pair)) for pair in re.findall(r"[ML]([\d.]+) ([\d.]+)", line)[:2]]
    assert x2 > x1
    assert y2 < y1  # up on the page
    assert len(list(root.iter("circle"))) == 4 + 1  # one in the legend
    inside(root)


@pytest.mark.parametrize(
    "points", [[], [(5, 0.3)], [(5, None)], [(1, 2.0), (2, 2.0)], [(1, -3.0), (2, 5e9)], [(0, 0.0)]]
)
def test_lines_of_any_kind_are_drawn(points):
    root, _ = parsed(line_chart("a", "t", "w", [Series("x", points)], ("x", "y"), ring=(1, 1.0, "best")))
    inside(root)
    assert "best" in texts(root)
    known = sum(y is not None for _, y in points)
    assert len(list(root.iter("circle"))) == known + 2  # one in the legend, and the ring


def test_lines_differ_in_more_than_colour():
    series = [Series(name, [(1, i), (2, i + 1)]) for i, name in enumerate("abcd")]
    root, _ = parsed(line_chart("a", "t", "w", series, ("x", "y")))
    assert {f"line s{i} l{i}" for i in range(4)} <= {p.get("class") for p in root.iter("path")}


def test_dots_at_recall_0_are_diamonds_and_names_do_not_cover_each_other():
    dots = [Dot(10, 0.0, "silent one", hollow=True), Dot(10, 0.0, "silent two", hollow=True), Dot(1000, 0.5, "found")]
    root, _ = parsed(scatter("a", "t", "w", dots, ("positives", "recall")))
    assert len(list(root.iter("circle"))) == 1
    assert len([p for p in root.iter("path") if p.get("d").endswith("Z")]) == 2
    assert "found" in texts(root)
    places = {(t.get("x"), t.get("y")) for t in root.iter("text") if t.text and t.text.startswith("silent")}
    assert len(places) == len([t for t in texts(root) if t.startswith("silent")])
    inside(root)


def test_many_dots_and_hostile_names_are_drawn():
    dots = [Dot(1 + i**2, i / 800, f"</text><script>{i}") for i in range(735)]
    root, _ = parsed(scatter("a", "t", "w", dots, ("positives", "recall")))
    assert len(list(root.iter("circle"))) == 735
    assert not list(root.iter("script"))
    assert scatter("b", "t", "w", [], ("x", "y"))
    assert scatter("b", "t", "w", [Dot(1, 1.0)], ("x", "y"))


def test_a_panel_has_its_curve_and_its_dots_at_their_places():
    dots = [Dot(0.0, 0.0), Dot(1.0, 1.0, hollow=True)]
    root, _ = parsed(precision_recall_panel("a", "t", "w", [0, 0.5, 1], [1, 1, 0.25], dots, 0.1))
    curve = next(p.get("d") for p in root.iter("path") if p.get("class") == "line s0")
    assert curve == "M48.0 8.0V8.0H134.0V144.5H220.0"
    dot = next(root.iter("circle"))
    assert (dot.get("cx"), dot.get("cy")) == ("48.0", "190.0")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.001, 0.0012), (-5, 5), (0, 1e7), (3, 3.5)])
def test_ticks_are_few_and_inside(low, high):
    found = ticks(low, high, 5)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
