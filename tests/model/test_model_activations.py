"""GELU in two forms, SiLU and SwiGLU against their definitions."""

from statistics import NormalDist

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from glm_edu.model.activations import ACTIVATIONS, gelu_exact, gelu_tanh, gelu_tanh_by_hand, silu, swiglu

NUMBERS = st.floats(-30, 30, width=32)


def _double(x: float) -> Tensor:
    return torch.tensor([x], dtype=torch.float64)


@given(NUMBERS)
def test_exact_gelu_is_x_times_the_chance_of_a_smaller_normal(x: float) -> None:
    assert gelu_exact(_double(x)).item() == pytest.approx(x * NormalDist().cdf(x), abs=1e-12)


@given(NUMBERS)
def test_naive_and_fused_tanh_gelu_agree(x: float) -> None:
    torch.testing.assert_close(gelu_tanh_by_hand(_double(x)), gelu_tanh(_double(x)), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-6), (torch.float16, 4e-3), (torch.bfloat16, 4e-2)])
def test_naive_and_fused_tanh_gelu_agree_in_every_dtype(dtype: torch.dtype, atol: float) -> None:
    x = torch.linspace(-8, 8, 1001).to(dtype)
    torch.testing.assert_close(gelu_tanh_by_hand(x), gelu_tanh(x), atol=atol, rtol=0)  # a last bit of each step


def test_the_two_forms_differ_by_at_most_5e_4_and_by_at_least_4e_4() -> None:
    x = torch.linspace(-6, 6, 100_001, dtype=torch.float64)
    assert 4e-4 < float((gelu_tanh(x) - gelu_exact(x)).abs().max()) < 5e-4


@given(NUMBERS, NUMBERS)
def test_swiglu_gates_with_its_first_argument(gate: float, up: float) -> None:
    expected = gate / (1 + torch.exp(-_double(gate))) * up
    torch.testing.assert_close(swiglu(_double(gate), _double(up)), expected, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(silu(_double(gate)) * up, expected, atol=1e-10, rtol=1e-10)


def test_the_table_holds_each_activation_of_the_config() -> None:
    assert {"gelu_tanh": gelu_tanh, "gelu": gelu_exact, "silu": silu} == ACTIVATIONS
