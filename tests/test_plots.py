import struct
import subprocess
import sys

import numpy as np
import pytest

from imbalance_trainer.labels.class_weights import compute_class_weights
from imbalance_trainer.labels.distribution import LabelDistribution
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.reports.plots import plot_distribution
from imbalance_trainer.utils.errors import UsageError
from tests.figures import assert_readable, figure_of, words_in

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
LONG = "a label whose name is much longer than anybody would like it to be, number {} of them all, to its end"
WIDE = "WWWWWW MMMMMMMM @@@@@@@@ {} WWWWWWWWWWWWWWWWWW"


def counts_of(support, names=None, n_rows=15_000, groups=None):
    support = np.array(list(support), dtype=float)
    names = names or [f"label {i}" for i in range(len(support))]
    known, none = np.full(len(names), float(n_rows)), np.zeros(0, dtype=int)
    return LabelDistribution(LabelSchema(names, groups or {}), n_rows, support, known, none, n_rows)


def long_tail(n, name="label {}"):
    return counts_of(np.ceil(3000 / np.arange(1, n + 1)), [name.format(i) for i in range(n)])


def seed_counts():
    return counts_of(PRIMARY_AND_TEN.values(), list(PRIMARY_AND_TEN), groups={"primary": ["hateful"]})


def plot(counts, path, weights=None, **settings):
    return plot_distribution(counts, weights or compute_class_weights(counts), path, **settings)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    return lambda *args, **settings: figure_of(
        monkeypatch, lambda: plot(args[0], tmp_path / "a.png", *args[1:], **settings)
    )


@pytest.mark.parametrize("n", [1, 11, 735])
def test_writes_a_png_of_sensible_size(tmp_path, n):
    content = plot(long_tail(n), str(tmp_path / "picture.png")).read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert 1200 <= width <= 2400
    assert 300 <= height <= 2400
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize(("suffix", "begins"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")])
def test_the_suffix_says_the_format(tmp_path, suffix, begins):
    assert plot(seed_counts(), tmp_path / f"picture.{suffix}").read_bytes().startswith(begins)


CASES = {
    "one": (lambda: long_tail(1), {}),
    "seed": (seed_counts, {"custom": {"praising violence": 12, "sexual harassment": 57}}),
    "long names": (lambda: long_tail(11, LONG), {}),
    "sixty long names": (lambda: long_tail(60, LONG), {"strategy": "inverse_frequency"}),
    "sixty wide names": (lambda: long_tail(60, WIDE), {}),
    "many, long names": (lambda: long_tail(735, LONG), {"strategy": "inverse_frequency"}),
    "many, custom": (lambda: long_tail(735), {"custom": {"label 0": 4, "label 700": 99}}),
    "many, none": (lambda: counts_of([0] * 100), {}),
    "many, half none": (lambda: counts_of([0] * 50 + list(range(50))), {}),
    "some without positives": (lambda: counts_of([0, 0, 7, 400, 30]), {}),
    "no positives": (lambda: counts_of([0, 0, 0]), {}),
    "all equal": (lambda: counts_of([7] * 11), {}),
    "soft": (lambda: counts_of([0.04, 3.5, 1000.25]), {}),
    "large": (lambda: counts_of([1, 2_000_000, 3_456_789_012], n_rows=4_000_000_000), {}),
    "no weights": (seed_counts, {"custom": None}),
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_is_cut_or_lies_over_another(drawn, case):
    make, settings = CASES[case]
    counts = make()
    weights = compute_class_weights(counts, settings.get("custom", "auto"), settings.get("strategy", "tiered"))
    assert_readable(drawn(counts, weights))


def names_of(figure):
    return [label.get_text() for axes in figure.get_axes()[:1] for label in axes.get_yticklabels()]


def test_long_names_stay_distinct_and_the_rarest_stands_on_top(drawn):
    assert len(set(names_of(drawn(long_tail(20, LONG))))) == 20
    figure = drawn(seed_counts())
    assert names_of(figure)[0] == "anti-democratic rhetoric"
    assert names_of(figure)[-1] == "hateful (primary)"
    bottom, top = figure.get_axes()[0].get_ylim()
    assert top < 0 < bottom


def test_says_counts_ratios_weights_and_marks(drawn):
    counts = seed_counts()
    counts = LabelDistribution(**{**counts.__dict__, "row_total": 90_000})
    said = "\n".join(
        words_in(drawn(counts, compute_class_weights(counts, {"praising violence": 12, "insults and slurs": 57})))
    )
    for text in (
        "15,000 rows (of 90,000)  ·  11 labels  ·  commonest : rarest = 200 : 1  (6,000 : 30)",
        "30 (0.20%, ratio 100)",
        "12 custom",
        "20 custom, capped from 57",
    ):
        assert text in said


def test_of_many_labels_the_ends_are_drawn(drawn):
    counts = long_tail(735)
    figure = drawn(counts)
    assert names_of(figure) == [f"label {i}" for i in (*counts.rarest_first[:30], *range(9, -1, -1))]
    assert "drawn are the 30 rarest and the 10 commonest" in "\n".join(words_in(figure))


def test_a_label_without_positives_has_no_bar(drawn):
    figure = drawn(counts_of([0, 5, 400]))
    assert words_in(figure).count("0: no positives") == 1
    assert [sum(bar.get_width() > 0 for bar in axes.patches) for axes in figure.get_axes()[:2]] == [2, 3]


def test_letters_that_the_font_lacks_give_the_metric_name_without_a_warning(drawn):
    names = names_of(drawn(counts_of([1, 20, 30, 40, 50], ["日本語", "çöp & <b>", "$x_1$ \\alpha", "زبان", "🎉"])))
    assert {"çöp & <b>", "$x_1$ \\alpha"} <= set(names)
    assert names[0] in ("日本語", "label_0")


def test_tiers_differ_in_grey_and_hatching(drawn):
    bars = drawn(seed_counts()).get_axes()[0].patches
    grey = sorted({round(float(np.dot(bar.get_facecolor()[:3], (0.299, 0.587, 0.114))), 3) for bar in bars})
    assert len(grey) == 3
    assert min(np.diff(grey)) > 0.1
    assert len({bar.get_hatch() for bar in bars}) > 1


def test_the_users_style_stays_and_does_not_change_the_picture(tmp_path):
    import matplotlib

    counts = seed_counts()
    plain = plot(counts, tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 20, "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        assert plot(counts, tmp_path / "b.png").read_bytes() == plain
        assert dict(matplotlib.rcParams) == before


def test_nothing_is_loaded_before_a_picture_is_drawn():
    rooms = "plots, analysis_page, report"
    code = f"import sys; from imbalance_trainer.reports import {rooms}; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_mistakes_are_usage_errors(tmp_path):
    counts = seed_counts()
    with pytest.raises(UsageError, match="no picture format 'docx'; expected one of"):
        plot(counts, tmp_path / "a.docx")
    with pytest.raises(UsageError, match="weights are of 2 labels and the counts of 11"):
        plot(counts, tmp_path / "a.png", compute_class_weights(counts_of([1, 2])))
    with pytest.raises(UsageError, match="cannot be written"):
        plot(counts, tmp_path)
    assert not list(tmp_path.iterdir())
