"""The exercises of chapter 4: three numbers that a norm makes, RMSNorm in half precision, a LayerNorm to be mended."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Try, Verdict, judge, judge_numbers, run
from glm_edu.model.norms import layer_norm, rms_norm, rms_norm_cast_first

Hidden = Float[Tensor, "b s h"]
Weight = Float[Tensor, " h"]

# ---- 1. predict: what becomes of flat vectors and of a spike? ----

SIZES = {
    "flat_rms": (1, (
        Slip("left as it is", "A norm takes no notice of the length of what it gets.", 3),
        Slip("the mean taken off", "That is the other norm. Which of the two centres?", 0),
        Slip("its square", "Divide by the root of the mean square.", 9),
        Slip("the length divided by", "The mean square is a mean: the number of places drops out.", 64),
    )),
    "flat_layer": (0, (
        Slip("the mean kept", "LayerNorm takes the mean off first. What is left of this token?", 1),
        Slip("left as it is", "Take the mean off. What is left of this token?", 3),
        Slip("minus the mean", "Each number loses the mean, once.", -3),
    )),
    "spike": (64, (
        Slip("left as it is", "A norm takes no notice of the length of what it gets.", 100),
        Slip("all of the length is 1", "The mean square becomes 1, not the sum of squares.", 1),
        Slip("no root", "The mean square is one 4096th of a square. You divide by its root.", 4096),
        Slip("the root twice", "The root of 4096, once.", 8),
    )),
}  # fmt: skip


def check_sizes(flat_rms: object, flat_layer: object, spike: object) -> Verdict:
    """Exercise 1: h = 4096. A token of threes after RMSNorm and after LayerNorm; 100 among zeros after RMSNorm."""
    given = (flat_rms, flat_layer, spike)
    whole = [int(answer) if isinstance(answer, float) and answer.is_integer() else answer for answer in given]
    told = ", ".join(str(right) for right, _ in SIZES.values()) + "."
    return judge_numbers(SIZES, whole, told, "compute again")


# ---- 2. implement: the RMSNorm of ChatGLM2-6B ----


def _rms(size: Callable[[Tensor, float], Tensor]) -> Answer:
    """RMSNorm with another number to divide by: ``size(x, eps)`` of the wide x."""

    def wrong(x: Hidden, weight: Weight, eps: float) -> Hidden:
        return (x.float() / size(x.float(), eps) * weight).to(x.dtype)

    return wrong


def _mean_square(x: Hidden) -> Float[Tensor, "b s 1"]:
    return x.pow(2).mean(-1, keepdim=True)


def _squares_in_half(x: Hidden, weight: Weight, eps: float) -> Hidden:
    return (x.float() * torch.rsqrt(_mean_square(x) + eps).float() * weight).to(x.dtype)


def _not_cast_back(x: Hidden, weight: Weight, eps: float) -> Hidden:
    return x.float() * torch.rsqrt(_mean_square(x.float()) + eps) * weight


RMS = (
    Slip("squares in half", "A token with large numbers became 0 or worse. How large is the square of 300?",
         _squares_in_half),
    Slip("the weight after the cast", "In float32 you could not tell. Which comes last in ChatGLM2-6B?",
         rms_norm_cast_first),
    Slip("not cast back", "The result is wider than what came in.", _not_cast_back),
    Slip("the mean taken off", "That is what LayerNorm does.",
         lambda x, weight, eps: rms_norm(x.float() - x.float().mean(-1, keepdim=True), weight, eps).to(x.dtype)),
    Slip("over the tokens", "You average over the wrong axis: a token would see the others.",
         _rms(lambda x, eps: (x.pow(2).mean(-2, keepdim=True) + eps).sqrt())),
    Slip("one size for all tokens", "Each token has a size of its own. Over which axis is the mean?",
         _rms(lambda x, eps: (x.pow(2).mean() + eps).sqrt())),
    Slip("the length for the size", "Your vectors come out 1 long. Each number should have a mean square of 1.",
         _rms(lambda x, eps: x.norm(dim=-1, keepdim=True) + eps)),
    Slip("a sum for the mean", "The result is shorter than it should be by the root of h.",
         _rms(lambda x, eps: (x.pow(2).sum(-1, keepdim=True) + eps).sqrt())),
    Slip("no root", "You divide by the mean square itself.", _rms(lambda x, eps: _mean_square(x) + eps)),
    Slip("eps outside the root", "Small vectors come out too long. Where is eps added?",
         _rms(lambda x, eps: _mean_square(x).sqrt() + eps)),
    Slip("no eps", "Small vectors come out too long. What is added to the mean square?",
         _rms(lambda x, eps: _mean_square(x).sqrt())),
    Slip("no weight", "The last factor is missing.", lambda x, weight, eps: rms_norm(x, torch.ones_like(weight), eps)),
)  # fmt: skip


def check_rms_norm(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(x, weight, eps)``, the RMSNorm of ChatGLM2-6B for x [b s h] in float16."""
    verdict = judge(answer, rms_norm, _rms_tries(), RMS, _element, CLOSE)
    if verdict.kind == "another mistake" and _lost(answer):
        return Verdict(False, RMS[0].kind, RMS[0].hint)
    return verdict


def _lost(answer: Answer) -> bool:
    """Whether large numbers, and they alone, become 0, infinity and NaN: their squares did not fit."""
    results = run(answer, _rms_tries()[:2])
    if isinstance(results, Verdict):
        return False
    large, usual = (bool(torch.nan_to_num(result, 0, 0, 0).any()) for result in results)
    return usual and not large


def _rms_tries() -> list[Try]:
    generator = torch.Generator().manual_seed(4)
    weight = (1 + torch.randn(8, generator=generator) / 4).half()
    x = torch.randn(2, 3, 8, generator=generator)
    return [(size * x.half(), weight, 1e-5) for size in (2**9, 1.0, 2**-9)]


def _element(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    largest = float(given[0].abs().max())
    came = f"the largest number that came in is {largest:.3g}"
    return f"element {list(index)} is {got:.3g} and should be {wanted:.3g}; {came}."


# ---- 3. debug: a LayerNorm from a tutorial ----


def tutorial_layer_norm(x: Hidden, weight: Weight, bias: Weight, eps: float) -> Hidden:
    """LayerNorm as tutorials have it. Two things are wrong."""
    mean = x.mean(-1, keepdim=True)
    std = x.std(-1, keepdim=True)
    return weight * (x - mean) / (std + eps) + bias


def _layer(size: Callable[[Tensor, float], Tensor]) -> Answer:
    """LayerNorm with another number to divide by: ``size(centred x, eps)``."""

    def wrong(x: Hidden, weight: Weight, bias: Weight, eps: float) -> Hidden:
        centred = x - x.mean(-1, keepdim=True)
        return weight * centred / size(centred, eps) + bias

    return wrong


LAYERS = (
    Slip(NOT_YET, "unchanged, this is the code as handed over. By what factor is it off for long vectors, and which "
         "vectors are off by more?", tutorial_layer_norm),
    Slip("still a sample's variance", "eps stands right. Long vectors are still too short: by what does std divide?",
         _layer(lambda x, eps: (x.var(-1, keepdim=True) + eps).sqrt())),
    Slip("eps still outside the root", "Long vectors are right. For short ones, where is eps added?",
         _layer(lambda x, eps: x.std(-1, correction=0, keepdim=True) + eps)),
    Slip("eps added to a root", "What is under the root is the variance, not its root.",
         _layer(lambda x, eps: (x.std(-1, correction=0, keepdim=True) + eps).sqrt())),
    Slip("no eps", "Short vectors come out too long.", _layer(lambda x, eps: x.std(-1, correction=0, keepdim=True))),
    Slip("one size for all tokens", "Each token has a variance of its own. Over which axis is the mean?",
         _layer(lambda x, eps: (x.pow(2).mean() + eps).sqrt())),
    Slip("no root", "You divide by the variance. Its root is the size.",
         _layer(lambda x, eps: x.var(-1, correction=0, keepdim=True) + eps)),
    Slip("the mean kept", "Taking the mean off was right.",
         lambda x, weight, bias, eps: rms_norm(x, weight, eps) + bias),
)  # fmt: skip


def check_layer_norm(answer: Answer) -> Verdict:
    """Exercise 3: ``answer`` takes what ``tutorial_layer_norm`` takes, and should be right for short vectors too."""
    return judge(answer, layer_norm, _layer_tries(), LAYERS, _element, CLOSE)


def _layer_tries() -> list[Try]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(2, 3, 8, generator=generator) + 1
    weight, bias = 1 + torch.randn(8, generator=generator) / 4, torch.randn(8, generator=generator)
    return [(size * x, weight, bias, 1e-5) for size in (1.0, 2**-9)]
