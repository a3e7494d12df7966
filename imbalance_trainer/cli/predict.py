"""`imbalance-trainer predict`: which labels texts have, by the saved model's thresholds and its labels' rules.

    imbalance-trainer predict --model_dir runs/data --text "a text"
    imbalance-trainer predict --model_dir runs/data --file texts.txt --output_file predictions.jsonl

Decided as the evaluation did. A file is .txt (one text a line), or .jsonl, .json (JSON lines), .csv, .tsv, .parquet,
.arrow with a column of texts. Each text gives one line of JSON,

    {"text": "...", "labels": [{"label": "threats", "score": 0.83, "threshold": 0.41}]},

with the labels that are decided, highest score first, scores to 4 digits. Notes go to stderr.
"""

import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm.auto import tqdm
from transformers import pipeline

from ..data.columns import find_text_column, read_texts
from ..data.decoding import read_utf8
from ..data.files import DELIMITED, TEXT, read_file
from ..data.frame import Frame, ReadSettings
from ..data.json_lines import json_row
from ..pipeline import ImbalanceTextClassificationPipeline
from ..utils.errors import DataError, UsageError
from ..utils.files import atomic_write
from .models import load_multi_label_model
from .parser import FlagParser, check_at_least, writing

TABLES, LINES = (*DELIMITED, ".parquet", ".arrow", ".feather", ".ipc"), (".jsonl", ".json")
LOOKED_AT = 1000  # rows of a file of JSON lines that say which column is the text


@dataclass
class PredictArguments:
    """The model, the texts, and where the decisions go."""

    model_dir: str = field(metadata={"help": "Folder of the saved model, such as runs/data."})
    text: list[str] | None = field(default=None, metadata={"help": "A text, or several."})
    file: str | None = field(default=None, metadata={"help": "File of texts, of a format named above."})
    text_column: str | None = field(default=None, metadata={"help": "Column of the text, if it is not found."})
    delimiter: str | None = field(default=None, metadata={"help": "Between columns of a CSV file; or tab."})
    encoding: str | None = field(default=None, metadata={"help": "Of a file of text, such as cp1252, if not UTF-8."})
    output_file: str | None = field(
        default=None, metadata={"help": ".jsonl or .json file to write; stdout if not given."}
    )
    all_labels: bool = field(default=False, metadata={"help": "Every label, with a key that says if it is decided."})
    batch_size: int = field(default=32, metadata={"help": "Texts that the model reads at a time."})


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser(PredictArguments, __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; how many texts there were, and how many without a label."""
    (args,) = make_parser().parse(flags)
    _check(args)
    classify = _load(args.model_dir)
    texts, total = (args.text, len(args.text)) if args.file is None else _texts(args, set(classify.rule.schema.names))
    waiting: deque[str] = deque()  # texts that the model has not answered yet: no more than a batch

    def passing() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    on_screen = args.output_file is None and sys.stdout.isatty()  # which a progress bar would tear
    no_bar = args.file is None or on_screen or not sys.stderr.isatty()
    decided = classify(passing(), batch_size=args.batch_size, all_labels=args.all_labels)
    n_texts = n_without = 0
    with _output(args.output_file) as output:
        for labels in tqdm(decided, total=total, unit=" texts", disable=no_bar):
            shown = [{**label, **{k: float(f"{label[k]:.4g}") for k in ("score", "threshold")}} for label in labels]
            output.write(json.dumps({"text": waiting.popleft(), "labels": shown}, ensure_ascii=False) + "\n")
            n_texts += 1
            n_without += not any(label.get("decided", True) for label in labels)
    if args.output_file is not None:
        texts_written = f"{n_texts:,} text{'' if n_texts == 1 else 's'} written to {args.output_file}"
        print(f"{texts_written}, {n_without:,} of them without a label.")
    return {"texts": n_texts, "without_a_label": n_without, "output_file": args.output_file}


def _check(args: PredictArguments) -> None:
    if (args.text is None) == (args.file is None):
        raise UsageError(f"Give --text or --file, {'one of them' if args.text is None else 'not both'}.")
    for text in args.text or ():
        if not _is_text(text):
            raise UsageError(f"--text is {text!r}; give a text.")
    kind, kinds = Path(args.file or "").suffix.lower(), (".txt", *LINES, *TABLES)
    if args.file is not None and not Path(args.file).is_file():
        raise UsageError(f"--file {args.file}: there is no such file.")
    if args.file is not None and kind not in kinds:
        raise UsageError(f"--file {args.file}: expected one of the endings {', '.join(kinds)}.")
    if args.text_column is not None and kind not in (*LINES, *TABLES):
        raise UsageError("--text_column has no use here; it is for a --file with columns.")
    if args.delimiter is not None and kind not in DELIMITED:
        raise UsageError(f"--delimiter has no use here; it is for a --file {' or '.join(DELIMITED)}.")
    if args.encoding is not None and kind not in TEXT:
        raise UsageError(f"--encoding has no use here; it is for a --file {', '.join(TEXT)}.")
    if args.output_file is not None and Path(args.output_file).is_dir():
        raise UsageError(f"--output_file {args.output_file}: is a folder; give a file.")
    if args.output_file is not None and Path(args.output_file).suffix.lower() not in LINES:
        raise UsageError(
            f"--output_file {args.output_file}: what is written are JSON lines; expected one of the endings "
            f"{', '.join(LINES)}."
        )
    check_at_least(args, batch_size=1)


def _load(folder: str) -> ImbalanceTextClassificationPipeline:
    model, tokenizer = load_multi_label_model(folder)
    return pipeline(
        "text-classification", model, tokenizer=tokenizer, pipeline_class=ImbalanceTextClassificationPipeline
    )


def _texts(args: PredictArguments, labels: set[str]) -> tuple[Iterator[str], int | None]:
    """The texts of a file, and how many they are where that is known before all are read."""
    path = Path(args.file)
    if path.suffix.lower() in TABLES:
        frame = read_file(path, ReadSettings(args.delimiter, args.encoding))
        column = read_texts(frame, find_text_column(frame, args.text_column, labels))
        return _checked(path, "row", enumerate((text.as_py() for text in column), 1)), len(column)
    if path.suffix.lower() == ".txt":
        return _checked(path, "line", _lines(path, args.encoding)), None
    rows = ((number, json_row(path, number, line)) for number, line in _lines(path, args.encoding) if line.strip())
    first = list(islice(rows, LOOKED_AT))
    table: dict[str, pa.Array] = {}
    for name in dict.fromkeys(name for _, row in first for name in row):
        values = [row.get(name) for _, row in first]
        if all(isinstance(value, str | None) for value in values):
            table[name] = pa.array(
                [value and value.encode("utf-8", "replace").decode() for value in values], pa.string()
            )
        else:
            table[name] = pa.nulls(len(values))
    name = find_text_column(Frame(path, pa.table(table)), args.text_column, labels) if first else None
    return _checked(path, "line", ((number, row.get(name)) for number, row in chain(first, rows))), None


def _lines(path: Path, encoding: str | None) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers from 1; those of UTF-8 one in memory at a time."""
    try:
        if encoding is not None:
            content, _ = read_utf8(path, encoding)
            yield from enumerate((line.rstrip("\r") for line in content.decode().removesuffix("\n").split("\n")), 1)
            return
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: line {number} is not UTF-8 ({error.reason}); save the file as UTF-8, or name its "
            "encoding, such as --encoding cp1252."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def _checked(path: Path, unit: str, numbered: Iterable[tuple[int, Any]]) -> Iterator[str]:
    number = 0
    for number, text in numbered:
        if not _is_text(text):
            raise DataError(f"{path}: {unit} {number} has no text (found {text!r}); give one or leave it out.")
        yield text
    if number == 0:
        raise DataError(f"{path}: is empty; expected texts.")


def _is_text(value: Any) -> bool:
    """Whether a value is a text, not blank, and without half a surrogate pair, which is no character."""
    return isinstance(value, str) and bool(value.strip()) and value.encode("utf-8", "ignore").decode() == value


@contextmanager
def _output(path: str | None) -> Iterator[Any]:
    """What lines are written to: stdout, or a file that appears at the end, whole or not at all."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    with (
        writing(f"--output_file {path}"),
        atomic_write(path) as unfinished,
        unfinished.open("w", encoding="utf-8") as file,
    ):
        yield file
