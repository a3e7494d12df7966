"""`imbalance-trainer tune`: a threshold for each label of a saved model, from data that it was not trained on.

    imbalance-trainer tune data --model_dir runs/data
    imbalance-trainer tune data --model_dir runs/data --threshold_objective recall_at_precision \\
        --threshold_floor 0.8
    imbalance-trainer tune data --model_dir runs/data --dry_run

They are stored in the model's config.json, where evaluation, ImbalanceTextClassificationPipeline and export find them;
thresholds that were there are replaced. The weights stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..decisions.rule import is_baked
from ..training.card import CARD_FILE
from ..training.checkpoints import write_decision_rule
from ..tuning.decisions import N_BOOTSTRAP, TuningOptions
from ..utils.errors import UsageError
from ..utils.flags import option
from .models import SavedModel, SavedModelOptions
from .parser import FlagParser, check_at_least


@dataclass
class TuneArguments(SavedModelOptions):
    """What to tune on."""

    split: str | None = option(
        None, help="What to tune on: validation, or all rows of a single file; train and test need --allow_in_sample."
    )
    allow_in_sample: bool = option(False, help="Tune on train or test, where later results on them flatter.")
    n_bootstrap: int = option(N_BOOTSTRAP, help="Resamples for the ranges; 0 for none.")
    dry_run: bool = option(False, help="Print, and store nothing.")


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser((TuneArguments, TuningOptions), __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; the thresholds, and the metrics at 0.5 and tuned."""
    args, options = make_parser().parse(flags)
    check_at_least(args, n_bootstrap=0)
    is_asked, args.split = args.split is not None, args.split or "validation"
    if args.split != "validation" and not args.allow_in_sample:
        raise UsageError(
            f"--split {args.split}: results on rows that thresholds were tuned on flatter; tune on validation, or say "
            "--allow_in_sample true."
        )
    options.checked()
    saved = SavedModel(args)
    if is_baked(saved.model.config):
        raise UsageError(
            f"--model_dir {args.model_dir}: has its thresholds baked into the head; tune the model it was made of."
        )
    rows = saved.tokens(saved.data(None if is_asked else args.split), args.split)
    tuning = saved.trainer(rows, args.model_dir).tune_thresholds(rows, options, args.n_bootstrap)  # prints the table
    config = Path(args.model_dir) / "config.json"
    if args.split != "validation":
        print(
            f"\nWARNING: tuned on the {args.split} split (--allow_in_sample): no result on it says how good this is."
        )
    if args.dry_run:
        print(f"\nNothing is stored (--dry_run); without it {config} would have these thresholds.")
    else:
        write_decision_rule(args.model_dir, tuning.rule)
        print(f"\nStored in {config}.")
        if (Path(args.model_dir) / CARD_FILE).exists():
            print(f"{CARD_FILE} and the results beside it are still those of before.")
    tuned, thresholds = tuning.thresholds, tuning.rule.by_label()
    both = zip(tuned.low.tolist(), tuned.high.tolist(), strict=True)
    ranges = {name: pair if told else None for name, pair, told in zip(thresholds, both, tuned.has_range, strict=True)}
    return {
        "model": args.model_dir,
        "split": args.split,
        "rows": tuning.n_rows,
        "stored": not args.dry_run,
        "thresholds": thresholds,
        "ranges": ranges if args.n_bootstrap else None,
        "metrics": tuning.held_out,
        "metrics_at_0.5": tuning.at_half,
    }
