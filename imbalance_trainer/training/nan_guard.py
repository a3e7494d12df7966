"""A loss that is NaN or infinite: seen at once, on every rank, with the labels and the likely cause."""

import math
from typing import Any

from accelerate.utils import gather_object
from torch import Tensor

from ..labels.schema import LabelSchema
from ..utils.errors import NonFiniteLossError, first_five

_HUGE_WEIGHT = 1e4  # far past what any trained encoder has

_LOOKED_AT = 1 << 22  # entries: of larger batches the logits are not kept until the gradients are there


class NanGuard:
    """Watches the losses of an update's micro-batches.

    The stock Trainer logs 0.0 for a NaN (logging_nan_inf_filter) while the weights become NaN.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self.schema = schema
        self._batch: tuple[Tensor, Tensor] | None = None
        self._found: str | None = None

    def look_at(self, logits: Tensor, labels: Tensor) -> None:
        """Keep a batch until its loss is known to be finite."""
        self._batch = (logits.detach(), labels) if logits.numel() <= _LOOKED_AT else None

    def check(self, loss: Tensor, model: Any, args: Any, step: int, at_update: bool) -> None:
        """Look at a micro-batch's loss; at the last one before an update, have all ranks agree.

        Raises:
            NonFiniteLossError: on every rank, where one of them had a loss that is not finite.
        """
        if self._found is None and not math.isfinite(loss.detach().sum()):
            self._found = f"At step {step + 1} the loss is {loss.float().mean().item():g}{self._where()}: "
            self._found += likely_cause(self._batch, model, args)
        self._batch = None
        if not at_update:
            return
        messages = [self._found] if args.world_size <= 1 else gather_object([self._found])
        self._found = None
        message = next((m for m in messages if m is not None), None)
        if message is not None:
            raise NonFiniteLossError(message)

    def _where(self) -> str:
        if self._batch is None:
            return ""
        logits, labels = self._batch
        columns = (~logits.isfinite()).reshape(-1, logits.shape[-1]).any(0)
        if labels.shape == logits.shape and labels.is_floating_point():
            columns |= (~labels.isfinite()).any(0)
        names = [self.schema.names[i] for i in columns.nonzero().flatten().tolist()]
        if not names:
            return ""
        if len(names) == len(self.schema):
            return " for all labels"
        return f" for {first_five([repr(name) for name in names])}"


def likely_cause(batch: tuple[Tensor, Tensor] | None, model: Any, args: Any) -> str:
    """Why a loss is not finite, and what to change, as far as weights and logits tell."""
    broken = next((name for name, p in model.named_parameters() if not p.isfinite().all()), None)
    largest = max((p.detach().abs().max().item() for p in model.parameters() if p.numel()), default=0.0)
    if broken is not None or largest > _HUGE_WEIGHT:
        state = f"as large as {largest:.0e}" if broken is None else f"not finite ({broken.removeprefix('module.')})"
        return (
            f"the weights are {state} since an earlier update, which was too large. Lower --learning_rate (now "
            f"{args.learning_rate:g}) or clip with --max_grad_norm 1 (now {args.max_grad_norm:g})."
        )
    if batch is not None and not batch[0].isfinite().all():
        if args.fp16:
            return "the forward pass overflows in fp16, whose largest number is 65,504. Use --bf16, or neither."
        return "the model's outputs are not finite though its weights are. Look at the inputs of this batch."
    return "weights and outputs are finite, so the labels or the loss are not. Look at the labels of this batch."
