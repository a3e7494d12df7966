"""A sampler in place of class weights: rows of rare labels are drawn more often.

    python examples/by_feature/sampler.py

Two runs without class weights, one of them with the sampler, which says at its start what an epoch becomes. The table
at the end has recall and precision of each label under both, and how often the sampler draws a row of it. Both runs
have the same number of steps: the sampler makes epochs longer, and by epochs it would win by training longer.
Weights and a sampler multiply, so take one of them (docs/sampling.md).
"""

from collections.abc import Sequence

from _demo import load_demo, parse
from transformers import set_seed

from imbalance_trainer import RepeatFactorSampler, WeightedFocalTrainer
from imbalance_trainer.cli.parser import run
from imbalance_trainer.data.demo import DEMO_OPTIONS, demo_model
from imbalance_trainer.utils.console import console_print, text_table

SETTINGS = {"without": {}, "with sampler": {"sampler": "repeat_factor"}}


def main(flags: Sequence[str]) -> None:
    n_rows, args = parse(__file__, __doc__, flags, max_steps=400, eval_strategy="no")
    demo = load_demo(n_rows)
    columns = []
    for setting in SETTINGS.values():
        set_seed(args.seed)
        model, _ = demo_model(demo.schema)
        trainer = WeightedFocalTrainer(model, args, **demo.inputs, class_weights=None, **setting, **DEMO_OPTIONS)
        trainer.train()
        trainer.evaluate()
        table = trainer.imbalance.metrics.table
        columns.append([f"{r:.2f} {p:.2f}" for r, p in zip(table.recall, table.precision, strict=True)])

    drawn = RepeatFactorSampler(demo.train, schema=demo.schema).repeats_by_label  # of labels that have rows
    rows = zip(demo.schema.names, *columns, strict=True)
    cells = [[name, f"{drawn.get(name, 0):.1f}", *pairs] for name, *pairs in rows]
    console_print("", text_table(["recall and precision", "drawn", *SETTINGS], cells))


if __name__ == "__main__":
    run(main)
