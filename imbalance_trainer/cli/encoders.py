"""The encoder that `--model_name_or_path` names, with a head for the labels, and its tokenizer."""

from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from ..labels.schema import LabelSchema
from ..utils.errors import UsageError, first_line

_CANNOT_BE_LOADED = (OSError, ValueError, RuntimeError, SafetensorError)


def encoder_config(name: str, overrides: str | None = None) -> Any:
    """The config of an encoder.

    Args:
        name: a folder, or a name on the Hub.
        overrides: changes to it, such as "num_hidden_layers=3,hidden_dropout_prob=0.2".

    Raises:
        UsageError: one that cannot be loaded, or an override that does not fit.
    """
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _not_loaded(name, error) from None
    if overrides:
        try:
            config.update_from_string(overrides)
        except ValueError as error:
            raise UsageError(f"--config_overrides {overrides}: {first_line(error)}.") from None
    return config


def load_encoder(name: str, schema: LabelSchema, problem_type: str, overrides: str | None = None) -> tuple[Any, Any]:
    """A model for sequence classification with a new head, and its tokenizer.

    Args:
        name: a folder, or a name on the Hub.
        schema: the labels.
        problem_type: multi-label or single-label.
        overrides: see `encoder_config`.

    Raises:
        UsageError: an encoder that cannot be loaded.
    """
    config = encoder_config(name, overrides)
    config.num_labels, config.problem_type = len(schema), problem_type
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        return AutoModelForSequenceClassification.from_pretrained(name, config=config), tokenizer
    except _CANNOT_BE_LOADED as error:
        raise _not_loaded(name, error) from None


def load_bare_encoder(name: str, overrides: str | None = None) -> tuple[Any, Any]:
    """The encoder without a head, and its tokenizer.

    Args:
        name: a folder, or a name on the Hub.
        overrides: see `encoder_config`.

    Raises:
        UsageError: an encoder that cannot be loaded.
    """
    config = encoder_config(name, overrides)
    try:
        return AutoModel.from_pretrained(name, config=config), AutoTokenizer.from_pretrained(name)
    except _CANNOT_BE_LOADED as error:
        raise _not_loaded(name, error) from None


def tokenized(splits: Mapping[str, Any], tokenizer: Any, max_length: int) -> dict[str, Any]:
    """Splits with a column `text` made ready for a model, which reads at most `max_length` tokens of each.

    Args:
        splits: datasets by name.
        tokenizer: of the model; where it reads fewer tokens, that is the limit. It keeps the limit, also when saved.
        max_length: tokens.
    """
    tokenizer.model_max_length = length = min(max_length, tokenizer.model_max_length)
    return {
        name: split.map(
            lambda rows: tokenizer(rows["text"], truncation=True, max_length=length),
            batched=True,
            remove_columns=["text"],
            desc="Tokenizing",
        )
        for name, split in splits.items()
    }


def _not_loaded(name: str, error: Exception) -> UsageError:
    return UsageError(f"--model_name_or_path {name}: cannot be loaded ({first_line(error)}).")
