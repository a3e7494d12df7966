"""What a linear model without an encoder finds, by cross-validation: the floor under every fine-tuning."""

import time
from collections.abc import Mapping
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


def estimate_baseline(data: LabelledData) -> dict[str, Any]:
    """Cross-validate the linear baseline on the training rows, thresholds by cross-fitting.

    Returns:
        JSON-able: classifier, f1_macro, mean_average_precision, rows, seconds, and by label support,
        average_precision and f1.

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
    table, precision = tuning.held_out_table, ranking.compute()
    wrong, missing = (int(entries.sum()) for entries in doubtful_labels(linear.out_of_fold, labels))
    columns = {"label": data.schema.names, "support": table.support, "average_precision": precision, "f1": table.f1}
    return {
        "classifier": linear.classifier,
        "f1_macro": tuning.held_out["f1_macro"],
        "mean_average_precision": float(precision[np.asarray(table.support) > 0].mean()),
        "rows": len(labels),
        "seconds": time.perf_counter() - start,
        "probably_wrong": wrong,
        "probably_missing": missing,
        "labels": [dict(zip(columns, row, strict=True)) for row in zip(*map(_plain, columns.values()), strict=True)],
    }


def _plain(column: Any) -> list[Any]:
    return np.asarray(column).tolist()


def doubtful_labels(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entries that are probably wrong, and those that are probably missing, by out-of-fold logits.

    A 1 is probably wrong where the logit is no higher than the mean of the rows whose label is 0. A 0 is probably
    missing where the probability is over 0.5. All arrays are (rows, labels); -100 is neither.
    """
    positive, negative = labels > 0.5, (labels >= 0) & (labels <= 0.5)
    of_negatives = (logits * negative).sum(0) / np.maximum(negative.sum(0), 1)
    return positive & (logits <= of_negatives) & negative.any(0), negative & (logits > 0)


def baseline_message(found: Mapping[str, Any]) -> list[Any]:
    """A sentence, and a table of the rarest labels."""
    by_rarity = sorted(found["labels"], key=lambda row: row["support"])
    rows = [
        [row["label"], f"{row['support']:,}", f"{row['average_precision']:.2f}", f"{row['f1']:.2f}"]
        for row in rarest_shown(by_rarity)
    ]
    left = len(by_rarity) - len(rows)
    return [
        "",
        f"Linear baseline (TF-IDF and {found['classifier']}, no encoder): f1_macro {found['f1_macro']:.3f}, mean "
        f"average precision {found['mean_average_precision']:.3f}, by cross-validation on {found['rows']:,} training "
        f"rows in {found['seconds']:.0f} s. An encoder is worth its time where it does better: `compare` tells.",
        text_table(["label (rarest first)", "support", "average precision", "F1"], rows),
        *([f"... and {left:,} more labels; --json has all"] if left else []),
    ]
