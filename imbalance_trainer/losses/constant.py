"""The best that a model can do which does not look at its input: the logit of each label at which a loss is least."""

import numpy as np
import torch
from torch import nn

_FARTHEST, _STEPS, _ROUNDS = 16.0, 65, 4


def best_constant_logits(loss: nn.Module, support: np.ndarray, known: np.ndarray) -> np.ndarray:
    r"""For each label the logit at which a loss is least over the training data, if it were the same in every row.

    Label by label: :math:`\arg\min_z n_+ L(z, 1) + n_- L(z, 0)`. For binary cross-entropy that is the log-odds of the
    prevalence; class weights, a focal term and asymmetric losses each move it.

    Args:
        loss: gives the loss of each entry with reduction="none". Where that depends on the row's other labels
            (`elementwise`), binary cross-entropy stands in.
        support, known: positives and known entries of each label in training, (labels,).

    Returns:
        (labels,), float64, within ±16. A label without positives, or without negatives, counts as having half a one.
    """
    known = np.maximum(np.asarray(known, dtype=np.float64), 1)
    positives = np.clip(np.asarray(support, dtype=np.float64), 0.5, np.maximum(known - 0.5, 0.5))
    if not getattr(loss, "elementwise", True):
        return np.clip(np.log(positives / (known - positives).clip(0.5)), -_FARTHEST, _FARTHEST)
    least = _least(loss, torch.from_numpy(positives), torch.from_numpy(known - positives)).numpy()
    return np.clip(least, -_FARTHEST, _FARTHEST)


@torch.no_grad()
def _least(loss: nn.Module, positives: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Search on a grid over all labels at once, then again between the neighbours of what was found."""
    device = next((buffer.device for buffer in loss.buffers()), positives.device)
    positives, negatives, n = positives.to(device), negatives.to(device), len(positives)
    low, high = (positives.new_full((n,), far) for far in (-_FARTHEST, _FARTHEST))
    for _ in range(_ROUNDS):
        z = low + (high - low) * torch.linspace(0, 1, _STEPS).to(positives)[:, None]
        total = positives * loss.forward(z, torch.ones_like(z), reduction="none")  # not what is compiled of it
        total += negatives * loss.forward(z, torch.zeros_like(z), reduction="none")
        best, step = z.gather(0, total.argmin(0, keepdim=True))[0], (high - low) / (_STEPS - 1)
        low, high = best - step, best + step
    return best.cpu()
