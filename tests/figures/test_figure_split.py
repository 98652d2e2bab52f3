"""Split map: one piece of every weight is filled, the one that the chosen rank holds, and it lies where the cut is."""

from __future__ import annotations

import re

import pytest
from gallery import Markup

from glm_edu import ModelConfig
from glm_edu.errors import InputError
from glm_edu.figures import split_map
from glm_edu.parallel import split_plan

NAMES = ["query", "key", "value", "output", "gate", "up", "down"]


def filled(picture: str) -> list[list[str]]:
    """For each panel the outlines of the filled pieces."""
    panels = picture.split('class="glm-panel"')[1:]
    return [re.findall(r'<path d="([^"]+)"[^>]*fill: var\(--g-v2\)', panel) for panel in panels]


def test_each_rank_holds_one_piece_of_each_weight_of_chatglm2() -> None:
    figure = split_map(split_plan(ModelConfig.preset("chatglm2-6b"), 4))
    ranks = filled(figure.picture)
    assert [len(pieces) for pieces in ranks] == [len(NAMES)] * 4
    for number, name in enumerate(NAMES):
        places = [pieces[number] for pieces in ranks]
        assert len(set(places)) == (2 if name in ("key", "value") else 4), name  # two ranks share a kv group
        assert (places[0] == places[1]) == (name in ("key", "value"))


def test_columns_stand_and_rows_lie() -> None:
    """The pieces of query differ in x alone, those of output in y alone."""
    first, second = filled(split_map(split_plan(ModelConfig.preset("chatglm-6b"), 2)).picture)
    corners = [[re.findall(r"[\d.]+", piece) for piece in pieces] for pieces in (first, second)]
    for number, name in enumerate(["query", "key", "value", "output", "up", "down"]):
        left, right = (set(points[number][0::2]) for points in corners)
        top, bottom = (set(points[number][1::2]) for points in corners)
        assert (left == right, top == bottom) == ((True, False) if name in ("output", "down") else (False, True)), name


def test_the_words_say_the_plan_and_what_is_whole() -> None:
    figure = split_map(split_plan(ModelConfig.preset("tiny-llama"), 7))  # 112 = 7 * 16; 4 heads are not for 7
    assert "query whole; key whole; value whole; output whole" in figure.alt
    assert "gate by columns into 7; up by columns into 7; down by rows into 7" in figure.alt
    assert Markup(figure.html).text["p"][:7] == [f"rank {rank}" for rank in range(7)]
    assert all(len(pieces) == len(NAMES) for pieces in filled(figure.picture))


@pytest.mark.parametrize("ranks", [1, 16])
def test_a_choice_needs_two_to_eight_ranks(ranks: int) -> None:
    with pytest.raises(InputError, match=f"for {ranks} ranks; this figure shows 2 to 8"):
        split_map(split_plan(ModelConfig.preset("llama-7b"), ranks))
