"""A loss of your own: any function or module of logits and labels that gives the loss of each entry.

    python examples/by_feature/own_loss.py

Here it is PolyLoss (Leng et al., 2022), which the package does not have. First it is tried on four numbers, where a
loss that gives a mean is refused and told why. Then the run with it: the loss takes its class weights itself, so the
first table says that none are asked for. What it gives is summed and divided by the counts of the whole update, so
that gradient accumulation and several processes are exact.
"""

from collections.abc import Sequence

import torch
from _demo import load_demo, parse
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from imbalance_trainer import LabelDistribution, WeightedFocalTrainer, compute_class_weights
from imbalance_trainer.cli.parser import run
from imbalance_trainer.data.demo import DEMO_OPTIONS
from imbalance_trainer.losses import UserLoss
from imbalance_trainer.utils.errors import UsageError


class PolyLoss(nn.Module):
    """Cross-entropy + epsilon (1 - p), with p the probability of what is right."""

    def __init__(self, weights: Sequence[float], epsilon: float = 1.0) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.register_buffer("weights", torch.tensor(weights))  # a parameter would be refused: nothing trains it

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(rows, labels) twice, both fp32. Unknown labels come as 0, and what is given for them does not count."""
        cross_entropy = binary_cross_entropy_with_logits(logits, labels, pos_weight=self.weights, reduction="none")
        p = logits.sigmoid()
        return cross_entropy + self.epsilon * (labels * (1 - p) + (1 - labels) * p)


def main(flags: Sequence[str]) -> None:
    rows, args = parse(__file__, __doc__, flags)
    demo = load_demo(rows)

    # UserLoss is what the trainer makes of a function: a way to try it by hand.
    logits, labels = torch.tensor([[2.0, -1.0], [0.0, 3.0]]), torch.tensor([[1, 0], [1, -100]])
    each = UserLoss(PolyLoss(weights=[1, 5]), reduction="none")(logits, labels)
    print(f"The loss of each entry, of which the last is unknown:\n{each}")
    try:
        UserLoss(binary_cross_entropy_with_logits)(logits, labels)
    except UsageError as error:
        print(f"A mean is refused: {error}")

    counts = LabelDistribution.from_labels(demo.train["labels"], demo.schema)
    weights = compute_class_weights(counts, weight_strategy="tiered").values.tolist()
    rate = DEMO_OPTIONS["head_learning_rate"]
    WeightedFocalTrainer(demo.model, args, **demo.inputs, loss=PolyLoss(weights), head_learning_rate=rate).train()


if __name__ == "__main__":
    run(main)
