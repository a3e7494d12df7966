from hypothesis import given
from hypothesis import strategies as st

from imbalance_trainer.utils.text import WIDTH, display_width, shorten, text_table


@given(st.text(), st.integers(8, 60))
def test_shortened_text_fits(text, width):
    assert display_width(shorten(text, width)) <= width


@given(st.text(alphabet="abc é怒", max_size=8))
def test_short_text_stays(text):
    assert shorten(text, 20) == " ".join(text.split())


@given(st.lists(st.tuples(st.text(max_size=120), st.integers(0, 10**6)), max_size=5))
def test_no_line_is_wider_than_a_terminal(rows):
    lines = text_table(["label", "support"], [[name, str(n)] for name, n in rows])
    assert all(display_width(line) <= WIDTH for line in lines)
    assert len(lines) == len(rows) + 1


def test_numbers_stand_under_each_other():
    assert text_table(["label", "n"], [["a", "1"], ["bb", "100"]]) == ["label    n", "a        1", "bb     100"]


def test_names_that_differ_at_the_end_still_differ():
    names = [f"the same long beginning of a label name, {end}" for end in ("first", "second")]
    assert shorten(names[0], 30) != shorten(names[1], 30)
