"""GLM's layout: worked out by hand, equal to what the network computes from the ids, and whole for any blanks.

Tried mutations, each of which fails here: the block position counts from 0; Part B keeps the place of its mask in the
uncut text; <sop> has a label; <eop> has none; Part A sees <sop>; blanks are filled from left to right whatever their
order; blanks may overlap by one character.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layouts import part_a, rebuilt

from glm_edu import Transformer, record
from glm_edu.errors import InputError
from glm_edu.text.characters import CharacterTokenizer
from glm_edu.training.corrupt import Example, corrupt
from glm_edu.training.settings import TANG_GLM
from glm_edu.training.vocabulary import tang_tokenizer

# ids:   0     1     2  3  4  5  6  7  8  9      10      11    12
TOKENS = "<unk> <pad> ， 。 床 前 看 月 光 [MASK] [gMASK] <sop> <eop>"
SMALL = CharacterTokenizer(TOKENS.split())
LINE = SMALL.encode("床前看月光", add_special_tokens=False)
_ = -100


def _is(example: Example, ids: list[int], positions: list[list[int]], labels: list[int], mask: str) -> None:
    assert example.ids.tolist() == ids
    assert example.positions.tolist() == positions
    assert example.labels.tolist() == labels
    assert "\n".join("".join("x" if seen else "." for seen in row) for row in example.mask.tolist()) == mask


# by hand


def test_one_blank_in_the_middle() -> None:
    """床 [MASK] 月 光 | <sop> 前 看 <eop>."""
    _is(
        corrupt(LINE, [(1, 2)], SMALL),
        ids=[4, 9, 7, 8, 11, 5, 6, 12],
        positions=[[0, 1, 2, 3, 1, 1, 1, 1], [0, 0, 0, 0, 1, 2, 3, 4]],
        labels=[_, _, _, _, _, 5, 6, 12],
        mask="xxxx....\nxxxx....\nxxxx....\nxxxx....\nxxxxx...\nxxxxxx..\nxxxxxxx.\nxxxxxxxx",
    )


def test_two_blanks_from_left_to_right() -> None:
    """[MASK] 看 [MASK] | <sop> 床 前 <eop> <sop> 月 光 <eop>: the second mask stands at 2, its blank began at 3."""
    _is(
        corrupt(LINE, [(0, 2), (3, 2)], SMALL),
        ids=[9, 6, 9, 11, 4, 5, 12, 11, 7, 8, 12],
        positions=[[0, 1, 2, 0, 0, 0, 0, 2, 2, 2, 2], [0, 0, 0, 1, 2, 3, 4, 1, 2, 3, 4]],
        labels=[_, _, _, _, 4, 5, 12, _, 7, 8, 12],
        mask="\n".join(["x" * 3 + "." * 8] * 3 + ["x" * n + "." * (11 - n) for n in range(4, 12)]),
    )


def test_two_blanks_in_another_order() -> None:
    """[MASK] 看 [MASK] | <sop> 月 光 <eop> <sop> 床 前 <eop>: the second mask is filled first."""
    example = corrupt(LINE, [(3, 2), (0, 2)], SMALL)
    assert example.ids.tolist() == [9, 6, 9, 11, 7, 8, 12, 11, 4, 5, 12]
    assert example.positions.tolist() == [[0, 1, 2, 2, 2, 2, 2, 0, 0, 0, 0], [0, 0, 0, 1, 2, 3, 4, 1, 2, 3, 4]]
    assert example.labels.tolist() == [_, _, _, _, 7, 8, 12, _, 4, 5, 12]


def test_blanks_that_touch_keep_a_mask_each() -> None:
    """床 [MASK] [MASK] 光 | <sop> 前 <eop> <sop> 看 月 <eop>."""
    example = corrupt(LINE, [(1, 1), (2, 2)], SMALL)
    assert example.ids.tolist() == [4, 9, 9, 8, 11, 5, 12, 11, 6, 7, 12]
    assert example.positions[0].tolist() == [0, 1, 2, 3, 1, 1, 1, 2, 2, 2, 2]


def test_the_rest_of_the_text() -> None:
    """床 前 [gMASK] | <sop> 看 月 光 <eop>."""
    _is(
        corrupt(LINE, [(2, 3)], SMALL, "[gMASK]"),
        ids=[4, 5, 10, 11, 6, 7, 8, 12],
        positions=[[0, 1, 2, 2, 2, 2, 2, 2], [0, 0, 0, 1, 2, 3, 4, 5]],
        labels=[_, _, _, _, 6, 7, 8, 12],
        mask="xxx.....\nxxx.....\nxxx.....\nxxxx....\nxxxxx...\nxxxxxx..\nxxxxxxx.\nxxxxxxxx",
    )


def test_a_whole_text_may_be_blank() -> None:
    """[gMASK] | <sop> and everything: generation from nothing."""
    example = corrupt(LINE, [(0, 5)], SMALL, "[gMASK]")
    assert example.ids.tolist() == [10, 11, *LINE, 12]
    assert example.positions.tolist() == [[0] * 8, [0, 1, 2, 3, 4, 5, 6, 7]]


# the network, which knows one blank, computes the same from the ids alone


@given(st.data())
def test_one_blank_is_laid_out_as_the_network_reads_it(data: st.DataObject) -> None:
    tokenizer = tang_tokenizer()
    text = data.draw(st.lists(st.integers(tokenizer.pad_id + 1, tokenizer.mask_id - 1), min_size=1, max_size=40))
    start = data.draw(st.integers(0, len(text) - 1))
    mask = data.draw(st.sampled_from(["[MASK]", "[gMASK]"]))
    length = len(text) - start if mask == "[gMASK]" else data.draw(st.integers(1, len(text) - start))
    example = corrupt(text, [(start, length)], tokenizer, mask)
    model = Transformer(replace(TANG_GLM, num_layers=1, hidden_size=16, head_dim=4, feedforward_size=4))
    with record(model, ["position_ids", "mask"], stop_at="embedding") as seen:
        model(example.ids[None])
    assert torch.equal(seen["position_ids"][0], example.positions)
    assert torch.equal(seen["mask"][0, 0], example.mask)


# for any text and any blanks


@st.composite
def _cases(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int]]]:
    """A text cut into pieces, some of them blanks, in any order."""
    pieces = draw(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=8))
    pieces[draw(st.integers(0, len(pieces) - 1))] = (draw(st.integers(1, 6)), True)
    ends = torch.tensor([length for length, _blank in pieces]).cumsum(0).tolist()
    blanks = [(end - length, length) for end, (length, blank) in zip(ends, pieces, strict=True) if blank]
    text = draw(st.lists(st.integers(2, 8), min_size=ends[-1], max_size=ends[-1]))
    return text, draw(st.permutations(blanks))


@given(_cases())
def test_every_character_is_in_context_or_predicted_once_and_in_order(case: tuple) -> None:
    text, blanks = case
    example = corrupt(text, blanks, SMALL)
    assert rebuilt(example.ids, example.positions, example.labels, SMALL) == text
    predicted = (example.labels != _).sum().item()
    assert predicted == sum(length for _start, length in blanks) + len(blanks)  # and <eop> once a blank
    context = part_a(example.ids, SMALL) - len(blanks)
    assert context + predicted - len(blanks) == len(text)


@given(_cases())
def test_part_a_sees_itself_and_never_part_b_which_is_causal(case: tuple) -> None:
    example = corrupt(*case, SMALL)
    end, length = part_a(example.ids, SMALL), len(example.ids)
    assert example.mask[:end, :end].all() and not example.mask[:end, end:].any()
    assert torch.equal(example.mask[end:], torch.ones(length, length).tril().bool()[end:])


@given(_cases())
def test_block_positions_count_from_1_and_each_blank_stands_at_its_mask(case: tuple) -> None:
    text, blanks = case
    example = corrupt(text, blanks, SMALL)
    end = part_a(example.ids, SMALL)
    assert example.positions[:, :end].tolist() == [list(range(end)), [0] * end]
    assert example.positions[1, end:].tolist() == [n for _start, length in blanks for n in range(1, length + 3)]
    assert (example.ids[example.positions[0, end:]] == SMALL.mask_id).all()


@given(_cases())
def test_a_label_is_its_id_and_only_the_start_of_a_blank_has_none(case: tuple) -> None:
    example = corrupt(*case, SMALL)
    end = part_a(example.ids, SMALL)
    predicted = example.labels != _
    assert torch.equal(example.labels[predicted], example.ids[predicted])
    assert not predicted[:end].any()
    assert torch.equal(predicted[end:], example.ids[end:] != SMALL.sop_id)


# what it cannot use


@pytest.mark.parametrize(
    ("poem", "blanks", "mask", "said"),
    [
        ([], [(0, 1)], "[MASK]", "The poem is empty"),
        (LINE, [], "[MASK]", "at least one blank"),
        ([4, 9, 5], [(0, 1)], "[MASK]", "Token 9 is no character"),
        ([4, 11], [(0, 1)], "[MASK]", "Token 11 is no character"),
        ([4, 1], [(0, 1)], "[MASK]", "Token 1 is no character"),
        ([4, 13], [(0, 1)], "[MASK]", "Token 13 is no character"),
        ([4, -1], [(0, 1)], "[MASK]", "Token -1 is no character"),
        (LINE, [(2, 4)], "[MASK]", r"The blank \(2, 4\) does not fit a poem of 5 tokens"),
        (LINE, [(5, 1)], "[MASK]", r"The blank \(5, 1\) does not fit"),
        (LINE, [(-1, 2)], "[MASK]", r"The blank \(-1, 2\) does not fit"),
        (LINE, [(2, 0)], "[MASK]", r"The blank \(2, 0\) is empty; its length must be at least 1"),
        (LINE, [(0, 3), (2, 1)], "[MASK]", "The blank at 2 overlaps the one that ends at 3"),
        (LINE, [(2, 1), (2, 1)], "[MASK]", "The blank at 2 overlaps"),
        (LINE, [(2, 2)], "[gMASK]", "one blank that ends at 5"),
        (LINE, [(0, 1), (2, 3)], "[gMASK]", "one blank that ends at 5"),
        (LINE, [(0, 1)], "[sMASK]", r"mask='\[sMASK\]' may be"),
    ],
)
def test_what_cannot_be_laid_out_says_why(poem: list[int], blanks: list, mask: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        corrupt(poem, blanks, SMALL, mask)


def test_unknown_characters_stay_in_the_text() -> None:
    text = SMALL.encode("床龙光", add_special_tokens=False, allow_unknown=True)
    assert corrupt(text, [(2, 1)], SMALL).ids.tolist() == [4, 0, 9, 11, 8, 12]
