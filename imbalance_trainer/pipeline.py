"""Inference that decides as evaluation did: tuned thresholds, closed decisions, every decided label with its score."""

import inspect
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Pipeline, PreTrainedTokenizerBase, TextClassificationPipeline

from .decisions.rule import DecisionRule, has_two_classes, is_baked
from .utils.constants import MULTI_LABEL
from .utils.errors import DataError, UsageError, did_you_mean

logger = logging.getLogger(__name__)

_NO_LENGTH = 1 << 20  # a tokenizer that knows no length says 1e30


class ImbalanceTextClassificationPipeline(TextClassificationPipeline):
    """A `pipeline_class` for transformers' `pipeline`: all labels that are decided, with score and threshold.

    Thresholds and implications come from the model's config, where
    WeightedFocalTrainer stored them; no remote code. Without thresholds there, 0.5 decides, and a warning says so.
    Texts are truncated to the tokenizer's `model_max_length`: set it before training to the length you train with.

    A call takes a text, or a list (or generator) of texts, and gives for each text a list of
    `{"label", "score", "threshold"}`, highest score first, empty where nothing is decided or the text is blank. With
    `all_labels=True` every label is in it, with a further key "decided". A score is a probability; a parent that a
    child raised has one under its threshold. `threshold=` decides for all labels in place of the stored thresholds,
    and `thresholds={label: value}` for some. `batch_size=` and `device=` are those of `pipeline`, and further keywords
    are those of the tokenizer.

    Raises:
        UsageError: a model without thresholds (three classes), ones that do not fit its labels, or an unknown keyword.
        DataError: a value that is no text, with its row.

    Example::

        classify = pipeline("text-classification", "runs/data", pipeline_class=ImbalanceTextClassificationPipeline)
        classify("a text")  # [{'label': 'hateful', 'score': 0.83, 'threshold': 0.41}]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        config = self.model.config
        if config.problem_type != MULTI_LABEL and not has_two_classes(config):
            raise UsageError(
                f"ImbalanceTextClassificationPipeline is for multi-label models and for two classes; this one's "
                f"problem_type is {config.problem_type!r}, with {config.num_labels} outputs; drop pipeline_class=."
            )
        self.rule = DecisionRule.from_config(config)
        tokenizer: Any = self.tokenizer
        if tokenizer.model_max_length > _NO_LENGTH and getattr(config, "max_position_embeddings", None):
            tokenizer.model_max_length = config.max_position_embeddings - 2  # two are taken in RoBERTa's like
        if not self.rule.is_tuned and not is_baked(config):
            logger.warning(
                "The model's config has no tuned thresholds, so 0.5 decides for every label; "
                "trainer.tune_thresholds() or `imbalance-trainer tune` stores others where they help."
            )

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Decide for a text (a list of dicts) or for several (a list of such lists, or a generator of them)."""
        if isinstance(inputs, (str, Mapping)):
            return next(self._decided([inputs], **kwargs))
        if isinstance(inputs, list):
            for row, text in enumerate(inputs):
                _text_of(text, f"row {row}")
            return list(self._decided(inputs, **kwargs))
        if not isinstance(inputs, Iterable):
            _text_of(inputs, "a row")
        return self._decided(inputs, **kwargs)

    def _decided(self, texts: Iterable[Any], **kwargs: Any) -> Iterator[list[dict[str, Any]]]:
        """The labels of each text; blank ones do not reach the model."""
        blank: deque[bool] = deque()  # of the texts that were taken and have no answer yet

        def filled() -> Iterator[Any]:
            for text in texts:
                blank.append(not _text_of(text, "a row").strip())
                if not blank[-1]:
                    yield text

        for labels in Pipeline.__call__(self, filled(), **kwargs):
            while blank.popleft():
                yield []
            yield labels
        yield from ([] for _ in blank)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple:
        ours = {name: kwargs.pop(name) for name in ("all_labels", "threshold", "thresholds") if name in kwargs}
        known = set(inspect.signature(PreTrainedTokenizerBase.__call__).parameters) - {"self", "kwargs", "text"}
        for name in kwargs:
            if name in ("top_k", "function_to_apply", "return_all_scores"):
                raise UsageError(
                    f"ImbalanceTextClassificationPipeline has no {name}: it gives all that is decided; drop "
                    "it, or say all_labels=True."
                )
            if name not in known:
                near = did_you_mean(name, ["all_labels", "threshold", "thresholds", "batch_size", *sorted(known)])
                raise UsageError(f"ImbalanceTextClassificationPipeline has no keyword {name!r}: {near}")
        given = {name: value for name, value in ours.items() if value is not None}
        shown = {"all_labels": given.pop("all_labels")} if "all_labels" in given else {}
        return kwargs, given, shown

    def preprocess(self, inputs: Any, **tokenizer_kwargs: Any) -> Any:
        """Tokens of a text."""
        return super().preprocess(inputs, **{"truncation": True, **tokenizer_kwargs})

    def _forward(
        self, model_inputs: Any, threshold: float | None = None, thresholds: Mapping[str, float] | None = None
    ) -> dict[str, Tensor]:
        """Decisions of a batch of texts."""
        rule = self.rule if threshold is None else self.rule.with_thresholds(threshold)
        rule = rule if thresholds is None else rule.with_thresholds(thresholds)
        return decided_rows(rule, super()._forward(model_inputs)["logits"])

    def postprocess(self, model_outputs: Any, all_labels: bool = False) -> list[dict[str, Any]]:
        """The decided labels of one text."""
        (labels,) = labels_of_rows(self.rule.schema.names, model_outputs, all_labels)
        return labels


def decided_rows(rule: DecisionRule, logits: Any) -> dict[str, Tensor]:
    """Score, threshold and decision of each label by logits, (rows, labels) each."""
    scores = rule.scores(logits)
    thresholds = torch.tensor([*rule.by_label().values()], dtype=torch.float64).expand(scores.shape)
    return {"score": scores.sigmoid(), "threshold": thresholds, "decided": rule.decide(logits)}


def labels_of_rows(
    names: Sequence[str], decided: Mapping[str, Tensor], all_labels: bool
) -> Iterator[list[dict[str, Any]]]:
    """What the pipeline says of each text by what `decided_rows` gives."""
    keys = ("score", "threshold", "decided")
    shown = ("label", *keys[: None if all_labels else 2])
    for row in zip(*(decided[key].tolist() for key in keys), strict=True):
        labels = [dict(zip(shown, label, strict=False)) for label in zip(names, *row, strict=True)
                  if all_labels or label[-1]]  # fmt: skip
        yield sorted(labels, key=lambda label: -label["score"])


def _text_of(value: Any, where: str) -> str:
    """The text, also of a dict, which is a text pair as transformers takes it; a DataError for what is none."""
    text = value.get("text") if isinstance(value, Mapping) else value
    if not isinstance(text, str):
        raise DataError(f"Expected a text in {where}, found {text!r}; give a list of texts.")
    return text
