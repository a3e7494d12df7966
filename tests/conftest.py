"""Small models and data sets, made on the spot: no test needs a network."""

import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # models are tiny: a second thread only waits for the first

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import RobertaConfig, RobertaForSequenceClassification

from imbalance_trainer import ImbalanceTrainingArguments, WeightedFocalTrainer
from imbalance_trainer.data.demo import demo_model

N_LABELS = 4


def vector(model):
    """All weights of a model, in fp32."""
    return torch.cat([p.detach().float().flatten() for p in model.parameters()])


def trained(trainer):
    """The weights after training."""
    trainer.train()
    return vector(trainer.model)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    import datasets

    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets")


@pytest.fixture
def make_model():
    def make(num_labels=N_LABELS, seed=0, cls=RobertaForSequenceClassification, **config):
        torch.manual_seed(seed)
        settings = {
            "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 24, "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2, "pad_token_id": 1,
        }  # fmt: skip
        return cls(RobertaConfig(**{**settings, "num_labels": num_labels, **config}))

    return make


@pytest.fixture
def make_rows():
    """Rows whose labels can be told from their tokens: label l is there where token 10 + l is."""

    def make(n=64, num_labels=N_LABELS, seed=0, kind="multi-hot", prevalence=None):
        rng = np.random.default_rng(seed)
        prevalence = prevalence or [0.5, 0.4, 0.3, 0.2][:num_labels]
        hot = (rng.random((n, num_labels)) < prevalence).astype(int)
        tokens = np.where(hot, 10 + np.arange(num_labels), 30 + rng.integers(0, 5, hot.shape))
        ids = np.concatenate([np.zeros((n, 1), int), tokens, rng.integers(20, 30, (n, 3))], 1)
        labels = {
            "multi-hot": hot.tolist(),
            "floats": hot.astype(float).tolist(),
            "classes": hot.argmax(1).tolist(),
        }[kind]
        return Dataset.from_dict(
            {"input_ids": ids.tolist(), "attention_mask": np.ones_like(ids).tolist(), "labels": labels}
        )

    return make


@pytest.fixture
def make_args(tmp_path):
    def make(cls=ImbalanceTrainingArguments, **changes):
        settings = {
            "output_dir": str(tmp_path / "out"), "max_steps": 2, "per_device_train_batch_size": 8,
            "per_device_eval_batch_size": 16, "use_cpu": True, "report_to": "none", "save_strategy": "no",
            "disable_tqdm": True, "dataloader_pin_memory": False,
        }  # fmt: skip
        return cls(**{**settings, **changes})

    return make


@pytest.fixture
def make_trainer(make_model, make_rows, make_args):
    """A trainer on rows that can be learned, with rows to evaluate on; every part of it may be another."""

    def make(model=None, args=None, train_dataset=None, cls=WeightedFocalTrainer, **keywords):
        return cls(
            model if model is not None else make_model(),
            args or make_args(),
            train_dataset=make_rows() if train_dataset is None else train_dataset,
            **{"eval_dataset": make_rows(seed=1), **keywords},
        )

    return make


@pytest.fixture
def small_training(tmp_path):
    """Flags of `train` on one small file, data/train.jsonl, with an encoder of its own."""
    rng = np.random.default_rng(0)
    rows = [
        {"text": f"{'good ' * g}{'bad ' * b}row {i}", "labels": [name for name, on in (("good", g), ("bad", b)) if on]}
        for i in range(60)
        for g, b in [rng.integers(0, 2, 2).tolist()]
    ]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    model, tokenizer = demo_model()
    model.roberta.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    return [
        str(tmp_path / "data"), "--model_name_or_path", str(tmp_path / "encoder"), "--max_steps", "3",
        "--disable_tqdm", "true", "--report_to", "none", "--output_dir", str(tmp_path / "out"),
    ]  # fmt: skip
