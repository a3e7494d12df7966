"""The classification head of a model: found by name, and where a fresh one starts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

HEAD_MODULES = ("classifier", "score", "classification_head", "logits_proj")
"""What models of transformers call their classification head."""

_TIMES_FASTER, _FASTEST = 30.0, 6e-3


def linear_heads(model: nn.Module, n_labels: int) -> list[nn.Linear]:
    """The linear layers of a model that could give its logits: one output a label, in a module with a usual name."""
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module.out_features == n_labels
        and set(name.split(".")) & set(HEAD_MODULES)
        and "lora_" not in name
    ]


def frozen_head(model: Any) -> str | None:
    """The name of the classification head if none of its parameters is trained (as with LoRA alone); else None."""
    for head in HEAD_MODULES:
        parameters = [p for name, p in model.named_parameters() if head in name.split(".")]
        if parameters:
            return None if any(p.requires_grad for p in parameters) else head
    return None


def trained_head(model: nn.Module, n_labels: int) -> nn.Linear | None:
    """The head's last layer, if it is linear and trained; else None. A hidden layer of the head may be as wide."""
    heads = [head for head in linear_heads(model, n_labels) if head.weight.requires_grad]
    return heads[-1] if heads else None


def is_fresh(head: nn.Linear) -> bool:
    """Whether a head is new: its bias is trained, and 0 throughout, as transformers makes it."""
    bias = head.bias
    if bias is None or bias.is_meta or not bias.requires_grad or len(bias) != head.out_features:
        return False
    return not bool(bias.detach().any())


def start_head(head: nn.Linear, logits: np.ndarray) -> None:
    """Set the bias of a fresh head, so that the model's first logits are about these; see `best_constant_logits`."""
    with torch.no_grad():
        head.bias.copy_(torch.as_tensor(logits))


def fresh_head_rate(learning_rate: float) -> float:
    """The learning rate of a fresh head beside a pretrained encoder's: 30 times it, at most 0.006, but never less.

    Measured (docs/choosing-a-loss.md). Before the head has learned, what it sends back to the encoder is noise, which
    changes features that were good (Kumar et al., 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution").

    >>> fresh_head_rate(2e-4), fresh_head_rate(1e-3), fresh_head_rate(0.01)
    (0.006, 0.006, 0.01)
    """
    return max(learning_rate, min(_TIMES_FASTER * learning_rate, _FASTEST))


def split_off(optimizer: torch.optim.Optimizer, head: nn.Linear, rate: Callable[[Any], Any]) -> bool:
    """Give a head parameter groups of its own in an optimizer that has made no step; say whether it has any of them.

    Args:
        optimizer: changed in place: to each group of parameters one is added with those of the head in it, if any.
        head: the layer.
        rate: gives the learning rate of the head from that of the group that its parameters were in.
    """
    found, of_head = False, {id(parameter) for parameter in head.parameters()}
    for group in list(optimizer.param_groups):
        moved = [parameter for parameter in group["params"] if id(parameter) in of_head]
        if moved:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in of_head]
            optimizer.add_param_group({**group, "params": moved, "lr": rate(group["lr"])})
            found = True
    return found
