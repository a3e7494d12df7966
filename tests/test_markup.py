"""HTML that escapes what it is given."""

import pytest

from imbalance_trainer.reports.markup import Cell, Html, count, escaped, join, named, number, table, tag
from imbalance_trainer.reports.page_style import DARK, HEAT, LIGHT, STYLE


def test_text_is_escaped_once_and_html_not_at_all():
    assert tag("p", "<b>", tag("i", "&")) == "<p>&lt;b&gt;<i>&amp;</i></p>"
    assert tag("p", Html("<b></b>")) == "<p><b></b></p>"
    assert tag("a", "x", href='"><script>', class_="y") == '<a href="&quot;&gt;&lt;script&gt;" class="y">x</a>'


def test_what_is_put_together_with_html_is_text_again():
    assert tag("p", tag("b", "x") + " & y") == "<p>&lt;b&gt;x&lt;/b&gt; &amp; y</p>"  # the safe side
    assert join([tag("b", "x"), " & y"]) == "<b>x</b> &amp; y"


def test_letters_that_html_or_utf8_have_not_are_replaced():
    assert escaped("a\x00b\ud800c\x1b") == "a�b�c�"
    assert escaped("é 漢 🙂") == "é 漢 🙂"


def test_names_are_isolated_and_never_empty():
    assert named("a\n b") == "<bdi>a b</bdi>"
    assert named(" ") == "<bdi>(no name)</bdi>"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), True, "0.5", []])
def test_what_is_no_number_is_a_hyphen(value):
    assert number(value) == count(value) == "-"


def test_a_table_has_heads_for_its_columns_and_rows():
    html = table("A & b", ["label", Cell("value", "t")], [["x", "1"]], "wide")
    assert '<th scope="col">label</th><th class="t" scope="col">value</th>' in html
    assert '<tr><th scope="row">x</th><td>1</td></tr>' in html
    assert 'aria-label="A &amp; b"' in html
    assert 'tabindex="0"' in html


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


@pytest.mark.parametrize("pair", [*HEAT, ("#fdeeea", "#8a2a1c")])
def test_numbers_in_the_heat_map_can_be_read(pair):
    assert contrast(*pair) >= 4.5
    assert all(colour in STYLE for colour in pair)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_on_both_backgrounds(colours):
    for name in set(colours) - {"back", "soft", "grid"}:
        assert contrast(colours[name], colours["back"]) >= 4.5, name
        assert contrast(colours[name], colours["soft"]) >= 4.5, name
