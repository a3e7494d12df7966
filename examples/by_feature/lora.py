"""LoRA with peft: a frozen encoder, small adapters in it, and a head that is trained in full and saved with them.

    python examples/by_feature/lora.py

The trainer takes a peft model like any other. Two things matter. task_type="SEQ_CLS": without it peft freezes the head
too, and the trainer warns. And merging: an adapter is saved without the model's config, where thresholds lie, so for
use it is merged into its encoder. You see how few parameters are trained, the sizes on the disk, and what the merged
model decides.
"""

from collections.abc import Sequence
from pathlib import Path

from _demo import Demo, load_demo, parse
from transformers import TrainingArguments, pipeline

from imbalance_trainer import ImbalanceTextClassificationPipeline, RareLabelCallback, WeightedFocalTrainer
from imbalance_trainer.cli.parser import run
from imbalance_trainer.data.demo import DEMO_OPTIONS, demo_model
from imbalance_trainer.utils.errors import UsageError

TEXT = "the match was late and they are all lazy today"


def pretrained_encoder(demo: Demo, args: TrainingArguments) -> dict:
    """Weights that stand in for a pretrained encoder's: the demo's encoder, trained on the texts of the test split."""
    model, _ = demo_model(demo.schema)
    settings = {"processing_class": demo.tokenizer, "label_schema": demo.schema, **DEMO_OPTIONS}
    trainer = WeightedFocalTrainer(model, args, train_dataset=demo.test, **settings)
    trainer.remove_callback(RareLabelCallback)
    trainer.train()
    return model.base_model.state_dict()


def main(flags: Sequence[str]) -> None:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise UsageError("This example needs peft: pip install peft") from None
    rows, args = parse(__file__, __doc__, flags, max_steps=450, eval_strategy="no")
    demo = load_demo(rows)
    demo.model.base_model.load_state_dict(pretrained_encoder(demo, args))

    model = get_peft_model(demo.model, LoraConfig(task_type="SEQ_CLS", r=8, target_modules=["query", "value"]))
    model.print_trainable_parameters()
    trainer = WeightedFocalTrainer(model, args, **demo.inputs, **DEMO_OPTIONS)
    trainer.train()
    trainer.tune_thresholds()
    trainer.save_model()  # adapter and head

    folder, merged = Path(args.output_dir), Path(args.output_dir) / "merged"
    model.merge_and_unload().save_pretrained(merged)
    demo.tokenizer.save_pretrained(merged)
    print()
    for path in (folder / "adapter_model.safetensors", merged / "model.safetensors"):
        print(f"{path.stat().st_size / 1024:>5.0f} KiB  {path}")

    classify = pipeline("text-classification", str(merged), pipeline_class=ImbalanceTextClassificationPipeline)
    print(f"\n{TEXT}")
    for found in classify(TEXT):
        print(f"  {found['label']}: {found['score']:.2f} over {found['threshold']:.2f}")


if __name__ == "__main__":
    run(main)
