"""Templates that escape what they are given, numbers, and a style sheet whose text can be read."""

import re
from pathlib import Path

import pytest

import imbalance_trainer.reports
from imbalance_trainer.reports.html import count, number
from imbalance_trainer.reports.pictures import inline, label_chart
from tests.pages import Page

STYLE = (Path(imbalance_trainer.reports.__file__).parent / "templates" / "style.css").read_text()
HOSTILE = [
    "</text><script>alert(1)</script>",
    ' id="a-title" url(#b)',
    "$x^2$ [b] {{ 1 }}",
    "\x00\ud800\x1b",
    "é 漢 🙂",
]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), True, "0.5", []])
def test_what_is_no_number_is_a_hyphen(value):
    assert number(value) == count(value) == "-"


@pytest.mark.parametrize("series", [{"x": [1, 20, 300, 0, 5]}, {"a": [1, 0, 3, 4, 5], "b": [5, 0, 9, 1, 2]}])
def test_a_picture_in_a_page_has_words_own_ids_and_names_as_they_are(series):
    texts = [
        inline(name, "Title <&>", "Words <b>", lambda: label_chart(HOSTILE, series, "n")).svg for name in ("a", "b")
    ]
    page = Page("".join(texts).replace("\x00", ""))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"][1:] for _, attrs in page.tags if "href" in attrs]
    links += re.findall(r'clip-path="url\(#([^)]*)\)', "".join(texts))
    assert links
    assert set(links) <= set(ids)
    for svg, name in zip(page.named("svg"), ("a", "b"), strict=True):
        assert (svg["role"], svg["aria-labelledby"]) == ("img", f"{name}-title {name}-desc")
    assert not page.named("script") + page.named("style")
    assert page.words.count("Title <&>") == page.words.count("Words <b>") == 2
    assert {"$x^2$ [b] {{ 1 }}", "é 漢 🙂"} <= {text.strip() for text in page.text}
    assert "://" not in "".join(texts)


# ---- contrast ----


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_reckoned_as_wcag_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_numbers_in_the_heat_map_can_be_read():
    pairs = re.findall(r"\.(?:h\d+|zero)\{background:(#\w+);color:(#\w+)", STYLE)
    assert len(pairs) == 12
    assert all(contrast(*pair) >= 4.5 for pair in pairs)


def test_text_can_be_read_on_both_backgrounds():
    schemes = [dict(re.findall(r"--(\w+):(#\w{6})", rule)) for rule in re.findall(r":root\{([^}]*)\}", STYLE)]
    assert len(schemes) == 2
    for colours in schemes:
        for name in set(colours) - {"back", "soft", "grid"}:
            assert min(contrast(colours[name], colours[back]) for back in ("back", "soft")) >= 4.5, name
