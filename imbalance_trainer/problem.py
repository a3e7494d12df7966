"""Which kind of problem a model and its data are: what decides between our loss and the stock one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .distribution import UNKNOWN, find_label_column
from .errors import DataError, UsageError
from .losses import MULTI_LABEL, SINGLE_LABEL

# Heads whose labels are no classes of ours: their models' own losses stay.
_OTHER_HEADS = (
    "CausalLM",
    "LMHeadModel",
    "MaskedLM",
    "ConditionalGeneration",
    "Seq2SeqLM",
    "QuestionAnswering",
    "MultipleChoice",
    "NextSentencePrediction",
    "PreTraining",
)


@dataclass(frozen=True)
class Problem:
    """A classification problem.

    Args:
        type: MULTI_LABEL or SINGLE_LABEL, as a config's problem_type has them.
        n_labels: outputs of the model.
        tokens: whether each token has a label of its own (single-label).
        column: where the datasets have the labels; None where no dataset was seen.
    """

    type: str
    n_labels: int
    tokens: bool = False
    column: str | None = None


def find_problem(model: Any, dataset: Any) -> Problem | None:
    """The classification problem that a model is trained on; None where it is none (regression, language modelling).

    Looks at the model's head, its config's problem_type and the labels of the dataset's first row: a list of one
    number per output is multi-label, a single class index single-label.

    Raises:
        UsageError: labels that the model's head cannot take, or that contradict its problem_type.
        DataError: labels that are no numbers.
    """
    config = getattr(model, "config", None)
    declared = getattr(config, "problem_type", None)
    head = _head_name(model)
    n_labels = getattr(config, "num_labels", None)
    if declared == "regression" or any(other in head for other in _OTHER_HEADS):
        return None
    if n_labels == 1 and declared is None:  # one output is regression, as transformers decides too
        return None
    column, label = _first_label(dataset)
    if label is None:
        return Problem(declared, n_labels) if declared in (MULTI_LABEL, SINGLE_LABEL) and n_labels else None
    if label.dtype.kind not in "biuf":
        raise DataError(
            f"{column}: expected numbers in row 0, found {label.ravel()[:1].tolist()}; map names to indices."
        )
    tokens = "TokenClassification" in head
    if label.ndim > 1 or (tokens and label.ndim == 0):
        raise UsageError(f"{column}: row 0 has labels of shape {label.shape}, which {head} cannot be trained on.")
    if tokens or label.ndim == 0:
        return _single_label(declared, n_labels, tokens, column, label)
    return _multi_label(declared, n_labels, column, label, head)


def _single_label(declared: str | None, n_labels: int | None, tokens: bool, column: str, label: Any) -> Problem | None:
    if n_labels is None or (label != np.floor(label)).any():
        return None  # a model without a number of classes, or targets that are no classes
    if declared == MULTI_LABEL:
        raise UsageError(
            f"The model's problem_type is {MULTI_LABEL}, but {column!r} holds one class index a row; give a list with "
            f"0 or 1 for each of the {n_labels} labels, or set config.problem_type to {SINGLE_LABEL!r}."
        )
    return Problem(SINGLE_LABEL, n_labels, tokens, column)


def _multi_label(declared: str | None, n_labels: int | None, column: str, label: Any, head: str) -> Problem | None:
    values = label[(label != UNKNOWN) & ~np.isnan(label)]
    if n_labels is None and ((values < 0) | (values > 1)).any():
        return None
    if declared == SINGLE_LABEL:
        raise UsageError(
            f"The model's problem_type is {SINGLE_LABEL}, but {column!r} holds a list of {len(label)} values a row; "
            f"give one class index a row, or set config.problem_type to {MULTI_LABEL!r}."
        )
    if n_labels is not None and len(label) != n_labels:
        raise UsageError(
            f"The rows of {column!r} have {len(label)} values, but the head of {head} has {n_labels} outputs; create "
            f"the model with num_labels={len(label)}."
        )
    return Problem(MULTI_LABEL, len(label), False, column)


def _head_name(model: Any) -> str:
    """The class name of the model itself, under an adapter (PEFT) too."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return type(inner).__name__


def _first_label(dataset: Any) -> tuple[str, np.ndarray | None]:
    if dataset is None:
        return "labels", None
    column = find_label_column(dataset)
    row = (dataset[0] if len(dataset) else None) if hasattr(dataset, "__len__") else next(iter(dataset), None)
    if row is None:
        raise DataError("The training data has no rows.")
    if column is None and isinstance(row, Mapping):
        column = find_label_column([row])
    if column is None or not isinstance(row, Mapping) or row.get(column) is None:
        return "labels", None
    value = row[column]
    return column, np.asarray(value.cpu() if hasattr(value, "cpu") else value)
