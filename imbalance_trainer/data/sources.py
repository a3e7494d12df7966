"""Where the data lies: a folder, files, a saved dataset, a dataset of the hub or objects in memory, by split."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa

from ..utils.errors import DataError, UsageError, did_you_mean, first_line, quoted
from .files import READERS, ending, read_files, stem
from .frame import Frame, frame_of_object
from .text_files import DELIMITED, TEXT, Settings

SPLITS = {
    "train": ("train", "training", "trainval", "tr"),
    "validation": ("validation", "dev", "val", "valid", "va"),
    "test": ("test", "testing", "te", "holdout"),
}
"""The splits, and the names under which each is looked for."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SHARD = re.compile(r"-\d{5}-of-(\d{5})(?=\.)")
_SHARDS = re.compile(r"-\*-of-(\d{5})")


@dataclass(frozen=True)
class HubDataset:
    """A dataset of the Hugging Face hub, by its name and, where it has several, its configuration."""

    name: str
    config_name: str | None = None


@dataclass(frozen=True)
class Source:
    """What there is of each split, not read yet.

    Args:
        parts: per split a file, the files that it is cut into, or an object in memory.
        where: the folder or name that messages and notes say.
        folder: where a label_info.json may lie.
        unused: splits or files that are there and not used.
    """

    parts: Mapping[str, Any]
    where: str = ""
    folder: Path | None = None
    unused: tuple[str, ...] = ()

    def paths(self) -> list[Path]:
        """All files."""
        every = [part if isinstance(part, tuple) else (part,) for part in self.parts.values()]
        return [path for paths in every for path in paths if isinstance(path, Path)]

    def labels_beside(self, split: str) -> Path | None:
        """The file with the labels of a split whose own file has none, such as test_labels.csv beside test.csv."""
        part = self.parts[split]
        if not isinstance(part, Path):
            return None
        wanted = f"{stem(part).lower()}_labels"
        return next((path for path in sorted(part.parent.iterdir()) if stem(path).lower() == wanted), None)


def split_named(name: str) -> str | None:
    """The split that a name stands for, whatever its case."""
    return next((split for split, names in SPLITS.items() if name.strip().lower() in names), None)


def is_hub_name(data: str) -> bool:
    """Whether a text is no path of anything, and could be the name of a dataset on the hub."""
    return _HUB_NAME.fullmatch(data) is not None and not Path(data).exists()


def find_source(data: Any, split_names: Mapping[str, str] | None = None) -> Source:
    """Find the splits of `data`, whatever it is; arguments and errors as in `load_labelled_dataset`."""
    if isinstance(data, str) and is_hub_name(data):
        data = HubDataset(data)
    if isinstance(data, HubDataset):
        return _by_split(_from_hub(data), split_names, f"{data.name} on the hub")
    found, folder = _opened(data), None
    if isinstance(data, (str, Path)):
        folder = Path(data) if Path(data).is_dir() else Path(data).parent
    where = str(folder or "")
    if isinstance(found, Mapping):
        return _by_split(found, split_names, where, folder)
    if split_names:
        raise UsageError(
            f"{where or type(data).__name__}: names of splits have no use, as all of it is training data."
        )
    return Source({"train": found}, where, folder)


def read_source(source: Source, settings: Settings) -> dict[str, Frame]:
    """The frame of each split, in the order train, validation, test."""
    endings = {ending(path) for path in source.paths()}
    for flag, value, wanted in (
        ("delimiter", settings.delimiter, (*DELIMITED, ".txt")),
        ("encoding", settings.encoding, TEXT),
        ("reader_args", settings.reader_args or None, (*TEXT, ".xlsx")),
    ):
        if value is not None and not endings & set(wanted):
            found = f"found {', '.join(sorted(endings))}" if endings else "there is none"
            raise UsageError(f"--{flag} {value!r} has no use: it is for files {', '.join(wanted)}, and {found}.")
    frames = {}
    for split in (split for split in SPLITS if split in source.parts):
        part = source.parts[split]
        is_file = isinstance(part[0] if isinstance(part, tuple) and part else part, Path)
        frames[split] = read_files(part, settings) if is_file else frame_of_object(part, split)
        if not frames[split].table.num_rows:
            raise DataError(f"{frames[split].path}: has no rows.")
    return frames


def _saved(folder: Path) -> Any:
    """What `save_to_disk` of datasets wrote into a folder; None where it did not."""
    if not any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return None
    try:
        return datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        said = first_line(error).replace(str(folder.resolve()), str(folder))
        raise DataError(f"{folder}: is a saved dataset that cannot be loaded ({said}).") from None


def _by_split(
    parts: Mapping[str, Any], split_names: Mapping[str, str] | None, where: str = "", folder: Path | None = None
) -> Source:
    """The parts under the names of splits; a path among them becomes the file, files or dataset that it leads to."""
    given, what = split_names or {}, where or "The data"
    if absent := [name for name in given.values() if name not in parts]:
        raise UsageError(f"{what}: has no split {absent[0]!r}: {did_you_mean(absent[0], list(parts))}")
    named = dict(given)
    for name in parts:
        meant = split_named(_SHARDS.sub("", stem(Path(name)) if _is_file(name) else str(name)))
        if meant and meant not in given and name not in given.values() and named.setdefault(meant, name) != name:
            raise DataError(f"{what}: {named[meant]!r} and {name!r} are both the {meant} split; keep one.")
    if "train" not in named:
        inner = [path for path in sorted(folder.glob("*")) if path.is_dir()] if folder else []
        found = [*map(str, parts), *(f"{path.name}/" for path in inner)]
        raise DataError(
            f"{what}: has no split 'train'; found {quoted(found) or 'nothing'}. Give a file of another name by "
            f"--train_file (one of {', '.join(READERS)}), a folder in it as the data, a dataset's own name for the "
            "split by --train_split_name."
        )
    opened = {split: _opened(parts[named[split]]) for split in SPLITS if split in named}
    if several := [name for split, name in named.items() if isinstance(opened.get(split), Mapping)]:
        raise UsageError(f"{what}: {several[0]!r} is a folder of several splits; give it as the whole data.")
    paths = Source(opened).paths()
    if folder is None and paths:
        folder, where = paths[0].parent, where or str(paths[0].parent)
    used = {*named.values(), *(f"{stem(path)}_labels{path.suffix}" for path in paths)}
    return Source(opened, where, folder, tuple(str(name) for name in parts if name not in used))


def _is_file(name: str) -> bool:
    return ending(Path(name)) in READERS


def _opened(part: Any) -> Any:
    """A path as the file, the files by their names or the saved dataset that it leads to; other things as they are."""
    if isinstance(part, (str, Path)):
        path = Path(part)
        if not path.exists():
            raise UsageError(f"{path}: there is no such folder or file.")
        saved = _saved(path) if path.is_dir() else path
        return _files_in(path) or _files_of_splits(path) if saved is None else saved
    is_paths = isinstance(part, Sequence) and part and all(isinstance(path, (str, Path)) for path in part)
    return tuple(map(_opened, part)) if is_paths else part


def _files_in(folder: Path) -> dict[str, Path | tuple[Path, ...]]:
    """The files of a folder that can be read, by their names; the shards of one file together."""
    found: dict[str, list[Path]] = {}
    try:
        present = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror}).") from None
    for path in present:
        if _is_file(path.name) and path.name != "label_info.json":
            name = _SHARD.sub(r"-*-of-\1", path.name)
            found.setdefault(name, []).append(path)
    for name, paths in found.items():
        shard = _SHARDS.search(name)
        if shard and len(paths) != int(shard[1]):
            raise DataError(f"{folder}: has {len(paths)} of the {int(shard[1])} files {name}.")
    return {name: tuple(paths) if _SHARDS.search(name) else paths[0] for name, paths in found.items()}


def _files_of_splits(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The files in the folders train, test and so on, by the names of these folders."""
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and split_named(path.name)]
    return {path.name: files for path in inner if (files := tuple(Source(_files_in(path)).paths()))}


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
