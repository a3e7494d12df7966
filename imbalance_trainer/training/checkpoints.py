"""Checkpoints: which are whole after a kill, and the decision rule that goes with their weights."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

from safetensors import SafetensorError, safe_open

from ..decisions.rule import DecisionRule
from ..utils.files import atomic_write

_WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "pytorch_model.bin")
_INDEX = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def last_complete_checkpoint(output_dir: str | Path) -> tuple[Path | None, list[str]]:
    """The complete checkpoint with the most steps (None where there is none), and why later ones were passed over.

    >>> last_complete_checkpoint("/nowhere")
    (None, [])
    """
    skipped: list[str] = []
    for folder in sorted(Path(output_dir).glob("checkpoint-*"), key=_steps, reverse=True):
        if _steps(folder) < 0 or not folder.is_dir():
            continue
        fault = find_fault(folder)
        if fault is None:
            return folder, skipped
        skipped.append(f"{folder}: {fault}")
    return None, skipped


def find_fault(folder: Path) -> str | None:
    """What a checkpoint lacks to be resumed from, in a few words; None where it is complete.

    Trainer writes trainer_state.json last, so that a kill before leaves it out; each file that is there is looked at
    all the same, as a kill may come while a checkpoint is overwritten or removed.
    """
    state = folder / "trainer_state.json"
    if not state.is_file():
        return "has no trainer_state.json, which is written last"
    try:
        json.loads(state.read_text(encoding="utf-8"))
    except ValueError:
        return "its trainer_state.json is cut off"
    weights = _weight_files(folder)
    if isinstance(weights, str):
        return weights
    for file in weights:
        if file.suffix == ".safetensors" and not _is_whole_safetensors(file):
            return f"its {file.name} is cut off"
    for file in sorted(folder.iterdir()):
        is_zipped = file.suffix in (".pt", ".pth", ".bin") and file.name != "training_args.bin"
        if is_zipped and not zipfile.is_zipfile(file):
            return f"its {file.name} is cut off"
    if (folder / "optimizer.pt").exists() and not (folder / "scheduler.pt").exists():
        return "has no scheduler.pt"
    return None


def read_decision_rule(folder: str | Path) -> DecisionRule | None:
    """The rule in a checkpoint's config.json; None where there is no such file, as in an adapter's."""
    file = Path(folder) / "config.json"
    if not file.is_file():
        return None
    default = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}  # which transformers leaves out
    return DecisionRule.from_config(SimpleNamespace(**{**default, **json.loads(file.read_text(encoding="utf-8"))}))


def write_decision_rule(folder: str | Path, rule: DecisionRule) -> None:
    """Put a rule into a checkpoint's config.json, as a whole: after a kill it is the old one or the new."""
    file = Path(folder) / "config.json"
    if not file.is_file():
        return
    config = SimpleNamespace(**json.loads(file.read_text(encoding="utf-8")))
    rule.to_config(config)
    with atomic_write(file) as unfinished:
        unfinished.write_text(json.dumps(vars(config), indent=2) + "\n", encoding="utf-8")


def _weight_files(folder: Path) -> list[Path] | str:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
    for name in _INDEX:
        if (folder / name).is_file():
            try:
                shards = set(json.loads((folder / name).read_text(encoding="utf-8"))["weight_map"].values())
            except (ValueError, KeyError, AttributeError):
                return f"its {name} is cut off"
            missing = sorted(shard for shard in shards if not (folder / shard).is_file())
            return f"has no {missing[0]}" if missing else [folder / shard for shard in sorted(shards)]
    if any(folder.glob("pytorch_model_fsdp*")) or any(folder.glob("global_step*")):
        return []  # sharded by FSDP or DeepSpeed, which check their own files
    return "has no model weights"


def _is_whole_safetensors(file: Path) -> bool:
    """Whether a file is as long as its header says, which safetensors checks as it opens one."""
    try:
        with safe_open(file, "pt"):
            return True
    except (SafetensorError, OSError):
        return False


def _steps(folder: Path) -> int:
    steps = folder.name.removeprefix("checkpoint-")
    return int(steps) if steps.isdigit() else -1
