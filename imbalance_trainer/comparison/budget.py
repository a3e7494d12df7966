"""How long each training of a comparison is: in steps, in epochs, or so that all of it takes about some time."""

import math
import re
from dataclasses import dataclass

from ..utils.errors import UsageError

_UNITS = {"": "steps", "steps": "steps", "step": "steps", "epochs": "epochs", "epoch": "epochs"} | {
    "m": "minutes", "min": "minutes", "minutes": "minutes", "h": "hours", "hours": "hours",
}  # fmt: skip
LEAST_STEPS = 50
"""A training of fewer says nothing; a time budget that does not even hold so many is refused."""

MOST_EPOCHS = 20
"""A time budget is not used up by more passes than these."""


@dataclass(frozen=True)
class Budget:
    """An amount and its unit: steps, epochs or seconds (of the whole comparison)."""

    amount: float
    unit: str

    def steps(self, n_rows: int, batch_size: int) -> int:
        """Updates of a training, of a budget that is no time."""
        if self.unit == "steps":
            return int(self.amount)
        return max(1, math.ceil(self.amount * math.ceil(n_rows / batch_size)))

    def steps_in_time(self, n_runs: int, seconds_of_step: float, seconds_of_scoring: float, epoch: int) -> int:
        """Updates of each of n_runs trainings that take the time together, MOST_EPOCHS at most.

        Args:
            n_runs: trainings.
            seconds_of_step: of an update.
            seconds_of_scoring: of what a training does beside its updates.
            epoch: updates of a pass over the data.

        Raises:
            UsageError: a time that does not hold LEAST_STEPS in each.
        """
        steps = int((self.amount / n_runs - seconds_of_scoring) / seconds_of_step)
        if steps < LEAST_STEPS:
            least = n_runs * (LEAST_STEPS * seconds_of_step + seconds_of_scoring) / 60
            raise UsageError(
                f"--budget of {self.amount / 60:g} minutes holds fewer than {LEAST_STEPS} steps for each of {n_runs} "
                f"trainings; give {math.ceil(least)}m or more, fewer methods or seeds, or --frozen true."
            )
        return min(steps, MOST_EPOCHS * epoch)


def read_budget(text: str) -> Budget:
    """A budget such as "500" (steps of each training), "3 epochs", "30m" or "2h" (of the whole comparison).

    Raises:
        UsageError: anything else.

    >>> read_budget("2h"), read_budget("3 epochs")
    (Budget(amount=7200.0, unit='seconds'), Budget(amount=3.0, unit='epochs'))
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(text).lower())
    unit = _UNITS.get(found[2]) if found else None
    amount = float(found[1]) if found else 0.0
    if unit is None or amount <= 0 or (unit == "steps" and amount != int(amount)):
        raise UsageError(
            f'--budget is "500" (steps of each training), "3 epochs", "30m" or "2h" in all; got {text!r}.'
        )
    factor = {"minutes": 60, "hours": 3600}.get(unit)
    return Budget(amount * factor, "seconds") if factor else Budget(amount, unit)
