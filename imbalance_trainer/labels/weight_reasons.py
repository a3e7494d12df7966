"""Where the weight of a label comes from, as data that is rendered as long or short text."""

from dataclasses import dataclass
from typing import Any

_LONG = {
    "tier": "tier: ratio {0:.3g} >= {1:g}",
    "root_tier": "root: ratio {0:.3g} >= {1:g}",
    "limit": "tier: min(neg:pos {0:.3g}, {1:g})",
    "root_limit": "root: min(neg:pos {0:.3g}, {1:g})",
    "primary": "primary: min(neg:pos {0:.3g}, {1:g})",
    "root_primary": "primary root: min(neg:pos {0:.3g}, {1:g})",
    "rare_are_most": "none: labels of ratio >= {0:g} hold {1:.0%} of all positives",
    "inverse_frequency": "neg:pos {0:.3g}",
    "sqrt_inverse_frequency": "sqrt of neg:pos {0:.3g}",
    "effective_number": "effective number {0:.4g}",
    "balanced": "balanced: {0:.0f} rows / ({1:.0f} x {2:g})",
    "everywhere": "positive in every row",
    "absent": "no positives in training",
    "uncounted": "labels were not counted",
    "not_asked_for": "no weights asked for",
    "custom": "custom",
    "custom_absent": "custom, though no positives in training",
    "text": "{0}",
}
_SHORT = {
    "tier": "ratio >= {1:g}",
    "root_tier": "ratio >= {1:g}",
    "limit": "min(neg:pos, {1:g})",
    "root_limit": "at most {2:.2g}",
    "primary": "primary: at most {1:g}",
    "root_primary": "primary: at most {2:.2g}",
    "rare_are_most": "none: rare labels are most",
    "inverse_frequency": "neg:pos",
    "sqrt_inverse_frequency": "sqrt of neg:pos",
    "balanced": "balanced",
}


@dataclass(frozen=True)
class WeightReason:
    """Where the weight of a label comes from.

    Args:
        kind: a key of the texts above.
        values: the numbers in the text; of "text" the text itself.
        before: the weight before it was capped; None where it was not.
    """

    kind: str
    values: tuple[Any, ...] = ()
    before: float | None = None

    def __str__(self) -> str:
        capped = "" if self.before is None else f", capped from {self.before:.4g}"
        return _LONG[self.kind].format(*self.values) + capped

    @property
    def short(self) -> str:
        """Without the numbers that stand in other columns of a table."""
        capped = "" if self.before is None else f", cut from {self.before:.4g}"
        return _SHORT.get(self.kind, _LONG[self.kind]).format(*self.values) + capped
