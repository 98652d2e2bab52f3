"""Equations of attention: one query, one key, one row of scores."""

import math
from collections.abc import Callable
from typing import Any

import torch
from sympy import IndexedBase, Integer, Rational, Sum, exp, symbols
from torch import Tensor

from glm_edu.equations.equation import Equation, apart, power, product, vector
from glm_edu.equations.evaluate import Inputs
from glm_edu.model.attention import attention_scores, eager_attention

i, j, d, c, keys = symbols("i j d c k", integer=True)
q, k, s = (IndexedBase(name) for name in "qks")
ROOT = power(d, Rational(-1, 2))
SHRINK = power(product(c, power(d, Rational(1, 2))), Integer(-1))


def _score(function: Callable[..., Any], at: Inputs) -> Tensor:
    query, key = (vector(at[name])[None, None, None] for name in "qk")  # b n q d, b n k d
    return function(query, key, None, layer=at.get("c", 1))


def _probs(function: Callable[..., Any], at: Inputs) -> Tensor:
    """The weights that ``eager_attention`` gives: keys that make the scores, and values that show the weights."""
    count = at["k"]
    query = torch.zeros(1, 1, 1, count, dtype=torch.float64)  # b n q d
    query[..., 0] = math.sqrt(count)
    key = torch.zeros(1, 1, count, count, dtype=torch.float64)  # b n k d
    key[..., 0] = vector(at["s"])
    return function(query, key, torch.eye(count, dtype=torch.float64)[None, None], None).flatten()[at["j"] - 1]


ATTENTION = (
    Equation(
        "attention_score",
        left=IndexedBase("s")[symbols("m n")],
        right=product(apart(ROOT), Sum(product(q[i], k[i]), (i, 1, d))),
        function=attention_scores,
        call=_score,
        sample={"q": [1.0, 2.0, -1.0, 0.5], "k": [0.5, 1.0, 3.0, -2.0], "d": 4},
        symbols="$q$ is the query of token $m$ and $k$ the key of token $n$ in one head, $d$ numbers each.",
    ),
    Equation(
        "layer_scaling",
        left=IndexedBase("s")[symbols("m n")],
        right=product(c, Sum(product(apart(product(q[i], SHRINK)), k[i]), (i, 1, d))),
        function=attention_scores,
        call=_score,
        sample={"q": [1.0, 2.0, -1.0, 0.5], "k": [0.5, 1.0, 3.0, -2.0], "d": 4, "c": 28},
        symbols="$q$ is a query and $k$ a key, $d$ numbers each; $c$ is the number of the layer, counted from 1. The "
        "query is divided first, the sum is multiplied last, in float32.",
    ),
    Equation(
        "softmax",
        left=IndexedBase("p")[j],
        right=product(exp(s[j]), power(Sum(exp(s[i]), (i, 1, keys)), Integer(-1))),
        function=eager_attention,
        call=_probs,
        sample={"s": [2.0, 1.0, -1.0], "k": 3, "j": 1},
        symbols="$s$ are the scores of one query with $k$ keys, $p_j$ is the weight of key $j$; all weights of a query "
        "sum to 1.",
    ),
)
