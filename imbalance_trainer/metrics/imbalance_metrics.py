"""Metrics of imbalanced classification, counted while batches stream by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from ..decisions.rule import DecisionRule, checked_thresholds
from ..labels.distribution import tiers_by_support
from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, UsageError
from ..utils.numeric import multi_hot, ratio
from .average_precision import BestF1, StreamingAveragePrecision
from .counts import DecisionCounts

MAX_LABELS_SHOWN, RAREST_SHOWN = 50, 20
"""Up to 50 labels each has its own metrics; of more labels the 20 rarest have."""

LABEL_METRICS = ("recall", "precision", "f1", "support")
"""Metrics that each label has, as `recall_<slug>` and so on."""

LOWER_IS_BETTER = (
    *("hamming_loss", "violation_rate", "violation_rate_closed"),
    *("n_labels_without_recall", "n_labels_without_support", "n_labels_never_predicted"),
)
"""Metrics that are best when they are low; of all others more is better."""

_COALESCE = 1 << 16  # entries: smaller batches wait for each other, as each count has a fixed cost


@dataclass(frozen=True)
class LabelTable:
    """One evaluation, label by label. Arrays have shape (labels,), in the schema's order.

    Args:
        schema: the labels.
        support, predicted, true_positives: counts of the decisions.
        average_precision: of the scores.
        known: rows in which the label is known.
        found_before_closing: positives over the threshold, before the hierarchy policy.
        threshold: that a probability must exceed; NaN in single-label problems.
        best: the threshold with the best F1 on this very data.
        curves: recall and precision by label index, of the rarest labels that have positives.
    """

    schema: LabelSchema
    support: np.ndarray
    predicted: np.ndarray
    true_positives: np.ndarray
    average_precision: np.ndarray
    known: np.ndarray
    found_before_closing: np.ndarray
    threshold: np.ndarray
    best: BestF1
    curves: Mapping[int, tuple[np.ndarray, np.ndarray]]

    @property
    def prevalence(self) -> np.ndarray:
        """Support / known entries; 0 where nothing is known."""
        return ratio(self.support, self.known)

    @property
    def recall(self) -> np.ndarray:
        """True positives / support; 0 where there is no support."""
        return ratio(self.true_positives, self.support)

    @property
    def precision(self) -> np.ndarray:
        """True positives / predicted; 0 where nothing was predicted."""
        return ratio(self.true_positives, self.predicted)

    @property
    def highest_score(self) -> np.ndarray:
        """The highest probability of any row; NaN where nothing is known."""
        return expit(self.best.highest)

    @property
    def best_threshold(self) -> np.ndarray:
        """The threshold with the best F1 on this very data, where it flatters; NaN without positives."""
        return expit(self.best.logit)

    @property
    def best_recall(self) -> np.ndarray:
        """Recall at `best_threshold`, before the hierarchy policy."""
        return ratio(self.best.true_positives, self.support)

    @property
    def best_precision(self) -> np.ndarray:
        """Precision at `best_threshold`, before the hierarchy policy."""
        return ratio(self.best.true_positives, self.best.predicted)

    @property
    def f1(self) -> np.ndarray:
        """2 true positives / (support + predicted); 0 where both are 0."""
        return ratio(2 * self.true_positives, self.support + self.predicted)


class ImbalanceMetrics:
    """Every metric of an imbalanced classification problem, in O(labels) memory.

    A `compute_metrics` for any Trainer (also with batch_eval_metrics=True), or fed by hand with `update` and read with
    `compute`. A decision is a probability over the threshold that breaks no rule of the schema (`DecisionRule`): a
    child is dropped where its parent is not decided. In single-label problems the decision is the largest logit (of
    two classes that which is over its threshold, where there is one). A soft label counts as positive over 0.5. 0/0 is
    0, as scikit-learn's zero_division=0; every value equals scikit-learn's.

    The result is one flat dict of Python floats with the same keys from the first evaluation on:

    - accuracy (over entries; single-label: over rows), subset_accuracy (rows without a mistake), hamming_loss,
      f1_micro, f1_macro, f1_weighted, precision_micro, recall_micro, mean_average_precision;
    - primary_accuracy, primary_f1, primary_precision, primary_recall, where the schema has a primary group (micro);
    - secondary_f1_macro, secondary_f1_micro, secondary_recall, secondary_precision (the latter two micro), over the
      rows whose gold primary label is 1 (all rows where there is no primary group);
    - f1_head, f1_medium, f1_tail: macro F1 of each third of the labels, by training support;
    - violation_rate: rows whose decisions broke a rule of the schema **before** the hierarchy policy;
      violation_rate_closed: after it, 0 by construction;
    - n_labels_without_recall: labels with support and no true positive; n_labels_without_support and
      n_labels_never_predicted: labels whose recall, whose precision is 0/0;
    - recall_<slug>, precision_<slug>, f1_<slug>, support_<slug> for each label (beyond 50: for the 20 rarest).

    Args:
        schema: the labels (or anything that LabelSchema.of takes).
        train_support: positives of each label in training, shape (labels,). They order the labels and make head,
            medium and tail. Without them the first evaluation's supports do.
        threshold: the probability that a decision must exceed, in (0, 1): one for all, (labels,) or
            {label: threshold}; None for 0.5.
        hierarchy_policy: see `enforce_hierarchy`.

    >>> metrics = ImbalanceMetrics(["a", "b"])
    >>> metrics.update(torch.tensor([[2.0, -1.0], [1.0, 3.0]]), torch.tensor([[1, 0], [0, 1]]))
    >>> round(metrics.compute()["f1_macro"], 4)
    0.8333
    """

    def __init__(
        self,
        schema: LabelSchema | Sequence[str],
        train_support: Sequence[float] | np.ndarray | None = None,
        threshold: float | Sequence[float] | Mapping[str, float] | None = None,
        hierarchy_policy: str = "drop_child",
    ) -> None:
        self.schema = LabelSchema.of(schema)
        thresholds = None if threshold is None else checked_thresholds(threshold, self.schema)
        self._rule = DecisionRule(self.schema, thresholds, hierarchy_policy)
        self._order_by = None if train_support is None else np.asarray(train_support, dtype=float)
        if self._order_by is not None and self._order_by.shape != (len(self.schema),):
            raise UsageError(f"Got {self._order_by.size} training supports for {len(self.schema)} labels.")
        self.table: LabelTable | None = None
        """The last `compute`, label by label, all labels."""
        self.at_half: dict[str, float] | None = None
        """What WeightedFocalTrainer's last evaluation was at 0.5, where thresholds are tuned."""
        self.cross_fitted: Mapping[str, float] | None = None
        """What the last `compute` is by cross-fitting, where its rows are those that thresholds were tuned on."""
        self.reset()

    @classmethod
    def of_rule(
        cls, rule: DecisionRule, train_support: Sequence[float] | np.ndarray | None = None
    ) -> "ImbalanceMetrics":
        """Metrics of decisions by a rule."""
        metrics = cls(rule.schema, train_support)
        metrics.rule = rule
        return metrics

    @property
    def rule(self) -> DecisionRule:
        """How logits become decisions. Another holds for the batches that come after it was set."""
        return self._rule

    @rule.setter
    def rule(self, rule: DecisionRule) -> None:
        self._count_pending()
        self._rule = rule

    # ---- compute_metrics ----

    def __call__(self, eval_prediction: Any, compute_result: bool = True) -> dict[str, float]:
        """What a Trainer calls: with everything at once, or batch by batch, the last with compute_result."""
        logits, labels = eval_prediction.predictions, eval_prediction.label_ids
        if isinstance(labels, list) and isinstance(logits, list):  # eval_do_concat_batches=False
            for batch, batch_labels in zip(logits, labels, strict=True):
                self.update(first(batch), first(batch_labels))
        else:
            self.update(first(logits), first(labels))
        if not compute_result:
            return {}
        result = self.compute()
        self.reset()
        return result

    def as_evaluate_metric(self, single_label: bool = False) -> Any:
        """The same values behind the interface of Hugging Face evaluate: add_batch, compute, evaluate.combine.

        Args:
            single_label: whether the references are class indices rather than multi-hot rows.
        """
        from .evaluate_metric import ImbalanceEvaluateMetric  # importing evaluate takes seconds

        return ImbalanceEvaluateMetric(self.fresh(), single_label)

    def fresh(self) -> "ImbalanceMetrics":
        """Another one with the same settings, and nothing counted."""
        return ImbalanceMetrics.of_rule(self.rule, self._order_by)

    def reset(self) -> None:
        """Forget every batch; the last result stays in `table`."""
        self._pending: list[tuple[Tensor, Tensor]] = []
        self._n_pending = 0
        self._counts = DecisionCounts(self.schema)
        self._single_label = False
        self._rows = blake2b(digest_size=8)
        self._average_precision = StreamingAveragePrecision(len(self.schema))

    def update(self, logits: Any, labels: Any) -> None:
        """Add a batch.

        Args:
            logits: (..., labels), a tensor or an array.
            labels: the same shape (multi-label: 0, 1, soft, -100 or NaN for unknown), or without the last dimension
                (single-label: class indices, -100 for unknown).

        Raises:
            UsageError: shapes that fit neither each other nor the schema.
        """
        logits, labels = torch.as_tensor(logits).detach(), torch.as_tensor(labels).detach()
        self._check(logits, labels)
        self._single_label = labels.ndim < logits.ndim
        if self._single_label:
            logits, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
            logits, labels = logits[labels != IGNORE_INDEX], labels[labels != IGNORE_INDEX]
        else:
            logits, labels = logits.reshape(-1, len(self.schema)), labels.reshape(-1, len(self.schema))
        self._pending.append((logits, labels))
        self._n_pending += logits.numel()
        if self._n_pending >= _COALESCE:
            self._count_pending()

    def compute(self) -> dict[str, float]:
        """The metrics of all batches since the last reset."""
        self._count_pending()
        true_positives, predicted, support, known, found_before_closing = self._counts.by_label
        if self._order_by is None:
            self._order_by = support.astype(float)
        rarest = np.argsort(self._order_by, kind="stable")
        ranking = self._average_precision.compute_ranking(rarest_shown(rarest[support[rarest] > 0]).tolist())
        threshold, best = np.array(list(self.rule.by_label().values())), ranking.best
        if self._single_label and not self.rule.two_classes:  # the largest decides, whatever its score
            none = np.full(len(self.schema), np.nan)
            threshold, best = none, BestF1(none, 0 * support, 0 * support, none)
        counted = (support, predicted, true_positives, ranking.average_precision, known, found_before_closing)
        table = LabelTable(self.schema, *counted, threshold, best, ranking.curves)
        self.table, tuned_on = table, self.rule.tuned_on or {}
        self.cross_fitted = tuned_on.get("cross_fitted") if tuned_on.get("rows") == self._rows.hexdigest() else None
        return {
            **self._overall(table, known),
            **self._primary(table, known),
            **self._secondary_metrics(),
            **self._tails(table),
            **self._per_label(table),
        }

    def keys(self) -> list[str]:
        """The names in the result, as far as they are settled: of many labels the rarest are known only with
        train_support or after the first evaluation."""
        return list(self.fresh().compute())

    @property
    def shown(self) -> list[int]:
        """Indices of the labels that have metrics of their own, rarest first."""
        order = np.arange(len(self.schema)) if self._order_by is None else np.argsort(self._order_by, kind="stable")
        return rarest_shown(order).tolist()

    def _check(self, logits: Tensor, labels: Tensor) -> None:
        if logits.shape[-1] != len(self.schema):
            raise UsageError(f"Got logits for {logits.shape[-1]} labels; the schema has {len(self.schema)}.")
        if labels.shape not in (logits.shape, logits.shape[:-1]):
            raise UsageError(
                f"Labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(logits.shape)}."
            )

    def _check_classes(self, classes: Tensor) -> None:
        wrong = classes[(classes < 0) | (classes >= len(self.schema))]
        if wrong.numel():
            raise DataError(f"Got class {wrong[0].item()}; expected 0 to {len(self.schema) - 1}, or -100 for unknown.")

    def _count_pending(self) -> None:
        if not self._pending:
            return
        (logits, labels), *more = self._pending
        if more:
            logits, labels = (torch.cat(parts) for parts in zip(*self._pending, strict=True))
        self._pending, self._n_pending = [], 0
        if self._single_label:
            self._check_classes(labels)
            self._counts.add_classes(self.rule.margins(logits).argmax(-1).cpu().numpy(), labels.cpu().numpy())
            if not self.rule.two_classes:
                logits = logits.float().log_softmax(-1)
        scores, gold = self.rule.scores(logits).cpu().numpy(), multi_hot(_as_array(labels), len(self.schema))
        if self.rule.tuned_on is not None:  # else nobody asks
            self._rows.update(bits_of(gold))
        if not self._single_label:
            self._counts.add(scores, gold, self.rule)
        self._average_precision.update(scores, gold)

    # ---- from counts to metrics ----

    def _overall(self, table: LabelTable, known: np.ndarray) -> dict[str, float]:
        tp, predicted, support = (x.sum() for x in (table.true_positives, table.predicted, table.support))
        entries, mistakes = known.sum(), predicted + support - 2 * tp
        rows, faultless, violating, still_violating = self._counts.rows
        subset_accuracy = ratio(faultless, rows)
        accuracy = subset_accuracy if self._single_label else ratio(entries - mistakes, entries)
        with_support = table.support > 0
        return _floats(
            accuracy=accuracy,
            subset_accuracy=subset_accuracy,
            hamming_loss=(1 - accuracy) * bool(rows),
            f1_micro=ratio(2 * tp, predicted + support),
            f1_macro=table.f1.mean(),
            f1_weighted=ratio((table.f1 * table.support).sum(), support),
            precision_micro=ratio(tp, predicted),
            recall_micro=ratio(tp, support),
            mean_average_precision=table.average_precision.mean(),
            violation_rate=ratio(violating, rows),
            violation_rate_closed=ratio(still_violating, rows),
            n_labels_without_recall=(with_support & (table.true_positives == 0)).sum(),
            n_labels_without_support=(~with_support).sum(),
            n_labels_never_predicted=(table.predicted == 0).sum(),
        )

    def _primary(self, table: LabelTable, known: np.ndarray) -> dict[str, float]:
        if not self.schema.primary:
            return {}
        i = list(self.schema.primary)
        tp, predicted, support = (x[i].sum() for x in (table.true_positives, table.predicted, table.support))
        entries = known[i].sum()
        return _floats(
            primary_accuracy=ratio(entries - (predicted + support - 2 * tp), entries),
            primary_f1=ratio(2 * tp, predicted + support),
            primary_precision=ratio(tp, predicted),
            primary_recall=ratio(tp, support),
        )

    def _secondary_metrics(self) -> dict[str, float]:
        tp, predicted, support = self._counts.secondary
        f1 = ratio(2 * tp, predicted + support)
        return _floats(
            secondary_f1_macro=f1.mean() if f1.size else 0.0,
            secondary_f1_micro=ratio(2 * tp.sum(), predicted.sum() + support.sum()),
            secondary_recall=ratio(tp.sum(), support.sum()),
            secondary_precision=ratio(tp.sum(), predicted.sum()),
        )

    def _tails(self, table: LabelTable) -> dict[str, float]:
        order_by = table.support if self._order_by is None else self._order_by
        tiers = tiers_by_support(order_by).items()
        return _floats(**{f"f1_{tier}": table.f1[i].mean() if i.size else 0.0 for tier, i in tiers})

    def _per_label(self, table: LabelTable) -> dict[str, float]:
        values = {metric: getattr(table, metric) for metric in LABEL_METRICS}
        return _floats(**{f"{m}_{self.schema.slugs[i]}": values[m][i] for i in self.shown for m in LABEL_METRICS})


def rarest_shown(rarest_first: Any) -> Any:
    """Those labels of a sequence, rarest first, that are named one by one: all, or of more than 50 the 20 rarest."""
    return rarest_first[: RAREST_SHOWN if len(rarest_first) > MAX_LABELS_SHOWN else None]


def bits_of(labels: Any) -> bytes:
    """Where labels, (rows, labels), are positive, row by row; its hash tells rows that were tuned on."""
    return np.packbits(np.asarray(labels) > 0.5, axis=1).tobytes()


def first(value: Any) -> Any:
    """The logits among several model outputs; anything else as it is."""
    return value[0] if isinstance(value, (tuple, list)) else value


def _as_array(labels: Tensor) -> np.ndarray:
    return (labels.float() if labels.dtype == torch.bfloat16 else labels).cpu().numpy()


def _floats(**values: Any) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
