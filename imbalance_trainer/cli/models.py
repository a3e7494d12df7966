"""Models of the command line: an encoder with a new head, and a saved model with labelled data to score."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from ..data.dataset import LabelledData
from ..data.demo import demo_data, demo_model
from ..data.options import DataOptions
from ..data.sources import SPLITS
from ..decisions.rule import has_two_classes
from ..labels.schema import LabelSchema
from ..training.layer_head import LayerHeadConfig, LayerHeadForSequenceClassification
from ..utils.constants import CONFIG_KEY, MULTI_LABEL
from ..utils.errors import DataError, UsageError, check_known, first_line, quoted
from ..utils.flags import option
from .parser import check_at_least, print_notes


def load_encoder(
    name: str,
    overrides: str | None = None,
    schema: LabelSchema | None = None,
    problem_type: str | None = None,
    head: str = "linear",
) -> tuple[Any, Any]:
    """An encoder, with a new head for the labels of a schema if there is one, and its tokenizer.

    Args:
        name: a folder, or a name on the Hub.
        overrides: changes to its config, such as "num_hidden_layers=3,hidden_dropout_prob=0.2".
        schema, problem_type: of the data.
        head: "linear" for the model's own, "layers" for LayerHeadForSequenceClassification.

    Raises:
        UsageError: an encoder that cannot be loaded, or an override that does not fit.
    """
    where = f"--model_name_or_path {name}"
    with _loading(where):
        config = AutoConfig.from_pretrained(name)
    if overrides:
        try:
            config.update_from_string(overrides)
        except ValueError as error:
            raise UsageError(f"--config_overrides {overrides}: {first_line(error)}.") from None
    load: Any = AutoModel.from_pretrained
    if schema is not None and head == "layers" and config.model_type != LayerHeadConfig.model_type:
        labels: dict[str, Any] = {"num_labels": len(schema), "problem_type": problem_type}
        load = partial(LayerHeadForSequenceClassification.from_encoder, **labels)
    elif schema is not None:
        config.num_labels, config.problem_type = len(schema), problem_type
        load = AutoModelForSequenceClassification.from_pretrained
    with _loading(where):
        return load(name, config=config), AutoTokenizer.from_pretrained(name)


def load_saved_model(folder: str | Path) -> tuple[Any, Any]:
    """The model that `--model_dir` names, in evaluation mode, and its tokenizer.

    Raises:
        UsageError: a folder without a model, one that cannot be loaded, or one without thresholds (three classes).
    """
    where = f"--model_dir {folder}"
    if not (Path(folder) / "config.json").is_file():
        raise UsageError(f"{where}: is no folder of a saved model, as it has no config.json.")
    with _loading(where):
        config = AutoConfig.from_pretrained(folder)
        if config.problem_type == MULTI_LABEL or has_two_classes(config):
            is_adapter = (Path(folder) / "adapter_config.json").is_file()
            load = _adapted if is_adapter else AutoModelForSequenceClassification.from_pretrained
            return load(folder, config=config), AutoTokenizer.from_pretrained(folder)
    raise UsageError(
        f"{where}: expected a multi-label model or one of two classes, but its problem_type is "
        f"{config.problem_type!r}, with {config.num_labels} outputs."
    )


def _adapted(folder: str | Path, config: Any) -> Any:
    """The base model of an adapter, with the adapter merged into it."""
    try:
        from peft import PeftConfig, PeftModel
    except ImportError:
        raise UsageError(f"{folder}: is an adapter, which needs peft: pip install peft") from None
    base = PeftConfig.from_pretrained(str(folder)).base_model_name_or_path
    if not base:
        raise UsageError(f"{folder}: its adapter_config.json names no base model; set base_model_name_or_path there.")
    model = AutoModelForSequenceClassification.from_pretrained(base, config=config)
    return PeftModel.from_pretrained(model, folder).merge_and_unload()


@contextmanager
def _loading(where: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UsageError(f"{where}: cannot be loaded ({first_line(error)}).") from None


def tokenized(splits: Mapping[str, Any], tokenizer: Any, max_length: int) -> dict[str, Any]:
    """Splits with a column `text` made ready for a model, which reads at most `max_length` tokens of each, or fewer
    where its tokenizer does; that keeps the limit, also when it is saved."""
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


@dataclass
class EncoderOptions(DataOptions):
    """The data (without any, the demo's), and the encoder to start from."""

    model_name_or_path: str | None = option(None, help="Encoder: a hub name or a folder.", aliases=["--model"])
    config_overrides: str | None = option(None, help="Changes to the model's config, such as num_hidden_layers=3.")
    head: str = option(
        "linear",
        help="The classification head: linear (the model's own) or layers (one linear layer on the means of the "
        "encoder's first, middle and last layer).",
    )
    max_length: int = option(128, help="Tokens of a text that are read.")
    max_train_samples: int | None = option(None, help="Train on this many rows, drawn by seed.")

    def check(self) -> None:
        """Raise a UsageError for flags that do not go together or cannot be right."""
        super().check()
        check_at_least(self, max_train_samples=1, max_length=3)
        check_known("--head", self.head, ("linear", "layers"))
        if self.head == "layers" and self.model_name_or_path is None:
            raise UsageError("--head layers needs --model_name_or_path: the encoder whose layers it sees.")

    def load_model(self, data: LabelledData, seed: int) -> tuple[Any, Any]:
        """The encoder with a new head for the labels, without a name the demo's, and its tokenizer."""
        if self.model_name_or_path is None:
            return demo_model(data.schema, seed)
        return load_encoder(self.model_name_or_path, self.config_overrides, data.schema, data.problem_type, self.head)


@dataclass
class SavedModelOptions(DataOptions):
    """The model, and the data (without any, the demo's)."""

    model_dir: str = option(help="Folder of the saved model, such as runs/data.", kw_only=True)
    label_schema: str | None = option(None, help="Path of a label_info.json with the names.")
    batch_size: int = option(64, help="Rows per device.")
    split: str | None = option("test", help="Which rows: train, validation or test.")

    def check(self) -> None:
        """Raise a UsageError for flags that do not go together or cannot be right."""
        for flag in ("test_file", "validation_file"):  # one file alone is all the data
            if not self.is_given and getattr(self, flag) is not None:
                self.data_dir = getattr(self, flag)
                setattr(self, flag, None)
        super().check()
        if self.split is not None:
            check_known("--split", self.split, SPLITS)
        check_at_least(self, batch_size=1)


class SavedModel:
    """What a folder holds."""

    def __init__(self, options: SavedModelOptions) -> None:
        self.options = options
        self.model, self.tokenizer = load_saved_model(options.model_dir)
        self.schema = LabelSchema.from_config(self.model.config)

    def data(self, split: str | None = None) -> LabelledData:
        """The data, its labels checked to be the model's; what was decided on loading is printed.

        Args:
            split: what all rows are where the data is one file without splits, and not the one that training made its
                splits of; None to make splits of it.
        """
        options = self.options
        if not options.is_given:
            data = demo_data()
        else:
            is_file = split is not None and Path(options.data_dir or options.train_file or "").is_file()
            data = self._loaded(make_missing=not is_file)
            seen = getattr(self.model.config, CONFIG_KEY, None) or {}
            was_seen = is_file and data.fingerprint() == seen.get("texts")
            if was_seen and (parted := self._loaded(make_missing=True)).fingerprint("train") == seen["train_texts"]:
                data = parted
            if is_file and split not in data.splits:
                rows = data.splits["train"]
                said = f"All {len(rows):,} rows with a text are taken as the {split} data."
                said += " The model was trained on some of them: results flatter." * was_seen
                data = replace(data, splits=type(data.splits)({str(split): rows}), notes=(*data.notes, said))
        self._places_of_labels(data)
        print_notes(data.remarks)
        return data

    def _loaded(self, make_missing: bool) -> LabelledData:
        """The data with the labels that it says it has, or where these are not the model's, read by the model's."""
        options, data = self.options, None
        with suppress(*(() if options.label_schema else (DataError, UsageError))):
            data = options.load(options.label_schema, make_missing=make_missing)
            if options.label_schema or not set(data.schema.names) < set(self.schema.names):
                return data
        try:
            return options.load(self.schema, make_missing=make_missing)
        except (DataError, UsageError):
            if data is None:
                raise
            return data

    def tokens(self, data: LabelledData, split: str) -> Any:
        """A split's rows in tokens, cut at the length that was saved with the model, labels in the model's order."""
        places = self._places_of_labels(data)

        def in_models_order(labels: Any) -> Any:
            if isinstance(labels, list):
                return [labels[i] for i in places]
            return places.index(labels) if labels in places else labels  # a class, or unknown

        return data.splits[split].map(
            lambda batch: {
                **self.tokenizer(batch["text"], truncation=True),
                "labels": list(map(in_models_order, batch["labels"])),
            },
            batched=True,
            remove_columns=["text"],
            desc="Tokenizing",
        )

    def trainer(self, rows: Any, output_dir: str | Path, thresholds: str | None = None) -> Any:
        """A trainer that evaluates, its model deciding as it was saved, or by other thresholds."""
        from ..training.arguments import ImbalanceTrainingArguments  # half a second, for which predict has no use
        from ..training.trainer import WeightedFocalTrainer

        args = ImbalanceTrainingArguments(
            output_dir=str(output_dir),
            thresholds=thresholds,
            per_device_eval_batch_size=self.options.batch_size,
            report_to="none",
            dataloader_pin_memory=torch.accelerator.is_available(),  # without one it only warns
        )
        return WeightedFocalTrainer(self.model, args, eval_dataset=rows, processing_class=self.tokenizer)

    def _places_of_labels(self, data: LabelledData) -> Sequence[int]:
        """Where the data has each of the model's labels; an error where it has not just these."""
        where, folder = self.options.source or "The demo's data", self.options.model_dir
        if data.problem_type != (own := self.model.config.problem_type):
            raise DataError(f"{where}: is {data.problem_type}, but the model in {folder} is {own}.")
        names, wanted = data.schema.names, self.schema.names
        only = {
            "the data": [name for name in names if name not in wanted],
            "the model": [name for name in wanted if name not in names],
        }
        if any(only.values()):
            said = "; ".join(f"only {whose} has {quoted(those)}" for whose, those in only.items() if those)
            raise DataError(f"{where}: has other labels than the model in {folder}: {said}.")
        return [names.index(name) for name in wanted]
