"""Our loss, head start and head rate in the stock Trainer, or any trainer that takes a compute_loss_func.

    python examples/by_feature/any_trainer.py --gradient_accumulation_steps 4

The loss is divided by the count that Trainer makes of the whole update, so that accumulation and several processes
change nothing. Labels do not reach the model then: its config needs the problem_type, and the batch the name "labels".
"""

from collections.abc import Sequence

from _demo import load_demo, parse
from torch.optim import AdamW
from transformers import ProgressCallback, Trainer

from imbalance_trainer import ImbalanceMetrics, LabelDistribution, imbalance_loss, set_head_rate, start_head
from imbalance_trainer.cli.parser import run


def main(flags: Sequence[str]) -> None:
    rows, args = parse(__file__, __doc__, flags)
    demo = load_demo(rows)
    demo.model.config.problem_type = "multi_label_classification"
    demo.schema.to_config(demo.model.config)  # label names, which go where the model goes

    counts = LabelDistribution.from_labels(demo.train["labels"], demo.schema)
    loss = imbalance_loss("focal", demo.schema, counts, model=demo.model)
    for name, weight in loss.class_weights.as_dict().items():
        print(f"{name:<30} weight {weight:.1f}")
    start_head(demo.model, loss)
    optimizer = set_head_rate(demo.model, AdamW(demo.model.parameters(), lr=args.learning_rate))
    trainer = Trainer(
        demo.model,
        args,
        train_dataset=demo.train,
        eval_dataset=demo.validation,
        processing_class=demo.tokenizer,
        compute_metrics=ImbalanceMetrics(demo.schema, counts.support),
        compute_loss_func=loss,
        optimizers=(optimizer, None),
    )
    trainer.remove_callback(ProgressCallback)  # which would print all the metrics
    trainer.train()

    evaluations = [log for log in trainer.state.log_history if "eval_loss" in log]
    print(f"\neval_secondary_f1_macro {' '.join(format(e['eval_secondary_f1_macro'], '.3f') for e in evaluations)}")


if __name__ == "__main__":
    run(main)
