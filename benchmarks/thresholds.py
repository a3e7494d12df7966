"""Thresholds tuned on validation and measured on test: 0.5, naive tuning, ours, and rules beside ours.

    python -m benchmarks.thresholds --data_dir DIR [DIR ...] --model_name_or_path ENCODER [--seeds 1 2 3] [--rules]

Each seed trains a model (3 layers of the encoder, see `benchmarks.scored`) and keeps its scores in --cache; a second
run only reads them. Decisions are closed in every row of the table. A drop is the value on validation less that on
test. With --rules also the rules that ours was chosen from.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imbalance_trainer import ImbalanceMetrics, LabelSchema, tune_thresholds
from imbalance_trainer.decisions.rule import DecisionRule

from .scored import Scored, scored

METHODS: dict[str, dict[str, Any] | None] = {
    "0.5": None,
    "naive, per label": {"shrinkage": 0},
    "ours": {},
}
RULES: dict[str, dict[str, Any]] = {
    "one for all": {"per": "all"},
    **{f"shrinkage {shrinkage}": {"shrinkage": shrinkage} for shrinkage in (1, 2, 5)},
}
COLUMNS = ("secondary_f1_macro", "f1_macro", "f1_micro")


def measure(scores: Scored, settings: dict[str, Any] | None) -> dict[str, float]:
    """Metrics on test at thresholds tuned on validation, and the drop of the headline between the two."""
    schema, thresholds = scores.schema, None
    if settings is not None:
        thresholds = tune_thresholds(*scores.validation, schema, from_logits=True, **settings).thresholds
    validation, test = (decided(schema, thresholds, *split) for split in (scores.validation, scores.test))
    drop = validation["secondary_f1_macro"] - test["secondary_f1_macro"]
    return {**test, "drop": drop}


def decided(schema: LabelSchema, thresholds: np.ndarray | None, logits: np.ndarray, labels: np.ndarray) -> dict:
    metrics = ImbalanceMetrics.of_rule(DecisionRule(schema, thresholds))
    metrics.update(logits, labels.astype(np.int64))
    return metrics.compute()


def table(all_scores: Sequence[Scored], methods: dict[str, dict[str, Any] | None]) -> list[str]:
    heads = ("secondary_f1_macro", "drop", "f1_macro", "f1_micro", "labels at zero recall", "violations, closed")
    lines = [f"| thresholds | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for method, settings in methods.items():
        results = [measure(scores, settings) for scores in all_scores]
        cells = [cell([r[name] for r in results]) for name in ("secondary_f1_macro", "drop", "f1_macro", "f1_micro")]
        cells.append(cell([r["n_labels_without_recall"] for r in results], 1))
        cells.append(f"{max(r['violation_rate'] for r in results):.1%} -> "
                     f"{max(r['violation_rate_closed'] for r in results):.0%}")  # fmt: skip
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def cell(values: Sequence[float], digits: int = 3) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", nargs="+", required=True)
    parser.add_argument("--model_name_or_path", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cache", default="runs/scores")
    parser.add_argument("--rules", action="store_true", help="also the rules that ours was chosen from")
    args = parser.parse_args()
    for folder in args.data_dir:
        scores = [scored(folder, args.model_name_or_path, seed, args.cache) for seed in args.seeds]
        n_rows, n_labels = scores[0].validation[1].shape
        print(f"\n{Path(folder).name}: {n_labels} labels, tuned on {n_rows:,} rows, measured on "
              f"{len(scores[0].test[1]):,}; mean ± standard deviation over {len(scores)} seeds\n")  # fmt: skip
        print("\n".join(table(scores, METHODS | RULES if args.rules else METHODS)), flush=True)


if __name__ == "__main__":
    main()
