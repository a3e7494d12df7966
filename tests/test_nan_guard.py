"""A loss that is NaN or infinite: what is raised, said or left out, with which labels and which cause."""

from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset
from torch import nn

from benchmarks.exactness import Case, in_two_processes, make_model, make_rows, make_trainer
from imbalance_trainer import LabelSchema, WeightedFocalTrainer
from imbalance_trainer.training.nan_guard import NanGuard
from imbalance_trainer.utils.errors import NonFiniteLossError

from .conftest import vector

ARGS = SimpleNamespace(world_size=1, process_index=0, learning_rate=0.5, max_grad_norm=0.0, fp16=False)
SCHEMA = LabelSchema(["a", "b", "c"])


def check(guard, loss, model=None, at_update=True, **args):
    arguments = SimpleNamespace(**{**vars(ARGS), **args})
    return guard.check(torch.tensor(loss), model or nn.Linear(2, 2), arguments, 6, at_update)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_the_step_and_the_labels_are_named(loss):
    guard = NanGuard(SCHEMA)
    guard.look_at(torch.tensor([[0.0, float("inf"), 1.0]]), torch.zeros(1, 3))
    with pytest.raises(
        NonFiniteLossError, match=rf"At step 7 the loss is {loss} for 'b': the model's outputs are not"
    ):
        check(guard, loss)


def test_causes_are_told_apart():
    nan = float("nan")
    broken = nn.Linear(2, 2)
    broken.weight.data[0, 0] = nan
    huge = nn.Linear(2, 2)
    huge.weight.data[0, 0] = 1e20
    logits, labels = torch.full((1, 3), nan), torch.zeros(1, 3)
    for model, look, args, said in (
        (broken, True, {}, r"for all labels: the weights are not finite \(weight\).*--learning_rate \(now 0.5\)"),
        (huge, True, {}, r"the weights are as large as 1e\+20 since an earlier update"),
        (None, True, {"fp16": True}, "overflows in fp16.*--bf16"),
        (None, True, {}, "outputs are not finite though its weights are"),
        (None, False, {}, "weights and outputs are finite"),
    ):
        guard = NanGuard(SCHEMA)
        guard.look_at(logits if look else torch.zeros(1, 3), labels)
        with pytest.raises(NonFiniteLossError, match=said):
            check(guard, nan, model, **args)


def test_a_micro_batch_is_remembered_until_the_update():
    guard = NanGuard(SCHEMA)
    check(guard, float("nan"), at_update=False)
    with pytest.raises(NonFiniteLossError):
        check(guard, 0.5, at_update=True)
    check(guard, 0.5, at_update=True)


class BadBatch(nn.Module):
    """Gives NaN for a batch with a certain token, in a forward whose weights stay finite."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.config = inner, inner.config

    def forward(self, input_ids, attention_mask=None):
        logits = self.inner(input_ids, attention_mask).logits
        bad = (input_ids == 4).any(1, keepdim=True)
        return {"logits": logits * torch.where(bad, float("nan"), 1.0)}


def bad_batch_trainer(make_args, **changes):
    rows = make_rows(16, "multi-label", False)
    ids = [list(row) for row in rows["input_ids"]]
    ids[5][0] = 4
    rows = Dataset.from_dict({"input_ids": ids, "labels": rows["labels"]})
    args = make_args(max_steps=4, per_device_train_batch_size=4, logging_steps=1, **changes)
    return WeightedFocalTrainer(BadBatch(make_model("multi-label")), args, train_dataset=rows)


@pytest.mark.parametrize("steps", [1, 2])
def test_training_stops_before_the_weights_are_lost(steps, make_args):
    trainer = bad_batch_trainer(make_args, gradient_accumulation_steps=steps)
    with pytest.raises(NonFiniteLossError, match="the loss is nan for all labels: the model's outputs are not finite"):
        trainer.train()
    assert vector(trainer.model).isfinite().all()


def on_one_rank(case, folder):
    """NaN on the second of two processes: what each of them does. Called in both."""
    trainer = make_trainer(case, folder)
    inner = trainer.model

    class OnOneRank(BadBatch):
        def forward(self, input_ids, attention_mask=None):
            logits = self.inner(input_ids, attention_mask).logits
            return {"logits": logits * float("nan") if torch.distributed.get_rank() == 1 else logits}

    trainer.model = trainer.model_wrapped = OnOneRank(inner)
    try:
        trainer.train()
        mine = "went on"
    except NonFiniteLossError as error:
        mine = str(error)
    said = [None, None]
    torch.distributed.all_gather_object(said, mine)
    return said


@pytest.mark.distributed
def test_every_process_stops_for_the_nan_of_one():
    (said,) = in_two_processes([Case(batch=8)], "tests.test_nan_guard:on_one_rank")
    assert said[0] == said[1]
    assert "At step 1 the loss is nan for all labels" in said[0]
