"""The three norms against their definitions in double precision, and the two orders of casting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glm_edu.model.norms import Norm, layer_norm, rms_norm, rms_norm_cast_first

WIDTH = 32
SCALES = st.sampled_from([1e-3, 0.1, 1.0, 30.0])


def _inputs(seed: int, scale: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    x, weight, bias = (torch.randn(n, WIDTH, generator=source, dtype=torch.float64) for n in (5, 1, 1))
    return x * scale + 0.3 * scale, weight[0], bias[0]


@given(st.integers(0, 99), SCALES, st.sampled_from([1e-5, 1e-6]))
def test_layer_norm_centres_and_divides_by_the_deviation(seed: int, scale: float, eps: float) -> None:
    x, weight, bias = _inputs(seed, scale)
    centred = x - x.mean(-1, keepdim=True)
    expected = centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight + bias
    torch.testing.assert_close(layer_norm(x, weight, bias, eps), expected, atol=1e-10, rtol=1e-10)


@given(st.integers(0, 99), SCALES, st.sampled_from([1e-5, 1e-6]))
def test_rms_norm_puts_eps_inside_the_root(seed: int, scale: float, eps: float) -> None:
    """At a scale of 1e-3 the squares are as small as eps: an eps outside the root, or ten times smaller, shows."""
    x, weight, _ = _inputs(seed, scale)
    expected = x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight
    for norm in (rms_norm, rms_norm_cast_first):
        torch.testing.assert_close(norm(x, weight, eps), expected, atol=1e-10, rtol=1e-10)


def test_eps_shows_at_small_inputs() -> None:
    x, weight, bias = _inputs(0, 1e-3)
    for normed in (lambda eps: rms_norm(x, weight, eps), lambda eps: layer_norm(x, weight, bias, eps)):
        assert (normed(1e-5) - normed(1e-6)).abs().max() > 0.1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_two_orders_differ_in_the_last_bit_of_about_a_quarter(dtype: torch.dtype) -> None:
    x, weight = torch.randn(64, 64).to(dtype), torch.randn(64).to(dtype)
    last, first = rms_norm(x, weight, 1e-5), rms_norm_cast_first(x, weight, 1e-5)
    assert last.dtype == first.dtype == dtype
    assert 0.1 < float((last != first).float().mean()) < 0.4
    step = 2 * torch.finfo(dtype).eps
    assert ((last.double() - first.double()).abs() <= step * last.double().abs() + 1e-7).all()


def test_the_two_orders_are_one_in_float32() -> None:
    x, weight = torch.randn(64, 64), torch.randn(64)
    assert torch.equal(rms_norm(x, weight, 1e-5), rms_norm_cast_first(x, weight, 1e-5))


@pytest.mark.parametrize(("kind", "parameters"), [("layernorm", 2), ("rmsnorm", 1), ("rmsnorm_cast_first", 1)])
def test_a_fresh_norm_has_weight_one_and_bias_zero(kind: str, parameters: int) -> None:
    norm = Norm(kind, WIDTH, 1e-5)
    named = dict(norm.named_parameters())
    assert len(named) == parameters
    assert torch.equal(named["weight"], torch.ones(WIDTH))
    assert torch.equal(named.get("bias", torch.zeros(WIDTH)), torch.zeros(WIDTH))
    x = torch.randn(2, 3, WIDTH) * 5
    torch.testing.assert_close(norm(x).detach().pow(2).mean(-1), torch.ones(2, 3), atol=1e-3, rtol=0)
