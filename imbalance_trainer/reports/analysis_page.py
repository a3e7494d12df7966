"""The analysis as one page that loads nothing: for a wide screen, a phone, paper and a screen reader."""

import re
from pathlib import Path

from ..analysis.analyze import Analysis
from ..analysis.label_table import compact_number, percent
from ..analysis.limitations import about
from ..analysis.parts import (
    Part,
    cooccurrence_part,
    limitations_part,
    recommendation_part,
    sample_part,
    splits_part,
    summary_part,
    validation_part,
)
from ..utils.errors import UsageError
from ..utils.files import atomic_write
from ..utils.text import pluralize
from .analysis_charts import company_table, prevalence_chart, support_chart
from .markup import Cell, Html, count, document, folded, join, named, number, section, table, tag

MAX_ROWS = 60
"""Up to so many labels each have a row that is seen at once."""


def write_page(analysis: Analysis, path: str | Path) -> Path:
    """Write the page; the file appears whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            unfinished.write_text(build_page(analysis), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error}).") from None
    return path


def build_page(analysis: Analysis) -> str:
    """The page, as HTML."""
    gaps, sample = limitations_part(analysis), sample_part(analysis)
    sections = {
        "Settings": _settings_section(recommendation_part(analysis)),
        "Problems no setting can fix": _sentences_section(gaps) if gaps else "",
        "Support": section("support", "Support of each label, rarest first", support_chart(analysis)),
        "Rows": _sentences_section(summary_part(analysis)),
        "In all rows": _table_section(sample, analysis) if sample else "",
        "Weights": _labels_section(analysis),
        "Together": _company_section(analysis),
        "Splits": _splits_section(analysis),
        "Validation": _table_section(validation_part(analysis, len(analysis.rarest_first)), analysis),
        "Rules": _rules_section(analysis),
    }
    present = {title: part for title, part in sections.items() if part}
    ids = {title: re.search(' id="([^"]*)"', part)[1] for title, part in present.items()}
    links = (tag("li", tag("a", title, href=f"#{name}")) for title, name in ids.items())
    nav = tag("nav", tag("ul", *links), aria_label="Parts of this page")
    title = f"Label analysis: {analysis.name}"
    header = tag("header", tag("h1", title), *_lead(analysis), nav)
    return document(title, header, "\n", tag("main", join(present.values(), "\n")), "\n")


def _lead(analysis: Analysis) -> list[Html]:
    labels = analysis.counts.labels
    rows = ", ".join(f"{name} {split.labels.row_total:,}" for name, split in analysis.splits.items())
    few = analysis.recommendation.warnings
    parts = [tag("p", f"{pluralize(len(labels.schema), 'label')}; rows: {rows}. Listed is {analysis.split}.")]
    parts.append(tag("p", tag("strong", f"{pluralize(len(few), 'problem')} no setting can fix." if few else "")))
    return parts if few else parts[:1]


def _settings_section(part: Part) -> Html:
    items = []
    for head, text in part.items:
        reason, _, source = text.rstrip("]").rpartition(" [")
        flag, _, value = head.partition(" ")
        setting = tag("p", tag("code", tag("span", flag, class_="flag"), " ", value))
        items.append(tag("li", setting, tag("p", f"{reason} ", tag("span", f"({source})", class_="muted"))))
    option, file = (tag("code", tag("span", flag, class_="flag")) for flag in ("--config_out", "--config"))
    note = tag(
        "p",
        "Weights and settings follow the training split alone, metric and thresholds the validation split. ",
        join([option, " writes them as a file for examples/train_model.py ", file, "."]),
        class_="muted",
    )
    return section(part.key, part.title, tag("ul", *items), note)


def _sentences_section(part: Part) -> Html:
    return section(part.key, part.title, tag("ul", *(tag("li", sentence) for sentence in part.sentences)))


def _table_section(part: Part, analysis: Analysis) -> Html:
    """Sentences, then the table, folded where it is long."""
    head, *others = part.table.header
    header = [head, *(Cell(h, "t" if i in part.table.left else "") for i, h in enumerate(others, start=1))]
    rows = [
        [named(name), *(Cell(c, "t" if i in part.table.left else "") for i, c in enumerate(cells, start=1))]
        for name, *cells in part.table.rows
    ]
    body = table(f"{part.title}, rarest label first", header, rows, "plain")
    shown = body if len(rows) <= MAX_ROWS else folded(f"All {len(rows):,} labels", body)
    return section(part.key, part.title, *(tag("p", s) for s in part.sentences), shown)


def _labels_section(analysis: Analysis) -> Html:
    counts, weights = analysis.counts, analysis.weights
    labels = counts.labels
    tiers = {int(i): tier for tier, members in labels.tiers().items() for i in members}
    has_unknown = bool((counts.labels.unknown > 0).any())
    header = ["label", "tier", "positives", "%", "neg:pos", "IRLbl", "ratio", *["unknown"] * has_unknown, "weight"]
    rows = [
        [
            named(labels.schema.names[i], 1000),
            tiers[int(i)],
            count(labels.support[i]),
            percent(labels.prevalence[i]),
            compact_number(labels.negative_positive[i]),
            compact_number(counts.labels.irlbl[i]),
            compact_number(labels.imbalance_ratio[i]),
            *[count(counts.labels.unknown[i])] * has_unknown,
            number(weights.values[i], 2),
            Cell(weights.reasons[i], "t"),
        ]
        for i in analysis.rarest_first
    ]
    what = f"Counts in {analysis.split} and weights in training, {pluralize(len(rows), 'label')}, rarest first"
    body = table(what, [*header, Cell("why that weight", "t")], rows, "wide")
    note = (
        "neg:pos is the negatives for each positive; IRLbl the positives of the commonest label for one of this, "
        "ratio the same against the commonest secondary label. The weight multiplies the loss of a label's positives."
    )
    shown = body if len(rows) <= MAX_ROWS else folded(f"All {len(rows):,} labels", body)
    return section("weights", "Every label, and its weight", tag("p", note, class_="muted"), shown)


def _company_section(analysis: Analysis) -> Html:
    part = cooccurrence_part(analysis)
    if part is None:
        return Html("")
    items = (tag("li", tag("strong", named(name)), f": {text}") for name, text in part.items)
    sentences = (tag("p", sentence) for sentence in part.sentences)
    return section(part.key, part.title, *sentences, tag("ul", *items), *company_table(analysis))


def _splits_section(analysis: Analysis) -> Html:
    part = splits_part(analysis)
    content = [tag("ul", *(tag("li", sentence) for sentence in part.sentences)), prevalence_chart(analysis)]
    if part.table is not None:
        rows = [[named(name), *cells] for name, *cells in part.table.rows]
        header = [*part.table.header[:4], "change", "q"]
        content.append(table("Labels that differ from training by more than chance explains", header, rows))
    return section(part.key, part.title, *content)


def _rules_section(analysis: Analysis) -> Html:
    """Which rules of the schema the rows break, in each split."""
    rules = analysis.counts.labels.schema.rules
    if not rules:
        return Html("")
    broken = {name: split.labels.violations for name, split in analysis.splits.items()}
    broken = {name: rows for name, rows in broken.items() if len(rows) == len(rules)}
    total = sum(int(rows.sum()) for rows in broken.values())
    if not total:
        return section(
            "rules", "Rules", tag("p", f"No row of any split breaks one of the {pluralize(len(rules), 'rule')}.")
        )
    worst = sorted(range(len(rules)), key=lambda i: -sum(int(rows[i]) for rows in broken.values()))
    worst = [i for i in worst if any(rows[i] for rows in broken.values())]
    rows = [[rules[i], *(count(int(n[i])) for n in broken.values()), Cell(_first(analysis, i), "t")] for i in worst]
    first = f"first rows in {analysis.split}, from 1"
    header = ["rule that is broken", *(f"rows in {name}" for name in broken), Cell(first, "t")]
    return section("rules", "Rules", table(f"{pluralize(len(worst), 'broken rule')}, the worst first", header, rows))


def _first(analysis: Analysis, rule: int) -> str:
    named_rows = analysis.counts.labels.violation_rows
    rows = named_rows[rule][:5] if named_rows else ()
    return ", ".join(str(row + 1) for row in rows) or about(float("inf"))
