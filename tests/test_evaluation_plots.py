import sys
import warnings

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from imbalance_trainer.data.demo import demo_schema
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.metrics.imbalance_metrics import ImbalanceMetrics
from imbalance_trainer.reports import evaluation_plots as plots
from imbalance_trainer.reports import page
from imbalance_trainer.tuning.calibration import expected_calibration_error
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.test_plots import assert_readable, texts_in

pytest.importorskip("matplotlib")

LONG = "a very long label name that says everything there is to be said of it, part {} of many, without an end"
WIDE = "WWWWWW MMMMMMMM @@@@@@@@ {} WWWWWWWWWWWWWWWWWW"


def scored(n_labels, n_rows=600, seed=0, prevalence=None):
    """Logits that rank positives higher, rounded so that many are equal, and labels."""
    rng = np.random.default_rng(seed)
    prevalence = np.geomspace(0.4, 0.005, n_labels) if prevalence is None else np.asarray(prevalence)
    labels = (rng.random((n_rows, n_labels)) < prevalence).astype(np.int8)
    logits = rng.normal(size=labels.shape) + 2 * labels + np.log(prevalence + 1e-3)
    return logits.round(1).astype(np.float32), labels


def named(n, name="label {}"):
    return LabelSchema([name.format(i) for i in range(n)])


def tuned(schema, seed=0, **settings):
    return DecisionRule(schema, np.random.default_rng(seed).uniform(0.05, 0.6, len(schema)), **settings)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw one of the two pictures, and give the figure as it is when it is saved."""
    kept = []
    monkeypatch.setattr(page, "save_figure", lambda figure, *rest: (figure.canvas.draw(), kept.append(figure)))

    def draw(kind, logits, labels, rule):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if kind == "precision_recall":
                plots.plot_precision_recall(logits, labels, rule, tmp_path / "a.png")
            else:
                probabilities = rule.scores(logits).sigmoid()
                plots.plot_calibration(probabilities, labels, rule.schema, tmp_path / "a.png")
        return kept[-1]

    return draw


def panels(figure):
    """Name of each panel, in order, and its axes (of a calibration picture the large ones)."""
    names = [text.get_text() for text in figure.texts if text.get_weight() == "bold"][1:]
    return dict(zip(names, [axes for axes in figure.axes if axes.get_yscale() == "linear"], strict=True))


def dots(axes):
    """Points drawn alone, by whether they are filled."""
    lines = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    return {line.get_markerfacecolor() != "white": (line.get_xdata()[0], line.get_ydata()[0]) for line in lines}


# ---- numbers ----


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_that_of_scikit_learn_with_ties(seed, decimals):
    rng = np.random.default_rng(seed)
    positive = rng.random(300) < rng.choice([0.02, 0.5])
    positive[0] = True
    scores = (rng.normal(size=300) + positive).round(decimals)
    recall, precision = plots.precision_recall(scores, positive)
    theirs = precision_recall_curve(positive, scores)
    np.testing.assert_allclose(recall, theirs[1][::-1])
    np.testing.assert_allclose(precision[1:], theirs[0][::-1][1:])
    assert plots.average_precision(recall, precision) == pytest.approx(average_precision_score(positive, scores))


def test_the_curve_of_nothing_of_no_positives_and_of_infinite_scores():
    none = np.zeros(0, dtype=bool)
    assert [part.tolist() for part in plots.precision_recall(np.zeros(0), none)] == [[0.0], []]
    recall, precision = plots.precision_recall(np.array([1.0, 2.0]), np.array([False, False]))
    assert recall.tolist() == [0, 0, 0]
    assert precision.tolist() == [0, 0, 0]
    recall, precision = plots.precision_recall(np.array([np.inf, np.inf, 0.0]), np.array([True, False, False]))
    assert recall.tolist() == [0, 1, 1]
    assert precision.tolist() == [0.5, 0.5, 1 / 3]


def test_what_is_drawn_of_many_rows_is_short_and_lies_on_the_curve():
    rng = np.random.default_rng(0)
    positive = rng.random(100_000) < 0.3
    recall, precision = plots.precision_recall(rng.normal(size=100_000) + positive, positive)
    x, y = plots._thinned(recall, precision)
    assert len(x) < 5000
    assert (x[0], x[-1], y[-1]) == (recall[0], recall[-1], precision[-1])
    nearest = np.searchsorted(x, recall).clip(max=len(x) - 1)
    late = recall > 0.02  # before, a vertical stroke has many points at one recall
    assert np.abs(y[nearest] - precision)[late].max() < 0.003


def test_bins_are_those_of_the_calibration_error():
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.random(200), [0.0, 1.0]])
    positive = rng.random(202) < p
    mean, share, rows = plots.reliability(p, positive)
    for i in range(15):
        inside = (p >= i / 15) & ((p < (i + 1) / 15) | (i == 14))
        assert rows[i] == inside.sum()
        assert mean[i] == pytest.approx(p[inside].mean())
        assert share[i] == pytest.approx(positive[inside].mean())
    assert (rows * np.abs(mean - share)).sum() / 202 == pytest.approx(expected_calibration_error(p, positive))


# ---- precision over recall ----


def implied():
    names = ["parent", "child a", "child b", "other"]
    return LabelSchema(names, {}, [("child a", "parent"), ("child b", "parent")])


@pytest.mark.parametrize("schema", [named(4), implied()], ids=["no rules", "implications"])
@pytest.mark.parametrize("calibrated", [False, True])
def test_dots_are_recall_and_precision_of_the_metrics(drawn, schema, calibrated):
    logits, labels = scored(4, prevalence=[0.5, 0.3, 0.2, 0.1])
    calibration = np.array([[0.5] * 4, [-0.7] * 4]) if calibrated else None
    rule = tuned(schema, hierarchy_policy="add_parent", calibration=calibration)
    shown = panels(drawn("precision_recall", logits, labels, rule))
    off_the_curve = 0
    for is_filled, decides in ((True, rule), (False, rule.untuned())):
        metrics = ImbalanceMetrics(schema)
        metrics.rule = decides
        metrics.update(logits, labels)
        metrics.compute()
        for i, name in enumerate(schema.names):
            point = dots(shown[name])[is_filled]
            assert point == pytest.approx((metrics.table.recall[i], metrics.table.precision[i]))
            curve = np.stack(plots.precision_recall(rule.scores(logits).numpy()[:, i], labels[:, i] > 0), axis=1)
            off_the_curve += np.abs(curve - point).sum(1).min() > 1e-6
    assert (off_the_curve > 0) == bool(schema.rules)


def test_without_tuned_thresholds_there_is_one_dot(drawn):
    logits, labels = scored(3)
    figure = drawn("precision_recall", logits, labels, DecisionRule(named(3)))
    assert all(set(dots(axes)) <= {True} for axes in figure.axes)
    said = "\n".join(text for text, _ in texts_in(figure))
    assert "● decided at 0.5" in said
    assert "○" not in said


def test_says_average_precision_support_prevalence_and_both_points(drawn):
    labels = np.array([[1], [1], [0], [0], [-100]])
    logits = np.array([[2.0], [-1.0], [-0.5], [-3.0], [9.0]])
    rule = DecisionRule(LabelSchema(["threats"]), [0.25])
    figure = drawn("precision_recall", logits, labels, rule)
    said = [text for text, _ in texts_in(figure)]
    for text in (
        "threats",
        "5 rows  ·  1 label",
        "2 positives in 4 rows (50.0%)",
        "average precision 0.833",
        "● 0.25: recall 1.00, precision 0.67",
        "○ 0.5: recall 0.50, precision 1.00",
    ):
        assert text in said
    (axes,) = figure.axes
    chance = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert set(chance[0].get_ydata()) == {0.5}
    curve = next(line for line in axes.lines if line.get_drawstyle() == "steps-pre")
    assert curve.get_xdata().tolist() == [0, 0.5, 0.5, 1, 1]
    assert curve.get_ydata().tolist() == pytest.approx([1, 1, 0.5, 2 / 3, 0.5])


# ---- calibration ----


def test_points_are_the_filled_bins_and_bars_their_rows(drawn):
    labels = np.array([[1], [0], [0], [1], [np.nan]])
    logits = np.log([[0.3], [0.3], [0.02], [0.98], [0.5]]) - np.log1p([[-0.3], [-0.3], [-0.02], [-0.98], [-0.5]])
    figure = drawn("calibration", logits, labels, DecisionRule(LabelSchema(["threats"])))
    axes, strip = figure.axes
    (line,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert line.get_xdata() == pytest.approx([0.02, 0.3, 0.98], abs=1e-6)
    assert line.get_ydata() == pytest.approx([0, 0.5, 1])
    heights = [bar.get_height() + 0.5 for bar in strip.patches]
    assert [heights[0], heights[4], heights[14]] == [1, 2, 1]
    assert sum(height > 0.5 for height in heights) == 3
    said = [text for text, _ in texts_in(figure)]
    assert "expected calibration error 0.110" in said
    assert "2 positives in 4 rows (50.0%)" in said


# ---- panels ----


KINDS = ["precision_recall", "calibration"]


def without_positives():
    logits, labels = scored(6)
    labels[:, 3], labels[:, 4] = 0, -100
    return logits, labels, DecisionRule(named(6))


CASES = {
    "one": lambda: (*scored(1), tuned(named(1))),
    "two, letters": lambda: (*scored(2), tuned(LabelSchema(["αβ – ümlaut\n$x^2$", "標籤 라벨"]))),
    "demo": lambda: (*scored(11), tuned(demo_schema())),
    "28 long names": lambda: (*scored(28), tuned(named(28, LONG))),
    "12 wide names": lambda: (*scored(12), tuned(named(12, WIDE))),
    "without positives": without_positives,
    "few rows": lambda: (*scored(5, 12), tuned(named(5))),
    "large counts": lambda: (*scored(4, 300_000), tuned(named(4))),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_cut_or_lies_over_another_and_names_differ(drawn, kind, case):
    logits, labels, rule = CASES[case]()
    figure = drawn(kind, logits, labels, rule)
    assert_readable(figure)
    names = panels(figure)  # by name: as many as labels only if they differ
    assert len(names) == min(len(rule.schema), plots.MAX_PANELS)
    assert ("hateful (primary)" in names) == bool(rule.schema.primary)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rarest_are_shown_and_a_note_says_so(drawn, kind):
    logits, labels = scored(28, prevalence=np.linspace(0.4, 0.1, 28))
    labels[:, 5] = 0
    figure = drawn(kind, logits, labels, tuned(named(28)))
    rarest = [f"label {i}" for i in np.argsort(labels.sum(0), kind="stable") if i != 5][:12]
    assert list(panels(figure)) == rarest
    said = "\n".join(text for text, _ in texts_in(figure))
    assert "the 12 rarest of 28 labels, rarest first  ·  1 without positives in this data" in said


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_without_positives_says_so(drawn, kind):
    shown = panels(drawn(kind, *without_positives()))
    assert list(shown)[:2] == ["label 3", "label 4"]
    assert [shown[name].texts[0].get_text() for name in list(shown)[:2]] == [
        "no positives in this data",
        "not known in any row",
    ]
    assert not any(line.get_marker() == "o" for line in shown["label 3"].lines)
    assert not shown["label 5"].texts


# ---- files and mistakes ----


def draw_to(path, kind="precision_recall", rule=None, data=None):
    scores, labels = data or scored(2, 50)
    rule = rule or DecisionRule(named(2))
    if kind == "precision_recall":
        return plots.plot_precision_recall(scores, labels, rule, path)
    probabilities = 1 / (1 + np.exp(-scores))
    return plots.plot_calibration(probabilities, labels, rule.schema, path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_does_not_depend_on_the_users_style_which_stays(kind, tmp_path):
    import matplotlib

    plain = draw_to(str(tmp_path / "a.png"), kind).read_bytes()
    with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 20, "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        styled = draw_to(tmp_path / "b.png", kind).read_bytes()
        assert dict(matplotlib.rcParams) == before
    assert plain[:4] == b"\x89PNG"
    assert plain == styled
    assert draw_to(tmp_path / "c.svg", kind).read_bytes().startswith(b"<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.svg"]


def test_missing_matplotlib_is_one_sentence(monkeypatch, tmp_path):
    for module in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="needs matplotlib: pip install matplotlib"):
        draw_to(tmp_path / "a.png")


@pytest.mark.parametrize("kind", KINDS)
def test_mistakes(kind, tmp_path):
    with pytest.raises(UsageError, match="no picture format 'docx'; expected one of"):
        draw_to(tmp_path / "a.docx", kind)
    with pytest.raises(UsageError, match="cannot be written"):
        draw_to(tmp_path / "absent" / "a.png", kind)
    empty = np.zeros((0, 2), dtype=np.float32)
    rule = DecisionRule(named(2))
    for scores, labels, error, said in (
        (empty, empty, DataError, "no rows to draw"),
        (np.zeros((3, 2)), np.zeros((4, 2)), UsageError, r"shape \(3, 2\) and labels of shape \(4, 2\)"),
        (np.zeros((3, 4)), np.zeros((3, 4)), UsageError, r"expected \(rows, 2\)"),
    ):
        with pytest.raises(error, match=said):
            draw_to(tmp_path / "a.png", kind, rule, (scores, labels))
    assert not list(tmp_path.iterdir())
