"""What a comparison says: a table, a sentence that names the method to take or says that none is better, and JSON."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import RenderableType

from ..analysis.recommend import FEW
from ..utils.console import text_table
from ..utils.errors import DataError
from ..utils.text import pluralize
from .measures import Difference, paired_difference
from .runs import STOCK, Record, Run

_FEW_STEPS = 50
"""A training of fewer says nothing."""

_COLUMNS = (
    "Macro F1 over {} labels, the mean over seeds: on test at 0.5, and at thresholds tuned on validation (± standard "
    "deviation); val: on validation, tuned by cross-fitting; vs stock: 95% interval of the difference on test over "
    "rows and seeds, both tuned; head, mid, tail: tuned, by training support. missed: labels at recall 0, at 0.5 and "
    "tuned. mAP: mean average precision."
)


@dataclass(frozen=True)
class MethodResult:
    """A method over its seeds.

    Args:
        name: of the method.
        learning_rate: at which it was run, the best of those tried, by validation.
        runs: one for each seed.
        difference: in tuned macro F1 on test from stock; None for stock itself.
    """

    name: str
    learning_rate: float
    runs: tuple[Run, ...]
    difference: Difference | None

    def values(self, when: str | None, name: str) -> list[float]:
        """A number of each seed; `when` is at_half or tuned, or None for what does not depend on decisions."""
        return [float((run.values if when is None else run.values[when])[name]) for run in self.runs]

    def mean(self, when: str | None, name: str) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.values(when, name))

    def spread(self, when: str | None, name: str) -> float:
        """The standard deviation over seeds; 0 where there is one."""
        values = self.values(when, name)
        return statistics.stdev(values) if len(values) > 1 else 0.0


@dataclass(frozen=True)
class Summary:
    """The methods in the order in which they were asked for, stock first.

    Args:
        methods: those that were trained.
        test_support: their positives in test, (n_labels,).
        steps: of each training; None where that is not known.
        failed: why others were not trained, by name.
    """

    methods: tuple[MethodResult, ...]
    test_support: np.ndarray
    steps: int | None = None
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_labels(self) -> int:
        """Labels that means go over."""
        return len(self.test_support)

    @property
    def stock(self) -> MethodResult:
        """The stock Trainer's result."""
        return self.methods[0]

    @property
    def best(self) -> MethodResult:
        """The method with the highest tuned macro F1 on **validation**, so that test is left to judge it."""
        return max(self.methods, key=lambda method: method.mean(None, "validation_f1_macro"))

    def verdict(self) -> str:
        """Which to take, and how sure that is, in a few sentences."""
        return " ".join([self._choice(), *self._caveats()])

    def _choice(self) -> str:
        best, stock, n_seeds = self.best, self.stock, len(self.stock.runs)
        chosen = f"chosen on validation ({best.mean(None, 'validation_f1_macro'):.3f} there)"
        gained = best.difference
        if gained is None:  # the best is stock itself
            ahead = [m.name for m in self.methods if m.difference is not None and m.difference.is_more_than_chance]
            but = f" On test {', '.join(ahead)} did better by more than chance explains" if ahead else ""
            but += ": more rows of validation would say which of the two is right." if ahead else ""
            return f"None is better than stock, {chosen}: keep the stock Trainer, with tuned thresholds.{but}"
        numbers = (
            f"{chosen}: macro F1 on test, tuned, {best.mean('tuned', 'f1_macro'):.3f}, stock "
            f"{stock.mean('tuned', 'f1_macro'):.3f}; difference {gained.mean:+.3f}, 95% interval {gained.low:+.3f} to "
            f"{gained.high:+.3f}"
        )
        seeds = pluralize(n_seeds, "seed")
        if gained.is_more_than_chance:
            return f"Take {best.name}, {numbers}, {seeds}.{self._rivals()}"
        lead = "is ahead of stock" if gained.mean > 0 else "is not ahead of stock on test"
        if gained.low <= 0 < gained.mean:
            lead += " by no more than chance explains"
        more = " One seed says little: run more with --seeds." if n_seeds == 1 else ""
        return f"{best.name} {lead}, {numbers}, {seeds}.{more}"

    def _rivals(self) -> str:
        """Methods whose mean over seeds is within a standard deviation of the best one's, on validation."""
        name, best = "validation_f1_macro", self.best
        close = [
            method.name
            for method in self.methods
            if method is not best
            and best.mean(None, name) - method.mean(None, name)
            <= max(best.spread(None, name), method.spread(None, name))
        ]
        return f" Within a standard deviation of it there: {', '.join(close)}." if close else ""

    def _caveats(self) -> list[str]:
        found = []
        few = int((self.test_support < FEW).sum())
        if few:
            labels = "1 label has" if few == 1 else f"{few} of {self.n_labels} labels have"
            found.append(f"{labels} fewer than {FEW} positives in test, where a single row moves F1 a lot.")
        if self.steps is not None and self.steps < _FEW_STEPS:
            found.append(f"{self.steps} steps are hardly any training.")
        return found

    def message(self) -> list[RenderableType]:
        """A table, and what its columns mean, for `console_print`."""
        header = ["method", "at 0.5", "tuned", "val", "vs stock", "head/mid/tail", "missed", "mAP"]
        rows = []
        for method in self.methods:
            gained = method.difference
            missed = [f"{method.mean(when, 'zero_recall'):.1f}".removesuffix(".0") for when in ("at_half", "tuned")]
            rows.append(
                [
                    method.name,
                    _short(method.mean("at_half", "f1_macro")),
                    _cell(method.mean("tuned", "f1_macro"), method.spread("tuned", "f1_macro")),
                    _short(method.mean(None, "validation_f1_macro")),
                    "" if gained is None else f"{_short(gained.low, True)} {_short(gained.high, True)}",
                    "/".join(_short(method.mean("tuned", f"f1_{tier}")) for tier in ("head", "medium", "tail")),
                    "/".join(missed),
                    _short(method.mean(None, "mean_average_precision")),
                ]
            )
        failed = [f"{name} failed: {why}" for name, why in self.failed.items()]
        return [text_table(header, rows), *failed, _COLUMNS.format(self.n_labels)]

    def as_dict(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        methods = {}
        for method in self.methods:
            gained = method.difference
            methods[method.name] = {
                "learning_rate": method.learning_rate,
                "seeds": [run.seed for run in method.runs],
                "runs": [dict(run.values) for run in method.runs],
                "difference_from_stock": None
                if gained is None
                else {"mean": gained.mean, "low": gained.low, "high": gained.high},
            }
        return {
            "version": 1,
            "methods": methods,
            "failed": dict(self.failed),
            "best": self.best.name,
            "verdict": self.verdict(),
        }


def summarise(
    record: Record,
    methods: Sequence[str],
    learning_rates: Mapping[str, float],
    seeds: Sequence[int],
    gold: np.ndarray,
    counted: np.ndarray,
    steps: int | None = None,
) -> Summary:
    """The summary of runs that are done.

    Args:
        record: where they are.
        methods: names, stock first.
        learning_rates: the one of each method.
        seeds: of each method.
        gold: labels of test, (rows, labels), boolean.
        counted: indices of the labels that means go over.
        steps: of each training.
    """
    runs = {name: tuple(record.runs[name, learning_rates[name], seed] for seed in seeds) for name in methods}
    failed = {name: run.error for name, of_method in runs.items() for run in of_method if run.error is not None}
    runs = {name: of_method for name, of_method in runs.items() if name not in failed}
    if STOCK not in runs or len(runs) < 2:
        raise DataError(f"Nothing is left to compare: {'; '.join(f'{name}: {why}' for name, why in failed.items())}.")
    decisions = {name: [record.decisions(run)[:, counted] for run in of_method] for name, of_method in runs.items()}
    gold = gold[:, counted]
    results = []
    for name in runs:
        gained = None if name == STOCK else paired_difference(decisions[name], decisions[STOCK], gold)
        results.append(MethodResult(name, learning_rates[name], runs[name], gained))
    return Summary(tuple(results), gold.sum(0), steps, failed)


def _short(value: float, sign: bool = False) -> str:
    """Two digits, or with a sign three, without the leading 0.

    >>> _short(0.5), _short(-0.021, True)
    ('.50', '-.021')
    """
    return (f"{value:+.3f}" if sign else f"{value:.2f}").replace("0.", ".", 1)


def _cell(mean: float, spread: float) -> str:
    return f"{mean:.3f}±{spread:.3f}".replace("0.", ".")
