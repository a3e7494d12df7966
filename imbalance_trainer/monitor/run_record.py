"""What a run left in its folder, read and put in order: the evaluations, run.json, the curves, the decision rule."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..labels.label_info import read_json_object
from ..utils.constants import CONFIG_KEY
from ..utils.errors import DataError, UsageError
from ..utils.numeric import is_number
from .history import FILE_NAME
from .run_info import CURVES_FILE, RUN_FILE

CONFIG_FILE = "config.json"

BEST_BY = ("secondary_f1_macro", "f1_macro", "f1_micro")
"""The first of these that the evaluations have says which of them is the best."""

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """A run as its files tell it.

    Args:
        name: of the folder.
        entries: all evaluations as they stand in the file.
        is_cut_off: whether the last line was cut off, as by a kill.
        run: content of run.json, empty where there is none.
        curves: content of precision_recall.json, empty where there is none.
        decisions: what the model's config.json says of decisions, empty where it says nothing.
    """

    name: str
    entries: Sequence[Entry]
    is_cut_off: bool
    run: Mapping[str, Any]
    curves: Mapping[str, Any]
    decisions: Mapping[str, Any]

    @cached_property
    def splits(self) -> list[str]:
        """What was evaluated during training, the split that the report is about first."""
        names = list(dict.fromkeys(entry["split"] for entry in self.entries))
        during = [name for name in names if name != "test"] or names
        return sorted(during, key=lambda name: name != "eval")

    @cached_property
    def latest(self) -> list[Entry]:
        """The main split's evaluations by step; of several at a step the last, which is what the model is now."""
        return _by_step({entry["step"]: entry for entry in self._of(self.splits[0])})

    def timeline(self, split: str) -> list[Entry]:
        """A split's evaluations by step; of several at a step the first, which was made during training."""
        return _by_step({entry["step"]: entry for entry in reversed(self._of(split))})

    @cached_property
    def current(self) -> Entry:
        """The evaluation that was made last: of the best model, where that was loaded at the end."""
        return self._of(self.splits[0])[-1]

    @cached_property
    def test(self) -> Entry | None:
        """The last evaluation of the test split, where there is one besides others."""
        return self._of("test")[-1] if "test" not in self.splits and self._of("test") else None

    @cached_property
    def metric(self) -> str | None:
        """Which of BEST_BY the evaluations have."""
        timeline = self.timeline(self.splits[0])
        return next((m for m in BEST_BY if any(is_number(e["metrics"].get(m)) for e in timeline)), None)

    @cached_property
    def best(self) -> Entry | None:
        """The evaluation during training that is best by `metric`, the first of equal ones."""
        valued = [e for e in self.timeline(self.splits[0]) if self.metric and is_number(e["metrics"].get(self.metric))]
        return max(valued, key=lambda e: e["metrics"][self.metric]) if valued else None

    @cached_property
    def train_support(self) -> dict[str, float]:
        """Positives in training by label, as far as they are known."""
        rows = [*self.current["labels"], *self.of_labels.values()]
        return {r["label"]: r["train_support"] for r in rows if is_number(r.get("train_support"))}

    @cached_property
    def of_labels(self) -> dict[str, Mapping[str, Any]]:
        """What run.json says of each label."""
        rows = self.run.get("labels")
        rows = rows if isinstance(rows, list) else []
        return {row["label"]: row for row in rows if isinstance(row, Mapping) and "label" in row}

    @cached_property
    def rarest_first(self) -> list[str]:
        """The labels' names by positives in training, or by those of the evaluation where training's are not known."""
        support = {row["label"]: row.get("support") for row in self.current["labels"]}
        known = self.train_support if all(name in self.train_support for name in support) else support
        return sorted(support, key=lambda name: known[name] if is_number(known[name]) else 0)

    def _of(self, split: str) -> list[Entry]:
        return [entry for entry in self.entries if entry["split"] == split]


def read_run(run_dir: str | Path) -> RunRecord:
    """Read a run's folder.

    Args:
        run_dir: the output directory of a training.

    Returns:
        What stands in it.

    Raises:
        UsageError: no such folder, or one without a history.
        DataError: a file that is broken; the sentence names it and the line.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; give the --output_dir of a training.")
    entries, is_cut_off = _read_entries(folder)
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
    """A label's recall; None where it has no positives, of which the metrics say 0."""
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


def _by_step(entries: Mapping[int, Entry]) -> list[Entry]:
    return [entries[step] for step in sorted(entries)]


def _optional(path: Path) -> Mapping[str, Any]:
    return read_json_object(path) if path.is_file() else {}


def _read_entries(folder: Path) -> tuple[list[Entry], bool]:
    path = folder / FILE_NAME
    hint = "it is written at the first evaluation of a training with RareLabelCallback (--eval_strategy epoch)"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{folder}: holds no {FILE_NAME}; {hint}.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start}).") from None
    entries: list[Entry] = []
    lines = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    is_cut_off = False
    for i, line in lines:
        try:
            entries.append(_checked(json.loads(line), f"{path}, line {i}"))
        except json.JSONDecodeError as error:
            is_cut_off = i == lines[-1][0] and not text.endswith("\n")  # a kill while it was being written
            if not is_cut_off:
                raise DataError(f"{path}, line {i}: is no valid JSON ({error.msg}); mend or delete it.") from None
    if not entries:
        raise DataError(f"{path}: has no evaluation yet; {hint}.")
    return entries, is_cut_off


def _checked(entry: Any, where: str) -> Entry:
    """The entry, if it has what everything here needs."""
    kinds = {"split": (str,), "step": (int, float), "metrics": (dict,), "labels": (list,)}
    found = type(entry).__name__ if not isinstance(entry, dict) else None
    wrong = next((k for k, kind in kinds.items() if found is None and not isinstance(entry.get(k), kind)), None)
    if found is not None or wrong is not None:
        what = f"found a {found}" if found is not None else f"its {wrong!r} is missing or of another kind"
        raise DataError(f"{where}: is no evaluation as this package writes them ({what}).")
    if not all(isinstance(row, dict) and isinstance(row.get("label"), str) for row in entry["labels"]):
        raise DataError(f"{where}: an item of 'labels' has no 'label'.")
    return entry
