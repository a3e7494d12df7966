"""Loss, head start and head rate for any Trainer; that the update is ours is held by tests/test_exactness.py."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import RobertaModel, Trainer, TrainingArguments

from imbalance_trainer import LabelDistribution, LabelSchema, imbalance_loss, set_head_rate, start_head
from imbalance_trainer.losses.objective import best_constant_logits
from imbalance_trainer.utils.errors import DataError, UsageError

NAMES = ["hateful", "insults", "threats", "praise"]
PLAIN, RULES = LabelSchema(NAMES), LabelSchema(NAMES, implications=[("insults", "hateful")])
MULTI_LABEL = "multi_label_classification"


def counted(schema=PLAIN):
    return LabelDistribution.from_counts([50, 40, 8, 1], 100, schema)


def batch(labels):
    return {"logits": torch.zeros(2, 4, requires_grad=True)}, torch.tensor(labels)


def test_settings_reach_the_loss():
    loss = imbalance_loss("focal", PLAIN, counted(), class_weights={"praise": 9}, focal_gamma=3, max_weight=7)
    assert (loss.loss.gamma, loss.class_weights.as_dict()["praise"]) == (3, 7)


@pytest.mark.parametrize("unknown", ["in training", "in a batch"])
def test_a_penalty_is_refused_where_a_label_is_unknown(unknown):
    rows = [[1, 0, 0, -100 if unknown == "in training" else 0], [0, 0, 1, 1]]

    def use(**options):
        loss = imbalance_loss("focal", RULES, LabelDistribution.from_labels(rows, RULES), **options)
        return loss(*batch([[1, 0, 0, 0], [0, -100, 0, 0]]), 7)

    with pytest.raises(DataError, match="set constraint='none', or train with WeightedFocalTrainer"):
        use()
    assert use(constraint="none") > 0


def test_a_training_batch_without_a_count_is_refused(make_model, make_rows, tmp_path):
    outputs, labels = batch([[1, 0, 0, 0], [0, 0, 0, 1]])
    loss = imbalance_loss("focal", PLAIN, counted())
    for given in (labels, None):
        with pytest.raises(DataError, match="nothing under 'labels'"):
            loss(outputs, given)
    with torch.no_grad():  # an evaluation
        assert torch.equal(loss(outputs, labels), loss(outputs, labels, 8))

    class Renamed(torch.nn.Module):
        config = make_model().config

        def __init__(self):
            super().__init__()
            self.inner = make_model()

        def forward(self, input_ids, attention_mask, gold):
            return self.inner(input_ids=input_ids, attention_mask=attention_mask)

    rows = make_rows(kind="floats").rename_column("labels", "gold")
    args = TrainingArguments(str(tmp_path), label_names=["gold"], use_cpu=True, report_to="none", max_steps=1)
    with pytest.raises(DataError, match="have the data collator call them 'labels'"):
        Trainer(Renamed(), args, train_dataset=rows, compute_loss_func=loss).train()


def test_a_model_without_a_problem_type_is_refused(make_model):
    loss = imbalance_loss("focal", PLAIN, counted())
    for refused in (
        lambda: imbalance_loss("focal", PLAIN, counted(), model=make_model()),
        lambda: start_head(make_model(), loss),
    ):
        with pytest.raises(
            UsageError, match=r"problem_type=None; create .* problem_type='multi_label_classification'"
        ):
            refused()
    imbalance_loss("focal", PLAIN, counted(), model=make_model(problem_type=MULTI_LABEL))


def test_an_option_of_the_trainer_alone_is_refused():
    with pytest.raises(UsageError, match="no argument 'thresholds'; it has class_weights, weight_strategy"):
        imbalance_loss("focal", PLAIN, counted(), thresholds=0.4)


def test_a_fresh_head_starts_where_the_loss_is_least_and_another_stays(make_model):
    model, loss = make_model(problem_type=MULTI_LABEL), imbalance_loss("focal", PLAIN, counted())
    assert start_head(model, loss)
    bias = model.classifier.out_proj.bias
    np.testing.assert_allclose(bias.detach(), best_constant_logits(loss.loss, [50, 40, 8, 1], [100] * 4), rtol=1e-6)
    bias.data[0] = 7
    assert not start_head(model, loss)
    assert bias[0] == 7


@pytest.mark.parametrize(("asked", "rate"), [(None, 3e-3), (0.5, 0.5)])
def test_the_head_has_the_rate_that_it_is_given(make_model, asked, rate):
    model = make_model()
    made = torch.optim.AdamW(model.parameters(), lr=1e-4)
    assert set_head_rate(model, made, asked) is made
    last = [*model.classifier.out_proj.parameters()]
    assert [(g["lr"], g["params"] == last) for g in made.param_groups] == [(1e-4, False), (rate, True)]
    with pytest.raises(UsageError, match="no parameters of the model's head"):
        set_head_rate(make_model(), made)


def test_a_model_without_a_head_is_refused(make_model):
    model = make_model(cls=lambda config: RobertaModel(config), problem_type=MULTI_LABEL)
    for refused in (
        lambda: start_head(model, imbalance_loss("focal", PLAIN, counted())),
        lambda: set_head_rate(model, torch.optim.AdamW(model.parameters())),
    ):
        with pytest.raises(UsageError, match="RobertaModel has no head that ends in a trained linear layer"):
            refused()


def test_the_saved_model_is_a_multi_label_classifier_of_transformers(make_model, make_rows, tmp_path):
    model = make_model(problem_type=MULTI_LABEL)
    rows: Dataset = make_rows()
    loss = imbalance_loss("focal", PLAIN, LabelDistribution.from_dataset(rows, PLAIN), model=model)
    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", max_steps=30, learning_rate=5e-3)
    trainer = Trainer(model, args, train_dataset=rows, eval_dataset=rows, compute_loss_func=loss)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < 0.9 * before
    trainer.save_model()
    assert type(model).from_pretrained(tmp_path).config.problem_type == MULTI_LABEL
