"""The exercises of chapter 13: count what is read, write one step behind a cache, mend the mask of such a step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Try, Verdict, judge, judge_numbers
from glm_edu.model.masks import causal_mask
from glm_edu.model.rotary import inverse_frequencies, rotate_half

New = Float[Tensor, "n s d"]
Cached = Float[Tensor, "n p d"]
Turn = Callable[[Tensor, Tensor], Tensor]  # elements [n s d] and positions [s] -> the elements, rotated

HEADS, HEAD_DIM = 2, 8


# ---- 1. predict: tokens read without a cache, with one, and the second clock ----

PROMPT, NEW = 10, 5  # a prompt of ten tokens, the last of them <sop>; five tokens are made

READS = {
    "without a cache": (60, (
        Slip("that is with a cache", "Without one, each step reads the whole text again.", 14),
        Slip("the text grows", "Each step reads one token more than the step before.", 50),
        Slip("one step too many", "The last new token is picked and never read: nobody asks what follows it.", 75),
        Slip("the first step comes early", "The first step reads the prompt, and no new token yet.", 65),
    )),
    "with a cache": (14, (
        Slip("the last token is not read", "The fifth token is picked, and then all is done.", 15),
        Slip("that is without a cache", "With a cache, a step reads what is not cached yet.", 60),
        Slip("the prompt is read too", "Before the first token can be picked, the prompt has to be read.", 4),
        Slip("the prompt is read too", "Before the first token can be picked, the prompt has to be read.", 5),
    )),
    "block": (5, (
        Slip("the fifth token is not read", "That is the block of the fifth token. Which is the last that is read?", 6),
        Slip("<sop> has block 1", "The clock is 0 in the context and 1 on <sop> already.", 4),
        Slip("the clock of the text", "That is the place in the whole text. The second clock starts at <sop>.", 13),
        Slip("the first clock", "That is where the first clock stands still.", 8),
    )),
}  # fmt: skip


def check_reads(without: object, cached: object, block: object) -> Verdict:
    """Exercise 1: tokens read without a cache and with one, and the second clock of the last token that is read."""
    told = ", ".join(str(right) for right, _ in READS.values()) + "."
    return judge_numbers(READS, (without, cached, block), told)


# ---- 2. implement: one step behind a cache ----


def turn(x: New, positions: Int[Tensor, " s"]) -> New:
    """Rotate the pairs (i, i + d/2) of each token by its position: what the exercise is given."""
    angles = positions[:, None] * inverse_frequencies(x.shape[-1], 10000.0).repeat(2)  # s d
    return x * angles.cos() + rotate_half(x) * angles.sin()


def cached_step(query: New, key: New, value: New, keys: Cached, values: Cached, turn: Turn) -> New:
    """Attention of new tokens behind cached ones: what a block does with a ``KVCache``."""
    return _step()(query, key, value, keys, values, turn)


def _after(past: int, new: int) -> Int[Tensor, " s"]:
    return torch.arange(past, past + new)


def _no_offset(new: int, past: int) -> Bool[Tensor, "q k"]:
    return torch.arange(past + new) <= torch.arange(new)[:, None]


def _shift(by: int) -> Callable[[int, int], Tensor]:
    """The causal mask behind a cache, ``by`` columns too far."""
    return lambda new, past: torch.arange(past + new) <= _after(past + by, new)[:, None]


def _everything(new: int, past: int) -> Bool[Tensor, "q k"]:
    return torch.ones(new, past + new, dtype=torch.bool)


def _behind(new: int, past: int) -> Bool[Tensor, "q k"]:
    return causal_mask(new, past + new)


def _step(
    at: Callable[[int, int], Tensor] = _after, mask: Callable[[int, int], Tensor] = _behind, scaled: bool = True,
    again: bool = False, plain: tuple[str, ...] = ("value",), first: str = "cached", only: str = "",
) -> Answer:  # fmt: skip
    """A step: where the new tokens stand, who sees whom, which of the three are not rotated, what comes first."""

    def step(query: New, key: New, value: New, keys: Cached, values: Cached, turn: Turn) -> New:
        past, new = keys.shape[1], key.shape[1]
        given = {"query": query, "key": key, "value": value}
        made = {name: x if name in plain else turn(x, at(past, new)) for name, x in given.items()}
        keys = turn(keys, torch.arange(past)) if again else keys
        visible = mask(new, past)  # s k
        if only == "new":
            keys, values, visible = keys[:, :0], values[:, :0], visible[:, past:]
        pairs = [(keys, values), (made["key"], made["value"])][:: 1 if first == "cached" else -1]
        keys, values = (torch.cat(pair, dim=1) for pair in zip(*pairs, strict=True))  # n k d
        if only == "cached":
            keys, values, visible = keys[:, :past], values[:, :past], visible[:, :past]
        scores = made["query"] @ keys.transpose(1, 2) / (math.sqrt(query.shape[-1]) if scaled else 1)  # n s k
        return scores.masked_fill(~visible, -math.inf).softmax(-1) @ values  # n s d

    return step


STEPS = (
    Slip("every step starts at 0",
         "The new tokens stand at 0, 1, ... as if nothing came before them. How many keys are cached?",
         _step(at=lambda past, new: torch.arange(new))),
    Slip("every step starts at 0, and so does its mask",
         "The new tokens stand at 0, 1, ... as if nothing came before them, and see no further. How many are cached?",
         _step(at=lambda past, new: torch.arange(new), mask=_no_offset)),
    Slip("off by one",
         "Every new token stands one place too far. p tokens are cached, at 0 to p - 1; where does the next one stand?",
         _step(at=lambda past, new: _after(past + 1, new))),
    Slip("off by one, and so is the mask",
         "Every new token stands one place too far, and sees the one after it. Where does the first new token stand?",
         _step(at=lambda past, new: _after(past + 1, new), mask=_shift(1))),
    Slip("off by one",
         "The first new token stands where the last cached one stands. p tokens are cached, at 0 to p - 1.",
         _step(at=lambda past, new: _after(past - 1, new))),
    Slip("off by one, and so is the mask",
         "The first new token stands where the last cached one stands, and does not see itself.",
         _step(at=lambda past, new: _after(past - 1, new), mask=_shift(-1))),
    Slip("one position for all",
         "A single new token is right. With several, all stand at the same place.",
         _step(at=lambda past, new: torch.full((new,), past))),
    Slip("cached keys turned again",
         "The cached keys were turned when they were written. Now they have turned twice.", _step(again=True)),
    Slip("the new key is not turned",
         "What goes behind the cached keys must be as they are: turned by its position.",
         _step(plain=("value", "key"))),
    Slip("the query is not turned",
         "The keys say where they stand. The query should, too, or no distance comes out.",
         _step(plain=("value", "query"))),
    Slip("nothing is turned",
         "The cached keys are turned; what they meet here is not.", _step(plain=("value", "key", "query"))),
    Slip("values are turned", "A value is what is handed on. Only queries and keys are turned.", _step(plain=())),
    Slip("new tokens stand in front",
         "A single new token is right. With several, the mask hides the wrong columns: cached tokens come first.",
         _step(first="new")),
    Slip("new tokens look ahead",
         "A single new token is right. With several, the first sees the last.", _step(mask=_everything)),
    Slip("the mask forgets the cache",
         "The row of new token i is open up to column i. Before it stand p cached columns.", _step(mask=_no_offset)),
    Slip("not divided by sqrt(d)", "The scores are too large: what are they divided by?", _step(scaled=False)),
    Slip("the cache is not read", "The new tokens see each other, and nothing that came before.", _step(only="new")),
    Slip("the new tokens do not see themselves",
         "The new key has to be in the cache before the query asks.",
         _step(only="cached")),
)  # fmt: skip


def check_step(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(query, key, value [n s d], keys, values [n p d], turn) -> mixed [n s d]``."""
    return judge(answer, cached_step, [_given(past=5, new=1), _given(past=4, new=3)], STEPS, _element, close=CLOSE)


def _given(past: int, new: int) -> Try:
    draw = torch.Generator().manual_seed(past)
    query, key, value, keys, values = (
        torch.randn(HEADS, tokens, HEAD_DIM, generator=draw) for tokens in (new, new, new, past, past)
    )
    return query, key, value, turn(keys, torch.arange(past)), values, turn


def _element(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    head, token, _ = index
    where = f"with {given[3].shape[1]} cached tokens and {given[0].shape[1]} new"
    return f"{where}, head {head} of new token {token} is the first that differs: {got:.2f}, it should be {wanted:.2f}."


# ---- 3. debug: the mask of a step ----


def step_mask(past: int, new: int) -> Bool[Tensor, "q k"]:
    """Who sees whom when ``new`` tokens are read behind ``past`` cached ones, under a causal mask."""
    return causal_mask(new, past + new)


def reported_mask(past: int, new: int) -> Bool[Tensor, "q k"]:
    """The mask as it was in more than one library: right while nothing is cached."""
    return _no_offset(new, past)


MASKS = (
    Slip(NOT_YET,
         "unchanged, this is the code as handed over. With nothing cached it is right. With a cache, a single new "
         "token sees one key. Where does the first row stand?",
         reported_mask),
    Slip("new tokens look ahead",
         "A single new token is right. With several, the first sees the last.",
         lambda past, new: _everything(new, past)),
    Slip("one ahead", "Each new token sees the one after it: < or <=?", lambda past, new: _shift(1)(new, past)),
    Slip("the diagonal is missing", "No new token sees itself: < or <=?", lambda past, new: _shift(-1)(new, past)),
    Slip("the cache is hidden",
         "Among the new tokens all is right. The cached columns are closed.",
         lambda past, new: step_mask(past, new) & (torch.arange(past + new) >= past)),
    Slip("only the cache is open",
         "Every row sees the cached tokens, and no new one.",
         lambda past, new: (torch.arange(past + new) < past).expand(new, -1)),
    Slip("a window",
         "The far end is closed as well: the row of new token i starts at column i.",
         lambda past, new: step_mask(past, new) & (torch.arange(past + new) >= torch.arange(new)[:, None])),
    Slip("True for hidden", "Every cell is the opposite of what it should be.",
         lambda past, new: ~step_mask(past, new)),
)  # fmt: skip


def check_step_mask(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(past, new) -> Bool[new past+new]``."""
    return judge(answer, step_mask, [(0, 4), (5, 1), (3, 4)], MASKS, _cell)


def _cell(given: tuple[int, int], index: tuple[int, ...], got: bool, wanted: bool) -> str:
    what = f"lets new token {index[0]} see column {index[1]}" if got else f"hides column {index[1]} from it"
    return f"with {given[0]} cached and {given[1]} new tokens, row {index[0]}: your mask {what}."
