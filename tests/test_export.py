"""imbalance-trainer export: a copy whose plain 0.5 decides as the tuned thresholds do."""

import logging

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    pipeline,
)

from imbalance_trainer import ImbalanceTextClassificationPipeline
from imbalance_trainer.cli.export import bake_thresholds, main
from imbalance_trainer.data.demo import demo_data, demo_model
from imbalance_trainer.decisions.rule import DecisionRule
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.utils.constants import CONFIG_KEY, MULTI_LABEL
from imbalance_trainer.utils.errors import UsageError

SCHEMA = LabelSchema(list("abc"), implications=[("b", "a")])
THRESHOLDS = [0.2, 0.5, 0.9]
SHAPE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SMALL = {"vocab_size": 30, "num_labels": 3, "problem_type": MULTI_LABEL, "pad_token_id": 0}


def small(cls, config):
    torch.manual_seed(0)
    return cls(config).eval()


def bert():
    return small(BertForSequenceClassification, BertConfig(**SHAPE, **SMALL))


def distilbert():
    return small(
        DistilBertForSequenceClassification, DistilBertConfig(dim=16, n_layers=1, n_heads=2, hidden_dim=16, **SMALL)
    )


def llama():
    return small(LlamaForSequenceClassification, LlamaConfig(num_key_value_heads=2, **SHAPE, **SMALL))


def tuned(model, schema=SCHEMA, thresholds=THRESHOLDS, **more):
    rule = DecisionRule(schema, thresholds, **more)
    schema.to_config(model.config, constraint="gold")
    rule.to_config(model.config)
    return rule


def logits_of(model):
    ids = torch.randint(1, 30, (200, 6), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


@pytest.mark.parametrize("make", [bert, distilbert])
def test_a_logit_over_0_is_a_tuned_decision(make, make_model):
    model = make()
    head = model.classifier
    torch.nn.init.normal_(head.weight, std=3.0)
    rule = tuned(model)
    expected = rule.margins(logits_of(model))
    bake_thresholds(model)
    torch.testing.assert_close(logits_of(model), expected, rtol=1e-5, atol=1e-5)
    assert ((logits_of(model) > 0) == (expected > 0)).all()
    assert 0 < (expected > 0).float().mean() < 1


def test_roberta_s_head_is_found_inside_its_classification_head(make_model):
    model = make_model(num_labels=3, problem_type=MULTI_LABEL).eval()
    rule = tuned(model)
    expected = rule.margins(logits_of(model)[:, :])
    bake_thresholds(model)
    torch.testing.assert_close(logits_of(model), expected, rtol=1e-5, atol=1e-5)


def test_the_config_says_what_was_done_and_our_pipeline_decides_at_half(make_model):
    model = make_model(num_labels=3, problem_type=MULTI_LABEL).eval()
    tuned(model)
    bake_thresholds(model)
    ours = getattr(model.config, CONFIG_KEY)
    assert ours["baked_thresholds"] == dict(zip("abc", THRESHOLDS, strict=True))
    assert "thresholds" not in ours
    assert not DecisionRule.from_config(model.config).is_tuned
    with pytest.raises(UsageError, match="baked in already"):
        bake_thresholds(model)


def test_heads_that_cannot_be_shifted_are_refused_with_the_reason():
    model = llama()
    tuned(model)
    with pytest.raises(UsageError, match="head of LlamaForSequenceClassification has no bias to shift"):
        bake_thresholds(model)
    model = bert()
    with pytest.raises(UsageError, match="no tuned thresholds in its config"):
        bake_thresholds(model)


@pytest.fixture
def saved(tmp_path):
    """The demo's model with thresholds, saved."""
    data = demo_data(1)
    net, tokenizer = demo_model(data.schema, 1)
    torch.nn.init.normal_(net.classifier.out_proj.weight, std=1.0)
    net.config.problem_type = MULTI_LABEL
    tuned(net, data.schema, np.linspace(0.2, 0.8, 11))
    net.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model", data


def test_the_stock_pipeline_decides_at_half_as_ours_did(saved, tmp_path, capsys, caplog):
    folder, data = saved
    texts = data.splits["test"]["text"][:100]
    ours = pipeline("text-classification", str(folder), pipeline_class=ImbalanceTextClassificationPipeline)
    with torch.no_grad():
        margins = torch.cat(
            [ours.rule.margins(ours.model(**ours.tokenizer(t, return_tensors="pt")).logits) for t in texts]
        )
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    main(["--model_dir", str(folder), "--output_dir", str(tmp_path / "baked")])
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    stock = pipeline("text-classification", str(tmp_path / "baked"), top_k=None)
    results = stock(texts)
    decided = [{row["label"] for row in labels if row["score"] > 0.5} for labels in results]
    expected = [{data.schema.names[i] for i in np.flatnonzero(row > 0)} for row in margins]
    assert decided == expected
    assert "may be broken" in capsys.readouterr().out
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="imbalance_trainer"):
        baked = pipeline(
            "text-classification", str(tmp_path / "baked"), pipeline_class=ImbalanceTextClassificationPipeline
        )
    assert caplog.text == ""
    closed = [{row["label"] for row in labels} for labels in baked(texts)]
    assert closed == [{row["label"] for row in labels} for labels in ours(texts)]


def test_what_is_wrong_with_the_flags_is_said(saved, tmp_path):
    folder, _ = saved
    model = ["--model_dir", str(folder)]
    with pytest.raises(UsageError, match="is there already and not empty"):
        main([*model, "--output_dir", str(tmp_path)])
    with pytest.raises(UsageError, match="no folder of a saved model"):
        main(["--model_dir", str(tmp_path), "--output_dir", str(tmp_path / "x")])
    assert not (tmp_path / "x").exists()
    with pytest.raises(UsageError, match="output_dir"):
        main([*model])


@pytest.mark.slow
def test_an_onnx_export_decides_the_same(saved, tmp_path):
    """As docs/thresholds.md describes it; runs where onnxruntime and onnxscript are installed."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder, data = saved
    ours = pipeline("text-classification", str(folder), pipeline_class=ImbalanceTextClassificationPipeline)
    texts = data.splits["test"]["text"][:100]
    batch = ours.tokenizer(texts, padding=True, return_tensors="pt")
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "batch", 1: "length"} for name in names}

    class Logits(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    model = Logits(AutoModelForSequenceClassification.from_pretrained(folder).eval())
    example = tuple(batch[name][:2] for name in names)
    torch.onnx.export(
        model, example, tmp_path / "model.onnx", input_names=names, output_names=["logits"], dynamic_axes=axes
    )
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    (logits,) = session.run(None, {name: batch[name].numpy() for name in names})
    decided = ours.rule.decide(logits).tolist()
    expected = [[name in {row["label"] for row in labels} for name in data.schema.names] for labels in ours(texts)]
    assert decided == expected
