import os
import struct
import sys
import warnings
from itertools import combinations

import numpy as np
import pytest

from imbalance_trainer.labels.class_weights import compute_class_weights
from imbalance_trainer.labels.distribution import LabelDistribution
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.reports import page, plots
from imbalance_trainer.utils.errors import UsageError

pytest.importorskip("matplotlib")

PRIMARY_AND_TEN = {
    "hateful": 6000,
    "insults and slurs": 3000,
    "negative stereotyping": 2100,
    "dehumanisation": 1400,
    "sexual harassment": 900,
    "praising violence": 520,
    "calls for exclusion": 300,
    "denial of historical crimes": 190,
    "ideologically motivated threats": 110,
    "praising extremist acts": 62,
    "anti-democratic rhetoric": 30,
}


def counts_of(support, names=None, n_rows=15_000, groups=None):
    support = np.array(list(support), dtype=float)
    names = names or [f"label {i}" for i in range(len(support))]
    known, none = np.full(len(names), float(n_rows)), np.zeros(0, dtype=int)
    return LabelDistribution(LabelSchema(names, groups or {}), n_rows, support, known, none, n_rows)


def long_tail(n, name="label {}"):
    return counts_of(np.ceil(3000 / np.arange(1, n + 1)), [name.format(i) for i in range(n)])


def seed_counts():
    return counts_of(PRIMARY_AND_TEN.values(), list(PRIMARY_AND_TEN), groups={"primary": ["hateful"]})


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw, and give the figure as it is when it is saved."""
    kept = []
    monkeypatch.setattr(page, "save_figure", lambda figure, *rest: (figure.canvas.draw(), kept.append(figure)))

    def draw(counts, weights=None, gamma=2.0, **settings):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plots.plot_distribution(
                counts, weights or compute_class_weights(counts), gamma, tmp_path / "a.png", **settings
            )
        return kept[-1]

    return draw


def texts_in(figure):
    """Every text that can be seen, with its box in pixels."""
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [*axes.texts, axes.xaxis.label, axes.yaxis.label]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    seen = [text for text in texts if text.get_text().strip() and text.get_visible()]
    renderer = figure.canvas.get_renderer()
    return [(text.get_text(), text.get_window_extent(renderer)) for text in seen]


def assert_readable(figure):
    boxes = texts_in(figure)
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (a, box_a), (b, box_b) in combinations(boxes, 2):
        over = min(box_a.x1, box_b.x1) - max(box_a.x0, box_b.x0), min(box_a.y1, box_b.y1) - max(box_a.y0, box_b.y0)
        assert min(over) <= 1, f"{a!r} overlaps {b!r} by {over} pixels"


def names_of(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


LONG = "a label whose name is much longer than anybody would like it to be, number {} of them all, to its end"


@pytest.mark.parametrize("n", [1, 2, 11, 61, 735])
def test_writes_a_png_of_sensible_size(tmp_path, n):
    counts = long_tail(n)
    path = plots.plot_distribution(counts, compute_class_weights(counts), 2.0, str(tmp_path / "picture.png"))
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert 1200 <= width <= 2400
    assert 500 <= height <= 2400
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize("suffix", ["svg", "pdf", "PNG"])
def test_the_suffix_says_the_format(tmp_path, suffix):
    counts = seed_counts()
    path = plots.plot_distribution(counts, compute_class_weights(counts), 2.0, tmp_path / f"picture.{suffix}")
    begins = {"svg": b"<?xml", "pdf": b"%PDF", "PNG": b"\x89PNG"}[suffix]
    assert path.read_bytes().startswith(begins)


CASES = {
    "one": (lambda: long_tail(1), {}),
    "two": (lambda: long_tail(2), {}),
    "seed": (seed_counts, {"custom": {"praising violence": 12, "sexual harassment": 57}, "max_weight": 20}),
    "long names": (lambda: long_tail(11, LONG), {"max_weight": 20}),
    "sixty long names": (lambda: long_tail(60, LONG), {"strategy": "inverse_frequency"}),
    "sixty wide names": (lambda: long_tail(60, "WWWWWW MMMMMMMM @@@@@@@@ {} WWWWWWWWWWWWWWWWWW"), {}),
    "curves": (lambda: long_tail(61), {"max_weight": 20}),
    "curves, long names": (lambda: long_tail(735, LONG), {"strategy": "inverse_frequency"}),
    "curves, custom": (lambda: long_tail(735), {"custom": {"label 0": 4, "label 700": 99}}),
    "curves, none": (lambda: counts_of([0] * 100), {}),
    "curves, half none": (lambda: counts_of([0] * 50 + list(range(50))), {"max_weight": 20}),
    "some without positives": (lambda: counts_of([0, 0, 7, 400, 30]), {"max_weight": 20}),
    "no positives": (lambda: counts_of([0, 0, 0]), {}),
    "all equal": (lambda: counts_of([7] * 11), {"gamma": 1.0}),
    "soft": (lambda: counts_of([0.04, 3.5, 1000.25]), {"gamma": 0.5}),
    "large": (lambda: counts_of([1, 2_000_000, 3_456_789_012], n_rows=4_000_000_000), {"gamma": 0.0}),
    "no weights": (seed_counts, {"custom": None, "gamma": 5.0}),
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_is_cut_or_lies_over_another(drawn, case):
    make, settings = CASES[case]
    counts = make()
    weights = compute_class_weights(counts, settings.get("custom", "auto"), settings.get("strategy", "tiered"))
    figure = drawn(counts, weights, settings.get("gamma", 2.0), max_weight=settings.get("max_weight"))
    assert_readable(figure)


@pytest.mark.parametrize("n", [11, 20])
def test_long_names_stay_distinct(drawn, n):
    names = names_of(drawn(long_tail(n, LONG)))
    assert len(set(names)) == n
    assert "..." in names[0]


def test_the_rarest_label_stands_on_top_and_the_primary_is_marked(drawn):
    figure = drawn(seed_counts())
    axes = figure.axes[0]
    assert names_of(figure)[0] == "anti-democratic rhetoric"
    assert names_of(figure)[-1] == "hateful (primary)"
    bottom, top = axes.get_ylim()
    assert top < 0 < bottom
    assert all(panel.get_ylim() == (bottom, top) for panel in figure.axes[:3])


def test_says_counts_ratios_weights_marks_and_the_focal_factor(drawn):
    counts = seed_counts()
    weights = compute_class_weights(counts, {"praising violence": 12, "sexual harassment": 57})
    said = "\n".join(text for text, _ in texts_in(drawn(counts, weights)))
    for text in (
        "15,000 rows  ·  11 labels  ·  commonest : rarest = 200 : 1  (6,000 : 30)",
        "30 (0.20%)",
        "12 custom",
        "20 custom, capped from 57",
        "dashed: cap 20",
        "dashed: from here on a larger weight",
        "p = 0.1, hard: 81% of the loss stays",
        "p = 0.9, easy: 1% of the loss stays",
    ):
        assert text in said
    assert all(f"\n{tier}" in said for tier in ("head", "medium", "tail"))


def test_curves_list_the_ends_by_name(drawn):
    counts = long_tail(735)
    said = [text for text, _ in texts_in(drawn(counts))]
    rarest = {f"label {i}" for i in counts.rarest_first[:10]}  # as in the table
    assert {"The 10 rarest", "The 5 commonest", "label 0", "label 4", *rarest} <= set(said)
    assert "label 100" not in said


def test_a_label_without_positives_has_no_bar(drawn):
    figure = drawn(counts_of([0, 5, 400]))
    said = [text for text, _ in texts_in(figure)]
    assert said.count("0: no positives") == 1
    assert said.count("no positives") == 1
    assert [len(axes.patches) for axes in figure.axes[:3]] == [2, 2, 3]


def test_letters_that_the_font_lacks_give_the_metric_name_without_a_warning(drawn):
    names = ["日本語", "çöp & <b>", "$x_1$ \\alpha", "زبان", "🎉"]
    figure = drawn(counts_of([1, 20, 30, 40, 50], names))
    assert "çöp & <b>" in names_of(figure)
    assert "$x_1$ \\alpha" in names_of(figure)
    assert names_of(figure)[0] in ("日本語", "label_0")
    assert_readable(figure)


def test_tiers_differ_in_grey_too(drawn):
    from matplotlib.colors import to_rgb

    grey = [np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) for colour, _ in plots._TIERS.values()]
    assert min(np.diff(grey)) > 0.1
    bars = drawn(seed_counts()).axes[0].patches
    assert len({bar.get_hatch() for bar in bars}) > 1


def test_a_sample_of_the_rows_is_said(drawn):
    counts = seed_counts()
    counts = LabelDistribution(**{**counts.__dict__, "row_total": 90_000})
    assert any(text.startswith("15,000 rows (of 90,000)") for text, _ in texts_in(drawn(counts)))


def test_leaves_settings_and_pyplot_alone(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    had_pyplot = "matplotlib.pyplot" in sys.modules
    counts = seed_counts()
    plots.plot_distribution(counts, compute_class_weights(counts), 2.0, tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


def test_the_users_style_does_not_change_the_picture(tmp_path):
    import matplotlib

    counts = seed_counts()
    weights = compute_class_weights(counts)
    plain = plots.plot_distribution(counts, weights, 2.0, tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 20, "axes.grid": True}):
        styled = plots.plot_distribution(counts, weights, 2.0, tmp_path / "b.png").read_bytes()
    assert plain == styled


def test_missing_matplotlib_is_one_sentence(monkeypatch, tmp_path):
    for module in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    counts = seed_counts()
    with pytest.raises(UsageError, match=r"needs matplotlib: pip install matplotlib"):
        plots.plot_distribution(counts, compute_class_weights(counts), 2.0, tmp_path / "a.png")


@pytest.mark.parametrize("where", ["writing", "moving"])
def test_a_failure_leaves_the_old_file_and_nothing_else(monkeypatch, tmp_path, where):
    from matplotlib.figure import Figure

    def fail(*args, **kwargs):
        if where == "writing":
            args[1].write_bytes(b"half")
        raise OSError(28, "No space left on device")

    if where == "writing":
        monkeypatch.setattr(Figure, "savefig", fail)
    else:
        monkeypatch.setattr(os, "replace", fail)
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    counts = seed_counts()
    with pytest.raises(UsageError, match=r"a\.png: cannot be written \(No space left on device\)"):
        plots.plot_distribution(counts, compute_class_weights(counts), 2.0, path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("below", ["absent/a.png", "file/a.png"])
def test_a_folder_that_is_none_is_a_usage_error(tmp_path, below):
    (tmp_path / "file").write_text("")
    counts = seed_counts()
    with pytest.raises(UsageError, match="cannot be written"):
        plots.plot_distribution(counts, compute_class_weights(counts), 2.0, tmp_path / below)


@pytest.mark.parametrize("gamma", [-1.0, float("nan"), float("inf")])
def test_gamma_is_checked(tmp_path, gamma):
    counts = seed_counts()
    with pytest.raises(UsageError, match="gamma must be 0 or more"):
        plots.plot_distribution(counts, compute_class_weights(counts), gamma, tmp_path / "a.png")


def test_unknown_formats_and_foreign_weights_are_usage_errors(tmp_path):
    counts = seed_counts()
    with pytest.raises(UsageError, match="no picture format 'docx'; expected one of"):
        plots.plot_distribution(counts, compute_class_weights(counts), 2.0, tmp_path / "a.docx")
    with pytest.raises(UsageError, match="weights are of 2 labels and the counts of 11"):
        plots.plot_distribution(counts, compute_class_weights(counts_of([1, 2])), 2.0, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
