import pytest
import torch
import torch.nn.functional as F

from imbalance_trainer.losses import WeightedBCELoss, WeightedCELoss

WEIGHTS = torch.tensor([1.0, 5.0, 10.0])


def problem(single_label):
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 3, generator=g)
    return logits, torch.randint(0, 3, (7,), generator=g) if single_label else (
        torch.rand(7, 3, generator=g) < 0.4
    ).float()


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_weighted_bce_is_torch_s_with_pos_weight(reduction):
    logits, labels = problem(single_label=False)
    expected = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=WEIGHTS, reduction=reduction)
    assert torch.equal(WeightedBCELoss(WEIGHTS, reduction)(logits, labels), expected)


def test_weighted_ce_is_torch_s_up_to_its_mean_which_is_over_rows():
    logits, labels = problem(single_label=True)
    each = F.cross_entropy(logits, labels, weight=WEIGHTS, reduction="none")
    torch.testing.assert_close(WeightedCELoss(WEIGHTS, "none")(logits, labels), each)
    torch.testing.assert_close(WeightedCELoss(WEIGHTS, "sum")(logits, labels), each.sum())
    torch.testing.assert_close(WeightedCELoss(WEIGHTS)(logits, labels), each.mean())


@pytest.mark.parametrize(("loss", "single_label"), [(WeightedBCELoss, False), (WeightedCELoss, True)])
def test_smoothing_arrives(loss, single_label):
    logits, labels = problem(single_label)
    stock = F.cross_entropy(logits, labels, label_smoothing=0.2)
    if not single_label:
        stock = F.binary_cross_entropy_with_logits(logits, labels * 0.8 + 0.1)
    torch.testing.assert_close(loss(label_smoothing=0.2)(logits, labels), stock)
