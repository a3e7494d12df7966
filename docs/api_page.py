"""A hook of mkdocs that makes the API page from the public names; mkdocstrings fills it from their docstrings."""

from typing import Any

from mkdocs.structure.files import File, Files

import imbalance_trainer

INTRODUCTION = """# API

The public names of `imbalance_trainer`, imported when they are first used: losses, weights and metrics need no
transformers. Errors are `UsageError` (a setting) and `DataError` (the data), both of `imbalance_trainer.utils.errors`.
"""


def on_files(files: Files, config: Any) -> Files:
    """Add api.md, which is not kept in the tree."""
    homes = imbalance_trainer.HOMES
    entries = "".join(f"\n::: imbalance_trainer.{module}.{name}\n" for name, module in homes.items())
    files.append(File.generated(config, "api.md", content=INTRODUCTION + entries))
    return files
