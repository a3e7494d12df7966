"""Fields of dataclasses that are flags of the command line."""

from dataclasses import MISSING, field
from typing import Any


def option(default: Any = MISSING, *, help: str, aliases: Any = (), **more: Any) -> Any:
    """A field that HfArgumentParser makes a flag of, with its help and other names; `more` is for `field`."""
    metadata = {"help": help, **({"aliases": list(aliases)} if aliases else {})}
    return field(default=default, metadata=metadata, **more)
