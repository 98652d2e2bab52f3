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
BLOCK = 64  # rows that the int4 packing keeps together where a processor has AVX-512, a multiple of that elsewhere
_GROUPS = (256, 128, 64, 32)  # columns that share a scale in the int4 kernel; all groups of a row have the same here


def choose(
    bits: int, dtype: torch.dtype, device: torch.device, shape: tuple[int, int],
    rows: int,
) -> str:  # fmt: skip
    """The kernel for ``rows`` rows of input in ``dtype`` and a matrix of ``shape`` (out, in)."""
    if device.type != "cpu" or rows > MOST_ROWS.get(dtype, 0):
        return PLAIN
    if bits == 8:
        return INT8
    fits = shape[0] % 16 == 0 and shape[1] % _GROUPS[-1] == 0
    return INT4 if fits and _rows_together() else PLAIN


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
    """The way back."""
    return _from_blocks(ordered, _rows_together())


def _from_blocks(ordered: UInt8[Tensor, "o half"], together: int) -> Int8[Tensor, "o 2*half"]:
    """A block of rows lies column by column, two rows in a byte, the rows in an order of their own."""
    numbers = torch.empty(len(ordered), 2 * ordered.shape[1], dtype=torch.int8)  # o i
    for some, packed in zip(numbers.split(together), ordered.split(together), strict=True):
        some[_rows_in_order(len(packed))] = _by_row(packed, numbers.shape[1])
    return numbers


def _by_row(packed: UInt8[Tensor, "rows half"], columns: int) -> Int8[Tensor, "rows {columns}"]:
    """The numbers of one block, a row each, the rows still in the kernel's order."""
    pairs = packed.view(columns, -1)  # i rows/2
    return torch.cat([(pairs & 15).T, (pairs >> 4).T]).view(torch.int8) - 8


@lru_cache(maxsize=8)
def _rows_in_order(rows: int) -> Int[Tensor, " {rows}"]:
    """Which row stands where in a block of so many rows, asked from the packing."""
    found = torch.zeros(rows, dtype=torch.long)
    for shift in (0, 4):  # half a byte carries four bits of a row's number, so the question takes two
        digit = (torch.arange(rows) >> shift & 15)[:, None].repeat(1, 32).int()  # rows 32
        packed = torch._convert_weight_to_int4pack_for_cpu(digit, 1)
        found |= (_by_row(packed, 32)[:, 0].long() + 8) << shift
    return found


@lru_cache(maxsize=1)
def _rows_together() -> int:
    """How many rows this processor's packing keeps together; 0: none that is known, so the kernel is left alone."""
    numbers = (torch.arange(4096) * 7 // 3 % 16 - 8).to(torch.int8).view(-1, 32)[: BLOCK + 16]
    ordered = to_kernel_order(numbers)
    return next((rows for rows in (BLOCK, 32, 16) if _gives_back(ordered, rows, numbers)), 0)


def _gives_back(ordered: UInt8[Tensor, "o half"], together: int, numbers: Int8[Tensor, "o 2*half"]) -> bool:
    right_rows = all(len(_rows_in_order(rows).unique()) == rows for rows in (together, 16))
    return right_rows and torch.equal(_from_blocks(ordered, together), numbers)


@lru_cache(maxsize=16)
def _ones_and_zeros(groups: int, rows: int, dtype: torch.dtype) -> Float[Tensor, "{groups} {rows} 2"]:
    return torch.tensor([1.0, 0.0], dtype=dtype).repeat(groups, rows, 1)
