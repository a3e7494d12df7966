"""Problems no setting can fix, as sentences with the numbers and what to do."""

import math
from collections.abc import Callable

import numpy as np

from ..utils.numeric import wilson_interval
from .dataset_stats import ENOUGH, FEW, HALF_WIDTH, DatasetStats, positives_for, rows_for


def warn_of_none(facts: DatasetStats) -> str:
    """Labels without positives in training."""
    absent = np.flatnonzero(facts.train.support <= 0)
    if not len(absent):
        return ""
    if facts.is_sample:
        return (
            f"{_labels(facts, absent)} {_has(absent)} no positive in {facts.rows_of('training')}: how rare "
            f"{'it is' if len(absent) == 1 else 'they are'} cannot be told from them; count more rows, or all."
        )
    return (
        f"{_labels(facts, absent)} {_has(absent)} no positive in {facts.rows_of('training')}: no weight, loss or "
        f"threshold can teach {_them(absent)}. Search for rows that have {_them(absent)}, or drop {_them(absent)}."
    )


def warn_of_few(facts: DatasetStats, few: int = FEW, enough: int = ENOUGH) -> str:
    """Labels with fewer than `few` positives in training, and the rows needed for `enough`."""
    support = facts.train.support
    scarce = facts.present[support[facts.present] < few]
    if not len(scarce):
        return ""
    rows = rows_for(enough - support, facts.train)[scarce]
    span = about(rows.min()) if len(scarce) == 1 else f"{about(rows.min())} to {about(rows.max())}"
    each = "it" if len(scarce) == 1 else "each"
    return (
        f"{_labels(facts, scarce)} {_has(scarce)} {_fewer(support[scarce], few, 'training')}: no setting will make "
        f"the model learn {_them(scarce)} reliably, and data is what helps. {enough} positives of {each} would take "
        f"about {span} more rows drawn as these were; far fewer if you search for likely ones."
    )


def warn_of_unseen(facts: DatasetStats) -> str:
    """Labels with positives in training but not in validation."""
    unseen = facts.present[facts.validation.support[facts.present] <= 0]
    if not len(unseen):
        return ""
    they, where = "it is" if len(unseen) == 1 else "they are", facts.rows_of("validation")
    return (
        f"{_labels(facts, unseen)} {_has(unseen)} no positive in {where}: whether {they} learned cannot be seen "
        f"there, and {_its(unseen)} F1 counts as 0 in every macro value."
    )


def warn_of_small_validation(facts: DatasetStats, half_width: float = HALF_WIDTH) -> str:
    """Labels whose recall validation measures less precisely than +-half_width (Wilson, 1927)."""
    needed, here = positives_for(half_width), facts.validation.support
    unsure = facts.present[(here[facts.present] < needed) & (here[facts.present] > 0)]
    if not len(unsure):
        return ""
    worst = unsure[np.argmin(here[unsure])]
    low, high = wilson_interval(here[worst] / 2, here[worst])
    rows = rows_for(needed, facts.train)[worst]
    return (
        f"{_labels(facts, unsure)} {_has(unsure)} {_fewer(here[unsure], needed, 'validation')}, so {_its(unsure)} "
        f"recall cannot be measured to +-{half_width:g}: one of 0.5 of {facts.train.schema.names[worst]!r} would mean "
        f"{low:.2f} to {high:.2f} (95% interval). About {about(rows)} validation rows would do for that label at "
        f"its rate in training; the split has {facts.validation.n_rows:,}."
    )


def warn_of_violations(facts: DatasetStats, share: float = 0.01) -> str:
    """Implications that more than `share` of the child's positives in training violate, and exclusive groups that more
    than `share` of the rows do: the constraint contradicts these rows."""
    counts, found = facts.train, []
    if facts.asked_for.get("constraint") == "none":
        return ""
    for i in range(len(counts.schema.implications), len(counts.violations)):
        if counts.violations[i] > share * counts.n_rows:
            found.append(f"{counts.schema.rules[i]} in {counts.violations[i]:,.0f} of {counts.n_rows:,} rows")
    for i, (child, _) in enumerate(counts.schema.implication_indices):
        broken = float(counts.violations[i]) if len(counts.violations) else 0.0
        if counts.support[child] > 0 and broken > share * counts.support[child]:
            found.append(f"{counts.schema.rules[i]} in {broken:,.0f} of {counts.support[child]:,.0f} positives")
    if not found:
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (
        f"The training rows violate rules of the schema ({'; '.join(found[:3])}{more}): the constraint teaches the "
        "opposite there. Correct the rows, or remove the rule from label_info.json."
    )


LIMITATIONS: tuple[Callable[[DatasetStats], str], ...] = (
    warn_of_none,
    warn_of_few,
    warn_of_unseen,
    warn_of_small_validation,
    warn_of_violations,
)
"""The checks, the worst problem first. A check gives "" where there is no problem."""


def about(rows: float) -> str:
    """A number of rows in two digits, rounded up, as few positives allow no more precision.

    >>> about(15_123), about(7), about(float("inf"))
    ('16,000', '7', '-')
    """
    if not math.isfinite(rows):
        return "-"
    size = 10 ** max(int(math.log10(max(rows, 1))) - 1, 0)
    return f"{math.ceil(rows / size) * size:,.0f}"


def _labels(facts: DatasetStats, labels: np.ndarray, shown: int = 3) -> str:
    names = [repr(facts.train.schema.names[i]) for i in labels[:shown]]
    if len(labels) == 1:
        return f"Label {names[0]}"
    if len(labels) == len(facts.train.schema):
        return f"All {len(labels):,} labels"
    more = f" and {len(labels) - shown:,} more" if len(labels) > shown else ""
    return f"{len(labels):,} labels ({', '.join(names)}{more})"


def _fewer(support: np.ndarray, limit: int, split: str) -> str:
    """That there are too few positives; for one label with their number."""
    if len(support) > 1:
        return f"fewer than {limit} positives in {split}"
    return f"{support[0]:,.3g} positive{'' if support[0] == 1 else 's'} in {split}, fewer than {limit}"


def _has(labels: np.ndarray) -> str:
    return "has" if len(labels) == 1 else "have"


def _them(labels: np.ndarray) -> str:
    return "it" if len(labels) == 1 else "them"


def _its(labels: np.ndarray) -> str:
    return "its" if len(labels) == 1 else "their"
