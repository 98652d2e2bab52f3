"""Small multiples: every table is in view under its name, escaped, and says in words what it shows.

Mutations: a table left out, a name not escaped, or a shade without its sign, and a test here fails.
"""

import pytest
from gallery import HOSTILE, Markup
from live_page import in_browser_thread

from glm_edu.errors import InputError
from glm_edu.figures import small_multiples
from glm_edu.figures.cells import Cell, Table

SEEN = Table(["白", "日"], ["白", "日"], [[Cell("1", 1, "sees"), Cell("0", 0, "not")], [Cell("", -0.5, "x")] * 2])


def test_every_table_stands_under_its_name_with_no_choice():
    figure = small_multiples({"as written": SEEN, "mended": SEEN}, told="Two masks.")
    page = Markup(figure.picture)
    assert page.text["b"] == ["as written", "mended"] and len(page.all("table")) == 2
    cells = [cell for cell in page.all("td") if "title" in cell]
    assert [(cell["style"], cell.get("class")) for cell in cells[:3]] == [
        ("--p:100", None), ("--p:0", "nil"), ("--p:50", "neg"),
    ]  # fmt: skip
    assert not figure.controls and figure.data["tables"]["mended"]["weight"] == [[1, 0], [-0.5, -0.5]]
    assert figure.alt == "Two masks. as written: 白 1 0; 日 - -. mended: 白 1 0; 日 - -."


def test_markup_in_names_and_words_stays_text():
    hostile = Table(HOSTILE, HOSTILE[:1], [[Cell(word, 0, word)] for word in HOSTILE])
    page = Markup(small_multiples({HOSTILE[0]: hostile}, told="x").html)
    assert page.text["b"] == HOSTILE[:1]
    assert [script.get("type") for script in page.all("script")] == ["application/json"]


def test_no_tables_are_refused():
    with pytest.raises(InputError, match="has no tables"):
        small_multiples({}, told="x")


@in_browser_thread
def test_a_cell_that_is_pointed_at_is_read_out(visit):
    figure = visit.figure("multiples")
    figure.locator("td[title=told]").nth(1).hover()
    assert figure.locator(".glm-read").text_content() == "told"


@in_browser_thread
def test_a_table_that_stands_alone_stays_a_table_beside_figures_with_a_choice(visit):
    tables = visit.figure("mask").locator(".glm-picture > table")
    assert tables.evaluate_all("all => all.map(table => getComputedStyle(table).display)") == ["table"]
