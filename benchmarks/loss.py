"""The loss, forward and backward, against torch's BCE, the focal override that people copy, and the bytes to move.

    python -m benchmarks loss

At up to 500,000 labels, in fp32 and bf16; with unknown and soft labels; the losses of the registry against their
textbook forms; and their peak memory beside the logits.
"""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from imbalance_trainer.losses import LOSSES, WeightedFocalLoss

from .measuring import Ratio, by_turns, copy_seconds, ms

SHAPES = ((32, 28), (64, 4_000), (32, 131_000), (16, 500_000))
LARGE = 4_000_000


def naive_focal(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """The override that people copy, with weights of positives."""
    entropy = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    return ((1 - torch.exp(-entropy)) ** 2 * entropy * (1 + (weights - 1) * y)).mean()


def torchvision_focal(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """The formula of torchvision.ops.sigmoid_focal_loss, with weights of positives in the place of its alpha."""
    p = torch.sigmoid(x)
    entropy = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    p_t = p * y + (1 - p) * (1 - y)
    return (entropy * (1 - p_t) ** 2 * (weights * y + (1 - y))).mean()


def textbook_asymmetric(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """The asymmetric loss as its paper writes it (gammas 4 and 1, shift 0.05)."""
    p = torch.sigmoid(x)
    not_p = (1 - p + 0.05).clamp(max=1)
    logs = weights * y * torch.log(p.clamp(min=1e-8)) + (1 - y) * torch.log(not_p.clamp(min=1e-8))
    p_t, gamma = p * y + not_p * (1 - y), 1 * y + 4 * (1 - y)
    return -(logs * torch.pow(1 - p_t, gamma)).mean()


TEXTBOOK = {
    "asymmetric": textbook_asymmetric,
}


def batch(
    rows: int, labels: int, dtype: torch.dtype = torch.float32, kind: str = "hard"
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits that take a gradient, labels and class weights."""
    torch.manual_seed(0)
    logits = (torch.randn(rows, labels) * 2 - 3).to(dtype).requires_grad_()
    gold = (torch.rand(rows, labels) < 0.01).float()
    if kind == "soft":
        gold = (gold * 0.9 + 0.05).float()
    elif kind == "masked":
        gold[torch.rand(rows, labels) < 0.1] = -100
    return logits, gold, 1 + 9 * torch.rand(labels)


def step(loss: Callable[..., Tensor], logits: Tensor, *more: Tensor) -> Callable[[], None]:
    """A forward and a backward, with an upstream gradient other than 1 as in accumulation."""

    def call() -> None:
        logits.grad = None
        (loss(logits, *more) / 3).backward()

    return call


def focal_ratios(quick: bool) -> list[Ratio]:
    """Time of the focal loss."""
    found: list[Ratio] = []
    cases = [(*shape, torch.float32, "hard") for shape in SHAPES]
    cases += [(16, 500_000, torch.bfloat16, "hard"), (32, 131_000, torch.float32, "masked"),
              (32, 131_000, torch.float32, "soft")]  # fmt: skip
    for rows, labels, dtype, kind in cases:
        if quick and (labels > 131_000 or kind != "hard"):
            continue
        logits, gold, weights = batch(rows, labels, dtype, kind)
        plain = gold.clamp(min=0).to(dtype)  # what knows no mask is timed on known labels
        bce = lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w)  # noqa: E731
        ours = step(WeightedFocalLoss(weights, reduction="sum"), logits, gold)  # as the trainer calls it
        others = {
            "naive override": step(naive_focal, logits, plain, weights.to(dtype)),
            "BCEWithLogitsLoss(pos_weight)": step(bce, logits, plain, weights.to(dtype)),
            "torchvision's formula": step(torchvision_focal, logits, plain, weights.to(dtype)),
        }
        entries = rows * labels
        name = f"focal, {rows} x {labels:,} {str(dtype).removeprefix('torch.')}"
        name += f", {kind} labels" if kind != "hard" else ""
        for beside, theirs in others.items():
            times = by_turns({"ours": ours, beside: theirs}, 1_000 if entries < 10_000 else 5 if quick else 15)
            target = 1.0 if beside == "naive override" else None
            found.append(Ratio(name, beside, times["ours"] / times[beside], target, ours=ms(times["ours"])))
        if entries >= LARGE:
            floor = copy_seconds(entries * (2 * logits.element_size() + gold.element_size()))
            found.append(Ratio(name, "bytes at copy bandwidth", times["ours"] / floor, None, ours=ms(times["ours"])))
    return found


def memory_ratios() -> list[Ratio]:
    """Peak memory of a forward and a backward, over the bytes of the logits, which are there already."""
    found: list[Ratio] = []
    rows, labels = 16, 500_000
    for dtype, target in (("float32", 1.15), ("bfloat16", 1.5)):
        for who, wanted in (("focal", target), ("naive override", None)):
            ratio = grown_by(who, rows, labels, dtype)
            if ratio is not None:
                word = f"peak memory, {who}, {rows} x {labels:,} {dtype}"
                found.append(Ratio(word, "bytes of the logits", ratio, wanted))
    return found


GROWN = """
import sys
import torch
from benchmarks import loss, measuring
who, rows, labels, dtype = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), getattr(torch, sys.argv[4])
loss.contender(who, *loss.batch(4, 1_000, dtype))()  # code is loaded, and what is kept is there
logits, *more = loss.batch(rows, labels, dtype)
call = loss.contender(who, logits, *more)
with measuring.peak_memory() as grown:
    call()
print(grown[0] / logits.nbytes if grown else -1)
"""


def grown_by(who: str, rows: int, labels: int, dtype: str = "float32") -> float | None:
    """By how many times the logits' bytes a fresh process grows at most; None where that cannot be seen. Its allocator
    is told to keep nothing that is freed, which would be given again and not be seen."""
    command = [sys.executable, "-c", GROWN, who, str(rows), str(labels), dtype]
    kept_back = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    ratio = float(subprocess.run(command, capture_output=True, text=True, check=True, env=kept_back).stdout)
    return None if ratio < 0 else ratio


def contender(who: str, logits: Tensor, gold: Tensor, weights: Tensor) -> Callable[[], None]:
    """A forward and a backward of a loss of the registry, of its textbook form, or of the naive override."""
    if who == "naive override":
        return step(naive_focal, logits, gold, weights.to(logits.dtype))
    name, _, form = who.partition(", ")
    if form:
        return step(TEXTBOOK[name], logits, gold, weights)
    n = logits.shape[1]
    support = np.random.default_rng(0).integers(1, 1_000, n)
    arguments = {"support": support, "n_rows": np.full(n, 20_000), "class_weights": weights}
    takes = inspect.signature(LOSSES[name]).parameters
    return step(LOSSES[name](**{key: value for key, value in arguments.items() if key in takes}), logits, gold)


def registry_ratios(quick: bool) -> list[Ratio]:
    """The losses of the registry, multi-label, against their textbook forms."""
    found: list[Ratio] = []
    rows, labels = (4, 131_000) if quick else (32, 131_000)
    arguments = batch(rows, labels)
    for name in TEXTBOOK:
        ours, theirs = name, f"{name}, textbook"
        times = by_turns({who: contender(who, *arguments) for who in (ours, theirs)}, 1 if quick else 9)
        word = f"{name}, {rows} x {labels:,}"
        ratio = times[ours] / times[theirs]
        # the textbook form clamps probabilities, where ours is exact for every logit
        found.append(Ratio(word, "textbook form", ratio, 2.0, ours=ms(times[ours])))
    return found


def error_ratios(quick: bool) -> list[Ratio]:
    """The largest error of the fp32 gradient relative to fp64's, which tests hold to 60 digits, for logits to 1e4."""
    x = torch.cat([torch.linspace(-16, 16, 4_001), torch.tensor([-1e4, -100, 100, 1e4])])[:, None]
    worst = 0.0
    for gamma in (0.5, 1.0, 2.0, 3.0, 5.0):
        loss = WeightedFocalLoss([7.0], gamma, reduction="sum")
        for y in (0.0, 1.0):
            gradients = []
            for dtype in (torch.float32, torch.float64):
                leaf = x.detach().clone().to(dtype).requires_grad_()
                loss(leaf, torch.full_like(x, y)).backward()
                gradients.append(leaf.grad.double())
            got, exact = gradients
            seen = exact.abs() > torch.finfo(torch.float32).tiny
            worst = max(worst, float(((got - exact).abs() / exact.abs())[seen].max()))
    return [Ratio("fp32 gradient, relative error", "fp64", worst, 5e-6)]


def ratios(quick: bool) -> list[Ratio]:
    """All of this part."""
    memory = [] if quick else memory_ratios()
    return [*error_ratios(quick), *focal_ratios(quick), *memory, *registry_ratios(quick)]
