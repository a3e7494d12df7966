"""Where a fresh head starts, on models of transformers and on others."""

import contextlib

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    TrainerCallback,
)
from transformers.models.auto import modeling_auto

from benchmarks.exactness import Case, in_two_processes
from benchmarks.exactness import make_trainer as make_case_trainer
from imbalance_trainer import WeightedFocalTrainer
from imbalance_trainer.training.head import fresh_head_rate, is_fresh, split_off, start_bias, trained_head
from imbalance_trainer.training.layer_head import LayerHeadConfig, LayerHeadForSequenceClassification
from imbalance_trainer.tuning.probe import fit_probe
from imbalance_trainer.utils.errors import UsageError

LOGITS = np.array([-1.0, -4.0, 2.0])
TINY = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 20}
MODELS = {
    "bert": lambda: BertForSequenceClassification(BertConfig(**TINY, num_labels=3)),
    "roberta": lambda: RobertaForSequenceClassification(RobertaConfig(**TINY, num_labels=3)),
    "distilbert": lambda: DistilBertForSequenceClassification(
        DistilBertConfig(dim=8, n_layers=1, n_heads=2, hidden_dim=8, vocab_size=20, num_labels=3)
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_fresh_head_starts_there_and_its_first_probabilities_say_so(name):
    model = MODELS[name]().eval()
    head = trained_head(model, 3)
    assert is_fresh(head)
    start_bias(head, LOGITS)
    assert not is_fresh(head)
    logits = model(torch.tensor([[1, 2, 3]])).logits
    np.testing.assert_allclose(logits.detach().numpy()[0], LOGITS, atol=0.2)  # the weights beside the bias are small


def test_a_head_that_was_trained_or_is_frozen_or_has_no_bias_is_not_fresh():
    model = MODELS["bert"]()
    model.classifier.bias.data[0] = 0.1
    assert not is_fresh(trained_head(model, 3))
    frozen = MODELS["bert"]()
    frozen.classifier.bias.requires_grad_(False)
    assert not is_fresh(trained_head(frozen, 3))
    frozen.classifier.requires_grad_(False)
    assert trained_head(frozen, 3) is None
    without = GPT2ForSequenceClassification(
        GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20, num_labels=3, n_positions=8)
    )
    assert trained_head(without, 3) is without.score
    assert not is_fresh(without.score)
    assert trained_head(nn.Sequential(nn.Linear(4, 3)), 3) is None  # no module with a head's name
    assert trained_head(MODELS["bert"](), 4) is None  # another number of labels


def test_a_head_on_no_device_is_not_fresh_and_an_adapter_is_no_head():
    with torch.device("meta"):
        model = MODELS["bert"]()
    assert not is_fresh(trained_head(model, 3))
    model = MODELS["bert"]()
    model.classifier.lora_B = nn.Linear(4, 3)
    assert trained_head(model, 3) is model.classifier


def test_a_hidden_layer_of_the_head_that_is_as_wide_is_not_its_last():
    model = RobertaForSequenceClassification(RobertaConfig(**TINY, num_labels=8))
    assert trained_head(model, 8) is model.classifier.out_proj


def test_a_fresh_head_is_faster_within_limits():
    rates = [1e-5, 2e-4, 1e-3, 6e-3, 0.1]
    np.testing.assert_allclose([fresh_head_rate(rate) for rate in rates], [3e-4, 6e-3, 6e-3, 6e-3, 0.1])


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad])
def test_split_off_moves_the_parameters_of_the_head_alone_and_keeps_the_rest_of_their_group(optimizer):
    model = MODELS["roberta"]()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    made = optimizer(groups, lr=0.01)
    head = model.classifier.out_proj
    split_off(made, head, lambda rate: rate * 5)
    assert [group["lr"] for group in made.param_groups] == pytest.approx([0.01, 0.01, 0.05, 0.05])
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0, 0.1, 0.0]
    moved = [[id(p) for p in group["params"]] for group in made.param_groups[2:]]
    assert moved == [[id(head.weight)], [id(head.bias)]]
    everyone = [id(p) for group in made.param_groups for p in group["params"]]
    assert sorted(everyone) == sorted(map(id, model.parameters()))
    split_off(made, nn.Linear(2, 2), lambda rate: rate)
    assert len(made.param_groups) == 4


def rates_of(trainer):
    """The learning rate at the optimizer of each parameter, by name."""
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    return {names[id(p)]: group["lr"] for group in trainer.create_optimizer().param_groups for p in group["params"]}


def test_the_trainer_gives_a_fresh_multi_label_head_its_rate(make_trainer, make_rows, make_model, make_args):
    heads = {"classifier.out_proj.weight", "classifier.out_proj.bias"}

    def expect(rates, of_head, of_rest=1e-4):
        assert rates == {name: of_head if name in heads else of_rest for name in rates}

    args = make_args(learning_rate=1e-4)
    expect(rates_of(make_trainer(args=args)), 3e-3)
    expect(rates_of(make_trainer(args=args, head_learning_rate=0.02)), 0.02)
    trained = make_model()
    trained.classifier.out_proj.bias.data[0] = 0.1
    expect(rates_of(make_trainer(args=args, model=trained)), 1e-4)
    assert len(make_trainer(args=args, model=trained).create_optimizer().param_groups) == 4  # as that of a fresh one


@pytest.mark.parametrize(("asked", "is_said"), [({}, True), ({"head_learning_rate": 0.01}, False)])
def test_a_rate_that_nobody_asked_for_is_said(make_trainer, make_args, capsys, asked, is_said):
    trainer = make_trainer(args=make_args(max_steps=2, learning_rate=2e-5, logging_steps=1), **asked)
    trainer.train()
    logged = [(log["learning_rate"], log["head_learning_rate"]) for log in trainer.state.log_history if "loss" in log]
    assert logged == [
        (pytest.approx(2e-5 * left), pytest.approx(asked.get("head_learning_rate", 6e-4) * left))
        for left in (1.0, 0.5)
    ]  # linear decay
    said = (
        "The head is new: it starts where the loss is least without a look at the input, and learns at 0.0006, 30 "
        "times the rate of the rest (head_start and head_learning_rate set others)."
    )
    assert (said in " ".join(capsys.readouterr().out.split())) is is_said


def test_a_head_rate_without_effect_is_an_error(make_trainer, make_args):
    mine = make_trainer(head_learning_rate=0.01)
    mine.optimizer = torch.optim.SGD(mine.model.parameters(), lr=0.1)
    with pytest.raises(UsageError, match="the optimizer is one of yours; leave it out"):
        mine.create_optimizer()
    frozen = make_trainer(head_learning_rate=0.01)
    frozen.model.classifier.requires_grad_(False)
    with pytest.raises(UsageError, match="no linear layer of the model's head was found"):
        frozen.create_optimizer()
    with pytest.raises(UsageError, match="positive finite number; got 0"):
        make_args(head_learning_rate=0.0)


def test_a_second_call_of_train_goes_on_with_the_optimizer(make_trainer, make_args):
    trainer = make_trainer(args=make_args(max_steps=1), head_learning_rate=0.01)
    trainer.train()
    made = trainer.optimizer
    trainer.train()
    assert len(made.param_groups) == len(trainer.optimizer.param_groups) == 4


def test_the_trainer_starts_a_fresh_head_with_no_gradient_of_its_bias(make_trainer, make_rows, make_model, make_args):
    rows = make_rows(n=64)
    trainer = make_trainer(train_dataset=rows, constraint="none")
    labels = torch.tensor(rows["labels"])
    bias = trainer.model.classifier.out_proj.bias.detach().clone().requires_grad_()
    assert bias.any()
    trainer.imbalance.objective.weighted.loss(bias.expand(labels.shape), labels, reduction="sum").backward()
    assert bias.grad.abs().max() < 1e-2  # of 64 rows
    assert not make_trainer(train_dataset=rows, head_start="none").model.classifier.out_proj.bias.any()
    model = make_model()
    WeightedFocalTrainer(model, make_args(), eval_dataset=rows)  # nothing is trained
    assert not model.classifier.out_proj.bias.any()


# ---- the probe ----


class Seen(TrainerCallback):
    """The head as training begins."""

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        head = trained_head(model, 4)
        self.head = torch.cat([head.weight.detach(), head.bias.detach()[:, None]], 1)


def started_head(trainer):
    """The head of a trainer when its training begins."""
    seen = Seen()
    trainer.add_callback(seen)
    trainer.train()
    return seen.head


def probed(case, folder):
    """Called in one process or in each of two."""
    return started_head(make_case_trainer(case, folder, head_start="probe"))


@pytest.mark.parametrize("loss", [{"loss": "bce", "class_weights": None}, {}])
def test_the_probe_is_the_linear_model_on_what_enters_the_head(make_trainer, make_rows, make_args, capsys, loss):
    rows = make_rows(n=200)
    trainer = make_trainer(args=make_args(max_steps=1), train_dataset=rows, head_start="probe", **loss)
    entered = []
    trainer.model.classifier.out_proj.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    with torch.no_grad():
        trainer.model.eval()(torch.tensor(rows["input_ids"]))
    own = trainer.imbalance.objective.weighted.loss
    bias = trainer.model.classifier.out_proj.bias.detach().clone()
    probe = fit_probe(entered[0], torch.tensor(rows["labels"]), own, bias)
    entered.clear()
    found = started_head(trainer)
    torch.testing.assert_close(found, torch.cat([probe.weight, probe.bias[:, None]], 1), rtol=1e-2, atol=1e-2)
    said = " ".join(capsys.readouterr().out.split())
    assert "The head starts from a linear probe (before training: f1_macro" in said
    assert "3 times the rate of the rest" in said


@pytest.mark.distributed
def test_two_processes_start_from_the_probe_of_one(tmp_path):
    case = Case(rows=64, batch=8, masked=True)
    (found,) = in_two_processes([case], "tests.test_head:probed")
    torch.testing.assert_close(found, probed(case, str(tmp_path)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("layers", "start"), [(False, "bias"), (True, "probe")])
def test_auto_is_the_probe_for_a_head_over_layers_and_else_the_bias(
    make_trainer, make_model, make_rows, make_args, layers, start
):
    args, rows = make_args(max_steps=3), make_rows(n=200)

    def trained(asked):
        model = make_model()
        if layers:
            torch.manual_seed(0)
            model = LayerHeadForSequenceClassification(LayerHeadConfig(model.config, num_labels=4))
        trainer = make_trainer(model=model, args=args, train_dataset=rows, head_start=asked)
        trainer.train()
        assert trainer.imbalance.head_start.start == start
        return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])

    assert torch.equal(trained("auto"), trained(start))


def test_what_a_probe_cannot_be_is_an_error_where_it_is_asked_for(make_trainer, make_model, make_args):
    model = make_model()
    model.classifier.out_proj = nn.Sequential(nn.Linear(16, 4), nn.Identity())
    model.classifier.out_proj[0].requires_grad_(False)
    for start in ("probe", "bias"):
        with pytest.raises(UsageError, match=f"head_start='{start}' needs a head that ends in a trained linear layer"):
            make_trainer(model=model, head_start=start)
    with pytest.raises(UsageError, match="Unknown head_start 'prob': did you mean 'probe'"):
        make_args(head_start="prob")


def test_a_head_that_was_trained_stays_and_a_probe_that_was_asked_for_is_said_to_have_no_effect(
    make_trainer, make_model, make_args, caplog
):
    model = make_model()
    model.classifier.out_proj.bias.data[0] = 0.1
    before = model.classifier.out_proj.weight.detach().clone()
    trainer = make_trainer(model=model, args=make_args(max_steps=1), head_start="probe")
    assert torch.equal(started_head(trainer)[:, :-1], before)
    assert "head_start='probe' has no effect: the head was trained" in caplog.text


def test_a_stream_has_no_probe(make_trainer, make_rows, make_args):
    rows = make_rows()
    stream = rows.to_iterable_dataset()
    make_trainer(train_dataset=stream, args=make_args(max_steps=1)).train()
    with pytest.raises(UsageError, match="head_start='probe' reads training rows by index, and the data is a stream"):
        make_trainer(train_dataset=stream, args=make_args(max_steps=1), head_start="probe").train()


_SMALL = dict.fromkeys(("hidden_size", "d_model", "n_embd", "embed_dim", "dim", "intermediate_size"), 16)
_SMALL |= dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "encoder_layers", "decoder_layers"), 1)
_SMALL |= dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "num_key_value_heads"), 2)
_SMALL |= {"head_dim": 8, "vocab_size": 50, "max_position_embeddings": 64, "pad_token_id": 0}
_WITHOUT = ("DeiTForImageClassificationWithTeacher", "PPLCNet", "ShieldGemma2", "SwiftFormer")  # docs/drop-in.md


def _made_small(cls):
    """The model on no device, as small as its config lets itself be made; None where it cannot be made here."""
    known = {name: value for name, value in _SMALL.items() if hasattr(cls.config_class(), name)}
    for arguments in (known, {name: known[name] for name in known if name in ("vocab_size", "num_hidden_layers")}, {}):
        with contextlib.suppress(Exception), torch.device("meta"):
            return cls(cls.config_class(**arguments, num_labels=5))
    return None


@pytest.mark.slow
def test_the_head_of_every_model_for_classification_is_found():
    kinds = ("SEQUENCE", "IMAGE", "AUDIO", "VIDEO", "TOKEN")
    mappings = (getattr(modeling_auto, f"MODEL_FOR_{kind}_CLASSIFICATION_MAPPING_NAMES") for kind in kinds)
    names = {name for mapping in mappings for of in mapping.values() for name in ([of] if isinstance(of, str) else of)}
    made = {name: _made_small(cls) for name in sorted(names) if (cls := getattr(transformers, name, None))}
    made = {name: model for name, model in made.items() if model is not None}
    assert len(made) > 250
    without = [name for name, model in made.items() if trained_head(model, 5) is None]
    assert [name for name in without if not name.startswith(_WITHOUT)] == []
