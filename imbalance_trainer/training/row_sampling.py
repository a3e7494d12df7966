"""Which rows WeightedFocalTrainer draws in an epoch: a sampler of ours in place of Trainer's."""

import dataclasses
from typing import Any

import numpy as np
from transformers import TrainingArguments

from ..labels.columns import find_label_column
from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..utils.errors import UsageError
from .arguments import ImbalanceOptions
from .problem import Problem
from .samplers import EpochSampler, make_sampler


class RowSampling:
    """Makes the sampler of the options for a training set, once, as it reads every row.

    Args:
        options: the trainer's options (`sampler`, `oversample_threshold`, `max_repeats`).
        problem: what the labels are for.
        schema: the labels.
        args: the training arguments.
    """

    def __init__(
        self, options: ImbalanceOptions, problem: Problem, schema: LabelSchema, args: TrainingArguments
    ) -> None:
        self.options, self.problem, self.schema, self.args = options, problem, schema, args
        self._made: tuple[Any, EpochSampler] | None = None

    def sampler_of(self, dataset: Any) -> EpochSampler | None:
        """The sampler of a training set; None where rows are drawn as Trainer draws them.

        Raises:
            UsageError: data or settings that the sampler does not go with.
            DataError: a value that no label can have.
        """
        options = self.options
        if options.sampler is None or dataset is None:
            return None
        if self._made is None or self._made[0] is not dataset:
            seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
            settings = (options.oversample_threshold, options.max_repeats, seed, self.schema, self._column(dataset))
            self._made = dataset, make_sampler(options.sampler, dataset, *settings)
        return self._made[1]

    def drawn(self, dataset: Any, counts: LabelDistribution | None) -> LabelDistribution | None:
        """Counts of what an epoch draws, from those of the training set."""
        sampler = None if counts is None else self.sampler_of(dataset)
        if counts is None or sampler is None:
            return counts
        repeats = np.array([sampler.repeats_by_label.get(name, 1.0) for name in self.schema.names])
        known = counts.known * len(sampler) / max(counts.n_rows, 1)
        return dataclasses.replace(counts, support=counts.support * repeats, known=known)

    def _column(self, dataset: Any) -> str:
        name, strategy = self.options.sampler, self.args.train_sampling_strategy
        if strategy != "random":
            raise UsageError(
                f"sampler={name!r} and train_sampling_strategy={strategy!r} both say which rows come next; "
                "keep one of them."
            )
        if self.args.accelerator_config.dispatch_batches:  # type: ignore[union-attr]  # read by TrainingArguments
            raise UsageError(
                f"sampler={name!r} has every process read its own rows, dispatch_batches=True has the first one read "
                "all; keep one of them."
            )
        if self.problem.tokens:
            raise UsageError(f"sampler={name!r} draws rows by their labels, but here each token has one; drop it.")
        column = find_label_column(dataset, tuple(self.args.label_names or ()))
        if column is None:
            raise UsageError(
                f"sampler={name!r} draws rows by their labels, but the training data has no column of labels; give it "
                "a column 'labels', or drop the sampler."
            )
        return column
