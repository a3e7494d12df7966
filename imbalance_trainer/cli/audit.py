"""`imbalance-trainer audit`: labels that are probably wrong or missing, rarest label first.

    imbalance-trainer audit my_data --output_file sheet.csv
    imbalance-trainer audit my_data --collect sheet.csv --output_file new_data
    imbalance-trainer train new_data --model roberta-base

Each training row is scored by a model that was fitted to the other four fifths: the linear baseline, or a linear probe
on --model_name_or_path, which stays as it is. A label that is there is in doubt where its score is no higher than the
mean of the rows without it; one that is not there where its probability is over 0.5. `present` says what the label is
now, and an answer what it is to be: does the text have this label? Of one file without splits all rows are looked at.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from ..analysis.baseline import doubtful_labels
from ..mining.questions import write_sheet
from ..tuning.linear_baseline import LinearBaseline, out_of_fold
from ..utils.errors import DataError
from ..utils.text import pluralize
from .find import SheetOptions, as_arrays, collect, fit_layer, frozen_features
from .parser import FlagParser


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser(SheetOptions, __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; how many labels are in doubt, or how many answers there were."""
    (args,) = make_parser().parse(flags)
    if args.collect is not None:
        return collect(args, adds=False)
    data = args.open(make_missing=False)
    texts, labels = as_arrays(data.splits["train"])
    columns = args.columns(data.schema) or list(range(len(data.schema)))
    labels = labels[:, columns]
    if len(set(texts)) < 5:
        raise DataError(f"{args.source}: has {len(set(texts))} different texts; an audit needs 5 or more.")
    rows, fit = texts, _fit_linear
    if args.model_name_or_path is not None:
        rows, fit = frozen_features(args, texts)[0], fit_layer
    logits = out_of_fold(rows, texts, labels, fit)
    wrong, missing = doubtful_labels(logits, labels)
    confidence = np.where(labels > 0.5, expit(logits), expit(-logits))
    questions = []
    for j in np.argsort((labels > 0.5).sum(0), kind="stable"):
        doubtful = np.flatnonzero(wrong[:, j] | missing[:, j])
        for i in doubtful[np.argsort(confidence[doubtful, j], kind="stable")]:
            question = {"row": i + 1, "text": texts[i], "label": data.schema.names[columns[j]]}
            questions.append(question | {"present": int(labels[i, j] > 0.5), "score": expit(logits[i, j])})
    found = {"probably_wrong": int(wrong.sum()), "probably_missing": int(missing.sum())}
    said = f"{pluralize(found['probably_wrong'], 'label')} probably wrong, {found['probably_missing']:,} missing"
    print(f"{said}, in {pluralize(len(texts), 'row')}.")
    if questions:
        write_sheet(str(args.output_file), questions[: args.n])
        print(f"{args.output_file}: {min(len(questions), args.n):,} of them. {args.what_next('audit')}")
    return found | {"questions": min(len(questions), args.n), "output_file": args.output_file if questions else None}


def _fit_linear(features: Any, labels: np.ndarray) -> Callable[[Any], np.ndarray]:
    return LinearBaseline(classifier="logistic regression").fit(features, labels).logits
