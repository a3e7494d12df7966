"""The page of `analyze`: for a wide screen, a phone, paper and a screen reader. It loads nothing.

What it shows is put together here as data; templates/analysis.html says it.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.analyze import Analysis
from ..analysis.counts import partners
from ..analysis.label_table import compact_number, distinct_names, percent, short_count
from ..analysis.limitations import about
from ..analysis.parts import (
    Part,
    cooccurrence_part,
    limitations_part,
    sample_part,
    splits_part,
    summary_part,
    validation_part,
)
from ..utils.text import pluralize
from .html import Cell, Table, count, number, render, write
from .pictures import Picture, inline, label_chart

MAX_ROWS = 60
"""Up to so many labels each have a row that is seen at once, and a bar; of more a few are drawn."""

SHOWN, COLUMNS = 20, 10
"""Of more labels so many are drawn; and so many labels that the rarest occur with have a column."""

_BINS = (0, 1, 5, 10, 20, 50, 100, 500, 1000, 10_000, np.inf)


def write_page(analysis: Analysis, path: str | Path) -> Path:
    """Write the page; the file appears whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    return write(build_page(analysis), path)


def build_page(analysis: Analysis) -> str:
    """Build the page, as HTML."""
    everyone = len(analysis.rarest_first)
    validation, sample, splits = (
        validation_part(analysis, everyone),
        sample_part(analysis, everyone),
        splits_part(analysis),
    )
    return render(
        "analysis.html",
        analysis=analysis,
        choices=[(choice, str(choice.value).lower() if isinstance(choice.value, bool) else str(choice.value))
                 for choice in analysis.recommendation.choices],
        problems=limitations_part(analysis),
        support=_support_picture(analysis),
        summary=summary_part(analysis),
        sample=sample and (sample, _table_of(sample, f"{sample.title}, rarest label first", "plain")),
        weights=_weights_table(analysis),
        co_occurrence=cooccurrence_part(analysis),
        co_occurrence_table=_co_occurrence_table(analysis),
        splits=splits,
        prevalence=_prevalence_picture(analysis),
        differences=_table_of(
            splits, "Labels that differ from training by more than chance explains", header=("change", "q")),
        validation=(validation, _table_of(validation, f"{validation.title}, rarest label first", "plain")),
        n_rules=len(analysis.counts.labels.schema.rules),
        broken=_broken_rules(analysis),
        max_rows=MAX_ROWS,
    )  # fmt: skip


def _table_of(part: Part, caption: str, kind: str = "", header: tuple[str, ...] = ()) -> Table | None:
    """The table of a part, if it has one; `header` replaces its last heads."""
    table = part.table
    if table is None:
        return None
    heads = (*table.header[: len(table.header) - len(header)], *header)
    return Table(caption, heads, table.rows, kind, table.left)


def _weights_table(analysis: Analysis) -> Table:
    labels, weights = analysis.counts.labels, analysis.weights
    tiers = {int(i): tier for tier, members in labels.tiers().items() for i in members}
    unknown = ["unknown"] * bool((labels.unknown > 0).any())
    header = ["label", "tier", "positives", "%", "neg:pos", "IRLbl", "ratio", *unknown, "weight", "why that weight"]
    rows = [
        [
            labels.schema.names[i],
            tiers[int(i)],
            count(labels.support[i]),
            percent(labels.prevalence[i]),
            compact_number(labels.negative_positive[i]),
            compact_number(labels.irlbl[i]),
            compact_number(labels.imbalance_ratio[i]),
            *[count(labels.unknown[i])] * len(unknown),
            number(weights.values[i], 2),
            weights.reasons[i],
        ]
        for i in analysis.rarest_first
    ]
    caption = f"Counts in {analysis.split} and weights in training, {pluralize(len(rows), 'label')}, rarest first"
    return Table(caption, header, rows, "wide", (len(header) - 1,), room=1000)


def _broken_rules(analysis: Analysis) -> Table | None:
    """Which rules of the schema the rows break, in each split, the worst first; None where none is broken."""
    rules, first_rows = analysis.counts.labels.schema.rules, analysis.counts.labels.violation_rows
    broken = {name: split.labels.violations for name, split in analysis.splits.items()}
    broken = {name: rows for name, rows in broken.items() if len(rows) == len(rules)}
    total = np.sum(list(broken.values()), axis=0) if broken and rules else np.zeros(0)
    worst = [i for i in np.argsort(-total, kind="stable") if total[i] > 0]
    if not worst:
        return None
    rows = []
    for i in worst:
        named = ", ".join(str(row + 1) for row in first_rows[i][:5]) if first_rows else ""
        rows.append([rules[i], *(count(int(n[i])) for n in broken.values()), named or about(float("inf"))])
    header = ["rule that is broken", *(f"rows in {name}" for name in broken)]
    header.append(f"first rows in {analysis.split}, from 1")
    caption = f"{pluralize(len(worst), 'broken rule')}, the worst first"
    return Table(caption, header, rows, left=(len(header) - 1,), heads="text")


def _co_occurrence_table(analysis: Analysis) -> Table | None:
    """For each of the rarest labels the share of its rows that have another label too; None without pairs."""
    counts, schema, support = analysis.counts, analysis.counts.labels.schema, analysis.counts.labels.support
    common = set(counts.labels.tiers()["head"])
    rarest = [int(i) for i in analysis.rarest_first if support[i] > 0 and i not in common][:SHOWN]
    if counts.pairs is None or analysis.recommendation.threshold[0] == "highest" or not rarest:
        return None
    shares = np.zeros((len(schema), len(schema)))
    for i in rarest:
        for j, n in partners(counts, i, schema.ancestors[i]):
            shares[i, j] = min(n / support[i], 1.0)
    often = shares.sum(0)
    columns = [int(j) for j in np.argsort(-often, kind="stable")[:COLUMNS] if often[j] > 0]

    def cell(i: int, j: int) -> Cell:
        if i == j or j in schema.ancestors[i]:
            return Cell("-" if i == j else "implied", "none")
        share = shares[i, j]
        return Cell(f"{100 * share:.0f}%", f"h{round(10 * share)}") if share else Cell("0", "none")

    rows = [[schema.names[i], Cell(compact_number(support[i]), "n"), *(cell(i, j) for j in columns)] for i in rarest]
    short = distinct_names([schema.names[j] for j in columns], 16)
    header = ["label", Cell("positives", "n"), *(Cell(name, "e") for name in short)]
    caption = f"Of the rows with the {len(rarest)} rarest labels, the share that have another label too"
    return Table(caption, header, rows, "heat many" if len(columns) > 6 else "heat")


# ---- pictures ----


def _support_picture(analysis: Analysis) -> Picture:
    """Bars of the labels' positives; of many labels, how many have so many."""
    counts, order = analysis.counts.labels, analysis.rarest_first
    names, support = counts.schema.names, counts.support
    if len(order) > MAX_ROWS:
        inside, _ = np.histogram(support, _BINS)
        ends = [(low, high - 1) for low, high in pairwise(_BINS)]
        bins = [f"{low:,}" if low == high else f"{low:,} and more" if high == np.inf else f"{low:,} to {high:,}"
                for low, high in ends if low <= support.max()]  # fmt: skip
        found = [f"{n:,}" for n in inside[: len(bins)]]
        words = f"Labels by their positives: {'; '.join(f'{n} with {b}' for n, b in zip(found, bins, strict=True))}."
        values = {"labels": inside[: len(bins)].tolist()}
        return inline("support", f"How many labels have so many positives in {analysis.split}", words,
                      lambda: label_chart(bins, values, "labels with so many positives", found,
                                          limits=(0, inside.max() * 1.02)))  # fmt: skip
    notes = [f"{short_count(support[i])} ({percent(counts.prevalence[i])}%)" for i in order]
    least, most = order[0], order[-1]
    words = (
        f"The rarest label, {names[least]}, has {short_count(support[least])} positives in {counts.n_rows:,} rows of "
        f"{analysis.split}, the commonest, {names[most]}, {short_count(support[most])}."
    )
    values = {"positives": [float(support[i]) for i in order]}
    return inline("support", f"Positives of each label in {analysis.split}", words,
                  lambda: label_chart([names[i] for i in order], values, "positives, log scale", notes))  # fmt: skip


def _prevalence_picture(analysis: Analysis) -> Picture:
    """A mark for each split and label; of many labels those that differ between splits, else the rarest."""
    names, order = analysis.counts.labels.schema.names, list(analysis.rarest_first)
    differ: dict[Any, float] = {i: min(s.q[i] for s in analysis.shifts.values())
                                for shift in analysis.shifts.values() for i in shift.differs}  # fmt: skip
    title = "Prevalence of each label, by split, rarest first"
    if len(order) > MAX_ROWS:
        chosen = sorted(differ, key=differ.__getitem__)[:SHOWN] or order[:SHOWN]
        title += f": the {len(chosen)} that differ most" if differ else f": the {SHOWN} rarest"
        order = [i for i in order if i in set(chosen)]
    splits = list(analysis.splits)[:4]
    shares = {name: 100 * analysis.splits[name].labels.prevalence[order] for name in splits}
    stars = ["*" if i in differ else "" for i in order]
    words = f"{title}. A star: by more than chance explains. Hollow, at the left end: no positive there."
    shown = [names[i] for i in order]
    return inline("prevalence", title, words, lambda: label_chart(shown, shares, "% of the rows, log scale", stars))
