"""Has AdaptiveWeights look at each evaluation of a training run, and the trainer's loss follow."""

import json
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from .adaptive import FILE_NAME, AdaptiveWeights
from .diagnosis import Settings
from .history import make_entry, metric_prefix
from .screen import say
from .whole_file import write_json


class AdaptiveWeightsCallback(TrainerCallback):
    """Moves class weights, and gamma, by what the evaluations of the first evaluation set show.

    It works from tables that are gathered from all ranks, so that every rank comes to the same weights. They lie in
    each checkpoint (`adaptive_weights.json`) and are taken up from there.

    Args:
        trainer: a WeightedFocalTrainer.
        with_gamma: whether gamma moves too.
    """

    def __init__(self, trainer: Any, with_gamma: bool) -> None:
        self._trainer, self._with_gamma = trainer, with_gamma
        self._prefix: str | None = None
        self._recent: list[dict[str, Any]] = []
        self._moves: list[str] = []  # in words, as long as no update has followed them

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start from the weights that were asked for, or from those of the checkpoint that is resumed."""
        options, weights = self._trainer.options, self._trainer.asked_weights
        gamma = self._trainer.asked_gamma if self._with_gamma else None
        self._adaptive = AdaptiveWeights(weights.as_dict(), gamma, options.max_weight, options.rare_label_patience)
        self._prefix, self._recent, self._moves = None, [], []
        resumed = self._trainer.resumed_from
        if state.global_step and resumed is not None and (Path(resumed) / FILE_NAME).is_file():
            saved = json.loads((Path(resumed) / FILE_NAME).read_text(encoding="utf-8"))
            self._adaptive.restore(saved)
            self._prefix, self._recent, self._moves = saved["split"], saved["recent"], saved.get("moves", [])
        if state.global_step < state.max_steps:
            self._trainer.weigh_by(self._adaptive.weights, self._adaptive.gamma, state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Have the next update follow what the last evaluation showed, and say so: after the last one none does."""
        if self._moves:
            self._trainer.weigh_by(self._adaptive.weights, self._adaptive.gamma, state.global_step)
            if state.is_world_process_zero:
                say("\n".join(["", *(f"Adapted: {line}" for line in self._moves)]))
            self._moves = []

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Look at an evaluation, and decide what changes by it."""
        prefix, table = metric_prefix(metrics), self._trainer.label_metrics.table
        if prefix is None or table is None or not self._trainer.is_in_train:
            return
        self._prefix = self._prefix or prefix
        if prefix != self._prefix:
            return
        adaptive, counts = self._adaptive, self._trainer.label_distribution
        support = None if counts is None else counts.support_by_label
        entry = make_entry(
            metrics,
            prefix,
            state.global_step,
            state.epoch,
            table=table,
            weights=adaptive.weights,
            train_support=support,
        )
        self._recent = [*self._recent, entry][-adaptive.patience - 1 :]
        settings = Settings(self._trainer.class_weights, adaptive.max_weight, self._trainer.options.gamma)
        self._moves += adaptive.step(self._recent, settings)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put weights, gamma and the evaluations that they rest on into the checkpoint."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            saved = {**self._adaptive.to_json(), "split": self._prefix, "recent": self._recent, "moves": self._moves}
            write_json(folder / FILE_NAME, saved)
