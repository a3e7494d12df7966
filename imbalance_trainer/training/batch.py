"""What is taken out of a batch before the model sees it, and out of the model's outputs: labels, weights, logits."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..utils.constants import IGNORE_INDEX, LABEL_COLUMNS, LABEL_MASK, SAMPLE_WEIGHT
from ..utils.errors import DataError

"""Columns that reach the loss if the data or the collator has them: what a row's loss is multiplied by, shape (rows,);
and 1 where a label is known, 0 where not, in the labels' shape."""


def labels_of(inputs: Mapping[str, Any], name: str) -> Tensor | None:
    """A batch's labels, whichever of the usual keys has them; -100 where they are NaN or masked by LABEL_MASK."""
    labels = next((inputs[key] for key in (name, *LABEL_COLUMNS) if inputs.get(key) is not None), None)
    if labels is None:
        return None
    if labels.is_floating_point() and _may_have_nan(labels):
        labels = torch.where(labels.isnan(), float(IGNORE_INDEX), labels)
    mask = inputs.get(LABEL_MASK)
    if mask is None:
        return labels
    if mask.shape != labels.shape:
        raise DataError(
            f"{LABEL_MASK} has the shape {tuple(mask.shape)}; expected that of the labels, {tuple(labels.shape)}."
        )
    return torch.where(mask.bool(), labels, torch.full_like(labels, IGNORE_INDEX))


def _may_have_nan(labels: Tensor) -> bool:
    """False where a sum says that none is; an accelerator would have to wait for it."""
    return labels.device.type != "cpu" or math.isnan(labels.sum())


def sample_weights_of(inputs: Mapping[str, Any]) -> Tensor | None:
    """What each row's loss is multiplied by, (rows,); None where it is not said. It is not part of any count."""
    weights = inputs.get(SAMPLE_WEIGHT)
    if weights is not None and weights.ndim != 1:
        raise DataError(f"{SAMPLE_WEIGHT} has the shape {tuple(weights.shape)}; expected one number for each row.")
    return weights


def logits_of(outputs: Any, n_labels: int, model: str) -> Tensor:
    """The logits among a model's outputs: those of that name, else the first that are as wide as there are labels.

    Raises:
        DataError: none are; the message names the model and the shapes of its outputs.
    """
    if isinstance(outputs, Mapping) and outputs.get("logits") is not None:
        return outputs["logits"]
    several = outputs.values() if isinstance(outputs, Mapping) else without_loss(outputs)
    tensors = [output for output in several if isinstance(output, Tensor) and output.ndim > 1]
    for logits in tensors:
        if logits.shape[-1] == n_labels:
            return logits
    shapes = [tuple(tensor.shape) for tensor in tensors]
    raise DataError(f"{model} gives no logits for {n_labels} labels: its outputs have the shapes {shapes}.")


def without_loss(outputs: Any) -> tuple[Any, ...]:
    """A model's tuple output without its own loss (a scalar, or None where labels were withheld)."""
    several = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    return tuple(o for o in several if o is not None and not (isinstance(o, Tensor) and o.ndim == 0))
