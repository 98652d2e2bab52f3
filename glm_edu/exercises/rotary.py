"""The exercises of chapter 6: count the speeds of a head, turn a head, mend a converter that reorders rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Verdict, judge, judge_numbers
from glm_edu.figures import pairs_of
from glm_edu.model.rotary import ROTATE, inverse_frequencies

Head = Float[Tensor, "s d"]
Positions = Int[Tensor, " s"]
Rows = Float[Tensor, "rows h"]


# ---- 1. predict: how many frequencies has a head, and what never turns? ----

_FIRST, _SECOND, _LLAMA = (ModelConfig.preset(name) for name in ("chatglm-6b", "chatglm2-6b", "llama-7b"))
_ELEMENTS = Slip("numbers, not pairs", "That is how many numbers a head has. A frequency belongs to a pair.", 128)
COUNTS = {
    "ChatGLM-6B": (_FIRST.rotary_dim // 2, (
        Slip("the pairs of both clocks", "Each clock turns half of the head, and both use the same frequencies.", 64),
        _ELEMENTS,
        Slip("halved once too often", "A clock turns 64 numbers of the head. How many pairs are that?", 16),
    )),
    "ChatGLM2-6B": (_SECOND.rotary_dim // 2, (
        Slip("the whole head", "Only the first half of a head turns.", 64),
        _ELEMENTS,
        Slip("halved once too often", "64 numbers of the head turn. How many pairs are that?", 16),
    )),
    "LLaMA-7B": (_LLAMA.rotary_dim // 2, (
        Slip("half of the head", "That is ChatGLM2-6B. Here the whole head turns.", 32),
        _ELEMENTS,
    )),
    "never_turn": (_SECOND.head_dim - _SECOND.rotary_dim, (
        Slip("pairs, not numbers", "Count numbers: the half of the head that passes as it is.", 32),
        Slip("nothing", "That is LLaMA. ChatGLM2-6B leaves half of each head alone.", 0),
        Slip("everything", "That would be no rotary at all.", 128),
    )),
}  # fmt: skip


def check_counts(first: object, second: object, llama: object, never_turn: object) -> Verdict:
    """Exercise 1: frequencies of a head in three models, and the numbers of a ChatGLM2-6B head that never turn."""
    told = "32, 32 and 64 frequencies; 64 numbers never turn."
    return judge_numbers(COUNTS, (first, second, llama, never_turn), told)


# ---- 2. implement: turn a whole head by halves, as LLaMA does ----


def _try(seed: int, positions: list[int], size: int, base: float) -> tuple[Head, Positions, float]:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(len(positions), size, generator=source), torch.tensor(positions), base


TRIES = (_try(0, [3, 4, 5], 8, 10000.0), _try(1, [0, 7], 4, 100.0), _try(2, [11], 2, 10000.0), _try(3, [2, 9], 12, 5e5))


def _turned(x: Head, angles: Float[Tensor, "s pairs"], pairing: str = "half", sign: float = 1.0) -> Head:
    both = torch.cat([angles, angles], -1) if pairing == "half" else angles.repeat_interleave(2, -1)  # s d
    return x * both.cos() + sign * ROTATE[pairing](x) * both.sin()


def turned_head(x: Head, positions: Positions, base: float) -> Head:
    """Each token's head, turned by its position: the pairs are i and i + d/2."""
    return _turned(x, positions[:, None] * inverse_frequencies(x.shape[-1], base))


def _with(turns: Callable[[int, float], Tensor], shift: int = 0) -> Answer:
    """The right turn by other frequencies, ``turns(d, base)``, or at positions that are moved."""
    return lambda x, positions, base: _turned(x, (positions[:, None] + shift) * turns(x.shape[-1], base))


def _angles(x: Head, positions: Positions, base: float) -> Float[Tensor, "s pairs"]:
    return positions[:, None] * inverse_frequencies(x.shape[-1], base)


def _mixed(x: Head, positions: Positions, base: float) -> Head:
    both = _angles(x, positions, base).repeat_interleave(2, -1)  # s d
    return x * both.cos() + ROTATE["half"](x) * both.sin()


def _mirrored(x: Head, positions: Positions, base: float) -> Head:
    both = torch.cat([_angles(x, positions, base)] * 2, -1)  # s d
    return x * both.cos() + x.roll(x.shape[-1] // 2, -1) * both.sin()


def _swapped(x: Head, positions: Positions, base: float) -> Head:
    both = torch.cat([_angles(x, positions, base)] * 2, -1)  # s d
    return x * both.sin() + ROTATE["half"](x) * both.cos()


TURNS = (
    Slip("nothing turns", "What comes out is what went in.", lambda x, positions, base: x.clone()),
    Slip("turned the other way",
         "Every pair turns by the right angle, with the wrong sign. Which half takes the minus?",
         lambda x, positions, base: _turned(x, _angles(x, positions, base), sign=-1.0)),
    Slip("neighbours are paired",
         "That is ChatGLM2-6B: it turns numbers 2i and 2i + 1 together. Here it is i and i + d/2.",
         lambda x, positions, base: _turned(x, _angles(x, positions, base), "pairs")),
    Slip("angles laid out for neighbours",
         "You turn halves, but each angle stands twice side by side. With halves the list of angles comes twice.",
         _mixed),
    Slip("the minus is missing", "The halves change places, and none changes its sign: that is no quarter turn.",
         _mirrored),
    Slip("sine and cosine swapped", "At position 0 nothing may change. Which of the two is 1 there?", _swapped),
    Slip("the position is ignored",
         "You turn the first token by 0, the second by 1 step, and so on. Where the tokens stand is in positions.",
         lambda x, positions, base: _turned(x, _angles(x, torch.arange(len(x)), base))),
    Slip("positions from 1", "Every token is turned one step too far: positions count from 0.",
         _with(inverse_frequencies, shift=1)),
    Slip("the exponent falls half as fast", "Pair i has the exponent -2i/d. Yours is -i/d.",
         _with(lambda d, base: base ** (-torch.arange(d // 2) / d))),
    Slip("the exponent falls twice as fast", "Pair i has the exponent -2i/d: d counts numbers, not pairs.",
         _with(lambda d, base: base ** (-4 * torch.arange(d // 2) / d))),
    Slip("the exponent has lost its minus", "Your hands get faster and faster. The exponent is -2i/d.",
         _with(lambda d, base: base ** (2 * torch.arange(d // 2) / d))),
    Slip("one frequency for all", "Every pair turns like the first. Pair i turns by base^(-2i/d) with each position.",
         _with(lambda d, base: torch.ones(d // 2))),
    Slip("degrees", "sin and cos take radians: an angle needs no factor.",
         _with(lambda d, base: torch.deg2rad(inverse_frequencies(d, base)))),
)  # fmt: skip


def check_turn(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(x, positions, base)``: a head [s d], turned by halves as LLaMA turns it."""
    return judge(answer, turned_head, TRIES, TURNS, _place, CLOSE)


def _place(given: tuple[Head, Positions, float], index: tuple[int, ...], got: float, wanted: float) -> str:
    token, element = index
    return (
        f"at position {int(given[1][token])}, number {element} of {given[0].shape[-1]} is {got:.3f}; "
        f"it should be {wanted:.3f}."
    )


# ---- 3. debug: rows of a query or key weight, from neighbours to halves ----


def rows_to_halves(weight: Rows, heads: int, rotary_dim: int) -> Rows:
    """The rows of a weight that was made for neighbours, in the order that halves need. The rest of a head stays."""
    rows = weight.unflatten(0, (heads, -1))  # n d h
    first, second = pairs_of(rows[:, :rotary_dim].transpose(1, 2), "pairs").unbind(-1)  # n h r/2
    return torch.cat([first.transpose(1, 2), second.transpose(1, 2), rows[:, rotary_dim:]], 1).flatten(0, 1)


def _weight(heads: int, size: int, rotary_dim: int) -> tuple[Rows, int, int]:
    return torch.arange(heads * size * 3.0).view(-1, 3), heads, rotary_dim


WEIGHTS = (_weight(2, 12, 12), _weight(3, 16, 8), _weight(1, 8, 4))


def _to_neighbours(weight: Rows, heads: int, rotary_dim: int) -> Rows:
    rows = weight.unflatten(0, (heads, -1))  # n d h
    turned = pairs_of(rows[:, :rotary_dim].transpose(1, 2), "half").flatten(-2).transpose(1, 2)  # n r h
    return torch.cat([turned, rows[:, rotary_dim:]], 1).flatten(0, 1)


def _second_first(weight: Rows, heads: int, rotary_dim: int) -> Rows:
    rows = rows_to_halves(weight, heads, rotary_dim).unflatten(0, (heads, -1))  # n d h
    half = rotary_dim // 2
    return torch.cat([rows[:, half:rotary_dim], rows[:, :half], rows[:, rotary_dim:]], 1).flatten(0, 1)


def _rest_first(weight: Rows, heads: int, rotary_dim: int) -> Rows:
    rows = rows_to_halves(weight, heads, rotary_dim).unflatten(0, (heads, -1))  # n d h
    return torch.cat([rows[:, rotary_dim:], rows[:, :rotary_dim]], 1).flatten(0, 1)


ORDERS = (
    Slip(NOT_YET,
         "unchanged, this is the code as handed over. It is right where the whole head turns, as in LLaMA, and wrong "
         "for ChatGLM2-6B.",
         lambda weight, heads, rotary_dim: rows_to_halves(weight, heads, weight.shape[0] // heads)),
    Slip("across the heads", "With one head it is right. With more, a row may not leave its head.",
         lambda weight, heads, rotary_dim: rows_to_halves(weight, 1, rotary_dim)),
    Slip("the whole weight as one head", "Rows of different heads have been mixed, and the rest is not left alone.",
         lambda weight, heads, rotary_dim: rows_to_halves(weight, 1, weight.shape[0])),
    Slip("the way back", "This goes from halves to neighbours. Two small cases look alike both ways.",
         _to_neighbours),
    Slip("second before first", "Rows 2i go to the first half, rows 2i + 1 to the second: yours went the other way.",
         _second_first),
    Slip("the rest comes first", "Official code turns the first part of a head: what never turns stays behind it.",
         _rest_first),
    Slip("nothing is reordered", "The rows come out as they went in.",
         lambda weight, heads, rotary_dim: weight.clone()),
)  # fmt: skip


def check_rows(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(weight, heads, rotary_dim)``: the rows of a query or key weight, reordered."""
    return judge(answer, rows_to_halves, WEIGHTS, ORDERS, _row)


def _row(given: tuple[Rows, int, int], index: tuple[int, ...], got: float, wanted: float) -> str:
    weight, heads, rotary_dim = given
    what = f"with {heads} heads of {len(weight) // heads} rows, {rotary_dim} of them turning"
    return f"{what}: row {index[0]} should be row {wanted // 3:.0f} of the weight; yours is row {got // 3:.0f}."
