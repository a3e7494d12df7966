"""A threshold for each label: tuned after training, kept in the model, used by evaluation and by the pipeline.

    python examples/by_feature/thresholds.py

After training a table says of each label its threshold, how sure that is, and F1 at 0.5 and tuned; then the test data
are decided by them. The model is saved, and what its config.json holds is printed. The pipeline reads it there: of
each text it gives the labels over their own thresholds, and none without its parent.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from _demo import load_demo, parse
from transformers import pipeline

from imbalance_trainer import ImbalanceTextClassificationPipeline, WeightedFocalTrainer
from imbalance_trainer.cli.parser import run
from imbalance_trainer.data.demo import DEMO_OPTIONS

TEXTS = (
    "the match was late and they are all lazy what a clown",
    "a cold evening by the river we know where you live",
    "she reported a man who shouted go back home at the bus",
)


def main(flags: Sequence[str]) -> None:
    rows, args = parse(__file__, __doc__, flags, eval_strategy="no")
    demo = load_demo(rows)
    trainer = WeightedFocalTrainer(demo.model, args, **demo.inputs, **DEMO_OPTIONS)
    trainer.train()
    trainer.tune_thresholds()  # on eval_dataset, never on the test data
    trainer.predict(demo.test)
    trainer.save_model()

    config = json.loads((Path(args.output_dir) / "config.json").read_text(encoding="utf-8"))
    print(f"\nIn {args.output_dir}/config.json:")
    print(json.dumps(config["imbalance_trainer"]["thresholds"], indent=2))

    kind = ImbalanceTextClassificationPipeline
    classify = pipeline("text-classification", args.output_dir, pipeline_class=kind, device="cpu")
    for text, found in zip(TEXTS, classify(list(TEXTS)), strict=True):
        print(f"\n{text}")
        shown = [f"  {label['label']}: {label['score']:.2f} over {label['threshold']:.2f}" for label in found]
        print("\n".join(shown or ["  nothing is decided"]))


if __name__ == "__main__":
    run(main)
