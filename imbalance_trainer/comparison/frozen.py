"""A cheap comparison: every text is encoded once by an encoder that stays as it is, and only heads are trained."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from tqdm.auto import trange
from transformers import PreTrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput

from ..utils.files import atomic_write

_BATCH = 64


class FeatureHead(nn.Module):
    """A head of two layers on features.

    Args:
        width: of the features.
        n_labels: outputs.
        problem_type: multi-label or single-label.
        hidden: width between the layers.

    Shapes: features (rows, width) in, logits (rows, labels) out, as models of transformers give them.
    """

    def __init__(self, width: int, n_labels: int, problem_type: str, hidden: int = 256) -> None:
        super().__init__()
        self.config = PreTrainedConfig.from_dict({"num_labels": n_labels, "problem_type": problem_type})
        self.hidden = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(0.2))
        self.classifier = nn.Linear(hidden, n_labels)
        nn.init.zeros_(self.classifier.bias)  # as transformers starts its heads

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> SequenceClassifierOutput:
        """Logits; with labels also the loss that a stock model of transformers has."""
        logits = self.classifier(self.hidden(features))
        if labels is None:
            return SequenceClassifierOutput(logits=logits)
        if labels.ndim == logits.ndim:
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
        else:
            loss = nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def encoded(split: Dataset, encoder: Any, tokenizer: Any, max_length: int, cache: Path) -> Dataset:
    """A split with a column `features` (the mean of the encoder's last layer over the text's tokens) and its labels.

    Args:
        split: with the columns `text` and `labels`.
        encoder: a model of transformers that gives last_hidden_state.
        tokenizer: its tokenizer.
        max_length: tokens of a text that are read.
        cache: a folder for the features, by what the texts are.
    """
    texts = split["text"][:]
    file = cache / f"features-{_digest(texts, encoder, max_length)}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as unfinished, open(unfinished, "wb") as out:
            np.save(out, _features(texts, encoder, tokenizer, max_length))
    content = {"features": np.load(file), "labels": split["labels"][:]}
    return Dataset.from_dict(content).cast_column("labels", split.features["labels"]).with_format("torch")


@torch.no_grad()
def _features(texts: Sequence[str], encoder: Any, tokenizer: Any, max_length: int) -> np.ndarray:
    encoder = encoder.eval().to(torch.accelerator.current_accelerator() or "cpu")
    features = np.empty((len(texts), encoder.config.hidden_size), dtype=np.float32)
    order = np.argsort([len(text) for text in texts], kind="stable")  # alike in length, so that little is padding
    for start in trange(0, len(order), _BATCH, desc=f"Encoding {len(texts):,} texts"):
        part = order[start : start + _BATCH]
        inputs = tokenizer(
            [texts[i] for i in part], truncation=True, max_length=max_length, padding=True, return_tensors="pt"
        ).to(encoder.device)
        mask = inputs["attention_mask"][..., None]
        hidden = encoder(**inputs).last_hidden_state
        features[part] = ((hidden * mask).sum(1) / mask.sum(1).clamp(min=1)).float().cpu().numpy()
    return features


def _digest(texts: Sequence[str], encoder: Any, max_length: int) -> str:
    what = hashlib.sha256(f"{encoder.config.to_json_string()} {max_length}".encode())
    for parameter in encoder.parameters():
        what.update(parameter.detach().float().cpu().numpy().tobytes())
    for text in texts:
        what.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return what.hexdigest()[:16]
