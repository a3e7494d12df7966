"""`imbalance-trainer find`: more positives of rare labels, from texts without labels.

    imbalance-trainer find my_data --pool texts.csv --output_file sheet.csv
    imbalance-trainer find my_data --collect sheet.csv --output_file new_data
    imbalance-trainer train new_data --model roberta-base

The first command ranks the texts of the pool by how likely they have a rare label, and writes a sheet: a row for each
question, with an empty column `answer`. Write yes or no there; blank means not answered. The second writes the data
with the answered rows added, as a folder: of a new row the label asked about is known, and all others are unknown.

Scores are those of the linear baseline; with --model_name_or_path their mean with a linear probe on that encoder; with
--model_dir those of a saved model. Texts that are labelled already are left out, and of texts with nearly the same
words one is asked about. The same command goes on after an interruption.
"""

import codecs
import hashlib
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.special import expit

from ..data.dataset import LabelledData
from ..data.demo import demo_data
from ..data.files import READERS, ending
from ..data.options import DataOptions, checked_reader_args
from ..data.text_files import Settings
from ..labels.schema import LabelSchema
from ..losses.focal import WeightedBCELoss
from ..losses.objective import best_constant_logits
from ..mining.questions import Candidates, read_sheet, with_answers, write_data, write_sheet
from ..training.head import encode_texts
from ..tuning.linear_baseline import LinearBaseline
from ..tuning.probe import fit_probe
from ..utils.constants import MULTI_LABEL
from ..utils.errors import DataError, UsageError
from ..utils.files import writing
from ..utils.flags import option
from ..utils.text import pluralize
from .models import load_encoder
from .parser import FlagParser, as_flag, check_at_least, print_notes
from .predict import classifier, text_rows

GOES_ON = "The same command goes on where it stopped."
"""What is said after Ctrl-C."""

_RARE, _MOST_LABELS = 100, 5


@dataclass
class SheetOptions(DataOptions):
    """The data (without any, the demo's), and the sheet."""

    labels: list[str] | None = option(None, help="Labels that are asked about, such as threats,insults.")
    n: int = option(200, help="Rows of the sheet, at most.")
    output_file: str | None = option(
        None, help="The sheet, a .csv file; with --collect the folder of data to write.", aliases=["--output_dir"]
    )
    collect: str | None = option(None, help="A sheet with answers, of which data is made.")
    model_name_or_path: str | None = option(
        None, help="Encoder on which a linear probe is fitted: a hub name or a folder.", aliases=["--model"]
    )
    max_length: int = option(128, help="Tokens of a text that the encoder reads.")
    label_schema: str | None = option(None, help="Path of a label_info.json.")

    def check(self) -> None:
        """Raise a UsageError for flags that do not go together or cannot be right."""
        super().check()
        check_at_least(self, n=1, max_length=3)
        if self.output_file is None:
            raise UsageError("--output_file is missing: the sheet to write, or with --collect the folder of data.")
        path, is_sheet = Path(self.output_file), self.collect is None
        if is_sheet != (path.suffix.lower() == ".csv") or (not is_sheet and ending(path) in READERS):
            what = "the sheet is a file that ends in .csv" if is_sheet else "what --collect writes is a folder"
            raise UsageError(f"--output_file {path}: {what}; give another name.")
        if path.exists():
            raise UsageError(f"--output_file {path}: is there already; give another name, or move it away.")

    def open(self, make_missing: bool = True) -> LabelledData:
        """The data, which must be multi-label; what was decided on loading is printed."""
        data = self.load(self.label_schema, make_missing=make_missing) if self.is_given else demo_data()
        if data.problem_type != MULTI_LABEL:
            raise UsageError(f"{self.source}: has one class a row; find and audit are for multi-label data.")
        print_notes(data.remarks)
        return data

    def columns(self, schema: LabelSchema) -> list[int]:
        """Where the labels of --labels stand."""
        words = [w for word in self.labels or () for w in ([word] if word in schema.names else word.split(","))]
        return list(dict.fromkeys(schema.index(schema.resolve(word.strip(), "--labels")) for word in words))

    def what_next(self, command: str) -> str:
        """What to do with the sheet."""
        flags = {field.name: getattr(self, field.name) for field in fields(DataOptions)}
        flags |= {"label_schema": self.label_schema, "collect": self.output_file, "output_file": "new_data"}
        words = [word for k, v in flags.items() if v is not None for word in as_flag(k, v, isinstance(v, list))]
        return (
            "Write yes or no in its column 'answer' (blank is no answer), then:\n"
            f"  {shlex.join(['imbalance-trainer', command, *words])}"
        )


@dataclass
class FindArguments(SheetOptions):
    """The pool, and what ranks it."""

    pool: list[str] | None = option(None, help="Files of texts without labels, as for predict.")
    pool_text_column: str | None = option(None, help="Column of the text in the pool, if it is not found.")
    model_dir: str | None = option(None, help="A saved model, whose scores count.")

    def check(self) -> None:
        """Raise a UsageError for flags that do not go together or cannot be right."""
        if (self.pool is None) == (self.collect is None):
            raise UsageError("Give --pool, the texts without labels, or --collect, a sheet with answers; one of them.")
        super().check()
        for file in self.pool or ():
            if not Path(file).is_file() or ending(Path(file)) not in READERS:
                raise UsageError(f"--pool {file}: there is no such file with one of the endings {', '.join(READERS)}.")
        if self.model_dir is not None and self.model_name_or_path is not None:
            raise UsageError("--model_dir and --model_name_or_path do not go together; keep one.")


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser(FindArguments, __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; how many questions or answers there are."""
    (args,) = make_parser().parse(flags)
    return _find(args) if args.collect is None else collect(args, adds=True)


def _find(args: FindArguments) -> dict[str, Any]:
    files, data = [Path(file) for file in args.pool or ()], args.open()
    texts, labels = as_arrays(data.splits["train"])
    support = (labels > 0.5).sum(0)
    rare = [int(i) for i in np.argsort(support, kind="stable") if support[i]]
    columns = args.columns(data.schema) or [i for i in rare if support[i] < _RARE][:_MOST_LABELS] or rare[:1]
    if not columns:
        raise DataError(f"{args.source}: no label has a positive in the training rows, and find goes by them.")
    names = [data.schema.names[i] for i in columns]
    if without := [name for name, i in zip(names, columns, strict=True) if not support[i]]:
        raise UsageError(f"--labels {without[0]!r}: has no positive in the training rows, and find goes by them.")
    known = ", ".join(f"{name!r} ({support[i]:,} known)" for name, i in zip(names, columns, strict=True))
    print(f"Positives are looked for of {known}.", flush=True)
    linear = LinearBaseline(classifier="logistic regression").fit(texts, labels[:, columns])
    labelled = (text for split in data.splits.values() for text in split["text"])
    candidates = Candidates(names, _scores(args, linear, texts, labels[:, columns], names), labelled)
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    what = repr((asdict(args) | {"n": 0}, stats, labels.tobytes(), list(texts))).encode("utf-8", "backslashreplace")
    work = Path(f"{args.output_file}.work")
    with writing(str(work)):
        candidates.look(_texts(files, args, data.schema), work, hashlib.sha256(what).hexdigest())
    rows = candidates.questions(args.n)
    if not rows:
        raise DataError(f"--pool {files[0]}: each text is blank or labelled already; there is nothing to ask about.")
    for name, column in zip(names, columns, strict=True):
        asked, positive = [row for row in rows if row["label"] == name], texts[labels[:, column] > 0.5]
        likeness = linear.features([row["text"] for row in asked] or [""]) @ linear.features(positive).T
        for row, nearest in zip(asked, positive[likeness.toarray().argmax(1)], strict=False):
            row["nearest_positive"] = nearest
    write_sheet(str(args.output_file), rows)
    work.unlink(missing_ok=True)
    print(
        f"{args.output_file}: {pluralize(len(rows), 'question')}, of {pluralize(candidates.n_rows, 'text')} "
        f"({candidates.n_known:,} labelled already). {args.what_next('find')}"
    )
    count = {name: sum(row["label"] == name for row in rows) for name in names}
    return {"questions": count, "texts": candidates.n_rows, "output_file": args.output_file}


def _texts(files: Sequence[Path], args: FindArguments, schema: LabelSchema) -> Iterator[tuple[str, str]]:
    """The id or the number of each row, and its text."""
    column, reader_args = args.pool_text_column or args.text_column, checked_reader_args(args.reader_args)
    settings = Settings(column, (), None, schema, args.delimiter, args.encoding, reader_args)
    for path in files:
        try:
            for number, (others, text) in enumerate(text_rows(path, settings), 1):
                ids = (str(value) for name, value in others.items() if re.fullmatch(r"(.*[ _])?id", name, re.I))
                yield f"{path.name} " * (len(files) > 1) + next(ids, str(number)), text
        except UsageError as error:  # which names the flag of the data
            raise UsageError(str(error).replace("--text_column", "--pool_text_column")) from None


# ---- scores ----


def _scores(
    args: FindArguments, linear: LinearBaseline, texts: Any, labels: np.ndarray, names: Sequence[str]
) -> Callable[[Sequence[str]], np.ndarray]:
    """What gives probabilities of texts, (rows, labels)."""
    if args.model_name_or_path is not None:
        of_training, features = frozen_features(args, texts)
        probe = fit_layer(of_training, labels)
        return lambda some: expit((probe(features(some)) + linear.logits(some)) / 2)
    if args.model_dir is None:
        return lambda some: expit(linear.logits(some))
    classify = classifier(Path(args.model_dir))
    its = [classify.rule.schema.resolve(name, f"the labels of {args.model_dir}") for name in names]

    def scores(some: Sequence[str]) -> np.ndarray:
        found = classify(iter(some), batch_size=32, all_labels=True)
        by_label = ({label["label"]: label["score"] for label in of_text} for of_text in found)
        return np.array([[of_text[name] for name in its] for of_text in by_label])

    return scores


def frozen_features(args: SheetOptions, texts: Any) -> tuple[np.ndarray, Callable[..., np.ndarray]]:
    """What an encoder makes of texts, standardised, and what does so with others."""
    encoder, tokenizer = load_encoder(str(args.model_name_or_path))
    length = min(args.max_length, tokenizer.model_max_length)
    found = encode_texts(texts, encoder, tokenizer, length)
    mean, std = found.mean(0), found.std(0) + 1e-3
    return (found - mean) / std, lambda some: (encode_texts(some, encoder, tokenizer, length, bar=False) - mean) / std


def fit_layer(features: Any, labels: np.ndarray) -> Callable[[Any], np.ndarray]:
    """A linear probe, see `fit_probe`: what gives logits of features."""
    loss = WeightedBCELoss()
    bias = torch.from_numpy(best_constant_logits(loss, (labels > 0.5).sum(0), (labels >= 0).sum(0))).float()
    probe = fit_probe(torch.from_numpy(features), torch.from_numpy(labels), loss, bias)
    return lambda rows: rows @ probe.weight.numpy().T + probe.bias.numpy()


def as_arrays(split: Any) -> tuple[Any, np.ndarray]:
    """Texts, and labels as (rows, labels), float32."""
    return np.array(split["text"][:], dtype=object), np.array(split["labels"], dtype=np.float32)


# ---- answers ----


def collect(args: SheetOptions, adds: bool) -> dict[str, Any]:
    """Write the data with the answers of a sheet in its training rows; `adds`: a text that is not there gets a row."""
    path = Path(str(args.collect))
    if not path.is_file():
        raise UsageError(f"--collect {path}: there is no such file.")
    is_ours = path.read_bytes()[:3] == codecs.BOM_UTF8  # whatever the data's encoding is
    answers = read_sheet(path, Settings(encoding=None if is_ours else args.encoding))
    if args.is_given or not adds:
        data = args.open(make_missing=adds)
        schema, parts = data.schema, {name: as_arrays(split) for name, split in data.splits.items()}
    else:  # the answered rows alone
        schema = LabelSchema.from_names(list(dict.fromkeys(label for _, _, label, _ in answers)))
        parts = {"train": (np.array([], dtype=object), np.zeros((0, len(schema)), np.float32))}
    before, labels = parts["train"]
    parts["train"] = with_answers(before, labels, schema, answers, adds)
    n_new, changed = len(parts["train"][0]) - len(before), int((parts["train"][1][: len(before)] != labels).sum())
    folder = Path(str(args.output_file))
    with writing(f"--output_file {folder}"):
        write_data(folder, {name: (pa.array(texts, pa.string()), y) for name, (texts, y) in parts.items()}, schema)
    yes = sum(value for *_, value in answers)
    print(
        f"{pluralize(len(answers), 'answer')}, {yes:,} yes: {pluralize(n_new, 'new row')}, {changed:,} labels "
        f"of other rows changed. {folder} holds all rows; train with it:\n"
        f"  imbalance-trainer train {shlex.quote(str(folder))}"
    )
    return {"answers": len(answers), "yes": yes, "new_rows": n_new, "changed": changed, "output_file": str(folder)}
