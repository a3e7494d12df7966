"""Make rare labels learn: a drop-in replacement for transformers.Trainer for imbalanced classification.

Names are imported when they are first used, so that the losses, weights and metrics need no transformers.
"""

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_STUB = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
HOMES = {name: home for home, name in re.findall(r"^from \.([\w.]+) import (\w+)", _STUB, re.MULTILINE)}
"""Per public name the module that has it."""

__all__ = [*HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)


_AUTO = "transformers.models.auto.modeling_auto"


class _RegistersLayerHead:
    """Finder that registers the head over layers as soon as transformers' auto classes are imported."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
        if name != _AUTO:
            return None
        sys.meta_path.remove(cls)
        spec: Any = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def then_register(module: Any) -> None:
            execute(module)
            importlib.import_module(".training.layer_head", __name__)

        spec.loader.exec_module = then_register
        return spec


if _AUTO in sys.modules:
    importlib.import_module(".training.layer_head", __name__)
else:
    sys.meta_path.insert(0, _RegistersLayerHead)
