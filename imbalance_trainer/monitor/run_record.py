"""A run read from its folder: the evaluations, run.json, the curves, the decision rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..utils.constants import CONFIG_KEY
from ..utils.errors import DataError, UsageError
from ..utils.files import read_json_object
from ..utils.numeric import is_number
from .run_files import CURVES_FILE, HISTORY_FILE, RUN_FILE, headline, read_entries

CONFIG_FILE = "config.json"

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """A run, from its files.

    Args:
        name: name of the folder.
        entries: all evaluations in the order of the file.
        is_cut_off: whether the last line of the file was cut off, as by a kill.
        run: content of run.json; empty without the file.
        curves: content of precision_recall.json; empty without the file.
        decisions: decision rule in the model's config.json; empty without one.
    """

    name: str
    entries: Sequence[Entry]
    is_cut_off: bool
    run: Mapping[str, Any]
    curves: Mapping[str, Any]
    decisions: Mapping[str, Any]

    @cached_property
    def splits(self) -> list[str]:
        """The splits evaluated during training, the main one first."""
        names = list(dict.fromkeys(entry["split"] for entry in self.entries))
        during = [name for name in names if name != "test"] or names
        return sorted(during, key=lambda name: name != "eval")

    @cached_property
    def latest(self) -> list[Entry]:
        """Evaluations of the main split by step; of several at one step the last, which is of the final model."""
        return self._by_step(self._of(self.splits[0]))

    def timeline(self, split: str) -> list[Entry]:
        """Evaluations of a split by step; of several at one step the first, which was made during training."""
        return self._by_step(self._of(split)[::-1])

    @cached_property
    def current(self) -> Entry:
        """The last evaluation of the model that was kept: of the best one, where it was loaded at the end."""
        entries, step = self._of(self.splits[0]), (self.run.get("settings") or {}).get("best_step")
        return next((entry for entry in reversed(entries) if entry["step"] == step), entries[-1])

    @cached_property
    def test(self) -> Entry | None:
        """The last evaluation of the test split; None without one, or where it is the only split."""
        return self._of("test")[-1] if "test" not in self.splits and self._of("test") else None

    @cached_property
    def metric(self) -> str | None:
        """The `headline` of the evaluations, or another F1 that they have: the best one is by it."""
        metrics = [entry["metrics"] for entry in self.timeline(self.splits[0])]
        names = (headline(metrics[-1]), "f1_macro", "f1_micro")
        return next((name for name in names if any(is_number(of.get(name)) for of in metrics)), None)

    @cached_property
    def best(self) -> Entry | None:
        """The best evaluation during training by `metric`, the first of equal ones."""
        valued = [e for e in self.timeline(self.splits[0]) if self.metric and is_number(e["metrics"].get(self.metric))]
        return max(valued, key=lambda e: e["metrics"][self.metric]) if valued else None

    @cached_property
    def train_support(self) -> dict[str, float]:
        """Positives in training by label, where they are known."""
        rows = [*self.current["labels"], *self.of_labels.values()]
        return {r["label"]: r["train_support"] for r in rows if is_number(r.get("train_support"))}

    @cached_property
    def of_labels(self) -> dict[str, Mapping[str, Any]]:
        """The row of each label in run.json."""
        rows = self.run.get("labels")
        rows = rows if isinstance(rows, list) else []
        return {row["label"]: row for row in rows if isinstance(row, Mapping) and "label" in row}

    @cached_property
    def rarest_first(self) -> list[str]:
        """Label names by positives in training; by those of the evaluation where training's are not known."""
        support = {row["label"]: row.get("support") for row in self.current["labels"]}
        known = self.train_support if all(name in self.train_support for name in support) else support
        return sorted(support, key=lambda name: known[name] if is_number(known[name]) else 0)

    @staticmethod
    def _by_step(entries: Sequence[Entry]) -> list[Entry]:
        """By rising step; of several at one step the last."""
        return sorted({entry["step"]: entry for entry in entries}.values(), key=lambda entry: entry["step"])

    def _of(self, split: str) -> list[Entry]:
        return [entry for entry in self.entries if entry["split"] == split]


def read_run(run_dir: str | Path) -> RunRecord:
    """Read a run's folder.

    Returns:
        The run.

    Raises:
        UsageError: no such folder, or one without a history.
        DataError: a file that is broken; the sentence names it and the line.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; give the --output_dir of a training.")
    hint = "it is written at the first evaluation of a training with RareLabelCallback (--eval_strategy epoch)"
    try:
        entries, is_cut_off = read_entries(folder / HISTORY_FILE)
    except FileNotFoundError:
        raise UsageError(f"{folder}: holds no {HISTORY_FILE}; {hint}.") from None
    if not entries:
        raise DataError(f"{folder / HISTORY_FILE}: has no evaluation yet; {hint}.")
    decisions = _optional(folder / CONFIG_FILE).get(CONFIG_KEY)
    return RunRecord(
        folder.resolve().name,
        entries,
        is_cut_off,
        _optional(folder / RUN_FILE),
        _optional(folder / CURVES_FILE),
        decisions if isinstance(decisions, Mapping) else {},
    )


def rows_by_label(entry: Entry) -> dict[str, Mapping[str, Any]]:
    """An evaluation's labels by their names."""
    return {row["label"]: row for row in entry["labels"]}


def recall_of(row: Mapping[str, Any] | None) -> float | None:
    """The recall of a label; None where it has no positives, so that recall is 0/0."""
    if row is None or not row.get("support") or not is_number(row.get("recall")):
        return None
    return row["recall"]


def place(entry: Entry) -> str:
    """Where in training an evaluation was made.

    >>> place({"step": 1200, "epoch": 2.0}), place({"step": 0, "epoch": None})
    ('epoch 2 (step 1,200)', 'step 0')
    """
    step = f"step {entry['step']:,}"
    return f"epoch {entry['epoch']:.3g} ({step})" if is_number(entry.get("epoch")) else step


def _optional(path: Path) -> Mapping[str, Any]:
    return read_json_object(path) if path.is_file() else {}
