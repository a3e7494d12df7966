"""A head over several layers: saved, loaded, trained, and where this package is not installed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel, DistilBertConfig, DistilBertModel

from imbalance_trainer import LayerHeadForSequenceClassification

TINY = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 16}
IDS = torch.tensor([[2, 5, 6, 3, 0, 0], [2, 7, 8, 9, 4, 3]])
MASK = (IDS > 0).long()


@pytest.fixture
def encoder(tmp_path):
    torch.manual_seed(0)
    BertModel(BertConfig(**TINY, vocab_size=40, max_position_embeddings=16)).save_pretrained(tmp_path / "encoder")
    return str(tmp_path / "encoder")


def make(encoder, **kwargs):
    return LayerHeadForSequenceClassification.from_encoder(
        encoder, num_labels=3, problem_type="multi_label_classification", **kwargs
    ).eval()


def test_the_head_sees_the_pooled_output_and_the_means_of_its_layers(encoder):
    model = make(encoder)
    assert model.config.layers == [0, 2, 4]
    outputs = BertModel.from_pretrained(encoder).eval()(IDS, attention_mask=MASK, output_hidden_states=True)
    means = [
        torch.stack([hidden[row, :n].mean(0) for row, n in enumerate(MASK.sum(1))])
        for hidden in (outputs.hidden_states[layer] for layer in (0, 2, 4))
    ]
    expected = model.classifier(torch.cat([outputs.pooler_output, *means], 1))
    torch.testing.assert_close(model(input_ids=IDS, attention_mask=MASK).logits, expected)


def test_layers_are_chosen_and_an_encoder_without_a_pooled_output_does(tmp_path, encoder):
    assert make(encoder, layers=[4]).classifier.in_features == 2 * 16
    with pytest.raises(ValueError, match="layers must lie between 0 and 4, the encoder's layers; got \\[5\\]"):
        make(encoder, layers=[5])
    DistilBertModel(DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=16, vocab_size=40)).save_pretrained(
        tmp_path / "distil"
    )
    model = make(str(tmp_path / "distil"))
    assert model.classifier.in_features == 3 * 16
    assert model(input_ids=IDS, attention_mask=MASK).logits.shape == (2, 3)


def test_a_saved_folder_loads_here_and_with_trust_remote_code_where_this_package_is_not(tmp_path, encoder):
    model = make(encoder)
    model.save_pretrained(tmp_path / "saved")
    here = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    logits = model(input_ids=IDS, attention_mask=MASK).logits
    assert torch.equal(here(input_ids=IDS, attention_mask=MASK).logits, logits)
    code = f"""
import sys, torch
sys.modules["imbalance_trainer"] = None  # importing it fails
from transformers import AutoModelForSequenceClassification
folder, ids = {str(tmp_path / "saved")!r}, torch.tensor({IDS.tolist()})
try:
    AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=False)
except ValueError as error:
    print("refused:", "trust_remote_code" in str(error))
model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()
print(model(input_ids=ids, attention_mask=(ids > 0).long()).logits.tolist())
"""
    environment = {"HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    refused, found = done.stdout.splitlines()
    assert refused == "refused: True"
    np.testing.assert_allclose(eval(found), logits.tolist(), atol=1e-6)


def test_it_trains_from_a_probe_and_evaluates_as_any_model(make_trainer, make_rows, make_args, encoder, capsys):
    model = LayerHeadForSequenceClassification.from_encoder(
        encoder, num_labels=4, problem_type="multi_label_classification"
    )
    args = make_args(max_steps=20, bf16=True, gradient_checkpointing=True, head_start="probe")
    trainer = make_trainer(model=model, args=args, train_dataset=make_rows(n=200), compute_metrics=None)
    trainer.train()
    assert "The head starts from a linear probe (before training: f1_macro" in capsys.readouterr().out
    assert trainer.evaluate()["eval_f1_macro"] > 0.9
    trainer.create_model_card()
    card = (Path(args.output_dir) / "README.md").read_text(encoding="utf-8")
    assert "AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)" in card


@pytest.mark.parametrize(
    "order",
    [
        "import imbalance_trainer; from transformers import AutoModelForSequenceClassification as Auto",
        pytest.param(
            "from transformers import AutoModelForSequenceClassification as Auto; import imbalance_trainer",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_importing_the_package_is_enough_in_either_order(tmp_path, encoder, order):
    make(encoder).save_pretrained(tmp_path / "saved")
    code = f"import sys; {order}; print(type(Auto.from_pretrained({str(tmp_path / 'saved')!r})).__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "imbalance_trainer.training.layer_head", done.stderr
