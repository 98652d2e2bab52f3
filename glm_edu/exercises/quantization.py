"""The exercises of chapter 15: count the bytes of a matrix, quantize and go back, mend an unpacking."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Try, Verdict, judge, judge_numbers
from glm_edu.quantization.weights import dequantize, pack_int4, quantize_rows, unpack_int4

Weight = Float[Tensor, "o i"]

# ---- 1. predict: how many bytes? ----

INPUTS, OUTPUTS = 4096, 16384  # the widest linear of ChatGLM-6B; its scales are float16, two bytes each
EIGHT, FOUR = INPUTS * OUTPUTS, INPUTS * OUTPUTS // 2
SCALES = 2 * OUTPUTS


def _wrong_sizes(numbers: int) -> tuple[Slip, ...]:
    return (
        Slip("scales forgotten", "That is the whole numbers alone. What else does a row need?", numbers),
        Slip("a scale for each column", "A scale belongs to a row, and a row makes one output.", numbers + 2 * INPUTS),
        Slip("one scale for the matrix", "There is one for each row.", numbers + 2),
        Slip(
            "half of the scales",
            "A float16 number takes two bytes, whatever the bits of the weights.",
            numbers + OUTPUTS,
        ),
        Slip("scales of four bytes", "That would be float32. A float16 number takes two bytes.", numbers + 4 * OUTPUTS),
        Slip("bits, not bytes", "Eight bits are a byte.", 8 * numbers + 16 * OUTPUTS),
    )


SIZES = {
    "int8": (EIGHT + SCALES, (
        *_wrong_sizes(EIGHT),
        Slip("not quantized", "That is float16.", 2 * EIGHT),
        Slip("half a byte each", "That is int4. An int8 number is a whole byte.", FOUR + SCALES),
    )),
    "int4": (FOUR + SCALES, (
        *_wrong_sizes(FOUR),
        Slip("a byte each", "That is int8. Two int4 numbers share a byte.", EIGHT + SCALES),
        Slip("a byte each, scales forgotten", "Two int4 numbers share a byte, and a row has a scale.", EIGHT),
    )),
}  # fmt: skip


def check_bytes(int8: object, int4: object) -> Verdict:
    """Exercise 1: bytes of a matrix of 16384 rows and 4096 columns as int8 and as int4, scales in float16."""
    told = " and ".join(f"{right:,}" for right, _ in SIZES.values()) + " bytes."
    return judge_numbers(SIZES, (int8, int4), told)


# ---- 2. implement: there and back ----


def my_there_and_back(weight: Weight, bits: int) -> Weight:
    """The weights that a quantized layer multiplies with, by the package."""
    return dequantize(*quantize_rows(weight, bits))


def _rounding(
    round_: Callable[[Tensor], Tensor] = torch.round,
    largest: Callable[[Weight], Tensor] = lambda w: w.abs().amax(1, keepdim=True),
    limit: Callable[[int], float] = lambda bits: 2 ** (bits - 1) - 1,
    back: bool = True,
    stored: Callable[[Tensor], Tensor] = lambda scale: scale,
) -> Answer:
    """There and back with one thing exchanged."""

    def wrong(weight: Weight, bits: int) -> Tensor:
        scale = stored(largest(weight) / limit(bits))
        numbers = round_(weight / scale)
        return numbers * scale if back else numbers

    return wrong


THERE_AND_BACK = (
    Slip(NOT_YET, "unchanged, these are the weights themselves.", lambda weight, bits: weight),
    Slip("one scale for the matrix", "The largest weight of all decides for every row. Which axis does a row have?",
         _rounding(largest=lambda w: w.abs().max())),
    Slip("a scale for each column", "The scale is that of an output, and each row makes one.",
         _rounding(largest=lambda w: w.abs().amax(0, keepdim=True))),
    Slip("the largest, not the largest in size", "A row's largest weight may be smaller than the size of its lowest.",
         _rounding(largest=lambda w: w.amax(1, keepdim=True))),
    Slip("rounded down", "floor is wrong by up to a whole step, and always downwards.", _rounding(torch.floor)),
    Slip("cut off", "trunc, or int(), is wrong by up to a whole step, and always towards 0.", _rounding(torch.trunc)),
    Slip("halves away from zero", "Halves go to the even number: 0.5 becomes 0, 1.5 becomes 2.",
         _rounding(lambda x: x.sign() * (x.abs() + 0.5).floor())),
    Slip("128 or 8", "The largest number is one less, as large as the smallest is small: 127 or 7.",
         _rounding(limit=lambda bits: 2 ** (bits - 1))),
    Slip("255 or 15", "The numbers are signed, so half of them are below 0.",
         _rounding(limit=lambda bits: 2**bits - 1)),
    Slip("always 127", "That is int8. What is the largest number of four bits with a sign?",
         _rounding(limit=lambda bits: 127)),
    Slip("scales in float16", "ChatGLM-6B makes every scale float16. Here it has the dtype of the weights, as in "
         "ChatGLM2-6B.", _rounding(stored=torch.Tensor.half)),
    Slip("not scaled back", "Those are the whole numbers. Which weights do they stand for?", _rounding(back=False)),
)  # fmt: skip


def check_there_and_back(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(weight [o i], bits) -> weights [o i]`` that the whole numbers stand for."""
    return judge(answer, my_there_and_back, [(_weight(), 8), (_weight(), 4)], THERE_AND_BACK, _weight_place, CLOSE)


def _weight() -> Weight:
    """Rows of different size, lows that are larger than highs, and quotients that are exact halves."""
    weight = torch.randn(5, 8, generator=torch.Generator().manual_seed(15)).double()
    weight = weight * torch.tensor([0.1, 0.5, 1.0, 4.0, 1.0]).double()[:, None]
    weight[2] = torch.tensor([-7.0, 0.5, 1.5, 2.5, -0.5, -1.5, 3.0, 6.0]) / 8  # quotients of int4
    weight[4] = torch.tensor([127.0, 0.5, 2.5, -6.5, 8.5, -64.5, 90.0, -30.0]) / 64  # of int8
    return weight.float()


def _weight_place(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    return f"int{given[1]}, row {index[0]}, column {index[1]}: {got:.4f}; it should be {wanted:.4f}."


# ---- 3. debug: unpack ----

Packed = Int8[Tensor, "o half"]


def reported_unpack(packed: Packed) -> Tensor:
    """As it is often written: the low half never gets its sign back."""
    return torch.stack([packed >> 4, packed & 15], dim=-1).flatten(1)


UNPACKINGS = (
    Slip(NOT_YET, "unchanged, this is the code as handed over. Pack -1 in an odd column, and look what comes out.",
         reported_unpack),
    Slip("no sign at all", "Now neither half has a sign. The high one was right.",
         lambda p: torch.stack([p >> 4 & 15, p & 15], dim=-1).flatten(1)),
    Slip("shifted by 8", "The low half is no number from 0 to 15 with 8 added: 0 is stored as 0.",
         lambda p: torch.stack([p >> 4, (p & 15) - 8], dim=-1).flatten(1)),
    Slip("always 16 less", "Only numbers of 8 and more have their sign lost.",
         lambda p: torch.stack([p >> 4, (p & 15) - 16], dim=-1).flatten(1)),
    Slip("halves swapped", "Even columns have the high half.",
         lambda p: torch.stack([(p << 4) >> 4, p >> 4], dim=-1).flatten(1)),
    Slip("one half after the other", "Columns of a byte are neighbours: 2j and 2j + 1.",
         lambda p: torch.cat([p >> 4, (p << 4) >> 4], dim=1)),
    Slip("the high half twice", "Both columns come from the high half. Where is the low one?",
         lambda p: torch.stack([p >> 4, p >> 4], dim=-1).flatten(1)),
    Slip("the low half is zero", "A shift that is not undone leaves the number sixteen times as large, or nothing.",
         lambda p: torch.stack([p >> 4, torch.zeros_like(p)], dim=-1).flatten(1)),
    Slip("sixteen times too large", "The low half was shifted to the top, and not back.",
         lambda p: torch.stack([p >> 4, p << 4], dim=-1).flatten(1)),
)  # fmt: skip


def check_unpack(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(packed int8 [o half]) -> int8 [o 2*half]``, numbers from -8 to 7."""
    pairs = torch.cartesian_prod(*[torch.arange(-8, 8, dtype=torch.int8)] * 2)  # 256 2
    tries = [(pack_int4(pairs),), (pack_int4(pairs.view(64, 8)),)]
    return judge(answer, unpack_int4, tries, UNPACKINGS, _number_place)


def _number_place(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    byte = int(given[0][index[0], index[1] // 2]) & 255
    return f"byte {byte:02x} in hexadecimal, column {index[1]}: {got:g}; it should be {wanted:g}."
