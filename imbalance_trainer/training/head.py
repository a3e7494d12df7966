"""The classification head: found by name, where a fresh one starts, and how fast it learns."""

import copy
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.utils.data import Subset
from tqdm.auto import trange
from transformers import TrainingArguments

from ..labels.distribution import LabelDistribution
from ..losses.objective import best_constant_logits
from ..tuning.probe import fit_probe
from ..tuning.threshold_search import f_score
from ..utils.console import console_print
from ..utils.constants import MULTI_LABEL
from ..utils.errors import UsageError
from ..utils.numeric import multi_hot
from .arguments import ImbalanceOptions
from .layer_head import LayerHeadConfig, first_middle_last
from .problem import Problem

logger = logging.getLogger(__name__)

HEAD_MODULES = ("classifier", "score", "classification_head", "logits_proj", "fc", "sequence_summary", "final_layer")
"""Names of the classification head in models of transformers."""

_TIMES_FASTER, _FASTEST = 30.0, 6e-3
_TIMES_AFTER_PROBE = 3.0
_PROBE_ROWS, _MOST_LABELS = 10_000, 4_000
_BATCH = 64


class HeadStart:
    """Starts a fresh head where it is good already, and gives it a learning rate of its own.

    Args:
        options: the trainer's options (`head_start`, `head_learning_rate`).
        problem: what the labels are for.
        args: the training arguments.

    Attributes:
        start: "probe", "bias" or "none": where the head started; None where a resumed run started it.
    """

    def __init__(self, options: ImbalanceOptions, problem: Problem, args: TrainingArguments) -> None:
        self.options, self.problem, self.args = options, problem, args
        self.start: str | None = "none"
        self._is_fresh = self._sees_layers = False
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
            counts: of the training rows; None where they are not known, and the bias stays.

        Raises:
            UsageError: `head_start` is "probe" or "bias", and no linear layer gives the logits.
        """
        head, self.start = trained_head(model, self.problem.n_labels), "none"
        self._sees_layers = getattr(getattr(model, "config", None), "model_type", None) == LayerHeadConfig.model_type
        asked = self.options.head_start
        if head is None and loss is not None and asked in ("probe", "bias"):
            raise UsageError(
                f"head_start={asked!r} needs a head that ends in a trained linear layer with one output for each of "
                f"the {self.problem.n_labels} labels; {type(model).__name__} has none. Leave head_start out."
            )
        self._is_fresh = head is not None and (head is self._started or is_fresh(head))
        if self.args.world_size > 1:  # where one process alone reads the weights, only it can tell
            self._is_fresh = broadcast_object_list([self._is_fresh])[0]
        is_wanted = asked != "none" and self.problem.type == MULTI_LABEL
        if not (self._is_fresh and is_wanted) or loss is None or counts is None:
            return
        if head is None or head.bias.is_meta:  # set on the process that reads the weights
            return
        self._started, self.start = head, "bias"
        start_bias(head, best_constant_logits(loss, counts.support, counts.known))

    def probe_rows(self, dataset: Any) -> Any:
        """The training rows that a probe is fitted to, at most 10,000; None where there is to be no probe.

        Raises:
            UsageError: `head_start` is "probe", and the data is a stream.
        """
        is_asked = self.options.head_start == "probe"
        is_auto = self.options.head_start == "auto" and self._sees_layers
        is_wanted = is_asked or (is_auto and self.problem.type == MULTI_LABEL)
        if not (is_wanted and self._is_fresh):
            if is_asked:
                logger.warning("head_start='probe' has no effect: the head was trained, or has no bias; it stays.")
            return None
        why_not = None
        if self.problem.n_labels > _MOST_LABELS:
            why_not = f"is for at most {_MOST_LABELS:,} labels"
        elif self.problem.tokens:
            why_not = "is for one head a row, and here each token has a label"
        elif self.args.deepspeed or self.args.fsdp:
            why_not = "needs the whole head on each device, and DeepSpeed or FSDP cut it up"
        elif not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            why_not = "reads training rows by index, and the data is a stream"
        if why_not is not None:
            if is_asked:
                raise UsageError(f"head_start='probe' {why_not}; take 'bias'.")
            return None
        rows = np.sort(np.random.default_rng(0).permutation(len(dataset))[:_PROBE_ROWS])
        if not hasattr(dataset, "select"):
            return Subset(dataset, rows.tolist())
        dataset = dataset.select(rows)
        if "input_ids" not in dataset.column_names:
            return dataset
        lengths = [len(ids) for ids in dataset["input_ids"]]  # batches of one length have little padding
        return dataset.select(np.argsort(lengths, kind="stable"))

    def probe(
        self,
        model: nn.Module,
        dataloader: Any,
        accelerator: Any,
        loss: nn.Module,
        predict: Callable[[Any], Any],
        labels_of: Callable[[Any], Tensor | None],
    ) -> None:
        """Start the head from a linear probe on what enters it, the encoder as it is (Kumar et al., 2022).

        With "auto" a head over several layers starts so, and any other from its bias (docs/losses.md has the
        measurements). Every process ends with the same head.

        Args:
            model: the model, on its device.
            dataloader: batches of the rows.
            accelerator: gathers what other processes have.
            loss: the loss of the first update.
            predict: calls the model with a batch, in evaluation mode.
            labels_of: gives a batch's labels.
        """
        began, loss = time.perf_counter(), loss.to(accelerator.device)
        head = trained_head(model, self.problem.n_labels)
        assert head is not None
        with torch.random.fork_rng(devices=[]):  # so that training draws what it would have drawn without a probe
            seen = _collected(head, dataloader, accelerator, predict, labels_of)
        layer = None
        if accelerator.is_main_process and seen is not None:
            layer = self._fitted(head, *seen, loss, began)
        layer = broadcast_object_list([layer])[0] if self.args.world_size > 1 else layer
        if layer is not None:
            self.start = "probe"
            with torch.no_grad():
                head.weight.copy_(layer[0])
                if head.bias is not None:
                    head.bias.copy_(layer[1])

    def _fitted(
        self, head: nn.Linear, features: Tensor, labels: Tensor, loss: nn.Module, began: float
    ) -> tuple[Tensor, Tensor]:
        """Weight and bias of the probe."""
        n_labels = self.problem.n_labels
        bias = head.weight.new_zeros(n_labels) if head.bias is None else head.bias.detach()
        probe = fit_probe(features.to(head.weight.device), labels.to(head.weight.device), loss, bias.float())
        gold = multi_hot(labels.float(), n_labels)
        held_out = probe.held_out
        decided, positive = probe.logits > 0, gold[held_out] > 0.5
        counts = ((decided & positive).sum(0), (decided & (gold[held_out] >= 0)).sum(0), positive.sum(0))
        f1 = f_score(*counts)[positive.any(0)].mean() if positive.any() else 0.0
        seconds = time.perf_counter() - began
        console_print(
            f"The head starts from a linear probe (before training: f1_macro {f1:.2f}): average precision "
            f"{probe.average_precision:.3f} on {len(held_out):,} held-out training rows, {seconds:.1f} s (head_start "
            "sets another start)."
        )
        return probe.weight.cpu(), probe.bias.cpu()

    def split(self, optimizer: torch.optim.Optimizer, model: Any, is_ours: bool, resumes: bool = False) -> None:
        """Give the head parameter groups, and a learning rate, of its own in an optimizer that has made no step.

        Args:
            optimizer: changed in place.
            model: the model.
            is_ours: whether Trainer made the optimizer. One of the user's stays as it is.
            resumes: whether the rates of a checkpoint will take the place of these.

        Raises:
            UsageError: head_learning_rate is set and would have no effect.
        """
        asked = self.options.head_learning_rate
        self.start = None if resumes else self.start
        head = trained_head(model, self.problem.n_labels) if is_ours else None
        is_split = False
        if head is not None and (asked is not None or self.problem.type == MULTI_LABEL or self.start == "probe"):
            is_split = split_off(optimizer, head, self._rate)
        if asked is not None and not is_split:
            nowhere = "no linear layer of the model's head was found among the parameters that are trained"
            why = nowhere if is_ours else "the optimizer is one of yours"
            raise UsageError(f"head_learning_rate would have no effect, as {why}; leave it out.")
        if is_split and asked is None and not resumes and self.args.process_index == 0:
            rest, rate = (optimizer.param_groups[i]["lr"] for i in (0, -1))
            if rate != rest:
                start = "starts where the loss is least without a look at the input, and " * (self.start == "bias")
                console_print(
                    "",
                    f"The head is new: it {start}learns at {rate:.2g}, {rate / rest:.3g} times the rate of the rest "
                    "(head_start and head_learning_rate set others).",
                )

    def _rate(self, rate: Any) -> Any:
        """The head's learning rate beside the encoder's. An optimizer without a rate keeps it so."""
        if self.options.head_learning_rate is not None:
            return self.options.head_learning_rate
        if not isinstance(rate, float):
            return rate
        if self.start == "probe":
            return _TIMES_AFTER_PROBE * rate
        return fresh_head_rate(rate) if self._is_fresh else rate


def _collected(
    head: nn.Linear, dataloader: Any, accelerator: Any, predict: Callable[[Any], Any], labels_of: Callable[[Any], Any]
) -> tuple[Tensor, Tensor] | None:
    """What enters a head, (rows, features), and its labels.

    None where the head is applied to every token, or the batches have no labels."""
    entered: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0].detach()))
    features, labels = [], []
    try:
        for batch in dataloader:
            gold = labels_of(batch)
            entered.clear()
            predict(batch)
            if gold is None or not entered or entered[-1].ndim != 2:
                return None
            x, gold = accelerator.gather_for_metrics((entered[-1].float(), gold))
            features.append(x.cpu())
            labels.append(gold.cpu())
    finally:
        hook.remove()
    return torch.cat(features), torch.cat(labels)


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


def start_bias(head: nn.Linear, logits: np.ndarray) -> None:
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


@torch.no_grad()
def encode_texts(texts: Sequence[str], encoder: Any, tokenizer: Any, max_length: int, bar: bool = True) -> np.ndarray:
    """The means of a frozen encoder's first, middle and last layer over a text's first `max_length` tokens, side by
    side, (rows, width), float32; `bar` says whether progress is shown."""
    encoder = encoder.eval().to(torch.accelerator.current_accelerator() or "cpu")
    layers = first_middle_last(encoder.config.num_hidden_layers)
    features = np.empty((len(texts), encoder.config.hidden_size * len(layers)), dtype=np.float32)
    order = np.argsort([len(text) for text in texts], kind="stable")  # alike in length, so that little is padding
    for start in trange(0, len(order), _BATCH, desc=f"Encoding {len(texts):,} texts", disable=not bar):
        part = order[start : start + _BATCH]
        inputs = tokenizer(
            [texts[i] for i in part], truncation=True, max_length=max_length, padding=True, return_tensors="pt"
        ).to(encoder.device)
        mask = inputs["attention_mask"][..., None]
        hidden = encoder(**inputs, output_hidden_states=True).hidden_states
        seen = torch.cat([hidden[layer] for layer in layers], dim=-1)
        features[part] = ((seen * mask).sum(1) / mask.sum(1).clamp(min=1)).float().cpu().numpy()
    return features
