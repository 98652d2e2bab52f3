"""A network used in more than one clean pass: gradients through a cache, mixed modes, caches of another model."""

from dataclasses import replace

import pytest
import torch
from tiny import PRESETS, prompt, tiny

from glm_edu import ConcatenatingCache, KVCache, Transformer, record
from glm_edu.errors import InputError


@pytest.mark.parametrize("preset", PRESETS)
def test_gradients_flow_through_a_cache(preset: str) -> None:
    model = tiny(preset).requires_grad_()
    ids, _ = prompt(model.config, 7, answer=3)
    gradients = []
    for cache in (KVCache(block=2), ConcatenatingCache(), None):
        cuts = [ids] if cache is None else [ids[:, :5], ids[:, 5:6], ids[:, 6:]]
        model.zero_grad()
        torch.cat([model(cut, cache=cache) for cut in cuts], dim=1).pow(2).sum().backward()
        gradients.append(model.blocks[0].attention.key.weight.grad.clone())
    assert gradients[2].abs().max() > 1e-3
    for cached in gradients[:2]:  # sums of 7 tokens in another order: float32 noise relative to the largest
        torch.testing.assert_close(cached, gradients[2], rtol=1e-4, atol=1e-5 * float(gradients[2].abs().max()))


def test_a_cache_of_inference_mode_serves_outside_it() -> None:
    model = tiny("tiny-llama")
    ids, cache = torch.tensor([[11, 12, 13, 14]]), KVCache()
    with torch.inference_mode():
        model(ids[:, :3], cache=cache)
    torch.testing.assert_close(model(ids[:, 3:], cache=cache), model(ids)[:, 3:], rtol=0, atol=2e-5)  # float32 noise


def test_the_cache_of_another_model_is_refused() -> None:
    base = tiny("tiny-chatglm2")
    prefixed = Transformer(replace(base.config, prefix_length=3)).eval()
    ids, cache = torch.tensor([[11, 12, 13]]), KVCache()
    base(ids, cache=cache)
    with pytest.raises(InputError, match="filled by another model"):
        prefixed(ids[:, :1], cache=cache)
    with pytest.raises(InputError, match=r"holds torch\.float32, the model is torch\.float16"):
        base.half()(ids[:, :1], cache=cache)


@pytest.mark.parametrize("preset", ["tiny-chatglm2", "tiny-llama"])
def test_given_positions_go_on_from_the_last_token_that_is_no_padding(preset: str) -> None:
    model = tiny(preset)
    ids, more = torch.tensor([[11, 12, 13, 14, 15], [21, 22, 23, 0, 0]]), torch.tensor([[31], [32]])
    keep = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    positions, cache = ((keep.cumsum(-1) - 1) * keep), KVCache()
    model(ids, attention_mask=keep, position_ids=positions, cache=cache)
    step = model(more, cache=cache)
    alone = model(torch.cat([ids[1:, :3], more[1:]], dim=1))
    torch.testing.assert_close(step[1, -1], alone[0, -1], rtol=0, atol=2e-5)  # float32 noise; another place: 0.5


@pytest.mark.parametrize("mask", [[0.0, -1e9], [1.0, float("nan")], [2, 1]])
def test_a_mask_of_anything_but_ones_and_zeros_is_refused(mask: list[float]) -> None:
    with pytest.raises(InputError, match=r"should hold 1 \(keep\) and 0 \(padding\)"):
        tiny("tiny-llama")(torch.tensor([[5, 6]]), attention_mask=torch.tensor([mask]))


def test_checkpointing_waits_while_a_tensor_is_replaced() -> None:
    """The second pass of checkpointing would run after the recording, without the replacement."""
    model = tiny("tiny-llama").requires_grad_().train()
    gradients = []
    for checkpointing in (False, True):
        model.gradient_checkpointing = checkpointing
        model.zero_grad()
        with record(model, [], replace={"blocks.1.middle": lambda x: x * 0.5}):
            loss = model(torch.tensor([[11, 12, 13]])).pow(2).sum()
        loss.backward()
        gradients.append(model.blocks[0].attention.query.weight.grad.clone())
    assert torch.equal(*gradients)
