"""What is compared, and the runs that are kept on disk, so that a comparison that was killed goes on where it was.

The folder of a comparison has settings.json, what all runs share (another comparison does not go into the same
folder), and in `runs/` a file for each run that is done.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np

from ..losses import LOSSES
from ..losses.registry import check_kind, loss_class
from ..training.arguments import ImbalanceOptions
from ..utils.errors import DataError, UsageError, did_you_mean, quoted
from ..utils.files import atomic_write, read_json_flag, read_json_object, write_json

STOCK, DEFAULT, LINEAR = "stock", "default", "linear"
"""transformers.Trainer as it is; WeightedFocalTrainer with nothing set; TF-IDF and a linear classifier."""

_SET_BY_THE_COMPARISON = {"label_schema", "rare_label_patience"}


@dataclass(frozen=True)
class Method:
    """A way to train.

    Args:
        name: what the table calls it.
        options: keywords of WeightedFocalTrainer; None for the stock Trainer.
    """

    name: str
    options: Mapping[str, Any] | None = field(default_factory=dict)

    @property
    def in_words(self) -> str:
        """What tells it from another of the same name: its options as JSON, "" for the stock Trainer."""
        return "" if self.options is None else json.dumps(dict(self.options), sort_keys=True, default=repr)

    @property
    def is_stock(self) -> bool:
        """Whether it is the stock Trainer."""
        return self.options is None


def read_methods(names: Sequence[str], own: Any, problem_type: str) -> list[Method]:
    """The methods that were asked for, the stock Trainer first, as everything is compared to it.

    Args:
        names: "stock", "default", names of LOSSES, and of `own`; each may hold several with commas between them.
        own: {name: keywords of WeightedFocalTrainer}, JSON of it or the path of a JSON file; None for none.
        problem_type: which losses fit.

    Raises:
        UsageError: a name that is not known or stands twice, options that do not exist or fit, or nothing to compare.

    >>> [method.name for method in read_methods(["focal,bce"], None, "multi_label_classification")]
    ['stock', 'focal', 'bce']
    """
    mine = _read_own(own)
    known: dict[str, Any] = {STOCK: None, DEFAULT: {}, **{name: {"loss": name} for name in LOSSES}, **mine}
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    twice = sorted({name for name in wanted if wanted.count(name) > 1})
    if twice:
        raise UsageError(f"--methods names {quoted(twice)} twice; name each once.")
    for name in wanted:
        if name not in known:
            raise UsageError(f"Unknown method {name!r}: {did_you_mean(name, known)}")
    methods = [Method(name, known[name]) for name in dict.fromkeys([STOCK, *wanted, *mine])]
    if len(methods) < 2:
        raise UsageError("There is nothing to compare stock with: name --methods, such as default,focal.")
    for method in methods:
        loss = (method.options or {}).get("loss")
        if isinstance(loss, str):
            check_kind(loss, loss_class(loss), problem_type)
    return methods


def _read_own(own: Any) -> dict[str, dict[str, Any]]:
    if isinstance(own, str):
        own, _ = read_json_flag(own, "--own_methods", '{"gamma 3": {"focal_gamma": 3}}')
    own = {} if own is None else own
    if not isinstance(own, Mapping) or not all(isinstance(options, Mapping) for options in own.values()):
        raise UsageError(f'--own_methods is {{"name": {{"focal_gamma": 3}}}} or a JSON file of it; got {own!r}.')
    known = [f.name for f in dataclasses.fields(ImbalanceOptions) if f.name not in _SET_BY_THE_COMPARISON]
    for name, options in own.items():
        if name in (STOCK, DEFAULT, LINEAR):
            raise UsageError(f"--own_methods: {name!r} is taken; give your method another name.")
        for option in options:
            if option not in known:
                near = did_you_mean(option, known)
                raise UsageError(f"--own_methods: {name!r} has an unknown option {option!r}: {near}")
        ImbalanceOptions(**options).checked()
    return {str(name): dict(options) for name, options in own.items()}


VERSION = 2
"""Of the files; a change that a reader would trip over makes it larger."""

Key = tuple[str, float, int]
"""Method, learning rate and seed of a run."""


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
        decided: on test at tuned thresholds, (rows, labels) boolean; None where it failed.
    """

    method: str
    learning_rate: float
    seed: int
    values: Mapping[str, Any]
    seconds: float
    options: str = ""
    error: str | None = None
    decided: np.ndarray | None = None


class Record:
    """The folder of a comparison.

    Args:
        folder: made where it is not there.
        settings: what all runs share, JSON-able.

    Raises:
        UsageError: a comparison with other settings lies there, or one of another version.
        DataError: settings that cannot be read.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        settings = json.loads(json.dumps({"version": VERSION, **settings}))
        file = self.folder / "settings.json"
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        if not file.exists():
            write_json(file, settings)
        there = read_json_object(file)
        for name in {**there, **settings}:
            if there.get(name) != settings.get(name):
                raise UsageError(
                    f"{folder}: holds a comparison with {name} {there.get(name)!r}, and this one has "
                    f"{settings.get(name)!r}; give another --output_dir, or the same settings to go on with it."
                )

    def find(self, key: Key, options: str) -> Run | None:
        """A run that is done; None where it is not.

        Raises:
            UsageError: a method of that name was another then.
            DataError: a file that cannot be read.
        """
        file = self._file(key)
        if not file.exists():
            return None
        try:
            with np.load(file) as kept:
                run = Run(**json.loads(str(kept["run"])), decided=kept.get("decided"))
        except (OSError, EOFError, ValueError, TypeError, KeyError, BadZipFile) as error:
            raise DataError(f"{file}: cannot be read ({error}); delete it, and its run is done again.") from None
        if run.options != options:
            raise UsageError(
                f"{self.folder}: holds runs of a method {key[0]!r} that was {run.options or 'stock'}, and now is "
                f"{options or 'stock'}; give the method another name, or another --output_dir."
            )
        return run

    def add(self, run: Run) -> Run:
        """Keep a run that is done; its file is written atomically."""
        told = json.dumps({name: value for name, value in vars(run).items() if name != "decided"})
        decided: dict[str, Any] = {} if run.decided is None else {"decided": run.decided}
        file = self._file((run.method, run.learning_rate, run.seed))
        with atomic_write(file) as unfinished, open(unfinished, "wb") as out:
            np.savez_compressed(out, run=told, **decided)
        return run

    def _file(self, key: Key) -> Path:
        return self.folder / "runs" / f"{quote(key[0], safe=' ')}-lr{key[1]!r}-seed{key[2]}.npz"
