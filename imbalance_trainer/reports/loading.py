"""How a saved model is loaded, in words and in Python that runs: a section of its card."""

from dataclasses import dataclass

from ..utils.constants import MULTI_LABEL, SINGLE_LABEL


@dataclass(frozen=True)
class Loading:
    """What there is to be loaded.

    Args:
        folder: the model's folder, or its name on the Hub.
        has_config: whether it has a config.json.
        has_tokenizer: whether a tokenizer lies beside it.
        is_adapter: whether it is a PEFT adapter, which is saved without the config of its base.
    """

    folder: str
    has_config: bool = True
    has_tokenizer: bool = True
    is_adapter: bool = False


def loading_lines(
    how: Loading, is_multi_label: bool, is_of_tokens: bool, n_labels: int, base: str | None
) -> list[str]:
    """Sentences and Python blocks that load a model.

    Args:
        how: what there is to be loaded.
        is_multi_label: else one class a row.
        is_of_tokens: whether tokens have labels.
        n_labels: outputs of the model.
        base: what it was fine-tuned from; None where that is not known.
    """
    cls = "AutoModelForTokenClassification" if is_of_tokens else "AutoModelForSequenceClassification"
    if how.is_adapter:
        kind = MULTI_LABEL if is_multi_label else SINGLE_LABEL
        settings = f"num_labels={n_labels}" + ("" if is_of_tokens else f", problem_type={kind!r}")
        return _adapter_lines(how, cls, settings, base)
    if not how.has_config:
        return ["The model has no config.json: load its weights into an object of its class."]
    lines = _model_lines(how, cls)
    if not how.has_tokenizer:
        return [*lines, "", "No tokenizer was saved with it; take that of its base model."]
    if is_multi_label and not is_of_tokens:
        return [*lines, "", *_pipeline_lines(how)]
    task = "token-classification" if is_of_tokens else "text-classification"
    return [
        *lines,
        "",
        "With a pipeline:",
        "",
        "```python",
        "from transformers import pipeline",
        "",
        f"classify = pipeline({task!r}, model={how.folder!r})",
        'print(classify("a text"))',
        "```",
    ]


def _model_lines(how: Loading, cls: str) -> list[str]:
    lines = [
        "```python",
        f"from transformers import {cls}" + (", AutoTokenizer" if how.has_tokenizer else ""),
        "",
        f"folder = {how.folder!r}  # where this file lies, or the model's name on the Hub",
        f"model = {cls}.from_pretrained(folder)",
    ]
    if how.has_tokenizer:
        lines.append("tokenizer = AutoTokenizer.from_pretrained(folder)")
    return [*lines, "```"]


def _pipeline_lines(how: Loading) -> list[str]:
    return [
        "Its logits become probabilities by a sigmoid, not a softmax. A pipeline that decides as the evaluation did, "
        "by thresholds and rules from `config.json`, is in the package imbalance-trainer:",
        "",
        "```python",
        "from transformers import pipeline",
        "",
        "from imbalance_trainer import ImbalanceTextClassificationPipeline",
        "",
        "classify = pipeline(",
        '    "text-classification",',
        f"    model={how.folder!r},",
        "    pipeline_class=ImbalanceTextClassificationPipeline,",
        ")",
        'print(classify("a text"))  # a list of {"label", "score", "threshold"}',
        "```",
    ]


def _adapter_lines(how: Loading, cls: str, settings: str, base: str | None) -> list[str]:
    return [
        "```python",
        "from peft import PeftModel",
        f"from transformers import {cls}",
        "",
        f"base = {cls}.from_pretrained({base or 'the base model'!r}, {settings})",
        f"model = PeftModel.from_pretrained(base, {how.folder!r})",
        "```",
        "",
        "An adapter is saved without the config of its base, and so without label names, thresholds and rules: save "
        "what `model.merge_and_unload()` of the trained model gives to have them.",
    ]
