"""metrics.json: one evaluation for scripts, in a documented and versioned form (docs/outputs.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FILE_NAME = "metrics.json"
VERSION = 1
"""Version of the file's content; it rises when a key changes its meaning."""


@dataclass(frozen=True)
class Results:
    """One evaluation of a model, as far as it is worth keeping.

    Args:
        split: the prefix of its metrics: "eval", "eval_<dataset>" or "test".
        step: updates that the evaluated weights had; None where the model was not trained here.
        metrics: the metrics of the whole evaluation, without prefix.
        labels: one dict per label in the schema's order, as in label_history.jsonl.
        n_rows: rows; None where it is not known.
        at_half: the same metrics at 0.5, where thresholds are tuned.
        thresholds: the probability that each label had to exceed; None where the largest score decides.
        is_tuned: whether those are other than "0.5 until tuned".
        tuned_on_this_data: whether they were tuned on these very rows, so that the metrics flatter; None where that is
            not known, or nothing is tuned.
    """

    split: str
    step: int | None
    metrics: Mapping[str, float]
    labels: Sequence[Mapping[str, Any]]
    n_rows: int | None = None
    at_half: Mapping[str, float] | None = None
    thresholds: Mapping[str, float] | None = None
    is_tuned: bool = False
    tuned_on_this_data: bool | None = None

    def as_dict(self, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The content of metrics.json.

        Args:
            data: where the rows come from, such as {"name": "demo"}; the number of rows is added.
        """
        return {
            "version": VERSION,
            "split": self.split,
            "step": self.step,
            "metrics": dict(self.metrics),
            "metrics_at_0.5": None if self.at_half is None else dict(self.at_half),
            "labels": [dict(row) for row in self.labels],
            "thresholds": None if self.thresholds is None else dict(self.thresholds),
            "thresholds_are_tuned": self.is_tuned,
            "thresholds_tuned_on_this_data": self.tuned_on_this_data,
            "data": {**(data or {}), "rows": self.n_rows},
        }
