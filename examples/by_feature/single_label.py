"""One class for each text: cross-entropy, weighted focal loss and logit adjustment, and which classes each finds.

    python examples/by_feature/single_label.py

Classes in place of multi-hot rows are all it takes: the trainer sees them, and its losses are the single-label ones.
The demo's texts get the rarest of their labels as their class, "harmless" if they have none. Three short runs; the
table at the end has the recall of each class under each, and that accuracy is high whatever becomes of the rare ones.
"""

from collections.abc import Sequence

from _demo import Demo, load_demo, parse
from datasets import ClassLabel, Dataset
from transformers import TrainingArguments, set_seed

from imbalance_trainer import LabelSchema, RareLabelCallback, WeightedFocalTrainer
from imbalance_trainer.cli.parser import run
from imbalance_trainer.data.demo import DEMO_OPTIONS, SECONDARY_LABELS, demo_model
from imbalance_trainer.utils.text import text_table

CLASSES = ["harmless", *SECONDARY_LABELS]  # commonest first

SETTINGS = {
    "cross-entropy": {"loss": "ce", "class_weights": None},
    "focal, weighted": {"loss": "focal", "weight_strategy": "sqrt_inverse_frequency"},
    "logit adjusted": {"loss": "logit_adjusted"},  # weighs by the counts of the classes itself
}


def with_classes(split: Dataset) -> Dataset:
    """The rarest label of each row as its class; rows that are hateful in no particular way are left out."""
    split = split.filter(lambda row: row["labels"][0] == max(row["labels"][1:]))
    classes = [max(i * label for i, label in enumerate(labels)) for labels in split["labels"]]
    return split.remove_columns("labels").add_column("labels", classes, feature=ClassLabel(names=CLASSES))


def evaluated(setting: dict, demo: Demo, args: TrainingArguments) -> list[str]:
    """Recall of each class after a run, then its mean, and accuracy."""
    set_seed(args.seed)
    model, _ = demo_model(LabelSchema.from_names(CLASSES))
    trainer = WeightedFocalTrainer(
        model,
        args,
        train_dataset=demo.train,
        eval_dataset=demo.validation,
        processing_class=demo.tokenizer,  # no label_schema: the names are those of the ClassLabel
        head_learning_rate=DEMO_OPTIONS["head_learning_rate"],
        **setting,
    )
    trainer.remove_callback(RareLabelCallback)  # the table at the end says it
    trainer.train()
    accuracy, recall = trainer.evaluate()["eval_accuracy"], trainer.imbalance.metrics.table.recall
    return [*(f"{value:.2f}" for value in recall), f"{recall.mean():.2f}", f"{accuracy:.2f}"]


def main(flags: Sequence[str]) -> None:
    rows, args = parse(__file__, __doc__, flags, max_steps=300, eval_strategy="no")
    demo = load_demo(rows)
    demo.train, demo.validation = with_classes(demo.train), with_classes(demo.validation)
    columns = [evaluated(setting, demo, args) for setting in SETTINGS.values()]
    cells = list(zip([*CLASSES, "mean recall", "accuracy"], *columns, strict=True))
    print("\n" + "\n".join(text_table(["recall", *SETTINGS], cells)))


if __name__ == "__main__":
    run(main)
