"""`imbalance-trainer tune`: a threshold for each label of a saved model, from data that it was not trained on.

    imbalance-trainer tune data --model_dir runs/data
    imbalance-trainer tune data --model_dir runs/data --threshold_objective recall_at_precision \\
        --threshold_floor 0.8
    imbalance-trainer tune data --model_dir runs/data --dry_run
    imbalance-trainer tune --model_dir runs/data --at_half

They are stored in the model's config.json, where evaluation, ImbalanceTextClassificationPipeline and export find them;
thresholds that were there are replaced. The weights stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..analysis.recommend import too_few_to_tune
from ..decisions.rule import DecisionRule, is_baked
from ..training.card import CARD_FILE
from ..training.checkpoints import write_decision_rule
from ..tuning.decisions import N_BOOTSTRAP, Tuning, TuningOptions
from ..utils.errors import UsageError
from .models import SavedModel, SavedModelOptions
from .parser import FlagParser, with_data


@dataclass
class TuneArguments(SavedModelOptions):
    """What to tune on."""

    split: str = field(
        default="validation",
        metadata={"help": "What to tune on: validation; of train and test the results would flatter."},
    )
    n_bootstrap: int = field(default=N_BOOTSTRAP, metadata={"help": "Resamples for the ranges; 0 for none."})
    dry_run: bool = field(default=False, metadata={"help": "Print, and store nothing."})
    at_half: bool = field(
        default=False, metadata={"help": "Tune nothing, and take out what is stored: back to 0.5 for every label."}
    )


def make_parser(prog: str = "imbalance-trainer tune") -> FlagParser:
    """The flags."""
    return with_data(FlagParser((TuneArguments, TuningOptions), prog=prog, doc=__doc__))


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; the thresholds, and the metrics at 0.5 and tuned."""
    args, options, others = make_parser().parse(flags)
    args.take(others.data)
    args.check_split(args.split)
    if args.n_bootstrap < 0:
        raise UsageError(f"--n_bootstrap must be at least 0; got {args.n_bootstrap}.")
    saved = SavedModel(args)
    if is_baked(saved.model.config):
        raise UsageError(
            f"--model_dir {args.model_dir}: has its thresholds baked into the head; tune the model it was made of."
        )
    if args.at_half:
        return _at_half(args, DecisionRule.from_config(saved.model.config))
    options = options.checked(saved.schema)
    rows = saved.tokens(saved.data(), args.split)
    tuning = saved.trainer(rows, args.model_dir).tune_thresholds(rows, options, args.n_bootstrap)  # prints the table
    config = Path(args.model_dir) / "config.json"
    if too_few := too_few_to_tune(float(tuning.thresholds.support.sum()), where=args.split.capitalize()):
        print(f"\nWARNING: {too_few}: do not count on these thresholds; more labelled rows would help, or 0.5.")
    if args.dry_run:
        print(f"\nNothing is stored (--dry_run); without it {config} would have these thresholds.")
    else:
        _store(args.model_dir, tuning.rule, f"\nStored in {config}.")
    return _content(tuning, args)


def _at_half(args: TuneArguments, rule: DecisionRule) -> dict[str, Any]:
    if not rule.is_tuned and rule.calibration is None:
        print(f"{args.model_dir} holds no thresholds: every label is decided at 0.5 already.")
    elif args.dry_run:
        print(f"Nothing is changed (--dry_run); without it {args.model_dir} would decide every label at 0.5.")
    else:
        _store(args.model_dir, rule.untuned(), f"{args.model_dir} decides every label at 0.5 now.")
    return {"model": args.model_dir, "stored": not args.dry_run, "thresholds": None}


def _store(folder: str, rule: DecisionRule, said: str) -> None:
    write_decision_rule(folder, rule)
    print(said)
    if (Path(folder) / CARD_FILE).exists():
        print(f"{CARD_FILE} and the results beside it are still those of before.")


def _content(tuning: Tuning, args: TuneArguments) -> dict[str, Any]:
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
