"""Class weights that move by themselves: up where a label is never found, down where it is predicted too often.

    python examples/by_feature/adaptive_weights.py

It starts from two weights that are wrong on purpose: a rare label weighs too little, a commoner one far too much. What
is changed, and why, stands under the tables in lines that begin with "Adapted:". A label has to show the same at two
evaluations in a row, is then left alone for two, and no weight passes the cap. At the end: weights before and after.

Where it was measured this helped hardly over weights that were right from the start (docs/troubleshooting.md).
"""

from collections.abc import Sequence

from _demo import load_demo, parse

from imbalance_trainer import WeightedFocalTrainer
from imbalance_trainer.cli import run
from imbalance_trainer.demo import DEMO_OPTIONS

WRONG = {"sexual harassment": 0.5, "exclusion": 20}


def main(flags: Sequence[str]) -> None:
    rows, args = parse(__file__, __doc__, flags, num_train_epochs=2, eval_strategy="steps", eval_steps=100)
    demo = load_demo(rows)
    trainer = WeightedFocalTrainer(
        demo.model,
        args,
        train_dataset=demo.train,
        eval_dataset=demo.validation,
        processing_class=demo.tokenizer,
        label_schema=demo.schema,
        class_weights=WRONG,
        adaptive_weights=True,
        adaptive_gamma=True,  # gamma too, between 1.5 and 3
        **DEMO_OPTIONS,
    )
    before = trainer.class_weights.as_dict()
    trainer.train()
    print("\nWeights at the start and at the end:")
    for name, weight in trainer.class_weights.as_dict().items():
        moved = "" if weight == before[name] else f" -> {weight:.3g}"
        print(f"  {before[name]:>4.3g}{moved:<9} {name}")
    print(f"focal_gamma: {trainer.options.focal_gamma:g}")


if __name__ == "__main__":
    run(main)
