"""The words of the analysis in parts, the same in a terminal, in Markdown and on a page."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..metrics.imbalance_metrics import rarest_shown
from ..utils.text import pluralize, shorten
from .analyze import Analysis
from .counts import partners
from .dataset_stats import HALF_WIDTH, positives_for
from .label_table import compact_number, percent, short_count
from .limitations import about

_THRESHOLDS = {
    "own": "tuned on the label's positives",
    "unsure": "tuned on few positives",
    "shared": "one for all labels",
    "0.5": "not tuned",
    "highest": "the largest score decides",
}
"""Legend of the column "threshold", see `threshold_plan`."""


@dataclass(frozen=True)
class Table:
    """Cells as text. The first column has label names; columns in `left` are text, the others numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Part:
    """A part of the analysis.

    Args:
        key: name for links.
        title: heading.
        sentences: text before the table.
        table: numbers by label.
        items: (head, text) after the table.
    """

    key: str
    title: str
    sentences: tuple[str, ...] = ()
    table: Table | None = None
    items: tuple[tuple[str, str], ...] = ()


def shown_labels(analysis: Analysis, max_rows: int | None) -> np.ndarray:
    """The labels in tables: the rarest `max_rows`; for None all, or of more than 50 the 20 rarest."""
    order = analysis.rarest_first
    return rarest_shown(order) if max_rows is None else order[:max_rows]


def summary_part(analysis: Analysis) -> Part:
    """Tiers, mean imbalance ratio, labels per row, unknown entries."""
    counts, labels = analysis.counts, analysis.counts.labels
    tiers = [f"{tier} {_tier(labels.support[i])}" for tier, i in labels.tiers().items() if len(i)]
    sentences = [f"By support: {'; '.join(tiers)}."]
    if (mean := counts.labels.mean_ir) > 1:  # 1: all are as frequent
        sentences.append(
            f"The commonest label has on average {compact_number(mean)} times the positives of a label (MeanIR), at "
            f"most {compact_number(_largest(counts.labels.irlbl))} times (IRLbl)."
        )
    if analysis.recommendation.threshold[0] != "highest" and analysis.counts.labels_per_row.any():
        sentences.append(_labels_per_row(analysis))
    sentences += _unknown(analysis)
    return Part("rows", "Labels and rows", tuple(sentences))


def sample_part(analysis: Analysis, max_rows: int | None = None) -> Part | None:
    """Estimated positives in all rows, where a sample was counted."""
    counts = analysis.counts
    if not counts.is_sample:
        return None
    labels, (low, high) = counts.labels, counts.interval()
    times = labels.row_total / labels.n_rows
    rows = tuple(
        (
            labels.schema.names[i],
            compact_number(labels.support[i]),
            compact_number(labels.support[i] * times),
            f"{compact_number(np.floor(low[i]))} to {compact_number(np.ceil(high[i]))}",
        )
        for i in shown_labels(analysis, max_rows)
    )
    sentence = (
        f"Counted were {labels.n_rows:,} of {labels.row_total:,} rows. The range has the positives in all rows with "
        "95% confidence, if these are a random sample."
    )
    return Part("sample", "In all rows", (sentence,), Table(("label", "counted", "in all", "95% range"), rows))


def cooccurrence_part(analysis: Analysis, max_rows: int | None = None, most: int = 10) -> Part | None:
    """The two labels that co-occur most often with each of the `most` rarest ones. Labels implied by a rule of the
    schema are left out."""
    counts, names = analysis.counts, analysis.counts.labels.schema.names
    if counts.pairs is None or analysis.recommendation.threshold[0] == "highest":
        return None
    tail = [i for i in counts.labels.tiers()["tail"][::-1] if counts.labels.support[i] > 0]
    items = []
    for i in tail[: most if max_rows is None else min(max_rows, most)]:
        of, implied = short_count(counts.positives[i]), counts.labels.schema.ancestors[i]
        also = [f"{n:,} of {of} also {shorten(names[j], 40)}" for j, n in partners(counts, i, implied)[:2]]
        none = f"0 of {of} with {'a label that no rule implies' if implied else 'another label'}"
        items.append((names[i], ", ".join(also) or none))
    if not items:
        return None
    sentence = "Rows in which a rare label co-occurs with another; a model may confuse the two."
    return Part("cooccurrence", "Co-occurrence of the rarest labels", (sentence,), items=tuple(items))


def splits_part(analysis: Analysis, most: int = 20) -> Part:
    """Prevalence shifts between splits, labels missing in a split, and data-quality warnings."""
    names = analysis.counts.labels.schema.names
    rows, sentences = [], []
    for other, shift in analysis.shifts.items():
        differ = shift.differs
        said = f"{len(differ):,} of {pluralize(len(names), 'label')}" if len(differ) else "no label"
        verb = "are" if len(differ) > 1 else "is"
        sentences.append(f"{other} against train: {said} {verb} rarer or commoner than chance explains.")
        for i in differ[:most]:
            word = f"{'commoner' if shift.ratio[i] > 1 else 'rarer'} x{compact_number(shift.ratio[i])}"
            shares = (f"{percent(shift.before[i])}%", f"{percent(shift.after[i])}%")
            rows.append((names[i], other, *shares, word if shift.before[i] else "only there", _q(shift.q[i])))
        if len(differ) > most:
            sentences.append(f"Listed are the {most} surest in {other}.")
    if rows:
        sentences.append("Two-proportion test, false discovery rate 5% (Benjamini & Hochberg); q is the adjusted p.")
    absent = [
        f"{split} has no positive of {pluralize(len(labels), 'label')}: {_some(names[i] for i in labels)}."
        for split, labels in analysis.missing.items()
    ]
    sentences += [f"Warning: {warning}" for warning in analysis.data_warnings] or absent  # warnings name these too
    header = ("label", "split", "in train", "there", "", "q")
    return Part("splits", "Between the splits", tuple(sentences), Table(header, tuple(rows), (0, 1)) if rows else None)


def validation_part(analysis: Analysis, max_rows: int | None = None) -> Part:
    """How precisely the validation split measures each label, and which threshold each label gets."""
    found, names = analysis.recommendation, analysis.counts.labels.schema.names
    rows = tuple(
        (
            names[i],
            compact_number(found.validation_support[i]),
            f"{found.recall_low[i]:.2f}-{found.recall_high[i]:.2f}",
            about(found.validation_rows[i]),
            found.threshold[i],
        )
        for i in shown_labels(analysis, max_rows)
    )
    enough = int((found.validation_support >= positives_for(HALF_WIDTH)).sum())
    n_rows = analysis.splits["validation"].labels.row_total
    sentence = (
        f"A measured recall of 0.5 means the range below (95%, Wilson). For +-{HALF_WIDTH:g} a label needs "
        f"{positives_for(HALF_WIDTH)} positives: {enough:,} of {pluralize(len(names), 'label')} have them in the "
        f"{n_rows:,} rows; the others need about the rows below."
    )
    legend = ", ".join(f"{word} ({meaning})" for word, meaning in _THRESHOLDS.items() if word in found.threshold)
    header = ("label", "positives", "a recall of 0.5 may be", "rows needed", "threshold")
    sentences = (sentence, f"Threshold: {legend}.")
    return Part("validation", "What validation can measure", sentences, Table(header, rows, (0, 4)))


def recommendation_part(analysis: Analysis) -> Part:
    """The settings, each with its reason."""
    items = tuple(
        (f"--{c.flag} {str(c.value).lower() if isinstance(c.value, bool) else c.value}", f"{c.reason} [{c.source}]")
        for c in analysis.recommendation.choices
    )
    return Part("recommendation", "Recommended settings", items=items)


def limitations_part(analysis: Analysis) -> Part | None:
    """Problems no setting can fix."""
    found = analysis.recommendation.warnings
    return Part("limitations", "Problems no setting can fix", found) if found else None


def parts_after_the_table(analysis: Analysis, max_rows: int | None = None) -> list[Part]:
    """All parts but the table of labels. The recommendation is last: the last lines in a terminal are read first."""
    parts = (
        summary_part(analysis),
        sample_part(analysis, max_rows),
        cooccurrence_part(analysis, max_rows),
        splits_part(analysis),
        validation_part(analysis, max_rows),
        limitations_part(analysis),
        recommendation_part(analysis),
    )
    return [part for part in parts if part is not None]


def _labels_per_row(analysis: Analysis) -> str:
    histogram = analysis.counts.labels_per_row
    seen = [(n, int(rows)) for n, rows in enumerate(histogram) if rows]
    shown = [f"{n}: {rows:,}" for n, rows in seen[:5]]
    if len(seen) > 5:
        shown.append(f"{seen[5][0]} and more: {sum(rows for _, rows in seen[5:]):,}")
    return f"Labels in a row: {analysis.counts.mean_labels:.3g} on average; rows with {', '.join(shown)}."


def _unknown(analysis: Analysis) -> list[str]:
    """Unknown entries, and rows without a known label."""
    labels, sentences = analysis.counts.labels, []
    found = [(int(n), name) for n, name in zip(labels.unknown, labels.schema.names, strict=True) if n > 0]
    if found:
        most = ", ".join(f"{name!r} {n:,}" for n, name in sorted(found, key=lambda counted: -counted[0])[:3])
        where = f"in {pluralize(len(found), 'label')}{', most' * (len(found) > 3)}: {most}"
        sentences.append(f"Unknown entries (-100): {sum(n for n, _ in found):,} {where}. % is of the known entries.")
    if rows := labels.n_rows_unknown:
        sentences.append(f"Rows without a known label, which teach nothing: {rows:,}.")
    return sentences


def _tier(support: np.ndarray) -> str:
    low, high = (short_count(v) for v in (support.min(), support.max()))
    return f"{len(support):,} with {low if low == high else f'{low} to {high}'}"


def _largest(values: np.ndarray) -> float:
    return float(values[np.isfinite(values)].max(initial=0.0))


def _some(names: Iterable[str], shown: int = 3) -> str:
    names = list(names)
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(map(repr, names[:shown])) + more


def _q(q: float) -> str:
    return "<0.001" if q < 0.001 else f"{q:.3f}"
