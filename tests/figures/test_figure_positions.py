"""The position table shows each clock as numbers and as bars."""

import re

import pytest
import torch
from gallery import TOKENS, Markup, poem

from glm_edu.errors import GLMError
from glm_edu.figures import position_table


def test_numbers_and_marked_column_are_those_of_the_tensor():
    positions = poem().seen["position_ids"][0]
    figure = position_table(positions, TOKENS)
    assert figure.data == {"tokens": TOKENS, "positions": positions.tolist(), "sop": 7}
    assert [int(text) for text in Markup(figure.picture).text["b"]] == positions.flatten().tolist()
    marked = [i for i, cell in enumerate(Markup(figure.picture).all("td")[1:]) if cell.get("class") == "sop"]
    assert marked == [7, 7 + 13]


def test_bars_grow_with_the_number_on_one_scale():
    figure = position_table(torch.tensor([[0, 1, 2, 2], [0, 0, 1, 4]]), list("abcd"))
    heights = [int(height) for height in re.findall(r"--p:(\d+)", figure.picture)]
    assert heights == [0, 25, 50, 50, 0, 0, 25, 100]


def test_alt_text_tells_the_two_clocks_apart():
    alt = position_table(poem().seen["position_ids"][0], TOKENS).alt
    assert "Position counts 0 to 6, then stands still." in alt
    assert "Block is 0 and counts 1 to 6 from sop." in alt


def test_one_clock_and_odd_clocks_have_their_own_words():
    assert "They count 0 to 12." in position_table(torch.arange(13)[None], TOKENS).alt
    odd = position_table(torch.tensor([[0, 1, 2], [0, 1, 2]]), list("abc"))
    assert odd.data["sop"] == 1
    assert "Position: 0 1 2. Block: 0 1 2." in odd.alt


def test_what_does_not_fit_is_refused():
    with pytest.raises(GLMError, match=r"tokens has 2 entries.*position axis has 3"):
        position_table(torch.zeros(2, 3, dtype=torch.long), list("ab"))
    with pytest.raises(GLMError, match="3 rows; there are one or two clocks"):
        position_table(torch.zeros(3, 2, dtype=torch.long), list("ab"))
