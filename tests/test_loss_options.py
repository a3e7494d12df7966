"""`loss`, `loss_args`, `focal_gamma`, and `class_weights`, as the trainer takes them."""

import json
import logging

import pytest
import torch
from torch import nn

from imbalance_trainer.losses import LOSSES, AsymmetricLoss, make_loss
from imbalance_trainer.training.arguments import ImbalanceOptions
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import UsageError


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, cls in LOSSES.items() for kind in cls.problem_types]
)
def test_every_loss_trains_from_its_name_alone(name, kind, make_trainer, make_rows):
    rows = make_rows(kind="multi-hot" if kind == MULTI_LABEL else "classes")
    trainer = make_trainer(train_dataset=rows, eval_dataset=rows, loss=name)
    before = trainer.evaluate()["eval_loss"]
    assert trainer.train().global_step == 2
    assert 0 < before < 100
    assert trainer.imbalance.class_weights.asked_for == LOSSES[name].takes_class_weights


def test_the_training_data_s_counts_and_loss_args_reach_the_loss(make_trainer, make_args, make_model, make_rows):
    args = make_args(loss="logit_adjusted", loss_args='{"tau": 0.5}')
    assert args.loss_args == {"tau": 0.5}
    json.loads(args.to_json_string())
    rows = make_rows(kind="classes")
    data = {"train_dataset": rows, "eval_dataset": rows}
    trainer = make_trainer(args=args, class_weights=None, **data)
    got = trainer.imbalance.objective.weighted.loss
    expected = make_loss("logit_adjusted", SINGLE_LABEL, counts=trainer.imbalance.distribution, loss_args={"tau": 0.5})
    logits, labels = torch.zeros(4, 4), torch.arange(4)
    assert torch.equal(got(logits, labels), expected(logits, labels))
    other = make_trainer(args=args, loss_args={"tau": 1.0}, **data).imbalance.objective.weighted.loss
    assert not torch.equal(other(logits, labels), expected(logits, labels))


def test_a_loss_of_the_user_s_own_in_the_trainer(make_trainer):
    trainer = make_trainer(loss=AsymmetricLoss(shift=0.1))
    named = make_trainer(loss="asymmetric", loss_args={"shift": 0.1}, class_weights=None)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(named.evaluate()["eval_loss"], rel=1e-6)
    assert trainer.imbalance.options.plain()["loss"] == "AsymmetricLoss"
    trainer.train()
    own = make_trainer(loss=nn.BCEWithLogitsLoss(reduction="none"))
    bce = make_trainer(loss="bce", class_weights=None)
    assert own.evaluate()["eval_loss"] == pytest.approx(bce.evaluate()["eval_loss"], rel=1e-6)


def test_auto_weights_are_none_for_a_loss_that_weighs_by_itself_and_that_is_said(make_trainer, caplog):
    with caplog.at_level(logging.INFO, logger="imbalance_trainer"):
        trainer = make_trainer(loss=nn.BCEWithLogitsLoss(reduction="none"))
    assert "loss='BCEWithLogitsLoss' weighs by itself: class_weights='auto' means none." in caplog.text
    assert trainer.imbalance.class_weights.values.tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "asymetric"}, "Unknown loss 'asymetric': did you mean 'asymmetric'"),
        ({"loss": "asymmetric", "loss_args": {"clip": 0.05}}, "loss='asymmetric' has no argument 'clip'"),
        ({"loss_args": "{"}, "loss_args: is no valid JSON"),
        ({"loss": "bce", "focal_gamma": 3.0}, "focal_gamma is not for loss='bce', which has no gamma"),
        ({"loss": nn.MSELoss(), "focal_gamma": 3.0}, "focal_gamma is not for loss='MSELoss'"),
        ({"focal_gamma": 3.0, "loss_args": {"gamma": 2}}, "gamma is set twice"),
    ],
)
def test_options_that_do_not_fit_are_an_error(options, message):
    with pytest.raises(UsageError, match=message):
        ImbalanceOptions(**options).checked()


def test_weights_by_hand_are_refused_by_a_loss_that_weighs_by_itself(make_trainer):
    with pytest.raises(UsageError, match="takes no class weights, as it weighs by itself"):
        make_trainer(loss=nn.BCEWithLogitsLoss(reduction="none"), class_weights={"LABEL_3": 5})


def test_data_without_labels_to_count_is_refused_by_a_loss_that_needs_them(make_trainer, make_model, make_rows):
    model, rows = make_model(problem_type=SINGLE_LABEL), make_rows(kind="classes").rename_column("labels", "hidden")
    with pytest.raises(UsageError, match=r"No labels were found in the data .its columns: .*'hidden'"):
        make_trainer(model, train_dataset=rows, eval_dataset=rows, loss="logit_adjusted")


def test_gamma_is_that_in_use():
    assert ImbalanceOptions().gamma == 2.0
    assert ImbalanceOptions(loss="asymmetric").gamma is None
    assert ImbalanceOptions(loss_args={"gamma": 1}).gamma is None


def test_arguments_with_a_loss_of_ones_own_can_be_written_as_json(make_args):
    args = make_args(loss=torch.nn.BCEWithLogitsLoss(reduction="none"))
    assert '"loss": "BCEWithLogitsLoss"' in args.to_json_string()
