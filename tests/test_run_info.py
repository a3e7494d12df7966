"""run.json, precision_recall.json and metrics.json: their content, and that they are JSON whatever the numbers are."""

import json
import math
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from imbalance_trainer import ImbalanceMetrics, LabelDistribution, LabelSchema
from imbalance_trainer.labels.class_weights import compute_class_weights
from imbalance_trainer.monitor.diagnose import Settings
from imbalance_trainer.monitor.run_files import Results, make_curves, make_run_info
from imbalance_trainer.utils.files import write_json

SCHEMA = LabelSchema(["hateful", "insults", "threats"], {"primary": ["hateful"]}, [("insults", "hateful")])
COUNTS = LabelDistribution.from_labels(np.array([[1, 1, 0]] * 60 + [[1, 0, 1]] * 2 + [[0, 0, 0]] * 60), SCHEMA)
ARGS = SimpleNamespace(learning_rate=2e-5, num_train_epochs=3, max_steps=-1, seed=42)


def test_a_run_says_its_weights_labels_and_settings():
    weights = compute_class_weights(COUNTS, {"threats": 57.0})
    info = make_run_info(SCHEMA, ARGS, {"focal_gamma": 2.0, "constraint": "gold"}, weights, COUNTS)
    threats = info["labels"][2]
    assert {k: threats[k] for k in ("label", "weight", "custom", "clamped_from", "train_support", "ratio")} == {
        "label": "threats", "weight": 20.0, "custom": True, "clamped_from": 57.0, "train_support": 2, "ratio": 30.0,
    }  # fmt: skip
    assert info["groups"]["primary"] == ["hateful"]
    assert info["implications"] == [["insults", "hateful"]]
    assert info["n_train_rows"] == 122
    assert info["settings"]["num_epochs"] == 3
    assert info["settings"]["focal_gamma"] == 2.0
    assert info["versions"]["torch"] == torch.__version__.split("+")[0] or info["versions"]["torch"]
    assert json.loads(json.dumps(info, allow_nan=False)) == info
    read = Settings.from_run({**info, "settings": {**info["settings"], "takes_class_weights": True}})
    assert read.class_weights.as_dict() == weights.as_dict()
    assert (read.learning_rate, read.num_epochs, read.focal_gamma) == (2e-5, 3, 2.0)
    assert read.class_weights.custom == ("threats",)
    assert read.parents == {"insults": ("hateful",)}
    assert read.takes_class_weights is True


def test_without_weights_counts_or_epochs_there_is_null():
    by_steps = SimpleNamespace(learning_rate=2e-5, num_train_epochs=3, max_steps=10)
    info = make_run_info(SCHEMA, by_steps, {})
    assert info["labels"][0]["weight"] is None
    assert info["labels"][0]["train_support"] is None
    assert info["settings"]["num_epochs"] is None
    assert Settings.from_run(info).class_weights is Settings.from_run({}).class_weights is None
    assert Settings.from_run({}).takes_class_weights is None


def test_curves_are_rarest_first_and_json(tmp_path):
    metrics = ImbalanceMetrics(SCHEMA)
    logits = np.random.default_rng(0).normal(size=(50, 3))
    metrics.update(logits, np.array([[1, 1, 0]] * 30 + [[1, 0, 0]] * 20))
    metrics.compute()
    write_json(tmp_path / "deep" / "curves.json", make_curves(metrics.table, "eval", 10))
    curves = json.loads((tmp_path / "deep" / "curves.json").read_text())
    assert [curve["label"] for curve in curves["curves"]] == ["insults", "hateful"]  # no positive, no curve
    assert curves["curves"][0]["recall"][-1] == 1.0
    assert (curves["split"], curves["step"], curves["version"]) == ("eval", 10, 1)


def test_results_have_the_documented_keys_and_no_nan(tmp_path):
    rows = [{"label": "hateful", "recall": 0.5}, {"label": "insults", "average_precision": math.nan}]
    results = Results("test", 5, {"f1_macro": 0.312, "secondary_f1_macro": math.nan, "loss": math.inf}, rows, 20)
    path = tmp_path / "metrics.json"
    write_json(path, results.as_dict({"name": "demo"}))
    written = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert list(written) == ["version", "split", "step", "metrics", "metrics_at_0.5", "labels", "thresholds",
                             "thresholds_are_tuned", "thresholds_tuned_on_this_data", "metrics_cross_fitted",
                             "data"]  # fmt: skip
    assert (written["version"], written["split"], written["step"]) == (1, "test", 5)
    assert written["metrics"] == {"f1_macro": 0.312, "secondary_f1_macro": None, "loss": None}
    assert written["labels"][0] == rows[0]
    assert written["labels"][1]["average_precision"] is None
    assert written["metrics_at_0.5"] is written["thresholds"] is None
    assert written["data"] == {"name": "demo", "rows": 20}


def test_a_file_is_written_as_a_whole(tmp_path):
    path = tmp_path / "a.json"
    for content, kept in (({"a": object()}, None), ({"a": [math.nan, 1]}, {"a": [None, 1]}), ({"a": object()}, ...)):
        with nullcontext() if kept == {"a": [None, 1]} else pytest.raises(TypeError, match="JSON"):
            write_json(path, content)
        assert path.exists() == (kept is not None)
    assert json.loads(path.read_text()) == {"a": [None, 1]}
    assert list(tmp_path.iterdir()) == [path]
