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
    "train": ("train", "training"),
    "validation": ("validation", "dev", "val", "valid"),
    "test": ("test", "testing"),
}
"""The splits, and the names under which each is looked for."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SHARD = re.compile(r"(?P<split>.+)-\d{5}-of-(?P<total>\d{5})")


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
    if isinstance(data, (str, Path)):
        return _at_path(Path(data), split_names)
    if isinstance(data, Mapping):
        return _by_split(data, split_names)
    if split_names:
        raise UsageError(f"Names of splits have no use for a {type(data).__name__}; it is the training data.")
    return Source({"train": data})


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
        return _find_files(path)
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
        said = first_line(error).replace(str(folder.resolve()), str(folder))
        raise DataError(f"{folder}: is a saved dataset that cannot be loaded ({said}).") from None


def _by_split(
    parts: Mapping[str, Any], split_names: Mapping[str, str] | None, where: str = "", folder: Path | None = None
) -> Source:
    """The parts under the names of splits; a path among them becomes the file, files or dataset that it leads to."""
    named, what = dict(split_names or {}), where or "The data"
    if absent := [name for name in named.values() if name not in parts]:
        raise UsageError(f"{what}: has no split {absent[0]!r}: {did_you_mean(absent[0], list(parts))}")
    usual = {name: meant for name in parts if (meant := split_named(str(name))) and name not in named.values()}
    for name, meant in usual.items():
        if meant not in (split_names or {}) and named.setdefault(meant, name) != name:
            raise DataError(f"{what}: {named[meant]!r} and {name!r} are both the {meant} split; keep one.")
    if "train" not in named:
        found = f"found {quoted(list(map(str, parts)))}" if parts else "it is empty"
        raise DataError(f"{what}: has no split 'train'; {found}. A dataset's own name for it: --train_split_name.")
    unused = tuple(str(name) for name in parts if name not in named.values())
    opened = {split: _opened(parts[named[split]]) for split in SPLITS if split in named}
    paths = Source(opened).paths()
    if folder is None and paths:
        folder, where = paths[0].parent, where or str(paths[0].parent)
    return Source(opened, where, folder, unused)


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


def _split_of(path: Path) -> str | None:
    """The split that a file belongs to by its name, and by its ending is read."""
    shard = _SHARD.fullmatch(stem(path))
    return split_named(shard["split"] if shard else stem(path)) if ending(path) in READERS else None


def _find_files(folder: Path) -> Source:
    """The file or shards of each split in a folder; a training file has to be there."""
    try:
        present = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror}).") from None
    if not present:
        raise DataError(f"{folder}: is empty; expected a file such as train.csv, train.jsonl or train.parquet.")
    found: dict[str, list[Path]] = {split: [] for split in SPLITS}
    other: list[Path] = []
    for path in present:
        split = _split_of(path)
        if split is not None and not path.is_file():
            raise DataError(f"{folder}: {path.name} is {'a folder' if path.is_dir() else 'a broken link'}, no file.")
        (other if split is None else found[split]).append(path)
    if not found["train"]:
        inner = next((path for path in present if any(_split_of(p) == "train" for p in path.glob("*"))), None)
        way = "" if inner is None else f"; give the folder {inner.name!r} in it, which has one"
        raise DataError(
            f"{folder}: has no training file; expected train with one of the endings {', '.join(READERS)}, found "
            f"{quoted([path.name for path in present])}{way}. A file of another name: --train_file FILE."
        )
    for split, paths in found.items():
        shards = [_SHARD.fullmatch(stem(path)) for path in paths]
        totals = {shard and (shard["split"], int(shard["total"])) for shard in shards}
        if len(paths) > 1 and (None in totals or len(totals) > 1):
            raise DataError(f"{folder}: {paths[0].name} and {paths[1].name} are both the {split} split; keep one.")
        if shards and shards[0] and len(paths) != int(shards[0]["total"]):
            raise DataError(f"{folder}: has {len(paths)} of the {int(shards[0]['total'])} files of the {split} split.")
    parts = {split: paths[0] if len(paths) == 1 else tuple(paths) for split, paths in found.items() if paths}
    beside = [f"{stem(path)}_labels".lower() for path in parts.values() if isinstance(path, Path)]
    unread = [path.name for path in other if ending(path) in READERS and path.is_file()
              and stem(path).lower() not in ("label_info", *beside)]  # fmt: skip
    return Source(parts, str(folder), folder, unused=tuple(unread))
