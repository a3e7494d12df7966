"""Labels with rules: implications over three levels, in training and in every decision.

    python examples/by_feature/hierarchy.py

The demo's labels get one more: "violent", which three of them imply and which implies "hateful". Two runs with a
threshold for each label: one is taught the rules by a constraint, one is not. You see in how many rows the decisions
of each break a rule, and that none do after the hierarchy policy. Then one row by hand: its probabilities, and what
each policy makes of them.
"""

from collections.abc import Sequence

import torch
from _demo import Demo, load_demo, parse
from transformers import TrainingArguments, set_seed

from imbalance_trainer import LabelSchema, RareLabelCallback, WeightedFocalTrainer, enforce_hierarchy
from imbalance_trainer.cli.parser import run
from imbalance_trainer.data.demo import DEMO_OPTIONS, demo_model
from imbalance_trainer.decisions.rule import HIERARCHY_POLICIES

VIOLENT = ("ideologically motivated threats", "praising violence", "praising extremist acts")


def with_rules(schema: LabelSchema) -> LabelSchema:
    """The demo's labels and the new one; a label_info.json can say the same (docs/hierarchies.md)."""
    implications = [(child, "violent" if child in VIOLENT else parent) for child, parent in schema.implications]
    return LabelSchema(
        (*schema.names, "violent"),
        groups={"primary": ("hateful",)},
        implications=(*implications, ("violent", "hateful")),
    )


def broken_rows(constraint: str, demo: Demo, args: TrainingArguments) -> tuple[int, int]:
    """In how many rows of the test data a model's decisions break a rule: before they are closed, and after."""
    set_seed(args.seed)
    model, _ = demo_model(demo.schema)
    trainer = WeightedFocalTrainer(model, args, **demo.inputs, constraint=constraint, **DEMO_OPTIONS)
    trainer.remove_callback(RareLabelCallback)  # its tables are not what this is about
    trainer.train()
    trainer.tune_thresholds(n_bootstrap=0)
    metrics = trainer.predict(demo.test).metrics
    before, after = metrics["test_violation_rate"], metrics["test_violation_rate_closed"]
    return round(before * len(demo.test)), round(after * len(demo.test))


def main(flags: Sequence[str]) -> None:
    rows, args = parse(__file__, __doc__, flags, num_train_epochs=1, eval_strategy="no")
    demo = load_demo(rows)
    demo.schema = schema = with_rules(demo.schema)
    violent = [schema.index(name) for name in VIOLENT]

    def relabelled(row: dict) -> dict:
        labels = row["labels"]
        return {"labels": [*labels, max(labels[i] for i in violent)]}

    demo.train, demo.validation, demo.test = (
        split.map(relabelled) for split in (demo.train, demo.validation, demo.test)
    )
    found = {how: broken_rows(how, demo, args) for how in ("none", "gold")}
    for how, (before, after) in found.items():
        print(f"constraint={how!r}: {before} of {len(demo.test):,} rows break a rule, {after} once they are closed")

    scores = {"hateful": 0.45, "violent": 0.4, "praising violence": 0.9}
    row = torch.tensor([[scores.get(name, 0.01) for name in schema.names]])
    print(f"\nA row with the probabilities {scores}")
    print(f"  over 0.5       {_names(row > 0.5, schema)}")
    for how in HIERARCHY_POLICIES:
        closed = enforce_hierarchy(row > 0.5, schema, how)
        print(f"  {how:<15}{_names(closed, schema)}")


def _names(decided: torch.Tensor, schema: LabelSchema) -> str:
    return ", ".join(name for name, is_in in zip(schema.names, decided[0], strict=True) if is_in)


if __name__ == "__main__":
    run(main)
