"""Floors for metrics, `--fail_under secondary_f1_macro=0.4`: a script that misses one ends with exit code 5."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..labels.schema import LabelSchema
from ..metrics.imbalance_metrics import LOWER_IS_BETTER, ImbalanceMetrics
from ..monitor.run_files import Results
from ..utils.errors import QualityGateError, UsageError, did_you_mean

HELP = "Floors, such as secondary_f1_macro=0.4: end with exit code 5 if a metric of the {} is under its own."
"""Help of the flag, with the data that it is about."""

_OF_LABELS = ("recall", "precision", "f1", "average_precision")


def read_floors(given: Sequence[str] | None) -> dict[str, float]:
    """Floors by metric, from the texts of the flag.

    Raises:
        UsageError: a text that is not `name=value`, a value outside [0, 1], or a name that stands twice.

    >>> read_floors(["f1_macro=0.4"])
    {'f1_macro': 0.4}
    """
    floors: dict[str, float] = {}
    for text in given or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        try:
            floor = float(value)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise UsageError(f"--fail_under {text}: expected name=value, such as secondary_f1_macro=0.4.")
        if not 0 <= floor <= 1:
            raise UsageError(f"--fail_under {text}: a floor lies in [0, 1], as the metrics do.")
        if name in floors:
            raise UsageError(f"--fail_under: {name!r} stands twice; give it once.")
        floors[name] = floor
    return floors


def checked_floors(floors: Mapping[str, float], schema: LabelSchema, split: str) -> dict[str, float]:
    """The same floors by the metrics' names without the prefix of the split, once it is clear that they exist.

    Args:
        floors: by name, with the prefix of the split or without.
        schema: the labels, as each has recall, precision, F1 and average precision of its own.
        split: what is evaluated; its name is the prefix.

    Raises:
        UsageError: a metric that does not exist, that is best when low, or that stands twice.
    """
    supports = {f"support_{slug}" for slug in schema.slugs}
    names = ImbalanceMetrics(schema).keys()
    of_all = [name for name in names if name not in supports]
    of_labels = [f"{metric}_{slug}" for slug in schema.slugs for metric in _OF_LABELS]
    low_is_best = (*LOWER_IS_BETTER, "loss")
    known = [name for name in dict.fromkeys((*of_all, *of_labels)) if name not in low_is_best]
    checked: dict[str, float] = {}
    for given, floor in floors.items():
        name = given if given in (*known, *low_is_best) else given.removeprefix(f"{split}_")
        if name in low_is_best:
            raise UsageError(
                f"--fail_under {given}: is best when it is low, so that a floor would pass what is bad; a limit from "
                "above (--fail_over) does not exist."
            )
        if name not in known:
            raise UsageError(f"--fail_under: unknown metric {given!r}: {did_you_mean(name, known)}")
        if name in checked:
            raise UsageError(f"--fail_under: {name!r} stands twice; give it once.")
        checked[name] = floor
    return checked


def check_results(results: Results, floors: Mapping[str, float], schema: LabelSchema) -> None:
    """Nothing where every metric is at its floor or over it.

    Args:
        results: the evaluation.
        floors: what `checked_floors` gave.
        schema: the labels.

    Raises:
        QualityGateError: a line for each metric that is under its floor or is no number.
    """
    values = {**_values_of_labels(results.labels, schema), **results.metrics}
    under = []
    for name, floor in floors.items():
        value = values.get(name)
        value = float("nan") if value is None else value
        if not value >= floor:
            digits = max(3, len(f"{floor:g}".partition(".")[2]))
            shown = f"{value:.{digits}f}"
            shown = f"{value!r}" if shown == f"{floor:.{digits}f}" else shown  # else it would say 0.400 is under 0.4
            under.append(f"{name} is {shown}, under the floor of {floor:g} ({results.split})")
    if under:
        raise QualityGateError("\n".join(under))


def _values_of_labels(rows: Sequence[Mapping[str, Any]], schema: LabelSchema) -> dict[str, float | None]:
    slugs = dict(zip(schema.names, schema.slugs, strict=True))
    return {f"{metric}_{slugs[row['label']]}": row.get(metric) for row in rows for metric in _OF_LABELS}
