"""DataOptions: the flags that say which data to load and how to read it, the same in all programs."""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..utils.errors import UsageError
from ..utils.files import read_json_flag
from .dataset import LabelledData, load_labelled_dataset
from .label_spec import LABEL_FORMATS
from .sources import HubDataset, is_hub_name

SOURCE_FLAGS = ("data_dir", "dataset_name", "train_file")
"""The flags that name data; without any of them the demo's is used."""

_NEEDS = {"validation_file": ("train_file",), "test_file": ("train_file",), "dataset_config_name": ("dataset_name",)}
"""What a flag needs, where it is not any of SOURCE_FLAGS."""

_READING = ("text_column", "label_columns", "label_format", "separator", "positive_values", "blank_labels",
            "label_scale", "delimiter", "encoding")  # fmt: skip


def _flag(text: str) -> Any:
    return field(default=None, metadata={"help": text})


@dataclass
class DataOptions:
    """Which data, and how it is read where that is not found out. Names follow transformers' run_classification.py."""

    data_dir: str | None = _flag("Folder of the data, a single file, or a dataset that save_to_disk wrote.")
    dataset_name: str | None = _flag("A dataset of the Hugging Face hub, such as org/name.")
    dataset_config_name: str | None = _flag("Its configuration, if it has several.")
    train_file: str | None = _flag("The training file, where the data is no folder.")
    validation_file: str | None = _flag("The validation file; without it one is made of the training file.")
    test_file: str | None = _flag("The test file; without it one is made of the training file.")
    train_split_name: str | None = _flag("What a dataset calls its training split, if not train.")
    validation_split_name: str | None = _flag("What it calls its validation split, if not validation, dev or val.")
    test_split_name: str | None = _flag("What it calls its test split, if not test.")
    text_column: str | None = _flag("Column of the text, if it is not found.")
    label_columns: list[str] | None = _flag("Columns of the labels, if not found.")  # noqa: RUF009 (it is a field)
    label_format: str | None = _flag(f"What the label columns hold, if not found: {', '.join(LABEL_FORMATS)}.")
    separator: str | None = _flag("Between names in one cell, such as '|'; '>' for paths; or none.")
    positive_values: list[str] | None = _flag(  # noqa: RUF009
        "Values that mean 1 in a column per label, such as Y; the others mean 0."
    )
    blank_labels: str | None = _flag("What blank means in a column per label: negative or unknown.")
    label_scale: str | None = _flag(
        "What the values of a column per label are divided by: a number, or a column such as votes."
    )
    delimiter: str | None = _flag("Between columns of a CSV file, such as ';'; or tab.")
    encoding: str | None = _flag("Of text files, such as cp1252; without it UTF-8, or what their first bytes say.")
    reader_args: str | None = _flag(
        "JSON with arguments of pandas.read_csv or pandas.read_excel, such as '{\"header\": null}'."
    )

    split_group_column: str | None = _flag(
        "Column by which rows belong together, such as the user: they stay in one split where splits are made."
    )
    keep_near_duplicates: bool | None = _flag(
        "Texts with nearly the same words stay in one split where splits are made."
    )

    @property
    def is_given(self) -> bool:
        """Whether any data is named."""
        return any(getattr(self, flag) is not None for flag in SOURCE_FLAGS)

    @property
    def name(self) -> str:
        """What the data is called, without its folder or owner; "demo" where none is named."""
        if self.dataset_name is not None:
            return self.dataset_name.rstrip("/").rpartition("/")[2]
        given = self.data_dir if self.data_dir is not None else self.train_file
        if given is None:
            return "demo"
        path = Path(given).resolve()
        return path.stem if path.is_file() else path.name

    @property
    def source(self) -> str | None:
        """The flag's value that names the data."""
        return next((value for flag in SOURCE_FLAGS if (value := getattr(self, flag)) is not None), None)

    def take(self, data: str | None) -> None:
        """Take what stands on a command line without a flag: a path, else the name of a dataset on the hub."""
        if data is None:
            return
        if self.is_given and os.path.abspath(data) != os.path.abspath(str(self.data_dir)):
            raise UsageError(f"The data is given twice, as {data!r} and as {self.source!r}; keep one.")
        setattr(self, "dataset_name" if is_hub_name(data) else "data_dir", data)

    def check(self) -> None:
        """Raise a UsageError for flags that do not go together."""
        given = [flag for flag in SOURCE_FLAGS if getattr(self, flag) is not None]
        if len(given) > 1:
            raise UsageError(f"Give one of --{' and --'.join(given)}, not both.")
        for flag in (*given, "validation_file", "test_file"):
            if getattr(self, flag) is not None and not getattr(self, flag).strip():
                raise UsageError(f"--{flag} is empty; name the data, or leave the flag out for the demo.")
        for field_ in fields(DataOptions):  # of a subclass, not its own
            flag = field_.name
            wanted = _NEEDS.get(flag, SOURCE_FLAGS)
            if flag not in SOURCE_FLAGS and getattr(self, flag) is not None and not {*wanted} & {*given}:
                raise UsageError(f"--{flag} needs {' or '.join(f'--{name}' for name in wanted)}.")
        self.reading()

    def reading(self) -> dict[str, Any]:
        """How the data is read, as keywords of `load_labelled_dataset` and `iter_labels`."""
        return {
            **{flag: getattr(self, flag) for flag in _READING},
            "reader_args": checked_reader_args(self.reader_args),
        }

    def load(self, label_info: Any = None, seed: int = 42, make_missing: bool = True) -> LabelledData:
        """Load the data that is named; arguments and errors as for `load_labelled_dataset`."""
        self.check()
        if not self.is_given:
            raise UsageError(f"No data is named; give one of --{', --'.join(SOURCE_FLAGS)}.")
        names = {split: getattr(self, f"{split}_split_name") for split in ("train", "validation", "test")}
        return load_labelled_dataset(
            self.data(),
            label_info=label_info,
            seed=seed,
            **self.reading(),
            split_names={split: name for split, name in names.items() if name is not None},
            split_group_column=self.split_group_column,
            keep_near_duplicates=bool(self.keep_near_duplicates),
            make_missing=make_missing,
        )

    def data(self) -> Any:
        """What the flags name, as `load_labelled_dataset` takes it."""
        if self.dataset_name is not None:
            return HubDataset(self.dataset_name, self.dataset_config_name)
        if self.data_dir is not None:
            return Path(self.data_dir)
        files = {"train": self.train_file, "validation": self.validation_file, "test": self.test_file}
        return {split: Path(file) for split, file in files.items() if file is not None}


def checked_reader_args(value: str | None) -> dict[str, Any]:
    """The arguments of pandas' readers in a flag; a UsageError for what is no JSON object."""
    args, _ = read_json_flag(value or "{}", "--reader_args", '{"header": null}')
    if not isinstance(args, dict):
        raise UsageError(f"--reader_args is a JSON object such as '{{\"header\": null}}'; got {value!r}.")
    return args
