"""Tables of words: each cell with its note and its shade, escaped, and a choice that must be possible."""

import pytest
from gallery import HOSTILE, Markup

from glm_edu.errors import InputError
from glm_edu.figures import side_by_side
from glm_edu.figures.cells import Cell, Table

TABLE = Table(
    ["input", "output"], ["ChatGLM-6B", "LLaMA"], [[Cell("7.9", 0.5, "told", "hidden_states"), Cell("1", 0, "")]] * 2
)


def test_words_notes_and_shades_stand_in_their_cells():
    figure = side_by_side({"one": TABLE}, alt="Two rows.")
    page = Markup(figure.picture)
    assert page.text["th"] == ["ChatGLM-6B", "LLaMA", "input", "output"]
    assert page.text["td"][1:3] == ["7.9hidden_states", "1"]
    assert [cell["style"] for cell in page.all("td")[1:3]] == ["--p:50", "--p:0"]
    assert not figure.controls


def test_markup_in_words_stays_text():
    hostile = Table(HOSTILE, ["a"], [[Cell(word, 0, word, word)] for word in HOSTILE])
    page = Markup(side_by_side({"one": hostile}, alt="x").picture)
    assert page.text["th"] == ["a", *HOSTILE] and not page.all("script")


def test_a_choice_of_tables():
    figure = side_by_side({"a": TABLE, "b": TABLE}, alt="x", legend="Reading", chosen="b")
    assert figure.controls.count("<input") == 2 and figure.picture.count("glm-panel") == 2
    with pytest.raises(InputError, match="chosen is 'c'"):
        side_by_side({"a": TABLE, "b": TABLE}, alt="x", chosen="c")
