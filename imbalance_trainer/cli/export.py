"""`imbalance-trainer export`: a copy of a model for servers that decide at a plain 0.5 and know nothing of thresholds.

    imbalance-trainer export --model_dir runs/data --output_dir runs/data-baked

A label's logit z is decided where z > logit(t), with its threshold t; the copy's head gives z - logit(t) instead, so
that 0.5 decides the same. Its scores are no longer probabilities, and it must not be trained on. Rules between labels
are not in it: a server that closes no decisions may break them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..decisions.rule import DecisionRule, is_baked
from ..training.head import linear_heads
from ..utils.constants import CONFIG_KEY
from ..utils.errors import UsageError
from ..utils.flags import option
from .models import load_saved_model
from .parser import FlagParser, make_output_dir


@dataclass
class ExportArguments:
    """What to export, and where to."""

    model_dir: str = option(help="Folder of a trained model with tuned thresholds.")
    output_dir: str = option(help="Folder of the copy; new, or empty.")


def make_parser() -> FlagParser:
    """The flags."""
    return FlagParser(ExportArguments, __doc__)


def main(flags: Sequence[str]) -> dict[str, Any]:
    """Run the command; where the copy is, and the thresholds that its head has."""
    (args,) = make_parser().parse(flags)
    source, target = Path(args.model_dir), Path(args.output_dir)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"--output_dir {target}: is there already and not empty; give a new folder.")
    model, tokenizer = load_saved_model(source)
    rule = bake_thresholds(model)
    make_output_dir(target)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    print(f"Saved in {target}: at 0.5 it decides as {source} does at its {len(rule.schema)} thresholds. Use it with")
    code = ", trust_remote_code=True" if getattr(type(model.config), "_auto_class", None) else ""
    print(f"  transformers.pipeline('text-classification', '{target}', top_k=None{code})('a text')")
    print("and count a label as decided where its score is over 0.5. The scores are no probabilities.")
    if rule.schema.rules:
        print(
            f"Nothing closes the decisions there: {len(rule.schema.rules)} rules between labels may be broken. "
            "ImbalanceTextClassificationPipeline and evaluation keep them."
        )
    return {"model": str(source), "output_dir": str(target), "baked_thresholds": rule.by_label()}


def bake_thresholds(model: Any) -> DecisionRule:
    """Shift the head of a model in place, so that a logit over 0 is a tuned decision (before the hierarchy policy).

    Its config says so from then on: the thresholds go to "baked_thresholds", and 0.5 decides in our own pipeline too.

    Args:
        model: a model for sequence classification whose config has thresholds, in evaluation mode. Made fp32: half
            precision is too coarse for a shifted head.

    Returns:
        The rule that was baked in.

    Raises:
        UsageError: no thresholds, or a head without bias or of an unknown build.
    """
    config = model.config
    rule = DecisionRule.from_config(config)
    if not rule.is_tuned:
        why = "has its thresholds baked in already" if is_baked(config) else "has no tuned thresholds in its config"
        raise UsageError(f"The model {why}; take one for which WeightedFocalTrainer.tune_thresholds() stored them.")
    heads = linear_heads(model.float(), len(rule.schema))
    if len(heads) != 1:
        raise UsageError(
            f"{type(model).__name__} has {len(heads)} linear layers of {len(rule.schema)} outputs that could be its "
            "head; thresholds cannot be baked in."
        )
    (head,) = heads
    if head.bias is None:
        raise UsageError(
            f"The head of {type(model).__name__} has no bias to shift by the thresholds; use "
            "ImbalanceTextClassificationPipeline, which applies them."
        )
    shift = -torch.logit(torch.tensor(rule.thresholds, dtype=torch.float64))
    shift = shift / 2 if rule.two_classes else shift  # a softmax looks at the difference of two, which both shift
    probe = {"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    with torch.no_grad():
        before = model(**probe).logits.double()
        head.bias.copy_(head.bias.double() + shift)
        after = model(**probe).logits.double()
    if not torch.allclose(after, before + shift, rtol=1e-3, atol=1e-3):
        raise UsageError("The model's logits are not those of its last linear layer: thresholds cannot be baked in.")
    ours = getattr(config, CONFIG_KEY)
    rule.untuned().to_config(config)
    setattr(config, CONFIG_KEY, {**getattr(config, CONFIG_KEY), "baked_thresholds": ours["thresholds"]})
    return rule
