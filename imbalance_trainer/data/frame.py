"""Frame: a file, or an object in memory, as a table in which each thing has one type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..utils.constants import LABEL_COLUMNS
from ..utils.errors import DataError, did_you_mean

ClassNames = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ReadSettings:
    """What the user says of how files are written.

    Args:
        delimiter: between the columns of a CSV file; None to find it.
        encoding: of text files; None for UTF-8, or what a byte-order mark says.
        has_names: whether the names of the labels are known, as from a label_info.json.
    """

    delimiter: str | None = None
    encoding: str | None = None
    has_names: bool = True


@dataclass(frozen=True)
class Frame:
    """A table: CSV cells are strings, other formats keep their types, ClassLabel indices became names.

    Args:
        path: the file, or what an object in memory is called; messages begin with it.
        table: the rows.
        class_names: per column the names that its ClassLabel carries.
        fields: the label columns that a dict of labels was taken apart into.
        dict_name: the column that held the dict.
        format: the format, in words.
        shards: name and number of rows of each file, where several were joined.
        mixed: per column that became strings, as its values were of several kinds, one that is no string.
        broken: per column that cannot be read, and is null here, why: an error where it is asked for.
        start: rows of the file before these, where it is read in batches.
    """

    path: Path | str
    table: pa.Table
    class_names: ClassNames = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    dict_name: str = ""
    format: str = ""
    shards: tuple[tuple[str, int], ...] = ()
    mixed: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    start: int = 0

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.name if isinstance(self.path, Path) else self.path

    def column(self, name: str) -> pa.Array:
        """A column as one array; an error that offers the nearest names where there is none."""
        names = self.table.column_names
        if name not in names:
            raise DataError(f"{self.path}: has no column {name!r}: {did_you_mean(name, names)}")
        if name in self.broken:
            raise DataError(self.broken[name])
        return whole(self.table.column(name))

    def row(self, index: int) -> str:
        """What a row is called in a message: counted from 1, in its own file where several were joined."""
        number = int(index) + self.start + 1
        if not self.shards:
            return f"row {number}"
        ends = np.cumsum([n for _, n in self.shards])
        shard = int(np.searchsorted(ends, index, "right"))
        return f"row {number - int(ends[shard]) + self.shards[shard][1]} of {self.shards[shard][0]}"


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A chunked column as one array."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def named_like(usual: Sequence[str], names: Sequence[str]) -> str | None:
    """The first usual name that is among the names, whatever its case and blanks around it."""
    return next((name for wanted in usual for name in names if name.strip().casefold() == wanted), None)


def tidy(frame: Frame) -> Frame:
    """The frame with its dict of labels taken apart and blanks around its columns' names gone.

    Raises:
        DataError: no rows, or two columns of one name.
    """
    table = frame.table
    if not table.num_rows:
        raise DataError(f"{frame.path}: has no rows.")
    fields: tuple[str, ...] = ()
    dict_name = ""
    structs = [field.name for field in table.schema if pa.types.is_struct(field.type)]
    name = named_like(LABEL_COLUMNS, structs)
    if name is not None:
        labels, dict_name = whole(table.column(name)), name.strip()
        fields = tuple(f.name.strip() for f in labels.type)
        arrays = [(n, column) for n, column in zip(table.column_names, table.columns, strict=True) if n != name]
        taken = next((label for label in fields if label in dict(arrays)), None)
        if taken is not None:
            raise DataError(
                f"{frame.path}: the label {taken!r} in the dicts of {name!r} has the name of another column; "
                "rename one."
            )
        arrays += zip(fields, labels.flatten(), strict=True)
        table = pa.Table.from_arrays([column for _, column in arrays], names=[n for n, _ in arrays])
    table = table.rename_columns([name.strip() for name in table.column_names])
    class_names = {name.strip(): names for name, names in frame.class_names.items()}
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise DataError(f"{frame.path}: has more than one column {twice[0]!r}; rename one.")
    mixed, broken = ({name.strip(): said for name, said in of.items()} for of in (frame.mixed, frame.broken))
    return replace(
        frame, table=table, class_names=class_names, fields=fields, dict_name=dict_name, mixed=mixed, broken=broken
    )


def join_frames(path: Path | str, frames: list[Frame]) -> Frame:
    """The rows of several files of one split, in order.

    Raises:
        DataError: files with other columns, names or kinds of values than the first.
    """
    first = frames[0]
    for frame in frames[1:]:
        odd = sorted(set(frame.table.column_names) ^ set(first.table.column_names))
        if odd:
            raise DataError(f"{frame.path}: differs from {first.name} in the column {odd[0]!r}; both are one split.")
        if {**frame.class_names} != {**first.class_names}:
            raise DataError(f"{frame.path}: its ClassLabel has other names than that of {first.name}.")
        _check_kinds(first, frame)
    table = pa.concat_tables([frame.table for frame in frames], promote_options="permissive")
    is_named = len({frame.name for frame in frames}) == len(frames)
    shards = tuple((frame.name if is_named else str(frame.path), frame.table.num_rows) for frame in frames)
    mixed: dict[str, Any] = {}
    broken = {name: said for frame in reversed(frames) for name, said in frame.broken.items()}
    for frame in frames:
        mixed = {**{name: f"{said} of {frame.name}" for name, said in frame.mixed.items()}, **mixed}
    return replace(first, path=path, table=table, shards=shards, mixed=mixed, broken=broken)


def _check_kinds(first: Frame, frame: Frame) -> None:
    for name in first.table.column_names:
        schemas = [pa.schema([f.table.schema.field(name)]) for f in (first, frame)]
        try:
            pa.unify_schemas(schemas, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            kinds = [schema.field(name).type for schema in schemas]
            raise DataError(
                f"{frame.path}: column {name!r} holds {kinds[1]}, but in {first.name} {kinds[0]}; both are one split."
            ) from None
