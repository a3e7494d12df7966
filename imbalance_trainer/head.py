"""The classification head of a model: found by name, and where a fresh one starts."""

from typing import Any

import numpy as np
import torch
from torch import nn

HEAD_MODULES = ("classifier", "score", "classification_head", "logits_proj")
"""What models of transformers call their classification head."""


def linear_heads(model: nn.Module, n_labels: int) -> list[nn.Linear]:
    """The linear layers of a model that could give its logits: one output a label, in a module with a usual name."""
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module.out_features == n_labels
        and set(name.split(".")) & set(HEAD_MODULES)
    ]


def frozen_head(model: Any) -> str | None:
    """The name of the classification head if none of its parameters is trained (as with LoRA alone); else None."""
    for head in HEAD_MODULES:
        parameters = [p for name, p in model.named_parameters() if head in name.split(".")]
        if parameters:
            return None if any(p.requires_grad for p in parameters) else head
    return None


def start_head(model: nn.Module, logits: np.ndarray) -> bool:
    """Set the bias of a fresh head, so that the model's first logits are about these; say whether it was.

    Fresh is a head of one linear layer whose bias is 0 throughout, as transformers makes it, and is trained; any other
    stays as it is.

    Args:
        model: changed in place.
        logits: (labels,), see `best_constant_logits`.
    """
    fresh = [
        head.bias
        for head in linear_heads(model, len(logits))
        if head.bias is not None and head.bias.requires_grad and head.bias.shape == (len(logits),)
    ]
    if len(fresh) != 1 or bool(fresh[0].detach().any()):
        return False
    with torch.no_grad():
        fresh[0].copy_(torch.as_tensor(logits))
    return True
