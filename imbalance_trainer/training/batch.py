"""Labels and logits of a batch, and batches of rows that list their classes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import default_data_collator

from ..utils.constants import IGNORE_INDEX, LABEL_COLUMNS
from ..utils.errors import DataError


def labels_of(inputs: Mapping[str, Any], name: str) -> Tensor | None:
    """A batch's labels, whichever of the usual keys has them; -100 where they are NaN."""
    labels = next((inputs[key] for key in (name, *LABEL_COLUMNS) if inputs.get(key) is not None), None)
    if labels is not None and labels.is_floating_point():
        labels = torch.where(labels.isnan(), float(IGNORE_INDEX), labels)
    return labels


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


class MultiHotCollator:
    """A data collator around another one: a row's list of class indices becomes its row of a multi-hot matrix.

    With 131,000 labels a row of ten lists ten numbers, where multi-hot it would hold 131,000. The matrix is int8,
    (rows, labels); the losses take it as it is. A list with -100 says that what else the row has is not known.

    WeightedFocalTrainer puts it around its collator where the label column's feature is a list of any length of a
    ClassLabel.

    Args:
        n_labels: labels.
        collator: what makes the rest of the batch; None for transformers' default.
        label_names: where labels may lie, besides the usual columns.

    >>> collate = MultiHotCollator(4)
    >>> collate([{"x": 1.0, "labels": [2, 0]}, {"x": 2.0, "labels": []}])["labels"].tolist()
    [[1, 0, 1, 0], [0, 0, 0, 0]]
    """

    def __init__(
        self,
        n_labels: int,
        collator: Callable[[list[dict[str, Any]]], dict[str, Any]] | None = None,
        label_names: Sequence[str] = (),
    ) -> None:
        self.n_labels, self.collator = n_labels, collator or default_data_collator
        self.label_names = (*label_names, *LABEL_COLUMNS)
        self.tokenizer = getattr(collator, "tokenizer", None)  # which Trainer saves

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """A batch; its labels under the name that they have in the rows.

        Raises:
            DataError: a class that no label has.
        """
        name = next((key for key in self.label_names if key in rows[0]), None)
        batch = dict(self.collator([{k: v for k, v in row.items() if k != name} for row in rows]))
        if name is not None:
            batch[name] = self._multi_hot([_as_classes(row[name]) for row in rows])
        return batch

    def _multi_hot(self, lists: list[torch.Tensor]) -> torch.Tensor:
        labels = torch.zeros(len(lists), self.n_labels, dtype=torch.int8)
        for i, classes in enumerate(lists):
            known = classes[classes != IGNORE_INDEX]
            if len(known) and not (int(known.min()) >= 0 and int(known.max()) < self.n_labels):
                wrong = next(c for c in known.tolist() if not 0 <= c < self.n_labels)
                raise DataError(
                    f"labels: row {i} of a batch lists the class {wrong}; expected 0 to {self.n_labels - 1}."
                )
            if len(known) < len(classes):
                labels[i] = IGNORE_INDEX
            labels[i, known] = 1
        return labels


def _as_classes(row: Any) -> torch.Tensor:
    """A row's classes; null, a list of unknown length, says that nothing is known, and so does a null among them."""
    if isinstance(row, torch.Tensor):
        return row.long()
    return torch.tensor(
        [IGNORE_INDEX if c is None else int(c) for c in ([None] if row is None else row)], dtype=torch.long
    )
