"""One update on the same rows, cut up in every way: how far gradient and logged loss are from those of one batch.

    python -m benchmarks.exactness            # one process, then two through torchrun; about a minute

Prints, as a ratio to one batch, what the stock Trainer, the usual override that returns a mean, and ours make of it.
The tests use the same `measure` (tests/test_exactness.py).
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from datasets import Dataset, List, Value
from transformers import RobertaConfig, RobertaForSequenceClassification, Trainer, TrainerCallback

from imbalance_trainer import (
    ImbalanceTrainingArguments,
    LabelDistribution,
    LabelSchema,
    WeightedFocalTrainer,
    imbalance_loss,
    start_head,
)
from imbalance_trainer.training.callbacks import RareLabelCallback

N_LABELS = 4
SCHEMA = LabelSchema(
    ["hateful", "insults", "threats", "praise"],
    {"primary": ["hateful"]},
    [(name, "hateful") for name in ("insults", "threats", "praise")],
)


@dataclass(frozen=True)
class Case:
    """One update.

    Args:
        rows: rows in the update.
        batch: rows of a micro-batch on one process.
        steps: micro-batches on one process.
        kind: "multi-label" (with the penalty) or "single-label".
        masked: whether a third of the labels is unknown.
        smoothing: label_smoothing_factor.
        trainer: "ours", "stock", "mean" (a subclass whose compute_loss returns the batch's mean) or "loss" (the stock
            Trainer with `imbalance_loss`).
        constraint, loss: ours only.
    """

    rows: int = 16
    batch: int = 16
    steps: int = 1
    kind: str = "multi-label"
    masked: bool = False
    smoothing: float = 0.0
    trainer: str = "ours"
    constraint: str = "gold"
    loss: str = "focal"


class MeanTrainer(Trainer):
    """What public overrides of compute_loss look like."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean over the batch."""
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        known = (labels != -100).float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            outputs.logits, labels.clamp(min=0).float(), known, reduction="sum"
        ) / known.sum()  # fmt: skip
        return (loss, outputs) if return_outputs else loss


class Gradients(TrainerCallback):
    """Keeps the gradient that the optimizer sees."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Copy it."""
        self.vector = torch.cat([p.grad.detach().flatten() for p in model.parameters() if p.grad is not None])


def make_rows(n: int, kind: str, masked: bool, seed: int = 0) -> Dataset:
    """Rows of which a third of the labels is unknown where `masked`, and every row of another number of tokens."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, 40, (n, 8)).tolist()
    if kind == "single-label":
        labels = rng.integers(0, N_LABELS, n)
        labels[rng.random(n) < 0.3 * masked] = -100
        return Dataset.from_dict({"input_ids": ids, "labels": labels.tolist()})
    labels = (rng.random((n, N_LABELS)) < [0.6, 0.4, 0.3, 0.2]).astype(np.float32)
    labels[rng.random(labels.shape) < 0.3 * masked] = -100
    rows = Dataset.from_dict({"input_ids": ids, "labels": labels.tolist()})
    return rows.cast_column("labels", List(Value("float32")))


def make_model(kind: str) -> RobertaForSequenceClassification:
    """A tiny encoder without dropout, the same each time."""
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=24, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.2,
        pad_token_id=1, num_labels=N_LABELS, problem_type=kind.replace("-", "_") + "_classification",
    )  # fmt: skip
    return RobertaForSequenceClassification(config)


def make_trainer(case: Case, folder: str, eval_dataset: Any = None, **arguments: Any) -> Trainer:
    """A trainer for one update of a case."""
    cls = {"ours": WeightedFocalTrainer, "mean": MeanTrainer}.get(case.trainer, Trainer)
    args = ImbalanceTrainingArguments(
        output_dir=folder, max_steps=1, per_device_train_batch_size=case.batch, use_cpu=True, disable_tqdm=True,
        gradient_accumulation_steps=case.steps, optim="sgd", learning_rate=1e-3, max_grad_norm=0.0, logging_steps=1,
        label_smoothing_factor=case.smoothing, constraint=case.constraint, loss=case.loss,
        save_strategy="no", report_to="none", dataloader_pin_memory=False,
        **{"head_start": "bias", **arguments},
    )  # fmt: skip
    ours: dict[str, Any] = {"label_schema": SCHEMA} if cls is WeightedFocalTrainer else {}
    rows, model = make_rows(case.rows, case.kind, case.masked), make_model(case.kind)
    if case.trainer == "loss":
        counts = LabelDistribution.from_dataset(rows, SCHEMA)
        settings = {"constraint": case.constraint, "label_smoothing": case.smoothing, "model": model}
        loss = imbalance_loss(case.loss, SCHEMA, counts, problem_type=model.config.problem_type, **settings)
        start_head(model, loss) if case.kind == "multi-label" else None
        ours = {"compute_loss_func": loss}
    return cls(model, args, train_dataset=rows, eval_dataset=eval_dataset, **ours)


def measure(case: Case, folder: str) -> dict[str, Any]:
    """The gradient of the update, and the loss that is logged for it."""
    trainer = make_trainer(case, folder)
    trainer.remove_callback(RareLabelCallback)
    gradients = Gradients()
    trainer.callback_handler.add_callback(gradients)
    trainer.train()
    return {"gradient": gradients.vector, "loss": trainer.state.log_history[0]["loss"]}


def in_two_processes(cases: list[Case], call: str = "benchmarks.exactness:measure") -> list[dict[str, Any]]:
    """The results of a function of a case, each computed by two processes together (gloo), as rank 0 has them."""
    with tempfile.TemporaryDirectory() as folder:
        todo = Path(folder) / "cases.pt"
        torch.save({"call": call, "cases": [vars(case) for case in cases]}, todo)
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--module",
             "benchmarks.exactness", "--cases", str(todo)],
            check=False, cwd=Path(__file__).parent.parent, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"two processes ended with {done.returncode}:\n{done.stderr[-5000:]}")
        return torch.load(Path(folder) / "results.pt", weights_only=False)


def _work(todo: Path) -> None:
    import importlib

    content = torch.load(todo, weights_only=False)
    module, name = content["call"].split(":")
    function = getattr(importlib.import_module(module), name)
    results = [function(Case(**case), str(todo.parent / "out")) for case in content["cases"]]
    if torch.distributed.get_rank() == 0:
        torch.save(results, todo.parent / "results.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()  # else an exit may end in an abort of gloo's threads


def deviation(result: dict[str, Any], reference: dict[str, Any]) -> tuple[float, float]:
    """Relative difference of the gradient (in norm) and of the logged loss."""
    difference = (result["gradient"].double() - reference["gradient"].double()).norm()
    return (difference / reference["gradient"].double().norm()).item(), abs(result["loss"] / reference["loss"] - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.utils.logging.set_verbosity_error()
    if args.cases:
        _work(Path(args.cases))
        return
    datasets.disable_progress_bars()
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        ratios, deviations = _ratios(folder), _deviations(folder)
    print("\n".join([*ratios, "", *deviations]))


def _ratios(folder: str) -> list[str]:
    """Gradient and logged loss of an update in parts, as a ratio to those of one batch."""
    layouts = [
        ("8 rows in 4 micro-batches of 2", {"rows": 8, "batch": 2, "steps": 4}, 1),
        ("13 rows in 4, 4, 4 and 1", {"rows": 13, "batch": 4, "steps": 4}, 1),
        ("8 rows in 4 micro-batches of 2, a third unknown", {"rows": 8, "batch": 2, "steps": 4, "masked": True}, 1),
        ("16 rows on 2 processes", {"rows": 16, "batch": 8, "steps": 1}, 2),
        ("16 rows on 2 processes, 4 micro-batches of 2 each", {"rows": 16, "batch": 2, "steps": 4}, 2),
    ]
    lines = ["| one update, gradient and logged loss | stock | mean | ours |", "|---|---|---|---|"]
    for title, layout, processes in layouts:
        cells = []
        for trainer in ("stock", "mean", "ours"):
            if trainer == "stock" and layout.get("masked"):
                cells.append("does not know -100")
                continue
            case = Case(**layout, trainer=trainer)
            reference = measure(replace(case, batch=case.rows, steps=1), folder)
            result = measure(case, folder) if processes == 1 else in_two_processes([case])[0]
            ratio = (result["gradient"].norm() / reference["gradient"].norm()).item()
            cells.append(f"{ratio:.3f}, {result['loss'] / reference['loss']:.3f}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def _deviations(folder: str) -> list[str]:
    """The largest relative deviation of ours in each layout, over all kinds of problem."""
    layouts = {
        "micro-batches of 4": (4, 4, 1),
        "uneven micro-batches": (5, 4, 1),
        "one row at a time": (1, 16, 1),
        "2 processes": (8, 1, 2),
        "2 processes, 4 micro-batches of 2 each": (2, 4, 2),
    }
    problems = [
        Case(kind=kind, masked=masked, smoothing=smoothing)
        for kind in ("multi-label", "single-label")
        for masked in (False, True)
        for smoothing in (0.0, 0.1)
    ]
    references = [measure(case, folder) for case in problems]
    lines = ["| ours, 16 rows | gradient | logged loss |", "|---|---|---|"]
    for title, (batch, steps, processes) in layouts.items():
        cases = [replace(case, batch=batch, steps=steps) for case in problems]
        results = [measure(case, folder) for case in cases] if processes == 1 else in_two_processes(cases)
        pairs = [deviation(result, reference) for result, reference in zip(results, references, strict=True)]
        gradient, loss = (max(values) for values in zip(*pairs, strict=True))
        lines.append(f"| {title} | {gradient:.0e} | {loss:.0e} |")
    return lines


if __name__ == "__main__":
    main()
