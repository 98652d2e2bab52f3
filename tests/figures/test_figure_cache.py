"""The grids of a cache show what the tensors hold, bottom layer below, and refuse what is no fate.

Mutations: layers upside down, kept for stale, a count of one class for another, an unescaped token: tests here fail.
"""

import pytest
import torch
from gallery import HOSTILE, Markup, caches

from glm_edu.errors import GLMError
from glm_edu.figures import CacheGrid, cache_rounds

TWO = torch.zeros(1, 2, dtype=torch.long)


def test_cells_stand_by_layer_from_the_bottom_and_by_token():
    figure = caches()
    assert figure.data["rounds"]["2"]["prefix"]["fates"] == [[0, 0, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2]]
    cells = [cell for cell in Markup(figure.picture).all("td") if "title" in cell]
    second = cells[16 : 16 + 12]  # behind two grids of 2 x 4
    assert [cell["class"] for cell in second] == ["again"] * 3 + ["new"] * 3 + ["kept"] * 2 + ["again"] + ["new"] * 3
    assert second[6]["title"] == "block 0, 白: was cached, and is still right"
    assert second[2]["title"] == "block 1, 依: was cached, but is stale and computed again"
    assert "block 1" in figure.picture and "2, prefix: 2 kept, 4 computed again, 6 new" in figure.alt


def test_the_choice_of_a_round_needs_no_script():
    figure = caches()
    radios = [box for box in Markup(figure.controls).all("input") if box["type"] == "radio"]
    assert ["checked" in box for box in radios] == [False, True]
    assert figure.picture.count('class="glm-panel"') == 2 and ":has(" in figure.html


def test_markup_in_tokens_and_names_stays_text():
    grid = CacheGrid(HOSTILE, torch.zeros(1, len(HOSTILE), dtype=torch.long))
    figure = cache_rounds({text: {text: grid} for text in HOSTILE[:2]}, legend=HOSTILE[0], chosen=HOSTILE[0])
    page = Markup(figure.html)
    assert [script.get("type") for script in page.all("script")] == ["application/json"]
    assert all(not key.startswith("on") for _, attributes in page.elements for key in attributes)


@pytest.mark.parametrize("grid, message", [
    (CacheGrid(["a"], TWO), "tokens has 1 entries"),
    (CacheGrid(["a", "b"], TWO + 3), r"holds \[3\]; a fate is 0 KEPT"),
    (CacheGrid(["a", "b"], TWO, family="v9"), "the families are v1"),
])  # fmt: skip
def test_grids_that_do_not_fit_are_refused(grid, message):
    with pytest.raises(GLMError, match=message):
        cache_rounds({"1": {"m": grid}, "2": {"m": grid}}, legend="Round", chosen="1")


def test_a_single_round_is_no_choice():
    with pytest.raises(GLMError, match="from 2 to 8"):
        cache_rounds({"1": {"m": CacheGrid(["a", "b"], TWO)}}, legend="Round", chosen="1")
