"""LOSSES and `make_loss`: what a name, its arguments and a loss of the user's own may be."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from imbalance_trainer import LabelDistribution, LabelSchema
from imbalance_trainer.losses import (
    LOSSES,
    AsymmetricLoss,
    LogitAdjustedLoss,
    UserLoss,
    WeightedFocalLoss,
    make_loss,
)
from imbalance_trainer.losses.registry import checked_loss_args, name_of, read_loss_args
from imbalance_trainer.utils.constants import MULTI_LABEL, SINGLE_LABEL
from imbalance_trainer.utils.errors import UsageError

COUNTS = LabelDistribution.from_counts([30, 3], 40, LabelSchema.from_names(["a", "b"]))


def test_settings_arrive():
    loss = make_loss("focal", MULTI_LABEL, gamma=3.5, label_smoothing=0.25)
    assert isinstance(loss, WeightedFocalLoss)
    assert (loss.gamma, loss.label_smoothing, loss.reduction) == (3.5, 0.25, "sum")
    loss = make_loss("asymmetric", MULTI_LABEL, counts=COUNTS, loss_args={"shift": 0.5})
    assert (loss.shift, loss.gamma_negative) == (0.5, 4.0)
    assert make_loss("focal", MULTI_LABEL, loss_args={"gamma": 1}).gamma == 1


@pytest.mark.parametrize(
    ("name", "problem_type", "fitting"),
    [
        ("ce", MULTI_LABEL, "'ce' is not for multi-label problems; take one of 'focal', 'bce', 'asymmetric'"),
        ("asymmetric", SINGLE_LABEL, "is not for single-label problems; take one of 'focal', 'ce', 'logit_adjusted'"),
        (AsymmetricLoss(), SINGLE_LABEL, "'AsymmetricLoss' is not for single-label problems"),
    ],
)
def test_a_loss_for_the_other_kind_of_problem_is_an_error_that_names_the_fitting(name, problem_type, fitting):
    with pytest.raises(UsageError, match=fitting):
        make_loss(name, problem_type)


# ---- arguments of a loss's own ----


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("asymmetric", {"gama_negative": 4}, "'asymmetric' has no argument 'gama_negative': did you mean 'gamma_neg"),
        ("asymmetric", {"reduction": "mean"}, "no argument 'reduction'"),
        ("bce", {"gamma": 2}, "loss='bce' has no arguments; drop loss_args"),
        ("asymmetric", {"gamma_negative": -1}, "gamma_negative must be a finite number >= 0; got -1"),
        ("asymmetric", {"shift": 1}, "shift must be a finite number >= 0 and < 1; got 1"),
        ("asymmetric", {"shift": True}, "shift must be .*; got True"),
        ("asymmetric", {"shift": "0.05"}, "shift must be .*; got '0.05'"),
        ("asymmetric", {"shift": 1}, "shift must be a finite number >= 0 and < 1"),
        ("focal", {"gamma": -1}, "focal_gamma must be a finite number >= 0; got -1"),
    ],
)
def test_arguments_that_do_not_fit_are_an_error(name, arguments, message):
    with pytest.raises(UsageError, match=message):
        make_loss(name, MULTI_LABEL, counts=COUNTS, loss_args=arguments)


def test_loss_args_are_read_from_json_or_a_file(tmp_path):
    path = tmp_path / "arguments.json"
    path.write_text('\ufeff{"shift": 0.1}', encoding="utf-8")
    for given in ('{"shift": 0.1}', str(path), {"shift": 0.1}):
        assert read_loss_args(given) == {"shift": 0.1}
    assert read_loss_args(None) is None
    arguments = {"shift": 0.1}
    assert checked_loss_args("asymmetric", arguments) is not arguments
    for wrong, message in (
        ("shift=0.1", "is JSON or the path of a JSON file; 'shift=0.1' is no such file"),
        ('{"shift": }', "loss_args: is no valid JSON"),
        ([0.1], r"loss_args: expected \{\"argument\": value\}, found \[0.1\]"),
    ):
        with pytest.raises(UsageError, match=message):
            read_loss_args(wrong)
    path.write_text(json.dumps(["shift"]))
    with pytest.raises(UsageError, match=r"arguments.json: expected"):
        read_loss_args(str(path))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogitAdjustedLoss([1, -1]), "support is the number of positives of each label"),
        (lambda: LogitAdjustedLoss(5), "support is"),
        (lambda: LogitAdjustedLoss([1, float("nan")]), "support is"),
    ],
)
def test_counts_that_cannot_be_are_an_error(make, message):
    with pytest.raises(UsageError, match=message):
        make()


# ---- a loss of the user's own ----


def batch(single_label=False):
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 2, generator=g)
    labels = torch.tensor([1, 0, -100, 1, 0])
    return logits, labels if single_label else torch.stack([labels, labels.flip(0)], 1)


def test_a_function_of_each_entry_is_summed_and_masked():
    logits, labels = batch()
    loss = make_loss(lambda z, y: F.softplus(z) - y * z, MULTI_LABEL)
    torch.testing.assert_close(loss(logits, labels), make_loss("bce", MULTI_LABEL)(logits, labels))
    each = loss(logits, labels, reduction="none")
    assert each.shape == labels.shape
    assert not each[labels == -100].any()
    parts = loss(logits[:2], labels[:2]) + loss(logits[2:], labels[2:])
    torch.testing.assert_close(parts, loss(logits, labels))


def test_a_module_of_torch_s_is_taken_and_one_of_ours_as_it_is():
    logits, labels = batch()
    loss = make_loss(nn.BCEWithLogitsLoss(reduction="none"), MULTI_LABEL)
    torch.testing.assert_close(loss(logits.half(), labels), make_loss("bce", MULTI_LABEL)(logits.half(), labels))
    ours = AsymmetricLoss([1.0, 5.0], shift=0.2, label_smoothing=0.1)
    torch.testing.assert_close(make_loss(ours, MULTI_LABEL)(logits, labels), ours(logits, labels))


@pytest.mark.parametrize("shape", [(5,), (1, 5)])
def test_rows_and_tokens_of_a_single_label_problem_come_flat_and_without_unknown_classes(shape):
    seen = []

    def loss(z, y):
        seen.append((tuple(z.shape), tuple(y.shape), y.min().item()))
        return -z.log_softmax(-1).gather(1, y[:, None])[:, 0]

    logits, labels = batch(single_label=True)
    got = make_loss(loss, SINGLE_LABEL)(logits.reshape(*shape, 2), labels.reshape(shape), reduction="none")
    expected = F.cross_entropy(logits, labels, reduction="none").reshape(shape)
    torch.testing.assert_close(got, expected)
    assert seen == [((5, 2), (5,), 0)]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            nn.BCEWithLogitsLoss(),
            r"gave a single number for labels of shape \(5, 2\); expected .* each entry",
        ),
        (lambda z, y: z.sum(1), r"gave \(5,\) for labels of shape \(5, 2\)"),
        (lambda z, y: 1.0, "gave float for labels"),
        (AsymmetricLoss, r"give an instance of it: AsymmetricLoss\(\.\.\.\)"),
        (3, "loss is a name in LOSSES, a module or a function"),
        (nn.Linear(2, 2), "parameters of its own, which no optimizer would train"),
    ],
)
def test_what_is_no_loss_of_each_entry_is_refused(loss, message):
    with pytest.raises(UsageError, match=message):
        make_loss(loss, MULTI_LABEL)(*batch())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss_args": {"a": 1}}, "loss_args go with a loss in LOSSES"),
        ({"class_weights": [1.0, 2.0]}, "class_weights go with"),
        ({"label_smoothing": 0.1}, "label_smoothing_factor goes with"),
    ],
)
def test_settings_of_ours_are_refused_beside_a_loss_of_the_user_s(settings, message):
    with pytest.raises(UsageError, match=f"{message}.*the loss is your own"):
        make_loss(nn.BCEWithLogitsLoss(reduction="none"), MULTI_LABEL, **settings)


def test_names_of_losses():
    assert [name_of(x) for x in ("focal", batch, nn.MSELoss())] == ["focal", "batch", "MSELoss"]
    assert UserLoss(batch).own_arguments() == {}


def test_arguments_of_a_base_class_are_a_loss_s_own_where_they_go_through():
    assert set(LOSSES["asymmetric"].own_arguments()) == {"gamma_negative", "gamma_positive", "shift"}
    assert LOSSES["bce"].own_arguments() == {}
    assert LOSSES["focal"].own_arguments() == {"gamma": 2.0}
