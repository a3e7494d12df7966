"""The model card: what was measured and on what, label by label, how the model decides and how to load it.

What the card says is put together here as data; templates/model_card.md says it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from huggingface_hub import EvalResult, ModelCardData
from transformers.modelcard import TASK_TAG_TO_NAME_MAPPING, TrainingSummary

from ..decisions.rule import DecisionRule
from ..labels.class_weights import ClassWeights
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import rarest_shown
from ..monitor.run_files import HISTORY_FILE, Results
from ..tuning.decisions import Tuning
from ..utils.errors import first_five
from ..utils.numeric import is_number, wilson_interval
from .html import render

_SMALL = 10
"""Positives under which a label's recall is called uncertain."""

_COUNTS = "n_labels_"  # metrics that are no shares start with it


TASKS = {
    "SequenceClassification": ("text-classification", "AutoTokenizer", "a text"),
    "TokenClassification": ("token-classification", "AutoTokenizer", "a text"),
    "ImageClassification": ("image-classification", "AutoImageProcessor", "picture.png"),
    "VideoClassification": ("video-classification", "AutoImageProcessor", "film.mp4"),
    "AudioClassification": ("audio-classification", "AutoFeatureExtractor", "sound.wav"),
}
"""By the kind of a model: the task on the Hub, what makes its inputs, and an input of its pipeline."""


@dataclass(frozen=True)
class CardContent:
    """Everything that a card says.

    Args:
        summary: what Trainer's card knows: names, tags, tasks, data sets, the base model, hyperparameters.
        schema: the labels.
        is_multi_label: else one class a row (or token).
        head: the kind of the model, a key of TASKS; any other is taken as for text.
        results: the evaluations, each of another split.
        folder: the model's folder, or its name on the Hub.
        has_config, has_tokenizer: whether a config.json and a tokenizer lie there.
        is_adapter: whether it is a PEFT adapter.
        has_code: whether the model's code is saved with it, as it is no model of transformers.
        has_local_base: whether it was fine-tuned from a model that lay in a folder, whose path is nobody's concern.
        step: updates of the weights that are saved; None where they were not trained here.
        chosen_by: the metric that chose among checkpoints, with its split's prefix; None where none did.
        rule: how logits become decisions; None where the largest score decides.
        is_baked: whether the thresholds are in the head's bias.
        tuning: what the thresholds were tuned with; None where that is not known, or nothing is tuned.
        weights: class weights of the loss.
        train_support: positives of each label in training; None where they were not counted.
        n_train_rows: rows that were counted for them.
        settings: what it was trained with; empty where it was not trained here.
        versions: of the libraries.
    """

    summary: TrainingSummary
    schema: LabelSchema
    is_multi_label: bool
    head: str
    results: Sequence[Results]
    folder: str
    has_config: bool = True
    has_tokenizer: bool = True
    is_adapter: bool = False
    has_code: bool = False
    has_local_base: bool = False
    step: int | None = None
    chosen_by: str | None = None
    rule: DecisionRule | None = None
    is_baked: bool = False
    tuning: Tuning | None = None
    weights: ClassWeights | None = None
    train_support: Sequence[float] | None = None
    n_train_rows: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The key of TASKS."""
        return self.head if self.head in TASKS else "SequenceClassification"

    @property
    def task(self) -> str:
        """What Hugging Face calls the task."""
        return TASKS[self.kind][0]

    @property
    def rarest_first(self) -> list[int]:
        """Indices of the labels, by support in training, else in the last evaluation."""
        support = self.train_support
        if support is None and self.results:
            by_label = {row["label"]: row["support"] for row in self.results[-1].labels}
            support = [by_label.get(name, 0) for name in self.schema.names]
        return list(range(len(self.schema))) if support is None else np.argsort(support, kind="stable").tolist()


def model_card(content: CardContent) -> str:
    """Write a whole README.md: metadata with a valid `model-index`, then sections in Markdown."""
    metrics: dict[str, Mapping[str, float]] = {}
    for results in content.results:  # at 0.5 too where thresholds are tuned
        metrics[results.split + ", cross-fitted" * (results.cross_fitted is not None)] = results.shown
        metrics |= {} if results.at_half is None else {f"{results.split} at 0.5": results.at_half}
    held_out = [results for results in content.results if not results.split.startswith("eval")]
    return render(
        "model_card.md",
        card=content,
        datasets=listed(content.summary.dataset),
        metadata=metadata(content).to_yaml(),
        shown=rarest_shown(content.rarest_first),
        weights=content.weights if content.settings else None,
        thresholds=None if content.rule is None else list(content.rule.by_label().values()),
        small=_SMALL,
        counts=_COUNTS,
        number=lambda value, form: format(value, form) if is_number(value) else "–",
        metrics=metrics,
        names=dict.fromkeys(name for results in content.results for name in results.metrics),
        labels=[_of_labels(content, results) for results in held_out or content.results],
        rules=first_five(content.schema.rules) if content.schema.rules else "",
        model_class=f"AutoModelFor{content.kind}",
        processor=TASKS[content.kind][1],
        example=TASKS[content.kind][2],
        history_file=HISTORY_FILE,
    )


def listed(value: Any) -> list[str]:
    """One value or several as a list of texts, without None."""
    several = value if isinstance(value, (list, tuple)) else [value]
    return [str(one) for one in several if one is not None]


def metadata(content: CardContent) -> ModelCardData:
    """Make the YAML head. A metric that is no finite number is left out, and of each split those that count labels."""
    known = content.summary
    results = [r for task in listed(known.tasks) or [content.task] for r in _eval_results(content, task)]
    return ModelCardData(
        library_name="peft" if content.is_adapter else "transformers",
        language=known.language,
        license=known.license,
        base_model=known.finetuned_from,
        tags=list(dict.fromkeys([*listed(known.tags), "imbalance-trainer"])),
        datasets=listed(known.dataset_tags) or None,
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        pipeline_tag=content.task,
        model_name=known.model_name,
        eval_results=results or None,
    )


def _eval_results(content: CardContent, task: str) -> list[EvalResult]:
    name = ", ".join(listed(content.summary.dataset)) or "unknown"
    tags, config = listed(content.summary.dataset_tags), listed(content.summary.dataset_args)
    kind = tags[0] if tags else re.sub(r"[^\w.-]+", "-", name).strip("-") or "unknown"
    return [
        EvalResult(
            task_type=task,
            task_name=TASK_TAG_TO_NAME_MAPPING.get(task),
            dataset_type=kind,
            dataset_name=name,
            dataset_config=config[0] if config else None,
            dataset_split=results.split,
            metric_type=_metric_type(metric),
            metric_name=metric,
            metric_value=float(value),
        )
        for results in content.results
        for metric, value in results.shown.items()
        if is_number(value) and not metric.startswith(_COUNTS)
    ]


def _metric_type(name: str) -> str:
    """What the Hub calls the kind of metric, as far as it has a name for it."""
    words = name.split("_")
    kinds = [] if "average" in words else [kind for kind in ("f1", "precision", "recall", "accuracy") if kind in words]
    return kinds[0] if kinds else name


def _of_labels(content: CardContent, results: Results) -> dict[str, Any]:
    """An evaluation label by label: the rarest, how many more there are, and how many have few positives."""
    by_label = {row["label"]: row for row in results.labels}
    order = [content.schema.names[i] for i in content.rarest_first if content.schema.names[i] in by_label]
    rows = [by_label[name] for name in rarest_shown(order)]
    return {
        "split": results.split,
        "thresholds": results.thresholds,
        "rows": [{**row, "interval": wilson_interval(row["true_positives"], row["support"])} for row in rows],
        "n_more": len(order) - len(rows),
        "n_few": sum(row["support"] < _SMALL for row in results.labels),
    }
