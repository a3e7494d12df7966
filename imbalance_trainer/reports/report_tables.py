"""The parts of the report that are tables: recall by label and evaluation, all labels, weights, configuration."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from ..monitor.run_record import Entry, RunRecord, place, recall_of, rows_by_label
from ..utils.numeric import is_number
from ..utils.text import pluralize
from .markup import UNKNOWN, Cell, Html, count, folded, join, named, number, section, table, tag

MAX_ROWS = 60
"""Up to so many labels each have a row that is seen at once."""

MAX_COLUMNS = 12
"""Up to so many evaluations each have a column of the heat map."""

RAREST, CHANGED = 20, 10
"""Of more labels the rarest are shown, and those whose recall rose and fell most."""

_TEST_METRICS = (
    "loss",
    "secondary_f1_macro",
    "secondary_f1_micro",
    "secondary_recall",
    "secondary_precision",
    "f1_macro",
    "f1_micro",
    "mean_average_precision",
    "primary_f1",
    "n_labels_without_recall",
)

# ---- recall by label and evaluation ----


def recall_section(record: RunRecord) -> Html:
    """A heat map of recall, rarest label first, for each split that was evaluated during training."""
    parts: list[Html] = []
    for split in record.splits:
        timeline = record.timeline(split)
        parts += [tag("h3", f"On {split}")] if len(record.splits) > 1 else []
        parts += [tag("p", recall_in_words(record, timeline)), _heat_map(record, timeline)]
    legend = (
        "The darker, the higher. Red in a frame with 0.00: nothing was found of a label that has positives. "
        f"A hyphen ({UNKNOWN}): no positives in this data, so recall is not defined."
    )
    return section("recall", "Recall of each label, rarest first", *parts, tag("p", legend, class_="muted"))


def recall_in_words(record: RunRecord, timeline: Sequence[Entry]) -> Html:
    """What the heat map shows."""
    last = {name: recall_of(row) for name, row in rows_by_label(timeline[-1]).items()}
    defined = [value for value in last.values() if value is not None]
    silent = [name for name in record.rarest_first if last.get(name) == 0]
    if not defined:
        return join(["No label has positives in this data."])
    text = join([f"At {place(timeline[-1])}, {len(silent)} of {pluralize(len(defined), 'label')} with positives "
                 f"{'has' if len(defined) == 1 else 'have'} recall 0", some(silent), "; the mean recall is ",
                 number(fmean(defined)), "."])  # fmt: skip
    changes = _changes(timeline)
    if not changes:
        return text
    parts = [text]
    for names, verb in (
        (sorted(changes, key=lambda n: -changes[n]), "rose"),
        (sorted(changes, key=changes.get), "fell"),
    ):
        if changes[names[0]] * (1 if verb == "rose" else -1) > 0:
            first = recall_of(rows_by_label(timeline[0])[names[0]])
            parts.append(join([f" It {verb} most for ", named(names[0]),
                               f": from {number(first)} to {number(last[names[0]])}."]))  # fmt: skip
    return join(parts)


def shown_labels(record: RunRecord, timeline: Sequence[Entry]) -> list[str]:
    """The labels that have a row: all, or of more than MAX_ROWS the rarest and those whose recall changed most."""
    order = record.rarest_first
    if len(order) <= MAX_ROWS:
        return order
    rarest = set(order[:RAREST])
    changes = {name: change for name, change in _changes(timeline).items() if name not in rarest and change}
    ranked = sorted(changes, key=changes.get)
    most = {*ranked[:CHANGED], *ranked[-CHANGED:]}
    return [name for name in order if name in rarest or name in most]


def thinned(timeline: Sequence[Entry], best: Entry | None, limit: int = MAX_COLUMNS) -> list[Entry]:
    """At most `limit` evaluations, evenly; the first, the last and the best are among them."""
    n = len(timeline)
    if n <= limit:
        return list(timeline)
    kept = sorted({round(i * (n - 1) / (limit - 1)) for i in range(limit)})
    at = next((i for i, entry in enumerate(timeline) if best is not None and entry["step"] == best["step"]), None)
    if at is not None and at not in kept:
        kept[min(range(1, len(kept) - 1), key=lambda i: abs(kept[i] - at))] = at
    return [timeline[i] for i in sorted(kept)]


def _heat_map(record: RunRecord, timeline: Sequence[Entry]) -> Html:
    columns, names = thinned(timeline, record.best), shown_labels(record, timeline)
    recalls = [{name: recall_of(row) for name, row in rows_by_label(entry).items()} for entry in columns]
    support = rows_by_label(timeline[-1])
    rows = []
    for name in names:
        counts = (record.train_support.get(name), support.get(name, {}).get("support"))
        cells = [_heat_cell(recall.get(name)) for recall in recalls]
        rows.append([named(name), *(Cell(count(n), "n") for n in counts), *cells])
    values = [[value for value in recall.values() if value is not None] for recall in recalls]
    blank = [Cell("", "n")] * 2
    means = [_heat_cell(fmean(v) if v else None, framed=False) for v in values]
    zeros = [Cell(f"{sum(value == 0 for value in v):,}", "z") for v in values]
    rows.append([tag("strong", "mean of all labels with positives"), *blank, *means])
    rows.append([tag("strong", "labels at recall 0, of all"), *blank, *zeros])
    counted = (Cell("positives in training", "n"), Cell("positives here", "n"))
    header = ["label", *counted, *(Cell(_column_head(record, entry), "e") for entry in columns)]
    n_all, n_seen = len(record.rarest_first), len(timeline)
    what = pluralize(n_all, "label")
    if len(names) < n_all:
        what = f"{len(names)} of {what}: the {RAREST} rarest and those whose recall changed most"
    when = f", {len(columns)} of {n_seen} evaluations" if len(columns) < n_seen else ""
    return table(f"Recall by evaluation ({what}{when})", header, rows, "heat many" if len(columns) > 8 else "heat")


def _column_head(record: RunRecord, entry: Entry) -> Html:
    is_best = record.best is not None and entry["step"] == record.best["step"] and entry["split"] == record.splits[0]
    lines = [f"epoch {entry['epoch']:.3g}"] if is_number(entry.get("epoch")) else []
    lines += [f"step {entry['step']:,}", *["best"] * is_best]
    return join((tag("span", line) for line in lines), Html("<br>"))


def _heat_cell(recall: float | None, framed: bool = True) -> Cell:
    if recall is None:
        return Cell(UNKNOWN, "none")
    if recall == 0 and framed:
        return Cell("0.00", "zero")
    return Cell(number(recall), f"h{round(min(max(recall, 0.0), 1.0) * 10)}")


def _changes(timeline: Sequence[Entry]) -> dict[str, float]:
    """By how much recall changed from the first evaluation to the last, where both define it."""
    first, last = rows_by_label(timeline[0]), rows_by_label(timeline[-1])
    pairs = {name: (recall_of(first.get(name)), recall_of(row)) for name, row in last.items()}
    known = {name: (a, b) for name, (a, b) in pairs.items() if a is not None and b is not None}
    return {name: b - a for name, (a, b) in known.items()} if len(timeline) > 1 else {}


def some(names: Sequence[str], limit: int = 5) -> Html:
    """The first names in brackets, and how many more there are; nothing without names."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return join([" (", join(map(named, names[:limit]), ", "), more, ")"]) if names else Html("")


# ---- all labels ----

_COLUMNS = {
    "positives": ("support", count),
    "predicted": ("predicted", count),
    "found": ("true_positives", count),
    "recall": ("recall", number),
    "precision": ("precision", number),
    "F1": ("f1", number),
    "average precision": ("average_precision", number),
    "threshold": ("threshold", lambda value: number(value, 3)),
    "highest score": ("highest_score", lambda value: number(value, 3)),
    "found before closing": ("found_before_closing", count),
    "threshold of best F1": ("best_threshold", lambda value: number(value, 3)),
    "recall there": ("best_recall", number),
    "precision there": ("best_precision", number),
}


def labels_section(record: RunRecord) -> Html:
    """The current evaluation label by label, and the test split's."""
    entry = record.current
    n = len(entry["labels"])
    stored = record.decisions.get("thresholds")
    stored = stored if isinstance(stored, Mapping) else {}
    rows = label_table(record, entry, f"All labels on {entry['split']}, {place(entry)}, rarest first", stored)
    parts = [rows if n <= MAX_ROWS else folded(f"Table of all {n:,} labels", rows)]
    if stored:
        hierarchy_policy = record.decisions.get("hierarchy_policy")
        how = f" Decisions are closed by {hierarchy_policy}." if hierarchy_policy else ""
        parts.insert(0, tag("p", f"The model's config.json holds tuned thresholds, the column “in config.json”.{how}"))
    note = (
        f"A hyphen ({UNKNOWN}): not known, or not defined (recall without positives, precision without predictions); "
        "such values count as 0 in macro means. “Threshold of best F1” is chosen on these very rows: it flatters, the "
        "more so the fewer positives there are."
    )
    parts.append(tag("p", note, class_="muted"))
    return section("labels", "Every label in numbers", *parts)


def held_out_section(record: RunRecord) -> Html:
    """The test split: overall metrics, and each label."""
    entry = record.test
    if entry is None:
        return Html("")
    metrics = [name for name in _TEST_METRICS if is_number(entry["metrics"].get(name))]
    rows = [[tag("code", name), number(entry["metrics"][name], 3)] for name in metrics]
    n = len(entry["labels"])
    whole = label_table(record, entry, f"All labels on test, {place(entry)}, rarest first")
    parts = [table(f"Metrics on test, {place(entry)}", ["metric", "value"], rows)] if rows else []
    return section("test", "Test data", *parts, whole if n <= MAX_ROWS else folded(f"All {n:,} labels on test", whole))


def label_table(record: RunRecord, entry: Entry, caption: str, stored: Mapping[str, Any] | None = None) -> Html:
    """An evaluation label by label; columns of which nothing is known are left out."""
    rows = rows_by_label(entry)
    columns = {head: of for head, of in _COLUMNS.items() if any(is_number(row.get(of[0])) for row in rows.values())}
    if all(row.get("found_before_closing") == row.get("true_positives") for row in rows.values()):
        columns.pop("found before closing", None)  # closing took nothing away
    names = [name for name in record.rarest_first if name in rows]
    names += [name for name in rows if name not in set(names)]
    in_training = ["positives in training"] * bool(record.train_support)
    header = ["label", *in_training, *columns, *(["in config.json"] if stored else [])]
    body = []
    for name in names:
        row = _defined(rows[name])
        cells = [show(row.get(key)) for key, show in columns.values()]
        trained = [count(record.train_support.get(name))] * bool(in_training)
        body.append([named(name, 1000), *trained, *cells, *([number(stored.get(name), 3)] if stored else [])])
    return table(caption, header, body, "wide")


def _defined(row: Mapping[str, Any]) -> dict[str, Any]:
    """A label's values without those of 0 / 0."""
    undefined = {"recall", "average_precision"} if row.get("support") == 0 else set()
    undefined |= {"precision"} if row.get("predicted") == 0 else set()
    return {key: value for key, value in row.items() if key not in undefined}


# ---- weights ----


def weights_section(record: RunRecord) -> Html:
    """The class weights and where they come from."""
    now = rows_by_label(record.current)
    known = {name: {k: v for k, v in row.items() if v is not None} for name, row in record.of_labels.items()}
    rows = {name: {**now.get(name, {}), **known.get(name, {})} for name in record.rarest_first}
    weights = {name: row["weight"] for name, row in rows.items() if is_number(row.get("weight"))}
    if not weights:
        text = "No class weights are known: none were in use, or the trainer was not WeightedFocalTrainer."
        return section("weights", "Class weights", tag("p", text))
    low, high = min(weights, key=weights.get), max(weights, key=weights.get)
    words = join([f"Weights go from {number(weights[low])} (", named(low), f") to {number(weights[high])} (",
                  named(high), ")."])  # fmt: skip
    cap = _mapping(record.run.get("settings")).get("max_weight")
    at_cap = [name for name in weights if is_number(cap) and weights[name] >= cap]
    if at_cap:
        words = join([words, f" {pluralize(len(at_cap), 'label')} at the cap of {cap:g}", some(at_cap), "."])
    body = [
        [named(name), count(row.get("train_support")), _ratio(row.get("ratio")), number(row.get("weight")),
         Cell(row.get("reason") or "not recorded", "t")]
        for name, row in rows.items()
    ]  # fmt: skip
    header = ["label", "positives in training", "ratio", "weight", Cell("where it comes from", "t")]
    shown = body if len(body) <= MAX_ROWS else body[:RAREST]
    parts = [table(f"Class weights ({len(shown)} of {pluralize(len(body), 'label')}, rarest first)", header, shown)]
    if len(shown) < len(body):
        parts.append(folded(f"All {len(body):,} weights", table("Class weights of all labels", header, body)))
    return section("weights", "Class weights, and where they come from", tag("p", words), *parts)


def _ratio(value: Any) -> str:
    return f"{value:,.3g}" if is_number(value) and value < 1000 else count(value)


# ---- configuration ----


def configuration_section(record: RunRecord) -> Html:
    """Settings, rules between labels, and versions."""
    run = record.run
    if not run:
        text = "There is no run.json in this folder: settings and versions are not known."
        return section("configuration", "Configuration and versions", tag("p", text))
    parts = []
    settings = _mapping(run.get("settings"))
    if is_number(run.get("n_train_rows")):
        settings = {"n_train_rows": count(run["n_train_rows"]), **settings}
    if settings:
        rows = [[tag("code", key), Cell(_setting(value), "t")] for key, value in settings.items()]
        parts.append(table("Settings", ["setting", Cell("value", "t")], rows))
    versions = _mapping(run.get("versions"))
    if versions:
        rows = [[tag("code", key), Cell(_setting(value), "t")] for key, value in versions.items()]
        parts.append(table("Versions", ["package", Cell("version", "t")], rows))
    parts = [tag("div", *parts, class_="pair"), _rules(run)]
    return section("configuration", "Configuration and versions", *parts)


def _rules(run: Mapping[str, Any]) -> Html:
    """Groups, implications and exclusive groups."""
    parts = []
    for group, members in _mapping(run.get("groups")).items():
        members = members if isinstance(members, list) else [members]
        parts.append(tag("p", "Group ", named(group), f": {pluralize(len(members), 'label')}", some(members, 8), "."))
    pairs = [pair for pair in run.get("implications") or () if isinstance(pair, list) and len(pair) == 2]
    if pairs:
        rules = [join([named(child), " implies ", named(parent)]) for child, parent in pairs]
        shown = join(rules[:8], "; ") + (f"; and {len(rules) - 8} more" if len(rules) > 8 else "")
        parts.append(tag("p", f"{pluralize(len(rules), 'implication')}: ", Html(shown), "."))
    for group, kind in _mapping(run.get("exclusive")).items():
        parts.append(tag("p", "Of group ", named(group), f" {str(kind).replace('_', ' ')} label holds."))
    return join(parts)


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _setting(value: Any) -> str:
    """A value as it would be typed."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
