"""Floors for metrics, `--fail_under secondary_f1_macro=0.4`: a script that misses one ends with exit code 5."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import LOWER_IS_BETTER, ImbalanceMetrics
from ..monitor.run_files import Results
from ..utils.errors import QualityGateError, UsageError, did_you_mean

HELP = "Floors, such as secondary_f1_macro=0.4: end with exit code 5 if a metric of the {} is under its own."
"""Help of the flag, with the data that it is about."""

_OF_LABELS = ("recall", "precision", "f1", "average_precision")


def read_floors(given: Sequence[str] | None, schema: LabelSchema, split: str) -> dict[str, float]:
    """Floors by the names of metrics, from the texts of the flag.

    Args:
        given: `name=value` each; a name may have the split as its prefix.
        schema: the labels; each has recall, precision, F1 and average precision of its own.
        split: what is evaluated.

    Raises:
        UsageError: a text that is not `name=value`, a value outside [0, 1], or a metric that does not exist, that is
            best when low, or that stands twice.

    >>> read_floors(["f1_macro=0.4", "test_recall_a=1"], LabelSchema(["a", "b"]), "test")
    {'f1_macro': 0.4, 'recall_a': 1.0}
    """
    low_is_best = (*LOWER_IS_BETTER, "loss")
    of_labels = [f"{metric}_{slug}" for slug in schema.slugs for metric in _OF_LABELS]
    others = {*low_is_best, *(f"support_{slug}" for slug in schema.slugs)}
    known = [name for name in dict.fromkeys((*ImbalanceMetrics(schema).keys(), *of_labels)) if name not in others]
    floors: dict[str, float] = {}
    for text in given or ():
        full, _, value = (part.strip() for part in text.partition("="))
        name = full if full in (*known, *low_is_best) else full.removeprefix(f"{split}_")
        try:
            floor = float(value if full else "")
        except ValueError:
            raise UsageError(f"--fail_under {text}: expected name=value, such as secondary_f1_macro=0.4.") from None
        if not 0 <= floor <= 1:
            raise UsageError(f"--fail_under {text}: a floor lies in [0, 1], as the metrics do.")
        if name in low_is_best:
            raise UsageError(
                f"--fail_under {full}: is best when it is low, so that a floor would pass what is bad; a limit from "
                "above (--fail_over) does not exist."
            )
        if name not in known:
            raise UsageError(f"--fail_under: unknown metric {full!r}: {did_you_mean(name, known)}")
        if name in floors:
            raise UsageError(f"--fail_under: {name!r} stands twice; give it once.")
        floors[name] = floor
    return floors


def check_results(results: Results, floors: Mapping[str, float], schema: LabelSchema) -> None:
    """Compare the metrics of an evaluation with their floors.

    Raises:
        QualityGateError: a line for each metric that is under its floor or is no number.
    """
    slugs = dict(zip(schema.names, schema.slugs, strict=True))
    values = {f"{metric}_{slugs[row['label']]}": row.get(metric) for row in results.labels for metric in _OF_LABELS}
    values |= results.shown
    found: dict[str, Any] = {name: math.nan if values.get(name) is None else values[name] for name in floors}
    under = [
        f"{name} is {value:.6g}, under the floor of {floors[name]:g} ({results.split})"
        for name, value in found.items()
        if not value >= floors[name]
    ]
    if under:
        raise QualityGateError("\n".join(under))
