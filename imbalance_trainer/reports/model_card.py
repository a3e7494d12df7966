"""The model card: what was measured and on what, label by label, how the model decides and how to load it.

What the card says is put together here as data; templates/model_card.md says it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from huggingface_hub import EvalResult, ModelCardData
from transformers.modelcard import TASK_TAG_TO_NAME_MAPPING

from ..decisions.rule import DecisionRule
from ..labels.class_weights import ClassWeights
from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import rarest_shown
from ..monitor.run_files import HISTORY_FILE, Results
from ..tuning.decisions import Tuning
from ..utils.constants import MULTI_LABEL, SINGLE_LABEL
from ..utils.errors import first_five
from ..utils.numeric import is_number, wilson_interval
from ..utils.text import escaped, markdown_table
from .html import render

_SMALL = 10
"""Positives under which a label's recall is called uncertain."""

_COUNTS = "n_labels_"  # metrics that are no shares start with it


@dataclass(frozen=True)
class Loading:
    """What there is to be loaded.

    Args:
        folder: the model's folder, or its name on the Hub.
        has_config: whether it has a config.json.
        has_tokenizer: whether a tokenizer lies beside it.
        is_adapter: whether it is a PEFT adapter, which is saved without the config of its base.
        has_code: whether the model's code is saved with it, as it is no model of transformers.
    """

    folder: str
    has_config: bool = True
    has_tokenizer: bool = True
    is_adapter: bool = False
    has_code: bool = False


@dataclass(frozen=True)
class CardContent:
    """Everything that a card says.

    Args:
        name: the model's name.
        schema: the labels.
        is_multi_label: else one class a row (or token).
        is_of_tokens: whether tokens have labels, rather than rows.
        results: the evaluations, each of another split.
        loading: how the model is stored.
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
        has_local_base: whether it was fine-tuned from a model that lay in a folder, whose path is nobody's concern.
        base_model, language, license, tags, tasks, datasets, dataset_tags, dataset_args: as for Trainer's card.
    """

    name: str
    schema: LabelSchema
    is_multi_label: bool
    is_of_tokens: bool
    results: Sequence[Results]
    loading: Loading
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
    base_model: str | None = None
    has_local_base: bool = False
    language: str | list[str] | None = None
    license: str | None = None
    tags: Sequence[str] = ()
    tasks: Sequence[str] = ()
    datasets: Sequence[str] = ()
    dataset_tags: Sequence[str] = ()
    dataset_args: Sequence[str] = ()

    @property
    def task(self) -> str:
        """What Hugging Face calls the task."""
        return "token-classification" if self.is_of_tokens else "text-classification"

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
    weights = content.weights if content.settings else None
    return render(
        "model_card.md",
        card=content,
        metadata=metadata(content).to_yaml(),
        shown=rarest_shown(content.rarest_first),
        weights=weights,
        small=_SMALL,
        metrics=_metrics_table(content),
        results=[_of_labels(content, results) for results in _held_out(content)],
        decisions=_decisions_table(content, weights),
        rules=first_five(content.schema.rules) if content.schema.rules else "",
        model_class=f"AutoModelFor{'Token' if content.is_of_tokens else 'Sequence'}Classification",
        problem_type=MULTI_LABEL if content.is_multi_label else SINGLE_LABEL,
        history_file=HISTORY_FILE,
    )


def metadata(content: CardContent) -> ModelCardData:
    """Make the YAML head. A metric that is no finite number is left out, and of each split those that count labels."""
    results = [result for task in content.tasks or (content.task,) for result in _eval_results(content, task)]
    return ModelCardData(
        library_name="peft" if content.loading.is_adapter else "transformers",
        language=content.language,
        license=content.license,
        base_model=content.base_model,
        tags=[*content.tags, *({"imbalance-trainer"} - set(content.tags))],
        datasets=list(content.dataset_tags) or None,
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        pipeline_tag=content.task,
        model_name=content.name,
        eval_results=results or None,
    )


def _eval_results(content: CardContent, task: str) -> list[EvalResult]:
    name = ", ".join(content.datasets) or "unknown"
    kind = next(iter(content.dataset_tags), None) or re.sub(r"[^\w.-]+", "-", name).strip("-") or "unknown"
    return [
        EvalResult(
            task_type=task,
            task_name=TASK_TAG_TO_NAME_MAPPING.get(task),
            dataset_type=kind,
            dataset_name=name,
            dataset_config=next(iter(content.dataset_args), None),
            dataset_split=results.split,
            metric_type=_metric_type(metric),
            metric_name=metric,
            metric_value=float(value),
        )
        for results in content.results
        for metric, value in results.metrics.items()
        if is_number(value) and not metric.startswith(_COUNTS)
    ]


def _metric_type(name: str) -> str:
    """What the Hub calls the kind of metric, as far as it has a name for it."""
    words = name.split("_")
    kinds = [] if "average" in words else [kind for kind in ("f1", "precision", "recall", "accuracy") if kind in words]
    return kinds[0] if kinds else name


# ---- tables ----


def _held_out(content: CardContent) -> list[Results]:
    """The evaluations whose labels are listed: of held-out splits, where there are any."""
    return [results for results in content.results if not results.split.startswith("eval")] or list(content.results)


def _metrics_table(content: CardContent) -> list[str]:
    """Every metric of every evaluation, at 0.5 too where thresholds are tuned."""
    columns: dict[str, Mapping[str, float]] = {}
    for results in content.results:
        columns[escaped(results.split)] = results.metrics
        columns |= {} if results.at_half is None else {f"{escaped(results.split)} at 0.5": results.at_half}
    names = dict.fromkeys(name for results in content.results for name in results.metrics)
    rows = []
    for name in names:
        form = ",.0f" if name.startswith(_COUNTS) else ".4f"
        shown = f"`{name}`" if name.isidentifier() else escaped(name)
        rows.append([shown, *(_number(of.get(name), form) for of in columns.values())])
    return markdown_table(["metric", *columns], rows)


def _of_labels(content: CardContent, results: Results) -> dict[str, Any]:
    """An evaluation label by label: the rarest, how many more there are, and how many have few positives."""
    by_label = {row["label"]: row for row in results.labels}
    order = [content.schema.names[i] for i in content.rarest_first if content.schema.names[i] in by_label]
    rows = [by_label[name] for name in rarest_shown(order)]
    spans = [wilson_interval(row["true_positives"], row["support"]) for row in rows]

    def share(key: str, *of: str) -> list[str]:  # 0 / 0 is none
        return [_number(row[key] if any(row[name] for name in of) else None, ".2f") for row in rows]

    columns = {
        "label": [escaped(row["label"]) for row in rows],
        "support": [f"{row['support']:,}" for row in rows],
        "recall": share("recall", "support"),
        "95% interval": [f"{low:.2f} to {high:.2f}" if row["support"] else "–"
                         for row, (low, high) in zip(rows, spans, strict=True)],
        "precision": share("precision", "predicted"),
        "F1": share("f1", "support", "predicted"),
        "average precision": share("average_precision", "support"),
    }  # fmt: skip
    if results.thresholds is not None:
        columns["threshold"] = [_number(results.thresholds.get(row["label"]), ".3g") for row in rows]
    return {
        "split": results.split,
        "table": markdown_table(list(columns), zip(*columns.values(), strict=True)),
        "n_shown": len(rows),
        "n_more": len(order) - len(rows),
        "n_few": sum(row["support"] < _SMALL for row in results.labels),
    }


def _decisions_table(content: CardContent, weights: ClassWeights | None) -> list[str]:
    """Support in training, class weight and threshold of the rarest labels."""
    shown = rarest_shown(content.rarest_first)
    columns = {"label": [escaped(content.schema.names[i]) for i in shown]}
    if content.train_support is not None:
        columns["training positives"] = [f"{content.train_support[i]:,.0f}" for i in shown]
    if weights is not None:
        columns["weight"] = [f"{weights.values[i]:.3g}" for i in shown]
        columns["reason"] = [escaped(weights.reasons[i]) for i in shown]
    if content.rule is not None:
        thresholds = list(content.rule.by_label().values())
        columns["threshold"] = [_number(thresholds[i], ".3g") for i in shown]
    left = [i for i, name in enumerate(columns) if name in ("label", "reason")]
    return markdown_table(list(columns), zip(*columns.values(), strict=True), left)


def _number(value: Any, form: str) -> str:
    return format(value, form) if is_number(value) else "–"
