"""Where a fresh head starts, on models of transformers and on others."""

import numpy as np
import pytest
import torch
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
)

from imbalance_trainer import WeightedFocalTrainer
from imbalance_trainer.head import start_head

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
    assert start_head(model, LOGITS)
    logits = model(torch.tensor([[1, 2, 3]])).logits
    np.testing.assert_allclose(logits.detach().numpy()[0], LOGITS, atol=0.2)  # the weights beside the bias are small


def test_a_head_that_was_trained_or_is_frozen_or_has_no_bias_stays():
    model = MODELS["bert"]()
    model.classifier.bias.data[0] = 0.1
    before = model.classifier.bias.clone()
    assert not start_head(model, LOGITS)
    assert torch.equal(model.classifier.bias, before)
    frozen = MODELS["bert"]()
    frozen.classifier.requires_grad_(False)
    assert not start_head(frozen, LOGITS)
    assert not frozen.classifier.bias.any()
    without = GPT2ForSequenceClassification(
        GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20, num_labels=3, n_positions=8)
    )
    assert not start_head(without, LOGITS)  # "score" has no bias
    assert not start_head(nn.Sequential(nn.Linear(4, 3)), LOGITS)  # no module with a head's name
    assert not start_head(MODELS["bert"](), np.zeros(4))  # another number of labels


def test_the_trainer_starts_a_fresh_head_with_no_gradient_of_its_bias(make_trainer, make_rows, make_model, make_args):
    rows = make_rows(n=64)
    trainer = make_trainer(train_dataset=rows, constraint="none")
    labels = torch.tensor(rows["labels"])
    bias = trainer.model.classifier.out_proj.bias.detach().clone().requires_grad_()
    assert bias.any()
    trainer.training_objective.loss(bias.expand(labels.shape), labels, reduction="sum").backward()
    assert bias.grad.abs().max() < 1e-2  # of 64 rows
    sampled = make_trainer(
        train_dataset=rows, constraint="none", sampler="class_aware", loss="bce", class_weights=None
    )
    drawn = np.array(rows["labels"])[[int(i) for epoch in range(20) for i in sampled._row_sampler().order(epoch)]]
    share = torch.tensor(drawn.mean(0))
    start = sampled.model.classifier.out_proj.bias.detach().double()
    torch.testing.assert_close(start, torch.log(share / (1 - share)), atol=0.15, rtol=0)
    assert not make_trainer(train_dataset=rows, init_head_bias=False).model.classifier.out_proj.bias.any()
    model = make_model()
    WeightedFocalTrainer(model, make_args(), eval_dataset=rows)  # nothing is trained
    assert not model.classifier.out_proj.bias.any()
