"""`imbalance-trainer evaluate`: a saved model on labelled data: metrics, confusion counts, and its worst errors.

    imbalance-trainer evaluate data --model_dir runs/data --split test
    imbalance-trainer evaluate --model_dir runs/demo                                # on the demo's data

At its thresholds and at 0.5. In --output_dir (runs/data/evaluation_test, if not given) it writes metrics.json and
worst_errors.jsonl: the wrong decisions whose score is furthest on the wrong side of the threshold, measured in logits.
Rows are counted from 0, and what the hierarchy policy alone made wrong comes last.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import RenderableType

from ..decisions.rule import DecisionRule
from ..metrics.counts import DecisionCounts
from ..metrics.curves import known
from ..metrics.imbalance_metrics import first, rarest_shown
from ..utils.console import console_print, text_table
from ..utils.errors import DataError
from ..utils.files import atomic_write, write_json
from ..utils.flags import option
from ..utils.numeric import multi_hot
from .models import SavedModel, SavedModelOptions
from .parser import FlagParser, check_at_least, make_output_dir

COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")


@dataclass
class EvaluateArguments(SavedModelOptions):
    """What to evaluate on, and where the results go."""

    split: str | None = option(
        None, help="What to evaluate on: train, validation or test; all rows of a single file if not given."
    )
    output_dir: str | None = option(None, help="Folder to write; if not given, evaluation_<split> in --model_dir.")
    thresholds: str | None = option(None, help="Others than the model's: a number, JSON by label, or a JSON file.")
    n_worst: int = option(100, help="Errors in worst_errors.jsonl.")


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser(EvaluateArguments, __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; what metrics.json holds."""
    (args,) = make_parser().parse(flags)
    check_at_least(args, n_worst=0)
    is_asked, args.split = args.split is not None, args.split or "test"
    saved = SavedModel(args)
    data = saved.data(None if is_asked else args.split)
    output_dir = Path(args.output_dir or Path(args.model_dir) / f"evaluation_{args.split}")
    make_output_dir(output_dir)

    rows = saved.tokens(data, args.split)
    trainer: Any = saved.trainer(rows, output_dir, args.thresholds)
    output = trainer.predict(rows, metric_key_prefix=args.split)  # its callback prints the table of each label
    results, rule = trainer.results_of(args.split), trainer.decision_rule
    labels = multi_hot(output.label_ids, len(rule.schema))
    logits = first(output.predictions)
    if not np.isfinite(logits).all():
        row = int(np.flatnonzero(~np.isfinite(logits).all(1))[0])
        raise DataError(f"--model_dir {args.model_dir}: gives a score that is NaN or infinite, first for row {row}.")
    report = label_report(logits, labels, rule)
    console_print("", *confusion_message(report))
    content = {**results.as_dict({"name": args.name, "folder": args.source}), "model": args.model_dir}
    content["labels"] = [{**row, **more} for row, more in zip(content["labels"], report, strict=True)]
    write_json(output_dir / "metrics.json", content)
    errors = worst_errors(logits, labels, rule, data.splits[args.split]["text"], args.n_worst)
    with atomic_write(output_dir / "worst_errors.jsonl") as file:
        file.write_text("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in errors), encoding="utf-8")
    print(f"\nSaved in {output_dir}: metrics.json, worst_errors.jsonl")
    return content


def label_report(logits: np.ndarray, labels: np.ndarray, rule: DecisionRule) -> list[dict[str, Any]]:
    """For each label its threshold, and COUNTS at it and at 0.5, over known entries."""
    at_thresholds, at_half = (_counts(logits, labels, decides) for decides in (rule, rule.untuned()))
    return [
        {"label": name, "threshold": threshold, **tuned, "at_0.5": half}
        for (name, threshold), tuned, half in zip(rule.by_label().items(), at_thresholds, at_half, strict=True)
    ]


def _counts(logits: np.ndarray, labels: np.ndarray, rule: DecisionRule) -> list[dict[str, int]]:
    decisions = DecisionCounts(rule.schema)
    decisions.add(rule.scores(logits).numpy(), labels, rule)
    found, predicted, support, n_known, _ = decisions.by_label
    cells = np.stack([found, predicted - found, support - found, n_known - predicted - support + found], 1)
    return [dict(zip(COUNTS, row, strict=True)) for row in cells.tolist()]


def confusion_message(report: Sequence[dict[str, Any]]) -> list[RenderableType]:
    """The counts as a table for `console_print`, rarest label first."""
    ranked = sorted(report, key=lambda row: row["true_positives"] + row["false_negatives"])
    shown = rarest_shown(ranked)
    cells = [[row["label"], *(f"{row[count]:,}" for count in COUNTS)] for row in shown]
    header = ["label (rarest first)", "true pos", "false pos", "false neg", "true neg"]
    more = [f"... and {len(ranked) - len(shown)} more labels, in metrics.json"] if len(shown) < len(ranked) else []
    return [text_table(header, cells), *more]


def worst_errors(
    logits: np.ndarray, labels: np.ndarray, rule: DecisionRule, texts: Sequence[str], n: int
) -> Iterator[dict[str, Any]]:
    """The n wrong decisions whose score is furthest on the wrong side of its threshold, the worst first.

    Of two classes a wrong row is listed once, as its gold class missed.
    """
    decided, positive, margins = rule.decide(logits).numpy(), labels > 0.5, rule.margins(logits).numpy()
    probabilities, thresholds = rule.scores(logits).sigmoid().numpy(), list(rule.by_label().items())
    where = np.argwhere((decided != positive) & known(labels) & (positive | (not rule.two_classes)))
    distance = np.where(decided, margins, -margins)[tuple(where.T)]
    for row, i in where[np.argsort(-distance, kind="stable")[:n]].tolist():
        name, threshold = thresholds[i]
        kind = "missed" if positive[row, i] else "false alarm"
        yield {"row": row, "text": texts[row], "label": name, "gold": int(positive[row, i]),
               "score": float(probabilities[row, i]), "threshold": threshold, "kind": kind}  # fmt: skip
