"""A comparison as a whole, on made-up features: it goes on where it was killed, and says what its runs say."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, List, Value
from sklearn.metrics import roc_auc_score
from transformers import Trainer

from imbalance_trainer import LabelSchema
from imbalance_trainer.comparison import training
from imbalance_trainer.comparison.measures import Difference
from imbalance_trainer.comparison.runs import Record, Run, read_methods
from imbalance_trainer.comparison.summary import Summary
from imbalance_trainer.comparison.training import FeatureHead, Setting, compare, train
from imbalance_trainer.data.demo import demo_data, demo_model
from imbalance_trainer.utils.console import as_text
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import NonFiniteLossError, UsageError

NAMES = ("common", "rare", "rarest")


def made_split(seed, n_rows, is_multi_label):
    rng = np.random.default_rng(seed)
    if is_multi_label:
        labels = (rng.random((n_rows, 3)) < [0.4, 0.1, 0.05]).astype(np.int8)
        feature, hot = List(Value("int8")), labels
    else:
        labels = rng.choice(3, n_rows, p=[0.8, 0.15, 0.05])
        feature, hot = ClassLabel(names=list(NAMES)), np.eye(3)[labels]
    features = (hot @ np.random.default_rng(9).normal(size=(3, 6)) + rng.normal(size=(n_rows, 6))).astype(np.float32)
    split = Dataset.from_dict({"features": features, "labels": labels}).cast_column("labels", feature)
    return split.with_format("torch")


def made_setting(steps=12, problem_type=MULTI_LABEL):
    is_multi_label = problem_type == MULTI_LABEL
    sizes = {"train": 200, "validation": 120, "test": 120}
    splits = {name: made_split(i, n, is_multi_label) for i, (name, n) in enumerate(sizes.items())}
    schema = LabelSchema(NAMES, implications=(("rarest", "common"),) if is_multi_label else ())
    return Setting(splits, schema, problem_type, lambda: FeatureHead(6, 3, problem_type, 8), steps)


def test_logits_stand_in_the_order_of_the_rows_however_training_orders_them():
    data = demo_data()
    model, tokenizer = demo_model(data.schema)
    splits = {
        name: rows.select(range(100)).map(lambda row: tokenizer(row["text"]), remove_columns=["text"])
        for name, rows in data.splits.items()
    }
    by_length = {"train_sampling_strategy": "group_by_length"}
    setting = Setting(splits, data.schema, MULTI_LABEL, lambda: model, 2, 8, 16, tokenizer, by_length)
    _, test, _, _ = train(setting, read_methods(["default"], None, MULTI_LABEL)[0], 1e-2, 1)
    inputs = tokenizer.pad(splits["test"].remove_columns("labels")[:], return_tensors="pt")
    with torch.no_grad():
        expected = model.eval()(**inputs).logits
    torch.testing.assert_close(torch.from_numpy(test.logits), expected, atol=1e-4, rtol=0)


def run(folder, setting, say=lambda words: None, rates=(1e-2,), seeds=(1, 2)):
    methods = read_methods(["default"], {"plain": {"loss": "bce", "class_weights": None}}, setting.problem_type)
    record = Record(folder, {"steps": setting.steps})
    return compare(setting, methods, rates, seeds, record, say)


def without_seconds(summary):
    return json.dumps(summary.as_dict())


def test_each_method_may_have_learning_rates_of_its_own(tmp_path):
    said, rates = [], {"stock": (1e-2, 1e-3), "default": (2e-2,), "plain": (3e-2,)}
    summary = run(tmp_path, made_setting(), said.append, rates)
    assert len(said) == 7
    assert said[0].startswith("[1/7] stock")
    tried = {path.name.rpartition("-seed")[0] for path in (tmp_path / "runs").iterdir()}
    assert tried == {f"{name}-lr{rate}" for name in rates for rate in rates[name]}
    chosen = {name: found["learning_rate"] for name, found in summary.as_dict()["methods"].items()}
    assert chosen["stock"] in rates["stock"]
    assert (chosen["default"], chosen["plain"]) == (2e-2, 3e-2)


def test_a_killed_comparison_goes_on_and_ends_the_same(tmp_path):
    said = []
    whole = run(tmp_path / "whole", made_setting(), said.append)
    assert len(said) == 6
    assert said[0].startswith("[1/6] stock, learning rate 0.01, seed 1: macro F1 ")
    assert "left)" in said[0]

    def kill_after(n):
        seen = []

        def say(words):
            seen.append(words)
            if len(seen) == n:
                raise KeyboardInterrupt

        return say

    for n in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", made_setting(), kill_after(n))
    again = []
    resumed = run(tmp_path / "killed", made_setting(), again.append)
    assert without_seconds(resumed) == without_seconds(whole)
    assert [words.endswith("(done before)") for words in again] == [True] * 4 + [False] * 2


def test_each_method_goes_on_at_its_best_learning_rate(tmp_path):
    summary = run(tmp_path, made_setting(), rates=(1e-6, 1e-2), seeds=(1, 2))
    assert len(list((tmp_path / "runs").iterdir())) == 3 * (2 + 1)
    record = Record(tmp_path, {"steps": 12})
    for name, of_method in summary.runs.items():
        tried = {rate: record.find((name, rate, 1), of_method[0].options) for rate in (1e-6, 1e-2)}
        scores = {rate: run.values["validation_f1_macro"] for rate, run in tried.items()}
        assert [(r.learning_rate, r.seed) for r in of_method] == [
            (max(scores, key=scores.get), seed) for seed in (1, 2)
        ]


def test_the_stock_method_is_the_stock_trainer(tmp_path, monkeypatch):
    made = []
    original = Trainer.__init__
    monkeypatch.setattr(
        Trainer, "__init__", lambda self, *a, **k: (made.append(type(self)), original(self, *a, **k))[1]
    )
    setting = made_setting(steps=2)
    stock, default = read_methods(["default"], None, MULTI_LABEL)
    _, test, rule, _ = train(setting, stock, 1e-2, 1)
    assert made == [Trainer]
    assert rule.schema.implications == ()  # it knows of no hierarchy
    torch.testing.assert_close(test.labels, np.array(setting.splits["test"]["labels"]))
    assert train(setting, default, 1e-2, 1)[2].schema.implications == (("rarest", "common"),)
    assert len(made) == 2


def test_single_label_problems_are_compared_too(tmp_path):
    methods = read_methods(["default"], None, SINGLE_LABEL)
    setting = made_setting(problem_type=SINGLE_LABEL)
    summary = compare(setting, methods, (1e-2,), (1,), Record(tmp_path, {"steps": 12}), lambda words: None)
    assert summary.values["at_half.f1_macro"].equals(summary.values["tuned.f1_macro"])


def test_lines_fit_a_terminal_and_name_the_best(tmp_path):
    summary = run(tmp_path, made_setting())
    lines = as_text(*summary.message()).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[1:4]] == ["stock", "default", "plain"]
    of_methods = {n: np.mean([r.values["validation_f1_macro"] for r in runs]) for n, runs in summary.runs.items()}
    assert summary.best == max(of_methods, key=of_methods.get)
    assert summary.best in summary.verdict()


def test_a_method_that_became_another_under_its_name_is_refused(tmp_path):
    setting = made_setting(steps=2)

    def with_gamma(gamma):
        methods = read_methods([], {"mine": {"focal_gamma": gamma}}, MULTI_LABEL)
        return compare(setting, methods, (1e-2,), (1,), Record(tmp_path, {"steps": 2}), lambda words: None)

    with_gamma(1.0)
    with pytest.raises(UsageError, match=r"a method 'mine' that was .*1.0.*, and now is .*3.0"):
        with_gamma(3.0)


def test_a_method_that_fails_leaves_the_others(tmp_path, monkeypatch):
    original = training.train

    def failing(setting, method, *args):
        if method.name == "plain":
            raise NonFiniteLossError("Step 3: the loss is NaN.")
        return original(setting, method, *args)

    monkeypatch.setattr(training, "train", failing)
    said = []
    summary = run(tmp_path, made_setting(), said.append)
    assert summary.failed == {"plain": "Step 3: the loss is NaN."}
    assert list(summary.runs) == ["stock", "default"]
    assert "plain failed: Step 3: the loss is NaN." in summary.message()
    assert sum("failed" in line for line in said) == 2
    assert without_seconds(run(tmp_path, made_setting())) == without_seconds(summary)  # kept, and not tried again


def test_options_that_do_not_fit_are_found_before_anything_is_trained(tmp_path):
    methods = read_methods(["default"], {"fixed": {"loss": "asymmetric", "class_weights": [1.0, 2.0]}}, MULTI_LABEL)
    said = []
    with pytest.raises(UsageError, match="2 class weights"):
        compare(made_setting(), methods, (1e-2,), (1,), Record(tmp_path, {"steps": 12}), said.append)
    assert said == []


def test_stock_takes_what_is_unknown_for_a_negative_and_not_for_a_target_of_minus_100():
    setting = made_setting(steps=40)
    train_split = setting.splits["train"]
    labels = np.array(train_split["labels"])
    labels[::5] = -100
    masked = train_split.remove_columns("labels").add_column("labels", labels.tolist())
    setting = replace(setting, splits={**setting.splits, "train": masked.with_format("torch")})
    _, test, _, _ = train(setting, read_methods(["default"], None, MULTI_LABEL)[0], 1e-2, 1)
    assert test.logits.max() > -3  # targets of -100 would drive every logit down
    assert roc_auc_score(test.labels[:, 0], test.logits[:, 0]) > 0.8


# ---- what it says at its end, for each way in which it can go ----


def verdict(difference, n_seeds, validation=0.5):
    means = {"stock": (0.3, 0.3), "focal": (validation, 0.3 + difference.mean)}
    runs = {
        name: [
            Run(name, 1e-4, seed, {"validation_f1_macro": v, "tuned": {"f1_macro": f}}, 1.0) for seed in range(n_seeds)
        ]
        for name, (v, f) in means.items()
    }
    return Summary(runs, {"focal": difference}, np.array([100, 100])).verdict()


@pytest.mark.parametrize(
    ("difference", "n_seeds", "said"),
    [
        (Difference(0.1, 0.05, 0.15), 3, "Take focal, "),
        (Difference(0.1, -0.05, 0.25), 3, "focal is ahead of stock by no more than chance explains, "),
        (Difference(0.1, 0.05, 0.15, knows_seeds=False), 1, "focal is ahead of stock, chosen"),
        (Difference(0.1, 0.0, 0.2, knows_seeds=False), 1, "focal is ahead of stock by no more than chance explains, "),
        (Difference(0.0, -0.1, 0.1), 3, "focal is not ahead of stock on test, "),
        (Difference(-0.1, -0.2, -0.05), 2, "focal is not ahead of stock on test, "),
    ],
)
def test_a_method_is_ahead_only_where_it_is(difference, n_seeds, said):
    words = verdict(difference, n_seeds)
    assert words.startswith(said)
    assert ("One seed says little" in words) == (n_seeds == 1)
    assert f"{n_seeds} seed{'s' * (n_seeds > 1)}." in words


def test_stock_is_kept_where_none_is_better_on_validation():
    ahead = verdict(Difference(0.1, 0.05, 0.15), 3, validation=0.2)
    assert ahead.startswith("None is better than stock")
    assert "did better by more than chance explains" in ahead
    assert "did better" not in verdict(Difference(0.1, -0.05, 0.15), 3, validation=0.2)


def test_until_converged_the_best_epoch_counts_and_what_still_rises_is_said(tmp_path):
    short = replace(made_setting(steps=14), until_converged=True)  # two epochs
    summary = run(tmp_path / "short", short, seeds=(1,))
    assert "stock, default, plain still rose when training ended: give more --num_train_epochs." in summary.verdict()
    long = replace(made_setting(steps=7 * 30), until_converged=True)
    summary = run(tmp_path / "long", long, rates=(3e-2,), seeds=(1,))
    assert "still rose" not in summary.verdict()
