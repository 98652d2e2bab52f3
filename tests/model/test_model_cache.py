"""The cache: any block size and any cut of the text give the same numbers; a failed call leaves no trace."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import PRESETS, prompt, tiny
from torch import Tensor

from glm_edu import ConcatenatingCache, KVCache, Transformer, record
from glm_edu.errors import InputError

MAKERS: dict[str, Callable[[], KVCache]] = {
    "one token a block": lambda: KVCache(block=1),
    "blocks of 3": lambda: KVCache(block=3),
    "blocks of 256": KVCache,
    "concatenating": ConcatenatingCache,
}
ANSWER = 6


def _in_parts(model: Transformer, ids: Tensor, keep: Tensor, ends: list[int], cache: KVCache) -> Tensor:
    """The logits of all tokens, given to the model up to each of ``ends`` in turn."""
    starts = [0, *ends]
    parts = [model(ids[:, a:b], attention_mask=keep[:, :b], cache=cache) for a, b in zip(starts, ends, strict=False)]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("options", [{}, {"prefix_length": 3}], ids=["plain", "with a prefix"])
@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=15)
@given(
    maker=st.sampled_from(sorted(MAKERS)), eager=st.booleans(), short=st.integers(3, 8),
    cuts=st.sets(st.integers(1, ANSWER + 7), max_size=4),
)  # fmt: skip
def test_cuts_and_block_sizes_change_nothing(
    preset: str, options: dict[str, int], maker: str, eager: bool, short: int, cuts: set[int]
) -> None:
    """ChatGLM-6B's first part holds bos: where the context ends decides who sees whom."""
    model = tiny(preset, num_layers=2, **options)
    model.eager_attention = eager
    ids, keep = prompt(model.config, 8 + ANSWER, short + ANSWER, answer=ANSWER)
    whole = model(ids, attention_mask=keep)
    first = 8 if preset == "tiny-chatglm" else 1
    ends = sorted({cut for cut in cuts if cut >= first} | {8 + ANSWER})
    parts = _in_parts(model, ids, keep, ends, MAKERS[maker]())
    torch.testing.assert_close(parts[keep.bool()], whole[keep.bool()], atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_naive_and_the_fast_cache_hold_the_same(preset: str) -> None:
    model = tiny(preset)
    ids, keep = prompt(model.config, 9, 7, answer=3)
    slow, fast = ConcatenatingCache(), KVCache(block=2)
    for cache in (slow, fast):
        _in_parts(model, ids, keep, [7, 8, 9], cache)
    assert slow.length == fast.length == slow.tokens == 9
    assert (fast.keep is None) == (slow.keep is None)
    for mine, theirs in zip(fast.keys + fast.values, slow.keys + slow.values, strict=True):
        torch.testing.assert_close(mine[:, :, :9], theirs)


def test_memory_is_taken_in_blocks_and_never_moved_in_between() -> None:
    model, cache = tiny("tiny-llama"), KVCache(block=8)
    places, capacities = [], []
    for _ in range(20):
        model(torch.tensor([[7]]), cache=cache)
        places.append(cache.keys[0].data_ptr())
        capacities.append(cache.keys[0].shape[2])
    assert capacities == [8] * 8 + [16] * 8 + [24] * 4
    assert len(set(places[:8])) == len(set(places[8:16])) == len(set(places[16:])) == 1


def test_kv_groups_are_not_expanded_in_the_cache() -> None:
    model, cache = tiny("tiny-chatglm2"), KVCache(block=4)
    model(torch.tensor([[7, 8, 9], [4, 5, 6]]), cache=cache)
    assert {tuple(held.shape) for held in cache.keys + cache.values} == {(2, 2, 4, 16)}
    assert len(cache.keys) == model.config.num_layers


def test_the_prefix_is_cached_once_and_counted_apart() -> None:
    model, cache = tiny("tiny-chatglm2", prefix_length=5), KVCache()
    for length in (3, 4):
        model(torch.tensor([[7] * (3 if length == 3 else 1)]), cache=cache)
        assert (cache.length, cache.prefix_length, cache.tokens) == (5 + length, 5, length)


def _state(cache: KVCache) -> dict[str, Any]:
    kept = [held[:, :, : cache.length].clone() for held in cache.keys + cache.values] if cache.length else []
    return {"kept": kept, "counts": (cache.length, cache.prefix_length), "keep": cache.keep, "clocks": cache.clocks}


def _same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    tensors = zip(first["kept"], second["kept"], strict=True)
    unchanged = all(first[name] is second[name] for name in ("keep", "clocks"))
    return unchanged and first["counts"] == second["counts"] and all(torch.equal(a, b) for a, b in tensors)


STOPS = ("mask", "blocks.0.attention.key", "blocks.1.attention.mixed", "blocks.2.output", "final_norm", "logits")


@pytest.mark.parametrize("options", [{}, {"prefix_length": 3}], ids=["plain", "with a prefix"])
@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("maker", [KVCache, lambda: KVCache(block=4), ConcatenatingCache], ids=["one", "many", "slow"])
def test_a_call_that_does_not_finish_leaves_the_cache_as_it_was(
    maker: Callable[[], KVCache], stop: str, filled: bool, options: dict[str, int]
) -> None:
    model, cache, fresh = tiny("tiny-chatglm2", **options), maker(), maker()
    ids, _ = prompt(model.config, 9)
    if filled:
        model(ids[:, :3], cache=cache), model(ids[:, :3], cache=fresh)
    before = _state(cache)
    other = torch.tensor([[1, 2, 3, 4, 5, 6, 7]]) if filled else torch.tensor([[1, 2, 3], [4, 5, 6]])  # another batch
    with record(model, stop_at=stop):
        model(other, cache=cache)
    with pytest.raises(RuntimeError, match="on purpose"), record(model, (), replace={stop: _fail}):
        model(other, cache=cache)
    assert _same(before, _state(cache))
    rest = ids[:, 3:] if filled else ids
    assert torch.equal(model(rest, cache=cache), model(rest, cache=fresh))


def _fail(tensor: Tensor) -> Tensor:
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("wrong", [torch.tensor([[600]]), torch.tensor([[-1]]), torch.ones(3, 1, dtype=torch.long)])
def test_wrong_input_leaves_the_cache_as_it_was(wrong: Tensor) -> None:
    model, cache = tiny("tiny-chatglm2"), KVCache()
    model(torch.tensor([[7, 8]]), cache=cache)
    before = _state(cache)
    with pytest.raises(InputError):
        model(wrong, cache=cache)
    assert _same(before, _state(cache))


def test_another_batch_is_refused() -> None:
    model, cache = tiny("tiny-chatglm2"), KVCache()
    model(torch.tensor([[7, 8]]), cache=cache)
    with pytest.raises(InputError, match="cache holds a batch of 1, input_ids one of 2"):
        model(torch.tensor([[7], [8]]), cache=cache)


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"num_layers": 4}, {"num_kv_groups": 4}, {"head_dim": 32}])
def test_the_cache_of_another_model_is_refused(options: dict[str, int]) -> None:
    cache = KVCache()
    tiny("tiny-chatglm2")(torch.tensor([[7, 8]]), cache=cache)
    with pytest.raises(InputError, match="filled by another model"):
        tiny("tiny-chatglm2", **options)(torch.tensor([[7]]), cache=cache)


def test_a_block_of_no_size_is_refused() -> None:
    with pytest.raises(InputError, match="block=0 must be at least 1"):
        KVCache(block=0)


def test_gradients_flow_through_a_cache_in_one_call() -> None:
    model, cache = tiny("tiny-chatglm2", prefix_length=2).requires_grad_(), KVCache()
    model(torch.tensor([[7, 8, 9]]), cache=cache).sum().backward()
    with_cache = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    assert with_cache.keys() == dict(model.named_parameters()).keys()
