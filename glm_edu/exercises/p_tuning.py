"""The exercises of chapter 14: count a prefix, attend with one, mend the order in which its table is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from glm_edu.config import ModelConfig
from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Try, Verdict, judge, judge_numbers

Tokens = Float[Tensor, "n k d"]
Rows = Float[Tensor, "p width"]
Layers = Float[Tensor, "L two g p d"]


# ---- 1. predict: how large is a row, and how far does the cache count? ----

_FIRST, _SECOND = ModelConfig.preset("chatglm-6b"), ModelConfig.preset("chatglm2-6b")
LENGTH, PROMPT = 128, 20  # a prefix, and a prompt behind it


def _width(config: ModelConfig) -> int:
    return 2 * config.num_layers * config.num_kv_groups * config.head_dim


_LAYERS = (
    Slip("one layer", "Every layer has keys and values of its own.", 2 * _FIRST.hidden_size),
    Slip("keys alone", "A key without a value answers nothing.", _width(_FIRST) // 2),
    Slip("an embedding", "That is a token at the bottom. The prefix stands in every layer.", _FIRST.hidden_size),
)  # fmt: skip
COUNTS = {
    "ChatGLM-6B": (_width(_FIRST), _LAYERS),
    "ChatGLM2-6B": (_width(_SECOND), (
        Slip("all heads", "That is ChatGLM-6B. How many keys does a token have here?", _width(_FIRST)),
        Slip("half of it", "There are two groups, and each has a key and a value.", _width(_SECOND) // 2),
        Slip("one layer", "Every layer has keys and values of its own.", _width(_SECOND) // _SECOND.num_layers),
    )),
    "cache.length": (LENGTH + PROMPT, (
        Slip("the tokens alone", "The prefix has keys and values too, and later tokens look at them.", PROMPT),
        Slip("the prefix alone", "The prompt is cached behind it.", LENGTH),
    )),
    "position": (0, (
        Slip("shifted", "The prefix takes no positions: the clocks do not know that it is there.", LENGTH),
        Slip("counted from 1", "Positions start at 0.", 1),
    )),
}  # fmt: skip


def check_counts(first: object, second: object, cached: object, position: object) -> Verdict:
    """Exercise 1: numbers in a row of ChatGLM-6B's and ChatGLM2-6B's prefix, cache.length, the first position."""
    told = ", ".join(f"{right:,}" for right, _ in COUNTS.values()) + "."
    return judge_numbers(
        COUNTS, (first, second, cached, position), told, "ask what has keys and values, and what has a position"
    )


# ---- 2. implement: attention with a prefix ----


def my_attention(
    query: Float[Tensor, "n q d"], key: Tokens, value: Tokens, prefix_key: Float[Tensor, "n p d"],
    prefix_value: Float[Tensor, "n p d"], mask: Bool[Tensor, "q k"],
) -> Float[Tensor, "n q d"]:  # fmt: skip
    """Attention over prefix and tokens together: the mask opens the prefix to every query."""
    return _attend(query, key, value, prefix_key, prefix_value, mask)


def _softmax(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -math.inf).softmax(-1)


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])  # n q k


def _attend(
    query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor, prefix_value: Tensor, mask: Tensor,
    open_to: Callable[[Tensor, int], Tensor] = lambda mask, p: F.pad(mask, (p, 0), value=True),
    scores: Callable[[Tensor, Tensor], Tensor] = _scores,
) -> Tensor:  # fmt: skip
    keys = torch.cat([prefix_key, key], dim=1)  # n p+k d
    values = torch.cat([prefix_value, value], dim=1)  # n p+k d
    return _softmax(scores(query, keys), open_to(mask, prefix_key.shape[1])) @ values


def _alone(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _softmax(_scores(query, key), mask) @ value


def _added(query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor, prefix_value: Tensor, mask: Tensor) -> Tensor:
    return _alone(query, key + prefix_key.mean(1, keepdim=True), value + prefix_value.mean(1, keepdim=True), mask)


def _apart(query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor, prefix_value: Tensor, mask: Tensor) -> Tensor:
    return _alone(query, key, value, mask) + _scores(query, prefix_key).softmax(-1) @ prefix_value


def _causal(mask: Tensor, prefix: int) -> Tensor:
    return torch.ones(mask.shape[0], mask.shape[1] + prefix, dtype=torch.bool).tril()


def _behind(mask: Tensor, prefix: int) -> Tensor:
    return F.pad(mask, (0, prefix), value=True)


def _with(**changes: Any) -> Answer:
    return lambda *given: _attend(*given, **changes)


ATTENTIONS = (
    Slip("no prefix", "The prefix has no weight: it was left out, or its columns of the mask are closed.",
         lambda query, key, value, prefix_key, prefix_value, mask: _alone(query, key, value, mask)),
    Slip("added", "The mean of the prefix is added to keys and values: that moves every average by the same vector. "
         "The prefix stands beside the tokens, in front of the key axis.", _added),
    Slip("two averages", "Prefix and tokens have a softmax each, so the weights of a row add up to 2. One softmax "
         "over all keys makes them compete.", _apart),
    Slip("keys and values swapped", "What is asked is the key; what answers is the value.",
         lambda query, key, value, prefix_key, prefix_value, mask: _attend(
             query, key, value, prefix_value, prefix_key, mask)),
    Slip("a causal mask over all keys", "With the prefix in front, query 0 should see all of it and its own token. "
         "Put open columns in front of the mask that you were given.", _with(open_to=_causal)),
    Slip("True for hidden", "The mask that you are given says True where a query may look.",
         lambda query, key, value, prefix_key, prefix_value, mask: _attend(
             query, key, value, prefix_key, prefix_value, ~mask)),
    Slip("the columns at the wrong end", "The open columns of the mask stand behind the tokens, the prefix in front.",
         _with(open_to=_behind)),
    Slip("not divided by sqrt(d)", "The scores of prefix and tokens are divided by sqrt(d).",
         _with(scores=lambda query, key: query @ key.transpose(-1, -2))),
    Slip("divided by d", "The scores are divided by the root of d.",
         _with(scores=lambda query, key: query @ key.transpose(-1, -2) / query.shape[-1])),
)  # fmt: skip


def _given(prefix: int, tokens: int, causal: bool) -> Try:
    draw = torch.Generator().manual_seed(14)
    query, key, value = (torch.randn(2, tokens, 4, generator=draw).double() for _ in range(3))
    keys, values = (2 * torch.randn(2, prefix, 4, generator=draw).double() + 1 for _ in range(2))
    mask = torch.ones(tokens, tokens, dtype=torch.bool)
    return query, key, value, keys, values, mask.tril() if causal else mask


def check_attention(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(query, key, value, prefix_key, prefix_value, mask) -> [n q d]``, one softmax over all."""
    return judge(answer, my_attention, [_given(3, 5, True), _given(1, 4, False)], ATTENTIONS, _query, close=CLOSE)


def _query(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    return f"head {index[0]}, query {index[1]} is the first to differ: {got:.3f} where it should be {wanted:.3f}."


# ---- 3. debug: the order in which a row is read ----


def my_layers(rows: Rows, layers: int, d: int) -> Layers:
    """Layer by layer, the key before the value, head by head: what ``PrefixEncoder`` does."""
    return rearrange(rows, "p (L two g d) -> L two g p d", L=layers, two=2, d=d)


def reported_layers(rows: Rows, layers: int, d: int) -> Layers:
    """The keys of all layers first, then the values: another order of the same numbers."""
    return rearrange(rows, "p (two L g d) -> L two g p d", L=layers, two=2, d=d)


def _read(pattern: str, flip: bool = False) -> Answer:
    def wrong(rows: Rows, layers: int, d: int) -> Layers:
        split = rearrange(rows, pattern, L=layers, two=2, d=d)
        return split.flip(1) if flip else split

    return wrong


ORDERS = (
    Slip(NOT_YET, "unchanged, this is the code as handed over. Layer 0 is right in part. What comes after its keys?",
         reported_layers),
    Slip("values before keys", "The layers are right; in each the key comes first.",
         _read("p (L two g d) -> L two g p d", flip=True)),
    Slip("keys and values innermost", "The two stand outside of the groups: all keys of a layer, then its values.",
         _read("p (L g d two) -> L two g p d")),
    Slip("two inside the groups", "All groups' keys of a layer come first, then all groups' values.",
         _read("p (L g two d) -> L two g p d")),
    Slip("groups and head dim exchanged", "A head's numbers stand together: d varies fastest.",
         _read("p (L two d g) -> L two g p d")),
    Slip("groups outermost", "Each layer has all its groups together.", _read("p (g L two d) -> L two g p d")),
)  # fmt: skip


def check_layers(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(rows [p width], layers, d) -> [L two g p d]``."""
    return judge(answer, my_layers, [_table(2, 3, 2, 4), _table(5, 2, 3, 2)], ORDERS, _layer, close=CLOSE)


def _table(length: int, layers: int, groups: int, d: int) -> Try:
    return torch.arange(float(length * layers * 2 * groups * d)).view(length, -1), layers, d


def _layer(given: Try, index: tuple[int, ...], got: float, wanted: float) -> str:
    what = ("key", "value")[index[1]]
    return f"the {what} of layer {index[0]}, group {index[2]}, row {index[3]} is the first to differ."
