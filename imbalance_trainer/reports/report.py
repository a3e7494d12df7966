"""report.html: what a run did with its labels, in one file that needs nothing else.

Findings first, then recall by label and evaluation, the curves, support against recall, thresholds, weights and
configuration. Everything is text or a picture with its content in words, so that it can be read on a phone, on paper,
without a network and by a screen reader.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ..monitor.diagnose import Settings, diagnose
from ..monitor.run_record import RunRecord, place, read_run
from ..utils.errors import UsageError
from ..utils.files import atomic_write
from ..utils.text import pluralize
from .markup import Html, document, escaped, folded, join, named, number, section, tag
from .report_charts import curves_section, score_in_words, support_section, thresholds_section
from .report_tables import configuration_section, held_out_section, labels_section, recall_section, weights_section

FILE_NAME = "report.html"

SEVERITIES = {"error": ("×", "Error"), "warning": ("!", "Warning"), "note": ("i", "Note"), "good": ("✓", "Good")}
"""How severe a finding is, as a sign and in words, most severe first."""

MAX_LABELS = 5
"""Of one kind of finding so many labels are seen at once."""

_FLAG = re.compile(r"(--[a-z][a-z_0-9-]*)((?:[ =](?:'[^']*'|-?\d[\d.]*(?:e-?\d+)?(?!\w)|true\b|false\b))?)")


def write_report(run_dir: str | Path, output: str | Path | None = None, findings: Sequence[Any] | None = None) -> Path:
    """Write the report of a run; the file appears whole or not at all.

    Args:
        run_dir: output directory of a training, with label_history.jsonl and, where they are there, run.json,
            precision_recall.json and config.json.
        output: file to write; None for report.html in that directory.
        findings: what is wrong, most severe first, as `diagnose` gives it; None to diagnose the history.

    Returns:
        The file.

    Raises:
        UsageError: no such folder, no history in it, or a file that cannot be written.
        DataError: a history without an evaluation, or a file that is broken.
    """
    record = read_run(run_dir)
    path = Path(run_dir) / FILE_NAME if output is None else Path(output)
    page = build_report(record, _diagnosed(record) if findings is None else findings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            unfinished.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error}).") from None
    return path


def build_report(record: RunRecord, findings: Sequence[Any]) -> str:
    """The page.

    Args:
        record: the run.
        findings: what is wrong, most severe first.

    Returns:
        HTML.
    """
    sections = {
        "Findings": findings_section(findings),
        "Recall": recall_section(record),
        "Scores and loss": curves_section(record),
        "Support": support_section(record),
        "Thresholds": thresholds_section(record),
        "Every label": labels_section(record),
        "Test data": held_out_section(record),
        "Weights": weights_section(record),
        "Configuration": configuration_section(record),
    }
    present = {title: part for title, part in sections.items() if part}
    ids = {title: re.search(' id="([^"]*)"', part)[1] for title, part in present.items()}
    links = (tag("li", tag("a", title, href=f"#{name}")) for title, name in ids.items())
    nav = tag("nav", tag("ul", *links), aria_label="Parts of this report")
    title = f"Training report: {record.name}"
    header = tag("header", tag("h1", title), *_lead(record, findings), nav)
    return document(title, header, "\n", tag("main", join(present.values(), "\n")), "\n")


def findings_section(findings: Sequence[Any]) -> Html:
    """What is wrong and what to change, most severe first; a kind that several labels share is said once."""
    if not findings:
        return section("findings", "Findings", tag("p", "Nothing stands out: no label needs a change by these rules."))
    order = list(SEVERITIES)
    ranked = sorted(findings, key=lambda f: (order.index(f.severity), _first_place(findings, f)))
    groups = [list(group) for _, group in groupby(ranked, key=lambda f: (f.severity, f.kind))]
    return section("findings", "Findings", *map(_finding, groups))


def _first_place(findings: Sequence[Any], finding: Any) -> int:
    return next(i for i, f in enumerate(findings) if (f.severity, f.kind) == (finding.severity, finding.kind))


def _finding(group: Sequence[Any]) -> Html:
    """Findings of one kind."""
    first = group[0]
    sign, word = SEVERITIES[first.severity]
    badge = tag("span", tag("span", sign, aria_hidden="true"), f" {word}", class_="badge")
    labels = f" ({pluralize(len(group), 'label')})" if len(group) > 1 else ""
    shared = first.advice if len({f.advice for f in group}) == 1 else ""
    items = [_item(f, with_advice=not shared) for f in group]
    parts = [tag("h3", badge, " ", f"{first.title[:1].upper()}{first.title[1:]}{labels}")]
    parts.append(tag("ul", *items[:MAX_LABELS]))
    if len(items) > MAX_LABELS:
        parts.append(folded(f"{pluralize(len(items) - MAX_LABELS, 'more label')}", tag("ul", *items[MAX_LABELS:])))
    if shared:
        parts.append(tag("p", tag("strong", "What to do: "), with_flags(shared)))
    return tag("article", *parts, class_=f"finding {first.severity}")


def _item(finding: Any, with_advice: bool) -> Html:
    parts = [tag("strong", named(finding.label)), ": "] if finding.label else []
    parts.append(finding.evidence.rstrip("."))
    if finding.evaluations > 1 and "evaluation" not in finding.evidence:
        parts.append(f"; so at {finding.evaluations} evaluations in a row")
    if finding.weight is not None and finding.new_weight is not None:
        parts.append(f"; weight {finding.weight:.3g}, to try: {finding.new_weight:.3g}")
    parts.append(".")
    if with_advice and finding.advice:
        parts += [" ", tag("strong", "What to do: "), with_flags(finding.advice)]
    return tag("li", *parts)


def with_flags(text: str) -> Html:
    """Text whose flags look like what is typed.

    >>> with_flags("Try --focal_gamma 3.0 or <more> data.")
    'Try <code><span class="flag">--focal_gamma</span> 3.0</code> or &lt;more&gt; data.'
    """
    parts, end = [], 0
    for found in _FLAG.finditer(text):
        parts += [escaped(text[end : found.start()]), tag("code", tag("span", found[1], class_="flag"), found[2])]
        end = found.end()
    return join([*parts, text[end:]])


def _lead(record: RunRecord, findings: Sequence[Any]) -> list[Html]:
    """The run in three sentences: how many labels and evaluations, how the score went, how many findings."""
    n = len(record.timeline(record.splits[0]))
    split = record.splits[0]
    what = f"{pluralize(len(record.rarest_first), 'label')}, {pluralize(n, 'evaluation')} on {split}."
    counts = {severity: sum(f.severity == severity for f in findings) for severity in SEVERITIES}
    said = [
        pluralize(k, SEVERITIES[severity][1].lower()) for severity, k in counts.items() if k and severity != "good"
    ]
    found = f"Found: {', '.join(said)}." if said else "No errors and no warnings."
    parts = [tag("p", f"{what} {score_in_words(record)}"), tag("p", tag("strong", found))]
    current = record.current
    if current is not record.timeline(split)[-1] and record.metric is not None:
        value = number(current["metrics"].get(record.metric), 3)
        again = f"After training the model of {place(current)} was evaluated again: {record.metric} {value}."
        parts.append(tag("p", again))
    if record.is_cut_off:
        parts.append(tag("p", "The last line of the history was cut off, as by a kill, and is left out."))
    return parts


def _diagnosed(record: RunRecord) -> Sequence[Any]:
    """By the limits that the run had, so that the page says what the screen said."""
    said = (record.run or {}).get("settings", {})
    limits = {"patience": said.get("rare_label_patience"), "min_precision": said.get("min_precision")}
    known = {name: value for name, value in limits.items() if value is not None}
    return diagnose(list(record.latest), Settings.from_run(record.run) if record.run else None, **known)
