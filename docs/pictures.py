"""The pictures of docs/class-imbalance.md.

    python docs/pictures.py    # writes docs/pictures/*.png

Each curve is what the package itself computes.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from imbalance_trainer import LabelDistribution, LabelSchema, compute_class_weights, weighted_focal_loss
from imbalance_trainer.data.demo import demo_schema
from imbalance_trainer.labels.class_weights import STRATEGIES
from imbalance_trainer.utils.constants import MAX_WEIGHT

FOLDER = Path(__file__).with_name("pictures")
GAMMAS = (0.0, 1.0, 2.0, 5.0)

# the demo's rows and positives (docs/analysis.md)
N_ROWS = 10_000
SUPPORT = (3181, 2000, 1200, 750, 450, 280, 170, 100, 60, 32, 20)
COMMONEST = max(SUPPORT[1:])  # of the secondary labels

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")  # told apart by the colour-blind too
_DASHES = ("-", (0, (6, 2)), (0, (1, 1.5)), (0, (4, 1, 1, 1)), "-.")
_GREY = "#777777"


def weight_at(strategy: str, ratio: float, max_weight: float = MAX_WEIGHT) -> float:
    """The weight of a secondary label with this imbalance ratio, the twelfth beside the demo's eleven."""
    of_demo = demo_schema()
    schema = LabelSchema((*of_demo.names, "another"), {"primary": tuple(of_demo.groups["primary"])})
    counts = LabelDistribution.from_counts([*SUPPORT, COMMONEST / ratio], N_ROWS, schema)
    return float(compute_class_weights(counts, "auto", strategy, max_weight).values[-1])


def focal_factor(p: np.ndarray, gamma: float) -> np.ndarray:
    """The loss of a positive with probability p, divided by its cross-entropy."""
    logits = torch.logit(torch.from_numpy(p))[:, None]
    loss, plain = (
        weighted_focal_loss(logits, torch.ones_like(logits), gamma=g, reduction="none")[:, 0].numpy()
        for g in (gamma, 0.0)
    )
    return loss / plain


def draw_weights(path: Path) -> None:
    """Weight over imbalance ratio, a line for each strategy, up to the cap."""
    figure, panel = _panel("Class weight of a label, by strategy")
    ratios = np.unique(np.concatenate([np.geomspace(1, 200, 160), [9.999, 10.001, 29.999, 30.001]]))
    for name, colour, dashes in zip(STRATEGIES, _COLOURS, _DASHES, strict=True):
        weights = [weight_at(name, ratio) for ratio in ratios]
        wide = 3.2 if name == "sqrt_tiered" else 1.8
        label = f"{name} (default)" if name == "sqrt_tiered" else name
        panel.plot(ratios, weights, color=colour, linestyle=dashes, linewidth=wide, label=label)
    panel.axhline(MAX_WEIGHT, color=_GREY, linewidth=0.8)
    panel.annotate(f"cap {MAX_WEIGHT:g}", (1.05, MAX_WEIGHT * 1.08), color=_GREY, fontsize=9)
    panel.set(xscale="log", yscale="log", xlim=(1, 200), ylim=(0.05, 40))
    panel.set(xlabel="imbalance ratio: positives of the commonest secondary label / of this label", ylabel="weight")
    panel.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    panel.set_yticks([0.1, 0.3, 1, 3, 10, 20], ["0.1", "0.3", "1", "3", "10", "20"])
    panel.minorticks_off()
    panel.legend(frameon=False, fontsize=9, loc="lower right")
    _save(figure, path)


def draw_focal(path: Path) -> None:
    """The focal factor over p_t, a line for each gamma."""
    figure, panel = _panel("What the focal term leaves of an entry's loss")
    p = np.linspace(0.002, 0.998, 400)
    named_at = {0.0: (0.6, 1.03), 1.0: (0.6, 0.43), 2.0: (0.25, 0.3), 5.0: (0.03, 0.3)}
    lines = zip(GAMMAS, (_COLOURS[4], *_COLOURS[1:3], _COLOURS[3]), (*_DASHES[1:3], "-", _DASHES[3]), strict=True)
    for gamma, colour, dashes in lines:
        wide, name = (3.2, f"gamma {gamma:g},\nthe default") if gamma == 2 else (1.8, f"gamma {gamma:g}")
        panel.plot(p, focal_factor(p, gamma), color=colour, linestyle=dashes, linewidth=wide)
        panel.annotate(name, named_at[gamma], color=colour, fontsize=10)
    at = 0.9
    panel.axvline(at, color=_GREY, linewidth=0.8)
    left = "\n".join(f"gamma {gamma:g}: {focal_factor(np.array([at]), gamma)[0]:.6g}" for gamma in GAMMAS)
    panel.annotate(f"left at p_t = {at:g}\n{left}", (at - 0.01, 0.6), ha="right", color=_GREY, fontsize=9)
    panel.set(xlim=(0, 1), ylim=(0, 1.1), ylabel="(1 - p_t) ^ gamma")
    panel.set(xlabel="p_t: probability that the model gives to what is right")
    _save(figure, path)


def _panel(title: str) -> tuple:
    figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
    panel.set_title(title, loc="left", fontsize=12)
    panel.grid(color="#e3e3e3", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    return figure, panel


def _save(figure: plt.Figure, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})  # no version: the same picture is the same file
    plt.close(figure)


PICTURES = {"weights.png": draw_weights, "focal.png": draw_focal}
"""What is drawn into which file."""


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        draw(FOLDER / name)
        print(f"Wrote {FOLDER.name}/{name}.")
