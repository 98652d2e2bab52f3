"""The whole network: padding, cached and uncached paths, half precision, and what it says about wrong input."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import PRESETS, prompt, tiny
from torch import Tensor

from glm_edu import KVCache, ModelConfig, Transformer, record
from glm_edu.errors import GLMError, InputError
from glm_edu.model import transformer


@pytest.mark.parametrize("preset", PRESETS)
def test_tiny_presets_run_32_tokens(preset: str) -> None:
    model = Transformer(ModelConfig.preset(preset))
    logits = model(prompt(model.config, 32)[0])
    assert logits.shape == (1, 32, 512) and torch.isfinite(logits).all()


@pytest.mark.parametrize("options", [{}, {"prefix_length": 3}], ids=["plain", "with a prefix"])
@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=15)
@given(st.integers(2, 9), st.integers(2, 9), st.booleans())
def test_a_padded_row_equals_the_row_alone(
    preset: str, options: dict[str, int], first: int, second: int, eager: bool
) -> None:
    model = tiny(preset, num_layers=2, **options)
    model.eager_attention = eager
    ids, keep = prompt(model.config, first, second)
    together = model(ids, attention_mask=keep)
    for row, length in enumerate((first, second)):
        alone = model(ids[row : row + 1, -length:])
        torch.testing.assert_close(together[row, -length:], alone[0], atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("preset", PRESETS)
def test_without_a_mask_padding_is_text(preset: str) -> None:
    model = tiny(preset)
    ids, keep = prompt(model.config, 8, 4)
    assert (model(ids) - model(ids, attention_mask=keep))[1, -4:].abs().max() > 0.01


@pytest.mark.parametrize("preset", PRESETS[1:])
def test_padding_on_the_right_leaves_the_kept_tokens_alone(preset: str) -> None:
    model = tiny(preset)
    ids, _ = prompt(model.config, 6)
    keep = torch.tensor([[1, 1, 1, 1, 0, 0]])
    torch.testing.assert_close(model(ids, attention_mask=keep)[:, :4], model(ids[:, :4]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_future_does_not_reach_back_past_the_context(preset: str) -> None:
    model = tiny(preset)
    ids, _ = prompt(model.config, 9, answer=4)
    other = ids.clone()
    other[0, -2:] = 99
    same = (model(ids) == model(other)).all(-1)[0]
    assert same.tolist() == [True] * 7 + [False] * 2


def test_the_context_of_chatglm_sees_both_ways_and_that_of_llama_does_not() -> None:
    for preset, reached in (("tiny-chatglm", True), ("tiny-llama", False)):
        model = tiny(preset)
        ids, _ = prompt(model.config, 9, answer=2)
        other = ids.clone()
        other[0, 3] = 99  # inside the context
        assert bool((model(ids) != model(other))[0, :3].any()) == reached


@pytest.mark.parametrize("preset", PRESETS)
def test_no_mask_is_built_where_the_kernel_knows_it(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A causal prompt, and one token after a cache, need none; ChatGLM-6B's prompt does."""
    seen: list[bool] = []
    original = transformer.Block.forward

    def watching(self: Any, x: Tensor, angles: Any, mask: Tensor | None, extend: Any = None) -> Tensor:
        seen.append(mask is None)
        return original(self, x, angles, mask, extend)

    monkeypatch.setattr(transformer.Block, "forward", watching)
    model, cache = tiny(preset, num_layers=1), KVCache()
    ids, _ = prompt(model.config, 6)
    model(ids, cache=cache)
    model(torch.tensor([[9]]), cache=cache)
    model(torch.tensor([[9, 9]]), cache=cache)
    model(*prompt(model.config, 6, 4))
    assert seen == [preset != "tiny-chatglm", True, False, False]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_half_network_is_the_float_one_rounded(preset: str, dtype: torch.dtype) -> None:
    """Deviation at most 16 half steps of the largest logit: three layers, each rounding a few times."""
    model = tiny(preset)
    ids, keep = prompt(model.config, 9, 6)
    exact = model(ids, attention_mask=keep)
    half = model.to(dtype)
    with record(half) as seen:
        rounded = half(ids, attention_mask=keep)
    assert rounded.dtype == dtype
    bound = 16 * torch.finfo(dtype).eps * exact.abs().max()
    assert ((rounded - exact).abs()[keep.bool()] <= bound).all()
    assert seen["blocks.0.attention.scores"].dtype == torch.float32
    others = {tensor.dtype for name, tensor in seen.items() if name not in ("position_ids", "mask")}
    assert others == {dtype, torch.float32}
    assert all(seen[name].dtype == dtype for name in seen if name.startswith("blocks.") and "scores" not in name)


def test_a_network_on_the_meta_device_takes_no_memory_and_can_be_filled() -> None:
    with torch.device("meta"):
        model = Transformer(ModelConfig.preset("chatglm-6b"))
    assert all(parameter.is_meta for parameter in model.parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == 6_707_929_088
    assert not list(model.buffers())


def test_a_network_can_be_cast_and_saved_as_any_module() -> None:
    model, again = tiny("tiny-chatglm2"), tiny("tiny-chatglm2", seed=1)
    again.load_state_dict(model.state_dict())
    ids, _ = prompt(model.config, 5)
    assert torch.equal(model(ids), again(ids))


PAIR = torch.tensor([[5, 6]])
Call = Callable[[], Any]
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a list": ({"input_ids": [[5, 6]]}, "input_ids should be whole numbers .*not list"),
    "one axis": ({"input_ids": torch.tensor([5, 6])}, r"input_ids should be .*\[batch, seq\].*not int64 \[2\]"),
    "no token": ({"input_ids": torch.zeros(1, 0, dtype=torch.long)}, r"at least one, not int64 \[1, 0\]"),
    "no row": ({"input_ids": torch.zeros(0, 3, dtype=torch.long)}, r"at least one, not int64 \[0, 3\]"),
    "fractions": ({"input_ids": torch.ones(1, 2)}, r"whole numbers .*not float32 \[1, 2\]"),
    "booleans": ({"input_ids": torch.ones(1, 2, dtype=torch.bool)}, "whole numbers .*not bool"),
    "bytes": ({"input_ids": torch.ones(1, 2, dtype=torch.uint8)}, "whole numbers .*not uint8"),
    "an id too large": ({"input_ids": torch.tensor([[5, 512]])}, "run from 5 to 512; the vocabulary has ids 0 to 511"),
    "an id below 0": ({"input_ids": torch.tensor([[-1, 5]])}, "run from -1 to 5; the vocabulary has ids 0 to 511"),
    "too long": ({"input_ids": torch.ones(1, 257, dtype=torch.long)}, "0 cached and 257 new .* 256 .*max_positions"),
    "a mask list": ({"input_ids": PAIR, "attention_mask": [[1, 1]]}, r"attention_mask should be \[1, 2\].*not list"),
    "a short mask": ({"input_ids": PAIR, "attention_mask": torch.ones(1, 1)}, r"be \[1, 2\].*not float32 \[1, 1\]"),
    "a square mask": ({"input_ids": PAIR, "attention_mask": torch.ones(1, 1, 2, 2)}, r"not float32 \[1, 1, 2, 2\]"),
    "positions of another shape": ({"input_ids": PAIR, "position_ids": torch.tensor([[0]])}, r"whole numbers \[1, 2\]"),
    "fractional positions": ({"input_ids": PAIR, "position_ids": torch.zeros(1, 2)}, r"not float32 \[1, 2\]"),
    "a position too large": ({"input_ids": PAIR, "position_ids": torch.tensor([[0, 256]])}, "positions 0 to 255"),
    "a position below 0": ({"input_ids": PAIR, "position_ids": torch.tensor([[-3, 0]])}, "run from -3 to 0"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_named(what: str) -> None:
    arguments, message = WRONG[what]
    with pytest.raises(InputError, match=message) as caught:
        tiny("tiny-chatglm2")(**arguments)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, GLMError)


@pytest.mark.usefixtures("unchecked")
def test_two_clocks_want_two_rows_of_positions() -> None:
    model = tiny("tiny-chatglm")
    ids, _ = prompt(model.config, 4)
    with pytest.raises(InputError, match=r"position_ids should be whole numbers \[1, 2, 4\], not int64 \[1, 4\]"):
        model(ids, position_ids=torch.arange(4)[None])
    both = torch.zeros(1, 2, 4, dtype=torch.long)
    assert model(ids, position_ids=both).shape == (1, 4, 512)


def test_a_cache_that_would_grow_past_the_limit_is_refused_and_the_limit_can_be_raised() -> None:
    model, cache = tiny("tiny-llama", max_positions=4), KVCache()
    model(torch.ones(1, 4, dtype=torch.long), cache=cache)
    with pytest.raises(InputError, match="4 cached and 1 new tokens are more than the 4"):
        model(torch.tensor([[7]]), cache=cache)
    model.config = replace(model.config, max_positions=5)
    assert model(torch.tensor([[7]]), cache=cache).shape == (1, 1, 512)


@pytest.mark.usefixtures("unchecked")
def test_a_mask_over_new_tokens_only_is_refused_after_a_cache() -> None:
    model, cache = tiny("tiny-llama"), KVCache()
    model(torch.tensor([[7, 8]]), cache=cache)
    with pytest.raises(InputError, match=r"attention_mask should be \[1, 3\]"):
        model(torch.tensor([[9]]), attention_mask=torch.ones(1, 1), cache=cache)


def test_int32_ids_are_whole_numbers_too() -> None:
    model = tiny("tiny-chatglm")
    ids, _ = prompt(model.config, 5)
    assert torch.equal(model(ids.int()), model(ids))


@pytest.mark.parametrize("setting", [True, False])
def test_the_eager_switch_reaches_every_layer(setting: bool) -> None:
    model = tiny("tiny-llama")
    assert not model.eager_attention
    model.eager_attention = setting
    assert [block.attention.eager for block in model.blocks] == [setting] * 3
    model.blocks[0].attention.eager = False
    assert not model.eager_attention


def test_shapes_are_checked_while_tests_run() -> None:
    """The import hook of conftest.py is on: a tensor of the wrong rank stops at the signature."""
    with pytest.raises(Exception, match="Type-check error"):
        tiny("tiny-llama")(torch.tensor([5, 6]))
