"""The lens table and the map of effects show what the tensors hold, and are whole without a script.

Mutations: the least likely token, rows for columns, a shade without its sign, or an unescaped gloss, tests here fail.
"""

import pytest
import torch
from gallery import HOSTILE, Markup

from glm_edu.errors import GLMError
from glm_edu.figures import effect_map, lens_table, reading_table
from glm_edu.figures.cells import Cell, Table
from glm_edu.lens import Reading, likeliest

VOCABULARY = ["山", "水", "<sop>", "月"]
GLOSSES = {"山": "mountain", "水": "water", "月": "moon"}
LOGITS = torch.tensor([[[9.0, 8, 1, 0], [0, 0, 5, 0]], [[0, 7.0, 0, 1], [0, 0, 0, 3]], [[0.0, 0, 0, 9], [1, 0, 0, 0]]])
ROWS, COLUMNS = ["embedding", "block 0", "block 1"], ["[M]", "sop"]


def lens(**options):
    return lens_table({"norm": LOGITS}, ROWS, COLUMNS, VOCABULARY, glosses=GLOSSES, **options)


def test_a_lens_cell_holds_the_likeliest_token_its_probability_and_its_english():
    figure = lens()
    table = figure.data["tables"]["norm"]
    assert table["text"] == [["山", "<sop>"], ["水", "月"], ["月", "山"]]
    expected = LOGITS.softmax(-1).amax(-1)
    assert torch.allclose(torch.tensor(table["weight"]), expected, atol=0.005)  # two decimals are shown
    cells = [cell for cell in Markup(figure.picture).all("td") if "title" in cell]
    assert cells[0]["title"] == "embedding, at [M]: 山 mountain 0.73, 水 water 0.27, <sop> 0.00"
    assert cells[0]["style"] == "--p:73"
    assert Markup(figure.picture).text["small"] == ["mountain", "water", "moon", "moon", "mountain"]
    assert "block 0: 水 月" in figure.alt


def test_a_stored_reading_is_the_same_table():
    reading = Reading(ROWS, COLUMNS, likeliest(LOGITS, VOCABULARY.__getitem__))
    assert reading_table({"norm": reading}, glosses=GLOSSES).html == lens().html


def effects(values, **options):
    told = "{row}, {column}: {value}"
    return effect_map({"one": values}, ["a", "b"], {"one": ["x", "y", "z"]}, told=told, unit=0.01, **options)


def test_an_effect_is_shown_in_its_unit_and_shaded_against_the_largest():
    figure = effects(torch.tensor([[0.5, -0.25, 0.001], [0.0, -0.004, 0.1]]))
    table = figure.data["tables"]["one"]
    assert table["text"] == [["50", "−25", "0"], ["0", "0", "10"]]
    assert table["weight"] == [[1, -0.5, 0], [0, -0.01, 0.2]]
    cells = [cell for cell in Markup(figure.picture).all("td") if "title" in cell]
    assert [cell.get("class") for cell in cells] == [None, "neg", "nil", "nil", "nil", None]
    assert figure.alt.endswith("The largest: a, x: 50; a, y: −25; b, z: 10.")


def test_an_interval_stands_under_its_number():
    intervals = torch.tensor([[-0.1, 0.3]] * 6).view(2, 3, 2)
    figure = effects(torch.full((2, 3), 0.1), intervals={"one": intervals})
    assert Markup(figure.picture).text["small"] == ["−10 to 30"] * 6
    assert "b, z: 10 (−10 to 30)" in figure.picture


def test_nothing_at_all_is_drawn_without_dividing_by_it():
    assert effects(torch.zeros(2, 3)).data["tables"]["one"]["weight"] == [[0, 0, 0], [0, 0, 0]]


def test_several_tables_are_a_choice_that_needs_no_script():
    readings = {"norm": LOGITS, "none": -LOGITS}
    figure = lens_table(readings, ROWS, COLUMNS, VOCABULARY, chosen="none", legend="reading", caption="**Look**")
    radios = [box for box in Markup(figure.controls).all("input") if box["type"] == "radio"]
    assert ["checked" in box for box in radios] == [False, True]
    assert len(Markup(figure.picture).all("table")) == 2
    assert "embedding: 月 水" in figure.alt  # the likeliest of -LOGITS: of the table that is shown first
    assert ":has(" in figure.html and ".glm-panel" in figure.html


def test_markup_in_tokens_and_glosses_stays_text():
    logits = torch.eye(len(HOSTILE))[None]
    figure = lens_table({"a": logits}, HOSTILE[:1], HOSTILE, HOSTILE, glosses={t: t for t in HOSTILE}, title=HOSTILE[0])
    page = Markup(figure.html)
    assert [script.get("type") for script in page.all("script")] == ["application/json"]
    assert all(not key.startswith("on") for _, attributes in page.elements for key in attributes)


@pytest.mark.parametrize("rows, columns, vocabulary, message", [
    (ROWS[:2], COLUMNS, VOCABULARY, "rows has 2 entries"),
    (ROWS, COLUMNS[:1], VOCABULARY, "columns has 1 entries"),
    (ROWS, COLUMNS, VOCABULARY[:3], "vocabulary has 3 entries"),
])  # fmt: skip
def test_headings_that_do_not_fit_are_refused(rows, columns, vocabulary, message):
    with pytest.raises(GLMError, match=message):
        lens_table({"norm": LOGITS}, rows, columns, vocabulary)


def test_a_table_has_a_cell_for_each_heading_in_every_row():
    one = Cell("1", 0, "")
    with pytest.raises(GLMError, match="columns has 2 entries, but the tensor's column axis has 1"):
        Table(["a", "b"], ["x", "y"], [[one, one], [one]])
    with pytest.raises(GLMError, match="rows has 1 entries"):
        Table(["a"], [], [])
    with pytest.raises(GLMError, match="no table to draw"):
        effect_map({}, [], {}, told="")


def test_numbers_that_cannot_be_drawn_are_refused():
    with pytest.raises(GLMError, match=r"effects\['one'\] is \[0, 2\]: there is nothing to draw"):
        effect_map({"one": torch.zeros(0, 2)}, [], {"one": ["x", "y"]}, told="{value}")
    with pytest.raises(GLMError, match="NaN"):
        lens_table({"norm": LOGITS * float("nan")}, ROWS, COLUMNS, VOCABULARY)
    with pytest.raises(GLMError, match="infinite"):
        effects(torch.full((2, 3), float("inf")))
    with pytest.raises(GLMError, match="which tables does not have"):
        lens_table({"a": LOGITS, "b": LOGITS}, ROWS, COLUMNS, VOCABULARY, chosen="c")
