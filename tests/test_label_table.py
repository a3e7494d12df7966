import dataclasses
import re

import numpy as np
import pytest
from rich.cells import cell_len

from imbalance_trainer.analysis.parts import label_table
from imbalance_trainer.labels.class_weights import STRATEGIES, compute_class_weights
from imbalance_trainer.labels.distribution import LabelDistribution
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.utils.console import as_text
from imbalance_trainer.utils.errors import UsageError
from imbalance_trainer.utils.text import distinct_names

NAMES = ["hateful", "insults", "threats", "praising extremist acts", "ideologically motivated threats"]


def counts_of(support, names=None, n_rows=15_000, implications=(), violations=(), groups=None, violation_rows=()):
    names = names or [f"label {i}" for i in range(len(support))]
    schema = LabelSchema(names, groups or {}, implications)
    known = np.full(len(names), float(n_rows))
    violations = np.array(violations or [0] * len(schema.rules), dtype=np.int64)
    return LabelDistribution(
        schema, n_rows, np.array(support, dtype=float), known, violations, n_rows, tuple(violation_rows)
    )


def table_of(counts, custom="auto", strategy="tiered", max_rows=None):
    return as_text(*label_table(counts, compute_class_weights(counts, custom, strategy), max_rows)).splitlines()


def rules_of(counts, max_rows=None):
    """The lines below the table, each rule in one."""
    text = "\n".join(table_of(counts, max_rows=max_rows))
    return [" ".join(rule.split()) for rule in re.split(r"\n  (?=\S+ row|\.\.\.)", text.partition("\n\n")[2].strip())]


@pytest.mark.parametrize(
    ("n", "strategy"), [*((11, strategy) for strategy in STRATEGIES), (1, "tiered"), (735, "tiered")]
)
@pytest.mark.parametrize("name", ["l{}", "日本語のとても長いラベル é {} 🎉", "a long name of a label " * 4 + "{}"])
def test_fits_80_columns_with_every_label(n, strategy, name):
    support = np.floor(9_000_000 / np.arange(1, n + 1) ** 2)
    names = [name.format(i) for i in range(n)]
    pairs = [(name, names[0]) for name in names[1:]]
    counts = counts_of(support, names, 20_000_000, pairs, [12_345] * (n - 1))
    lines = table_of(counts, {names[-1]: 123.456}, strategy)
    assert max(map(cell_len, lines)) <= 80
    assert "".join(lines).count("12,345 rows have") == n - 1
    if name == "l{}":
        assert len(lines) == 1 + n + (n > 1) + len(pairs)  # each label is one line


def test_says_counts_ratios_weights_and_reasons_rarest_first():
    counts = counts_of([6000, 3000, 300, 62, 0], NAMES, groups={"primary": ["hateful"]})
    lines = table_of(counts, {"threats": 57})
    assert [line.split() for line in lines] == [
        ["label", "positives", "%", "neg:pos", "ratio", "weight", "reason"],
        ["ideologic...threats", "0", "0", "-", "-", "1", "no", "positives", "in", "training"],
        ["praising", "...st", "acts", "62", "0.41", "241", "48.4", "10", "ratio", ">=", "30"],
        ["threats", "300", "2.00", "49", "10", "20", "custom,", "cut", "from", "57"],
        ["insults", "3,000", "20.0", "4", "1", "3", "min(neg:pos,", "3)"],
        ["hateful", "6,000", "40.0", "1.5", "0.5", "1.5", "primary:", "at", "most", "2"],
    ]


def test_max_rows_keeps_the_rarest_and_sums_up_the_rest():
    counts = counts_of([1000, 500, 90, 20, 1])
    lines = table_of(counts, max_rows=2)
    assert [line.split()[1] for line in lines[1:3]] == ["4", "3"]
    assert lines[3:] == ["... and 3 more labels: weights 3 to 5"]
    assert table_of(counts, max_rows=4)[-1] == "... and 1 more label: weights 3"
    assert len(table_of(counts, max_rows=5)) == 6
    assert table_of(counts, max_rows=0)[1:] == ["... and 5 more labels: weights 3 to 10"]


def test_violated_rules_stand_below_the_worst_first_with_their_rows_counted_from_1():
    counts = counts_of(
        [9, 8, 7, 6, 5],
        NAMES,
        implications=[(name, "hateful") for name in NAMES[1:]],
        violations=[1, 12_345_678, 3, 0],
        violation_rows=[(14_999,), (0, 1, 2, 3, 5, 8, 13, 21, 34), (7, 8, 9), ()],
    )
    worst = "12,345,678 rows have 'threats' without 'hateful'"
    lines = [
        f"{worst}: rows 1, 2, 3, 4, 6, 9, 14, 22 and 12,345,670 more",
        "3 rows have 'praising extremist acts' without 'hateful': rows 8, 9, 10",
        "1 row has 'insults' without 'hateful': row 15000",
    ]
    assert rules_of(counts) == lines
    assert rules_of(counts, 1) == [lines[0], "... and 2 more rules violated: 4 times in all"]
    assert rules_of(dataclasses.replace(counts, violation_rows=()), 1)[0] == f"{worst}: rows not known"


def test_no_violation_is_one_line_and_no_rule_none():
    counts = counts_of([9, 8, 7], implications=[("label 1", "label 0"), ("label 2", "label 0")])
    assert table_of(counts)[-1] == "No row violates the 2 rules of the schema."
    assert len(table_of(counts_of([9, 8, 7]))) == 4


def test_what_does_not_fit_is_a_usage_error():
    with pytest.raises(UsageError, match="weights are of 2 labels and the counts of 3"):
        label_table(counts_of([1, 2, 3]), compute_class_weights(counts_of([1, 2])))


def test_names_of_a_column_differ_and_fit():
    names = [f"common beginning of all names {word} common end of all names" for word in ("one", "two", "three")]
    for many in ([*names, "other"], [f"{'x' * 50}{i:0100}{'y' * 50}" for i in range(30)]):
        short = distinct_names(many, 24)
        assert len(set(short)) == len(many)
        assert max(map(len, short)) <= 24
