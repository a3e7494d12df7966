"""`imbalance-trainer evaluate`: a saved model on labelled data: metrics, pictures, and its worst errors.

    imbalance-trainer evaluate data --model_dir runs/data --split test
    imbalance-trainer evaluate --model_dir runs/demo                                # on the demo's data

At its thresholds and at 0.5. In --output_dir (runs/data/evaluation_test, if not given) it writes metrics.json,
precision_recall.png, calibration.png and worst_errors.jsonl: the wrong decisions whose score is furthest on the wrong
side of the threshold, measured in logits; rows are counted from 0, and what closing alone made wrong comes last.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import RenderableType

from ..decisions.rule import DecisionRule
from ..metrics.curves import known
from ..metrics.imbalance_metrics import first, rarest_shown
from ..monitor.run_files import Results
from ..reports.evaluation_plots import plot_calibration, plot_precision_recall
from ..tuning.calibration import expected_calibration_error
from ..utils.console import console_print, text_table
from ..utils.errors import DataError, UsageError
from ..utils.files import atomic_write, write_json
from .models import SavedModel, SavedModelOptions
from .parser import FlagParser, make_output_dir, with_data
from .quality_gate import HELP as FAIL_UNDER_HELP
from .quality_gate import check_results, checked_floors, read_floors

COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")


@dataclass
class EvaluateArguments(SavedModelOptions):
    """What to evaluate on, and where the results go."""

    split: str | None = field(
        default=None,
        metadata={"help": "What to evaluate on: train, validation or test; all rows of a single file if not given."},
    )
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder to write; if not given, evaluation_<split> in --model_dir."}
    )
    n_worst: int = field(default=100, metadata={"help": "Errors in worst_errors.jsonl."})
    fail_under: list[str] | None = field(default=None, metadata={"help": FAIL_UNDER_HELP.format("--split")})


def make_parser(prog: str = "imbalance-trainer evaluate") -> FlagParser:
    """The flags."""
    return with_data(FlagParser(EvaluateArguments, prog=prog, doc=__doc__))


def main(flags: Sequence[str], prog: str = "imbalance-trainer evaluate") -> dict[str, Any]:
    """Run the command; what metrics.json holds."""
    args, others = make_parser(prog).parse(flags)
    args.take(others.data)
    is_asked, args.split = args.split is not None, args.split or "test"
    args.check_split(args.split)
    if args.n_worst < 0:
        raise UsageError(f"--n_worst must be at least 0; got {args.n_worst}.")
    floors = read_floors(args.fail_under)
    saved = SavedModel(args)
    floors = checked_floors(floors, saved.schema, args.split)
    data = saved.data(None if is_asked else args.split)
    output_dir = Path(args.output_dir or Path(args.model_dir) / f"evaluation_{args.split}")
    make_output_dir(output_dir)

    results, logits, labels, rule = _evaluated(saved, saved.tokens(data, args.split), args, output_dir)
    report = label_report(logits, labels, rule)
    calibration_error = _mean_calibration_error(report)
    console_print("", *confusion_message(report), f"Mean expected calibration error: {calibration_error:.4f}")
    content = _write_metrics(output_dir / "metrics.json", results, report, args)
    errors = worst_errors(logits, labels, rule, data.splits[args.split]["text"], args.n_worst)
    _write(output_dir / "worst_errors.jsonl", "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in errors))
    plot_precision_recall(logits, labels, rule, output_dir / "precision_recall.png")
    plot_calibration(rule.scores(logits).sigmoid(), labels, rule.schema, output_dir / "calibration.png")
    written = ["metrics.json", "worst_errors.jsonl", "precision_recall.png", "calibration.png"]
    print(f"\nSaved in {output_dir}: {', '.join(written)}")
    check_results(results, floors, saved.schema)
    return content


def _evaluated(
    saved: SavedModel, rows: Any, args: EvaluateArguments, output_dir: Path
) -> tuple[Results, np.ndarray, np.ndarray, DecisionRule]:
    """Metrics at the thresholds and at 0.5, logits and labels (rows, labels), and how the model decides."""
    trainer = saved.trainer(rows, output_dir)
    output = trainer.predict(rows, metric_key_prefix=args.split)  # its callback prints the table of each label
    logits = first(output.predictions)
    if not np.isfinite(logits).all():
        row = int(np.flatnonzero(~np.isfinite(logits).all(1))[0])
        raise DataError(f"--model_dir {args.model_dir}: gives a score that is NaN or infinite, first for row {row}.")
    return trainer.results_of(args.split), logits, output.label_ids, trainer.decision_rule


def _write_metrics(
    path: Path, results: Results, report: Sequence[dict[str, Any]], args: EvaluateArguments
) -> dict[str, Any]:
    """What `train` writes, and for each label, and their mean, what is known from all scores."""
    content = results.as_dict({"name": args.name, "folder": args.source})
    content["metrics"]["mean_expected_calibration_error"] = _mean_calibration_error(report)
    content["labels"] = [{**row, **more} for row, more in zip(content["labels"], report, strict=True)]
    content = {**content, "model": args.model_dir}
    with _writable(path):
        write_json(path, content)
    return content


def confusion(decided: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """COUNTS of each label, (4, labels), over the entries that are known."""
    is_known, positive = known(labels), labels > 0.5
    cells = (decided & positive, decided & ~positive, ~decided & positive, ~decided & ~positive)
    return np.stack([(cell & is_known).sum(0) for cell in cells])


def label_report(logits: np.ndarray, labels: np.ndarray, rule: DecisionRule) -> list[dict[str, Any]]:
    """For each label its threshold, counts at it and at 0.5, and calibration error."""
    counts = [confusion(r.decide(logits).numpy(), labels) for r in (rule, rule.untuned())]
    probabilities, is_known = rule.scores(logits).sigmoid().numpy(), known(labels)
    report = []
    for i, (name, threshold) in enumerate(rule.by_label().items()):
        at_thresholds, at_half = (dict(zip(COUNTS, part[:, i].tolist(), strict=True)) for part in counts)
        rows = is_known[:, i]
        error = expected_calibration_error(probabilities[rows, i], labels[rows, i] > 0.5)
        report.append({"label": name, "threshold": threshold, **at_thresholds, "at_0.5": at_half,
                       "expected_calibration_error": error})  # fmt: skip
    return report


def _mean_calibration_error(report: Sequence[dict[str, Any]]) -> float:
    return float(np.mean([row["expected_calibration_error"] for row in report]))


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
    """The n wrong decisions whose score is furthest on the wrong side of its threshold, the worst first."""
    decided, positive, margins = rule.decide(logits).numpy(), labels > 0.5, rule.margins(logits).numpy()
    probabilities, thresholds = rule.scores(logits).sigmoid().numpy(), list(rule.by_label().items())
    where = np.argwhere((decided != positive) & known(labels))
    distance = np.where(decided, margins, -margins)[tuple(where.T)]
    for row, i in where[np.argsort(-distance, kind="stable")[:n]].tolist():
        name, threshold = thresholds[i]
        kind = "missed" if positive[row, i] else "false alarm"
        yield {"row": row, "text": texts[row], "label": name, "gold": int(positive[row, i]),
               "score": float(probabilities[row, i]), "threshold": threshold, "kind": kind}  # fmt: skip


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error}).") from None


def _write(path: Path, content: str) -> None:
    """Write a file as a whole: it holds the old content or the new."""
    with _writable(path), atomic_write(path) as unfinished:
        unfinished.write_text(content, encoding="utf-8")
