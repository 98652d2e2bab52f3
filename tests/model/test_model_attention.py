"""Attention as a pure function: eager and fused agree, groups are what they say, the order is the official one."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import PRESETS, prompt, tiny
from torch import Tensor

from glm_edu import ModelConfig, Transformer
from glm_edu.model.attention import attention_scores, eager_attention, expand_groups, fast_attention
from glm_edu.model.masks import causal_mask

GROUPS = st.sampled_from([(4, 4), (4, 2), (4, 1), (6, 3)])  # heads, kv groups
SHAPES = st.tuples(st.integers(1, 3), GROUPS, st.integers(1, 6), st.integers(0, 5))


def _inputs(
    shape: tuple[int, tuple[int, int], int, int], seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """query, key, value and a random mask whose every row sees something."""
    batch, (heads, groups), queries, past = shape
    source = torch.Generator().manual_seed(seed)
    query = torch.randn(batch, heads, queries, 8, generator=source, dtype=dtype)
    key, value = torch.randn(2, batch, groups, past + queries, 8, generator=source, dtype=dtype)
    mask = torch.rand(batch, 1, queries, past + queries, generator=source) > 0.4
    mask[..., 0] = True
    return query, key, value, mask


@given(SHAPES, st.integers(0, 99), st.sampled_from([1, 2, 28]))
def test_eager_attention_is_the_textbook_average(shape: tuple, seed: int, layer: int) -> None:
    query, key, value, mask = _inputs(shape, seed)
    ours = eager_attention(query, key, value, mask, layer=layer)
    heads, groups = query.shape[1], key.shape[1]
    for head in range(heads):
        group = head // (heads // groups)
        scores = query[:, head] @ key[:, group].transpose(-1, -2) / math.sqrt(8)
        weights = scores.masked_fill(~mask[:, 0], -math.inf).softmax(-1)
        torch.testing.assert_close(ours[:, head], weights @ value[:, group])


@given(SHAPES, st.integers(0, 99))
def test_eager_equals_fused_for_every_mask(shape: tuple, seed: int) -> None:
    query, key, value, mask = _inputs(shape, seed)
    causal = causal_mask(query.shape[2], key.shape[2])[None, None].expand(len(query), -1, -1, -1)
    for seen in (mask, causal):
        torch.testing.assert_close(fast_attention(query, key, value, seen), eager_attention(query, key, value, seen))


@given(SHAPES, st.integers(0, 99))
def test_without_a_mask_one_query_sees_all_and_many_are_causal(shape: tuple, seed: int) -> None:
    batch, groups, queries, past = shape
    query, key, value, _ = _inputs((batch, groups, queries, past if queries == 1 else 0), seed)
    causal = causal_mask(query.shape[2], key.shape[2])[None, None].expand(batch, -1, -1, -1)
    torch.testing.assert_close(fast_attention(query, key, value, None), eager_attention(query, key, value, causal))


@given(GROUPS)
def test_each_head_reads_the_group_of_its_neighbours(sizes: tuple[int, int]) -> None:
    heads, groups = sizes
    named = torch.arange(groups, dtype=torch.float32).reshape(1, groups, 1, 1)
    assert expand_groups(named, heads).flatten().tolist() == [head // (heads // groups) for head in range(heads)]


@pytest.mark.parametrize("layer", [1, 2, 28])
def test_the_layer_factor_cancels_but_for_hidden_scores(layer: int) -> None:
    query, key, _, mask = _inputs((2, (4, 4), 3, 2))
    key = expand_groups(key, 4)
    plain, scaled = (attention_scores(query, key, mask, -10000.0, c) for c in (1, layer))
    seen = mask.expand_as(plain)
    torch.testing.assert_close(scaled[seen], plain[seen])
    assert (scaled[~seen] == -10000.0 * layer).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scores_are_float32_and_the_layer_factor_keeps_half_from_overflowing(dtype: torch.dtype) -> None:
    query = torch.full((1, 1, 1, 64), 400.0, dtype=dtype)  # query . key / 8 = 1,280,000: float16 ends at 65,504
    scores = attention_scores(query, query, None, layer=28)
    assert scores.dtype == torch.float32
    assert torch.isfinite(scores).all()
    assert scores.item() == pytest.approx(1_280_000, rel=0.02)
    if dtype == torch.float16:
        assert torch.isinf(attention_scores(query, query, None, layer=1)).all()


def test_a_row_that_sees_nothing_averages_everything_in_chatglm() -> None:
    query, key, value, _ = _inputs((1, (2, 2), 1, 3))
    nothing = torch.zeros(1, 1, 1, 4, dtype=torch.bool)
    out = eager_attention(query, key, value, nothing, mask_value=-10000.0, layer=3)
    torch.testing.assert_close(out, value.mean(2, keepdim=True))


def test_probabilities_sum_to_one_and_hidden_ones_are_zero() -> None:
    query, key, value, mask = _inputs((2, (4, 2), 5, 2))
    maps: list[Tensor] = []
    eager_attention(query, key, value, mask, on_probs=lambda probs: maps.append(probs) or probs)
    torch.testing.assert_close(maps[0].sum(-1), torch.ones(2, 4, 5, dtype=torch.float64))
    assert not maps[0][~mask.expand_as(maps[0])].any()


def test_watched_scores_and_probabilities_can_be_exchanged() -> None:
    query, key, value, mask = _inputs((1, (2, 2), 2, 0))
    itself = torch.eye(2, dtype=torch.float64).expand(1, 2, 2, 2)
    torch.testing.assert_close(eager_attention(query, key, value, mask, on_probs=lambda _: itself), value)
    even = eager_attention(query, key, value, None, on_scores=torch.zeros_like)
    torch.testing.assert_close(even, value.mean(2, keepdim=True).expand_as(value))


@pytest.mark.parametrize("attend", [eager_attention, fast_attention])
@pytest.mark.parametrize("queries", [1, 4])
def test_dropout_acts_on_both_paths(attend: type, queries: int) -> None:
    query, key, value, _ = _inputs((1, (4, 2), queries, 0), dtype=torch.float32)
    first, second = (attend(query, key, value, None, dropout=0.5) for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("preset", PRESETS)
@given(st.integers(2, 7), st.integers(2, 7), st.integers(0, 3))
def test_the_whole_network_is_the_same_on_both_paths(preset: str, first: int, second: int, answer: int) -> None:
    model = tiny(preset, num_layers=2)
    ids, keep = prompt(model.config, first + answer, second + answer, answer=answer)
    fast = model(ids, attention_mask=keep)
    model.eager_attention = True
    assert model.eager_attention
    slow = model(ids, attention_mask=keep)
    torch.testing.assert_close(slow[keep.bool()], fast[keep.bool()], atol=1e-4, rtol=1e-4)
    assert torch.isfinite(slow).all() and torch.isfinite(fast).all()  # rows of padding too


@pytest.mark.parametrize("groups", [1, 2])
def test_groups_that_are_equal_are_multi_head_attention(groups: int) -> None:
    """A model with ``groups`` kv groups, and one with 4 in which the heads of a group hold the same weights."""
    grouped = tiny("tiny-chatglm2", num_kv_groups=groups)
    every_head = Transformer(ModelConfig(**{**vars(grouped.config), "num_kv_groups": 4})).eval()
    state = grouped.state_dict()
    for name in [name for name in state if ".attention.key." in name or ".attention.value." in name]:
        state[name] = state[name].unflatten(0, (groups, 16)).repeat_interleave(4 // groups, dim=0).flatten(0, 1)
    every_head.load_state_dict(state)
    ids, keep = prompt(grouped.config, 7, 4)
    expected = grouped(ids, attention_mask=keep)
    torch.testing.assert_close(every_head(ids, attention_mask=keep), expected, atol=1e-5, rtol=1e-5)
