"""Exercises of chapter 5, the residual choices: each check says what kind of mistake it is, and never the answer.

A check runs your function on small random tensors and holds the result against the block as ChatGLM-6B computes it
(``glm_edu.model.residual``). When they differ, it looks for the same numbers among known wrong turns and names the turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from glm_edu.model.residual import scaled_post_norm

Layer = Callable[[Tensor], Tensor]
Stack = Callable[[Tensor, Sequence[Layer], Sequence[Layer], float], Tensor]
Block = Callable[[Tensor, Layer, Layer, Layer, Layer, int], Tensor]

ALPHA, HIDDEN, WIDTH = math.sqrt(2 * 28), 4096, 16  # alpha and hidden size of the 6B; WIDTH is that of the random tensors
NOT_WRITTEN = "not written yet"


@dataclass(frozen=True)
class Verdict:
    """What a check found. ``kind`` names the sort of mistake ("right" if there is none), ``hint`` says where to look."""

    ok: bool
    kind: str
    hint: str

    def __repr__(self) -> str:
        return f"{'Right.' if self.ok else self.kind.capitalize() + ':'} {self.hint}"


# Predict: two numbers


def check_prediction(length: float | None, factor: float | None) -> Verdict:
    """The length of ``alpha * norm(x)`` in the 6B, and the factor by which f gains on the residual when alpha moves to f."""
    if length is None or factor is None:
        return Verdict(False, NOT_WRITTEN, "put your two numbers in place of None.")
    root = math.sqrt(HIDDEN)
    lengths = {
        ALPHA * root: "",
        root: "that is the length of norm(x); alpha has not been applied to it.",
        ALPHA: "that is alpha; what is the length of a vector of 4096 entries with mean square 1?",
        ALPHA * HIDDEN: "a length is a square root: 4096 squares of about 1 add up to the square of it.",
        ALPHA**2 * root: "that is alpha squared; alpha is the square root of 2 * 28.",
        56**0.25 * root: "that is the paper's fourth root; the official code takes the square root.",
    }
    factors = {
        ALPHA**2: "",
        ALPHA: "you counted one of two moves: alpha leaves the residual, and it lands on f.",
        2 * ALPHA: "two factors multiply; they do not add.",
        1 / ALPHA**2: "upside down: which of the two terms wins when alpha moves to f?",
        1.0: "the norm that follows removes a common factor; here only one of the terms has the factor.",
    }
    for name, given, known in (("length", length, lengths), ("factor", factor, factors)):
        if hint := _nearest(given, known):
            return Verdict(False, name, hint)
    return Verdict(True, "right", "you took both from the definition; the figures above show the same numbers measured.")


def _nearest(given: float, known: Mapping[float, str]) -> str:
    """The hint of the known value within 2 % of ``given``; the first value is the right one and has none."""
    match = next((hint for value, hint in known.items() if math.isclose(given, value, rel_tol=0.02)), None)
    return "none of the usual slips; write the two terms under each other and divide." if match is None else match


# Implement: the stack, regrouped


def check_deepnorm_stack(stack: Stack) -> Verdict:
    """Whether ``stack(x, sublayers, norms, alpha)`` equals the official chain: 2L sub-layers, 2L + 1 norms, x [b s h]."""
    x, sublayers, norms = _random_stack(layers=3)
    right = _as_coded(x, sublayers, norms, ALPHA)
    wrong = {kind: (hint, _chain(x, sublayers, norms, ALPHA, **turn)) for kind, hint, turn in STACK_TURNS}
    done = "the regrouped chain equals the chain as ChatGLM-6B codes it."
    return _judge(lambda: stack(x, sublayers, norms, ALPHA), x, right, wrong, done)


def _as_coded(x: Tensor, sublayers: Sequence[Layer], norms: Sequence[Layer], alpha: float) -> Tensor:
    """The chain in the order of the official code: norm, sub-layer, residual; one more norm at the end."""
    for f, norm in zip(sublayers, norms, strict=False):
        normed = norm(x)
        x = scaled_post_norm(x, normed, f(normed), alpha)
    return norms[-1](x)


def _chain(
    x: Tensor, sublayers: Sequence[Layer], norms: Sequence[Layer], alpha: float,
    mix: Callable[[Tensor, Layer, float], Tensor] = lambda h, f, a: a * h + f(h),
    first: bool = True, last: bool = True, late: int = 1, own_alpha: bool = False,
) -> Tensor:  # fmt: skip
    """A chain with one thing wrong: the mix of the two terms, a norm left out, or a norm taken one place early."""
    h = norms[0](x) if first else x
    for k, f in enumerate(sublayers):
        h = mix(h, f, math.sqrt(len(sublayers)) if own_alpha else alpha)
        if last or k + 1 < len(sublayers):
            h = norms[k + late](h)
    return h


STACK_TURNS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("alpha on the wrong term", "alpha multiplies what f adds; it should multiply what f is added to.", {"mix": lambda h, f, a: h + a * f(h)}),
    ("alpha has no effect", "it is missing, or it multiplies both terms, and the norm removes a common factor.", {"mix": lambda h, f, a: h + f(h)}),
    ("wrong alpha", "you made alpha from the number of sub-layers; take the one that is given.", {"own_alpha": True}),
    ("first norm missing", "the embedding goes in as it is; which norm reads it in the official order?", {"first": False}),
    ("last norm missing", "the chain ends on a sum; the last sub-layer has a norm too, the model's final one.", {"last": False}),
    ("norms one place early", "the norm after sub-layer k is the one that the official code calls before sub-layer k + 1.", {"late": 0}),
    ("alpha inside f", "f reads the normalized stream itself, before alpha.", {"mix": lambda h, f, a: a * h + f(a * h)}),
    ("nothing added to", "only f's output goes on; the residual is gone.", {"mix": lambda h, f, a: f(h)}),
)  # fmt: skip


def _random_stack(layers: int) -> tuple[Tensor, list[Layer], list[Layer]]:
    """x [2 5 h] with 2 * layers sub-layers and one norm more, no two alike, in float64."""
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def sublayer(weight: Tensor) -> Layer:
        return lambda h: (h @ weight).tanh() + h.roll(1, dims=-2)  # the roll mixes tokens, as attention does

    def norm(weight: Tensor, bias: Tensor) -> Layer:
        return lambda h: F.layer_norm(h, (WIDTH,), weight, bias, 1e-5)

    sublayers = [sublayer(draw(WIDTH, WIDTH) / WIDTH**0.5) for _ in range(2 * layers)]
    norms = [norm(1 + draw(WIDTH) / 4, draw(WIDTH) / 4) for _ in range(2 * layers + 1)]
    return draw(2, 5, WIDTH), sublayers, norms


# Debug: a block that was ported with two slips


def ported_block(
    x: Tensor, attention: Layer, feedforward: Layer, input_norm: Layer, post_attention_norm: Layer, num_layers: int
) -> Tensor:
    """ChatGLM-6B's block as somebody ported it. Two things are wrong; x is [b s h]."""
    alpha = (2 * num_layers) ** 0.5
    normed = input_norm(x)
    middle = alpha * normed + attention(normed)
    normed = post_attention_norm(middle)
    return alpha * middle + feedforward(normed)


def check_mended_block(block: Block) -> Verdict:
    """Whether ``block``, with the arguments of ``ported_block``, equals the official block for any number of layers."""
    x, sublayers, norms = _random_stack(layers=1)
    parts = (x, *sublayers, *norms[:2])
    right = _block(*parts)
    wrong = {
        NOT_WRITTEN: ("it still computes what it did: with 3 layers the first wrong tensor is middle, with 28 it is output.",
                      ported_block(*parts, num_layers=3)),
        **{kind: (hint, _block(*parts, **turn)) for kind, hint, turn in BLOCK_TURNS},
    }  # fmt: skip
    verdict = _judge(lambda: block(*parts, 3), x, right, wrong, "both slips are mended, and the block is right for any depth.")
    if verdict.ok and not _same(block(*parts, 28), right):
        return Verdict(False, "right for 3 layers only", "with 28 layers the numbers change; what in the official block depends on depth?")
    return verdict


def _block(
    x: Tensor, attention: Layer, feedforward: Layer, input_norm: Layer, post_attention_norm: Layer,
    alpha: float = ALPHA, gain: float = 1.0, from_x: tuple[int, ...] = (), stop: bool = False,
) -> Tensor:  # fmt: skip
    """The official block; the options plant one mistake each. ``from_x``: the residuals (1, 2) that start before the norm."""
    for i, (norm, f) in enumerate(((input_norm, attention), (post_attention_norm, feedforward)), start=1):
        normed = norm(x)
        x = alpha * (x if i in from_x else normed) + gain * f(normed)
        if stop:
            break
    return x


BLOCK_TURNS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("alpha follows num_layers", "the residuals are right with 28 layers; what does the official block know of the config's depth?", {"alpha": math.sqrt(6)}),
    ("second residual from x", "middle is right and output is not: what does the second residual multiply by alpha?", {"from_x": (2,)}),
    ("both residuals from x", "both residuals start before their norm; in the official block both start after it.", {"from_x": (1, 2)}),
    ("no alpha", "the residual lost its factor; the mend changes where alpha comes from, it does not remove it.", {"alpha": 1.0}),
    ("alpha on the wrong term", "alpha multiplies what f adds; it should multiply what f is added to.", {"alpha": 1.0, "gain": ALPHA}),
    ("the paper's alpha", "that is the paper's fourth root for a decoder; the official code takes the square root.", {"alpha": 56**0.25}),
    ("half a block", "this is middle; the feed-forward comes after it.", {"stop": True}),
)  # fmt: skip


# Judging


def _judge(call: Callable[[], Any], x: Tensor, right: Tensor, wrong: Mapping[str, tuple[str, Tensor]], done: str) -> Verdict:
    """Run the learner's function and say what kind of thing came back."""
    before = x.clone()
    try:
        answer = call()
    except NotImplementedError:
        answer = None
    except Exception as error:  # whatever the learner's code raises is the learner's to read
        return Verdict(False, "stopped", f"your function raised {type(error).__name__}: {error}")
    if answer is None or answer is ...:
        return Verdict(False, NOT_WRITTEN, "the function returns nothing so far.")
    if not isinstance(answer, Tensor):
        return Verdict(False, "type", f"return a tensor, not {type(answer).__name__}.")
    if answer.shape != right.shape:
        return Verdict(False, "shape", f"return {list(right.shape)}, the shape of x, not {list(answer.shape)}.")
    if not torch.equal(x, before):
        return Verdict(False, "in place", "your function changed x itself; make a new tensor instead of +=.")
    if _same(answer, right):
        return Verdict(True, "right", done)
    kind = next((kind for kind, (_, numbers) in wrong.items() if numbers.shape == answer.shape and _same(answer, numbers)), None)
    if kind is None:
        return Verdict(False, "different", f"the numbers are off by up to {(answer - right).abs().max():.2g}, in no way that is usual.")
    return Verdict(False, kind, wrong[kind][0])


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a.double(), b, rtol=1e-4, atol=1e-4)  # float64 here; a learner's float32 cast still passes
