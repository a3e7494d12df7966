"""The analysis as text for a terminal, as Markdown, and its recommendation as a YAML file."""

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml
from rich.console import RenderableType

from ..utils.console import as_text, bullets, text_table
from ..utils.text import escaped, how_many_more, markdown_table
from .analyze import Analysis
from .label_table import compact_number, label_table, percent
from .parts import Part, parts_after_the_table, shown_labels
from .recommend import Recommendation


def analysis_text(analysis: Analysis, max_rows: int | None = None) -> str:
    """The whole analysis as plain text of 80 columns, rarest label first, the recommendation last.

    Args:
        analysis: the analysis.
        max_rows: labels in each table, the rarest; None for all, or of more than 50 the 20 rarest.
    """
    labels = analysis.counts.labels
    from_1 = tuple(tuple(row + 1 for row in rows) for rows in labels.violation_rows)  # as warnings and files count
    labels = replace(labels, violation_rows=from_1)
    shown = len(shown_labels(analysis, max_rows))
    rows = f"{labels.n_rows:,} rows" + (f" of {labels.row_total:,}" if labels.row_total > labels.n_rows else "")
    what = f"Labels in {analysis.split}, {rows}, rarest first, with class weights and reasons"
    message: list[RenderableType] = [what, "", *label_table(labels, analysis.weights, shown)]
    for part in parts_after_the_table(analysis, max_rows):
        message += ["", *_part_message(part)]
    return as_text(*message)


def _part_message(part: Part) -> list[RenderableType]:
    message: list[RenderableType] = [part.title, "-" * len(part.title), *part.sentences]
    if part.table is not None:
        message.append(text_table(part.table.header, part.table.rows, part.table.left))
    if part.key != "recommendation":
        return [*message, bullets((f"{head}: {text}" for head, text in part.items), "  ")] if part.items else message
    for flag, reason in part.items:
        message += [bullets([flag], "  "), bullets([reason], "    ")]
    return message


def analysis_markdown(analysis: Analysis, max_rows: int | None = None) -> str:
    """The whole analysis as Markdown, for an issue or a README.

    Args:
        analysis: the analysis.
        max_rows: as for `analysis_text`.
    """
    labels, weights, order = analysis.counts.labels, analysis.weights, shown_labels(analysis, max_rows)
    cells = [
        [
            escaped(labels.schema.names[i]),
            compact_number(labels.support[i]),
            percent(labels.prevalence[i]),
            compact_number(labels.negative_positive[i]),
            compact_number(labels.irlbl[i]),
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
        lines += ["", f"### {part.title}", "", *_part_markdown(part)]
    return "\n".join(lines)


def _part_markdown(part: Part) -> list[str]:
    lines = [f"- {escaped(sentence)}" for sentence in part.sentences]
    if part.table is not None:
        rows = [[escaped(cell) for cell in row] for row in part.table.rows]
        lines += ["", *markdown_table(part.table.header, rows, part.table.left)]
    for head, text in part.items:
        shown = f"`{head}`" if part.key == "recommendation" else f"**{escaped(head)}**"
        lines.append(f"- {shown}: {escaped(text)}")
    return lines


def config_text(
    recommendation: Recommendation, given: Mapping[str, Any], asked_for: Mapping[str, Any], command: str
) -> str:
    """The recommendation as YAML for `imbalance-trainer train --config`, with the reason above each line.

    Args:
        recommendation: its settings, with the defaults, so that the run stays the same when a default changes.
        given: flags of the data and model_name_or_path; None is left out.
        asked_for: settings of the user, which replace or join the recommended ones.
        command: the command that made the file, for its first line.
    """
    lines = [*_comment(f"Made by: {command}"), "# The command line wins over this file."]
    lines += _settings({flag: value for flag, value in given.items() if value is not None})
    for choice in recommendation.choices:
        if choice.flag not in asked_for:
            lines += ["", *_comment(f"{choice.reason} [{choice.source}]"), *_settings({choice.flag: choice.value})]
    if asked_for:
        lines += ["", "# As asked for when this file was made.", *_settings(asked_for)]
    if recommendation.warnings:
        lines += ["", "# Problems no setting can fix:"]
        lines += [line for warning in recommendation.warnings for line in _comment(f"- {warning}")]
    return "\n".join(lines) + "\n"


def _settings(values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False)
    return text.splitlines()


def _comment(text: str) -> list[str]:
    """Text as comments, without its line breaks, which would end the comment."""
    text = " ".join(text.split())
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)
