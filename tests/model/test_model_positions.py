"""Where tokens stand: the two clocks of ChatGLM-6B in both published revisions, padding, and going on after a cache."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny
from torch import Tensor

from glm_edu import KVCache, ModelConfig, record
from glm_edu.errors import InputError
from glm_edu.model.positions import bos_index, first_index, glm_positions, next_positions, sequential_positions

CONFIG = ModelConfig.preset("tiny-chatglm")
BOS, MASK, GMASK, PAD = 504, 500, 501, 3


def _positions(row: list[int], **options: Any) -> tuple[list[list[int]], list[int]]:
    ids = torch.tensor([row])
    places, clocks = glm_positions(ids, ids != PAD, replace(CONFIG, **options))
    return places[0].tolist(), clocks[0].tolist()


@pytest.mark.parametrize(("what", "row", "position", "block"), [
    ("[gMASK] prompt", [5, 74, GMASK, BOS], [0, 1, 2, 2], [0, 0, 0, 1]),
    ("with an answer", [5, 74, GMASK, BOS, 9, 8], [0, 1, 2, 2, 2, 2], [0, 0, 0, 1, 2, 3]),
    ("[MASK] in the middle", [5, MASK, 6, 7, BOS, 9], [0, 1, 2, 3, 1, 1], [0, 0, 0, 0, 1, 2]),
    ("both: [gMASK] is filled", [5, MASK, 6, GMASK, BOS, 9], [0, 1, 2, 3, 3, 3], [0, 0, 0, 0, 1, 2]),
    ("a second bos", [5, GMASK, BOS, BOS], [0, 1, 1, 1], [0, 0, 1, 2]),
    ("padded on the left", [PAD, PAD, 5, GMASK, BOS], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]),
])  # fmt: skip
def test_positions_of_chatglm(what: str, row: list[int], position: list[int], block: list[int]) -> None:
    places, clocks = _positions(row)
    assert places == [position, block]
    assert clocks == [position[-1], block[-1]]


@pytest.mark.parametrize(("what", "row", "older", "newer"), [
    ("[gMASK] prompt: the older one keeps counting", [5, 74, GMASK, BOS, 9], [0, 1, 2, 3, 4], [0, 1, 2, 2, 2]),
    ("[MASK] prompt: both stand still", [5, MASK, 6, BOS, 9], [0, 1, 2, 1, 1], [0, 1, 2, 1, 1]),
])  # fmt: skip
def test_the_two_published_revisions(what: str, row: list[int], older: list[int], newer: list[int]) -> None:
    block = _positions(row)[0][1]
    assert _positions(row, position_revision="2023-03")[0] == [older, block]
    assert _positions(row, position_revision="2023-09")[0] == [newer, block]


def test_the_older_revision_fills_mask_before_gmask() -> None:
    row = [5, MASK, 6, GMASK, BOS]
    assert _positions(row, position_revision="2023-03")[1][0] == 1
    assert _positions(row, position_revision="2023-09")[1][0] == 3


def test_the_revision_reaches_the_logits() -> None:
    ids = torch.tensor([[5, 74, 80, GMASK, BOS, 9]])
    newer, older = tiny("tiny-chatglm"), tiny("tiny-chatglm", position_revision="2023-03")
    assert (newer(ids) - older(ids)).abs().max() > 0.01


def test_one_clock_counts_on_after_gmask_and_stands_still_at_mask() -> None:
    assert _positions([5, 6, GMASK, BOS, 9], rotary_channels=1)[0] == [0, 1, 2, 3, 4]
    assert _positions([5, MASK, 6, BOS, 9], rotary_channels=1)[0] == [0, 1, 2, 1, 1]


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_sequential_positions_count_the_kept_tokens(keep: list[bool]) -> None:
    counted = sequential_positions(torch.tensor([keep]))[0].tolist()
    expected, seen = [], 0
    for kept in keep:
        seen += kept
        expected.append(max(seen - 1, 0))
    assert counted == expected


@given(st.integers(1, 6), st.integers(0, 5), st.integers(1, 5), st.integers(0, 4))
def test_a_prompt_cut_after_bos_stands_where_the_whole_one_does(context: int, mask: int, answer: int, pad: int) -> None:
    text = list(range(10, 10 + context))
    text[min(mask, context - 1)] = MASK
    ids = torch.tensor([[PAD] * pad + [*text, BOS] + [9] * answer])
    keep = ids != PAD
    whole, clocks = glm_positions(ids, keep, CONFIG)
    cut = pad + context + 1
    first, last = glm_positions(ids[:, :cut], keep[:, :cut], CONFIG)
    rest, after = next_positions(last, keep[:, cut:], CONFIG)
    assert torch.equal(torch.cat([first, rest], dim=-1), whole)
    assert torch.equal(after, clocks)


@given(st.integers(1, 8), st.lists(st.booleans(), min_size=1, max_size=5))
def test_sequential_positions_go_on_after_a_cache(past: int, keep: list[bool]) -> None:
    flags = torch.tensor([[True] * past + keep])
    whole = sequential_positions(flags)
    config = ModelConfig.preset("tiny-llama")
    rest, after = next_positions(whole[:, past - 1], flags[:, past:], config)
    assert torch.equal(rest, whole[:, past:])
    assert torch.equal(after, whole[:, -1])


def test_cached_steps_count_blocks_and_stand_still() -> None:
    model, cache = tiny("tiny-chatglm"), KVCache()
    model(torch.tensor([[5, 6, GMASK, BOS]]), cache=cache)
    for step in range(2, 5):
        with record(model, "position_ids") as seen:
            model(torch.tensor([[9]]), cache=cache)
        assert seen["position_ids"].tolist() == [[[2], [step]]]


def test_positions_that_are_given_are_used_and_continued() -> None:
    model, cache = tiny("tiny-llama"), KVCache()
    with record(model, "position_ids") as seen:
        model(torch.tensor([[5, 6]]), position_ids=torch.tensor([[40, 41]]), cache=cache)
        assert seen["position_ids"].tolist() == [[40, 41]]
        model(torch.tensor([[7]]), cache=cache)
        assert seen["position_ids"].tolist() == [[42]]


@pytest.mark.parametrize(("token", "expected"), [(7, [1, -1]), (5, [0, 1]), (None, [-1, -1])])
def test_first_index(token: int | None, expected: list[int]) -> None:
    ids: Tensor = torch.tensor([[5, 7, 7], [6, 5, 5]])
    assert first_index(ids, token).tolist() == expected


def test_a_row_without_bos_is_named() -> None:
    ids = torch.tensor([[5, GMASK, BOS], [5, GMASK, 6]])
    with pytest.raises(InputError, match=r"Row 1 .* no bos token \(504\).*\[gMASK\]"):
        bos_index(ids, CONFIG)
    with pytest.raises(InputError, match="Row 1"):
        tiny("tiny-chatglm")(ids)


def test_a_row_with_nothing_to_fill_is_named() -> None:
    with pytest.raises(InputError, match=r"Row 0 .*neither \[gMASK\] \(501\) nor \[MASK\] \(500\)"):
        tiny("tiny-chatglm")(torch.tensor([[5, 6, BOS]]))


def test_a_part_of_nothing_but_padding_takes_no_position() -> None:
    model, cache = tiny("tiny-llama"), KVCache()
    model(torch.tensor([[5, 6]]), attention_mask=torch.tensor([[0, 0]]), cache=cache)
    with record(model, "position_ids") as seen:
        model(torch.tensor([[5, 6, 7]]), attention_mask=torch.tensor([[0, 0, 0, 1, 1]]), cache=cache)
    assert seen["position_ids"].tolist() == [[0, 0, 1]]
