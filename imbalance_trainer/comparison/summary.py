"""What a comparison says: a table, a sentence that names the method to take or says that none is better, and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import RenderableType

from ..analysis.dataset_stats import FEW
from ..utils.console import text_table
from ..utils.errors import DataError
from ..utils.text import pluralize, sentences_of
from .measures import Difference, paired_difference
from .runs import STOCK, Run

_CHOSEN_BY = "validation_f1_macro"
_WORDS = sentences_of(Path(__file__).parent / "templates" / "summary.yaml", plural=pluralize)


@dataclass(frozen=True)
class Summary:
    """The methods in the order in which they were asked for, stock first.

    Args:
        runs: of each method, by name, one for each seed.
        differences: in tuned macro F1 on test from stock, by name.
        test_support: positives in test of the labels that means go over, (labels,).
        steps: of each training; None where that is not known.
        failed: why other methods were not trained, by name.
    """

    runs: Mapping[str, Sequence[Run]]
    differences: Mapping[str, Difference]
    test_support: np.ndarray
    steps: int | None = None
    failed: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def values(self) -> pd.DataFrame:
        """The numbers of `judge`, such as "tuned.f1_macro", in a row for each run, which its method names."""
        values = [run.values for runs in self.runs.values() for run in runs]
        return pd.json_normalize(values).set_axis([name for name, runs in self.runs.items() for _ in runs])

    @cached_property
    def means(self) -> pd.DataFrame:
        """The means over seeds, in a row for each method."""
        return self.values.groupby(level=0, sort=False).mean()

    @cached_property
    def spreads(self) -> pd.DataFrame:
        """The standard deviations over seeds; 0 where there is one."""
        return self.values.groupby(level=0, sort=False).std().fillna(0)

    @property
    def best(self) -> str:
        """The method with the highest tuned macro F1 on **validation**, so that test is left to judge it."""
        return str(self.means[_CHOSEN_BY].idxmax())

    def verdict(self) -> str:
        """Which to take, and how sure that is, in a few sentences."""
        best, means, tuned = self.best, self.means[_CHOSEN_BY], self.means["tuned.f1_macro"]
        spread = self.spreads[_CHOSEN_BY].clip(lower=self.spreads[_CHOSEN_BY][best])
        numbers = {
            "best": best,
            "gained": self.differences.get(best),  # None of stock
            "value": means[best],
            "tuned": tuned[best],
            "stock": tuned[STOCK],
            "ahead": [name for name, gained in self.differences.items() if gained.is_more_than_chance],
            "close": [name for name in means.index if name != best and means[best] - means[name] <= spread[name]],
            "n_seeds": len(self.runs[STOCK]),
            "n_labels": len(self.test_support),
            "n_few": int((self.test_support < FEW).sum()),
            "few": FEW,
            "steps": self.steps,
            "rising": [name for name, of in self.runs.items() if any(r.values.get("still_rising") for r in of)],
        }
        said = (text.render(numbers) for text in _WORDS["verdict"].values())
        return " ".join(sentence for sentence in said if sentence)

    def message(self) -> list[RenderableType]:
        """A table, and what its columns mean, for `console_print`."""
        header = ["method", "at 0.5", "tuned", "val", "vs stock", "head/mid/tail", "missed", "mAP"]
        rows = []
        for name, mean in self.means.iterrows():
            gained = self.differences.get(str(name))
            missed = [f"{mean[f'{when}.zero_recall']:.1f}".removesuffix(".0") for when in ("at_half", "tuned")]
            spread = self.spreads.loc[name, "tuned.f1_macro"]
            rows.append(
                [
                    str(name),
                    _short(mean["at_half.f1_macro"]),
                    f"{mean['tuned.f1_macro']:.3f}±{spread:.3f}".replace("0.", "."),
                    _short(mean[_CHOSEN_BY]),
                    "" if gained is None else f"{_short(gained.low, True)} {_short(gained.high, True)}",
                    "/".join(_short(mean[f"tuned.f1_{tier}"]) for tier in ("head", "medium", "tail")),
                    "/".join(missed),
                    _short(mean["mean_average_precision"]),
                ]
            )
        failed = [f"{name} failed: {why}" for name, why in self.failed.items()]
        meaning = _WORDS["columns"]["meaning"].render(n_labels=len(self.test_support))
        return [text_table(header, rows), *failed, meaning]

    def as_dict(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        methods: dict[str, Any] = {}
        for name, runs in self.runs.items():
            gained = self.differences.get(name)
            methods[name] = {
                "learning_rate": runs[0].learning_rate,
                "seeds": [run.seed for run in runs],
                "runs": [dict(run.values) for run in runs],
                "difference_from_stock": gained and {"mean": gained.mean, "low": gained.low, "high": gained.high},
            }
        failed, verdict = dict(self.failed), self.verdict()
        return {"version": 1, "methods": methods, "failed": failed, "best": self.best, "verdict": verdict}


def summarise(
    runs: Mapping[str, Sequence[Run]], gold: np.ndarray, counted: np.ndarray, steps: int | None = None
) -> Summary:
    """The summary of runs that are done, stock first, by the labels of test, (rows, labels) boolean, of which those in
    `counted` are those that means go over."""
    failed = {name: run.error for name, of_method in runs.items() for run in of_method if run.error is not None}
    runs = {name: of_method for name, of_method in runs.items() if name not in failed}
    if STOCK not in runs or len(runs) < 2:
        raise DataError(f"Nothing is left to compare: {'; '.join(f'{name}: {why}' for name, why in failed.items())}.")
    decisions = {name: [np.asarray(run.decided)[:, counted] for run in of_method] for name, of_method in runs.items()}
    gold = gold[:, counted]
    differences = {
        name: paired_difference(decided, decisions[STOCK], gold)
        for name, decided in decisions.items()
        if name != STOCK
    }
    return Summary(runs, differences, gold.sum(0), steps, failed)


def _short(value: float, sign: bool = False) -> str:
    """Two digits, or with a sign three, without the leading 0.

    >>> _short(0.5), _short(-0.021, True)
    ('.50', '-.021')
    """
    return (f"{value:+.3f}" if sign else f"{value:.2f}").replace("0.", ".", 1)
