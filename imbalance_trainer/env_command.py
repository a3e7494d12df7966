"""`imbalance-trainer env`: what a bug report needs: versions, the machine, and how accelerate is set up.

    imbalance-trainer env
    imbalance-trainer env --json

Variables are those that change how a run behaves; tokens are not among them.
"""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.commands.config.config_args import default_config_file

from .cli import FlagParser
from .run_info import package_versions

_PACKAGES = (
    *(
        "imbalance-trainer",
        "transformers",
        "torch",
        "accelerate",
        "datasets",
        "evaluate",
        "scikit-learn",
        "scipy",
        "numpy",
    ),
    *("pyarrow", "tokenizers", "peft", "optuna", "matplotlib", "rich"),
)
_VARIABLES = ("ACCELERATE_", "CUDA_VISIBLE", "HF_H", "MKL_NUM", "OMP_NUM", "TOKENIZERS_", "WORLD_SIZE")


@dataclass
class EnvArguments:
    """Nothing to set."""


def make_parser(prog: str = "imbalance-trainer env") -> FlagParser:
    """The flags."""
    return FlagParser((EnvArguments,), prog=prog, doc=__doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; what it prints."""
    make_parser().parse(flags)
    content = {
        **package_versions(_PACKAGES),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "accelerator": _accelerators(),
        "accelerate config": default_config_file if Path(default_config_file).is_file() else "none",
        "variables": {k: v for k, v in sorted(os.environ.items()) if k.startswith(_VARIABLES)},
    }
    for name, value in content.items():
        shown = ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"{name:24}{shown or 'none'}")
    return content


def _accelerators() -> str:
    """Kind, number and names, as torch sees them."""
    if not torch.accelerator.is_available():
        return "none"
    kind, n = torch.accelerator.current_accelerator(), torch.accelerator.device_count()
    names = {torch.cuda.get_device_name(i) for i in range(n)} if kind is not None and kind.type == "cuda" else ()
    return f"{n} x {kind}" + (f" ({', '.join(sorted(names))})" if names else "")
