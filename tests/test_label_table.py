import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.cells import cell_len

from imbalance_trainer.analysis.label_table import RankedLabels, compact_number, distinct_names, label_table
from imbalance_trainer.labels.class_weights import STRATEGIES, compute_class_weights
from imbalance_trainer.labels.distribution import LabelDistribution
from imbalance_trainer.labels.schema import LabelSchema
from imbalance_trainer.utils.console import as_text
from imbalance_trainer.utils.errors import UsageError

NAMES = ["hateful", "insults", "threats", "praising extremist acts", "ideologically motivated threats"]


def counts_of(
    support, names=None, n_rows=15_000, implications=(), violations=(), groups=None, exclusive=(), violation_rows=()
):
    names = names or [f"label {i}" for i in range(len(support))]
    schema = LabelSchema(names, groups or {}, implications, dict(exclusive))
    known = np.full(len(names), float(n_rows))
    violations = np.array(violations or [0] * len(schema.rules), dtype=np.int64)
    return LabelDistribution(
        schema, n_rows, np.array(support, dtype=float), known, violations, n_rows, tuple(violation_rows)
    )


def table_of(counts, custom="auto", strategy="tiered", max_rows=None):
    return as_text(*label_table(counts, compute_class_weights(counts, custom, strategy), max_rows)).splitlines()


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
        assert len(lines) == 1 + n + (n > 1) + len(pairs)


@pytest.mark.parametrize("n", [1, 5, 8, 9, 12_345_678])
def test_the_first_rows_that_violate_a_rule_are_named(n):
    named = tuple(range(99_999_999, 99_999_999 - min(n, 9), -1))
    counts = counts_of([9, 8], n_rows=20_000_000, implications=[("label 1", "label 0")], violations=[n])
    text = "\n".join(table_of(dataclasses.replace(counts, violation_rows=(named,))))
    start, _, more = text[text.index("  row") :].partition(" and ")
    assert start.split()[0] == ("row" if n == 1 else "rows")
    assert tuple(int(number) for number in re.findall(r"\d+", start)) == named[:8]
    assert more == (f"{n - 8:,} more" if n > 8 else "")


def test_says_counts_ratios_weights_and_reasons_rarest_first():
    counts = counts_of([6000, 3000, 300, 62, 0], NAMES, groups={"primary": ["hateful"]})
    lines = table_of(counts, {"threats": 57})
    assert [line.split() for line in lines] == [
        ["label", "samples", "%", "neg:pos", "ratio", "weight", "reason"],
        ["ideologically", "0", "0", "-", "-", "1", "no", "positives", "in"],
        ["motivated", "threats", "training"],
        ["praising", "extremist", "62", "0.41", "241", "48.4", "10", "ratio", ">=", "30"],
        ["acts"],
        ["threats", "300", "2.00", "49", "10", "20", "custom,", "cut", "from", "57"],
        ["insults", "3,000", "20.0", "4", "1", "3", "min(neg:pos,", "3)"],
        ["hateful", "6,000", "40.0", "1.5", "0.5", "1.5", "primary:", "at", "most", "2"],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (99_999, "99,999"),
        (99_999.4, "99,999"),
        (100_000, "100k"),
        (123_456, "123k"),
        (999_600, "1M"),
        (5e12, "5e+03B"),
    ],
)
def test_numbers_stay_short(value, text):
    assert compact_number(value) == text


def test_max_rows_keeps_the_rarest_and_sums_up_the_rest():
    counts = counts_of([1000, 500, 90, 20, 1])
    lines = table_of(counts, max_rows=2)
    assert [line.split()[1] for line in lines[1:3]] == ["4", "3"]
    assert lines[3:] == ["... and 3 more labels: weights 3 to 5"]
    assert table_of(counts, max_rows=4)[-1] == "... and 1 more label: weights 3"
    assert len(table_of(counts, max_rows=5)) == 6
    assert table_of(counts, max_rows=0)[1:] == ["... and 5 more labels: weights 3 to 10"]


def test_violated_rules_stand_below_the_worst_first_with_their_rows_counted_from_0():
    counts = counts_of(
        [9, 8, 7, 6, 5],
        NAMES,
        implications=[("insults", "hateful"), ("threats", "hateful")],
        violations=[1, 9, 3, 0],
        groups={"tone": NAMES[3:], "kind": NAMES[1:3]},
        exclusive={"kind": "at_most_one", "tone": "exactly_one"},
        violation_rows=[(14_999,), (0, 1, 2, 3, 5, 8, 13, 21, 34), (7, 8, 9), ()],
    )
    assert table_of(counts)[-7:] == [
        "",
        "9 rows have 'threats' without 'hateful'",
        "  rows 0, 1, 2, 3, 5, 8, 13, 21 and 1 more",
        "3 rows have more than one of the group 'kind'",
        "  rows 7, 8, 9",
        "1 row has 'insults' without 'hateful'",
        "  row 14999",
    ]
    assert table_of(counts, max_rows=1)[-2:] == [
        "  rows 0, 1, 2, 3, 5, 8, 13, 21 and 1 more",
        "... and 2 more rules violated, 4 times in all",
    ]
    unnamed = dataclasses.replace(counts, violation_rows=())
    assert table_of(unnamed)[-2:] == [
        "3 rows have more than one of the group 'kind'",
        "1 row has 'insults' without 'hateful'",
    ]


def test_violations_are_those_of_the_rows():
    schema = LabelSchema(["child", "parent"], {"all": ["child", "parent"]}, [("child", "parent")])
    counts = LabelDistribution.from_labels([[1, 1]] * 30 + [[1, 0]] * 17 + [[0, 0]] * 50, schema)
    rows = "  rows 30, 31, 32, 33, 34, 35, 36, 37 and 9 more"
    assert table_of(counts)[-2:] == ["17 rows have 'child' without 'parent'", rows]
    schema = LabelSchema(["child", "parent"], {"all": ["child", "parent"]}, exclusive={"all": "exactly_one"})
    counts = LabelDistribution.from_labels([[1, 1]] + [[1, 0]] * 17 + [[0, 0]], schema)
    assert table_of(counts)[-2:] == ["2 rows have not exactly one of the group 'all'", "  rows 0, 18"]


def test_no_violation_is_one_line_and_no_implication_none():
    counts = counts_of([9, 8, 7], implications=[("label 1", "label 0"), ("label 2", "label 0")])
    assert table_of(counts)[-1] == "No row violates the 2 implications."
    counts = counts_of([9, 8], implications=[("label 1", "label 0")])
    assert table_of(counts)[-1] == "No row violates the 1 implication."
    counts = counts_of([9, 8], groups={"g": ["label 0", "label 1"]}, exclusive={"g": "at_most_one"})
    assert table_of(counts)[-1] == "No row violates the 1 rule."
    assert len(table_of(counts_of([9, 8, 7]))) == 4


def test_what_does_not_fit_is_a_usage_error():
    for max_rows in (-1, 1.5, True):
        with pytest.raises(UsageError, match="max_rows is a number of labels"):
            table_of(counts_of([1, 2]), max_rows=max_rows)
    with pytest.raises(UsageError, match="weights are of 2 labels and the counts of 3"):
        label_table(counts_of([1, 2, 3]), compute_class_weights(counts_of([1, 2])))


def test_names_that_differ_in_the_middle_alone_stay_distinct():
    names = [f"common beginning of all names {word} common end of all names" for word in ("one", "two", "three")]
    short = distinct_names([*names, "other"], 24)
    assert len(set(short)) == 4
    assert all(word in name for word, name in zip(("one", "two", "three"), short, strict=False))
    assert max(map(len, short)) <= 24
    assert len(set(distinct_names([f"{'x' * 50}{i:0100}{'y' * 50}" for i in range(30)], 20))) == 30


def test_ranked_labels_keep_tiers_marks_and_cap_in_order():
    counts = counts_of([6000, 3000, 300, 62, 0], NAMES)
    labels = RankedLabels(counts, compute_class_weights(counts, {"threats": 57, "insults": 4}), None)
    assert labels.support.tolist() == [0, 62, 300, 3000, 6000]
    assert labels.tiers == {"tail": 1, "medium": 2, "head": 2}
    assert labels.absent == 1
    assert labels.cap == 20
    assert [labels.weight_text(i) for i in (2, 3)] == ["20 custom, capped from 57", "4 custom"]
    assert [labels.short_weight(i) for i in (1, 2, 3)] == ["3.16", "capped 20", "custom 4"]
    assert labels.rest_in_words[1:4] == ["  fewer than 10: 1", "  fewer than 100: 2", "  fewer than 1,000: 3"]


def test_imports_neither_torch_nor_transformers():
    code = "import sys, imbalance_trainer.reports.plots\n"
    code += "print({'torch', 'transformers', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
