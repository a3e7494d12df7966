"""How WeightedFocalTrainer treats a fresh classification head: where it starts, and how fast it learns."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from transformers import Trainer

from ..labels.distribution import LabelDistribution
from ..labels.schema import LabelSchema
from ..losses.constant import best_constant_logits
from ..losses.objective import Objective
from ..utils.console import console_print
from ..utils.constants import MULTI_LABEL
from ..utils.errors import UsageError
from .arguments import ImbalanceOptions
from .head import fresh_head_rate, is_fresh, split_off, start_head, trained_head
from .problem import Problem
from .samplers import EpochSampler

logger = logging.getLogger(__name__)


class TrainsHead(Trainer):
    """The part of WeightedFocalTrainer that is about the head (`init_head_bias`, `head_learning_rate`)."""

    _has_fresh_head = False
    _has_made_optimizer = False

    # of WeightedFocalTrainer and its other parts
    problem: Problem | None
    options: ImbalanceOptions
    label_schema: LabelSchema
    label_distribution: LabelDistribution | None
    training_objective: Objective
    _unweighted_objective: Objective | None
    _row_sampler: Callable[[], EpochSampler | None]

    def _prepare_head(self, model: Any) -> None:
        """Look whether the head is fresh; if so, start it where the loss is least without a look at the input."""
        head = trained_head(model, self.problem.n_labels)
        self._has_fresh_head = head is not None and is_fresh(head)
        if self.args.world_size > 1:  # where one process alone reads the weights, only it can tell
            self._has_fresh_head = broadcast_object_list([self._has_fresh_head])[0]
        counts, is_wanted = self.label_distribution, self.options.init_head_bias and self.problem.type == MULTI_LABEL
        is_possible = self.train_dataset is not None and counts is not None and not self.compute_loss_func
        if not (self._has_fresh_head and is_wanted and is_possible) or head.bias.is_meta:  # set where it is read
            return
        loss = (self._unweighted_objective or self.training_objective).loss  # that of the first update
        support, known, sampler = counts.support, counts.known, self._row_sampler()
        if sampler is not None:  # what is drawn is what is learned from
            repeats = np.array([sampler.repeats_by_label.get(name, 1.0) for name in self.label_schema.names])
            support, known = support * repeats, known * len(sampler) / max(counts.n_rows, 1)
        start_head(head, best_constant_logits(loss, support, known))
        logger.info("The head's bias starts where the loss is least without a look at the input.")

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Trainer's, with the head's last layer in groups of its own, which have its learning rate.

        Raises:
            UsageError: head_learning_rate is set, and would have no effect.
        """
        asked, is_made = self.options.head_learning_rate, self.optimizer is not None
        is_given = is_made and not self._has_made_optimizer
        optimizer = super().create_optimizer(model)
        if is_made and not is_given:  # by an earlier call of train()
            return optimizer
        self._has_made_optimizer = not is_given
        head = None if self.problem is None else trained_head(model or self.model, self.problem.n_labels)
        if is_given or head is None:
            is_split = False
        elif asked is not None:
            is_split = split_off(optimizer, head, lambda _: asked)
        else:
            is_split = self.problem.type == MULTI_LABEL and split_off(optimizer, head, self._head_rate)
        if asked is not None and not is_split:
            nowhere = "no linear layer of the model's head was found among the parameters that are trained"
            why = "the optimizer is one of yours" if is_given else nowhere
            raise UsageError(f"head_learning_rate would have no effect, as {why}; leave it out.")
        if is_split:
            rates = [group["lr"] for group in optimizer.param_groups]
            logger.info("Learning rate of the head: %s; of the rest: %s.", rates[-1], rates[0])
            if asked is None and rates[-1] != rates[0] and self.is_world_process_zero():
                times = f"{rates[-1] / rates[0]:.3g} times the rate of the rest"
                console_print(
                    "", f"The head is new: it learns at {rates[-1]:.2g}, {times} (head_learning_rate sets another)."
                )
        return optimizer

    def _head_rate(self, rate: Any) -> Any:
        """That of a fresh head is larger than the rest's. An optimizer without a rate keeps it so."""
        return fresh_head_rate(rate) if self._has_fresh_head and isinstance(rate, float) else rate
