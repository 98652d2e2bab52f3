"""The exercises of chapter 3: how wide a gate may be, a feed-forward from fused rows, a fused matrix cut in parts."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Try, Verdict, judge, judge_numbers
from glm_edu.model.activations import swiglu

Hidden = Float[Tensor, "b s h"]
Fused = Float[Tensor, "rows h"]  # 2f rows: those of gate, then those of up
Parts = Float[Tensor, "ranks part h"]

# ---- 1. predict: how wide may it be with a gate? ----

PLAIN = 4 * 5120  # LLaMA-13B's h; without a gate there are two matrices, 4h wide
WIDTH = 2 * PLAIN // 3

WIDTHS = {
    "width": (WIDTH, (
        Slip("a third matrix for nothing", "That is the width without a gate. With one there are three matrices.",
             PLAIN),
        Slip("as if there were four", "Half the width pays for four matrices. How many are there?", PLAIN // 2),
        Slip("rounded up", "With one unit more there are more parameters than before.", WIDTH + 1),
        Slip("divided by three", "Two matrices are shared out among three, not one.", PLAIN // 3),
        Slip("three quarters", "There were two matrices, and there are three.", 3 * PLAIN // 4),
        Slip("wider", "You multiplied by the wrong side of the ratio.", 3 * PLAIN // 2),
    )),
    "rows": (2 * WIDTH, (
        Slip("the gate alone", "That is the width. Which two matrices lie in the fused one?", WIDTH),
        Slip("all three", "down is a matrix of its own: it has h rows.", 3 * WIDTH),
        Slip("without a gate", "Those are twice the rows of the plain one, which is wider.", 2 * PLAIN),
        Slip("the rows of the plain one", "Without a gate dense_h_to_4h has so many rows.", PLAIN),
    )),
}  # fmt: skip


def check_width(width: object, rows: object) -> Verdict:
    """Exercise 1: the largest gated width with no more weights than a plain 4h, h = 5120; the rows of gate and up."""
    return judge_numbers(WIDTHS, (width, rows), f"{WIDTH} and {2 * WIDTH}.")


# ---- 2. implement: the feed-forward of ChatGLM2-6B from its two official matrices ----


def fused_feedforward(x: Hidden, fused: Fused, down: Float[Tensor, "h f"]) -> Hidden:
    """down(silu(gate) * up), where the rows of ``fused`` are those of gate, then those of up."""
    gate, up = (x @ fused.T).chunk(2, dim=-1)  # b s f, b s f
    return swiglu(gate, up) @ down.T


def _combined(combine: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """The feed-forward with another way to make one number of a gate and an up."""

    def wrong(x: Hidden, fused: Fused, down: Float[Tensor, "h f"]) -> Hidden:
        return combine(*(x @ fused.T).chunk(2, dim=-1)) @ down.T

    return wrong


def _every_second(x: Hidden, fused: Fused, down: Float[Tensor, "h f"]) -> Hidden:
    wide = x @ fused.T  # b s 2f
    return swiglu(wide[..., ::2], wide[..., 1::2]) @ down.T


FEEDFORWARDS = (
    Slip("gate and up exchanged", "The official file holds the gate's rows first, and silu belongs to the gate.",
         _combined(lambda gate, up: swiglu(up, gate))),
    Slip("every second row", "Gate and up do not take turns: all rows of the one, then all rows of the other.",
         _every_second),
    Slip("GELU", "That is an activation of another generation. Which one has ChatGLM2-6B?",
         _combined(lambda gate, up: F.gelu(gate) * up)),
    Slip("GELU in its tanh form", "That is the activation of ChatGLM-6B. Which one has ChatGLM2-6B?",
         _combined(lambda gate, up: F.gelu(gate, approximate="tanh") * up)),
    Slip("a sigmoid alone", "That is GLU, the gate of 2016. silu multiplies the sigmoid by its own input.",
         _combined(lambda gate, up: gate.sigmoid() * up)),
    Slip("the activation on the product", "silu comes first, on the gate alone; then the two are multiplied.",
         _combined(lambda gate, up: F.silu(gate * up))),
    Slip("the activation on both", "up stays as the matrix made it.",
         _combined(lambda gate, up: F.silu(gate) * F.silu(up))),
    Slip("no activation", "gate times up opens nothing and closes nothing. What acts on the gate?",
         _combined(lambda gate, up: gate * up)),
    Slip("up is not used", "The second half of the rows does nothing here.", _combined(lambda gate, up: F.silu(gate))),
    Slip("gate is not used", "The first half of the rows does nothing here.", _combined(lambda gate, up: F.silu(up))),
    Slip("added", "A gate multiplies: where it is shut, nothing comes through.",
         _combined(lambda gate, up: F.silu(gate) + up)),
)  # fmt: skip


def check_feedforward(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(x [b s h], fused [2f h], down [h f]) -> [b s h]``, as ChatGLM2-6B has it."""
    return judge(answer, fused_feedforward, _feedforward_tries(), FEEDFORWARDS, _number, CLOSE)


def _feedforward_tries() -> list[Try]:
    generator = torch.Generator().manual_seed(3)
    sizes = ((2, 3, 4, 6), (1, 1, 8, 5))  # b s h f

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return [(draw(b, s, h), draw(2 * f, h), draw(h, f)) for b, s, h, f in sizes]


def _number(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    return f"text {index[0]}, token {index[1]}: element {index[2]} is {got:.4f}; it should be {wanted:.4f}."


# ---- 3. debug: the fused matrix, cut for several devices ----


def parts_as_handed_over(fused: Fused, ranks: int) -> Parts:
    """Equal runs of rows, as somebody cut them. Every shape fits."""
    return torch.stack(fused.chunk(ranks))


def parts_of_units(fused: Fused, ranks: int) -> Parts:
    """Rank r gets the r-th run of units: their gate rows, then their up rows."""
    gate, up = fused.chunk(2)  # f h, f h
    runs = zip(gate.chunk(ranks), up.chunk(ranks), strict=True)
    return torch.stack([torch.cat(run) for run in runs])  # ranks 2f/ranks h


def _taking_turns(fused: Fused, ranks: int) -> Parts:
    gate, up = fused.chunk(2)
    return torch.stack([torch.cat([gate[rank::ranks], up[rank::ranks]]) for rank in range(ranks)])


def _up_first(fused: Fused, ranks: int) -> Parts:
    return parts_of_units(fused.roll(len(fused) // 2, 0), ranks)


def _side_by_side(fused: Fused, ranks: int) -> Parts:
    gate, up = fused.chunk(2)
    pairs = torch.stack([gate, up], dim=1).flatten(0, 1)  # 2f h   gate 0, up 0, gate 1, up 1
    return torch.stack(pairs.chunk(ranks))


def _backwards(fused: Fused, ranks: int) -> Parts:
    return parts_of_units(fused, ranks).flip(0)


def _same_for_all(fused: Fused, ranks: int) -> Parts:
    return parts_of_units(fused, ranks)[:1].expand(ranks, -1, -1)


PARTS = (
    Slip(NOT_YET, "unchanged, this is the code as handed over. On two devices, which rows does the first one get, and "
         "with what does it multiply its gates?", parts_as_handed_over),
    Slip("ranks take turns", "Gates and ups fit each other now. But down gives each rank one run of columns: "
         "units that stand side by side.", _taking_turns),
    Slip("up first", "Each part is split as the whole was: its gate rows come first.", _up_first),
    Slip("gate and up side by side", "Each part is split in the middle. Here its first half holds gates and ups.",
         _side_by_side),
    Slip("the last part first", "Rank 0 has the first columns of down. Which units are they?", _backwards),
    Slip("the same part for all", "Each rank has other units.", _same_for_all),
)  # fmt: skip


def check_parts(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(fused [2f h], ranks) -> [ranks 2f/ranks h]``, each part a gated feed-forward of its own."""
    return judge(answer, parts_of_units, _parts_tries(), PARTS, _row)


def _parts_tries() -> list[Try]:
    sizes = ((6, 2, 2), (12, 3, 3), (8, 2, 4))  # f h ranks
    return [(torch.arange(float(2 * f * h)).view(2 * f, h), ranks) for f, h, ranks in sizes]


def _row(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    return f"with {given[1]} ranks, row {index[1]} of rank {index[0]} is another row of the whole matrix."
