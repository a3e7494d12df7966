"""The stock Trainer with our metrics and our monitor: what happens to each label, and no change to the training.

    python examples/by_feature/stock_trainer.py

ImbalanceMetrics is a compute_metrics and RareLabelCallback a callback, for any Trainer. The loss is Trainer's own, so
the rare labels stay at recall 0: the tables show it while micro F1 looks fine, and the warnings say what would help.
At the end what trackers get of it; report.html in the output folder has the whole run.
"""

from collections.abc import Sequence

from _demo import load_demo, parse
from datasets import List, Value
from transformers import Trainer

from imbalance_trainer import ImbalanceMetrics, LabelDistribution, RareLabelCallback
from imbalance_trainer.cli.parser import run


def main(flags: Sequence[str]) -> None:
    rows, args = parse(__file__, __doc__, flags)
    demo = load_demo(rows)
    demo.model.config.problem_type = "multi_label_classification"
    demo.schema.to_config(demo.model.config)  # label names, which go where the model goes
    floats = List(Value("float32"))  # the stock loss takes no integers

    counts = LabelDistribution.from_labels(demo.train["labels"], demo.schema)
    metrics = ImbalanceMetrics(demo.schema, counts.support)
    trainer = Trainer(
        demo.model,
        args,
        train_dataset=demo.train.cast_column("labels", floats),
        eval_dataset=demo.validation.cast_column("labels", floats),
        processing_class=demo.tokenizer,
        compute_metrics=metrics,
    )
    RareLabelCallback(metrics=metrics, distribution=counts).attach(trainer)
    trainer.train()

    evaluations = [log for log in trainer.state.log_history if "eval_loss" in log]
    print(f"\nEach evaluation logs {len(evaluations[-1])} values. Some of them, evaluation by evaluation:")
    for name in ("eval_f1_micro", "eval_secondary_f1_macro", "eval_f1_tail", "eval_recall_praising_violence"):
        print(f"  {name:<30}", *(f"{log[name]:.3f}" for log in evaluations))


if __name__ == "__main__":
    run(main)
