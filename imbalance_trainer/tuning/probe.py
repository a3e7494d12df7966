"""Linear probe: a ridge regression under any loss, on features that stay as they are."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..metrics.average_precision import StreamingAveragePrecision
from ..utils.numeric import multi_hot

RIDGES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Penalties that are tried, each fit starting from the one before, until two in turn are worse than the best."""

_STEPS, _MOST_AXES = 20, 768  # measured: more change nothing
_WORSE = 2
_HELD_OUT = 0.2


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear layer, and how well it does on rows that it was not fitted on.

    Args:
        weight: (labels, features).
        bias: (labels,).
        ridge: the penalty that held-out rows chose.
        held_out: indices of these rows.
        logits: of them, (held-out rows, labels), from a fit on the others.
        average_precision: the mean over labels of their average precision.
    """

    weight: Tensor
    bias: Tensor
    ridge: float
    held_out: np.ndarray
    logits: np.ndarray
    average_precision: float


def fit_probe(features: Tensor, labels: Tensor, loss: Callable[..., Tensor], bias: Tensor, seed: int = 0) -> Probe:
    """Fit a linear layer to features under a loss, with the ridge that is best on a fifth of the rows.

    Features are standardised and rotated into their principal axes (at most 768), each scaled so that the Hessian is
    near diagonal; L-BFGS with a strong Wolfe line search then needs few steps. The layer that is returned takes the
    features as they are, and is fitted on all rows.

    Args:
        features: (rows, features).
        labels: (rows, labels), or classes (rows,); -100 where unknown.
        loss: called as `loss(logits, labels, reduction="sum")`.
        bias: (labels,), where the bias starts.
        seed: chooses the held-out rows.

    Source: Kumar et al., 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution"
    (linear probing, then fine-tuning).
    """
    rows = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    held_out, fitted = rows.tensor_split([max(1, round(_HELD_OUT * len(rows)))])
    axes = _Axes.of(features[fitted])
    x = axes.of_rows(features)
    gold = multi_hot(labels[held_out].float().cpu(), len(bias))
    solver = _Solver(x[fitted], labels[fitted], loss, axes.scale, bias)
    tried: list[tuple[float, float, tuple[Tensor, Tensor]]] = []
    for ridge in RIDGES:
        layer = solver.fit(ridge)
        tried.append((mean_average_precision(_logits(x[held_out], layer), gold), ridge, layer))
        if len(tried) - 1 - int(np.argmax([fit[0] for fit in tried])) >= _WORSE:
            break
    score, ridge, found = max(tried, key=lambda fit: fit[0])
    logits = _logits(x[held_out], found)
    whole = _Solver(x, labels, loss, axes.scale, bias, found).fit(ridge)
    return Probe(*axes.layer(*whole), ridge, held_out.numpy(), logits, score)


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean of average precision over the labels that have positives. Both (rows, labels)."""
    ranking = StreamingAveragePrecision(labels.shape[1], max_scores=labels.size)
    ranking.update(scores.astype(np.float32), labels)
    there = (labels > 0.5).any(0)
    return float(ranking.compute()[there].mean()) if there.any() else 0.0


def _logits(x: Tensor, layer: tuple[Tensor, Tensor]) -> np.ndarray:
    return (x @ layer[0].T + layer[1]).cpu().numpy()


@dataclass(frozen=True)
class _Axes:
    """Standardised features in their principal axes, scaled."""

    mean: Tensor
    std: Tensor
    rotation: Tensor
    scale: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "_Axes":
        mean, std = features.mean(0), features.std(0, unbiased=False) + 1e-3
        z = (features - mean) / std
        variances, rotation = torch.linalg.eigh((z.T @ z).double() / len(z))
        variances, rotation = variances[-_MOST_AXES:], rotation[:, -_MOST_AXES:]  # the largest, as eigh sorts them
        scale = (0.05 * variances.clamp(min=0) + 0.01).rsqrt()
        return cls(mean, std, rotation.to(features), scale.to(features))

    def of_rows(self, features: Tensor) -> Tensor:
        return ((features - self.mean) / self.std) @ self.rotation * self.scale

    def layer(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias on features as they are."""
        weight = (weight * self.scale) @ self.rotation.T / self.std
        return weight, bias - weight @ self.mean


class _Solver:
    """Minimises the loss over rows, summed over labels, plus ridge / 2 times the squared weights."""

    def __init__(
        self,
        x: Tensor,
        labels: Tensor,
        loss: Callable[..., Tensor],
        scale: Tensor,
        bias: Tensor,
        start: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.x, self.labels, self.loss, self.scale = x, labels, loss, scale
        weight, bias = start or (x.new_zeros(len(bias), x.shape[1]), bias.to(x))
        self.layer = [weight.clone().requires_grad_(), bias.clone().requires_grad_()]

    def fit(self, ridge: float) -> tuple[Tensor, Tensor]:
        """The best weight and bias, from those of the last fit."""
        optimizer = torch.optim.LBFGS(self.layer, max_iter=_STEPS, history_size=10, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            weight, bias = self.layer
            loss = self.loss(self.x @ weight.T + bias, self.labels, reduction="sum") / len(self.x)
            loss = loss + ridge / 2 * (weight * self.scale).square().sum()
            loss.backward()
            return loss

        with torch.enable_grad():
            optimizer.step(closure)
        weight, bias = self.layer
        return weight.detach().clone(), bias.detach().clone()
