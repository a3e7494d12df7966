"""The parts of an analysis, the same in a terminal and on a page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import RenderableType

from ..labels.class_weights import ClassWeights
from ..labels.distribution import LabelDistribution
from ..metrics.imbalance_metrics import rarest_shown
from ..utils.console import as_text, bullets, text_table
from ..utils.errors import UsageError
from ..utils.text import compact_number, percent, pluralize, sentences_of, short_count, shorten
from .analyze import Analysis
from .counts import partners, positives
from .dataset_stats import HALF_WIDTH, about, positives_for, some

_WORDS = sentences_of(Path(__file__).parent / "templates" / "parts.yaml", plural=pluralize, some=some)


@dataclass(frozen=True)
class Table:
    """Cells as text. The first column has label names; columns in `left` are text, the others numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)


def _table(columns: Mapping[str, Sequence[str]], shown: Iterable[int], left: Sequence[str] = ("label",)) -> Table:
    """The rows `shown` of columns, by their heads; those in `left` are text."""
    rows = tuple(tuple(cells[i] for cells in columns.values()) for i in shown)
    return Table(tuple(columns), rows, tuple(i for i, head in enumerate(columns) if head in left))


@dataclass(frozen=True)
class Part:
    """A part of the analysis.

    Args:
        key: name for links.
        title: heading.
        sentences: text before the table.
        table: numbers by label.
        notes: text after the table.
        items: (head, text) at the end: labels and what is said about each, or settings and their reasons.
    """

    key: str
    title: str
    sentences: tuple[str, ...] = ()
    table: Table | None = None
    notes: tuple[str, ...] = ()
    items: tuple[tuple[str, str], ...] = ()


def analysis_text(analysis: Analysis, max_rows: int | None = None) -> str:
    """The whole analysis as plain text of 80 columns, rarest label first, the recommendation last.

    Args:
        analysis: the analysis.
        max_rows: labels in each table, the rarest; None for all, or of more than 50 the 20 rarest.
    """
    return "\n\n".join(as_text(*part_message(part)) for part in analysis_parts(analysis, max_rows))


def part_message(part: Part, with_title: bool = True) -> list[RenderableType]:
    """A part as paragraphs and tables for `console_print`."""
    message: list[RenderableType] = [part.title, "-" * len(part.title)] if with_title else []
    message += part.sentences
    if part.table is not None:
        message.append(text_table(part.table.header, part.table.rows, part.table.left))
    message += part.notes
    for head, text in part.items:
        is_setting = head.startswith("--")
        message += [bullets([head if is_setting else f"{head}: {text}"], "  ")]
        message += [bullets([text], "    ")] if is_setting else []
    return message


def label_table(
    distribution: LabelDistribution, weights: ClassWeights, max_rows: int | None = None
) -> list[RenderableType]:
    """Counts, ratios and weights of the labels, rarest label first, for `console_print`.

    Below the table are the rules of the schema that rows violate, with their first rows (counted from 1), the worst
    rule first.

    Args:
        distribution: counts of the **training** data.
        weights: its class weights.
        max_rows: labels in the table (the rarest ones), and rules below it; None for all.

    Raises:
        UsageError: weights of other labels than those counted.

    >>> from imbalance_trainer import LabelDistribution, LabelSchema, compute_class_weights
    >>> from imbalance_trainer.utils.console import as_text
    >>> schema = LabelSchema(["hateful", "threat"], {"primary": ["hateful"]}, [("threat", "hateful")])
    >>> counts = LabelDistribution.from_labels([[1, 0]] * 40 + [[0, 0]] * 59 + [[0, 1]], schema)
    >>> print(as_text(*label_table(counts, compute_class_weights(counts))))
    label    positives     %  neg:pos  ratio  weight  reason
    threat           1  1.00       99      1    1.73  at most 1.7
    hateful         40  40.0      1.5  0.025    1.22  primary: at most 1.4
    <BLANKLINE>
      1 row has 'threat' without 'hateful': row 100
    """
    check_same_labels(distribution, weights)
    shown = distribution.rarest_first[:max_rows]
    rules = _rules_part(distribution, max_rows)
    message = part_message(_labels_part("", distribution, weights, shown), with_title=False)
    return message if rules is None else [*message, "", *part_message(rules, with_title=False)]


def check_same_labels(distribution: LabelDistribution, weights: ClassWeights) -> None:
    """Raise a UsageError where weights and counts are not of the same labels in the same order."""
    if tuple(weights.names) != tuple(distribution.schema.names):
        raise UsageError(
            f"The weights are of {len(weights)} labels and the counts of {len(distribution.schema)}, or their order "
            "differs; compute the weights from this distribution."
        )


def analysis_parts(analysis: Analysis, max_rows: int | None = None, wide: bool = False) -> list[Part]:
    """All parts. The recommendation is last: the last lines in a terminal are read first.

    Args:
        analysis: the analysis.
        max_rows: labels in each table, the rarest; None for all, or of more than 50 the 20 rarest.
        wide: whether the table of labels has every column.
    """
    labels = analysis.counts
    shown = rarest_shown(analysis.rarest_first) if max_rows is None else analysis.rarest_first[:max_rows]
    rows = f"{labels.n_rows:,} rows"
    title, found = f"Labels in {analysis.split}, {rows}, rarest first", analysis.recommendation
    parts = (
        _labels_part(title, labels, found.weights, shown, wide),
        _rules_part(labels, len(shown), analysis),
        _summary_part(analysis),
        _cooccurrence_part(analysis, max_rows),
        _splits_part(analysis),
        _validation_part(analysis, shown),
        Part("limitations", "Problems no setting can fix", found.warnings) if found.warnings else None,
        Part("recommendation", "Recommended settings", items=tuple(
            (f"--{c.flag} {c.typed}", f"{c.reason} [{c.source}]") for c in found.choices)),
    )  # fmt: skip
    return [part for part in parts if part is not None]


def _labels_part(
    title: str, counts: LabelDistribution, weights: ClassWeights, shown: np.ndarray, wide: bool = False
) -> Part:
    """Counts, ratios and weights with their reasons."""
    tiers = {i: tier for tier, members in counts.tiers().items() for i in members.tolist()}
    columns = {
        "label": counts.schema.names,
        "tier": [tiers[i] for i in range(len(tiers))],
        "positives": list(map(short_count if wide else compact_number, counts.support)),
        "%": list(map(percent, counts.prevalence)),
        "neg:pos": list(map(compact_number, counts.negative_positive)),
        "ratio": list(map(compact_number, counts.imbalance_ratio)),
        "unknown": list(map(short_count, counts.unknown)),
        "weight": [f"{value:.3g}" for value in weights.values],
        "reason": [str(why) if wide else why.short for why in weights.why],
    }
    hidden = {"unknown"} if wide and not counts.unknown.any() else set() if wide else {"tier", "unknown"}
    columns = {head: cells for head, cells in columns.items() if head not in hidden}
    rest = np.delete(weights.values, shown)
    more = f"... and {pluralize(len(rest), 'more label')}: weights {_span(rest)}" if len(rest) else ""
    table = _table(columns, shown, ("label", "tier", "reason"))
    return Part("weights", title, (), table, (more,) if more else ())


def _rules_part(counts: LabelDistribution, max_rows: int | None, analysis: Analysis | None = None) -> Part | None:
    """Rules of the schema that rows violate, the worst first, with their first rows counted from 1."""
    rules, broken = counts.schema.rules, np.asarray(counts.violations)
    if not len(broken):
        return None
    splits = {} if analysis is None else {k: v for k, v in analysis.splits.items() if k != analysis.split}
    others = {name: split.violations for name, split in splits.items() if len(split.violations)}
    total = broken + sum(others.values())
    worst = [i for i in np.argsort(-total, kind="stable") if total[i] > 0]
    items = []
    for i in worst[: None if max_rows is None else int(max_rows)]:
        where = [_first_rows(counts.violation_rows[i], int(broken[i]))] if counts.violation_rows and broken[i] else []
        where += [f"in {name} {pluralize(int(n[i]), 'row')}" for name, n in others.items()]
        verb = "has" if broken[i] == 1 else "have"
        items.append((f"{pluralize(int(broken[i]), 'row')} {verb} {rules[i]}", "; ".join(where) or "rows not known"))
    if len(items) < len(worst):
        times = pluralize(int(total[worst[len(items) :]].sum()), "time")
        items.append((f"... and {pluralize(len(worst) - len(items), 'more rule')} violated", f"{times} in all"))
    none = () if items else (f"No row violates the {pluralize(len(rules), 'rule')} of the schema.",)
    return Part("rules", "Rules", none, items=tuple(items))


def _first_rows(rows: Sequence[int], total: int, shown: int = 8) -> str:
    named = ", ".join(str(row + 1) for row in rows[:shown])
    more = f" and {total - len(rows[:shown]):,} more" if total > len(rows[:shown]) else ""
    return f"{'row' if total == 1 else 'rows'} {named}{more}"


def _part(key: str, table: Table | None = None, items: Iterable[tuple[str, str]] = (), **numbers: Any) -> Part:
    """A part with the words of templates/parts.yaml, whose numbers are given."""
    title, *texts = (text.render(numbers) for text in _WORDS[key].values())
    sentences = tuple(line.strip() for text in texts for line in text.split("\n") if line.strip())
    return Part(key, title, sentences, table, items=tuple(items))


def _summary_part(analysis: Analysis) -> Part:
    """Tiers, labels per row, unknown entries."""
    labels = analysis.counts
    tiers = [f"{tier} {len(i):,} with {_span(labels.support[i], short_count)}"
             for tier, i in labels.tiers().items() if len(i)]  # fmt: skip
    per_row = () if analysis.is_single_label or labels.labels_per_row is None else labels.labels_per_row
    seen = [(n, int(rows)) for n, rows in enumerate(per_row) if rows]
    mean = sum(n * rows for n, rows in seen) / max(sum(rows for _, rows in seen), 1)
    order = np.argsort(-labels.unknown, kind="stable")
    unknown = [(labels.schema.names[i], int(labels.unknown[i])) for i in order if labels.unknown[i]]
    return _part("rows", labels=labels, tiers=tiers, seen=seen, mean=mean, unknown=unknown)


def _cooccurrence_part(analysis: Analysis, max_rows: int | None, most: int = 10) -> Part | None:
    """The two labels that co-occur most often with each of the `most` rarest ones. Labels implied by a rule of the
    schema are left out."""
    counts, schema = analysis.counts, analysis.counts.schema
    if counts.cooccurrence is None or analysis.is_single_label:
        return None
    items = []
    tail = [i for i in counts.tiers()["tail"][::-1] if counts.support[i] > 0]
    for i in tail[: most if max_rows is None else min(max_rows, most)]:
        of, implied = short_count(positives(counts)[i]), schema.ancestors[i]
        also = [f"{n:,} of {of} also {shorten(schema.names[j], 40)}" for j, n in partners(counts, i, implied)[:2]]
        none = f"0 of {of} with {'a label that no rule implies' if implied else 'another label'}"
        items.append((schema.names[i], ", ".join(also) or none))
    return _part("cooccurrence", items=items) if items else None


def _splits_part(analysis: Analysis) -> Part:
    """Data-quality warnings, which name labels that are missing in a split; else these labels."""
    names, warnings = analysis.counts.schema.names, analysis.data_warnings
    absent = {split: [names[i] for i in labels] for split, labels in analysis.missing.items()}
    return _part("splits", warnings=warnings, absent=absent)


def _validation_part(analysis: Analysis, shown: np.ndarray) -> Part:
    """How precisely the validation split measures each label."""
    found, needed = analysis.recommendation, positives_for(HALF_WIDTH)
    columns = {
        "label": analysis.counts.schema.names,
        "positives": list(map(compact_number, found.validation_support)),
        "a recall of 0.5 may be": [
            f"{a:.2f}-{b:.2f}" for a, b in zip(found.recall_low, found.recall_high, strict=True)
        ],
        "rows needed": list(map(about, found.validation_rows)),
    }
    numbers: dict[str, Any] = {
        "enough": int((found.validation_support >= needed).sum()),
        "needed": needed,
        "half_width": HALF_WIDTH,
    }
    n_rows = analysis.splits["validation"].row_total
    return _part("validation", _table(columns, shown), labels=analysis.counts, n_rows=n_rows, **numbers)


def _span(values: Iterable[float], text: Callable[[float], str] = "{:.3g}".format) -> str:
    low, high = text(min(values)), text(max(values))
    return low if low == high else f"{low} to {high}"
