"""A matrix of weights as small whole numbers and one scale a row.

The largest weight of a row becomes 127 (int8) or 7 (int4), 0 stays 0, and what lies between is rounded to the nearest
whole number, halves to the even one. Two int4 numbers share a byte: the even column has its high half.

Official: quantization.py (ChatGLM-6B rev 8b7d335; ChatGLM2-6B rev 1fd8e8d and ChatGLM3-6B, where it is the same file),
QuantizedLinear; the C code that the int4 repositories carry, compress_int4_weight.
Differs: a row of zeros stays zeros (officially 0 / 0 becomes an undefined number); what would leave the range is kept
at its end; bfloat16 is divided in float32. For float32 weights the scale is float32 as in ChatGLM2-6B; ChatGLM-6B
rounds it to float16.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from glm_edu.errors import InputError

Weight = Float[Tensor, "o i"]
Numbers = Int8[Tensor, "o i"]
Scale = Float[Tensor, " o"]
LIMITS = {8: 127, 4: 7}  # the largest number; -128 and -8 are not used
ROWS_AT_ONCE = 256  # of a matrix: what is worked on stays in the processor's cache


def quantize_rows(weight: Weight, bits: int) -> tuple[Numbers, Scale]:
    """Whole numbers and a scale for each row, so that ``numbers * scale`` is close to ``weight``.

    The scale has the weight's dtype, and so has the quotient before it is rounded to a whole number: in float16 an
    int8 error may exceed half a step a little, as it does officially.

    Raises:
        InputError: bits other than 8 and 4, weights that are no float32, float16 or bfloat16, or NaN or infinite ones.
    """
    check(weight, bits)
    limit = LIMITS[bits]
    scale = largest_of_rows(weight) / limit  # o
    divisor = scale.masked_fill(scale == 0, 1)  # o   a row of zeros stays zeros
    exact = _divided(weight, divisor)  # o i
    return exact.round_().clamp_(-limit, limit).to(torch.int8), scale


def _divided(weight: Weight, divisor: Scale) -> Weight:
    if weight.dtype == torch.bfloat16:  # whose quotients above 64 would know halves only
        weight, divisor = weight.float(), divisor.float()
    return weight / divisor[:, None]  # o i


def pack_int4(numbers: Numbers) -> Int8[Tensor, "o i//2"]:
    """Two numbers from -8 to 7 in a byte: even columns in the high four bits, odd columns in the low four.

    Raises:
        InputError: an odd number of columns.
    """
    _check_pairs(numbers.shape[1])
    return (numbers[:, ::2] << 4) | (numbers[:, 1::2] & 15)


def unpack_int4(packed: Int8[Tensor, "o half"]) -> Int8[Tensor, "o 2*half"]:
    """The numbers of ``pack_int4``. A shift to the right repeats the sign, so each half is shifted to the top first."""
    return torch.stack([packed >> 4, (packed << 4) >> 4], dim=-1).flatten(1)


def quantized(weight: Weight, bits: int) -> tuple[Int8[Tensor, "o columns"], Scale]:
    """What an official file holds in place of ``weight``: its numbers, packed if they are int4, and its scales.

    Some rows at a time, so that little more is needed than the result. On the meta device, shapes alone.
    """
    check(weight, bits)
    numbers = torch.empty(len(weight), weight.shape[1] * bits // 8, dtype=torch.int8, device=weight.device)  # o columns
    scale = torch.empty(len(weight), dtype=weight.dtype, device=weight.device)  # o
    for start in () if weight.is_meta else range(0, len(weight), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        whole, scale[some] = quantize_rows(weight[some], bits)
        numbers[some] = pack_int4(whole) if bits == 4 else whole
    return numbers, scale


def dequantize(numbers: Numbers, scale: Scale) -> Weight:
    """The weights that the numbers stand for, in the dtype of the scale."""
    return numbers * scale[:, None]


def check(weight: Weight, bits: int) -> None:
    """What can be known before the weights are read.

    Raises:
        InputError: bits other than 8 and 4; weights that are no float32, float16 or bfloat16; odd columns with int4.
    """
    if type(bits) is not int or bits not in LIMITS:
        raise InputError(f"bits={bits!r} is not supported; it may be 8 or 4.")
    if weight.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise InputError(f"Weights of {weight.dtype} cannot be quantized; expected float32, float16 or bfloat16.")
    if bits == 4:
        _check_pairs(weight.shape[1])


def largest_of_rows(weight: Weight) -> Scale:
    """The largest absolute value of each row.

    Raises:
        InputError: NaN or infinite weights.
    """
    low, high = weight.aminmax(dim=1)  # o
    largest = torch.maximum(high, -low)
    if not largest.isfinite().all():
        raise InputError("NaN or infinite weights cannot be quantized: their row would have no scale. Mend them first.")
    return largest


def _check_pairs(columns: int) -> None:
    if columns % 2:
        raise InputError(f"int4 packs columns in pairs, and {columns} columns are odd. Take int8 here.")
