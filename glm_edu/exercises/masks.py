"""The exercises of chapter 9: count a mask, write one for padded rows, mend two clocks.

``context`` is the index of sop in the row as it stands: everything before it is padding or context.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from glm_edu.exercises import NOT_YET, Answer, Slip, Verdict, judge, judge_number
from glm_edu.model.masks import causal_mask, hide_padding, prefix_mask

Keep = Bool[Tensor, " s"]
Square = Bool[Tensor, "s s"]
Clocks = Int[Tensor, "2 s"]


def _keep(pads: int, tokens: int) -> Keep:
    return torch.arange(pads + tokens) >= pads


TRIES = ((7, _keep(0, 13)), (10, _keep(3, 13)), (4, _keep(2, 4)), (1, _keep(0, 2)), (6, _keep(1, 9)))


# ---- 1. predict: how many cells are visible ----

CONTEXT, LENGTH = 5, 10  # four characters and [gMASK]; then sop and four characters

CELLS = (
    Slip("sop joined the context", "This count lets what stands before sop look at sop. Is sop of the context?", 70),
    Slip("that is the causal mask", "You counted what stands at or before each row. What else does a prefix see?", 55),
    Slip("hidden for visible", "This is the number of hidden cells.", 35),
    Slip("the diagonal is missing", "May a token look at itself?", 60),
    Slip("only the columns of the context", "The answer also looks at itself, backwards.", 50),
    Slip("only the square of the context", "The rows below it look too, and at more than the context.", 25),
    Slip("nothing is hidden", "This is the whole grid. Who may not look at whom?", 100),
)


def check_cells(answer: object) -> Verdict:
    """Exercise 1: the visible cells of a prefix mask of ten tokens, five of them context."""
    right = int(prefix_mask(CONTEXT, LENGTH).sum())
    return judge_number(answer, right, CELLS, "draw the grid and count")


# ---- 2. implement: the prefix mask of a row that is padded on the left ----


def padded_prefix_mask(context: int, keep: Keep) -> Square:
    """ChatGLM-6B's mask of one row: columns and rows of padding are hidden."""
    return hide_padding(prefix_mask(context, len(keep))[None, None], keep[None], pad_rows=False)[0, 0]


def _hide(mask: Square, keep: Keep) -> Square:
    return mask & keep & keep[:, None]


def _sees_all(keep: Keep) -> Square:
    return torch.ones(len(keep), len(keep), dtype=torch.bool)


def _no_diagonal(context: int, keep: Keep) -> Square:
    key = torch.arange(len(keep))  # k
    return _hide((key < context) | (key < key[:, None]), keep)


MASKS = (
    Slip("sop joined the context",
         "A token before sop sees sop. The context ends one token earlier than the prompt: < or <=?",
         lambda context, keep: padded_prefix_mask(context + 1, keep)),
    Slip("rows and columns swapped",
         "Rows ask, columns answer: a row is a query. Yours is the mirror image.",
         lambda context, keep: padded_prefix_mask(context, keep).T),
    Slip("True for hidden",
         "Every cell is the opposite of what it should be. In the official code True is hidden; here it is visible.",
         lambda context, keep: ~padded_prefix_mask(context, keep)),
    Slip("that is the causal mask",
         "No token of the context looks ahead. What does the prefix allow?",
         lambda context, keep: _hide(causal_mask(len(keep), len(keep)), keep)),
    Slip("the diagonal is missing", "From sop on, no token sees itself.", _no_diagonal),
    Slip("padding is visible",
         "Without padding your mask is right. With padding, tokens look at columns of padding.",
         lambda context, keep: prefix_mask(context, len(keep)) & keep[:, None]),
    Slip("padding still asks",
         "The columns of padding are hidden. Its rows should be hidden too.",
         lambda context, keep: prefix_mask(context, len(keep)) & keep),
    Slip("keep is not used",
         "Without padding your mask is right. What does keep say about the first tokens of a padded row?",
         lambda context, keep: prefix_mask(context, len(keep))),
    Slip("rows of padding are open",
         "A row of padding sees everything. That is ChatGLM2-6B's choice; ChatGLM-6B hides such a row.",
         lambda context, keep: (prefix_mask(context, len(keep)) & keep) | ~keep[:, None]),
    Slip("padding is subtracted",
         "context is an index in the padded row already: there is nothing to subtract.",
         lambda context, keep: padded_prefix_mask(context - int((~keep).sum()), keep)),
    Slip("padding is added twice",
         "context is an index in the padded row already: there is nothing to add.",
         lambda context, keep: padded_prefix_mask(context + int((~keep).sum()), keep)),
    Slip("the answer looks ahead",
         "Tokens after sop see what is not written yet. Which comparison keeps the order?",
         lambda context, keep: _hide(_sees_all(keep), keep)),
)  # fmt: skip


def check_mask(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(context, keep) -> Bool[q k]``, the prefix mask of one row padded on the left."""
    return judge(answer, padded_prefix_mask, TRIES, MASKS, _cell)


def _row(context: int, keep: Keep) -> str:
    return f"in a row of {len(keep)} tokens, {int((~keep).sum())} of them padding, with sop at {context}"


def _cell(given: tuple[int, Keep], index: tuple[int, ...], got: bool, wanted: bool) -> str:
    query, key = index
    what = f"lets query {query} look at key {key}" if got else f"hides key {key} from query {query}"
    return f"{_row(*given)}, your mask {what}."


# ---- 3. debug: the two clocks of a padded row ----


def padded_positions(context: int, keep: Keep) -> Clocks:
    """Position and block of one row whose [gMASK] stands right before sop; both are 0 on padding."""
    index = (keep.long().cumsum(-1) - 1).clamp(min=0)  # s
    block = (torch.arange(len(keep)) - context + 1).clamp(min=0)  # s
    return torch.stack([torch.where(block > 0, index[context - 1], index), block])  # 2 s


def _moved(position: int = 0, block: int = 0) -> Answer:
    """Both clocks, moved by so much from sop on."""

    def wrong(context: int, keep: Keep) -> Clocks:
        clocks = padded_positions(context, keep)
        return clocks + torch.tensor([[position], [block]]) * (torch.arange(len(keep)) >= context)

    return wrong


def _replace(clock: int, change: Answer) -> Answer:
    """One clock (0 position, 1 block) made anew: ``change(context, keep, place, right) -> Int[s]``."""

    def wrong(context: int, keep: Keep) -> Clocks:
        clocks = padded_positions(context, keep)
        clocks[clock] = change(context, keep, torch.arange(len(keep)), clocks[clock])
        return clocks

    return wrong


CLOCKS = (
    Slip(NOT_YET,
         "unchanged, this is the code as handed over. Without padding its ids are right. With padding, the answer "
         "stands further on than its [gMASK].",
         _replace(0, lambda context, keep, place, right: torch.where(place >= context, context - 1, right))),
    Slip("the first clock stops at the index of sop",
         "Without padding, the answer stands one place after its [gMASK]; with padding, further still. Whose place "
         "does it fill?",
         _replace(0, lambda context, keep, place, right: torch.where(place >= context, context, right))),
    Slip("the first clock keeps counting",
         "From sop on, position stands still: the answer fills the place of [gMASK].",
         _replace(0, lambda context, keep, place, right: (keep.long().cumsum(-1) - 1).clamp(min=0))),
    Slip("one place too far",
         "The answer stands one place after its [gMASK]. It should stand where [gMASK] stands.",
         _moved(position=1)),
    Slip("block starts at 0", "sop should have block 1: 0 is kept for the context.", _moved(block=-1)),
    Slip("block starts too early",
         "sop should have block 1, and the token before it 0.",
         _replace(1, lambda context, keep, place, right: (place - context + 2).clamp(min=0))),
    Slip("the clocks are swapped",
         "Row 0 is position, row 1 is block.",
         lambda context, keep: padded_positions(context, keep).flip(0)),
    Slip("padding is counted",
         "Every position is too large by the number of pads. Attention reads distances and would not notice; "
         "the official ids do differ.",
         _replace(0, lambda context, keep, place, right: place.clamp(max=context - 1))),
    Slip("below zero",
         "Padding has position 0 in the official ids, not -1.",
         _replace(0, lambda context, keep, place, right: torch.where(keep, right, -1))),
)  # fmt: skip


def check_positions(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(context, keep) -> Int[2 s]``, position and block of one row padded on the left."""
    return judge(answer, padded_positions, TRIES, CLOCKS, _tick)


def _tick(given: tuple[int, Keep], index: tuple[int, ...], got: int, wanted: int) -> str:
    clock = ("position", "block")[index[0]]
    return f"{_row(*given)}, your {clock} of token {index[1]} is {got}; it should be {wanted}."
