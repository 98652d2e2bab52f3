"""The table of results: headings that a screen reader finds, escaped cells, and a frame that scrolls by keyboard."""

import pytest

from glm_edu.errors import InputError
from glm_edu.page import table

COLUMNS = ["row", "`nats`", "right"]
ROWS = [["uniform", "8.01", "0 %"], ["<b>5-gram</b>", "**4.70**", "19 %"]]


def test_every_row_and_column_has_a_heading_that_says_so():
    html = table(COLUMNS, ROWS, "what to notice").html
    assert html.count('scope="col"') == 3
    assert html.count('scope="row"') == 2
    assert html.count("<td>") == 4
    assert "<caption><span>what to notice</span></caption>" in html


def test_the_frame_is_reached_by_keyboard_and_named():
    html = table(COLUMNS, ROWS, "**read** it").html
    assert 'tabindex="0" role="group" aria-label="read it"' in html


def test_cells_are_escaped_but_for_bold_and_code():
    html = table(COLUMNS, ROWS, "caption").html
    assert "&lt;b&gt;5-gram&lt;/b&gt;" in html
    assert "<b>4.70</b>" in html
    assert "<code>nats</code>" in html


def test_the_lit_row_is_the_one_that_was_named():
    html = table(COLUMNS, ROWS, "caption", lit=["uniform"]).html
    assert html.count("class=glm-hit") == 1
    assert '<tr class=glm-hit><th scope="row">uniform' in html


@pytest.mark.parametrize(
    "rows, lit, words",
    [([], [], "no rows"), ([["a", "1"]], [], "'a' has 2 cells"), (ROWS, ["absent"], "No row is headed 'absent'")],
)
def test_a_table_that_cannot_be_drawn_says_why(rows, lit, words):
    with pytest.raises(InputError, match=words):
        table(COLUMNS, rows, "caption", lit=lit)
