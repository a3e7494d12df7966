"""The classification head: found by name, where a fresh one starts, and how fast it learns."""

import copy
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from torch import nn
from transformers import TrainingArguments

from ..labels.distribution import LabelDistribution
from ..losses.objective import best_constant_logits
from ..utils.console import console_print
from ..utils.constants import MULTI_LABEL
from ..utils.errors import UsageError
from .arguments import ImbalanceOptions
from .problem import Problem

logger = logging.getLogger(__name__)

HEAD_MODULES = ("classifier", "score", "classification_head", "logits_proj")
"""Names of the classification head in models of transformers."""

_TIMES_FASTER, _FASTEST = 30.0, 6e-3


class HeadStart:
    """Starts a fresh head at a good bias and gives it a learning rate of its own.

    Args:
        options: the trainer's options (`init_head_bias`, `head_learning_rate`).
        problem: what the labels are for.
        args: the training arguments.
    """

    def __init__(self, options: ImbalanceOptions, problem: Problem, args: TrainingArguments) -> None:
        self.options, self.problem, self.args = options, problem, args
        self._is_fresh = False
        self._started: nn.Linear | None = None  # the head whose bias was set, which is fresh all the same

    def with_options(self, options: ImbalanceOptions) -> "HeadStart":
        """The same head under other options, as hyper-parameter search tries them."""
        other = copy.copy(self)
        other.options = options
        return other

    def prepare(self, model: nn.Module, loss: nn.Module | None, counts: LabelDistribution | None) -> None:
        """Look whether the head of a model is fresh, and if so set its bias (see `best_constant_logits`).

        Args:
            model: the model.
            loss: the loss of the first update; None where it is not ours, and the bias stays.
            counts: of the rows that training draws; None where they are not known, and the bias stays.
        """
        head = trained_head(model, self.problem.n_labels)
        self._is_fresh = head is not None and (head is self._started or is_fresh(head))
        if self.args.world_size > 1:  # where one process alone reads the weights, only it can tell
            self._is_fresh = broadcast_object_list([self._is_fresh])[0]
        is_wanted = self.options.init_head_bias and self.problem.type == MULTI_LABEL
        if not (self._is_fresh and is_wanted) or loss is None or counts is None:
            return
        if head is None or head.bias.is_meta:  # set on the process that reads the weights
            return
        self._started = head
        start_head(head, best_constant_logits(loss, counts.support, counts.known))
        logger.info("The head's bias starts where the loss is least without a look at the input.")

    def split(self, optimizer: torch.optim.Optimizer, model: Any, is_ours: bool) -> None:
        """Give the head parameter groups, and a learning rate, of its own in an optimizer that has made no step.

        Args:
            optimizer: changed in place.
            model: the model.
            is_ours: whether Trainer made the optimizer. One of the user's stays as it is.

        Raises:
            UsageError: head_learning_rate is set and would have no effect.
        """
        asked = self.options.head_learning_rate
        head = trained_head(model, self.problem.n_labels) if is_ours else None
        is_split = False
        if head is not None and (asked is not None or self.problem.type == MULTI_LABEL):
            is_split = split_off(optimizer, head, self._rate)
        if asked is not None and not is_split:
            nowhere = "no linear layer of the model's head was found among the parameters that are trained"
            why = nowhere if is_ours else "the optimizer is one of yours"
            raise UsageError(f"head_learning_rate would have no effect, as {why}; leave it out.")
        if is_split and asked is None and self.args.process_index == 0:
            rest, rate = (optimizer.param_groups[i]["lr"] for i in (0, -1))
            if rate != rest:
                times = f"{rate / rest:.3g} times the rate of the rest"
                console_print(
                    "", f"The head is new: it learns at {rate:.2g}, {times} (head_learning_rate sets another)."
                )

    def _rate(self, rate: Any) -> Any:
        """The head's learning rate beside the encoder's. An optimizer without a rate keeps it so."""
        if self.options.head_learning_rate is not None:
            return self.options.head_learning_rate
        return fresh_head_rate(rate) if self._is_fresh and isinstance(rate, float) else rate


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


def trained_head(model: nn.Module, n_labels: int) -> nn.Linear | None:
    """The head's last layer, if it is linear and trained; else None. A hidden layer of the head may be as wide."""
    heads = [head for head in linear_heads(model, n_labels) if head.weight.requires_grad]
    return heads[-1] if heads else None


def frozen_head(model: nn.Module) -> str | None:
    """The name of the classification head if none of its parameters is trained (as with LoRA alone); else None."""
    for head in HEAD_MODULES:
        parameters = [p for name, p in model.named_parameters() if head in name.split(".")]
        if parameters:
            return None if any(p.requires_grad for p in parameters) else head
    return None


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

    Measured (docs/losses.md). Before the head has learned, what it sends back to the encoder is noise, which
    changes features that were good (Kumar et al., 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution").

    >>> fresh_head_rate(2e-4), fresh_head_rate(1e-3), fresh_head_rate(0.01)
    (0.006, 0.006, 0.01)
    """
    return max(learning_rate, min(_TIMES_FASTER * learning_rate, _FASTEST))


def split_off(optimizer: torch.optim.Optimizer, head: nn.Linear, rate: Callable[[Any], Any]) -> bool:
    """Give a head parameter groups of its own; say whether the optimizer has any of its parameters.

    Args:
        optimizer: changed in place: beside each group that has parameters of the head, a group with them is added.
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
