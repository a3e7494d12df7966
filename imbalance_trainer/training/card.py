"""The model card of a trained model, from what its trainer knows."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard
from transformers import Trainer
from transformers.modelcard import TrainingSummary

from .. import __version__
from ..decisions.rule import is_baked
from ..monitor.run_files import Results, package_versions
from ..reports.model_card import CardContent, listed, model_card
from ..utils.files import write_text
from .setup import ImbalanceSetup

CARD_FILE = "README.md"

_CARD_NAMES = {"transformers": "Transformers", "torch": "PyTorch", "datasets": "Datasets", "tokenizers": "Tokenizers"}
"""What Trainer's card calls the packages."""


def write_card(
    trainer: Trainer,
    ours: ImbalanceSetup,
    given: Mapping[str, Any],
    results: Sequence[Results],
    step: int | None,
    chosen_by: str | None,
) -> None:
    """Write README.md into the output directory.

    `step` is None where the weights were not trained here, `chosen_by` where they are not the best but the last ones.
    """
    path = Path(str(trainer.args.output_dir)) / CARD_FILE
    known = {"results": tuple(results), "step": step, "chosen_by": chosen_by}
    text = model_card(_content(trainer, ours, given, _tags_of(path), known))
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "peft_config") and hasattr(model, "create_or_update_model_card"):
        text = _completed_by_peft(text, model)
    write_text(path, text)


def _content(
    trainer: Trainer, ours: ImbalanceSetup, given: Mapping[str, Any], more_tags: list[str], known: Mapping[str, Any]
) -> CardContent:
    config = getattr(trainer.model, "config", None)
    finetuned_from = given["finetuned_from"] if config is not None else given["finetuned_from"] or ""
    tags = [*listed(given["tags"]), *more_tags]
    summary = TrainingSummary.from_trainer(trainer, **{**given, "tags": tags, "finetuned_from": finetuned_from})
    base = summary.finetuned_from or None
    is_local = not given["finetuned_from"] and bool(base and Path(base).is_absolute())
    summary.finetuned_from, summary.tasks = None if is_local else base, given["tasks"]
    summary.model_name = summary.model_name or "model"
    counts = ours.distribution
    return CardContent(
        **known,
        summary=summary,
        schema=ours.schema,
        is_multi_label=ours.is_multi_label,
        head=ours.problem.head,
        folder=trainer.args.hub_model_id or Path(str(trainer.args.output_dir)).resolve().name,
        has_config=config is not None,
        has_tokenizer=trainer.processing_class is not None,
        is_adapter=hasattr(trainer.accelerator.unwrap_model(trainer.model), "peft_config"),
        has_code=getattr(type(config), "_auto_class", None) is not None,
        has_local_base=is_local or (not base and bool(getattr(config, "_name_or_path", ""))),
        rule=ours.decisions.rule if ours.problem.has_thresholds else None,
        is_baked=is_baked(config),
        tuning=ours.decisions.tuned,
        weights=ours.class_weights,
        train_support=None if counts is None else counts.support.tolist(),
        n_train_rows=None if counts is None else counts.n_rows,
        settings=_settings(trainer, ours, summary.hyperparameters or {}),
        versions=_versions(),
    )


def _settings(trainer: Trainer, ours: ImbalanceSetup, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """What was minimised, and Trainer's hyperparameters; nothing where the model was not trained here."""
    if trainer.train_dataset is None:
        return {}
    if trainer.compute_loss_func is not None:
        return {"loss": "the user's own compute_loss_func", **hyperparameters}
    names = ["loss", "loss_args", "focal_gamma", "weight_strategy", "max_weight", "head_start", "head_learning_rate"]
    if ours.schema.rules:
        names += ["constraint", "constraint_weight", "hierarchy_policy"]
    rates = [group.get("initial_lr") for group in getattr(trainer.optimizer, "param_groups", ())]
    plain = ours.options.plain()
    plain["head_start"] = ours.head_start.start or plain["head_start"]
    if rates and rates[-1] != rates[0]:  # the head has groups of its own, behind the others
        plain["head_learning_rate"] = rates[-1]
    return {**{name: plain[name] for name in names if plain[name] is not None}, **hyperparameters}


def _tags_of(path: Path) -> list[str]:
    """The tags of a card that is there already, as Trainer's card keeps them."""
    try:
        return listed(ModelCard.load(path).data.get("tags")) if path.is_file() else []
    except (ValueError, OSError, yaml.YAMLError):  # a README that is no card
        return []


def _completed_by_peft(text: str, model: Any) -> str:
    """The card with what PEFT adds to it (library, base model, tags), and with the tags that it would drop."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CARD_FILE
        path.write_text(text, encoding="utf-8")
        model.create_or_update_model_card(folder)
        card = ModelCard.load(path)
    card.data.tags = list(dict.fromkeys([*listed(ModelCard(text).data.get("tags")), *listed(card.data.tags)]))
    if not card.data.get("base_model"):
        card.data.pop("base_model")
    return str(card)


def _versions() -> dict[str, str]:
    found = package_versions(list(_CARD_NAMES))
    return {"imbalance-trainer": __version__, **{_CARD_NAMES[p]: v for p, v in found.items()}}
