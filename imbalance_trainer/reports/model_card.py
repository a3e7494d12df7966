"""The text of a model card: what was measured and on what, label by label, how it decides and how to load it."""

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
from ..monitor.history import FILE_NAME as HISTORY_FILE
from ..monitor.run_info import Results
from ..tuning.decisions import Tuning
from ..utils.errors import first_five
from ..utils.numeric import is_number, wilson_interval
from ..utils.text import escaped, how_many_more, markdown_table
from .loading import Loading, loading_lines

_SMALL = 10
"""Positives under which a label's recall is called uncertain."""

_COUNTS = "n_labels_"  # metrics that are no shares start with it
_GENERATED = (
    "<!-- Written by WeightedFocalTrainer from what it knew. Read it, complete it (what the data are, what the model "
    "is\nfor and what not), then remove this comment. -->"
)


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
    def unit(self) -> str:
        """What has labels."""
        return "tokens" if self.is_of_tokens else "rows"

    @property
    def rarest_first(self) -> list[int]:
        """Indices of the labels, by support in training, else in the last evaluation."""
        support = self.train_support
        if support is None and self.results:
            by_label = {row["label"]: row["support"] for row in self.results[-1].labels}
            support = [by_label.get(name, 0) for name in self.schema.names]
        return list(range(len(self.schema))) if support is None else np.argsort(support, kind="stable").tolist()


def model_card(content: CardContent) -> str:
    """A whole README.md: metadata with a valid `model-index`, then sections in Markdown."""
    sections = [
        _introduction(content),
        _results(content),
        _results_per_label(content),
        _decisions(content),
        ["## How to load", "", *loading_lines(*_to_load(content))],
        _training(content),
    ]
    body = "\n\n".join("\n".join(lines) for lines in sections if lines)
    return f"---\n{metadata(content).to_yaml()}\n---\n\n{_GENERATED}\n\n{body}\n"


def metadata(content: CardContent) -> ModelCardData:
    """The YAML head. A metric that is no finite number is left out, and of each split those that count labels."""
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


# ---- metadata ----


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


# ---- sections ----


def _introduction(content: CardContent) -> list[str]:
    base = content.base_model
    from_ = "fine-tuned from a local model" if content.has_local_base else "trained from scratch"
    from_ = f"fine-tuned from [{escaped(base)}](https://huggingface.co/{base})" if base else from_
    kind = "multi-label" if content.is_multi_label else "single-label"
    labels = f"{len(content.schema):,} {'label' if len(content.schema) == 1 else 'labels'}"
    on = f" on {escaped(', '.join(content.datasets))}" if content.datasets else ""
    lines = [
        f"# {escaped(content.name)}",
        "",
        f"A model for {kind} {content.task.replace('-', ' ')} with {labels}, {from_}{on}, by "
        "`WeightedFocalTrainer` of imbalance-trainer.",
    ]
    if not content.settings:
        lines[-1] = f"A model for {kind} {content.task.replace('-', ' ')} with {labels}, evaluated{on}."
    if content.train_support is not None and content.n_train_rows:
        i = content.rarest_first[0]
        lines += [
            f"Its rarest label, {escaped(content.schema.names[i])}, is in {content.train_support[i]:,.0f} of the "
            f"{content.n_train_rows:,} training {content.unit} that were counted."
        ]
    return lines


def _results(content: CardContent) -> list[str]:
    if not content.results:
        return ["## Results", "", "The model was not evaluated."]
    columns: list[tuple[str, Mapping[str, float]]] = []
    for results in content.results:
        columns.append((escaped(results.split), results.metrics))
        if results.at_half is not None:
            columns.append((f"{escaped(results.split)} at 0.5", results.at_half))
    names = list(dict.fromkeys(name for results in content.results for name in results.metrics))
    rows = [[f"`{name}`" if name.isidentifier() else escaped(name), *(_metric(name, of) for _, of in columns)]
            for name in names]  # fmt: skip
    how = [_how_measured(results, content) for results in content.results]
    return ["## Results", "", *how, "", *markdown_table(["metric", *(title for title, _ in columns)], rows)]


def _how_measured(results: Results, content: CardContent) -> str:
    """What a reader has to know of a split before its numbers are believed."""
    rows = "" if results.n_rows is None else f": {results.n_rows:,} rows"
    of = "the weights that are saved"
    if results.step is not None and results.step != content.step:
        saved = "are of other updates" if content.step is None else f"are of step {content.step:,}"
        of = f"the weights of step {results.step:,}, while those that are saved {saved}"
    elif results.step is not None:
        of += f", of step {results.step:,}"
    said = [f"- **{escaped(results.split)}**{rows}, with {of}{_how_decided(results, content)}."]
    if content.chosen_by is not None and content.chosen_by.startswith(f"{results.split}_"):
        said.append(f"The checkpoint was chosen by `{content.chosen_by}` on these rows, so its numbers flatter.")
    return " ".join(said)


def _how_decided(results: Results, content: CardContent) -> str:
    if results.thresholds is None:
        return ", decided by the largest score"
    if not results.is_tuned:
        now = content.rule is not None and content.rule.is_tuned
        return ", decided at 0.5, which was before the thresholds below were tuned" if now else ", decided at 0.5"
    where = {
        True: "were tuned on **these very rows**, so that the numbers flatter",
        False: "were tuned on another data set",
        None: "came with the model or were tuned on data that cannot be told from these rows",
    }[results.tuned_on_this_data]
    same = content.rule is not None and results.thresholds == content.rule.by_label()
    return f", decided by {'the tuned thresholds below' if same else 'tuned thresholds of then'}, which {where}"


def _results_per_label(content: CardContent) -> list[str]:
    held_out = [results for results in content.results if not results.split.startswith("eval")]
    lines = []
    for results in held_out or content.results:
        by_label = {row["label"]: row for row in results.labels}
        order = [content.schema.names[i] for i in content.rarest_first if content.schema.names[i] in by_label]
        shown = rarest_shown(order)
        if shown:
            lines += ["", f"### {escaped(results.split)}", "", *_label_table(results, [by_label[n] for n in shown])]
            lines += how_many_more(len(order) - len(shown), f"`{HISTORY_FILE}`")
            few = sum(row["support"] < _SMALL for row in by_label.values())
            lines += ["", f"Of {few:,} of these labels there are fewer than {_SMALL} positives: the interval says how "
                      "little their recall is known."] if few else []  # fmt: skip
    intro = "Rarest label in training first. Support is the positives that recall is measured on; the interval is " \
            "recall's (Wilson, 95%)."  # fmt: skip
    return ["## Results per label", "", intro, *lines] if lines else []


def _label_table(results: Results, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = []
    for row in rows:
        support, right = row["support"], row["true_positives"]
        low, high = wilson_interval(right, support)
        recall = ["–", "–"] if not support else [f"{row['recall']:.2f}", f"{low:.2f} to {high:.2f}"]
        precision = _share(row["precision"]) if row["predicted"] else "–"
        ranked = _share(row["average_precision"]) if support else "–"
        threshold = [] if results.thresholds is None else [_threshold(results.thresholds.get(row["label"]))]
        f1 = _share(row["f1"]) if support or row["predicted"] else "–"
        cells.append([escaped(row["label"]), f"{support:,}", *recall, precision, f1, ranked, *threshold])
    header = ["label", "support", "recall", "95% interval", "precision", "F1", "average precision"]
    return markdown_table([*header, *([] if results.thresholds is None else ["threshold"])], cells)


def _decisions(content: CardContent) -> list[str]:
    weights = content.weights if content.weights is not None and content.settings else None
    what = [*(["Thresholds"] if content.rule is not None else []), *(["class weights"] if weights is not None else [])]
    if not what:
        return []
    heading = " and ".join(what)
    lines = [f"## {heading[0].upper()}{heading[1:]}", "", *_threshold_words(content)]
    shown = rarest_shown(content.rarest_first)
    thresholds = None if content.rule is None else list(content.rule.by_label().values())
    header, columns = ["label"], [[escaped(content.schema.names[i]) for i in shown]]
    if content.train_support is not None:
        header.append("training positives")
        columns.append([f"{content.train_support[i]:,.0f}" for i in shown])
    if weights is not None:
        header += ["weight", "reason"]
        columns += [[f"{weights.values[i]:.3g}" for i in shown], [escaped(weights.reasons[i]) for i in shown]]
    if thresholds is not None:
        header.append("threshold")
        columns.append([_threshold(thresholds[i]) for i in shown])
    left = [header.index(name) for name in ("label", "reason") if name in header]
    lines += ["", *markdown_table(header, zip(*columns, strict=True), left)]
    where = "`config.json`, under `imbalance_trainer`" if content.loading.has_config else "the trainer"
    return [*lines, *how_many_more(len(content.schema) - len(shown), where)]


def _threshold_words(content: CardContent) -> list[str]:
    rule, tuning = content.rule, content.tuning
    if rule is None:
        return ["The largest score decides. A weight is what the rows of a class count for in the loss."]
    said = ["A label is decided where its probability is over its threshold."]
    if content.is_baked:
        said.append("Tuned thresholds are in the head's bias, so that 0.5 decides and scores are no probabilities.")
    elif not rule.is_tuned:
        said.append("No thresholds are tuned: 0.5 decides.")
    elif tuning is not None:
        said.append(f"The thresholds were tuned on {tuning.n_rows:,} rows of evaluation data.")
        name = "secondary_f1_macro"
        if name in tuning.at_half and name in tuning.held_out:
            said.append(
                f"There `{name}` is {tuning.at_half[name]:.4f} at 0.5 and {tuning.held_out[name]:.4f} with thresholds "
                "that were tuned on other parts of those rows (cross-fitted)."
            )
    else:
        said.append("The thresholds came with the model; on which data they were tuned is not known here.")
    if content.schema.rules:
        rules = content.schema.rules
        said.append(
            f"Decisions are closed under {len(rules):,} {'rule' if len(rules) == 1 else 'rules'} "
            f"(`{rule.hierarchy_policy}`), so that these do not occur: {escaped(first_five(rules))}."
        )
    return [" ".join(said)]


def _to_load(content: CardContent) -> tuple[Any, ...]:
    kind = content.is_multi_label, content.is_of_tokens
    return content.loading, *kind, len(content.schema), content.base_model


def _training(content: CardContent) -> list[str]:
    lines = ["## Training procedure"] if content.settings or content.versions else []
    if content.settings:
        lines += ["", "### Training hyperparameters", ""]
        lines += [f"- {name}: {escaped(value)}" for name, value in content.settings.items()]
    if content.versions:
        lines += ["", "### Framework versions", ""]
        lines += [f"- {name} {version}" for name, version in content.versions.items()]
    return lines


# ---- numbers ----


def _metric(name: str, metrics: Mapping[str, float]) -> str:
    value = metrics.get(name)
    if not is_number(value):
        return "–"
    return f"{value:,.0f}" if name.startswith(_COUNTS) else f"{value:.4f}"


def _share(value: Any) -> str:
    return f"{value:.2f}" if is_number(value) else "–"


def _threshold(value: Any) -> str:
    return f"{value:.3g}" if is_number(value) else "–"
