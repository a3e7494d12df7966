"""What a comparison keeps on disk, so that one that was killed goes on where it was: a folder with

- `settings.json`: what all runs share; another comparison does not go into the same folder;
- `runs.jsonl`: a line for each run that is done;
- `decisions/`: each run's decisions on test, packed bits.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ..utils.errors import DataError, UsageError
from ..utils.files import atomic_write, write_json

VERSION = 1
"""Of the files; a change that a reader would trip over makes it larger."""


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        method: its name.
        learning_rate: the largest.
        seed: of the head's first weights and of the order of rows.
        values: what `judge` says of it; empty where it failed.
        seconds: what it took.
        options: of the method, in words.
        error: why it failed; None where it did not.
    """

    method: str
    learning_rate: float
    seed: int
    values: Mapping[str, Any]
    seconds: float
    options: str = ""
    error: str | None = None

    @property
    def key(self) -> tuple[str, float, int]:
        """What tells it from others."""
        return self.method, self.learning_rate, self.seed


class Record:
    """The folder of a comparison.

    Args:
        folder: made where it is not there.
        settings: what all runs share, JSON-able.

    Raises:
        UsageError: a comparison with other settings lies there.
        DataError: a file there that cannot be read.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        settings = json.loads(json.dumps({"version": VERSION, **settings}))
        file = self.folder / "settings.json"
        (self.folder / "decisions").mkdir(parents=True, exist_ok=True)
        if file.exists():
            _check_same(_read(file), settings, self.folder)
        else:
            write_json(file, settings)
        self._runs = self.folder / "runs.jsonl"
        self.runs: dict[tuple[str, float, int], Run] = {}
        for run in self._read_runs():
            self.runs[run.key] = run

    def _read_runs(self) -> list[Run]:
        if not self._runs.exists():
            return []
        *lines, unfinished = self._runs.read_text(encoding="utf-8").split("\n")
        if unfinished:  # a line that a kill has torn: its run is done again
            with atomic_write(self._runs) as file:
                file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        try:
            return [Run(**json.loads(line)) for line in lines if line]
        except (ValueError, TypeError) as error:
            raise DataError(f"{self._runs}: cannot be read ({error}); give another --output_dir.") from None

    def find(self, key: tuple[str, float, int], options: str) -> Run | None:
        """A run that is done; None where it is not.

        Raises:
            UsageError: a method of that name was another then.
        """
        run = self.runs.get(key)
        if run is not None and run.options != options:
            raise UsageError(
                f"{self.folder}: holds runs of a method {key[0]!r} that was {run.options or 'stock'}, and now is "
                f"{options or 'stock'}; give the method another name, or another --output_dir."
            )
        return run

    def add(self, run: Run, at_half: np.ndarray | None = None, tuned: np.ndarray | None = None) -> None:
        """Keep a run that is done; its decisions first, so that no line is without them."""
        if tuned is not None:
            with atomic_write(self._decisions_of(run)) as file, open(file, "wb") as out:
                np.savez_compressed(
                    out, at_half=np.packbits(at_half), tuned=np.packbits(tuned), shape=np.array(tuned.shape)
                )
        with open(self._runs, "a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(run)) + "\n")
            out.flush()
            os.fsync(out.fileno())
        self.runs[run.key] = run

    def decisions(self, run: Run, when: str = "tuned") -> np.ndarray:
        """Decisions on test, (rows, labels) boolean, "at_half" or "tuned"."""
        try:
            with np.load(self._decisions_of(run)) as kept:
                shape = tuple(kept["shape"])
                return np.unpackbits(kept[when], count=int(np.prod(shape))).reshape(shape).astype(bool)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{self._decisions_of(run)}: cannot be read ({error}); delete its line in runs.jsonl."
            ) from None

    def _decisions_of(self, run: Run) -> Path:
        name = quote(run.method, safe=" ")
        return self.folder / "decisions" / f"{name}-lr{run.learning_rate!r}-seed{run.seed}.npz"


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({error}); give another --output_dir.") from None


def _check_same(there: Mapping[str, Any], here: Mapping[str, Any], folder: Path) -> None:
    for name in {**there, **here}:
        if there.get(name) != here.get(name):
            raise UsageError(
                f"{folder}: holds a comparison with {name} {there.get(name)!r}, and this one has {here.get(name)!r}; "
                "give another --output_dir, or the same settings to go on with it."
            )
