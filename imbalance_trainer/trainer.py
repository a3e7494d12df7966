"""WeightedFocalTrainer: transformers.Trainer with a loss, metrics and a monitor for rare labels."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer
from transformers.trainer_utils import EvalLoopOutput

from .callbacks import TERSE, RareLabelCallback
from .constraints import count_pairs, penalty_by_name
from .distribution import UNKNOWN, LabelDistribution, find_label_column
from .errors import UsageError, did_you_mean
from .labels import LabelSchema
from .losses import MULTI_LABEL, make_loss
from .losses.reduction import count_items
from .metrics import ImbalanceMetrics, first
from .problem import Problem, find_problem
from .training_args import UNSET, ImbalanceOptions
from .weights import ClassWeights, compute_class_weights

logger = logging.getLogger(__name__)

_TIMES = ("loss", "runtime", "samples_per_second", "steps_per_second", "model_preparation_time")


class WeightedFocalTrainer(Trainer):
    """A drop-in replacement for transformers.Trainer that makes rare labels learn.

    Takes Trainer's arguments, unchanged, and the options below, each of which is also a field of
    ImbalanceTrainingArguments (the keyword wins). With none of them given it does what is recommended: class weights
    from the training data in tiers, capped at 20, and the focal loss with gamma 2. After each evaluation it adds the
    metrics of ImbalanceMetrics beside the user's own and prints what happens to each label (RareLabelCallback).

    For multi-label, single-label and token classification; any other problem keeps Trainer's own behaviour.

    Args:
        class_weights: "auto", None, {label: weight} or one weight per label. See `compute_class_weights`.
        weight_strategy, max_weight, effective_number_beta: see `compute_class_weights`.
        loss: a name in LOSSES. focal_gamma: see `weighted_focal_loss`.
        label_schema: a LabelSchema, a list of names, a label_info mapping or the path of a label_info.json. Without
            it the schema in the model's config holds, or the names in the training data's features, or id2label.
        constraint, constraint_weight: the penalty for a child that is likely where its parent is not, and what it is
            multiplied by; without implications in the schema there is none.
        rare_label_patience: evaluations in a row with recall 0 before the warning.

    Raises:
        UsageError, DataError: settings or labels that do not fit; one sentence that says what to change.
    """

    def __init__(
        self,
        *trainer_args: Any,
        class_weights: "str | Mapping[str, float] | Sequence[float] | None" = UNSET,
        weight_strategy: str = UNSET,
        max_weight: float = UNSET,
        effective_number_beta: float = UNSET,
        loss: str = UNSET,
        focal_gamma: float = UNSET,
        label_schema: "LabelSchema | Mapping[str, Any] | Sequence[str] | str | None" = UNSET,
        constraint: str = UNSET,
        constraint_weight: float = UNSET,
        rare_label_patience: int = UNSET,
        **trainer_kwargs: Any,
    ) -> None:
        self.problem: Problem | None = None  # Trainer.__init__ calls methods that ask for it
        super().__init__(*trainer_args, **trainer_kwargs)
        self.options = ImbalanceOptions.resolve(
            self.args,
            class_weights=class_weights,
            weight_strategy=weight_strategy,
            max_weight=max_weight,
            effective_number_beta=effective_number_beta,
            loss=loss,
            focal_gamma=focal_gamma,
            label_schema=label_schema,
            constraint=constraint,
            constraint_weight=constraint_weight,
            rare_label_patience=rare_label_patience,
        )
        self.problem = find_problem(self.model, self._example_dataset())
        if self.problem is None:
            logger.info("%s is no classification: the stock Trainer's loss stays.", type(self.model).__name__)
            return
        self._prepare_problem()
        self._check_best_metric()
        self._prepare_callbacks()

    # ---- set-up ----

    def _prepare_problem(self) -> None:
        self.label_schema = self._find_schema()
        self.label_names = self.label_names or ["labels"]  # forward need not know labels: we take them out
        self.label_distribution = self._count(self.train_dataset)
        for dataset in self._eval_datasets().values():
            self._count(dataset)  # a bad value is an error now, not at the end of the first epoch
        self.class_weights = self._weigh()
        self.label_metrics = ImbalanceMetrics(
            self.label_schema, None if self.label_distribution is None else self.label_distribution.support
        )
        unweighted = self.class_weights is None or self.options.class_weights is None
        weights = None if unweighted else self.class_weights.values
        self.loss_function = make_loss(
            self.options.loss, self.problem.type, weights, self.options.focal_gamma, self.args.label_smoothing_factor
        )
        self.penalty = None
        if self.problem.type == MULTI_LABEL and self.label_schema.implications and self.options.constraint_weight > 0:
            self.penalty = penalty_by_name(self.options.constraint)
        self._pairs = torch.tensor(self.label_schema.implication_indices, dtype=torch.long).reshape(-1, 2)
        self._evaluating = False
        if self.compute_loss_func is None:
            self.loss_is_scaled_for_ga = True  # divided by the counts of the whole update, see compute_loss
        self._configure(self.model)

    def _find_schema(self) -> LabelSchema:
        config = getattr(self.model, "config", None)
        given = self.options.label_schema
        names = getattr(config, "id2label", None) or {i: f"LABEL_{i}" for i in range(self.problem.n_labels)}
        nameless = all(name == f"LABEL_{i}" for i, name in names.items())
        if given is not None:
            schema = LabelSchema.of(given)
            if (
                not nameless
                and set(names.values()) == set(schema.names)
                and list(names.values()) != list(schema.names)
            ):
                raise UsageError(
                    f"label_schema and the model's id2label have the same names in another order (first "
                    f"{schema.names[0]!r} and {names[0]!r}); the outputs would be mixed up. Use one order."
                )
        elif nameless and (found := self._schema_of_features()) is not None:
            schema = found
        elif config is not None and getattr(config, "id2label", None):
            schema = LabelSchema.from_config(config)
        else:
            schema = LabelSchema.from_names(list(names.values()))
        if len(schema) != self.problem.n_labels:
            raise UsageError(
                f"The schema has {len(schema)} labels, but the model's head has {self.problem.n_labels} outputs: "
                f"create the model with num_labels={len(schema)}."
            )
        return schema

    def _schema_of_features(self) -> LabelSchema | None:
        """Names in the ClassLabel features of the training data, if there are as many as outputs."""
        features = getattr(self._example_dataset(), "features", None)
        schema = None if features is None else LabelSchema.from_features(features, self.problem.column or "labels")
        return schema if schema is not None and len(schema) == self.problem.n_labels else None

    def _count(self, dataset: Any) -> LabelDistribution | None:
        """Labels counted; None where there is no dataset or it has no labels."""
        if dataset is None or (hasattr(dataset, "__len__") and not len(dataset)):
            return None
        if hasattr(dataset, "column_names") and dataset.column_names and find_label_column(dataset) is None:
            return None
        return LabelDistribution.from_dataset(dataset, self.label_schema, tokens=self.problem.tokens)

    def _weigh(self) -> ClassWeights | None:
        counts = self.label_distribution
        if counts is None:
            if isinstance(self.options.class_weights, (Mapping, Sequence)) and self.options.class_weights != "auto":
                raise UsageError("class_weights were given without a train_dataset to use them on; pass one.")
            return None
        weights = compute_class_weights(
            counts,
            self.options.class_weights,
            self.options.weight_strategy,
            self.options.max_weight,
            self.options.effective_number_beta,
        )
        for i in counts.rarest_first if self.is_world_process_zero() else ():
            logger.info(
                "label %r: support %g, ratio %.3g, weight %.4g (%s)",
                weights.names[i], counts.support[i], counts.imbalance_ratio[i], weights.values[i], weights.reasons[i],
            )  # fmt: skip
        absent = [name for name, support in zip(weights.names, counts.support, strict=True) if support <= 0]
        if absent and self.is_world_process_zero():
            more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
            logger.warning(
                "No positives in the training data for %s%s: the model cannot learn them; their weight is 1.",
                ", ".join(map(repr, absent[:5])), more,
            )  # fmt: skip
        return weights

    def _configure(self, model: Any) -> None:
        """Write into the model's config what inference needs, so that plain transformers loads and uses it rightly."""
        config = getattr(model, "config", None)
        if config is None:
            return
        if not self.problem.tokens:
            config.problem_type = self.problem.type  # else pipeline() would take softmax for multi-label
        self.label_schema.to_config(config)

    def _check_best_metric(self) -> None:
        wanted = self.args.metric_for_best_model
        if wanted is None or self.compute_metrics is not None:  # a user's own metrics have names that only they know
            return
        sets = self._eval_datasets()
        prefixes = [f"{name}_" for name in sets] if isinstance(self.eval_dataset, Mapping) else [""]
        known = [prefix + name for prefix in prefixes for name in (*self.label_metrics.keys(), *_TIMES)]
        if wanted.removeprefix("eval_") not in known:
            raise UsageError(f"Unknown metric_for_best_model {wanted!r}: {did_you_mean(wanted, known)}")

    def _prepare_callbacks(self) -> None:
        callbacks = self.callback_handler.callbacks
        for stock, terse in TERSE.items():
            if any(type(callback) is stock for callback in callbacks):
                self.remove_callback(stock)
                replacement = terse()
                replacement.metric_names = frozenset(self.label_metrics.keys())
                replacement.label_callback_present = self._has_label_callback
                self.add_callback(replacement)
        if not self._has_label_callback():
            self.add_callback(RareLabelCallback(patience=self.options.rare_label_patience))
        for callback in callbacks:
            if isinstance(callback, RareLabelCallback):
                callback.metrics, callback.distribution = self.label_metrics, self.label_distribution
                callback.class_weights, callback.max_weight = self.class_weights, self.options.max_weight
                callback.focal_gamma = self.options.focal_gamma if self.options.loss == "focal" else None

    def _has_label_callback(self) -> bool:
        return any(isinstance(callback, RareLabelCallback) for callback in self.callback_handler.callbacks)

    def call_model_init(self, trial: Any = None) -> Any:
        """A fresh model, configured like the first one."""
        model = super().call_model_init(trial)
        if self.problem is not None:
            self._configure(model)
        return model

    # ---- loss ----

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """The weighted loss plus the constraint penalty, each divided by its count over the whole update.

        The counts come from `_get_num_items_in_batch`: over all micro-batches and all ranks, so that the update is the
        same however its batch is cut up. A `compute_loss_func` of the user's takes the place of all of it.
        """
        if self.problem is None or self.compute_loss_func is not None or self.label_names[0] not in inputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs[self.label_names[0]]
        outputs = model(**{name: value for name, value in inputs.items() if name not in self.label_names})
        logits = outputs["logits"] if isinstance(outputs, Mapping) else first(outputs)
        counts, scale = num_items_in_batch, 1
        if counts is None:
            counts = self._count_items(labels)
        elif self.args.average_tokens_across_devices and self.args.n_gpu <= 1:
            scale = self.accelerator.num_processes // self.get_tp_size()  # DDP averages gradients over the ranks
        loss = self._combine(self._loss_sums(logits, labels), counts) * scale
        if not return_outputs:
            return loss
        return loss, outputs if isinstance(outputs, Mapping) else (loss, *_as_tuple(outputs))

    def _loss_sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Summed loss and summed penalty, shape (2,)."""
        loss = self.loss_function.to(logits.device)(logits, labels)
        penalty = loss.new_zeros(())
        if self.penalty is not None:
            penalty = self.penalty(logits, labels, self._pairs.to(logits.device))
        return torch.stack([loss, penalty])

    def _combine(self, sums: Tensor, counts: Tensor) -> Tensor:
        means = sums / counts.to(sums.device).clamp(min=1)
        return means[0] + self.options.constraint_weight * means[1]

    def _count_items(self, labels: Tensor) -> Tensor:
        """Known entries (single-label: rows) and known (row, implication) pairs, the loss's denominators. (2,)"""
        pairs = labels.new_zeros((), dtype=torch.long)
        if self.penalty is not None:
            pairs = count_pairs(labels, self._pairs.to(labels.device))
        return torch.stack([count_items(labels), pairs])

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Any:
        if self.problem is None or self.compute_loss_func is not None:
            return super()._get_num_items_in_batch(batch_samples, device)
        labels = [batch[self.label_names[0]] for batch in batch_samples if self.label_names[0] in batch]
        if not labels:
            return None
        counts = sum(self._count_items(part).to(device) for part in labels)
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            counts = self.accelerator.gather(counts).reshape(-1, 2).sum(0) / self.get_tp_size()
        return counts

    # ---- evaluation ----

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> EvalLoopOutput:
        """Trainer's loop; our metrics and the exact loss are counted on the way and added to its own."""
        if self.problem is None:
            return super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        self.label_metrics.reset()
        self._eval_sums = torch.zeros(2, 2, dtype=torch.float64)  # sums and counts, each of loss and penalty
        self._evaluating = True
        try:
            output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        finally:
            self._evaluating = False
        if self._eval_sums[1, 0] > 0:
            ours = self.label_metrics.compute()
            if self.compute_loss_func is None:
                output.metrics[f"{metric_key_prefix}_loss"] = self._combine(*self._eval_sums).item()
            for name, value in ours.items():
                output.metrics.setdefault(f"{metric_key_prefix}_{name}", value)  # the user's own metric wins
        return output

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Any, Any]:
        """Trainer's step; logits and labels of all ranks, without the rows that only fill a batch, are counted."""
        if not self._counts(inputs):
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        loss, logits, labels = super().prediction_step(model, inputs, False, ignore_keys)
        self._accumulate(first(logits), first(labels))
        return (loss, None, None) if prediction_loss_only else (loss, logits, labels)

    def _counts(self, inputs: dict[str, Any]) -> bool:
        return self.problem is not None and self._evaluating and inputs.get(self.label_names[0]) is not None

    def _accumulate(self, logits: Tensor, labels: Tensor) -> None:
        if self.problem.tokens:
            logits, labels = (
                self.accelerator.pad_across_processes(part, dim=1, pad_index=UNKNOWN) for part in (logits, labels)
            )
        logits, labels = self.accelerator.gather_for_metrics((logits, labels))
        self.label_metrics.update(logits, labels)
        if self.compute_loss_func is None:
            self._eval_sums[0] += self._loss_sums(logits, labels).double().cpu()
        self._eval_sums[1] += self._count_items(labels).double().cpu()

    # ---- data ----

    def _example_dataset(self) -> Any:
        return (
            self.train_dataset if self.train_dataset is not None else next(iter(self._eval_datasets().values()), None)
        )

    def _eval_datasets(self) -> dict[str, Any]:
        """The evaluation sets by name; a single one has the name ""."""
        if self.eval_dataset is None:
            return {}
        return dict(self.eval_dataset) if isinstance(self.eval_dataset, dict) else {"": self.eval_dataset}


def _as_tuple(outputs: Any) -> tuple[Any, ...]:
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)
