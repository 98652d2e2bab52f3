"""Masks obey their definitions for every context length, cache and padding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import PRESETS, prompt, tiny
from torch import Tensor

from glm_edu import KVCache, record
from glm_edu.model.masks import causal_mask, hide_padding, prefix_mask, show_prefix

LENGTHS = st.integers(1, 9)


@st.composite
def padded(draw: st.DrawFn) -> tuple[Tensor, Tensor, int]:
    """A random mask [1 1 q k], what is kept [1 k], and the number of queries."""
    keys = draw(LENGTHS)
    queries = draw(st.integers(1, keys))
    flags = draw(st.lists(st.booleans(), min_size=keys, max_size=keys))
    cells = draw(st.lists(st.booleans(), min_size=queries * keys, max_size=queries * keys))
    return torch.tensor(cells).reshape(1, 1, queries, keys), torch.tensor([flags]), queries


@given(LENGTHS, st.integers(0, 9))
def test_prefix_mask_for_every_context_length(length: int, context: int) -> None:
    mask = prefix_mask(context, length)
    for query in range(length):
        for key in range(length):
            assert bool(mask[query, key]) == (key < context or key <= query)


def test_a_batch_of_contexts_is_a_batch_of_masks() -> None:
    contexts = torch.tensor([1, 3, 0])
    batch = prefix_mask(contexts[:, None, None], 4)
    assert batch.shape == (3, 4, 4)
    for row, context in zip(batch, contexts.tolist(), strict=True):
        assert torch.equal(row, prefix_mask(context, 4))


@given(LENGTHS, LENGTHS)
def test_causal_mask_for_every_cache_length(queries: int, past: int) -> None:
    mask = causal_mask(queries, past + queries)
    for query in range(queries):
        for key in range(past + queries):
            assert bool(mask[query, key]) == (key <= past + query)


@given(padded())
def test_no_kept_query_sees_padding_and_its_row_is_otherwise_unchanged(case: tuple[Tensor, Tensor, int]) -> None:
    mask, keep, queries = case
    for pad_rows in (True, False, None):
        hidden = hide_padding(mask, keep, pad_rows)
        for row, kept in enumerate(keep[0, -queries:].tolist()):
            left = mask[0, 0, row] & keep[0]
            if kept and (bool(left.any()) or pad_rows is not None):
                assert torch.equal(hidden[0, 0, row], left)


@given(padded())
def test_rows_of_padding_by_each_rule(case: tuple[Tensor, Tensor, int]) -> None:
    mask, keep, queries = case
    padding = ~keep[0, -queries:]
    assert hide_padding(mask, keep, True)[0, 0][padding].all()
    assert not hide_padding(mask, keep, False)[0, 0][padding].any()
    left = (mask & keep)[0, 0]
    rest = hide_padding(mask, keep, None)[0, 0]
    assert rest.any(-1).all()  # softmax over nothing would be NaN
    assert torch.equal(rest[left.any(-1)], left[left.any(-1)])
    assert rest[~left.any(-1)].all()


@given(padded(), st.integers(0, 4))
def test_every_query_sees_the_whole_prefix(case: tuple[Tensor, Tensor, int], prefix: int) -> None:
    mask = case[0]
    wider = show_prefix(mask, prefix)
    assert wider[..., :prefix].all() and torch.equal(wider[..., prefix:], mask)


def _mask(preset: str, ids: Tensor, keep: Tensor | None = None, cache: KVCache | None = None, **options: int) -> Tensor:
    model = tiny(preset, **options)
    with record(model, "mask") as seen:
        model(ids, attention_mask=keep, cache=cache)
    return seen["mask"]


def test_bos_is_no_part_of_the_context() -> None:
    mask = _mask("tiny-chatglm", torch.tensor([[5, 6, 501, 504, 9]]))[0, 0].int().tolist()
    assert mask == [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


@given(context=st.integers(2, 8), answer=st.integers(0, 4), pad=st.integers(0, 3))
def test_the_network_makes_the_mask_of_the_definition(context: int, answer: int, pad: int) -> None:
    """A row of the batch is padded by ``pad``; with bos at ``context``."""
    model = tiny("tiny-chatglm", num_layers=1)
    length = context + 1 + answer
    ids, keep = prompt(model.config, length + pad, length, answer=answer)
    with record(model, "mask") as seen:
        model(ids, attention_mask=keep)
    inside = seen["mask"][1, 0, pad:, pad:]
    assert torch.equal(inside, prefix_mask(context, length))
    assert not seen["mask"][1, 0, pad:, :pad].any()
    assert not seen["mask"][1, 0, :pad].any()  # ChatGLM-6B: a pad row sees nothing


def test_chatglm2_opens_the_rows_of_padding_and_only_those() -> None:
    ids, keep = prompt(tiny("tiny-chatglm2").config, 4, 2)
    assert _mask("tiny-chatglm2", ids, keep)[1, 0].int().tolist() == [[1] * 4, [1] * 4, [0, 0, 1, 0], [0, 0, 1, 1]]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_p_tuning_prefix_stands_in_front_of_the_keys(preset: str) -> None:
    ids, keep = prompt(tiny(preset).config, 5, 3)
    plain, tuned = _mask(preset, ids, keep), _mask(preset, ids, keep, prefix_length=2)
    assert tuned[..., :2].all()
    kept = keep.bool()
    assert torch.equal(tuned[:, 0, :, 2:][kept], plain[:, 0][kept])


@pytest.mark.parametrize("preset", PRESETS)
def test_after_a_cache_everything_before_is_visible_but_padding(preset: str) -> None:
    ids, keep = prompt(tiny(preset).config, 5, 3)
    cache = KVCache()
    tiny(preset)(ids, attention_mask=keep, cache=cache)
    mask = _mask(preset, torch.tensor([[7, 8], [7, 8]]), cache=cache)
    expected = torch.cat([keep.bool(), torch.ones(2, 2, dtype=torch.bool)], dim=1)[:, None].repeat(1, 2, 1)
    expected[:, 0, -1] = False
    assert torch.equal(mask[:, 0], expected)


@pytest.mark.parametrize("preset", PRESETS[1:])
@pytest.mark.parametrize("eager", [True, False])
def test_a_chunk_of_nothing_but_padding_spoils_no_kept_row(preset: str, eager: bool) -> None:
    """The second chunk begins with a pad row to which every key so far is hidden."""
    model, cache = tiny(preset), KVCache()
    model.eager_attention = eager
    ids, keep = prompt(model.config, 8, 3)
    whole = model(ids, attention_mask=keep)
    parts = [model(ids[:, a:b], attention_mask=keep[:, :b], cache=cache) for a, b in ((0, 3), (3, 6), (6, 8))]
    torch.testing.assert_close(torch.cat(parts, dim=1)[keep.bool()], whole[keep.bool()], atol=1e-4, rtol=1e-4)
