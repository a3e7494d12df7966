"""A loss as one kernel of torch.compile."""

import torch
from torch import nn

from ..utils.constants import MULTI_LABEL
from ..utils.errors import UsageError, first_line
from .focal import WeightedFocalLoss


def compiled(loss: nn.Module, problem_type: str, n_labels: int, device: torch.device) -> None:
    """Have torch.compile take the loss, in place, and try it, so that what it lacks is said now.

    Args:
        loss: a module as `make_loss` gives it.
        problem_type, n_labels: of the data, for the trial.
        device: where it will run.

    Raises:
        UsageError: it does not compile here: there is no C++ compiler (CPU) or no Triton (GPU), or it is a user's own
            that torch.compile does not take.
    """
    logits = torch.zeros(2, n_labels, device=device, requires_grad=True)
    labels = torch.zeros(2, n_labels, device=device) if problem_type == MULTI_LABEL else torch.tensor([0, 0])
    loss.to(device)
    if isinstance(loss, WeightedFocalLoss) and problem_type == MULTI_LABEL and loss.gamma:
        loss.fuse()
    else:
        loss.compile(dynamic=True)
    try:
        loss(logits, labels.to(device)).backward()
    except UsageError:
        raise
    except Exception as error:  # torch's own kinds change from version to version
        raise UsageError(
            f"compile_loss: torch.compile fails on the loss here ({first_line(error)}); it needs a C++ compiler, on a "
            "GPU Triton. Install one, or leave compile_loss out."
        ) from error
