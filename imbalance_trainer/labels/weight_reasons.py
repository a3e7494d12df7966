"""Where the weight of a label comes from, as data that is rendered as long or short text."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..utils.text import sentences_of

_WORDS = sentences_of(Path(__file__).parent / "templates" / "weight_reasons.yaml")


@dataclass(frozen=True)
class WeightReason:
    """Where the weight of a label comes from.

    Args:
        kind: a key of templates/weight_reasons.yaml.
        values: the numbers in the text; of "text" the text itself.
        before: the weight before it was capped; None where it was not.
    """

    kind: str
    values: tuple[Any, ...] = ()
    before: float | None = None

    def __str__(self) -> str:
        capped = "" if self.before is None else f", capped from {self.before:.4g}"
        return _WORDS[self.kind]["long"].render(values=self.values) + capped

    @property
    def short(self) -> str:
        """Without the numbers that stand in other columns of a table."""
        words = _WORDS[self.kind]
        capped = "" if self.before is None else f", cut from {self.before:.4g}"
        return (words.get("short") or words["long"]).render(values=self.values) + capped
