"""Which kind of problem a model and its data are, and what its labels are called."""

import inspect
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..labels.blocks import numeric
from ..labels.columns import can_be_read_again, classes_listed, find_label_column, first_row, first_row_with_null
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.constants import CONFIG_KEY, IGNORE_INDEX, MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import DataError, UsageError, quoted

_OURS = tuple(f"{kind}Classification" for kind in ("Sequence", "Token", "Image", "Video", "Audio"))
_TOKENS = "TokenClassification"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """A classification problem.

    Args:
        type: MULTI_LABEL or SINGLE_LABEL, as a config's problem_type has them.
        n_labels: outputs of the model.
        head: the kind of the model, such as "SequenceClassification"; "custom" for none of transformers' own.
        column: where the datasets have the labels; None where no dataset was seen.
        lists_classes: whether a row's label is a list of class indices of any length.
    """

    type: str
    n_labels: int
    head: str = "custom"
    column: str | None = None
    lists_classes: bool = False

    @property
    def tokens(self) -> bool:
        """Whether each token has a label of its own (single-label)."""
        return self.head == _TOKENS

    @property
    def has_thresholds(self) -> bool:
        """Whether thresholds decide: of each label, or of one of two classes."""
        return self.type == MULTI_LABEL or (self.n_labels == 2 and not self.tokens)

    @property
    def unit(self) -> str:
        """What has a label: "token" or "row"."""
        return "token" if self.tokens else "row"


def find_problem(model: Any, dataset: Any, label_names: tuple[str, ...] = ()) -> tuple[Problem | None, str]:
    """The classification problem that a model is trained on, or None and why it is none of ours.

    Looks at the model's head, its config's problem_type and the labels of the dataset's first row: a list of one
    number per output is multi-label, and so is a list of any length of a ClassLabel; a single class index is
    single-label. Heads of transformers other than for classification keep their own loss, and so does regression.

    Raises:
        UsageError: labels that the head of a classification model cannot take, or that contradict its problem_type.
        DataError: labels that are no numbers.
    """
    config = getattr(model, "config", None)
    declared, n_labels = getattr(config, "problem_type", None), getattr(config, "num_labels", None)
    name, head = _head(model)
    if declared == "regression":
        return None, f"{name} is for regression (its config's problem_type)"
    if head == "other":
        return None, f"{name} has no classification head of the kinds that are ours"
    if n_labels == 1 and declared is None:
        one = 'a label that is there or not needs problem_type="multi_label_classification" in the model\'s config'
        return None, f"{name} has one output, which is regression, as transformers takes it ({one})"
    row = first_row(dataset)
    column, label = _first_label(dataset, row, label_names)
    if len(several := [name for name in label_names if name in (row or ())]) > 1:
        return None, f"label_names has {quoted(several)}, which are several columns of the data"
    if label is None:
        if declared in (MULTI_LABEL, SINGLE_LABEL) and n_labels:
            return Problem(declared, n_labels, head), ""
        return None, f"{without_labels(dataset)}, and the model's config has no problem_type"
    if label.dtype.kind not in "biuf":
        if head == "custom":
            return None, f"{column!r} holds no numbers"
        raise DataError(f"{column}: expected numbers in row 0, found {str(label.ravel()[:1].tolist())[:60]}.")
    if label.ndim > 1 or (head == _TOKENS and label.ndim == 0):
        if head == "custom":
            return None, f"{column!r} holds labels of shape {label.shape}, one label or a list of them is ours"
        raise UsageError(f"{column}: row 0 has labels of shape {label.shape}, which {name} cannot be trained on.")
    if head == _TOKENS or label.ndim == 0:
        return _single_label(declared, n_labels, head, column, label)
    classes = classes_listed(dataset, column)
    if classes and n_labels in (None, classes) and declared != SINGLE_LABEL and len(set(label.tolist())) == len(label):
        return Problem(MULTI_LABEL, classes, head, column, True), ""
    return _multi_label(declared, n_labels, column, label, name, head)


def without_labels(dataset: Any) -> str:
    """What is said of data in which no labels were found: its columns, and how labels are made of them."""
    names = getattr(dataset, "column_names", None) or list(first_row(dataset) or ())
    return (
        f"No labels were found in the data (its columns: {quoted(names) or 'not known'}; expected 'labels', which "
        "dataset.rename_column or dataset.map(lambda row: {'labels': [float(row[name]) for name in LABELS]}) makes)"
    )


def has_own_loss(model: Any, key: str) -> bool:
    """Whether a model's forward is none of a library's, and is given labels to compute a loss from."""
    forward = (model.get_base_model() if hasattr(model, "get_base_model") else model).forward
    of_library = forward.__module__.split(".")[0] in ("transformers", "imbalance_trainer")
    return not of_library and key in inspect.signature(forward).parameters


def needs_labels(model: Any, key: str) -> bool:
    """Whether a model's forward cannot be called without labels."""
    forward = inspect.signature(model.forward).parameters
    return key in forward and forward[key].default is inspect.Parameter.empty


def count_labels(
    dataset: Any,
    schema: LabelSchema,
    problem: Problem,
    label_names: tuple[str, ...] = (),
    data_collator: Any = None,
    limit: int | None = None,
    progress: bool = False,
) -> LabelDistribution | None:
    """A dataset's labels counted, at most `limit` rows where each has to be asked for; None where there is no dataset,
    or its labels are made only later.

    Raises:
        DataError: a value that no label can have, or a null; the message names the row.
    """
    if dataset is None or (hasattr(dataset, "__len__") and not len(dataset)):
        return None
    if not can_be_read_again(dataset):
        logger.warning("%s may be read once only, so its labels are not counted.", type(dataset).__name__)
        return None
    column = find_label_column(dataset, label_names)
    if column is None:
        return None
    if is_of_transformers(data_collator) and (row := first_row_with_null(dataset, column)) is not None:
        raise DataError(f"{column}: row {row} has None, of which no tensor can be made; use -100 for unknown.")
    return LabelDistribution.from_dataset(
        dataset, schema, column, limit, problem.tokens, indices=problem.lists_classes, progress=progress
    )


def is_of_transformers(collator: Any) -> bool:
    """Whether a data collator, a function or an object, is one of transformers' own."""
    return (getattr(collator, "__module__", None) or type(collator).__module__).startswith("transformers.")


def stored_config(model: Any) -> dict[str, Any]:
    """What a model's config holds of ours: class weights, constraint and hierarchy policy that it was trained with."""
    return getattr(getattr(model, "config", None), CONFIG_KEY, None) or {}


def find_schema(model: Any, dataset: Any, given: Any, problem: Problem) -> LabelSchema:
    """The labels of a problem: those given, else those in the model's config, else in the dataset's features.

    Raises:
        UsageError: as many labels as the model has no outputs, or the same names in another order.
    """
    config = getattr(model, "config", None)
    id2label = getattr(config, "id2label", None) or {i: f"LABEL_{i}" for i in range(problem.n_labels)}
    names = [id2label[i] for i in sorted(id2label, key=int)]  # where JSON's keys were sorted, "10" is before "2"
    nameless = names == [f"LABEL_{i}" for i in range(len(names))]
    features = getattr(dataset, "features", None)
    of_data = None if features is None else LabelSchema.from_features(features, problem.column or "labels")
    if given is not None:
        schema = LabelSchema.of(given)
    elif nameless and of_data is not None and len(of_data) == problem.n_labels:
        schema = of_data
    elif config is not None and getattr(config, "id2label", None):
        schema = LabelSchema.from_config(config)
    else:
        schema = LabelSchema.from_names(names)
    if not nameless:
        _check_order(schema, names, "the model's id2label")
    if of_data is not None:
        _check_order(schema, list(of_data.names), "the dataset's ClassLabel")
    if len(schema) != problem.n_labels:
        raise UsageError(
            f"The schema has {len(schema)} labels, but the model's head has {problem.n_labels} outputs: create the "
            f"model with num_labels={len(schema)}."
        )
    return schema


def _check_order(schema: LabelSchema, names: list[str], whose: str) -> None:
    if set(names) == set(schema.names) and names != list(schema.names):
        raise UsageError(
            f"The label schema and {whose} have the same names in another order (first {schema.names[0]!r} and "
            f"{names[0]!r}); the outputs would be mixed up. Use one order."
        )


def _single_label(
    declared: str | None, n_labels: int | None, head: str, column: str, label: np.ndarray
) -> tuple[Problem | None, str]:
    if n_labels is None:
        return None, "The model's config has no num_labels"
    if (label != np.floor(label)).any():
        return None, f"{column!r} holds numbers that are no class indices, which is regression"
    if declared == MULTI_LABEL:
        raise UsageError(
            f"The model's problem_type is {MULTI_LABEL}, but {column!r} holds one class index a row; give a list with "
            f"0 or 1 for each of the {n_labels} labels, or set config.problem_type to {SINGLE_LABEL!r}."
        )
    return Problem(SINGLE_LABEL, n_labels, head, column), ""


def _multi_label(
    declared: str | None, n_labels: int | None, column: str, label: np.ndarray, name: str, head: str
) -> tuple[Problem | None, str]:
    values = label[(label != IGNORE_INDEX) & ~np.isnan(label)]
    if n_labels is None and ((values < 0) | (values > 1)).any():
        return None, f"{column!r} holds a list of numbers that are no labels"
    if declared == SINGLE_LABEL:
        raise UsageError(
            f"The model's problem_type is {SINGLE_LABEL}, but {column!r} holds a list of {len(label)} values a row; "
            f"give one class index a row, or set config.problem_type to {MULTI_LABEL!r}."
        )
    if n_labels is not None and len(label) != n_labels:
        if head == "custom":
            return None, f"The rows of {column!r} have {len(label)} values, but {name} has {n_labels} outputs"
        raise UsageError(
            f"The rows of {column!r} have {len(label)} values, but the head of {name} has {n_labels} outputs; create "
            f"the model with num_labels={len(label)}, or, if these are lists of class indices, give one 0 or 1 per "
            "label, or the column the feature List(ClassLabel(names=...))."
        )
    return Problem(MULTI_LABEL, len(label), head, column), ""


def _head(model: Any) -> tuple[str, str]:
    """A model's class name, and its head: one of _OURS, "other" of transformers, or "custom".

    Looks under an adapter (PEFT), and at the classes that it was derived from.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    name = type(inner).__name__
    classes = [(c.__name__, (c.__module__ or "").startswith("transformers.")) for c in type(inner).__mro__]
    for kind in _OURS:
        if any(f"For{kind}" in c for c, _ in classes):
            return name, kind
    other = any(is_stock and re.search("For[A-Z]|Heads?Model$|DecoderModel$", c) for c, is_stock in classes)
    return name, "other" if other else "custom"


def _first_label(dataset: Any, row: Any, label_names: tuple[str, ...]) -> tuple[str, np.ndarray | None]:
    if dataset is None:
        return "labels", None
    if row is None and can_be_read_again(dataset):
        raise DataError("The training data has no rows.")
    column = find_label_column(dataset, label_names)
    if column is None or not isinstance(row, Mapping) or row.get(column) is None:
        return "labels", None
    value = row[column]
    return column, numeric(np.asarray(value.cpu() if hasattr(value, "cpu") else value))
