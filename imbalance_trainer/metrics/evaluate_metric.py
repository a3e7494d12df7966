"""ImbalanceMetrics as an evaluate.Metric. Imported only when asked for: importing evaluate takes seconds."""

from typing import TYPE_CHECKING, Any

import datasets
import evaluate
import numpy as np

if TYPE_CHECKING:
    from .imbalance_metrics import ImbalanceMetrics

_DESCRIPTION = "Metrics of imbalanced classification; see imbalance_trainer.ImbalanceMetrics."


class ImbalanceEvaluateMetric(evaluate.Metric):
    """The metrics of an ImbalanceMetrics behind evaluate's interface: add, add_batch, compute, and evaluate.combine.

    `predictions` are logits, one list per row; `references` are the labels: one list per row (multi-label) or one
    class index (single-label). evaluate stores all rows on disk; ImbalanceMetrics itself does not.

    Args:
        metrics: an ImbalanceMetrics, whose schema, training supports and threshold hold.
        single_label: whether references are class indices.
        **kwargs: as for evaluate.Metric.
    """

    def __init__(self, metrics: "ImbalanceMetrics", single_label: bool = False, **kwargs: Any) -> None:
        self._metrics, self._single_label = metrics, single_label
        super().__init__(**kwargs)

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("float32")
        references = datasets.Value("int64") if self._single_label else datasets.Sequence(number)
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=self.__doc__ or "",
            features=datasets.Features({"predictions": datasets.Sequence(number), "references": references}),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        self._metrics.reset()
        self._metrics.update(np.asarray(predictions, dtype=np.float32), np.asarray(references))
        result = self._metrics.compute()
        self._metrics.reset()
        return result
