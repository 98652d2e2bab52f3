"""Formulas equal what is counted while the network runs; cells that are still right are told from stale ones.

Mutations: a factor 2 left out, the past not counted, kv heads for groups, one layer for all, a stale cell passed over.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tiny import PRESETS, prompt, tiny

from glm_edu import ConcatenatingCache, KVCache, ModelConfig, Transformer
from glm_edu.cost import CopyMeter, Fate, Flops, Reading, cache_bytes, count_flops, fates, forward_flops, weight_bytes
from glm_edu.cost.formulas import linear_shapes
from glm_edu.errors import InputError

FLOAT32 = 4


@pytest.mark.parametrize(("name", "expected"), [("chatglm-6b", 458_752), ("chatglm2-6b", 28_672)])
def test_bytes_per_token_of_the_published_models(name: str, expected: int) -> None:
    """2 * 28 layers * 32 heads (2 groups) * 128 * 2 bytes, and what a real cache of one float16 token holds."""
    config, cache = ModelConfig.preset(name), KVCache(block=1)
    for layer in range(config.num_layers):
        cache.append(layer, *torch.zeros(2, 1, config.num_kv_groups, 1, config.head_dim, dtype=torch.float16))
    assert cache_bytes(config, 1) == expected
    assert sum(held.numel() * held.element_size() for held in cache.keys + cache.values) == expected


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "fast"])
@pytest.mark.parametrize("options", [{}, {"prefix_length": 3}], ids=["plain", "with a prefix"])
@pytest.mark.parametrize("preset", PRESETS)
def test_counted_operations_are_the_computed_ones(preset: str, options: dict[str, int], eager: bool) -> None:
    model = tiny(preset, **options)
    model.eager_attention = eager
    ids, keep = prompt(model.config, 9, 7)
    first, then = torch.cat([ids, ids[:, :4]], dim=1).split([9, 4], dim=1)
    prefix, cache = model.config.prefix_length, KVCache()
    assert count_flops(lambda: model(first, keep, cache=cache)) == forward_flops(model.config, 9, prefix, 2).total
    cache.keep = None
    assert count_flops(lambda: model(then, cache=cache)) == forward_flops(model.config, 4, 9 + prefix, 2).total
    step = forward_flops(model.config, 1, 13 + prefix, 2).total
    assert count_flops(lambda: model(then[:, :1], cache=cache)) == step


@pytest.mark.parametrize("preset", PRESETS)
def test_a_single_row_is_counted_whatever_product_it_takes(preset: str) -> None:
    """Without gradients one row goes by the matrix-vector product, which PyTorch's counter does not know."""
    model, cache = tiny(preset), KVCache()
    ids, _ = prompt(model.config, 6)
    with torch.no_grad():
        model(ids, cache=cache)
        counted = count_flops(lambda: model(ids[:, :1], cache=cache))
    assert counted == forward_flops(model.config, 1, 6).total


def test_the_head_counts_only_the_tokens_that_get_logits() -> None:
    config = ModelConfig.preset("chatglm2-6b")
    whole, last = forward_flops(config, 10), forward_flops(config, 10, logits=1)
    assert whole == Flops(last.linears, last.attention, 10 * last.head)
    assert last.head == 2 * 65024 * 4096


@pytest.mark.parametrize("maker", [KVCache, ConcatenatingCache])
@pytest.mark.parametrize("preset", PRESETS)
def test_written_bytes_are_the_new_cells_or_the_whole_cache(preset: str, maker: Callable[[], KVCache]) -> None:
    model, cache = tiny(preset), maker()
    ids, _ = prompt(model.config, 9)
    model(ids, cache=cache)
    meter, written = CopyMeter(cache), 0
    for length in (10, 11, 12):
        model(ids[:, :1], cache=cache)
        written += cache_bytes(model.config, length if maker is ConcatenatingCache else 1, element_size=FLOAT32)
        assert meter.bytes == written


def test_a_block_that_is_full_is_copied_once() -> None:
    model, cache = tiny("tiny-chatglm2"), KVCache(block=4)
    meter, written = CopyMeter(cache), []
    for _ in range(9):
        model(torch.tensor([[7]]), cache=cache)
        written.append(meter.bytes // cache_bytes(model.config, 1, element_size=FLOAT32))
    assert written == [1, 2, 3, 4, 4 + 5, 10, 11, 12, 12 + 9]


@pytest.mark.parametrize("preset", PRESETS)
def test_weights_are_counted_to_the_byte(preset: str) -> None:
    model = tiny(preset)
    assert weight_bytes(model.config, FLOAT32) == sum(p.numel() * FLOAT32 for p in model.parameters())
    linears = [m for m in model.blocks.modules() if isinstance(m, torch.nn.Linear)]
    assert sorted(linear_shapes(model.config) * model.config.num_layers) == sorted(
        tuple(m.weight.shape) for m in linears
    )
    saved = sum(m.weight.numel() * (2 - 0.5) - 2 * len(m.weight) for m in linears)
    assert weight_bytes(model.config, 2, linear_bits=4) == weight_bytes(model.config, 2) - saved
    assert weight_bytes(model.config, 2, linear_bits=8) - weight_bytes(model.config, 2, linear_bits=4) == sum(
        m.weight.numel() // 2 for m in linears
    )


def test_weights_of_the_published_models() -> None:
    assert weight_bytes(ModelConfig.preset("chatglm2-6b")) == 12_487_168_000
    assert weight_bytes(replace(ModelConfig.preset("chatglm2-6b"), tied_head=True)) == 12_487_168_000 - 2 * 65024 * 4096


def _read(model: Transformer, ids: torch.Tensor, names: list[object]) -> Reading:
    cache = KVCache()
    model(ids, cache=cache)
    return Reading(cache, names)


def test_a_causal_chat_keeps_every_cell_and_a_prefix_chat_those_of_block_0() -> None:
    """Six characters of text, then three more; the marks of ChatGLM-6B move behind the text each time."""
    text = torch.arange(20, 29)[None]
    model = tiny("tiny-chatglm2")
    found = fates(_read(model, text[:, :6], [*range(6)]), _read(model, text, [*range(9)]))
    assert found.tolist() == [[Fate.KEPT] * 6 + [Fate.NEW] * 3] * 3
    model = tiny("tiny-chatglm")
    marks = torch.tensor([[model.config.gmask_id, model.config.bos_id]])
    before = _read(model, torch.cat([text[:, :4], marks, text[:, 4:6]], 1), [0, 1, 2, 3, "g", "s", 4, 5])
    after = _read(model, torch.cat([text, marks], 1), [*range(9), "g2", "s2"])
    found = fates(before, after)
    assert found[0].tolist() == [Fate.KEPT] * 4 + [Fate.AGAIN] * 2 + [Fate.NEW] * 5
    assert found[1:].tolist() == [[Fate.AGAIN] * 6 + [Fate.NEW] * 5] * 2
    assert float(before.gaps(after)[1:, :6].min()) > 1e-2
    assert fates(None, after).eq(Fate.NEW).all()


def test_a_reading_is_a_copy_and_a_value_counts_as_much_as_a_key() -> None:
    model, cache = tiny("tiny-chatglm2"), KVCache()
    model(torch.tensor([[7, 8, 9]]), cache=cache)
    before = Reading(cache, "abc")
    cache.values[1][:, :, 2] += 1
    found = fates(before, Reading(cache, "abc"))
    assert found.nonzero().tolist() == [[1, 2]] and found[1, 2] == Fate.AGAIN


@pytest.mark.parametrize("names", ["ab", "aab", "abcd"])
def test_names_that_do_not_fit_are_refused(names: str) -> None:
    cache = KVCache()
    tiny("tiny-chatglm2")(torch.tensor([[7, 8, 9]]), cache=cache)
    with pytest.raises(InputError, match=f"{len(names)} names for a cache of 3 tokens"):
        Reading(cache, names)


def test_a_reading_is_of_one_row() -> None:
    cache = KVCache()
    tiny("tiny-chatglm2")(torch.tensor([[7, 8], [8, 9]]), cache=cache)
    with pytest.raises(InputError, match="of one row"):
        Reading(cache, "ab")
