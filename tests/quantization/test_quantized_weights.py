"""Whole numbers and scales: those of the official code to the last bit, and what the official code leaves undefined."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glm_edu.errors import InputError
from glm_edu.parity.component import Component
from glm_edu.quantization import dequantize, pack_int4, quantize_rows, quantized, unpack_int4, weights

FIRST, SECOND = Component("chatglm1_quant"), Component("chatglm2_quantization")
ZERO_ROW = 3  # of FIRST["weight_f16"]


@pytest.mark.parametrize("bits", [8, 4])
def test_chatglm_6b_in_float16(bits: int) -> None:
    """Fails for floor, halves away from zero, 128 in place of 127, a quotient in float32, swapped halves."""
    stem = f"int{bits}_nozero"
    numbers, scale = quantize_rows(FIRST["weight_nozero_f16"], bits)
    stored, _ = quantized(FIRST["weight_nozero_f16"], bits)
    assert torch.equal(scale, FIRST[f"{stem}.weight_scale"])
    assert torch.equal(numbers, FIRST[f"{stem}.q"])
    assert torch.equal(stored, FIRST[f"{stem}.weight"])
    assert torch.equal(dequantize(numbers, scale), FIRST[f"{stem}.dequant_f16"])


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
@pytest.mark.parametrize("bits", [8, 4])
def test_chatglm2_6b_in_both_dtypes(bits: int, dtype: str) -> None:
    """The two dtypes differ in a few numbers of int8, so a quotient of another dtype than the weight's fails."""
    weight = SECOND["w"].half() if dtype == "fp16" else SECOND["w"]
    numbers, scale = quantize_rows(weight, bits)
    assert torch.equal(numbers, SECOND[f"int{bits}.{dtype}.q"])
    assert torch.equal(scale, SECOND[f"int{bits}.{dtype}.scale"])
    if bits == 4:
        assert torch.equal(pack_int4(numbers), SECOND[f"int4.{dtype}.packed"])
    if dtype == "fp32":
        assert torch.equal(dequantize(numbers, scale), SECOND[f"int{bits}.fp32.dequant"])


@pytest.mark.parametrize("bits", [8, 4])
def test_a_row_of_zeros_stays_zeros_and_the_others_are_official(bits: int) -> None:
    weight = FIRST["weight_f16"]
    assert not weight[ZERO_ROW].any()
    stored, scale = quantized(weight, bits)
    others = torch.arange(len(weight)) != ZERO_ROW
    assert torch.equal(stored[others], FIRST[f"int{bits}.weight"][others])
    assert torch.equal(scale, FIRST[f"int{bits}.weight_scale"])
    assert not dequantize(*quantize_rows(weight, bits))[ZERO_ROW].any()


def test_nothing_is_divided_by_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 / 0 turned into int8 is 0 on some processors, so the quotients themselves are looked at."""
    seen: list[Tensor] = []
    divide = weights._divided

    def divided(weight: Tensor, divisor: Tensor) -> Tensor:
        seen.append(divide(weight, divisor))
        return seen[-1].clone()

    monkeypatch.setattr(weights, "_divided", divided)
    quantize_rows(FIRST["weight_f16"], 8)
    assert seen and all(quotient.isfinite().all() for quotient in seen)


@pytest.mark.parametrize("bits, limit", [(8, 127), (4, 7)])
def test_no_number_leaves_the_range_where_float16_has_few_bits_left(bits: int, limit: int) -> None:
    """A scale of 1.4 steps of the smallest float16 is rounded to one: without the bound, int8 would wrap around."""
    smallest = 2.0**-24
    weight = torch.tensor([[1.4 * limit * smallest, -1.4 * limit * smallest, 0.0, smallest]]).half()
    numbers, scale = quantize_rows(weight, bits)
    assert scale.item() == smallest
    assert numbers.tolist() == [[limit, -limit, 0, 1]]


def test_bfloat16_is_divided_in_float32() -> None:
    """A bfloat16 quotient knows halves only above 64, so it would be off by up to three quarters of a step."""
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    numbers, scale = quantize_rows(weight, 8)
    exact = weight.double() / scale.double()[:, None]
    assert scale.dtype == torch.bfloat16
    assert ((numbers - exact).abs() <= 0.5001)[exact.abs() <= 127].all()


def test_packing_keeps_every_pair_of_numbers() -> None:
    pairs = torch.cartesian_prod(*[torch.arange(-8, 8, dtype=torch.int8)] * 2)  # 256 2
    packed = pack_int4(pairs)
    assert packed.unique().numel() == 256
    assert torch.equal(unpack_int4(packed), pairs)
    assert pack_int4(torch.tensor([[1, 2]], dtype=torch.int8)).item() == 0x12  # the even column above


@pytest.mark.parametrize(
    "weight, bits, named",
    [(torch.ones(2, 2), 3, "bits=3"), (torch.ones(2, 2), True, "bits=True"),
     (torch.ones(2, 2).double(), 8, "float64"), (torch.full((2, 2), float("nan")), 8, "NaN or infinite"),
     (torch.tensor([[1.0, -torch.inf]]), 4, "NaN or infinite"), (torch.ones(2, 3), 4, "3 columns are odd")],
)  # fmt: skip
def test_what_cannot_be_quantized_is_said(weight: Tensor, bits: int, named: str) -> None:
    with pytest.raises(InputError, match=named):
        quantized(weight, bits)
