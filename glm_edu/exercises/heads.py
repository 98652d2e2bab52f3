"""The exercises of chapter 10: count a cache in KiB, put fused rows in another order, mend a step that folds heads."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from glm_edu.exercises import CLOSE, NOT_YET, Answer, Slip, Verdict, judge, judge_number
from glm_edu.model.attention import fast_attention

# ---- 1. predict: the cache of one token in a large LLaMA ----

LAYERS, HEADS, GROUPS, HEAD_DIM, BYTES = 80, 64, 8, 128, 2  # LLaMA 2 70B in float16


def kib(layers: int = LAYERS, groups: int = GROUPS, element_size: int = BYTES, vectors: int = 2) -> int:
    """KiB of the keys and values of one token."""
    return vectors * layers * groups * HEAD_DIM * element_size // 1024


CACHE = (
    Slip("heads in place of groups", "That is a key and a value for each head. How many are kept?", kib(groups=HEADS)),
    Slip("a factor of two is missing", "A token keeps a key and a value, and a float16 number takes two bytes.",
         kib(vectors=1)),
    Slip("bytes, not KiB", "A KiB is 1,024 bytes.", 1024 * kib()),
    Slip("one layer", "That is the cache of one layer.", kib(layers=1)),
    Slip("four bytes a number", "In float16 a number takes two bytes.", kib(element_size=4)),
    Slip("one group", "That is the cache with one group.", kib(groups=1)),
    Slip("the query is counted", "A query is used once and not kept.", kib(vectors=3)),
)  # fmt: skip


def check_cache(answer: object) -> Verdict:
    """Exercise 1: KiB of cache that one token takes with 80 layers, 64 heads of 128, 8 groups, in float16."""
    return judge_number(answer, kib(), CACHE)


# ---- 2. implement: the rows of ChatGLM-6B in the order of ChatGLM2-6B ----

Fused = Shaped[Tensor, "rows ..."]


def to_blocks(fused: Fused, heads: int) -> Fused:
    """Rows q0 k0 v0 q1 k1 v1 ... put in the order q0 q1 ... k0 k1 ... v0 v1 ...; a weight [3*n*d h] or a bias."""
    return fused.unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2)  # n 3 d ... -> 3 n d ...


ORDERS = (
    Slip("nothing moved", "The rows stand as they came: head by head.", lambda fused, heads: fused),
    Slip("the way back", "You read the file as all queries first, and wrote head by head. It is the other way round.",
         lambda fused, heads: fused.unflatten(0, (3, heads, -1)).transpose(0, 1).flatten(0, 2)),
    Slip("row by row", "You took every third row. A head has d rows of query, then d of key, then d of value.",
         lambda fused, heads: fused.unflatten(0, (-1, 3)).transpose(0, 1).flatten(0, 1)),
    Slip("heads dealt out like cards", "The order of query, key and value is right. Inside each, the rows of one head "
         "should lie side by side.",
         lambda fused, heads: fused.unflatten(0, (heads, 3, -1)).transpose(0, 1).transpose(1, 2).flatten(0, 2)),
    Slip("value before key", "The heads are right. The order is query, key, value.",
         lambda fused, heads: to_blocks(fused, heads).unflatten(0, (3, -1))[[0, 2, 1]].flatten(0, 1)),
    Slip("the three backwards", "The heads are right. Queries come first, values last.",
         lambda fused, heads: to_blocks(fused, heads).unflatten(0, (3, -1)).flip(0).flatten(0, 1)),
    Slip("heads in reverse", "Head 0 comes first in both files.",
         lambda fused, heads: to_blocks(fused, heads).unflatten(0, (3, heads, -1)).flip(1).flatten(0, 2)),
)  # fmt: skip
WEIGHT = torch.arange(60.0).reshape(30, 2)  # 3*n*d h   n = 2, d = 5
BIAS = torch.arange(36.0)  # 3*n*d   n = 4, d = 3
ROWS = ((WEIGHT, 2), (BIAS, 4))


def check_rows(answer: Answer) -> Verdict:
    """Exercise 2: ``answer(fused, heads)``, a weight [3*n*d h] or a bias [3*n*d], its rows in the new order."""
    return judge(answer, to_blocks, ROWS, ORDERS, _row)


def _row(given: tuple[Fused, int], index: tuple[int, ...], got: float, wanted: float) -> str:
    fused, heads = given
    width = fused[0].numel()  # numbers are counted through the file, so a number tells its row
    sizes = f"with {heads} heads of {len(fused) // (3 * heads)}"
    mine, right = got // width, wanted // width
    return f"{sizes}, your row {index[0]} is row {mine:.0f} of the file; it should be row {right:.0f}."


# ---- 3. debug: one token asks, and the heads of a group are folded into queries ----

Step = Float[Tensor, "b n 1 d"]


def _folded(
    query: Tensor, key: Tensor, value: Tensor, by_group: bool = True, back_by_group: bool = True,
    scale: float = 0.5, axis: int = -1,
) -> Tensor:  # fmt: skip
    """A step that folds n heads into g times n/g queries, right or in some way wrong."""
    b, n, _, d = query.shape
    g = key.shape[1]
    folded = query.reshape(b, g, n // g, d) if by_group else query.reshape(b, n // g, g, d).transpose(1, 2)
    mixed = (folded @ key.transpose(-1, -2) / d**scale).softmax(axis) @ value  # b g n/g d
    return (mixed if back_by_group else mixed.transpose(1, 2)).reshape(query.shape)


def handed_over(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The step of the exercise: head i reads group i % g."""
    return _folded(query, key, value, by_group=False, back_by_group=False)


STEPS = (
    Slip(NOT_YET,
         "unchanged, this is the code as handed over: right with one group, and right with a group for each head. "
         "With groups in between, ask which heads lie side by side in `query`.",
         handed_over),
    Slip("folded right, unfolded wrong", "Each head reads its group; then the answers of the heads change places.",
         lambda query, key, value: _folded(query, key, value, back_by_group=False)),
    Slip("folded wrong, unfolded right", "The answers are put back in order; the queries went to the wrong groups.",
         lambda query, key, value: _folded(query, key, value, by_group=False)),
    Slip("scores not divided", "Divide by sqrt(d).", lambda query, key, value: _folded(query, key, value, scale=0)),
    Slip("scores divided by d", "Divide by sqrt(d), not by d.",
         lambda query, key, value: _folded(query, key, value, scale=1)),
    Slip("softmax over the heads", "The weights of one query add up to 1: softmax runs over the keys.",
         lambda query, key, value: _folded(query, key, value, axis=-2)),
    Slip("every head reads the first group", "Only group 0 is used.",
         lambda query, key, value: fast_attention(query, key[:, :1], value[:, :1], None)),
)  # fmt: skip


def _step(heads: int, groups: int, keys: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(10)
    shapes = (2, heads, 1, 4), (2, groups, keys, 4), (2, groups, keys, 4)
    query, key, value = (2 * torch.randn(*shape, generator=draw) for shape in shapes)
    return query, key, value


FOLDS = (_step(8, 2), _step(6, 3), _step(4, 4), _step(4, 1))


def check_fold(answer: Answer) -> Verdict:
    """Exercise 3: ``answer(query, key, value)``, [b n 1 d] and [b g k d], is attention of one token: [b n 1 d]."""
    return judge(answer, lambda query, key, value: fast_attention(query, key, value, None), FOLDS, STEPS, _head, CLOSE)


def _head(given: tuple[Step, Tensor, Tensor], index: tuple[int, ...], got: float, wanted: float) -> str:
    heads, groups = given[0].shape[1], given[1].shape[1]
    sizes = f"with {heads} heads and {groups} group{'s' * (groups > 1)}"
    size = "NaN" if math.isnan(got) else f"{got:.3f}"
    return f"{sizes}, element {index[3]} of head {index[1]} is {size}; it should be {wanted:.3f}."
