"""Blocks: the three residual choices, alpha, both feed-forwards, the P-tuning prefix, the loss."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tiny import PRESETS, prompt, tiny
from torch import Tensor

from glm_edu import ModelConfig, next_token_loss, record
from glm_edu.model.prefix import PrefixEncoder
from glm_edu.model.residual import RESIDUALS

NUMBERS = st.floats(-10, 10, width=32)
RULES = {
    "pre_norm": lambda x, normed, out, alpha: x + out,
    "post_norm": lambda x, normed, out, alpha: normed + out,
    "scaled_post_norm": lambda x, normed, out, alpha: alpha * normed + out,
}


@pytest.mark.parametrize("name", RULES)
@given(NUMBERS, NUMBERS, NUMBERS, st.floats(0, 10, width=32))
def test_residuals_by_their_definition(name: str, x: float, normed: float, out: float, alpha: float) -> None:
    tensors = [torch.tensor([[[value]]], dtype=torch.float64) for value in (x, normed, out)]
    assert RESIDUALS[name](*tensors, alpha).item() == pytest.approx(RULES[name](x, normed, out, alpha))
    assert RESIDUALS.keys() == RULES.keys()


@pytest.mark.parametrize("preset", ["tiny-chatglm2", "tiny-chatglm"])
@pytest.mark.parametrize("rule", RULES)
def test_every_block_adds_by_the_rule_of_its_config(rule: str, preset: str) -> None:
    model = tiny(preset, residual=rule)
    with record(model) as seen:
        model(prompt(model.config, 7)[0])
    for i in range(model.config.num_layers):
        x, normed, out, middle = (
            seen[f"blocks.{i}.{name}"] for name in ("input", "input_norm", "attention.output", "middle")
        )
        torch.testing.assert_close(middle, RULES[rule](x, normed, out, model.config.alpha))
        again, out = seen[f"blocks.{i}.post_attention_norm"], seen[f"blocks.{i}.feedforward.output"]
        torch.testing.assert_close(seen[f"blocks.{i}.output"], RULES[rule](middle, again, out, model.config.alpha))


@pytest.mark.parametrize("layers", [1, 3, 28])
def test_alpha_is_sqrt_56_whatever_the_number_of_layers(layers: int) -> None:
    model = tiny("tiny-chatglm", num_layers=layers)
    with record(model, "blocks.0.*") as seen:
        model(prompt(model.config, 5)[0])
    rest = seen["blocks.0.middle"] - seen["blocks.0.attention.output"]
    torch.testing.assert_close(rest, math.sqrt(56) * seen["blocks.0.input_norm"])
    assert model.config.alpha == math.sqrt(56)


def test_alpha_layers_is_the_option_that_mends_it() -> None:
    assert tiny("tiny-chatglm", alpha_layers=3).config.alpha == math.sqrt(6)


def test_the_plain_feed_forward() -> None:
    model = tiny("tiny-chatglm")
    part, x = model.blocks[0].feedforward, torch.randn(2, 3, 64)
    hidden = F.gelu(x @ part.up.weight.T + part.up.bias, approximate="tanh")
    torch.testing.assert_close(part(x), hidden @ part.down.weight.T + part.down.bias)


def test_the_gated_feed_forward() -> None:
    model = tiny("tiny-llama")
    part, x = model.blocks[0].feedforward, torch.randn(2, 3, 64)
    hidden = F.silu(x @ part.gate.weight.T) * (x @ part.up.weight.T)
    torch.testing.assert_close(part(x), hidden @ part.down.weight.T)


@pytest.mark.parametrize(("preset", "biased"), [
    ("tiny-chatglm", {"query", "key", "value", "output", "up", "down"}), ("tiny-chatglm2", {"query", "key", "value"}),
    ("tiny-llama", set()),
])  # fmt: skip
def test_biases_are_where_the_family_table_has_them(preset: str, biased: set[str]) -> None:
    names = {name.split(".")[-2] for name in tiny(preset).state_dict() if name.endswith(".bias") and "norm" not in name}
    assert names == biased


@pytest.mark.parametrize("final_norm", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_the_top_of_the_network(final_norm: bool, tied: bool) -> None:
    model = tiny("tiny-llama", final_norm=final_norm, tied_head=tied)
    with record(model) as seen:
        logits = model(torch.tensor([[5, 6]]))
    top = seen["blocks.2.output"]
    if final_norm:
        unit = top * (top.pow(2).mean(-1, keepdim=True) + model.config.norm_eps).rsqrt()
        torch.testing.assert_close(seen["final_norm"], unit * model.final_norm.weight)
        top = seen["final_norm"]
    assert ("final_norm" in seen) == final_norm
    assert ("head.weight" in model.state_dict()) != tied
    matrix = model.embedding.weight if tied else model.head.weight
    torch.testing.assert_close(logits, top @ matrix.T)


@pytest.mark.parametrize(("width", "projected"), [("hidden", 64), ("key_value", 2 * 3 * 2 * 16)])
def test_the_prefix_is_layer_by_layer_key_before_value(width: str, projected: int) -> None:
    model = tiny("tiny-chatglm2", prefix_length=5, prefix_embedding=width, prefix_projection=True)
    assert isinstance(model.prefix, PrefixEncoder)
    assert model.prefix.embedding.weight.shape == (5, projected)
    pairs = model.prefix(2, torch.float32)
    rows = torch.tanh(model.prefix.embedding.weight @ model.prefix.project_in.weight.T + model.prefix.project_in.bias)
    flat = rows @ model.prefix.project_out.weight.T + model.prefix.project_out.bias  # p, layers * two * g * d
    expected = flat.reshape(5, 3, 2, 2, 16)
    assert len(pairs) == 3
    for layer, (key, value) in enumerate(pairs):
        for row in range(2):
            torch.testing.assert_close(key[row], expected[:, layer, 0].transpose(0, 1))
            torch.testing.assert_close(value[row], expected[:, layer, 1].transpose(0, 1))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_prefix_stands_in_front_unrotated_and_moves_no_position(preset: str) -> None:
    model = tiny(preset, prefix_length=2)
    ids, _ = prompt(model.config, 5)
    with record(model) as seen:
        model(ids)
    assert model.prefix is not None
    for layer, (key, value) in enumerate(model.prefix(1, torch.float32)):
        assert torch.equal(seen[f"blocks.{layer}.attention.key"][:, :, :2], key)
        assert torch.equal(seen[f"blocks.{layer}.attention.value"][:, :, :2], value)
    plain = tiny(preset)
    with record(plain) as without:
        plain(ids)
    assert torch.equal(seen["position_ids"], without["position_ids"])
    assert torch.equal(seen["blocks.0.attention.query"], without["blocks.0.attention.query"])


def _logits_and_labels() -> tuple[Tensor, Tensor]:
    return torch.randn(2, 5, 7), torch.tensor([[-100, -100, 3, 1, 6], [-100, 2, 0, -100, -100]])


def test_the_loss_is_the_mean_over_labels_that_count_one_step_ahead() -> None:
    logits, labels = _logits_and_labels()
    each = [-logits[row, i].log_softmax(-1)[labels[row, i + 1]]
            for row in range(2) for i in range(4) if labels[row, i + 1] != -100]  # fmt: skip
    assert len(each) == 5
    torch.testing.assert_close(next_token_loss(logits, labels), torch.stack(each).mean())


def test_ignored_labels_and_the_last_logits_get_no_gradient() -> None:
    logits, labels = _logits_and_labels()
    next_token_loss(logits.requires_grad_(), labels).backward()
    assert logits.grad is not None
    counts = F.pad(labels[:, 1:] != -100, (0, 1), value=False)
    assert torch.equal(logits.grad.abs().sum(-1) > 0, counts)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_loss_of_a_half_model_is_float32(dtype: torch.dtype) -> None:
    logits, labels = _logits_and_labels()
    half = logits.to(dtype)
    loss = next_token_loss(half, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, next_token_loss(half.float(), labels))


def test_presets_of_the_published_models_differ_where_the_family_table_says() -> None:
    first, second, third = (ModelConfig.preset(f"chatglm{n}-6b") for n in ("", "2", "3"))
    assert (first.residual, second.residual, third.residual) == ("scaled_post_norm", "pre_norm", "pre_norm")
    differing = {name for name in vars(second) if getattr(second, name) != getattr(third, name)}
    assert differing == {"rotary_frequencies", "rotary_angles", "max_positions"}
