"""Files of a data folder: found by split, and each read into a table (`Frame`)."""

import csv
import difflib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from ..utils.errors import DataError, UsageError, first_line
from .columnar import read_arrow, read_parquet
from .delimited import read_delimited, read_text_lines
from .frame import Frame, ReadSettings, join_frames, tidy
from .json_lines import read_json

SPLITS = {"train": ("train",), "validation": ("validation", "dev", "val", "valid"), "test": ("test",)}
"""The splits, and the file names (without their ending) under which each is looked for."""

DELIMITED = (".csv", ".tsv")
TEXT = (*DELIMITED, ".jsonl", ".json", ".txt")
"""Endings of the files that have an encoding."""

_READERS: dict[str, Callable[[Path, ReadSettings], Frame]] = {
    ".parquet": read_parquet,
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".jsonl": read_json,
    ".json": read_json,
    ".txt": read_text_lines,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".ipc": read_arrow,
}
_NEAR = 0.82
"""Likeness (difflib's ratio) from which on a name is nearly another: tst and test are, text and test are not."""

_SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})")

Paths = Path | tuple[Path, ...]
"""The file of a split, or the files that it lies in, in order."""


def find_files(folder: Path) -> dict[str, Paths]:
    """The file or shards of each split in a folder; a training file has to be there."""
    if not folder.exists():
        raise UsageError(f"{folder}: there is no such folder; give one with a file such as train.csv.")
    try:
        present = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror}).") from None
    if not present:
        raise DataError(f"{folder}: is empty; expected a file such as train.csv, train.jsonl or train.parquet.")
    found: dict[str, list[Path]] = {}
    for path in present:
        shard = _SHARD.fullmatch(path.stem)
        split = split_named((shard["split"] if shard else path.stem).lower())
        if split is None or path.suffix.lower() not in _READERS:
            continue
        if not path.is_file():
            raise DataError(f"{folder}: {path.name} is {'a folder' if path.is_dir() else 'a broken link'}, no file.")
        found.setdefault(split, []).append(path)
    if "train" not in found:
        raise DataError(_no_training_file(folder, present))
    return {split: _one_or_shards(folder, split, found[split]) for split in SPLITS if split in found}


def nearly_splits(folder: Path, found: Mapping[str, Paths]) -> tuple[str, ...]:
    """What there is to say of files whose name is nearly that of a split for which the folder has no file.

    Args:
        folder: the folder.
        found: the splits that have files, as of `find_files`.
    """
    missing = {name for split, names in SPLITS.items() if split not in found for name in names}
    said = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _READERS and path.is_file() and not path.name.startswith("."):
            near = difflib.get_close_matches(path.stem.lower(), missing, n=1, cutoff=_NEAR)
            said += [f"{path.name!r} (did you mean {name}{path.suffix}?)" for name in near]
    return tuple(said)


def split_named(name: str) -> str | None:
    """The split that a name stands for, whatever its case."""
    return next((split for split, names in SPLITS.items() if name.lower() in names), None)


def read_files(paths: Paths, settings: ReadSettings | None = None) -> Frame:
    """The file or shards of a split as one table."""
    settings = settings or ReadSettings()
    if isinstance(paths, Path):
        return read_file(paths, settings)
    frames = [read_file(path, settings) for path in paths]
    return join_frames(paths[0].parent / f"{paths[0].name} and {len(paths) - 1} more", frames)


def read_file(path: Path, settings: ReadSettings | None = None) -> Frame:
    """A file as a table; one that cannot be read, or has no rows, is an error that names it."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: expected one of the endings {', '.join(_READERS)}.")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, no file.")
    try:
        frame = reader(path, settings or ReadSettings())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or first_line(error)}).") from None
    except (pa.ArrowException, UnicodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}).") from None
    return tidy(frame)


def _one_or_shards(folder: Path, split: str, paths: Sequence[Path]) -> Paths:
    if len(paths) == 1 and not _SHARD.fullmatch(paths[0].stem):
        return paths[0]
    shards = [_SHARD.fullmatch(path.stem) for path in paths]
    kinds = {
        (shard and (shard["split"], shard["total"]), path.suffix) for shard, path in zip(shards, paths, strict=True)
    }
    if len(kinds) > 1 or shards[0] is None:
        raise DataError(f"{folder}: {paths[0].name} and {paths[1].name} are both the {split} split; keep one.")
    numbers, total = {int(shard["number"]) for shard in shards if shard}, int(shards[0]["total"])
    missing = sorted(set(range(total)) - numbers)
    if missing or len(numbers) != total:
        name = f"{shards[0]['split']}-{missing[0] if missing else max(numbers):05d}-of-{total:05d}{paths[0].suffix}"
        what = f"{name} is missing" if missing else f"{name} is one too many"
        raise DataError(f"{folder}: {what} among the {total} files of the {split} split.")
    return tuple(paths)


def _no_training_file(folder: Path, present: Sequence[Path]) -> str:
    more = f" and {len(present) - 10} more" if len(present) > 10 else ""
    inside = [
        path.name for path in present if path.is_dir() and any(_is_training_file(inner) for inner in _content(path))
    ]
    if inside:
        return f"{folder}: has no training file, but the folder {inside[0]!r} in it has one; give that one."
    files = [path for path in present if path.suffix.lower() in _READERS and path.name != "label_info.json"]
    advice = ""
    if len(files) == 1 and files[0].is_file():
        what = "it" if len(present) == 1 else files[0].name
        advice = (
            f"; rename {what} to train{files[0].suffix}, or name it with --train_file {shlex.quote(str(files[0]))}"
        )
    return (
        f"{folder}: has no training file; expected train with one of the endings {', '.join(_READERS)}, "
        f"found {', '.join(path.name for path in present[:10])}{more}{advice}."
    )


def _content(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _is_training_file(path: Path) -> bool:
    shard = _SHARD.fullmatch(path.stem)
    return (shard["split"] if shard else path.stem).lower() == "train" and path.suffix.lower() in _READERS
