"""Thresholds of a trained model: tuned on evaluation data, and judged on rows they did not see."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from ..decisions.rule import DecisionRule
from ..labels.schema import LabelSchema
from ..metrics.curves import known
from ..metrics.imbalance_metrics import LABEL_METRICS, ImbalanceMetrics, LabelTable, bits_of
from ..utils.errors import DataError, check_known
from ..utils.flags import option
from ..utils.numeric import multi_hot
from .threshold_search import OBJECTIVES, ThresholdObjective, f_score
from .thresholds import PER, SHRINKAGE, TunedThresholds, checked_shrinkage, tune_thresholds

N_BOOTSTRAP = 200
_FOLDS = 5
_GUARDED = ("all", "label")


@dataclass
class TuningOptions:
    """How thresholds are tuned after training; see `tune_thresholds`. Each is also a flag of the examples."""

    threshold_objective: str = option("f1", help=f"What thresholds are tuned for: {', '.join(OBJECTIVES)}.")
    threshold_beta: float = option(1.0, help="Beta of f_beta; over 1 recall counts more.")
    threshold_floor: float | None = option(
        None, help="The least precision, or recall, of an objective that has a floor."
    )
    thresholds_per: str = option(
        "auto",
        help=f"What has a threshold of its own: {', '.join(PER)}, or auto: 0.5, one for all labels or one for "
        "each, whichever has the best cross-fitted F1.",
    )
    threshold_shrinkage: float | None = option(
        None,
        help="Weight, in positives, of the threshold for all labels towards which a label's is shrunk "
        f"({SHRINKAGE:g} if not given; 0 with a floor).",
    )

    def checked(self) -> "TuningOptions":
        """These options, or a UsageError where one of them cannot be right."""
        ThresholdObjective.checked(self.threshold_objective, self.threshold_beta, self.threshold_floor)
        check_known("thresholds_per", self.thresholds_per, ("auto", *PER))
        checked_shrinkage(self.threshold_shrinkage)
        return self


@dataclass(frozen=True, eq=False, repr=False)
class Tuning:
    """What was tuned, and what it is worth.

    Args:
        thresholds: the thresholds and their intervals; 0.5 where that won.
        rule: how decisions are made with them.
        at_half, held_out: metrics of ImbalanceMetrics at 0.5, and tuned by cross-fitting: of five parts of the rows
            each is decided by thresholds that were tuned on the other four.
        at_half_table, held_out_table: the same, label by label.
        n_rows: rows.
        objective: what was aimed at.
        per: what has a threshold of its own: "half" (nothing: 0.5 stays), "all" or "label".
        positive: of two classes that which the threshold is tuned for; "" for a multi-label problem.
        tried: cross-fitted mean F1 over the labels (F_beta, if that was aimed at) by `per`, of all that was tried.
    """

    thresholds: TunedThresholds
    rule: DecisionRule
    at_half: dict[str, float]
    held_out: dict[str, float]
    at_half_table: LabelTable
    held_out_table: LabelTable
    n_rows: int
    objective: str
    per: str
    positive: str
    tried: Mapping[str, float]

    def __repr__(self) -> str:
        """In a line, for a notebook; `thresholds` has all of it."""
        n, values = len(self.rule.schema), (self.at_half["f1_macro"], self.held_out["f1_macro"])
        gain = f"f1_macro {values[0]:.3f} at 0.5 -> {values[1]:.3f} cross-fitted"
        return f"Tuning({n} labels, {self.n_rows:,} rows, {gain})"


def tune_decisions(
    logits: np.ndarray,
    labels: np.ndarray,
    rule: DecisionRule,
    options: TuningOptions,
    n_bootstrap: int = N_BOOTSTRAP,
    train_support: np.ndarray | None = None,
    seed: int = 0,
) -> Tuning:
    """Tune, and measure by cross-fitting what that gains.

    Thresholds for F1 or F_beta never cost: 0.5 stays where none have a better cross-fitted mean of it over the labels.

    Args:
        logits: (rows, labels), of data that the model was **not** trained on.
        labels: (rows, labels); of two classes (rows,), their indices.
        rule: whose hierarchy policy holds; its thresholds are replaced.
        options: what is aimed at.
        n_bootstrap: resamples for the intervals.
        train_support: see ImbalanceMetrics.
        seed: of the bootstrap and of the parts.

    Raises:
        UsageError, DataError: as `tune_thresholds`.
    """
    options, positive = options.checked(), ""
    if rule.two_classes:
        positive = _positive_class(rule, labels, train_support)
    search = _Search(logits, labels, rule.untuned(), options, seed, positive)
    has_guard = options.threshold_floor is None
    asked: tuple[str, ...] = (options.thresholds_per,)
    if positive or (options.thresholds_per == "auto" and not has_guard):
        asked = ("label",)
    elif options.thresholds_per == "auto":
        asked = _GUARDED
    measured = {"half": search.measured(None, train_support)} | {
        per: search.measured(per, train_support) for per in asked
    }
    results = {per: metrics.compute() for per, metrics in measured.items()}
    tables: dict[str, Any] = {per: metrics.table for per, metrics in measured.items()}  # `compute` has made them
    counts = {per: (table.true_positives, table.predicted, table.support) for per, table in tables.items()}
    tried = {per: float(f_score(*found, options.threshold_beta).mean()) for per, found in counts.items()}
    per = max(tried, key=lambda per: tried[per]) if has_guard else asked[0]  # the first, and simplest, of equals
    if per == "half":
        tuned_rule = search.plain
        thresholds = search.tuned(slice(None), asked[-1])[1].at_half()
    else:
        tuned_rule, thresholds = search.tuned(slice(None), per, n_bootstrap)
        of_labels = {f"{metric}_{slug}" for metric in LABEL_METRICS for slug in rule.schema.slugs}
        overall = {name: value for name, value in results[per].items() if name not in of_labels}
        rows = blake2b(bits_of(multi_hot(labels, len(rule.schema))), digest_size=8).hexdigest()
        tuned_rule = replace(tuned_rule, tuned_on={"rows": rows, "cross_fitted": overall})
    held_out = replace(tables[per], threshold=thresholds.thresholds)  # and not those of the last part
    parts = (results["half"], results[per], tables["half"], held_out, len(logits))
    return Tuning(thresholds, tuned_rule, *parts, options.threshold_objective, per, positive, tried)


def _positive_class(rule: DecisionRule, labels: np.ndarray, train_support: np.ndarray | None) -> str:
    """The primary label of two classes, else the rarer one, in training where that is known."""
    schema = rule.schema
    support = (multi_hot(labels, len(schema)) == 1).sum(0) if train_support is None else train_support
    return schema.names[schema.primary[0] if len(schema.primary) == 1 else int(np.argmin(support))]


@dataclass(frozen=True)
class _Search:
    """Scores and labels, and how thresholds are found on some of them."""

    logits: np.ndarray
    labels: np.ndarray
    plain: DecisionRule
    options: TuningOptions
    seed: int
    positive: str

    def measured(self, per: str | None, train_support: np.ndarray | None) -> ImbalanceMetrics:
        """Metrics at 0.5 (None), or with thresholds by cross-fitting."""
        metrics = ImbalanceMetrics.of_rule(self.plain, train_support)
        n_folds = 1 if per is None else min(_FOLDS, len(self.logits))
        parts = np.random.default_rng(self.seed).permutation(len(self.logits)) % n_folds
        for part in range(n_folds):
            here = parts == part
            if per is not None:
                try:
                    metrics.rule = self.tuned(~here, per)[0]
                except DataError:  # all positives lie in this part
                    metrics.rule = self.plain
            metrics.update(self.logits[here], self.labels[here])
        return metrics

    def tuned(self, rows: np.ndarray | slice, per: str, n_bootstrap: int = 0) -> tuple[DecisionRule, TunedThresholds]:
        """The rule and its thresholds, from some of the rows."""
        rule, schema, options = self.plain, self.plain.schema, self.options
        logits, labels = self.logits[rows], multi_hot(self.labels[rows], len(schema))
        scores = rule.scores(logits).numpy()
        if self.positive:
            place = schema.index(self.positive)
            scores, labels, schema = scores[:, [place]], labels[:, [place]], LabelSchema.of([self.positive])
        thresholds = tune_thresholds(
            scores,
            labels,
            schema,
            objective=options.threshold_objective,
            beta=options.threshold_beta,
            floor=options.threshold_floor,
            per=per,
            shrinkage=options.threshold_shrinkage,
            from_logits=True,
            n_bootstrap=n_bootstrap,
            seed=self.seed,
        )
        if self.positive:
            thresholds = thresholds.with_other_class(rule.schema, int(known(labels).sum()))
        return replace(rule, thresholds=thresholds.thresholds), thresholds
