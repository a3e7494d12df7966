"""Class weights, and gamma, that move with what each evaluation shows: the note's table, followed step by step.

A weight is raised by half where a label is not learned, never past the cap, and lowered to 0.7 of itself where it is
predicted too often; that is the note's "10 -> 15" and "10 -> 7". It is hysteresis that keeps this from going in
circles: a label has to show the same thing at `patience` evaluations in a row, is then left alone for as many, and
after a change in one direction waits twice as long for one in the other. What is no warning yet (a model that has
hardly learned, a run that improves at every evaluation, too few positives to tell) changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .diagnosis import Finding, Settings, diagnose
from .diagnosis.findings import LOUDER_GAMMA, LOWER_BY, RAISE_BY, SOFTER_GAMMA, WARNING
from .tables import plural

FILE_NAME = "adaptive_weights.json"

GAMMA_STEP = 0.5
"""Gamma moves by so much, between the note's 1.5 and 3."""


@dataclass
class AdaptiveWeights:
    """Weights and gamma in use, and when each was last changed.

    Args:
        weights: {label: weight}.
        gamma: focal_gamma; None where it stays as it is.
        max_weight: the cap.
        patience: evaluations in a row that have to show the same thing.
        evaluations: how many were looked at.
        changed: {label, or "" for gamma: (evaluation, direction)} of the last change.
    """

    weights: dict[str, float]
    gamma: float | None
    max_weight: float
    patience: int = 2
    evaluations: int = 0
    changed: dict[str, tuple[int, int]] = field(default_factory=dict)

    def step(self, history: Sequence[Mapping[str, Any]], settings: Settings) -> list[str]:
        """Look at the last of the evaluations, and change what it calls for.

        Returns:
            A line for each change, for the log; the same on every rank, as it is a function of its arguments.
        """
        self.evaluations += 1
        found = [f for f in diagnose(history, settings, self.patience) if f.severity == WARNING]
        silent = [finding for finding in found if finding.kind in ("not_learned", "at_the_cap")]
        over = [finding for finding in found if finding.kind == "over_predicted"]
        lines = []
        for finding in silent + over:
            direction, now = (-1 if finding in over else +1), self.weights[finding.label]
            if self._may_change(finding.label, direction):
                new = min(now * RAISE_BY, self.max_weight) if direction > 0 else max(now * LOWER_BY, min(1.0, now))
                lines += self._set(finding, new, direction)
        return lines + self._move_gamma(silent, over)

    def to_json(self) -> dict[str, Any]:
        """All of it, as a JSON-able dict."""
        changed = {label: list(when) for label, when in self.changed.items()}
        state = {"weights": dict(self.weights), "gamma": self.gamma, "evaluations": self.evaluations}
        return {"version": 1, **state, "changed": changed}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on where `to_json` left off."""
        self.weights, self.gamma = dict(saved["weights"]), saved["gamma"]
        self.evaluations = saved["evaluations"]
        self.changed = {label: tuple(when) for label, when in saved["changed"].items()}

    def _may_change(self, what: str, direction: int) -> bool:
        if what not in self.changed:
            return True
        when, last = self.changed[what]
        return self.evaluations - when >= self.patience * (1 if direction == last else 2)

    def _set(self, finding: Finding, weight: float, direction: int) -> list[str]:
        before = self.weights[finding.label]
        if weight == before:
            return []
        self.weights[finding.label] = weight
        self.changed[finding.label] = (self.evaluations, direction)
        why = "never found" if direction > 0 else "predicted too often"
        often = f"{finding.evaluations} evaluations in a row"
        return [f"weight of {finding.label!r}: {before:.3g} -> {weight:.3g} ({why}, {often})"]

    def _move_gamma(self, silent: Sequence[Finding], over: Sequence[Finding]) -> list[str]:
        """Up where labels at the cap are still silent, down where most that is wrong is predicted too often."""
        if self.gamma is None:
            return []
        stuck = [finding for finding in silent if finding.kind == "at_the_cap"]
        if stuck and len(stuck) >= len(over):
            direction, gamma = +1, min(self.gamma + GAMMA_STEP, max(LOUDER_GAMMA, self.gamma))
            why = f"{plural(len(stuck), 'label')} at the cap {'is' if len(stuck) == 1 else 'are'} never found"
        elif len(over) >= max(2, len(self.weights) / 4) and len(over) > len(silent):
            direction, gamma = -1, max(self.gamma - GAMMA_STEP, min(SOFTER_GAMMA, self.gamma))
            why = f"{len(over)} labels are predicted too often"
        else:
            return []
        if gamma == self.gamma or not self._may_change("", direction):
            return []
        before, self.gamma = self.gamma, gamma
        self.changed[""] = (self.evaluations, direction)
        return [f"focal_gamma: {before:g} -> {gamma:g} ({why})"]
