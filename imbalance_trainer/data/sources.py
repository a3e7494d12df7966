"""Where the data lies: a folder, files, a saved dataset, a dataset of the hub or objects in memory, by split."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa

from ..utils.errors import DataError, UsageError, did_you_mean, quoted
from .columnar import object_frame
from .files import DELIMITED, SPLITS, TEXT, find_files, nearly_splits, read_files, split_named
from .frame import Frame, ReadSettings, tidy

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class HubDataset:
    """A dataset of the Hugging Face hub, by its name and, where it has several, its configuration."""

    name: str
    config_name: str | None = None


@dataclass(frozen=True)
class Source:
    """What is there of each split, not read yet.

    Args:
        parts: per split a file, the files that it is cut into, or an object in memory.
        where: the folder or name that messages and notes say.
        folder: where a label_info.json may lie.
        unused: splits that are there and not used.
        nearly: what to say of files that are not used and have nearly the name of a split.
    """

    parts: Mapping[str, Any]
    where: str = ""
    folder: Path | None = None
    unused: tuple[str, ...] = field(default=())
    nearly: tuple[str, ...] = field(default=())

    def paths(self) -> list[Path]:
        """All files."""
        every = [part if isinstance(part, tuple) else (part,) for part in self.parts.values()]
        return [path for paths in every for path in paths if isinstance(path, Path)]


def is_hub_name(data: str) -> bool:
    """Whether a text is no path of anything, and could be the name of a dataset on the hub."""
    return _HUB_NAME.fullmatch(data) is not None and not Path(data).exists()


def find_source(data: Any, split_names: Mapping[str, str] | None = None) -> Source:
    """Find the splits of `data`, whatever it is (see `load_labelled_dataset`).

    Args:
        data: the data.
        split_names: per split what it is called in a dataset, where that is not its usual name.

    Raises:
        UsageError: nothing of that name, a kind of object that is not known, or split names that are not there.
        DataError: a saved dataset that is broken, or no training split.
    """
    if isinstance(data, HubDataset):
        return _by_split(_from_hub(data), split_names, f"{data.name} on the hub")
    if isinstance(data, str) and is_hub_name(data):
        return _by_split(_from_hub(HubDataset(data)), split_names, f"{data} on the hub")
    if isinstance(data, (str, Path)):
        return _at_path(Path(data), split_names)
    if isinstance(data, Mapping):
        return _by_split(data, split_names)
    if split_names:
        raise UsageError(f"Names of splits have no use for a {type(data).__name__}; it is the training data.")
    return Source({"train": data})


def read_source(source: Source, settings: ReadSettings) -> dict[str, Frame]:
    """The frame of each split, in the order train, validation, test."""
    _check_use(source, settings)
    frames = {}
    for split in SPLITS:
        if split not in source.parts:
            continue
        part = source.parts[split]
        is_file = isinstance(part[0] if isinstance(part, tuple) and part else part, Path)
        frames[split] = read_files(part, settings) if is_file else tidy(object_frame(part, split))
    return frames


def _check_use(source: Source, settings: ReadSettings) -> None:
    endings = {path.suffix.lower() for path in source.paths()}
    for flag, value, wanted in (("delimiter", settings.delimiter, DELIMITED), ("encoding", settings.encoding, TEXT)):
        if value is not None and not endings & set(wanted):
            found = f"found {', '.join(sorted(endings))}" if endings else "there is none"
            raise UsageError(f"--{flag} {value!r} has no use: it is for files {', '.join(wanted)}, and {found}.")


def _at_path(path: Path, split_names: Mapping[str, str] | None) -> Source:
    if path.is_dir():
        saved = _saved(path)
        if isinstance(saved, Mapping):
            return _by_split(saved, split_names, str(path), path)
        if split_names:
            raise UsageError(
                f"{path}: names of splits have no use here; files are named by --train_file and the like."
            )
        if saved is not None:
            return Source({"train": saved}, str(path), path)
        found = find_files(path)
        return Source(found, str(path), path, nearly=nearly_splits(path, found))
    if path.exists():
        return Source({"train": path}, str(path.parent), path.parent)
    raise UsageError(f"{path}: there is no such folder or file; give a folder with train.csv or the like, or a file.")


def _saved(folder: Path) -> Any:
    """What `save_to_disk` of datasets wrote into a folder; None where it did not."""
    if not any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return None
    try:
        return datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0].replace(str(folder.resolve()), str(folder))[:300]
        raise DataError(f"{folder}: is a saved dataset that cannot be loaded ({said}).") from None


def _by_split(
    parts: Mapping[str, Any], split_names: Mapping[str, str] | None, where: str = "", folder: Path | None = None
) -> Source:
    """The parts under the names of splits; a path among them becomes the file, files or dataset that it leads to."""
    wanted, named = dict(split_names or {}), {}
    for split, name in wanted.items():
        if name not in parts:
            raise UsageError(f"{where or 'The data'}: has no split {name!r}: {did_you_mean(name, list(parts))}")
        named[split] = name
    for name in parts:
        meant = split_named(str(name))
        if meant is None or meant in wanted or name in named.values():
            continue
        if meant in named:
            raise DataError(
                f"{where or 'The data'}: {named[meant]!r} and {name!r} are both the {meant} split; keep one."
            )
        named[meant] = name
    if "train" not in named:
        found = f"found {quoted(list(map(str, parts)))}" if parts else "it is empty"
        raise DataError(
            f"{where or 'The data'}: has no split 'train'; {found}. A dataset's own name for it: --train_split_name."
        )
    unused = tuple(str(name) for name in parts if name not in named.values())
    opened = {split: _opened(parts[named[split]]) for split in SPLITS if split in named}
    source = Source(opened, where, folder, unused)
    if folder is None and (paths := source.paths()):
        return Source(opened, where or str(paths[0].parent), paths[0].parent, unused)
    return source


def _opened(part: Any) -> Any:
    if isinstance(part, (str, Path)):
        path = Path(part)
        if not path.exists():
            raise UsageError(f"{path}: there is no such file.")
        saved = _saved(path) if path.is_dir() else None
        if isinstance(saved, Mapping):
            raise UsageError(f"{path}: holds several splits; give it as the whole data, not as one split.")
        return path if saved is None else saved
    is_paths = isinstance(part, Sequence) and part and all(isinstance(path, (str, Path)) for path in part)
    return tuple(map(_opened, part)) if is_paths else part


def _from_hub(source: HubDataset) -> Mapping[str, Any]:
    """Load a dataset of the hub; datasets 4 and later run no code of it."""
    failures = (OSError, ValueError, RuntimeError, TypeError, pa.ArrowException, datasets.exceptions.DatasetsError)
    try:
        builder = datasets.load_dataset_builder(source.name, source.config_name)
        as_text = {}
        if builder.name == "csv" and builder.info.features is None:
            as_text = {"keep_default_na": False}  # else the texts "None", "NA" and "null" are lost
        loaded = datasets.load_dataset(source.name, source.config_name, **as_text)
    except failures as error:
        said = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        is_choice = "Config name is missing" in said
        way = "name one with --dataset_config_name" if is_choice else "and there is no such file or folder"
        raise UsageError(f"{source.name}: cannot be loaded from the hub ({said}); {way}.") from None
    return loaded if isinstance(loaded, Mapping) else {"train": loaded}
