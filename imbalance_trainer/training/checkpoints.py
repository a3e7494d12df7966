"""Checkpoints: which are whole after a kill, and the decision rule that goes with their weights."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

from safetensors import SafetensorError, safe_open

from ..decisions.rule import DecisionRule
from ..utils.files import write_text

_WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "pytorch_model.bin")
_INDEX = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SHARDED = ("pytorch_model_fsdp", "global_step")  # by FSDP or DeepSpeed, which check their own files


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
    files = {file.name: file for file in sorted(folder.iterdir())}
    if "trainer_state.json" not in files:
        return "has no trainer_state.json, which is written last"
    for name, file in files.items():
        if not _is_whole(file):
            return f"its {name} is cut off"
    indices = [json.loads(files[name].read_text(encoding="utf-8")) for name in _INDEX if name in files]
    shards = {shard for index in indices for shard in index["weight_map"].values()}
    if missing := sorted(shards - set(files)):
        return f"has no {missing[0]}"
    if not shards and not any(name in _WEIGHTS or name.startswith(_SHARDED) for name in files):
        return "has no model weights"
    if "optimizer.pt" in files and "scheduler.pt" not in files:
        return "has no scheduler.pt"
    return None


def read_decision_rule(folder: str | Path) -> DecisionRule | None:
    """The rule in a checkpoint's config.json; None where there is no such file."""
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
    write_text(file, json.dumps(vars(config), indent=2) + "\n")


def _is_whole(file: Path) -> bool:
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt"):  # which checks that it is as long as its header says
                return True
        if file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))
    except (SafetensorError, OSError, ValueError):
        return False
    is_zipped = file.suffix in (".pt", ".pth", ".bin") and file.name != "training_args.bin"
    return not is_zipped or zipfile.is_zipfile(file)


def _steps(folder: Path) -> int:
    steps = folder.name.removeprefix("checkpoint-")
    return int(steps) if steps.isdigit() else -1
