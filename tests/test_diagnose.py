"""All findings together: of healthy, made and real runs, and of any history at all.

tests/histories holds evaluations with the keys that the diagnosis reads: the demo as it is (2,000 validation rows),
and a head of two layers on features of a small encoder, trained on GoEmotions (Demszky et al., 2020) and EDOS (Kirk et
al., 2023) for 8 epochs with the defaults.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbalance_trainer.monitor.diagnose import Settings, diagnose
from imbalance_trainer.monitor.findings import SEVERITIES, TITLES
from imbalance_trainer.monitor.run_files import read_history

from .made_runs import evaluation, kinds, row, settings

HISTORIES = Path(__file__).parent / "histories"


def alarms(history, settings):
    """Errors and warnings at each evaluation of a run, and the rows that they are about."""
    for i in range(len(history)):
        rows = {row["label"]: row for row in history[i]["labels"]}
        for finding in diagnose(history[: i + 1], settings):
            if finding.severity in ("error", "warning"):
                yield finding, rows.get(finding.label)


def alarms_of_file(name):
    history = read_history(HISTORIES / f"{name}.jsonl")
    assert len(history) > 4
    return list(alarms(history, Settings(focal_gamma=2.0, learning_rate=1e-3, num_epochs=len(history))))


def healthy(n=6):
    """Losses fall, rare labels come in one after the other, precision rises from low values."""
    history = []
    for i in range(1, n + 1):
        share = 1 - 0.6**i
        labels = {}
        for name, support in (("common", 400), ("medium", 90), ("rare", 12)):
            right = round(support * share) if name != "rare" else (0, 0, 3, 6, 7, 8)[i - 1]
            predicted = round(right / min(0.3 + 0.12 * i, 1))
            known = {"average_precision": share, "prevalence": support / 1000, "train_support": support * 9}
            labels[name] = row(support, predicted, right, 3.0, **known)
        metrics = {"loss": 0.1 + 0.3 * 0.6**i, "secondary_f1_macro": share, "secondary_precision": 0.4 + 0.05 * i}
        losses = [(10 * i + j, 0.1 + 0.35 * 0.6 ** (i + j / 5 - 1)) for j in range(5)]
        history.append(evaluation({**metrics, "mean_average_precision": share}, losses, i, 10 * i, **labels))
    return history


def test_healthy_runs_have_no_alarm():
    assert list(alarms(healthy(), settings())) == alarms_of_file("demo") == []
    assert kinds(diagnose(healthy(), settings())) == ["improving"]
    assert kinds(diagnose(read_history(HISTORIES / "demo.jsonl")[:4])) == ["improving"]
    assert diagnose([]) == []


@pytest.mark.parametrize("name", ["goemotions", "edos"])
def test_every_alarm_of_a_real_run_is_true(name):
    found = alarms_of_file(name)
    assert found
    for finding, its in found:
        if finding.kind == "over_predicted":
            assert its["predicted"] >= 1.5 * its["support"]
            assert its["true_positives"] / its["predicted"] < 0.5
        else:
            assert finding.kind in ("not_learned", "held_down_by_parent")
            assert its["true_positives"] == 0
            assert its["support"] >= 5
    if name == "goemotions":  # 4 of 28 labels
        assert {finding.label for finding, _ in found} == {"relief", "nervousness", "grief", "sadness"}


def test_overfitting_goes_before_undertrained():
    history = []
    for i, (loss, train) in enumerate([(0.5, 0.5), (0.4, 0.4), (0.45, 0.3), (0.5, 0.2)]):
        labels = {f"l{k}": (300, 0, 0, 3.0) for k in range(4)}
        f1 = (0.1, 0.4, 0.3, 0.3)[i]
        history.append(evaluation({"loss": loss, "secondary_f1_macro": f1}, [(i, train)], i, 10 * i, **labels))
    first, second = diagnose(history, settings())[:2]
    assert (first.kind, second.kind) == ("overfitting", "not_learned")
    assert "--load_best_model_at_end with --metric_for_best_model secondary_f1_macro" in first.advice
    kept = diagnose(history, settings(load_best_model_at_end=True))[0]
    assert kept.advice.startswith("--num_train_epochs")  # what is set is not advised


numbers = st.one_of(st.none(), st.floats(0, 1))


@given(
    st.lists(
        st.tuples(*(st.integers(0, 60) for _ in range(3)), st.sampled_from([None, 1.0, 10.0, 20.0]), *[numbers] * 4),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 4),
    st.sampled_from([None, 0.3, float("nan")]),
)
def test_any_history_has_known_kinds_most_severe_first(labels, n, loss):
    rows = {}
    for i, (support, wrong, right, weight, average, threshold, best, recall) in enumerate(labels):
        right = min(right, support)
        ranks = {"average_precision": average, "prevalence": support / 100, "threshold": threshold}
        more = {"best_threshold": best, "best_recall": recall, "best_precision": 0.5, "highest_score": 0.5}
        rows[f"l{i}"] = row(support, right + wrong, right, weight, found_before_closing=right, **ranks, **more)
    found = diagnose([evaluation({"loss": loss, "secondary_f1_macro": 0.1}, [(1, 0.3)], 1.0, **rows)] * n, settings())
    ranks = [SEVERITIES.index(f.severity) for f in found]
    assert ranks == sorted(ranks)
    for finding in found:
        assert finding.kind in TITLES
        assert finding.title
        assert finding.evidence
        assert "  " not in finding.evidence + finding.advice
        assert finding.new_weight is None or finding.new_weight <= 20
        assert finding.severity == "good" or finding.advice or finding.kind == "over_predicted"
