"""Which rows WeightedFocalTrainer trains on: a sampler of ours in place of Trainer's."""

from typing import Any

from torch.utils.data import Sampler
from transformers import Trainer

from ..labels.columns import find_label_column
from ..labels.schema import LabelSchema
from ..utils.errors import UsageError
from .arguments import ImbalanceOptions
from .problem import Problem
from .samplers import EpochSampler, make_sampler


class SamplesRows(Trainer):
    """The part of WeightedFocalTrainer that is about which rows are drawn (`sampler`)."""

    _sampler: EpochSampler | None = None
    _sampled_from: tuple[Any, tuple[Any, ...]] = (None, ())

    # of WeightedFocalTrainer
    problem: Problem | None
    options: ImbalanceOptions
    label_schema: LabelSchema

    def _row_sampler(self) -> EpochSampler | None:
        """The sampler of the options and the training data, made once, as it looks at every row; None without one.

        Raises:
            UsageError: data or settings that it does not go with.
            DataError: a value that no label can have.
        """
        options, dataset = self.options, self.train_dataset
        if self.problem is None or options.sampler is None or dataset is None:
            return None
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        arguments = (options.sampler, options.oversample_threshold, options.max_repeats, seed)
        if self._sampled_from[0] is not dataset or self._sampled_from[1] != arguments:
            column = self._sampled_column(dataset)
            self._sampler = make_sampler(arguments[0], dataset, *arguments[1:], self.label_schema, column)
            self._sampled_from = dataset, arguments
        return self._sampler

    def _sampled_column(self, dataset: Any) -> str:
        """The column that the sampler looks at; an error where there is none, or another sampler was asked for."""
        name, strategy = self.options.sampler, self.args.train_sampling_strategy
        if strategy != "random":
            raise UsageError(
                f"sampler={name!r} and train_sampling_strategy={strategy!r} both say which rows come next; "
                "keep one of them."
            )
        if self.args.accelerator_config.dispatch_batches:
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

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler | None:
        """Trainer's, or ours: the same order in every process, of which accelerate gives each its batches."""
        return self._row_sampler() or super()._get_train_sampler(train_dataset)

    def get_train_dataloader(self) -> Any:
        """Trainer's; a sampler of ours stands where accelerate puts its own, so that set_epoch reaches it also in a
        run on several processes that is resumed inside an epoch."""
        dataloader, sampler = super().get_train_dataloader(), self._row_sampler()
        if sampler is not None and hasattr(dataloader, "set_sampler"):
            dataloader.set_sampler(sampler)
        return dataloader

    def num_examples(self, dataloader: Any) -> int:
        """Trainer's; with a sampler of ours the rows of an epoch."""
        get_sampler = getattr(dataloader, "get_sampler", None)
        sampler = None if get_sampler is None else get_sampler()
        return len(sampler) if isinstance(sampler, EpochSampler) else super().num_examples(dataloader)
