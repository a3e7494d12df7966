"""Inference that decides as evaluation did: tuned thresholds, closed decisions, every decided label with its score."""

import logging
from collections.abc import Mapping
from typing import Any

from transformers import Pipeline, TextClassificationPipeline

from .decisions.rule import DecisionRule, is_baked
from .utils.constants import MULTI_LABEL
from .utils.errors import DataError, UsageError

logger = logging.getLogger(__name__)

_NO_LENGTH = 1 << 20  # a tokenizer that knows no length says 1e30


class ImbalanceTextClassificationPipeline(TextClassificationPipeline):
    """A `pipeline_class` for transformers' `pipeline`: all labels that are decided, with score and threshold.

    Thresholds, calibration, implications and exclusive groups come from the model's config, where
    WeightedFocalTrainer stored them; no remote code. Without thresholds there, 0.5 decides, and a warning says so.
    Texts are truncated to the tokenizer's `model_max_length`: set it before training to the length you train with.

    A call takes a text, or a list (or generator) of texts, and gives for each text a list of
    `{"label", "score", "threshold"}`, highest score first, empty where nothing is decided. With `all_labels=True`
    every label is in it, with a further key "decided". A score is a probability; a parent that a child raised has one
    under its threshold. `batch_size=` and `device=` are those of `pipeline`.

    Raises:
        UsageError: a model that is not multi-label, or a config whose thresholds do not fit its labels.
        DataError: a text that is blank or none; in a list with its row.

    Example::

        classify = pipeline("text-classification", "runs/data", pipeline_class=ImbalanceTextClassificationPipeline)
        classify("a text")  # [{'label': 'hateful', 'score': 0.83, 'threshold': 0.41}]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        config = self.model.config
        if config.problem_type != MULTI_LABEL:
            raise UsageError(
                f"ImbalanceTextClassificationPipeline is for multi-label models, and this one's problem_type is "
                f"{config.problem_type!r}; drop pipeline_class=."
            )
        self.rule = DecisionRule.from_config(config)
        tokenizer: Any = self.tokenizer
        if tokenizer.model_max_length > _NO_LENGTH and getattr(config, "max_position_embeddings", None):
            tokenizer.model_max_length = config.max_position_embeddings - 2  # two are taken in RoBERTa's like
        if not self.rule.is_tuned and not is_baked(config):
            logger.warning(
                "The model's config has no tuned thresholds, so 0.5 decides for every label; "
                "WeightedFocalTrainer.tune_thresholds() stores them."
            )

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Decide for a text (a list of dicts) or for several (a list of such lists)."""
        if isinstance(inputs, list):
            if not inputs:
                return []
            for row, text in enumerate(inputs):
                _check(text, f"row {row}")
        return Pipeline.__call__(self, inputs, **kwargs)

    def _sanitize_parameters(self, all_labels: bool | None = None, **tokenizer_kwargs: Any) -> tuple:
        for name in ("top_k", "function_to_apply"):
            if name in tokenizer_kwargs:
                raise UsageError(
                    f"ImbalanceTextClassificationPipeline has no {name}: it gives all that is decided; drop "
                    "it, or say all_labels=True."
                )
        postprocess = {} if all_labels is None else {"all_labels": all_labels}
        return tokenizer_kwargs, {}, postprocess

    def preprocess(self, inputs: Any, **tokenizer_kwargs: Any) -> Any:
        """Tokens of a text."""
        _check(inputs, "a row")
        return super().preprocess(inputs, **{"truncation": True, **tokenizer_kwargs})

    def postprocess(self, model_outputs: Any, all_labels: bool = False) -> list[dict[str, Any]]:
        """The decided labels of one text."""
        logits = model_outputs["logits"]
        decided = self.rule.decide(logits)[0].tolist()
        scores = self.rule.scores(logits).sigmoid()[0].tolist()
        rows = [
            {"label": label, "score": score, "threshold": threshold, "decided": is_decided}
            for (label, threshold), score, is_decided in zip(
                self.rule.by_label().items(), scores, decided, strict=True
            )
        ]
        rows = sorted(rows, key=lambda row: -row["score"])
        return rows if all_labels else [_without(row, "decided") for row in rows if row["decided"]]


def _check(text: Any, where: str) -> None:
    """Raise a DataError for what is no text; a dict is a text pair as transformers takes it."""
    text = text.get("text") if isinstance(text, Mapping) else text
    if not isinstance(text, str) or not text.strip():
        raise DataError(
            f"Expected a text in {where}, found {text!r}; give a list of texts, without rows that have none."
        )


def _without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != key}
