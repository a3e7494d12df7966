"""The analysis in Markdown, for an issue or a README."""

from ..utils.markdown import escaped, how_many_more, markdown_table
from .analyze import Analysis
from .label_table import compact_number, percent
from .parts import Part, parts_after_the_table, shown_labels


def analysis_markdown(analysis: Analysis, max_rows: int | None = None) -> str:
    """The whole analysis as Markdown.

    Args:
        analysis: what was found out.
        max_rows: as for `analysis_text`.
    """
    counts, order = analysis.counts, shown_labels(analysis, max_rows)
    labels, weights = counts.labels, analysis.weights
    cells = [
        [
            escaped(labels.schema.names[i]),
            compact_number(labels.support[i]),
            percent(labels.prevalence[i]),
            compact_number(labels.negative_positive[i]),
            compact_number(counts.labels.irlbl[i]),
            compact_number(labels.imbalance_ratio[i]),
            f"{weights.values[i]:.3g}",
            escaped(weights.reasons[i]),
        ]
        for i in order
    ]
    header = ["label", "positives", "%", "neg:pos", "IRLbl", "ratio", "weight", "why"]
    lines = [f"## Labels of {escaped(analysis.name)}: {analysis.split}, {labels.n_rows:,} rows, rarest first", ""]
    lines += markdown_table(header, cells, (0, 7))
    lines += how_many_more(len(labels.schema) - len(order), "`--format json`")
    for part in parts_after_the_table(analysis, max_rows):
        lines += ["", f"### {part.title}", "", *_part(part)]
    return "\n".join(lines)


def _part(part: Part) -> list[str]:
    lines = [f"- {escaped(sentence)}" for sentence in part.sentences]
    if part.table is not None:
        rows = [[escaped(cell) for cell in row] for row in part.table.rows]
        lines += ["", *markdown_table(part.table.header, rows, part.table.left)]
    mark = "`" if part.key == "recommendation" else "**"
    for head, text in part.items:
        shown = head if mark == "`" else escaped(head)
        lines.append(f"- {mark}{shown}{mark}: {escaped(text)}")
    return lines
