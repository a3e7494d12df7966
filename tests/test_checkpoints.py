"""Which checkpoints are complete: each of their files cut off or taken away at any place."""

import shutil

import pytest
import torch

from benchmarks.exactness import make_model, make_rows
from imbalance_trainer import ImbalanceTrainingArguments, WeightedFocalTrainer
from imbalance_trainer.training.checkpoints import find_fault, last_complete_checkpoint
from imbalance_trainer.utils.errors import UsageError


def make_trainer(folder):
    args = ImbalanceTrainingArguments(
        output_dir=str(folder), max_steps=4, save_steps=2, use_cpu=True, disable_tqdm=True, report_to="none",
        per_device_train_batch_size=4,
    )  # fmt: skip
    return WeightedFocalTrainer(make_model("multi-label"), args, train_dataset=make_rows(16, "multi-label", False))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with checkpoints at steps 2 and 4."""
    folder = tmp_path_factory.mktemp("run")
    make_trainer(folder).train()
    return folder


@pytest.fixture
def folder(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


NEEDED = ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]


def test_the_last_one_is_taken(folder):
    (folder / "checkpoint-best").mkdir()  # others may lie there
    (folder / "checkpoint-9").write_text("no folder")
    assert last_complete_checkpoint(folder) == (folder / "checkpoint-4", [])
    assert find_fault(folder / "checkpoint-2") is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("name", NEEDED)
def test_a_file_that_is_cut_off(name, share, folder):
    file = folder / "checkpoint-4" / name
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    found, (reason,) = last_complete_checkpoint(folder)
    assert found == folder / "checkpoint-2"
    assert "checkpoint-4" in reason
    assert name in reason


@pytest.mark.parametrize("name", ["model.safetensors", "scheduler.pt", "trainer_state.json"])
def test_a_file_that_is_missing(name, folder):
    (folder / "checkpoint-4" / name).unlink()
    assert last_complete_checkpoint(folder)[0] == folder / "checkpoint-2"


def test_shards_are_all_needed(folder):
    checkpoint = folder / "checkpoint-4"
    (checkpoint / "model.safetensors").rename(checkpoint / "model-1.safetensors")
    index = checkpoint / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}')
    assert find_fault(checkpoint) == "has no model-2.safetensors"
    shutil.copy(checkpoint / "model-1.safetensors", checkpoint / "model-2.safetensors")
    assert find_fault(checkpoint) is None
    index.write_text('{"weight_map": ')
    assert find_fault(checkpoint) == "its model.safetensors.index.json is cut off"


def test_training_resumes_from_it_and_ends_with_the_same_weights(folder, caplog):
    undisturbed = torch.load(folder / "checkpoint-4" / "optimizer.pt", weights_only=True)
    (folder / "checkpoint-4" / "trainer_state.json").write_text("{")
    make_trainer(folder).train(resume_from_checkpoint=True)
    assert "Passed over" in caplog.text
    again = torch.load(folder / "checkpoint-4" / "optimizer.pt", weights_only=True)
    for i, state in undisturbed["state"].items():
        assert torch.equal(state["exp_avg"], again["state"][i]["exp_avg"])


def test_without_any_it_is_said(tmp_path):
    with pytest.raises(UsageError, match="No valid checkpoint found in output directory"):
        make_trainer(tmp_path).train(resume_from_checkpoint=True)
