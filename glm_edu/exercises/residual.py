"""The exercises of chapter 5: predict two numbers, name the norms of the regrouped stack, mend a ported block."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Verdict, judge, run

Hidden = Float[Tensor, "b s h"]
Block = Callable[..., Hidden]
Layer = Callable[[Tensor], Tensor]  # a sub-layer or a norm: [b s h] -> [b s h]

ALPHA = math.sqrt(2 * 28)
MOST = 1e300  # an int may be larger than any float


# ---- 1. predict: how long, and how much more ----

ROOT = math.sqrt(4096)  # the length of a normalized token of the 6B

LENGTHS = (
    Slip("alpha is not applied", "That is the length of norm(x). What does the residual multiply it by?", ROOT),
    Slip("the length of norm(x) is missing", "That is alpha. How long is a vector of 4096 numbers of size 1?", ALPHA),
    Slip("no square root", "A length is the root of a sum of squares, and there are 4096 squares.", ALPHA * ROOT**2),
    Slip("alpha squared", "alpha is the square root of 2 * 28.", ALPHA**2 * ROOT),
    Slip("the paper's alpha", "That is the fourth root. The official code takes the square root.", 56**0.25 * ROOT),
)
FACTORS = (
    Slip("one move of two", "alpha leaves the residual, and it arrives at f. You counted one of the two.", ALPHA),
    Slip("added, not multiplied", "Two factors in a row multiply.", 2 * ALPHA),
    Slip("upside down", "Does f weigh more or less when alpha stands before it?", ALPHA**-2),
    Slip("cancelled", "The next norm removes a factor that both terms have. Here one of them has it.", 1.0),
)


def check_prediction(length: object, factor: object) -> Verdict:
    """Exercise 1: the length of ``alpha * norm(x)`` in the 6B; by what factor f weighs more if alpha moves to f."""
    numbers = (("length", length, ALPHA * ROOT, LENGTHS), ("factor", factor, ALPHA**2, FACTORS))
    for name, answer, right, slips in numbers:
        if answer is None or answer is ...:
            return Verdict(False, NOT_YET, f"put your number in the place of the three dots: {name}.")
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            return Verdict(False, "not a number", f"{name} is a {type(answer).__name__}.")
        answer = max(-MOST, min(answer, MOST))
        if not _near(answer, right):
            size = "large" if answer > right else "small"
            other = Slip("another number", f"{answer:g} is too {size}.", None)
            slip = next((slip for slip in slips if _near(answer, slip.wrong)), other)
            return Verdict(False, f"{name}, {slip.kind}", slip.hint)
    return Verdict(True, "right", f"{ALPHA * ROOT:.0f} and {ALPHA**2:.0f}.")


def _near(answer: float, value: float) -> bool:
    return math.isclose(answer, value, rel_tol=0.02)


# ---- 2. implement: where a norm of the paper's layout stands in ours ----

LAYERS = (28, 3, 1)


def our_name(paper: str, layers: int) -> str:
    """Where our layout has ``embedding_norm``, ``layers.3.attention_norm``, ``layers.3.feedforward_norm``."""
    if paper == "embedding_norm":
        return "blocks.0.input_norm"
    layer, part = _parts(paper)
    if part == "attention_norm":
        return f"blocks.{layer}.post_attention_norm"
    return _final_from(layers - 1, layer)


def _final_from(last: int, layer: int) -> str:
    return "final_norm" if layer >= last else f"blocks.{layer + 1}.input_norm"


def _parts(paper: str) -> tuple[int, str]:
    _, layer, part = paper.split(".")
    return int(layer), part


def _paper_names(layers: int) -> list[str]:
    inside = (f"layers.{i}.{part}_norm" for i in range(layers) for part in ("attention", "feedforward"))
    return ["embedding_norm", *inside]


def _renamed(which: str, change: Callable[[int, int], str]) -> Answer:
    """``our_name`` with the names of one sort changed: ``change(layer, layers)``."""

    def wrong(paper: str, layers: int) -> str:
        if "." not in paper:
            return change(0, layers) if which == paper else our_name(paper, layers)
        layer, part = _parts(paper)
        return change(layer, layers) if which == part else our_name(paper, layers)

    return wrong


def _by_name(embedding: str, attention: str, feedforward: str) -> Answer:
    """The mapping that never leaves the block: ``layers.i`` is ``blocks.i``, and each norm always has one name."""

    def wrong(paper: str, layers: int) -> str:
        if "." not in paper:
            return embedding
        layer, part = _parts(paper)
        return f"blocks.{layer}.{attention if part == 'attention_norm' else feedforward}"

    return wrong


WHAT_IS_LEFT = "You paired layers.i with blocks.i, and the two names left over. Which norm is called first, which last?"

NAMES = (
    Slip("each norm before its own sub-layer",
         "That is where a pre-norm model has them. Here it follows its sub-layer: who calls it?",
         _by_name("blocks.0.input_norm", "input_norm", "post_attention_norm")),
    Slip("paired name by name", WHAT_IS_LEFT, _by_name("final_norm", "input_norm", "post_attention_norm")),
    Slip("paired name by name", WHAT_IS_LEFT, _by_name("final_norm", "post_attention_norm", "input_norm")),
    Slip("a block that is not there",
         "With L layers there is no blocks.L. What comes after the last feed-forward?",
         _renamed("feedforward_norm", lambda i, layers: f"blocks.{i + 1}.input_norm")),
    Slip("the same block",
         "blocks.i.input_norm is called before the feed-forward of layer i, not after it.",
         _renamed("feedforward_norm", lambda i, layers: "final_norm" if i == layers - 1 else f"blocks.{i}.input_norm")),
    Slip("the end counted from 28",
         "With 28 layers it is right. The number of layers is an argument.",
         _renamed("feedforward_norm", lambda i, layers: _final_from(27, i))),
    Slip("the end one layer early",
         "Layers count from 0. Which is the last one?",
         _renamed("feedforward_norm", lambda i, layers: _final_from(layers - 2, i))),
    Slip("attention's norm is one block late",
         "Between attention and feed-forward of one layer there is no border.",
         _renamed("attention_norm", lambda i, layers: f"blocks.{i + 1}.post_attention_norm")),
    Slip("the embedding's norm",
         "No tensor of ours has that name. Which norm reads the embedding?",
         _renamed("embedding_norm", lambda i, layers: "embedding_norm")),
    Slip("first and last exchanged",
         "The embedding's norm is the first one of the chain.",
         _renamed("embedding_norm", lambda i, layers: "final_norm")),
)  # fmt: skip


def check_names(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(paper, layers) -> str``, our name of a norm of the paper's layout."""
    calls = [(paper, layers) for layers in LAYERS for paper in _paper_names(layers)]
    given = run(answer, calls)
    if isinstance(given, Verdict):
        return given
    if wrong := [type(name).__name__ for name in given if not isinstance(name, str)]:
        return Verdict(False, "not a name", f"the function returns a {wrong[0]}; a name is a text.")
    wanted = [our_name(*call) for call in calls]
    if given == wanted:
        return Verdict(True, "right", f"{len(calls)} norms of {len(LAYERS)} models found their place.")
    for slip in NAMES:
        if given == [slip.wrong(*call) for call in calls]:
            return Verdict(False, slip.kind, slip.hint)
    first = next(i for i in range(len(calls)) if given[i] != wanted[i])
    return Verdict(False, "another mistake", f"{calls[first][0]} of {calls[first][1]} layers is not {given[first]!r}.")


# ---- 3. debug: a block that was ported with two slips ----


def ported_block(
    x: Hidden, attention: Layer, feedforward: Layer, input_norm: Layer, post_attention_norm: Layer, num_layers: int
) -> Hidden:
    """One block of ChatGLM-6B as somebody ported it. Two things are wrong."""
    alpha = math.sqrt(2 * num_layers)
    normed = input_norm(x)  # b s h
    middle = alpha * normed + attention(normed)  # b s h
    normed = post_attention_norm(middle)  # b s h
    return alpha * middle + feedforward(normed)


def _official(num_layers: int) -> float:
    return ALPHA


def _block(alpha: Callable[[int], float] = _official, starts: Sequence[str] = ("norm",) * 2, gain: float = 1) -> Block:
    """The official block, with options that plant a mistake: where alpha comes from, and where each residual starts."""

    def block(x: Hidden, attention: Layer, feedforward: Layer, before: Layer, between: Layer, layers: int) -> Hidden:
        for start, norm, f in zip(starts, (before, between), (attention, feedforward), strict=False):
            normed = norm(x)  # b s h
            x = alpha(layers) * (normed if start == "norm" else x) + gain * f(normed)
        return x

    return block


BLOCKS = (
    Slip(NOT_YET,
         "as handed over, output is the first wrong tensor with 28 layers, and middle with 3. Why not the same?",
         ported_block),
    Slip("alpha follows num_layers",
         "The residuals are right. What does the official block know of the config's number of layers?",
         _block(lambda layers: math.sqrt(2 * layers))),
    Slip("the second residual starts before the norm",
         "middle is right now and output is not. What does the second residual multiply by alpha?",
         _block(starts=("norm", "x"))),
    Slip("both residuals start before the norm",
         "You made the first like the second. It was the second that was wrong.",
         _block(starts=("x", "x"))),
    Slip("no alpha", "The mend changes where alpha comes from. It does not remove it.", _block(lambda layers: 1)),
    Slip("alpha on the wrong term", "alpha multiplies what the sub-layers add.", _block(lambda layers: 1, gain=ALPHA)),
    Slip("the paper's alpha",
         "That is the fourth root. The official code takes the square root.",
         _block(lambda layers: (2 * 28) ** 0.25)),
    Slip("half a block", "This is middle. The feed-forward comes after it.", _block(starts=("norm",))),
)  # fmt: skip


def check_block(answer: Answer) -> Verdict:
    """Exercise 3: ``answer`` takes what ``ported_block`` takes, and should be right for any number of layers."""
    tries = [(*_random_parts(), layers) for layers in (28, 3)]
    return judge(answer, _block(), tries, BLOCKS, _element, CLOSE)


def _element(given: tuple[Any, ...], index: tuple[int, ...], got: float, wanted: float) -> str:
    off = f"element {list(index)} of the output is off by {abs(got - wanted):.2g}"
    return f"with {given[-1]} layers, {off}. Which line did you not need to touch?"


def _random_parts() -> tuple[Any, ...]:
    """x [2 5 16], two sub-layers and two norms, no two alike, in float64."""
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def sublayer(weight: Tensor) -> Layer:
        return lambda h: (h @ weight).tanh() + h.roll(1, dims=-2)  # the roll mixes tokens, as attention does

    def norm(weight: Tensor, bias: Tensor) -> Layer:
        return lambda h: F.layer_norm(h, weight.shape, weight, bias, 1e-5)

    sublayers = [sublayer(draw(16, 16) / 4) for _ in range(2)]
    norms = [norm(1 + draw(16) / 4, draw(16) / 4) for _ in range(2)]
    return draw(2, 5, 16), *sublayers, *norms
