"""Files that appear whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end: after a kill or an error the old content is
    there, or none, and nothing is left beside it after an error.

    Args:
        path: the file that is wanted.

    Yields:
        The path to write to.
    """
    path = Path(path)
    unfinished = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink()
