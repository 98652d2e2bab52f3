"""The exercises of chapter 7: predict the ids of a cached step, turn a head by two clocks, mend a port's next ids."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Verdict, judge, judge_numbers
from glm_edu.model.positions import glm_positions
from glm_edu.model.rotary import ROTATE, apply_rotary

Row = list[int]
Head = Float[Tensor, "s d"]
Clocks = Int[Tensor, "2 s"]
Turns = Float[Tensor, " d/4"]

CONFIG = ModelConfig.preset("tiny-chatglm")
MARKS = MASK, GMASK, BOS = 500, 501, 504  # of CONFIG; a test holds them against it


# ---- 1. predict: the ids of a cached step ----

STEP = (11, 12, 13, 14, 15, 16, GMASK, BOS, 21, 22, 23)  # six characters, [gMASK], <sop>, three are written

POSITIONS = (
    Slip("the first clock counts on", "that is the index of the token. From `<sop>` on, position stands still.", 10),
    Slip("the place of <sop>", "that is the index of `<sop>`. Whose place does the answer fill?", 7),
    Slip("the last character", "that is the last character of the question; one token of the context follows.", 5),
    Slip("the second clock", "that is the block position. Which clock counts inside the answer?", 4),
)
BLOCKS = (
    Slip("<sop> is not counted", "that counts characters. Which token has block position 1?", 3),
    Slip("one too far", "`<sop>` has block position 1, and 0 is the context's. Count again.", 5),
    Slip("not moving", "0 is the context's. In the answer this clock moves.", 0),
    Slip("the first clock", "that is the position. Which clock stands still?", 6),
)


def next_ids(ids: Row, mask: int, gmask: int, bos: int) -> Int[Tensor, " 2"]:
    """Position and block position of the last token of a row, which a cached step reads alone."""
    row = torch.tensor([ids])  # 1 s
    return glm_positions(row, torch.ones_like(row, dtype=torch.bool), CONFIG)[0][0, :, -1]


def check_step(position: object, block: object) -> Verdict:
    """Exercise 1: the ids of the third written character, behind six characters, [gMASK] and <sop>."""
    right = next_ids([*STEP], *MARKS).tolist()
    expected = {"position": (right[0], POSITIONS), "block": (right[1], BLOCKS)}
    return judge_numbers(expected, (position, block), f"position {right[0]}, block {right[1]}.")


# ---- 2. implement: one half of a head by each clock ----


def turned(x: Head, clocks: Clocks, turns: Turns, pairing: str = "half") -> Head:
    """A head whose first half turns by ``clocks[0]`` and whose second half by ``clocks[1]``."""
    angles = clocks[:, :, None] * turns  # 2 s d/4
    angles = torch.cat([angles, angles], -1) if pairing == "half" else angles.repeat_interleave(2, -1)  # 2 s d/2
    table = angles[:, None, None].to(x.dtype)  # 2 1 1 s d/2
    return apply_rotary(x[None, None], (table.cos(), table.sin()), pairing)[0, 0]


def _tries() -> tuple[tuple[Head, Clocks, Turns], ...]:
    draw = torch.Generator().manual_seed(7)
    ids = ([[0, 1, 2, 2, 2], [0, 0, 0, 1, 2]], [[0, 1, 2, 3, 1, 1, 1], [0, 0, 0, 0, 1, 2, 3]])
    widths = (8, 16)
    return tuple(
        (torch.randn(len(clocks[0]), d, generator=draw), torch.tensor(clocks), 0.9 ** torch.arange(1.0, d // 4 + 1))
        for clocks, d in zip(ids, widths, strict=True)
    )


HEADS = _tries()


def _whole_head(x: Head, clocks: Clocks, turns: Turns) -> Head:
    angles = torch.cat([clock[:, None] * torch.cat([turns, turns]) for clock in clocks], -1)  # s d
    return x * angles.cos() + ROTATE["half"](x) * angles.sin()


def _half_of_it(x: Head, clocks: Clocks, turns: Turns, which: int) -> Head:
    mine, half = turned(x, clocks, turns), x.shape[-1] // 2
    return torch.cat([mine[:, :half], x[:, half:]] if which == 0 else [x[:, :half], mine[:, half:]], -1)


def _mixed(x: Head, clocks: Clocks, turns: Turns) -> Head:
    angles = (clocks[:, :, None] * turns).repeat_interleave(2, -1)  # 2 s d/2
    halves = zip(x.chunk(2, -1), angles.cos(), angles.sin(), strict=True)
    return torch.cat([half * cos + ROTATE["half"](half) * sin for half, cos, sin in halves], -1)


TURNS = (
    Slip("the clocks are swapped",
         "Row 0 of the ids, position, belongs to the first half of the head. In the 6B's weights the other way is "
         "another model.",
         lambda x, clocks, turns: turned(x, clocks.flip(0), turns)),
    Slip("position turns both halves", "Both halves turn by the first clock. What does the second one turn?",
         lambda x, clocks, turns: turned(x, clocks[[0, 0]], turns)),
    Slip("block turns both halves", "Both halves turn by the second clock. In the context it stands at 0.",
         lambda x, clocks, turns: turned(x, clocks[[1, 1]], turns)),
    Slip("the clocks are added", "Both halves turn by the sum of the two ids, so that no half knows one of them.",
         lambda x, clocks, turns: turned(x, clocks.sum(0).expand(2, -1), turns)),
    Slip("pairs across the halves",
         "The angles are right, the partners are not: rotate_half saw the whole head. Cut the head in two first, then "
         "turn each part on its own.",
         _whole_head),
    Slip("neighbours as pairs", "Elements 2i and 2i + 1 turn together, as in ChatGLM2-6B. Which do in rotate_half?",
         lambda x, clocks, turns: turned(x, clocks, turns, "pairs")),
    Slip("angles laid out for neighbours",
         "You turn halves, but each angle stands twice side by side. With halves the list of angles comes twice.",
         _mixed),
    Slip("the other way round", "Each pair turns backwards: look at the sign of the sine.",
         lambda x, clocks, turns: turned(x, clocks, -turns)),
    Slip("the second half does not turn", "The first half is right. The second half is as you were given it.",
         lambda x, clocks, turns: _half_of_it(x, clocks, turns, 0)),
    Slip("the first half does not turn", "The second half is right. The first half is as you were given it.",
         lambda x, clocks, turns: _half_of_it(x, clocks, turns, 1)),
    Slip("nothing turns", "The head is as you were given it.", lambda x, clocks, turns: x),
)  # fmt: skip


def check_turn(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(x, clocks, turns)``, x [s d], clocks [2 s], turns [d/4]: the head turned, [s d]."""
    return judge(answer, turned, HEADS, TURNS, _element, CLOSE)


def _element(given: tuple[Head, Clocks, Turns], index: tuple[int, ...], got: float, wanted: float) -> str:
    token, element = index
    x, clocks, _ = given
    half = "first" if element < x.shape[-1] // 2 else "second"
    return (
        f"token {token} at position {int(clocks[0, token])}, block {int(clocks[1, token])}: element {element}, in the "
        f"{half} half of {x.shape[-1]}, is {got:.3f} and should be {wanted:.3f}."
    )


# ---- 3. debug: the ids of a port's next step ----

ROWS = tuple(
    (row, *MARKS)
    for row in (
        [11, 12, 13, GMASK, BOS, 21],
        [11, MASK, 13, 14, BOS, 21, 22],
        [11, MASK, 13, 14, GMASK, BOS, 21, 22, 23],
        [11, 12, MASK, 14, MASK, 16, BOS, 21],
    )
)


def _place(of: Answer) -> Answer:
    """Another place for the answer: ``of(ids, mask, gmask, bos)``; the block position as it should be."""
    return lambda ids, mask, gmask, bos: torch.tensor([of(ids, mask, gmask, bos), len(ids) - ids.index(bos)])


def _last(ids: Row, mask: int, gmask: int, bos: int) -> int:
    mark = gmask if gmask in ids else mask
    return len(ids) - 1 - ids[::-1].index(mark)


NEXT = (
    Slip(NOT_YET,
         "unchanged, this is the code as handed over. Where [gMASK] ends the prompt it is right. Where [MASK] stands "
         "inside the text, the answer stands at the end all the same.",
         _place(lambda ids, mask, gmask, bos: ids.index(bos) - 1)),
    Slip("[MASK] before [gMASK]",
         "A prompt that holds both is not right: the newer code fills [gMASK] then. The revision of 2023-03 did it "
         "your way.",
         _place(lambda ids, mask, gmask, bos: ids.index(mask if mask in ids else gmask))),
    Slip("the last mask token", "With two [MASK] you fill the last one; the official code fills the first.",
         _place(_last)),
    Slip("the first clock counts on", "The position should stand still; yours is the index of the token.",
         _place(lambda ids, mask, gmask, bos: len(ids) - 1)),
    Slip("the place of bos", "The answer stands where bos stands. Whose place does it fill?",
         _place(lambda ids, mask, gmask, bos: ids.index(bos))),
    Slip("one block too few", "bos has block position 1; every id that you give is one less than it should be.",
         lambda *given: next_ids(*given) - torch.tensor([0, 1])),
    Slip("one block too many", "bos has block position 1; every id that you give is one more than it should be.",
         lambda *given: next_ids(*given) + torch.tensor([0, 1])),
    Slip("the clocks are swapped", "First position, then block position.", lambda *given: next_ids(*given).flip(0)),
)  # fmt: skip


def check_next_ids(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(ids, mask, gmask, bos)``: position and block position of the last token of a row, [2]."""
    return judge(answer, next_ids, ROWS, NEXT, _id)


def _id(given: tuple[Row, int, int, int], index: tuple[int, ...], got: int, wanted: int) -> str:
    ids, mask, gmask, bos = given
    names = {mask: "[MASK]", gmask: "[gMASK]", bos: "bos"}
    said = " ".join(names.get(token, "x") for token in ids)
    return f"for {said} the {('position', 'block position')[index[0]]} is {got} and should be {wanted}."
