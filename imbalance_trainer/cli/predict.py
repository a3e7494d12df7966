"""`imbalance-trainer predict`: which labels texts have, by the saved model's thresholds and its labels' rules.

    imbalance-trainer predict --model_dir runs/data --text "a text"
    imbalance-trainer predict --model_dir runs/data --file texts.txt --output_file predictions.jsonl
    grep refund mails.txt | imbalance-trainer predict --model_dir runs/data --file -

Decided as the evaluation did. A file is .txt (one text a line, as standard input is, -), or one of those that training
reads, with a column of texts. Each text gives one line of JSON,

    {"text": "...", "labels": [{"label": "threats", "score": 0.83, "threshold": 0.41}]},

with the labels that are decided, highest score first, scores to 4 digits, behind the file's other columns. In a .csv
output each label is a column, 1 where it is decided. A blank text has no labels. Notes go to stderr.
"""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice, tee
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm
from transformers import pipeline

from ..data.columns import find_text_column, read_texts
from ..data.files import READERS, ending, read_batches
from ..data.options import checked_reader_args
from ..data.text_files import DELIMITED, TEXT, Settings, not_decoded, open_text
from ..decisions.rule import DecisionRule
from ..labels.schema import LabelSchema
from ..pipeline import ImbalanceTextClassificationPipeline, decided_rows, labels_of_rows
from ..utils.constants import LINEAR_FILE
from ..utils.errors import DataError, UsageError
from ..utils.files import atomic_write, writing
from ..utils.flags import option
from ..utils.text import pluralize
from .models import load_saved_model
from .parser import FlagParser, check_at_least

OUTPUTS = (".jsonl", ".json", ".csv")
STDIN = "-"
AT_ONCE = 1000  # rows of a file that are read at a time; the first of them say which column is the text


@dataclass
class PredictArguments:
    """The model, the texts, and where the decisions go."""

    model_dir: str = option(help="Folder of the saved model, such as runs/data.")
    text: list[str] | None = option(None, help="A text, or several.")
    file: str | None = option(None, help="File of texts, of a format named above; - for lines of standard input.")
    text_column: str | None = option(None, help="Column of the text, if it is not found.")
    delimiter: str | None = option(None, help="Between columns of a CSV file; or tab.")
    encoding: str | None = option(None, help="Of a file of text, such as cp1252, if not UTF-8.")
    reader_args: str | None = option(None, help="JSON with arguments of pandas.read_csv or pandas.read_excel.")
    thresholds: str | None = option(None, help="Others than the model's: a number, JSON by label, or a JSON file.")
    output_file: str | None = option(None, help="File to write, .jsonl, .json or .csv; stdout if not given.")
    all_labels: bool = option(False, help="Every label, with a key that says if it is decided; in a .csv its score.")
    batch_size: int = option(32, help="Texts that the model reads at a time.")


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser(PredictArguments, __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; how many texts there were, and how many without a label."""
    (args,) = make_parser().parse(flags)
    _check(args)
    classify = classifier(Path(args.model_dir))
    if args.thresholds is not None:
        classify.rule = classify.rule.with_thresholds(args.thresholds)
    texts = iter([({}, text) for text in args.text]) if args.file is None else _rows(args, classify.rule.schema)
    rows, asked = tee(texts)  # which holds no more rows than a batch
    on_screen = args.output_file is None and sys.stdout.isatty()  # which a progress bar would tear
    no_bar = args.file is None or on_screen or not sys.stderr.isatty()
    is_csv = Path(args.output_file or "").suffix.lower() == ".csv"
    decided = classify((text for _, text in asked), batch_size=args.batch_size, all_labels=args.all_labels or is_csv)
    n_texts = n_without = 0
    with _output(args.output_file) as output:
        write = _csv_writer(output, classify.rule.schema, args.all_labels) if is_csv else _json_writer(output)
        for labels, (others, text) in zip(tqdm(decided, unit=" texts", disable=no_bar), rows, strict=False):
            write(others, text, labels)
            n_texts += 1
            n_without += not any(label.get("decided", True) for label in labels)
    if args.output_file is not None:
        print(f"{pluralize(n_texts, 'text')} written to {args.output_file}, {n_without:,} of them without a label.")
    return {"texts": n_texts, "without_a_label": n_without, "output_file": args.output_file}


def classifier(folder: Path) -> Any:
    """The pipeline of a saved model, or one like it of a linear model that `compare` saved."""
    if (folder / LINEAR_FILE).is_file():
        from ..tuning.linear_baseline import LinearBaseline  # importing scikit-learn takes half a second

        return _LinearPipeline(*LinearBaseline.load(folder))
    model, tokenizer = load_saved_model(folder)
    kind = ImbalanceTextClassificationPipeline
    return pipeline("text-classification", model, tokenizer=tokenizer, pipeline_class=kind)


@dataclass
class _LinearPipeline:
    linear: Any
    rule: DecisionRule

    def __call__(self, texts: Iterator[str], batch_size: int, all_labels: bool) -> Iterator[list[dict[str, Any]]]:
        while batch := list(islice(texts, batch_size)):
            decided = decided_rows(self.rule, self.linear.logits(batch))
            found = labels_of_rows(self.rule.schema.names, decided, all_labels)
            yield from (labels if text.strip() else [] for text, labels in zip(batch, found, strict=True))


def _check(args: PredictArguments) -> None:
    if (args.text is None) == (args.file is None):
        raise UsageError(f"Give --text or --file, {'one of them' if args.text is None else 'not both'}.")
    for text in args.text or ():
        if not text.strip():
            raise UsageError(f"--text is {text!r}; give a text.")
    kind = ending(Path(args.file or ""))
    if args.file == STDIN:
        kind = ".txt"
    elif args.file is not None and not Path(args.file).is_file():
        raise UsageError(f"--file {args.file}: there is no such file.")
    if args.file is not None and kind not in READERS:
        raise UsageError(f"--file {args.file}: expected one of the endings {', '.join(sorted(READERS))}.")
    for name, kinds in (
        ("text_column", {*READERS} - {".txt"}),
        ("delimiter", {*DELIMITED}),
        ("encoding", {*TEXT}),
        ("reader_args", {*TEXT, ".xlsx"}),
    ):
        if getattr(args, name) is not None and kind not in kinds:
            raise UsageError(f"--{name} has no use here; it is for a --file {', '.join(sorted(kinds))}.")
    if args.output_file is not None and Path(args.output_file).is_dir():
        raise UsageError(f"--output_file {args.output_file}: is a folder; give a file.")
    if args.output_file is not None and Path(args.output_file).suffix.lower() not in OUTPUTS:
        raise UsageError(f"--output_file {args.output_file}: expected one of the endings {', '.join(OUTPUTS)}.")
    check_at_least(args, batch_size=1)


def _rows(args: PredictArguments, schema: LabelSchema) -> Iterator[tuple[dict[str, Any], str]]:
    """The rows of the file."""
    reader_args = checked_reader_args(args.reader_args)
    settings = Settings(args.text_column, (), None, schema, args.delimiter, args.encoding, reader_args)
    return text_rows(Path(args.file or ""), settings)


def text_rows(path: Path, settings: Settings) -> Iterator[tuple[dict[str, Any], str]]:
    """The other columns and the text of each row of a file; of .txt and of standard input each line is a text.

    Raises:
        UsageError: it is not clear which column is the text.
        DataError: a file that cannot be read, or is empty.
    """
    n_rows, text = 0, settings.text_column
    is_stdin = str(path) == STDIN
    if is_stdin or path.suffix.lower() == ".txt":
        with nullcontext(sys.stdin) if is_stdin else open_text(path, settings) as file:
            try:
                for line in file:
                    n_rows += 1
                    yield {}, line.rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(not_decoded(path, settings, error)) from None
    else:
        for frame in read_batches(path, settings, AT_ONCE):
            if not n_rows:
                text = find_text_column(frame, settings)
            texts = read_texts(frame, str(text)).to_pylist()
            others = {name: frame.column(name).to_pylist() for name in frame.names if name != text}
            for i, value in enumerate(texts):
                yield {name: column[i] for name, column in others.items()}, value
            n_rows += len(texts)
    if n_rows == 0:
        raise DataError(f"{path}: is empty; expected texts.")


def _json_writer(file: Any) -> Any:
    encode = json.JSONEncoder(ensure_ascii=False, default=str).encode

    def write(others: Mapping[str, Any], text: str, labels: list[dict[str, Any]]) -> None:
        shown = [{**label, **{k: float(f"{label[k]:.4g}") for k in ("score", "threshold")}} for label in labels]
        row = {**_apart(others, ("text", "labels")), "text": text, "labels": shown}
        file.write(encode(row) + "\n")

    return write


def _csv_writer(file: Any, schema: LabelSchema, with_scores: bool) -> Any:
    scores = {name: f"{name} score" for name in schema.names if with_scores}
    columns, writer = ("text", *schema.names, *scores.values()), csv.writer(file)
    header: list[str] = []

    def write(others: Mapping[str, Any], text: str, labels: list[dict[str, Any]]) -> None:
        others, of_label = _apart(others, columns), {label["label"]: label for label in labels}
        if not header:
            header.extend([*others, *columns])
            writer.writerow(header)
        elif list(others) != header[: len(others)] or len(others) + len(columns) != len(header):
            raise DataError("The rows have different columns, which .csv cannot hold; give a .jsonl --output_file.")
        decided = [int(name in of_label and of_label[name]["decided"]) for name in schema.names]
        shown = [f"{of_label[name]['score']:.4g}" if name in of_label else "" for name in scores]
        writer.writerow([*others.values(), text, *decided, *shown])

    return write


def _apart(others: Mapping[str, Any], ours: Sequence[str]) -> dict[str, Any]:
    """The columns of the file, those that are called as one of ours with "file: " before their names."""
    return {f"file: {name}" if name in ours else name: value for name, value in others.items()}


@contextmanager
def _output(path: str | None) -> Iterator[Any]:
    """What lines are written to: stdout, or a file that is written atomically at the end."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    with (
        writing(f"--output_file {path}"),
        atomic_write(path) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        yield file
