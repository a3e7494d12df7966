import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from imbalance_trainer.data.demo import demo_schema
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.metrics.imbalance_metrics import ImbalanceMetrics
from imbalance_trainer.reports import evaluation_plots as plots
from imbalance_trainer.tuning.calibration import expected_calibration_error
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.figures import assert_readable, figure_of, words_in
from tests.test_plots import LONG

KINDS = ["precision_recall", "calibration"]


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


def plot(kind, logits, labels, rule, path):
    return getattr(plots, f"plot_{kind}")(logits, labels, rule, path)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    return lambda *args: figure_of(monkeypatch, lambda: plot(*args, tmp_path / "a.png"))


def panels(figure):
    """Name of each panel, in order, and its axes (of a calibration picture the large ones)."""
    large = [axes for axes in figure.get_axes() if axes.get_yscale() == "linear"]
    return {next(text.get_text() for text in axes.texts if text.get_weight() == "bold"): axes for axes in large}


def dots(axes):
    """Points drawn alone, by whether they are filled."""
    lines = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    return {line.get_markerfacecolor() != "#ffffff": (line.get_xdata()[0], line.get_ydata()[0]) for line in lines}


# ---- numbers ----


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_that_of_scikit_learn_with_ties(seed, decimals):
    rng = np.random.default_rng(seed)
    positive = rng.random(300) < rng.choice([0.02, 0.5])
    positive[0] = True
    scores = (rng.normal(size=300) + positive).round(decimals)
    recall, precision = plots.precision_recall(scores, positive)
    theirs = {(round(r, 9), round(p, 9)) for p, r, _ in zip(*precision_recall_curve(positive, scores), strict=False)}
    assert {(round(r, 9), round(p, 9)) for r, p in zip(recall, precision, strict=True)} <= theirs
    area = (np.diff(recall, prepend=0) * precision).sum()
    assert area == pytest.approx(average_precision_score(positive, scores))


@pytest.mark.parametrize("seed", range(5))
def test_reliability_is_what_a_loop_finds_and_gives_the_calibration_error(seed):
    rng = np.random.default_rng(seed)
    p = rng.random(200).round(2)
    positive = rng.random(200) < p
    mean, share, rows = plots.reliability(p, positive, 15)
    for b in range(15):
        inside = [i for i in range(200) if min(int(p[i] * 15), 14) == b]
        assert rows[b] == len(inside)
        if inside:
            assert mean[b] == pytest.approx(np.mean([p[i] for i in inside]))
            assert share[b] == pytest.approx(np.mean([positive[i] for i in inside]))
    error = np.nansum(np.abs(mean - share) * rows) / rows.sum()
    assert error == pytest.approx(expected_calibration_error(p, positive))


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("implications", [(), (("label 1", "label 0"), ("label 2", "label 0"))])
def test_dots_are_the_metrics_and_on_the_curve_but_where_a_rule_closes(drawn, implications, calibrated):
    schema = LabelSchema([f"label {i}" for i in range(4)], implications=implications)
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
            theirs = precision_recall_curve(labels[:, i] > 0, rule.scores(logits).numpy()[:, i])
            off_the_curve += np.abs(np.stack(theirs[1::-1], axis=1) - point).sum(1).min() > 1e-6
    assert (off_the_curve > 0) == bool(schema.rules)


def test_a_precision_recall_panel_says_what_it_shows(drawn):
    labels = np.array([[1], [1], [0], [0], [-100]])
    logits = np.array([[2.0], [-1.0], [-0.5], [-3.0], [9.0]])
    figure = drawn("precision_recall", logits, labels, DecisionRule(LabelSchema(["threats"]), [0.25]))
    assert {
        "threats",
        "5 rows  ·  1 label, rarest first",
        "positives: 2 of 4 rows (50.0%)",
        "average precision 0.833",
        "● 0.25: recall 1.00, precision 0.67",
        "○ 0.5: recall 0.50, precision 1.00",
    } <= set(words_in(figure))
    (axes,) = figure.get_axes()
    chance = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert set(chance[0].get_ydata()) == {0.5}
    curve = next(line for line in axes.lines if line.get_drawstyle() == "steps-pre")
    assert curve.get_xdata().tolist() == [0, 0.5, 1]
    assert curve.get_ydata().tolist() == pytest.approx([1, 1, 2 / 3])


def test_without_tuned_thresholds_there_is_one_dot(drawn):
    figure = drawn("precision_recall", *scored(3), DecisionRule(named(3)))
    assert all(set(dots(axes)) <= {True} for axes in figure.get_axes())
    said = "\n".join(words_in(figure))
    assert "● decided at 0.5" in said
    assert "○" not in said


def test_calibration_points_are_the_filled_bins_and_bars_their_rows(drawn):
    labels = np.array([[1], [0], [0], [1], [np.nan]])
    p = np.array([[0.3], [0.3], [0.02], [0.98], [0.5]])
    figure = drawn("calibration", np.log(p / (1 - p)), labels, DecisionRule(LabelSchema(["threats"])))
    axes, strip = figure.get_axes()
    (line,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert line.get_xdata() == pytest.approx([0.02, 0.3, 0.98], abs=1e-6)
    assert line.get_ydata() == pytest.approx([0, 0.5, 1])
    heights = [bar.get_height() + 0.5 for bar in strip.patches]
    assert [heights[0], heights[4], heights[14]] == [1, 2, 1]
    assert sum(height > 0.5 for height in heights) == 3
    assert {"expected calibration error 0.110", "positives: 2 of 4 rows (50.0%)"} <= set(words_in(figure))


# ---- panels ----


def without_positives():
    logits, labels = scored(6)
    labels[:, 3], labels[:, 4] = 0, -100
    return logits, labels, DecisionRule(named(6))


CASES = {
    "two, letters": lambda: (*scored(2), tuned(LabelSchema(["αβ – ümlaut\n$x^2$", "標籤 라벨"]))),
    "demo": lambda: (*scored(11), tuned(demo_schema())),
    "28 long names": lambda: (*scored(28), tuned(named(28, LONG))),
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


def test_the_rarest_are_shown_and_a_note_says_so(drawn):
    logits, labels = scored(28, prevalence=np.linspace(0.4, 0.1, 28))
    labels[:, 5] = 0
    figure = drawn("precision_recall", logits, labels, tuned(named(28)))
    rarest = [f"label {i}" for i in np.argsort(labels.sum(0), kind="stable") if i != 5][:12]
    assert list(panels(figure)) == rarest
    said = "\n".join(words_in(figure))
    assert "the 12 rarest of 28 labels, rarest first  ·  1 without positives in this data" in said


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_without_positives_says_so(drawn, kind):
    shown = panels(drawn(kind, *without_positives()))
    assert list(shown)[:2] == ["label 3", "label 4"]
    for name, said in (("label 3", "no positives in this data"), ("label 4", "not known in any row")):
        assert said in [text.get_text() for text in shown[name].texts]
    assert not any(line.get_marker() == "o" for line in shown["label 3"].lines)
    assert "no positives in this data" not in [text.get_text() for text in shown["label 5"].texts]


@pytest.mark.parametrize("kind", KINDS)
def test_mistakes(kind, tmp_path):
    rule = DecisionRule(named(2))
    empty = np.zeros((0, 2), dtype=np.float32)
    with pytest.raises(DataError, match="no rows to draw"):
        plot(kind, empty, empty, rule, tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"shape \(3, 2\) and labels of shape \(4, 2\)"):
        plot(kind, np.zeros((3, 2)), np.zeros((4, 2)), rule, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
