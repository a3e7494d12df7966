"""The page of `analyze`: whole, true to the data, and safe with any name."""

import numpy as np
import pytest

from imbalance_trainer.reports.analysis_page import build_page
from tests.pages import checked
from tests.test_analysis import analysis_of, labels_of, made


@pytest.mark.parametrize("n_labels", [1, 11, 62, 735])
def test_the_page_is_whole_whatever_labels_are_called(n_labels):
    name = "</td> & {} <script> \"'{{{{ 7 * 7 }}}} $x^2$ [b]"
    text = build_page(analysis_of(made(n_labels, name=name, tilt=0.2, unknown=n_labels > 1)))
    page = checked(text)
    assert len(text) < 2_000_000
    _, *rows = page.table("Labels in train")
    assert {row[0] for row in rows} == {name.format(i) for i in range(n_labels)}
    assert len(page.named("svg")) == 2


def test_numbers_are_those_of_the_data():
    data = made(11, rows=(4000, 1000, 1000), tilt=0.3, implications=[("l3", "l0")])
    analysis = analysis_of(data)
    page = checked(build_page(analysis))
    support = labels_of(data).sum(0)
    header, *rows = page.table("Labels in train")
    assert header == ["label", "tier", "positives", "%", "neg:pos", "ratio", "weight", "reason"]
    assert {row[0]: row[2] for row in rows} == {f"l{i}": f"{n:,}" for i, n in enumerate(support)}
    for choice in analysis.recommendation.choices:
        assert f"--{choice.flag} " in page.words
        assert f"{choice.reason} [{choice.source}]" in page.words
    assert f"{len(analysis.recommendation.warnings)} problems that no setting can fix." in page.words
    assert all(warning in page.words for warning in analysis.recommendation.warnings)
    hot = labels_of(data)
    assert f"{((hot[:, 3] == 1) & (hot[:, 0] == 0)).sum():,} rows have 'l3' without 'l0': rows" in page.words
    rarest = int(np.argmin(support))
    assert f"{(hot[:, rarest] & hot[:, 0]).sum():,} of {support[rarest]:,} also l0" in page.words


def test_of_many_labels_the_histogram_counts_all():
    data = made(735)
    support = labels_of(data).sum(0)
    words = "".join(checked(build_page(analysis_of(data))).text).split("\n")
    words = [word.strip() for word in words]
    for said, inside in (("0", support == 0), ("1 to 4", (support >= 1) & (support < 5))):
        assert {said, f"{inside.sum():,}"} <= set(words)
