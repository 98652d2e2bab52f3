"""The exercises of chapter 16: predict how far a change reaches, give a lens its norm, mend a lens for all depths."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Try, Verdict, judge, judge_numbers

Stream = Float[Tensor, "*l s h"]
Logits = Float[Tensor, "*l s v"]
Scale = Float[Tensor, "*l s 1"]


# ---- 1. predict: in how many columns of a patch map can there be anything? ----

TOKENS, PLACE = 25, 10  # a prompt of 25 tokens; the two differ in number 10, counted from 0

REACH = {
    "embedding": (1, (
        Slip("attention comes later", "The embedding looks a token up. It knows nothing of its neighbours.", TOKENS),
        Slip("nothing at all", "The two prompts do differ in one token.", 0),
    )),
    "block 0": (TOKENS, (
        Slip("one block without attention", "Attention stands in every block. Who may look at the changed token?", 1),
        Slip("a causal mask", "That is right under a causal mask. What may a token before the change see here?",
             TOKENS - PLACE),
        Slip("sop left out", "sop may look at the context too.", TOKENS - 1),
    )),
    "block 0, causal": (TOKENS - PLACE, (
        Slip("a prefix mask", "That is ChatGLM-6B. Under a causal mask, who cannot know of the change?", TOKENS),
        Slip("the token itself", "The changed token has changed as well.", TOKENS - PLACE - 1),
        Slip("the other side", "Those are the tokens before the change.", PLACE),
        Slip("one too many", "Token 10 is counted from 0: ten tokens stand before it.", TOKENS - PLACE + 1),
    )),
}  # fmt: skip


def check_reach(embedding: object, block: object, causal: object) -> Verdict:
    """Exercise 1: columns that can differ from 0 in the row of the embedding, of block 0, and of a causal block 0."""
    told = f"{1}, {TOKENS} and {TOKENS - PLACE}."
    return judge_numbers(REACH, (embedding, block, causal), told)


# ---- 2. implement: a lens with its norm ----


def my_lens(
    stream: Stream, weight: Float[Tensor, " h"], bias: Float[Tensor, " h"], eps: float, head: Float[Tensor, "v h"]
) -> Logits:
    """Final norm, then head: what ``glm_edu.lens.read`` does for ChatGLM-6B."""
    return F.layer_norm(stream, weight.shape, weight, bias, eps) @ head.T


def _mean(x: Stream) -> Scale:
    return x.mean(-1, keepdim=True)


def _variance(x: Stream) -> Scale:
    return x.var(-1, keepdim=True, unbiased=False)


def _reading(
    centre: Callable[[Stream], Tensor] = _mean, scale: Callable[[Stream, float], Tensor] | None = None,
    gain: bool = True, shift: bool = True,
) -> Answer:  # fmt: skip
    """A lens with a norm of its own: what is taken off, what is divided by, and whether weight and bias are applied."""

    def wrong(stream: Stream, weight: Tensor, bias: Tensor, eps: float, head: Tensor) -> Logits:
        size = (_variance(stream) + eps).sqrt() if scale is None else scale(stream, eps)
        normed = (stream - centre(stream)) / size  # *l s h
        return ((normed * weight if gain else normed) + (bias if shift else 0)) @ head.T

    return wrong


def _bare(stream: Stream, weight: Tensor, bias: Tensor, eps: float, head: Tensor) -> Logits:
    return stream @ head.T


def _twice(stream: Stream, weight: Tensor, bias: Tensor, eps: float, head: Tensor) -> Logits:
    return my_lens(F.layer_norm(stream, weight.shape, weight, bias, eps), weight, bias, eps, head)


def _over_positions(stream: Stream) -> tuple[Tensor, Tensor]:
    return stream.mean(-2, keepdim=True), stream.var(-2, keepdim=True, unbiased=False)


LENSES = (
    Slip(NOT_YET, "unchanged, this is the head alone. What does the model do to the stream before the head?", _bare),
    Slip("nothing taken off",
         "That is RMSNorm: ChatGLM2-6B divides by the root of the mean square. LayerNorm takes the mean off first.",
         _reading(lambda x: torch.zeros(()), lambda x, eps: (x.pow(2).mean(-1, keepdim=True) + eps).sqrt())),
    Slip("nothing taken off, no bias",
         "That is RMSNorm, as ChatGLM2-6B and LLaMA have it. LayerNorm takes the mean off first and adds a bias.",
         _reading(lambda x: torch.zeros(()), lambda x, eps: (x.pow(2).mean(-1, keepdim=True) + eps).sqrt(),
                  shift=False)),
    Slip("the mean stays", "The variance is taken around the mean, so the vector should be, too.",
         _reading(centre=lambda x: torch.zeros(()))),
    Slip("only centred", "The mean is off. What does the norm divide by?",
         _reading(scale=lambda x, eps: torch.ones(()))),
    Slip("divided by the variance", "A length is the root of it.", _reading(scale=lambda x, eps: _variance(x) + eps)),
    Slip("h - 1", "torch.var divides by h - 1 unless you say unbiased=False; LayerNorm divides by h.",
         _reading(scale=lambda x, eps: (x.var(-1, keepdim=True) + eps).sqrt())),
    Slip("h - 1, and no eps",
         "torch.std divides by h - 1 unless you say unbiased=False, and eps stands under the root.",
         _reading(scale=lambda x, eps: x.std(-1, keepdim=True))),
    Slip("eps is forgotten", "eps keeps the root away from 0: add it to the variance.",
         _reading(scale=lambda x, eps: _variance(x).sqrt())),
    Slip("eps outside the root", "eps keeps the root away from 0, so it stands under it.",
         _reading(scale=lambda x, eps: _variance(x).sqrt() + eps)),
    Slip("weight and bias forgotten", "The norm has learned a weight and a bias; the head was trained behind them.",
         _reading(gain=False, shift=False)),
    Slip("the bias is forgotten", "After the weight comes a bias.", _reading(shift=False)),
    Slip("the weight is forgotten", "Before the bias comes a weight.", _reading(gain=False)),
    Slip("mean over positions", "Each token is normalized alone, over its own h numbers: the last axis.",
         _reading(lambda x: _over_positions(x)[0], lambda x, eps: (_over_positions(x)[1] + eps).sqrt())),
    Slip("normalized twice", "Once is enough. On what comes out of the model as final_norm, the head alone is right.",
         _twice),
    Slip("probabilities", "The lens gives logits; leave the softmax to whoever wants it.",
         lambda *given: my_lens(*given).softmax(-1)),
)  # fmt: skip


def check_lens(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(stream [s h], weight, bias, eps, head [v h]) -> logits [s v]``."""
    return judge(answer, my_lens, [_given(layers=()), _given(layers=(), eps=0.1)], LENSES, _place, close=CLOSE)


def _given(layers: tuple[int, ...], eps: float = 1e-5) -> Try:
    """A stream that gets longer and further from 0 with depth, so that no two mistakes look alike."""
    draw = torch.Generator().manual_seed(16)
    depth = torch.arange(1, 1 + (layers or (1,))[0]).view(-1, 1, 1).double()  # l 1 1
    stream = torch.randn(len(depth), 5, 8, generator=draw).double() * depth**1.5 + depth  # l s h
    weight, bias, head = (torch.randn(*size, generator=draw).double() for size in ((8,), (8,), (12, 8)))
    return stream if layers else stream[0], weight, bias, eps, head


# ---- 3. debug: a lens for all depths ----


def reported_stack(
    streams: Float[Tensor, "l s h"], weight: Float[Tensor, " h"], bias: Float[Tensor, " h"], eps: float,
    head: Float[Tensor, "v h"],
) -> Float[Tensor, "l s v"]:  # fmt: skip
    """The lens as a library had it for years: one scale for all depths, that of the last."""
    centred = streams - streams.mean(-1, keepdim=True)  # l s h
    scale = (streams[-1].var(-1, keepdim=True, unbiased=False) + eps).sqrt()  # s 1
    return (centred / scale * weight + bias) @ head.T


STACKS = (
    Slip(NOT_YET,
         "unchanged, this is the code as handed over. Its last row is right, and no other. Whose length divides the "
         "others?",
         reported_stack),
    Slip("no scale", "The last row was right before. Each row needs a scale, its own.",
         _reading(scale=lambda x, eps: torch.ones(()))),
    Slip("the first row's scale", "Now the first row is right, and no other. Each row has its own length.",
         _reading(scale=lambda x, eps: (_variance(x[:1]) + eps).sqrt())),
    Slip("one scale for a token at all depths", "That is an average over the depths. Each row has its own length.",
         _reading(scale=lambda x, eps: (_variance(x).mean(0, keepdim=True) + eps).sqrt())),
    Slip("one variance for all numbers", "var() without an axis takes all depths and tokens together. Which axis is h?",
         _reading(scale=lambda x, eps: (x.var(unbiased=False) + eps).sqrt())),
    Slip("the last row's mean as well", "The scale was the only thing that came from the last row; now the mean does.",
         _reading(centre=lambda x: _mean(x[-1:]), scale=lambda x, eps: (_variance(x[-1:]) + eps).sqrt())),
    Slip("the last row's mean", "The scale is right now; the mean should be the row's own, too.",
         _reading(centre=lambda x: _mean(x[-1:]))),
    Slip("h - 1", "torch.var divides by h - 1 unless you say unbiased=False; LayerNorm divides by h.",
         _reading(scale=lambda x, eps: (x.var(-1, keepdim=True) + eps).sqrt())),
    Slip("weight and bias forgotten", "They were there before: the norm has learned a weight and a bias.",
         _reading(gain=False, shift=False)),
    Slip("the head alone", "That is the lens of the question at the top: the norm is gone altogether.", _bare),
)  # fmt: skip


def check_stack(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(streams [l s h], weight, bias, eps, head [v h]) -> logits [l s v]``."""
    return judge(answer, my_lens, [_given(layers=(4,)), _given(layers=(3,), eps=0.1)], STACKS, _place, close=CLOSE)


def _place(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    where = f"depth {index[0]}, token {index[1]}" if len(index) == 3 else f"token {index[0]}"
    return f"the first logit that differs is that of {where}: {got:.3f}; it should be {wanted:.3f}."
