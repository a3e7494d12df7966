"""Hyper-parameter search over options of the trainer, with optuna: gamma, how weights are computed, and their cap.

    python examples/by_feature/hyperparameter_search.py

Trainer's own hyperparameter_search: every option of ImbalanceTrainingArguments can be searched like a learning rate.
optuna says how each of four short trials ends, and the last lines are the best of them. This shows how it is done, not
which settings are good: for that, give a trial the steps that you would give a model, and the best ones several seeds.
"""

from collections.abc import Sequence

from _demo import load_demo, parse

from imbalance_trainer import ImbalanceTrainingArguments, RareLabelCallback, WeightedFocalTrainer
from imbalance_trainer.cli.parser import run
from imbalance_trainer.data.demo import demo_model
from imbalance_trainer.labels.class_weights import STRATEGIES
from imbalance_trainer.utils.errors import UsageError


def space(trial) -> dict:
    """What is searched, by the names that the options have as fields and flags."""
    return {
        "focal_gamma": trial.suggest_float("focal_gamma", 0, 3, step=0.5),
        "weight_strategy": trial.suggest_categorical("weight_strategy", list(STRATEGIES)),
        "max_weight": trial.suggest_int("max_weight", 2, 20),
    }


def main(flags: Sequence[str]) -> None:
    try:
        import optuna
    except ImportError:
        raise UsageError("This example needs optuna: pip install optuna") from None
    kind = ImbalanceTrainingArguments  # the search sets its fields
    rows, args = parse(__file__, __doc__, flags, kind, max_steps=150, eval_strategy="no", head_learning_rate=2e-3)
    demo = load_demo(rows)
    fresh = lambda: demo_model(demo.schema)[0]  # noqa: E731 - each trial starts from the same weights
    trainer = WeightedFocalTrainer(args=args, model_init=fresh, **demo.inputs)
    trainer.remove_callback(RareLabelCallback)  # its tables would hide the trials
    f1 = lambda metrics: metrics["eval_secondary_f1_macro"]  # noqa: E731 - not eval_loss, which gamma scales
    how = {"n_trials": 4, "backend": "optuna", "sampler": optuna.samplers.TPESampler(seed=args.seed)}
    best = trainer.hyperparameter_search(space, compute_objective=f1, direction="maximize", **how)
    print(f"\nThe best of 4 trials, secondary_f1_macro {best.objective:.3f}:")
    for name, value in best.hyperparameters.items():
        print(f"  --{name} {value}")


if __name__ == "__main__":
    run(main)
