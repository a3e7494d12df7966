"""What a linear model without an encoder finds, by cross-validation: the floor under every fine-tuning."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.dataset import LabelledData
from ..decisions.rule import DecisionRule
from ..metrics.average_precision import StreamingAveragePrecision
from ..metrics.imbalance_metrics import rarest_shown
from ..tuning.decisions import TuningOptions, tune_decisions
from ..tuning.linear_baseline import LinearBaseline
from ..utils.console import text_table
from ..utils.constants import MULTI_LABEL
from ..utils.errors import UsageError


@dataclass(frozen=True, eq=False)
class BaselineEstimate:
    """Cross-validated results of LinearBaseline on the training rows. Arrays have shape (labels,).

    Args:
        names: the labels.
        classifier: the classifier that won.
        f1_macro: thresholds by cross-fitting.
        f1, average_precision, support: of each label.
        n_rows, seconds: rows, and what it took.
    """

    names: tuple[str, ...]
    classifier: str
    f1_macro: float
    f1: np.ndarray
    average_precision: np.ndarray
    support: np.ndarray
    n_rows: int
    seconds: float

    def message(self) -> list[Any]:
        """A sentence, and a table of the rarest labels."""
        order = np.argsort(self.support, kind="stable")
        rows = [
            [self.names[i], f"{int(self.support[i]):,}", f"{self.average_precision[i]:.2f}", f"{self.f1[i]:.2f}"]
            for i in rarest_shown(order)
        ]
        there, left = self.support > 0, len(order) - len(rows)
        return [
            "",
            f"Linear baseline (TF-IDF and {self.classifier}, no encoder): f1_macro {self.f1_macro:.3f}, mean average "
            f"precision {self.average_precision[there].mean():.3f}, by cross-validation on {self.n_rows:,} training "
            f"rows in {self.seconds:.0f} s. A fine-tuned encoder should be well ahead of it.",
            text_table(["label (rarest first)", "support", "average precision", "F1"], rows),
            *([f"... and {left:,} more labels; --json has all"] if left else []),
        ]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        by_label = zip(self.names, self.average_precision.tolist(), self.f1.tolist(), strict=True)
        return {
            "classifier": self.classifier,
            "f1_macro": self.f1_macro,
            "mean_average_precision": float(self.average_precision[self.support > 0].mean()),
            "labels": [{"label": name, "average_precision": ap, "f1": f1} for name, ap, f1 in by_label],
        }


def estimate_baseline(data: LabelledData) -> BaselineEstimate:
    """Cross-validate the linear baseline on the training rows.

    Raises:
        UsageError: data that is not multi-label.
    """
    if data.problem_type != MULTI_LABEL:
        raise UsageError("--baseline is for multi-label data; `imbalance-trainer compare` has it for classes too.")
    start, train = time.perf_counter(), data.splits["train"]
    labels = np.array(train["labels"], dtype=np.float32)
    linear = LinearBaseline().fit(train["text"][:], labels)
    tuning = tune_decisions(linear.out_of_fold, labels, DecisionRule(data.schema), TuningOptions(), n_bootstrap=0)
    ranking = StreamingAveragePrecision(labels.shape[1], max_scores=labels.size)
    ranking.update(linear.out_of_fold, labels)
    table = tuning.held_out_table
    return BaselineEstimate(
        data.schema.names,
        str(linear.classifier),
        tuning.held_out["f1_macro"],
        np.asarray(table.f1),
        ranking.compute(),
        np.asarray(table.support),
        len(labels),
        time.perf_counter() - start,
    )
