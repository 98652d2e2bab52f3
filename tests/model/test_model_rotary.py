"""Rotary: the dot product of a turned query and key depends on their distance only; the published precisions."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from glm_edu import ModelConfig
from glm_edu.model.rotary import angle_table, apply_rotary, frequencies, inverse_frequencies, rotate_half, rotate_pairs

EXACT = {"rotary_frequencies": "model", "rotary_angles": "model"}  # with float64 inputs: nothing is rounded
LLAMA, SECOND, FIRST = (ModelConfig.preset(f"tiny-{name}") for name in ("llama", "chatglm2", "chatglm"))
KINDS = {
    "half": replace(LLAMA, **EXACT),
    "pairs": replace(LLAMA, **EXACT, rotary_pairing="pairs"),
    "half of the head": replace(LLAMA, **EXACT, rotary_fraction=0.5),
    "pairs, half of the head": replace(SECOND, **EXACT),
    "two clocks": FIRST,
    "two clocks, pairs": replace(FIRST, rotary_pairing="pairs"),
}
POSITIONS = st.integers(0, 200)


def _turn(config: ModelConfig, x: Tensor, *position: int) -> Tensor:
    """One head ``x`` [d] at a position (with two clocks: position, block position)."""
    ids = torch.tensor(position).reshape(1, -1, 1) if config.rotary_channels == 2 else torch.tensor([position[:1]])
    angles = angle_table(config, ids, torch.float64)
    return apply_rotary(x[None, None, None], angles, config.rotary_pairing)[0, 0, 0]


def _heads(seed: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    query, key = torch.randn(2, 16, generator=source, dtype=torch.float64)
    return query, key


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 99), POSITIONS, POSITIONS, POSITIONS)
def test_only_the_distance_counts(kind: str, seed: int, asks: int, answers: int, shift: int) -> None:
    config, (query, key) = KINDS[kind], _heads(seed)
    here = _turn(config, query, asks, asks) @ _turn(config, key, answers, answers)
    there = _turn(config, query, asks + shift, asks + shift) @ _turn(config, key, answers + shift, answers + shift)
    assert here.item() == pytest.approx(there.item(), abs=1e-9)


@pytest.mark.parametrize("kind", ["two clocks", "two clocks, pairs"])
@given(st.integers(0, 99), POSITIONS, POSITIONS)
def test_each_clock_turns_its_own_half(kind: str, seed: int, position: int, block: int) -> None:
    config, (x, _) = KINDS[kind], _heads(seed)
    both = _turn(config, x, position, block)
    assert torch.equal(both[:8], _turn(config, x, position, 0)[:8])
    assert torch.equal(both[8:], _turn(config, x, 0, block)[8:])


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 99), st.integers(1, 200))
def test_turning_keeps_the_length_and_position_0_changes_nothing(kind: str, seed: int, position: int) -> None:
    config, (x, _) = KINDS[kind], _heads(seed)
    turned = _turn(config, x, position, position)
    assert turned.norm().item() == pytest.approx(x.norm().item(), rel=1e-9)
    assert not torch.allclose(turned, x)
    assert torch.equal(_turn(config, x, 0, 0), x)


@pytest.mark.parametrize("kind", ["half of the head", "pairs, half of the head"])
def test_a_partly_rotated_head_passes_its_rest(kind: str) -> None:
    x, _ = _heads(0)
    turned = _turn(KINDS[kind], x, 7)
    assert torch.equal(turned[8:], x[8:])
    assert not torch.isclose(turned[:8], x[:8]).any()


def test_the_two_pairings_are_one_up_to_the_order_of_elements() -> None:
    x, _ = _heads(0)
    order = torch.arange(16).reshape(2, 8).T.flatten()  # 0 8 1 9 2 10 ...: what is i, i + r/2 becomes 2i, 2i + 1
    halves, pairs = _turn(KINDS["half"], x, 5), _turn(KINDS["pairs"], x[order], 5)
    torch.testing.assert_close(halves[order], pairs)


def test_quarter_turns_by_hand() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert rotate_half(x).tolist() == [-3, -4, 1, 2]
    assert rotate_pairs(x).tolist() == [-2, 1, -4, 3]
    for quarter in (rotate_half, rotate_pairs):
        assert torch.equal(quarter(quarter(x)), -x)


def test_a_pair_turns_counterclockwise_by_position_times_frequency() -> None:
    x = torch.zeros(16, dtype=torch.float64)
    x[0] = 1.0
    turned = _turn(KINDS["half"], x, 3)
    assert turned[0].item() == pytest.approx(torch.tensor(3.0, dtype=torch.float64).cos().item())
    assert turned[8].item() == pytest.approx(torch.tensor(3.0, dtype=torch.float64).sin().item())


def test_frequencies_fall_from_1_to_almost_1_over_the_base() -> None:
    values = inverse_frequencies(64, 10000.0, torch.float64)
    expected = torch.tensor([10000.0 ** (-2 * i / 64) for i in range(32)], dtype=torch.float64)
    torch.testing.assert_close(values, expected, atol=1e-14, rtol=1e-12)
    scaled = frequencies(replace(LLAMA, rope_ratio=50), torch.float32)
    torch.testing.assert_close(scaled, inverse_frequencies(16, 500_000.0))


def test_chatglm_rounds_its_frequencies_to_float16_even_in_a_float32_model() -> None:
    stored = frequencies(ModelConfig.preset("chatglm-6b"), torch.float32)
    assert stored.dtype == torch.float16
    known = [1, 0.75, 0.5625, 0.421631, 0.316162, 0.237183]  # from the published checkpoint's code, six digits
    assert stored[:6].float().tolist() == pytest.approx(known, abs=5e-7)


@pytest.mark.parametrize(("name", "dtype", "collide"), [
    ("chatglm2-6b", torch.float16, True), ("chatglm3-6b", torch.float16, False), ("chatglm2-6b", torch.float32, False),
])  # fmt: skip
def test_positions_2048_and_2049_are_one_in_a_half_chatglm2(name: str, dtype: torch.dtype, collide: bool) -> None:
    cos, sin = angle_table(ModelConfig.preset(name), torch.tensor([[2048, 2049]]), dtype)
    same = torch.equal(cos[..., 0, :], cos[..., 1, :]) and torch.equal(sin[..., 0, :], sin[..., 1, :])
    assert same == collide


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_table_has_the_dtype_of_the_model(dtype: torch.dtype) -> None:
    for name in ("tiny-chatglm2", "tiny-llama"):
        assert {table.dtype for table in angle_table(ModelConfig.preset(name), torch.tensor([[3]]), dtype)} == {dtype}
