"""An evaluation that runs batch by batch gives what everything at once gives."""

import numpy as np
import pytest
import torch

from imbalance_trainer import ImbalanceMetrics, LabelSchema
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.losses import make_loss
from imbalance_trainer.losses.objective import Objective
from imbalance_trainer.training.evaluation import RunningEvaluation
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL

SCHEMA = LabelSchema(["a", "b", "c"], implications=[("b", "a")])


def make(rows=20, seed=0):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (rows, 3), generator=g).masked_fill(torch.rand(rows, 3, generator=g) < 0.2, -100)
    return torch.randn(rows, 3, generator=g), labels


def make_objective(kind=MULTI_LABEL):
    return Objective.of(make_loss("focal", kind, [1.0, 2.0, 3.0]), SCHEMA, kind, "gold", 0.5)


def run(evaluation, logits, labels, cuts=(3, 11)):
    for part in torch.arange(len(logits)).tensor_split(cuts):
        evaluation.add(logits[part], labels[part])
    return evaluation


# ---- the loss ----


@pytest.mark.parametrize("cuts", [(), (3, 11), (1, 2, 19)])
def test_the_loss_is_that_of_everything_at_once_whatever_the_batches(cuts):
    logits, labels = make()
    objective = make_objective()
    evaluation = run(RunningEvaluation(ImbalanceMetrics(SCHEMA), objective), logits, labels, cuts)
    whole = objective.value(objective.sums(logits, labels), objective.counts(labels)).item()
    assert evaluation.loss == pytest.approx(whole, rel=1e-6)
    assert type(evaluation.loss) is float


def test_the_loss_is_summed_in_fp64():
    evaluation = RunningEvaluation(ImbalanceMetrics(SCHEMA), make_objective())
    logits, labels = torch.full((4, 3), 0.3), torch.ones(4, 3, dtype=torch.long)
    evaluation.add(logits, labels)
    once = evaluation.loss
    for _ in range(999):
        evaluation.add(logits, labels)
    assert evaluation.loss == pytest.approx(once, rel=1e-12)


def test_without_an_objective_or_anything_known_there_is_no_loss():
    logits, labels = make()
    assert run(RunningEvaluation(ImbalanceMetrics(SCHEMA), None), logits, labels).loss is None
    evaluation = RunningEvaluation(ImbalanceMetrics(SCHEMA), make_objective())
    assert evaluation.loss is None
    assert run(evaluation, logits, torch.full_like(labels, -100)).loss is None
    assert run(evaluation, logits, labels).loss > 0


def test_single_labels_have_a_loss_over_rows():
    logits, classes = make()[0], torch.tensor([0, 1, 2, 1] * 5)
    objective = make_objective(SINGLE_LABEL)
    evaluation = run(RunningEvaluation(ImbalanceMetrics(SCHEMA), objective, keep_scores=True), logits, classes)
    assert evaluation.loss == pytest.approx(objective.loss(logits, classes).item() / 20, rel=1e-6)
    assert evaluation.scores[1].tolist() == classes.tolist()


# ---- the metrics ----


def test_metrics_at_a_half_go_along_where_thresholds_are_tuned():
    logits, labels = make()
    metrics = ImbalanceMetrics(SCHEMA, train_support=[3, 2, 1])
    assert RunningEvaluation(metrics, None).at_half is None
    metrics.rule = rule = DecisionRule(SCHEMA, [0.2, 0.3, 0.9], "add_parent")
    evaluation = run(RunningEvaluation(metrics, None), logits, labels)
    for found, expected_rule in (
        (metrics, rule),
        (evaluation.at_half, DecisionRule(SCHEMA, hierarchy_policy="add_parent")),
    ):
        expected = ImbalanceMetrics(SCHEMA, train_support=[3, 2, 1])
        expected.rule = expected_rule
        expected.update(logits, labels)
        assert found.compute() == expected.compute()
    assert metrics.compute()["f1_macro"] != evaluation.at_half.compute()["f1_macro"]


# ---- the scores ----


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_scores_are_kept_in_fp32_and_in_order_where_they_are_asked_for(dtype):
    logits, labels = make()
    logits = logits.to(dtype)
    evaluation = run(RunningEvaluation(ImbalanceMetrics(SCHEMA), None, keep_scores=True), logits, labels)
    kept, gold = evaluation.scores
    assert kept.dtype == np.float32
    assert np.array_equal(kept, logits.float().numpy())
    assert np.array_equal(gold, labels.numpy())
