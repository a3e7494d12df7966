"""A label for each word, most of them none: token classification with rare kinds of phrases.

    python examples/by_feature/token_classification.py

Only the model and the data differ: a model for token classification, a class for each token, -100 where a token has
none. The trainer sees that, weighs the classes by their tokens, and its table shows each kind of phrase by tokens.
Words are marked where a text carries the label; the same phrase in a harmless text (a quotation) is not one, so the
model has to read what is around it. At the end two texts with one phrase, meant and quoted.
"""

from collections.abc import Sequence
from itertools import groupby

import torch
from _demo import load_demo, parse
from datasets import Dataset
from transformers import DataCollatorForTokenClassification, RobertaForTokenClassification, set_seed

from imbalance_trainer import WeightedFocalTrainer
from imbalance_trainer.cli.parser import run
from imbalance_trainer.data.demo import DEMO_OPTIONS, SECONDARY_LABELS

NAMES = ["O", *SECONDARY_LABELS]
TEXTS = (
    "the coffee looks cold and they are all lazy near the river today",
    "she reported a man who shouted they are all lazy on the bus",
)
PHRASES = {name: phrases for name, (_, phrases) in SECONDARY_LABELS.items()}


def with_tags(split: Dataset, tokenizer) -> Dataset:
    """A class for each token; the demo's tokens are whole words, and the special ones around a text have no class."""

    def tagged(row: dict) -> dict:
        ids = row["input_ids"]
        tags = [-100, *[0] * (len(ids) - 2), -100]
        for number, name in enumerate(SECONDARY_LABELS, start=1):
            if row["labels"][number]:
                for phrase in PHRASES[name]:
                    wanted = tokenizer(phrase, add_special_tokens=False)["input_ids"]
                    for at in range(1, len(ids) - len(wanted)):
                        if ids[at : at + len(wanted)] == wanted:
                            tags[at : at + len(wanted)] = [number] * len(wanted)
        return {"labels": tags}

    return split.map(tagged)


def main(flags: Sequence[str]) -> None:
    rows, args = parse(__file__, __doc__, flags, num_train_epochs=2)
    demo = load_demo(rows)
    set_seed(args.seed)
    demo.model.config.num_labels = len(NAMES)
    model = RobertaForTokenClassification(demo.model.config)
    trainer = WeightedFocalTrainer(
        model,
        args,
        train_dataset=with_tags(demo.train, demo.tokenizer),
        eval_dataset=with_tags(demo.validation, demo.tokenizer),
        data_collator=DataCollatorForTokenClassification(demo.tokenizer),
        label_schema=NAMES,
        head_learning_rate=DEMO_OPTIONS["head_learning_rate"],
    )
    trainer.train()

    model.eval()
    for text in TEXTS:
        batch = demo.tokenizer(text, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            classes = model(**batch).logits[0, 1:-1].argmax(-1).tolist()
        print()
        for number, pairs in groupby(zip(classes, text.split(), strict=True), key=lambda pair: pair[0]):
            words = " ".join(word for _, word in pairs)
            print(f"  {words:<30}{NAMES[number]}" if number else f"  {words}")


if __name__ == "__main__":
    run(main)
