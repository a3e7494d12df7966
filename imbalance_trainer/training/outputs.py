"""What the trainer knows of its evaluations when all is done, and the model card that is written from it."""

import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard
from transformers.modelcard import TrainingSummary

from ..decisions.rule import is_baked
from ..labels.class_weights import ClassWeights
from ..metrics.imbalance_metrics import ImbalanceMetrics
from ..monitor.history import make_entry
from ..monitor.results import Results
from ..monitor.run_info import package_versions
from ..reports.model_card import CardContent, Loading, model_card
from ..utils.constants import MULTI_LABEL
from ..utils.files import atomic_write
from .arguments import ImbalanceOptions
from .callbacks import RareLabelCallback
from .threshold_tuning import TunesThresholds, rows_of

CARD_FILE = "README.md"

_CARD_NAMES = {"transformers": "Transformers", "torch": "PyTorch", "datasets": "Datasets", "tokenizers": "Tokenizers"}
"""What Trainer's card calls the packages."""

_TIMES = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")


class WritesOutputs(TunesThresholds):
    """The part of WeightedFocalTrainer that is about what a run leaves behind for readers and scripts."""

    # of WeightedFocalTrainer
    options: ImbalanceOptions
    class_weights: ClassWeights
    _all_results: list[Results]
    _best_checkpoint: str | None

    def results_of(self, split: str = "test") -> Results | None:
        """The last evaluation of a split with the weights in use, else the last one; None where there was none.

        Args:
            split: the prefix of its metrics: "eval", "eval_<dataset>", or "test" for `predict`.
        """
        known = [results for results in self._all_results if results.split == split]
        fitting = [results for results in known if results.step == self._model_step]
        if not fitting:  # the best checkpoint may be of a run that this one took up
            fitting = self._from_history(split)
        return next(reversed([*known, *fitting]), None)

    def create_model_card(
        self,
        language: str | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | list[str] | None = None,
        dataset_tags: str | list[str] | None = None,
        dataset: str | list[str] | None = None,
        dataset_args: str | list[str] | None = None,
    ) -> None:
        """Write README.md: metrics of each split (`model-index`), labels, thresholds, weights, and how to load.

        Args: as Trainer's. `dataset` is the name of the data; `dataset_tags` are ids of data sets on the Hub.
        """
        given = (language, license, tags, model_name, finetuned_from, tasks, dataset_tags, dataset, dataset_args)
        if self.problem is None:
            super().create_model_card(*given)
            return
        if not self.is_world_process_zero():
            return
        path = Path(self.args.output_dir) / CARD_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        text = model_card(self._card_content(given, _tags_of(path)))
        model = self.accelerator.unwrap_model(self.model)
        if hasattr(model, "peft_config") and hasattr(model, "create_or_update_model_card"):
            text = _completed_by_peft(text, model)
        with atomic_write(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")

    # ---- what is known ----

    def _keep_results(self, dataloader: Any, split: str, output: Any, metrics: ImbalanceMetrics) -> None:
        """Keep an evaluation; of each split only the last one and that of the best step so far stay."""
        counts, step = self.label_distribution, self._model_step
        support = None if counts is None else counts.support_by_label
        weights = self.class_weights.as_dict()
        entry = make_entry(
            output.metrics, split, step or 0, self.state.epoch, self.label_schema, metrics.table, weights, support
        )
        decides = self.problem.type == MULTI_LABEL
        at_half = metrics.at_half
        results = Results(
            split,
            step,
            entry["metrics"],
            entry["labels"],
            output.num_samples,
            None if at_half is None else {name: at_half[name] for name in entry["metrics"] if name in at_half},
            metrics.rule.by_label() if decides else None,
            decides and metrics.rule.is_tuned,
            self._is_tuned_on(rows_of(dataloader)),
        )
        kept = [r for r in self._all_results if r.split != split or r.step == self.state.best_global_step]
        self._all_results = [r for r in kept if (r.split, r.step) != (split, step)] + [results]

    @property
    def _model_step(self) -> int | None:
        """Updates that the weights in use had; None where they were not trained here."""
        if self._best_checkpoint is not None and self.state.best_global_step is not None:
            return self.state.best_global_step
        return self.state.global_step if self.train_dataset is not None or self.state.global_step else None

    def _is_tuned_on(self, rows: Any) -> bool | None:
        if self._tuned_on is None:
            return None
        if isinstance(self._tuned_on, str) and isinstance(rows, str):
            return self._tuned_on == rows
        return True if self._tuned_on is rows else None  # equal rows may lie in another object

    def _from_history(self, split: str) -> list[Results]:
        """The evaluation of the weights in use as the monitor has it, from before this process took the run up."""
        histories = [c.history for c in self.callback_handler.callbacks if isinstance(c, RareLabelCallback)]
        entries = (e for h in histories for e in h if (e["split"], e["step"]) == (split, self._model_step))
        half = dict.fromkeys(self.label_schema.names, 0.5) if self.problem.type == MULTI_LABEL else None
        return [Results(split, e["step"], _untimed(e["metrics"]), e["labels"], thresholds=half) for e in entries]

    # ---- the card ----

    def _card_content(self, given: tuple[Any, ...], more_tags: list[str]) -> CardContent:
        language, license, tags, model_name, finetuned_from, tasks, dataset_tags, dataset, dataset_args = given
        config = getattr(self.model, "config", None)
        summary = TrainingSummary.from_trainer(
            self,
            language=language,
            license=license,
            tags=[*_listed(tags), *more_tags],
            model_name=model_name,
            finetuned_from=finetuned_from if config is not None else finetuned_from or "",
            tasks=tasks,
            dataset_tags=dataset_tags,
            dataset=dataset,
            dataset_args=dataset_args,
        )
        base = summary.finetuned_from or None
        is_local = not finetuned_from and bool(base and Path(base).is_absolute())
        decides, counts = self.problem.type == MULTI_LABEL, self.label_distribution
        best = None if self._best_checkpoint is None else self.args.metric_for_best_model
        return CardContent(
            name=summary.model_name or "model",
            schema=self.label_schema,
            is_multi_label=decides,
            is_of_tokens=self.problem.tokens,
            results=self._results_of_all_splits(),
            loading=self._loading(config),
            step=self._model_step,
            chosen_by=None if best is None else f"eval_{best.removeprefix('eval_')}",
            rule=self.decision_rule if decides else None,
            is_baked=is_baked(config),
            tuning=self._tuned,
            weights=self.class_weights,
            train_support=None if counts is None else counts.support.tolist(),
            n_train_rows=None if counts is None else counts.n_rows,
            settings=self._settings(summary.hyperparameters or {}),
            versions=_versions(),
            base_model=None if is_local else base,
            has_local_base=is_local or (not base and bool(getattr(config, "_name_or_path", ""))),
            language=summary.language,
            license=summary.license,
            tags=tuple(dict.fromkeys(_listed(summary.tags))),
            tasks=tuple(_listed(tasks)),
            datasets=tuple(_listed(summary.dataset)),
            dataset_tags=tuple(_listed(summary.dataset_tags)),
            dataset_args=tuple(_listed(summary.dataset_args)),
        )

    def _results_of_all_splits(self) -> tuple[Results, ...]:
        histories = [c.history for c in self.callback_handler.callbacks if isinstance(c, RareLabelCallback)]
        before = [entry["split"] for history in histories for entry in history]
        splits = dict.fromkeys([*before, *(results.split for results in self._all_results)])
        found = (self.results_of(split) for split in splits)
        return tuple(results for results in found if results is not None)

    def _loading(self, config: Any) -> Loading:
        model = self.accelerator.unwrap_model(self.model)
        return Loading(
            folder=self.args.hub_model_id or Path(self.args.output_dir).resolve().name,
            has_config=config is not None,
            has_tokenizer=self.processing_class is not None,
            is_adapter=hasattr(model, "peft_config"),
        )

    def _settings(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """What was minimised, and Trainer's hyperparameters; nothing where the model was not trained here."""
        if self.train_dataset is None:
            return {}
        names = ["loss", "loss_args", "focal_gamma", "weight_strategy", "max_weight", "reweight_from"]
        if self.label_schema.rules:
            names += ["constraint", "constraint_weight", "constraint_direction", "hierarchy_policy"]
        if self.options.sampler is not None:
            names += ["sampler", "max_repeats"]
        plain = self.options.plain()
        unset = {"loss_args": None, "focal_gamma": None, "reweight_from": 0.0}  # not worth a line each
        ours = {name: plain[name] for name in names if name not in unset or plain[name] != unset[name]}
        if self.compute_loss_func is not None:
            ours = {"loss": "the user's own compute_loss_func"}
        return {**ours, **hyperparameters}


def _untimed(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics without the times that Trainer adds once an evaluation is over."""
    return {name: value for name, value in metrics.items() if name not in _TIMES}


def _tags_of(path: Path) -> list[str]:
    """The tags of a card that is there already, as Trainer's card keeps them."""
    try:
        return _listed(ModelCard.load(path).data.get("tags")) if path.is_file() else []
    except (ValueError, OSError, yaml.YAMLError):  # a README that is no card
        return []


def _completed_by_peft(text: str, model: Any) -> str:
    """The card with what PEFT adds to it (library, base model, tags), and with the tags that it would drop."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CARD_FILE
        path.write_text(text, encoding="utf-8")
        model.create_or_update_model_card(folder)
        card = ModelCard.load(path)
    card.data.tags = list(dict.fromkeys([*_listed(ModelCard(text).data.get("tags")), *_listed(card.data.tags)]))
    if not card.data.get("base_model"):
        card.data.pop("base_model")
    return str(card)


def _listed(value: Any) -> list[str]:
    """One value or several as a list of texts, without None."""
    several = value if isinstance(value, (list, tuple)) else [value]
    return [str(one) for one in several if one is not None]


def _versions() -> dict[str, str]:
    found = package_versions(list(_CARD_NAMES))
    return {
        "imbalance-trainer": import_module(__package__.partition(".")[0]).__version__,
        **{_CARD_NAMES[p]: v for p, v in found.items()},
    }
