"""Thresholds, and calibration, of a trained model: tuned on evaluation data, and judged on rows they did not see."""

from dataclasses import dataclass, field, replace

import numpy as np

from ..decisions.rule import DecisionRule
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import ImbalanceMetrics, LabelTable
from ..utils.errors import DataError, check_known
from .calibration import CALIBRATIONS, Calibration, calibrate
from .threshold_search import OBJECTIVES, ThresholdObjective
from .thresholds import PER, SHRINKAGE, TunedThresholds, checked_shrinkage, tune_thresholds, units_of

N_BOOTSTRAP = 200
_FOLDS = 5
_WORSE = 0.01  # a difference of which more is said


@dataclass
class TuningOptions:
    """How thresholds are tuned after training; see `tune_thresholds`. Each is also a flag of the examples."""

    threshold_objective: str = field(
        default="f1", metadata={"help": f"What thresholds are tuned for: {', '.join(OBJECTIVES)}."}
    )
    threshold_beta: float = field(default=1.0, metadata={"help": "Beta of f_beta; over 1 recall counts more."})
    threshold_floor: float | None = field(
        default=None, metadata={"help": "The least precision, or recall, of an objective that has a floor."}
    )
    thresholds_per: str = field(
        default="label", metadata={"help": f"What has a threshold of its own: {', '.join(PER)}."}
    )
    threshold_groups: list[str] | None = field(
        default=None,
        metadata={"help": "Which groups share a threshold, with --thresholds_per group; all if not given."},
    )
    threshold_shrinkage: float | None = field(
        default=None,
        metadata={
            "help": "Weight, in positives, of the threshold for all labels towards which a label's is shrunk "
            f"({SHRINKAGE:g} if not given; 0 with a floor)."
        },
    )
    calibration: str = field(
        default="none", metadata={"help": f"Calibration of each label's score: {', '.join(CALIBRATIONS)}."}
    )

    def checked(self, schema: LabelSchema | None = None) -> "TuningOptions":
        """These options, or a UsageError where one of them cannot be right; with a schema also its groups."""
        ThresholdObjective.checked(self.threshold_objective, self.threshold_beta, self.threshold_floor)
        check_known("thresholds_per", self.thresholds_per, PER)
        check_known("calibration", self.calibration, CALIBRATIONS)
        checked_shrinkage(self.threshold_shrinkage)
        if schema is not None:
            units_of(schema, self.thresholds_per, self.threshold_groups)
        return self


@dataclass(frozen=True, eq=False, repr=False)
class Tuning:
    """What was tuned, and what it is worth.

    Args:
        thresholds: the thresholds and their intervals.
        calibration: None where there is none.
        rule: how decisions are made with them.
        at_half, held_out: metrics of ImbalanceMetrics at 0.5, and tuned by cross-fitting: of five parts of the rows
            each is decided by thresholds that were tuned on the other four.
        stored: those of the rule, on the rows that it was tuned on.
        at_half_table, held_out_table: the same, label by label.
        n_rows: rows.
        objective: what was aimed at.
    """

    thresholds: TunedThresholds
    calibration: Calibration | None
    rule: DecisionRule
    at_half: dict[str, float]
    held_out: dict[str, float]
    stored: dict[str, float]
    at_half_table: LabelTable
    held_out_table: LabelTable
    n_rows: int
    objective: str = "f1"

    @property
    def is_worse_than_half(self) -> bool:
        """Whether thresholds that were to give a better F1 give a worse one: on rows that they were not tuned on, or
        even on those, as where positives are few, or where scores break the rules of the labels."""
        gained = min(self.held_out["f1_macro"], self.stored["f1_macro"]) - self.at_half["f1_macro"]
        return self.objective == "f1" and gained < -_WORSE

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
    """Calibrate, tune, and measure by cross-fitting what that gains.

    Args:
        logits: (rows, labels), of data that the model was **not** trained on.
        labels: (rows, labels).
        rule: whose hierarchy policy and max constraint hold; its thresholds and calibration are replaced.
        options: what is aimed at.
        n_bootstrap: resamples for the intervals.
        train_support: see ImbalanceMetrics.
        seed: of the bootstrap and of the parts.

    Raises:
        UsageError, DataError: as `tune_thresholds` and `calibrate`.
    """
    options = options.checked(rule.schema)
    plain = rule.untuned()
    tuned_rule, thresholds, calibration = _tuned(logits, labels, plain, options, n_bootstrap, seed)
    at_half = ImbalanceMetrics.of_rule(plain, train_support)
    at_half.update(logits, labels)
    held_out = ImbalanceMetrics.of_rule(plain, train_support)
    parts = np.random.default_rng(seed).permutation(len(logits)) % _FOLDS
    for part in range(min(_FOLDS, len(logits))):
        rest, here = parts != part, parts == part
        try:
            held_out.rule = _tuned(logits[rest], labels[rest], plain, options, 0, seed)[0]
        except DataError:  # all positives lie in this part
            held_out.rule = plain
        held_out.update(logits[here], labels[here])
    stored = ImbalanceMetrics.of_rule(tuned_rule, train_support)
    stored.update(logits, labels)
    results = at_half.compute(), held_out.compute(), stored.compute()
    assert at_half.table is not None
    assert held_out.table is not None  # `compute` has made them
    tables = at_half.table, held_out.table
    return Tuning(thresholds, calibration, tuned_rule, *results, *tables, len(logits), options.threshold_objective)


def _tuned(
    logits: np.ndarray,
    labels: np.ndarray,
    plain: DecisionRule,
    options: TuningOptions,
    n_bootstrap: int,
    seed: int,
) -> tuple[DecisionRule, TunedThresholds, Calibration | None]:
    calibration, rule = None, plain
    if options.calibration != "none":
        calibration = calibrate(plain.scores(logits).numpy(), labels, plain.schema, options.calibration)
        rule = replace(plain, calibration=calibration.parameters)
    thresholds = tune_thresholds(
        rule.scores(logits).numpy(),
        labels,
        plain.schema,
        objective=options.threshold_objective,
        beta=options.threshold_beta,
        floor=options.threshold_floor,
        per=options.thresholds_per,
        groups=options.threshold_groups,
        shrinkage=options.threshold_shrinkage,
        from_logits=True,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    return replace(rule, thresholds=thresholds.thresholds), thresholds, calibration
