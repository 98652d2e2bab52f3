"""What PyTorch has for a product with quantized weights, and when it is worth taking.

PyTorch's CPU kernels read the small numbers as they are and never write the large matrix. They cost the same for every
row of the input, so from some number of rows on it is faster to unpack the matrix once and multiply as usual.
``benchmarks/quantization.py`` measures both.

The int8 kernel reads the official layout. The int4 kernel wants numbers from 0 to 15 in an order of its own, which
depends on the processor and is written down nowhere. So the way back is asked from the packing itself: pack numbers
that say where they stood, and look where they went.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float, Int, Int8, UInt8
from torch import Tensor

INT8, INT4, PLAIN = "torch._weight_int8pack_mm", "torch._weight_int4pack_mm_for_cpu", "dequantize and matmul"
MOST_ROWS = {torch.bfloat16: 32, torch.float32: 1}  # of the input; float16 has no fast kernel on a CPU
BLOCK = 64  # rows of weights that the int4 packing keeps together, or a multiple of them
_GROUPS = (256, 128, 64, 32)  # columns that share a scale in the int4 kernel; all groups of a row have the same here


def choose(bits: int, dtype: torch.dtype, device: torch.device, shape: tuple[int, int], rows: int) -> str:
    """The kernel for ``rows`` rows of input in ``dtype`` and a matrix of ``shape`` (out, in)."""
    if device.type != "cpu" or rows > MOST_ROWS.get(dtype, 0):
        return PLAIN
    if bits == 8:
        return INT8
    return INT4 if shape[0] % 16 == 0 and shape[1] % _GROUPS[-1] == 0 and _order_is_known() else PLAIN


def int8_product(
    x: Float[Tensor, "r i"], numbers: Int8[Tensor, "o i"], scale: Float[Tensor, " o"]
) -> Float[Tensor, "r o"]:
    """x @ (numbers * scale).T"""
    return torch._weight_int8pack_mm(x, numbers, scale)


def int4_product(
    x: Float[Tensor, "r i"], ordered: UInt8[Tensor, "o half"], scale: Float[Tensor, " o"]
) -> Float[Tensor, "r o"]:
    """x @ (numbers * scale).T for numbers in the kernel's order.

    The kernel multiplies each group of columns by a scale and adds a zero point: here 1 and 0. The scale of the row
    comes after the sum.
    """
    group = next(size for size in _GROUPS if x.shape[1] % size == 0)
    ones = _ones_and_zeros(x.shape[1] // group, len(scale), x.dtype)
    return torch._weight_int4pack_mm_for_cpu(x, ordered, group, ones) * scale


def to_kernel_order(numbers: Int8[Tensor, "o i"]) -> UInt8[Tensor, "o i//2"]:
    """Numbers from -8 to 7, two in a byte, in the order that the int4 kernel reads."""
    return torch._convert_weight_to_int4pack_for_cpu(numbers.int() + 8, 1)


def from_kernel_order(ordered: UInt8[Tensor, "o half"]) -> Int8[Tensor, "o 2*half"]:
    """The way back. Rows are taken ``BLOCK`` at a time, as the packing does."""
    columns = 2 * ordered.shape[1]
    blocks = [_halves(b)[_places(len(b), columns)].view(len(b), columns) for b in ordered.split(BLOCK)]
    return torch.cat(blocks).to(torch.int8) - 8


def _halves(ordered: UInt8[Tensor, "o half"]) -> UInt8[Tensor, " 2*o*half"]:
    return torch.stack([ordered & 15, ordered >> 4], dim=-1).flatten()


@lru_cache(maxsize=8)
def _places(rows: int, columns: int) -> Int[Tensor, " {rows}*{columns}"]:
    """For each number of a block, row by row, which half byte of the packed block holds it."""
    here = torch.arange(rows * columns)
    from_where = torch.zeros_like(here)
    for shift in range(0, here.numel().bit_length(), 4):  # a half byte carries four bits, so the question takes several
        digit = (here >> shift & 15).int().view(rows, columns)
        from_where |= _halves(torch._convert_weight_to_int4pack_for_cpu(digit, 1)).long() << shift
    return from_where.argsort().int()


@lru_cache(maxsize=1)
def _order_is_known() -> bool:
    """Whether blocks of rows really are packed apart on this processor; if not, the kernel is left alone."""
    numbers = (torch.arange(3 * BLOCK * 32) * 7 % 16 - 8).to(torch.int8).view(-1, 32)[: 2 * BLOCK + 16]
    return torch.equal(from_kernel_order(to_kernel_order(numbers)), numbers)


@lru_cache(maxsize=16)
def _ones_and_zeros(groups: int, rows: int, dtype: torch.dtype) -> Float[Tensor, "{groups} {rows} 2"]:
    return torch.tensor([1.0, 0.0], dtype=dtype).repeat(groups, rows, 1)
