"""The best constant logit of each label, as a start for the bias of a head."""

import numpy as np
import torch
from torch import nn

_FARTHEST, _STEPS, _ROUNDS = 16.0, 65, 4


def best_constant_logits(loss: nn.Module, support: np.ndarray, known: np.ndarray) -> np.ndarray:
    r"""Find for each label the logit that minimises a loss over the training data if every row has the same logit.

    Label by label: :math:`\arg\min_z n_+ L(z, 1) + n_- L(z, 0)`. For binary cross-entropy that is the log-odds of the
    prevalence; class weights, a focal term and asymmetric losses each move it.

    Args:
        loss: gives the loss of each entry with reduction="none". For a loss that is not `elementwise`, binary
            cross-entropy is minimised instead.
        support, known: positives and known entries of each label in training, (labels,).

    Returns:
        (labels,), float64, within ±16. A label without positives, or without negatives, counts as having half of one.
    """
    known = np.maximum(np.asarray(known, dtype=np.float64), 1)
    positives = np.clip(np.asarray(support, dtype=np.float64), 0.5, np.maximum(known - 0.5, 0.5))
    if not getattr(loss, "elementwise", True):
        return np.clip(np.log(positives / (known - positives).clip(0.5)), -_FARTHEST, _FARTHEST)
    least = _least(loss, torch.from_numpy(positives), torch.from_numpy(known - positives)).numpy()
    return np.clip(least, -_FARTHEST, _FARTHEST)


@torch.no_grad()
def _least(loss: nn.Module, positives: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Search on a grid, for all labels at once, then again between the neighbours of the best point."""
    device = next((buffer.device for buffer in loss.buffers()), positives.device)
    positives, negatives, n = positives.to(device), negatives.to(device), len(positives)
    low, high = (positives.new_full((n,), far) for far in (-_FARTHEST, _FARTHEST))
    for _ in range(_ROUNDS):
        z = low + (high - low) * torch.linspace(0, 1, _STEPS).to(positives)[:, None]
        total = positives * loss(z, torch.ones_like(z), reduction="none")
        total += negatives * loss(z, torch.zeros_like(z), reduction="none")
        best, step = z.gather(0, total.argmin(0, keepdim=True))[0], (high - low) / (_STEPS - 1)
        low, high = best - step, best + step
    return best.cpu()
