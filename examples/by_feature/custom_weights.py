"""Class weights of your own: some labels weighed by hand, the others automatic, and a cap for all.

    python examples/by_feature/custom_weights.py

First the weights of four settings side by side, which takes no training: compare before you train. Then a run with
the last of them. Its first table gives the reason of each weight ("custom" is yours); the tables after it show what
recall and precision become.
"""

from collections.abc import Sequence

from _demo import load_demo, parse

from imbalance_trainer import LabelDistribution, WeightedFocalTrainer, compute_class_weights
from imbalance_trainer.cli.parser import run
from imbalance_trainer.data.demo import DEMO_OPTIONS
from imbalance_trainer.utils.console import console_print, text_table

# Upper and lower case do not matter; a name that does not exist is an error that offers the nearest.
BY_HAND = {"Anti-democratic rhetoric": 15, "praising violence": 6}

SETTINGS = {
    "default": {},
    "tiered": {"weight_strategy": "tiered"},
    "neg:pos, cap 8": {"weight_strategy": "inverse_frequency", "max_weight": 8},
    "tiered, by hand": {"weight_strategy": "tiered", "class_weights": BY_HAND},
}


def main(flags: Sequence[str]) -> None:
    rows, args = parse(__file__, __doc__, flags)
    demo = load_demo(rows)

    counts = LabelDistribution.from_labels(demo.train["labels"], demo.schema)
    columns = [compute_class_weights(counts, **setting).as_dict() for setting in SETTINGS.values()]
    rarest_first = [demo.schema.names[i] for i in counts.rarest_first]
    cells = [[name, *(f"{weights[name]:.3g}" for weights in columns)] for name in rarest_first]
    console_print(text_table(["class weights", *SETTINGS], cells))

    # DEMO_OPTIONS: weight_strategy="tiered", and a head that learns as fast as the encoder
    trainer = WeightedFocalTrainer(demo.model, args, **demo.inputs, class_weights=BY_HAND, **DEMO_OPTIONS)
    trainer.train()
    print("\nKept in the model's config, for later evaluations:")
    for name, weight in trainer.model.config.imbalance_trainer["class_weights"].items():
        print(f"  {weight:>4.3g}  {name}")


if __name__ == "__main__":
    run(main)
