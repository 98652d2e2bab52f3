"""The exercises of chapter 8: predict three numbers, write layer-scaled scores, mend an attention of one head."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Try, Verdict, judge, judge_numbers
from glm_edu.model.attention import attention_scores

Rows = Float[Tensor, "q d"]
Keys = Float[Tensor, "k d"]
Seen = Bool[Tensor, "q k"]
HIDDEN = -10000.0  # what ChatGLM-6B writes over a hidden score


# ---- 1. predict: a variance, a hidden score, and the layers where c leaves no trace ----

PREDICTIONS: dict[str, tuple[int, tuple[Slip, ...]]] = {
    "variance": (128, (
        Slip("that is the deviation", "11 is how large a score typically is. The variance is its square.", 11),
        Slip("one product", "One product of two such numbers has variance 1. How many are added?", 1),
        Slip("squared twice", "The variances of independent numbers add up; they do not multiply.", 128**2),
    )),
    "hidden": (-280000, (
        Slip("before the layer factor", "That is what is written over the score. What happens to all scores then?",
             -10000),
        Slip("layers counted from 0", "Layer id 27 is layer number 28, and c is the number.", -270000),
        Slip("the sign", "A hidden score has to be far below the others.", 280000),
        Slip("divided again", "c is multiplied after the mask. It was divided before.", -357),
    )),
    "same_bits": (5, (
        Slip("as if numbers were exact", "In exact arithmetic c leaves no trace in any layer. float16 rounds.", 28),
        Slip("layer 1 alone", "c = 1 changes nothing. Which other divisions does float16 do without rounding?", 1),
        Slip("layer 1 is missing", "Dividing by c = 1 is exact too.", 4),
        Slip("one too many", "Powers of two, yes. There are 28 layers: is 32 among them?", 6),
        Slip("every even number", "Dividing by 6 rounds. Which numbers change the exponent and nothing else?", 14),
        Slip("no layer", "A float16 is a fraction times a power of two. Which c changes the power alone?", 0),
    )),
}  # fmt: skip


def check_prediction(variance: object, hidden: object, same_bits: object) -> Verdict:
    """Exercise 1: the variance of q . k in ChatGLM-6B, a hidden score of its last layer, layers with the same bits.

    A variance may be measured, and a wrong score a quotient: a number with a fraction counts as the known one near it.
    """
    answers = [_whole(name, answer) for name, answer in zip(PREDICTIONS, (variance, hidden, same_bits), strict=True)]
    told = ", ".join(f"{name} {right}" for name, (right, _) in PREDICTIONS.items())
    return judge_numbers(PREDICTIONS, answers, f"{told}.", "work it out again")


def _whole(name: str, answer: object) -> object:
    if not isinstance(answer, float) or not math.isfinite(answer):
        return answer
    right, slips = PREDICTIONS[name]
    known = (right, *(slip.wrong for slip in slips))
    near = (value for value in known if math.isclose(answer, value, rel_tol=0.03, abs_tol=0.1))
    return next(near, round(answer))


# ---- 2. implement: the scores of one head, layer-scaled ----


def layer_scaled_scores(query: Rows, key: Keys, mask: Seen, c: int) -> Float[Tensor, "q k"]:
    """ChatGLM-6B's scores of one head in layer number ``c``: divided, multiplied out, hidden, undone in float32."""
    return attention_scores(query[None, None], key[None, None], mask[None, None], HIDDEN, c)[0, 0]


def _scores(
    divide: Callable[[int, int], float] = lambda d, c: math.sqrt(d) * c, undo: Callable[[int], float] = float,
    before: bool = True, wide: bool = True, hide: str = "first",
) -> Answer:  # fmt: skip
    """The right function, with options that plant a mistake."""

    def wrong(query: Rows, key: Keys, mask: Seen, c: int) -> Float[Tensor, "q k"]:
        by = divide(query.shape[-1], c)
        scores = (query / by) @ key.T if before else (query @ key.T) / by  # q k
        if hide in ("first", "inverted"):
            scores = scores.masked_fill(mask if hide == "inverted" else ~mask, HIDDEN)
        scores = scores.float() * undo(c) if wide else (scores * undo(c)).float()  # q k
        return scores.masked_fill(~mask, HIDDEN) if hide == "last" else scores

    return wrong


def _one(c: int) -> float:
    return 1.0


SCORES = (
    Slip("c is not undone",
         "Where c is 1 your scores are right. Megatron #317 proposed to leave this step out: what is it there for?",
         _scores(undo=_one)),
    Slip("c is not used",
         "In float32 your visible scores are right. In float16 large ones are infinite: what should be smaller?",
         _scores(lambda d, c: math.sqrt(d), _one)),
    Slip("divided by d", "A score is divided by the deviation of a sum of d products, not by d.",
         _scores(lambda d, c: d * c)),
    Slip("not divided by sqrt(d)", "Your scores grow with the width of the head.", _scores(lambda d, c: c)),
    Slip("c under the root", "The root is over d alone.", _scores(lambda d, c: math.sqrt(d * c))),
    Slip("divided after the product",
         "In float32 it is the same. In float16 the product is infinite before you divide it.",
         _scores(before=False)),
    Slip("multiplied in float16",
         "c times a large score does not fit float16. What comes before the multiplication?",
         _scores(wide=False)),
    Slip("hidden after c is undone",
         "A hidden score is -10000 in yours. In ChatGLM-6B the mask comes before the multiplication.",
         _scores(hide="last")),
    Slip("True for hidden", "You overwrote the visible scores. Here True is visible.", _scores(hide="inverted")),
    Slip("nothing is hidden", "Where the mask is False the score should be overwritten.", _scores(hide="nothing")),
)  # fmt: skip


def check_scores(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(query, key, mask, c)`` gives the float32 scores [q k] of one head of layer number c."""
    return judge(answer, layer_scaled_scores, _score_tries(), SCORES, _score, CLOSE)


def _score_tries() -> list[Try]:
    """Powers of two where the numbers are float16, so that every right order of steps gives the same bits."""
    generator = torch.Generator().manual_seed(8)
    mask = torch.rand(3, 5, generator=generator) < 0.7
    mask[:, 0] = True
    query, key = (torch.randn(n, 16, generator=generator) for n in (3, 5))
    large_query, large_key = (256 * torch.ones(n, 16) * torch.tensor([1.0, -1, 1])[:n, None] for n in (3, 1))
    large_key = large_key.repeat(5, 1) * torch.tensor([1.0, 0.5, -1, 0.25, -0.5])[:, None]
    return [(query, key, mask, 1), (query, key, mask, 7), (large_query.half(), large_key.half(), mask, 8)]


def _score(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    seen = "visible" if given[2][index] else "hidden"
    kind = str(given[0].dtype).removeprefix("torch.")
    return f"{kind}, c = {given[3]}: the {seen} score {list(index)} is {got:.5g}; it should be {wanted:.5g}."


# ---- 3. debug: attention of one head, written without a softmax ----


def ported_attention(query: Rows, key: Keys, value: Keys, mask: Seen) -> Rows:
    """One head as somebody ported it. Two things are wrong, and one of them shows with large numbers only."""
    scores = query @ key.T / key.shape[-1]  # q k
    weights = scores.exp() * mask  # q k
    return weights / weights.sum(-1, keepdim=True) @ value


def one_head(query: Rows, key: Keys, value: Keys, mask: Seen) -> Rows:
    """What it should be."""
    scores = query @ key.T / math.sqrt(key.shape[-1])  # q k
    return scores.masked_fill(~mask, -math.inf).softmax(-1) @ value


def _attention(
    divide: Callable[[int], float] = math.sqrt, shift: str = "", hide: bool = True, over: int = -1
) -> Answer:  # fmt: skip
    """The ported function, with other divisors, a maximum or nothing taken off the scores, or masked too late."""

    def wrong(query: Rows, key: Keys, value: Keys, mask: Seen) -> Rows:
        scores = query @ key.T / divide(key.shape[-1])  # q k
        if shift == "mask last":
            return (scores.softmax(-1) * mask) @ value
        if shift == "softmax":
            hidden = scores.masked_fill(~mask, -math.inf) if hide else scores
            return hidden.softmax(over) @ value
        if shift:
            scores = scores - (scores.max() if shift == "table" else scores.amax(-1, keepdim=True))
        weights = scores.exp() * (mask if hide else 1)  # q k
        return weights / weights.sum(-1, keepdim=True) @ value

    return wrong


HEADS = (
    Slip(NOT_YET,
         "unchanged, this is the code as handed over. Small numbers give a wrong average, large ones NaN.",
         ported_attention),
    Slip("it still overflows",
         "Small numbers are right now. exp of a large score is infinite: what may you take off all scores of a row?",
         _attention()),
    Slip("still divided by d",
         "Large numbers give no NaN any more. The average is too even: what is the deviation of a sum of d products?",
         _attention(float, "softmax")),
    Slip("not divided at all", "Now the weights are too sharp.", _attention(lambda d: 1.0, "softmax")),
    Slip("the largest of all, hidden ones too",
         "You took off the largest score. If a hidden key has it, nothing is left of the visible ones.",
         _attention(shift="all")),
    Slip("the largest, and still divided by d",
         "The overflow is mended, but for hidden keys. The divisor is not: it should be the deviation of the sum.",
         _attention(float, "all")),
    Slip("the largest of the whole table",
         "You took one number off all rows. A row far below it is left with zeros: each row has a largest of its own.",
         _attention(shift="table")),
    Slip("masked after the softmax",
         "The softmax has given weight to hidden keys; take it away, and what is left no longer adds up to 1.",
         _attention(shift="mask last")),
    Slip("the mask is lost", "Hidden keys have weight in your average.", _attention(shift="softmax", hide=False)),
    Slip("softmax over the queries", "The weights of one query add up to 1; a query is a row.",
         _attention(shift="softmax", over=0)),
)  # fmt: skip


def check_head(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(query, key, value, mask)``, the average [q d] of one head, for small and large numbers."""
    slips = [replace(slip, wrong=_comparable(slip.wrong)) for slip in HEADS]
    return judge(_comparable(answer), one_head, _head_tries(), slips, _element, CLOSE)


def _comparable(answer: Answer) -> Answer:
    """NaN equals nothing, itself neither; infinity in its place can be compared."""

    def called(*given: Any) -> Any:
        result = answer(*given)
        return result.where(~result.isnan(), math.inf) if isinstance(result, Tensor) else result

    return called


def _head_tries() -> list[Try]:
    """The largest of all large scores is visible: whoever takes it off every row is left with one row of numbers."""
    generator = torch.Generator().manual_seed(12)
    mask = torch.ones(4, 6, dtype=torch.bool).tril(1)
    query, key, value = (torch.randn(n, 16, generator=generator) for n in (4, 6, 6))
    return [(query, key, value, mask), (40 * query, 40 * key, value, mask)]


def _element(given: tuple[Any, ...], index: tuple[int, ...], got: float, wanted: float) -> str:
    size = "large" if given[0].abs().max() > 10 else "small"
    got_text = "NaN" if math.isinf(got) else f"{got:.3g}"
    return f"with {size} numbers, element {list(index)} is {got_text}; it should be {wanted:.3g}."
