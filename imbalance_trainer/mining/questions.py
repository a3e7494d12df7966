"""Questions for a person: which texts to ask about, a sheet to answer on, and what the answers make of the data.

A sheet is CSV with a row for each question: does this text have this label? The column `answer` is empty.
"""

import csv
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm.auto import tqdm

from ..data.dataset import make_datasets
from ..data.files import read_files
from ..data.splits import Parts
from ..data.text_files import Settings
from ..labels.schema import LabelSchema
from ..utils.constants import IGNORE_INDEX
from ..utils.errors import DataError, first_five, quoted
from ..utils.files import read_json_object, write_json, written

COLUMNS = ("row", "text", "label", "present", "score", "nearest_positive", "answer")
"""Of a sheet: the row's id or number, what the label is now (in an audit), and the known positive that is most like it
(in a search)."""

_NEEDED = ("text", "label", "answer")
_ANSWERS = {**dict.fromkeys(("yes", "1", "1.0", "true"), 1), **dict.fromkeys(("no", "0", "0.0", "false"), 0)}
_FORMULA = re.compile(r"\A'*[=+\-@\t\r]")
_KEPT, _AT_ONCE, _SAVE_EVERY = 1_000, 1_000, 10.0  # texts for each label, and that are read at a time; seconds
_ALIKE = 0.6  # of two word sets, the share of words that both have, from which on one of the texts is enough


class Candidates:
    """Keeps the likeliest positives of each label while texts stream by; memory does not grow with their number.

    Args:
        labels: the labels.
        scores: gives probabilities of texts, (rows, labels).
        known: texts that are labelled already, which are left out.

    Attributes:
        best: per label and text, by its words, the score, the row's id and the text.
        n_rows, n_known: how many texts went by, and how many of them were labelled already.
    """

    def __init__(
        self, labels: Sequence[str], scores: Callable[[Sequence[str]], np.ndarray], known: Iterable[str]
    ) -> None:
        self._scores, self._known = scores, {_key(text) for text in known}
        self.best: dict[str, dict[str, Any]] = {label: {} for label in labels}
        self.n_rows = self.n_known = 0

    def look(self, rows: Iterable[tuple[str, str]], work: Path, what: str) -> None:
        """Look at rows, each an id and a text, and keep what is found in the file `work`, from where it goes on.

        `what` stands for the search: a file of another one is not used.
        """
        found = read_json_object(work) if work.exists() else {}
        if found.get("what") == what:
            self.best, self.n_rows, self.n_known = found["best"], found["n_rows"], found["n_known"]
        rows, saved = islice(rows, self.n_rows, None), time.monotonic()
        bar = tqdm(initial=self.n_rows, unit=" texts", disable=None)
        try:
            while batch := list(islice(rows, _AT_ONCE)):
                self._add(batch)
                bar.update(len(batch))
                if time.monotonic() - saved > _SAVE_EVERY:
                    self._save(work, what)
                    saved = time.monotonic()
        finally:
            bar.close()
            self._save(work, what)

    def _save(self, work: Path, what: str) -> None:
        write_json(work, {"what": what, "n_rows": self.n_rows, "n_known": self.n_known, "best": self.best})

    def _add(self, batch: Sequence[tuple[str, str]]) -> None:
        keyed = [(_key(text), row, text) for row, text in batch]
        new = [(key, row, text) for key, row, text in keyed if key and key not in self._known]
        of_label = self._scores([text for _, _, text in new]).T if new else [()] * len(self.best)
        for (label, best), scores in zip(self.best.items(), of_label, strict=True):
            for (key, row, text), score in zip(new, scores, strict=True):
                best.setdefault(key, (float(score), row, text))
            self.best[label] = dict(sorted(best.items(), key=lambda item: -item[1][0])[:_KEPT])
        self.n_rows += len(batch)  # at the end: a batch that was interrupted is looked at again
        self.n_known += sum(key in self._known for key, _, _ in keyed)

    def questions(self, n: int) -> list[dict[str, Any]]:
        """The rows of a sheet, by label: from each label in turn the likeliest text that is like none before it."""
        turns = zip_longest(*(islice(self._unlike(label), n) for label in self.best))
        chosen = [row for turn in turns for row in turn if row is not None][:n]
        return sorted(chosen, key=lambda row: [*self.best].index(row["label"]))

    def _unlike(self, label: str) -> Iterator[dict[str, Any]]:
        """The candidates of a label, likeliest first, without texts of nearly the same words."""
        shown: list[set[str]] = []
        for key, (score, row, text) in self.best[label].items():
            words = set(key.split())
            if all(len(words & other) < _ALIKE * len(words | other) for other in shown):
                shown.append(words)
                yield {"row": row, "text": text, "label": label, "score": score}


def _key(text: str) -> str:
    """The words of a text, so that texts which differ only in case and punctuation are one; "" of a blank text."""
    return " ".join(re.findall(r"\w+", text.casefold()) or text.split())


# ---- sheets ----


def write_sheet(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write questions as CSV that spreadsheet programs read as text: cells that look like a formula get an apostrophe.

    Raises:
        UsageError: it cannot be written.
    """
    table = pd.DataFrame([{name: row.get(name, "") for name in COLUMNS} for row in rows], columns=list(COLUMNS))
    table["score"] = [f"{score:.4f}" for score in table["score"]]
    table = table.astype(str).map(lambda cell: f"'{cell}" if _FORMULA.match(cell) else cell)
    with written(path) as unfinished:
        table.to_csv(unfinished, index=False, encoding="utf-8-sig", quoting=csv.QUOTE_ALL)


Answer = tuple[str, str, str, int]
"""Where it stands in the sheet, the text, the label, and whether the text has it."""


def read_sheet(path: Path, settings: Settings) -> list[Answer]:
    """The answers of a sheet, also as a spreadsheet program saved it.

    Raises:
        DataError: no sheet, no answer, or one that is neither yes nor no; the message names the row.
    """
    frame = read_files(path, replace(settings, reader_args={"header": 0, **settings.reader_args}))
    missing = [name for name in _NEEDED if name not in frame.names]
    if missing:
        raise DataError(
            f"{path}: is no sheet of find or audit: it has no column {missing[0]!r}; found {quoted(frame.names)}."
        )
    cells = (frame.column(name).cast(pa.string()).fill_null("").to_pylist() for name in _NEEDED)
    found, odd = [], []
    for i, (text, label, answer) in enumerate(zip(*cells, strict=True)):
        word = answer.strip().casefold()
        if word in _ANSWERS:
            text, label = (_FORMULA.sub(lambda found: found[0].removeprefix("'"), cell) for cell in (text, label))
            found.append((frame.row(i), text, label, _ANSWERS[word]))
        elif word:
            odd.append(f"{frame.row(i)} ({answer!r})")
    if odd:
        raise DataError(
            f"{path}: column 'answer': expected yes, no, 1, 0, true or false, or blank where there is no answer; "
            f"found others in {first_five(odd)}."
        )
    if not found:
        raise DataError(f"{path}: no row is answered; write yes or no in the column 'answer'.")
    return found


def with_answers(
    texts: Any, labels: np.ndarray, schema: LabelSchema, answers: Sequence[Answer], adds: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Training rows by the answers: each sets the one label that was asked about, in all rows with its text.

    Args:
        texts, labels: the rows; labels are (rows, labels).
        schema: of the labels.
        answers: of a sheet.
        adds: whether a text that is not there becomes a row, whose other labels are unknown (-100).

    Raises:
        DataError: a text that is not there, or two answers to one question that differ.
    """
    texts, rows = list(texts), [*labels.copy()]
    places: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        places.setdefault(_plain(text), []).append(i)
    said: dict[tuple[str, int], tuple[str, int]] = {}
    for where, text, label, value in answers:
        key, column = _plain(text), schema.index(schema.resolve(label, f"{where} of the sheet"))
        before = said.setdefault((key, column), (where, value))
        if before[1] != value:
            raise DataError(f"{where} of the sheet: the answer is not that of {before[0]}, to the same question.")
        if key not in places:
            if not adds:
                raise DataError(f"{where} of the sheet: its text is not in the data; give the data that was audited.")
            places[key] = [len(texts)]
            texts.append(text)
            rows.append(np.full(len(schema), IGNORE_INDEX, dtype=np.float32))
        for i in places[key]:
            rows[i][column] = value
    return np.array(texts, dtype=object), np.stack(rows)


def _plain(text: str) -> str:
    """A text without what spreadsheet programs change: line breaks, and blanks at its ends."""
    return " ".join(text.split())


def write_data(folder: Path, parts: Parts, schema: LabelSchema) -> None:
    """Write splits, and the labels as label_info.json, to a folder that is not there yet, as a whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as unfinished:
        new = Path(unfinished, "data")
        write_json(new / "label_info.json", schema.to_dict())
        for split, rows in make_datasets(parts, schema).items():
            rows.to_parquet(new / f"{split}.parquet")
        os.rename(new, folder)
