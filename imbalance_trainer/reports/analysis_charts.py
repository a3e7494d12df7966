"""The pictures of the page: support by label, prevalence by split, which labels meet which."""

import numpy as np

from ..analysis.analyze import Analysis
from ..analysis.counts import partners
from ..analysis.label_table import compact_number, distinct_names, percent, short_count
from .markup import Cell, Html, figure, named, table, tag
from .svg import LabelRow, label_rows

MAX_ROWS = 60
"""Of up to so many labels each is drawn; of more how many have so many positives, or those that differ."""

SHOWN = 20
"""Of more labels so many are drawn or listed."""

COLUMNS = 10
"""So many labels that the rarest meet have a column."""

_NAME = 22
_BINS = ((0, 0), (1, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, 499), (500, 999), (1000, 9999), (10_000, None))


def support_chart(analysis: Analysis) -> Html:
    """Bars of the labels' positives; of many labels, how many have so many."""
    counts, order = analysis.counts.labels, analysis.rarest_first
    least, most = order[0], order[-1]
    names = counts.schema.names
    words = (
        f"The rarest label, {names[least]}, has {short_count(counts.support[least])} positives in {counts.n_rows:,} "
        f"rows of {analysis.split}, the commonest, {names[most]}, {short_count(counts.support[most])}."
    )
    title = f"Positives of each label in {analysis.split}"
    if len(order) > MAX_ROWS:
        title = f"How many labels have so many positives in {analysis.split}"
        return figure(_histogram(counts.support, title), words, "lone")
    notes = [f"{short_count(counts.support[i])} ({percent(counts.prevalence[i])}%)" for i in order]
    shown = zip(distinct_names([names[i] for i in order], _NAME), order, notes, strict=True)
    rows = [LabelRow(name, [float(counts.support[i])], note) for name, i, note in shown]
    return figure(label_rows("support", title, words, rows, "positives, log scale"), words, "lone")


def _histogram(support: np.ndarray, title: str) -> Html:
    most = support.max(initial=0)
    rows, said = [], []
    for low, high in _BINS:
        if low > most:
            break
        inside = int(((support >= low) & (support < (np.inf if high is None else high + 1))).sum())
        name = f"{low:,}" if low == high else f"{low:,} and more" if high is None else f"{low:,} to {high:,}"
        rows.append(LabelRow(name, [float(inside)], f"{inside:,}"))
        said.append(f"{inside:,} with {name}")
    words = f"Labels by their positives: {'; '.join(said)}."
    return label_rows("support", title, words, rows, "labels with so many positives", log=False)


def prevalence_chart(analysis: Analysis) -> Html:
    """A mark for each split and label; of many labels those that differ between splits, else the rarest."""
    names, order = analysis.counts.labels.schema.names, list(analysis.rarest_first)
    differ = {int(i) for shift in analysis.shifts.values() for i in shift.differs}
    what = "Prevalence of each label, by split, rarest first"
    if len(order) > MAX_ROWS:
        chosen = sorted(differ, key=lambda i: min(s.q[i] for s in analysis.shifts.values()))[:SHOWN]
        what += f": the {len(chosen)} that differ most" if chosen else f": the {SHOWN} rarest"
        order = [i for i in order if i in set(chosen)] if chosen else order[:SHOWN]
    series = list(analysis.splits)[:4]
    shares = [100 * analysis.splits[name].labels.prevalence for name in series]
    shown = zip(distinct_names([names[i] for i in order], _NAME), order, strict=True)
    rows = [LabelRow(name, [float(s[i]) for s in shares], "*" if int(i) in differ else "") for name, i in shown]
    words = f"{what}. A star: by more than chance explains. Hollow, at the left end: no positive there."
    return figure(label_rows("prevalence", what, words, rows, "% of the rows, log scale", series), words, "lone")


def company_table(analysis: Analysis) -> list[Html]:
    """For each of the rarest labels the share of its rows that have another label too; nothing without pairs."""
    counts, schema = analysis.counts, analysis.counts.labels.schema
    head = set(counts.labels.tiers()["head"])
    rarest = [int(i) for i in analysis.rarest_first if counts.labels.support[i] > 0 and i not in head][:SHOWN]
    if counts.pairs is None or analysis.recommendation.threshold[0] == "highest" or not rarest:
        return []
    met = {i: dict(partners(counts, i, schema.ancestors[i])) for i in rarest}
    often = np.zeros(len(schema))
    for i, others in met.items():
        for j, n in others.items():
            often[j] += n / counts.labels.support[i]
    columns = [int(j) for j in np.argsort(-often, kind="stable")[:COLUMNS] if often[j] > 0]
    rows = []
    for i in rarest:
        support = counts.labels.support[i]
        cells = [_cell(i, j, met[i].get(j, 0), support, schema.ancestors[i]) for j in columns]
        rows.append([named(schema.names[i]), Cell(compact_number(support), "n"), *cells])
    short = distinct_names([schema.names[j] for j in columns], 16)
    header = ["label", Cell("positives", "n"), *(Cell(name, "e") for name in short)]
    caption = f"Of the rows with the {len(rarest)} rarest labels, the share that have another label too"
    note = "A rule of the schema that makes a label certain is left out (implied). The darker, the more."
    kind = "heat many" if len(columns) > 6 else "heat"
    return [table(caption, header, rows, kind), tag("p", note, class_="muted")]


def _cell(i: int, j: int, both: int, support: float, implied: tuple[int, ...]) -> Cell:
    if i == j or j in implied:
        return Cell("-" if i == j else "implied", "none")
    share = min(both / support, 1.0)
    if share == 0:
        return Cell("0", "none")
    return Cell(f"{100 * share:.0f}%", f"h{round(10 * share)}")
